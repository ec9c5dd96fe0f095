//! `[[traffic]]`: what decides whether the service gets requests, and how the service is taken
//! out of rotation and put back.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;

/// How a service is taken out of rotation, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub way: TrafficWay,
    /// For how long connections that are open may go on before what follows is done. Zero: they
    /// are not waited for. Only HAProxy tells how many there are.
    #[serde(rename = "wait_milliseconds", with = "crate::span::in_millis")]
    pub wait: Duration,
    /// For how long the service is out of rotation at most.
    #[serde(rename = "lease_milliseconds", with = "crate::span::in_millis")]
    pub lease: Duration,
    /// For how long the service is well before it is put back.
    #[serde(rename = "calm_milliseconds", with = "crate::span::in_millis")]
    pub calm: Duration,
}

/// What is told that the service is out of rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum TrafficWay {
    Haproxy(HaproxyServer),
    TrackFile(TrackFile),
    Checks(TrafficChecks),
}

/// A server of a backend of HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaproxyServer {
    /// HAProxy's runtime socket, of the level `admin`.
    pub socket: PathBuf,
    pub backend: String,
    /// In it, `%i` stands for the instance of a template.
    pub server: String,
}

impl HaproxyServer {
    /// What stands for the instance in a server's name.
    pub const INSTANCE: &'static str = "%i";

    /// Whether it is another server for each instance of a template.
    pub fn is_of_instances(&self) -> bool {
        self.server.contains(Self::INSTANCE)
    }

    /// The server of one instance.
    #[must_use]
    pub fn of_instance(&self, instance: &str) -> Self {
        Self {
            server: self.server.replace(Self::INSTANCE, instance),
            ..self.clone()
        }
    }
}

impl fmt::Display for HaproxyServer {
    /// As HAProxy writes it: `shop/one`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}

/// A file of which keepalived tracks the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackFile {
    pub path: PathBuf,
    /// The number that takes the service out of rotation.
    pub out: i32,
}

/// Declared checks that take the service out of rotation, and put it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficChecks {
    pub drain: String,
    pub undrain: String,
    pub maintain: Option<String>,
    /// Passes while the service is out of rotation.
    pub drained: Option<String>,
}

/// What HAProxy's administrators have said of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerState {
    /// It gets requests while its health checks pass.
    Ready,
    /// It gets no new ones, except those that are bound to it.
    Drain,
    /// It gets none, and is not checked.
    Maint,
}

impl ServerState {
    /// As `set server … state` takes it in HAProxy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }

    /// After `it is`.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Ready => "in rotation",
            Self::Drain => "drained",
            Self::Maint => "in maintenance",
        }
    }
}

/// How the rotation was, and is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedTraffic {
    /// The operator's name for it.
    pub name: String,
    pub change: TrafficChange,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum TrafficChange {
    Haproxy {
        #[serde(flatten)]
        server: HaproxyServer,
        from: ServerState,
        to: ServerState,
    },
    TrackFile {
        path: PathBuf,
        /// The former content.
        from: String,
        to: i32,
    },
    Checks {
        /// The declared check that takes it back.
        back: String,
        /// The declared check that passes while the service is out of rotation.
        drained: Option<String>,
        /// Whether the service is out of rotation afterwards.
        out: bool,
    },
}

impl fmt::Display for ChangedTraffic {
    /// Taking it back, as an infinitive: `put shop/one back into rotation`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            TrafficChange::Haproxy { server, from, .. } => match from {
                ServerState::Ready => write!(f, "put {server} back into rotation"),
                ServerState::Drain => write!(f, "drain {server} again"),
                ServerState::Maint => write!(f, "put {server} into maintenance again"),
            },
            TrafficChange::TrackFile { path, .. } => {
                write!(f, "bring the former number of {} back", path.display())
            }
            TrafficChange::Checks { back, .. } => write!(f, "run check `{back}`"),
        }
    }
}

impl DeclaredRemedy for Traffic {
    fn checks(&self) -> Vec<&str> {
        let TrafficWay::Checks(checks) = &self.way else {
            return Vec::new();
        };
        let optional = checks.maintain.iter().chain(&checks.drained);
        [&checks.drain, &checks.undrain]
            .into_iter()
            .chain(optional)
            .map(String::as_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_one_of_each_instance() {
        let declared = HaproxyServer {
            socket: "/run/haproxy/admin.sock".into(),
            backend: "app".to_owned(),
            server: "app-%i".to_owned(),
        };
        assert!(declared.is_of_instances());
        let second = declared.of_instance("2");
        assert_eq!(second.to_string(), "app/app-2");
        assert!(!second.is_of_instances());
    }
}
