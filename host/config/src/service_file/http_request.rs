//! What a service's file says of HTTP requests, whoever makes them: a probe, a call, or
//! whoever asks a metrics endpoint.

use std::{ops::RangeInclusive, time::Duration};

use prunella_core::duration::written;

use super::LEAST;
use crate::{
    reader::{Reader, Section},
    value,
};

/// Whether something can be asked there by HTTP.
pub(super) fn is_url(text: &str) -> bool {
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| {
        value::is_host_and_port(host) || value::is_host_and_port(&format!("{host}:80"))
    }) && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Whether a header can have this name (RFC 9110, 5.6.2).
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_token)
}

/// One status, or a list of them.
pub(super) fn statuses(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    range: RangeInclusive<u32>,
) -> Vec<u16> {
    let Some(value) = section.table.get(key) else {
        return Vec::new();
    };
    let items = match value.get_ref().as_array() {
        Some(array) => array.iter().collect(),
        None => vec![value],
    };
    items
        .into_iter()
        .filter_map(|item| reader.number_in(item, key, range.clone()))
        .filter_map(|status| u16::try_from(status).ok())
        .collect()
}

/// `timeout`: how long an answer may take, `longest` at most.
pub(super) fn timeout(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    default: Duration,
    longest: Duration,
) -> Duration {
    let timeout = reader
        .duration(section, "timeout", LEAST)
        .unwrap_or(default);
    if timeout > longest
        && let Some(value) = section.table.get("timeout")
    {
        reader.error_help(
            value.span(),
            format!("`timeout` must be at most {}", written(longest)),
            format!("for example: timeout = \"{}\"", written(default)),
        );
    }
    timeout
}
