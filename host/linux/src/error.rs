//! Why a host could not be reached, and what D-Bus errors mean to a strategy.

use prunella_core::Failure;
use zbus::DBusError;

/// Why [`Linux::connect`](crate::Linux::connect) could not be done.
#[derive(Debug, thiserror::Error)]
pub enum LinuxError {
    /// The background thread's event loop could not be made.
    #[error("cannot make the event loop of the background thread: {0}")]
    Runtime(#[source] std::io::Error),
    /// The background thread could not be started.
    #[error("cannot start the background thread: {0}")]
    Thread(#[source] std::io::Error),
    /// This boot's id could not be read.
    #[error("cannot read /proc/sys/kernel/random/boot_id: {0}")]
    BootId(#[source] std::io::Error),
}

/// Why a call to systemd got no good reply.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum BusError {
    /// There is no connection, and none can be made.
    #[error("the system bus cannot be reached: {0}")]
    Down(String),
    /// The connection was lost before the reply came: what was asked for may
    /// have been done.
    #[error("the connection to the system bus was lost: {0}")]
    Lost(String),
    /// systemd, or the bus, said no.
    #[error("{message} ({name})")]
    Refused {
        /// The D-Bus error name.
        name: String,
        /// What it said.
        message: String,
    },
    /// A reply that does not look as it should.
    #[error("a reply from systemd could not be understood: {0}")]
    Odd(String),
}

impl BusError {
    /// Whether there is no bus at all, so that nothing was asked.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self, Self::Down(_))
    }

    /// Whether the bus did not bring an answer, so that what only reads is asked without it.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Down(_) | Self::Lost(_))
    }

    /// Whether the refusal has this D-Bus error name.
    pub(crate) fn is(&self, error: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name == error)
    }

    /// What it is to a strategy; `what` begins the sentence, such as
    /// `cannot start a.service`.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        let message = format!("{what}: {self}");
        match self {
            Self::Down(_) => Failure::unavailable("bus-down", message),
            Self::Lost(_) => Failure::unavailable("bus-lost", message),
            Self::Odd(_) => Failure::unavailable("bad-reply", message),
            Self::Refused { name, message: why } => {
                refusal(name, format!("{what}: {}", why.trim_end_matches('.')))
            }
        }
    }
}

/// The failure that a D-Bus error name means.
fn refusal(name: &str, message: String) -> Failure {
    const SYSTEMD: &str = "org.freedesktop.systemd1.";
    const BUS: &str = "org.freedesktop.DBus.Error.";
    if let Some(word) = name.strip_prefix(SYSTEMD) {
        return match word {
            "NoSuchUnit" => Failure::not_found("no-such-unit", message),
            "UnitMasked" => Failure::denied("masked", message),
            "TransactionIsDestructive"
            | "TransactionJobsConflicting"
            | "TransactionOrderIsCyclic" => Failure::denied("job-conflict", message),
            "OnlyByDependency" => Failure::denied("only-by-dependency", message),
            "JobTypeNotApplicable" => Failure::invalid("not-applicable", message),
            "ShuttingDown" => Failure::unavailable("shutting-down", message),
            "LoadFailed" | "BadUnitSetting" => Failure::failed("bad-unit", message),
            // The others (ScopeNotRunning, UnitExists, …) keep systemd's word.
            _ => Failure::failed(&kebab(word), message),
        };
    }
    match name.strip_prefix(BUS) {
        // Addressing a unit's object loads the unit; what cannot be loaded at
        // all has no object.
        Some("UnknownObject") => Failure::not_found("no-such-unit", message),
        Some("AccessDenied" | "InteractiveAuthorizationRequired") => {
            Failure::unavailable("not-permitted", message)
        }
        Some("InvalidArgs") => Failure::invalid("invalid-unit", message),
        Some("ServiceUnknown" | "NameHasNoOwner" | "Disconnected" | "NoReply" | "Timeout") => {
            Failure::unavailable("bus-lost", message)
        }
        _ => Failure::failed("systemd", message),
    }
}

/// `BadUnitSetting` as `bad-unit-setting`.
fn kebab(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 4);
    for c in word.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

impl From<zbus::Error> for BusError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => Self::Refused {
                name: name.as_str().to_owned(),
                message: message.unwrap_or_else(|| "no reason given".to_owned()),
            },
            zbus::Error::FDO(error) => Self::Refused {
                name: error.name().as_str().to_owned(),
                message: error.description().unwrap_or("no reason given").to_owned(),
            },
            zbus::Error::InputOutput(error) => Self::Lost(error.to_string()),
            other => Self::Odd(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::FailureKind;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::missing(
        "org.freedesktop.systemd1.NoSuchUnit",
        FailureKind::NotFound,
        "no-such-unit"
    )]
    #[case::masked("org.freedesktop.systemd1.UnitMasked", FailureKind::Denied, "masked")]
    #[case::destructive(
        "org.freedesktop.systemd1.TransactionIsDestructive",
        FailureKind::Denied,
        "job-conflict"
    )]
    #[case::reload(
        "org.freedesktop.systemd1.JobTypeNotApplicable",
        FailureKind::Invalid,
        "not-applicable"
    )]
    #[case::shutdown(
        "org.freedesktop.systemd1.ShuttingDown",
        FailureKind::Unavailable,
        "shutting-down"
    )]
    #[case::unknown_word(
        "org.freedesktop.systemd1.ScopeNotRunning",
        FailureKind::Failed,
        "scope-not-running"
    )]
    #[case::no_object(
        "org.freedesktop.DBus.Error.UnknownObject",
        FailureKind::NotFound,
        "no-such-unit"
    )]
    #[case::polkit(
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        FailureKind::Unavailable,
        "not-permitted"
    )]
    #[case::anything("com.example.Oops", FailureKind::Failed, "systemd")]
    fn a_refusal_has_a_stable_code(
        #[case] name: &str,
        #[case] kind: FailureKind,
        #[case] code: &str,
    ) {
        let error = BusError::Refused {
            name: name.to_owned(),
            message: "so it is.".to_owned(),
        };
        let failure = error.failure("cannot start a.service");
        assert_eq!((failure.kind, failure.code.as_deref()), (kind, Some(code)));
        assert_eq!(failure.message, "cannot start a.service: so it is");
    }
}
