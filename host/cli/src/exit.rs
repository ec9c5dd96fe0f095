//! How a command ends: exit codes, and errors that say what to do.

use std::{error::Error as StdError, fmt, io, process::ExitCode};

use prunella_api::{ApiError, RefusalKind};
use prunella_core::incident::{Ending, LeftAlone};
use prunella_daemon::{ConfigMistakes, DaemonError};
use prunella_store::StoreError;

use crate::output;

/// A documented exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for `heal`: healed, recovered, or nothing was wrong.
    Ok,
    /// Trouble of Prunella's own.
    Trouble,
    Usage,
    /// The configuration has mistakes.
    Config,
    /// `heal`: not healed, people are needed.
    NotHealed,
    /// `heal`: left alone, rightly.
    LeftAlone,
    /// There is no such unit, incident or file.
    NotFound,
    /// Root, or another group, is needed.
    NoPermission,
    /// `plugin test`, `plugin replay`: it went otherwise than it should.
    Differs,
}

impl Exit {
    /// All there are.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 9] = [
        Self::Ok,
        Self::Trouble,
        Self::Usage,
        Self::Config,
        Self::NotHealed,
        Self::LeftAlone,
        Self::NotFound,
        Self::NoPermission,
        Self::Differs,
    ];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Trouble => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::NotHealed => 4,
            Self::LeftAlone => 5,
            Self::NotFound => 6,
            Self::NoPermission => 7,
            Self::Differs => 8,
        }
    }
}

impl Exit {
    /// Of a file that cannot be read.
    pub(crate) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::NoPermission,
            _ => Self::Trouble,
        }
    }

    /// How `prunella heal` ends.
    pub(crate) fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Healed { .. }
            | Ending::Recovered { .. }
            | Ending::DryRun { .. }
            | Ending::Continued { .. }
            | Ending::LeftAlone {
                why: LeftAlone::Healthy | LeftAlone::Finished,
                ..
            } => Self::Ok,
            // Nothing was done, and nobody is at work on it.
            Ending::LeftAlone { why, .. } if why.needs_people() => Self::NotHealed,
            Ending::LeftAlone { .. } => Self::LeftAlone,
            Ending::Escalated { .. } | Ending::Blocked { .. } | Ending::Interrupted { .. } => {
                Self::NotHealed
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that knows its exit code and what to do about it. Anything that
/// caused it may follow in its chain.
#[derive(Debug)]
pub(crate) struct Problem {
    exit: Exit,
    message: String,
    help: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: Vec::new(),
            source: None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What caused it.
    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Whether somebody closed our output (`prunella incidents | head`): the
/// command is over, and nothing is wrong.
pub(crate) fn is_closed_output(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The exit code of an error.
pub(crate) fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            return problem.exit;
        }
        match cause.downcast_ref::<ApiError>() {
            Some(ApiError::NoPermission(_)) => return Exit::NoPermission,
            Some(ApiError::Refused(refusal)) => {
                return match refusal.kind {
                    RefusalKind::NotFound => Exit::NotFound,
                    RefusalKind::NotAllowed => Exit::NoPermission,
                    RefusalKind::BadConfig => Exit::Config,
                    _ => Exit::Trouble,
                };
            }
            _ => {}
        }
        if is_config(cause) {
            return Exit::Config;
        }
        if let Some(StoreError::Missing { .. }) = cause.downcast_ref::<StoreError>() {
            return Exit::NotFound;
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::PermissionDenied
        {
            return Exit::NoPermission;
        }
    }
    Exit::Trouble
}

/// The error as people read it: what, caused by what, and what to do.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for (number, cause) in error.chain().enumerate() {
        let line = cause.to_string();
        // A transparent wrapper says the same as what it wraps.
        if line == last {
            continue;
        }
        if number > 0 {
            text.push_str("\n  caused by: ");
        }
        text.push_str(&line.replace('\n', "\n    "));
        last = line;
    }
    for help in helps(error) {
        text.push_str("\n  help: ");
        text.push_str(&help.replace('\n', "\n        "));
    }
    text
}

fn is_config(cause: &(dyn StdError + 'static)) -> bool {
    cause.is::<ConfigMistakes>() || matches!(cause.downcast_ref(), Some(DaemonError::Config(_)))
}

fn helps(error: &anyhow::Error) -> Vec<String> {
    let mut helps = Vec::new();
    for cause in error.chain() {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            helps.extend(problem.help.iter().cloned());
        }
        if is_config(cause) {
            helps.push("`prunella config check` shows them again".into());
        }
        match cause.downcast_ref::<ApiError>() {
            Some(ApiError::Refused(refusal)) => helps.extend(refusal.help.clone()),
            Some(ApiError::TimedOut(_) | ApiError::Closed) => {
                helps.push("see `journalctl -u prunella.service` for what the daemon is at".into());
            }
            Some(ApiError::NotUnderstood(_)) => helps.push(
                "daemon and command may be of different versions: `sudo prunella setup` restarts \
                 the daemon"
                    .into(),
            ),
            _ => {}
        }
    }
    if helps.is_empty() && code_of(error) == Exit::NoPermission {
        helps.push(format!("it needs root: {}", output::with_sudo()));
    }
    helps
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;
    use prunella_api::Refusal;

    use super::*;

    #[test]
    fn every_ending_has_its_exit_code() {
        let left = |why| Ending::LeftAlone {
            why,
            detail: String::new(),
        };
        assert_eq!(Exit::of(&left(LeftAlone::Healthy)), Exit::Ok);
        assert_eq!(Exit::of(&left(LeftAlone::OperatorStop)), Exit::LeftAlone);
        assert_eq!(Exit::of(&left(LeftAlone::Protected)), Exit::NotHealed);
        let recovered = Ending::Recovered { by: "x".into() };
        assert_eq!(Exit::of(&recovered), Exit::Ok);
        let escalated = Ending::Escalated {
            reason: "x".into(),
            retry_at: None,
        };
        assert_eq!(Exit::of(&escalated), Exit::NotHealed);
    }

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = anyhow::Error::from(
            Problem::new(Exit::NotFound, "there is no unit a.service")
                .because(io::Error::other("systemd says so"))
                .help("list them with `systemctl list-units`"),
        )
        .context("cannot enable a.service");
        assert_eq!(
            explain(&error),
            "cannot enable a.service\n  caused by: there is no unit a.service\n  caused by: \
             systemd says so\n  help: list them with `systemctl list-units`"
        );
        assert_eq!(code_of(&error), Exit::NotFound);
    }

    #[test]
    fn a_closed_pipe_is_recognised_below_a_context() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe))
            .context("cannot write")
            .unwrap_err();
        assert!(is_closed_output(&error));
    }

    #[test]
    fn permission_gets_advice_of_its_own() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(code_of(&error), Exit::NoPermission);
        assert!(explain(&error).contains("sudo"));
    }

    #[test]
    fn a_refusal_keeps_its_help() {
        let refusal = Refusal::new(RefusalKind::NotFound, "no such").help("look elsewhere");
        let error = anyhow::Error::from(ApiError::Refused(refusal));
        assert_eq!(code_of(&error), Exit::NotFound);
        assert_eq!(explain(&error), "no such\n  help: look elsewhere");
    }
}
