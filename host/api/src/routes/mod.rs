//! What can be asked for, by address: the same router behind every door.
//!
//! | address | | answers |
//! |---|---|---|
//! | `GET /api/v1/status` | | [`StatusReport`] |
//! | `GET /api/v1/services` | | its services |
//! | `GET /api/v1/services/{unit}` | | [`ServiceDetail`]: one of them, its probes asked |
//! | `GET /api/v1/health` | | [`HealthReport`]: how the host and every service are |
//! | `GET /api/v1/health/{subject}` | `since` | [`HealthDetail`]: one of them, and its changes |
//! | `GET /api/v1/metrics` | | [`MetricsReport`]: the latest value of each metric |
//! | `GET /api/v1/metrics/{subject}` | | [`MetricsReport`]: of a unit, or of `host` |
//! | `GET /api/v1/metrics/{subject}/{metric}` | `since`, `until` | [`MetricHistory`] |
//! | `GET /api/v1/incidents` | `unit`, `since`, `until`, `outcome`, `kind`, `before`, `limit` | newest first |
//! | `GET /api/v1/incidents/{id}` | | one, with every step |
//! | `GET /api/v1/incidents/{id}/report` | `format` | its report, as text, HTML or JSON |
//! | `GET /api/v1/records` | as incidents, and `after` | whole records, oldest first |
//! | `GET /api/v1/strategies` | `unit` | what strategies have achieved |
//! | `GET /api/v1/approvals` | | acts that waited, or wait |
//! | `GET /api/v1/expected-work` | | what work is expected of services |
//! | `GET /api/v1/alerts` | `state`, `channel`, `incident`, `limit` | messages, newest first |
//! | `GET /api/v1/alerts/{id}` | | one message |
//! | `GET /api/v1/plugins` | | [`PluginStatus`] of each strategy |
//! | `GET /api/v1/audit` | [`AuditFilter`] | orders, newest first |
//! | `GET /api/v1/events` | | server-sent events |
//! | `GET /api/v1/keys` | | keys of the web door |
//! | `GET /api/v1/sessions/current` | | [`CurrentSession`] |
//! | `GET /metrics` | | what monitoring reads: OpenMetrics, or Prometheus' text |
//! | `GET /api/v1/openapi.json` | | all of this, for programs |
//! | `GET /health` | | that the daemon is alive; open to everybody |
//! | `POST /api/v1/services/{unit}/heal` | [`HealOptions`] | NDJSON: steps, then the end |
//! | `POST /api/v1/services/{unit}/failures` | [`Monitor`] | the incident, for a hook |
//! | `POST /api/v1/approvals/{id}/decision` | [`Decision`] | the approval |
//! | `POST /api/v1/incidents/{id}/undo` | [`UndoOptions`] | [`Undone`] |
//! | `POST /api/v1/pauses` | [`PauseCall`] | the pause |
//! | `DELETE /api/v1/pauses`, `…/pauses/{unit}` | | [`Resumed`] |
//! | `POST /api/v1/expected-work` | [`ExpectCall`] | the work |
//! | `DELETE /api/v1/expected-work/{unit}` | | whether there was any |
//! | `POST /api/v1/alerts/retry`, `…/alerts/{id}/retry` | | [`Retried`] |
//! | `POST /api/v1/channels/{channel}/test` | | [`ChannelTest`] |
//! | `POST /api/v1/reload` | | [`Reloaded`] |
//! | `POST /api/v1/keys/{name}` | [`KeyOptions`] | [`AddedKey`] |
//! | `DELETE /api/v1/keys/{name}` | | whether there was one |
//! | `POST /api/v1/login-links` | [`LinkCall`] | [`LoginLink`] |
//! | `POST /api/v1/sessions` | [`LoginCall`] | [`NewSession`] |
//! | `DELETE /api/v1/sessions/current` | | nothing |
//!
//! Whatever is not answered is a problem (RFC 9457). Who may do what is decided in one
//! place, `rights.rs`. Orders may come with an `Idempotency-Key`.

