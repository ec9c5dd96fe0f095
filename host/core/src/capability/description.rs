//! What is known of a call before it is made: everything that the layers between
//! a strategy and the host decide by.

use serde::{Deserialize, Serialize};

use super::{Act, ProcessInfo, Protocol, Reply};
use crate::UnitName;

/// What a call is.
#[derive(Debug, Clone, Copy)]
pub enum Description {
    /// It changes nothing on the host.
    Look(&'static Look),
    /// It changes something, and passes the safety kernel's gate.
    Act(Act),
}

impl Description {
    /// Its name in grants, trails and recordings: `unit-control.restart`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Look(look) => look.name,
            Self::Act(act) => act.name(),
        }
    }

    /// Whether it reads what was measured, which a run may so many times.
    pub fn reads_metrics(self) -> bool {
        matches!(self, Self::Look(look) if look.reads_metrics)
    }

    /// Whether it takes a call to systemd, of which a run has so many.
    pub fn asks_systemd(self) -> bool {
        match self {
            Self::Look(look) => look.asks_systemd,
            Self::Act(act) => act.consequence().asks_systemd,
        }
    }
}

/// A call that looks.
#[derive(Debug)]
pub struct Look {
    pub name: &'static str,
    pub asks_systemd: bool,
    pub reads_metrics: bool,
    /// The grant that lets it look further than at the service and its needs.
    pub through: Option<Observe>,
    /// When it may be made.
    pub time: Time,
}

/// When a look is in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Whenever there is a host.
    Always,
    /// Not while assessing: it changes what the strategy keeps.
    NotKeptInAssess,
    /// Not while assessing: it belongs to an act.
    NotInAssess,
}

/// What an act means, and what it costs. Every act has to say all of it.
#[derive(Debug)]
pub struct Consequence {
    /// In a grant: `unit-control.restart`.
    pub name: &'static str,
    pub asks_systemd: bool,
    /// For people, of a strategy that was granted it: `may restart units`.
    pub means: &'static str,
    /// What it acts on, and so what a grant of it can be limited to.
    pub on: ActsOn,
    /// Which other units stop with it.
    pub stops_along: StopsAlong,
    /// Whether it ends processes that run: what is known of them is kept first.
    pub ends_processes: bool,
    /// What it takes out of the healing budget.
    pub budget: Budget,
    /// When its intention has to be on the disk.
    pub durability: Durability,
    /// Whether somebody can be asked to agree first.
    pub oversight: OversightRule,
    /// How it ended, in words for the trail; none when that is known later.
    pub result: fn(&Reply) -> Option<String>,
}

/// What an act acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActsOn {
    Unit,
    Process,
    /// What the operator declared for the service.
    Declared,
}

/// Which other units stop when a unit is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopsAlong {
    Nothing,
    /// What systemd stops because it cannot run beside it (Conflicts=).
    ItsConflicts,
    /// What systemd stops because it cannot run without it (RequiredBy=).
    ItsDependents,
}

/// What an act takes out of the healing budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    Free,
    /// One start or restart.
    Healing,
}

/// When the intention of an act has to be on the disk. It is committed before the
/// act in any case: our being killed does not lose it, a power cut might.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the act, whose effect outlives a power cut.
    OnDiskFirst,
    /// While systemd is at work: the effect goes with the power.
    OnDiskMeanwhile,
    /// With what comes next: all that changes is what systemd has in memory.
    Committed,
}

/// When somebody has to agree to an act first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OversightRule {
    /// Where the operator lists it in `[oversight]`.
    WhenListed,
    /// There, and always for what is not the service's own.
    WhenListedOrNotItsOwn,
    /// Unless the operator lists it as allowed without asking.
    UnlessAllowed,
}

/// What a call is about, as far as that decides whether it may be made.
#[derive(Debug)]
pub enum Subject<'a> {
    /// The service itself, or nothing in particular.
    Nothing,
    /// A unit; a layer may put its canonical name here.
    Unit(&'a mut UnitName),
    Port(Protocol, u16),
    Process(&'a ProcessInfo),
    /// A declared file.
    File(&'a str),
    /// A declared check.
    Check(&'a str),
    /// A declared probe.
    Probe(&'a str),
    /// A declared file, or a place that every host has.
    Place(&'a str),
    /// A declared remedy.
    Remedy(&'a str),
}

/// A call that says what it is. Each is described in its capability's file.
pub trait Described {
    fn description(&self) -> Description;

    fn subject(&mut self) -> Subject<'_> {
        Subject::Nothing
    }
}

impl Look {
    /// At the service and what it needs, at any time.
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            asks_systemd: false,
            reads_metrics: false,
            through: None,
            time: Time::Always,
        }
    }

    pub(super) const fn asks_systemd(self) -> Self {
        Self {
            asks_systemd: true,
            ..self
        }
    }

    pub(super) const fn reads_metrics(self) -> Self {
        Self {
            reads_metrics: true,
            ..self
        }
    }

    /// At units, of which a grant can allow more.
    pub(super) const fn through(self, observe: Observe) -> Self {
        Self {
            through: Some(observe),
            ..self
        }
    }

    /// It changes what the strategy keeps for itself.
    pub(super) const fn keeps(self) -> Self {
        Self {
            time: Time::NotKeptInAssess,
            ..self
        }
    }

    /// It belongs to an act.
    pub(super) const fn only_when_healing(self) -> Self {
        Self {
            time: Time::NotInAssess,
            ..self
        }
    }
}

/// An observe interface whose scope a grant can widen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observe {
    Units,
    Logs,
    Processes,
    Health,
    Metrics,
}

impl Observe {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Units,
        Self::Logs,
        Self::Processes,
        Self::Health,
        Self::Metrics,
    ];

    /// Its name in a grant.
    pub fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Logs => "logs",
            Self::Processes => "processes",
            Self::Health => "health",
            Self::Metrics => "metrics",
        }
    }
}
