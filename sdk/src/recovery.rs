//! Bringing a service up, as the built-in strategies do it. Good for any
//! strategy that removes a cause and then wants the service back.

use std::time::Duration;

use crate::{
    Incident, Outcome, Result, Setting, ports, probes,
    remedies::Receipt,
    settings,
    time::in_words,
    unit_control::{self, JobResult},
    units::{self, ActiveState, Unit},
};

/// How long a job may take unless told otherwise: systemd itself gives a start 90 s
/// (DefaultTimeoutStartSec=).
pub const TIMEOUT: Duration = Duration::from_secs(90);

/// The setting `timeout`, which [`bring_up`] heeds. Add it to the strategy's
/// [`Description`](crate::Description).
pub fn timeout_setting() -> Setting {
    Setting::duration(
        "timeout",
        "How long a start or restart may take before it counts as failed.",
    )
    .or("90s")
}

/// Whether systemd refused to start the unit because it had been started too
/// often.
pub fn start_limit_hit(incident: &Incident<'_>, unit: &Unit) -> bool {
    const WORD: &str = "start-limit-hit";
    unit.last_result() == WORD || (incident.cause() == WORD && unit.is_down())
}

/// What a running service fails to do, each in a clause: probes of its own that are not
/// answered, ports that nobody holds.
///
/// # Errors
/// Whatever kept the host from knowing.
pub fn silences(incident: &Incident<'_>) -> Result<Vec<String>> {
    let mut silences = Vec::new();
    for probe in incident.probes() {
        if probes::target(&probe)?.is_some() {
            continue;
        }
        let answer = match probes::ask(&probe) {
            Ok(answer) => answer,
            // It tells nothing about the service.
            Err(failure) if failure.is("never-answered") => continue,
            Err(failure) => return Err(failure),
        };
        if !answer.healthy {
            silences.push(format!(
                "its probe `{probe}` is not answered: {}",
                answer.detail
            ));
        }
    }
    for port in incident.ports() {
        if ports::holders(&port)?.is_empty() {
            silences.push(format!("nobody listens on {port}"));
        }
    }
    Ok(silences)
}

/// Starts the incident's unit when it is down, restarts it when it is up, and
/// waits for systemd's job and then for the unit. Clears a start limit that was
/// hit, where the operator allows that ([`Incident::clears_start_limit`]).
///
/// Needs the grants `unit-control.start`, `.restart` and `.reset-failed`.
///
/// # Errors
/// What the host answered to a call that it did not carry out. A start that was
/// carried out and failed is no error but [`Outcome::Failed`], or
/// [`Outcome::BlockedBy`] when a unit that it requires is down.
pub fn bring_up(incident: &Incident<'_>) -> Result<Outcome> {
    let name = incident.unit();
    let timeout = settings::duration("timeout", TIMEOUT)?;
    let unit = settled(&name, timeout)?;
    if !unit.is_down() {
        let result = unit_control::restart(&name)?.wait(timeout);
        return came(incident, &unit, "restarted", result, timeout);
    }
    let may_clear = incident.clears_start_limit();
    let limit_hit = start_limit_hit(incident, &unit);
    if limit_hit && !may_clear {
        return Ok(Outcome::failed(format!(
            "{name} has hit its start limit, which the operator wants to be left as it is"
        )));
    }
    // systemd unloads a unit whose failed state is cleared, which takes longer than the
    // start itself, and others no longer see that it failed: only where it is known that a
    // start would be refused.
    if limit_hit {
        unit_control::reset_failed(&name)?;
    }
    let mut result = unit_control::start(&name)?.wait(timeout);
    if may_clear && matches!(result, Ok(JobResult::Failed)) && was_refused(&name, &unit)? {
        unit_control::reset_failed(&name)?;
        result = unit_control::start(&name)?.wait(timeout);
    }
    came(incident, &unit, "started", result, timeout)
}

