//! Who thinks about a failure: the evidence, and the questions asked of it.
//!
//! An analyst only thinks. What it says is shown to people; the healer uses of
//! it no more than an order among the strategies that apply anyway, and a veto.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Failure, StrategyName, Timestamp, UnitName,
    capability::{ActiveState, Disk, Load, LogEntry, Memory, Pressure, UnitStatus},
    diagnosis::{Finding, Opinion, SecondOpinion},
    incident::Detection,
    secret::SecretSource,
    service::Port,
};

/// What is known of one failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was noticed.
    pub detection: Detection,
    /// What the service is for, in the operator's words.
    pub domain: Option<String>,
    /// The unit as it was while it was down, when somebody looked.
    pub status: Option<UnitStatus>,
    /// The run that failed, and the one that failed after it, when a start was
    /// tried: the oldest first.
    pub runs: Vec<FailedRun>,
    /// The units that the service needs.
    pub needs: Vec<NeededUnit>,
    /// Its ports that somebody else keeps it from.
    pub ports: Vec<HeldPort>,
    /// What kept its main process from running, when it did not answer and was looked
    /// at before anything was done to it.
    #[serde(default)]
    pub stall: Option<Stall>,
    /// The host's memory.
    pub memory: Option<Memory>,
    /// How long tasks had to wait for memory.
    pub memory_pressure: Option<Pressure>,
    /// How busy the host is.
    #[serde(default)]
    pub load: Option<Load>,
    /// File systems, by the place asked for: `/var`, a declared file's name.
    pub disks: Vec<(String, Disk)>,
    /// What changed lately, the newest first.
    pub changes: Vec<Change>,
}

/// A run of the service that ended in failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// systemd's Result, or what the detection says was noticed.
    pub result: String,
    /// How long it went on, where systemd still knows.
    #[serde(default)]
    pub lasted: Option<Duration>,
    /// The main process's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the main process, without `SIG`.
    pub signal: Option<String>,
    pub ended_at: Timestamp,
    /// Its last log lines, the oldest first. Any process can have written
    /// them.
    pub lines: Vec<LogEntry>,
}

/// A process that exists and does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// The process's id.
    pub pid: u32,
    /// What keeps it from running.
    pub state: StallState,
}

/// What keeps a process from running: the states of proc_pid_stat(5) in which it reacts
/// to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StallState {
    /// `T`: a signal stopped it (SIGSTOP, SIGTSTP, …), and nobody has sent SIGCONT.
    Stopped,
    /// `t`: a debugger holds it.
    Traced,
    /// `D`: it waits in the kernel, for a disk or a network file system as a rule, and no
    /// signal reaches it.
    Uninterruptible,
}

/// A unit that the service needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeededUnit {
    pub unit: UnitName,
    /// How it stands.
    pub state: ActiveState,
    /// systemd's Result of its last run.
    pub result: String,
    /// Whether it exists.
    pub exists: bool,
    /// Whether somebody has masked it, so that it cannot be started.
    pub masked: bool,
    /// Whether it has to be up: the operator declared it as needed, and it does not end by
    /// itself.
    pub has_to_be_up: bool,
}

/// A port of the service's that somebody else keeps it from binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPort {
    pub port: Port,
    /// The address that the holder is bound to.
    pub address: String,
    /// The unit that the holder belongs to, where it is known.
    pub unit: Option<UnitName>,
    /// The holding process: its id and its program's name, where they are known.
    pub process: Option<(u32, String)>,
    /// What shows that the service cannot bind the port.
    pub because: String,
}

/// Something that changed on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of thing.
    pub of: ChangeOf,
    /// Which: a path, a declared name with its path, a package.
    pub what: String,
    /// What happened to it, such as `was modified`.
    pub how: String,
    pub at: Timestamp,
}

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeOf {
    /// The unit's file, or a drop-in.
    Unit,
    /// A file that the operator declared.
    File,
    /// A file that the operator declared and that is not there: its folder was
    /// changed, last when it went or later.
    Missing,
    /// The package that the unit's file comes from.
    OwnPackage,
    Package,
}

/// An act that waits for a second opinion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedAct {
    /// Who wants it.
    pub strategy: StrategyName,
    /// Such as `process-control.terminate`.
    pub act: String,
    /// On what: a unit, a process, a declared name.
    pub target: String,
    /// What it is for and what else it would do, in the host's own words.
    pub why: String,
}

