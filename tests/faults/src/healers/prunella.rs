//! Prunella: as a daemon, and without one.

use anyhow::Result;
use prunella_machine::{Builder, Machine, TIMEOUT};

use super::{Healer, PRUNELLA, Programs, furnish_prunella};
use crate::catalogue::Fault;

/// How it runs.
#[derive(Clone, Copy)]
pub(super) enum Prunella {
    Daemon,
    /// An `OnFailure=` hook for each service, and the timer that sweeps.
    Hook,
}

impl Healer for Prunella {
    fn name(&self) -> &'static str {
        match self {
            Self::Daemon => "prunella",
            Self::Hook => "prunella-hook",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Daemon => "Prunella as daemon",
            Self::Hook => "Prunella as OnFailure= hook",
        }
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
        match self {
            Self::Daemon => {
                machine.run_ok(&[PRUNELLA, "setup", "--without-hooks"])?;
                machine.wait_active("prunella.service", TIMEOUT)
            }
            Self::Hook => {
                machine.run_ok(&[PRUNELLA, "setup", "--hook-only"])?;
                let mut enable = vec![PRUNELLA, "enable"];
                enable.extend(fault.services.iter().map(|service| service.unit.as_str()));
                machine.run_ok(&enable)?;
                // Which it begins by itself, to learn what the probes say of what is well.
                machine.wait_for("the sweep after enabling", TIMEOUT, || {
                    let state = machine.property("prunella-sweep.service", "ActiveState")?;
                    let ran =
                        machine.property("prunella-sweep.service", "ExecMainExitTimestamp")?;
                    Ok((state == "inactive" && !ran.is_empty()).then_some(()))
                })
            }
        }
    }

    fn pause(&self, machine: &Machine, unit: &str) -> Result<()> {
        machine
            .run_ok(&[
                PRUNELLA, "pause", unit, "--for", "1h", "--reason", "at work",
            ])
            .map(drop)
    }
}
