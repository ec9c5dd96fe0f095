//! One service.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, Query},
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use prunella_api::{
    HealthDetail, LatestValue, MetricHistory, MetricsReport, PauseStatus, ProbeStatus,
    ServiceDetail,
};
use prunella_core::{
    Timestamp, UnitName,
    health::{HealthState, Metric, Symptom, Transition},
    remedy::AppliedState,
    statistics::StrategyStatistics,
    text::capital,
    text::counted,
};
use prunella_report::length;
use serde::Deserialize;

use super::{
    DAY, Frame, Unit, Visitor, incidents, now,
    overview::{Pause, Tile, paused, tile},
    render, trouble,
};
use crate::{
    daemon::part,
    plot::{Beside, Plot, Stretch, states},
    show::When,
};

/// Metrics that are plotted, the most telling first; of the rest, the latest values are shown.
const PLOTTED: [Metric; 12] = [
    Metric::LatencyMs,
    Metric::ErrorsPermille,
    Metric::RequestErrorsPermille,
    Metric::RequestLatencyMs,
    Metric::RequestsPerMinute,
    Metric::CpuPermille,
    Metric::CpuCorePermille,
    Metric::MemoryBytes,
    Metric::TasksPermille,
    Metric::DescriptorsPermille,
    Metric::LogErrorsPerMinute,
    Metric::PressureIoPermille,
];

/// Plots on one page.
const PLOTS: usize = 8;

/// Questions to the daemon at once.
const AT_ONCE: usize = 4;

#[derive(Template)]
#[template(path = "service.html")]
struct Page {
    frame: Frame,
    tile: Tile,
    description: String,
    says: String,
    evidence: String,
    span: Span,
    line: Vec<Stretch>,
    line_text: String,
    changes: Vec<Change>,
    plots: Vec<Plot>,
    values: Vec<(String, String)>,
    symptoms: Vec<String>,
    probes: Vec<Probe>,
    incidents: Vec<incidents::Row>,
    obstacles: Vec<String>,
    budget: String,
    needs: Option<(String, String)>,
    failure: Option<(String, String)>,
    applied: Vec<(String, String, String)>,
    pauses: Vec<Pause>,
    is_paused: bool,
    declared: Vec<(String, String)>,
    strategies: Vec<(String, String)>,
}

/// How far back the page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    word: &'static str,
    length: Duration,
}

const SPANS: [Span; 3] = [
    Span {
        word: "hour",
        length: Duration::from_secs(3_600),
    },
    Span {
        word: "day",
        length: DAY,
    },
    Span {
        word: "week",
        length: Duration::from_secs(7 * 86_400),
    },
];

impl Page {
    fn spans(&self) -> [Span; 3] {
        SPANS
    }
}

struct Change {
    when: When,
    from: &'static str,
    to: &'static str,
    evidence: String,
}

struct Probe {
    name: String,
    kind: String,
    state: &'static str,
    word: &'static str,
    detail: String,
}

#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(default)]
    span: String,
}

/// `GET /services/{unit}`
pub async fn page(
    visitor: Visitor,
    Path(unit): Path<String>,
    Query(params): Query<Params>,
) -> Result<Response, Response> {
    let Ok(unit) = UnitName::new(unit) else {
        return Ok(trouble::missing());
    };
    let [_, day, _] = SPANS;
    let span = SPANS
        .into_iter()
        .find(|span| span.word == params.span)
        .unwrap_or(day);
    let now = now();
    let since = now.saturating_sub(span.length);
    let name = part(unit.as_str()).to_string();
    let health = format!("/health/{name}?since={}", since.as_millis());
    let metrics = format!("/metrics/{name}");
    let statistics = format!("/strategies?unit={name}");
    let detail = format!("/services/{name}");
    let (detail, health, metrics, statistics) = futures_util::join!(
        visitor.get::<ServiceDetail>(&detail),
        visitor.ask::<HealthDetail>(&health),
        visitor.ask::<MetricsReport>(&metrics),
        visitor.ask::<Vec<StrategyStatistics>>(&statistics),
    );
    let detail = detail?;
    let latest = metrics.map(|it| it.metrics).unwrap_or_default();
    let histories: Vec<MetricHistory> = stream::iter(plotted(&latest))
        .map(|metric| {
            let since = since.as_millis();
            let address = format!("/metrics/{name}/{}?since={since}", metric.as_str());
            let visitor = &visitor;
            async move { visitor.ask::<MetricHistory>(&address).await }
        })
        .buffered(AT_ONCE)
        .filter_map(|history| async { history.ok() })
        .collect()
        .await;
    let frame = visitor
        .frame(unit.to_string(), "overview")
        .about(unit.as_str());
    let known = Known {
        detail: &detail,
        health: health.ok(),
        latest: &latest,
        histories: &histories,
        statistics: statistics.unwrap_or_default(),
    };
    Ok(render(&make(frame, span, now, &known)))
}

