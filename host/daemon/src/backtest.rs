//! What limits would have made of what was recorded: `prunella health backtest`.
//!
//! By whoever asks, with his own rights: the folder of a changed configuration is for nobody
//! else to read.

use std::{collections::BTreeMap, time::Duration};

use prunella_api::{Refusal, RefusalKind};
use prunella_config::Config;
use prunella_core::{
    StrategyName, Timestamp, UnitName,
    health::{Episode, ExpectedWork, Metric, Subject, Symptom, Transition},
    incident::IncidentKind,
    service::Service,
    summary::{Filter, Summary},
};
use prunella_health::{Backtest, Recorded, WouldBegin};
use prunella_store::{
    Store, StoreError,
    samples::{SampleStore, SeriesSteps},
};
use serde::Serialize;

use crate::{Paths, access, clock, health};

/// More changes of health are not kept of a subject.
const TRANSITIONS: u32 = 1_000;

/// What would have happened with these limits, and what did.
#[derive(Debug, Serialize)]
pub struct BacktestReport {
    pub unit: UnitName,
    pub since: Timestamp,
    pub until: Timestamp,
    /// How finely it was recorded, the oldest first; empty where nothing was.
    pub recorded: Vec<RecordedSpan>,
    /// In so many recorded spans a value reached its limit for an unknown part of the span:
    /// they count as below it.
    pub unclear: u32,
    /// The degradations that would have begun, the oldest first.
    pub would_begin: Vec<WouldBe>,
    /// The degradations that did begin and would not have, the oldest first.
    pub would_not_begin: Vec<Summary>,
    /// So many degradations began.
    pub degradations: usize,
    /// So many failures: a backtest has none.
    pub failures: usize,
    /// What cannot be played, a sentence each, without their full stops.
    pub not_played: Vec<String>,
}

/// A span that was recorded evenly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedSpan {
    pub since: Timestamp,
    pub until: Timestamp,
    /// For how long each value stands, in seconds.
    pub each_seconds: u64,
}

/// An incident that would have begun.
#[derive(Debug, Serialize)]
pub struct WouldBe {
    pub at: Timestamp,
    /// Absent where its symptoms still hold.
    pub ended: Option<Timestamp>,
    /// For how long each value stands by which it would have begun, in seconds.
    pub each_seconds: u64,
    /// What would have been told, with its worst value.
    pub symptoms: Vec<Episode>,
    /// Who would have been asked to heal it (`heal-degraded`); empty where it is told only.
    pub healed_by: Vec<StrategyName>,
    /// The incident that did begin at that time.
    pub happened: Option<Summary>,
}

/// Plays what was recorded of `unit` since then, with the limits of `config`.
///
/// # Errors
/// When the service is not in care, when this user may not look, or when what was recorded
/// cannot be read.
pub fn backtest(
    paths: &Paths,
    config: &Config,
    unit: &UnitName,
    since: Timestamp,
) -> Result<BacktestReport, Refusal> {
    let service = config.services.get(unit).ok_or_else(|| {
        Refusal::new(
            RefusalKind::NotFound,
            format!("{unit} is not in Prunella's care there, so it has no limits"),
        )
    })?;
    access::may_look(paths)?;
    let until = clock::now();
    let subject = Subject::from(unit.clone());
    let series = or_nothing(
        SampleStore::open_read_only(&paths.metrics())
            .and_then(|store| store.steps(&subject, since, until)),
    )?;
    let past = or_nothing(
        Store::open_read_only(&paths.store()).and_then(|store| of_store(&store, unit, since)),
    )?;
    Ok(report(service, since, until, &series, past))
}

/// What was never recorded is nothing.
fn or_nothing<T: Default>(read: Result<T, StoreError>) -> Result<T, Refusal> {
    match read {
        Err(StoreError::Missing { .. }) => Ok(T::default()),
        other => other.map_err(|error| Refusal::new(RefusalKind::Failed, crate::explained(&error))),
    }
}

/// What the store has of it, the oldest first.
#[derive(Default)]
struct Past {
    /// How its state has changed.
    transitions: Vec<Transition>,
    incidents: Vec<Summary>,
    expected_work: Vec<ExpectedWork>,
}

