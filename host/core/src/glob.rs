//! Patterns with `*` and `?`.

/// Whether a pattern with `*` (any text) and `?` (any one character) fits all of
/// `text`. Takes time in proportion to both lengths at worst.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut again: Option<(usize, usize)> = None;
    while let Some(found) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p + 1, t));
                p += 1;
            }
            Some(wanted) if wanted == found || *wanted == b'?' => {
                p += 1;
                t += 1;
            }
            _ => match again {
                Some((after, from)) => {
                    p = after;
                    t = from + 1;
                    again = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("web.service", "web.service", true)]
    #[case("web.service", "web2.service", false)]
    #[case("web*", "web.service", true)]
    #[case("*.service", "web.service", true)]
    #[case("*", "", true)]
    #[case("w?b.*", "web.service", true)]
    #[case("w?b", "wb", false)]
    #[case("*a*b", "xaxbxb", true)]
    #[case("*a*b", "xaxbxc", false)]
    #[case("", "x", false)]
    #[case(
        "a*a*a*a*a*a*a*a*b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        false
    )]
    #[case("site-*", "my-site-fix", false)]
    fn fits(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, text), expected);
    }
}
