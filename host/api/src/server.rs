//! The daemon's side: Unix sockets, behind which the [router](crate::routes)
//! answers.
//!
//! They have a thread and an event loop of their own, so that no healing waits
//! for them; with nobody connected it sleeps. The web socket has one apart, so that
//! neither hooks nor commands wait for what comes from the network. What bounds them: so many
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
    CONTROL_SOCKET, DAEMON_LOCK, STATUS_SOCKET, WEB_GROUP, WEB_SOCKET, account,
    gateway::PeerUser,
    group,
    rights::Caller,
    routes::{Account, Door, Limits, Routers, routers},
};

/// The longest head of a request in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// Healings that are waited for on the web socket.
const WEB_HEALS: usize = 4;

/// Threads that answer what comes from the web socket: few, since what they ask, healings
/// ask too.
const WEB_THREADS: usize = 8;

/// How to serve. Everything but `run_dir` has a default that fits.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Where sockets and lock stand; made (0755) when absent.
    pub run_dir: PathBuf,
    /// Who may read besides root.
    pub status_group: String,
    /// Who may connect to the web socket besides root.
    pub web_group: String,
    /// Connections of one local socket at once.
    pub connections: usize,
    /// Connections of the web socket at once, streams of events among them.
    pub web_connections: usize,
    /// Healings that callers wait for at once.
    pub heals: usize,
    /// For a request's head to be complete, and then for its body.
    pub request_limit: Duration,
    /// For a part of the answer to be taken.
    pub answer_limit: Duration,
    /// The longest body of a request in bytes.
    pub request_bytes: usize,
    /// The longest body of a request on the web socket in bytes.
    pub web_request_bytes: usize,
}

impl ServeSettings {
    /// The defaults, in `run_dir`.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self {
            run_dir: run_dir.into(),
            status_group: "systemd-journal".into(),
            web_group: WEB_GROUP.into(),
            connections: 32,
            web_connections: crate::events::STREAMS + 128,
            // Fewer than the connections: however many wait for healings,
            // hooks still get through.
            heals: 8,
            request_limit: Duration::from_secs(5),
            answer_limit: Duration::from_secs(5),
            request_bytes: 1 << 20,
            web_request_bytes: 64 << 10,
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            heals: self.heals,
            request: self.request_limit,
            bytes: self.request_bytes,
        }
    }

    fn web_limits(&self) -> Limits {
        Limits {
            heals: WEB_HEALS,
            request: self.request_limit,
            bytes: self.web_request_bytes,
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
    threads: Vec<JoinHandle<()>>,
    sockets: Vec<PathBuf>,
    web: (PathBuf, String),
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
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the sockets had ended in a panic");
            }
        }
    }

    /// Gives the web socket to its group, which may have been made meanwhile.
    pub fn settle_web_group(&self) {
        let (path, group) = &self.web;
        let Some(group) = group::number(group) else {
            return;
        };
        let given = chown(path, None, Some(group))
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o660)));
        if let Err(error) = given {
            tracing::warn!(%error, socket = %path.display(), "the web socket could not be given to its group");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

/// Opens the sockets and answers on threads of its own until the [`Server`] is
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

    let [control_path, status_path, web_path] =
        [CONTROL_SOCKET, STATUS_SOCKET, WEB_SOCKET].map(|name| dir.join(name));
    let for_group = |path: &Path, group: &str| match group::number(group) {
        Some(group) => bind(path, 0o660, Some(group)),
        None => bind(path, 0o600, None),
    };
    let control = bind(&control_path, 0o600, None)?;
    let status = for_group(&status_path, &settings.status_group)?;
    let web = for_group(&web_path, &settings.web_group)?;

    let (stop, stopped) = watch::channel(None);
    let Routers {
        local: local_routes,
        web: web_routes,
    } = routers(
        door,
        settings.limits(),
        settings.web_limits(),
        stopped.clone(),
    );
    let answering = |caller| local_routes.clone().layer(Extension(caller));
    let local = vec![
        (
            control,
            Answers::Root {
                root: answering(Caller::Root),
                strangers: answering(Caller::Stranger),
            },
        ),
        (status, Answers::All(answering(Caller::Reader))),
    ];
    let web = vec![(web, Answers::Users(web_routes))];
    let threads = vec![
        start(
            ("api", settings.threads(), settings.connections),
            &settings,
            local,
            stopped.clone(),
        )?,
        start(
            ("api-web", WEB_THREADS, settings.web_connections),
            &settings,
            web,
            stopped,
        )?,
    ];
    Ok(Server {
        stop,
        threads,
        sockets: vec![control_path, status_path, web_path.clone()],
        web: (web_path, settings.web_group),
        _lock: lock_file,
    })
}

/// Answers on a thread of its own, with an event loop of its own.
fn start(
    (name, threads, connections): (&'static str, usize, usize),
    settings: &ServeSettings,
    sockets: Vec<(StdListener, Answers)>,
    stopped: watch::Receiver<Option<Duration>>,
) -> Result<JoinHandle<()>, ServeError> {
    let dir = &settings.run_dir;
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(threads)
        .thread_name("request")
        .thread_stack_size(512 << 10)
        // An idle daemon is not woken by threads that wait for more to do.
        .thread_keep_alive(Duration::from_millis(100))
        .build()
        .map_err(ServeError::io("make an event loop for", dir))?;
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
    let listening = {
        let _within = runtime.enter();
        sockets
            .into_iter()
            .map(|(listener, answers)| {
                Ok(Listening {
                    listener: UnixListener::from_std(listener)
                        .map_err(ServeError::io("listen in", dir))?,
                    answers,
                    slots: Arc::new(Semaphore::new(connections)),
                    connections,
                    server: server.clone(),
                    answer_limit: settings.answer_limit,
                })
            })
            .collect::<Result<Vec<_>, ServeError>>()?
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(move || run(runtime, &listening, stopped))
        .map_err(ServeError::io("start a thread for", dir))
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

/// Who is answered by what.
enum Answers {
    /// Root, and whoever should not have got here.
    Root { root: Router, strangers: Router },
    /// Whoever may connect.
    All(Router),
    /// Whoever may connect, by their user where they say no more.
    Users(Router),
}

/// One of the sockets.
struct Listening {
    listener: UnixListener,
    answers: Answers,
    slots: Arc<Semaphore>,
    connections: usize,
    server: http1::Builder,
    answer_limit: Duration,
}

fn run(runtime: Runtime, listening: &[Listening], mut stopped: watch::Receiver<Option<Duration>>) {
    runtime.block_on(async {
        let all = listening.iter().map(|one| one.listen(stopped.clone()));
        futures_util::future::join_all(all).await;
        let patience = stopped.wait_for(Option::is_some).await;
        let patience = patience.ok().and_then(|limit| *limit).unwrap_or_default();
        let answered = futures_util::future::join_all(listening.iter().map(|one| {
            let all = u32::try_from(one.connections).unwrap_or(u32::MAX);
            one.slots.acquire_many(all)
        }));
        // Whether they got done or the time ran out makes no difference here.
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
        let routes = match &self.answers {
            Answers::Root { strangers, .. } if !peer_may_order(&stream) => strangers.clone(),
            Answers::Root { root, .. } => match account_of_peer(&stream) {
                Some(account) => root.clone().layer(Extension(Account(account))),
                None => root.clone(),
            },
            Answers::All(routes) => routes.clone(),
            Answers::Users(routes) => {
                let peer = rustix::net::sockopt::socket_peercred(&stream).ok();
                let user = PeerUser(peer.map(|peer| peer.uid.as_raw()));
                routes.clone().layer(Extension(user))
            }
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
