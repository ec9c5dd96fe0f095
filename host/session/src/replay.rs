//! Playing a session again: a component hears the recorded answers, until it asks
//! for something else.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, StrategyName, UnitName,
    capability::{
        Answer, CheckReport, Checks, Clock, Disk, EnvKey, FileRepair, FileStatus, Files, Goal,
        History, Host, Job, Load, LogEntry, LogQuery, Logs, Memory, PastIncident, PortHolder,
        Ports, Pressure, PressureOf, ProbeAnswer, Probes, Process, ProcessControl, ProcessInfo,
        Processes, Protocol, Repair, Resources, State, Termination, UnitAct, UnitControl,
        UnitStatus, Units,
    },
};
use prunella_engine::{Call, Lines, RunContext, Strategy};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Ended, Entry, Played, asked_for,
    file::{Holds, Known, with},
    record::{ended, redacted_value, repair_call, unit_call},
};

/// Where a component departs from a session: its first call that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Departure {
    /// Which call of the run, from 1 on.
    pub number: usize,
    /// The call that was recorded; none when the recording ends here.
    pub recorded: Option<Entry>,
    /// The call that it made; none when it made no further one.
    pub made: Option<Entry>,
}

/// How a component did on a recorded run.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// How many calls were answered from the session.
    pub answered: usize,
    /// Where it departed, if it did.
    pub departure: Option<Departure>,
    /// How it ended now. After a departure every call has failed, so this says
    /// little.
    pub ended: Ended,
}

impl Replayed {
    /// Whether it asked and said the same as when the session was recorded.
    pub fn is_same_as(&self, played: &Played) -> bool {
        self.departure.is_none() && played.ended.as_ref() == Some(&self.ended)
    }
}

/// Runs a strategy on a recorded run.
pub fn replay(strategy: &Strategy, played: &Played, lines: Arc<dyn Lines>) -> Replayed {
    let begun = &played.begun;
    let tape = Tape(Arc::new(Mutex::new(Progress {
        calls: played.calls.clone(),
        at: 0,
        departure: None,
        clocks: (0, 0),
    })));
    let context = RunContext {
        host: tape.host(),
        incident: begun.incident.clone(),
        service: Arc::new(begun.service.service()),
        rehearsal: begun.rehearsal,
        limits: begun.limits.clone(),
        settings: begun.settings.clone(),
        lines,
    };
    let ended = match begun.call {
        Call::Heal => ended(&strategy.heal(context).result, Ended::Healed),
        _ => ended(&strategy.assess(context).result, Ended::Assessed),
    };
    let mut progress = tape.lock();
    if progress.departure.is_none() && progress.at < progress.calls.len() {
        progress.departure = Some(Departure {
            number: progress.at + 1,
            recorded: progress.calls.get(progress.at).cloned(),
            made: None,
        });
    }
    Replayed {
        answered: progress.at,
        departure: progress.departure.take(),
        ended,
    }
}

/// How far a run has come on its recording.
struct Progress {
    calls: Vec<Entry>,
    at: usize,
    departure: Option<Departure>,
    /// What the clocks said last; it is what they say after a departure.
    clocks: (u64, u64),
}

/// The recorded answers, in the place of a host.
#[derive(Clone)]
struct Tape(Arc<Mutex<Progress>>);

