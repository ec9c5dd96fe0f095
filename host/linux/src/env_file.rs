//! Environment files, as systemd reads them.
//!
//! This follows the state machine of systemd's `src/basic/env-file.c`, so that
//! what counts as set here is what the service gets: comments by `#` or `;`,
//! quotes anywhere in a value, a backslash that joins lines, later lines over
//! earlier ones. Assignments that systemd leaves out (no name, or one it does not
//! allow, as `export A`) are left out, and a file that is not UTF-8 or holds a
//! zero byte is refused as a whole.
//!
//! Values stay here: all that leaves is a name, and whether its value is empty.

use std::collections::BTreeMap;

use prunella_core::capability::EnvKey;

/// Why a file is no environment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not UTF-8 text, so systemd refuses it as a whole")]
pub struct NotText;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeKey,
    Key,
    BeforeValue,
    Value,
    ValueEscape,
    SingleQuoted,
    DoubleQuoted,
    DoubleQuotedEscape,
    Comment,
    CommentEscape,
}

/// The names that `content` sets, sorted, each once.
///
/// # Errors
/// [`NotText`].
pub fn keys(content: &[u8]) -> Result<Vec<EnvKey>, NotText> {
    let text = std::str::from_utf8(content).map_err(|_| NotText)?;
    if text.contains('\0') {
        return Err(NotText);
    }
    let mut parser = Parser::default();
    let mut state = State::BeforeKey;
    for c in text.chars() {
        state = parser.step(state, c);
    }
    // The last line need not end.
    if !matches!(
        state,
        State::BeforeKey | State::Key | State::Comment | State::CommentEscape
    ) {
        parser.assign(state == State::Value);
    }
    Ok(parser
        .found
        .into_iter()
        .map(|(name, empty)| EnvKey { name, empty })
        .collect())
}

#[derive(Default)]
struct Parser {
    key: String,
    value: String,
    /// So much of an unquoted value stays: space behind it does not.
    solid: usize,
    found: BTreeMap<String, bool>,
}

impl Parser {
    fn step(&mut self, state: State, c: char) -> State {
        match state {
            State::BeforeKey => match c {
                '#' | ';' => State::Comment,
                c if is_space(c) => State::BeforeKey,
                c => {
                    self.key.push(c);
                    State::Key
                }
            },
            State::Key => match c {
                // A line without `=` sets nothing.
                '\n' | '\r' => {
                    self.key.clear();
                    State::BeforeKey
                }
                '=' => State::BeforeValue,
                c => {
                    self.key.push(c);
                    State::Key
                }
            },
            State::BeforeValue => match c {
                '\n' | '\r' => self.assign(false),
                '\'' => State::SingleQuoted,
                '"' => State::DoubleQuoted,
                '\\' => {
                    self.solid = self.value.len();
                    State::ValueEscape
                }
                c if is_space(c) => State::BeforeValue,
                c => {
                    self.value.push(c);
                    self.solid = self.value.len();
                    State::Value
                }
            },
            State::Value => match c {
                '\n' | '\r' => self.assign(true),
                '\\' => {
                    self.solid = self.value.len();
                    State::ValueEscape
                }
                c => {
                    self.value.push(c);
                    if !is_space(c) {
                        self.solid = self.value.len();
                    }
                    State::Value
                }
            },
            State::ValueEscape => {
                // An escaped end of line joins two lines.
                if !matches!(c, '\n' | '\r') {
                    self.value.push(c);
                    self.solid = self.value.len();
                }
                State::Value
            }
            State::SingleQuoted => match c {
                '\'' => State::BeforeValue,
                c => {
                    self.value.push(c);
                    State::SingleQuoted
                }
            },
            State::DoubleQuoted => match c {
                '"' => State::BeforeValue,
                '\\' => State::DoubleQuotedEscape,
                c => {
                    self.value.push(c);
                    State::DoubleQuoted
                }
            },
            State::DoubleQuotedEscape => {
                match c {
                    '"' | '\\' | '`' | '$' => self.value.push(c),
                    '\n' => {}
                    c => self.value.extend(['\\', c]),
                }
                State::DoubleQuoted
            }
            State::Comment => match c {
                '\\' => State::CommentEscape,
                '\n' | '\r' => State::BeforeKey,
                _ => State::Comment,
            },
            // Before 254 systemd took an escaped end of line as part of the
            // comment, and so lost the line behind it. Reading that line is
            // right since 254.
            State::CommentEscape => match c {
                '\n' | '\r' => State::BeforeKey,
                _ => State::Comment,
            },
        }
    }

