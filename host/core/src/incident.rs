//! An incident: one failure or degradation of one service, from detection to close.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Monotonic, StrategyName, Timestamp, UnitName,
    capability::UnitStatus,
    cause::Cause,
    health::{ExpectedWork, Symptom, Unusual},
};

/// What an incident is about.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// A service is down, does not answer, or a person asks for its healing.
    #[default]
    Failure,
    /// A service is up, and serves worse than it should.
    Degradation,
}

impl IncidentKind {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Failure, Self::Degradation];

    /// The stable word of the store, of the contract and of `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Degradation => "degradation",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An incident's own name: the second it was opened, in UTC, as the `Z` says, and four
/// random digits, such as `20261121-142301Z-7f3a`. Sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// From the time it was opened and a random number.
    pub fn new(at: Timestamp, random: u16) -> Self {
        let at = at.to_jiff().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self(format!("{}-{random:04x}", at.strftime("%Y%m%d-%H%M%SZ")))
    }

    /// One read back from the store or a command line. Any text will do: an id
    /// that does not exist is simply not found.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a failure was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectedBy {
    /// The daemon, by systemd's signals.
    Signal,
    /// `prunella hook`, by OnFailure=.
    Hook,
    /// `prunella sweep`, or the daemon at its start or after a lost bus.
    Sweep,
    /// A declared probe went unanswered.
    Probe,
    /// A condition of its health holds.
    Symptom,
    /// A service that needs it found it dead.
    Dependency,
    /// `prunella heal`.
    Operator,
}

impl DetectedBy {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Hook => "hook",
            Self::Sweep => "sweep",
            Self::Probe => "probe",
            Self::Symptom => "symptom",
            Self::Dependency => "dependency",
            Self::Operator => "operator",
        }
    }
}

/// A failure as it was noticed; what an incident is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// The unit, by its canonical name.
    pub unit: UnitName,
    /// How it was noticed.
    pub by: DetectedBy,
    pub at: Timestamp,
    /// What went wrong.
    pub cause: Cause,
    /// The failed run.
    pub invocation: Option<String>,
    /// The main process's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the main process, without `SIG`.
    pub signal: Option<String>,
    /// When systemd saw the unit go down, its probe was first asked in vain, or its symptom
    /// began.
    pub failed_monotonic: Option<Monotonic>,
    /// How often systemd had restarted the unit by itself (Restart=) before this failure, by
    /// its own count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts_before: Option<u32>,
    /// What was measured, the worst first; only of a degradation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<Symptom>,
    /// What was unusual of the service then: a hint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusual: Vec<Unusual>,
    /// The degradation of the same service that goes on as this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<IncidentId>,
    /// The work that was expected of the service when it was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_work: Option<Box<ExpectedWork>>,
}

impl Detection {
    /// Of a unit as it stands, noticed at `at`.
    pub fn of(status: &UnitStatus, by: DetectedBy, cause: Cause, at: Timestamp) -> Self {
        Self {
            unit: status.name.clone(),
            by,
            at,
            cause,
            invocation: status.invocation.clone(),
            exit_code: status.exit_code,
            signal: status.signal.clone(),
            failed_monotonic: status.inactive_enter_monotonic,
            restarts_before: Some(status.restarts),
            symptoms: Vec::new(),
            unusual: Vec::new(),
            follows: None,
            expected_work: None,
        }
    }

    /// What the incident is about.
    pub fn kind(&self) -> IncidentKind {
        if self.cause == Cause::Degraded {
            IncidentKind::Degradation
        } else {
            IncidentKind::Failure
        }
    }

    /// Whether it is of a service that is up and serves worse than it should.
    pub fn is_degradation(&self) -> bool {
        self.kind() == IncidentKind::Degradation
    }

