//! Writes the trail of one incident: to the store, to the journal, to the state
//! file, and to whoever watches.

mod durability;
mod journal;
mod past;
mod state_file;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prunella_core::{
    Failure, StrategyName, Timestamp,
    alert::Alert,
    capability::UnitStatus,
    incident::{Assessment, Incident},
    policy::Act,
    remedy::{Applied, AppliedState, OpenedCircuit, Plan, Receipt},
    service::Service,
    situation::Situation,
    statistics::{Signature, tries},
    text::one_line,
    trail::{Awaited, Entry, Step},
};
use prunella_report::{degraded_headline, headline};
use prunella_store::{AttemptEnd, LastSteps, Store, StoreError};

pub(crate) use self::journal::to_journal;
pub(crate) use self::past::{EarlierStart, Watch};
pub use self::state_file::StateFile;
use self::{
    durability::{Durability, durability, is_hurried},
    past::{cleared, is_last, lines},
    state_file::step_word,
};
use crate::{clock::wall_clock, observer::Observer};

/// The trail of one incident. Cheap steps are gathered; a step on which
/// something depends is on the disk, with all before it, when
/// [`write`](Self::write) returns.
///
/// The intention of an act is committed before the act: every process sees it,
/// and our being killed does not lose it. That of an act whose effect lasts is on
/// the disk, too. A unit that is started or stopped goes with the power: its
/// intention, and the healing that was spent on it, come onto the disk while
/// systemd is at work ([`sync`](Self::sync)), and do not keep the service down
/// for as long as the disk needs.
pub(crate) struct Trail {
    incident: Incident,
    dry_run: bool,
    store: Option<Arc<Store>>,
    situation: Arc<dyn Situation>,
    state_folder: PathBuf,
    observer: Arc<dyn Observer>,
    interrupted: bool,
    /// The failed run's last lines, when an earlier attempt has kept them.
    earlier_lines: Vec<String>,
    /// Whether an earlier attempt has left the unit cleared and not started.
    earlier_cleared: bool,
    /// The last start of the unit in an earlier attempt.
    earlier_start: Option<EarlierStart>,
    /// What people were told of a degradation in an earlier attempt.
    earlier_watch: Option<Watch>,
    /// Of a degradation, with what people heard of it in an earlier attempt.
    earlier_told: Option<Entry>,
    /// Whether a run has failed otherwise in an earlier attempt.
    earlier_failed_otherwise: bool,
    /// Who has healed in an earlier attempt.
    earlier_tried: BTreeSet<StrategyName>,
    /// What the steps before end with a wait for.
    waited_for: Option<Awaited>,
    inner: Mutex<Inner>,
}

struct Inner {
    steps: Vec<Entry>,
    /// How many of them the store has.
    stored: usize,
    next_action: u32,
    /// Acts that can be undone and whose end is not known yet.
    applied: BTreeMap<u32, Applied>,
    attempt: u32,
    /// Numbers already in the store, from attempts before.
    offset: u32,
    /// Whether everything is in the store, or in good hands.
    ended: bool,
    /// A step that only the store was told of so far.
    untold: Option<(Entry, Durability)>,
    /// What the journal was told of what the matter may be.
    told: past::Told,
}

impl Trail {
    /// For an incident whose earlier attempts left `earlier` steps.
    pub(crate) fn new(
        incident: Incident,
        earlier: &[Entry],
        dry_run: bool,
        store: Option<Arc<Store>>,
        situation: Arc<dyn Situation>,
        run_folder: &Path,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let next_action = earlier
            .iter()
            .filter_map(|entry| match entry.step {
                Step::ActIntended { action, .. } => Some(action + 1),
                _ => None,
            })
            .max()
            .unwrap_or(1);
        let offset = earlier
            .iter()
            .map(|entry| entry.number + 1)
            .max()
            .unwrap_or(0);
        Self {
            inner: Mutex::new(Inner {
                steps: Vec::new(),
                stored: 0,
                next_action,
                applied: BTreeMap::new(),
                attempt: incident.attempt,
                offset,
                ended: false,
                untold: None,
                told: past::Told::of(earlier),
            }),
            earlier_lines: lines(earlier),
            earlier_start: EarlierStart::of(earlier, &incident.detection.unit),
            earlier_watch: past::watch(earlier),
            earlier_failed_otherwise: past::failed_otherwise(earlier),
            earlier_tried: past::tried(earlier),
            waited_for: past::waits_for(earlier),
            earlier_told: earlier
                .iter()
                .rfind(|entry| matches!(entry.step, Step::Blocked { .. } | Step::Watches { .. }))
                .cloned(),
            earlier_cleared: cleared(false, earlier, &incident.detection.unit),
            incident,
            dry_run,
            // A dry run changes nothing, the store's record of what really
            // happened least of all.
            store: store.filter(|_| !dry_run),
            situation,
            state_folder: run_folder.join("state"),
            observer,
            interrupted: next_action > 1 && earlier.last().is_some_and(|last| !is_last(&last.step)),
        }
    }

