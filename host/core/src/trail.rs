//! The trail: every step of an incident, in the order it happened.
//!
//! A step is written before the next is taken. An act is two steps, one before
//! it is carried out ([`Step::ActIntended`]) and one after ([`Step::ActEnded`]):
//! an intention without an end is an action whose outcome is unknown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Failure, Monotonic, StrategyName, Timestamp, UnitName,
    cause::Cause,
    diagnosis::{Finding, Opinion, SecondOpinion},
    health::Symptom,
    incident::{Assessment, Detection, Ending, IncidentId, Outcome},
    remedy::{Plan, Receipt, UndoReason},
};

/// One step, with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub incident: IncidentId,
    /// 0, 1, 2, … within the incident.
    pub number: u32,
    pub at: Timestamp,
    pub monotonic: Monotonic,
    pub attempt: u32,
    pub step: Step,
}

/// Whether people were asked to see to an incident with these steps.
pub fn was_handed_over(steps: &[Entry]) -> bool {
    steps.iter().any(|entry| {
        let Step::Ended { ending } = &entry.step else {
            return false;
        };
        matches!(ending, Ending::Escalated { .. })
    })
}

/// What Prunella waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// Its own healing budget.
    Budget,
    /// systemd, which restarts the unit by itself (Restart=).
    SystemdRestart,
    /// The unit, on its way to another state: a job, or a slow start.
    Unit,
    /// What is measured of the unit's health.
    Health,
    /// The host, which is short of something.
    Host,
    /// What the probes of a unit that it needs tell.
    Need,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// The incident was opened.
    Detected {
        /// What was noticed.
        detection: Detection,
        /// The failed run's last log lines, when they were at hand: evidence,
        /// redacted.
        evidence: Vec<String>,
    },
    /// The failed run's last log lines, read once there was time for it:
    /// evidence, redacted.
    Evidence {
        /// The lines, oldest first.
        lines: Vec<String>,
    },
    /// A run that was started since has failed as well, and not as the one of which the
    /// incident tells.
    FailedAgain {
        cause: Cause,
        /// The main process's exit code.
        exit_code: Option<i32>,
        /// The signal that ended the main process, without `SIG`.
        signal: Option<String>,
        /// Its last log lines, oldest first, redacted.
        lines: Vec<String>,
    },
    /// Prunella waits before it goes on.
    Waits {
        /// What has to come for it to go on.
        on: Awaited,
        reason: String,
        /// For how long at most.
        #[serde(rename = "milliseconds", with = "crate::span::in_millis")]
        up_to: Duration,
    },
    /// A strategy assessed.
    Assessed {
        strategy: StrategyName,
        /// What it said.
        assessment: Assessment,
        /// How long it took.
        #[serde(with = "crate::span::in_micros")]
        took: Duration,
    },
    /// A strategy's run broke off: a trap, a panic, a limit.
    Broke {
        strategy: StrategyName,
        /// `describe`, `assess` or `heal`.
        call: String,
        /// A stable word for the kind of end: see the engine's `RunError`.
        kind: String,
        /// A sentence that names strategy, reason and remedy.
        message: String,
    },
    /// A strategy begins to heal.
    Heals { strategy: StrategyName },
    /// A line that a strategy logged.
    Said {
        strategy: StrategyName,
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// Escaped and cut.
        message: String,
    },
    /// An act is about to be carried out.
    ActIntended {
        /// Which number it has within the incident.
        action: u32,
        /// On whose call.
        strategy: StrategyName,
        /// Such as `unit-control.start`.
        act: String,
        /// On what: a unit, a process, a declared name.
        target: String,
        /// Recorded, and not carried out.
        dry_run: bool,
        /// What it is to come to: only of a declared remedy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Plan>,
    },
    /// An act came to its end.
    ActEnded {
        /// The number of its intention.
        action: u32,
        /// How it ended, or why it could not.
        result: Result<String, Failure>,
        /// What it came to: only of a declared remedy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Receipt>,
    },
    /// An act was undone, or could not be.
    Undone {
        /// The number of its intention.
        action: u32,
        /// Such as `set-aside.run`.
        act: String,
        target: String,
        why: UndoReason,
        /// Who ordered it, where somebody did.
        by: Option<String>,
        /// What was done about it, or why it could not be.
        result: Result<String, Failure>,
    },
    /// An act was not allowed.
    ActDenied {
        /// On whose call.
        strategy: StrategyName,
        /// Such as `unit-control.start`.
        act: String,
        target: String,
        failure: Failure,
    },
    /// A language model was asked about an act.
    SecondOpinion {
        /// Such as `unit-control.stop`.
        act: String,
        target: String,
        /// What it said, or why it said nothing.
        said: Result<SecondOpinion, String>,
    },
    /// An act waits until a person agrees.
    Proposed {
        /// The approval's id.
        approval: String,
        /// On whose call.
        strategy: StrategyName,
        /// Such as `unit-control.stop`.
        act: String,
        target: String,
        /// What it would come to: only of a declared remedy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Plan>,
        /// Until when the question stands.
        until: Timestamp,
    },
    /// An act is carried out because somebody agreed to it.
    Approved {
        /// The approval's id; absent when a model's consent was enough.
        approval: Option<String>,
        /// Such as `unit-control.stop`.
        act: String,
        target: String,
        by: String,
    },
    /// A strategy's heal returned.
    Returned {
        strategy: StrategyName,
        /// What it said.
        outcome: Result<Outcome, Failure>,
        /// How long it took.
        #[serde(with = "crate::span::in_micros")]
        took: Duration,
    },
    /// The host saw the service well for the first time.
    Answering {
        /// What was seen.
        evidence: Vec<String>,
        /// From the failure to here.
        #[serde(default, with = "crate::span::in_micros")]
        after: Option<Duration>,
    },
    /// It stayed well for as long as it has to.
    Proven {
        /// Whose start it was, when that was in an earlier attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strategy: Option<StrategyName>,
        /// What was seen.
        evidence: Vec<String>,
        /// For how long it was watched.
        #[serde(with = "crate::span::in_millis")]
        stable_for: Duration,
    },
    /// It did not become, or stay, well.
    NotProven {
        /// Whose healing it was.
        strategy: Option<StrategyName>,
        /// What was seen instead.
        reason: String,
        /// Whether it had been well before.
        relapse: bool,
    },
    /// It waits for another unit.
    Blocked { on: UnitName, reason: String },
    /// It goes on, the other unit being well again, or not.
    Unblocked {
        on: UnitName,
        /// Whether that unit was healed.
        healthy: bool,
    },
    /// What the rules made of the evidence; empty when they recognised nothing.
    Diagnosed {
        /// The likeliest first.
        findings: Vec<Finding>,
    },
    /// What a language model made of it, or why there is no opinion of it.
    Advised {
        model: String,
        opinion: Result<Opinion, String>,
        /// How long it took.
        #[serde(with = "crate::span::in_micros")]
        took: Duration,
    },
    /// The strategies that apply are tried in another order than the
    /// operator's.
    Ordered {
        order: Vec<StrategyName>,
        reason: String,
    },
    /// People are told of a degradation, and Prunella watches it until its symptoms have
    /// cleared.
    Watches {
        /// What holds now, the worst first.
        symptoms: Vec<Symptom>,
        /// Why nothing more is done about it, in a sentence without its full stop.
        reason: String,
        /// Whether what the operator lists for it was tried in vain.
        tried: bool,
    },
    /// The symptoms of a degradation have cleared, and stay so.
    Cleared {
        /// As they were, each with its worst value.
        symptoms: Vec<Symptom>,
        /// For how long there were any.
        #[serde(with = "crate::span::in_millis")]
        lasted: Duration,
    },
    /// Anything else worth knowing.
    Note { message: String },
    /// The attempt ended.
    Ended { ending: Ending },
}