fn of_store(store: &Store, unit: &UnitName, since: Timestamp) -> Result<Past, StoreError> {
    let subject = Subject::from(unit.clone());
    let mut transitions = store.health_transitions(&subject, Some(since), TRANSITIONS)?;
    transitions.sort_by_key(|transition| transition.at);
    let mut incidents = store.incidents(&Filter {
        unit: Some(unit.clone()),
        since: Some(since),
        ..Filter::default()
    })?;
    incidents.sort_by_key(|incident| incident.at);
    Ok(Past {
        transitions,
        incidents,
        expected_work: store.expected_work_of(unit, since)?,
    })
}

/// The values of one time, and for how long they stand.
type Moments = BTreeMap<Timestamp, (Duration, Vec<Recorded>)>;

fn report(
    service: &Service,
    since: Timestamp,
    until: Timestamp,
    series: &[SeriesSteps],
    past: Past,
) -> BacktestReport {
    let mut moments = Moments::new();
    for SeriesSteps { series, steps } in series {
        for step in steps {
            let (_, values) = moments
                .entry(step.point.at)
                .or_insert_with(|| (step.span, Vec::new()));
            values.push(Recorded {
                metric: series.metric,
                instance: series.instance.clone(),
                mean: step.point.mean,
                max: step.point.max,
            });
        }
    }
    let recorded = spans(&moments);
    let (found, unclear) = play(service, since, moments, &past);
    let (degradations, failures): (Vec<Summary>, Vec<Summary>) = past
        .incidents
        .into_iter()
        .partition(|incident| incident.kind == IncidentKind::Degradation);
    let would_begin: Vec<WouldBe> = found
        .into_iter()
        .map(|one| {
            let happened = degradations
                .iter()
                .find(|incident| is_same(&one, incident, until));
            would_be(service, one, happened.cloned())
        })
        .collect();
    let is_found = |incident: &Summary| {
        let ids = would_begin.iter().filter_map(|one| one.happened.as_ref());
        ids.into_iter().any(|happened| happened.id == incident.id)
    };
    BacktestReport {
        unit: service.unit.clone(),
        since,
        until,
        not_played: not_played(service, series),
        recorded,
        unclear,
        would_not_begin: degradations
            .iter()
            .filter(|incident| !is_found(incident))
            .cloned()
            .collect(),
        would_begin,
        degradations: degradations.len(),
        failures: failures.len(),
    }
}

fn play(
    service: &Service,
    since: Timestamp,
    moments: Moments,
    past: &Past,
) -> (Vec<WouldBegin>, u32) {
    let mut backtest = Backtest::new(
        service.unit.clone(),
        service.health.clone(),
        health::probes(service),
        since,
    );
    let mut transitions = past.transitions.iter().peekable();
    let mut expected = past.expected_work.iter().peekable();
    for (at, (span, values)) in moments {
        while let Some(work) = expected.next_if(|work| work.since <= at) {
            backtest.expected(work);
        }
        while let Some(transition) = transitions.next_if(|change| change.at <= at) {
            backtest.changed(transition);
        }
        backtest.measured(at, span, &values);
    }
    transitions.for_each(|transition| backtest.changed(transition));
    backtest.finish()
}

fn would_be(service: &Service, one: WouldBegin, happened: Option<Summary>) -> WouldBe {
    let symptoms = || one.symptoms.iter().map(|episode| &episode.symptom);
    let healed_by = if symptoms().any(Symptom::may_be_treated) {
        service.heal_degraded.clone()
    } else {
        Vec::new()
    };
    WouldBe {
        at: one.at,
        ended: one.ended,
        each_seconds: one.span.as_secs(),
        healed_by,
        happened,
        symptoms: one.symptoms,
    }
}

/// Whether an incident happened when this one would have. Coarse values put a beginning or an
/// end off by a value or two.
fn is_same(one: &WouldBegin, incident: &Summary, until: Timestamp) -> bool {
    let about = one.span * 2;
    let ended = one.ended.unwrap_or(until).saturating_add(about);
    let incident_ended = incident.ended_at.unwrap_or(until).saturating_add(about);
    incident.at <= ended && one.at <= incident_ended
}

/// How finely it was recorded, by spans. A gap in it is none of its own.
fn spans(moments: &Moments) -> Vec<RecordedSpan> {
    let mut spans: Vec<RecordedSpan> = Vec::new();
    for (&at, (span, _)) in moments {
        let (each_seconds, until) = (span.as_secs(), at.saturating_add(*span));
        match spans.last_mut() {
            Some(last) if last.each_seconds == each_seconds => last.until = until,
            _ => spans.push(RecordedSpan {
                since: at,
                until,
                each_seconds,
            }),
        }
    }
    spans
}

