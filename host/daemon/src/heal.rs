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
    DaemonError, Paths, assembly::Assembly, configuration::load_usable, detection::ordered,
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
    let config = load_usable(paths)?.config;
    let assembly = Assembly::new(paths, config, &Wanted::All, observer)?;
    let status = assembly
        .linux
        .units()
        .get(Instant::now() + Duration::from_secs(10), &call.unit)
        .map_err(|failure| DaemonError::Unit {
            unit: call.unit.clone(),
            failure,
        })?;
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
        let config = assembly.healer.config();
        return Err(DaemonError::not_in_care(paths, &config, status.name));
    }
    scheduler
        .wait_for(&status.name)
        .ok_or(DaemonError::BrokenOff(status.name))
}
