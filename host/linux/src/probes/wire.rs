//! A conversation over a socket that is over at a given moment, however slowly
//! the other side talks.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};
use rustls::{ClientConnection, StreamOwned};

use super::{error::ProbeError, tls};
use crate::timeout::with_timeout;

/// A socket, of which no read and no write lasts beyond a given moment.
pub(super) struct Bounded<S> {
    socket: S,
    until: Instant,
}

impl<S: AsFd> Bounded<S> {
    fn bound(&self, which: Timeout) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        // The kernel takes a timeout of nothing for no timeout at all.
        let left = left.max(Duration::from_millis(1));
        Ok(set_socket_timeout(&self.socket, which, Some(left))?)
    }
}

impl<S: AsFd + Read> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bound(Timeout::Recv)?;
        self.socket.read(buffer)
    }
}

impl<S: AsFd + Write> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bound(Timeout::Send)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

trait Stream: Read + Write {
    /// The certificate that the other side has shown, in DER.
    fn certificate(&self) -> Option<&[u8]> {
        None
    }
}

impl<S: AsFd + Read + Write> Stream for Bounded<S> {}

impl Stream for StreamOwned<ClientConnection, Bounded<TcpStream>> {
    fn certificate(&self) -> Option<&[u8]> {
        let shown = self.conn.peer_certificates()?.first()?;
        Some(shown.as_ref())
    }
}

/// A connection on which all must be said by a given moment.
pub(super) struct Talk(Box<dyn Stream>);

impl Talk {
    /// Connects to `host:port`: to each of its addresses until one answers.
    pub(super) fn tcp(place: &str, until: Instant) -> Result<Self, ProbeError> {
        Ok(Self(Box::new(connect_tcp(place, until)?)))
    }

    /// The same, speaking TLS, and asking for `server_name` instead of the host of `place`.
    pub(super) fn tls(
        place: &str,
        server_name: Option<&str>,
        until: Instant,
    ) -> Result<Self, ProbeError> {
        let client = tls::client(place, server_name)?;
        let socket = connect_tcp(place, until)?;
        Ok(Self(Box::new(StreamOwned::new(client, socket))))
    }

    /// The certificate that the other side has shown, in DER; absent before anything was
    /// said, and where no TLS is spoken.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.0.certificate()
    }

    /// Connects to a stream socket.
    pub(super) fn unix(path: &Path, until: Instant) -> Result<Self, ProbeError> {
        let socket = unix_socket(path, SocketType::STREAM, until)?;
        let socket = UnixStream::from(socket);
        Ok(Self(Box::new(Bounded { socket, until })))
    }

    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), ProbeError> {
        self.0
            .write_all(bytes)
            .and_then(|()| self.0.flush())
            .map_err(|error| talk_trouble(error, "talking to it", "it did not listen"))
    }

    /// Hears what comes next, at most the length of `buffer`; 0 when the other
    /// side has said all it will.
    pub(super) fn hear(&mut self, buffer: &mut [u8]) -> Result<usize, ProbeError> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                heard => {
                    return heard.map_err(|error| {
                        talk_trouble(error, "listening to it", "it gave no answer")
                    });
                }
            }
        }
    }

    /// Hears exactly `count` bytes.
    pub(super) fn hear_exactly(&mut self, count: usize) -> Result<Vec<u8>, ProbeError> {
        let mut heard = vec![0; count];
        let mut at = 0;
        while let Some(rest) = heard.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.hear(rest)? {
                0 => return Err(ProbeError::Closed),
                more => at += more,
            }
        }
        Ok(heard)
    }

    /// Hears a line, without its end; `protocol` is what it does not speak when
    /// the line is longer than `longest`.
    pub(super) fn hear_line(
        &mut self,
        longest: usize,
        protocol: &'static str,
    ) -> Result<Vec<u8>, ProbeError> {
        let mut line = Vec::new();
        let mut chunk = [0_u8; 512];
        while line.len() <= longest {
            let count = self.hear(&mut chunk)?;
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

fn connect_tcp(place: &str, until: Instant) -> Result<Bounded<TcpStream>, ProbeError> {
    let addresses = resolve(place, until)?;
    let mut trouble = ProbeError::NoAddress(place.to_owned(), "it has none".to_owned());
    let count = addresses.len();
    for (tried, address) in addresses.into_iter().enumerate() {
        let share = share(until, count - tried, "no connection came about")?;
        match TcpStream::connect_timeout(&address, share) {
            Ok(socket) if is_with_itself(&socket) => trouble = ProbeError::Refused,
            Ok(socket) => {
                let _ = socket.set_nodelay(true);
                return Ok(Bounded { socket, until });
            }
            Err(error) => trouble = connect_trouble(error),
        }
    }
    Err(trouble)
}

/// Connects to a Unix socket of whatever type, and leaves it at that.
pub(super) fn unix_any(path: &Path, until: Instant) -> Result<(), ProbeError> {
    let mut trouble = ProbeError::NoSocket;
    for kind in [SocketType::STREAM, SocketType::SEQPACKET, SocketType::DGRAM] {
        match unix_socket(path, kind, until) {
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

fn unix_socket(path: &Path, kind: SocketType, until: Instant) -> Result<OwnedFd, ProbeError> {
    let address = SocketAddrUnix::new(path)
        .map_err(|_| ProbeError::BadAddress("the path is too long for a socket".to_owned()))?;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(|error| ProbeError::Failed("connecting", error.into()))?;
    loop {
        // A full queue makes connect wait; only this bounds it (unix(7)).
        let left = left(until, "it took no connection")?;
        set_socket_timeout(&socket, Timeout::Send, Some(left))
            .map_err(|error| ProbeError::Failed("connecting", error.into()))?;
        return match connect(&socket, &address) {
            Ok(()) => Ok(socket),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Err(ProbeError::TimedOut("it took no connection")),
            Err(Errno::NOENT) => Err(ProbeError::NoSocket),
            Err(error) => Err(connect_trouble(error.into())),
        };
    }
}

/// The addresses of `host:port`. Asking a resolver can hang; see [`with_timeout`].
fn resolve(place: &str, until: Instant) -> Result<Vec<SocketAddr>, ProbeError> {
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
    let found = with_timeout(until, "looking up a name", move || {
        asked
            .to_socket_addrs()
            .map(|found| found.take(8).collect::<Vec<_>>())
    });
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
        // The kernel takes a timeout of nothing for no timeout at all.
        Ok(left.max(Duration::from_millis(1)))
    }
}

fn connect_trouble(error: io::Error) -> ProbeError {
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeError::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            ProbeError::TimedOut("no connection came about")
        }
        _ => ProbeError::Failed("connecting", error),
    }
}

fn talk_trouble(error: io::Error, doing: &'static str, late: &'static str) -> ProbeError {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => ProbeError::TimedOut(late),
        ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::UnexpectedEof
        | ErrorKind::WriteZero => ProbeError::Closed,
        _ if tls::is_no_tls(&error) => ProbeError::OtherProtocol("TLS"),
        _ => ProbeError::Failed(doing, error),
    }
}
