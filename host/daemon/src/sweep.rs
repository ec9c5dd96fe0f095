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

/// How often it looks for what others leave behind: a hook that ends meanwhile has a sweep
/// started to go on with it and to tell of it, which is this one. So does it look for a
/// daemon, which comes later at boot.
const LOOK_AROUND: Duration = Duration::from_secs(2);

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
        let (around, alerts) = (&scheduler, notifier.as_deref());
        scope.spawn(move || {
            let daemon = Client::new(&paths.run);
            while is_done.recv_timeout(LOOK_AROUND) == Err(RecvTimeoutError::Timeout) {
                if daemon.listening() {
                    tracing::info!("a daemon runs by now, and goes on");
                    around.stop(Duration::ZERO);
                    return;
                }
                if let Err(error) = around.take_up_waiting() {
                    tracing::error!("what hooks left unfinished cannot be taken up: {error}");
                }
                if let Some(alerts) = alerts {
                    alerts.wake();
                }
            }
        });
        let swept = heal(paths, &assembly, &scheduler, begun);
        let tell = || {
            if let Some(notifier) = &notifier {
                let left = LIMIT.saturating_sub(begun.elapsed());
                notifier.work_for(left.min(notifier::PATIENCE));
            }
        };
        if swept.is_ok() {
            go_on(&scheduler, begun + HEALING, tell);
        }
        scheduler.stop(GRACE);
        tell();
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
    assembly.healer.end_leases();
    assembly.healer.prove_releases();
    let end = begun + HEALING;
    let left = end.saturating_duration_since(Instant::now());
    probes::round(paths, assembly, scheduler, left)?;
    assembly.healer.keep_contents_of_well();
    Ok(())
}

/// Works until nothing is due before `end` and people are told: what hooks leave behind
/// while they are being told goes on, too.
fn go_on(scheduler: &Scheduler, end: Instant, tell: impl Fn()) {
    loop {
        scheduler.wait_until(end);
        if Instant::now() >= end {
            return;
        }
        tell();
        if let Err(error) = scheduler.take_up_waiting() {
            tracing::error!("what hooks left unfinished cannot be taken up: {error}");
            return;
        }
        if !scheduler.is_busy_until(end) {
            return;
        }
    }
}
