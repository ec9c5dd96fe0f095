//! The gentlest that can be done for a service that is up, and degraded or not answering: a
//! declared signal, then a declared call; where neither is declared, systemd's reload. After
//! each it looks whether that was enough. Before `service-restart` in the order.

use std::time::Duration;

use prunella_sdk::{FailureKind, prelude::*, remedies::Receipt, unit_control::JobResult};

/// A service that reads something again needs a moment for it.
const WAIT: Duration = Duration::from_secs(5);

/// So often it is looked whether it was enough.
const LOOK: Duration = Duration::from_millis(250);

/// What no reload changes.
const NOT_OF_THE_RUN: [&str; 2] = ["certificate-hours", "error-budget-permille"];

struct Reload;

/// Something that can be done, the mildest first.
enum Rung {
    Signal(String),
    Call(String),
    Reload,
}

impl Strategy for Reload {
    fn describe() -> Description {
        description!(
            "Sends the service what is declared as [[signal]], then makes what is declared as \
             [[call]], or has systemd reload it where neither is declared, when it is up and does \
             not answer, or is degraded and `heal-degraded` lists this."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
        .setting(
            Setting::duration(
                "wait",
                "How long after each signal, call or reload the service has to be well.",
            )
            .or("5s"),
        )
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        if !unit.is_up() {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}, and has nothing to reload",
                unit.standing()
            )));
        }
        if incident.is_restart_requested() {
            return Ok(Assessment::not_applicable("a person wants a restart"));
        }
        let ails = match incident.kind() {
            IncidentKind::Degradation => symptom(incident),
            IncidentKind::Failure => recovery::silences(incident)?.into_iter().next(),
        };
        let Some(ails) = ails else {
            return Ok(Assessment::not_applicable(format!(
                "{name} is {}, and nothing is known that a reload would mend",
                unit.standing()
            )));
        };
        let mut possible = Vec::new();
        let mut nothing = Vec::new();
        for rung in rungs(incident)? {
            let (act, remedy) = match &rung {
                Rung::Signal(signal) => ("signal.send", signal),
                Rung::Call(call) => ("call.send", call),
                Rung::Reload => {
                    possible.push("reload it".to_owned());
                    continue;
                }
            };
            let plan = remedies::plan_for(act, remedy)?;
            let list = if plan.eligible {
                &mut possible
            } else {
                &mut nothing
            };
            list.push(plan.summary);
        }
        Ok(match (possible.first(), nothing.is_empty()) {
            (Some(first), _) => {
                Assessment::applies(65, format!("{name} is up, and {ails}; first {first}"))
            }
            (None, true) => Assessment::not_applicable(format!(
                "no signal or call is declared, and systemd cannot reload {name}"
            )),
            (None, false) => Assessment::not_applicable(nothing.join(", ")),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let wait = settings::duration("wait", WAIT)?;
        let mut done = Vec::new();
        let mut nothing = Vec::new();
        for rung in rungs(incident)? {
            match rung.apply(incident) {
                Ok(receipt) if receipt.changed => done.push(receipt.summary),
                Ok(receipt) => {
                    nothing.push(receipt.summary);
                    continue;
                }
                Err(failure) if failure.kind() == FailureKind::Denied => return Err(failure),
                // The next may do better.
                Err(failure) => {
                    nothing.push(failure.message().to_owned());
                    continue;
                }
            }
            if is_well_within(incident, wait)? {
                return Ok(Outcome::healed(done.join(", then ")));
            }
        }
        let done = done.join(", then ");
        Ok(if done.is_empty() {
            Outcome::failed(nothing.join(", "))
        } else if incident.kind() == IncidentKind::Degradation {
            // What is measured tells, later.
            Outcome::healed(done)
        } else {
            let silences = recovery::silences(incident)?;
            Outcome::failed(format!("{done}, and {}", silences.join(", and ")))
        })
    }
}

impl Rung {
    fn apply(&self, incident: &Incident) -> Result<Receipt> {
        match self {
            Self::Signal(name) => signal::send(name),
            Self::Call(name) => call::send(name),
            Self::Reload => {
                let name = incident.unit();
                let result = unit_control::reload(&name)?.wait(recovery::TIMEOUT)?;
                let changed = matches!(result, JobResult::Done);
                Ok(Receipt {
                    changed,
                    summary: if changed {
                        format!("reloaded {name}")
                    } else {
                        format!("systemd could not reload {name}")
                    },
                    predicted: None,
                    measured: None,
                })
            }
        }
    }
}

