//! Starts a service that is down, and restarts one that runs but does not answer, or serves
//! worse than it should. The strategy of last resort: it knows no cause, so any other
//! strategy's veto or blocked-by holds it.

use prunella_sdk::prelude::*;
use prunella_sdk::units::{ActiveState, Unit};

/// The cause of an incident in which nothing has failed: a person wants a restart.
const RESTART_REQUESTED: &str = "restart-requested";

/// What is measured and is the same of every run: no restart is tried against it.
const NOT_OF_THE_RUN: [&str; 2] = ["certificate-hours", "error-budget-permille"];

struct ServiceRestart;

impl Strategy for ServiceRestart {
    fn describe() -> Description {
        description!(
            "Starts the service when it is down, clearing its start limit where that is allowed, \
             and restarts it when it runs but does not answer, when it is degraded and \
             `heal-degraded` lists this, or when a person asks for that."
        )
        .treats([IncidentKind::Failure, IncidentKind::Degradation])
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let unit = units::get(&incident.unit())?;
        let name = unit.name();
        let load_state = unit.load_state();
        if load_state != "loaded" {
            return Ok(Assessment::not_applicable(format!(
                "{name} cannot be started: systemd says that it is {load_state}"
            )));
        }
        if restart_is_due(incident, &unit) {
            return Ok(Assessment::applies(
                95,
                format!(
                    "{name} is {}, and a person wants it restarted",
                    unit.standing()
                ),
            ));
        }
        if incident.kind() == IncidentKind::Degradation {
            return Ok(assess_degraded(incident, &unit));
        }
        if unit.is_up() {
            let silences = recovery::silences(incident)?;
            let standing = unit.standing();
            return Ok(if silences.is_empty() {
                Assessment::not_applicable(format!("{name} is {standing}, and answers"))
            } else {
                Assessment::applies(
                    60,
                    format!("{name} is {standing}, but {}", silences.join(", and ")),
                )
            });
        }
        Ok(match unit.active_state() {
            ActiveState::Failed | ActiveState::Inactive => assess_down(incident, &unit),
            ActiveState::Activating if unit.is_auto_restarting() => {
                Assessment::not_applicable(format!(
                    "systemd is about to restart {name} by itself (Restart={})",
                    unit.restart_policy()
                ))
            }
            ActiveState::Activating => Assessment::not_applicable(format!(
                "{name} is already on its way up ({})",
                unit.sub_state()
            )),
            ActiveState::Deactivating => Assessment::applies(
                50,
                format!(
                    "{name} is on its way down ({}), and can be started then",
                    unit.sub_state()
                ),
            ),
            state => Assessment::not_applicable(format!("{name} is {}", state.as_str())),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let unit = units::get(&incident.unit())?;
        let is_degraded = incident.kind() == IncidentKind::Degradation;
        if unit.is_up()
            && !is_degraded
            && !restart_is_due(incident, &unit)
            && recovery::silences(incident)?.is_empty()
        {
            return Ok(Outcome::healed(format!(
                "{} is up again and answers; there was nothing to do",
                unit.name()
            )));
        }
        recovery::bring_up(incident)
    }
}

/// Whether a person wants the unit restarted, and it is still the run that they saw.
fn restart_is_due(incident: &Incident, unit: &Unit) -> bool {
    incident.is_restart_requested() && unit.is_up() && unit.invocation() == incident.invocation()
}

/// A run that is slow or has errors may be rid of that by another run; whether it was, what
/// is measured tells.
fn assess_degraded(incident: &Incident, unit: &Unit) -> Assessment {
    let name = unit.name();
    if !unit.is_up() {
        return Assessment::not_applicable(format!("{name} is {}", unit.standing()));
    }
    let symptoms = incident.symptoms();
    let of_the_run = |symptom: &&Symptom| !NOT_OF_THE_RUN.contains(&symptom.metric.as_str());
    match (symptoms.iter().find(of_the_run), symptoms.first()) {
        (Some(symptom), _) => Assessment::applies(
            30,
            format!("{name} is up, and {}; a restart may help", symptom.evidence),
        ),
        (None, Some(symptom)) => {
            Assessment::not_applicable(format!("{}, and no restart changes that", symptom.evidence))
        }
        (None, None) => {
            Assessment::not_applicable(format!("{name} is up, and no symptom is known"))
        }
    }
}

fn assess_down(incident: &Incident, unit: &Unit) -> Assessment {
    let name = unit.name();
    let limit_hit = recovery::start_limit_hit(incident, unit);
    if limit_hit && !incident.clears_start_limit() {
        return Assessment::veto(format!(
            "{name} has hit its start limit of {} starts in {} s, and `start-limit = \"respect\"` \
             leaves that to people",
            unit.start_limit_burst(),
            unit.start_limit_interval().as_secs()
        ));
    }
    // It may have failed once more since, and otherwise.
    let cause = match unit.last_result() {
        last if is_end(&last) && is_end(&incident.cause()) => last,
        _ => incident.cause(),
    };
    let mut facts = format!("{name} is {}", unit.standing());
    // What is not a failure says no more than how the unit stands.
    if !matches!(
        cause.as_str(),
        "" | "success" | "inactive" | RESTART_REQUESTED
    ) && cause != unit.last_result()
    {
        facts = format!("{facts} after `{cause}`");
    }
    if limit_hit {
        return Assessment::applies(50, format!("{facts}, and its start limit may be cleared"));
    }
    match cause.as_str() {
        // Nothing in the service itself speaks against its running again.
        "signal" | "core-dump" | "oom-kill" | "watchdog" => Assessment::applies(
            75,
            format!("{facts}: its run was ended by a signal, and a start should bring it back"),
        ),
        // systemd's own exit codes for a program that it could not even execute
        // (systemd.exec(5), from 200 on): the next start will most likely end
        // the same way.
        "exit-code"
            if unit
                .exit_code()
                .is_some_and(|code| (200..=245).contains(&code)) =>
        {
            Assessment::applies(
                20,
                format!("{facts}: systemd could not execute its program, and may fail to again"),
            )
        }
        _ => Assessment::applies(50, format!("{facts}; a start may bring it back")),
    }
}

/// Whether it is systemd's word for how a run ended, and not for why none began.
fn is_end(cause: &str) -> bool {
    matches!(
        cause,
        "signal" | "core-dump" | "oom-kill" | "watchdog" | "timeout" | "exit-code"
    )
}

prunella_sdk::export!(ServiceRestart);
