//! What only front ends ask for: keys, sessions, the record of orders, events, reports.

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use axum::{
    Extension,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use prunella_core::{
    Timestamp,
    access::{AuditEntry, KeyInfo, KeyName, Via},
};
use serde::{Deserialize, Serialize};

use super::{
    Account, Api, Shared,
    extract::{Input, Json, Named, Params, Reply},
};
use crate::{
    AddedKey, AuditFilter, CurrentSession, KeyCall, KeyOptions, LinkCall, LoginCall, LoginLink,
    NewSession, PluginStatus, Refusal, RefusalKind, ReportFormat, SESSION_HEADER,
    gateway::{Peer, Watched},
    rights::{Caller, unauthorized},
    secret,
};

/// That somebody answers.
#[derive(Debug, Serialize)]
pub(super) struct Alive {
    status: &'static str,
}

pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// Made when it is first asked for; nobody needs a key for it.
pub(super) async fn openapi() -> Result<Response, Refusal> {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = match DOCUMENT.get() {
        Some(text) => text,
        None => {
            let text = serde_json::to_string(&crate::openapi::document())
                .map_err(|error| super::panicked(&error))?;
            DOCUMENT.get_or_init(|| text)
        }
    };
    let json = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, json)], text.as_str()).into_response())
}

pub(super) async fn keys(State(shared): Api) -> Reply<Vec<KeyInfo>> {
    shared.order(|orders| orders.keys()).await
}

pub(super) async fn add_key(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Named(name): Named<KeyName>,
    Input(mut options): Input<KeyOptions>,
) -> Reply<AddedKey> {
    options.by = super::orders::known(account, options.by);
    let call = KeyCall { name, options };
    shared.order(move |orders| orders.add_key(&call)).await
}

pub(super) async fn revoke_key(State(shared): Api, Named(name): Named<KeyName>) -> Reply<bool> {
    shared.order(move |orders| orders.revoke_key(&name)).await
}

pub(super) async fn login_link(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Input(mut call): Input<LinkCall>,
) -> Reply<LoginLink> {
    call.by = super::orders::known(account, call.by);
    shared.order(move |orders| orders.login_link(&call)).await
}

/// What holds secrets is not kept by anybody on the way.
fn not_kept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) async fn log_in(
    State(shared): Api,
    caller: Option<Extension<Caller>>,
    peer: Option<Extension<Peer>>,
    Input(call): Input<LoginCall>,
) -> Result<Response, Refusal> {
    let Some(Extension(peer)) = peer else {
        return Err(Refusal::new(
            RefusalKind::NotAllowed,
            "sessions begin at the web socket",
        ));
    };
    if !matches!(caller, Some(Extension(Caller::Nobody))) {
        return Err(Refusal::new(
            RefusalKind::BadRequest,
            "whoever logs in shows a link's token, and neither a key nor a session",
        ));
    }
    shared.paces.may_try(&peer)?;
    let wrong = || {
        shared.paces.wrong(&peer, "a link");
        unauthorized("this link is not known: it was used already, or its time is over")
    };
    if call.token.len() > secret::MAX {
        return Err(wrong());
    }
    let session = secret::secret().map_err(|error| super::panicked(&error))?;
    let (token, hash) = (secret::hash(&call.token), secret::hash(&session));
    let gate = Arc::clone(&shared.door.gate);
    let begun = shared.blocking(move || gate.log_in(&token, &hash)).await?;
    let Some(info) = begun else {
        return Err(wrong());
    };
    let entry = AuditEntry {
        seq: 0,
        at: Timestamp::from(SystemTime::now()),
        by: info.name.clone(),
        via: Via::Session,
        method: "POST".to_owned(),
        address: "/api/v1/sessions".to_owned(),
        order: None,
        status: StatusCode::CREATED.as_u16(),
        peer: Some(peer.0.clone()),
    };
    shared.record(entry).await;
    let new = NewSession {
        csrf_token: secret::csrf_token(&session),
        session,
        name: info.name,
        role: info.role,
        expires_at: info.expires_at,
    };
    Ok(not_kept((StatusCode::CREATED, Json(new)).into_response()))
}

/// The session that the request shows; it was found to be one before.
fn session_of(headers: &HeaderMap) -> Result<String, Refusal> {
    let shown = headers.get(SESSION_HEADER);
    let text = shown.and_then(|value| value.to_str().ok()).map(str::trim);
    text.map(str::to_owned)
        .ok_or_else(|| unauthorized("there is no session"))
}

pub(super) async fn current_session(
    State(shared): Api,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let session = session_of(&headers)?;
    let hash = secret::hash(&session);
    let gate = Arc::clone(&shared.door.gate);
    let info = shared.blocking(move || gate.session(&hash)).await?;
    let info = info.ok_or_else(|| unauthorized("this session is over"))?;
    let current = CurrentSession {
        csrf_token: secret::csrf_token(&session),
        name: info.name,
        role: info.role,
        expires_at: info.expires_at,
    };
    Ok(not_kept(Json(current).into_response()))
}

pub(super) async fn log_out(State(shared): Api, headers: HeaderMap) -> Result<StatusCode, Refusal> {
    let hash = secret::hash(&session_of(&headers)?);
    let gate = Arc::clone(&shared.door.gate);
    shared.blocking(move || gate.log_out(&hash)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn audit(
    State(shared): Api,
    Params(filter): Params<AuditFilter>,
) -> Reply<Vec<AuditEntry>> {
    shared.ask(move |queries| queries.audit(&filter)).await
}

pub(super) async fn events(
    State(shared): Api,
    caller: Option<Extension<Caller>>,
    watched: Option<Extension<Watched>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let whose = match caller {
        Some(Extension(Caller::Known(known))) => known.hash,
        Some(Extension(Caller::Root)) => "root".to_owned(),
        _ => "readers".to_owned(),
    };
    let known = watched.map(|Extension(Watched(known))| known);
    shared.hub.follow(&whose, &headers, known).await
}

pub(super) async fn plugins(State(shared): Api) -> Reply<Vec<PluginStatus>> {
    shared.ask(|queries| queries.plugins()).await
}

/// The query of `GET /incidents/{id}/report`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReportParams {
    format: Option<ReportFormat>,
}

pub(super) async fn report(
    State(shared): Api,
    Named(id): Named<String>,
    Params(params): Params<ReportParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let format = params.format.unwrap_or_else(|| accepted(&headers));
    let text = rendered(&shared, id, format).await?;
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    if format == ReportFormat::Html {
        // It needs its own styles, and nothing else, wherever it is opened.
        headers.insert(
            "content-security-policy",
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        );
    }
    Ok(response)
}

async fn rendered(
    shared: &Arc<Shared>,
    id: String,
    format: ReportFormat,
) -> Result<String, Refusal> {
    let begun = Instant::now();
    let queries = Arc::clone(&shared.door.queries);
    let text = shared.blocking(move || queries.report(&id, format)).await?;
    tracing::trace!("a report took {:?}", begun.elapsed());
    Ok(text)
}

/// The first form that a request accepts and that there is; text, where it says nothing.
fn accepted(headers: &HeaderMap) -> ReportFormat {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let types = accept.unwrap_or_default().split(',');
    types
        .filter_map(|one| match one.split(';').next()?.trim() {
            "text/html" => Some(ReportFormat::Html),
            "application/json" => Some(ReportFormat::Json),
            "text/plain" => Some(ReportFormat::Text),
            _ => None,
        })
        .next()
        .unwrap_or(ReportFormat::Text)
}