    /// What makes two detections the same failure: the unit and its failed
    /// run, or where there was none, the boot and the moment.
    pub fn key(&self, boot_id: &str) -> String {
        let at = self.at.as_millis();
        match (&self.invocation, self.failed_monotonic) {
            // A run can fail only once, but a run that does not answer can be
            // found so more than once: the cause tells those apart.
            (Some(invocation), _) if self.cause == Cause::NotAnswering => {
                format!("{}/{invocation}/not-answering/{at}", self.unit)
            }
            // So can a run that is slow.
            (Some(invocation), _) if self.cause == Cause::Degraded => {
                format!("{}/{invocation}/degraded/{at}", self.unit)
            }
            // A loop is told of in the middle of a run that may go on to fail
            // for good, which is a failure of its own.
            (Some(invocation), _) if self.cause == Cause::RestartLoop => {
                format!("{}/{invocation}/{}", self.unit, self.cause)
            }
            // A run that is up has not failed: when it does, that is another
            // failure than the one which an operator thought of.
            (Some(invocation), None) if self.by == DetectedBy::Operator => {
                format!("{}/{invocation}/asked-{at}", self.unit)
            }
            (Some(invocation), _) => format!("{}/{invocation}", self.unit),
            (None, Some(failed)) => format!("{}/{boot_id}/{}", self.unit, failed.as_micros()),
            (None, None) => format!("{}/{boot_id}/at-{at}", self.unit),
        }
    }
}

impl Detection {
    /// Whether a person wants the run restarted that `status` shows. Once there is another
    /// run, the restart has been.
    pub fn asks_to_restart(&self, status: &UnitStatus) -> bool {
        self.cause == Cause::RestartRequested
            && status.is_up()
            && status.invocation == self.invocation
    }

    /// Whether it is an order of a person about a service of which no run had failed: it was
    /// up, or had been stopped.
    pub fn is_order(&self) -> bool {
        match self.cause {
            Cause::RestartRequested => true,
            Cause::State(_) => self.by == DetectedBy::Operator,
            _ => false,
        }
    }

    /// Whether nothing had failed, and nothing did then: a person asked about the service
    /// while it was up, had it restarted, or had it started after a stop. Of a degradation
    /// people may know.
    pub fn nothing_failed(&self, ending: &Ending) -> bool {
        match ending {
            _ if self.follows.is_some() => false,
            Ending::Healed { .. } | Ending::LeftAlone { .. } => self.is_order(),
            Ending::Recovered { .. } => self.cause.is_no_failure(),
            _ => false,
        }
    }

    /// Whether it tells of another failure of the unit than `earlier` did, whose incident was
    /// looked at last at `looked`, in this boot: of another run that failed after that, or of
    /// one that was up when an operator asked for it.
    pub fn is_another_than(&self, earlier: &Self, looked: Option<Monotonic>) -> bool {
        if looked.is_some_and(|looked| self.was_by(looked)) {
            return false;
        }
        let was_up = earlier.by == DetectedBy::Operator && earlier.failed_monotonic.is_none();
        self.invocation != earlier.invocation || (was_up && self.failed_monotonic.is_some())
    }

    /// Whether the unit had failed so by that moment of the same boot: what ended then has
    /// seen it. Which run it was says nothing, since systemd or Prunella may have started
    /// several meanwhile.
    pub fn was_by(&self, moment: Monotonic) -> bool {
        self.is_a_moment() && self.failed_monotonic.is_some_and(|failed| failed <= moment)
    }

    /// Whether it tells of the moment when a run failed, and not of a state that goes on.
    pub fn is_a_moment(&self) -> bool {
        !matches!(self.cause, Cause::NotAnswering | Cause::RestartLoop)
    }
}

/// An incident, as it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    /// See [`Detection::key`].
    pub key: String,
    /// What was noticed.
    pub detection: Detection,
    /// 1 for the first attempt, 2 for the next, …
    pub attempt: u32,
    /// The boot it happened in.
    pub boot_id: String,
    /// The incident that this one blocks, when it was opened for a dependant.
    pub parent: Option<IncidentId>,
}

