//! What can be asked, and what is answered.

use prunella_core::{
    ChannelName, UnitName,
    achievement::Achievement,
    alert::{Dispatch, DispatchFilter},
    incident::{Ending, IncidentId},
    oversight::Approval,
    summary::{Filter, Summary},
    trail::{Entry, Record},
};
use serde::{Deserialize, Serialize};

use crate::report::StatusReport;

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// A unit failed: `prunella hook` offers its incident.
    Hook(HookCall),
    /// How host, services and Prunella stand.
    Status,
    /// Incidents, newest first.
    Incidents(Filter),
    /// One incident with every step.
    Incident {
        /// Which.
        id: IncidentId,
    },
    /// Whole records, oldest first, as many as fit into one answer.
    Records {
        /// Which incidents; its limit is for all answers together.
        filter: Filter,
        /// Where the last answer ended: its `next`.
        after: Option<u64>,
    },
    /// What strategies have achieved, for each kind of failure.
    Achievements {
        /// At this unit only.
        unit: Option<UnitName>,
    },
    /// The latest acts that waited, or wait, for approval.
    Approvals,
    /// Agree to an act that waits, or deny it.
    Decide(DecideCall),
    /// Heal a unit now, or rehearse it.
    Heal(HealCall),
    /// Leave a unit, or all, alone.
    Pause(PauseCall),
    /// No longer leave them alone.
    Resume(ResumeCall),
    /// Read the configuration again.
    Reload,
    /// Messages about incidents, newest first, and how far they have got.
    Alerts(DispatchFilter),
    /// One message.
    Alert {
        /// Its id, or the beginning or end of it.
        id: String,
    },
    /// Try a message again now.
    RetryAlerts {
        /// Its id, or the beginning or end of it; all that were refused, given
        /// up or wait, when absent.
        id: Option<String>,
    },
    /// Send a real message by a channel, to see whether it arrives.
    TestChannel {
        /// Which.
        channel: ChannelName,
    },
}

impl Request {
    /// Whether answering it changes nothing; these are answered to readers too.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::Incidents(_)
                | Self::Incident { .. }
                | Self::Records { .. }
                | Self::Achievements { .. }
                | Self::Approvals
                | Self::Alerts(_)
                | Self::Alert { .. }
        )
    }
}

/// A failed unit, as systemd told the hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    /// The unit, by the name systemd gave.
    pub unit: UnitName,
    /// What systemd said about its failure.
    #[serde(default)]
    pub monitor: Monitor,
}

/// systemd's `MONITOR_*` variables (251 and later, and only when a single unit
/// triggered the handler). Absent ones are no evidence of anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// `MONITOR_SERVICE_RESULT`, such as `exit-code`.
    pub service_result: Option<String>,
    /// `MONITOR_EXIT_CODE`: `exited`, `killed` or `dumped`.
    pub exit_code: Option<String>,
    /// `MONITOR_EXIT_STATUS`: a number, or a signal's name without `SIG`.
    pub exit_status: Option<String>,
    /// `MONITOR_INVOCATION_ID`, 32 hexadecimal digits.
    pub invocation_id: Option<String>,
}

impl Monitor {
    /// Reads them through `variable`; an empty one counts as absent.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name| variable(name).filter(|value: &String| !value.is_empty());
        Self {
            service_result: get("MONITOR_SERVICE_RESULT"),
            exit_code: get("MONITOR_EXIT_CODE"),
            exit_status: get("MONITOR_EXIT_STATUS"),
            invocation_id: get("MONITOR_INVOCATION_ID"),
        }
    }

    /// The main process's exit code, when it exited by itself.
    pub fn exited_with(&self) -> Option<i32> {
        match self.exit_code.as_deref() {
            Some("exited") => self.exit_status.as_deref()?.parse().ok(),
            _ => None,
        }
    }

    /// The signal that ended the main process, without `SIG`.
    pub fn killed_by(&self) -> Option<&str> {
        match self.exit_code.as_deref() {
            Some("killed" | "dumped") => self.exit_status.as_deref(),
            _ => None,
        }
    }
}

/// What a person says to an act that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideCall {
    /// The approval's id, or the end of it.
    pub id: String,
    /// Whether the act may be done.
    pub approve: bool,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What to heal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealCall {
    /// The unit, by its canonical name.
    pub unit: UnitName,
    /// Rehearse: record acts, carry out none.
    pub dry_run: bool,
}