/// What of the limits cannot be played.
fn not_played(service: &Service, series: &[SeriesSteps]) -> Vec<String> {
    let mut not_played = Vec::new();
    let probes = health::probes(service);
    if !probes.is_empty() {
        not_played.push(
            "single answers of probes are not kept: `failure-threshold` and the `window` of \
             `error-rate` are not tried, and rows of unanswered questions count as they happened"
                .to_owned(),
        );
        let is_recorded = |name: &String| {
            series.iter().any(|one| {
                one.series.metric == Metric::LatencyMs
                    && one.series.instance.as_deref() == Some(name.as_str())
            })
        };
        let missing = probes.keys().filter(|name| !is_recorded(name));
        not_played.extend(missing.map(|name| {
            format!("nothing was recorded of probe `{name}`: it is new, or was never answered")
        }));
    }
    if service.objective.is_some() {
        not_played.push("how fast the error budget was used up is not kept".to_owned());
    }
    let has_certificate = service.health.certificate.degraded.is_some();
    if has_certificate && !probes.is_empty() {
        not_played.push("how long certificates were valid is not kept".to_owned());
    }
    not_played
}

#[cfg(test)]
mod tests {
    use prunella_core::health::{MetricLimit, Point, Series};
    use prunella_store::samples::Step;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: u32) -> Timestamp {
        Timestamp::from_millis(1_795_270_020_000).saturating_add(MINUTE * minute)
    }

    fn service(degraded: u64) -> Service {
        let mut service = Service::new(UnitName::new("web.service").unwrap());
        let limit = MetricLimit {
            degraded,
            critical: None,
            clear: degraded - 50,
            hold: MINUTE,
            forecast: None,
        };
        let limits = &mut service.health.limits;
        limits.set(Metric::MemoryPermille, Some(limit));
        service
    }

    /// Half an hour, with a spell from the tenth to the fifteenth minute.
    fn recorded() -> Vec<SeriesSteps> {
        let step = |minute| {
            let value = if (10..15).contains(&minute) { 930 } else { 500 };
            Step {
                point: Point {
                    at: at(minute),
                    mean: value,
                    min: value,
                    max: value,
                },
                span: MINUTE,
            }
        };
        vec![SeriesSteps {
            series: Series {
                subject: UnitName::new("web.service").unwrap().into(),
                metric: Metric::MemoryPermille,
                instance: None,
            },
            steps: (0..30).map(step).collect(),
        }]
    }

    fn happened(minute: u32, ended: u32) -> Summary {
        Summary {
            id: prunella_core::incident::IncidentId::new(at(minute), 7),
            unit: UnitName::new("web.service").unwrap(),
            at: at(minute),
            kind: IncidentKind::Degradation,
            cause: "degraded".to_owned(),
            ended: None,
            ended_at: Some(at(ended)),
            why: None,
            left_alone: None,
            strategy: None,
            recovered_after: None,
            attempt: 1,
            people_asked: None,
        }
    }

    fn of(incident: Summary) -> Past {
        Past {
            incidents: vec![incident],
            ..Past::default()
        }
    }

    #[test]
    fn what_would_have_begun_stands_beside_what_did() {
        let mut web = service(900);
        web.heal_degraded = vec!["service-restart".parse().unwrap()];
        let past = of(happened(11, 16));
        let report = super::report(&web, at(0), at(30), &recorded(), past);
        assert_eq!(report.would_begin.len(), 1);
        let one = &report.would_begin[0];
        assert!(one.happened.is_some() && report.would_not_begin.is_empty());
        assert_eq!(one.healed_by.len(), 1);
        assert_eq!((one.each_seconds, one.symptoms[0].worst), (60, 930));
        assert_eq!(
            report.recorded,
            [RecordedSpan {
                since: at(0),
                until: at(30),
                each_seconds: 60
            }]
        );
    }

    #[test]
    fn what_would_not_have_begun_is_told() {
        let past = of(happened(11, 16));
        let report = super::report(&service(950), at(0), at(30), &recorded(), past);
        assert!(report.would_begin.is_empty());
        assert_eq!(report.would_not_begin.len(), 1);
        // Long before, and so another one.
        let past = of(happened(1, 2));
        let report = super::report(&service(900), at(0), at(30), &recorded(), past);
        assert!(report.would_begin[0].happened.is_none());
        assert_eq!(report.would_not_begin.len(), 1);
    }
}
