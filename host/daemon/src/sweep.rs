//! `prunella sweep`: for hosts without the daemon, what hooks alone miss.
//!
//! Takes up incidents that a killed hook left behind and those due for another
//! try, opens incidents for units in care that are failed and that no hook told
//! of, and for those that systemd restarts again and again, and asks the probes, since a
//! service that hangs never fails.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use prunella_api::Client;
use prunella_healer::Scheduler;

use crate::{
    DaemonError, Paths,
    assembly::Assembly,
    configuration::{UsableConfig, load_usable},
    detection::down_in_care,
    loading::Wanted,
    notifier, probes, restart_loops, retention,
};

/// What is due later is left to the next sweep: there is none while this one runs.
const HEALING: Duration = Duration::from_secs(45);

/// What is being healed then may take so much longer; after that the next sweep goes on
/// with it.
const GRACE: Duration = Duration::from_secs(30);

/// A sweep ends within so long, whatever a service or a channel waits for.
const LIMIT: Duration = Duration::from_secs(90);

/// How long looking at incidents of an earlier boot may keep people from being told.
const AFTER_BOOT: Duration = Duration::from_secs(15);

/// How often it looks for what others want told: a hook that ends meanwhile has a sweep
/// started to tell of it, which is this one.
const LOOK_FOR_ALERTS: Duration = Duration::from_secs(2);

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
    let begun = Instant::now();
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
    }
    let scheduler = Arc::new(Scheduler::start(Arc::clone(&assembly.healer))?);
    match scheduler.take_up() {
        // What people are told of it is what is true now.
        Ok(true) => scheduler.wait_until(Instant::now() + AFTER_BOOT),
        Ok(false) => {}
        Err(error) => tracing::error!("what was left unfinished cannot be taken up: {error}"),
    }
    if let Some(notifier) = &notifier {
        if let Err(error) = notifier.start() {
            tracing::warn!("people are told only when everything is healed: {error}");
        }
        notifier::config_problems(notifier, &problems);
    }
    let (done, is_done) = mpsc::channel::<()>();
    let swept = thread::scope(|scope| {
        if let Some(notifier) = &notifier {
            scope.spawn(move || {
                while is_done.recv_timeout(LOOK_FOR_ALERTS) == Err(RecvTimeoutError::Timeout) {
                    notifier.wake();
                }
            });
        }
        let swept = heal(paths, &assembly, &scheduler, begun);
        if let Some(notifier) = &notifier {
            let left = LIMIT.saturating_sub(begun.elapsed());
            notifier.work_for(left.min(notifier::PATIENCE));
        }
        drop(done);
        swept
    });
    swept?;
    if let Some(store) = &assembly.store {
        retention::now(store, &assembly.healer.config().retention);
    }
    Ok(())
}

/// Goes on with what was left, and takes up what was missed.
fn heal(
    paths: &Paths,
    assembly: &Arc<Assembly>,
    scheduler: &Arc<Scheduler>,
    begun: Instant,
) -> Result<(), DaemonError> {
    let down = down_in_care(assembly).map_err(DaemonError::FailedUnits)?;
    for detection in down
        .into_iter()
        .chain(restart_loops::begun(paths, assembly))
    {
        scheduler.open(detection)?;
    }
    assembly.healer.look_at_ports();
    let end = begun + HEALING;
    let left = end.saturating_duration_since(Instant::now());
    probes::round(paths, assembly, scheduler, left)?;
    scheduler.wait_until(end);
    scheduler.stop(GRACE);
    Ok(())
}
