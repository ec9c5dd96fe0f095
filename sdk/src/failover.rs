//! Having a declared standby take the place of the service. It is taken back by the host.

use crate::{Result, contract::act::failover as raw, remedies::Receipt};

/// Has the first standby of a declared group take over that is able to. Needs the grant
/// `failover.switch`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when the service could not be proven down
/// or its standby did not take over.
pub fn switch(name: &str) -> Result<Receipt> {
    Ok(raw::switch(name).map(Receipt::from)?)
}
