//! `prunella:base/state`: what each strategy keeps of its own between the incidents
//! of the service. The quotas are in [`state`](crate::state).

use serde::Serialize;

use super::{Described, Description, Look};
use crate::StrategyName;

/// The value of a key, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Get {
    #[serde(skip)]
    pub strategy: StrategyName,
    pub key: String,
}

/// Keeps a value; `quota` when there is no room, and nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Set {
    #[serde(skip)]
    pub strategy: StrategyName,
    pub key: String,
    pub value: String,
}

/// Forgets a key; true when there was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remove {
    #[serde(skip)]
    pub strategy: StrategyName,
    pub key: String,
}

/// The keys, in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keys {
    #[serde(skip)]
    pub strategy: StrategyName,
}

static GET: Look = Look::new("state.get");
static SET: Look = Look::new("state.set").keeps();
static REMOVE: Look = Look::new("state.remove").keeps();
static KEYS: Look = Look::new("state.keys");

impl Described for Get {
    fn description(&self) -> Description {
        Description::Look(&GET)
    }
}

impl Described for Set {
    fn description(&self) -> Description {
        Description::Look(&SET)
    }
}

impl Described for Remove {
    fn description(&self) -> Description {
        Description::Look(&REMOVE)
    }
}

impl Described for Keys {
    fn description(&self) -> Description {
        Description::Look(&KEYS)
    }
}
