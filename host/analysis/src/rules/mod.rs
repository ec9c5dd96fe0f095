//! The rules: classic causes, recognised without asking anybody.
//!
//! | rank | evidence | why there |
//! |---|---|---|
//! | `CERTAIN` | systemd's Result, signals, its own exit codes, a signal that it was asked to send, a process that is stopped | nobody else can say it, and it is a cause |
//! | `NEEDED` | a unit, a declared file or a port that it needs is not there for it | known, but perhaps not the reason |
//! | `FULL` | a file system without any space | the kernel's own figures |
//! | `EXACT` | a line in one program's words for one thing | any process can write it |
//! | `COMMON` | a line in words that many use | it may mean something else |
//! | `CONSEQUENCE` | the start limit; conventional exit codes; a wait in the kernel | what came of it, or a habit, or over a moment later |
//! | `SCARCE` | little space, little memory | may have been so for months |
//! | `CHANGED` | a change shortly before | after it is not because of it |
//!
//! Of each cause there is one finding, the surest. A line that says the same as
//! a fact is named beside it, since lines name paths and addresses.

mod advice;
mod facts;
mod patterns;

use std::time::Duration;

use prunella_core::{
    analyst::{Change, ChangeOf, Evidence, FailedRun, HeldPort, NeededUnit, Stall, StallState},
    capability::{ActiveState, Disk, LogEntry},
    diagnosis::{Cause, Finding, ManualStep, Source},
    health::Metric,
    text::{one_line, redact},
};

use self::patterns::{Hit, Wording};

const CERTAIN: u8 = 100;
const NEEDED: u8 = 90;
const FULL: u8 = 85;
const EXACT: u8 = 80;
const COMMON: u8 = 60;
const CONSEQUENCE: u8 = 50;
const SCARCE: u8 = 30;
const CHANGED: u8 = 20;

/// A host with so many times more to do than it has processors is busy.
const BUSY: f64 = 2.0;

/// More would be a list of everything that can go wrong.
const FINDINGS_MAX: usize = 5;

/// Lines from longer before the end than this have not to do with it: a service
/// may run for weeks and tell of a refused connection every day.
const LINES_BEFORE: Duration = Duration::from_secs(10 * 60);

/// A change longer before the failure than this is not named as a cause.
const CHANGES_BEFORE: Duration = Duration::from_secs(60 * 60);

/// A program that is asked to end by a signal has ended so long after that.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Characters of a line that is shown.
const LINE_MAX: usize = 300;

/// A finding on its way, with how sure it is.
struct Ranked {
    rank: u8,
    /// Later lines say more of what happened last.
    at: usize,
    finding: Finding,
}

/// What the evidence says, the likeliest cause first.
pub fn diagnose(evidence: &Evidence) -> Vec<Finding> {
    let mut found = Found {
        evidence,
        ranked: Vec::new(),
    };
    for (number, run) in evidence.runs.iter().enumerate() {
        found.facts(run, number);
        found.lines(run, number);
    }
    found.unit();
    found.stall();
    found.needs();
    found.ports();
    found.missing();
    found.disks();
    found.memory();
    found.load();
    found.changes();
    let mut ranked = found.ranked;
    // The surest first; of equals, what was said last.
    ranked.sort_by(|a, b| b.rank.cmp(&a.rank).then(b.at.cmp(&a.at)));
    let mut findings: Vec<Finding> = Vec::new();
    for Ranked { finding, .. } in ranked {
        match findings
            .iter_mut()
            .find(|known| known.cause == finding.cause)
        {
            // A line names what a fact does not.
            Some(known) if known.from != Source::Log && finding.from == Source::Log => {
                let said = known.because.contains(&finding.because);
                if !said && !known.because.contains("its log: ") {
                    known.because = format!("{}; its log: {}", known.because, finding.because);
                }
            }
            Some(_) => {}
            None => findings.push(finding),
        }
    }
    // Then no change of a file explains anything.
    if findings
        .iter()
        .any(|found| matches!(found.cause, Cause::KillRequested | Cause::ProcessStopped))
    {
        findings.retain(|found| found.cause != Cause::RecentChange);
    }
    findings.truncate(FINDINGS_MAX);
    findings
}

struct Found<'a> {
    evidence: &'a Evidence,
    ranked: Vec<Ranked>,
}

