//! Values in YAML.

use std::{collections::BTreeSet, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{Form, Found, Kind, Quotes, Scalar, Unusable};

pub(super) fn find(text: &str, key: &str) -> Result<Scalar, Unusable> {
    let mut search = Search {
        text,
        found: Found::nothing(key),
        way: Vec::new(),
        seen: BTreeSet::new(),
        documents: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| not_read(&error))?;
        search.take(&event, span)?;
    }
    search.found.only()
}

fn not_read(error: &ScanError) -> Unusable {
    Unusable::NotRead {
        format: "YAML",
        why: error.to_string(),
    }
}

/// A list or mapping that is not at its end yet.
enum Level {
    /// Nothing in it has a key.
    List,
    /// What else refers to it changes with it.
    Mapping { shared: bool, at: At },
}

/// Where in a mapping the next thing stands.
enum At {
    Key,
    /// The value of this key; none where the key is no single word.
    Value(Option<String>),
}

struct Search<'t> {
    text: &'t str,
    found: Found<'t>,
    way: Vec<Level>,
    /// The keys on the way to the value that were met.
    seen: BTreeSet<String>,
    documents: usize,
}

impl Search<'_> {
    fn take(&mut self, event: &Event<'_>, span: Span) -> Result<(), Unusable> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Unusable::NotRead {
                        format: "YAML",
                        why: "it holds several documents".to_owned(),
                    });
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                if let Some(Level::Mapping { at, .. }) = self.way.last_mut()
                    && matches!(at, At::Key)
                {
                    *at = At::Value(Some(value.clone().into_owned()));
                    return self.key_met();
                }
                if self.is_it() {
                    if *anchor != 0 || self.is_shared() {
                        return Err(self.found.is("something that others may refer to (&)"));
                    }
                    if tag.is_some() {
                        return Err(self.found.is("a value with a tag (!)"));
                    }
                    let scalar = self.scalar(value, *style, span)?;
                    self.found.add(scalar)?;
                }
                self.over();
            }
            Event::Alias(_) => {
                if self.is_it() {
                    return Err(self.found.is("defined elsewhere (*)"));
                }
                self.over();
            }
            Event::SequenceStart(..) => {
                if self.is_it() {
                    return Err(self.found.is("a list, and no single value"));
                }
                self.way.push(Level::List);
            }
            Event::MappingStart(anchor, _) => {
                if self.is_it() {
                    return Err(self.found.is("a mapping, and no single value"));
                }
                self.way.push(Level::Mapping {
                    shared: *anchor != 0,
                    at: At::Key,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.way.pop();
                self.over();
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// A value, or what stands in the place of a key, is over.
    fn over(&mut self) {
        if let Some(Level::Mapping { at, .. }) = self.way.last_mut() {
            *at = match at {
                At::Key => At::Value(None),
                At::Value(_) => At::Key,
            };
        }
    }

    /// The keys that lead to what comes next, joined by dots; none where something else than
    /// keys leads there.
    fn here(&self) -> Option<String> {
        let names: Option<Vec<&str>> = self
            .way
            .iter()
            .map(|level| match level {
                Level::Mapping {
                    at: At::Value(Some(key)),
                    ..
                } => Some(key.as_str()),
                _ => None,
            })
            .collect();
        names.map(|names| names.join("."))
    }

    fn is_it(&self) -> bool {
        self.here().as_deref() == Some(self.found.key)
    }

    fn is_shared(&self) -> bool {
        let shared = |level: &Level| matches!(level, Level::Mapping { shared: true, .. });
        self.way.iter().any(shared)
    }

    /// A key that stands twice leads to two values.
    fn key_met(&mut self) -> Result<(), Unusable> {
        let Some(here) = self.here() else {
            return Ok(());
        };
        let rest = self.found.key.strip_prefix(&here);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            && !self.seen.insert(here.clone())
        {
            return Err(Unusable::Twice(here));
        }
        Ok(())
    }

    fn scalar(&self, value: &str, style: ScalarStyle, span: Span) -> Result<Scalar, Unusable> {
        let mut span = in_bytes(self.text, span);
        let mut written = self.text.get(span.clone()).unwrap_or_default();
        let quotes = match style {
            ScalarStyle::DoubleQuoted => Some(Quotes::Escaping),
            ScalarStyle::SingleQuoted => Some(Quotes::Doubled),
            _ => None,
        };
        // The parser takes what stands behind the quotes on the same line for a part of it.
        if let Some(end) = quotes.and_then(|quotes| quotes.end(written)) {
            written = written.get(..end).unwrap_or_default();
            span.end = span.start + end;
        }
        if written.contains(['\n', '\r'])
            || matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
        {
            return Err(self.found.is("text of several lines"));
        }
        let form = match quotes {
            Some(quotes) if quotes.end(written) == Some(written.len()) => Form::Quoted(quotes),
            None if written == value => {
                Form::Plain(kind(value).ok_or_else(|| self.found.is("null"))?)
            }
            _ => {
                return Err(self
                    .found
                    .is("written in a way that Prunella does not know"));
            }
        };
        Ok(Scalar {
            span,
            value: value.to_owned(),
            form,
        })
    }
}

/// The parser counts characters.
fn in_bytes(text: &str, span: Span) -> Range<usize> {
    let byte = |at: usize| {
        let mut characters = text.char_indices();
        characters.nth(at).map_or(text.len(), |(byte, _)| byte)
    };
    byte(span.start.index())..byte(span.end.index())
}

/// What a plain value is, in the core schema of YAML 1.2 and with the words of 1.1; none for
/// null.
fn kind(value: &str) -> Option<Kind> {
    let word = value.to_ascii_lowercase();
    Some(match word.as_str() {
        "" | "~" | "null" => return None,
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" => Kind::Boolean,
        ".inf" | "+.inf" | "-.inf" | ".nan" => Kind::Number,
        _ if is_number(&word) => Kind::Number,
        _ => Kind::Text,
    })
}

fn is_number(word: &str) -> bool {
    let digits = |rest: &str, radix| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
    if let Some(rest) = word.strip_prefix("0x") {
        return digits(rest, 16);
    }
    if let Some(rest) = word.strip_prefix("0o") {
        return digits(rest, 8);
    }
    word.contains(|c: char| c.is_ascii_digit())
        && word
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.e_".contains(c))
        && word.replace('_', "").parse::<f64>().is_ok()
}
