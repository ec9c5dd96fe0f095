//! `prunella sweep`: for hosts without the daemon, what hooks alone miss.
//!
//! Takes up incidents that a killed hook left behind and those due for another
//! try, opens incidents for units in care that are failed and that no hook told
//! of, and asks the probes, since a service that hangs never fails.

use std::{sync::Arc, time::Duration};

use prunella_api::Client;
use prunella_healer::Scheduler;

use crate::{
    DaemonError, Paths,
    assembly::Assembly,
    configuration::{UsableConfig, load_usable},
    detection::down_in_care,
    loading::Wanted,
    notifier, probes, retention,
};

/// As long as the hook's: what is due later is left to the next sweep.
const PATIENCE: Duration = Duration::from_secs(130);

/// Looks for what was missed, once. Does nothing while a daemon runs.
pub fn run(paths: &Paths) -> Result<(), DaemonError> {
    if Client::new(&paths.run).listening() {
        tracing::debug!("the daemon is running: nothing to sweep");
        return Ok(());
    }
    let usable = load_usable(paths);
    usable.keep_main_file(paths);
    let UsableConfig {
        config, problems, ..
    } = usable;
    if config.services.is_empty() && problems.is_empty() {
        return Ok(());
    }
    let followed = Arc::new(notifier::Followed::default());
    let assembly = Arc::new(Assembly::new(
        paths,
        config,
        &Wanted::All,
        Arc::clone(&followed) as _,
    )?);
    // What takes long to heal is told of meanwhile.
    let notifier = notifier::of(paths, &assembly).map(Arc::new);
    if let Some(notifier) = &notifier {
        followed.by(notifier);
        if let Err(error) = notifier.start() {
            tracing::warn!("people are told only when everything is healed: {error}");
        }
        notifier::config_problems(notifier, &problems);
    }
    let scheduler = Arc::new(Scheduler::start(Arc::clone(&assembly.healer))?);
    if let Err(error) = scheduler.take_up() {
        tracing::error!("what was left unfinished cannot be taken up: {error}");
    }
    for detection in down_in_care(&assembly).map_err(DaemonError::FailedUnits)? {
        scheduler.open(detection)?;
    }
    probes::round(paths, &assembly, &scheduler, PATIENCE)?;
    scheduler.wait_until_idle(PATIENCE);
    if let Some(notifier) = &notifier {
        notifier.work_for(notifier::PATIENCE);
    }
    if let Some(store) = &assembly.store {
        retention::now(store, &assembly.healer.config().retention);
    }
    Ok(())
}