impl Tape {
    fn host(&self) -> Host {
        Host::all_by(Arc::new(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorded answer to a call, if it is the next one.
    fn answer<T: DeserializeOwned>(&self, call: &str, arguments: Value) -> Answer<T> {
        let made = Entry {
            call: call.to_owned(),
            with: with(arguments),
            gave: None,
            failed: None,
        };
        let mut progress = self.lock();
        if progress.departure.is_some() {
            return Err(departed());
        }
        let recorded = progress.calls.get(progress.at).cloned();
        let answer = recorded
            .as_ref()
            .filter(|recorded| recorded.call == made.call && recorded.with == made.with)
            .and_then(|recorded| match &recorded.failed {
                Some(failure) => Some(Err(failure.clone())),
                None => {
                    let gave = recorded.gave.clone().unwrap_or_default();
                    serde_json::from_value(gave).ok().map(Ok)
                }
            });
        match answer {
            Some(answer) => {
                progress.at += 1;
                answer
            }
            None => {
                progress.departure = Some(Departure {
                    number: progress.at + 1,
                    recorded,
                    made: Some(made),
                });
                Err(departed())
            }
        }
    }

    fn process(&self, known: Known) -> Arc<dyn Process> {
        Arc::new(Recalled {
            tape: self.clone(),
            known,
        })
    }
}

fn departed() -> Failure {
    Failure::unavailable(
        "not-in-session",
        "the session has no answer to this: the run has departed from what was recorded",
    )
}

struct Recalled {
    tape: Tape,
    known: Known,
}

impl Process for Recalled {
    fn info(&self) -> &ProcessInfo {
        &self.known.info
    }

    fn alive(&self) -> bool {
        let arguments = json!({ "process": self.known.handle });
        self.tape
            .answer("process.alive", arguments)
            .unwrap_or(false)
    }

    fn terminate(&self, deadline: Instant, grace: Duration) -> Answer<Termination> {
        let grace = asked_for(grace, deadline);
        let arguments = json!({ "process": self.known.handle, "grace": grace });
        self.tape.answer("process-control.terminate", arguments)
    }
}

struct RecalledJob {
    tape: Tape,
    handle: u32,
}

impl Job for RecalledJob {
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String> {
        let timeout = asked_for(timeout, deadline);
        let arguments = json!({ "job": self.handle, "timeout": timeout });
        self.tape.answer("job.wait", arguments)
    }
}

impl Clock for Tape {
    fn now(&self) -> u64 {
        let answer = self.answer("clock.now", json!({}));
        let clocks = &mut self.lock().clocks;
        clocks.0 = answer.unwrap_or(clocks.0);
        clocks.0
    }

    fn monotonic(&self) -> u64 {
        let answer = self.answer("clock.monotonic", json!({}));
        let clocks = &mut self.lock().clocks;
        clocks.1 = answer.unwrap_or(clocks.1);
        clocks.1
    }

    fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()> {
        self.answer(
            "clock.sleep",
            json!({ "time": asked_for(duration, deadline) }),
        )
    }
}

impl Units for Tape {
    fn get(&self, _: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        self.answer("units.get", json!({ "unit": unit }))
    }

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        let timeout = asked_for(timeout, deadline);
        let arguments = json!({ "unit": unit, "until": goal, "timeout": timeout });
        self.answer("units.wait", arguments)
    }
}

impl Processes for Tape {
    fn of_unit(&self, _: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let found: Vec<Known> = self.answer("processes.of-unit", json!({ "unit": unit }))?;
        Ok(found.into_iter().map(|known| self.process(known)).collect())
    }
}

impl Ports for Tape {
    fn holders(&self, _: Instant, protocol: Protocol, number: u16) -> Answer<Vec<PortHolder>> {
        let port = format!("{}/{number}", protocol.word());
        let found: Vec<Holds> = self.answer("ports.holders", json!({ "port": port }))?;
        let holder = |holds: Holds| PortHolder {
            process: holds.process.map(|known| self.process(known)),
            unit: holds.unit,
            socket_activated: holds.socket_activated,
            address: holds.address,
        };
        Ok(found.into_iter().map(holder).collect())
    }
}

impl Files for Tape {
    fn stat(&self, _: Instant, name: &str) -> Answer<FileStatus> {
        self.answer("files.stat", json!({ "name": name }))
    }

    fn sha256(&self, _: Instant, name: &str) -> Answer<String> {
        self.answer("files.sha256", json!({ "name": name }))
    }

    fn env_keys(&self, _: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        self.answer("files.env-keys", json!({ "name": name }))
    }

    fn missing_keys(&self, _: Instant, name: &str) -> Answer<Vec<String>> {
        self.answer("files.missing-keys", json!({ "name": name }))
    }
}

impl Logs for Tape {
    fn tail(&self, _: Instant, query: &LogQuery) -> Answer<Vec<LogEntry>> {
        let arguments = json!({
            "unit": query.unit,
            "invocation": query.invocation,
            "priority": query.priority,
            "lines": query.lines,
        });
        self.answer("logs.tail", arguments)
    }
}

impl Resources for Tape {
    fn memory(&self) -> Answer<Memory> {
        self.answer("resources.memory", json!({}))
    }

    fn disk(&self, place: &str) -> Answer<Disk> {
        self.answer("resources.disk", json!({ "place": place }))
    }

    fn load(&self) -> Answer<Load> {
        self.answer("resources.load", json!({}))
    }

    fn pressure(&self, of: PressureOf) -> Answer<Pressure> {
        self.answer("resources.pressure", json!({ "of": of }))
    }
}

impl Probes for Tape {
    fn ask(&self, _: Instant, name: &str) -> Answer<ProbeAnswer> {
        self.answer("probes.ask", json!({ "name": name }))
    }
}

impl History for Tape {
    fn recent(&self, limit: u32) -> Answer<Vec<PastIncident>> {
        self.answer("history.recent", json!({ "limit": limit }))
    }
}

impl State for Tape {
    fn get(&self, _: &StrategyName, key: &str) -> Answer<Option<String>> {
        self.answer("state.get", json!({ "key": key }))
    }

    fn set(&self, _: &StrategyName, key: &str, value: &str) -> Answer<()> {
        let value = redacted_value(key, value);
        self.answer("state.set", json!({ "key": key, "value": value }))
    }

    fn remove(&self, _: &StrategyName, key: &str) -> Answer<bool> {
        self.answer("state.remove", json!({ "key": key }))
    }

    fn keys(&self, _: &StrategyName) -> Answer<Vec<String>> {
        self.answer("state.keys", json!({}))
    }
}

impl UnitControl for Tape {
    fn submit(&self, _: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        let handle = self.answer(unit_call(act), json!({ "unit": unit }))?;
        let tape = self.clone();
        Ok(Arc::new(RecalledJob { tape, handle }))
    }

    fn reset_failed(&self, _: Instant, unit: &UnitName) -> Answer<()> {
        self.answer("unit-control.reset-failed", json!({ "unit": unit }))
    }
}

impl ProcessControl for Tape {
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination> {
        process.terminate(deadline, grace)
    }
}

impl FileRepair for Tape {
    fn repair(&self, _: Instant, name: &str, what: Repair) -> Answer<bool> {
        self.answer(repair_call(what), json!({ "name": name }))
    }
}

impl Checks for Tape {
    fn run(&self, _: Instant, name: &str) -> Answer<CheckReport> {
        self.answer("checks.run", json!({ "name": name }))
    }
}
