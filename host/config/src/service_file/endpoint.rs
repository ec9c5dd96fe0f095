//! Reads `[metrics.prometheus]`: where a service tells what it measures of itself.
//!
//! ```toml
//! [metrics.prometheus]
//! url = "http://127.0.0.1:8080/metrics"
//! requests = "http_requests_total"
//! errors = 'http_requests_total{code="5*"}'
//! latency = "http_request_duration_seconds"
//! quantile = "95%"
//! ```

use std::time::Duration;

use prunella_core::{
    service::{MetricsEndpoint, SeriesSelector},
    text::one_line,
};

use super::http_request::{is_url, timeout};
use crate::{
    reader::{Reader, Section, Text},
    value,
};

/// How long an answer may take, unless it is said.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Somebody waits for each answer.
const LONGEST: Duration = Duration::from_secs(60);

const EXAMPLE: &str = "http_requests_total{code=\"5*\"}";

pub(super) fn read(reader: &mut Reader<'_>, top: Section<'_>) -> Option<MetricsEndpoint> {
    let metrics = reader.section(top, "metrics", "[metrics.prometheus]")?;
    reader.only(metrics, &["prometheus"]);
    let section = reader.section(metrics, "prometheus", "[metrics.prometheus]")?;
    reader.only(
        section,
        &[
            "url", "timeout", "requests", "errors", "latency", "quantile",
        ],
    );
    let at = top
        .table
        .get_key_value("metrics")
        .map_or(0..0, |(key, _)| key.span());
    let url = url(reader, section);
    let requests = selectors(reader, section, "requests");
    let errors = selectors(reader, section, "errors");
    let latency = reader
        .text(section, "latency", "http_request_duration_seconds")
        .and_then(|text| selector(reader, "latency", text));
    let quantile = quantile(reader, section);
    let has = |key| section.table.contains_key(key);
    if !has("url") {
        reader.error_help(
            at.clone(),
            "[metrics.prometheus] has no `url`",
            "add one, such as `url = \"http://127.0.0.1:8080/metrics\"`",
        );
    }
    if !has("requests") && !has("latency") {
        reader.error_help(
            at,
            "[metrics.prometheus] says nothing of what is to be read there",
            "add `requests`, `latency` or both, such as `requests = \"http_requests_total\"`",
        );
    }
    for (key, needed) in [("errors", "requests"), ("quantile", "latency")] {
        if let Some((found, _)) = section.table.get_key_value(key)
            && !has(needed)
        {
            reader.error_help(
                found.span(),
                format!("`{key}` has no meaning without `{needed}`"),
                format!("add `{needed}`, or leave `{key}` out"),
            );
        }
    }
    let timeout = timeout(reader, section, TIMEOUT, LONGEST);
    Some(MetricsEndpoint {
        url: url?,
        timeout,
        requests,
        errors,
        latency,
        quantile,
    })
}

fn url(reader: &mut Reader<'_>, section: Section<'_>) -> Option<String> {
    let (text, span) = reader.text(section, "url", "http://127.0.0.1:8080/metrics")?;
    if is_url(text) {
        return Some(text.to_owned());
    }
    let shown = one_line(text, 80);
    reader.error_help(
        span,
        format!("`{shown}` is not a URL that can be asked"),
        "write http://host:port/path, or the same with https",
    );
    None
}

/// One selector, or a list of them.
fn selectors(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Vec<SeriesSelector> {
    let is_list = section
        .table
        .get(key)
        .is_some_and(|value| value.get_ref().as_array().is_some());
    let texts: Vec<Text<'_>> = if is_list {
        reader.texts(section, key, "\"http_requests_total\"")
    } else {
        reader
            .text(section, key, "http_requests_total")
            .into_iter()
            .collect()
    };
    texts
        .into_iter()
        .filter_map(|text| selector(reader, key, text))
        .collect()
}

fn selector(reader: &mut Reader<'_>, key: &str, (text, span): Text<'_>) -> Option<SeriesSelector> {
    match text.parse() {
        Ok(selector) => Some(selector),
        Err(error) => {
            reader.error_help(
                span,
                one_line(&error.to_string(), 120),
                format!(
                    "write a name, and patterns of labels where they matter: {key} = '{EXAMPLE}'"
                ),
            );
            None
        }
    }
}

fn quantile(reader: &mut Reader<'_>, section: Section<'_>) -> Option<u32> {
    let (text, span) = reader.text(section, "quantile", "95%")?;
    let share = value::permille(text).filter(|share| *share > 0);
    if share.is_none() {
        reader.error_help(
            span,
            format!("`{}` is not a share of requests", one_line(text, 40)),
            "write more than 0%, up to 100%, with at most one digit behind the point: \
             quantile = \"99.9%\"",
        );
    }
    share
}