/// Applies every declared remedy of a kind, and brings the service up when that changed
/// anything: [`bring_up`].
///
/// # Errors
/// What the host answered to a call that it did not carry out.
pub fn bring_up_with(
    incident: &Incident<'_>,
    kind: &str,
    apply: impl Fn(&str) -> Result<Receipt>,
) -> Result<Outcome> {
    let (mut done, mut others) = (Vec::new(), Vec::new());
    for name in incident.remedies(kind) {
        let receipt = apply(&name)?;
        if receipt.changed {
            done.push(receipt.summary);
        } else {
            others.push(receipt.summary);
        }
    }
    if done.is_empty() {
        return Ok(Outcome::not_applicable(others.join(", ")));
    }
    Ok(bring_up(incident)?.after(&done.join(", ")))
}

/// Whether systemd has refused the start that has just failed. Each start that
/// it carries out is a run of its own, with a new invocation.
fn was_refused(name: &str, before: &Unit) -> Result<bool> {
    let now = units::get(name)?;
    Ok(now.is_down() && now.invocation().is_some() && now.invocation() == before.invocation())
}

/// What became of systemd's job.
fn came(
    incident: &Incident<'_>,
    unit: &Unit,
    done: &str,
    result: Result<JobResult>,
    timeout: Duration,
) -> Result<Outcome> {
    let name = unit.name();
    let result = match result {
        Ok(result) => result,
        Err(failure) if failure.is_timed_out() => {
            return Ok(Outcome::failed(format!(
                "{name} is not up after {}; systemd's job goes on",
                in_words(timeout)
            )));
        }
        Err(failure) => return Err(failure),
    };
    match result {
        JobResult::Done | JobResult::Skipped => wait_up(&name, done, timeout),
        JobResult::Dependency => dependency(incident, unit),
        ended => failed(&name, &ended),
    }
}

/// The unit, once it is in no transition: what is on its way down has to be
/// down before it can be started.
fn settled(name: &str, timeout: Duration) -> Result<Unit> {
    let unit = units::get(name)?;
    match unit.active_state() {
        ActiveState::Activating | ActiveState::Deactivating => units::wait_settled(name, timeout),
        _ => Ok(unit),
    }
}

fn wait_up(name: &str, done: &str, timeout: Duration) -> Result<Outcome> {
    match units::wait_up(name, timeout) {
        Ok(unit) => Ok(Outcome::healed(format!(
            "{done} {name}: {}",
            unit.standing()
        ))),
        Err(failure) if failure.kind() == crate::FailureKind::Failed || failure.is_timed_out() => {
            let standing = units::get(name)?.standing();
            Ok(Outcome::failed(format!(
                "{done} {name}, and it did not come up: {standing}"
            )))
        }
        Err(failure) => Err(failure),
    }
}

/// A required unit did not start: the one that is down is what has to be healed
/// first.
fn dependency(incident: &Incident<'_>, unit: &Unit) -> Result<Outcome> {
    let name = incident.unit();
    let required = unit.requires();
    for other in incident.needs().iter().chain(&required) {
        // What may not be asked about cannot be named as the cause.
        if let Ok(other) = units::get(other)
            && !other.is_up()
        {
            let reason = format!(
                "{name} did not start because it requires {}, which is {}",
                other.name(),
                other.standing()
            );
            return Ok(Outcome::blocked_by(other.name(), reason));
        }
    }
    Ok(Outcome::failed(format!(
        "{name} did not start because a unit that it requires did not: one of {}",
        required.join(", ")
    )))
}

fn failed(name: &str, ended: &JobResult) -> Result<Outcome> {
    let reason = match ended {
        JobResult::Failed => format!("{name} failed again: {}", units::get(name)?.standing()),
        JobResult::Timeout => format!(
            "{name} did not come up in the time that systemd gives it: {}",
            units::get(name)?.standing()
        ),
        JobResult::Canceled => {
            format!("somebody else's job cancelled the start of {name}; it is in their hands")
        }
        JobResult::Other(word) => {
            let why = match word.as_str() {
                "assert" => "one of its Assert…= lines is not met",
                "unsupported" => "this system cannot start units of its kind",
                "invalid" => "there is nothing to start in this state",
                "once" => "it may be started once only, and was",
                "collected" => "systemd has unloaded it",
                _ => "systemd gives no more than that word",
            };
            format!("systemd ended the start of {name} with `{word}`: {why}")
        }
        JobResult::Done | JobResult::Skipped | JobResult::Dependency => {
            format!("systemd's job for {name} ended without bringing it up")
        }
    };
    Ok(Outcome::failed(reason))
}
