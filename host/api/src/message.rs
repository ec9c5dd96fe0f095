//! What can be asked, and what is answered.

use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{DispatchFilter, DispatchState},
    health::Metric,
    incident::{Ending, IncidentId, IncidentKind},
    remedy::UndoOutcome,
    summary::{Filter, OutcomeFilter},
    text::one_line,
    trail::{Entry, Record},
};
use serde::{Deserialize, Serialize};

use crate::report::PauseStatus;

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
#[serde(default)]
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
    /// Who says so; where the daemon knows the account of the caller, it puts that here.
    pub by: String,
    pub reason: Option<String>,
}

/// A request to undo what was done in an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoCall {
    /// The incident's id, or the beginning or end of it.
    pub incident: String,
    /// Who says so; where the daemon knows the account of the caller, it puts that here.
    pub by: String,
    /// Whether to tell only what would be undone.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    pub incident: IncidentId,
    pub unit: UnitName,
    /// What was done in the incident to declared things, the last first.
    pub acts: Vec<UndoOutcome>,
}

/// Who asks for an undo, and whether it is done; the incident is named elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoOptions {
    /// Who says so; where the daemon knows the account of the caller, it puts that here.
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub dry_run: bool,
}

/// What to heal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealCall {
    /// The unit, by its canonical name.
    pub unit: UnitName,
    /// Dry run: record acts, carry out none.
    pub dry_run: bool,
    /// Restart it even if nothing is wrong with it.
    pub restart: bool,
}

/// What to leave alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCall {
    /// The unit; everything, when absent.
    pub unit: Option<UnitName>,
    /// Until then. Until it is resumed, when absent.
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who asked for it; where the daemon knows the account of the caller, it puts that
    /// here.
    #[serde(default)]
    pub by: String,
}

/// Which work to expect of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectCall {
    pub unit: UnitName,
    pub until: Timestamp,
    /// What it is, in the operator's words.
    pub reason: String,
    /// Who asked for it; where the daemon knows the account of the caller, it puts that
    /// here.
    #[serde(default)]
    pub by: String,
    /// What begins no symptom meanwhile; all that work may strain, when empty.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// What not to leave alone any longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeCall {
    /// The unit; the pause of everything, when absent.
    pub unit: Option<UnitName>,
}

/// To a hook: the daemon has the failure and sees to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The incident it was written down as; absent when there is nothing to see to.
    pub incident: Option<IncidentId>,
    /// Whether the unit is in Prunella's care.
    pub in_care: bool,
    /// The mistake in the configuration that keeps it from being healed, on one line.
    #[serde(default)]
    pub mistake: Option<String>,
}

/// How to heal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealOptions {
    /// Record acts, carry out none.
    pub dry_run: bool,
    /// Restart it even if nothing is wrong with it.
    pub restart: bool,
}

/// A line of a healing's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealLine {
    /// A step that was taken.
    Step(Box<Entry>),
    /// The last line: how it ended.
    Ended {
        incident: IncidentId,
        ending: Ending,
    },
    /// The last line: it could not go on.
    Refused(Refusal),
}

/// What a person says to an act that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whether the act may be done.
    pub approve: bool,
    /// Who says so; where the daemon knows the account of the caller, it puts that here.
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Which incidents, or which part of their records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IncidentParams {
    unit: Option<UnitName>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    outcome: Option<OutcomeFilter>,
    kind: Option<IncidentKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<IncidentId>,
    pub(crate) limit: Option<u32>,
    pub(crate) after: Option<u64>,
}

impl IncidentParams {
    pub(crate) fn new(filter: &Filter, after: Option<u64>) -> Self {
        Self {
            unit: filter.unit.clone(),
            since: filter.since,
            until: filter.until,
            outcome: filter.outcome,
            kind: filter.kind,
            before: filter.before.clone(),
            limit: filter.limit,
            after,
        }
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter {
            unit: self.unit.clone(),
            since: self.since,
            until: self.until,
            outcome: self.outcome,
            kind: self.kind,
            before: self.before.clone(),
            limit: self.limit,
        }
    }
}

/// Of which unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UnitParams {
    pub(crate) unit: Option<UnitName>,
}

/// The query of `GET /metrics/{subject}/{metric}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SpanParams {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// The query of `GET /health/{subject}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SinceParams {
    pub(crate) since: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AlertParams {
    /// States, separated by commas.
    state: Option<String>,
    channel: Option<ChannelName>,
    incident: Option<IncidentId>,
    pub(crate) limit: Option<u32>,
}

