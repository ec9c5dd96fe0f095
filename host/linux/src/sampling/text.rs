//! What the kernel's files say.

/// The number behind a name, in a file with a name and a number on each line.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let behind = line.strip_prefix(name)?;
        let number = behind.trim_start_matches(':').strip_prefix([' ', '\t'])?;
        number.split_ascii_whitespace().next()?.parse().ok()
    })
}

/// A limit of a control group; none for `max`.
pub(super) fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `cpu.max`: the quota in parts of a thousand of one processor; none for `max`.
pub(super) fn quota(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let quota: u64 = words.next()?.parse().ok()?;
    let period: u64 = words.next()?.parse().ok()?;
    super::permille(quota, period)
}

/// `*.pressure`: for how long something has waited so far, in microseconds.
pub(super) fn waited(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("total="))?;
    total.parse().ok()
}

/// `/proc/PID/statm`: the pages that are in memory and no file's.
pub(super) fn anonymous_pages(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let resident: u64 = words.next()?.parse().ok()?;
    let shared: u64 = words.next()?.parse().ok()?;
    Some(resident.saturating_sub(shared))
}

/// `io.stat`: what was read and written, in bytes, of each device, by its number.
pub(super) fn devices(text: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    text.lines().filter_map(|line| {
        let (device, fields) = line.split_once(' ')?;
        let of = |name| {
            fields
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.parse::<u64>().ok())
        };
        Some((device, of("rbytes=")?, of("wbytes=")?))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As a Linux 6.1 has them.
    const CPU: &str = "usage_usec 2913847\nuser_usec 1702345\nsystem_usec 1211502\n\
        nr_periods 96\nnr_throttled 90\nthrottled_usec 6543210\nnr_bursts 0\nburst_usec 0\n";
    const PRESSURE: &str = "some avg10=12.34 avg60=3.00 avg300=0.70 total=2143321\n\
        full avg10=1.00 avg60=0.00 avg300=0.00 total=0\n";
    const IO: &str = "8:0 rbytes=1462272 wbytes=4096 rios=44 wios=1 dbytes=0 dios=0\n\
        254:0 \n253:0 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n";

    #[test]
    fn counters_of_a_group() {
        assert_eq!(field(CPU, "usage_usec"), Some(2_913_847));
        assert_eq!(field(CPU, "nr_throttled"), Some(90));
        assert_eq!(field(CPU, "usage"), None);
        assert_eq!(field("Threads:\t12\n", "Threads"), Some(12));
        assert_eq!(field("VmSwap:\t     128 kB\n", "VmSwap"), Some(128));
        assert_eq!(waited(PRESSURE), Some(2_143_321));
        assert_eq!(anonymous_pages("5123 1200 900 8 0 400 0\n"), Some(300));
        let devices: Vec<_> = devices(IO).collect();
        assert_eq!(devices, [("8:0", 1_462_272, 4_096), ("253:0", 1, 2)]);
    }

    #[rstest]
    #[case("20000 100000\n", Some(200))]
    #[case("400000 100000\n", Some(4_000))]
    #[case("max 100000\n", None)]
    #[case("1 0", None)]
    fn quotas(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(quota(text), expected);
    }

    #[rstest]
    #[case("max\n", None)]
    #[case("536870912\n", Some(536_870_912))]
    #[case("", None)]
    fn limits(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(limit(text), expected);
    }
}
