//! Makes text fit: escaped for where it goes, cut to what is allowed there, and
//! no character split.

use prunella_core::text::one_line;

/// What a service counts when it counts characters.
pub(super) type Size = fn(char) -> usize;

/// UTF-16 code units, as programs in JavaScript count: never fewer than the
/// characters.
pub(super) const UTF16: Size = char::len_utf16;

/// Bytes of UTF-8.
pub(super) const BYTES: Size = char::len_utf8;

/// Stands where text was left out.
const ELLIPSIS: char = '…';

/// `text` with each character as `escape` writes it, of at most `max`.
pub(super) fn fit_escaped(
    text: &str,
    max: usize,
    size: Size,
    escape: impl Fn(char, &mut String),
) -> String {
    let mut fitted = String::with_capacity(text.len().min(max));
    let (mut used, mut room_for_ellipsis) = (0, 0);
    let mut piece = String::new();
    for c in text.chars() {
        piece.clear();
        escape(c, &mut piece);
        used += piece.chars().map(size).sum::<usize>();
        if used > max {
            fitted.truncate(room_for_ellipsis);
            if size(ELLIPSIS) <= max {
                fitted.push(ELLIPSIS);
            }
            break;
        }
        fitted.push_str(&piece);
        if used + size(ELLIPSIS) <= max {
            room_for_ellipsis = fitted.len();
        }
    }
    fitted
}

/// `text` as it is, of at most `max`.
pub(super) fn fit(text: &str, max: usize, size: Size) -> String {
    fit_escaped(text, max, size, |c, out| out.push(c))
}

/// `text` on one line, without characters that control, reorder or hide.
pub(super) fn line(text: &str) -> String {
    one_line(text, text.len())
}

/// The same, line by line.
pub(super) fn lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(line).collect();
    lines.join("\n")
}

/// `lines` for within a fence of three backticks, which nothing in it can end.
pub(super) fn fenced(text: &str) -> String {
    lines(text).replace("```", "'''")
}

/// `text` in pieces of at most `max`, at most `pieces` of them, each of whole
/// lines as far as that is possible. What is too much is cut at the end.
pub(super) fn pieces(
    text: &str,
    max: usize,
    pieces: usize,
    size: Size,
    escape: impl Fn(char, &mut String) + Copy,
) -> Vec<String> {
    let escaped_size = |line: &str| {
        let mut escaped = String::new();
        line.chars().for_each(|c| escape(c, &mut escaped));
        escaped.chars().map(size).sum::<usize>()
    };
    let mut found: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && found.len() < pieces {
        let mut end = 0;
        let mut used = 0;
        for line in rest.split_inclusive('\n') {
            used += escaped_size(line);
            // The last newline of a piece is not part of it.
            if used > max + 1 || (used > max && !line.ends_with('\n')) {
                break;
            }
            end += line.len();
        }
        let last = found.len() + 1 == pieces;
        // One line alone is too long, or nothing may follow: cut.
        if end == 0 || last {
            let piece = if last {
                rest
            } else {
                rest.lines().next().unwrap_or_default()
            };
            found.push(fit_escaped(piece, max, size, escape));
            rest = rest
                .get(if last { rest.len() } else { piece.len() }..)
                .unwrap_or_default()
                .trim_start_matches('\n');
            continue;
        }
        let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let piece = piece.strip_suffix('\n').unwrap_or(piece);
        found.push(fit_escaped(piece, max, size, escape));
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn html(c: char, out: &mut String) {
        match c {
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }

    #[rstest]
    #[case::fits("abc", 3, "abc")]
    #[case::cut("abcd", 3, "ab…")]
    #[case::nothing("", 3, "")]
    #[case::no_room("abc", 0, "")]
    #[case::entity_fits("a&", 6, "a&amp;")]
    #[case::entity_is_not_split("ab&c", 6, "ab…")]
    #[case::wide_character_is_not_split("a🔴b", 3, "a…")]
    #[case::wide_character_fits("a🔴", 3, "a🔴")]
    fn in_utf16(#[case] text: &str, #[case] max: usize, #[case] expected: &str) {
        let fitted = fit_escaped(text, max, UTF16, html);
        assert_eq!(fitted, expected);
        assert!(fitted.encode_utf16().count() <= max);
    }

    #[rstest]
    #[case("äöü", 6, "äöü")]
    #[case("äöüß", 6, "ä…")]
    #[case("äöüß", 2, "")]
    fn in_bytes(#[case] text: &str, #[case] max: usize, #[case] expected: &str) {
        assert_eq!(fit(text, max, BYTES), expected);
        assert!(fit(text, max, BYTES).len() <= max);
    }

    #[rstest]
    #[case::one("a\nb", 10, 3, &["a\nb"])]
    #[case::whole_lines("aaa\nbbb\nccc", 7, 3, &["aaa\nbbb", "ccc"])]
    #[case::a_long_line("aaaaaaaaaa\nb", 5, 3, &["aaaa…", "b"])]
    #[case::too_many("aaa\nbbb\nccc", 3, 2, &["aaa", "bb…"])]
    #[case::exactly("aaa\nbbb", 3, 2, &["aaa", "bbb"])]
    #[case::empty("", 3, 2, &[])]
    fn in_pieces(
        #[case] text: &str,
        #[case] max: usize,
        #[case] most: usize,
        #[case] expected: &[&str],
    ) {
        assert_eq!(pieces(text, max, most, UTF16, html), expected);
    }

    #[test]
    fn a_fence_cannot_be_ended_from_within() {
        assert_eq!(fenced("a\n```\n````b\x1b[0m"), "a\n'''\n'''`b\\u{1b}[0m");
    }
}
