//! `/api/v1` from outside, passed on to the daemon.
//!
//! Whoever calls brings a key, or a browser its session; the daemon judges both. Of the
//! headers only those listed here go on, in either direction, and who is at the other end is
//! what this process saw. Answers are passed on as they come, so streams stay streams.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http_body_util::Limited;
use hyper::{
    HeaderMap, StatusCode,
    header::{
        self, ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST,
        HeaderName, HeaderValue, LINK, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use prunella_api::{CSRF_HEADER, PEER_HEADER, SESSION_HEADER};
use serde_json::json;

use crate::{
    App,
    daemon::{Fault, ORDER_LIMIT},
    session,
};

/// What goes to the daemon.
const THERE: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_TYPE,
    CONTENT_LENGTH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static(CSRF_HEADER),
];

/// What comes back.
const BACK: [HeaderName; 7] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    ETAG,
    LINK,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    HeaderName::from_static("idempotency-replayed"),
];

/// The longest body in bytes: the daemon takes no longer one.
const BODY_BYTES: usize = 64 << 10;

/// For the first byte of an answer. Orders that take longer answer as they go.
const HEAD_LIMIT: Duration = ORDER_LIMIT;

/// Passes one request on.
pub async fn relay(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_BYTES) {
        let detail = format!("the request is longer than {BODY_BYTES} bytes");
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &detail, None);
    }
    let mut on = Request::new(Body::new(Limited::new(body, BODY_BYTES)));
    *on.method_mut() = parts.method;
    // Without a host: the address is the daemon's.
    let address = parts.uri.path_and_query().map_or("/", |part| part.as_str());
    match address.parse() {
        Ok(address) => *on.uri_mut() = address,
        Err(_) => {
            let detail = "the address is not understood";
            return problem(StatusCode::BAD_REQUEST, "bad-request", detail, None);
        }
    }
    pass(&parts.headers, on.headers_mut(), &THERE);
    on.headers_mut()
        .insert(HOST, HeaderValue::from_static("localhost"));
    if let Some(peer) = parts
        .extensions
        .get::<crate::Peer>()
        .and_then(crate::Peer::header)
    {
        on.headers_mut().insert(PEER_HEADER, peer);
    }
    // A key is stronger than a cookie that a browser adds by itself; the daemon would refuse
    // both together.
    let has_key =
        on.headers().contains_key(AUTHORIZATION) || on.headers().contains_key("x-api-key");
    if let Some(session) = session::cookie(&parts.headers, app.secure)
        && !has_key
    {
        on.headers_mut().insert(SESSION_HEADER, session);
    }
    match app.daemon.send(on, HEAD_LIMIT).await {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            let mut back = Response::new(Body::new(body));
            *back.status_mut() = head.status;
            pass(&head.headers, back.headers_mut(), &BACK);
            if !back.headers().contains_key(CACHE_CONTROL) {
                let never = HeaderValue::from_static("no-store");
                back.headers_mut().insert(CACHE_CONTROL, never);
            }
            back
        }
        Err(Fault::Away(detail)) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            &detail,
            Some("see `systemctl status prunella.service`"),
        ),
        Err(fault) => problem(StatusCode::BAD_GATEWAY, "failed", &fault.to_string(), None),
    }
}

fn pass(from: &HeaderMap, to: &mut HeaderMap, which: &[HeaderName]) {
    for name in which {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
}

/// A problem as RFC 9457 has it, as the daemon's own are.
fn problem(status: StatusCode, word: &str, detail: &str, help: Option<&str>) -> Response {
    let mut problem = json!({
        "type": format!("urn:prunella:problem:{word}"),
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    if let (Some(help), Some(problem)) = (help, problem.as_object_mut()) {
        problem.insert("help".to_owned(), help.into());
    }
    let mut response = (status, problem.to_string()).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("5");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
    response
}
