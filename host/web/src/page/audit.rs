//! Who ordered what, through which key or session.

use askama::Template;
use axum::{extract::Query, response::Response};
use prunella_core::{
    Timestamp,
    access::{AuditEntry, Via},
};
use serde::Deserialize;

use super::{Frame, Visitor, now, render};
use crate::show::When;

/// Orders on one page.
const LIMIT: usize = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    orders: Vec<Order>,
    older: Option<u64>,
}

struct Order {
    when: When,
    by: String,
    via: &'static str,
    what: String,
    body: String,
    state: &'static str,
    result: String,
    peer: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    before: Option<u64>,
}

/// `GET /audit`
pub async fn page(visitor: Visitor, Query(params): Query<Params>) -> Result<Response, Response> {
    let address = match params.before {
        Some(before) => format!("/audit?limit={LIMIT}&before={before}"),
        None => format!("/audit?limit={LIMIT}"),
    };
    let entries: Vec<AuditEntry> = visitor.get(&address).await?;
    Ok(render(&make(
        visitor.frame("Audit", "audit"),
        now(),
        &entries,
    )))
}

fn make(frame: Frame, now: Timestamp, entries: &[AuditEntry]) -> Page {
    let last = entries.last().filter(|_| entries.len() >= LIMIT);
    Page {
        frame,
        older: last.map(|last| last.seq),
        orders: entries.iter().map(|it| order(it, now)).collect(),
    }
}

fn order(entry: &AuditEntry, now: Timestamp) -> Order {
    let address = entry
        .address
        .strip_prefix("/api/v1")
        .unwrap_or(&entry.address);
    let (state, result) = match entry.status {
        200..=299 => ("healthy", "carried out".to_owned()),
        401 | 403 => ("failed", "not allowed".to_owned()),
        status => ("stopped", format!("refused ({status})")),
    };
    Order {
        when: When::new(entry.at, now),
        by: entry.by.clone(),
        via: match entry.via {
            Via::Root => "as root on the host",
            Via::Key => "by a key",
            Via::Session => "in a browser",
        },
        what: format!("{} {address}", entry.method),
        body: entry.order.clone().unwrap_or_default(),
        state,
        result,
        peer: entry.peer.clone().unwrap_or_default(),
    }
}