pub(crate) mod extract;
mod heal;
mod orders;
mod questions;
mod web;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    handler::Handler,
    http::Method,
    middleware,
    routing::{MethodRouter, delete, get, post},
};
use prunella_core::{access::AuditEntry, text::one_line};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use self::extract::{Json, Reply};
#[cfg(doc)]
use crate::{
    AddedKey, AuditFilter, ChannelTest, CurrentSession, Decision, ExpectCall, HealOptions,
    HealthDetail, HealthReport, KeyOptions, LinkCall, LoginCall, LoginLink, MetricHistory,
    MetricsReport, Monitor, NewSession, PauseCall, PluginStatus, Reloaded, Resumed, Retried,
    ServiceDetail, StatusReport, UndoOptions, Undone,
};
use crate::{
    Answer, Gate, News, Orders, Queries, Refusal, RefusalKind,
    events::Hub,
    gateway::{Paces, identify, judge},
    idempotency::Answered,
};

/// Who answers. Calls come from several threads at once.
#[derive(Clone)]
pub struct Door {
    pub queries: Arc<dyn Queries>,
    /// Carries out orders.
    pub orders: Arc<dyn Orders>,
    /// Knows keys and sessions.
    pub gate: Arc<dyn Gate>,
    /// Is told when there may be something new in the store.
    pub news: News,
}

/// The account that gives an order, where the door knows it: then an order is written
/// down as theirs, whatever name it gives.
#[derive(Debug, Clone)]
pub struct Account(pub String);

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Healings that callers wait for at once.
    pub heals: usize,
    /// For a body to be complete.
    pub request: Duration,
    /// The longest body in bytes.
    pub bytes: usize,
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) door: Door,
    pub(crate) limits: Limits,
    pub(crate) paces: Paces,
    pub(crate) answered: Arc<Answered>,
    hub: Arc<Hub>,
    heals: Arc<Semaphore>,
}

type Api = State<Arc<Shared>>;

/// The routers of one daemon's doors.
pub(crate) struct Routers {
    /// For the local sockets. Each adds an [`Extension`](axum::Extension) with its
    /// [`Caller`](crate::rights::Caller).
    pub(crate) local: Router,
    /// For the web socket, where each request says itself who asks.
    pub(crate) web: Router,
}

/// Makes them; streams end when `stopped` says so.
pub(crate) fn routers(
    door: Door,
    limits: Limits,
    web_limits: Limits,
    stopped: watch::Receiver<Option<Duration>>,
) -> Routers {
    let hub = Hub::new(Arc::clone(&door.queries), door.news.clone(), stopped);
    let hub = Arc::new(hub);
    let answered = Arc::new(Answered::default());
    let shared = |limits: Limits| {
        Arc::new(Shared {
            door: door.clone(),
            limits,
            paces: Paces::default(),
            answered: Arc::clone(&answered),
            hub: Arc::clone(&hub),
            heals: Arc::new(Semaphore::new(limits.heals)),
        })
    };
    let web = shared(web_limits);
    Routers {
        local: router(shared(limits)),
        web: router(Arc::clone(&web)).layer(middleware::from_fn_with_state(web, identify)),
    }
}

/// A router, and the addresses that it has.
#[derive(Default)]
struct Routes {
    router: Router<Arc<Shared>>,
    addresses: Vec<(Method, String)>,
}

impl Routes {
    fn get<H: Handler<T, Arc<Shared>>, T: 'static>(&mut self, path: &str, handler: H) {
        self.add(Method::GET, path, get(handler));
    }

    fn post<H: Handler<T, Arc<Shared>>, T: 'static>(&mut self, path: &str, handler: H) {
        self.add(Method::POST, path, post(handler));
    }

    fn delete<H: Handler<T, Arc<Shared>>, T: 'static>(&mut self, path: &str, handler: H) {
        self.add(Method::DELETE, path, delete(handler));
    }

    fn add(&mut self, method: Method, path: &str, answers: MethodRouter<Arc<Shared>>) {
        let router = std::mem::take(&mut self.router);
        self.router = router.route(path, answers);
        self.addresses.push((method, path.to_owned()));
    }
}

