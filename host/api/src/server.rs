//! The daemon's side: two listeners, a thread for each connection.
//!
//! Plain threads, because a connection is rare and short: one request, one
//! answer. What bounds them: so many connections at once for each socket (more
//! wait in the kernel's queue and are not refused, so that a hundred hooks at
//! the same moment are all heard), a time for the whole request, a size for it,
//! and a time for each answer to be taken.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, chown},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use prunella_core::{
    ChannelName, UnitName,
    achievement::Achievement,
    alert::{Dispatch, DispatchFilter},
    incident::{Ending, IncidentId},
    oversight::Approval,
    summary::{Filter, Summary},
    text::one_line,
    trail::{Entry, Record},
};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    fs::{FlockOperation, flock},
};

use crate::{
    CONTROL_SOCKET, DAEMON_LOCK, DecideCall, HealCall, HookCall, PauseCall, Records, Refusal,
    RefusalKind, Request, Response, ResumeCall, STATUS_SOCKET, StatusReport,
    frame::{self, FrameError, Reader},
    group,
};

/// What a [`Handler`] answers.
pub type Answer<T> = Result<T, Refusal>;

/// Who answers the questions: the daemon.
///
/// Calls come from several threads at once, and each blocks only its own
/// connection.
pub trait Handler: Send + Sync + 'static {
    /// Takes over a failure that a hook saw. Returns once the incident is
    /// committed to the store, and before anything is done about it: the hook
    /// waits [200 ms](crate::HOOK_LIMIT) and then goes the way alone.
    ///
    /// `None` when there is nothing to see to (not in care, seen already and
    /// over).
    fn hook(&self, call: HookCall) -> Answer<Option<IncidentId>>;

    /// The overview.
    fn status(&self) -> Answer<StatusReport>;

    /// Incidents, newest first.
    fn incidents(&self, filter: Filter) -> Answer<Vec<Summary>>;

    /// One incident.
    fn incident(&self, id: IncidentId) -> Answer<Record>;

    /// Whole records, oldest first, after the place `after`; not more than fit
    /// into an answer.
    fn records(&self, filter: Filter, after: Option<u64>) -> Answer<Records>;

    /// What strategies have achieved, at one unit or at all.
    fn achievements(&self, unit: Option<UnitName>) -> Answer<Vec<Achievement>>;

    /// Heals, or rehearses it; each step goes to `lines` as it is taken.
    /// A caller that goes away does not end the healing.
    fn heal(&self, call: HealCall, lines: Lines) -> Answer<(IncidentId, Ending)>;

    /// The latest acts that waited, or wait, for approval.
    fn approvals(&self) -> Answer<Vec<Approval>>;

    /// Agrees to an act that waits, or denies it. Returns what to tell the
    /// caller.
    fn decide(&self, call: DecideCall) -> Answer<Vec<String>>;

    /// Leaves a unit, or all, alone. Returns what to tell the caller.
    fn pause(&self, call: PauseCall) -> Answer<Vec<String>>;

    /// No longer leaves it alone. Returns what to tell the caller.
    fn resume(&self, call: ResumeCall) -> Answer<Vec<String>>;

    /// Reads the configuration again. Returns what to tell the caller; a broken
    /// configuration is a refusal, and the last good one stays in force.
    fn reload(&self) -> Answer<Vec<String>>;

    /// Messages about incidents, newest first.
    fn alerts(&self, filter: DispatchFilter) -> Answer<Vec<Dispatch>>;

    /// One message, by its id or the beginning or end of it.
    fn alert(&self, id: String) -> Answer<Dispatch>;

    /// Has a message tried again, or all that did not get through. Returns what
    /// to tell the caller.
    fn retry_alerts(&self, id: Option<String>) -> Answer<Vec<String>>;

    /// Sends a real message by a channel, and returns what came of it; one that
    /// did not get through is a refusal. Takes as long as the channel's time
    /// limit.
    fn test_channel(&self, channel: ChannelName) -> Answer<Vec<String>>;
}

/// Where the steps of a healing go. Cheap to clone; never fails and never
/// blocks for longer than [`ServeSettings::answer_limit`]: once the caller is
/// gone, steps are dropped.
#[derive(Clone)]
pub struct Lines(Arc<Mutex<Option<Take>>>);

type Take = Box<dyn FnMut(&Entry) -> bool + Send>;

