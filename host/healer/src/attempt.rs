//! One attempt at an incident: decide, assess, heal, prove.

mod diagnosis;
mod healing;

use std::{
    cell::{Cell, OnceCell},
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName, UnitName,
    budget::BudgetVerdict,
    capability::{Host, UnitStatus},
    cause::Cause,
    duration::written,
    incident::{Assessment, DetectedBy, Ending, IncidentId, LeftAlone},
    service::Service,
    text::one_line,
    trail::Step,
};
use prunella_engine::{Call, Level, Lines, RunContext};
use prunella_recording::RunRecorder;

use self::healing::Healing;
use crate::{
    assess::{Asked, ask_all},
    clock::{self, microseconds, milliseconds, wall_clock},
    decide::{Decision, Known, decide},
    dry_run,
    healer::{Current, Healer},
    kernel::{Kernel, Phase, Rules, Snapshot},
    oversight::Overseer,
    proof,
    snapshot::UnitSnapshot,
    strategies::Loaded,
    trail::Trail,
};

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
    /// Another incident is open for the unit.
    Superseded(IncidentId),
    /// Another unit has to be healed first.
    Blocked(UnitName, String),
}

/// When an incident that people have to see to, and about which nothing could be
/// done, is looked at again for the first time. Then after twice as long, and so
/// on, up to `retry-interval`.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

