//! How any text gets into a page.
//!
//! [`Hostile`] is the escaper of every template (`askama.toml`), so no page can show a text
//! otherwise: markup escaped, characters visible that would hide or reorder others, and each
//! piece cut to [`LONGEST`]. Who wrote a text is therefore no question anywhere else.

use std::fmt::{self, Write};

use askama::filters::Escaper;
use prunella_core::text::is_deceptive;

/// Characters of one text that are shown; what is longer ends in `…`. The longest sentence
/// that Prunella itself makes is a third of that.
pub const LONGEST: usize = 1_000;

/// Escapes for HTML, in text and in quoted attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hostile;

impl Escaper for Hostile {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        for (count, c) in string.chars().enumerate() {
            if count == LONGEST {
                return dest.write_char('…');
            }
            write(&mut dest, c)?;
        }
        Ok(())
    }

    fn write_escaped_char<W: Write>(&self, mut dest: W, c: char) -> fmt::Result {
        write(&mut dest, c)
    }
}

fn write(dest: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '&' => dest.write_str("&#38;"),
        '<' => dest.write_str("&#60;"),
        '>' => dest.write_str("&#62;"),
        '"' => dest.write_str("&#34;"),
        '\'' => dest.write_str("&#39;"),
        '\n' => dest.write_char('\n'),
        '\t' => dest.write_char(' '),
        c if c.is_control() || is_deceptive(c) => write!(dest, "{}", c.escape_default()),
        c => dest.write_char(c),
    }
}

/// The lines of a longer text, such as a difference between files; each is capped where it
/// is shown, and there are no more than 200.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take(200)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        Hostile.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[rstest]
    #[case::plain("Grüße, web.service", "Grüße, web.service")]
    #[case::markup("<b a='\"'>&", "&#60;b a=&#39;&#34;&#39;&#62;&#38;")]
    #[case::terminal("a\x1b[31mb", "a\\u{1b}[31mb")]
    #[case::order("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c")]
    #[case::hidden("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}")]
    #[case::nul("a\0b\tc", "a\\u{0}b c")]
    fn whatever_it_is_it_is_text(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = "é".repeat(1 << 20);
        let shown = shown(&text);
        assert_eq!(shown.chars().count(), LONGEST + 1);
        assert!(shown.ends_with('…'));
        assert_eq!(lines(&"x\n".repeat(1 << 20)).count(), 200);
    }
}