/// What to leave alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCall {
    /// The unit; everything, when absent.
    pub unit: Option<UnitName>,
    /// Until then: milliseconds since 1970. Until it is resumed, when absent.
    pub until: Option<u64>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
}

/// What not to leave alone any longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeCall {
    /// The unit; the pause of everything, when absent.
    pub unit: Option<UnitName>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Response {
    /// The daemon has the failure and sees to it.
    Accepted {
        /// The incident it was written down as; absent when there is nothing
        /// to see to, such as a unit that is not in Prunella's care.
        incident: Option<IncidentId>,
    },
    /// To [`Request::Status`].
    Status(Box<StatusReport>),
    /// To [`Request::Incidents`].
    Incidents {
        /// Newest first.
        incidents: Vec<Summary>,
    },
    /// To [`Request::Incident`].
    Incident {
        /// Everything about it.
        record: Box<Record>,
    },
    /// To [`Request::Records`].
    Records(Records),
    /// To [`Request::Achievements`].
    Achievements {
        /// By unit and kind of failure.
        achievements: Vec<Achievement>,
    },
    /// To [`Request::Approvals`].
    Approvals {
        /// Newest first.
        approvals: Vec<Approval>,
    },
    /// One step of a healing that is going on.
    Entry {
        /// The step.
        entry: Box<Entry>,
    },
    /// The last line of a healing.
    Ended {
        /// Its incident.
        incident: IncidentId,
        /// How it ended.
        ending: Ending,
    },
    /// To [`Request::Alerts`].
    Alerts {
        /// Newest first.
        alerts: Vec<Dispatch>,
    },
    /// To [`Request::Alert`].
    Alert {
        /// The message, and how far it has got.
        alert: Box<Dispatch>,
    },
    /// It was done.
    Done {
        /// What was done, and what to know about it, one sentence each.
        notes: Vec<String>,
    },
    /// It was not done.
    Refused(Refusal),
}

/// A part of what is exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// Whole records, oldest first.
    pub records: Vec<Record>,
    /// Where the next part begins; absent after the last.
    pub next: Option<u64>,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The kind of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The request could not be understood.
    BadRequest,
    /// The caller may not ask this here.
    NotAllowed,
    /// There is no such unit, incident, message or channel.
    NotFound,
    /// Not now: too much is going on, or the daemon is stopping.
    Busy,
    /// It was tried, and it failed.
    Failed,
}

impl Refusal {
    /// A refusal without advice.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::status(Request::Status, r#"{"ask":"status"}"#)]
    #[case::reload(Request::Reload, r#"{"ask":"reload"}"#)]
    #[case::heal(
        Request::Heal(HealCall { unit: UnitName::new("a.service").unwrap(), dry_run: true }),
        r#"{"ask":"heal","unit":"a.service","dry_run":true}"#
    )]
    #[case::incident(
        Request::Incident { id: IncidentId::from_text("x") },
        r#"{"ask":"incident","id":"x"}"#
    )]
    fn wire_form(#[case] request: Request, #[case] line: &str) {
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
    }

    #[test]
    fn a_hook_without_monitor_is_understood() {
        let line = r#"{"ask":"hook","unit":"a.service"}"#;
        let Request::Hook(call) = serde_json::from_str(line).unwrap() else {
            panic!("not a hook");
        };
        assert_eq!(call.monitor, Monitor::default());
    }

    #[test]
    fn a_unit_that_is_none_is_not_understood() {
        let line = r#"{"ask":"hook","unit":"../../etc"}"#;
        assert!(serde_json::from_str::<Request>(line).is_err());
    }

    #[rstest]
    #[case::exited("exited", "3", Some(3), None)]
    #[case::killed("killed", "KILL", None, Some("KILL"))]
    #[case::dumped("dumped", "SEGV", None, Some("SEGV"))]
    #[case::absent("", "", None, None)]
    #[case::nonsense("exited", "many", None, None)]
    fn monitor_variables(
        #[case] code: &str,
        #[case] status: &str,
        #[case] exited: Option<i32>,
        #[case] killed: Option<&str>,
    ) {
        let monitor = Monitor::read(|name| match name {
            "MONITOR_EXIT_CODE" => Some(code.to_owned()),
            "MONITOR_EXIT_STATUS" => Some(status.to_owned()),
            _ => None,
        });
        assert_eq!(monitor.exited_with(), exited);
        assert_eq!(monitor.killed_by(), killed);
        assert_eq!(monitor.service_result, None);
    }
}
