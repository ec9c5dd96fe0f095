//! An incident in one line, and which incidents somebody wants to see.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp, UnitName,
    incident::{Ending, EndingKind, Incident, IncidentId, IncidentKind, LeftAlone},
};

/// Which incidents. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of this unit only.
    pub unit: Option<UnitName>,
    /// Detected at or after this.
    pub since: Option<Timestamp>,
    /// Detected before this.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Only those with this outcome.
    pub outcome: Option<OutcomeFilter>,
    /// Only those of this kind.
    #[serde(default)]
    pub kind: Option<IncidentKind>,
    /// Only those that come after this one in a list with the newest first; none, when it is
    /// not known.
    #[serde(default)]
    pub before: Option<IncidentId>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Which outcome: how an incident ended, or that it has not. What was handed to people counts
/// as that until it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OutcomeFilter {
    /// `open`
    Open,
    /// The word of a kind.
    Ended(EndingKind),
}

impl From<OutcomeFilter> for String {
    fn from(outcome: OutcomeFilter) -> Self {
        match outcome {
            OutcomeFilter::Open => "open".to_owned(),
            OutcomeFilter::Ended(kind) => kind.as_str().to_owned(),
        }
    }
}

impl TryFrom<String> for OutcomeFilter {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        if word == "open" {
            return Ok(Self::Open);
        }
        EndingKind::from_word(&word)
            .map(Self::Ended)
            .ok_or_else(|| {
                let known: Vec<&str> = EndingKind::ALL.map(EndingKind::as_str).to_vec();
                format!("no outcome `{word}`; there are: open, {}", known.join(", "))
            })
    }
}

/// An incident in one line; the stable form of `prunella incidents --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub id: IncidentId,
    /// The unit that failed.
    pub unit: UnitName,
    /// When it was detected.
    pub at: Timestamp,
    /// What it is about.
    pub kind: IncidentKind,
    /// systemd's word for what went wrong in the latest run that failed.
    pub cause: String,
    /// How it ended; null while it is open.
    pub ended: Option<EndingKind>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Why it ended so, in a sentence.
    pub why: Option<String>,
    /// The stable word for why, where it was left alone.
    #[serde(default)]
    pub left_alone: Option<LeftAlone>,
    /// Who healed it.
    pub strategy: Option<String>,
    /// From the failure to the moment of recovery.
    #[serde(
        default,
        rename = "recovered_after_us",
        with = "crate::span::in_micros"
    )]
    pub recovered_after: Option<Duration>,
    /// 1 for the first attempt, 2 for the next, …
    pub attempt: u32,
    /// Why people are asked to see to it, as long as they are: also while it is tried again.
    #[serde(default)]
    pub people_asked: Option<String>,
}

impl Summary {
    /// The line of an incident that is open.
    pub fn open(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            unit: incident.detection.unit.clone(),
            at: incident.detection.at,
            kind: incident.detection.kind(),
            cause: incident.detection.cause.to_string(),
            ended: None,
            ended_at: None,
            why: None,
            left_alone: None,
            strategy: None,
            recovered_after: None,
            attempt: incident.attempt,
            people_asked: None,
        }
    }

    /// How it stands: what was handed to people is escalated while it is tried again, too.
    pub fn outcome(&self) -> OutcomeFilter {
        match (self.ended, &self.people_asked) {
            (Some(ended), _) => OutcomeFilter::Ended(ended),
            (None, Some(_)) => OutcomeFilter::Ended(EndingKind::Escalated),
            (None, None) => OutcomeFilter::Open,
        }
    }

    /// With how it ended, and when.
    #[must_use]
    pub fn ended(mut self, at: Timestamp, ending: &Ending) -> Self {
        self.ended = Some(ending.kind());
        self.ended_at = Some(at);
        self.why = ending.why();
        self.people_asked = ending
            .people_asked(self.people_asked.as_deref())
            .map(str::to_owned);
        match ending {
            Ending::Healed {
                strategy,
                recovered_after,
                served_by: _,
            } => {
                self.strategy = Some(strategy.to_string());
                self.recovered_after = *recovered_after;
            }
            Ending::LeftAlone { why, .. } => self.left_alone = Some(*why),
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::StrategyName;

    fn open() -> Summary {
        Summary {
            id: IncidentId::from_text("20261121-142301-7f3a"),
            unit: UnitName::new("a.service").unwrap(),
            at: Timestamp::from_millis(1),
            kind: IncidentKind::Failure,
            cause: "signal".into(),
            ended: None,
            ended_at: None,
            why: None,
            left_alone: None,
            strategy: None,
            recovered_after: None,
            attempt: 1,
            people_asked: None,
        }
    }

    #[test]
    fn what_people_are_asked_about_is_escalated_while_it_is_tried_again() {
        assert_eq!(open().outcome(), OutcomeFilter::Open);
        let tried = Summary {
            people_asked: Some("it fails at each start".into()),
            ..open()
        };
        assert_eq!(tried.outcome(), OutcomeFilter::Ended(EndingKind::Escalated));
    }

    #[test]
    fn the_json_of_an_open_incident_is_stable() {
        assert_eq!(
            serde_json::to_string(&open()).unwrap(),
            r#"{"id":"20261121-142301-7f3a","unit":"a.service","at":1,"kind":"failure","cause":"signal","ended":null,"ended_at":null,"why":null,"left_alone":null,"strategy":null,"recovered_after_us":null,"attempt":1,"people_asked":null}"#
        );
    }

    #[rstest]
    #[case::healed(
        Ending::Healed { strategy: StrategyName::new("service-restart").unwrap(), recovered_after: Some(Duration::from_micros(9)), served_by: None },
        "healed", None, Some("service-restart"), Some(9)
    )]
    #[case::left_alone(
        Ending::LeftAlone { why: LeftAlone::OperatorStop, detail: String::new() },
        "left-alone", Some("an operator stopped it"), None, None
    )]
    #[case::escalated(
        Ending::Escalated { reason: "no".into(), retry_at: None },
        "escalated", Some("no"), None, None
    )]
    fn endings(
        #[case] ending: Ending,
        #[case] word: &str,
        #[case] why: Option<&str>,
        #[case] strategy: Option<&str>,
        #[case] after: Option<u64>,
    ) {
        let at = Timestamp::from_millis(7);
        let line = open().ended(at, &ending);
        assert_eq!(line.ended.map(EndingKind::as_str), Some(word));
        assert_eq!(line.ended_at, Some(at));
        assert_eq!(line.why.as_deref(), why);
        assert_eq!(line.strategy.as_deref(), strategy);
        assert_eq!(line.recovered_after, after.map(Duration::from_micros));
    }
}
