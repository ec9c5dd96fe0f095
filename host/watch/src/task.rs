//! The task on the background thread: takes events, looks closer, tells.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use prunella_core::{
    Timestamp, UnitName,
    capability::{ActiveState, UnitStatus},
    cause::Cause,
    incident::{DetectedBy, Detection},
    service::RunPolicy,
    situation::Situation,
};
use prunella_linux::{BusEvent, Linux, Listener, UnitSet, unit_path};
use tokio::sync::watch;

use crate::{
    Care, Cared, WatchEvent,
    unit_history::{Sign, UnitHistory},
};

/// How long one look may take: systemd answers in well under a millisecond,
/// unless it is reading its unit files.
const LOOK: Duration = Duration::from_secs(10);

/// The receiver of events is gone.
struct Gone;

pub(crate) struct Task {
    linux: Arc<Linux>,
    interest: Arc<Cared>,
    care: watch::Receiver<Vec<Care>>,
    out: Box<dyn Fn(WatchEvent) -> bool + Send>,
    /// By canonical name.
    units: HashMap<UnitName, UnitHistory>,
    /// Object path to canonical name.
    paths: HashMap<String, UnitName>,
    up: bool,
    was_lost: bool,
}

impl Task {
    pub(crate) fn new(
        linux: Arc<Linux>,
        interest: Arc<Cared>,
        care: watch::Receiver<Vec<Care>>,
        out: Box<dyn Fn(WatchEvent) -> bool + Send>,
    ) -> Self {
        let mut task = Self {
            linux,
            interest,
            care,
            out,
            units: HashMap::new(),
            paths: HashMap::new(),
            up: false,
            was_lost: false,
        };
        task.take_care();
        task
    }

