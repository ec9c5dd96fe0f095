//! `prunella:act/file-repair`: bringing a declared file back to its declaration.

use serde::{Deserialize, Serialize};

use super::{
    Act, ActsOn, Budget, Consequence, Described, Description, Durability, OversightRule, Reply,
    StopsAlong, Subject,
};

/// Repairs one aspect; true when something was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairFile {
    pub name: String,
    #[serde(skip)]
    pub what: Repair,
}

const REPAIR: Consequence = Consequence {
    name: "",
    asks_systemd: false,
    means: "",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    ends_processes: false,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: |reply| match reply {
        Reply::FileRepair(true) => Some("brought back to its declaration".to_owned()),
        Reply::FileRepair(false) => Some("was as declared".to_owned()),
        _ => None,
    },
};

pub(super) static MODE: Consequence = Consequence {
    name: "file-repair.mode",
    asks_systemd: false,
    means: "may set declared files to their declared mode",
    ..REPAIR
};

pub(super) static OWNER: Consequence = Consequence {
    name: "file-repair.owner",
    asks_systemd: false,
    means: "may give declared files to their declared owner",
    ..REPAIR
};

pub(super) static TARGET: Consequence = Consequence {
    name: "file-repair.target",
    asks_systemd: false,
    means: "may point declared links to their declared target",
    ..REPAIR
};

impl Described for RepairFile {
    fn description(&self) -> Description {
        Description::Act(self.what.into())
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::File(&self.name)
    }
}

/// What [`RepairFile`] can bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// The permission bits.
    Mode,
    /// User and group.
    Owner,
    /// Where a symbolic link leads.
    Target,
}

impl Repair {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Target => "target",
        }
    }
}

impl From<Repair> for Act {
    fn from(what: Repair) -> Self {
        match what {
            Repair::Mode => Self::RepairMode,
            Repair::Owner => Self::RepairOwner,
            Repair::Target => Self::RepairTarget,
        }
    }
}
