//! The daemon's door: what others can ask of it, and order it to do.
//!
//! HTTP/1.1 with JSON over Unix sockets; the [addresses](routes) begin with
//! `/api/v1`. What is not answered is a problem (RFC 9457). `curl
//! --unix-socket /run/prunella/status.sock http://localhost/api/v1/status` asks
//! as well as any client.
//!
//! | socket | who may connect | answers |
//! |---|---|---|
//! | `control.sock` (0600) | root (peer credentials are checked too) | everything |
//! | `status.sock` (0660, group `systemd-journal`) | whoever may read the journal | `GET` |
//! | `web.sock` (0660, group [`prunella-web`](WEB_GROUP), if there is one) | the web process | what the [key or session](access) of each request may do |
//!
//! All stand in the [run directory](DEFAULT_RUN_DIR). Members of
//! `systemd-journal` can read every unit's log lines anyway, so what Prunella
//! tells of a failure is nothing new to them.
//!
//! This crate knows the words and the wire. It must never know how a question
//! is answered: that is for [`Queries`] and [`Orders`].

pub mod access;
pub mod account;
mod buckets;
mod client;
mod error;
mod events;
mod exposition;
mod gateway;
mod group;
mod health;
mod idempotency;
mod message;
mod metrics;
mod openapi;
mod plugin;
mod problem;
mod queries;
mod report;
mod rights;
pub mod routes;
pub mod secret;
mod server;
mod service;

pub use access::{
    AddedKey, AuditFilter, CSRF_HEADER, CurrentSession, Gate, KeyCall, KeyOptions, LinkCall,
    LoginCall, LoginLink, NewSession, PEER_HEADER, SESSION_HEADER,
};
pub use client::{Client, HOOK_LIMIT, READ_LIMIT};
pub use error::ApiError;
pub use events::News;
pub use exposition::ExpositionFormat;
pub use health::{HealthDetail, HealthReport, SeenHealth};
pub use message::{
    Accepted, ChannelTest, DecideCall, Decision, ExpectCall, HealCall, HealLine, HealOptions,
    HookCall, Monitor, PauseCall, Records, Refusal, RefusalKind, Reloaded, ResumeCall, Resumed,
    Retried, UndoCall, UndoOptions, Undone,
};
pub use metrics::{InstanceHistory, LatestValue, MetricHistory, MetricsReport};
pub use plugin::{GrantedAct, PluginStatus, ReportFormat};
pub use queries::{Answer, Orders, Queries, Steps};
pub use report::{
    AwaitingGrant, DaemonInfo, DayCount, DiskStatus, HostOverview, LastHealing, NeedsPeople,
    PauseStatus, PortStatus, ServiceStatus, StatusReport, Usage, Waiting,
};
pub use routes::Door;
pub use server::{ServeError, ServeSettings, Server, serve};
pub use service::{
    BudgetStatus, DeclaredStatus, FailureStatus, ProbeStatus, ServiceDetail, WatchdogStatus,
};

/// Where the sockets stand, unless told otherwise.
pub const DEFAULT_RUN_DIR: &str = "/run/prunella";

/// The socket for root, within the run directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// The socket for readers, within the run directory.
pub const STATUS_SOCKET: &str = "status.sock";

/// The socket for the web process, within the run directory.
pub const WEB_SOCKET: &str = "web.sock";

/// The group that may connect to the web socket. Nobody has a right by being in it: each
/// request carries a key or a session.
pub const WEB_GROUP: &str = "prunella-web";

/// The lock that a daemon holds while it listens, within the run directory.
pub const DAEMON_LOCK: &str = "daemon.lock";