    /// Takes what was read as one assignment. Space at the end of an unquoted
    /// value does not belong to it.
    fn assign(&mut self, unquoted: bool) -> State {
        let key = std::mem::take(&mut self.key);
        let value = std::mem::take(&mut self.value);
        let key = key.trim_end_matches(is_space);
        let kept = if unquoted { self.solid } else { value.len() };
        if is_name(key) {
            self.found.insert(key.to_owned(), kept == 0);
        }
        State::BeforeKey
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// systemd's `env_name_is_valid`.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// `A=1 B=` stands for A set, B empty. Each case was compared with what a
    /// service got from systemd 252.
    #[rstest]
    #[case::plain("A=1\nB=2\n", "A=1 B=1")]
    #[case::no_newline_at_the_end("A=1", "A=1")]
    #[case::empty("A=\nB=\"\"\nC=''\nD=   \n", "A= B= C= D=")]
    #[case::comments("# A=1\n; B=2\n  # C=3\nD=4 # no comment\n", "D=1")]
    #[case::not_a_comment("A=#1\n", "A=1")]
    #[case::no_equals("A\nB=1\n", "B=1")]
    #[case::no_name("=1\nB=1\n", "B=1")]
    #[case::space_around("  A = 1\n", "A=1")]
    #[case::export("export A=1\nB=1\n", "B=1")]
    #[case::bad_names("1A=1\nA-B=1\nA.B=1\nC=1\n", "C=1")]
    #[case::carriage_returns("A=1\r\nB=\r\n", "A=1 B=")]
    #[case::single_quotes("A='1\n2'\nB=1\n", "A=1 B=1")]
    #[case::double_quotes("A=\"x=1\nC=2\"\nB=1\n", "A=1 B=1")]
    #[case::quoted_space("A=\" \"\n", "A=1")]
    #[case::joined_lines("A=1\\\nB=2\nC=3\n", "A=1 C=1")]
    #[case::escaped_in_quotes("A=\"\\\"\nB=1\"\nC=1\n", "A=1 C=1")]
    #[case::later_wins("A=1\nA=\n", "A=")]
    #[case::open_quote("A=\"1\nB=2\n", "A=1")]
    #[case::control_characters("A=\x01\nB=\x7f\n", "A=1 B=1")]
    #[case::escaped_space("A=\\ \nB=\\\n\nC= \\\n \n", "A=1 B= C=")]
    #[case::space_before_a_joined_line("A=1 \\\n\nB=1\n", "A=1 B=1")]
    #[case::byte_order_mark("\u{feff}A=1\nB=1\n", "B=1")]
    #[case::parts("A='a'b\"c\"\nB='' ''\n", "A=1 B=")]
    #[case::twice_equals("A==\n", "A=1")]
    #[case::only_a_backslash("A=\\", "A=")]
    #[case::nothing("", "")]
    fn as_systemd_reads_them(#[case] content: &str, #[case] expected: &str) {
        let found: Vec<String> = keys(content.as_bytes())
            .unwrap()
            .into_iter()
            .map(|key| format!("{}={}", key.name, if key.empty { "" } else { "1" }))
            .collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn a_comment_ends_with_its_line() {
        // systemd 252 loses B here; 254 and later do not.
        let names: Vec<String> = keys(b"# comment \\\nB=1\n")
            .unwrap()
            .into_iter()
            .map(|key| key.name)
            .collect();
        assert_eq!(names, ["B"]);
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(keys(b"A=\xff\n"), Err(NotText));
        assert_eq!(keys(b"A=1\0B=2\n"), Err(NotText));
    }
}