/// An incident as it is read back: the record of one failure or degradation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub incident: crate::incident::Incident,
    pub steps: Vec<Entry>,
    /// How it ended; absent while it is open.
    pub ending: Option<Ending>,
}

/// How the latest run of a service failed of which the steps of an incident tell: what lists
/// and reports lead with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatestFailure<'a> {
    pub cause: &'a Cause,
    /// The main process's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the main process, without `SIG`.
    pub signal: Option<&'a str>,
    /// The last log lines of that run, where it is another than the one that was noticed.
    pub lines: Option<&'a [String]>,
}

impl<'a> LatestFailure<'a> {
    /// After these steps of the incident of this detection.
    pub fn of(detection: &'a Detection, steps: &'a [Entry]) -> Self {
        steps
            .iter()
            .rev()
            .find_map(|entry| Self::told_by(&entry.step))
            .unwrap_or(Self {
                cause: &detection.cause,
                exit_code: detection.exit_code,
                signal: detection.signal.as_deref(),
                lines: None,
            })
    }

    /// What a step tells of a run that has failed since.
    pub fn told_by(step: &'a Step) -> Option<Self> {
        let Step::FailedAgain {
            cause,
            exit_code,
            signal,
            lines,
        } = step
        else {
            return None;
        };
        Some(Self {
            cause,
            exit_code: *exit_code,
            signal: signal.as_deref(),
            lines: Some(lines),
        })
    }
}