/// Why nothing was done, and rightly so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftAlone {
    /// The unit is not in Prunella's care.
    NotInCare,
    /// `prunella pause`.
    Paused,
    /// An operator stopped the unit.
    OperatorStop,
    /// An operator masked or disabled loading of the unit.
    Masked,
    /// systemd has a job pending for it.
    JobPending,
    /// systemd restarts it by itself (Restart=).
    SystemdRestarts,
    /// A package is being installed, upgraded or removed.
    PackageUpgrade,
    /// The host is shutting down or starting up.
    Shutdown,
    /// Its StartLimitAction= or FailureAction= would reboot the host.
    FailureAction,
    /// Its start limit was hit, and `start-limit = "respect"`.
    StartLimit,
    /// It ended as its RestartPreventExitStatus= names it.
    RestartPrevented,
    /// Its RefuseManualStart= lets nobody start it.
    RefusesStart,
    /// A Condition…= or Assert…= of it is not met.
    ConditionUnmet,
    /// It is a protected unit.
    Protected,
    /// It is up: nothing has failed, or it has come back by itself.
    Healthy,
    /// A oneshot or a program that ended with success.
    Finished,
    /// The kill switch is on.
    KillSwitch,
    /// A mistake in Prunella's configuration keeps it from being healed.
    Misconfigured,
    /// Another unit of its failover group has its place.
    FailedOver,
}

impl LeftAlone {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NotInCare,
        Self::Paused,
        Self::OperatorStop,
        Self::Masked,
        Self::JobPending,
        Self::SystemdRestarts,
        Self::PackageUpgrade,
        Self::Shutdown,
        Self::FailureAction,
        Self::StartLimit,
        Self::RestartPrevented,
        Self::RefusesStart,
        Self::ConditionUnmet,
        Self::Protected,
        Self::Healthy,
        Self::Finished,
        Self::KillSwitch,
        Self::Misconfigured,
        Self::FailedOver,
    ];

    /// The one that [`word`](Self::as_str) says.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == word)
    }

    /// The reason in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotInCare => "the unit is not in Prunella's care",
            Self::Paused => "Prunella is paused for it",
            Self::OperatorStop => "an operator stopped it",
            Self::Masked => "the unit is masked",
            Self::JobPending => "systemd has a job pending for it",
            Self::SystemdRestarts => "systemd is restarting it by itself (Restart=)",
            Self::PackageUpgrade => "a package is being installed, upgraded or removed",
            Self::Shutdown => "the host is shutting down",
            Self::FailureAction => "its StartLimitAction= or FailureAction= may reboot the host",
            Self::StartLimit => {
                "it has hit its start limit, and `start-limit = \"respect\"` leaves that to people"
            }
            Self::RestartPrevented => "its unit says that it must not be restarted",
            Self::RefusesStart => "its unit refuses to be started by anybody (RefuseManualStart=)",
            Self::ConditionUnmet => {
                "systemd does not start it while a condition of its unit is not met"
            }
            Self::Protected => "it is a protected unit",
            Self::Healthy => "it is up",
            Self::Finished => "it ended with success",
            Self::KillSwitch => "the kill switch is on",
            Self::Misconfigured => {
                "a mistake in Prunella's configuration keeps it from being healed"
            }
            Self::FailedOver => "another unit of its failover group has its place",
        }
    }

    /// The stable word of logs and `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInCare => "not-in-care",
            Self::Paused => "paused",
            Self::OperatorStop => "operator-stop",
            Self::Masked => "masked",
            Self::JobPending => "job-pending",
            Self::SystemdRestarts => "systemd-restarts",
            Self::PackageUpgrade => "package-upgrade",
            Self::Shutdown => "shutdown",
            Self::FailureAction => "failure-action",
            Self::StartLimit => "start-limit",
            Self::RestartPrevented => "restart-prevented",
            Self::RefusesStart => "refuses-start",
            Self::ConditionUnmet => "condition-unmet",
            Self::Protected => "protected",
            Self::Healthy => "healthy",
            Self::Finished => "finished",
            Self::KillSwitch => "kill-switch",
            Self::Misconfigured => "misconfigured",
            Self::FailedOver => "failed-over",
        }
    }

    /// Whether what stands in the way will pass by itself, and without a signal
    /// that tells when: it is looked at again after a while.
    pub fn passes(self) -> bool {
        matches!(
            self,
            Self::KillSwitch
                | Self::Paused
                | Self::PackageUpgrade
                | Self::JobPending
                | Self::SystemdRestarts
                | Self::Misconfigured
                | Self::Masked
        )
    }

    /// Whether the service is meant to be as it is, so that nothing is left to do.
    pub fn is_meant(self) -> bool {
        matches!(
            self,
            Self::Healthy | Self::Finished | Self::OperatorStop | Self::Masked | Self::FailedOver
        )
    }

    /// Whether people should still hear of it: nothing was done, and the
    /// service is down with nobody at work on it.
    pub fn needs_people(self) -> bool {
        matches!(
            self,
            Self::FailureAction
                | Self::StartLimit
                | Self::RestartPrevented
                | Self::RefusesStart
                | Self::ConditionUnmet
                | Self::Protected
                | Self::KillSwitch
                | Self::Misconfigured
        )
    }
}

