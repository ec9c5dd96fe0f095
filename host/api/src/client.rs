//! The asking side: commands and hooks.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_core::{
    ChannelName, UnitName,
    achievement::Achievement,
    alert::{Dispatch, DispatchFilter},
    incident::{Ending, IncidentId},
    oversight::Approval,
    summary::{Filter, Summary},
    trail::{Entry, Record},
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use crate::{
    CONTROL_SOCKET, DecideCall, HealCall, HookCall, PauseCall, Records, Refusal, Request, Response,
    ResumeCall, STATUS_SOCKET, StatusReport,
    frame::{self, FrameError, Reader},
};

/// How long a hook waits for the daemon, from connecting to the answer, before
/// it goes the way alone.
pub const HOOK_LIMIT: Duration = Duration::from_millis(200);

/// How long a command waits for an answer.
pub const READ_LIMIT: Duration = Duration::from_secs(10);

/// The longest answer, in bytes: a long incident with every line it logged.
const ANSWER_BYTES: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens.
    #[error("no Prunella daemon listens on {0}")]
    NotListening(PathBuf),
    /// The socket is not for the likes of us.
    #[error("no permission to ask the daemon on {0}")]
    NoPermission(PathBuf),
    /// The daemon took too long. What was asked may still be done.
    #[error("the daemon did not answer within {0:?}")]
    TimedOut(Duration),
    /// The daemon closed the connection.
    #[error("the daemon closed the connection without an answer")]
    Closed,
    /// The answer is not one.
    #[error("the daemon's answer is not understood: {0}")]
    NotUnderstood(String),
    /// The daemon will not, or cannot.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Anything else.
    #[error("asking the daemon on {path} failed")]
    Io {
        /// Which socket.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
}

/// Asks the daemon of one run directory. A connection is made for each call.
#[derive(Debug, Clone)]
pub struct Client {
    run_dir: PathBuf,
}

