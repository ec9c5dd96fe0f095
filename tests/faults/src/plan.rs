//! What the runner asks of the witness in the machine, and what that has seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Clock, Probe, Step};

/// Where the witness is inside the machine.
pub const WITNESS: &str = "/opt/faults/witness";

/// Where its plan is.
pub const PLAN: &str = "/run/faults/plan.json";

/// The slice that all of a healer's own processes are in.
pub const HEALERS_SLICE: &str = "healer.slice";

/// The port of the mail server to which healers send what they have to say.
pub const MAIL_PORT: u16 = 25;

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The service is well.
    Healed,
    /// The subject of a message has one of these words.
    Told(Vec<String>),
    /// Nothing: it is looked on to the end.
    Over,
}

/// Whether a message with this subject tells of what one of `words` names.
#[must_use]
pub fn tells_of(subject: &str, words: &[String]) -> bool {
    let subject = subject.to_lowercase();
    words
        .iter()
        .any(|word| subject.contains(&word.to_lowercase()))
}

/// What the witness is to do. Times are milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// What has to answer; all of them.
    pub probes: Vec<Probe>,
    /// Shell scripts that have to succeed as well.
    pub checks: Vec<String>,
    /// How the fault is made.
    pub inject: Vec<Step>,
    /// What is done meanwhile: how long after the injection, and which script.
    pub later: Vec<(u64, String)>,
    /// When the clock begins.
    pub clock: Clock,
    /// What ends it before the time is up.
    pub until: Until,
    /// How long it waits, or watches.
    pub wait: u64,
    /// How long a service has to answer without a gap to be called healed.
    pub stable: u64,
    /// How long it looks on after that.
    pub after: u64,
    /// How long after the injection people may be told at the latest; only waited
    /// for where it was not healed, or where people are needed in any case.
    pub told_within: Option<u64>,
    /// Whether people have to be told even if nothing has to be healed.
    pub people: bool,
    /// Units whose main process is looked after.
    pub alive: Vec<String>,
    /// Scripts that tell, at the end, whether something wrong was done.
    pub afterwards: Vec<String>,
}

/// What the witness has seen. Moments are microseconds of CLOCK_MONOTONIC.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Observation {
    /// When the injection began.
    pub began: i64,
    /// When the clock began.
    pub crashed: i64,
    /// When the first of the later steps was begun.
    pub later: Option<i64>,
    /// Since when everything answered, if it did so to the end.
    pub answered: Option<i64>,
    /// When it ended.
    pub ended: i64,
    /// Every start of a unit since the injection began: when, and which unit.
    pub starts: Vec<(i64, String)>,
    /// The units of [`Plan::alive`] whose main process has ended since.
    pub dead: Vec<String>,
    /// Which of [`Plan::afterwards`] succeeded.
    pub afterwards: Vec<bool>,
    /// Messages to people: when, and their subjects.
    pub alerts: Vec<(i64, String)>,
    /// Microseconds of processor time that the healer's processes used since the
    /// injection began.
    pub cpu: u64,
    /// The most memory that they had at one time: resident, in KiB.
    pub memory: u64,
    /// What the probes said last, where something did not answer.
    pub unanswered: BTreeMap<String, String>,
}
