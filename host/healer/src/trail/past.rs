//! What the steps of an incident say of the way that it has come.

use std::{collections::BTreeSet, time::Duration};

use prunella_core::{
    Monotonic, StrategyName, Timestamp, UnitName,
    diagnosis::Finding,
    incident::Ending,
    policy::Act,
    remedy::{OpenedCircuit, Undo},
    text::without_numbers,
    trail::{Awaited, Entry, LatestFailure, Step},
};

use crate::start_time::is_start;

/// Whether the unit's failed state was cleared in these steps, or `before` them,
/// and no start of it came to a good end after that.
pub(super) fn cleared(before: bool, steps: &[Entry], unit: &UnitName) -> bool {
    let mut cleared = before;
    let mut starts = Vec::new();
    for entry in steps {
        match &entry.step {
            Step::ActIntended {
                action,
                act,
                target,
                dry_run: false,
                ..
            } if target == unit.as_str() => {
                if act == Act::ResetFailed.name() {
                    cleared = true;
                } else if Act::named(act).is_some_and(Act::is_healing) {
                    starts.push(*action);
                }
            }
            Step::ActEnded {
                action,
                result: Ok(_),
                ..
            } if starts.contains(action) => cleared = false,
            _ => {}
        }
    }
    cleared
}

/// Whether the last act on the unit's job queue in these steps was a stop.
pub(super) fn stopped(steps: &[Entry], unit: &UnitName) -> bool {
    let last = steps.iter().rev().find_map(|entry| match &entry.step {
        Step::ActIntended {
            act,
            target,
            dry_run: false,
            ..
        } if target == unit.as_str() => {
            Act::named(act).filter(|act| *act == Act::Stop || act.is_healing())
        }
        _ => None,
    });
    last == Some(Act::Stop)
}

/// The circuit that an act among these steps has opened, the latest from `first` on, and for
/// how long.
pub(super) fn opened_circuit(steps: &[Entry], first: u32) -> Option<(OpenedCircuit, Duration)> {
    steps.iter().rev().find_map(|entry| match &entry.step {
        Step::ActIntended {
            action,
            plan: Some(plan),
            ..
        } if *action >= first && has_changed(steps, *action) => match (&plan.undo, plan.lease) {
            (Some(Undo::CloseCircuit(opened)), Some(lease)) => Some((opened.clone(), lease.lasts)),
            _ => None,
        },
        _ => None,
    })
}

/// Whether an act has changed something, by its receipt.
fn has_changed(steps: &[Entry], wanted: u32) -> bool {
    steps.iter().any(|entry| {
        matches!(
            &entry.step,
            Step::ActEnded { action, receipt: Some(receipt), .. }
                if *action == wanted && receipt.changed
        )
    })
}

