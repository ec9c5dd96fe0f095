//! Breaks text into lines of a terminal's and a mail's width.

use unicode_width::UnicodeWidthStr as _;

/// Columns.
pub(crate) const WIDTH: usize = 80;

/// The least room for text, however deep it stands.
const LEAST: usize = 20;

/// `text` after `first`, its further lines after `rest`; a word too long for a
/// line is cut into pieces.
pub(crate) fn wrapped(first: &str, rest: &str, text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return first.trim_end().to_owned();
    }
    let options = textwrap::Options::new(WIDTH.max(rest.width() + LEAST))
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::fill(&text, options)
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
