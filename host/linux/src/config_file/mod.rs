//! Single values in configuration files of others: what one is, and the file with another in
//! its place.
//!
//! A parser of each format tells where a value stands, and only those bytes are replaced:
//! comments, order, spaces and line ends stay as they are. What is put there keeps the type and
//! the quotes of what was there. It is then read again: unless exactly the wanted value is
//! found in exactly that place, nothing is changed. What could be read in two ways is refused.

mod env;
mod ini;
mod json;
mod quotes;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::{fs::File, io::Read as _, ops::Range, path::Path};

use prunella_core::remedy::ConfigFormat;
use rustix::fs::FileType;

use self::quotes::Quotes;
use crate::safe_path::{self, Last, Rule, WalkError};

/// No larger file is read: one MiB.
const LARGEST: u64 = 1 << 20;

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("it does not exist")]
    Missing,
    /// It is left alone, because of this.
    #[error("{0}")]
    Other(String),
}

/// The content of a file in which a value could be changed: a regular one, of one name, to
/// which no link leads that others than root could have made.
///
/// # Errors
/// [`Unread`] says why it is none of these.
pub fn read(path: &Path) -> Result<Vec<u8>, Unread> {
    let other = |why: &dyn std::fmt::Display| Unread::Other(why.to_string());
    let found = match safe_path::walk(path, Rule::Change, Last::Keep) {
        Ok(found) => found,
        Err(WalkError::Missing | WalkError::MissingFolder) => return Err(Unread::Missing),
        Err(error) => return Err(other(&error)),
    };
    if found.kind() != FileType::RegularFile {
        return Err(other(&"it is no regular file"));
    }
    if found.stat.st_nlink != 1 {
        return Err(other(&"it has a second name elsewhere"));
    }
    let file = File::from(found.open().map_err(|error| other(&error))?);
    let mut content = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut content);
    read.map_err(|error| other(&error))?;
    if content.len() as u64 > LARGEST {
        return Err(other(&"it is larger than 1 MiB"));
    }
    Ok(content)
}

/// Why a value is left as it is, in a clause about it or its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the file is not UTF-8 text")]
    NotText,
    #[error("the file cannot be read as {format}: {why}")]
    NotRead { format: &'static str, why: String },
    #[error("{0} does not stand in the file")]
    Missing(String),
    #[error("{0} stands in the file more than once")]
    Twice(String),
    #[error("{key} is {what}")]
    Other { key: String, what: &'static str },
    #[error("{key} cannot become {to}: it would not be {kind} as before")]
    OtherKind {
        key: String,
        to: String,
        kind: &'static str,
    },
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scalar {
    /// Its bytes in the file, with its quotes.
    span: Range<usize>,
    /// Without its quotes.
    value: String,
    form: Form,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain(Kind),
    Quoted(Quotes),
}

/// What a value without quotes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Date,
    Fraction,
    /// Where whole numbers and others are of one type.
    Number,
    Text,
    Whole,
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plain(Kind::Boolean) => "true or false",
            Self::Plain(Kind::Date) => "a date",
            Self::Plain(Kind::Fraction) => "a number with a fraction",
            Self::Plain(Kind::Number) => "a number",
            Self::Plain(Kind::Text) => "plain text",
            Self::Plain(Kind::Whole) => "a whole number",
            Self::Quoted(_) => "text in the same quotes",
        }
    }
}

/// What the value is that `key` leads to.
///
/// # Errors
/// [`Unusable`] says what cannot be read, or could be read in two ways.
pub fn value(content: &[u8], format: ConfigFormat, key: &str) -> Result<String, Unusable> {
    Ok(find(text_of(content)?, format, key)?.value)
}

/// The content with the value `to` where `key` leads to; nothing else of it is changed.
///
/// # Errors
/// [`Unusable`] says what cannot be read, or could be read in two ways.
pub fn with_value(
    content: &[u8],
    format: ConfigFormat,
    key: &str,
    to: &str,
) -> Result<Vec<u8>, Unusable> {
    let text = text_of(content)?;
    let scalar = find(text, format, key)?;
    let other_kind = || Unusable::OtherKind {
        key: key.to_owned(),
        to: to.to_owned(),
        kind: scalar.form.as_str(),
    };
    let written = match scalar.form {
        Form::Plain(_) => to.to_owned(),
        Form::Quoted(quotes) => quotes.around(to).ok_or_else(other_kind)?,
    };
    let (Some(before), Some(after)) = (text.get(..scalar.span.start), text.get(scalar.span.end..))
    else {
        return Err(other_kind());
    };
    let edited = format!("{before}{written}{after}");
    let wanted = Scalar {
        span: scalar.span.start..scalar.span.start + written.len(),
        value: to.to_owned(),
        form: scalar.form,
    };
    match find(&edited, format, key) {
        Ok(found) if found == wanted => Ok(edited.into_bytes()),
        _ => Err(other_kind()),
    }
}

fn text_of(content: &[u8]) -> Result<&str, Unusable> {
    let text = str::from_utf8(content).map_err(|_| Unusable::NotText)?;
    if text.contains('\0') {
        return Err(Unusable::NotText);
    }
    Ok(text)
}

fn find(text: &str, format: ConfigFormat, key: &str) -> Result<Scalar, Unusable> {
    match format {
        ConfigFormat::Env => env::find(text, key),
        ConfigFormat::Ini => ini::find(text, key),
        ConfigFormat::Json => json::find(text, key),
        ConfigFormat::Toml => toml::find(text, key),
        ConfigFormat::Yaml => yaml::find(text, key),
    }
}

/// What is found of a value, which has to be one.
struct Found<'k> {
    key: &'k str,
    scalar: Option<Scalar>,
}

impl<'k> Found<'k> {
    fn nothing(key: &'k str) -> Self {
        Self { key, scalar: None }
    }

    fn add(&mut self, scalar: Scalar) -> Result<(), Unusable> {
        match self.scalar.replace(scalar) {
            None => Ok(()),
            Some(_) => Err(Unusable::Twice(self.key.to_owned())),
        }
    }

    fn only(self) -> Result<Scalar, Unusable> {
        self.scalar
            .ok_or_else(|| Unusable::Missing(self.key.to_owned()))
    }

    /// It is something that is left as it is.
    fn is(&self, what: &'static str) -> Unusable {
        Unusable::Other {
            key: self.key.to_owned(),
            what,
        }
    }
}

/// Each way to take a dotted key apart into a first name and the rest of it, which is empty at
/// the end: names may have dots in them.
fn splits(key: &str) -> impl Iterator<Item = (&str, &str)> {
    let dots = key.match_indices('.');
    dots.filter_map(|(at, _)| Some((key.get(..at)?, key.get(at + 1..)?)))
        .chain([(key, "")])
}
