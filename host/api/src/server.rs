//! The daemon's side: two Unix sockets, behind which the [router](crate::routes)
//! answers.
//!
//! They have a thread and an event loop of their own, so that no healing waits
//! for them; with nobody connected it sleeps. What bounds them: so many
//! connections at once for each socket (more wait in the kernel's queue and are
//! not refused, so that a hundred hooks at the same moment are all heard), one
//! request for each, a time and a size for its head and its body, and a time for
//! each part of the answer to be taken.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, chown},
        net::UnixListener as StdListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::fs::{FlockOperation, flock};
use tokio::{
    net::{UnixListener, UnixStream},
    runtime::{Builder, Runtime},
    sync::{Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;

use crate::{
    CONTROL_SOCKET, DAEMON_LOCK, STATUS_SOCKET, account, group,
    routes::{Account, Caller, Door, Limits, router},
};

/// The longest head of a request in bytes.
const HEAD_BYTES: usize = 64 << 10;

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
    /// For a request's head to be complete, and then for its body.
    pub request_limit: Duration,
    /// For a part of the answer to be taken.
    pub answer_limit: Duration,
    /// The longest body of a request in bytes.
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

    fn limits(&self) -> Limits {
        Limits {
            heals: self.heals,
            request: self.request_limit,
            bytes: self.request_bytes,
        }
    }

    /// A thread for each connection that may be there, and for each healing whose
    /// caller has left.
    fn threads(&self) -> usize {
        2 * self.connections + self.heals
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
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
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
    /// How long to wait for those who are being answered, once it is to stop.
    stop: watch::Sender<Option<Duration>>,
    thread: Option<JoinHandle<()>>,
    sockets: Vec<PathBuf>,
    /// Held for as long as the sockets stand.
    _lock: File,
}

impl Server {
    /// Stops listening, removes the sockets, and waits at most `limit` for the
    /// connections that are being answered.
    pub fn stop(mut self, limit: Duration) {
        self.close(limit);
    }

    fn close(&mut self, limit: Duration) {
        // Nobody connects any more before the listeners end.
        for socket in self.sockets.drain(..) {
            if let Err(error) = fs::remove_file(&socket)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, socket = %socket.display(), "cannot remove the socket");
            }
        }
        self.stop.send_replace(Some(limit));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the control socket had ended in a panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

/// Opens both sockets and answers on a thread of its own until the [`Server`] is
/// stopped or dropped.
///
/// A socket file that a killed daemon left behind is replaced; whether one is
/// left behind is told by a lock, not by trying to connect.
pub fn serve(settings: ServeSettings, door: Door) -> Result<Server, ServeError> {
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

    let control_path = dir.join(CONTROL_SOCKET);
    let status_path = dir.join(STATUS_SOCKET);
    let readers = group::number(&settings.status_group);
    let control = bind(&control_path, 0o600, None)?;
    let status = match readers {
        Some(group) => bind(&status_path, 0o660, Some(group))?,
        None => bind(&status_path, 0o600, None)?,
    };
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(settings.threads())
        .thread_name("request")
        .thread_stack_size(512 << 10)
        // An idle daemon is not woken by threads that wait for more to do.
        .thread_keep_alive(Duration::from_millis(100))
        .build()
        .map_err(ServeError::io("make an event loop for", dir))?;
    let (control, status) = {
        let _within = runtime.enter();
        let listener =
            |listener| UnixListener::from_std(listener).map_err(ServeError::io("listen in", dir));
        (listener(control)?, listener(status)?)
    };
    let routes = router(door, settings.limits());
    let (stop, stopped) = watch::channel(None);
    let thread = thread::Builder::new()
        .name("api".into())
        .spawn({
            let settings = settings.clone();
            move || run(runtime, &settings, &routes, control, status, stopped)
        })
        .map_err(ServeError::io("start a thread for", dir))?;
    Ok(Server {
        stop,
        thread: Some(thread),
        sockets: vec![control_path, status_path],
        _lock: lock_file,
    })
}

/// Makes a socket that has its mode and group from its first moment on: it is
/// bound under another name and moved into place.
fn bind(path: &Path, mode: u32, group: Option<u32>) -> Result<StdListener, ServeError> {
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
    let listener = StdListener::bind(&fresh).map_err(ServeError::io("bind", &fresh))?;
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

/// One of the two sockets.
struct Listening {
    listener: UnixListener,
    /// What answers to root, or to readers.
    routes: Router,
    /// What answers to whoever should not have got here.
    for_strangers: Option<Router>,
    slots: Arc<Semaphore>,
    server: http1::Builder,
    answer_limit: Duration,
}

fn run(
    runtime: Runtime,
    settings: &ServeSettings,
    routes: &Router,
    control: UnixListener,
    status: UnixListener,
    stopped: watch::Receiver<Option<Duration>>,
) {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(settings.request_limit)
        .max_buf_size(HEAD_BYTES)
        // One request for each connection: none is held by who says nothing.
        .keep_alive(false)
        // A connection lasts as long as the work that was asked for on it, so
        // that the number of connections bounds that work too.
        .half_close(true);
    let answering = |caller| routes.clone().layer(Extension(caller));
    let listening = |listener, routes, for_strangers| Listening {
        listener,
        routes,
        for_strangers,
        slots: Arc::new(Semaphore::new(settings.connections)),
        server: server.clone(),
        answer_limit: settings.answer_limit,
    };
    let control = listening(
        control,
        answering(Caller::Root),
        Some(answering(Caller::Stranger)),
    );
    let status = listening(status, answering(Caller::Reader), None);
    let mut limit = stopped.clone();
    runtime.block_on(async {
        tokio::join!(control.listen(stopped.clone()), status.listen(stopped));
        let patience = limit.wait_for(Option::is_some).await;
        let patience = patience.ok().and_then(|limit| *limit).unwrap_or_default();
        let all = u32::try_from(settings.connections).unwrap_or(u32::MAX);
        let answered = async {
            // Whether they got done or the time ran out makes no difference here.
            drop(tokio::join!(
                control.slots.acquire_many(all),
                status.slots.acquire_many(all)
            ));
        };
        drop(tokio::time::timeout(patience, answered).await);
    });
    // A healing that somebody waited for ends by itself.
    runtime.shutdown_background();
}

impl Listening {
    /// Accepts connections until the server stops.
    async fn listen(&self, mut stopped: watch::Receiver<Option<Duration>>) {
        let stopped = stopped.wait_for(Option::is_some);
        tokio::pin!(stopped);
        loop {
            let slot = tokio::select! {
                Ok(slot) = Arc::clone(&self.slots).acquire_owned() => slot,
                _ = &mut stopped => return,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = &mut stopped => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let answered = self.answer(stream);
                    tokio::spawn(async move {
                        if let Err(error) = answered.await {
                            // Somebody else's trouble: said at a level that
                            // nobody can fill the journal with.
                            tracing::debug!(%error, "a request was dropped");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Trouble that would come again at once (no descriptors
                    // left, no memory) must not become a busy loop.
                    tracing::error!(%error, "accepting a connection failed");
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(100)) => {}
                        _ = &mut stopped => return,
                    }
                }
            }
        }
    }

    /// One connection: one request, its answer.
    fn answer(&self, stream: UnixStream) -> impl Future<Output = hyper::Result<()>> + use<> {
        let routes = match &self.for_strangers {
            Some(for_strangers) if !peer_may_order(&stream) => for_strangers.clone(),
            Some(_) => match account_of_peer(&stream) {
                Some(account) => self.routes.clone().layer(Extension(Account(account))),
                None => self.routes.clone(),
            },
            None => self.routes.clone(),
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.answer_limit));
        self.server.serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(routes),
        )
    }
}

/// Who gives orders at the other end.
fn account_of_peer(stream: &UnixStream) -> Option<String> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).ok()?;
    Some(account::of_process(pid, peer.uid.as_raw()))
}

/// Whether the one at the other end is root, or who we are.
///
/// The socket's mode says so already; this holds even where somebody loosened
/// that or handed the descriptor on.
fn peer_may_order(stream: &UnixStream) -> bool {
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) => peer.uid.is_root() || peer.uid == rustix::process::geteuid(),
        Err(_) => false,
    }
}
