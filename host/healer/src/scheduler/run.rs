//! One attempt of an incident, with the lock of its unit.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prunella_core::{
    Failure, UnitName,
    budget::BudgetVerdict,
    capability::ActiveState,
    incident::{Ending, Incident, LeftAlone},
    service::Service,
    trail::{Awaited, Entry, Record, Step},
};
use prunella_store::StoreError;

use super::{
    Shared, WaitsFor, not_stored,
    state::{LOOK_AT_QUESTION, Question},
};
use crate::{
    HealerError,
    attempt::{Attempt, AttemptOutcome, Begin},
    clock::wall_clock,
    decide::{Decision, Known, decide},
    lock::UnitLock,
    snapshot::Snapshot,
    trail::Trail,
};

/// After how long an attempt that was cut off goes on, where the host does not go down.
pub(super) const CUT_OFF: Duration = Duration::from_secs(2);

/// What an attempt begins with.
pub(super) struct AttemptInput {
    pub(super) incident: Incident,
    /// See [`Task`].
    pub(super) known: u32,
    /// The unit it waited for, and whether that was healed.
    pub(super) unblocked: Option<(UnitName, bool)>,
    /// What it has waited for.
    pub(super) waits_for: Option<WaitsFor>,
    /// Whether an operator wants an answer, even if nothing is new.
    pub(super) asked_for: bool,
    /// Whether it is time for the next attempt, as that was decided last.
    pub(super) is_due: bool,
    /// Whether systemd was seen to restart the unit again and again.
    pub(super) restart_loop: bool,
    /// Whether a degradation waits for a unit that it needs and that is not well.
    pub(super) joins: bool,
    /// The unit as it was seen when the incident was opened.
    pub(super) snapshot: Option<Snapshot>,
}

/// An attempt that is over. The unit's lock goes with it, so that it is held
/// until everything is written down.
pub(super) struct Finished {
    pub(super) incident: Incident,
    pub(super) outcome: AttemptOutcome,
    /// Whether its ending is in the trail and the store already.
    pub(super) written: bool,
    pub(super) lock: Option<UnitLock>,
}

impl Finished {
    fn gone(incident: Incident, ending: Ending) -> Self {
        Self {
            incident,
            outcome: AttemptOutcome::Ended(ending),
            written: false,
            lock: None,
        }
    }
}

/// A slot of the host, given back once.
pub(super) struct Slot<'a> {
    shared: &'a Shared,
    held: AtomicBool,
}

