//! `prunella sweep`: for hosts without the daemon, what hooks alone miss.
//!
//! Takes up incidents that a killed hook left behind and those due for another
//! try, opens incidents for units in care that are failed and that no hook told
//! of, and asks the probes, since a service that hangs never fails.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use prunella_api::Client;
use prunella_healer::Scheduler;

use crate::{
    args::SweepArgs,
    assembly::{Assembly, load_config},
    desk,
    detect::failed_in_care,
    exit::Exit,
    loading::Wanted,
    paths::Paths,
    probes, tidy,
};

/// As long as the hook's: what is due later is left to the next sweep.
const PATIENCE: Duration = Duration::from_secs(130);

pub(crate) fn run(paths: &Paths, _args: &SweepArgs) -> anyhow::Result<Exit> {
    if Client::new(&paths.run).listening() {
        tracing::debug!("the daemon is running: nothing to sweep");
        return Ok(Exit::Ok);
    }
    let config = load_config(paths)?;
    if config.services.is_empty() {
        return Ok(Exit::Ok);
    }
    let assembly = Arc::new(Assembly::new(paths, config, &Wanted::All, Arc::new(()))?);
    let scheduler = Arc::new(Scheduler::start(Arc::clone(&assembly.healer))?);
    if let Err(error) = scheduler.take_up() {
        tracing::error!("what was left unfinished cannot be taken up: {error}");
    }
    for detection in failed_in_care(&assembly).context("cannot list the failed units")? {
        scheduler.open(detection)?;
    }
    probes::round(paths, &assembly, &scheduler, PATIENCE)?;
    scheduler.wait_until_idle(PATIENCE);
    if let Some(desk) = desk::of(paths, &assembly) {
        desk.work_for(desk::PATIENCE);
    }
    if let Some(store) = &assembly.store {
        tidy::now(store, &assembly.healer.config().retention);
    }
    Ok(Exit::Ok)
}
