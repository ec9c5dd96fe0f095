//! Keeping a service down for a while that fails again and again.

use crate::{
    Result,
    contract::act::circuit as raw,
    remedies::{self, Receipt},
};

/// Opens a declared circuit: the service is isolated, and tried after a while. Needs the grant
/// `circuit.open`. The host opens it again, for longer, when the try fails.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn open(name: &str) -> Result<Receipt> {
    Ok(raw::open(name).map(Receipt::from)?)
}

/// Starts the service at its open circuit, when the time for that has come. Needs the grant
/// `circuit.half-open`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be started.
pub fn half_open(name: &str) -> Result<Receipt> {
    Ok(raw::half_open(name).map(Receipt::from)?)
}

/// Whether the circuit is open and the service is to be tried now: [`half_open`] does that.
///
/// # Errors
/// Why it cannot be told.
pub fn is_tried_now(name: &str) -> Result<bool> {
    Ok(remedies::plan_for("circuit.half-open", name)?.eligible)
}