/// What a page is made of.
struct Known<'a> {
    detail: &'a ServiceDetail,
    health: Option<HealthDetail>,
    latest: &'a [LatestValue],
    histories: &'a [MetricHistory],
    statistics: Vec<StrategyStatistics>,
}

fn plotted(latest: &[LatestValue]) -> Vec<Metric> {
    PLOTTED
        .into_iter()
        .filter(|metric| latest.iter().any(|value| value.series.metric == *metric))
        .take(PLOTS)
        .collect()
}

fn make(frame: Frame, span: Span, now: Timestamp, known: &Known<'_>) -> Page {
    let detail = known.detail;
    let since = now.saturating_sub(span.length);
    let tile = tile(&detail.service, now);
    let seen = known.health.as_ref().map(|it| &it.service.health);
    let changes: &[Transition] = known.health.as_ref().map_or(&[], |it| &it.transitions);
    let state = seen.map_or(HealthState::Unknown, |health| health.state);
    let symptoms: Vec<Symptom> = seen.map(|it| it.symptoms.clone()).unwrap_or_default();
    let plots = plots(detail, known.histories, &symptoms);
    let well = known
        .statistics
        .iter()
        .fold(BTreeMap::new(), |mut all, one| {
            let counts: &mut prunella_core::statistics::Counts =
                all.entry(one.strategy.clone()).or_default();
            *counts = counts.and(one.counts);
            all
        });
    Page {
        frame,
        description: detail.description.clone().unwrap_or_default(),
        says: detail.says.clone().unwrap_or_default(),
        evidence: seen.map(|it| capital(&it.evidence)).unwrap_or_default(),
        span,
        line: states(state, changes, (since, now)),
        line_text: line_text(state, changes.len(), span),
        changes: changes
            .iter()
            .take(20)
            .map(|change| Change {
                when: When::new(change.at, now),
                from: change.from.as_str(),
                to: change.to.as_str(),
                evidence: capital(&change.evidence),
            })
            .collect(),
        values: values(known.latest, known.histories),
        plots,
        // One alone is what the heading says already.
        symptoms: match symptoms.as_slice() {
            [_] => Vec::new(),
            more => more.iter().map(|it| capital(&it.evidence)).collect(),
        },
        probes: detail.probes.iter().map(probe).collect(),
        incidents: detail
            .incidents
            .iter()
            .map(|it| incidents::row(it, now))
            .collect(),
        obstacles: detail.obstacles.iter().map(|it| capital(it)).collect(),
        budget: budget(detail, now),
        needs: detail.needs_people.as_ref().map(|it| {
            let href = format!("/incidents/{}", part(it.incident.as_str()));
            (capital(&it.reason), href)
        }),
        failure: detail.failure.as_ref().map(|failure| {
            let line = failure.last_line.clone().unwrap_or_default();
            (capital(&failure.how), line)
        }),
        applied: detail
            .applied
            .iter()
            .filter(|it| it.state != AppliedState::Undone)
            .map(|it| {
                let until = it.until().map(|until| When::new(until, now));
                let until = until.map(|until| format!("goes back {}", until.ago));
                let act = prunella_report::shown_act(&it.act, &it.name);
                let href = format!("/incidents/{}", part(it.incident.as_str()));
                (capital(&act), until.unwrap_or_default(), href)
            })
            .collect(),
        is_paused: covers(&detail.pauses, detail),
        pauses: detail.pauses.iter().map(|it| paused(it, now)).collect(),
        declared: declared(detail),
        strategies: detail
            .declared
            .strategies
            .iter()
            .map(|strategy| {
                let done = match well.get(strategy) {
                    Some(counts) => format!(
                        "tried {}, {} with proof",
                        counted(counts.tries as usize, "time"),
                        counts.proofs
                    ),
                    None => "not tried here yet".to_owned(),
                };
                (strategy.to_string(), done)
            })
            .collect(),
        tile,
    }
}

