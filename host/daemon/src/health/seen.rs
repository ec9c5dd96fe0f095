//! What units, incidents and pauses mean for health.

use prunella_core::{
    Timestamp, UnitName,
    capability::{ActiveState, UnitStatus},
    cause::Cause,
    incident::{Ending, LeftAlone},
    text::one_line,
    trail::Step,
};
use prunella_health::{IncidentEvent, PauseUntil, Standing};
use prunella_report::how_it_failed;
use prunella_store::Pause;

/// Characters of a sentence of evidence.
const EVIDENCE_MAX: usize = 300;

/// What a look at a unit shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SeenUnit {
    Standing(Standing),
    /// Nothing, and why.
    Unknown(String),
}

/// What a unit's status shows; nothing new, while it is being stopped.
pub(super) fn seen_unit(status: &UnitStatus) -> Option<SeenUnit> {
    if !status.exists() {
        return Some(SeenUnit::Unknown(
            "its unit does not exist on this host".to_owned(),
        ));
    }
    let how = || {
        how_it_failed(
            &Cause::from(status.result.as_str()),
            status.exit_code,
            status.signal.as_deref(),
        )
    };
    Some(SeenUnit::Standing(match status.active_state {
        _ if status.is_up() => Standing::Up,
        _ if status.is_auto_restarting() => Standing::Failed(match status.result.as_str() {
            "success" => "it ended, and systemd is about to start it again".to_owned(),
            _ => format!("{}, and systemd is about to start it again", how()),
        }),
        ActiveState::Failed => Standing::Failed(how()),
        ActiveState::Activating => Standing::Starting,
        ActiveState::Inactive => Standing::Down,
        _ => return None,
    }))
}

/// What a step of an incident means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SeenStep {
    Event(IncidentEvent),
    /// With it, that an operator has stopped the unit.
    Stopped(IncidentEvent),
}

/// What a step of a degradation means for health: as long as nothing is done about it, its
/// symptoms say how the service is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SeenDegradation {
    Event(IncidentEvent),
    /// The service, or what it needs, was acted on: it has to be measured anew.
    BeginAnew,
    /// An operator has stopped the unit.
    Stopped,
}

/// What a step of a degradation means for health; most mean nothing.
pub(super) fn seen_degradation(step: &Step) -> Option<SeenDegradation> {
    Some(match step {
        Step::Heals { strategy } => {
            SeenDegradation::Event(IncidentEvent::Healing(format!("{strategy} is healing it")))
        }
        Step::Returned { .. } | Step::Broke { .. } | Step::Unblocked { .. } => {
            SeenDegradation::BeginAnew
        }
        Step::Ended {
            ending:
                Ending::LeftAlone {
                    why: LeftAlone::OperatorStop,
                    ..
                },
        } => SeenDegradation::Stopped,
        Step::NotProven { .. }
        | Step::Watches { .. }
        | Step::Blocked { .. }
        | Step::Proposed { .. }
        | Step::Ended { .. } => SeenDegradation::Event(IncidentEvent::LetGo),
        _ => return None,
    })
}

