//! Listening, and what bounds whoever connects.
//!
//! So many connections at once, a time for each request's head, and a time for each part of
//! an answer to be taken. Beyond that, a connection that says nothing is closed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use prunella_config::web::{Listen, WebSettings};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use crate::{
    Peer,
    certificate::{Certificate, CertificateError, server_config},
};

/// Connections at once, streams of events included; more wait in the kernel's queue.
const CONNECTIONS: usize = 768;

/// For a request's head to be complete, and for a connection to say nothing in between.
const HEAD_LIMIT: Duration = Duration::from_secs(15);

/// For a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// For a part of an answer to be taken.
const TAKE_LIMIT: Duration = Duration::from_secs(30);

/// The longest head of a request in bytes.
const HEAD_BYTES: usize = 32 << 10;

/// Why nobody can connect.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {on}: {source}")]
    Io {
        on: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket that people can connect to.
pub struct Server {
    socket: Socket,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    /// Opens the socket.
    pub async fn open(settings: &WebSettings) -> Result<Self, ListenError> {
        let tls = match &settings.tls {
            Some(files) => {
                let certificate = Certificate::read(&files.certificate, &files.key)?;
                Some(Arc::new(server_config(certificate)?))
            }
            None => None,
        };
        let failed = |source| ListenError::Io {
            on: settings.listen.to_string(),
            source,
        };
        let socket = match &settings.listen {
            Listen::Address(address) => {
                Socket::Tcp(TcpListener::bind(address).await.map_err(failed)?)
            }
            Listen::Socket(path) => {
                remove_stale(path).map_err(failed)?;
                Socket::Unix(UnixListener::bind(path).map_err(failed)?)
            }
        };
        Ok(Self { socket, tls })
    }

    /// The address, where it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Answers until the process ends.
    pub async fn serve(self, routes: Router) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let tls = self.tls.map(TlsAcceptor::from);
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let accepted = match &self.socket {
                Socket::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                    // Small answers are not held back for more to come.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection keeps its delay");
                    }
                    let routes = routes.clone();
                    let tls = tls.clone();
                    tokio::spawn(async move {
                        let peer = Peer(Some(from.ip().to_canonical()));
                        match tls {
                            None => answer(stream, routes, peer).await,
                            Some(tls) => match timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
                                Ok(Ok(stream)) => answer(stream, routes, peer).await,
                                Ok(Err(error)) => tracing::debug!(%error, "no TLS came about"),
                                Err(_) => tracing::debug!("no TLS came about in time"),
                            },
                        }
                        drop(slot);
                    });
                }),
                Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                    let routes = routes.clone();
                    tokio::spawn(async move {
                        answer(stream, routes, Peer(None)).await;
                        drop(slot);
                    });
                }),
            };
            if let Err(error) = accepted {
                // No descriptors or no memory left: that must not become a busy loop.
                tracing::error!(%error, "accepting a connection failed");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// All requests of one connection.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    peer: Peer,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKE_LIMIT));
    let answered = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(routes.layer(Extension(peer))),
        )
        .await;
    if let Err(error) = answered {
        // Somebody else's trouble, at a level that nobody can fill the journal with.
        tracing::debug!(%error, "a connection was dropped");
    }
}

/// Removes the socket that an earlier process left behind, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;

    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is no socket is in the way",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl Peer {
    /// As the daemon is told of it.
    pub(crate) fn header(&self) -> Option<hyper::header::HeaderValue> {
        self.0
            .as_ref()
            .map(IpAddr::to_string)
            .and_then(|address| address.parse().ok())
    }
}