/// How an incident, or one attempt at it, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "kebab-case")]
pub enum Ending {
    /// A strategy healed it, and the host has proof.
    Healed {
        strategy: StrategyName,
        /// From the failure to the moment of recovery.
        #[serde(default, with = "crate::span::in_micros")]
        recovered_after: Option<Duration>,
        /// The standby that serves in its place, which is stopped for that: it was failed
        /// over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        served_by: Option<UnitName>,
    },
    /// It is well again, and no act of Prunella's did it.
    Recovered {
        /// Who or what did, as far as is known.
        by: String,
    },
    /// Nothing was done, and rightly so.
    LeftAlone {
        why: LeftAlone,
        /// More about it.
        detail: String,
    },
    /// Handed to people.
    Escalated {
        /// Why Prunella could not do it.
        reason: String,
        /// When it will be tried again.
        retry_at: Option<Timestamp>,
    },
    /// Waits for another unit to be healthy.
    Blocked { on: UnitName, reason: String },
    /// The host was rebooted in the middle of it, and nothing has started the unit since.
    Interrupted {
        /// How the unit stands now.
        detail: String,
    },
    /// A dry run came to its end; nothing was carried out.
    DryRun {
        /// What would have come of it.
        verdict: String,
    },
    /// A degradation that goes on as another incident of the service.
    Continued {
        /// What became of it.
        reason: String,
    },
}

/// How an incident ended, in one word: an [`Ending`] without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndingKind {
    /// A strategy healed it, with proof.
    Healed,
    /// It is well again by itself, or by somebody else.
    Recovered,
    /// Nothing was done, and rightly so.
    LeftAlone,
    /// Handed to people.
    Escalated,
    /// Waits for another unit.
    Blocked,
    /// The host was rebooted, and nothing has started the unit since.
    Interrupted,
    /// Nothing was carried out: a dry run.
    DryRun,
    /// It goes on as another incident.
    Continued,
}

