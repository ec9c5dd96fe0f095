//! Healing one service now, in this process, for real or as a dry run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_api::HealCall;
use prunella_core::incident::{Ending, IncidentId};
use prunella_healer::{Observer, OpenOutcome, Scheduler};
use prunella_recording::Recorder;

use crate::{
    DaemonError, Paths,
    assembly::{Assembly, Begun},
    configuration::load_usable,
    detection::ordered,
    error::may_heal,
    loading::Wanted,
};

/// Heals, or makes a dry run of it. Every step goes to `observer`, and what strategies ask
/// and are answered to `recorder`.
pub fn here(
    paths: &Paths,
    call: &HealCall,
    recorder: Option<&Arc<Recorder>>,
    observer: Arc<dyn Observer>,
) -> Result<(IncidentId, Ending), DaemonError> {
    let config = load_usable(paths).config;
    let begun = Begun::new(paths)?;
    let status = begun
        .linux
        .units()
        .get(Instant::now() + Duration::from_secs(10), &call.unit)
        .map_err(|failure| DaemonError::Unit {
            unit: call.unit.clone(),
            failure,
        })?;
    may_heal(&config, &status.name)?;
    let assembly = Assembly::complete(begun, paths, config, &Wanted::All, observer)?;
    if let Some(recorder) = recorder {
        assembly.healer.record(Arc::clone(recorder));
    }
    let scheduler = if call.dry_run {
        Scheduler::dry_run(Arc::clone(&assembly.healer))?
    } else {
        Scheduler::start(Arc::clone(&assembly.healer))?
    };
    let opening = scheduler.open(ordered(&status, call.restart))?;
    if opening == OpenOutcome::NotInCare {
        return Err(DaemonError::NotInCare(status.name));
    }
    scheduler
        // Nobody else would go on with it.
        .wait_for(&status.name, None)
        .ok_or(DaemonError::BrokenOff(status.name))
}
