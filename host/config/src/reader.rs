//! Reads typed values out of a parsed file and notes every mistake on the way.
//!
//! A getter that finds a mistake notes it and answers as if the key were
//! absent: reading goes on, and all mistakes come out in one go.

use std::{ops::Range, path::PathBuf, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::{Diagnostic, Source},
    value,
};
use prunella_core::{UnitName, duration, name::is_plain};

/// A value and where it stands.
pub type Value<'t> = Spanned<DeValue<'t>>;

/// A table and what to call it in a message.
#[derive(Clone, Copy)]
pub struct Section<'t> {
    pub table: &'t DeTable<'t>,
    /// Such as "`[proof]`" or "a service's file".
    pub name: &'t str,
}

/// Text and where it stands.
pub type Text<'t> = (&'t str, Range<usize>);

/// Reads one file.
pub struct Reader<'s> {
    pub source: &'s Source,
    /// The mistakes so far.
    pub found: Vec<Diagnostic>,
}

impl<'s> Reader<'s> {
    /// Begins with a file.
    pub fn new(source: &'s Source) -> Self {
        Self {
            source,
            found: Vec::new(),
        }
    }

    /// Notes a mistake.
    pub fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.found.push(self.source.error(span, message));
    }

    /// Notes a mistake, and what would be right.
    pub fn error_help(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(self.source.error(span, message).help(help));
    }

    /// Notes what is worth a look.
    pub fn warn(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found
            .push(self.source.error(span, message).help(help).warning());
    }

    /// Notes every key of `section` that is not among `known`.
    pub fn only(&mut self, section: Section<'_>, known: &[&str]) {
        for key in section.table.keys() {
            let word: &str = key.get_ref();
            if known.contains(&word) {
                continue;
            }
            let list = known.join(", ");
            let help = match value::nearest(word, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`? Valid in {}: {list}", section.name),
                None => format!("valid in {}: {list}", section.name),
            };
            let shown = prunella_core::text::one_line(word, 60);
            self.error_help(key.span(), format!("unknown key `{shown}`"), help);
        }
    }

    fn wrong_type(&mut self, key: &str, value: &Value<'_>, wanted: &str, example: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error_help(
            value.span(),
            format!("`{key}` must be {wanted}, and this is {found}"),
            format!("for example: {example}"),
        );
    }

    pub fn text<'t>(&mut self, section: Section<'t>, key: &str, example: &str) -> Option<Text<'t>> {
        let value = section.table.get(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some((text, value.span())),
            None => {
                self.wrong_type(key, value, "text", &format!("{key} = \"{example}\""));
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn flag(&mut self, section: Section<'_>, key: &str) -> Option<bool> {
        let value = section.table.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, "true or false", &format!("{key} = true"));
        }
        flag
    }

    /// A whole number from 1 to `max`.
    pub fn number(&mut self, section: Section<'_>, key: &str, max: u32) -> Option<u32> {
        let value = section.table.get(key)?;
        self.number_in(value, key, 1..=max)
    }

    /// A whole number in a range.
    pub fn number_in(
        &mut self,
        value: &Value<'_>,
        key: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let range = i64::from(*range.start())..=i64::from(*range.end());
        u32::try_from(self.integer_in(value, key, range)?).ok()
    }

    /// A whole number in a range, which may begin below zero.
    pub fn integer(
        &mut self,
        section: Section<'_>,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = section.table.get(key)?;
        self.integer_in(value, key, range)
    }

    fn integer_in(
        &mut self,
        value: &Value<'_>,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let (least, most) = (range.start(), range.end());
        let Some(integer) = value.get_ref().as_integer() else {
            let example = (*least).max(1);
            self.wrong_type(key, value, "a whole number", &format!("{key} = {example}"));
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.error(
                value.span(),
                format!("`{key}` must lie between {least} and {most}"),
            );
        }
        number
    }

    /// A duration of at least so long, such as `"1m30s"`.
    pub fn duration(
        &mut self,
        section: Section<'_>,
        key: &str,
        least: Duration,
    ) -> Option<Duration> {
        let value = section.table.get(key)?;
        self.duration_of(value, key, least)
    }

    /// The duration that a value says.
    pub fn duration_of(
        &mut self,
        value: &Value<'_>,
        key: &str,
        least: Duration,
    ) -> Option<Duration> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(
                key,
                value,
                "a duration as text",
                &format!("{key} = \"30s\""),
            );
            return None;
        };
        match duration::parse(text) {
            Ok(duration) if duration < least => {
                let least = duration::written(least);
                self.error(value.span(), format!("`{key}` must be at least {least}"));
                None
            }
            Ok(duration) => Some(duration),
            Err(error) => {
                self.error_help(value.span(), error.to_string(), error.help());
                None
            }
        }
    }

    /// A size in bytes, such as `"64MiB"`.
    pub fn size(&mut self, section: Section<'_>, key: &str) -> Option<u64> {
        let value = section.table.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(key, value, "a size as text", &format!("{key} = \"64MiB\""));
            return None;
        };
        match value::size(text) {
            Some(0) => {
                self.error(value.span(), format!("`{key}` must not be 0"));
                None
            }
            Some(size) => Some(size),
            None => {
                let shown = prunella_core::text::one_line(text, 40);
                self.error_help(
                    value.span(),
                    format!("`{shown}` is not a size"),
                    "write a number and B, KiB, MiB or GiB, such as \"64MiB\"",
                );
                None
            }
        }
    }

    /// Permission bits, such as `"0640"`.
    pub fn mode(&mut self, section: Section<'_>, key: &str) -> Option<(u32, Range<usize>)> {
        let (text, span) = self.text(section, key, "0640")?;
        let Some(mode) = value::mode(text) else {
            let shown = prunella_core::text::one_line(text, 20);
            self.error_help(
                span,
                format!("`{shown}` is not a mode"),
                "write three or four octal digits as for chmod, such as \"0640\"",
            );
            return None;
        };
        Some((mode, span))
    }

    /// A list of text; empty when absent.
    pub fn texts<'t>(&mut self, section: Section<'t>, key: &str, example: &str) -> Vec<Text<'t>> {
        let Some(value) = section.table.get(key) else {
            return Vec::new();
        };
        let example = format!("{key} = [{example}]");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of text", &example);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push((text, item.span())),
                None => self.wrong_type(key, item, "a list of text", &example),
            }
        }
        texts
    }

    pub fn section<'t>(
        &mut self,
        section: Section<'t>,
        key: &str,
        name: &'t str,
    ) -> Option<Section<'t>> {
        let value = section.table.get(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Section { table, name }),
            None => {
                self.wrong_type(key, value, "a table", name);
                None
            }
        }
    }

    /// The tables of a `[[key]]`, with where each begins.
    pub fn sections<'t>(
        &mut self,
        section: Section<'t>,
        key: &str,
        name: &'t str,
    ) -> Vec<(Section<'t>, Range<usize>)> {
        let Some(value) = section.table.get(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of tables", name);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => sections.push((Section { table, name }, item.span())),
                None => self.wrong_type(key, item, "a list of tables", name),
            }
        }
        sections
    }

    /// One of `words`.
    pub fn one_of<T: Copy>(
        &mut self,
        section: Section<'_>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let example = words.first().map_or("", |(word, _)| word);
        let text = self.text(section, key, example)?;
        self.word(key, text, words)
    }

    /// The meaning of a word that is one of `words`.
    pub fn word<T: Copy>(
        &mut self,
        key: &str,
        (text, span): Text<'_>,
        words: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let list = known.join(", ");
        let shown = prunella_core::text::one_line(text, 40);
        let help = match value::nearest(text, known) {
            Some(meant) => format!("did you mean `{meant}`? Valid are: {list}"),
            None => format!("valid are: {list}"),
        };
        self.error_help(span, format!("`{key}` cannot be `{shown}`"), help);
        None
    }

    /// A unit's full name, with `.service` added where no type stands.
    pub fn unit(&mut self, (text, span): Text<'_>) -> Option<UnitName> {
        match UnitName::from_user(text) {
            Ok(unit) if unit.is_template() => {
                let stem = unit.stem().to_owned();
                self.error_help(
                    span,
                    format!("`{unit}` is a template: it never runs itself"),
                    format!("name an instance, such as `{stem}1.{}`", unit.kind()),
                );
                None
            }
            Ok(unit) => Some(unit),
            Err(error) => {
                self.error(span, prunella_core::text::one_line(&error.to_string(), 300));
                None
            }
        }
    }

    /// The `name` of a declared file, check or probe.
    pub fn name(&mut self, section: Section<'_>, at: &Range<usize>) -> Option<String> {
        if section.table.get("name").is_none() {
            self.error_help(
                at.clone(),
                format!("{} has no name", section.name),
                "add a `name`, by which strategies know it",
            );
            return None;
        }
        let (name, span) = self.text(section, "name", "config")?;
        if is_plain(name) {
            return Some(name.to_owned());
        }
        let shown = prunella_core::text::one_line(name, 60);
        self.error_help(
            span,
            format!("`{shown}` is not a name"),
            "use lower-case letters, digits and `-`, beginning with a letter, at most 64",
        );
        None
    }

    /// A SHA-256 in hexadecimal; given in lower case.
    pub(super) fn sha256(&mut self, text: &str, span: Range<usize>) -> Option<String> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Some(text.to_ascii_lowercase());
        }
        self.error_help(
            span,
            format!(
                "a SHA-256 is 64 hexadecimal digits, and this is {} characters",
                text.chars().count()
            ),
            "take it from `sha256sum FILE`",
        );
        None
    }

    /// An absolute path without `..`.
    pub fn path(&mut self, key: &str, (text, span): Text<'_>) -> Option<PathBuf> {
        let path = PathBuf::from(text);
        let shown = prunella_core::text::one_line(text, 80);
        if !path.is_absolute() {
            self.error_help(
                span,
                format!("`{key}` must be an absolute path, and `{shown}` is relative"),
                "begin it with `/`",
            );
            return None;
        }
        if path
            .components()
            .any(|part| part == std::path::Component::ParentDir)
            || text.contains('\0')
        {
            self.error(span, format!("`{key}` must not contain `..` or NUL"));
            return None;
        }
        Some(path)
    }
}

/// A mode without its quotes, which is no number of TOML's: `mode = 0640`.
fn octal(source: &Source, at: usize) -> Option<Diagnostic> {
    let is_space = [' ', '\t'];
    // The mistake is seen at the first digit, or behind it.
    let before = source.text.get(..at)?.trim_end_matches('0');
    let key = before
        .trim_end_matches(is_space)
        .strip_suffix('=')?
        .trim_end_matches(is_space)
        .rsplit(['\n', ',', '{'])
        .next()?;
    let rest = source.text.get(before.len()..)?;
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest.get(..length)?;
    if key.trim() != "mode" || !number.starts_with('0') {
        return None;
    }
    Some(
        source
            .error(
                before.len()..before.len() + length,
                "`mode` must be text, and this is a number",
            )
            .help(format!("write `mode = \"{number}\"`")),
    )
}