impl Slot<'_> {
    fn release(&self) {
        if self.held.swap(false, Ordering::AcqRel) {
            self.shared.lock().slots -= 1;
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Shared {
    /// One attempt, on its own thread.
    pub(super) fn work(self: Arc<Self>, unit: &UnitName, input: AttemptInput) {
        let slot = Slot {
            shared: &self,
            held: AtomicBool::new(true),
        };
        let outcome = self.attempt(unit, input, &slot);
        drop(slot);
        self.finish(unit, outcome);
        let mut state = self.lock();
        state.threads -= 1;
        drop(state);
        self.changed.notify_all();
    }

    fn attempt(&self, unit: &UnitName, input: AttemptInput, slot: &Slot<'_>) -> Finished {
        let AttemptInput {
            incident,
            known,
            unblocked,
            waits_for,
            asked_for,
            is_due,
            restart_loop,
            joins,
            snapshot,
        } = input;
        let Some(service) = self.healer.service(unit) else {
            return Finished::gone(
                incident,
                Ending::LeftAlone {
                    why: LeftAlone::NotInCare,
                    detail: "it was taken out of Prunella's care".to_owned(),
                },
            );
        };
        let lock = match self.lock_unit(unit) {
            Ok(lock) => lock,
            Err(error) => {
                let reason = format!("{error}: two healings at once would be worse than none");
                return Finished::gone(
                    incident,
                    Ending::Escalated {
                        reason,
                        retry_at: None,
                    },
                );
            }
        };
        if let Some(waits_for) = waits_for
            && let Some(outcome) = self.nothing_new(
                &service,
                &incident,
                waits_for,
                asked_for,
                is_due,
                restart_loop,
            )
        {
            return Finished {
                incident,
                outcome,
                written: true,
                lock,
            };
        }
        let earlier = self.earlier(&incident);
        if let Some(Record {
            ending: Some(ending),
            incident: stored,
            ..
        }) = &earlier
            && stored.attempt > known
            // One that waits for another unit goes on, here as well as there.
            && ending.is_final()
        {
            // Another process has seen it through while this one waited.
            return Finished {
                incident,
                outcome: AttemptOutcome::Ended(ending.clone()),
                written: true,
                lock,
            };
        }
        let steps = earlier.map(|record| record.steps).unwrap_or_default();
        if !steps.is_empty()
            && let Err(outcome) = self.reopen(&incident)
        {
            return Finished {
                incident,
                outcome,
                written: true,
                lock,
            };
        }
        let trail = Arc::new(Trail::new(
            incident.clone(),
            &steps,
            self.dry_run,
            self.healer.settings.store.clone(),
            Arc::clone(&self.healer.settings.situation),
            &self.healer.settings.run_folder,
            Arc::clone(&self.healer.settings.observer),
        ));
        self.begin_attempt(&trail, &steps, unblocked);
        if asked_for && !self.dry_run {
            self.renew_budget(&service, &trail);
        }
        let outcome = match self.overtaken(&service, &trail) {
            Some(ending) => AttemptOutcome::Ended(ending),
            None => Attempt::new(
                &self.healer,
                service,
                Arc::clone(&trail),
                snapshot.unwrap_or_else(|| self.healer.snapshot()),
                Begin {
                    ordered: asked_for,
                    joins,
                },
                &|| slot.release(),
                &|| {
                    lock.as_ref().inspect(|lock| lock.answers());
                    self.answers(unit);
                },
            )
            .run(restart_loop),
        };
        let outcome = match outcome {
            AttemptOutcome::Blocked(on, reason) if self.dry_run => {
                AttemptOutcome::Ended(Ending::DryRun {
                    verdict: format!("it would wait until {on} is healed: {reason}"),
                })
            }
            AttemptOutcome::LookAgain(why, detail, _) if self.dry_run => {
                AttemptOutcome::Ended(Ending::LeftAlone { why, detail })
            }
            AttemptOutcome::CutOff(reason) if self.dry_run => {
                AttemptOutcome::Ended(Ending::DryRun {
                    verdict: format!("it would go on later: {reason}"),
                })
            }
            AttemptOutcome::TryAgain(_) | AttemptOutcome::WaitForBudget(_) if self.dry_run => {
                AttemptOutcome::Ended(Ending::DryRun {
                    verdict: "it would be tried again".to_owned(),
                })
            }
            other => other,
        };
        self.write_end(&trail, &outcome);
        Finished {
            incident,
            outcome,
            written: true,
            lock,
        }
    }

    /// What comes of looking again when all is as it was: then nothing is
    /// written down, and it counts as no attempt.
    fn nothing_new(
        &self,
        service: &Arc<Service>,
        incident: &Incident,
        waits_for: WaitsFor,
        asked_for: bool,
        is_due: bool,
        restart_loop: bool,
    ) -> Option<AttemptOutcome> {
        // Whatever else holds it back by now: as long as it is masked nobody wants it to run.
        if waits_for == WaitsFor::Hold(LeftAlone::Masked)
            && !asked_for
            && self
                .look_at(&service.unit)
                .is_some_and(|status| status.load_state == "masked")
        {
            return Some(AttemptOutcome::Ended(Ending::LeftAlone {
                why: LeftAlone::Masked,
                detail: String::new(),
            }));
        }
        if waits_for == WaitsFor::Circuit {
            let is_isolated = || {
                let status = self.look_at(&service.unit);
                status.is_some_and(|status| self.is_isolated(&status))
            };
            let waits_on = !asked_for && !is_due && is_isolated();
            return waits_on.then_some(AttemptOutcome::NothingNew(Duration::ZERO, None));
        }
        let current = self.healer.current();
        let decision = decide(
            &self.healer,
            &current,
            service,
            incident,
            Known {
                restart_loop,
                goes_on: true,
                ..Known::default()
            },
            &self.healer.host_for(service),
            |_| {},
        );
        match (waits_for, decision) {
            (_, Decision::CutOff(_)) if !asked_for => {
                Some(AttemptOutcome::NothingNew(CUT_OFF, None))
            }
            (WaitsFor::Hold(before), Decision::LookAgain(why, detail, after)) if why == before => {
                let ending = Ending::LeftAlone { why, detail };
                Some(AttemptOutcome::NothingNew(after, Some(ending)))
            }
            (WaitsFor::Answer, Decision::Go(_) | Decision::RestartLoop(_))
                if !asked_for && self.question(incident) == Question::Open =>
            {
                Some(AttemptOutcome::NothingNew(LOOK_AT_QUESTION, None))
            }
            (WaitsFor::Denied, Decision::Go(_) | Decision::RestartLoop(_))
                if !asked_for && !is_due && self.question(incident) == Question::Denied =>
            {
                Some(AttemptOutcome::NothingNew(LOOK_AT_QUESTION, None))
            }
            (WaitsFor::Retry, Decision::RestartLoop(_)) if !asked_for => self
                .healer
                .config()
                .retry_interval
                .map(|wait| AttemptOutcome::NothingNew(wait, None)),
            (WaitsFor::Budget | WaitsFor::Retry, Decision::Go(_)) if !asked_for => {
                match self.healer.budget(&current, service) {
                    BudgetVerdict::Now => None,
                    BudgetVerdict::After(wait) => Some(AttemptOutcome::NothingNew(wait, None)),
                    BudgetVerdict::Spent { until } if waits_for == WaitsFor::Retry => {
                        Some(AttemptOutcome::NothingNew(until, None))
                    }
                    // People have to be told.
                    BudgetVerdict::Spent { .. } => None,
                }
            }
            _ => None,
        }
    }

    /// How it stands with what people were asked in the incident. Once what that is about is
    /// not there any more, nobody has to decide it, and a denial holds nothing back.
    pub(super) fn question(&self, incident: &Incident) -> Question {
        let Some(store) = &self.healer.settings.store else {
            return Question::None;
        };
        let now = wall_clock();
        let situation = &self.healer.settings.situation;
        let approvals = store.approvals().unwrap_or_else(|error| {
            not_stored(incident, "what people were asked", &error);
            Vec::new()
        });
        let asked = || {
            approvals
                .iter()
                .filter(|approval| approval.proposal.incident == incident.id)
        };
        let runs = |process| situation.is_running(process);
        let mut open = asked().filter(|approval| approval.waits(now)).peekable();
        if open.peek().is_some()
            && open.all(|approval| approval.proposal.process.as_ref().is_none_or(runs))
        {
            return Question::Open;
        }
        let is_denied = asked().any(|approval| {
            approval.denies(now) && approval.proposal.process.as_ref().is_some_and(runs)
        });
        if is_denied {
            Question::Denied
        } else {
            Question::None
        }
    }

    /// Takes an incident's ending back, unless another one is open for the unit
    /// by now.
    pub(super) fn reopen(&self, incident: &Incident) -> Result<(), AttemptOutcome> {
        let Some(store) = self.healer.settings.store.as_ref() else {
            return Ok(());
        };
        match store.reopen(&incident.id, incident.attempt) {
            Err(StoreError::AnotherIsOpen(other)) => Err(AttemptOutcome::Superseded(other)),
            Err(error) => {
                not_stored(incident, "that it is tried again", &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn lock_unit(&self, unit: &UnitName) -> Result<Option<UnitLock>, HealerError> {
        if self.dry_run {
            // A dry run changes nothing and may run beside a healing.
            return Ok(None);
        }
        let folder = self.lock_folder();
        if let Some(lock) = UnitLock::try_acquire(&folder, unit)? {
            return Ok(Some(lock));
        }
        // Another process heals it.
        if self.lock().is_waited_for(unit) {
            UnitLock::wait_until_it_answers(&folder, unit)?;
            if self
                .look_at(unit)
                .is_some_and(|status| self.is_well(&status))
            {
                self.answers(unit);
            }
        }
        UnitLock::acquire(&folder, unit).map(Some)
    }

    pub(super) fn earlier(&self, incident: &Incident) -> Option<Record> {
        if self.dry_run {
            return None;
        }
        let store = self.healer.settings.store.as_ref()?;
        store.record(&incident.id).unwrap_or_else(|error| {
            not_stored(incident, "what was done before", &error);
            None
        })
    }

    /// Writes what an attempt begins with: the detection, or what was left open
    /// by the attempt before.
    fn begin_attempt(&self, trail: &Trail, earlier: &[Entry], unblocked: Option<(UnitName, bool)>) {
        let incident = trail.incident();
        if earlier.is_empty() {
            trail.write(Step::Detected {
                detection: incident.detection.clone(),
                evidence: Vec::new(),
            });
        } else {
            for action in open_actions(earlier) {
                trail.acted(
                    action,
                    Err(Failure::failed(
                        "outcome-unknown",
                        "Prunella was interrupted before it saw how this ended",
                    )),
                    None,
                );
            }
        }
        if let Some((on, healthy)) = unblocked {
            trail.write(Step::Unblocked { on, healthy });
        }
    }

    /// Gives a service its healing budget back, since a person asks for the healing. The
    /// host's budget stays as it is.
    fn renew_budget(&self, service: &Service, trail: &Trail) {
        let healer = &self.healer;
        if healer.budget(&healer.current(), service) == BudgetVerdict::Now {
            return;
        }
        match healer.settings.ledger.reset(&service.unit) {
            Ok(()) => trail.write(Step::Note {
                message: "a person asked for this healing: the budget begins anew".to_owned(),
            }),
            Err(error) => tracing::warn!(
                "the healing budget of {} could not be renewed: {error}",
                service.unit
            ),
        }
    }

    /// Whether a reboot has overtaken the incident: the failed run belongs to
    /// another boot, and the unit was not started in this one. What is up or on its way
    /// there has to prove itself as after any other failure, and what has run and is down
    /// may have been stopped.
    fn overtaken(&self, service: &Arc<Service>, trail: &Trail) -> Option<Ending> {
        if trail.incident().boot_id == self.healer.settings.situation.boot_id() {
            return None;
        }
        let status = self.look_at(&service.unit)?;
        let has_run = status.inactive_exit_monotonic.is_some();
        if status.active_state != ActiveState::Inactive || !status.is_settled() || has_run {
            return None;
        }
        Some(Ending::Interrupted {
            detail: format!(
                "the host was rebooted meanwhile; {} is inactive now",
                service.unit
            ),
        })
    }

    fn write_end(&self, trail: &Trail, outcome: &AttemptOutcome) {
        if matches!(outcome, AttemptOutcome::Watches { told: None, .. }) && trail.is_untouched() {
            return;
        }
        let last = match outcome {
            AttemptOutcome::Ended(ending) => Step::Ended {
                ending: ending.clone(),
            },
            AttemptOutcome::Blocked(on, reason) => Step::Blocked {
                on: on.clone(),
                reason: reason.clone(),
            },
            AttemptOutcome::LookAgain(why, detail, _) => Step::Ended {
                ending: Ending::LeftAlone {
                    why: *why,
                    detail: detail.clone(),
                },
            },
            AttemptOutcome::TryAgain(wait) | AttemptOutcome::WaitForBudget(wait) => Step::Waits {
                on: Awaited::Budget,
                reason: "the healing budget spaces attempts out".to_owned(),
                up_to: *wait,
            },
            AttemptOutcome::CutOff(reason) => Step::Waits {
                on: Awaited::Unit,
                reason: reason.clone(),
                up_to: CUT_OFF,
            },
            AttemptOutcome::Watches {
                told: Some(told), ..
            } => (**told).clone(),
            AttemptOutcome::Watches { told: None, again } => Step::Waits {
                on: Awaited::Health,
                reason: "its health is watched".to_owned(),
                up_to: again.unwrap_or_default(),
            },
            // Neither comes of an attempt that was begun.
            AttemptOutcome::NothingNew(..) | AttemptOutcome::Superseded(_) => return,
        };
        let unit = &trail.incident().detection.unit;
        trail.end(last, self.healer.service(unit).as_deref());
    }
}

/// The acts that were intended and of which no end is known.
fn open_actions(steps: &[Entry]) -> BTreeSet<u32> {
    let mut open = BTreeSet::new();
    for entry in steps {
        match &entry.step {
            Step::ActIntended { action, .. } => {
                open.insert(*action);
            }
            Step::ActEnded { action, .. } => {
                open.remove(action);
            }
            _ => {}
        }
    }
    open
}
