//! What a remedy would do, what it did, and how it is undone.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ChangedTraffic, EnteredMode, FailedOver, InstanceServer, LinkChange, MovedAside, MovedLimits,
    OpenedCircuit, PackageChange, PackageVersion, ReplacedContent, StartedInstance,
};
use crate::{UnitName, health::bytes, text::one_line};

/// What applying a remedy would come to, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether there is anything to do.
    pub eligible: bool,
    /// What would be done, as an infinitive (``move `cache` aside``); why there is nothing to
    /// do, where there is not. Without a full stop. A strategy reads it: what the operator
    /// named stands there by that name, in backquotes, and without its path.
    pub summary: String,
    /// What people see behind the summary, and no strategy does: the names of files, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// How much of it.
    pub amount: Option<Amount>,
    /// How it is undone; absent where it cannot be, or nothing is left to undo.
    pub undo: Option<Undo>,
    /// When it goes back by itself; only of what can be undone.
    pub lease: Option<Lease>,
    /// What was so just before, for people: what uses most of what is to be relieved. A
    /// strategy does not see it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Units that it would act on beside those that are declared: what runs in a slice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<UnitName>,
}

impl Plan {
    /// There is something to do.
    pub fn to(summary: impl Into<String>) -> Self {
        Self {
            eligible: true,
            summary: summary.into(),
            details: None,
            amount: None,
            undo: None,
            lease: None,
            evidence: Vec::new(),
            along: Vec::new(),
        }
    }

    /// There is nothing to do, because of this.
    pub fn nothing(because: impl Into<String>) -> Self {
        Self {
            eligible: false,
            ..Self::to(because)
        }
    }

    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    #[must_use]
    pub fn amount(mut self, of: AmountOf, value: u64) -> Self {
        self.amount = Some(Amount { value, of });
        self
    }

    #[must_use]
    pub fn undone_by(mut self, undo: Undo) -> Self {
        self.undo = Some(undo);
        self
    }

    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }
}

/// What applying a remedy has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whether anything was changed.
    pub changed: bool,
    /// What was done, in the past tense (``moved `cache` aside``), or why nothing was; as in
    /// [`Plan::summary`].
    pub summary: String,
    /// How much the plan said.
    pub predicted: Option<Amount>,
    /// How much it was, measured.
    pub measured: Option<Amount>,
    /// More of it, in lines, for people alone: no strategy reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Receipt {
    /// It was done, as it was planned; nothing was measured.
    pub fn done(summary: impl Into<String>) -> Self {
        Self {
            changed: true,
            summary: summary.into(),
            predicted: None,
            measured: None,
            details: None,
        }
    }

    /// Nothing was to be done.
    pub fn nothing(because: impl Into<String>) -> Self {
        Self {
            changed: false,
            ..Self::done(because)
        }
    }
}

/// So much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub value: u64,
    pub of: AmountOf,
}

impl fmt::Display for Amount {
    /// `1.2 GiB`, or `3 files`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            AmountOf::Bytes => f.pad(&bytes(self.value)),
            of if self.value == 1 => write!(f, "1 {}", of.one()),
            of => write!(f, "{} {}", self.value, of.as_str()),
        }
    }
}

/// The unit of a number that a plan or an outcome gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AmountOf {
    Bytes,
    Files,
    Processes,
    Instances,
    Sessions,
}

impl AmountOf {
    /// A single one of them.
    fn one(self) -> &'static str {
        match self {
            Self::Bytes => "byte",
            Self::Files => "file",
            Self::Processes => "process",
            Self::Instances => "instance",
            Self::Sessions => "session",
        }
    }

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Instances => "instances",
            Self::Sessions => "sessions",
        }
    }
}

/// How something is undone. It is known, and on the disk, before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    MoveBack(MovedAside),
    /// Where nothing has taken its place meanwhile.
    PutBack(MovedAside),
    /// As long as nobody has changed it since.
    TakeContentBack(ReplacedContent),
    /// Limits go back to what they were.
    SetBack(MovedLimits),
    /// A unit that was frozen goes on.
    Thaw {
        unit: UnitName,
    },
    /// An instance that was started is drained and stopped.
    StopInstance(StartedInstance),
    /// An instance that was stopped is started.
    StartInstance {
        unit: UnitName,
        /// The server that HAProxy was told to drain for that; it is put back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<Box<InstanceServer>>,
    },
    Relink(LinkChange),
    /// Packages are installed in the versions that they had.
    Reinstall(PackageChange),
    LeaveMode(EnteredMode),
    /// As long as nobody else has changed it since.
    RestoreTraffic(ChangedTraffic),
    /// The service is no longer kept down: it is started.
    CloseCircuit(OpenedCircuit),
    /// The standby is stopped, and the primary may run again.
    FailBack(Box<FailedOver>),
}

impl fmt::Display for Undo {
    /// As an infinitive: `move /var/cache/web back`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoveBack(moved) => write!(f, "move {} back", moved.path.display()),
            Self::PutBack(moved) => write!(f, "put {} back", moved.path.display()),
            Self::TakeContentBack(replaced) => {
                let path = replaced.path.display();
                write!(f, "bring the former content of {path} back")
            }
            Self::SetBack(moved) => write!(f, "set {moved}"),
            Self::Thaw { unit } => write!(f, "thaw {unit}"),
            Self::StopInstance(started) => write!(f, "stop {}", started.unit),
            Self::StartInstance { unit, .. } => write!(f, "start {unit}"),
            Self::Relink(change) => {
                let (path, from) = (change.path.display(), &change.from);
                write!(f, "point {path} to {} again", one_line(from, 200))
            }
            Self::Reinstall(change) => write!(
                f,
                "install {} again",
                one_line(&PackageVersion::all_as_text(&change.from), 200)
            ),
            Self::LeaveMode(entered) => write!(f, "leave mode `{}`", entered.name),
            Self::RestoreTraffic(changed) => changed.fmt(f),
            Self::CloseCircuit(opened) => {
                write!(f, "close circuit `{}`: start {}", opened.name, opened.unit)
            }
            Self::FailBack(over) => write!(
                f,
                "fail back: stop {}, start {}",
                over.standby, over.primary
            ),
        }
    }
}

/// When something goes back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// After so long.
    #[serde(rename = "milliseconds", with = "crate::span::in_millis")]
    pub lasts: Duration,
    pub ends: LeaseEnds,
    /// Before that, once the service was well for so long; only of what is undone.
    #[serde(default, rename = "calm_milliseconds", with = "crate::span::in_millis")]
    pub calm: Duration,
}

/// What comes at the end of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseEnds {
    /// It is undone.
    Undone,
    /// It can no longer be undone: what was kept for that is deleted.
    Kept,
    /// The service is tried, by the next attempt at its incident.
    Tried,
}

/// Why something is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoReason {
    /// It did not help.
    NoHelp,
    /// It was cut off: nobody knows whether it was done.
    CutOff,
    /// The service is proven well, and does not need it any more.
    Well,
    /// Its time is over.
    LeaseOver,
    /// A person wants it.
    Ordered,
}

impl UndoReason {
    /// In a sentence: `it did not help`.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoHelp => "it did not help",
            Self::CutOff => "it was cut off",
            Self::Well => "the service is well without it",
            Self::LeaseOver => "its time is over",
            Self::Ordered => "a person ordered that",
        }
    }
}
