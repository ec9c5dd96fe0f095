//! A conversation over a socket that is over at a given moment, however slowly
//! the other side talks.
//!
//! Whoever waits for an answer holds no thread: a server that hangs costs a socket and a
//! timer, and delays nobody else's question.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, ToSocketAddrs},
    os::{fd::OwnedFd, unix::net::UnixStream as BlockingUnixStream},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::{sleep, timeout_at},
};
use tokio_rustls::client::TlsStream;

use super::{
    error::ProbeError,
    tls::{self, Accepts},
};
use crate::timeout::outlived_by_caller;

/// A Unix socket whose queue is full does not tell when it has room again: so often it is
/// tried.
const FULL_QUEUE: Duration = Duration::from_millis(20);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The certificate that the other side has shown, in DER.
    fn certificate(&self) -> Option<&[u8]> {
        None
    }
}

impl Stream for TcpStream {}

impl Stream for UnixStream {}

impl Stream for TlsStream<TcpStream> {
    fn certificate(&self) -> Option<&[u8]> {
        let (_, connection) = self.get_ref();
        let shown = connection.peer_certificates()?.first()?;
        Some(shown.as_ref())
    }
}

/// A connection on which all must be said by a given moment.
pub(super) struct Talk {
    stream: Box<dyn Stream>,
    until: Instant,
}

impl Talk {
    /// Connects to `host:port`: to each of its addresses until one answers.
    pub(super) async fn tcp(place: &str, until: Instant) -> Result<Self, ProbeError> {
        let stream = Box::new(connect_tcp(place, until).await?);
        Ok(Self { stream, until })
    }

    /// The same, speaking TLS, and asking for `server_name` instead of the host of `place`.
    pub(super) async fn tls(
        place: &str,
        server_name: Option<&str>,
        until: Instant,
    ) -> Result<Self, ProbeError> {
        Self::tls_with(place, server_name, Accepts::Any, until).await
    }

    /// The same, with a word on whose certificate is accepted.
    pub(super) async fn tls_with(
        place: &str,
        server_name: Option<&str>,
        accepts: Accepts,
        until: Instant,
    ) -> Result<Self, ProbeError> {
        let (client, name) = tls::client(place, server_name, accepts)?;
        let socket = connect_tcp(place, until).await?;
        let greeted = in_time(until, NOT_LISTENING, client.connect(name, socket)).await?;
        let stream = greeted.map_err(|error| talk_trouble(error, "talking to it"))?;
        Ok(Self {
            stream: Box::new(stream),
            until,
        })
    }

    /// The certificate that the other side has shown, in DER; absent where no TLS is spoken.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.stream.certificate()
    }

    /// Connects to a stream socket.
    pub(super) async fn unix(path: &Path, until: Instant) -> Result<Self, ProbeError> {
        let socket = unix_socket(path, SocketType::STREAM, until).await?;
        let socket = UnixStream::from_std(BlockingUnixStream::from(socket))
            .map_err(|error| ProbeError::Failed("connecting", error))?;
        Ok(Self {
            stream: Box::new(socket),
            until,
        })
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), ProbeError> {
        let saying = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        in_time(self.until, NOT_LISTENING, saying)
            .await?
            .map_err(|error| talk_trouble(error, "talking to it"))
    }

    /// Hears what comes next, at most the length of `buffer`; 0 when the other
    /// side has said all it will.
    pub(super) async fn hear(&mut self, buffer: &mut [u8]) -> Result<usize, ProbeError> {
        let heard = self.stream.read(buffer);
        in_time(self.until, "it gave no answer", heard)
            .await?
            .map_err(|error| talk_trouble(error, "listening to it"))
    }

    /// Hears exactly `count` bytes.
    pub(super) async fn hear_exactly(&mut self, count: usize) -> Result<Vec<u8>, ProbeError> {
        let mut heard = vec![0; count];
        let mut at = 0;
        while let Some(rest) = heard.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.hear(rest).await? {
                0 => return Err(ProbeError::Closed),
                more => at += more,
            }
        }
        Ok(heard)
    }

    /// Hears a line, without its end; `protocol` is what it does not speak when
    /// the line is longer than `longest`.
    pub(super) async fn hear_line(
        &mut self,
        longest: usize,
        protocol: &'static str,
    ) -> Result<Vec<u8>, ProbeError> {
        let mut line = Vec::new();
        let mut chunk = [0_u8; 512];
        while line.len() <= longest {
            let count = self.hear(&mut chunk).await?;
            let heard = chunk.get(..count).unwrap_or_default();
            if heard.is_empty() {
                return Err(if line.is_empty() {
                    ProbeError::Closed
                } else {
                    ProbeError::OtherProtocol(protocol)
                });
            }
            line.extend_from_slice(heard);
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                if line.ends_with(b"\r") {
                    line.pop();
                }
                return Ok(line);
            }
        }
        Err(ProbeError::OtherProtocol(protocol))
    }
}

const NOT_LISTENING: &str = "it did not listen";

