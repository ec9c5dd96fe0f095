//! What failed, newest first.

use askama::Template;
use axum::{extract::Query, response::Response};
use prunella_core::{
    Timestamp, UnitName,
    incident::EndingKind,
    summary::{OutcomeFilter, Summary},
    text::capital,
};
use prunella_report::length;
use serde::Deserialize;

use super::{DAY, Frame, Unit, Visitor, now, render, trouble};
use crate::{daemon::part, show::When};

/// Incidents on one page.
const LIMIT: usize = 50;

#[derive(Template)]
#[template(path = "incidents.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    unit: String,
    days: String,
    outcome: String,
    outcomes: Vec<(&'static str, &'static str)>,
    /// The next page.
    older: Option<String>,
}

/// One incident.
pub(crate) struct Row {
    pub(crate) href: String,
    pub(crate) unit: Unit,
    pub(crate) when: When,
    pub(crate) what: String,
    pub(crate) outcome: &'static str,
    /// Its colour.
    pub(crate) state: &'static str,
    pub(crate) why: String,
    pub(crate) took: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    unit: String,
    days: String,
    outcome: String,
    before: String,
}

/// `GET /incidents`
pub async fn page(visitor: Visitor, Query(params): Query<Params>) -> Result<Response, Response> {
    let now = now();
    let mut query = vec![("limit", LIMIT.to_string())];
    if !params.unit.is_empty() {
        let Ok(unit) = UnitName::from_user(params.unit.trim()) else {
            return Ok(trouble::bad("That is no unit's name."));
        };
        query.push(("unit", unit.to_string()));
    }
    if let Ok(days @ 1..=4_000) = params.days.parse::<u32>() {
        let since = now.saturating_sub(DAY * days);
        query.push(("since", since.as_millis().to_string()));
    }
    if let Ok(outcome) = OutcomeFilter::try_from(params.outcome.clone()) {
        query.push(("outcome", outcome.into()));
    }
    if !params.before.is_empty() {
        query.push(("before", params.before.clone()));
    }
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    let summaries: Vec<Summary> = visitor.get(&format!("/incidents?{query}")).await?;
    Ok(render(&make(
        visitor.frame("Incidents", "incidents"),
        now,
        &summaries,
        params,
    )))
}

fn make(frame: Frame, now: Timestamp, summaries: &[Summary], params: Params) -> Page {
    let older = summaries
        .last()
        .filter(|_| summaries.len() >= LIMIT)
        .map(|last| {
            let query = serde_urlencoded::to_string([
                ("unit", params.unit.as_str()),
                ("days", params.days.as_str()),
                ("outcome", params.outcome.as_str()),
                ("before", last.id.as_str()),
            ]);
            format!("/incidents?{}", query.unwrap_or_default())
        });
    Page {
        frame,
        rows: summaries.iter().map(|it| row(it, now)).collect(),
        unit: params.unit,
        days: params.days,
        outcome: params.outcome,
        outcomes: vec![
            ("open", "open"),
            ("healed", "healed"),
            ("recovered", "recovered"),
            ("left-alone", "left alone"),
            ("escalated", "handed to people"),
        ],
        older,
    }
}

pub(crate) fn row(summary: &Summary, now: Timestamp) -> Row {
    let (outcome, state) = match summary.outcome() {
        OutcomeFilter::Open => ("open", "recovering"),
        OutcomeFilter::Ended(EndingKind::Healed) => ("healed", "healthy"),
        OutcomeFilter::Ended(EndingKind::Recovered) => ("recovered", "healthy"),
        OutcomeFilter::Ended(EndingKind::LeftAlone) => ("left alone", "stopped"),
        OutcomeFilter::Ended(EndingKind::Escalated) => ("needs a person", "failed"),
        OutcomeFilter::Ended(EndingKind::Blocked) => ("waiting", "recovering"),
        OutcomeFilter::Ended(EndingKind::Interrupted) => ("interrupted", "unknown"),
        OutcomeFilter::Ended(EndingKind::DryRun) => ("dry run", "stopped"),
        OutcomeFilter::Ended(EndingKind::Continued) => ("continued", "stopped"),
    };
    let why = summary.people_asked.as_ref().or(summary.why.as_ref());
    let by = summary
        .strategy
        .as_ref()
        .map(|strategy| format!("by {strategy}"));
    Row {
        href: format!("/incidents/{}", part(summary.id.as_str())),
        unit: Unit::new(&summary.unit),
        when: When::new(summary.at, now),
        what: capital(&summary.cause),
        outcome,
        state,
        why: why.map(|why| capital(why)).or(by).unwrap_or_default(),
        took: summary.recovered_after.map(length).unwrap_or_default(),
    }
}
