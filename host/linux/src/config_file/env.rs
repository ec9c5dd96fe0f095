//! Values in environment files: `NAME=value`, one on each line.
//!
//! systemd reads them, and shells do; only what both read alike is touched.

use super::{Form, Found, Quotes, Scalar, Unusable, ini::kind};

/// What a shell takes for something else than itself.
const SPECIAL: [char; 12] = ['\\', '$', '`', '"', '\'', '#', ';', '&', '|', '<', '>', '('];

pub(super) fn find(text: &str, key: &str) -> Result<Scalar, Unusable> {
    let mut found = Found::nothing(key);
    let mut start = 0;
    let mut goes_on = false;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let is_part = goes_on;
        goes_on = content.ends_with('\\');
        let trimmed = content.trim_start();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let name = trimmed.split('=').next().unwrap_or_default();
        // systemd leaves `export` out, and a shell does not.
        let bare = name.trim().strip_prefix("export ").unwrap_or(name).trim();
        if bare != key || !trimmed.contains('=') {
            continue;
        }
        if is_part || name != key {
            return Err(found.is("not set alike for systemd and for shells"));
        }
        if goes_on {
            return Err(found.is("a value of several lines"));
        }
        let rest = trimmed.get(name.len() + 1..).unwrap_or_default();
        let scalar = scalar(rest, at + content.len() - rest.len(), &found)?;
        found.add(scalar)?;
    }
    if in_quotes(text) {
        return Err(found.is("in a file with quotes over several lines"));
    }
    found.only()
}

fn scalar(rest: &str, start: usize, found: &Found<'_>) -> Result<Scalar, Unusable> {
    let written = rest.trim_end();
    let quote = written.chars().next().filter(|c| ['"', '\''].contains(c));
    let (value, form) = match quote {
        Some(quote) => {
            let inner = written.get(1..).and_then(|inner| inner.strip_suffix(quote));
            (inner, Form::Quoted(Quotes::Literal(quote)))
        }
        None => (Some(written), Form::Plain(kind(written))),
    };
    let Some(value) = value else {
        return Err(found.is("a value that systemd and shells read in different ways"));
    };
    if value.is_empty() {
        return Err(found.is("empty"));
    }
    let unquoted = quote.is_none();
    let is_read_otherwise = |c: char| {
        let special = match quote {
            Some('\'') => c == '\'',
            Some(_) => ['\\', '$', '`', '"'].contains(&c),
            None => SPECIAL.contains(&c),
        };
        special || (unquoted && c.is_whitespace())
    };
    if value.contains(is_read_otherwise) {
        return Err(found.is("a value that systemd and shells read in different ways"));
    }
    Ok(Scalar {
        span: start..start + written.len(),
        value: value.to_owned(),
        form,
    })
}

/// Whether quotes of some value end on another line than they begin on: then a line of the
/// file may be a part of a value.
fn in_quotes(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        let Some((_, value)) = line.split_once('=') else {
            return false;
        };
        if line.starts_with(['#', ';']) {
            return false;
        }
        let mut open = None;
        let mut escaped = false;
        for c in value.chars() {
            match (open, c) {
                _ if escaped => escaped = false,
                (Some('"') | None, '\\') => escaped = true,
                (Some(quote), c) if c == quote => open = None,
                (None, '"' | '\'') => open = Some(c),
                _ => {}
            }
        }
        open.is_some()
    })
}
