//! What an attempt makes of the evidence: findings of the rules, a model's opinion,
//! and the order that either suggests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName,
    analyst::{Evidence, FailedRun, Stall},
    capability::{ActiveState, Goal, UnitStatus, units},
    cause::Cause,
    diagnosis,
    incident::Ending,
    service::Order,
    statistics::order::{Candidate, Learned, learned},
    text::{one_line, redact},
    trail::{Awaited, Step},
};

use prunella_report::length;

use super::{Attempt, AttemptOutcome, LOOK};
use crate::{
    decide::{SETTLE, told_in},
    evidence,
    opinions::Answered,
    strategies::Loaded,
};

/// How many of the failed run's last lines are kept as evidence.
const EVIDENCE_LINES: usize = 20;

/// A run that lasted no longer than this has failed at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long the model is waited for when a service is well again.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Attempt<'_> {
    /// Writes what the failed run's program logged last, and what the rules make of all there
    /// is into the trail, once. Not before the strategies have acted: reading
    /// the journal takes longer than healing.
    pub(super) fn diagnose(&self) {
        if self.diagnosed.replace(true) {
            return;
        }
        let situation = &self.healer.settings.situation;
        situation.wait_for_logs(Instant::now() + LOOK);
        let evidence = self.gatherer()();
        let mut runs = evidence.runs.iter();
        let first = runs.next();
        if !self.evidence_written.replace(true)
            && let Some(lines) = first
                .map(|first| {
                    let mut lines = own_lines(first);
                    lines.extend(self.own_word(&evidence));
                    lines
                })
                .filter(|lines| !lines.is_empty())
        {
            self.trail.write(Step::Evidence { lines });
        }
        // A later run may be up by now: how it failed was seen before.
        let mut fails_otherwise = self.trail.has_failed_otherwise();
        if let (Some(first), Some(last)) = (first, runs.next_back()) {
            let how = |run: &FailedRun| (run.result.clone(), run.exit_code, run.signal.clone());
            let lines = own_lines(last);
            // One that fails as the first did is another again after those between.
            fails_otherwise |= how(first) != how(last) || own_lines(first) != lines;
            if fails_otherwise {
                self.trail.write(Step::FailedAgain {
                    cause: Cause::from(last.result.as_str()),
                    exit_code: last.exit_code,
                    signal: last.signal.clone(),
                    lines,
                });
            }
        }
        let mut findings = self.healer.settings.analyst.diagnose(&evidence);
        // Who ended the first run has nothing to do with what fails since.
        if fails_otherwise {
            findings.retain(|finding| finding.cause != diagnosis::Cause::KillRequested);
        }
        // That it was started too often comes of what its program has said.
        if evidence
            .runs
            .last()
            .is_some_and(|run| !own_lines(run).is_empty())
        {
            findings.retain(|finding| finding.cause != diagnosis::Cause::StartLimit);
        }
        if !findings.is_empty() {
            self.trail.write(Step::Diagnosed { findings });
        }
        self.last_failure
            .replace(evidence.runs.into_iter().next_back());
    }

    /// Reads what the latest run of a unit said that systemd restarts, for people who are about
    /// to hear that it is down.
    pub(super) fn read_for_people(&self) {
        if self.read_for_people.replace(true) {
            return;
        }
        self.diagnose();
        // The runs to come may fail otherwise.
        self.diagnosed.set(false);
    }

    /// Waits for a unit that was up a moment ago, and that systemd may be about to restart
    /// again, until people are about to hear of it.
    pub(super) fn wait_for_systemd(&self) {
        if let Some(left) = self.told_in().filter(|left| !left.is_zero()) {
            let wait = units::Wait {
                unit: self.service.unit.clone(),
                goal: Goal::Up,
                timeout: left,
            };
            // How it stands then is looked at next.
            let _ = self.host.ask(Instant::now() + left, wait);
        }
        self.tell_who_restarts();
    }

    /// Writes that systemd is at work on the unit, with the evidence, when that is so and
    /// people are about to hear that the unit is down.
    pub(super) fn tell_who_restarts(&self) {
        let is_due = self.told_in().is_some_and(|left| left.is_zero());
        if !is_due || self.read_for_people.get() {
            return;
        }
        let now = self
            .host
            .unit(Instant::now() + LOOK, &self.service.unit)
            .ok();
        if let Some(now) = now.filter(UnitStatus::is_auto_restarting) {
            self.read_for_people();
            self.trail.write(Step::Waits {
                on: Awaited::SystemdRestart,
                reason: format!("systemd's own restart (Restart={})", now.restart_policy),
                up_to: SETTLE,
            });
        }
    }

    fn told_in(&self) -> Option<Duration> {
        if self.trail.is_dry_run() {
            return None;
        }
        told_in(&self.current, &self.service, self.trail.incident())
    }

    /// What the run that failed said of itself last.
    fn own_word(&self, evidence: &Evidence) -> Option<String> {
        let failed = self.trail.incident().detection.invocation.as_ref()?;
        let status = evidence.status.as_ref()?;
        let said = status.own_word.status.as_ref()?;
        (status.invocation.as_ref() == Some(failed)).then(|| format!("its own status: {said}"))
    }

    /// How its latest run failed, in a sentence about `it`: after how long, in what
    /// way, and what its program said last.
    pub(super) fn how_it_fails(&self) -> String {
        self.diagnose();
        let failure = self.last_failure.borrow();
        let Some(run) = failure.as_ref() else {
            return "it fails again and again".to_owned();
        };
        let when = match run.lasted {
            None => "again and again".to_owned(),
            Some(lasted) if lasted < AT_ONCE => "at each start".to_owned(),
            Some(lasted) => format!("{} after each start", length(lasted)),
        };
        format!("it fails {when} ({})", how_it_ended(run))
    }

    /// How its run failed that was the first since it was well, in a sentence about `it`.
    pub(super) fn how_it_failed(&self) -> String {
        self.diagnose();
        let failure = self.last_failure.borrow();
        match failure.as_ref() {
            Some(run) => format!("it failed once more ({})", how_it_ended(run)),
            None => "it failed once more".to_owned(),
        }
    }

    /// Whether a person asked about a service that was well, or wants it restarted: then there
    /// is no cause to look for, unless that goes wrong.
    pub(super) fn nothing_failed(&self) -> bool {
        let cause = &self.trail.incident().detection.cause;
        let was_up = *cause == Cause::State(ActiveState::Active);
        self.is_restart_wanted() || (was_up && self.trail.healings() == 0)
    }

    /// Whether a person wants the service restarted although it is well.
    pub(super) fn is_restart_wanted(&self) -> bool {
        self.trail.incident().detection.cause == Cause::RestartRequested
    }

    /// Looks at the main process of a unit that is up and does not answer. A restart
    /// leaves nothing of it to look at.
    pub(super) fn look_at_main_process(&self, status: &UnitStatus) {
        let situation = &self.healer.settings.situation;
        self.stall.set(status.main_pid.and_then(|pid| {
            let state = situation.stall(pid)?;
            Some(Stall { pid, state })
        }));
        if let Some(stall) = self.stall.get() {
            self.tell_stall(status, stall);
        }
    }

    /// Writes at once what keeps the main process from running: a restart may take minutes,
    /// and whoever hears of the hang meanwhile may be quicker. The rest of the evidence takes
    /// longer to read.
    fn tell_stall(&self, status: &UnitStatus, stall: Stall) {
        let evidence = Evidence {
            detection: self.trail.incident().detection.clone(),
            domain: None,
            status: Some(status.clone()),
            runs: Vec::new(),
            needs: Vec::new(),
            ports: Vec::new(),
            stall: Some(stall),
            memory: None,
            memory_pressure: None,
            load: None,
            disks: Vec::new(),
            changes: Vec::new(),
        };
        let findings = self.healer.settings.analyst.diagnose(&evidence);
        if !findings.is_empty() {
            self.trail.write(Step::Diagnosed { findings });
        }
    }

    /// Gathers the evidence, on whatever thread it is called.
    pub(super) fn gatherer(&self) -> impl Fn() -> Evidence + Send + Sync + 'static {
        let host = self.real.clone();
        let changes = Arc::clone(&self.healer.settings.changes);
        let service = Arc::clone(&self.service);
        let detection = self.trail.incident().detection.clone();
        let down = self.down.get().cloned();
        let stall = self.stall.get();
        move || evidence::gather(&host, &*changes, &service, &detection, down.as_ref(), stall)
    }

    /// Begins to ask the model, where there is one: once for an incident, and
    /// never in a dry run, which is to have no consequences.
    pub(super) fn ask_model(&self) {
        if let Some(model) = &self.current.config.analysis
            && self.trail.attempt() == 1
            && !self.trail.is_dry_run()
        {
            self.asked.set(Some(Instant::now()));
            self.healer.opinions.ask(
                self.trail.incident().id.clone(),
                Arc::clone(&self.healer.settings.analyst),
                model.clone(),
                self.service.strategies.clone(),
                self.gatherer(),
            );
        }
    }

    /// Writes the model's answer into the trail, if it comes within `patience`.
    fn take_opinion(&self, patience: Duration) -> Option<Answered> {
        let incident = &self.trail.incident().id;
        let answered = self.healer.opinions.answer(incident, patience)?;
        self.trail.write(answered.step());
        Some(answered)
    }

    /// What the model has to say when an attempt is over. It is waited for when
    /// people are about to be told that they have to do something; a service that
    /// is up has to be free for its next failure.
    pub(super) fn last_word(&self, outcome: &AttemptOutcome) {
        let patience = match outcome {
            AttemptOutcome::Ended(Ending::Escalated { .. }) => Duration::MAX,
            AttemptOutcome::Ended(_) => LAST_WORD,
            _ => Duration::ZERO,
        };
        if self.take_opinion(patience).is_none()
            && matches!(outcome, AttemptOutcome::Ended(_))
            && let Some(unanswered) = self.healer.opinions.give_up(&self.trail.incident().id)
        {
            self.trail.write(unanswered.step());
        }
    }

    /// Waits for the model as long as the operator lets healing wait, and where
    /// the operator lets it, tries those that apply in its order. Nothing else
    /// comes of an opinion.
    pub(super) fn heed_opinion(&self, applying: &mut [(&StrategyName, &Loaded)]) {
        let Some(model) = &self.current.config.analysis else {
            return;
        };
        if model.wait.is_zero() {
            return;
        }
        let since = self.asked.get().map_or(Duration::ZERO, |at| at.elapsed());
        let Some(answered) = self.take_opinion(model.wait.saturating_sub(since)) else {
            return;
        };
        let Ok(opinion) = &answered.opinion else {
            return;
        };
        let place = |name: &StrategyName| {
            opinion
                .order
                .iter()
                .position(|wanted| wanted == name)
                .unwrap_or(usize::MAX)
        };
        if !model.may_order || applying.is_sorted_by_key(|(name, _)| place(name)) {
            return;
        }
        applying.sort_by_key(|(name, _)| place(name));
        self.trail.write(Step::Ordered {
            order: applying.iter().map(|(name, _)| (*name).clone()).collect(),
            reason: format!(
                "{} would try them so, thinking: {}",
                answered.model, opinion.cause
            ),
        });
    }

    /// The strategies that apply in the order in which they are tried: the
    /// operator's, unless that is to be learned and the evidence suggests
    /// another.
    pub(super) fn in_order<'s>(
        &self,
        mut applying: Vec<(&'s StrategyName, &'s Loaded)>,
    ) -> Vec<(&'s StrategyName, &'s Loaded)> {
        if self.service.order != Order::Learned || applying.len() < 2 || self.is_restart_wanted() {
            return applying;
        }
        let Some(store) = &self.healer.settings.store else {
            return applying;
        };
        // What kind of failure it is shows in what the failed run said last.
        self.diagnose();
        let counts = match store.counts(&self.trail.signature()) {
            Ok(counts) => counts,
            Err(error) => {
                tracing::debug!(
                    "the order of {} is the listed one: {error}",
                    self.service.unit
                );
                return applying;
            }
        };
        let candidates: Vec<Candidate> = applying
            .iter()
            .map(|(name, _)| Candidate {
                strategy: (*name).clone(),
                same: counts.same.get(*name).copied().unwrap_or_default(),
                similar: counts.similar.get(*name).copied().unwrap_or_default(),
            })
            .collect();
        if let Some(Learned { order, reason }) = learned(&candidates) {
            applying.sort_by_key(|(name, _)| order.iter().position(|other| other == *name));
            self.trail.write(Step::Ordered { order, reason });
        }
        applying
    }
}

/// How a run ended, in a few words, and what its program said last.
fn how_it_ended(run: &FailedRun) -> String {
    let how = match (&run.signal, run.exit_code) {
        (Some(signal), _) => format!("SIG{}", signal.trim_start_matches("SIG")),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => run.result.clone(),
    };
    match own_lines(run).pop() {
        Some(line) => format!("{how}: {}", redact(&line)),
        None => how,
    }
}

/// What the program of a run said last. What systemd says is the same for every failure.
fn own_lines(run: &FailedRun) -> Vec<String> {
    let own = run.lines.iter().filter(|line| !line.by_systemd);
    let mut lines: Vec<String> = own
        .rev()
        .take(EVIDENCE_LINES)
        .map(|entry| one_line(&entry.message, 500))
        .collect();
    lines.reverse();
    lines
}
