//! One attempt at an incident: decide, assess, heal, prove.

mod assessing;
mod circuit;
mod clearing;
mod degradation;
mod diagnosis;
mod escalation;
mod healing;
mod runs;
mod taken_over;
mod undoing;

pub(crate) use self::escalation::look_again_after;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    analyst::{FailedRun, Stall},
    budget::BudgetVerdict,
    capability::{Host, UnitStatus},
    cause::Cause,
    incident::{DetectedBy, Ending, IncidentId, LeftAlone},
    service::Service,
    trail::Step,
};

use self::{circuit::opens_circuits, healing::Healing};
use crate::{
    decide::{Decision, Known, SHUTDOWN, Waiting, decide, is_going_down, mistake},
    dry_run,
    healer::{Current, Healer},
    oversight::Overseer,
    snapshot::Snapshot,
    trail::Trail,
};

/// How long one look at the unit may take.
const LOOK: Duration = Duration::from_secs(10);

/// How an attempt came out.
#[derive(Debug)]
pub(crate) enum AttemptOutcome {
    /// To an end.
    Ended(Ending),
    /// Something stands in the way that gives no signal when it is gone.
    LookAgain(LeftAlone, String, Duration),
    /// It was tried, and is tried again after a while.
    TryAgain(Duration),
    /// Nothing was tried yet: the budget asks for a pause first.
    WaitForBudget(Duration),
    /// What it waited for has not come: to be looked at again after a while. The
    /// ending is for whoever asks.
    NothingNew(Duration, Option<Ending>),
    /// Cut off in the middle, by a shutdown or with the bus: it goes on after that, in the
    /// next process or in this one.
    CutOff(String),
    /// Another incident is open for the unit.
    Superseded(IncidentId),
    /// Another unit has to be healed first.
    Blocked(UnitName, String),
    /// A degradation goes on, or is not over for certain: it is looked at when its health
    /// changes, and after a while where there is one. `told` is what is news of it.
    Watches {
        told: Option<Box<Step>>,
        again: Option<Duration>,
    },
}

/// How an attempt is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    /// Whether a person has ordered this attempt.
    pub(crate) ordered: bool,
    /// Whether a degradation waits for a unit that it needs and that is not well.
    pub(crate) joins: bool,
}

