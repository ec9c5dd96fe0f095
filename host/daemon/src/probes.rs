//! Asks the probes that have an interval: for the daemon while it runs, for a
//! sweep in one round.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Answer, ProbeAnswer, UnitStatus},
    incident::{DetectedBy, Detection},
    situation::Situation as _,
    text::{one_line, redact},
};
use prunella_healer::{Healer, NEVER_ANSWERED, Scheduler};
use prunella_health::Sample;
use prunella_linux::{Linux, ask_listener};
use prunella_watch::{Asked, ProbeTarget, Prober, Unanswered};
use tokio::task::spawn_blocking;

use crate::{
    DaemonError, Paths,
    assembly::Assembly,
    detection::detection,
    health::{HealthBook, Heard},
};

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

/// What asking services needs.
pub(crate) struct Questions {
    linux: Arc<Linux>,
    healer: Arc<Healer>,
    scheduler: Arc<Scheduler>,
    /// Absent where nobody follows the units.
    health: Option<Arc<HealthBook>>,
}

impl Questions {
    pub(crate) fn new(
        assembly: &Assembly,
        scheduler: &Arc<Scheduler>,
        health: Option<&Arc<HealthBook>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            linux: Arc::clone(&assembly.linux),
            healer: Arc::clone(&assembly.healer),
            scheduler: Arc::clone(scheduler),
            health: health.cloned(),
        })
    }

    /// Asks a probe of a service that is up and not being healed: what that came to for who
    /// watches over hangs, and for its health.
    pub(crate) async fn ask(self: &Arc<Self>, unit: &UnitName, probe: &str) -> (Asked, Heard) {
        let not_asked = || (Asked::NotNow, Sample::NotAsked.into());
        if self.is_kept_from_asking(unit).await {
            return not_asked();
        }
        // Of a unit that is followed, systemd is not asked before each question. It is where
        // there was no answer: the unit may have been stopped.
        let is_followed = self
            .health
            .as_ref()
            .is_some_and(|health| health.is_up(unit));
        if !is_followed && !self.is_up(unit).await {
            return not_asked();
        }
        let answer = self.answer(unit, probe).await;
        let is_answered = matches!(&answer, Some(Ok(answer)) if answer.healthy);
        if is_followed && !is_answered && !self.is_up(unit).await {
            return not_asked();
        }
        match answer {
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
                let asked = if self.was_told_of(unit, probe).await {
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

    /// Whether a failure of the unit is seen to.
    async fn is_kept_from_asking(self: &Arc<Self>, unit: &UnitName) -> bool {
        if let Some(known) = self.scheduler.keeps_from_probing_now(unit) {
            return known;
        }
        let unit = unit.clone();
        let waiting = self.aside(move |this| this.scheduler.keeps_from_probing(&unit));
        waiting.await != Some(false)
    }

    /// Nothing, when the service is in nobody's care, or the daemon is ending.
    async fn answer(self: &Arc<Self>, unit: &UnitName, probe: &str) -> Option<Answer<ProbeAnswer>> {
        let deadline = Instant::now() + LIMIT;
        let config = self.healer.config();
        let service = config.services.get(unit)?;
        let Some(heard) = ask_listener(deadline, service, probe).await else {
            let (unit, probe) = (unit.clone(), probe.to_owned());
            let run = self.aside(move |this| this.healer.ask(deadline, &unit, &probe));
            return run.await?;
        };
        if self.healer.is_known_as_answered(service, probe) {
            return Some(self.healer.heard(service, probe, heard));
        }
        let (service, probe) = (service.clone(), probe.to_owned());
        self.aside(move |this| this.healer.heard(&service, &probe, heard))
            .await
    }

    /// Whether systemd says that a unit is up, and that nothing becomes of it just now.
    async fn is_up(self: &Arc<Self>, unit: &UnitName) -> bool {
        let is_up = |status: UnitStatus| status.is_up() && status.is_settled();
        if let Ok(status) = self.linux.read_only_unit(unit, LIMIT).await {
            return is_up(status);
        }
        // Without a bus, a program is run.
        let unit = unit.clone();
        let looking = self.aside(move |this| {
            let status = this.linux.units().get(Instant::now() + LIMIT, &unit);
            status.is_ok_and(is_up)
        });
        looking.await == Some(true)
    }

    async fn was_told_of(self: &Arc<Self>, unit: &UnitName, probe: &str) -> bool {
        let (unit, probe) = (unit.clone(), probe.to_owned());
        let told = self.aside(move |this| {
            let service = this.healer.service(&unit);
            service.is_some_and(|service| this.healer.was_told_of(&service, &probe))
        });
        told.await == Some(true)
    }

    /// Does what takes its time on another thread; nothing comes of it when the daemon ends.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let this = Arc::clone(self);
        spawn_blocking(move || work(&this))
            .await
            .inspect_err(|error| tracing::error!("a probe could not be asked: {error}"))
            .ok()
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
    let questions = Questions::new(assembly, scheduler, None);
    let ask: Arc<prunella_watch::Ask> = Arc::new(move |unit, probe| {
        let questions = Arc::clone(&questions);
        Box::pin(async move { questions.ask(&unit, &probe).await.0 })
    });
    let (_prober, unanswered) =
        Prober::round(targets, &ask).map_err(DaemonError::thread("asks the probes"))?;
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
