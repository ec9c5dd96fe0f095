//! Who holds a port.

use crate::{Port, Result, contract::observe::ports as raw, processes::Process};

/// Who listens on a port, in the service's own network namespace.
///
/// # Errors
/// Whatever kept the host from knowing.
pub fn holders(port: &Port) -> Result<Vec<Holder>> {
    let holders = raw::holders(&port.protocol, port.number)?;
    Ok(holders.into_iter().map(Holder).collect())
}

/// One holder of one port.
pub struct Holder(raw::Holder);

impl Holder {
    /// The process, when one can be named.
    pub fn process(&self) -> Option<Process> {
        self.0.process().map(Process)
    }

    /// The unit it belongs to.
    pub fn unit(&self) -> Option<String> {
        self.0.unit()
    }

    /// Held by systemd for a socket unit: no conflict for the service that the
    /// socket starts.
    pub fn socket_activated(&self) -> bool {
        self.0.socket_activated()
    }

    /// The address, such as `0.0.0.0` or `::`.
    pub fn address(&self) -> String {
        self.0.address()
    }
}