/// Whether a pause of its own holds, which can be ended here.
fn covers(pauses: &[PauseStatus], detail: &ServiceDetail) -> bool {
    pauses
        .iter()
        .any(|pause| pause.unit.as_ref() == Some(&detail.service.unit))
}

fn line_text(state: HealthState, changes: usize, span: Span) -> String {
    let changes = match changes {
        0 => "no change".to_owned(),
        changes => counted(changes, "change"),
    };
    format!(
        "{} now; {changes} within the last {}",
        capital(state.as_str()),
        span.word
    )
}

fn plots(detail: &ServiceDetail, histories: &[MetricHistory], symptoms: &[Symptom]) -> Vec<Plot> {
    let incidents: Vec<(Timestamp, String)> = detail
        .incidents
        .iter()
        .map(|it| (it.at, it.id.to_string()))
        .collect();
    let mut plots = Vec::new();
    for history in histories {
        for series in history.series.iter().take(3) {
            let symptom = symptoms.iter().find(|symptom| {
                symptom.metric == history.metric && symptom.instance == series.instance
            });
            let beside = Beside {
                threshold: symptom.map(|it| it.threshold),
                falls: symptom.is_some_and(|it| it.clear > it.threshold),
                incidents: &incidents,
            };
            let span = (history.since, history.until);
            plots.extend(Plot::new(history.metric, series, span, beside));
        }
    }
    plots
}

/// The latest values of what is not plotted.
fn values(latest: &[LatestValue], histories: &[MetricHistory]) -> Vec<(String, String)> {
    latest
        .iter()
        .filter(|it| {
            !histories
                .iter()
                .any(|history| history.metric == it.series.metric)
        })
        .take(60)
        .map(|it| {
            let metric = it.series.metric;
            let title = match &it.series.instance {
                Some(instance) => format!("{} · {instance}", metric.title()),
                None => metric.title().to_owned(),
            };
            (capital(&title), metric.shown(it.value))
        })
        .collect()
}

fn probe(probe: &ProbeStatus) -> Probe {
    let (state, word) = match probe.healthy {
        _ if probe.never_answered => ("unknown", "never answered"),
        Some(true) => ("healthy", "answers"),
        Some(false) => ("failed", "does not answer"),
        None => ("unknown", "not asked"),
    };
    Probe {
        name: probe.name.clone(),
        kind: probe.kind.clone(),
        state,
        word,
        detail: probe.detail.clone(),
    }
}

fn budget(detail: &ServiceDetail, now: Timestamp) -> String {
    let budget = &detail.budget;
    let window = length(Duration::from_millis(budget.window_ms));
    let left = budget.healings.saturating_sub(budget.used);
    let next = budget
        .next_at
        .map(|at| format!("; the next {}", When::new(at, now).ago));
    format!(
        "{left} of {} left within {window}{}",
        counted(budget.healings as usize, "healing"),
        next.unwrap_or_default()
    )
}

fn declared(detail: &ServiceDetail) -> Vec<(String, String)> {
    let declared = &detail.declared;
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push((name.to_owned(), value));
        }
    };
    let file = declared.file.as_ref();
    add(
        "File",
        file.map(|file| file.display().to_string())
            .unwrap_or_default(),
    );
    add("For", detail.service.domain.clone().unwrap_or_default());
    add(
        "Priority",
        if detail.service.critical {
            "critical"
        } else {
            "normal"
        }
        .to_owned(),
    );
    let ports = detail
        .service
        .ports
        .iter()
        .map(|port| port.port.to_string());
    add("Ports", joined(ports));
    add(
        "Needs",
        joined(declared.depends_on.iter().map(ToString::to_string)),
    );
    let files = declared.files.iter();
    add(
        "Files",
        joined(files.map(|(name, path)| format!("{name} ({})", path.display()))),
    );
    add("Checks", joined(declared.checks.iter().cloned()));
    let remedies = declared.remedies.iter();
    add(
        "Remedies",
        joined(remedies.map(|(name, kind)| format!("{name} ({kind})"))),
    );
    let stop = if declared.heal_on_stop {
        "is healed, too"
    } else {
        "is left alone"
    };
    add("A stop by a person", stop.to_owned());
    facts
}

fn joined(values: impl Iterator<Item = String>) -> String {
    values.take(50).collect::<Vec<_>>().join(", ")
}

/// For the template.
impl Tile {
    fn unit(&self) -> &Unit {
        &self.unit
    }
}