/// Every address with each of its methods.
#[cfg(test)]
pub(crate) fn addresses() -> Vec<(Method, String)> {
    routes().addresses
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    routes.get("/health", web::alive);
    routes.get("/metrics", questions::exposition);
    routes.get("/api/v1/openapi.json", web::openapi);
    routes.get("/api/v1/status", questions::status);
    routes.get("/api/v1/services", questions::services);
    routes.get("/api/v1/services/{unit}", questions::service);
    routes.get("/api/v1/health", questions::health);
    routes.get("/api/v1/health/{subject}", questions::health_of);
    routes.get("/api/v1/metrics", questions::metrics);
    routes.get("/api/v1/metrics/{subject}", questions::metrics_of);
    routes.get("/api/v1/metrics/{subject}/{metric}", questions::metric);
    routes.get("/api/v1/incidents", questions::incidents);
    routes.get("/api/v1/incidents/{id}", questions::incident);
    routes.get("/api/v1/incidents/{id}/report", web::report);
    routes.get("/api/v1/records", questions::records);
    routes.get("/api/v1/strategies", questions::statistics);
    routes.get("/api/v1/plugins", web::plugins);
    routes.get("/api/v1/approvals", questions::approvals);
    routes.get("/api/v1/expected-work", questions::expected_work);
    routes.get("/api/v1/alerts", questions::alerts);
    routes.get("/api/v1/alerts/{id}", questions::alert);
    routes.get("/api/v1/audit", web::audit);
    routes.get("/api/v1/events", web::events);
    routes.get("/api/v1/keys", web::keys);
    routes.get("/api/v1/sessions/current", web::current_session);
    routes.post("/api/v1/services/{unit}/heal", heal::heal);
    routes.post("/api/v1/services/{unit}/failures", orders::hook);
    routes.post("/api/v1/incidents/{id}/undo", orders::undo);
    routes.post("/api/v1/approvals/{id}/decision", orders::decide);
    routes.post("/api/v1/pauses", orders::pause);
    routes.delete("/api/v1/pauses", orders::resume_all);
    routes.delete("/api/v1/pauses/{unit}", orders::resume);
    routes.post("/api/v1/expected-work", orders::expect_work);
    routes.delete("/api/v1/expected-work/{unit}", orders::end_expected_work);
    routes.post("/api/v1/alerts/retry", orders::retry_all);
    routes.post("/api/v1/alerts/{id}/retry", orders::retry);
    routes.post("/api/v1/channels/{channel}/test", orders::test_channel);
    routes.post("/api/v1/reload", orders::reload);
    routes.post("/api/v1/keys/{name}", web::add_key);
    routes.delete("/api/v1/keys/{name}", web::revoke_key);
    routes.post("/api/v1/login-links", web::login_link);
    routes.post("/api/v1/sessions", web::log_in);
    routes.delete("/api/v1/sessions/current", web::log_out);
    routes
}

fn router(shared: Arc<Shared>) -> Router {
    routes()
        .router
        .fallback(no_such_resource)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), judge))
        .with_state(shared)
}

async fn no_such_resource(request: Request) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!(
            "there is no resource {}",
            one_line(request.uri().path(), 200)
        ),
    )
    .help(version())
}

async fn no_such_method(request: Request) -> Refusal {
    Refusal::new(
        RefusalKind::BadRequest,
        format!(
            "{} cannot be done with {}",
            one_line(request.method().as_str(), 20),
            one_line(request.uri().path(), 200)
        ),
    )
    .help(version())
}

fn version() -> String {
    format!(
        "this daemon is Prunella {}; the command that asked may be another version",
        env!("CARGO_PKG_VERSION")
    )
}

impl Shared {
    /// Asks on a thread that may block.
    async fn ask<T: Serialize + Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Queries) -> Answer<T> + Send + 'static,
    ) -> Reply<T> {
        let queries = Arc::clone(&self.door.queries);
        self.blocking(move || question(&*queries)).await.map(Json)
    }

    /// Orders on a thread that may block.
    async fn order<T: Serialize + Send + 'static>(
        &self,
        order: impl FnOnce(&dyn Orders) -> Answer<T> + Send + 'static,
    ) -> Reply<T> {
        let orders = Arc::clone(&self.door.orders);
        self.blocking(move || order(&*orders)).await.map(Json)
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Answer<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.into_refusal()),
            Err(error) => Err(panicked(&error)),
        }
    }

    /// Writes an order down, before it is answered.
    pub(crate) async fn record(&self, entry: AuditEntry) {
        let gate = Arc::clone(&self.door.gate);
        let written = tokio::task::spawn_blocking(move || gate.record(&entry)).await;
        if let Err(error) = written {
            panicked(&error);
        }
    }
}

pub(crate) fn panicked(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a request ended in a panic");
    Refusal::new(RefusalKind::Failed, "the daemon failed to answer")
        .help("see `journalctl -u prunella.service`")
}