impl EndingKind {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Healed,
        Self::Recovered,
        Self::LeftAlone,
        Self::Escalated,
        Self::Blocked,
        Self::Interrupted,
        Self::DryRun,
        Self::Continued,
    ];

    /// The stable word of logs, of the store and of `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::LeftAlone => "left-alone",
            Self::Escalated => "escalated",
            Self::Blocked => "blocked",
            Self::Interrupted => "interrupted",
            Self::DryRun => "dry-run",
            Self::Continued => "continued",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Ending {
    /// In one word.
    pub fn kind(&self) -> EndingKind {
        match self {
            Self::Healed { .. } => EndingKind::Healed,
            Self::Recovered { .. } => EndingKind::Recovered,
            Self::LeftAlone { .. } => EndingKind::LeftAlone,
            Self::Escalated { .. } => EndingKind::Escalated,
            Self::Blocked { .. } => EndingKind::Blocked,
            Self::Interrupted { .. } => EndingKind::Interrupted,
            Self::DryRun { .. } => EndingKind::DryRun,
            Self::Continued { .. } => EndingKind::Continued,
        }
    }

    /// The stable word of logs, of the store and of `--json`.
    pub fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }

    /// Why it ended so, in a sentence; healing needs no reason.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Healed { served_by, .. } => served_by
                .as_ref()
                .map(|standby| format!("{standby} serves in its place")),
            Self::Recovered { by } => Some(by.clone()),
            Self::LeftAlone { why, detail } if detail.is_empty() => Some(why.sentence().to_owned()),
            Self::LeftAlone { why, detail } => Some(format!("{}: {detail}", why.sentence())),
            Self::Escalated { reason, .. } => Some(reason.clone()),
            Self::Blocked { on, reason } => Some(format!("waits for {on}: {reason}")),
            Self::Interrupted { detail } => Some(detail.clone()),
            Self::DryRun { verdict } => Some(verdict.clone()),
            Self::Continued { reason } => Some(reason.clone()),
        }
    }

    /// Why people are asked to see to the incident after an attempt that ended so, if they
    /// are: `before` is why they were before that attempt.
    pub fn people_asked<'a>(&'a self, before: Option<&'a str>) -> Option<&'a str> {
        match self {
            Self::Escalated { reason, .. } => Some(reason),
            // It goes on as it was, but for what an operator has taken over.
            Self::Blocked { .. } => before,
            Self::LeftAlone { why, .. } if why.passes() && *why != LeftAlone::Paused => before,
            _ => None,
        }
    }

    /// Whether the incident is over. An escalated one may be tried again, and a
    /// blocked one goes on; both stay open.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Blocked { .. })
    }
}

/// What a strategy said when it assessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum Assessment {
    /// It would heal it.
    Applies {
        /// 0 to 100.
        confidence: u8,
        reason: String,
    },
    /// Nothing here for it.
    NotApplicable { reason: String },
    /// Another unit has to be healed first.
    BlockedBy {
        /// Which, as the strategy named it.
        unit: String,
        reason: String,
    },
    /// Nobody should act.
    Veto { reason: String },
}

/// What a strategy said when it had healed, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum Outcome {
    /// Done, and it looks healthy to the strategy.
    Healed {
        /// What it did.
        summary: String,
    },
    /// Nothing here for it after all.
    NotApplicable { reason: String },
    /// It could not.
    Failed { reason: String },
    /// Another unit has to be healed first.
    BlockedBy {
        /// Which, as the strategy named it.
        unit: String,
        reason: String,
    },
}

/// Who a strategy says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What its author calls it.
    pub name: String,
    pub version: String,
    pub author: String,
    /// What it heals and how.
    pub summary: String,
    /// The settings it knows.
    pub settings: Vec<SettingSpec>,
    /// Which incidents it treats; failures alone, when it does not say.
    #[serde(default)]
    pub treats: Option<Vec<IncidentKind>>,
}

impl Description {
    /// Whether it treats such incidents.
    pub fn is_for(&self, kind: IncidentKind) -> bool {
        match &self.treats {
            None => kind == IncidentKind::Failure,
            Some(treats) => treats.contains(&kind),
        }
    }
}

/// A setting that a strategy knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingSpec {
    pub name: String,
    /// `text`, `number`, `boolean` or `duration`.
    pub kind: String,
    /// Whether the operator must set it.
    pub required: bool,
    /// Its value otherwise.
    pub default: Option<String>,
    /// What it does.
    pub help: String,
}
