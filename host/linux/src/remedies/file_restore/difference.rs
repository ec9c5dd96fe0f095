//! What of a file has changed, for people: short, and without what looks like a secret.

use prunella_core::text::{one_line, redact};

/// So many lines are told …
const LINES: usize = 12;
/// … of so many characters.
const LENGTH: usize = 100;

/// The lines that went (`- …`) and those that came back (`+ …`); none where there is no text
/// to compare.
pub(in crate::remedies) fn difference(former: &[u8], now: &[u8]) -> Option<String> {
    let (former, now) = (str::from_utf8(former).ok()?, str::from_utf8(now).ok()?);
    let (former, now): (Vec<&str>, Vec<&str>) = (former.lines().collect(), now.lines().collect());
    let first = former.iter().zip(&now).take_while(|(a, b)| a == b).count();
    let rest = |lines: &[&str]| lines.len() - first;
    let at_most = rest(&former).min(rest(&now));
    let last = former
        .iter()
        .rev()
        .zip(now.iter().rev())
        .take(at_most)
        .take_while(|(a, b)| a == b)
        .count();
    let changed = |lines: &[&str], sign: &str| -> Vec<String> {
        let lines = lines.iter().skip(first).take(rest(lines) - last);
        lines
            .map(|line| format!("{sign} {}", one_line(&redact(line), LENGTH)))
            .collect()
    };
    let mut told = changed(&former, "-");
    told.extend(changed(&now, "+"));
    let more = told.len().saturating_sub(LINES);
    told.truncate(LINES);
    if more > 0 {
        told.push(format!("… and {more} more lines"));
    }
    (!told.is_empty()).then(|| told.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let told = difference(b"a\nb\nx\nd\n", b"a\nb\nc\nd\n").unwrap();
        assert_eq!(told, "- x\n+ c");
        assert_eq!(difference(b"", b"a\n").unwrap(), "+ a");
        assert_eq!(difference(b"a\n", b"a\n"), None);
        assert_eq!(difference(b"\xff", b"a\n"), None);
    }

    #[test]
    fn a_secret_is_not_told() {
        let told = difference(b"", b"password=hunter2\n").unwrap();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn much_is_cut() {
        let now = "line\n".repeat(100);
        let told = difference(b"", now.as_bytes()).unwrap();
        assert_eq!(told.lines().count(), LINES + 1);
        assert!(told.ends_with("… and 88 more lines"), "{told}");
    }
}
