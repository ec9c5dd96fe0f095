//! What the store knows of the past, as far as an overview needs it.

use std::{collections::BTreeMap, time::Duration};

use prunella_api::{DayCount, LastHealing, NeedsPeople, ServiceStatus, Waiting};
use prunella_core::{
    Timestamp, UnitName,
    cause::Cause,
    health::ExpectedWork,
    incident::{Ending, EndingKind, IncidentId, LeftAlone},
    summary::{Filter, Summary},
    trail::{Entry, Step},
};
use prunella_store::{Pause, Store, StoreError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Incidents whose time is worth a look when asking who needs people.
const LATEST: u32 = 500;

/// What the store knows.
#[derive(Default)]
pub(super) struct Past {
    pub(super) day: DayCount,
    pub(super) pauses: Vec<Pause>,
    pub(super) expected_work: Vec<ExpectedWork>,
    /// Each unit's latest incident, dry runs left out.
    latest: BTreeMap<UnitName, Summary>,
    healings: BTreeMap<UnitName, LastHealing>,
    /// Why the latest ones ended as they did, where that needs people.
    reasons: BTreeMap<IncidentId, String>,
    /// What the open ones wait for.
    waits: BTreeMap<IncidentId, Waiting>,
}

impl Past {
    pub(super) fn read(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let mut past = Self {
            pauses: store
                .pauses()?
                .into_iter()
                .filter(|pause| pause.holds(now))
                .collect(),
            expected_work: store.expected_work(now)?,
            ..Self::default()
        };
        for (ended, count) in store.counts_since(now.saturating_sub(DAY))? {
            past.day.count(ended, count);
        }
        let lately = store.incidents(&Filter {
            limit: Some(LATEST),
            ..Filter::default()
        })?;
        for incident in lately {
            if incident.ended == Some(EndingKind::DryRun) {
                continue;
            }
            if incident.ended == Some(EndingKind::Healed)
                // What a person had restarted was well before.
                && incident.cause != Cause::RestartRequested.as_str()
                && !past.healings.contains_key(&incident.unit)
            {
                past.healings.insert(
                    incident.unit.clone(),
                    LastHealing {
                        incident: incident.id.clone(),
                        at: recovered_at(store, &incident)?,
                        strategy: incident.strategy.clone(),
                        recovered_after: incident.recovered_after,
                    },
                );
            }
            if !past.latest.contains_key(&incident.unit) {
                past.latest.insert(incident.unit.clone(), incident);
            }
        }
        for incident in past.latest.values() {
            let reason = match (incident.ended, incident.left_alone) {
                (Some(EndingKind::Escalated | EndingKind::Interrupted), _) => incident.why.clone(),
                (Some(EndingKind::LeftAlone), Some(LeftAlone::Misconfigured)) => {
                    incident.why.clone()
                }
                (Some(EndingKind::LeftAlone), Some(why)) if why.needs_people() => {
                    Some(format!("left alone: {}", why.sentence()))
                }
                _ => None,
            };
            if let Some(reason) = reason {
                past.reasons.insert(incident.id.clone(), reason);
            }
        }
        for incident in past.latest.values().filter(|latest| is_open(latest)) {
            let steps = store.record(&incident.id)?.map(|record| record.steps);
            if let Some(waits) = steps.as_deref().and_then(|steps| waiting(steps, now)) {
                past.waits.insert(incident.id.clone(), waits);
            }
        }
        Ok(past)
    }

    /// The incident of a unit that is being seen to.
    pub(super) fn open(&self, unit: &UnitName) -> Option<&IncidentId> {
        self.latest
            .get(unit)
            .filter(|latest| is_open(latest))
            .map(|latest| &latest.id)
    }

    /// What the healing of a unit waits for.
    pub(super) fn waits(&self, unit: &UnitName) -> Option<Waiting> {
        let latest = self.latest.get(unit)?;
        // A pause and the kill switch are told of for themselves.
        let held = latest.left_alone.filter(|why| {
            why.passes()
                && !matches!(
                    why,
                    LeftAlone::Paused | LeftAlone::KillSwitch | LeftAlone::Misconfigured
                )
        });
        match (latest.ended, held) {
            (Some(EndingKind::LeftAlone), Some(why)) => Some(Waiting {
                reason: why.sentence().to_owned(),
                until: None,
            }),
            _ => self.waits.get(&latest.id).cloned(),
        }
    }

    pub(super) fn healing(&self, unit: &UnitName) -> Option<&LastHealing> {
        self.healings.get(unit)
    }

    /// Those whose latest incident was handed to people, and which are not up
    /// again: whoever brought a service up has seen to it.
    pub(super) fn needs_people(&self, services: &[ServiceStatus]) -> Vec<NeedsPeople> {
        let mut needy: Vec<NeedsPeople> = services
            .iter()
            .filter(|service| service.up != Some(true))
            .filter_map(|service| {
                let latest = self.latest.get(&service.unit)?;
                let reason = self.reasons.get(&latest.id)?;
                Some(NeedsPeople {
                    incident: latest.id.clone(),
                    unit: latest.unit.clone(),
                    at: latest.at,
                    reason: reason.clone(),
                })
            })
            .collect();
        needy.sort_by_key(|needy| std::cmp::Reverse(needy.at));
        needy
    }
}

/// When a service that was healed was up again.
fn recovered_at(store: &Store, incident: &Summary) -> Result<Timestamp, StoreError> {
    let record = store.record(&incident.id)?;
    let up = record.and_then(|record| {
        let steps = record.steps.into_iter();
        steps
            .rev()
            .find(|entry| matches!(entry.step, Step::Answering { .. }))
    });
    Ok(up.map_or(incident.ended_at.unwrap_or(incident.at), |entry| entry.at))
}

fn is_open(incident: &Summary) -> bool {
    matches!(incident.ended, None | Some(EndingKind::Blocked))
}

/// What an open incident waits for, by its last step; `None` while somebody is at work on it.
fn waiting(steps: &[Entry], now: Timestamp) -> Option<Waiting> {
    let last = steps.last()?;
    match &last.step {
        Step::Waits { reason, up_to, .. } => {
            let until = last.at.saturating_add(*up_to);
            (until > now).then(|| Waiting {
                reason: reason.clone(),
                until: Some(until),
            })
        }
        Step::Watches { .. } => Some(Waiting {
            reason: "it is degraded, and watched until that is over".to_owned(),
            until: None,
        }),
        Step::Blocked { on, reason } => Some(Waiting {
            reason: format!("{on} has to be healed first: {reason}"),
            until: None,
        }),
        Step::Ended {
            ending: Ending::Blocked { on, reason },
        } => Some(Waiting {
            reason: format!("{on} has to be healed first: {reason}"),
            until: None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{
        Monotonic,
        incident::{DetectedBy, Detection, Incident},
        trail::Awaited,
    };

    use super::*;

    fn entry(at: u64, step: Step) -> Entry {
        Entry {
            incident: IncidentId::from_text("x"),
            number: 1,
            at: Timestamp::from_millis(at),
            monotonic: Monotonic::from_micros(at * 1_000),
            attempt: 1,
            step,
        }
    }

    fn waits(at: u64, milliseconds: u64) -> Entry {
        let reason = "the healing budget spaces attempts out".to_owned();
        entry(
            at,
            Step::Waits {
                on: Awaited::Budget,
                reason,
                up_to: Duration::from_millis(milliseconds),
            },
        )
    }

    #[test]
    fn an_incident_waits_as_long_as_nothing_is_done() {
        let works = entry(
            2_000,
            Step::Note {
                message: "at work".into(),
            },
        );
        let until = |steps: &[Entry], now| {
            waiting(steps, Timestamp::from_millis(now))
                .map(|waits| waits.until.map(Timestamp::as_millis))
        };
        assert_eq!(until(&[waits(1_000, 5_000)], 2_000), Some(Some(6_000)));
        assert_eq!(until(&[waits(1_000, 5_000)], 6_000), None);
        assert_eq!(until(&[waits(1_000, 5_000), works], 2_000), None);
        assert_eq!(until(&[], 2_000), None);
    }

    /// LAST HEALED counts from the recovery, not from the failure.
    #[test]
    fn a_healing_was_when_the_service_was_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        let unit = UnitName::new("a.service").unwrap();
        let incident = Incident {
            id: IncidentId::from_text("20261121-142301Z-7f3a"),
            key: "a".into(),
            detection: Detection {
                unit: unit.clone(),
                by: DetectedBy::Signal,
                at: Timestamp::from_millis(1_000_000),
                cause: Cause::Signal,
                invocation: None,
                exit_code: None,
                signal: None,
                failed_monotonic: None,
                restarts_before: None,
                symptoms: Vec::new(),
                unusual: Vec::new(),
                follows: None,
                expected_work: None,
            },
            attempt: 1,
            boot_id: "b".into(),
            parent: None,
        };
        store.open_incident(&incident).unwrap();
        store
            .append_all(&[Entry {
                incident: incident.id.clone(),
                ..entry(
                    1_035_100,
                    Step::Answering {
                        evidence: Vec::new(),
                        after: Some(Duration::from_secs(60)),
                    },
                )
            }])
            .unwrap();
        store
            .end(
                &incident.id,
                Timestamp::from_millis(1_040_000),
                &Ending::Healed {
                    strategy: "service-restart".parse().unwrap(),
                    recovered_after: Some(Duration::from_millis(35_100)),
                },
            )
            .unwrap();
        let past = Past::read(&store, Timestamp::from_millis(1_060_000)).unwrap();
        let healing = past.healing(&unit).unwrap();
        assert_eq!(healing.at, Timestamp::from_millis(1_035_100));
        assert_eq!(past.open(&unit), None);
        assert_eq!(past.waits(&unit), None);
    }
}