/// What can be done, in its order.
fn rungs(incident: &Incident) -> Result<Vec<Rung>> {
    let signals = incident.remedies("signal").into_iter().map(Rung::Signal);
    let calls = incident.remedies("call").into_iter().map(Rung::Call);
    let declared: Vec<Rung> = signals.chain(calls).collect();
    if declared.is_empty() && units::get(&incident.unit())?.can_reload() {
        return Ok(vec![Rung::Reload]);
    }
    Ok(declared)
}

/// The worst of what is measured that a reload may mend.
fn symptom(incident: &Incident) -> Option<String> {
    let symptoms = incident.symptoms().into_iter();
    symptoms
        .filter(|symptom| !NOT_OF_THE_RUN.contains(&symptom.metric.as_str()))
        .map(|symptom| symptom.evidence)
        .next()
}

/// Whether the service is well before so long.
fn is_well_within(incident: &Incident, wait: Duration) -> Result<bool> {
    let began = clock::monotonic();
    loop {
        let is_well = match incident.kind() {
            IncidentKind::Failure => recovery::silences(incident)?.is_empty(),
            IncidentKind::Degradation => health::get(&incident.unit())?.symptoms.is_empty(),
        };
        if is_well {
            return Ok(true);
        }
        let left = wait.saturating_sub(clock::monotonic().saturating_sub(began));
        if left.is_zero() {
            return Ok(false);
        }
        clock::sleep(LOOK.min(left))?;
    }
}

prunella_sdk::export!(Reload);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_sdk::testing::*;

    use super::Reload;

    const SIGNAL: &str = "send the signal `reread` (SIGHUP)";
    const CALL: &str = "make the call `purge` (POST)";

    fn silent() -> Host {
        Host::new("web.service")
            .probe("http", ProbeKind::http("http://127.0.0.1/"))
            .mute("http")
    }

    fn signal() -> Remedy {
        Remedy::of("signal", SIGNAL).again()
    }

    fn call() -> Remedy {
        Remedy::of("call", CALL).again()
    }

    #[test]
    fn a_signal_is_enough() {
        let host = silent()
            .remedy("purge", call())
            .remedy("reread", signal().answers("http"));
        let run = host.run::<Reload>();
        assert_eq!(
            run.applied(),
            "web.service is up, and its probe `http` is not answered: connection refused; first \
             send the signal `reread` (SIGHUP)"
        );
        assert_eq!(run.healed(), SIGNAL);
        assert_eq!(run.acts(), ["signal.send reread"]);
    }

    #[test]
    fn a_call_comes_after_a_signal_that_did_not_help() {
        let host = silent()
            .remedy("purge", call().answers("http"))
            .remedy("reread", signal());
        let run = host.run::<Reload>();
        assert_eq!(run.healed(), format!("{SIGNAL}, then {CALL}"));
        assert_eq!(run.acts(), ["signal.send reread", "call.send purge"]);
    }

    #[test]
    fn what_did_not_help_says_so() {
        let host = silent()
            .remedy("purge", call().fails("`purge` answered 503"))
            .remedy("reread", signal());
        let run = host.run::<Reload>();
        assert_eq!(
            run.failed(),
            "send the signal `reread` (SIGHUP), and its probe `http` is not answered: connection \
             refused"
        );
    }

    #[test]
    fn systemd_reloads_what_declares_nothing() {
        let host = silent().with(|unit| unit.can_reload = true);
        let run = host.run::<Reload>();
        assert_eq!(run.acts(), ["reload web.service"]);
        let run = silent().assess::<Reload>();
        assert_eq!(
            run.was_not_applicable(),
            "no signal or call is declared, and systemd cannot reload web.service"
        );
    }

    #[test]
    fn a_degraded_service_is_sent_what_it_declares() {
        let host = Host::new("web.service")
            .slow(
                "http",
                Duration::from_millis(900),
                Duration::from_millis(400),
            )
            .remedy("reread", signal().answers("http"));
        let run = host.run::<Reload>();
        assert_eq!(run.healed(), SIGNAL);
    }

    #[test]
    fn what_is_down_or_well_is_left_alone() {
        let down = Host::new("web.service")
            .failed("exit-code")
            .remedy("reread", signal());
        assert_eq!(
            down.assess::<Reload>().was_not_applicable(),
            "web.service is failed (exit code 1), and has nothing to reload"
        );
        let well = Host::new("web.service").remedy("reread", signal());
        assert_eq!(
            well.assess::<Reload>().was_not_applicable(),
            "web.service is active (running), and nothing is known that a reload would mend"
        );
        let deaf = silent().remedy("reread", signal().nothing("it ignores SIGHUP"));
        assert_eq!(
            deaf.assess::<Reload>().was_not_applicable(),
            "it ignores SIGHUP"
        );
    }
}
