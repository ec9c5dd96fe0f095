//! A host, with a line in the session for every call.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
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
    text::redact,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Recorder, redacted_value};
use crate::{
    Entry, Line, asked_for,
    file::{Holds, Known, with},
};

/// The host of one run, with a line for every call.
#[derive(Clone)]
pub(super) struct Tape {
    recorder: Arc<Recorder>,
    run: u32,
    host: Host,
    handles: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

impl Tape {
    pub(super) fn new(recorder: Arc<Recorder>, run: u32, host: Host) -> Self {
        Self {
            recorder,
            run,
            host,
            handles: Arc::default(),
        }
    }

    /// The host, with a line for every call.
    pub(super) fn host_of(&self) -> Host {
        Host::all_by(Arc::new(self.clone()))
    }

    /// The next number for a handle of this kind.
    fn number(&self, kind: &'static str) -> u32 {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let number = handles.entry(kind).or_default();
        *number += 1;
        *number
    }

    /// Writes a call and its answer down.
    fn note<T: Serialize>(&self, call: &str, arguments: Value, answer: Result<&T, &Failure>) {
        let (gave, failed) = match answer {
            Ok(value) => (Some(serde_json::to_value(value).unwrap_or_default()), None),
            Err(failure) => (
                None,
                Some(Failure {
                    message: redact(&failure.message),
                    ..failure.clone()
                }),
            ),
        };
        self.recorder.write(&Line::Called {
            run: self.run,
            entry: Entry {
                call: call.to_owned(),
                with: with(arguments),
                gave,
                failed,
            },
        });
    }

    /// The same for an answer that stands in the session as it is.
    fn pass<T: Serialize>(&self, call: &str, arguments: Value, answer: Answer<T>) -> Answer<T> {
        self.note(call, arguments, answer.as_ref());
        answer
    }

    /// The same for one of which something has to be left out.
    fn pass_redacted<T: Serialize + Clone>(
        &self,
        call: &str,
        arguments: Value,
        answer: Answer<T>,
        redacted: impl FnOnce(T) -> T,
    ) -> Answer<T> {
        let shown = answer.clone().map(redacted);
        self.note(call, arguments, shown.as_ref());
        answer
    }

    fn known(&self, process: Arc<dyn Process>) -> (Known, Arc<dyn Process>) {
        let handle = self.number("process");
        let known = Known {
            handle,
            info: process.info().clone(),
        };
        let noted = Arc::new(NotedProcess {
            tape: self.clone(),
            handle,
            process,
        });
        (known, noted)
    }
}

/// A unit without what the contract does not show of it.
fn as_seen(status: UnitStatus) -> UnitStatus {
    UnitStatus {
        description: String::new(),
        user: String::new(),
        group: String::new(),
        fragment: None,
        ..status
    }
}

impl Clock for Tape {
    fn now(&self) -> u64 {
        let now = self.host.clock.now();
        self.note("clock.now", json!({}), Ok(&now));
        now
    }

    fn monotonic(&self) -> u64 {
        let now = self.host.clock.monotonic();
        self.note("clock.monotonic", json!({}), Ok(&now));
        now
    }

    fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()> {
        let arguments = json!({ "time": asked_for(duration, deadline) });
        let answer = self.host.clock.sleep(deadline, duration);
        self.pass("clock.sleep", arguments, answer)
    }
}

impl Units for Tape {
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let answer = self.host.units.get(deadline, unit);
        self.pass_redacted("units.get", json!({ "unit": unit }), answer, as_seen)
    }

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        let timeout_asked = asked_for(timeout, deadline);
        let arguments = json!({ "unit": unit, "until": goal, "timeout": timeout_asked });
        let answer = self.host.units.wait(deadline, unit, goal, timeout);
        self.pass_redacted("units.wait", arguments, answer, as_seen)
    }
}

impl Processes for Tape {
    fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let answer = self.host.processes.of_unit(deadline, unit);
        let (known, processes) = split(answer, |found| {
            found
                .into_iter()
                .map(|process| self.known(process))
                .unzip::<_, _, Vec<_>, Vec<_>>()
        });
        self.note("processes.of-unit", json!({ "unit": unit }), known.as_ref());
        processes
    }
}

