//! What the store knows of the past, as far as an overview needs it.

use std::{collections::BTreeMap, time::Duration};

use prunella_api::{DayCount, LastHealing, NeedsPeople, ServiceStatus, Waiting};
use prunella_core::{
    Timestamp, UnitName,
    capability::UnitStatus,
    cause::Cause,
    health::ExpectedWork,
    incident::{Ending, EndingKind, IncidentId, LeftAlone},
    remedy::FailedOver,
    summary::{Filter, Summary},
    text::one_line,
    trail::{Awaited, Entry, LatestFailure, Record, Step},
};
use prunella_report::how_it_ended;
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
    /// Failovers that are in force.
    failed_over: Vec<FailedOver>,
    /// Each unit's latest incident, dry runs left out.
    latest: BTreeMap<UnitName, Summary>,
    healings: BTreeMap<UnitName, LastHealing>,
    /// Why the latest ones ended as they did, where that needs people.
    reasons: BTreeMap<IncidentId, String>,
    /// What the open ones wait for.
    waits: BTreeMap<IncidentId, Waiting>,
    /// When those that need people are tried again.
    retries: BTreeMap<IncidentId, Timestamp>,
    /// What people are asked to approve, the latest question of each incident.
    approvals: BTreeMap<IncidentId, String>,
}

/// What has to come for an open incident to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// Its time, by the healing budget.
    Budget,
    /// Something else.
    Other,
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
            failed_over: store
                .applied()?
                .iter()
                .filter_map(|applied| applied.failed_over().cloned())
                .collect(),
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
                // Somebody asked about it while it was up: nothing had failed.
                (Some(EndingKind::LeftAlone), _)
                    if Cause::from(incident.cause.as_str()).is_of_what_is_up() =>
                {
                    None
                }
                // That it was started too often comes of how it failed.
                (Some(EndingKind::LeftAlone), Some(why @ LeftAlone::StartLimit)) => {
                    let how = store
                        .record(&incident.id)?
                        .map(|record| format!(" ({})", how_its_latest_run_ended(&record)));
                    let how = how.unwrap_or_default();
                    Some(format!("left alone: {}{how}", why.sentence()))
                }
                (Some(EndingKind::LeftAlone), Some(why)) if why.needs_people() => {
                    Some(format!("left alone: {}", why.sentence()))
                }
                // It is tried again, which changes nothing until it is up.
                _ => incident.people_asked.clone(),
            };
            if let Some(reason) = reason {
                past.reasons.insert(incident.id.clone(), reason);
            }
        }
        for incident in past.latest.values() {
            let id = &incident.id;
            let asks = past.reasons.contains_key(id);
            if is_open(incident) {
                let steps = store.record(id)?.map(|record| record.steps);
                match steps.as_deref().and_then(|steps| waiting(steps, now)) {
                    // What is told of those that need people says when it is tried again.
                    Some((Awaits::Budget, waits)) if asks => {
                        past.retries.extend(waits.until.map(|at| (id.clone(), at)));
                    }
                    Some((_, waits)) => {
                        past.waits.insert(id.clone(), waits);
                    }
                    None => {}
                }
            } else if asks
                && let Some(latest) = store.latest_end(&incident.unit)?
                && latest.id == *id
                && let Ending::Escalated {
                    retry_at: Some(at), ..
                } = latest.ending
            {
                past.retries.insert(id.clone(), at);
            }
        }
        past.retries.retain(|_, at| *at > now);
        // The newest come first.
        for approval in store.approvals()?.into_iter().rev() {
            if approval.waits(now) {
                past.approvals
                    .insert(approval.proposal.incident, approval.id);
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
                    retry_at: self.retries.get(&latest.id).copied(),
                    approval: self.approvals.get(&latest.id).cloned(),
                })
            })
            .collect();
        needy.sort_by_key(|needy| std::cmp::Reverse(needy.at));
        needy
    }

    /// The unit that serves in the place of one that is down.
    pub(super) fn failed_over_to(&self, status: &UnitStatus) -> Option<&UnitName> {
        let of_it = |over: &&FailedOver| over.primary == status.name && !status.is_up();
        self.failed_over
            .iter()
            .find(of_it)
            .map(|over| &over.standby)
    }

    /// Those that were left alone because they are masked, where one of the `needy` is down
    /// that needs them. `needed_by` is who needs each unit.
    pub(super) fn masked_and_needed(
        &self,
        services: &[ServiceStatus],
        needy: &[NeedsPeople],
        needed_by: &BTreeMap<UnitName, Vec<UnitName>>,
    ) -> Vec<NeedsPeople> {
        let down = services.iter().filter(|service| service.up != Some(true));
        down.filter_map(|service| {
            let latest = self.latest.get(&service.unit)?;
            if latest.left_alone != Some(LeftAlone::Masked) || is_open(latest) {
                return None;
            }
            let mut waiting = needed_by.get(&service.unit)?.iter();
            let waits = waiting.find(|unit| needy.iter().any(|one| one.unit == **unit))?;
            Some(NeedsPeople {
                incident: latest.id.clone(),
                unit: latest.unit.clone(),
                at: latest.at,
                reason: format!("it is masked, and {waits} needs it"),
                retry_at: None,
                approval: None,
            })
        })
        .collect()
    }
}

