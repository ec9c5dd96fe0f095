//! Prunella without its daemon: an `OnFailure=` hook for each service, and the
//! timer that sweeps.

use anyhow::Result;
use prunella_machine::{Builder, Machine};

use super::{Healer, PRUNELLA, Programs, furnish_prunella};
use crate::catalogue::Fault;

pub(super) struct Hook;

impl Healer for Hook {
    fn name(&self) -> &'static str {
        "prunella-hook"
    }

    fn title(&self) -> &'static str {
        "Prunella as OnFailure= hook"
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

    fn start(&self, machine: &Machine, fault: &Fault) -> Result<()> {
        machine.run_ok(&[PRUNELLA, "config", "check"])?;
        machine.run_ok(&[PRUNELLA, "setup", "--hook-only"])?;
        let mut enable = vec![PRUNELLA, "enable"];
        enable.extend(fault.services.iter().map(|service| service.unit.as_str()));
        machine.run_ok(&enable).map(drop)
    }

    fn pause(&self, machine: &Machine, unit: &str) -> Result<()> {
        machine
            .run_ok(&[
                PRUNELLA, "pause", unit, "--for", "1h", "--reason", "at work",
            ])
            .map(drop)
    }
}