impl Ports for Tape {
    fn holders(
        &self,
        deadline: Instant,
        protocol: Protocol,
        number: u16,
    ) -> Answer<Vec<PortHolder>> {
        let answer = self.host.ports.holders(deadline, protocol, number);
        let (known, holders) = split(answer, |found| {
            found
                .into_iter()
                .map(|holder| self.holder(holder))
                .unzip::<_, _, Vec<_>, Vec<_>>()
        });
        let port = format!("{}/{number}", protocol.word());
        self.note("ports.holders", json!({ "port": port }), known.as_ref());
        holders
    }
}

/// An answer as it stands in the session, and as it goes on.
fn split<T, A, B>(answer: Answer<T>, parts: impl FnOnce(T) -> (A, B)) -> (Answer<A>, Answer<B>) {
    match answer {
        Ok(value) => {
            let (a, b) = parts(value);
            (Ok(a), Ok(b))
        }
        Err(failure) => (Err(failure.clone()), Err(failure)),
    }
}

impl Tape {
    fn holder(&self, holder: PortHolder) -> (Holds, PortHolder) {
        let (known, process) = holder.process.map(|process| self.known(process)).unzip();
        let holds = Holds {
            process: known,
            unit: holder.unit.clone(),
            socket_activated: holder.socket_activated,
            address: holder.address.clone(),
        };
        (holds, PortHolder { process, ..holder })
    }
}

impl Files for Tape {
    fn stat(&self, deadline: Instant, name: &str) -> Answer<FileStatus> {
        let answer = self.host.files.stat(deadline, name);
        self.pass("files.stat", json!({ "name": name }), answer)
    }

    fn sha256(&self, deadline: Instant, name: &str) -> Answer<String> {
        let answer = self.host.files.sha256(deadline, name);
        self.pass("files.sha256", json!({ "name": name }), answer)
    }

    fn env_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        let answer = self.host.files.env_keys(deadline, name);
        self.pass("files.env-keys", json!({ "name": name }), answer)
    }

    fn missing_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<String>> {
        let answer = self.host.files.missing_keys(deadline, name);
        self.pass("files.missing-keys", json!({ "name": name }), answer)
    }
}

impl Logs for Tape {
    fn tail(&self, deadline: Instant, query: &LogQuery) -> Answer<Vec<LogEntry>> {
        let arguments = json!({
            "unit": query.unit,
            "invocation": query.invocation,
            "priority": query.priority,
            "lines": query.lines,
        });
        let answer = self.host.logs.tail(deadline, query);
        self.pass_redacted("logs.tail", arguments, answer, |lines| {
            lines
                .into_iter()
                .map(|line| LogEntry {
                    message: redact(&line.message),
                    ..line
                })
                .collect()
        })
    }
}

impl Resources for Tape {
    fn memory(&self) -> Answer<Memory> {
        let answer = self.host.resources.memory();
        self.pass("resources.memory", json!({}), answer)
    }

    fn disk(&self, place: &str) -> Answer<Disk> {
        let answer = self.host.resources.disk(place);
        self.pass("resources.disk", json!({ "place": place }), answer)
    }

    fn load(&self) -> Answer<Load> {
        let answer = self.host.resources.load();
        self.pass("resources.load", json!({}), answer)
    }

    fn pressure(&self, of: PressureOf) -> Answer<Pressure> {
        let answer = self.host.resources.pressure(of);
        self.pass("resources.pressure", json!({ "of": of }), answer)
    }
}

impl Probes for Tape {
    fn ask(&self, deadline: Instant, name: &str) -> Answer<ProbeAnswer> {
        let answer = self.host.probes.ask(deadline, name);
        self.pass_redacted("probes.ask", json!({ "name": name }), answer, |answer| {
            ProbeAnswer {
                detail: redact(&answer.detail),
                ..answer
            }
        })
    }
}

impl History for Tape {
    fn recent(&self, limit: u32) -> Answer<Vec<PastIncident>> {
        let answer = self.host.history.recent(limit);
        self.pass("history.recent", json!({ "limit": limit }), answer)
    }
}

