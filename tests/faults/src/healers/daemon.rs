//! Prunella as daemon.

use anyhow::Result;
use prunella_machine::{Builder, Machine, TIMEOUT};

use super::{Healer, PRUNELLA, Programs, furnish_prunella};
use crate::catalogue::Fault;

pub(super) struct Daemon;

impl Healer for Daemon {
    fn name(&self) -> &'static str {
        "prunella"
    }

    fn title(&self) -> &'static str {
        "Prunella as daemon"
    }

    fn tells_people(&self) -> bool {
        true
    }

    fn is_prunella(&self) -> bool {
        true
    }

    fn furnish(&self, machine: Builder, fault: &Fault, programs: &Programs) -> Builder {
        furnish_prunella(machine, fault, &programs.prunella)
    }

    fn start(&self, machine: &Machine, _: &Fault) -> Result<()> {
        machine.run_ok(&[PRUNELLA, "config", "check"])?;
        machine.run_ok(&[PRUNELLA, "setup"])?;
        machine.wait_active("prunella.service", TIMEOUT)
    }

    fn pause(&self, machine: &Machine, unit: &str) -> Result<()> {
        machine
            .run_ok(&[
                PRUNELLA, "pause", unit, "--for", "1h", "--reason", "at work",
            ])
            .map(drop)
    }
}
