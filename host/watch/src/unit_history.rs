//! What is remembered of one unit between signals, and what a signal then
//! means. No clock and no bus: a moment comes with each call.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic,
    capability::{ActiveState, UnitStatus},
    service::RunPolicy,
};
use prunella_linux::Glimpse;

/// So many restarts by systemd itself, within [`LOOP_WITHIN`], are a loop.
pub const LOOP_RESTARTS: usize = 5;
/// Within how long [`LOOP_RESTARTS`] are a loop.
pub const LOOP_WITHIN: Duration = Duration::from_secs(300);

/// What has to be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It has failed.
    Failed,
    /// It is up after it was told to have failed.
    Recovered,
    /// It crashed, and systemd has restarted it by itself (Restart=).
    Restarted,
    /// It restarts again and again.
    Loop,
    /// A job failed because a required unit did.
    Dependency,
    /// A foreign job has ended that found it down: a start, if it is up now.
    MaybeStarted,
    /// A foreign job has ended that found it up: a stop, if it is down now.
    MaybeStopped,
    /// It is down after a foreign job that found it up, or on its way up; or its failed
    /// state was cleared, and no job did that.
    Stopped,
    /// It ended with success, and no job ended it.
    Ended,
}

/// What is remembered of one unit.
#[derive(Debug)]
pub(crate) struct UnitHistory {
    pub(crate) heal_on_stop: bool,
    pub(crate) run_policy: RunPolicy,
    /// See [`Care::only_up`](crate::Care::only_up).
    pub(crate) only_up: bool,
    state: ActiveState,
    auto_restart: bool,
    /// InactiveEnterTimestampMonotonic of the failure that was told. Not the
    /// invocation: a unit that is being started has the next one while it is
    /// still `failed`.
    told: Option<Option<Monotonic>>,
    down: bool,
    job: Option<SeenJob>,
    restarts: u32,
    /// The restarts of which crashes were told.
    told_restarts: u32,
    recent: VecDeque<Instant>,
    looping: bool,
    /// The last run, as the signals told of it: a unit that was stopped with
    /// success is unloaded at once.
    pub(crate) run: Run,
    /// The run that failed, while systemd is about to start the unit again.
    crashed: Option<Run>,
    /// The last run when the latest job was queued.
    run_before_job: Option<String>,
}

/// A run of a unit, as far as signals tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) invocation: Option<String>,
    pub(crate) inactive_enter: Option<Monotonic>,
    pub(crate) active_exit: Option<Monotonic>,
    pub(crate) main_exit: Option<Monotonic>,
    pub(crate) result: Option<String>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct SeenJob {
    id: u32,
    maybe_own: bool,
    found: ActiveState,
    found_waiting: bool,
}

impl UnitHistory {
    /// Nothing is known yet.
    pub(crate) fn new(heal_on_stop: bool, run_policy: RunPolicy) -> Self {
        Self {
            heal_on_stop,
            run_policy,
            only_up: false,
            state: ActiveState::Other,
            auto_restart: false,
            told: None,
            down: false,
            job: None,
            restarts: 0,
            told_restarts: 0,
            recent: VecDeque::new(),
            looping: false,
            run: Run::default(),
            crashed: None,
            run_before_job: None,
        }
    }

    /// How the unit stands, read without a signal.
    pub(crate) fn look(&mut self, status: &UnitStatus) -> Option<Sign> {
        // Its end may have been missed while there were no signals.
        self.job = self
            .job
            .filter(|job| status.job.as_ref().is_some_and(|now| now.id == job.id));
        self.restarts = status.restarts;
        self.told_restarts = status.restarts;
        self.run = Run {
            invocation: status.invocation.clone(),
            inactive_enter: status.inactive_enter_monotonic,
            active_exit: status.active_exit_monotonic,
            main_exit: status.main_exit_monotonic,
            result: Some(status.result.clone()),
            exit_code: status.exit_code,
            signal: status.signal.clone(),
        };
        let was_down = matches!(self.state, ActiveState::Inactive | ActiveState::Failed);
        let sign = self.state(
            status.active_state,
            &status.sub_state,
            status.inactive_enter_monotonic,
        );
        // Its start may have been missed as well, and who waits for it is told that it is up.
        let came_up = was_down && status.active_state == ActiveState::Active && self.job.is_none();
        if sign.is_none() && came_up {
            self.down = false;
            return Some(Sign::Recovered);
        }
        sign
    }

