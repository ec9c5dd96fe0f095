//! `signal`: a declared signal to the service's main process, which has to handle it.

use std::time::Instant;

use prunella_core::{
    UnitName,
    capability::Answer,
    remedy::{Plan, Receipt, Signal, SignalName},
};

use super::LinuxRemedies;
use crate::procfs::{self, SignalAction};

/// Its number on this host.
pub(crate) fn number(signal: SignalName) -> i32 {
    match signal {
        SignalName::Hup => libc::SIGHUP,
        SignalName::Usr1 => libc::SIGUSR1,
        SignalName::Usr2 => libc::SIGUSR2,
    }
}

impl LinuxRemedies {
    pub(super) fn plan_signal(
        &self,
        deadline: Instant,
        name: &str,
        declared: Signal,
    ) -> Answer<Plan> {
        let unit = &self.service.unit;
        let status = self.tools.units.get(deadline, unit)?;
        if !status.is_up() {
            return Ok(Plan::nothing(format!("{unit} is not up")));
        }
        let signal = declared.signal;
        let Some(pid) = status.main_pid else {
            return Ok(Plan::nothing(format!("{unit} has no main process")));
        };
        Ok(match no_use(unit, pid, signal) {
            Some(because) => Plan::nothing(because),
            None => Plan::to(format!("send the signal {}", shown(name, signal))),
        })
    }

    pub(super) fn send_signal(
        &self,
        deadline: Instant,
        name: &str,
        declared: Signal,
    ) -> Answer<Receipt> {
        // It may be another process by now.
        let plan = self.plan_signal(deadline, name, declared)?;
        if !plan.eligible {
            return Ok(Receipt::nothing(plan.summary));
        }
        let signal = declared.signal;
        self.tools
            .control
            .signal_main(deadline, &self.service.unit, signal)?;
        Ok(Receipt::done(format!(
            "sent the signal {}",
            shown(name, signal)
        )))
    }
}

/// Both its names.
fn shown(name: &str, signal: SignalName) -> String {
    format!("`{name}` (SIG{})", signal.as_str())
}

/// Why a process is not sent a signal.
fn no_use(unit: &UnitName, pid: u32, signal: SignalName) -> Option<String> {
    let word = signal.as_str();
    match procfs::signal_action(pid, number(signal)) {
        Ok(SignalAction::Handled) => {}
        Ok(SignalAction::Ignored) => {
            return Some(format!("the main process of {unit} ignores SIG{word}"));
        }
        Ok(SignalAction::Ends) => {
            return Some(format!(
                "the main process of {unit} does not handle SIG{word}, and would be ended by it"
            ));
        }
        Err(error) => {
            return Some(format!(
                "how the main process of {unit} takes SIG{word} is not known: {error}"
            ));
        }
    }
    let is_stopped = procfs::stat(pid).is_ok_and(|stat| stat.stall.is_some());
    is_stopped.then(|| format!("the main process of {unit} is held up, and takes no signal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_is_ended_by_a_signal_that_it_does_not_handle() {
        let unit = UnitName::new("web.service").unwrap();
        // A test's process handles none of them.
        let told = no_use(&unit, std::process::id(), SignalName::Usr2).unwrap();
        assert_eq!(
            told,
            "the main process of web.service does not handle SIGUSR2, and would be ended by it"
        );
    }
}
