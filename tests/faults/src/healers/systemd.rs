//! systemd's own `Restart=on-failure`, everything else as it is by default: after
//! 100 ms, five times in ten seconds.

use anyhow::Result;
use prunella_machine::{Builder, Machine};

use super::{Healer, Programs};
use crate::catalogue::Fault;

pub(super) struct Restart;

impl Healer for Restart {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn title(&self) -> &'static str {
        "systemd's Restart=on-failure"
    }

    fn tells_people(&self) -> bool {
        false
    }

    fn furnish(&self, machine: Builder, fault: &Fault, _: &Programs) -> Builder {
        fault.services.iter().fold(machine, |machine, service| {
            // Where the operator's own unit restarts already, so it stays.
            if service.own_restart() || service.is_socket() {
                return machine;
            }
            machine.file(
                format!("/etc/systemd/system/{}.d/restart.conf", service.unit),
                "[Service]\nRestart=on-failure\n",
                0o644,
            )
        })
    }

    fn start(&self, _: &Machine, _: &Fault) -> Result<()> {
        Ok(())
    }
}
