//! Makes a detection from a unit's status and what systemd told a hook, and finds
//! the units that are failed already.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use prunella_api::Monitor;
use prunella_core::{
    Failure, UnitName,
    capability::{ActiveState, UnitStatus},
    cause::Cause,
    health::{Health, Symptom},
    incident::{DetectedBy, Detection},
    service::RunPolicy,
    situation::Situation as _,
};

use crate::assembly::Assembly;

/// How long one question to the host may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long one look at a unit may take on the daemon's own thread.
const LOOK: Duration = Duration::from_secs(10);

/// What was noticed about a unit that stands as `status` says. systemd's word
/// to a hook comes before the unit's properties: those may be of a newer run
/// already.
pub(crate) fn detection(
    status: &UnitStatus,
    by: DetectedBy,
    monitor: Option<&Monitor>,
) -> Detection {
    let told = monitor.filter(|monitor| monitor.invocation_id.is_some());
    let is_that_run = told.is_none_or(|told| told.invocation_id == status.invocation);
    let cause = match told.and_then(|told| told.service_result.as_deref()) {
        Some(result) => Cause::from(result),
        None if status.is_up() && by == DetectedBy::Operator => Cause::State(status.active_state),
        // systemd fires OnFailure= for a unit whose Requires= failed, and
        // leaves the unit itself inactive, with success, and without a run.
        None if status.active_state == ActiveState::Inactive
            && status.result == "success"
            && by == DetectedBy::Hook =>
        {
            Cause::Dependency
        }
        None => Cause::of(status),
    };
    let seen = Detection::of(status, by, cause, crate::clock::now());
    Detection {
        invocation: told
            .and_then(|told| told.invocation_id.clone())
            .or(seen.invocation),
        exit_code: told
            .and_then(Monitor::exited_with)
            .or(seen.exit_code.filter(|_| is_that_run)),
        signal: told
            .and_then(Monitor::killed_by)
            .map(str::to_owned)
            .or(seen.signal.filter(|_| is_that_run)),
        failed_monotonic: seen
            .failed_monotonic
            .filter(|_| is_that_run && !status.is_up()),
        ..seen
    }
}

/// What was measured of a service that serves worse than it should; nothing when it does not
/// any more, or cannot be looked at.
pub(crate) fn degraded(assembly: &Assembly, unit: &UnitName, health: &Health) -> Option<Detection> {
    let symptoms: Vec<Symptom> = health
        .symptoms
        .iter()
        .filter(|symptom| symptom.is_degradation() && symptom.confirmed)
        .cloned()
        .collect();
    let began = symptoms.iter().map(|symptom| symptom.since).min()?;
    let status = assembly
        .linux
        .units()
        .get(Instant::now() + LOOK, unit)
        .inspect_err(|failure| tracing::error!("cannot look at {unit}: {failure}"))
        .ok()?;
    let seen = Detection::of(
        &status,
        DetectedBy::Symptom,
        Cause::Degraded,
        crate::clock::now(),
    );
    let ago = seen.at.since(began);
    Some(Detection {
        failed_monotonic: Some(assembly.linux.monotonic().saturating_sub(ago)),
        // Of a process that ended before this run.
        exit_code: None,
        signal: None,
        symptoms,
        ..seen
    })
}

/// What a person asks for who orders the healing of a unit that stands as `status` says.
pub(crate) fn ordered(status: &UnitStatus, restart: bool) -> Detection {
    let seen = detection(status, DetectedBy::Operator, None);
    // One that is down is started anyway.
    if restart && status.is_up() {
        return Detection {
            cause: Cause::RestartRequested,
            ..seen
        };
    }
    seen
}

/// A detection for every unit in care that is down and should not be: it failed,
/// or it ended by itself and is meant to run. Trouble with a single one is logged.
///
/// # Errors
/// When the failed units cannot be listed.
pub(crate) fn down_in_care(assembly: &Assembly) -> Result<Vec<Detection>, Failure> {
    let deadline = || Instant::now() + LIMIT;
    let failed = assembly.linux.failed_units(deadline())?;
    let config = assembly.healer.config();
    let meant_to_run = config
        .services
        .values()
        .filter(|service| service.run_policy == RunPolicy::Always)
        .map(|service| &service.unit);
    let in_care: BTreeSet<&UnitName> = failed
        .iter()
        .filter(|unit| config.services.contains_key(*unit))
        .chain(meant_to_run)
        .collect();
    let looked = in_care.into_iter().filter_map(|unit| {
        assembly
            .linux
            .units()
            .get(deadline(), unit)
            .inspect_err(|failure| tracing::error!("cannot look at {unit}: {failure}"))
            .ok()
    });
    // A hook, or systemd itself, may have been quicker.
    Ok(looked
        .filter_map(|status| match status.active_state {
            ActiveState::Failed => Some(detection(&status, DetectedBy::Sweep, None)),
            _ => ended(assembly, &status),
        })
        .collect())
}

/// A detection for a service that is meant to run and has ended by itself.
fn ended(assembly: &Assembly, status: &UnitStatus) -> Option<Detection> {
    if !status.should_have_gone_on() {
        return None;
    }
    let run = assembly
        .linux
        .ended_by_itself(Instant::now() + LIMIT, status)
        .inspect_err(|failure| {
            tracing::error!("how {} ended cannot be told: {failure}", status.name);
        })
        .ok()??;
    let by = DetectedBy::Sweep;
    let seen = Detection::of(status, by, Cause::Ended, crate::clock::now());
    Some(Detection {
        invocation: Some(run.invocation),
        failed_monotonic: seen.failed_monotonic.or(Some(run.ended_monotonic)),
        ..seen
    })
}