impl Lines {
    /// Hands every step to `take`, until that returns false.
    pub fn new(take: impl FnMut(&Entry) -> bool + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(take)))))
    }

    /// One step.
    pub fn send(&self, entry: &Entry) {
        let mut take = lock(&self.0);
        if let Some(f) = take.as_mut()
            && !f(entry)
        {
            *take = None;
        }
    }

    /// No step will be sent any more, whoever still holds a clone.
    fn close(&self) {
        *lock(&self.0) = None;
    }
}

/// How to serve. Everything but `run_dir` has a default that fits.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Where sockets and lock stand; made (0755) when absent.
    pub run_dir: PathBuf,
    /// Who may read besides root.
    pub status_group: String,
    /// Connections of one socket at once.
    pub connections: usize,
    /// Healings that callers wait for at once.
    pub heals: usize,
    /// For a request to be complete.
    pub request_limit: Duration,
    /// For one answer to be taken.
    pub answer_limit: Duration,
    /// The longest request in bytes.
    pub request_bytes: usize,
}

impl ServeSettings {
    /// The defaults, in `run_dir`.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self {
            run_dir: run_dir.into(),
            status_group: "systemd-journal".into(),
            connections: 32,
            // Fewer than the connections: however many wait for healings,
            // hooks still get through.
            heals: 8,
            request_limit: Duration::from_secs(5),
            answer_limit: Duration::from_secs(5),
            request_bytes: 1 << 20,
        }
    }
}

/// Why the sockets could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon holds the lock.
    #[error("another Prunella daemon is running: it holds {0}")]
    AlreadyRunning(PathBuf),
    /// Something that is no socket stands where one should.
    #[error("{0} is in the way: it is not a socket")]
    InTheWay(PathBuf),
    /// Anything else.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
}

impl ServeError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The listening sockets. Dropping it closes them.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    sockets: Vec<PathBuf>,
    /// Held for as long as the sockets stand.
    _lock: File,
}

impl Server {
    /// Stops listening, removes the sockets, and waits at most `limit` for the
    /// connections that are being answered.
    pub fn stop(mut self, limit: Duration) {
        self.close();
        let busy = lock(&self.shared.busy);
        // Whether they got done or the time ran out makes no difference here.
        drop(
            self.shared
                .changed
                .wait_timeout_while(busy, limit, |busy| busy.control + busy.status > 0),
        );
    }

    fn close(&mut self) {
        lock(&self.shared.busy).stopping = true;
        self.shared.changed.notify_all();
        if let Err(error) = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes()) {
            tracing::warn!(%error, "cannot wake the listeners of the control socket");
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a listener of the control socket had ended in a panic");
            }
        }
        for socket in self.sockets.drain(..) {
            if let Err(error) = fs::remove_file(&socket)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, socket = %socket.display(), "cannot remove the socket");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens both sockets and answers in threads of its own until the [`Server`] is
/// stopped or dropped.
///
/// A socket file that a killed daemon left behind is replaced; whether one is
/// left behind is told by a lock, not by trying to connect.
pub fn serve(settings: ServeSettings, handler: Arc<dyn Handler>) -> Result<Server, ServeError> {
    let dir = &settings.run_dir;
    fs::create_dir_all(dir).map_err(ServeError::io("create", dir))?;
    let lock_path = dir.join(DAEMON_LOCK);
    let lock_file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(ServeError::io("open", &lock_path))?;
    match flock(&lock_file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(ServeError::AlreadyRunning(lock_path)),
        Err(error) => return Err(ServeError::io("lock", &lock_path)(error.into())),
    }

    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|error| ServeError::io("make a wake-up for", dir)(error.into()))?;
    let control_path = dir.join(CONTROL_SOCKET);
    let status_path = dir.join(STATUS_SOCKET);
    let readers = group::number(&settings.status_group);
    let control = bind(&control_path, 0o600, None)?;
    let status = match readers {
        Some(group) => bind(&status_path, 0o660, Some(group))?,
        None => bind(&status_path, 0o600, None)?,
    };

    let shared = Arc::new(Shared {
        settings,
        handler,
        wake,
        busy: Mutex::default(),
        changed: Condvar::new(),
    });
    let mut server = Server {
        shared: shared.clone(),
        threads: Vec::new(),
        sockets: vec![control_path, status_path],
        _lock: lock_file,
    };
    for (listener, access) in [(control, Access::Full), (status, Access::Reading)] {
        let shared = shared.clone();
        let name = match access {
            Access::Full => "control",
            Access::Reading => "status",
        };
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || listen(&shared, &listener, access))
            .map_err(ServeError::io(
                "start a thread for",
                &server.shared.settings.run_dir,
            ))?;
        server.threads.push(thread);
    }
    Ok(server)
}

/// What may be asked on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Full,
    Reading,
}

