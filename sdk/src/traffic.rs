//! Taking the service out of rotation where a declared proxy sends it requests, and putting it
//! back. What was taken out is put back by the host.

use crate::{Result, contract::act::traffic as raw, remedies::Receipt};

/// Has it get no new requests, and waits for those that are open, as long as the operator
/// allows. Needs the grant `traffic.drain`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn drain(name: &str) -> Result<Receipt> {
    Ok(raw::drain(name).map(Receipt::from)?)
}

/// Has it get no requests at all, and not be checked. Needs the grant `traffic.maintain`.
///
/// # Errors
/// As of [`drain`].
pub fn maintain(name: &str) -> Result<Receipt> {
    Ok(raw::maintain(name).map(Receipt::from)?)
}

/// Puts it back, whoever took it out. Needs the grant `traffic.restore`, and a person's consent
/// unless the operator allows it without.
///
/// # Errors
/// As of [`drain`].
pub fn restore(name: &str) -> Result<Receipt> {
    Ok(raw::restore(name).map(Receipt::from)?)
}