/// Reads a text as TOML with `read`, and gives every mistake, in the order of the
/// text; no value when it is not TOML at all.
pub fn parse<T>(
    source: &Source,
    read: impl for<'t> FnOnce(&mut Reader<'_>, &'t DeTable<'t>) -> T,
) -> (Option<T>, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        let end = source.text.len();
        let found = errors.into_iter().map(|error| {
            let span = error.span().unwrap_or(end..end);
            octal(source, span.start).unwrap_or_else(|| {
                let message = prunella_core::text::one_line(error.message(), 300);
                source.error(span, message)
            })
        });
        return (None, found.collect());
    }
    let (value, found) = read_table(source, &table, read);
    (Some(value), found)
}

/// Like [`parse`], of as much as can be understood of a text that may not be TOML.
/// For what nothing is done by but tell people.
pub(super) fn parse_partly<T>(
    source: &Source,
    read: impl for<'t> FnOnce(&mut Reader<'_>, &'t DeTable<'t>) -> T,
) -> (T, Vec<Diagnostic>) {
    let (table, _) = DeTable::parse_recoverable(&source.text);
    read_table(source, &table, read)
}

fn read_table<T>(
    source: &Source,
    table: &Spanned<DeTable<'_>>,
    read: impl for<'t> FnOnce(&mut Reader<'_>, &'t DeTable<'t>) -> T,
) -> (T, Vec<Diagnostic>) {
    let mut reader = Reader::new(source);
    let value = read(&mut reader, table.get_ref());
    let mut found = reader.found;
    found.sort_by_key(|found| {
        found
            .place
            .as_ref()
            .map_or((0, 0), |place| (place.line, place.column))
    });
    (value, found)
}
