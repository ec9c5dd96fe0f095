//! `prunella:observe/ports`: who holds a port.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Process, Subject};
use crate::UnitName;

/// Who listens on a port, in the service's own network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "Recorded")]
pub struct Holders {
    pub protocol: Protocol,
    pub number: u16,
}

/// A port in a recording, as the configuration writes it.
#[derive(Serialize)]
struct Recorded {
    port: String,
}

impl From<Holders> for Recorded {
    fn from(holders: Holders) -> Self {
        Self {
            port: format!("{}/{}", holders.protocol.as_str(), holders.number),
        }
    }
}

static HOLDERS: Look = Look::new("ports.holders");

impl Described for Holders {
    fn description(&self) -> Description {
        Description::Look(&HOLDERS)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Port(self.protocol, self.number)
    }
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// One holder of one port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PortHolder {
    /// The process, when one can be named.
    pub process: Option<Process>,
    /// The unit that the socket belongs to, by its control group.
    pub unit: Option<UnitName>,
    /// Held by systemd for a socket unit.
    pub socket_activated: bool,
    /// The address it is bound to.
    pub address: String,
    /// What shows that it keeps the service from binding the port; absent when
    /// nothing does, as with a socket at another address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,
    /// Of closed connections that the kernel keeps for a while (TIME_WAIT):
    /// how long until it lets go of the port. Nobody listens then.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::span::in_millis"
    )]
    pub free_in: Option<Duration>,
}