    /// What a PropertiesChanged said.
    pub(crate) fn glimpse(&mut self, now: Instant, glimpse: Glimpse) -> Option<Sign> {
        match glimpse {
            Glimpse::Service {
                result,
                exit_code,
                signal,
                main_exit_monotonic,
                restarts,
            } => {
                self.run.result = Some(result);
                self.run.exit_code = exit_code;
                self.run.signal = signal;
                self.run.main_exit = main_exit_monotonic;
                self.restarted(now, restarts)
            }
            Glimpse::Unit {
                active_state,
                sub_state,
                invocation,
                inactive_enter_monotonic,
                active_exit_monotonic,
                ..
            } => {
                if invocation.is_some() {
                    self.run.invocation = invocation;
                }
                self.run.inactive_enter = inactive_enter_monotonic;
                self.run.active_exit = active_exit_monotonic;
                self.state(active_state, &sub_state, inactive_enter_monotonic)
            }
        }
    }

    fn state(
        &mut self,
        state: ActiveState,
        sub_state: &str,
        entered: Option<Monotonic>,
    ) -> Option<Sign> {
        let before = std::mem::replace(&mut self.state, state);
        if self.only_up {
            let came_up = state == ActiveState::Active && before != ActiveState::Active;
            return came_up.then_some(Sign::Recovered);
        }
        if state != ActiveState::Failed {
            self.told = None;
        }
        // `auto-restart`, and since 254 `failed-before-auto-restart` and others.
        self.auto_restart = sub_state.contains("auto-restart");
        if self.auto_restart {
            // Restart=always restarts what ended well, too: that is no crash.
            let failed = self.run.result.as_deref().is_some_and(|it| it != "success");
            self.crashed = failed.then(|| self.run.clone());
        } else if state == ActiveState::Failed
            || (state == ActiveState::Active && self.being_started())
        {
            self.crashed = None;
        }
        match state {
            ActiveState::Failed if !self.auto_restart => {
                // Every later signal of a failed unit says `failed` again.
                if self.told == Some(entered) {
                    return None;
                }
                self.told = Some(entered);
                Some(Sign::Failed)
            }
            ActiveState::Inactive
                if before == ActiveState::Failed && self.job.is_none() && !self.heal_on_stop =>
            {
                Some(Sign::Stopped)
            }
            // A stop's job is known before the unit goes down, and ends after.
            ActiveState::Inactive
                if self.run_policy == RunPolicy::Always
                    && self.job.is_none()
                    && !self.auto_restart
                    && was_live(before) =>
            {
                Some(Sign::Ended)
            }
            // Who started it is told, and with it that it is up, when the job
            // has ended: an operator's start is more than a recovery.
            ActiveState::Active if self.down && !self.being_started() => {
                self.down = false;
                self.crashed = None;
                Some(Sign::Recovered)
            }
            ActiveState::Active if self.crashed.is_some() => Some(Sign::Restarted),
            _ => None,
        }
    }

    /// The run that failed before systemd restarted the unit, told once, and how often
    /// systemd had restarted the unit when crashes were told of before.
    pub(crate) fn take_crashed(&mut self) -> Option<(Run, u32)> {
        let run = self.crashed.take()?;
        let before = std::mem::replace(&mut self.told_restarts, self.restarts);
        Some((run, before))
    }

