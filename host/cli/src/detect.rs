//! Makes a detection from a unit's status and what systemd told a hook, and finds
//! the units that are failed already.

use std::time::{Duration, Instant};

use prunella_api::Monitor;
use prunella_core::{
    Failure,
    capability::{ActiveState, UnitStatus, Units as _},
    incident::{DetectedBy, Detection},
    situation::Situation as _,
};

use crate::assembly::Assembly;

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
    let cause = match told.and_then(|told| told.service_result.clone()) {
        Some(result) => result,
        None if status.is_up() && by != DetectedBy::Operator => "not-answering".to_owned(),
        // systemd fires OnFailure= for a unit whose Requires= failed, and
        // leaves the unit itself inactive, with success, and without a run.
        None if status.active_state == ActiveState::Inactive
            && status.result == "success"
            && by == DetectedBy::Hook =>
        {
            "dependency".to_owned()
        }
        // Asked about a service that is merely down.
        None if status.result == "success" => status.active_state.word().to_owned(),
        None => status.result.clone(),
    };
    Detection {
        unit: status.name.clone(),
        by,
        at: crate::time::now(),
        cause,
        invocation: told
            .and_then(|told| told.invocation_id.clone())
            .or_else(|| status.invocation.clone()),
        exit_code: told
            .and_then(Monitor::exited_with)
            .or(status.exit_code.filter(|_| is_that_run)),
        signal: told
            .and_then(Monitor::killed_by)
            .map(str::to_owned)
            .or_else(|| status.signal.clone().filter(|_| is_that_run)),
        failed_monotonic: status
            .inactive_enter_monotonic
            .filter(|_| is_that_run && !status.is_up()),
    }
}

/// A detection for every unit in care that is failed; trouble with a single one
/// is logged.
///
/// # Errors
/// When the failed units cannot be listed.
pub(crate) fn failed_in_care(assembly: &Assembly) -> Result<Vec<Detection>, Failure> {
    let deadline = || Instant::now() + Duration::from_secs(30);
    let failed = assembly.linux.failed_units(deadline())?;
    let config = assembly.healer.config();
    let in_care = failed
        .iter()
        .filter(|unit| config.services.contains_key(*unit));
    let looked = in_care.filter_map(|unit| {
        assembly
            .linux
            .units()
            .get(deadline(), unit)
            .inspect_err(|failure| tracing::error!("cannot look at {unit}: {failure}"))
            .ok()
    });
    // A hook, or systemd itself, may have been quicker.
    Ok(looked
        .filter(|status| status.active_state == ActiveState::Failed)
        .map(|status| detection(&status, DetectedBy::Sweep, None))
        .collect())
}