impl Client {
    /// For the daemon that listens in `run_dir`; does not connect yet.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self {
            run_dir: run_dir.into(),
        }
    }

    /// Whether a daemon listens: something answers the status or the control
    /// socket's door.
    pub fn listening(&self) -> bool {
        [CONTROL_SOCKET, STATUS_SOCKET].iter().any(|name| {
            matches!(
                open(&self.run_dir.join(name), HOOK_LIMIT),
                Ok(_) | Err(ClientError::NoPermission(_) | ClientError::TimedOut(_))
            )
        })
    }

    /// Offers a failure; `limit` (see [`HOOK_LIMIT`]) is for connecting and
    /// answer together.
    pub fn hook(&self, call: HookCall, limit: Duration) -> Result<Option<IncidentId>, ClientError> {
        match self.control(&Request::Hook(call), limit)? {
            Response::Accepted { incident } => Ok(incident),
            other => Err(unexpected(&other)),
        }
    }

    /// The overview.
    pub fn status(&self) -> Result<StatusReport, ClientError> {
        match self.read(&Request::Status)? {
            Response::Status(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }

    /// Incidents, newest first.
    pub fn incidents(&self, filter: Filter) -> Result<Vec<Summary>, ClientError> {
        match self.read(&Request::Incidents(filter))? {
            Response::Incidents { incidents } => Ok(incidents),
            other => Err(unexpected(&other)),
        }
    }

    /// One incident.
    pub fn incident(&self, id: IncidentId) -> Result<Record, ClientError> {
        match self.read(&Request::Incident { id })? {
            Response::Incident { record } => Ok(*record),
            other => Err(unexpected(&other)),
        }
    }

    /// Whole records, oldest first: those that one answer has room for, from
    /// `after` on, which is the `next` of the answer before.
    pub fn records(&self, filter: Filter, after: Option<u64>) -> Result<Records, ClientError> {
        match self.read(&Request::Records { filter, after })? {
            Response::Records(records) => Ok(records),
            other => Err(unexpected(&other)),
        }
    }

    /// What strategies have achieved, at one unit or at all.
    pub fn achievements(&self, unit: Option<UnitName>) -> Result<Vec<Achievement>, ClientError> {
        match self.read(&Request::Achievements { unit })? {
            Response::Achievements { achievements } => Ok(achievements),
            other => Err(unexpected(&other)),
        }
    }

    /// The latest acts that waited, or wait, for approval.
    pub fn approvals(&self) -> Result<Vec<Approval>, ClientError> {
        match self.read(&Request::Approvals)? {
            Response::Approvals { approvals } => Ok(approvals),
            other => Err(unexpected(&other)),
        }
    }

    /// Agrees to an act that waits, or denies it. Returns what the daemon has to
    /// say.
    pub fn decide(&self, call: DecideCall) -> Result<Vec<String>, ClientError> {
        self.done(&Request::Decide(call))
    }

    /// Heals, or rehearses it. Every step goes to `line`. Takes as long as the
    /// healing takes.
    pub fn heal(
        &self,
        call: HealCall,
        mut line: impl FnMut(Entry),
    ) -> Result<(IncidentId, Ending), ClientError> {
        let path = self.run_dir.join(CONTROL_SOCKET);
        let mut reader = send(&path, &Request::Heal(call), READ_LIMIT)?;
        loop {
            // The end of a healing is the daemon's to find: it has a deadline
            // for every step. If the daemon dies, the connection ends.
            match receive(&mut reader, &path, None)? {
                Response::Entry { entry } => line(*entry),
                Response::Ended { incident, ending } => return Ok((incident, ending)),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Leaves a unit, or all, alone. Returns what the daemon has to say.
    pub fn pause(&self, call: PauseCall) -> Result<Vec<String>, ClientError> {
        self.done(&Request::Pause(call))
    }

    /// No longer leaves it alone. Returns what the daemon has to say.
    pub fn resume(&self, call: ResumeCall) -> Result<Vec<String>, ClientError> {
        self.done(&Request::Resume(call))
    }

    /// Has the configuration read again. Returns what the daemon has to say.
    pub fn reload(&self) -> Result<Vec<String>, ClientError> {
        self.done(&Request::Reload)
    }

    /// Messages about incidents, newest first.
    pub fn alerts(&self, filter: DispatchFilter) -> Result<Vec<Dispatch>, ClientError> {
        match self.read(&Request::Alerts(filter))? {
            Response::Alerts { alerts } => Ok(alerts),
            other => Err(unexpected(&other)),
        }
    }

    /// One message.
    pub fn alert(&self, id: String) -> Result<Dispatch, ClientError> {
        match self.read(&Request::Alert { id })? {
            Response::Alert { alert } => Ok(*alert),
            other => Err(unexpected(&other)),
        }
    }

    /// Has a message tried again, or all that did not get through. Returns what
    /// the daemon has to say.
    pub fn retry_alerts(&self, id: Option<String>) -> Result<Vec<String>, ClientError> {
        self.done(&Request::RetryAlerts { id })
    }

    /// Sends a real message by a channel, which may take as long as `limit`.
    /// Returns what came of it.
    pub fn test_channel(
        &self,
        channel: ChannelName,
        limit: Duration,
    ) -> Result<Vec<String>, ClientError> {
        self.done_within(&Request::TestChannel { channel }, limit)
    }

    fn done(&self, request: &Request) -> Result<Vec<String>, ClientError> {
        self.done_within(request, READ_LIMIT)
    }

    fn done_within(&self, request: &Request, limit: Duration) -> Result<Vec<String>, ClientError> {
        match self.control(request, limit)? {
            Response::Done { notes } => Ok(notes),
            other => Err(unexpected(&other)),
        }
    }

    fn control(&self, request: &Request, limit: Duration) -> Result<Response, ClientError> {
        ask(&self.run_dir.join(CONTROL_SOCKET), request, limit)
    }

    fn read(&self, request: &Request) -> Result<Response, ClientError> {
        ask(&self.run_dir.join(STATUS_SOCKET), request, READ_LIMIT)
    }
}

fn unexpected(response: &Response) -> ClientError {
    if let Response::Refused(refusal) = response {
        return ClientError::Refused(refusal.clone());
    }
    ClientError::NotUnderstood("it answers something that was not asked".into())
}

fn ask(path: &Path, request: &Request, limit: Duration) -> Result<Response, ClientError> {
    let begun = Instant::now();
    let mut reader = send(path, request, limit)?;
    let left = limit.saturating_sub(begun.elapsed());
    match receive(&mut reader, path, Some(left)) {
        Err(ClientError::TimedOut(_)) => Err(ClientError::TimedOut(limit)),
        other => other,
    }
}

fn send(path: &Path, request: &Request, limit: Duration) -> Result<Reader, ClientError> {
    let mut stream = open(path, limit)?;
    match frame::write(&mut stream, request) {
        Ok(()) => Ok(Reader::new(stream, ANSWER_BYTES)),
        // It may have refused us before it read anything: hear what it says.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(Reader::new(stream, ANSWER_BYTES))
        }
        Err(error) => Err(match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::TimedOut(limit),
            _ => ClientError::Io {
                path: path.to_owned(),
                source: error,
            },
        }),
    }
}

fn receive(
    reader: &mut Reader,
    path: &Path,
    limit: Option<Duration>,
) -> Result<Response, ClientError> {
    let line = reader.line(limit).map_err(|error| match error {
        FrameError::Closed | FrameError::Half => ClientError::Closed,
        FrameError::TimedOut => ClientError::TimedOut(limit.unwrap_or_default()),
        FrameError::TooLong(_) => ClientError::NotUnderstood(error.to_string()),
        FrameError::Io(source) => ClientError::Io {
            path: path.to_owned(),
            source,
        },
    })?;
    serde_json::from_slice(&line).map_err(|error| ClientError::NotUnderstood(error.to_string()))
}

/// Connects within `limit`, which also becomes the time limit of writing.
///
/// The standard library has no time limit for connecting to a Unix socket, and
/// connecting blocks for as long as the listener's queue is full.
fn open(path: &Path, limit: Duration) -> Result<UnixStream, ClientError> {
    let failed = |error: Errno| ClientError::Io {
        path: path.to_owned(),
        source: error.into(),
    };
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    set_socket_timeout(&socket, Timeout::Send, Some(limit)).map_err(failed)?;
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    match connect(&socket, &address) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => {
            Err(ClientError::NotListening(path.to_owned()))
        }
        Err(Errno::ACCESS | Errno::PERM) => Err(ClientError::NoPermission(path.to_owned())),
        Err(Errno::AGAIN | Errno::INPROGRESS | Errno::TIMEDOUT) => {
            Err(ClientError::TimedOut(limit))
        }
        Err(error) => Err(failed(error)),
    }
}
