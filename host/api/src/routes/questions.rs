//! Questions: answering one changes nothing.

use axum::{
    Extension,
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT, CONTENT_TYPE, LINK},
    },
    response::{IntoResponse, Response},
};
use prunella_core::{
    UnitName,
    alert::Dispatch,
    health::{ExpectedWork, Metric, Subject},
    oversight::Approval,
    statistics::StrategyStatistics,
    trail::Record,
};

use super::{
    Api,
    extract::{Json, Named, Params, Reply},
};
use crate::{
    ExpositionFormat, HealthDetail, HealthReport, MetricHistory, MetricsReport, Records, Refusal,
    ServiceDetail, ServiceStatus, StatusReport,
    message::{AlertParams, IncidentParams, SinceParams, SpanParams, UnitParams},
    rights::Caller,
};

pub(super) async fn status(State(shared): Api) -> Reply<StatusReport> {
    shared.ask(|queries| queries.status()).await
}

pub(super) async fn services(State(shared): Api) -> Reply<Vec<ServiceStatus>> {
    shared.ask(|queries| Ok(queries.status()?.services)).await
}

pub(super) async fn service(
    State(shared): Api,
    Named(unit): Named<UnitName>,
) -> Reply<ServiceDetail> {
    shared.ask(move |queries| queries.service(&unit)).await
}

pub(super) async fn health(State(shared): Api) -> Reply<HealthReport> {
    shared.ask(|queries| queries.health()).await
}

pub(super) async fn health_of(
    State(shared): Api,
    Named(subject): Named<Subject>,
    Params(params): Params<SinceParams>,
) -> Reply<HealthDetail> {
    shared
        .ask(move |queries| queries.health_of(&subject, params.since))
        .await
}

pub(super) async fn metrics(State(shared): Api) -> Reply<MetricsReport> {
    shared.ask(|queries| queries.metrics(None)).await
}

pub(super) async fn metrics_of(
    State(shared): Api,
    Named(subject): Named<Subject>,
) -> Reply<MetricsReport> {
    shared
        .ask(move |queries| queries.metrics(Some(&subject)))
        .await
}

pub(super) async fn metric(
    State(shared): Api,
    Named((subject, metric)): Named<(Subject, Metric)>,
    Params(params): Params<SpanParams>,
) -> Reply<MetricHistory> {
    shared
        .ask(move |queries| queries.metric(&subject, metric, params.since, params.until))
        .await
}

/// As many as are listed for a key or a session that does not say how many.
const LISTED: u32 = 100;

/// The most that are listed for a key or a session.
const LISTED_MOST: u32 = 1_000;

/// How many are listed at most. Who is on this host may have as many as there are.
fn most(caller: Option<Extension<Caller>>, limit: Option<u32>) -> Option<u32> {
    match caller {
        Some(Extension(Caller::Known(_))) => Some(limit.unwrap_or(LISTED).min(LISTED_MOST)),
        _ => limit,
    }
}

/// Where there may be more, `Link` has the address of the next part.
pub(super) async fn incidents(
    State(shared): Api,
    caller: Option<Extension<Caller>>,
    Params(mut params): Params<IncidentParams>,
) -> Result<Response, Refusal> {
    params.limit = most(caller, params.limit);
    let limit = params.limit;
    let filter = params.filter();
    let found = shared
        .ask(move |queries| queries.incidents(&filter))
        .await?;
    let last = found.0.last().map(|summary| summary.id.clone());
    let is_full = limit.is_some_and(|limit| found.0.len() >= limit as usize);
    let mut response = found.into_response();
    if let Some(last) = last.filter(|_| is_full) {
        params.before = Some(last);
        let next = serde_urlencoded::to_string(&params).map_err(|error| super::panicked(&error))?;
        let next = format!("</api/v1/incidents?{next}>; rel=\"next\"");
        if let Ok(next) = HeaderValue::from_str(&next) {
            response.headers_mut().insert(LINK, next);
        }
    }
    Ok(response)
}

pub(super) async fn incident(State(shared): Api, Named(id): Named<String>) -> Reply<Record> {
    shared.ask(move |queries| queries.incident(&id)).await
}

pub(super) async fn records(
    State(shared): Api,
    Params(params): Params<IncidentParams>,
) -> Reply<Records> {
    shared
        .ask(move |queries| queries.records(&params.filter(), params.after))
        .await
}

pub(super) async fn statistics(
    State(shared): Api,
    Params(params): Params<UnitParams>,
) -> Reply<Vec<StrategyStatistics>> {
    shared
        .ask(move |queries| queries.statistics(params.unit.as_ref()))
        .await
}

pub(super) async fn approvals(State(shared): Api) -> Reply<Vec<Approval>> {
    shared.ask(|queries| queries.approvals()).await
}

pub(super) async fn alerts(
    State(shared): Api,
    caller: Option<Extension<Caller>>,
    Params(mut params): Params<AlertParams>,
) -> Reply<Vec<Dispatch>> {
    params.limit = most(caller, params.limit);
    shared
        .ask(move |queries| queries.alerts(&params.filter()?))
        .await
}

pub(super) async fn alert(State(shared): Api, Named(id): Named<String>) -> Reply<Dispatch> {
    shared.ask(move |queries| queries.alert(&id)).await
}

pub(super) async fn expected_work(State(shared): Api) -> Reply<Vec<ExpectedWork>> {
    shared.ask(|queries| queries.expected_work()).await
}

/// In the format that the reader accepts.
pub(super) async fn exposition(
    State(shared): Api,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = ExpositionFormat::accepted(accept.unwrap_or_default());
    let Json(text) = shared
        .ask(move |queries| queries.exposition(format))
        .await?;
    let media = HeaderValue::from_static(format.content_type());
    Ok(([(CONTENT_TYPE, media)], text).into_response())
}
