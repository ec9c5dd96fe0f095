//! Making untrusted text fit to show: one line, no control characters, capped,
//! without secrets.

use std::borrow::Cow;

pub use prunella_redact::{REDACTED, prepare as prepare_redaction, redact};

/// `text` on one line: control characters (and those that reorder or hide text)
/// escaped, cut after `max` characters.
pub fn one_line(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max + 8));
    for (count, c) in text.trim_end().chars().enumerate() {
        if count == max {
            shown.push('…');
            break;
        }
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() || is_deceptive(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Any text as one word of a shell.
pub fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-@:+=,%".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// `text` with control characters (and those that reorder or hide text)
/// escaped; line ends stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let hides = |c: char| c != '\n' && (c.is_control() || is_deceptive(c));
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// `text` as the beginning of a sentence: with a capital letter, unless its first
/// word is a name, such as `web.service`, `/etc/hosts` or `systemd`.
pub fn capital(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let word = first.trim_end_matches([',', ';', ':', '.']);
    if word == "systemd" || !word.chars().all(char::is_alphabetic) {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// So many of something whose plural ends in an `s`: `1 warning`, or `3 warnings`.
pub fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Characters that reorder, join or hide others: bidirectional controls, zero
/// width characters, line separators (Unicode TR 36, section 3).
pub fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text with `#` for each number. Two sentences that differ in nothing but the
/// seconds, attempts or processes they count are the same news.
pub fn without_numbers(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            key.push(c);
        } else if !key.ends_with('#') {
            key.push('#');
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            (counted(1, "thing"), counted(0, "thing")),
            ("1 thing".into(), "0 things".into())
        );
    }

    #[rstest]
    #[case("it ended", "It ended")]
    #[case("ended", "Ended")]
    #[case("ärger, wieder", "Ärger, wieder")]
    #[case(
        "web.service, which it needs, is down",
        "web.service, which it needs, is down"
    )]
    #[case("/etc/hosts is missing", "/etc/hosts is missing")]
    #[case("web-2 is down", "web-2 is down")]
    #[case("systemd keeps restarting it", "systemd keeps restarting it")]
    #[case("", "")]
    fn sentences_begin_with_a_capital_and_names_stay(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(capital(text), expected);
    }

    #[rstest]
    #[case("a\nb", "a\nb")]
    #[case("a\tb\0", "a\\tb\\u{0}")]
    #[case("\u{202e}x", "\\u{202e}x")]
    fn invisible_characters_are_shown(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(visible(text), expected);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(one_line("a\x1b[31mb\nc\td", 80), "a\\u{1b}[31mb\\nc d");
    }

    #[test]
    fn text_that_lies_about_its_order_is_escaped() {
        assert_eq!(one_line("a\u{202e}b", 80), "a\\u{202e}b");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("abc", 3), "abc");
    }
}