impl Found<'_> {
    fn add(
        &mut self,
        rank: u8,
        at: usize,
        cause: Cause,
        from: Source,
        sentence: String,
        because: String,
    ) {
        let finding = Finding {
            cause,
            sentence,
            because,
            from,
            advice: Some(advice::advice(cause, &self.evidence.detection.unit)),
            manual_steps: Vec::new(),
        };
        self.ranked.push(Ranked { rank, at, finding });
    }

    fn facts(&mut self, run: &FailedRun, number: usize) {
        for fact in facts::facts(run) {
            let rank = if fact.certain { CERTAIN } else { CONSEQUENCE };
            self.add(
                rank,
                number,
                fact.cause,
                Source::Unit,
                fact.sentence,
                fact.because,
            );
        }
    }

    fn lines(&mut self, run: &FailedRun, number: usize) {
        let since = run.ended_at.saturating_sub(LINES_BEFORE);
        for (at, line) in run.lines.iter().enumerate() {
            // Old, or meant for developers.
            if line.at < since || line.priority >= 7 {
                continue;
            }
            let Some(hit) = patterns::recognise(&line.message) else {
                continue;
            };
            // A run that failed by itself since says what is wrong.
            let is_last = number + 1 == self.evidence.runs.len();
            if hit.pattern.cause == Cause::KillRequested
                && !(is_last && is_requested_end(run, line, &hit))
            {
                continue;
            }
            let rank = match (hit.pattern.cause, hit.pattern.wording) {
                (Cause::KillRequested, _) => CERTAIN,
                (Cause::StartLimit, _) => CONSEQUENCE,
                (_, Wording::Exact) => EXACT,
                (_, Wording::Common) => COMMON,
            };
            let sentence = redact(&hit.sentence());
            let because = one_line(&redact(&line.message), LINE_MAX);
            self.add(
                rank,
                number * 10_000 + at,
                hit.pattern.cause,
                Source::Log,
                sentence,
                because,
            );
        }
    }

    fn unit(&mut self) {
        let Some(status) = &self.evidence.status else {
            return;
        };
        match status.load_state.as_str() {
            "bad-setting" | "error" => self.add(
                CERTAIN,
                0,
                Cause::BadConfig,
                Source::Unit,
                "systemd cannot use its unit file".to_owned(),
                format!("its load state is {}", status.load_state),
            ),
            "not-found" => self.add(
                CERTAIN,
                0,
                Cause::MissingFile,
                Source::Unit,
                "its unit file is not there".to_owned(),
                "its load state is not-found".to_owned(),
            ),
            _ => {}
        }
        if status.needs_reload {
            let finding = Finding {
                cause: Cause::RecentChange,
                sentence: "its unit files were changed, and systemd has not read them since"
                    .to_owned(),
                because: "systemd says that it needs `systemctl daemon-reload`".to_owned(),
                from: Source::Unit,
                advice: Some("Have systemd read its unit files again.".to_owned()),
                manual_steps: vec![ManualStep::ReadUnitFiles],
            };
            self.ranked.push(Ranked {
                rank: CHANGED,
                at: 1,
                finding,
            });
        }
    }

    /// A main process that exists and does not run.
    fn stall(&mut self) {
        let Some(Stall { pid, state }) = self.evidence.stall else {
            return;
        };
        let (rank, cause, sentence, letter) = match state {
            StallState::Stopped => (
                CERTAIN,
                Cause::ProcessStopped,
                "its main process was stopped by a signal (SIGSTOP), and nobody let it go on",
                'T',
            ),
            StallState::Traced => (
                CERTAIN,
                Cause::ProcessStopped,
                "a debugger held its main process",
                't',
            ),
            StallState::Uninterruptible => (
                CONSEQUENCE,
                Cause::ProcessBlocked,
                "its main process waited in the kernel, where no signal reaches it; for a disk \
                 or a network file system, as a rule",
                'D',
            ),
        };
        let mut because = format!("process {pid} was in state {letter}");
        // Then somebody went by way of systemd, and who did may be known.
        if state == StallState::Stopped
            && let Some(line) = self.stop_request()
        {
            because.push_str(&format!("; systemd: {line}"));
        }
        self.add(
            rank,
            0,
            cause,
            Source::Process,
            sentence.to_owned(),
            because,
        );
    }

    /// What systemd logged when it was asked to stop a process of the run that hangs.
    fn stop_request(&self) -> Option<String> {
        let lines = self.evidence.runs.first()?.lines.iter().rev();
        lines
            .filter(|line| line.by_systemd)
            .find(|line| {
                patterns::recognise(&line.message).is_some_and(|hit| {
                    hit.pattern.cause == Cause::KillRequested
                        && matches!(hit.what.as_deref(), Some("SIGSTOP" | "SIGTSTP"))
                })
            })
            .map(|line| one_line(&redact(&line.message), LINE_MAX))
    }

    fn needs(&mut self) {
        for needed in &self.evidence.needs {
            let NeededUnit { unit, .. } = needed;
            let (how, because, advice, remedy) = if !needed.exists {
                let advice =
                    format!("Install what {unit} belongs to, or take the need for it away.");
                (
                    "does not exist",
                    format!("systemd knows no {unit}"),
                    advice,
                    None,
                )
            } else if needed.masked {
                (
                    "is masked",
                    format!("somebody has masked {unit}"),
                    format!("Unmask and start {unit}, unless it was masked for a reason."),
                    Some(ManualStep::UnmaskUnit { unit: unit.clone() }),
                )
            } else if needed.state == ActiveState::Failed
                || (needed.state == ActiveState::Inactive && needed.result != "success")
            {
                (
                    "is down",
                    format!("{unit} is {} ({})", needed.state.as_str(), needed.result),
                    format!("See why {unit} is down, and start it."),
                    None,
                )
            } else if needed.state == ActiveState::Inactive && needed.has_to_be_up {
                (
                    "does not run",
                    format!("{unit} is inactive: it was stopped, or was never started"),
                    format!("Start {unit}, unless it was stopped for a reason."),
                    None,
                )
            } else {
                continue;
            };
            let start = ManualStep::StartUnit { unit: unit.clone() };
            let finding = Finding {
                cause: Cause::DependencyRefused,
                sentence: format!("{unit}, which it needs, {how}"),
                because,
                from: Source::Unit,
                advice: Some(advice),
                manual_steps: remedy
                    .into_iter()
                    .chain(needed.exists.then_some(start))
                    .collect(),
            };
            self.ranked.push(Ranked {
                rank: NEEDED,
                at: 0,
                finding,
            });
        }
    }

    /// The service's ports that somebody else keeps it from.
    fn ports(&mut self) {
        for held in &self.evidence.ports {
            let HeldPort { port, address, .. } = held;
            // A scope is somebody's session: it is not stopped for a port.
            let unit = held.unit.as_ref().filter(|unit| unit.kind() != "scope");
            let (who, advice, remedy) = match (unit, &held.process) {
                (Some(unit), _) => (
                    unit.to_string(),
                    format!("Stop {unit}, or let one of the two listen elsewhere."),
                    Some(ManualStep::StopUnit { unit: unit.clone() }),
                ),
                (None, Some((pid, name))) => (
                    format!("process {pid} ({name})"),
                    format!("End process {pid} ({name}), or let one of the two listen elsewhere."),
                    Some(ManualStep::EndProcess {
                        pid: *pid,
                        name: name.clone(),
                    }),
                ),
                (None, None) => (
                    "somebody who cannot be named".to_owned(),
                    advice::advice(Cause::AddressInUse, &self.evidence.detection.unit),
                    None,
                ),
            };
            let finding = Finding {
                cause: Cause::AddressInUse,
                sentence: format!("{who} holds {port}, which it needs"),
                because: format!("{who} listens on {address}; {}", held.because),
                from: Source::Resources,
                advice: Some(advice),
                manual_steps: remedy.into_iter().collect(),
            };
            self.ranked.push(Ranked {
                rank: NEEDED,
                at: 1,
                finding,
            });
        }
    }

    /// Declared files that are not there.
    fn missing(&mut self) {
        let failed_at = self.evidence.detection.at;
        for change in &self.evidence.changes {
            if change.of != ChangeOf::Missing {
                continue;
            }
            let when = if change.at <= failed_at {
                format!("{} before the failure", ago(failed_at.since(change.at)))
            } else {
                "after the failure".to_owned()
            };
            self.add(
                NEEDED,
                2,
                Cause::MissingFile,
                Source::Change,
                format!("{} is missing", one_line(&change.what, 200)),
                format!("{} {when}", one_line(&change.how, 200)),
            );
        }
    }

    fn disks(&mut self) {
        let mut seen: Vec<Disk> = Vec::new();
        for (place, disk) in &self.evidence.disks {
            // Several places are often the same file system.
            if disk.read_only || disk.total == 0 || seen.contains(disk) {
                continue;
            }
            seen.push(*disk);
            let no_inodes = disk.files_total > 0 && disk.files_available == 0;
            let few_inodes = disk.files_total > 0 && disk.files_available < disk.files_total / 200;
            let (rank, sentence) = if disk.available < 64 << 10 {
                (FULL, format!("the file system below {place} is full"))
            } else if no_inodes {
                (
                    FULL,
                    format!("the file system below {place} can hold no more files"),
                )
            } else if disk.available < (disk.total / 100).min(64 << 20) || few_inodes {
                (
                    SCARCE,
                    format!("the file system below {place} is nearly full"),
                )
            } else {
                continue;
            };
            let because = format!(
                "{} of {} left below {place}, and {} of {} files",
                bytes(disk.available),
                bytes(disk.total),
                disk.files_available,
                disk.files_total
            );
            self.add(
                rank,
                0,
                Cause::DiskFull,
                Source::Resources,
                sentence,
                because,
            );
        }
    }

    fn memory(&mut self) {
        if let Some(memory) = self.evidence.memory
            && memory.total > 0
            && memory.available < memory.total / 50
            && memory.swap_free < memory.total / 50
        {
            self.add(
                SCARCE,
                1,
                Cause::NoMemory,
                Source::Resources,
                "the host has hardly any memory left".to_owned(),
                format!(
                    "{} of {} left, and {} of swap",
                    bytes(memory.available),
                    bytes(memory.total),
                    bytes(memory.swap_free)
                ),
            );
        }
        if let Some(pressure) = self.evidence.memory_pressure
            && pressure.full >= 40.0
        {
            self.add(
                SCARCE,
                0,
                Cause::NoMemory,
                Source::Resources,
                "the host is short of memory".to_owned(),
                format!(
                    "all tasks waited for memory {:.0} % of the last ten seconds",
                    pressure.full
                ),
            );
        }
    }

    /// A busy host makes a service slow, and seldom fail.
    fn load(&mut self) {
        if let Some(load) = self.evidence.load
            && self.is_slow()
            && load.one >= BUSY * f64::from(load.processors)
        {
            self.add(
                SCARCE,
                2,
                Cause::HostBusy,
                Source::Resources,
                "the host has more to do than it can".to_owned(),
                format!(
                    "its load is {:.1} over one minute, on {}",
                    load.one,
                    match load.processors {
                        1 => "1 processor".to_owned(),
                        processors => format!("{processors} processors"),
                    }
                ),
            );
        }
    }

    /// Whether it is slow, or some of its questions go unanswered: what it uses itself, a
    /// busy host does not explain.
    fn is_slow(&self) -> bool {
        let symptoms = &self.evidence.detection.symptoms;
        symptoms.iter().any(|symptom| {
            matches!(
                symptom.metric,
                Metric::LatencyMs
                    | Metric::ErrorsPermille
                    | Metric::RequestLatencyMs
                    | Metric::RequestErrorsPermille
            )
        })
    }

    /// The change that is nearest to the service, and among equals the latest.
    fn changes(&mut self) {
        let failed_at = self.evidence.detection.at;
        let near = |change: &&Change| {
            change.of != ChangeOf::Missing
                && change.at <= failed_at
                && failed_at.since(change.at) <= CHANGES_BEFORE
        };
        let near_to = |of: ChangeOf| match of {
            ChangeOf::Unit | ChangeOf::File => 2,
            ChangeOf::OwnPackage => 1,
            ChangeOf::Package | ChangeOf::Missing => 0,
        };
        let Some(change) = self
            .evidence
            .changes
            .iter()
            .filter(near)
            .max_by_key(|change| (near_to(change.of), change.at))
        else {
            return;
        };
        let others = self.evidence.changes.iter().filter(near).count() - 1;
        let more = match others {
            0 => String::new(),
            1 => "; so was one thing more".to_owned(),
            others => format!("; so were {others} things more"),
        };
        let before = ago(failed_at.since(change.at));
        let what = if self.evidence.detection.is_degradation() {
            "that"
        } else {
            "it failed"
        };
        self.add(
            CHANGED,
            0,
            Cause::RecentChange,
            Source::Change,
            format!("{before} before {what}, something it may depend on was changed"),
            format!(
                "{} {}{more}",
                one_line(&change.what, 200),
                one_line(&change.how, 100)
            ),
        );
    }
}

/// Whether systemd itself says in this line that it sent the very signal that
/// ended the run, or one upon which a program ends by itself, and it did so then.
fn is_requested_end(run: &FailedRun, line: &LogEntry, hit: &Hit) -> bool {
    let sent = hit
        .what
        .as_deref()
        .and_then(|what| what.strip_prefix("SIG"));
    let ended_by_itself = || {
        run.signal.is_none()
            && run.exit_code.is_some()
            && matches!(sent, Some("TERM" | "QUIT" | "INT"))
            && line.at >= run.ended_at.saturating_sub(ENDS_WITHIN)
    };
    line.by_systemd && sent.is_some() && (sent == run.signal.as_deref() || ended_by_itself())
}

fn bytes(count: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (step, name) in STEPS {
        if count >= step {
            let tenths = u128::from(count) * 10 / u128::from(step);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// A span of time in words.
pub(crate) fn ago(span: Duration) -> String {
    match span.as_secs() {
        0 | 1 => "a moment".to_owned(),
        seconds @ 2..=119 => format!("{seconds} seconds"),
        seconds @ 120..=7199 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}

#[cfg(test)]
mod tests;