/// Everything one attempt works with.
pub(crate) struct Attempt<'a> {
    pub(crate) healer: &'a Healer,
    pub(crate) current: Current,
    pub(crate) service: Arc<Service>,
    pub(crate) trail: Arc<Trail>,
    /// The real host.
    pub(crate) real: Host,
    /// The host that acts act upon: the real one, or a dry run's.
    pub(crate) host: Host,
    /// Called when the strategies are done, and only proof is left to wait for.
    pub(crate) acted: &'a dyn Fn(),
    /// Called at the moment of recovery: who needs the service need not wait for
    /// its proof.
    pub(crate) answers: &'a dyn Fn(),
    /// What is known of units, from the moment on when the failure was seen.
    snapshot: Arc<Snapshot>,
    /// Whether a person has ordered this attempt.
    ordered: bool,
    /// See [`Begin::joins`].
    joins: bool,
    /// The unit as it was when the attempt decided to heal it.
    down: OnceCell<UnitStatus>,
    /// What kept the main process from running before anything was done to it.
    stall: Cell<Option<Stall>>,
    overseer: OnceCell<Arc<Overseer>>,
    evidence_written: Cell<bool>,
    diagnosed: Cell<bool>,
    /// When the model was asked.
    asked: Cell<Option<Instant>>,
    /// How its latest run failed, as [`diagnose`](Self::diagnose) saw it.
    last_failure: RefCell<Option<FailedRun>>,
    /// What is missing, of a unit that is up and not well.
    not_well: RefCell<Option<String>>,
    /// Whether the evidence was read for people who are about to be told.
    read_for_people: Cell<bool>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        healer: &'a Healer,
        service: Arc<Service>,
        trail: Arc<Trail>,
        snapshot: Snapshot,
        begin: Begin,
        acted: &'a dyn Fn(),
        answers: &'a dyn Fn(),
    ) -> Self {
        let real = healer.host_for(&service);
        let host = if trail.is_dry_run() {
            dry_run::overlay(real.clone(), Arc::clone(&service))
        } else {
            real.clone()
        };
        Self {
            current: healer.current(),
            healer,
            service,
            real,
            host,
            acted,
            answers,
            snapshot: Arc::new(snapshot),
            ordered: begin.ordered,
            joins: begin.joins,
            down: OnceCell::new(),
            stall: Cell::new(None),
            overseer: OnceCell::new(),
            evidence_written: Cell::new(trail.has_lines()),
            diagnosed: Cell::new(false),
            asked: Cell::new(None),
            last_failure: RefCell::new(None),
            not_well: RefCell::new(None),
            read_for_people: Cell::new(false),
            trail,
        }
    }

    /// Makes the attempt. `restart_loop` says that systemd was seen to restart the unit
    /// again and again.
    pub(crate) fn run(&self, restart_loop: bool) -> AttemptOutcome {
        self.undo_cut_off();
        let outcome = match self.go(restart_loop) {
            // What fails while everything is stopped asks nobody for help.
            AttemptOutcome::Ended(Ending::Escalated { .. }) | AttemptOutcome::LookAgain(..)
                if is_going_down(self.healer) =>
            {
                AttemptOutcome::CutOff(SHUTDOWN.to_owned())
            }
            other => other,
        };
        let ends = matches!(&outcome, AttemptOutcome::Ended(_));
        let failed = match &outcome {
            AttemptOutcome::Ended(Ending::LeftAlone { why, .. }) => why.needs_people(),
            AttemptOutcome::LookAgain(why, ..) => why.needs_people(),
            AttemptOutcome::Watches { .. } | AttemptOutcome::CutOff(_) => false,
            AttemptOutcome::Ended(Ending::Continued { .. }) => false,
            AttemptOutcome::Ended(Ending::Healed { .. } | Ending::Recovered { .. }) => {
                !self.nothing_failed()
            }
            _ => true,
        };
        if failed {
            self.diagnose();
        }
        self.undo_after(&outcome);
        // Healing does not wait for it; whoever hears of the end may.
        if ends {
            (self.acted)();
        }
        self.last_word(&outcome);
        if !self.trail.is_dry_run()
            && let AttemptOutcome::Ended(
                Ending::Healed {
                    served_by: None, ..
                }
                | Ending::Recovered { .. },
            ) = outcome
        {
            self.healer.keep_contents(&self.service.unit);
        }
        outcome
    }

    fn go(&self, restart_loop: bool) -> AttemptOutcome {
        if let Some((applied, over)) = self.taken_over() {
            return self.goes_on_taken_over(&applied, &over);
        }
        let incident = self.trail.incident();
        let circuit = self.open_circuit();
        let decision = decide(
            self.healer,
            &self.current,
            &self.service,
            incident,
            Known {
                cleared: self.trail.cleared(),
                ordered: self.ordered,
                restart_loop,
                goes_on: self.trail.goes_on(),
                circuit: circuit.as_ref(),
                snapshot: Some(&self.snapshot),
            },
            &self.real,
            |waiting| match waiting {
                Waiting::Begins(on, what, up_to) => self.trail.write(Step::Waits {
                    on,
                    reason: what.to_owned(),
                    up_to,
                }),
                Waiting::StillRestarting => self.read_for_people(),
            },
        );
        match decision {
            // Somebody opens an incident for that.
            Decision::Go(_) if self.is_degradation() => self.has_gone_down(),
            Decision::Up(status) if self.is_degradation() => self.degraded(&status),
            Decision::Go(status) => {
                let _ = self.down.set((*status).clone());
                self.heal(&status)
            }
            Decision::Up(status) => self.is_up(&status),
            Decision::RestartLoop(status) => self.escalate_until(
                format!(
                    "{}, and systemd keeps restarting it (Restart={}, {} times so far)",
                    self.how_it_fails(),
                    status.restart_policy,
                    status.restarts
                ),
                self.current.config.retry_interval,
            ),
            Decision::Leave(LeftAlone::KillSwitch, detail) => self.held_by_kill_switch(detail),
            Decision::Leave(why @ LeftAlone::StartLimit, refused) => {
                let detail = format!("{}; {refused}", self.how_it_fails());
                AttemptOutcome::Ended(Ending::LeftAlone { why, detail })
            }
            Decision::Leave(why, detail) => {
                AttemptOutcome::Ended(Ending::LeftAlone { why, detail })
            }
            Decision::LookAgain(why, detail, after) => {
                AttemptOutcome::LookAgain(why, detail, after)
            }
            Decision::CutOff(reason) => AttemptOutcome::CutOff(reason),
            Decision::Unknown(reason) => self.escalate(reason),
        }
    }

    /// The unit is up although a failure was noticed: somebody was faster, or
    /// it runs and does not answer.
    fn is_up(&self, status: &UnitStatus) -> AttemptOutcome {
        let detection = &self.trail.incident().detection;
        // A probe that makes an incident has had its chances, and whoever asks
        // for a heal wants an answer: one look. Else somebody may have started
        // it a moment ago, and it may still be on its way.
        let found =
            if detection.cause == Cause::NotAnswering || detection.by == DetectedBy::Operator {
                self.prover().is_well()
            } else {
                self.wait_for_systemd();
                self.becomes_well()
            };
        match found {
            // What made it an incident was a probe that is declared differently now.
            Ok(well)
                if detection.cause == Cause::NotAnswering
                    && !well.unknown.is_empty()
                    && !self.trail.is_dry_run() =>
            {
                self.escalate(format!(
                    "it is up, and whether it answers is not known: probe `{}` has never been \
                     answered since it was declared so",
                    well.unknown.join("`, `")
                ))
            }
            Ok(well) => {
                let after = self.answering(&well);
                let started_by = self.trail.started_by(&well.status).cloned();
                match self.stays(&well, started_by.as_ref()) {
                    Ok(still) => AttemptOutcome::Ended(match started_by {
                        // It took longer than it was given.
                        Some(strategy) if !self.trail.was_interrupted() => Ending::Healed {
                            strategy,
                            recovered_after: after,
                            served_by: None,
                        },
                        _ => Ending::Recovered {
                            by: self.recovered_by(&still),
                        },
                    }),
                    Err(reason) => self.relapsed(reason),
                }
            }
            Err(_) if self.is_superseded() => self.begin_anew(),
            Err(reason) if self.has_moved_on(status) => self.relapsed(reason),
            Err(reason) => {
                self.look_at_main_process(status);
                self.trail.write(Step::Note {
                    message: format!("it is up, and not well: {reason}"),
                });
                self.not_well.replace(Some(reason));
                self.heal(status)
            }
        }
    }

    /// The kill switch is on, and a person asks about a unit that is up: it holds nothing back
    /// where that is well.
    fn held_by_kill_switch(&self, detail: String) -> AttemptOutcome {
        if !self.is_restart_wanted()
            && let Ok(well) = self.prover().is_well()
        {
            self.answering(&well);
            if let Ok(still) = self.stays(&well, None) {
                return AttemptOutcome::Ended(Ending::Recovered {
                    by: self.recovered_by(&still),
                });
            }
        }
        let why = LeftAlone::KillSwitch;
        AttemptOutcome::Ended(Ending::LeftAlone { why, detail })
    }

    /// Whether the host was rebooted since it failed. Moments of another boot say nothing
    /// of this one's.
    fn is_of_another_boot(&self) -> bool {
        self.trail.incident().boot_id != self.healer.settings.situation.boot_id()
    }

    /// Whose doing it may have been that the service is up again.
    fn recovered_by(&self, status: &UnitStatus) -> String {
        if self.trail.was_interrupted() {
            return "Prunella acted before it was interrupted".to_owned();
        }
        let detection = &self.trail.incident().detection;
        if matches!(detection.cause, Cause::State(_)) {
            return "it had not failed".to_owned();
        }
        if self.is_of_another_boot() {
            return "the host was rebooted meanwhile".to_owned();
        }
        let failed_run = &detection.invocation;
        if failed_run.is_some() && status.invocation == *failed_run {
            "the same run recovered by itself".to_owned()
        } else if status.restarts > 0 {
            // systemd counts from the last start that was not its own: Prunella's, say.
            let healed = self.trail.healed_before();
            let before = detection.restarts_before.filter(|_| !healed);
            let times = match before {
                Some(before) => status.restarts.saturating_sub(before),
                None if healed => status.restarts,
                None => 1,
            };
            let who = if healed {
                "Prunella started it, and systemd restarted it"
            } else {
                "systemd restarted it"
            };
            let policy = &status.restart_policy;
            match times {
                2.. => format!("{who} {times} times (Restart={policy})"),
                _ => format!("{who} (Restart={policy})"),
            }
        } else {
            "somebody else started it".to_owned()
        }
    }

    /// The next attempt decides anew what the matter is.
    fn look_again(&self) -> AttemptOutcome {
        AttemptOutcome::TryAgain(Duration::ZERO)
    }

    /// After a relapse outside any strategy's heal.
    fn relapsed(&self, reason: String) -> AttemptOutcome {
        self.trail.write(Step::NotProven {
            strategy: None,
            reason,
            relapse: true,
        });
        self.look_again()
    }

    /// Whether the unit is no longer as `seen`: systemd restarts it by itself, say, and what
    /// was found out about it holds no more.
    fn has_moved_on(&self, seen: &UnitStatus) -> bool {
        if self.trail.is_dry_run() {
            return false;
        }
        let now = self.host.unit(Instant::now() + LOOK, &self.service.unit);
        now.is_ok_and(|now| {
            now.active_state != seen.active_state
                || now.invocation != seen.invocation
                || now.restarts != seen.restarts
        })
    }

    fn heal(&self, status: &UnitStatus) -> AttemptOutcome {
        // One that is up and not well: a probe comes with it again.
        if let Some(detail) = mistake(&self.current, &self.service.unit) {
            let why = LeftAlone::Misconfigured;
            return AttemptOutcome::Ended(Ending::LeftAlone { why, detail });
        }
        if let Some(outcome) = self.at_open_circuit(status) {
            return outcome;
        }
        if let Some(outcome) = self.waits_for_circuit(status) {
            return outcome;
        }
        let mut only_isolates = false;
        if !self.trail.is_dry_run() {
            match self.budget() {
                BudgetVerdict::Now => {}
                // A person may decide meanwhile.
                BudgetVerdict::After(_) if self.has_to_ask(status) => {}
                BudgetVerdict::After(wait) => return AttemptOutcome::WaitForBudget(wait),
                BudgetVerdict::Spent { .. } if self.could_isolate() => only_isolates = true,
                BudgetVerdict::Spent { .. } => {
                    return self.escalate(self.budget_is_spent());
                }
            }
        }
        let related = related(status);
        if !self.is_restart_wanted() {
            self.ask_model();
        }
        let mut applying = match self.assess(status, &related) {
            Ok(applying) => self.in_order(applying),
            Err(outcome) => return outcome,
        };
        self.heed_opinion(&mut applying);
        if only_isolates {
            applying.retain(|(_, loaded)| opens_circuits(loaded));
            if applying.is_empty() {
                return self.escalate(self.budget_is_spent());
            }
        }

        let mut reasons = Vec::new();
        for (position, (name, loaded)) in applying.iter().enumerate() {
            match self.heal_in_turn(position, name, loaded, &related) {
                Healing::Proven(after) => return self.healed_by(name, after),
                Healing::Over(outcome) => return outcome,
                Healing::Not(reason) => reasons.push(format!("{name}: {reason}")),
                Healing::Wait(wait) => return AttemptOutcome::TryAgain(wait),
            }
        }
        if self.trail.is_dry_run() {
            return AttemptOutcome::Ended(Ending::DryRun {
                verdict: format!("nothing would heal it: {}", reasons.join("; ")),
            });
        }
        if self.trail.healings() == 0 && !only_isolates {
            // Nothing was spent, so the budget would let it try for ever.
            return self.escalate(format!(
                "no strategy got as far as a start: {}",
                reasons.join("; ")
            ));
        }
        match self.budget() {
            BudgetVerdict::Now => AttemptOutcome::TryAgain(Duration::ZERO),
            BudgetVerdict::After(wait) => AttemptOutcome::TryAgain(wait),
            // The next attempt does nothing else.
            BudgetVerdict::Spent { .. } if !only_isolates && self.could_isolate() => {
                AttemptOutcome::TryAgain(Duration::ZERO)
            }
            BudgetVerdict::Spent { .. } => self.escalate(self.budget_is_spent()),
        }
    }
}

/// The units that a healing of the one with this status may have to do with.
fn related(status: &UnitStatus) -> BTreeSet<UnitName> {
    let units = status.requires.iter().chain(&status.triggered_by);
    units.cloned().collect()
}