struct Shared {
    settings: ServeSettings,
    handler: Arc<dyn Handler>,
    wake: OwnedFd,
    busy: Mutex<Busy>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What is going on.
#[derive(Debug, Default)]
struct Busy {
    control: usize,
    status: usize,
    heals: usize,
    stopping: bool,
}

impl Busy {
    fn connections(&mut self, access: Access) -> &mut usize {
        match access {
            Access::Full => &mut self.control,
            Access::Reading => &mut self.status,
        }
    }
}

/// A thread that ended badly must not take the daemon's ears with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a socket that has its mode and group from its first moment on: it is
/// bound under another name and moved into place.
fn bind(path: &Path, mode: u32, group: Option<u32>) -> Result<UnixListener, ServeError> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => {}
        Ok(_) => return Err(ServeError::InTheWay(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ServeError::io("look at", path)(error)),
    }
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ServeError::io("remove", &fresh)(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(ServeError::io("bind", &fresh))?;
    // First the group, then the mode: in between nobody else may connect.
    let mut mode = mode;
    if let Some(group) = group
        && let Err(error) = chown(&fresh, None, Some(group))
    {
        tracing::warn!(%error, socket = %path.display(), "only root can read the status: the socket could not be given to its group");
        mode = 0o600;
    }
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))
        .map_err(ServeError::io("set the mode of", &fresh))?;
    listener
        .set_nonblocking(true)
        .map_err(ServeError::io("listen on", &fresh))?;
    fs::rename(&fresh, path).map_err(ServeError::io("move into place", path))?;
    Ok(listener)
}

/// Accepts connections until the server stops.
fn listen(shared: &Arc<Shared>, listener: &UnixListener, access: Access) {
    while let Some(slot) = Slot::take(shared, access) {
        let mut fds = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(shared.wake.as_fd(), PollFlags::IN),
        ];
        if let Err(error) = poll(&mut fds, None)
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(%error, "waiting for connections failed");
            shared.pause();
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                let spawned = thread::Builder::new()
                    .name("request".into())
                    .stack_size(512 << 10)
                    .spawn(move || connection(&slot, stream, access));
                if let Err(error) = spawned {
                    tracing::error!(%error, "cannot start a thread for a request");
                    shared.pause();
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted => {}
                _ => {
                    tracing::error!(%error, "accepting a connection failed");
                    shared.pause();
                }
            },
        }
    }
}

impl Shared {
    /// After trouble that would come again at once (no descriptors left, no
    /// memory), so that it does not become a busy loop.
    fn pause(&self) {
        let busy = lock(&self.busy);
        drop(
            self.changed
                .wait_timeout_while(busy, Duration::from_millis(100), |busy| !busy.stopping),
        );
    }
}

/// The right to serve one connection.
struct Slot {
    shared: Arc<Shared>,
    access: Access,
}

impl Slot {
    /// Waits for a free one; `None` when the server stops.
    fn take(shared: &Arc<Shared>, access: Access) -> Option<Self> {
        let max = shared.settings.connections;
        let busy = lock(&shared.busy);
        let mut busy = shared
            .changed
            .wait_while(busy, |busy| {
                !busy.stopping && *busy.connections(access) >= max
            })
            .unwrap_or_else(PoisonError::into_inner);
        if busy.stopping {
            return None;
        }
        *busy.connections(access) += 1;
        Some(Self {
            shared: shared.clone(),
            access,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut busy = lock(&self.shared.busy);
        let count = busy.connections(self.access);
        *count = count.saturating_sub(1);
        drop(busy);
        self.shared.changed.notify_all();
    }
}

/// The right to have a healing waited for.
struct HealSlot<'a>(&'a Shared);

impl<'a> HealSlot<'a> {
    fn take(shared: &'a Shared) -> Answer<Self> {
        let mut busy = lock(&shared.busy);
        if busy.heals >= shared.settings.heals {
            return Err(Refusal::new(
                RefusalKind::Busy,
                format!("{} healings are being waited for already", busy.heals),
            )
            .help("try again when one of them has ended"));
        }
        busy.heals += 1;
        Ok(Self(shared))
    }
}

impl Drop for HealSlot<'_> {
    fn drop(&mut self) {
        let mut busy = lock(&self.0.busy);
        busy.heals = busy.heals.saturating_sub(1);
    }
}

/// One connection: one request, its answer.
fn connection(slot: &Slot, stream: UnixStream, access: Access) {
    let shared = &slot.shared;
    if let Err(error) = answer(shared, stream, access) {
        // Somebody else's trouble: said at a level that nobody can fill the
        // journal with.
        tracing::debug!(%error, "a request was dropped");
    }
}