/// What a step means for health; most mean nothing.
pub(super) fn seen_step(step: &Step) -> Option<SeenStep> {
    let short = |text: &str| one_line(text, EVIDENCE_MAX);
    Some(SeenStep::Event(match step {
        // Nothing has failed: somebody asks.
        Step::Detected { detection, .. }
            if matches!(detection.cause, Cause::RestartRequested | Cause::State(_)) =>
        {
            return None;
        }
        Step::Detected { detection, .. } => IncidentEvent::Opened(how_it_failed(
            &detection.cause,
            detection.exit_code,
            detection.signal.as_deref(),
        )),
        Step::Heals { strategy } => IncidentEvent::Healing(format!("{strategy} is healing it")),
        Step::Proposed { act, target, .. } => IncidentEvent::Opened(short(&format!(
            "somebody has to agree to {act} {target} first"
        ))),
        Step::Approved { by, .. } => {
            IncidentEvent::Healing(short(&format!("it is being healed, as {by} agreed")))
        }
        Step::NotProven { reason, .. } => {
            IncidentEvent::Opened(short(&format!("it was not healed: {reason}")))
        }
        Step::Proven { .. } => IncidentEvent::Proven,
        Step::Waits { reason, .. } => IncidentEvent::Waits(short(reason)),
        Step::Blocked { on, reason } => {
            IncidentEvent::Waits(short(&format!("it waits for {on}: {reason}")))
        }
        Step::Ended { ending } => match ending {
            Ending::Healed {
                served_by: Some(_), ..
            }
            | Ending::LeftAlone {
                why: LeftAlone::FailedOver,
                ..
            } => IncidentEvent::Dropped,
            Ending::Healed { strategy, .. } => {
                IncidentEvent::Resolved(format!("{strategy} healed it, with proof"))
            }
            Ending::Recovered { by } => {
                IncidentEvent::Resolved(short(&format!("it recovered: {by}")))
            }
            Ending::LeftAlone {
                why: LeftAlone::OperatorStop,
                ..
            } => return Some(SeenStep::Stopped(IncidentEvent::Dropped)),
            Ending::LeftAlone {
                why: LeftAlone::Healthy | LeftAlone::Finished,
                ..
            } => IncidentEvent::Dropped,
            Ending::LeftAlone { why, detail } => {
                let left = why.sentence();
                IncidentEvent::Unresolved(match detail.as_str() {
                    "" => format!("it is down and left alone: {left}"),
                    detail => short(&format!("it is down and left alone: {left} ({detail})")),
                })
            }
            Ending::Escalated { reason, .. } => {
                IncidentEvent::Unresolved(short(&format!("handed to people: {reason}")))
            }
            Ending::Blocked { on, reason } => {
                IncidentEvent::Waits(short(&format!("it waits for {on}: {reason}")))
            }
            Ending::Interrupted { detail } => {
                IncidentEvent::Unresolved(short(&format!("its healing was interrupted: {detail}")))
            }
            Ending::Continued { .. } => IncidentEvent::LetGo,
            Ending::DryRun { .. } => return None,
        },
        _ => return None,
    }))
}

/// The pause that covers a unit, for longest where there are two.
pub(super) fn pause_of(pauses: &[Pause], unit: &UnitName, now: Timestamp) -> Option<PauseUntil> {
    let pause = pauses
        .iter()
        .filter(|pause| pause.covers(unit) && pause.holds(now))
        .max_by_key(|pause| pause.until.unwrap_or(Timestamp::MAX))?;
    let all = if pause.unit.is_none() {
        "everything is paused"
    } else {
        "it is paused"
    };
    Some(PauseUntil {
        why: one_line(
            &format!("{all} by {}: {}", pause.by, pause.reason),
            EVIDENCE_MAX,
        ),
        until: pause.until,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_core::{Timestamp, UnitName, trail::Awaited};

    use super::*;

    #[test]
    fn of_two_pauses_the_longer_counts() {
        let at = Timestamp::from_millis;
        let unit = UnitName::new("web.service").unwrap();
        let other = UnitName::new("db.service").unwrap();
        let pause = |unit: Option<&UnitName>, until: Option<u64>, reason: &str| Pause {
            unit: unit.cloned(),
            since: at(1),
            until: until.map(at),
            reason: reason.into(),
            by: "root".into(),
        };
        let pauses = [
            pause(None, Some(80), "moving"),
            pause(Some(&unit), Some(100), "upgrade"),
        ];
        let of = |unit, now| pause_of(&pauses, unit, at(now)).unwrap();
        assert_eq!(of(&unit, 50).why, "it is paused by root: upgrade");
        assert_eq!(of(&unit, 50).until, Some(at(100)));
        let all = of(&other, 50);
        assert_eq!(all.why, "everything is paused by root: moving");
        assert_eq!(all.until, Some(at(80)));
        assert_eq!(pause_of(&pauses[1..], &other, at(50)), None);
    }

    #[test]
    fn an_order_is_no_failure_and_a_dry_run_nothing() {
        let ended = |ending| seen_step(&Step::Ended { ending });
        let left = |why| {
            ended(Ending::LeftAlone {
                why,
                detail: String::new(),
            })
        };
        assert_eq!(
            left(LeftAlone::OperatorStop),
            Some(SeenStep::Stopped(IncidentEvent::Dropped))
        );
        assert_eq!(
            left(LeftAlone::Healthy),
            Some(SeenStep::Event(IncidentEvent::Dropped))
        );
        assert!(matches!(
            left(LeftAlone::PackageUpgrade),
            Some(SeenStep::Event(IncidentEvent::Unresolved(_)))
        ));
        let dry = Ending::DryRun {
            verdict: "x".into(),
        };
        assert_eq!(ended(dry), None);
        let waits = Step::Waits {
            on: Awaited::Budget,
            reason: "a\nb".into(),
            up_to: Duration::ZERO,
        };
        assert!(matches!(
            seen_step(&waits),
            Some(SeenStep::Event(IncidentEvent::Waits(why))) if !why.contains('\n')
        ));
    }
}
