//! What the operator set under `[strategy.NAME.settings]`.
//!
//! Declare every setting in the strategy's
//! [`Description`](crate::Description): the host refuses unknown ones, and
//! fills in defaults.

use std::time::Duration;

use crate::{Failure, Result, contract::base::settings as raw, time};

/// The names that are set, or that have a default.
pub fn keys() -> Vec<String> {
    raw::keys()
}

/// A setting as text.
pub fn text(key: &str) -> Option<String> {
    raw::get(key)
}

/// A setting that is a duration, such as `5s`, `500ms` or `1m30s`; `default`
/// when it is not set.
///
/// # Errors
/// `invalid` with the code `setting` when it is set to something else.
pub fn duration(key: &str, default: Duration) -> Result<Duration> {
    read(
        key,
        default,
        "a duration such as `5s`",
        time::parse_duration,
    )
}

/// A setting that is a number; `default` when it is not set.
///
/// # Errors
/// `invalid` with the code `setting` when it is set to something else.
pub fn number(key: &str, default: u64) -> Result<u64> {
    read(key, default, "a number", |text| text.trim().parse().ok())
}

/// A setting that is `true` or `false`; `default` when it is not set.
///
/// # Errors
/// `invalid` with the code `setting` when it is set to something else.
pub fn boolean(key: &str, default: bool) -> Result<bool> {
    read(key, default, "`true` or `false`", |text| {
        text.trim().parse().ok()
    })
}

fn read<T>(
    key: &str,
    default: T,
    wanted: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T> {
    let Some(text) = text(key) else {
        return Ok(default);
    };
    parse(&text).ok_or_else(|| {
        Failure::invalid(
            "setting",
            format!("the setting `{key}` is `{text}`, and should be {wanted}"),
        )
    })
}
