//! Values in INI files: sections in brackets, and `key = value` or `key: value` in them.
//!
//! There is no standard. What programs agree on is read; what one would read otherwise than
//! another (a key that stands twice, a value that goes on in the next line) is refused.

use super::{Form, Found, Kind, Quotes, Scalar, Unusable};

/// What begins a comment.
const COMMENT: [char; 2] = ['#', ';'];

pub(super) fn find(text: &str, key: &str) -> Result<Scalar, Unusable> {
    let mut found = Found::nothing(key);
    // Before the first section.
    let mut section = "";
    let mut start = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let at = start;
        start += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let trimmed = content.trim();
        if trimmed.is_empty() || trimmed.starts_with(COMMENT) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim();
            continue;
        }
        let Some(separator) = content.find(['=', ':']) else {
            continue;
        };
        let (name, rest) = content.split_at(separator);
        if !leads_to(section, name.trim(), key) {
            continue;
        }
        let rest = rest.get(1..).unwrap_or_default();
        if goes_on(content, lines.peek().copied()) {
            return Err(found.is("a value of several lines"));
        }
        let scalar = scalar(rest, at + separator + 1, &found)?;
        found.add(scalar)?;
    }
    found.only()
}

fn leads_to(section: &str, name: &str, key: &str) -> bool {
    if section.is_empty() {
        return name == key;
    }
    let rest = key.strip_prefix(section);
    rest.and_then(|rest| rest.strip_prefix('.')) == Some(name)
}

/// Whether some program would read the next line as part of the value.
fn goes_on(line: &str, next: Option<&str>) -> bool {
    let indented = |next: &str| {
        let inner = next.trim();
        next.starts_with([' ', '\t']) && !inner.is_empty() && !inner.starts_with(COMMENT)
    };
    // Where keys are indented anyway, the next key is no part of this value.
    line.ends_with('\\') || (!line.starts_with([' ', '\t']) && next.is_some_and(indented))
}

fn scalar(rest: &str, at: usize, found: &Found<'_>) -> Result<Scalar, Unusable> {
    let written = rest.trim_start();
    let start = at + rest.len() - written.len();
    if let Some(quote) = written.chars().next().filter(|c| ['"', '\''].contains(c)) {
        let inner = written.get(1..).unwrap_or_default();
        let Some(end) = inner.find(quote) else {
            return Err(found.is("a value whose quotes do not end"));
        };
        let (value, after) = inner.split_at(end);
        let after = after.get(1..).unwrap_or_default().trim_start();
        // Some programs read escapes, others do not.
        if value.contains('\\') || !(after.is_empty() || after.starts_with(COMMENT)) {
            return Err(found.is("a value that programs read in different ways"));
        }
        return Ok(Scalar {
            span: start..start + end + 2,
            value: value.to_owned(),
            form: Form::Quoted(Quotes::Literal(quote)),
        });
    }
    let value = without_comment(written).trim_end();
    if value.is_empty() {
        return Err(found.is("empty"));
    }
    Ok(Scalar {
        span: start..start + value.len(),
        value: value.to_owned(),
        form: Form::Plain(kind(value)),
    })
}

/// A comment behind a value has a space before it.
fn without_comment(value: &str) -> &str {
    let comment = value.char_indices().find(|(at, c)| {
        COMMENT.contains(c)
            && value
                .get(..*at)
                .is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    });
    comment.map_or(value, |(at, _)| value.get(..at).unwrap_or_default())
}

/// A number stays a number.
pub(super) fn kind(value: &str) -> Kind {
    if value.parse::<f64>().is_ok_and(f64::is_finite) {
        Kind::Number
    } else {
        Kind::Text
    }
}
