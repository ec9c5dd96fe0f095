//! `prunella:observe/remedies`, and the one way by which every declared remedy is applied and
//! undone: see [`remedy`](crate::remedy).

use serde::Serialize;

use super::{
    Act, ActsOn, Budget, Consequence, Described, Description, Durability, Look, OversightRule,
    Reply, StopsAlong, Subject,
};
use crate::remedy::{Undo, UndoReason};

/// What an act would do with a declared remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanOf {
    pub act: Act,
    pub name: String,
}

/// Applies a remedy that a service declares, as its plan says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Apply {
    #[serde(skip)]
    pub act: Act,
    pub name: String,
    /// How it will be undone, as its plan said. Whoever makes the plan sets it: no strategy
    /// can.
    #[serde(skip)]
    pub undo: Option<Undo>,
}

/// Undoes what was done, or deletes what was kept for that. No strategy can ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakeBack {
    pub act: Act,
    pub undo: Undo,
    /// Why it is undone.
    pub why: UndoReason,
    /// Whether what was kept is deleted instead.
    pub discard: bool,
}

/// Takes a copy of a declared file, of which the service is known to be well, where it is in
/// force and has changed: whether one was taken. No strategy can ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keep {
    pub name: String,
}

static KEEP: Look = Look::new("remedies.keep");
/// What all acts on declared remedies have in common. How durable its intention has to be, and
/// who is asked, each says for itself.
pub(super) const REMEDY: Consequence = Consequence {
    name: "",
    means: "",
    asks_systemd: true,
    on: ActsOn::Declared,
    // Which units stop is declared; what would stop with them is judged with that.
    stops_along: StopsAlong::Nothing,
    ends_processes: false,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::UnlessAllowed,
    result: |reply| match reply {
        Reply::RemedyApply(receipt) => Some(receipt.summary.clone()),
        _ => None,
    },
};

static PLAN: Look = Look::new("remedies.plan-for");

impl Described for PlanOf {
    fn description(&self) -> Description {
        Description::Look(&PLAN)
    }
}

impl Described for Keep {
    fn description(&self) -> Description {
        Description::Look(&KEEP)
    }
}

impl Described for Apply {
    fn description(&self) -> Description {
        Description::Act(self.act)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Remedy(&self.name)
    }
}

impl Described for TakeBack {
    fn description(&self) -> Description {
        Description::Act(self.act)
    }
}
