//! Who holds a port.

use std::time::Duration;

use crate::{Port, Result, contract::observe::ports as raw, processes::Process};

/// Who listens on a port at whatever address, in the service's own network
/// namespace; and where nobody does, closed connections that keep the service from
/// binding it.
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

    /// What shows that it keeps the service from binding the port; absent when
    /// nothing does, as with a socket at another address or one that shares the
    /// port (SO_REUSEPORT).
    pub fn blocks(&self) -> Option<String> {
        self.0.blocks()
    }

    /// Of connections that were closed and that the kernel keeps for a while
    /// (TIME_WAIT): how long until it lets go of the port.
    pub fn free_in(&self) -> Option<Duration> {
        self.0.free_in().map(Duration::from_millis)
    }
}
