//! Who was told of what, and whether it arrived.

use askama::Template;
use axum::{extract::Query, response::Response};
use prunella_core::{
    Timestamp,
    alert::{Dispatch, DispatchState, Severity},
};
use serde::Deserialize;

use super::{Frame, Visitor, now, render};
use crate::{daemon::part, show::When, text::lines};

/// Messages on the page.
const LIMIT: u32 = 100;

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page {
    frame: Frame,
    alerts: Vec<Alert>,
    state: String,
    states: Vec<&'static str>,
}

struct Alert {
    id: String,
    channel: String,
    state: &'static str,
    colour: &'static str,
    created: When,
    severity: &'static str,
    headline: String,
    units: String,
    detail: String,
    tries: u32,
    next: Option<When>,
    text: Vec<String>,
    incident: Option<String>,
    can_retry: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    state: String,
}

/// `GET /alerts`
pub async fn page(visitor: Visitor, Query(params): Query<Params>) -> Result<Response, Response> {
    let state = DispatchState::from_word(&params.state).map_or("", DispatchState::as_str);
    let address = match state {
        "" => format!("/alerts?limit={LIMIT}"),
        state => format!("/alerts?limit={LIMIT}&state={state}"),
    };
    let alerts: Vec<Dispatch> = visitor.get(&address).await?;
    Ok(render(&make(
        visitor.frame("Alerts", "alerts"),
        now(),
        &alerts,
        state,
    )))
}

fn make(frame: Frame, now: Timestamp, alerts: &[Dispatch], state: &str) -> Page {
    Page {
        frame,
        alerts: alerts.iter().map(|it| alert(it, now)).collect(),
        state: state.to_owned(),
        states: DispatchState::ALL.map(DispatchState::as_str).to_vec(),
    }
}

fn alert(dispatch: &Dispatch, now: Timestamp) -> Alert {
    let message = &dispatch.message;
    let units: Vec<String> = message
        .units
        .iter()
        .take(20)
        .map(ToString::to_string)
        .collect();
    Alert {
        id: message.id.clone(),
        channel: dispatch.channel.to_string(),
        state: dispatch.state.as_str(),
        colour: match dispatch.state {
            DispatchState::Delivered => "healthy",
            DispatchState::Waiting | DispatchState::Sending => "recovering",
            DispatchState::Refused | DispatchState::Failed => "failed",
            DispatchState::Withdrawn => "stopped",
        },
        created: When::new(dispatch.created, now),
        severity: match message.severity {
            Severity::Info => "",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        },
        headline: message.headline.clone(),
        units: units.join(", "),
        detail: dispatch.detail.clone().unwrap_or_default(),
        tries: dispatch.tries,
        next: dispatch.next.map(|at| When::new(at, now)),
        text: lines(&message.text).map(str::to_owned).collect(),
        incident: message
            .incidents
            .first()
            .map(|id| format!("/incidents/{}", part(id.as_str()))),
        can_retry: matches!(
            dispatch.state,
            DispatchState::Refused | DispatchState::Failed
        ),
    }
}
