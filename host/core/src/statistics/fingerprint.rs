//! What failures of one kind have in common: their last telling log lines,
//! without numbers, ids, times, and the changing parts of paths.

use crate::hash::sha256;

/// So many lines make a fingerprint.
const LINES: usize = 3;

/// Of each line, at most so many characters.
const LENGTH: usize = 200;

/// What stands for everything that was left out.
const FOLDED: char = '#';

/// A line with one of these says what went wrong; others may be there by
/// chance, such as the last requests before the end.
const TELLING: [&str; 20] = [
    "error",
    "fatal",
    "fail",
    "panic",
    "exception",
    "traceback",
    "critical",
    "abort",
    "cannot",
    "can't",
    "could not",
    "unable",
    "denied",
    "refused",
    "invalid",
    "missing",
    "not found",
    "no such",
    "in use",
    "no space",
];

/// Folders in which names are made up.
const TEMPORARY: [&str; 3] = ["/tmp/", "/var/tmp/", "/run/user/"];

/// The last telling lines, folded, one on each line; the last lines of all when
/// none is telling.
pub(super) fn telling<'l>(lines: impl IntoIterator<Item = &'l str>) -> String {
    let mut folded: Vec<String> = lines
        .into_iter()
        .map(fold)
        .filter(|line| line.chars().any(char::is_alphabetic))
        .collect();
    folded.dedup();
    let telling = |line: &String| TELLING.iter().any(|word| line.contains(word));
    if folded.iter().any(telling) {
        folded.retain(telling);
        folded.dedup();
    }
    let surplus = folded.len().saturating_sub(LINES);
    folded.drain(..surplus);
    folded.join("\n")
}

/// 16 hexadecimal digits.
pub(super) fn of(text: &str) -> String {
    let mut hash = sha256(text.as_bytes());
    hash.truncate(16);
    hash
}

/// A line in small letters, without what changes from one run to the next.
fn fold(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for token in line.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&without_temporary_names(token));
    }
    let text = text.to_lowercase();
    let mut folded = String::with_capacity(text.len());
    let mut piece = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | '-') {
            piece.push(c);
            continue;
        }
        push_piece(&mut folded, &piece);
        piece.clear();
        folded.push(c);
    }
    push_piece(&mut folded, &piece);
    join_folded(&folded).chars().take(LENGTH).collect()
}

/// `/tmp/x.k2Fq/socket` as `/tmp/#/socket`.
fn without_temporary_names(token: &str) -> String {
    for folder in TEMPORARY {
        if let Some(at) = token.find(folder) {
            let begin = at + folder.len();
            let (head, rest) = token.split_at(begin);
            let end = rest
                .find(['/', ':', '"', '\'', ')', ',', ';'])
                .unwrap_or(rest.len());
            let tail = rest.get(end..).unwrap_or_default();
            return format!("{head}{FOLDED}{tail}");
        }
    }
    token.to_owned()
}

/// Words with `-` between them.
fn push_piece(folded: &mut String, piece: &str) {
    if is_uuid(piece) {
        folded.push(FOLDED);
        return;
    }
    for (place, word) in piece.split('-').enumerate() {
        if place > 0 {
            folded.push('-');
        }
        push_word(folded, word);
    }
}

fn push_word(folded: &mut String, word: &str) {
    if is_id(word) {
        folded.push(FOLDED);
        return;
    }
    let mut in_number = false;
    for c in word.chars() {
        if !c.is_numeric() {
            folded.push(c);
        } else if !in_number {
            folded.push(FOLDED);
        }
        in_number = c.is_numeric();
    }
}

fn is_uuid(piece: &str) -> bool {
    piece
        .split('-')
        .map(|part| {
            part.chars()
                .all(|c| c.is_ascii_hexdigit())
                .then_some(part.len())
        })
        .eq([8, 4, 4, 4, 12].map(Some))
}

/// Whether a word is a number in hexadecimal, a hash, or drawn by chance.
fn is_id(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit());
    let length = word.chars().count();
    word.strip_prefix("0x")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit()))
        || hexadecimal && (length >= 16 || digits > 0 && length >= 6)
        || digits >= 3 && length >= 12
}

/// What was folded on both sides of a separator was one thing: a time, an
/// address, a UUID.
fn join_folded(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        joined.push(c);
        if c == FOLDED {
            loop {
                let separators = rest.trim_start_matches(['-', ':', '.', ',', '+', '/', 't', 'z']);
                let between = rest.len() - separators.len();
                if between > 0 && between <= 2 && separators.starts_with(FOLDED) {
                    rest = separators.get(1..).unwrap_or_default();
                } else {
                    break;
                }
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("worker 12 exited with 1", "worker # exited with #")]
    #[case("2026-11-21 14:23:01.123 Starting", "# # starting")]
    #[case("2026-11-21T14:23:01Z Starting", "#z starting")]
    #[case("bind 127.0.0.1:8080 failed", "bind # failed")]
    #[case("segfault at 0x7ffd00aa ip 00007f3a9c", "segfault at # ip #")]
    #[case("request 123e4567-e89b-12d3-a456-426614174000 lost", "request # lost")]
    #[case("commit deadbeef01 is bad", "commit # is bad")]
    #[case("deadbeef is a word", "deadbeef is a word")]
    #[case(
        "open /tmp/tmp.kXhZpQ/app.sock: denied",
        "open /tmp/#/app.sock: denied"
    )]
    #[case(
        "open /srv/shop/releases/20261121/app.py",
        "open /srv/shop/releases/#/app.py"
    )]
    #[case("session k3jh5g2k4j5h6 is gone", "session # is gone")]
    #[case("worker-3  is \t gone", "worker-# is gone")]
    #[case("ｗｉｄｅ １２ größe", "ｗｉｄｅ # größe")]
    fn folds(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(fold(line), expected);
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(fold(&"ä ".repeat(1_000)).chars().count(), LENGTH);
    }

    #[test]
    fn the_last_telling_lines_count() {
        let lines = [
            "error: one",
            "GET /a",
            "error: two",
            "error: two",
            "GET /b",
            "fatal: three",
            "error: four",
            "GET /c",
        ];
        assert_eq!(telling(lines), "error: two\nfatal: three\nerror: four");
        assert_eq!(telling(["one", "two", "123", ""]), "one\ntwo");
        assert_eq!(telling([]), "");
    }

    #[test]
    fn a_fingerprint_is_the_same_for_ever() {
        // It is in stores; another one would forget what was learned.
        assert_eq!(of(""), "e3b0c44298fc1c14");
        assert_eq!(of("error: bind # in use").len(), 16);
    }
}