impl State for Tape {
    fn get(&self, strategy: &StrategyName, key: &str) -> Answer<Option<String>> {
        let answer = self.host.state.get(strategy, key);
        self.pass_redacted("state.get", json!({ "key": key }), answer, |value| {
            value.map(|value| redacted_value(key, &value))
        })
    }

    fn set(&self, strategy: &StrategyName, key: &str, value: &str) -> Answer<()> {
        let arguments = json!({ "key": key, "value": redacted_value(key, value) });
        let answer = self.host.state.set(strategy, key, value);
        self.pass("state.set", arguments, answer)
    }

    fn remove(&self, strategy: &StrategyName, key: &str) -> Answer<bool> {
        let answer = self.host.state.remove(strategy, key);
        self.pass("state.remove", json!({ "key": key }), answer)
    }

    fn keys(&self, strategy: &StrategyName) -> Answer<Vec<String>> {
        let answer = self.host.state.keys(strategy);
        self.pass("state.keys", json!({}), answer)
    }
}

/// The call's name in a session.
pub(crate) fn unit_call(act: UnitAct) -> &'static str {
    match act {
        UnitAct::Start => "unit-control.start",
        UnitAct::Restart => "unit-control.restart",
        UnitAct::Stop => "unit-control.stop",
        UnitAct::Reload => "unit-control.reload",
    }
}

/// The call's name in a session.
pub(crate) fn repair_call(what: Repair) -> &'static str {
    match what {
        Repair::Mode => "file-repair.mode",
        Repair::Owner => "file-repair.owner",
        Repair::Target => "file-repair.target",
    }
}

impl UnitControl for Tape {
    fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        let answer = self.host.unit_control.submit(deadline, unit, act);
        let (handle, job) = split(answer, |job| {
            let handle = self.number("job");
            let tape = self.clone();
            let job: Arc<dyn Job> = Arc::new(NotedJob { tape, handle, job });
            (handle, job)
        });
        self.note(unit_call(act), json!({ "unit": unit }), handle.as_ref());
        job
    }

    fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let answer = self.host.unit_control.reset_failed(deadline, unit);
        self.pass("unit-control.reset-failed", json!({ "unit": unit }), answer)
    }
}

impl ProcessControl for Tape {
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination> {
        // The handle is one of ours, and knows its number.
        process.terminate(deadline, grace)
    }
}

impl FileRepair for Tape {
    fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool> {
        let answer = self.host.file_repair.repair(deadline, name, what);
        self.pass(repair_call(what), json!({ "name": name }), answer)
    }
}

impl Checks for Tape {
    fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport> {
        let answer = self.host.checks.run(deadline, name);
        self.pass_redacted("checks.run", json!({ "name": name }), answer, |report| {
            CheckReport {
                output: redact(&report.output),
                ..report
            }
        })
    }
}

/// A process whose calls are written down.
struct NotedProcess {
    tape: Tape,
    handle: u32,
    process: Arc<dyn Process>,
}

impl Process for NotedProcess {
    fn info(&self) -> &ProcessInfo {
        self.process.info()
    }

    fn alive(&self) -> bool {
        let alive = self.process.alive();
        let arguments = json!({ "process": self.handle });
        self.tape.note("process.alive", arguments, Ok(&alive));
        alive
    }

    fn terminate(&self, deadline: Instant, grace: Duration) -> Answer<Termination> {
        let arguments = json!({ "process": self.handle, "grace": asked_for(grace, deadline) });
        let control = &self.tape.host.process_control;
        let answer = control.terminate(deadline, &self.process, grace);
        self.tape
            .pass("process-control.terminate", arguments, answer)
    }
}

/// A job whose calls are written down.
struct NotedJob {
    tape: Tape,
    handle: u32,
    job: Arc<dyn Job>,
}

impl Job for NotedJob {
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String> {
        let arguments = json!({ "job": self.handle, "timeout": asked_for(timeout, deadline) });
        let answer = self.job.wait(deadline, timeout);
        self.tape.pass("job.wait", arguments, answer)
    }
}