/// Why people are asked to see to an incident after these steps of it, while that stands:
/// an attempt that goes on changes nothing about it.
pub fn people_asked(steps: &[Entry]) -> Option<&str> {
    steps.iter().fold(None, |before, entry| match &entry.step {
        Step::Ended { ending } => ending.people_asked(before),
        _ => before,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::incident::{DetectedBy, LeftAlone};

    fn detection() -> Detection {
        Detection {
            unit: UnitName::new("a.service").unwrap(),
            by: DetectedBy::Signal,
            at: Timestamp::from_millis(1),
            cause: Cause::Signal,
            invocation: None,
            exit_code: None,
            signal: Some("KILL".into()),
            failed_monotonic: None,
            restarts_before: None,
            symptoms: Vec::new(),
            unusual: Vec::new(),
            follows: None,
            expected_work: None,
        }
    }

    fn entries(steps: impl IntoIterator<Item = Step>) -> Vec<Entry> {
        (0..)
            .zip(steps)
            .map(|(number, step)| Entry {
                incident: IncidentId::from_text("x"),
                number,
                at: Timestamp::from_millis(1),
                monotonic: Monotonic::from_micros(1),
                attempt: 1,
                step,
            })
            .collect()
    }

    #[test]
    fn the_latest_failure_is_the_last_that_was_told() {
        let detection = detection();
        let note = || Step::Note {
            message: "x".into(),
        };
        let steps = entries([note()]);
        let first = LatestFailure::of(&detection, &steps);
        assert_eq!((first.cause, first.signal), (&Cause::Signal, Some("KILL")));
        assert_eq!(first.lines, None);

        let again = |code| Step::FailedAgain {
            cause: Cause::ExitCode,
            exit_code: Some(code),
            signal: None,
            lines: vec![format!("exit {code}")],
        };
        let steps = entries([again(1), again(2), note()]);
        let latest = LatestFailure::of(&detection, &steps);
        assert_eq!(
            (latest.cause, latest.exit_code),
            (&Cause::ExitCode, Some(2))
        );
        assert_eq!(latest.signal, None);
        assert_eq!(latest.lines, Some(&["exit 2".to_owned()][..]));
    }

    fn escalated(reason: &str) -> Ending {
        Ending::Escalated {
            reason: reason.into(),
            retry_at: None,
        }
    }

    fn left_alone(why: LeftAlone) -> Ending {
        Ending::LeftAlone {
            why,
            detail: String::new(),
        }
    }

    #[rstest]
    #[case::never(vec![], None)]
    #[case::once(vec![escalated("a")], Some("a"))]
    #[case::for_another_reason(vec![escalated("a"), escalated("b")], Some("b"))]
    #[case::held_meanwhile(vec![escalated("a"), left_alone(LeftAlone::PackageUpgrade)], Some("a"))]
    #[case::waits_meanwhile(
        vec![escalated("a"), Ending::Blocked { on: UnitName::new("b.service").unwrap(), reason: "r".into() }],
        Some("a")
    )]
    #[case::an_operator_paused_it(vec![escalated("a"), left_alone(LeftAlone::Paused)], None)]
    #[case::an_operator_stopped_it(vec![escalated("a"), left_alone(LeftAlone::OperatorStop)], None)]
    #[case::well_again(vec![escalated("a"), Ending::Recovered { by: "x".into() }], None)]
    fn people_are_asked_until_it_is_over(
        #[case] endings: Vec<Ending>,
        #[case] expected: Option<&str>,
    ) {
        let mut steps = Vec::new();
        for ending in endings {
            steps.push(Step::Ended { ending });
            // The next attempt.
            steps.push(Step::Note {
                message: "x".into(),
            });
        }
        assert_eq!(people_asked(&entries(steps)), expected);
    }
}