    /// Whether Prunella was killed in an earlier attempt, after it had begun to
    /// act.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether Prunella itself has cleared the unit's failed state, and has not
    /// started it since: a unit that is then inactive has not ended well.
    pub(crate) fn cleared(&self) -> bool {
        let unit = &self.incident.detection.unit;
        cleared(self.earlier_cleared, &self.lock().steps, unit)
    }

    /// Whether Prunella itself has cleared the unit, or has stopped it in this attempt, and
    /// has not started it since.
    pub(crate) fn put_down(&self) -> bool {
        let unit = &self.incident.detection.unit;
        self.cleared() || past::stopped(&self.lock().steps, unit)
    }

    /// The strategy of an earlier attempt whose start began the run that goes on.
    pub(crate) fn started_by(&self, status: &UnitStatus) -> Option<&StrategyName> {
        let start = self.earlier_start.as_ref()?;
        let began = status.inactive_exit_monotonic?;
        start.began(began).then_some(&start.strategy)
    }

    /// What people were told last of a degradation.
    pub(crate) fn watch(&self) -> Option<Watch> {
        past::watch(&self.lock().steps).or(self.earlier_watch)
    }

    /// What the attempt before this one ended with a wait for, if it did.
    pub(crate) fn waited_for(&self) -> Option<Awaited> {
        self.waited_for
    }

    /// The strategies that have healed in this incident, but for those that waited for a
    /// person to agree.
    pub(crate) fn tried(&self) -> BTreeSet<StrategyName> {
        let mut tried = self.earlier_tried.clone();
        tried.extend(past::tried(&self.lock().steps));
        tried
    }

    /// Whether a run has failed otherwise than the one of which the incident tells.
    pub(crate) fn has_failed_otherwise(&self) -> bool {
        self.earlier_failed_otherwise || past::failed_otherwise(&self.lock().steps)
    }

    /// Until when a question of this attempt stands that nobody has answered.
    pub(crate) fn asks_until(&self) -> Option<Timestamp> {
        past::asks_until(&self.lock().steps)
    }

    /// Whether there were attempts before, or this one was begun by another process.
    pub(crate) fn goes_on(&self) -> bool {
        self.lock().offset > 0
    }

    /// Whether nothing was written in this attempt.
    pub(crate) fn is_untouched(&self) -> bool {
        self.lock().steps.is_empty()
    }

    /// Whether an earlier attempt has kept the failed run's last lines.
    pub(crate) fn has_lines(&self) -> bool {
        !self.earlier_lines.is_empty()
    }

