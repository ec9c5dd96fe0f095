//! The trail: every step of an incident, in the order it happened.
//!
//! A step is written before the next is taken. An act is two steps, one before
//! it is carried out ([`Step::ActIntended`]) and one after ([`Step::ActEnded`]):
//! an intention without an end is an action whose outcome is unknown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Failure, Monotonic, StrategyName, Timestamp, UnitName,
    cause::Cause,
    diagnosis::{Finding, Opinion, SecondOpinion},
    health::Symptom,
    incident::{Assessment, Detection, Ending, IncidentId, Outcome},
};

/// One step, with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub incident: IncidentId,
    /// 0, 1, 2, … within the incident.
    pub number: u32,
    pub at: Timestamp,
    pub monotonic: Monotonic,
    pub attempt: u32,
    pub step: Step,
}

/// What Prunella waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// Its own healing budget.
    Budget,
    /// systemd, which restarts the unit by itself (Restart=).
    SystemdRestart,
    /// The unit, on its way to another state: a job, or a slow start.
    Unit,
    /// What is measured of the unit's health.
    Health,
    /// The host, which is short of something.
    Host,
    /// What the probes of a unit that it needs tell.
    Need,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// The incident was opened.
    Detected {
        /// What was noticed.
        detection: Detection,
        /// The failed run's last log lines, when they were at hand: evidence,
        /// redacted.
        evidence: Vec<String>,
    },
    /// The failed run's last log lines, read once there was time for it:
    /// evidence, redacted.
    Evidence {
        /// The lines, oldest first.
        lines: Vec<String>,
    },
    /// A run that was started since has failed as well, and not as the one of which the
    /// incident tells.
    FailedAgain {
        cause: Cause,
        /// The main process's exit code.
        exit_code: Option<i32>,
        /// The signal that ended the main process, without `SIG`.
        signal: Option<String>,
        /// Its last log lines, oldest first, redacted.
        lines: Vec<String>,
    },
    /// Prunella waits before it goes on.
    Waits {
        /// What has to come for it to go on.
        on: Awaited,
        reason: String,
        /// For how long at most.
        #[serde(rename = "milliseconds", with = "crate::span::in_millis")]
        up_to: Duration,
    },
    /// A strategy assessed.
    Assessed {
        strategy: StrategyName,
        /// What it said.
        assessment: Assessment,
        /// How long it took.
        #[serde(with = "crate::span::in_micros")]
        took: Duration,
    },
    /// A strategy's run broke off: a trap, a panic, a limit.
    Broke {
        strategy: StrategyName,
        /// `describe`, `assess` or `heal`.
        call: String,
        /// A stable word for the kind of end: see the engine's `RunError`.
        kind: String,
        /// A sentence that names strategy, reason and remedy.
        message: String,
    },
    /// A strategy begins to heal.
    Heals { strategy: StrategyName },
    /// A line that a strategy logged.
    Said {
        strategy: StrategyName,
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// Escaped and cut.
        message: String,
    },
    /// An act is about to be carried out.
    ActIntended {
        /// Which number it has within the incident.
        action: u32,
        /// On whose call.
        strategy: StrategyName,
        /// Such as `unit-control.start`.
        act: String,
        /// On what: a unit, a process, a declared name.
        target: String,
        /// Recorded, and not carried out.
        dry_run: bool,
    },
    /// An act came to its end.
    ActEnded {
        /// The number of its intention.
        action: u32,
        /// How it ended, or why it could not.
        result: Result<String, Failure>,
    },
    /// An act was not allowed.
    ActDenied {
        /// On whose call.
        strategy: StrategyName,
        /// Such as `unit-control.start`.
        act: String,
        target: String,
        failure: Failure,
    },
    /// A language model was asked about an act.
    SecondOpinion {
        /// Such as `unit-control.stop`.
        act: String,
        target: String,
        /// What it said, or why it said nothing.
        said: Result<SecondOpinion, String>,
    },
    /// An act waits until a person agrees.
    Proposed {
        /// The approval's id.
        approval: String,
        /// On whose call.
        strategy: StrategyName,
        /// Such as `unit-control.stop`.
        act: String,
        target: String,
        /// Until when the question stands.
        until: Timestamp,
    },
    /// An act is carried out because somebody agreed to it.
    Approved {
        /// The approval's id; absent when a model's consent was enough.
        approval: Option<String>,
        /// Such as `unit-control.stop`.
        act: String,
        target: String,
        by: String,
    },
    /// A strategy's heal returned.
    Returned {
        strategy: StrategyName,
        /// What it said.
        outcome: Result<Outcome, Failure>,
        /// How long it took.
        #[serde(with = "crate::span::in_micros")]
        took: Duration,
    },
    /// The host saw the service well for the first time.
    Answering {
        /// What was seen.
        evidence: Vec<String>,
        /// From the failure to here.
        #[serde(default, with = "crate::span::in_micros")]
        after: Option<Duration>,
    },
    /// It stayed well for as long as it has to.
    Proven {
        /// Whose start it was, when that was in an earlier attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strategy: Option<StrategyName>,
        /// What was seen.
        evidence: Vec<String>,
        /// For how long it was watched.
        #[serde(with = "crate::span::in_millis")]
        stable_for: Duration,
    },
    /// It did not become, or stay, well.
    NotProven {
        /// Whose healing it was.
        strategy: Option<StrategyName>,
        /// What was seen instead.
        reason: String,
        /// Whether it had been well before.
        relapse: bool,
    },
    /// It waits for another unit.
    Blocked { on: UnitName, reason: String },
    /// It goes on, the other unit being well again, or not.
    Unblocked {
        on: UnitName,
        /// Whether that unit was healed.
        healthy: bool,
    },
    /// What the rules made of the evidence; empty when they recognised nothing.
    Diagnosed {
        /// The likeliest first.
        findings: Vec<Finding>,
    },
    /// What a language model made of it, or why there is no opinion of it.
    Advised {
        model: String,
        opinion: Result<Opinion, String>,
        /// How long it took.
        #[serde(with = "crate::span::in_micros")]
        took: Duration,
    },
    /// The strategies that apply are tried in another order than the
    /// operator's.
    Ordered {
        order: Vec<StrategyName>,
        reason: String,
    },
    /// People are told of a degradation, and Prunella watches it until its symptoms have
    /// cleared.
    Watches {
        /// What holds now, the worst first.
        symptoms: Vec<Symptom>,
        /// Why nothing more is done about it, in a sentence without its full stop.
        reason: String,
        /// Whether what the operator lists for it was tried in vain.
        tried: bool,
    },
    /// The symptoms of a degradation have cleared, and stay so.
    Cleared {
        /// As they were, each with its worst value.
        symptoms: Vec<Symptom>,
        /// For how long there were any.
        #[serde(with = "crate::span::in_millis")]
        lasted: Duration,
    },
    /// Anything else worth knowing.
    Note { message: String },
    /// The attempt ended.
    Ended { ending: Ending },
}

/// An incident as it is read back: the record of one failure or degradation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub incident: crate::incident::Incident,
    pub steps: Vec<Entry>,
    /// How it ended; absent while it is open.
    pub ending: Option<Ending>,
}
