//! Reports for people: text and HTML mail, from one typed report, by templates
//! that an operator can replace.
//!
//! What is to be told is a [`Letter`]: one incident, or one trouble that many
//! services have, or a digest. [`Letters::write`] makes a subject, a text and an
//! HTML page of it. It always answers: a template of the operator's that is
//! broken is left aside for the built-in one, and what is wrong with it is
//! [told](Written::warnings).
//!
//! - In HTML every value is escaped, whatever a template says: no template can
//!   let the markup of a log line through.
//! - In text every control character is escaped, and those that reorder or hide
//!   text.
//! - A template has a limited number of steps, and its output a limited length.

mod letter;
mod letters;
mod report;
mod samples;
mod shape;
mod wrap;

pub use self::{
    letter::{Letter, Other, Tone},
    letters::{Letters, Written},
    report::{
        Advice, Attempt, Command, Grantable, LOOK_BACK, Line, Mark, Moment, Often, Opinion, Proof,
        Recurrence, Report, ReportContext, Tried, headline,
    },
};
