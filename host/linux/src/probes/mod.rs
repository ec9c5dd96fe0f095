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
    service::{DeclaredProbe, ProbeKind, Service},
    text,
};

pub(crate) use self::http::{Document, HttpRequest};
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
    /// Asks on this thread, which waits for it. Not for a thread that runs tasks.
    pub(crate) fn ask(&self, deadline: Instant, name: &str) -> Answer<ProbeAnswer> {
        let probe = self.service.probe(name)?;
        let start = Instant::now();
        if deadline <= start {
            return Err(out_of_time(name));
        }
        let (healthy, detail) = match &probe.kind {
            ProbeKind::Sqlite { file } => {
                let declared = self.service.file(file)?;
                let verdict = self.sqlite.run(deadline, probe.timeout, file, declared)?;
                (verdict.sound, verdict.detail)
            }
            ProbeKind::Command(command) => {
                let unit = &self.service.unit;
                self.command
                    .run(deadline, probe.timeout, unit, name, command)?
            }
            _ => return wait(ask(deadline, name, probe))?,
        };
        Ok(ProbeAnswer {
            healthy,
            detail: shown(&detail),
            took: start.elapsed(),
            certificate: None,
        })
    }
}

/// Asks a service's declared probe, for a task: no thread waits for the answer. Nothing, where
/// the probe is a program that is run.
pub async fn ask_listener(
    deadline: Instant,
    service: &Service,
    name: &str,
) -> Option<Answer<ProbeAnswer>> {
    match service.probe(name) {
        Ok(probe) => match probe.kind {
            ProbeKind::Sqlite { .. } | ProbeKind::Command(_) => None,
            _ => Some(ask(deadline, name, probe).await),
        },
        Err(unknown) => Some(Err(unknown)),
    }
}

async fn ask(deadline: Instant, name: &str, probe: &DeclaredProbe) -> Answer<ProbeAnswer> {
    let start = Instant::now();
    let own_limit = start + probe.timeout;
    let until = own_limit.min(deadline);
    let seen = match greet(&probe.kind, until).await {
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
    };
    Ok(ProbeAnswer {
        healthy: seen.healthy,
        detail: shown(&seen.detail),
        took: start.elapsed(),
        certificate: seen.certificate,
    })
}

/// One question to whoever listens where `kind` says.
async fn greet(kind: &ProbeKind, until: Instant) -> Result<Seen, ProbeError> {
    let connects = || (true, "it takes connections".to_owned());
    let heard = match kind {
        ProbeKind::Tcp(address) => Talk::tcp(address, until).await.map(|_| connects()),
        ProbeKind::Unix(path) => wire::unix_any(path, until).await.map(|()| connects()),
        ProbeKind::Http(question) => return http::ask(question, until).await,
        ProbeKind::Tls(question) => return handshake::ask(question, until).await,
        ProbeKind::Dns(question) => dns::ask(question, until).await,
        ProbeKind::Postgres(place) => postgres::ask(place, until).await,
        ProbeKind::Mysql(place) => mysql::ask(place, until).await,
        ProbeKind::Redis(place) => redis::ask(place, until).await,
        ProbeKind::Sqlite { .. } | ProbeKind::Command(_) => Err(ProbeError::BadAddress(
            "it is run, and does not listen".to_owned(),
        )),
    };
    heard.map(Seen::from)
}

/// Whether somebody answers this question now.
pub(crate) fn answers(kind: &ProbeKind, until: Instant) -> bool {
    matches!(wait(greet(kind, until)), Ok(Ok(seen)) if seen.healthy)
}

/// The status with which a URL is answered now, if HTTP is spoken there.
pub(crate) fn http_status(url: &str, until: Instant) -> Option<u16> {
    wait(http::status(url, until)).ok()?.ok()
}

/// Makes a request, and waits for its answer on this thread: the status and its reason, or why
/// there is none, in words.
pub(crate) fn http_request(
    asked: &HttpRequest<'_>,
    timeout: Duration,
) -> Answer<Result<(u16, String), String>> {
    let said = wait(http::request(asked, Instant::now() + timeout))?;
    Ok(said.map_err(|trouble| describe(&trouble, timeout)))
}

/// Waits on this thread, which does what there is to do for it meanwhile.
fn wait<T>(asking: impl Future<Output = T>) -> Answer<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| {
            Failure::unavailable("no-events", format!("nothing can be waited for: {error}"))
        })?;
    Ok(runtime.block_on(asking))
}

/// All that a URL has to say, of at most `limit` bytes; or why there is nothing, in words.
pub(crate) async fn document(
    url: &str,
    accept: &str,
    limit: usize,
    timeout: Duration,
) -> Result<Document, String> {
    http::document(url, accept, limit, Instant::now() + timeout)
        .await
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
async fn connect(place: &str, until: Instant) -> Result<Talk, ProbeError> {
    if place.starts_with('/') {
        Talk::unix(Path::new(place), until).await
    } else {
        Talk::tcp(place, until).await
    }
}

#[cfg(test)]
mod tests;