impl AlertParams {
    pub(crate) fn new(filter: &DispatchFilter) -> Self {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        Self {
            state: (!states.is_empty()).then(|| states.join(",")),
            channel: filter.channel.clone(),
            incident: filter.incident.clone(),
            limit: filter.limit,
        }
    }

    pub(crate) fn filter(&self) -> Result<DispatchFilter, Refusal> {
        let states = self.state.as_deref().unwrap_or_default().split(',');
        let states = states.filter(|word| !word.is_empty()).map(|word| {
            DispatchState::ALL
                .into_iter()
                .find(|state| state.as_str() == word)
                .ok_or_else(|| {
                    let known = DispatchState::ALL.map(DispatchState::as_str).join(", ");
                    Refusal::new(
                        RefusalKind::BadRequest,
                        format!("a message has no state `{}`", one_line(word, 40)),
                    )
                    .help(format!("there are: {known}"))
                })
        });
        Ok(DispatchFilter {
            states: states.collect::<Result<_, _>>()?,
            channel: self.channel.clone(),
            incident: self.incident.clone(),
            limit: self.limit,
        })
    }
}

/// A part of what is exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// Whole records, oldest first.
    pub records: Vec<Record>,
    /// Where the next part begins; absent after the last.
    pub next: Option<u64>,
}

/// What ending a pause came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The unit; everything, when absent.
    pub unit: Option<UnitName>,
    /// Whether there was such a pause.
    pub was_paused: bool,
    /// Another pause that still covers the unit.
    pub still: Option<PauseStatus>,
}

/// What trying messages again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// How many messages are tried again.
    pub messages: usize,
    /// The one message that was named.
    pub id: Option<String>,
    pub channel: Option<ChannelName>,
}

/// A test message that got through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTest {
    /// By which channel.
    pub channel: ChannelName,
    /// What the other side said.
    pub detail: String,
}

/// What is in force after a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Services in care.
    pub services: usize,
    /// Strategies in force.
    pub strategies: usize,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: RefusalKind,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// After so many seconds it may be tried again, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// The kind of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The request could not be understood.
    BadRequest,
    /// The request is too long.
    TooLarge,
    /// The request did not arrive in time.
    TooSlow,
    /// It is not known who asks.
    Unauthorized,
    /// The caller may not ask this here.
    NotAllowed,
    /// There is no such unit, incident, message or channel.
    NotFound,
    /// Something stands in the way, which has to go first.
    Conflict,
    /// The configuration has mistakes.
    BadConfig,
    /// The caller asks too often.
    TooMany,
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
            retry_after_s: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the seconds after which it may be tried again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_hook_without_monitor_is_understood() {
        assert_eq!(
            serde_json::from_str::<Monitor>("{}").unwrap(),
            Monitor::default()
        );
    }

    #[test]
    fn parameters_come_through() {
        let filter = DispatchFilter {
            states: vec![DispatchState::Refused, DispatchState::Failed],
            channel: Some(ChannelName::new("mail").unwrap()),
            incident: None,
            limit: Some(7),
        };
        let text = serde_urlencoded::to_string(AlertParams::new(&filter)).unwrap();
        assert_eq!(text, "state=refused%2Cfailed&channel=mail&limit=7");
        let params: AlertParams = serde_urlencoded::from_str(&text).unwrap();
        assert_eq!(params.filter().unwrap(), filter);

        let filter = Filter {
            unit: Some(UnitName::new("a@b.service").unwrap()),
            since: Some(Timestamp::from_millis(5)),
            outcome: Some(OutcomeFilter::Open),
            ..Filter::default()
        };
        let text = serde_urlencoded::to_string(IncidentParams::new(&filter, Some(9))).unwrap();
        let params: IncidentParams = serde_urlencoded::from_str(&text).unwrap();
        assert_eq!((params.filter(), params.after), (filter, Some(9)));
    }

    #[rstest]
    #[case::unknown("untill=5")]
    #[case::no_number("since=yesterday")]
    #[case::path_for_a_unit("unit=../../etc")]
    #[case::outcome("outcome=well")]
    fn parameters_that_mean_nothing_are_refused(#[case] text: &str) {
        assert!(serde_urlencoded::from_str::<IncidentParams>(text).is_err());
    }

    #[test]
    fn a_state_that_is_none_is_refused_with_those_there_are() {
        let params: AlertParams = serde_urlencoded::from_str("state=refussed").unwrap();
        let refusal = params.filter().unwrap_err();
        assert!(refusal.help.unwrap().contains("refused"));
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
