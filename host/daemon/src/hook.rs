//! `prunella hook UNIT`: what `OnFailure=` calls.
//!
//! Hands the failure to the daemon when one listens, and else goes the way
//! alone. Ends with success whatever became of the service: a handler that
//! fails becomes a failed unit itself. Only trouble of its own is an error.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use prunella_api::{Accepted, Client, HOOK_LIMIT, HookCall, Monitor, Orders as _};
use prunella_core::{UnitName, capability::UnitAct, incident::DetectedBy};
use prunella_healer::{OpenOutcome, Scheduler};

use crate::{
    DaemonError, Paths,
    assembly::{Assembly, Begun},
    configuration::load_usable,
    detection::detection,
    loading::Wanted,
    notifier,
};

/// What is due within so long is not worth handing on. A hook waits no longer: systemd does
/// not start another for the same unit meanwhile, so that its next failure would be missed.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long one look at the unit may take.
const LOOK: Duration = Duration::from_secs(10);

/// What goes on with incidents that wait, looks for missed failures, and tells people what
/// they were not told yet.
const SWEEP: &str = "prunella-sweep.service";

/// Hands the failure to the daemon, or else heals it here.
pub fn run(paths: &Paths, unit: UnitName, monitor: Monitor) -> Result<(), DaemonError> {
    let call = HookCall { unit, monitor };
    let unit = &call.unit;
    match Client::new(&paths.run).within(HOOK_LIMIT).hook(&call) {
        Ok(accepted) if !accepted.in_care => {
            not_in_care(unit);
            return Ok(());
        }
        Ok(accepted) => {
            if let Some(mistake) = &accepted.mistake {
                not_healed(unit, mistake);
            }
            tracing::info!(
                "{unit}: the daemon has it{}",
                accepted
                    .incident
                    .map(|id| format!(" as incident {id}"))
                    .unwrap_or_default()
            );
            return Ok(());
        }
        Err(error) => tracing::debug!("{unit}: going alone: {error}"),
    }
    alone(paths, unit, &call.monitor).map(drop)
}

/// Heals a failure in this process; answers what became of it.
pub(crate) fn alone(
    paths: &Paths,
    unit: &UnitName,
    monitor: &Monitor,
) -> Result<Accepted, DaemonError> {
    let begun = Begun::new(paths)?;
    let reading = begun.linux.begin_reading(unit.clone(), LOOK);
    let config = load_usable(paths).config;
    let read = || {
        reading.wait().map_err(|failure| DaemonError::Unit {
            unit: unit.clone(),
            failure,
        })
    };
    let (assembly, status) = if config.services.contains_key(unit) {
        let wanted = Wanted::Of(unit.clone());
        let assembly = Assembly::complete(begun, paths, config, &wanted, Arc::new(()))?;
        (assembly, read()?)
    } else {
        // An alias may have been given.
        let status = read()?;
        if !config.services.contains_key(&status.name) {
            not_in_care(&status.name);
            return Ok(Accepted {
                incident: None,
                in_care: false,
                mistake: None,
            });
        }
        let wanted = Wanted::Of(status.name.clone());
        let assembly = Assembly::complete(begun, paths, config, &wanted, Arc::new(()))?;
        (assembly, status)
    };
    let canonical = status.name.clone();
    let mistake = assembly
        .healer
        .config()
        .mistake_of(&canonical)
        .map(str::to_owned);
    if let Some(mistake) = &mistake {
        not_healed(&canonical, mistake);
    }
    let scheduler = Scheduler::start(Arc::clone(&assembly.healer))?;
    let detection = detection(&status, DetectedBy::Hook, Some(monitor));
    let opening = scheduler.open_seen(detection, Box::new(status))?;
    if let OpenOutcome::Known(id, ending) = &opening {
        tracing::info!(
            "{canonical}: this failure is incident {id}, {}",
            ending.as_str()
        );
    }
    let notify_after = {
        let config = assembly.healer.config();
        config.alerts.notify_after(config.services.get(&canonical))
    };
    let (healing, over) = mpsc::channel::<()>();
    let telling = &assembly;
    thread::scope(|scope| {
        // What takes long to heal is told of meanwhile.
        scope.spawn(move || {
            if over.recv_timeout(notify_after) == Err(RecvTimeoutError::Timeout) {
                tell(paths, telling);
            }
        });
        scheduler.wait_until_idle(PATIENCE);
        drop(healing);
    });
    let call = HookCall {
        unit: canonical,
        monitor: monitor.clone(),
    };
    // At boot the daemon comes later: the rest is its.
    if scheduler.leaves_work()
        && Client::new(&paths.run)
            .within(HOOK_LIMIT)
            .hook(&call)
            .is_ok()
    {
        tracing::info!("{}: the daemon goes on with it", call.unit);
    } else {
        go_on(paths, &assembly, scheduler.leaves_work());
    }
    Ok(Accepted {
        incident: opening.incident().cloned(),
        in_care: opening != OpenOutcome::NotInCare,
        mistake,
    })
}

fn not_healed(unit: &UnitName, mistake: &str) {
    tracing::error!(
        "{unit} has failed and is not healed, because of a mistake in {mistake}; `prunella config \
         check` shows it"
    );
}

/// Its drop-in has outlived its services file.
fn not_in_care(unit: &UnitName) {
    tracing::warn!(
        "{unit} is in nobody's care, so nothing is done: `prunella enable {unit}` puts it in \
         Prunella's care, and `prunella disable {unit}` removes the drop-in that calls this hook"
    );
}

/// Sees to it that people are told while this goes on.
fn tell(paths: &Paths, assembly: &Assembly) {
    go_on(paths, assembly, false);
}

/// Has the sweep tell people, and go on with what is left. Both can take a while, and for as
/// long as this hook runs systemd starts no other for the same unit.
fn go_on(paths: &Paths, assembly: &Assembly, leaves_work: bool) {
    if assembly.healer.config().channels.is_empty() && !leaves_work {
        return;
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let begun = UnitName::new(SWEEP)
        .map_err(|error| error.to_string())
        .and_then(|sweep| {
            assembly
                .linux
                .unit_control()
                .submit(deadline, &sweep, UnitAct::Start)
                .map_err(|failure| failure.message)
        });
    if let Err(error) = begun {
        tracing::warn!(
            "{SWEEP} does not start ({error}): people are told from here, and what waits goes on \
             with the next sweep"
        );
        if let Some(notifier) = notifier::of(paths, assembly) {
            notifier.work_for(notifier::PATIENCE);
        }
    }
}