/// How the latest run of it failed, with what it logged last: `exit code 1: the license is
/// expired`.
fn how_its_latest_run_ended(record: &Record) -> String {
    let latest = LatestFailure::of(&record.incident.detection, &record.steps);
    let noticed = || {
        record
            .steps
            .iter()
            .rev()
            .find_map(|entry| match &entry.step {
                Step::Evidence { lines } => Some(lines.as_slice()),
                Step::Detected { evidence, .. } => Some(evidence.as_slice()),
                _ => None,
            })
    };
    let lines = latest.lines.or_else(noticed).unwrap_or_default();
    let how = how_it_ended(latest.cause, latest.exit_code, latest.signal);
    match lines.last() {
        Some(line) => format!("{how}: {}", one_line(line, 200)),
        None => how,
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
fn waiting(steps: &[Entry], now: Timestamp) -> Option<(Awaits, Waiting)> {
    let last = steps.last()?;
    let other = |reason: String| {
        let waits = Waiting {
            reason,
            until: None,
        };
        Some((Awaits::Other, waits))
    };
    match &last.step {
        Step::Waits { on, reason, up_to } => {
            let until = last.at.saturating_add(*up_to);
            let awaits = match on {
                Awaited::Budget => Awaits::Budget,
                _ => Awaits::Other,
            };
            let waits = Waiting {
                reason: reason.clone(),
                until: Some(until),
            };
            (until > now).then_some((awaits, waits))
        }
        Step::Watches { .. } => other("it is degraded, and watched until that is over".to_owned()),
        Step::Blocked { on, reason }
        | Step::Ended {
            ending: Ending::Blocked { on, reason },
        } => other(format!("{on} has to be healed first: {reason}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{
        Monotonic,
        incident::{DetectedBy, Detection, Incident},
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
                .map(|(_, waits)| waits.until.map(Timestamp::as_millis))
        };
        assert_eq!(until(&[waits(1_000, 5_000)], 2_000), Some(Some(6_000)));
        assert_eq!(until(&[waits(1_000, 5_000)], 6_000), None);
        assert_eq!(until(&[waits(1_000, 5_000), works], 2_000), None);
        assert_eq!(until(&[], 2_000), None);
    }

    fn incident() -> Incident {
        Incident {
            id: IncidentId::from_text("20261121-142301Z-7f3a"),
            key: "a".into(),
            detection: Detection {
                unit: UnitName::new("a.service").unwrap(),
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
        }
    }

    fn service(incident: &Incident, up: bool) -> ServiceStatus {
        ServiceStatus {
            unit: incident.detection.unit.clone(),
            domain: None,
            critical: false,
            state: None,
            sub_state: None,
            up: Some(up),
            health: None,
            since: None,
            ports: Vec::new(),
            paused: false,
            open_incident: None,
            waits: None,
            failed_over_to: None,
            last_healing: None,
        }
    }

    /// Those that were handed to people need them until they are up, also while they are
    /// tried again; the reason is not what the next try waits for.
    #[test]
    fn what_is_tried_again_needs_people_until_it_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        let incident = incident();
        let id = &incident.id;
        let unit = &incident.detection.unit;
        let ms = Timestamp::from_millis;
        let needs = |now| {
            let past = Past::read(&store, ms(now)).unwrap();
            let down = past.needs_people(&[service(&incident, false)]);
            assert_eq!(past.needs_people(&[service(&incident, true)]), []);
            let told = down
                .first()
                .map(|needy| (needy.reason.clone(), needy.retry_at));
            (told, past.waits(unit), past.day)
        };
        store.open_incident(&incident).unwrap();
        assert_eq!(needs(1_000_001).0, None);

        let reason = "it fails at each start (exit code 1)";
        let escalated = Ending::Escalated {
            reason: reason.into(),
            retry_at: Some(ms(1_060_000)),
        };
        let told = |at| Some((reason.to_owned(), at));
        let escalated_once = DayCount {
            escalated: 1,
            ..DayCount::default()
        };
        store.end(id, ms(1_000_100), &escalated).unwrap();
        let handed = needs(1_000_200);
        assert_eq!(handed, (told(Some(ms(1_060_000))), None, escalated_once));

        // It is due, and is tried again.
        store.reopen(id, 2).unwrap();
        assert_eq!(needs(1_060_100), (told(None), None, escalated_once));
        let entry = |number, entry: Entry| Entry {
            incident: id.clone(),
            number,
            ..entry
        };
        store.append(&entry(0, waits(1_060_200, 9_800))).unwrap();
        let waits_for_budget = needs(1_060_300);
        assert_eq!(
            waits_for_budget,
            (told(Some(ms(1_070_000))), None, escalated_once)
        );

        let healed = Ending::Recovered { by: "x".into() };
        store.end(id, ms(1_070_000), &healed).unwrap();
        assert_eq!(needs(1_070_100).0, None);
    }

    /// LAST HEALED counts from the recovery, not from the failure.
    #[test]
    fn a_healing_was_when_the_service_was_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        let incident = incident();
        let unit = incident.detection.unit.clone();
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
                    served_by: None,
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
