//! `[[signal]]`: a signal that makes a service read something again.

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;

/// A signal that may be sent to the service's main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    pub signal: SignalName,
}

/// A signal that services use for what is theirs. None of them is meant to end one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalName {
    Hup,
    Usr1,
    Usr2,
}

impl SignalName {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Hup, Self::Usr1, Self::Usr2];

    /// The configuration's word: without `SIG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
        }
    }
}

impl DeclaredRemedy for Signal {}