    fn restarted(&mut self, now: Instant, restarts: u32) -> Option<Sign> {
        // It goes back to 0 by reset-failed, and by a start that is not
        // systemd's own.
        let new = if restarts >= self.restarts {
            restarts - self.restarts
        } else {
            restarts
        };
        if restarts < self.restarts {
            self.told_restarts = 0;
        }
        self.restarts = restarts;
        if new == 0 {
            return None;
        }
        while self
            .recent
            .front()
            .is_some_and(|at| now.duration_since(*at) > LOOP_WITHIN)
        {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            self.looping = false;
        }
        for _ in 0..(new as usize).min(LOOP_RESTARTS) {
            if self.recent.len() == LOOP_RESTARTS {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
        }
        if self.looping || self.recent.len() < LOOP_RESTARTS {
            return None;
        }
        self.looping = true;
        Some(Sign::Loop)
    }

    /// Whether somebody else's job is at work on the unit, which it found down.
    fn being_started(&self) -> bool {
        self.job.is_some_and(|job| {
            !job.maybe_own
                && !job.found_waiting
                && matches!(job.found, ActiveState::Inactive | ActiveState::Failed)
        })
    }

    /// Whether the unit has run since the latest job was queued.
    pub(crate) fn ran_since_job(&self) -> bool {
        self.run.invocation != self.run_before_job
    }

    /// A job was queued.
    pub(crate) fn job_new(&mut self, id: u32, maybe_own: bool) {
        self.run_before_job.clone_from(&self.run.invocation);
        self.job = Some(SeenJob {
            id,
            maybe_own,
            found: self.state,
            found_waiting: self.auto_restart,
        });
    }

    /// A job has ended.
    pub(crate) fn job_removed(&mut self, id: u32, result: &str, own: bool) -> Option<Sign> {
        let job = self.job.filter(|job| job.id == id);
        if job.is_some() {
            self.job = None;
        }
        match (result, job) {
            _ if own => None,
            ("dependency", _) => Some(Sign::Dependency),
            // It came up, and the job did not do it.
            (result, _) if result != "done" && self.down && self.state == ActiveState::Active => {
                self.down = false;
                Some(Sign::Recovered)
            }
            ("done", Some(job))
                if self.state == ActiveState::Inactive
                    && !self.heal_on_stop
                    && (job.found_waiting
                        || !matches!(job.found, ActiveState::Inactive | ActiveState::Failed)) =>
            {
                Some(Sign::Stopped)
            }
            ("done", Some(job)) if !job.found_waiting => match job.found {
                ActiveState::Inactive | ActiveState::Failed if !job.maybe_own => {
                    self.down = self.down && self.state != ActiveState::Active;
                    Some(Sign::MaybeStarted)
                }
                ActiveState::Active | ActiveState::Reloading | ActiveState::Deactivating
                    if self.heal_on_stop =>
                {
                    Some(Sign::MaybeStopped)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the last signal of it, or the last look, said that it is active.
    /// systemd tells of a unit's state before it tells that its job has ended.
    pub(crate) fn was_up(&self) -> bool {
        self.state == ActiveState::Active
    }

    /// What the last signal of it, or the last look, said.
    pub(crate) fn active_state(&self) -> ActiveState {
        self.state
    }

    /// It has been told to be down, so its coming up is told too.
    pub(crate) fn is_down(&mut self) {
        self.down = true;
    }
}

/// Whether a unit in this state has something that may end.
fn was_live(state: ActiveState) -> bool {
    matches!(
        state,
        ActiveState::Active
            | ActiveState::Reloading
            | ActiveState::Refreshing
            | ActiveState::Deactivating
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(state: ActiveState, sub_state: &str, run: &str, at: u64) -> Glimpse {
        Glimpse::Unit {
            active_state: state,
            sub_state: sub_state.to_owned(),
            invocation: Some(run.to_owned()),
            inactive_enter_monotonic: Some(Monotonic::from_micros(at)),
            inactive_exit_monotonic: None,
            active_exit_monotonic: None,
            job: None,
        }
    }

    fn service(restarts: u32) -> Glimpse {
        Glimpse::Service {
            result: "signal".to_owned(),
            exit_code: None,
            signal: Some("KILL".to_owned()),
            main_exit_monotonic: Some(Monotonic::from_micros(5)),
            restarts,
        }
    }

    #[test]
    fn a_failure_is_told_once_and_its_end_too() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        let failed = || unit(ActiveState::Failed, "failed", "a", 7);
        assert_eq!(history.glimpse(now, service(0)), None);
        assert_eq!(history.glimpse(now, failed()), Some(Sign::Failed));
        history.is_down();
        assert_eq!(history.run.signal.as_deref(), Some("KILL"));
        assert_eq!(history.glimpse(now, failed()), None);
        let being_started = unit(ActiveState::Failed, "failed", "b", 7);
        assert_eq!(history.glimpse(now, being_started), None);
        let active = || unit(ActiveState::Active, "running", "b", 7);
        assert_eq!(history.glimpse(now, active()), Some(Sign::Recovered));
        assert_eq!(history.glimpse(now, active()), None);
        let again = unit(ActiveState::Failed, "failed", "b", 9);
        assert_eq!(history.glimpse(now, again), Some(Sign::Failed));
    }

    #[test]
    fn a_failed_state_that_is_cleared_may_be_an_operators_stop() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::Always);
        let failed = unit(ActiveState::Failed, "failed", "a", 7);
        assert_eq!(history.glimpse(now, failed), Some(Sign::Failed));
        let cleared = || unit(ActiveState::Inactive, "dead", "a", 7);
        assert_eq!(history.glimpse(now, cleared()), Some(Sign::Stopped));
        assert_eq!(history.glimpse(now, cleared()), None);
    }

    #[test]
    fn of_a_unit_that_is_not_in_care_only_its_coming_up_is_told() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        history.only_up = true;
        let at = |state, run| unit(state, "any", run, 7);
        assert_eq!(history.glimpse(now, at(ActiveState::Failed, "a")), None);
        assert_eq!(history.glimpse(now, at(ActiveState::Activating, "b")), None);
        let up = || at(ActiveState::Active, "b");
        assert_eq!(history.glimpse(now, up()), Some(Sign::Recovered));
        assert_eq!(history.glimpse(now, up()), None);
    }

    #[test]
    fn an_end_that_no_job_brought_is_one_of_what_is_meant_to_run() {
        let now = Instant::now();
        let active = || unit(ActiveState::Active, "running", "a", 7);
        let inactive = || unit(ActiveState::Inactive, "dead", "a", 9);
        let run = |policy, job: Option<bool>| {
            let mut history = UnitHistory::new(false, policy);
            assert_eq!(history.glimpse(now, active()), None);
            if let Some(maybe_own) = job {
                history.job_new(3, maybe_own);
            }
            let sign = history.glimpse(now, inactive());
            assert_eq!(history.glimpse(now, inactive()), None, "it is told once");
            if job.is_some() {
                let own = job == Some(true);
                let stopped = (!own).then_some(Sign::Stopped);
                assert_eq!(history.job_removed(3, "done", own), stopped);
            }
            sign
        };
        assert_eq!(run(RunPolicy::Always, None), Some(Sign::Ended));
        assert_eq!(run(RunPolicy::OnFailure, None), None);
        assert_eq!(run(RunPolicy::Always, Some(false)), None, "a stop");
        assert_eq!(run(RunPolicy::Always, Some(true)), None, "ours");
        // What never ran has not ended.
        let mut history = UnitHistory::new(false, RunPolicy::Always);
        assert_eq!(history.glimpse(now, inactive()), None);
    }

    #[test]
    fn a_stop_of_what_is_down_is_no_run_and_a_start_is_one() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        let failed = |run| unit(ActiveState::Failed, "failed", run, 7);
        assert_eq!(history.glimpse(now, failed("a")), Some(Sign::Failed));
        history.job_new(3, false);
        assert_eq!(
            history.job_removed(3, "done", false),
            Some(Sign::MaybeStarted)
        );
        assert!(!history.ran_since_job());
        history.job_new(4, false);
        let _ = history.glimpse(now, failed("b"));
        let _ = history.job_removed(4, "done", false);
        assert!(history.ran_since_job());
    }

    #[test]
    fn systemds_own_restart_is_no_failure() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        for (state, sub_state) in [
            (ActiveState::Activating, "auto-restart"),
            (ActiveState::Failed, "failed-before-auto-restart"),
        ] {
            assert_eq!(history.glimpse(now, unit(state, sub_state, "a", 7)), None);
        }
    }