/// The failed run's last lines among these steps.
pub(super) fn lines(steps: &[Entry]) -> Vec<String> {
    steps
        .iter()
        .rev()
        .find_map(|entry| match &entry.step {
            Step::Evidence { lines } => Some(lines.clone()),
            Step::Detected { evidence, .. } if !evidence.is_empty() => Some(evidence.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

/// Whether an attempt may have ended with this step, and not been cut off.
pub(super) fn is_last(step: &Step) -> bool {
    matches!(
        step,
        Step::Ended { .. } | Step::Waits { .. } | Step::Blocked { .. } | Step::Watches { .. }
    )
}

/// A start of the unit that a strategy made in an earlier attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EarlierStart {
    pub(crate) strategy: StrategyName,
    /// When it was intended, and when its job was known to have ended.
    intended: Monotonic,
    ended: Option<Monotonic>,
}

impl EarlierStart {
    /// The last one in these steps.
    pub(crate) fn of(steps: &[Entry], unit: &UnitName) -> Option<Self> {
        let entry = steps.iter().rfind(|entry| is_start(&entry.step, unit))?;
        let Step::ActIntended {
            action, strategy, ..
        } = &entry.step
        else {
            return None;
        };
        let ended = steps.iter().find_map(|later| match &later.step {
            Step::ActEnded { action: ended, .. } if ended == action => Some(later.monotonic),
            _ => None,
        });
        Some(Self {
            strategy: strategy.clone(),
            intended: entry.monotonic,
            ended,
        })
    }

    /// Whether a run that began then is the one that it began.
    pub(crate) fn began(&self, began: Monotonic) -> bool {
        began >= self.intended && self.ended.is_none_or(|ended| began <= ended)
    }
}

/// That people were told of a degradation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    /// Whether that what the operator lists for it was tried in vain.
    pub(crate) tried: bool,
}

/// What people were told last of a degradation.
pub(super) fn watch(steps: &[Entry]) -> Option<Watch> {
    steps.iter().rev().find_map(|entry| match entry.step {
        Step::Watches { tried, .. } => Some(Watch { tried }),
        _ => None,
    })
}

/// What these steps end with a wait for, if they do.
pub(super) fn waits_for(steps: &[Entry]) -> Option<Awaited> {
    match steps.last()?.step {
        Step::Waits { on, .. } => Some(on),
        _ => None,
    }
}

/// Whether these steps tell of a run that failed otherwise than the one that was noticed.
pub(super) fn failed_otherwise(steps: &[Entry]) -> bool {
    steps
        .iter()
        .any(|entry| LatestFailure::told_by(&entry.step).is_some())
}

/// The strategies that have healed, but for those that waited for a person to agree.
pub(super) fn tried(steps: &[Entry]) -> BTreeSet<StrategyName> {
    let mut tried = BTreeSet::new();
    for entry in steps {
        match &entry.step {
            Step::Heals { strategy } => {
                tried.insert(strategy.clone());
            }
            Step::Proposed { strategy, .. } => {
                tried.remove(strategy);
            }
            _ => {}
        }
    }
    tried
}

/// Until when the latest question among these steps stands that nobody has answered.
pub(super) fn asks_until(steps: &[Entry]) -> Option<Timestamp> {
    let approved = |id: &str| {
        steps.iter().any(|entry| {
            matches!(&entry.step, Step::Approved { approval: Some(used), .. } if used == id)
        })
    };
    steps.iter().rev().find_map(|entry| match &entry.step {
        Step::Proposed {
            approval, until, ..
        } if !approved(approval) => Some(*until),
        _ => None,
    })
}

/// What was said of an incident last, where saying it again would be no news.
#[derive(Debug, Default)]
pub(super) struct Told {
    findings: Vec<Finding>,
    /// The reason, [without its numbers](without_numbers).
    needs_people: Option<String>,
    /// The approval that was asked for, and until when.
    asks: Option<(String, Timestamp)>,
    /// The act that was denied, its target, and why.
    denied: Option<(String, String, String)>,
}

impl Told {
    /// After these steps.
    pub(super) fn of(steps: &[Entry]) -> Self {
        let mut told = Self::default();
        for entry in steps {
            told.is_new(&entry.step);
        }
        told
    }

    /// Whether a step is news, which it is no longer then.
    pub(super) fn is_new(&mut self, step: &Step) -> bool {
        match step {
            Step::Diagnosed { findings } => {
                let same =
                    |a: &Finding, b: &Finding| (a.cause, &a.sentence) == (b.cause, &b.sentence);
                let known = findings.len() == self.findings.len()
                    && findings.iter().zip(&self.findings).all(|(a, b)| same(a, b));
                self.findings.clone_from(findings);
                !known
            }
            Step::Ended {
                ending: Ending::Escalated { reason, .. },
            } => {
                let key = without_numbers(reason);
                self.needs_people.replace(key.clone()) != Some(key)
            }
            Step::Proposed {
                approval, until, ..
            } => {
                let asks = Some((approval.clone(), *until));
                let is_new = self.asks != asks;
                self.asks = asks;
                is_new
            }
            Step::ActDenied {
                act,
                target,
                failure,
                ..
            } => {
                let denied = Some((act.clone(), target.clone(), failure.message.clone()));
                let is_new = self.denied != denied;
                self.denied = denied;
                is_new
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_core::{Failure, incident::IncidentId};

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

    fn asks(approval: &str, until: u64) -> Step {
        Step::Proposed {
            approval: approval.to_owned(),
            strategy: "port-conflict".parse().unwrap(),
            act: "process-control.terminate".to_owned(),
            target: "process 7 (nc)".to_owned(),
            plan: None,
            until: Timestamp::from_millis(until),
        }
    }

    #[test]
    fn a_question_stands_until_it_is_answered() {
        let approved = |approval: &str| Step::Approved {
            approval: Some(approval.to_owned()),
            act: "process-control.terminate".to_owned(),
            target: "process 7 (nc)".to_owned(),
            by: "root".to_owned(),
        };
        let until = |steps| asks_until(&entries(steps)).map(Timestamp::as_millis);
        assert_eq!(until(vec![]), None);
        assert_eq!(until(vec![asks("x.1", 9)]), Some(9));
        assert_eq!(until(vec![asks("x.1", 9), asks("x.1", 11)]), Some(11));
        assert_eq!(until(vec![asks("x.1", 9), approved("x.1")]), None);
        assert_eq!(
            until(vec![asks("x.1", 9), asks("x.2", 11), approved("x.2")]),
            Some(9)
        );
    }

    #[test]
    fn a_question_is_logged_once_and_again_when_it_is_asked_anew() {
        let mut told = Told::default();
        assert!(told.is_new(&asks("x.1", 9)));
        assert!(!told.is_new(&asks("x.1", 9)));
        assert!(told.is_new(&asks("x.1", 19)));
        assert!(told.is_new(&asks("x.2", 19)));
    }

    #[test]
    fn a_denial_is_logged_once_and_again_when_it_is_another() {
        let denied = |by: &str| Step::ActDenied {
            strategy: "port-conflict".parse().unwrap(),
            act: "process-control.terminate".to_owned(),
            target: "process 7 (nc)".to_owned(),
            failure: Failure::denied("disapproved", format!("{by} has denied it")),
        };
        let mut told = Told::default();
        assert!(told.is_new(&denied("root")));
        assert!(!told.is_new(&denied("root")));
        assert!(told.is_new(&denied("anna")));
    }

    #[test]
    fn a_finding_is_logged_again_only_when_it_changes() {
        let escalated = |reason: &str| Step::Ended {
            ending: Ending::Escalated {
                reason: reason.to_owned(),
                retry_at: Some(Timestamp::from_millis(7)),
            },
        };
        let mut told = Told::default();
        assert!(told.is_new(&escalated("a")));
        assert!(!told.is_new(&escalated("a")));
        assert!(told.is_new(&escalated("spent for another 143 s")));
        assert!(!told.is_new(&escalated("spent for another 23 s")));
        assert!(told.is_new(&escalated("b")));
        assert!(told.is_new(&escalated("a")));
        let nothing = Step::Diagnosed {
            findings: Vec::new(),
        };
        assert!(!told.is_new(&nothing));
        let heals = Step::Heals {
            strategy: "service-restart".parse().unwrap(),
        };
        assert!(told.is_new(&heals) && told.is_new(&heals));
    }
}
