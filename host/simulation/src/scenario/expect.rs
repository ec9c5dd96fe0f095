//! What should come of a scenario, held against what came.

use prunella_core::{
    Failure,
    incident::{Assessment, Outcome},
};

/// What should come of it. What is absent is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// `applies`, `not-applicable`, `blocked-by`, `veto` or `failure`.
    pub assessment: Option<&'static str>,
    /// `healed`, `not-applicable`, `failed`, `blocked-by` or `failure`.
    pub outcome: Option<&'static str>,
    /// The unit that has to be healed first.
    pub blocked_by: Option<String>,
    /// The failure's code, with which it gives up.
    pub failure: Option<String>,
    /// Parts of what it said, of the assessment and the outcome together.
    pub says: Vec<String>,
    /// All that it did, in order.
    pub acts: Option<Vec<String>>,
    /// All that it tried and was denied, in order.
    pub denied: Option<Vec<String>>,
    /// Parts of the lines that it logged, in order.
    pub log: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Happened {
    /// What it said when it assessed; a failure, when it gave up.
    pub assessment: Option<Result<Assessment, Failure>>,
    /// What it said when it had healed; absent when it did not.
    pub outcome: Option<Result<Outcome, Failure>>,
    /// Why its run was broken off, if it was.
    pub broken_off: Option<String>,
    /// What it did.
    pub acts: Vec<String>,
    /// What it tried and was denied.
    pub denied: Vec<String>,
    /// The lines that it logged.
    pub log: Vec<String>,
}

impl Happened {
    /// The word for its assessment, as in `[expect]`.
    pub fn assessed(&self) -> Option<&'static str> {
        Some(match self.assessment.as_ref()? {
            Ok(Assessment::Applies { .. }) => "applies",
            Ok(Assessment::NotApplicable { .. }) => "not-applicable",
            Ok(Assessment::BlockedBy { .. }) => "blocked-by",
            Ok(Assessment::Veto { .. }) => "veto",
            Err(_) => "failure",
        })
    }

    /// The word for its outcome, as in `[expect]`.
    pub fn came(&self) -> Option<&'static str> {
        Some(match self.outcome.as_ref()? {
            Ok(Outcome::Healed { .. }) => "healed",
            Ok(Outcome::NotApplicable { .. }) => "not-applicable",
            Ok(Outcome::Failed { .. }) => "failed",
            Ok(Outcome::BlockedBy { .. }) => "blocked-by",
            Err(_) => "failure",
        })
    }

    /// The words of its assessment.
    pub fn reason(&self) -> Option<&str> {
        Some(match self.assessment.as_ref()? {
            Ok(
                Assessment::Applies { reason, .. }
                | Assessment::NotApplicable { reason }
                | Assessment::BlockedBy { reason, .. }
                | Assessment::Veto { reason },
            ) => reason,
            Err(failure) => &failure.message,
        })
    }

    /// The words of its outcome.
    pub fn summary(&self) -> Option<&str> {
        Some(match self.outcome.as_ref()? {
            Ok(
                Outcome::Healed { summary: said }
                | Outcome::NotApplicable { reason: said }
                | Outcome::Failed { reason: said }
                | Outcome::BlockedBy { reason: said, .. },
            ) => said,
            Err(failure) => &failure.message,
        })
    }

    fn blocked_by(&self) -> Option<&str> {
        match (&self.assessment, &self.outcome) {
            (_, Some(Ok(Outcome::BlockedBy { unit, .. })))
            | (Some(Ok(Assessment::BlockedBy { unit, .. })), _) => Some(unit),
            _ => None,
        }
    }

    fn failure(&self) -> Option<&str> {
        match (&self.assessment, &self.outcome) {
            (_, Some(Err(failure))) | (Some(Err(failure)), _) => failure.code.as_deref(),
            _ => None,
        }
    }
}

impl Expected {
    /// How what came differs from it, one sentence each.
    pub fn differences(&self, happened: &Happened) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(why) = &happened.broken_off {
            found.push(format!("its run was broken off: {why}"));
        }
        for (what, wanted, is) in [
            ("assessment", self.assessment, happened.assessed()),
            ("outcome", self.outcome, happened.came()),
            (
                "blocked-by",
                self.blocked_by.as_deref(),
                happened.blocked_by(),
            ),
            ("failure", self.failure.as_deref(), happened.failure()),
        ] {
            if let Some(wanted) = wanted
                && is != Some(wanted)
            {
                let is = is.map_or_else(|| "there was none".to_owned(), |is| format!("got `{is}`"));
                found.push(format!("{what}: expected `{wanted}`, {is}"));
            }
        }
        let said = [happened.reason(), happened.summary()];
        for part in &self.says {
            if !said.iter().flatten().any(|said| said.contains(part)) {
                found.push(format!("says: `{part}` is in nothing that it said"));
            }
        }
        for (what, wanted, is) in [
            ("acts", &self.acts, &happened.acts),
            ("denied", &self.denied, &happened.denied),
        ] {
            if let Some(wanted) = wanted {
                found.extend(first_difference(what, wanted, is));
            }
        }
        let mut lines = happened.log.iter();
        for part in &self.log {
            if !lines.any(|line| line.contains(part)) {
                found.push(format!("log: no further line has `{part}` in it"));
            }
        }
        found
    }
}

/// Where two lists part.
fn first_difference(what: &str, wanted: &[String], is: &[String]) -> Option<String> {
    let at = wanted
        .iter()
        .zip(is)
        .position(|(wanted, is)| wanted != is)
        .unwrap_or_else(|| wanted.len().min(is.len()));
    let number = at + 1;
    match (wanted.get(at), is.get(at)) {
        (None, None) => None,
        (Some(wanted), Some(is)) => Some(format!(
            "{what}: number {number} should be `{wanted}`, and is `{is}`"
        )),
        (Some(wanted), None) => Some(format!(
            "{what}: `{wanted}` should be number {number}, and there are only {}",
            is.len()
        )),
        (None, Some(is)) => Some(format!("{what}: `{is}` should not be (number {number})")),
    }
}
