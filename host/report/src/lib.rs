//! Reports for people: text and HTML mail, from one typed report, by templates
//! that an operator can replace.
