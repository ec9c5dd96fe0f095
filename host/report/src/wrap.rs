//! Breaks text into lines of a terminal's and a mail's width.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns.
pub(crate) const WIDTH: usize = 80;

/// The least room for text, however deep it stands.
const LEAST: usize = 20;

/// `text` after `first`, its further lines after `rest`; a word too long for a
/// line is cut into pieces.
pub(crate) fn wrapped(first: &str, rest: &str, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + first.len() + 8);
    let mut line = first.to_owned();
    let mut used = first.width();
    let mut empty = true;
    let room = WIDTH.saturating_sub(rest.width()).max(LEAST);
    for word in text.split_whitespace() {
        for (number, piece) in pieces(word, room).into_iter().enumerate() {
            let gap = usize::from(!empty && number == 0);
            if !empty && (number > 0 || used + gap + piece.width() > WIDTH) {
                out.push_str(line.trim_end());
                out.push('\n');
                line = rest.to_owned();
                used = rest.width();
            } else if gap > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(piece);
            used += piece.width();
            empty = false;
        }
    }
    out.push_str(line.trim_end());
    out
}

/// A word in pieces of at most `room` columns.
fn pieces(word: &str, room: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut begin, mut used) = (0, 0);
    for (at, c) in word.char_indices() {
        let wide = c.width().unwrap_or(0);
        if used + wide > room {
            pieces.extend(word.get(begin..at));
            (begin, used) = (at, 0);
        }
        used += wide;
    }
    pieces.extend(word.get(begin..));
    pieces
}

/// Without blanks at the ends of lines, with no more than one empty line in a
/// row, and with one line end at its end.
pub(crate) fn tidied(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() && empty {
            continue;
        }
        empty = line.is_empty();
        out.push_str(line);
        out.push('\n');
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::short("- ", "  ", "a b", "- a b")]
    #[case::nothing("> ", "> ", "", ">")]
    #[case::blanks("", "", " a \n b ", "a b")]
    fn wraps(#[case] first: &str, #[case] rest: &str, #[case] text: &str, #[case] expected: &str) {
        assert_eq!(wrapped(first, rest, text), expected);
    }

    #[rstest]
    #[case::words(&"word ".repeat(60))]
    #[case::one_word(&"x".repeat(500))]
    #[case::wide(&"漢字".repeat(100))]
    fn no_line_is_too_wide(#[case] text: &str) {
        let wrapped = wrapped("  > ", "  >   ", text);
        assert!(wrapped.lines().count() > 1);
        for line in wrapped.lines() {
            assert!(line.width() <= WIDTH, "{line}");
        }
        let letters = |text: &str| text.replace([' ', '\n', '>'], "");
        assert_eq!(letters(&wrapped), letters(text));
    }

    #[test]
    fn it_is_tidy() {
        assert_eq!(tidied("\n\na  \n\n\n  \nb\n\n"), "a\n\nb\n");
    }
}