    pub(crate) fn incident(&self) -> &Incident {
        &self.incident
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Why a strategy wants to heal, as it said in this attempt.
    pub(crate) fn why(&self, strategy: &StrategyName) -> String {
        let inner = self.lock();
        let said = inner
            .steps
            .iter()
            .rev()
            .find_map(|entry| match &entry.step {
                Step::Assessed {
                    strategy: who,
                    assessment: Assessment::Applies { reason, .. },
                    ..
                } if who == strategy => Some(one_line(reason, 500)),
                _ => None,
            });
        said.unwrap_or_default()
    }

    /// Adds a step.
    pub(crate) fn write(&self, step: Step) {
        let durability = durability(&step);
        let mut inner = self.lock();
        let entry = self.push(&mut inner, step);
        self.flush(&mut inner, durability);
        let untold = inner.untold.take();
        if untold.is_none() && is_hurried(&entry.step) {
            inner.untold = Some((entry, durability));
            return;
        }
        drop(inner);
        for (entry, durability) in untold.into_iter().chain([(entry, durability)]) {
            self.tell(&entry, durability);
        }
    }

    /// Adds the last step of an attempt. With it, in one write, come what was
    /// tried and, when the incident ends with it, its ending and what people
    /// should hear of it.
    pub(crate) fn end(&self, last: Step, service: Option<&Service>) {
        let durability = durability(&last);
        let mut inner = self.lock();
        let ending = match &last {
            Step::Ended { ending } => Some(ending.clone()),
            _ => None,
        };
        let entry = self.push(&mut inner, last);
        if let Some(store) = &self.store {
            let alert = self.alert(&inner, &entry, service);
            let tries = tries(&inner.steps);
            let end = AttemptEnd {
                at: entry.at,
                ending,
                alert,
                tries: (!tries.is_empty()).then(|| (self.signature_of(&inner), tries)),
            };
            let pending = inner.steps.get(inner.stored..).unwrap_or_default();
            let ended = store.end_attempt(&self.incident.id, LastSteps::Numbered(pending), &end);
            let ended = match ended {
                // It could not be opened there when it began.
                Err(StoreError::NoSuchIncident(_)) => {
                    store.put(&self.incident, &inner.steps, Some(&end))
                }
                other => other,
            };
            if let Err(error) = ended {
                self.not_stored(&error);
                store.put_later(self.incident.clone(), inner.steps.clone(), Some(end));
            }
        }
        inner.ended = true;
        drop(inner);
        self.tell(&entry, durability);
    }

    /// What people should hear of an attempt that ends with this step.
    fn alert(&self, inner: &Inner, last: &Entry, service: Option<&Service>) -> Option<Alert> {
        let incident = Incident {
            attempt: inner.attempt,
            ..self.incident.clone()
        };
        match &last.step {
            Step::Ended { ending } => {
                let headline = headline(&incident.detection, ending);
                let told = self.earlier_told.iter();
                let steps: Vec<Entry> = told.chain(&inner.steps).cloned().collect();
                Alert::of(&incident, &steps, ending, service, headline, last.at)
            }
            Step::Watches {
                symptoms, tried, ..
            } => Some(Alert::degradation(
                &incident,
                service,
                degraded_headline(&incident.detection.unit, symptoms, *tried),
                *tried,
                last.at,
            )),
            _ => None,
        }
    }

    fn push(&self, inner: &mut Inner, step: Step) -> Entry {
        let entry = Entry {
            incident: self.incident.id.clone(),
            number: inner.offset + u32::try_from(inner.steps.len()).unwrap_or(u32::MAX),
            at: wall_clock(),
            monotonic: self.situation.monotonic(),
            attempt: inner.attempt,
            step,
        };
        inner.steps.push(entry.clone());
        entry
    }

    /// Tells everybody but the store. What the matter may be, and that people
    /// are needed, comes into the journal once, and again when it changes.
    fn tell(&self, entry: &Entry, durability: Durability) {
        if self.lock().told.is_new(&entry.step) {
            to_journal(&self.incident, entry, self.dry_run);
        }
        if !self.dry_run && durability != Durability::Gathered {
            self.write_state(entry);
        }
        if self.dry_run {
            self.observer.dry_step(&self.incident, entry);
        } else {
            self.observer.step(&self.incident, entry);
        }
    }

    /// Which kind of failure it is, as far as the failed run's last lines are
    /// known.
    pub(crate) fn signature(&self) -> Signature {
        self.signature_of(&self.lock())
    }

    fn signature_of(&self, inner: &Inner) -> Signature {
        let now = lines(&inner.steps);
        let lines = if now.is_empty() {
            &self.earlier_lines
        } else {
            &now
        };
        let detection = &self.incident.detection;
        Signature::new(
            detection.unit.clone(),
            detection.cause.as_str(),
            lines.iter().map(String::as_str),
        )
    }

    /// Writes the intention of an act, and gives the act its number. How it is undone, where
    /// it can be, is in the store before that.
    ///
    /// # Errors
    /// What cannot be remembered could not be undone: `unavailable`.
    pub(crate) fn intend(
        &self,
        strategy: &StrategyName,
        act: Act,
        target: &str,
        plan: Option<&Plan>,
    ) -> Result<u32, Failure> {
        let action = {
            let mut inner = self.lock();
            let action = inner.next_action;
            inner.next_action += 1;
            action
        };
        if !self.dry_run
            && let Some(plan) = plan
            && let Some(undo) = &plan.undo
        {
            self.keep_applied(&Applied {
                incident: self.incident.id.clone(),
                action,
                unit: self.incident.detection.unit.clone(),
                act: act.name().to_owned(),
                name: target.to_owned(),
                at: wall_clock(),
                undo: undo.clone(),
                lease: plan.lease,
                state: AppliedState::Intended,
                early: None,
                trouble: None,
            })?;
        }
        self.write(Step::ActIntended {
            action,
            strategy: strategy.clone(),
            act: act.name().to_owned(),
            target: target.to_owned(),
            dry_run: self.dry_run,
            plan: plan.cloned(),
        });
        Ok(action)
    }

    /// What is known now of an act that can be undone. One that failed may be half done.
    fn applied(&self, action: u32, receipt: Option<&Receipt>) {
        let applied = self.lock().applied.remove(&action);
        let (Some(store), Some(applied), Some(receipt)) = (&self.store, applied, receipt) else {
            return;
        };
        let kept = if receipt.changed {
            store.keep_applied(&Applied {
                state: AppliedState::Applied,
                ..applied
            })
        } else {
            store.forget_applied(&applied.incident, action)
        };
        if let Err(error) = kept {
            self.not_stored(&error);
        }
    }

    fn keep_applied(&self, applied: &Applied) -> Result<(), Failure> {
        let refused = |why: &str| {
            Failure::unavailable(
                "no-store",
                format!("what cannot be remembered could not be undone: {why}"),
            )
        };
        let store = self.store.as_ref();
        let store = store.ok_or_else(|| refused("there is no incident store"))?;
        store
            .keep_applied(applied)
            .map_err(|error| refused(&error.to_string()))?;
        let mut inner = self.lock();
        inner.applied.insert(applied.action, applied.clone());
        Ok(())
    }

    /// Writes how an act ended.
    pub(crate) fn acted(
        &self,
        action: u32,
        result: Result<String, Failure>,
        receipt: Option<Receipt>,
    ) {
        self.applied(action, receipt.as_ref());
        self.write(Step::ActEnded {
            action,
            result,
            receipt,
        });
    }

    /// Has everything on the disk, and told, that was written so far.
    pub(crate) fn sync(&self) {
        let untold = self.lock().untold.take();
        if let Some((entry, durability)) = untold {
            self.tell(&entry, durability);
        }
        if let Some(store) = &self.store
            && let Err(error) = store.sync()
        {
            tracing::error!(
                prunella_incident = %self.incident.id,
                "the trail of {} is written, and may not outlive a power cut: {error}",
                self.incident.detection.unit,
            );
        }
    }

    /// How many acts were intended so far.
    pub(crate) fn actions(&self) -> u32 {
        self.lock().next_action
    }

    /// How many starts and restarts were intended in this attempt.
    pub(crate) fn healings(&self) -> usize {
        let healing = |act: &str| Act::named(act).is_some_and(Act::is_healing);
        self.lock()
            .steps
            .iter()
            .filter(|entry| matches!(&entry.step, Step::ActIntended { act, .. } if healing(act)))
            .count()
    }

    /// Whether a start or restart was intended in this incident, in whichever attempt.
    pub(crate) fn healed_before(&self) -> bool {
        self.earlier_start.is_some() || self.healings() > 0
    }

    /// The circuit that was opened by an act of this attempt, from this one on, and for how
    /// long; also in a dry run.
    pub(crate) fn opened_circuit(&self, first: u32) -> Option<(OpenedCircuit, Duration)> {
        past::opened_circuit(&self.lock().steps, first)
    }

    /// Which attempt this is.
    pub(crate) fn attempt(&self) -> u32 {
        self.lock().attempt
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be stored stays in memory and in the journal, and is tried
    /// again with the next step: healing does not wait for a broken disk.
    fn flush(&self, inner: &mut Inner, durability: Durability) {
        let Some(store) = &self.store else { return };
        let pending = inner.steps.get(inner.stored..).unwrap_or_default();
        let written = match durability {
            Durability::Gathered => return,
            Durability::Written => store.append_ahead(pending),
            Durability::OnDisk => store.append_all(pending),
        };
        let written = match written {
            // It could not be opened in the store, or that store's file was
            // lost and another one has taken its place.
            Err(StoreError::NoSuchIncident(_)) => store.put(&self.incident, &inner.steps, None),
            other => other,
        };
        match written {
            Ok(()) => inner.stored = inner.steps.len(),
            Err(error) => self.not_stored(&error),
        }
    }

    fn not_stored(&self, error: &StoreError) {
        let unit = &self.incident.detection.unit;
        if error.is_trouble() {
            // The store has told of that itself, once and not for every step.
            tracing::debug!("the trail of {unit} waits for the store: {error}");
        } else {
            tracing::error!(
                prunella_incident = %self.incident.id,
                "the incident store does not take the trail of {unit}: {error}; it is kept in the \
                 journal"
            );
        }
    }

    fn write_state(&self, entry: &Entry) {
        let state = StateFile {
            unit: self.incident.detection.unit.clone(),
            incident: self.incident.id.clone(),
            state: match &entry.step {
                Step::Ended { ending } => ending.as_str().to_owned(),
                _ => "open".to_owned(),
            },
            step: step_word(&entry.step),
            at: entry.at,
        };
        if let Err(error) = state.write(&self.state_folder) {
            tracing::warn!(
                "cannot write the state file of {} in {}: {error}",
                state.unit,
                self.state_folder.display()
            );
        }
    }
}

/// An attempt that broke off, or went on to another one, leaves what the store
/// has not taken to the store.
impl Drop for Trail {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &self.store
            && !inner.ended
            && inner.stored < inner.steps.len()
        {
            store.put_later(
                self.incident.clone(),
                std::mem::take(&mut inner.steps),
                None,
            );
        }
    }
}