    /// Ends when the watcher is dropped or nobody takes what is told.
    pub(crate) async fn run(mut self, mut listener: Listener) {
        loop {
            let done = tokio::select! {
                event = listener.next() => match event {
                    Some(event) => self.event(event).await,
                    None => return,
                },
                changed = self.care.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.take_care();
                    if self.up { self.look_at_all().await } else { Ok(()) }
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    fn tell(&self, event: WatchEvent) -> Result<(), Gone> {
        if (self.out)(event) { Ok(()) } else { Err(Gone) }
    }

    /// Takes over which units are in care; what is remembered of them stays.
    fn take_care(&mut self) {
        let care = self.care.borrow_and_update().clone();
        let names: HashSet<&UnitName> = care.iter().map(|care| &care.unit).collect();
        self.units.retain(|unit, _| names.contains(unit));
        for one in &care {
            let history = self
                .units
                .entry(one.unit.clone())
                .or_insert_with(|| UnitHistory::new(one.heal_on_stop, one.run_policy));
            history.heal_on_stop = one.heal_on_stop;
            history.run_policy = one.run_policy;
            history.only_up = one.only_up;
        }
        self.publish();
    }

    /// Tells the dispatcher which units matter.
    fn publish(&mut self) {
        self.paths = self
            .units
            .keys()
            .map(|unit| (unit_path(unit.as_str()), unit.clone()))
            .collect();
        self.interest
            .replace(UnitSet::new(self.units.keys().map(UnitName::as_str)));
    }

    async fn event(&mut self, event: BusEvent) -> Result<(), Gone> {
        match event {
            BusEvent::Up => {
                self.up = true;
                let back = std::mem::take(&mut self.was_lost);
                if back {
                    self.tell(WatchEvent::BusBack)?;
                }
                self.look_at_all().await?;
                if back {
                    self.tell(WatchEvent::Resync)?;
                }
                Ok(())
            }
            BusEvent::Down => {
                self.up = false;
                if self.was_lost {
                    return Ok(());
                }
                self.was_lost = true;
                self.tell(WatchEvent::BusLost)
            }
            BusEvent::Reloading(true) => Ok(()),
            BusEvent::Reloading(false) => {
                self.look_at_all().await?;
                self.tell(WatchEvent::Resync)
            }
            BusEvent::UnitChanged { path, glimpse } => {
                let Some(unit) = self.paths.get(&path).cloned() else {
                    return Ok(());
                };
                let Some(history) = self.units.get_mut(&unit) else {
                    return Ok(());
                };
                let before = history.active_state();
                let sign = history.glimpse(Instant::now(), glimpse);
                let now = history.active_state();
                self.follow(&unit, sign).await?;
                let is_told = matches!(
                    now,
                    ActiveState::Active
                        | ActiveState::Activating
                        | ActiveState::Failed
                        | ActiveState::Inactive
                );
                if now != before && is_told {
                    self.tell(WatchEvent::Changed { unit })?;
                }
                Ok(())
            }
            BusEvent::JobNew {
                id,
                unit,
                maybe_own,
            } => {
                if let Some(history) = self.units.get_mut(unit.as_str()) {
                    history.job_new(id, maybe_own);
                }
                Ok(())
            }
            BusEvent::JobRemoved {
                id,
                unit,
                result,
                own,
            } => {
                let Some((unit, history)) = self
                    .units
                    .get_key_value(unit.as_str())
                    .map(|(unit, _)| unit.clone())
                    .and_then(|unit| {
                        let history = self.units.get_mut(&unit)?;
                        Some((unit, history))
                    })
                else {
                    return Ok(());
                };
                let sign = history.job_removed(id, &result, own);
                self.follow(&unit, sign).await
            }
        }
    }

    /// Looks into what a signal has shown.
    async fn follow(&mut self, unit: &UnitName, sign: Option<Sign>) -> Result<(), Gone> {
        let Some(sign) = sign else { return Ok(()) };
        if sign == Sign::Recovered {
            return self.tell(WatchEvent::Recovered { unit: unit.clone() });
        }
        if self.units.get(unit).is_some_and(|history| history.only_up) {
            return Ok(());
        }
        if sign == Sign::Stopped {
            return self.tell(WatchEvent::Stopped { unit: unit.clone() });
        }
        let mut status = match self.linux.read_unit(unit, LOOK).await {
            Ok(status) => status,
            Err(failure) => {
                // With the bus gone, all is looked at again when it is back.
                tracing::warn!(%unit, %failure, "cannot look at a unit that may have failed");
                return Ok(());
            }
        };
        let Some(history) = self.units.get_mut(unit) else {
            return Ok(());
        };
        match sign {
            // It has gone on: systemd or somebody else has started it again, or
            // cleared it. If that fails too, another signal says so.
            Sign::Failed if status.active_state != ActiveState::Failed => Ok(()),
            Sign::Failed => {
                history.is_down();
                let cause = Cause::from(status.result.as_str());
                let detection = detection(&status, cause);
                self.tell(WatchEvent::Failed(detection, Box::new(status)))
            }
            Sign::Restarted => {
                let Some((run, restarts_before)) = history.take_crashed() else {
                    return Ok(());
                };
                let cause = Cause::from(run.result.as_deref().unwrap_or_default());
                self.tell(WatchEvent::Restarted(Detection {
                    invocation: run.invocation,
                    exit_code: run.exit_code,
                    signal: run.signal,
                    failed_monotonic: run.main_exit,
                    restarts_before: Some(restarts_before),
                    ..detection(&status, cause)
                }))
            }
            Sign::Loop => self.tell(WatchEvent::RestartLoop(detection(
                &status,
                Cause::RestartLoop,
            ))),
            Sign::Dependency => {
                history.is_down();
                let detection = Detection {
                    // There was no run that failed, only a job.
                    invocation: None,
                    exit_code: None,
                    signal: None,
                    failed_monotonic: Some(self.linux.monotonic()),
                    ..detection(&status, Cause::Dependency)
                };
                self.tell(WatchEvent::Failed(detection, Box::new(status)))
            }
            // It ended as soon as it was started.
            Sign::MaybeStarted
                if history.run_policy == RunPolicy::Always
                    && !history.was_up()
                    && status.should_have_gone_on() =>
            {
                if !history.ran_since_job() {
                    self.tell(WatchEvent::StopOrdered { unit: unit.clone() })?;
                }
                self.ended(status)
            }
            Sign::MaybeStarted => {
                // It may have failed again since.
                if !status.is_up() && !history.was_up() {
                    // A start is a run of its own, unless a condition keeps it from one.
                    if history.ran_since_job() || status.start_rules.unmet {
                        return Ok(());
                    }
                    self.tell(WatchEvent::StopOrdered { unit: unit.clone() })
                } else if status.triggered_by.is_empty() {
                    self.tell(WatchEvent::StartedByOperator {
                        unit: unit.clone(),
                        began: status.inactive_exit_monotonic,
                    })
                } else {
                    // A client of its socket may have had it started.
                    self.tell(WatchEvent::Recovered { unit: unit.clone() })
                }
            }
            Sign::MaybeStopped => {
                if status.active_state != ActiveState::Inactive || status.job.is_some() {
                    return Ok(());
                }
                history.is_down();
                fill(&mut status, history);
                let detection = detection(&status, Cause::Stopped);
                self.tell(WatchEvent::Failed(detection, Box::new(status)))
            }
            Sign::Ended if status.should_have_gone_on() => self.ended(status),
            Sign::Ended | Sign::Recovered | Sign::Stopped => Ok(()),
        }
    }

    /// Tells of a service that is meant to run and has ended with success.
    fn ended(&mut self, mut status: UnitStatus) -> Result<(), Gone> {
        if let Some(history) = self.units.get_mut(&status.name) {
            history.is_down();
            fill(&mut status, history);
        }
        let detection = detection(&status, Cause::Ended);
        self.tell(WatchEvent::Failed(detection, Box::new(status)))
    }

    /// Looks at every unit in care, and tells which are failed and were not
    /// told to be.
    async fn look_at_all(&mut self) -> Result<(), Gone> {
        let units: Vec<UnitName> = self.units.keys().cloned().collect();
        let mut renamed = false;
        for unit in units {
            let status = match self.linux.read_unit(&unit, LOOK).await {
                Ok(status) => status,
                Err(failure) => {
                    tracing::debug!(%unit, %failure, "cannot look at a unit in care");
                    continue;
                }
            };
            if status.name != unit {
                // An alias: signals come under the canonical name.
                if let Some(history) = self.units.remove(&unit) {
                    self.units.entry(status.name.clone()).or_insert(history);
                    renamed = true;
                }
            }
            let Some(history) = self.units.get_mut(&status.name) else {
                continue;
            };
            match history.look(&status) {
                Some(Sign::Ended) if status.should_have_gone_on() => self.ended(status)?,
                Some(Sign::Failed) => {
                    history.is_down();
                    let cause = Cause::from(status.result.as_str());
                    let detection = Detection {
                        by: DetectedBy::Sweep,
                        ..detection(&status, cause)
                    };
                    self.tell(WatchEvent::Failed(detection, Box::new(status)))?;
                }
                Some(Sign::Recovered) => {
                    self.tell(WatchEvent::Recovered { unit: status.name })?;
                }
                _ => {}
            }
        }
        if renamed {
            self.publish();
        }
        Ok(())
    }
}

/// Adds what the signals told of the run where the unit has forgotten it.
fn fill(status: &mut UnitStatus, history: &UnitHistory) {
    if status.invocation.is_some() {
        return;
    }
    let run = history.run.clone();
    status.invocation = run.invocation;
    status.inactive_enter_monotonic = status.inactive_enter_monotonic.or(run.inactive_enter);
    status.active_exit_monotonic = status.active_exit_monotonic.or(run.active_exit);
    status.main_exit_monotonic = status.main_exit_monotonic.or(run.main_exit);
    status.exit_code = status.exit_code.or(run.exit_code);
    status.signal = status.signal.take().or(run.signal);
    if status.result == "success"
        && let Some(result) = run.result
    {
        status.result = result;
    }
}

/// What a signal told of a unit that stands so.
fn detection(status: &UnitStatus, cause: Cause) -> Detection {
    let at = Timestamp::from(SystemTime::now());
    Detection::of(status, DetectedBy::Signal, cause, at)
}
