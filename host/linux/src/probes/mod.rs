//! Declared probes: one question, one answer, within a limit of time.
//!
//! A probe asks whether somebody is there who speaks the protocol. So a server
//! that turns us away because it does not know us, or because it is full, *is*
//! answering: restarting a database because it is busy helps nobody. A server
//! that says it is starting up, shutting down or out of memory is not. Where the operator
//! expects more of an answer, that is what it has to be.

mod body;
mod certificate;
mod command;
mod dns;
mod error;
mod handshake;
mod http;
mod mysql;
mod own_lines;
mod postgres;
mod redis;
mod tls;
mod wire;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure,
    capability::{Answer, Certificate, ProbeAnswer},
    service::{ProbeKind, Service},
    text,
};

pub(crate) use self::{command::CommandProbe, own_lines::OwnLines};
use self::{error::ProbeError, wire::Talk};
use crate::sqlite_check::SqliteCheck;

/// A sentence about an answer is cut after so many characters.
const DETAIL: usize = 300;

/// What a protocol makes of a conversation: whether it answered, and what it
/// said in one sentence. ProbeError on the way means that it did not.
type Heard = Result<(bool, String), ProbeError>;

/// What was heard, and the certificate that was shown.
struct Seen {
    healthy: bool,
    detail: String,
    certificate: Option<Certificate>,
}

impl From<(bool, String)> for Seen {
    fn from((healthy, detail): (bool, String)) -> Self {
        Self {
            healthy,
            detail,
            certificate: None,
        }
    }
}

/// The declared probes of one service.
pub(crate) struct LinuxProbes {
    service: Arc<Service>,
    sqlite: SqliteCheck,
    command: CommandProbe,
}

impl LinuxProbes {
    pub(crate) fn new(service: Arc<Service>, sqlite: SqliteCheck, command: CommandProbe) -> Self {
        Self {
            service,
            sqlite,
            command,
        }
    }
}

impl LinuxProbes {
    pub(crate) fn ask(&self, deadline: Instant, name: &str) -> Answer<ProbeAnswer> {
        let probe = self.service.probe(name)?;
        let start = Instant::now();
        if deadline <= start {
            return Err(out_of_time(name));
        }
        let own_limit = start + probe.timeout;
        let until = own_limit.min(deadline);
        let seen = match &probe.kind {
            ProbeKind::Sqlite { file } => {
                let declared = self.service.file(file)?;
                let verdict = self.sqlite.run(deadline, probe.timeout, file, declared)?;
                Seen::from((verdict.sound, verdict.detail))
            }
            ProbeKind::Command(command) => {
                let unit = &self.service.unit;
                let run = self
                    .command
                    .run(deadline, probe.timeout, unit, name, command)?;
                Seen::from(run)
            }
            kind => match greet(kind, until) {
                Ok(seen) => seen,
                Err(ProbeError::BadAddress(why)) => {
                    return Err(Failure::invalid(
                        "bad-address",
                        format!("probe `{name}`: {why}"),
                    ));
                }
                // The run's deadline, and not the probe's own limit, cut it short:
                // nothing is known.
                Err(ProbeError::TimedOut(_)) if until < own_limit => {
                    return Err(out_of_time(name));
                }
                Err(trouble) => Seen::from((false, describe(&trouble, probe.timeout))),
            },
        };
        Ok(ProbeAnswer {
            healthy: seen.healthy,
            detail: shown(&seen.detail),
            took: start.elapsed(),
            certificate: seen.certificate,
        })
    }
}

/// One question to whoever listens where `kind` says.
fn greet(kind: &ProbeKind, until: Instant) -> Result<Seen, ProbeError> {
    let heard = match kind {
        ProbeKind::Tcp(address) => {
            Talk::tcp(address, until).map(|_| (true, "it takes connections".to_owned()))
        }
        ProbeKind::Unix(path) => {
            wire::unix_any(path, until).map(|()| (true, "it takes connections".to_owned()))
        }
        ProbeKind::Http(question) => return http::ask(question, until),
        ProbeKind::Tls(question) => return handshake::ask(question, until),
        ProbeKind::Dns(question) => dns::ask(question, until),
        ProbeKind::Postgres(place) => postgres::ask(place, until),
        ProbeKind::Mysql(place) => mysql::ask(place, until),
        ProbeKind::Redis(place) => redis::ask(place, until),
        ProbeKind::Sqlite { .. } | ProbeKind::Command(_) => Err(ProbeError::BadAddress(
            "it is run, and does not listen".to_owned(),
        )),
    };
    heard.map(Seen::from)
}

/// Whether somebody answers this question now.
pub(crate) fn answers(kind: &ProbeKind, until: Instant) -> bool {
    greet(kind, until).is_ok_and(|seen| seen.healthy)
}

/// The status with which a URL is answered now, if HTTP is spoken there.
pub(crate) fn http_status(url: &str, until: Instant) -> Option<u16> {
    http::status(url, until).ok()
}

/// All that a URL has to say, of at most `limit` bytes: its status, its content type and its
/// body; or why there is none, in words.
pub(crate) fn document(
    url: &str,
    accept: &str,
    limit: usize,
    timeout: Duration,
) -> Result<(u16, String, Vec<u8>), String> {
    http::document(url, accept, limit, Instant::now() + timeout)
        .map(|document| (document.status, document.content_type, document.body))
        .map_err(|trouble| describe(&trouble, timeout))
}

/// What others said, fit to show.
fn shown(detail: &str) -> String {
    text::one_line(&text::redact(detail), DETAIL)
}

fn out_of_time(name: &str) -> Failure {
    Failure::timed_out(
        "deadline",
        format!("no time was left for an answer to probe `{name}`"),
    )
}

fn describe(trouble: &ProbeError, limit: Duration) -> String {
    match trouble {
        ProbeError::TimedOut(what) => format!("{what} within {} s", limit.as_secs_f64()),
        other => other.to_string(),
    }
}

/// Connects to `host:port`, or to a socket when `place` is a path.
fn connect(place: &str, until: Instant) -> Result<Talk, ProbeError> {
    if place.starts_with('/') {
        Talk::unix(Path::new(place), until)
    } else {
        Talk::tcp(place, until)
    }
}

#[cfg(test)]
mod tests;