    #[test]
    fn a_crash_that_systemd_restarts_is_told_when_it_is_up_again() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        history.glimpse(now, unit(ActiveState::Active, "running", "a", 1));
        history.glimpse(now, service(0));
        let waits = || unit(ActiveState::Activating, "auto-restart", "a", 1);
        assert_eq!(history.glimpse(now, waits()), None);
        history.job_new(4, false);
        // Its restart job begins with a stop.
        let dead = unit(ActiveState::Inactive, "dead", "a", 1);
        assert_eq!(history.glimpse(now, dead), None);
        let up = || unit(ActiveState::Active, "running", "b", 1);
        assert_eq!(history.glimpse(now, up()), Some(Sign::Restarted));
        let (crashed, restarts_before) = history.take_crashed().unwrap();
        assert_eq!(restarts_before, 0);
        assert_eq!(crashed.invocation.as_deref(), Some("a"));
        assert_eq!(crashed.signal.as_deref(), Some("KILL"));
        assert_eq!(history.glimpse(now, up()), None, "it is told once");

        // Restart=always restarts what ended well, too.
        let Glimpse::Service { restarts, .. } = service(1) else {
            unreachable!()
        };
        let ended_well = Glimpse::Service {
            result: "success".to_owned(),
            exit_code: Some(0),
            signal: None,
            main_exit_monotonic: Some(Monotonic::from_micros(9)),
            restarts,
        };
        history.glimpse(now, ended_well);
        assert_eq!(history.glimpse(now, waits()), None);
        assert_eq!(history.glimpse(now, up()), None);

