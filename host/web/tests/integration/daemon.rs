//! A daemon's web socket that answers with samples, and remembers what it was asked.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use prunella_api::HealLine;
use prunella_core::{
    alert::DispatchState, health::HealthState, incident::Ending, oversight::ApprovalState,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::UnixListener;

use crate::samples;

/// A request, as the daemon saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) address: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// What somebody else wrote, in every answer.
#[derive(Clone)]
struct Answers {
    text: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// It ends when it is dropped, and its socket goes with it.
pub(crate) struct TestDaemon {
    pub(crate) socket: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// The only session that there is.
pub(crate) const SESSION: &str = "s3ss10n";

/// The token of its forms.
pub(crate) const CSRF: &str = "t0k3n";

impl TestDaemon {
    /// One whose answers have this text wherever somebody else's can be.
    pub(crate) fn start(text: impl Into<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("web.sock");
        let seen = Arc::default();
        let answers = Answers {
            text: text.into(),
            seen: Arc::clone(&seen),
        };
        let routes = Router::new().fallback(answer).with_state(answers);
        let listener = UnixListener::bind(&socket).unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(routes.clone());
                tokio::spawn(
                    http1::Builder::new()
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            socket,
            seen,
            task,
            _folder: folder,
        }
    }

    /// What it was asked, sessions left out.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The orders among that.
    pub(crate) fn orders(&self) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|it| it.method != Method::GET)
            .collect()
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn json(value: impl Serialize) -> Response {
    let body = serde_json::to_vec(&value).unwrap();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn problem(status: StatusCode, word: &str, detail: &str) -> Response {
    let body = json!({
        "type": format!("urn:prunella:problem:{word}"),
        "title": word,
        "status": status.as_u16(),
        "detail": detail,
    });
    (status, body.to_string()).into_response()
}

async fn answer(
    State(answers): State<Answers>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answers.seen.lock().unwrap().push(Seen {
        method: method.clone(),
        address: uri.to_string(),
        headers: headers.clone(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let text = answers.text.as_str();
    let path = uri
        .path()
        .strip_prefix("/api/v1")
        .unwrap_or_else(|| uri.path());
    if path == "/sessions" && method == Method::POST {
        return match serde_json::from_slice::<Value>(&body).unwrap()["token"] == "link" {
            true => json(json!({
                "session": SESSION, "csrf_token": CSRF, "name": text, "role": "operator",
                "expires_at": samples::now().as_millis() + 60_000,
            })),
            false => problem(StatusCode::UNAUTHORIZED, "unauthorized", "no such link"),
        };
    }
    if headers
        .get("x-prunella-session")
        .is_none_or(|it| it != SESSION)
        && headers.get("x-api-key").is_none()
    {
        return problem(StatusCode::UNAUTHORIZED, "unauthorized", "no session");
    }
    if method != Method::GET && headers.get("x-csrf-token").is_none_or(|it| it != CSRF) {
        return problem(StatusCode::FORBIDDEN, "not-allowed", "no token");
    }
    if method == Method::GET {
        question(path, &uri, text)
    } else {
        order(path, &body, text)
    }
}

fn question(path: &str, uri: &Uri, text: &str) -> Response {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["sessions", "current"] => json(json!({
            "csrf_token": CSRF, "name": text, "role": "operator", "expires_at": 0,
        })),
        ["status"] => json(samples::status(text, services(text), false)),
        ["services", "web.service"] => json(samples::detail(text)),
        ["health", _] => json(samples::health_detail(text)),
        ["metrics", "web.service"] => json(samples::metrics(text)),
        ["metrics", subject, metric] => {
            let since = uri
                .query()
                .unwrap()
                .split(['=', '&'])
                .nth(1)
                .unwrap()
                .parse()
                .unwrap();
            json(samples::history(subject, metric, since, text))
        }
        ["incidents"] => json(vec![
            samples::summary("web.service", text, 100);
            if text.len() > 1_000 { 5 } else { 50 }
        ]),
        ["incidents", "open"] => json(samples::record(text, false)),
        ["incidents", _] => json(samples::record(text, true)),
        ["approvals"] => json([
            samples::approval(text, ApprovalState::Waiting),
            samples::approval(text, ApprovalState::Denied),
        ]),
        ["strategies"] => json(samples::statistics(text)),
        ["plugins"] => json(samples::plugins(text)),
        ["audit"] => json(samples::audit(text)),
        ["alerts"] => json([
            samples::dispatch(text, DispatchState::Delivered),
            samples::dispatch(text, DispatchState::Failed),
        ]),
        ["events"] => ([(CONTENT_TYPE, "text/event-stream")], ": here\n\n").into_response(),
        _ => problem(StatusCode::NOT_FOUND, "not-found", text),
    }
}

fn services(text: &str) -> Vec<prunella_api::ServiceStatus> {
    HealthState::ALL
        .into_iter()
        .zip(["a", "b", "web", "d", "e", "f", "g"])
        .map(|(state, name)| samples::service(&format!("{name}.service"), state, text))
        .collect()
}

fn order(path: &str, body: &[u8], text: &str) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if path.ends_with("/heal") {
        let mut lines: Vec<u8> = Vec::new();
        for entry in samples::record(text, false).steps {
            lines.extend(serde_json::to_vec(&HealLine::Step(Box::new(entry))).unwrap());
            lines.push(b'\n');
        }
        let ended = HealLine::Ended {
            incident: samples::id(),
            ending: Ending::DryRun {
                verdict: text.to_owned(),
            },
        };
        lines.extend(serde_json::to_vec(&ended).unwrap());
        lines.push(b'\n');
        return Body::from(lines).into_response();
    }
    if path.ends_with("/undo") {
        return json(json!({
            "incident": samples::INCIDENT, "unit": "web.service",
            "acts": [{ "act": text, "name": text, "result": { "Ok": text } }],
            "dry": body["dry_run"],
        }));
    }
    json(Value::Null)
}
