//! Prunella's web process: pages for people, and the daemon's API relayed to the network.
//!
//! It decides nothing and keeps nothing. Each request goes to the daemon with the key or the
//! session of whoever sent it, and the daemon judges it; a hole in this process gives nobody
//! a right that its callers did not have.
//!
//! | module | one line |
//! |---|---|
//! | [`server`], [`certificate`] | the socket, its limits, TLS |
//! | [`daemon`] | asking the daemon |
//! | [`relay`] | `/api/v1`, passed on |
//! | [`session`] | log in, log out, the cookie |
//! | [`routes`] | which address is answered by what, and the headers of every answer |
//! | [`page`] | the pages, a file for each |
//! | [`plot`], [`show`], [`text`] | curves, times and texts as pages show them |
//!
//! *Must never know:* how anything is decided, stored or healed.

pub mod certificate;
pub mod daemon;
pub mod page;
pub mod plot;
pub mod relay;
pub mod routes;
pub mod server;
pub mod session;
pub mod show;
pub mod text;

use std::{net::IpAddr, sync::Arc};

use crate::daemon::Daemon;

/// What every request needs.
#[derive(Debug, Clone)]
pub struct App {
    pub daemon: Arc<Daemon>,
    /// Whether people come over TLS.
    pub secure: bool,
}

/// The address at the other end of a connection; none behind a Unix socket.
#[derive(Debug, Clone)]
pub struct Peer(pub Option<IpAddr>);
