//! Making untrusted text fit to show: one line, no control characters, capped.

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

/// Characters that reorder, join or hide others: bidirectional controls, zero
/// width characters, line separators (Unicode TR 36, section 3).
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