/// Thinks about failures. None of it acts, and none of it fails the caller: a
/// model that cannot be asked is a sentence that says why.
pub trait Analyst: Send + Sync {
    /// What the rules recognise, the likeliest first. Takes no longer than a few
    /// milliseconds, and asks nobody.
    fn diagnose(&self, evidence: &Evidence) -> Vec<Finding>;

    /// Asks the model for the root cause, and in which order it would try
    /// `strategies`. Returns by `model.timeout`.
    ///
    /// # Errors
    /// A sentence that says why there is no opinion.
    fn opinion(
        &self,
        model: &ModelSettings,
        evidence: &Evidence,
        findings: &[Finding],
        strategies: &[StrategyName],
    ) -> Result<Opinion, String>;

    /// Asks the model whether one act should be carried out. Returns by
    /// `model.timeout`. What the verdict is worth is for policy to say.
    ///
    /// # Errors
    /// A sentence that says why there is no verdict; that is neither yes nor
    /// no.
    fn second_opinion(
        &self,
        model: &ModelSettings,
        act: &ProposedAct,
        evidence: &Evidence,
    ) -> Result<SecondOpinion, String>;
}

/// An analyst that has nothing to say.
impl Analyst for () {
    fn diagnose(&self, _: &Evidence) -> Vec<Finding> {
        Vec::new()
    }

    fn opinion(
        &self,
        _: &ModelSettings,
        _: &Evidence,
        _: &[Finding],
        _: &[StrategyName],
    ) -> Result<Opinion, String> {
        Err("there is nobody to ask".to_owned())
    }

    fn second_opinion(
        &self,
        _: &ModelSettings,
        _: &ProposedAct,
        _: &Evidence,
    ) -> Result<SecondOpinion, String> {
        Err("there is nobody to ask".to_owned())
    }
}

/// Looks for what changed on the host. Not offered to strategies.
pub trait Changes: Send + Sync {
    /// What of `question` changed since, the newest first.
    ///
    /// # Errors
    /// When nothing can be told at all.
    fn since(
        &self,
        deadline: std::time::Instant,
        question: &ChangesQuestion<'_>,
    ) -> Result<Vec<Change>, Failure>;
}

/// A host of which nothing is known to change.
impl Changes for () {
    fn since(
        &self,
        _: std::time::Instant,
        _: &ChangesQuestion<'_>,
    ) -> Result<Vec<Change>, Failure> {
        Ok(Vec::new())
    }
}

/// Whose changes are looked for.
#[derive(Debug, Clone, Copy)]
pub struct ChangesQuestion<'a> {
    /// The service, with its declared files.
    pub service: &'a crate::service::Service,
    /// The file that defines its unit.
    pub fragment: Option<&'a str>,
    /// Nothing before.
    pub since: Timestamp,
    /// Nothing after. What was changed after a failure
    /// did not cause it.
    pub until: Timestamp,
}

/// Which language a model's server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelProtocol {
    /// OpenAI's chat completions, as Groq, LiteLLM, vLLM and llama.cpp speak it
    /// too.
    OpenAi,
    Ollama,
}

/// A language model, and what it may be asked and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSettings {
    /// Which language its server speaks.
    pub protocol: ModelProtocol,
    /// Where questions go, whole: `…/chat/completions` or `…/api/chat`.
    pub url: String,
    /// Its name there.
    pub model: String,
    /// What opens the door.
    pub key: Option<SecretSource>,
    /// The authorities to trust instead of the system's, in PEM form.
    pub ca_file: Option<PathBuf>,
    /// The answer is there by then, or there is none.
    pub timeout: Duration,
    /// How long healing may wait for the answer before the strategies act; zero:
    /// not at all.
    pub wait: Duration,
    /// How long its answer may be.
    pub max_tokens: u32,
    /// Whether the strategies that apply are tried in the order it proposes.
    pub may_order: bool,
    /// Whether addresses, host names and user names are sent as they are.
    pub addresses: bool,
    /// How many bytes of evidence are sent at most.
    pub evidence: usize,
    /// How often the host may ask in an hour.
    pub per_hour: u32,
}
