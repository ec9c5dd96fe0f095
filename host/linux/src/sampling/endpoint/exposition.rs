//! The lines that a metrics endpoint answers with: Prometheus' text format, and OpenMetrics.
//!
//! Both have a line for each value. What only one of them has (units, exemplars, `# EOF`) is
//! passed over; so are lines that are not understood, since what an endpoint says of other
//! things is none of our business. The parsers of others read all of an answer into a model of
//! it and refuse it whole where one line is odd (`openmetrics-parser`), or bring a second
//! library of dates (`prometheus-parse`); a few series of thousands are of interest here.

use std::borrow::Cow;

/// One value of one series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'t> {
    pub(super) name: Cow<'t, str>,
    /// Between the braces.
    labels: &'t str,
    pub(super) value: f64,
}

/// The values of a text, in its order.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter_map(sample)
}

/// Whether a text in OpenMetrics' format is whole.
pub(super) fn is_whole(text: &str) -> bool {
    text.trim_end().ends_with("# EOF")
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find([' ', '\t', '{'])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => {
            let end = end_of_labels(inside)?;
            (inside.get(..end)?, inside.get(end + 1..)?)
        }
        None => ("", rest),
    };
    let value = number(rest.split_ascii_whitespace().next()?)?;
    let mut sample = Sample {
        name: Cow::Borrowed(name),
        labels,
        value,
    };
    if name.is_empty() {
        // One with characters that no name had before Prometheus 3: {"a.b", c="d"}.
        let first = labels.trim_start().strip_prefix('"')?;
        let (name, _) = quoted(first)?;
        sample.name = name;
    }
    (!sample.name.is_empty()).then_some(sample)
}

fn number(word: &str) -> Option<f64> {
    // Rust reads all that Go writes: NaN, +Inf, 1e-05.
    word.parse().ok()
}

/// Where the `}` is that ends labels; one in a value ends nothing.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return true,
            _ => {}
        }
        false
    })
}

/// A text behind its first quote, and what comes behind its last.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text.get(end..)?.starts_with('"') {
        return Some((Cow::Borrowed(text.get(..end)?), text.get(end + 1..)?));
    }
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((Cow::Owned(value), characters.as_str())),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

impl<'t> Sample<'t> {
    /// Its labels, as far as they can be read.
    pub(super) fn labels(&self) -> impl Iterator<Item = (Cow<'t, str>, Cow<'t, str>)> + use<'t> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            loop {
                rest = rest.trim_start_matches([' ', '\t', ',']);
                let (name, behind) = match rest.strip_prefix('"') {
                    Some(first) => quoted(first)?,
                    None => {
                        let end = rest.find(['=', ' ', '\t'])?;
                        let (name, behind) = rest.split_at(end);
                        (Cow::Borrowed(name), behind)
                    }
                };
                let Some(value) = behind.trim_start().strip_prefix('=') else {
                    // The name of the series itself.
                    rest = behind;
                    continue;
                };
                let (value, behind) = quoted(value.trim_start().strip_prefix('"')?)?;
                rest = behind;
                return Some((name, value));
            }
        })
    }

    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> Option<Cow<'t, str>> {
        self.labels()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// What tells it from the others of its endpoint: all labels but `without`.
    pub(super) fn identity(&self, without: Option<&str>) -> String {
        let mut identity = self.name.to_string();
        for (name, value) in self.labels() {
            if without != Some(name.as_ref()) {
                identity.extend(["\u{0}", &name, "\u{0}", &value]);
            }
        }
        identity
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn labels(sample: &Sample<'_>) -> Vec<String> {
        sample
            .labels()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[rstest]
    #[case::bare("up 1", "up", 1.0, &[])]
    #[case::time("a_total{code=\"200\"} 1027 1395066363000", "a_total", 1_027.0, &["code=200"])]
    #[case::several("x{a=\"b\",c=\"d\",} 1e-05", "x", 1e-5, &["a=b", "c=d"])]
    #[case::spaces("  x  { a = \"b\" }\t+Inf", "x", f64::INFINITY, &["a=b"])]
    #[case::escaped(
        "x{path=\"C:\\\\DIR\\\\\",error=\"Cannot find \\\"f}\\n\\\"\"} 1",
        "x",
        1.0,
        &["path=C:\\DIR\\", "error=Cannot find \"f}\n\""]
    )]
    #[case::exemplar(
        "a_bucket{le=\"0.1\"} 8 # {trace_id=\"KOO5\"} 0.067 1520879607.789",
        "a_bucket",
        8.0,
        &["le=0.1"]
    )]
    #[case::utf8("{\"http.requests\",\"a.b\"=\"c\"} 3", "http.requests", 3.0, &["a.b=c"])]
    fn lines(
        #[case] line: &str,
        #[case] name: &str,
        #[case] value: f64,
        #[case] expected: &[&str],
    ) {
        let sample = sample(line).unwrap();
        assert_eq!((sample.name.as_ref(), sample.value), (name, value));
        assert_eq!(labels(&sample), expected);
    }

    #[rstest]
    #[case("")]
    #[case("# TYPE a counter")]
    #[case("# EOF")]
    #[case("up")]
    #[case("up x")]
    #[case("x{a=\"b\" 1")]
    #[case("x{a=\"b} 1")]
    #[case("{} 1")]
    #[case("{a=\"b\"} 1")]
    fn no_values(#[case] line: &str) {
        assert_eq!(sample(line), None);
    }

    /// Whatever a line is made of, it is read or passed over.
    #[test]
    fn no_line_is_too_odd() {
        const PARTS: [&str; 14] = [
            "a", "{", "}", "\"", "\\", "=", ",", " ", "1", "\t", "#", "\u{e9}", "le", "\\n",
        ];
        let mut seed = 1_u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut read = 0;
        for _ in 0..200_000 {
            let line: String = (0..next(16)).map(|_| PARTS[next(PARTS.len())]).collect();
            if let Some(sample) = sample(&line) {
                read += 1;
                // Each label takes something of the line.
                assert!(sample.labels().count() <= line.len(), "{line}");
                assert!(!sample.identity(None).is_empty());
            }
        }
        assert!(read > 100, "{read}");
    }
}
