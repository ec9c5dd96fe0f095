//! What a service measures of itself, where Prometheus could fetch it.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::glob;

/// The metrics endpoint of a service, and what there is of interest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsEndpoint {
    /// `http://host:port/path`, or the same with `https`.
    pub url: String,
    /// How long its answer may take.
    pub timeout: Duration,
    /// Counters of requests: all of them together.
    pub requests: Vec<SeriesSelector>,
    /// Counters of those requests that came to nothing. Only with `requests`.
    pub errors: Vec<SeriesSelector>,
    /// The histogram, or summary, of how long requests took.
    pub latency: Option<SeriesSelector>,
    /// Of a thousand requests, so many took no longer than the latency; the mean, when
    /// absent.
    pub quantile: Option<u32>,
}

/// Which series of an endpoint: `http_requests_total`, or such as
/// `http_requests_total{code="5*"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SeriesSelector {
    /// The family's name, or the series' own.
    pub name: String,
    /// What its labels have to be: a text, or a pattern with `*` and `?`.
    pub labels: BTreeMap<String, String>,
}

impl SeriesSelector {
    /// Whether labels are as they have to be. `value` gives that of a label, where there is
    /// one of this name.
    pub fn fits<T: AsRef<str>>(&self, value: impl Fn(&str) -> Option<T>) -> bool {
        self.labels.iter().all(|(name, pattern)| {
            // As in Prometheus, a label that is not there is an empty one.
            let value = value(name);
            glob::matches(pattern, value.as_ref().map_or("", AsRef::as_ref))
        })
    }
}

impl fmt::Display for SeriesSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        for (number, (name, value)) in self.labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            write!(formatter, "{before}{name}=\"{value}\"")?;
        }
        if self.labels.is_empty() {
            return Ok(());
        }
        formatter.write_str("}")
    }
}

impl From<SeriesSelector> for String {
    fn from(selector: SeriesSelector) -> Self {
        selector.to_string()
    }
}

impl TryFrom<String> for SeriesSelector {
    type Error = BadSelector;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// It is no selector of series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    /// What stands before the labels.
    #[error("`{0}` is not the name of a metric")]
    Name(String),
    /// What stands between `{` and `}`.
    #[error("`{0}` is not `{{label=\"value\", …}}`")]
    Labels(String),
}

impl FromStr for SeriesSelector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (name, labels) = match text.find('{') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let name = name.trim_end();
        if !is_name(name) {
            return Err(BadSelector::Name(name.to_owned()));
        }
        let labels = if labels.is_empty() {
            Some(BTreeMap::new())
        } else {
            read_labels(labels)
        };
        Ok(Self {
            name: name.to_owned(),
            labels: labels.ok_or_else(|| BadSelector::Labels(text.to_owned()))?,
        })
    }
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    characters.next().is_some_and(is_first) && characters.all(|c| is_first(c) || c.is_ascii_digit())
}

/// `{a="b", c="d"}`.
fn read_labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{')?.trim_start();
    while !rest.starts_with('}') {
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim_end();
        let mut characters = behind.trim_start().strip_prefix('"')?.chars();
        let mut value = String::new();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                other => value.push(other),
            }
        }
        if !is_name(name) || labels.insert(name.to_owned(), value).is_some() {
            return None;
        }
        rest = characters.as_str().trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
    (rest == "}").then_some(labels)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http_requests_total", "http_requests_total")]
    #[case(" a:b { code = \"5*\" , } ", "a:b{code=\"5*\"}")]
    #[case(
        "x{b=\"\\\"quoted\\\" \\\\\",a=\"}\"}",
        "x{a=\"}\",b=\"\\\"quoted\\\" \\\\\"}"
    )]
    fn selectors(#[case] text: &str, #[case] shown: &str) {
        let selector: SeriesSelector = text.parse().unwrap();
        assert_eq!(selector.to_string(), shown);
        assert_eq!(shown.parse(), Ok(selector));
    }

    #[rstest]
    #[case("")]
    #[case("1x")]
    #[case("rate(x)")]
    #[case("x{")]
    #[case("x{a}")]
    #[case("x{a=b}")]
    #[case("x{a=\"b}")]
    #[case("x{a=\"b\"} 1")]
    #[case("x{a=\"b\" c=\"d\"}")]
    #[case("x{a=\"b\",a=\"c\"}")]
    #[case("x{a=~\"b\"}")]
    fn no_selectors(#[case] text: &str) {
        assert!(text.parse::<SeriesSelector>().is_err());
    }

    #[rstest]
    #[case("x{code=\"5*\"}", "503", true)]
    #[case("x{code=\"5*\"}", "200", false)]
    #[case("x{code=\"5*\",more=\"\"}", "500", true)]
    #[case("x{more=\"?*\"}", "500", false)]
    fn labels_fit(#[case] selector: &str, #[case] code: &str, #[case] fits: bool) {
        let selector: SeriesSelector = selector.parse().unwrap();
        assert_eq!(selector.fits(|name| (name == "code").then_some(code)), fits);
    }
}
