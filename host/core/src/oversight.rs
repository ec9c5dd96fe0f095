//! Acts that wait until somebody agrees: which they are, and what an agreement
//! is bound to.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    StrategyName, Timestamp, UnitName, capability::OversightRule, incident::IncidentId,
    policy::Act, remedy::Plan,
};

/// Which acts wait for a second opinion, and whose counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversight {
    /// These do, on every service.
    pub ask: BTreeSet<Act>,
    /// These do on critical services.
    pub ask_when_critical: BTreeSet<Act>,
    /// These never do, although they would by what they are.
    pub allow: BTreeSet<Act>,
    /// Whether a person may be asked to let a process be ended that is not
    /// proven to be the service's own; otherwise that is denied.
    pub foreign_processes: bool,
    /// For how long a question stands, and an approval is good.
    pub expires: Duration,
    /// What a language model's verdict is worth.
    pub model: ModelSay,
}

impl Default for Oversight {
    fn default() -> Self {
        Self {
            ask: BTreeSet::new(),
            ask_when_critical: BTreeSet::new(),
            allow: BTreeSet::new(),
            foreign_processes: false,
            expires: Duration::from_secs(60 * 60),
            model: ModelSay::Nothing,
        }
    }
}

impl Oversight {
    /// Whether `act` waits for somebody, on a service that is critical or not.
    pub fn asks(&self, act: Act, critical: bool) -> bool {
        let by_itself = act.consequence().oversight == OversightRule::UnlessAllowed;
        self.ask.contains(&act)
            || (critical && self.ask_when_critical.contains(&act))
            || (by_itself && !self.allow.contains(&act))
    }
}

/// What a language model's verdict on an act is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelSay {
    /// It is not asked.
    Nothing,
    /// Its veto counts; a person decides otherwise.
    Veto,
    /// Its veto counts, and its consent lets acts on the incident's own service
    /// go on. On anything else a person decides.
    Allow,
}

/// An act that waits, with all that an approval of it is bound to. When it comes
/// to be carried out, all of it has to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// In which incident.
    pub incident: IncidentId,
    /// Of which service.
    pub unit: UnitName,
    /// Who wants it.
    pub strategy: StrategyName,
    /// Such as `process-control.terminate`.
    pub act: String,
    /// On what, in words: a unit, a process, a declared name.
    pub target: String,
    /// The process that it is about, if it is about one: its number may be another's
    /// by the time that somebody agrees.
    pub process: Option<ProcessKey>,
    /// The failed run.
    pub invocation: Option<String>,
    pub boot_id: String,
}

/// What names one process of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessKey {
    pub pid: u32,
    /// When it started, in milliseconds since the boot.
    pub started_ms: u64,
}

/// A proposal, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id: the incident's, and a number.
    pub id: String,
    /// What is proposed.
    pub proposal: Proposal,
    /// Why it is wanted, in the strategy's words.
    pub why: String,
    /// What it would come to, by its latest plan: only of a declared remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    pub asked_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    /// How it stands.
    pub state: ApprovalState,
    pub by: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
}

impl Approval {
    /// Whether somebody may still decide at `now`.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.state == ApprovalState::Waiting && !self.is_over(now)
    }

    /// Whether somebody has decided against it, and that stands at `now`.
    pub fn denies(&self, now: Timestamp) -> bool {
        self.state == ApprovalState::Denied && !self.is_over(now)
    }

    /// Whether its time is over at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    /// Nobody has decided.
    Waiting,
    /// It may be done, once.
    Approved,
    /// It must not be done.
    Denied,
    /// It was approved, and the act was begun.
    Used,
    /// Its incident ended without it: nobody has to decide any more.
    Withdrawn,
}

impl ApprovalState {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Approved,
        Self::Denied,
        Self::Used,
        Self::Withdrawn,
    ];

    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