/// What comes of this until then; `what` has not happened in time where that is over.
pub(super) async fn in_time<T>(
    until: Instant,
    what: &'static str,
    doing: impl Future<Output = T>,
) -> Result<T, ProbeError> {
    timeout_at(until.into(), doing)
        .await
        .map_err(|_| ProbeError::TimedOut(what))
}

async fn connect_tcp(place: &str, until: Instant) -> Result<TcpStream, ProbeError> {
    const NO_CONNECTION: &str = "no connection came about";
    let addresses = resolve(place, until).await?;
    let mut trouble = ProbeError::NoAddress(place.to_owned(), "it has none".to_owned());
    let count = addresses.len();
    for (tried, address) in addresses.into_iter().enumerate() {
        let share = Instant::now() + share(until, count - tried, NO_CONNECTION)?;
        match in_time(share, NO_CONNECTION, TcpStream::connect(address)).await {
            Ok(Ok(socket)) if is_with_itself(&socket) => trouble = ProbeError::Refused,
            Ok(Ok(socket)) => {
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Ok(Err(error)) => trouble = connect_trouble(error),
            Err(late) => trouble = late,
        }
    }
    Err(trouble)
}

/// Connects to a Unix socket of whatever type, and leaves it at that.
pub(super) async fn unix_any(path: &Path, until: Instant) -> Result<(), ProbeError> {
    let mut trouble = ProbeError::NoSocket;
    for kind in [SocketType::STREAM, SocketType::SEQPACKET, SocketType::DGRAM] {
        match unix_socket(path, kind, until).await {
            Ok(_) => return Ok(()),
            // It is there, and of another type.
            Err(ProbeError::Failed(_, error))
                if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) =>
            {
                trouble = ProbeError::Failed("connecting", error);
            }
            Err(other) => return Err(other),
        }
    }
    Err(trouble)
}

async fn unix_socket(path: &Path, kind: SocketType, until: Instant) -> Result<OwnedFd, ProbeError> {
    let address = SocketAddrUnix::new(path)
        .map_err(|_| ProbeError::BadAddress("the path is too long for a socket".to_owned()))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)
        .map_err(|error| ProbeError::Failed("connecting", error.into()))?;
    loop {
        return match connect(&socket, &address) {
            Ok(()) => Ok(socket),
            Err(Errno::INTR) => continue,
            // Its queue is full (unix(7)).
            Err(Errno::AGAIN) => {
                let left = left(until, "it took no connection")?;
                sleep(left.min(FULL_QUEUE)).await;
                continue;
            }
            Err(Errno::NOENT) => Err(ProbeError::NoSocket),
            Err(error) => Err(connect_trouble(error.into())),
        };
    }
}

/// The addresses of `host:port`. Asking a resolver can hang; see [`outlived_by_caller`].
async fn resolve(place: &str, until: Instant) -> Result<Vec<SocketAddr>, ProbeError> {
    if let Ok(address) = place.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let well_formed = place
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !well_formed {
        return Err(ProbeError::BadAddress(format!(
            "`{place}` is not `host:port`, such as `127.0.0.1:80`"
        )));
    }
    let asked = place.to_owned();
    let found = outlived_by_caller(until, "looking up a name", move || {
        asked
            .to_socket_addrs()
            .map(|found| found.take(8).collect::<Vec<_>>())
    })
    .await;
    match found {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(ProbeError::NoAddress(place.to_owned(), error.to_string())),
        Err(failure) if failure.is("deadline") => {
            Err(ProbeError::TimedOut("its name was not looked up"))
        }
        Err(failure) => Err(ProbeError::NoAddress(place.to_owned(), failure.message)),
    }
}

/// A connection to a free local port of the dynamic range can come about with
/// itself: both ends are the same, and nobody listens.
fn is_with_itself(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(here), Ok(there)) => here == there,
        _ => false,
    }
}

/// How long the first of so many addresses may take: one that never answers must leave
/// time for the others.
pub(super) fn share(
    until: Instant,
    addresses: usize,
    what: &'static str,
) -> Result<Duration, ProbeError> {
    let addresses = u32::try_from(addresses).unwrap_or(1).max(1);
    Ok((left(until, what)? / addresses).max(Duration::from_millis(1)))
}

/// How long there is until then; `what` has not happened in time where that is over.
pub(super) fn left(until: Instant, what: &'static str) -> Result<Duration, ProbeError> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(ProbeError::TimedOut(what))
    } else {
        Ok(left.max(Duration::from_millis(1)))
    }
}

fn connect_trouble(error: io::Error) -> ProbeError {
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeError::Refused,
        // The kernel's own patience may end first.
        ErrorKind::TimedOut => ProbeError::TimedOut("no connection came about"),
        _ => ProbeError::Failed("connecting", error),
    }
}

fn talk_trouble(error: io::Error, doing: &'static str) -> ProbeError {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::UnexpectedEof
        | ErrorKind::WriteZero => ProbeError::Closed,
        _ if tls::is_no_tls(&error) => ProbeError::OtherProtocol("TLS"),
        _ => ProbeError::Failed(doing, error),
    }
}