fn look_again_after(attempt: u32) -> Duration {
    LOOK_AGAIN.saturating_mul(
        1_u32
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u32::MAX),
    )
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
    /// The unit as it was when the attempt decided to heal it.
    down: OnceCell<UnitStatus>,
    overseer: OnceCell<Arc<Overseer>>,
    evidence_written: Cell<bool>,
    diagnosed: Cell<bool>,
    /// When the model was asked.
    asked: Cell<Option<Instant>>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        healer: &'a Healer,
        service: Arc<Service>,
        trail: Arc<Trail>,
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
            down: OnceCell::new(),
            overseer: OnceCell::new(),
            evidence_written: Cell::new(trail.has_lines()),
            diagnosed: Cell::new(false),
            asked: Cell::new(None),
            trail,
        }
    }

    /// Makes the attempt. `seen` is the unit as it was seen to have failed.
    pub(crate) fn run(&self, seen: Option<UnitSnapshot>) -> AttemptOutcome {
        let outcome = self.go(seen);
        let ends = matches!(&outcome, AttemptOutcome::Ended(_));
        let failed = match &outcome {
            AttemptOutcome::Ended(Ending::LeftAlone { why, .. }) => why.needs_people(),
            AttemptOutcome::LookAgain(..) | AttemptOutcome::WaitForBudget(_) => false,
            AttemptOutcome::Ended(Ending::Healed { .. } | Ending::Recovered { .. }) => {
                !self.nothing_failed()
            }
            _ => true,
        };
        if failed {
            self.diagnose();
        }
        // Healing does not wait for it; whoever hears of the end may.
        if ends {
            (self.acted)();
        }
        self.last_word(&outcome);
        outcome
    }

    fn go(&self, seen: Option<UnitSnapshot>) -> AttemptOutcome {
        let incident = self.trail.incident();
        let decision = decide(
            self.healer,
            &self.current,
            &self.service,
            incident,
            Known {
                cleared: self.trail.cleared(),
                snapshot: seen,
            },
            &self.real,
            |what, up_to| {
                self.trail.write(Step::Waits {
                    reason: what.to_owned(),
                    milliseconds: milliseconds(up_to),
                });
            },
        );
        match decision {
            Decision::Go(status) => {
                let _ = self.down.set((*status).clone());
                self.heal(&status)
            }
            Decision::Up(status) => self.is_up(&status),
            Decision::Leave(why, detail) => {
                AttemptOutcome::Ended(Ending::LeftAlone { why, detail })
            }
            Decision::LookAgain(why, detail, after) => {
                AttemptOutcome::LookAgain(why, detail, after)
            }
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
                proof::is_well(&self.service, &self.host)
            } else {
                self.becomes_well()
            };
        match found {
            Ok(well) => {
                let after = self.answering(&well);
                let started_by = self.trail.started_by(&well.status).cloned();
                match self.stays(&well, started_by.as_ref()) {
                    Ok(()) => AttemptOutcome::Ended(match started_by {
                        // It took longer than it was given.
                        Some(strategy) if !self.trail.was_interrupted() => Ending::Healed {
                            strategy,
                            recovered_after: after,
                        },
                        _ => Ending::Recovered {
                            by: self.recovered_by(status),
                        },
                    }),
                    Err(reason) => {
                        self.trail.write(Step::NotProven {
                            strategy: None,
                            reason,
                            relapse: true,
                        });
                        self.look_again()
                    }
                }
            }
            Err(reason) => {
                self.trail.write(Step::Note {
                    message: format!("it is up, and not well: {reason}"),
                });
                self.heal(status)
            }
        }
    }

    /// Whose doing it may have been that the service is up again.
    fn recovered_by(&self, status: &UnitStatus) -> String {
        if self.trail.was_interrupted() {
            return "an act of Prunella's, before it was interrupted".to_owned();
        }
        let detection = &self.trail.incident().detection;
        if matches!(detection.cause, Cause::State(_)) {
            return "it had not failed".to_owned();
        }
        let failed_run = &detection.invocation;
        if failed_run.is_some() && status.invocation == *failed_run {
            "itself: it is the same run".to_owned()
        } else {
            "it was started, and not by an act of Prunella's that came to its end".to_owned()
        }
    }

    /// After a relapse outside any strategy's heal: the next attempt decides
    /// anew what the matter is.
    fn look_again(&self) -> AttemptOutcome {
        AttemptOutcome::TryAgain(Duration::ZERO)
    }

    fn heal(&self, status: &UnitStatus) -> AttemptOutcome {
        if !self.trail.is_dry_run() {
            match self.budget() {
                BudgetVerdict::Now => {}
                BudgetVerdict::After(wait) => return AttemptOutcome::WaitForBudget(wait),
                BudgetVerdict::Spent { .. } => {
                    return self.escalate(self.budget_is_spent());
                }
            }
        }
        let related: BTreeSet<UnitName> = status
            .requires
            .iter()
            .chain(&status.triggered_by)
            .cloned()
            .collect();

        if !self.is_restart_wanted() {
            self.ask_model();
        }
        let snapshot = Arc::new(Snapshot::of(status, Arc::clone(&self.healer.probe_answers)));
        let mut applying = match self.assess(&related, &snapshot) {
            Ok(applying) => self.in_order(applying),
            Err(outcome) => return outcome,
        };
        self.heed_opinion(&mut applying);

        let mut reasons = Vec::new();
        for (position, (name, loaded)) in applying.iter().enumerate() {
            let early = if position == 0 {
                None
            } else {
                self.wait_for_budget()
            };
            let healing =
                early.unwrap_or_else(|| self.heal_with(name, loaded, &related, &snapshot));
            match healing {
                Healing::Proven(after) => {
                    return AttemptOutcome::Ended(if self.trail.is_dry_run() {
                        Ending::DryRun {
                            verdict: format!("{name} would heal it (assumed, nothing was done)"),
                        }
                    } else {
                        Ending::Healed {
                            strategy: (*name).clone(),
                            recovered_after: after,
                        }
                    });
                }
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
        if self.trail.healings() == 0 {
            // Nothing was spent, so the budget would let it try for ever.
            return self.escalate(format!(
                "no strategy got as far as a start: {}",
                reasons.join("; ")
            ));
        }
        match self.budget() {
            BudgetVerdict::Now => AttemptOutcome::TryAgain(Duration::ZERO),
            BudgetVerdict::After(wait) => AttemptOutcome::TryAgain(wait),
            BudgetVerdict::Spent { .. } => self.escalate(format!(
                "it failed again after every healing that its budget allows: {}",
                reasons.join("; ")
            )),
        }
    }

    /// Asks every strategy of the service. Any veto or blocked-by holds
    /// everything; else those that apply come back in the operator's order.
    fn assess(
        &self,
        related: &BTreeSet<UnitName>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<(&StrategyName, &Loaded)>, AttemptOutcome> {
        let mut not_applicable = Vec::new();
        let mut known = Vec::new();
        let mut asked = Vec::new();
        for name in &self.service.strategies {
            let Some(loaded) = self.current.strategies.get(name) else {
                let why = self
                    .current
                    .strategies
                    .refused()
                    .iter()
                    .find(|refused| refused.name == *name)
                    .map_or("it is not known".to_owned(), |refused| {
                        refused.why.to_string()
                    });
                self.trail.write(Step::Note {
                    message: format!("strategy {name} is not in force: {why}"),
                });
                not_applicable.push(format!("{name} is not in force"));
                continue;
            };
            let kernel = self.kernel(name, loaded, related, snapshot, Phase::Assess);
            let context = self.context(name, loaded, kernel.host());
            let (context, recording) = self.recorded(Call::Assess, loaded, context);
            known.push((name, loaded, recording));
            asked.push(Asked {
                strategy: &loaded.strategy,
                context,
            });
        }
        let mut applying = Vec::new();
        let mut vetoes = Vec::new();
        let mut blocked = None;
        ask_all(&self.service, asked, |place, said| {
            let Some((name, loaded, recording)) = known.get(place) else {
                return;
            };
            let (name, loaded) = (*name, *loaded);
            recording.assessed(&said.run.result);
            let took = microseconds(said.took);
            let assessment = match said.run.result {
                Ok(Ok(assessment)) => assessment,
                Ok(Err(failure)) => Assessment::NotApplicable {
                    reason: format!("it could not tell: {failure}"),
                },
                Err(error) => {
                    self.trail.write(Step::Broke {
                        strategy: name.clone(),
                        call: "assess".to_owned(),
                        kind: error.kind().to_owned(),
                        message: error.to_string(),
                    });
                    not_applicable.push(format!("{name} broke off"));
                    return;
                }
            };
            self.trail.write(Step::Assessed {
                strategy: name.clone(),
                assessment: assessment.clone(),
                took,
            });
            match assessment {
                Assessment::Applies { .. } => applying.push((name, loaded)),
                Assessment::NotApplicable { reason } => {
                    not_applicable.push(format!("{name}: {reason}"))
                }
                Assessment::Veto { reason } => vetoes.push(format!("{name}: {reason}")),
                Assessment::BlockedBy { unit, reason } => {
                    blocked.get_or_insert((name, unit, reason));
                }
            }
        });
        if let Some((name, unit, reason)) = blocked {
            return Err(self.blocked(name, &unit, &reason));
        }
        if !vetoes.is_empty() {
            return Err(self.escalate(format!("held back by {}", vetoes.join("; "))));
        }
        if applying.is_empty() {
            return Err(self.escalate(if not_applicable.is_empty() {
                "no strategy is set for it".to_owned()
            } else {
                format!("no strategy applies: {}", not_applicable.join("; "))
            }));
        }
        Ok(applying)
    }

    fn blocked(&self, by: &StrategyName, unit: &str, reason: &str) -> AttemptOutcome {
        let shown = one_line(unit, 100);
        let Ok(unit) = UnitName::new(unit) else {
            return self.escalate(format!(
                "{by} says that `{shown}` has to be healed first, which is not a unit: {reason}"
            ));
        };
        let canonical = self
            .real
            .unit(Instant::now() + Duration::from_secs(10), &unit)
            .map_or(unit, |status| status.name);
        if canonical == self.service.unit {
            return self.escalate(format!(
                "{by} says that the service has to wait for itself: {reason}"
            ));
        }
        if self.current.config.services.contains_key(&canonical) {
            return AttemptOutcome::Blocked(canonical, reason.to_owned());
        }
        self.escalate(format!(
            "{canonical} is the cause, and is not in Prunella's care: {reason}; starting {} \
             against it would be no use",
            self.service.unit
        ))
    }

    fn escalate(&self, reason: String) -> AttemptOutcome {
        if self.trail.is_dry_run() {
            return AttemptOutcome::Ended(Ending::DryRun {
                verdict: format!("it would be handed to people: {reason}"),
            });
        }
        let retry_at = self.current.config.retry_interval.map(|every| {
            // What holds everything may be put right at any moment, and a look
            // spends nothing.
            let wait = if self.trail.healings() == 0 {
                look_again_after(self.trail.attempt()).min(every)
            } else {
                every
            };
            wall_clock().saturating_add(milliseconds(wait))
        });
        AttemptOutcome::Ended(Ending::Escalated { reason, retry_at })
    }

    fn kernel(
        &self,
        name: &StrategyName,
        loaded: &Loaded,
        related: &BTreeSet<UnitName>,
        snapshot: &Arc<Snapshot>,
        phase: Phase,
    ) -> Arc<Kernel> {
        Kernel::new(
            Rules {
                strategy: name.clone(),
                grants: Arc::clone(&loaded.grants),
                service: Arc::clone(&self.service),
                related: related.clone(),
                protected: Arc::clone(&self.current.protected),
                budget: self.budget_settings().clone(),
                host_budget: self.current.config.host_budget.clone(),
                overseer: self.overseer(),
            },
            self.host.clone(),
            Arc::clone(&self.trail),
            Arc::clone(&self.healer.settings.situation),
            Arc::clone(&self.healer.settings.ledger),
            Arc::clone(snapshot),
            phase,
        )
    }

    /// Whoever has to agree to an act.
    fn overseer(&self) -> Arc<Overseer> {
        let build = || {
            let settings = &self.healer.settings;
            Arc::new(Overseer {
                oversight: self.current.config.oversight.clone(),
                service: Arc::clone(&self.service),
                store: settings.store.clone(),
                situation: Arc::clone(&settings.situation),
                analyst: Arc::clone(&settings.analyst),
                model: self.current.config.analysis.clone(),
                evidence: Box::new(self.gatherer()),
            })
        };
        Arc::clone(self.overseer.get_or_init(build))
    }

    fn context(&self, name: &StrategyName, loaded: &Loaded, host: Host) -> RunContext {
        RunContext {
            host,
            incident: self.trail.incident().clone(),
            service: Arc::clone(&self.service),
            dry_run: self.trail.is_dry_run(),
            limits: loaded.limits.clone(),
            settings: loaded.settings.clone(),
            lines: Arc::new(StrategyLines {
                strategy: name.clone(),
                trail: Arc::clone(&self.trail),
            }),
        }
    }

    /// What a run is given, recorded where somebody wants that.
    fn recorded(
        &self,
        call: Call,
        loaded: &Loaded,
        context: RunContext,
    ) -> (RunContext, RunRecorder) {
        match self.healer.recorder.get() {
            Some(recorder) => recorder.begin(call, &loaded.strategy, context),
            None => (context, RunRecorder::none()),
        }
    }

    fn budget_settings(&self) -> &prunella_core::service::BudgetSettings {
        self.current.budget_of(&self.service)
    }

    /// Whose budget is spent, in words.
    fn budget_is_spent(&self) -> String {
        let settings = self.budget_settings();
        let now = clock::moment(&*self.healer.settings.situation);
        let ledger = &self.healer.settings.ledger;
        let own = ledger.healings(&self.service.unit, &now, settings.window);
        if own.len() >= usize::try_from(settings.healings).unwrap_or(usize::MAX) {
            format!(
                "it failed again after {} healings in {}, and its budget allows no more",
                settings.healings,
                written(settings.window)
            )
        } else {
            let host = &self.current.config.host_budget;
            format!(
                "the host's healing budget is spent: {} healings in {} of all services together",
                host.healings,
                written(host.window)
            )
        }
    }

    fn budget(&self) -> BudgetVerdict {
        self.healer.budget(&self.current, &self.service)
    }
}

/// A strategy's log lines, into the trail.
struct StrategyLines {
    strategy: StrategyName,
    trail: Arc<Trail>,
}

impl Lines for StrategyLines {
    fn line(&self, level: Level, message: &str) {
        self.trail.write(Step::Said {
            strategy: self.strategy.clone(),
            level: level.as_str().to_owned(),
            message: message.to_owned(),
        });
    }
}