fn answer(shared: &Shared, mut stream: UnixStream, access: Access) -> io::Result<()> {
    // An accepted socket does not inherit this on Linux; be sure all the same.
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(shared.settings.answer_limit))?;
    if access == Access::Full && !peer_may_act(&stream) {
        let refusal = Refusal::new(
            RefusalKind::NotAllowed,
            "only root may use the control socket",
        )
        .help("use sudo, or ask the status socket, which only reads");
        return refuse(&mut stream, refusal);
    }
    let mut reader = Reader::new(stream.try_clone()?, shared.settings.request_bytes);
    let line = match reader.line(Some(shared.settings.request_limit)) {
        Ok(line) => line,
        Err(FrameError::Closed) => return Ok(()),
        Err(FrameError::Io(error)) => return Err(error),
        Err(error @ (FrameError::Half | FrameError::TooLong(_) | FrameError::TimedOut)) => {
            return refuse(
                &mut stream,
                Refusal::new(RefusalKind::BadRequest, error.to_string())
                    .help("send one JSON object on one line, and end the line"),
            );
        }
    };
    let request: Request = match serde_json::from_slice(&line) {
        Ok(request) => request,
        Err(error) => {
            return refuse(
                &mut stream,
                Refusal::new(
                    RefusalKind::BadRequest,
                    format!(
                        "the request is not understood: {}",
                        one_line(&error.to_string(), 300)
                    ),
                )
                .help(format!(
                    "this daemon is Prunella {}; the command that asked may be another version",
                    env!("CARGO_PKG_VERSION")
                )),
            );
        }
    };
    if access == Access::Reading && !request.only_reads() {
        return refuse(
            &mut stream,
            Refusal::new(
                RefusalKind::NotAllowed,
                "the status socket answers reading requests only",
            )
            .help("ask as root on the control socket"),
        );
    }
    let response = respond(shared, &stream, request).unwrap_or_else(Response::Refused);
    frame::write(&mut stream, &response)
}

fn refuse(stream: &mut UnixStream, refusal: Refusal) -> io::Result<()> {
    frame::write(stream, &Response::Refused(refusal))
}

/// Whether the one at the other end is root, or who we are.
///
/// The socket's mode says so already; this holds even where somebody loosened
/// that or handed the descriptor on.
fn peer_may_act(stream: &UnixStream) -> bool {
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) => peer.uid.is_root() || peer.uid == rustix::process::geteuid(),
        Err(_) => false,
    }
}

fn respond(shared: &Shared, stream: &UnixStream, request: Request) -> Answer<Response> {
    let handler = &shared.handler;
    Ok(match request {
        Request::Hook(call) => Response::Accepted {
            incident: handler.hook(call)?,
        },
        Request::Status => Response::Status(Box::new(handler.status()?)),
        Request::Incidents(filter) => Response::Incidents {
            incidents: handler.incidents(filter)?,
        },
        Request::Incident { id } => Response::Incident {
            record: Box::new(handler.incident(id)?),
        },
        Request::Records { filter, after } => Response::Records(handler.records(filter, after)?),
        Request::Achievements { unit } => Response::Achievements {
            achievements: handler.achievements(unit)?,
        },
        Request::Approvals => Response::Approvals {
            approvals: handler.approvals()?,
        },
        Request::Decide(call) => Response::Done {
            notes: handler.decide(call)?,
        },
        Request::Heal(call) => {
            let _slot = HealSlot::take(shared)?;
            let mut stream = stream
                .try_clone()
                .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()))?;
            let lines = Lines::new(move |entry| {
                let entry = Box::new(entry.clone());
                frame::write(&mut stream, &Response::Entry { entry }).is_ok()
            });
            let ended = handler.heal(call, lines.clone());
            lines.close();
            let (incident, ending) = ended?;
            Response::Ended { incident, ending }
        }
        Request::Pause(call) => Response::Done {
            notes: handler.pause(call)?,
        },
        Request::Resume(call) => Response::Done {
            notes: handler.resume(call)?,
        },
        Request::Alerts(filter) => Response::Alerts {
            alerts: handler.alerts(filter)?,
        },
        Request::Alert { id } => Response::Alert {
            alert: Box::new(handler.alert(id)?),
        },
        Request::RetryAlerts { id } => Response::Done {
            notes: handler.retry_alerts(id)?,
        },
        Request::TestChannel { channel } => Response::Done {
            notes: handler.test_channel(channel)?,
        },
        Request::Reload => Response::Done {
            notes: handler.reload()?,
        },
    })
}
