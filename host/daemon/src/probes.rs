//! Asks the probes that have an interval: for the daemon while it runs, for a
//! sweep in one round.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::UnitStatus,
    incident::{DetectedBy, Detection},
    situation::Situation as _,
    text::{one_line, redact},
};
use prunella_healer::{Healer, NEVER_ANSWERED, Scheduler};
use prunella_health::Sample;
use prunella_watch::{Asked, ProbeTarget, Prober, Unanswered};

use crate::{DaemonError, Paths, assembly::Assembly, detection::detection, health::Heard};

/// How long looking at a unit and asking a probe may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long one look at a unit may take on the daemon's own thread, which gives the
/// watchdog its signs of life.
const LOOK: Duration = Duration::from_secs(10);

/// Characters of why a probe was not answered.
const DETAIL_MAX: usize = 200;

/// A sweep asks a probe that does not answer again after its interval, but does
/// not wait for longer than this.
const AGAIN: Duration = Duration::from_secs(10);

/// What is to be asked while all is well.
pub(crate) fn targets(healer: &Healer) -> Vec<ProbeTarget> {
    healer
        .config()
        .services
        .values()
        .flat_map(|service| ProbeTarget::of(service, |probe| healer.was_answered(service, probe)))
        .collect()
}

/// Asks a probe of a service that is up and not being healed: what that came to for who
/// watches over hangs, and for its health.
pub(crate) fn ask(
    assembly: &Assembly,
    scheduler: &Scheduler,
    unit: &UnitName,
    probe: &str,
) -> (Asked, Heard) {
    let not_asked = || (Asked::NotNow, Sample::NotAsked.into());
    if scheduler.keeps_from_probing(unit) {
        return not_asked();
    }
    let deadline = Instant::now() + LIMIT;
    match assembly.linux.units().get(deadline, unit) {
        Ok(status) if status.is_up() && status.is_settled() => {}
        _ => return not_asked(),
    }
    match assembly.healer.ask(deadline, unit, probe) {
        Some(Ok(answer)) if answer.healthy => {
            let heard = Heard {
                sample: Sample::Answered { took: answer.took },
                certificate: answer.certificate,
            };
            (Asked::Answering, heard)
        }
        Some(Ok(answer)) => {
            let why = one_line(&redact(&answer.detail), DETAIL_MAX);
            let heard = Heard {
                sample: Sample::Unanswered { why },
                certificate: answer.certificate,
            };
            (Asked::NotAnswering(answer.detail), heard)
        }
        Some(Err(failure)) if failure.is(NEVER_ANSWERED) => {
            let told = assembly
                .healer
                .service(unit)
                .is_some_and(|service| assembly.healer.was_told_of(&service, probe));
            let asked = if told {
                Asked::NotNow
            } else {
                Asked::NeverAnswered(failure.message)
            };
            (asked, Sample::NeverAnswered.into())
        }
        Some(Err(failure)) => {
            tracing::warn!("probe `{probe}` of {unit} cannot be asked: {failure}");
            not_asked()
        }
        None => not_asked(),
    }
}

/// What is to be healed, when a probe goes unanswered; trouble is logged.
pub(crate) fn not_answering(assembly: &Assembly, unanswered: &Unanswered) -> Option<Detection> {
    let Unanswered {
        unit, probe, why, ..
    } = unanswered;
    if !unanswered.was_answered {
        if let Some(service) = assembly.healer.service(unit) {
            tracing::warn!(
                object_systemd_unit = %unit,
                "{unit}: {why}: it heals nothing and proves nothing until it is answered once"
            );
            assembly.healer.told_of(&service, probe);
        }
        return None;
    }
    tracing::warn!(object_systemd_unit = %unit, "{unit}: probe `{probe}` goes unanswered: {why}");
    match assembly.linux.units().get(Instant::now() + LOOK, unit) {
        Ok(status) => Some(detected(assembly, &status, unanswered.since)),
        Err(failure) => {
            tracing::error!("cannot look at {unit}: {failure}");
            None
        }
    }
}

/// A failure of which systemd saw nothing: nothing went down.
fn detected(assembly: &Assembly, status: &UnitStatus, since: Instant) -> Detection {
    let mut detection = detection(status, DetectedBy::Probe, None);
    detection.failed_monotonic = Some(assembly.linux.monotonic().saturating_sub(since.elapsed()));
    detection
}

/// Asks every probe whose time has come since the sweep before, and opens an
/// incident for each that goes unanswered; what is not known after `patience` is
/// left to the next.
pub(crate) fn round(
    paths: &Paths,
    assembly: &Arc<Assembly>,
    scheduler: &Arc<Scheduler>,
    patience: Duration,
) -> Result<(), DaemonError> {
    let end = Instant::now() + patience;
    let uptime = assembly.linux.since_boot();
    let before = last_round(paths, uptime);
    let targets: Vec<ProbeTarget> = targets(&assembly.healer)
        .into_iter()
        .filter(|target| {
            target
                .interval
                .is_none_or(|every| is_due(every, before, uptime))
        })
        .map(|target| ProbeTarget {
            interval: Some(target.interval.unwrap_or(AGAIN).min(AGAIN)),
            ..target
        })
        .collect();
    if targets.is_empty() {
        return Ok(());
    }
    let (asking, starting) = (Arc::clone(assembly), Arc::clone(scheduler));
    let ask: Arc<prunella_watch::Ask> =
        Arc::new(move |unit, probe| self::ask(&asking, &starting, unit, probe).0);
    let (_prober, unanswered) = Prober::round(&assembly.linux, targets, &ask);
    let left = || end.saturating_duration_since(Instant::now());
    while let Ok(unanswered) = unanswered.recv_timeout(left()) {
        if let Some(detection) = not_answering(assembly, &unanswered) {
            scheduler.open(detection)?;
        }
    }
    Ok(())
}

/// Whether a probe's interval, counted from the boot, ended since the round
/// before: so one of an hour is asked in every sixtieth sweep.
fn is_due(every: Duration, before: Duration, now: Duration) -> bool {
    let every = every.as_millis().max(1);
    before.as_millis() / every != now.as_millis() / every
}

/// When the round before was in this boot, or else its beginning; and from now
/// on it is this one.
fn last_round(paths: &Paths, now: Duration) -> Duration {
    let file = paths.run.join("swept");
    let before = fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_millis)
        // Another boot's, where the folder outlived it.
        .filter(|before| *before <= now);
    if let Err(error) = fs::write(&file, format!("{}\n", now.as_millis())) {
        tracing::debug!("{} cannot be written: {error}", file.display());
    }
    before.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_due_once_in_its_interval() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let due = |every| {
            (0..120)
                .filter(|&at| is_due(every, minutes(at), minutes(at + 1)))
                .count()
        };
        assert_eq!(due(minutes(60)), 2);
        assert_eq!(due(minutes(5)), 24);
        assert_eq!(due(Duration::from_secs(10)), 120);
    }

    #[test]
    fn a_round_remembers_itself_and_forgets_another_boots() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::all_in(folder.path());
        let seconds = Duration::from_secs;
        assert_eq!(last_round(&paths, seconds(100)), seconds(0));
        assert_eq!(last_round(&paths, seconds(160)), seconds(100));
        assert_eq!(last_round(&paths, seconds(20)), seconds(0));
        assert_eq!(last_round(&paths, seconds(80)), seconds(20));
    }
}
