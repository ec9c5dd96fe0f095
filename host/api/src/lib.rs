//! The control socket: what others can ask a running daemon.
//!
//! Newline-delimited JSON over Unix sockets. A client connects, writes one
//! [`Request`] on one line, reads one [`Response`] on one line, and is done;
//! only [`Request::Heal`] is answered by several lines, the last of which is
//! [`Response::Ended`] or [`Response::Refused`].
//!
//! | socket | who may connect | answers |
//! |---|---|---|
//! | `control.sock` (0600) | root (peer credentials are checked too) | everything |
//! | `status.sock` (0660, group `systemd-journal`) | whoever may read the journal | [reading requests](Request::only_reads) |
//!
//! Both stand in the [run directory](DEFAULT_RUN_DIR). Members of
//! `systemd-journal` can read every unit's log lines anyway, so what Prunella
//! tells of a failure is nothing new to them.
//!
//! This crate knows the words and the wire. It must never know how a question
//! is answered: that is the [`Handler`]'s, which the daemon implements.

mod client;
mod frame;
mod group;
mod message;
mod report;
mod server;

pub use client::{Client, ClientError, HOOK_LIMIT, READ_LIMIT};
pub use message::{
    DecideCall, HealCall, HookCall, Monitor, PauseCall, Records, Refusal, RefusalKind, Request,
    Response, ResumeCall,
};
pub use report::{
    AwaitingGrant, DaemonInfo, DayCount, DiskStatus, HostOverview, LastHealing, NeedsPeople,
    PauseStatus, PortStatus, ServiceStatus, StatusReport,
};
pub use server::{Answer, Handler, Lines, ServeError, ServeSettings, Server, serve};

/// Where the sockets stand, unless told otherwise.
pub const DEFAULT_RUN_DIR: &str = "/run/prunella";

/// The socket for root, within the run directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// The socket for readers, within the run directory.
pub const STATUS_SOCKET: &str = "status.sock";

/// The lock that a daemon holds while it listens, within the run directory.
pub const DAEMON_LOCK: &str = "daemon.lock";
