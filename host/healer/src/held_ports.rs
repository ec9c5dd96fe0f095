//! Which failed run somebody else kept from a port.
//!
//! That a service could not bind its port is in the log of its failed run, and stays there
//! when whoever held the port is gone. Closed connections that the kernel keeps (TIME_WAIT)
//! are then no reason to wait: most services bind their port in spite of them, and one
//! start tells. Its own log is new evidence, if it fails.

use std::{sync::Arc, time::Instant};

use prunella_core::{
    UnitName,
    capability::{Answer, Call, Host, HostCalls, Operation as _, PortHolder, Reply},
};
use prunella_store::{Store, StoreError};

/// How a service's ports are held, where what a failed run said is used for one holder only.
pub(crate) struct HeldPorts {
    pub(crate) below: Host,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) unit: UnitName,
}

impl HeldPorts {
    /// The holders without closed connections that are held against a run which somebody
    /// else had kept from the port.
    fn judged(&self, deadline: Instant, mut holders: Vec<PortHolder>) -> Vec<PortHolder> {
        let blocked = holders
            .iter()
            .find(|holder| holder.blocks.is_some())
            .map(|holder| holder.free_in.is_some());
        let (Some(by_the_kernel), Some(store)) = (blocked, &self.store) else {
            return holders;
        };
        let Ok(status) = self.below.unit(deadline, &self.unit) else {
            return holders;
        };
        let Some(run) = status.invocation else {
            return holders;
        };
        if by_the_kernel {
            let of_another = store
                .run_kept_from_port(&self.unit)
                .unwrap_or_else(not_known);
            if of_another == Some(run) {
                holders.retain(|holder| holder.free_in.is_none());
            }
        } else if let Err(error) = store.set_run_kept_from_port(&self.unit, &run) {
            not_known(error);
        }
        holders
    }
}

/// The store has told of its trouble itself, once.
fn not_known(error: StoreError) -> Option<String> {
    tracing::debug!("who kept a run from its port is not known: {error}");
    None
}

impl HostCalls for HeldPorts {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::PortHolders(ask) => {
                let holders = self.below.ask(deadline, ask)?;
                ask.reply(Ok(self.judged(deadline, holders)))
            }
            call => self.below.call(deadline, call),
        }
    }
}