        // An operator stops it while systemd waits, and starts it later.
        history.glimpse(now, service(1));
        assert_eq!(history.glimpse(now, waits()), None);
        history.job_removed(4, "done", false);
        history.glimpse(now, unit(ActiveState::Inactive, "dead", "a", 1));
        history.job_new(5, false);
        assert_eq!(history.glimpse(now, up()), None);
    }

    #[test]
    fn five_restarts_in_a_row_are_a_loop_told_once() {
        let mut now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        let told: Vec<bool> = (1..=8)
            .map(|count| {
                now += Duration::from_secs(20);
                history.glimpse(now, service(count)) == Some(Sign::Loop)
            })
            .collect();
        assert_eq!(
            told,
            [false, false, false, false, true, false, false, false]
        );
        // After a quiet time it is another loop.
        now += LOOP_WITHIN * 2;
        let again: Vec<bool> = (9..=13)
            .map(|count| history.glimpse(now, service(count)) == Some(Sign::Loop))
            .collect();
        assert_eq!(again, [false, false, false, false, true]);
    }

    #[test]
    fn slow_restarts_are_no_loop() {
        let mut now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        for count in 1..=20 {
            now += Duration::from_secs(100);
            assert_eq!(history.glimpse(now, service(count)), None);
        }
    }

    #[test]
    fn a_count_that_went_back_starts_anew() {
        let now = Instant::now();
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        history.glimpse(now, service(3));
        assert_eq!(history.glimpse(now, service(0)), None);
        assert_eq!(history.glimpse(now, service(1)), None);
        assert_eq!(history.glimpse(now, service(2)), Some(Sign::Loop));
    }

    fn down(history: &mut UnitHistory) {
        history.glimpse(Instant::now(), unit(ActiveState::Failed, "failed", "a", 1));
    }

    #[test]
    fn a_foreign_job_that_found_it_down_may_have_started_it() {
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        down(&mut history);
        history.job_new(1, false);
        assert_eq!(
            history.job_removed(1, "done", false),
            Some(Sign::MaybeStarted)
        );
        history.job_new(2, true);
        assert_eq!(history.job_removed(2, "done", true), None);
        history.job_new(3, true);
        assert_eq!(history.job_removed(3, "done", false), None);
    }

    #[test]
    fn a_stop_matters_only_where_stops_are_healed() {
        for heal_on_stop in [false, true] {
            let mut history = UnitHistory::new(heal_on_stop, RunPolicy::OnFailure);
            history.glimpse(Instant::now(), unit(ActiveState::Active, "running", "a", 1));
            history.job_new(1, false);
            let sign = history.job_removed(1, "done", false);
            assert_eq!(sign, heal_on_stop.then_some(Sign::MaybeStopped));
        }
    }

    #[test]
    fn a_job_that_failed_for_a_dependency() {
        let mut history = UnitHistory::new(false, RunPolicy::OnFailure);
        assert_eq!(
            history.job_removed(1, "dependency", false),
            Some(Sign::Dependency)
        );
        assert_eq!(history.job_removed(1, "dependency", true), None);
        assert_eq!(history.job_removed(1, "failed", false), None);
    }
}
