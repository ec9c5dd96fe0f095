//! Values written as text: sizes, modes, addresses.

/// `64MiB`, `512KiB`, `1GiB`, `100B`; `KB`, `MB` and `GB` are powers of 1000.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

/// Permission bits as `chmod` takes them: `0640` or `640`.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if !digits || !(3..=5).contains(&text.len()) {
        return None;
    }
    u32::from_str_radix(text, 8).ok()
}

/// A share in percent, such as `5%` or `0.5 %`, in parts of a thousand; none above 100 %.
pub(super) fn permille(text: &str) -> Option<u32> {
    let share = u32::try_from(many_permille(text)?).ok()?;
    (share <= 1_000).then_some(share)
}

/// The same, and also above 100 %: of several processors.
pub(super) fn many_permille(text: &str) -> Option<u64> {
    percent(text, 6, 1)
}

/// A share in percent, such as `99.95%`, in parts of a million; none above 100 %.
pub(super) fn parts_per_million(text: &str) -> Option<u32> {
    let share = u32::try_from(percent(text, 3, 4)?).ok()?;
    (share <= 1_000_000).then_some(share)
}

/// A share in percent, with so many digits at most before and behind the point. It counts
/// the smallest share that so many digits behind the point can write.
fn percent(text: &str, before: usize, behind: usize) -> Option<u64> {
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole, before) || !digits(rest, behind) {
        return None;
    }
    format!("{whole}{rest:0<behind$}").parse().ok()
}

/// Whether `text` is `host:port`, with a port from 1 to 65535; an IPv6 address
/// stands in brackets.
pub(super) fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').unwrap_or_default(),
            None if host.contains(':') => "",
            None => host,
        };
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b))
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Whether `text` is a host's name as DNS has it, with or without the last dot.
pub(super) fn is_domain_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
}

/// The nearest of `known` to `word`, when it is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A key longer than this was not meant to be one of ours.
    if word.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether systemd takes it for the name of a credential (credential_name_valid).
pub(crate) fn is_credential_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'/' && b != b':')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("100B", Some(100))]
    #[case("64MiB", Some(64 << 20))]
    #[case("1KB", Some(1000))]
    #[case("1GiB", Some(1 << 30))]
    #[case("64", None)]
    #[case("64mb", None)]
    #[case("18446744073709551615GiB", None)]
    fn sizes(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(size(text), bytes);
    }

    #[rstest]
    #[case("5%", Some(50))]
    #[case("0.5 %", Some(5))]
    #[case("100%", Some(1_000))]
    #[case("100.1%", None)]
    #[case("0.05%", None)]
    #[case("5", None)]
    #[case("-5%", None)]
    #[case("%", None)]
    #[case(".5%", None)]
    fn shares(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(permille(text), expected);
    }

    #[rstest]
    #[case("99.9%", Some(999_000))]
    #[case("99.9995 %", Some(999_995))]
    #[case("99%", Some(990_000))]
    #[case("100%", Some(1_000_000))]
    #[case("100.0001%", None)]
    #[case("99.99999%", None)]
    #[case("99,9%", None)]
    #[case("99.9", None)]
    fn finer_shares(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(parts_per_million(text), expected);
    }

    #[rstest]
    #[case("0640", Some(0o640))]
    #[case("640", Some(0o640))]
    #[case("04755", Some(0o4755))]
    #[case("rw-r--r--", None)]
    #[case("0o640", None)]
    #[case("0680", None)]
    #[case("64", None)]
    fn modes(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(mode(text), expected);
    }

    #[rstest]
    #[case("127.0.0.1:80", true)]
    #[case("localhost:5432", true)]
    #[case("[::1]:80", true)]
    #[case("::1:80", false)]
    #[case("localhost", false)]
    #[case("localhost:0", false)]
    #[case("localhost:99999", false)]
    #[case(":80", false)]
    #[case("a b:80", false)]
    fn addresses(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_host_and_port(text), expected);
    }

    #[rstest]
    #[case("shop.example", true)]
    #[case("_sip._tcp.shop.example.", true)]
    #[case("localhost", true)]
    #[case("", false)]
    #[case(".", false)]
    #[case("shop..example", false)]
    #[case("shop.example:53", false)]
    #[case("büro.example", false)]
    fn domain_names(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_domain_name(text), expected);
        assert!(!is_domain_name(&"a".repeat(64)));
        assert!(!is_domain_name(&"a.".repeat(127).repeat(2)));
    }

    #[rstest]
    #[case("prots", Some("ports"))]
    #[case("start_limit", Some("start-limit"))]
    #[case("on", None)]
    #[case("colour", None)]
    #[case("x", None)]
    fn meant(#[case] word: &str, #[case] expected: Option<&str>) {
        assert_eq!(
            nearest(word, ["ports", "start-limit", "depends-on"]),
            expected
        );
    }
}
