//! A little memory of the strategy's own, kept from one incident of a service
//! to the next. Every call of a strategy gets a fresh instance: this is the one
//! place where it can remember something.
//!
//! Texts by key, at most 64 of them and 64 KiB altogether; each strategy has its
//! own for each service. Looked at in `assess` and `heal`, changed in `heal`
//! only. It is a convenience: a strategy should work without, for there are
//! hosts that have nowhere to keep it.
//!
//! ```no_run
//! use prunella_sdk::prelude::*;
//!
//! /// Every other time it is worth a try.
//! fn is_its_turn() -> Result<bool> {
//!     let last = state::number("tries")?.unwrap_or(0);
//!     state::set("tries", (last + 1).to_string())?;
//!     Ok(last % 2 == 0)
//! }
//! ```

use crate::{Failure, Result, contract::base::state as raw};

/// What was kept under a key, if anything.
///
/// # Errors
/// `unavailable` when the host has no place to keep it, and `invalid` with the
/// code `state-key` for what is no key (1 to 64 bytes, no control characters).
pub fn get(key: &str) -> Result<Option<String>> {
    Ok(raw::get(key)?)
}

/// What was kept under a key as a number.
///
/// # Errors
/// As [`get`], and `invalid` with the code `state-value` when it is no number.
pub fn number(key: &str) -> Result<Option<u64>> {
    let Some(text) = get(key)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Failure::invalid(
            "state-value",
            format!("what is kept as `{key}` is `{text}`, and should be a number"),
        )),
    }
}

/// Keeps a value of up to 4 KiB, instead of an earlier one. Once this has
/// returned it is kept, however the run ends.
///
/// # Errors
/// As [`get`]; `quota` with the code `state-value`, `state-keys` or
/// `state-bytes` when it is too much; `denied` outside `heal`.
pub fn set(key: &str, value: impl AsRef<str>) -> Result<()> {
    Ok(raw::set(key, value.as_ref())?)
}

/// Forgets a key; true when there was one.
///
/// # Errors
/// As [`get`]; `denied` outside `heal`.
pub fn remove(key: &str) -> Result<bool> {
    Ok(raw::remove(key)?)
}

/// The keys there are, in alphabetical order.
///
/// # Errors
/// `unavailable` when the host has no place to keep it.
pub fn keys() -> Result<Vec<String>> {
    Ok(raw::keys()?)
}
