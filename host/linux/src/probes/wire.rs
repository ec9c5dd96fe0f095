//! A conversation over a socket that is over at a given moment, however slowly
//! the other side talks.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    os::{fd::OwnedFd, unix::net::UnixStream},
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

use crate::timeout::with_timeout;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The declaration itself is wrong.
    #[error("{0}")]
    BadAddress(String),
    #[error("`{0}` has no address: {1}")]
    NoAddress(String, String),
    #[error("nobody listens there")]
    Refused,
    #[error("there is no socket")]
    NoSocket,
    /// What did not happen in time.
    #[error("{0} in time")]
    TimedOut(&'static str),
    #[error("it closed the connection without an answer")]
    Closed,
    #[error("it does not speak {0}")]
    OtherProtocol(&'static str),
    #[error("{0} failed: {1}")]
    Failed(&'static str, io::Error),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection, and the moment by which all must be said.
pub(super) struct Talk {
    stream: Stream,
    until: Instant,
}

impl Talk {
    /// Connects to `host:port`: to each of its addresses until one answers.
    pub(super) fn tcp(place: &str, until: Instant) -> Result<Self, Trouble> {
        let addresses = resolve(place, until)?;
        let mut trouble = Trouble::NoAddress(place.to_owned(), "it has none".to_owned());
        let count = addresses.len();
        for (tried, address) in addresses.into_iter().enumerate() {
            // An address that never answers must leave time for the others.
            let others = u32::try_from(count - tried).unwrap_or(1).max(1);
            let share = left(until, "no connection came about")? / others;
            match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
                Ok(stream) if is_with_itself(&stream) => trouble = Trouble::Refused,
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(Self {
                        stream: Stream::Tcp(stream),
                        until,
                    });
                }
                Err(error) => trouble = connect_trouble(error),
            }
        }
        Err(trouble)
    }

    /// Connects to a stream socket.
    pub(super) fn unix(path: &Path, until: Instant) -> Result<Self, Trouble> {
        let socket = unix_socket(path, SocketType::STREAM, until)?;
        Ok(Self {
            stream: Stream::Unix(UnixStream::from(socket)),
            until,
        })
    }

    /// Says something.
    pub(super) fn say(&mut self, mut bytes: &[u8]) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            let left = left(self.until, "it did not listen")?;
            let written = match &mut self.stream {
                Stream::Tcp(stream) => stream
                    .set_write_timeout(Some(left))
                    .and_then(|()| stream.write(bytes)),
                Stream::Unix(stream) => stream
                    .set_write_timeout(Some(left))
                    .and_then(|()| stream.write(bytes)),
            };
            match written {
                Ok(0) => return Err(Trouble::Closed),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) => talk_trouble(error, "talking to it", "it did not listen")?,
            }
        }
        Ok(())
    }

    /// Hears what comes next, at most the length of `buffer`; 0 when the other
    /// side has said all it will.
    pub(super) fn hear(&mut self, buffer: &mut [u8]) -> Result<usize, Trouble> {
        loop {
            let left = left(self.until, "it gave no answer")?;
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream
                    .set_read_timeout(Some(left))
                    .and_then(|()| stream.read(buffer)),
                Stream::Unix(stream) => stream
                    .set_read_timeout(Some(left))
                    .and_then(|()| stream.read(buffer)),
            };
            match read {
                Ok(count) => return Ok(count),
                Err(error) => talk_trouble(error, "listening to it", "it gave no answer")?,
            }
        }
    }

    /// Hears exactly `count` bytes.
    pub(super) fn hear_exactly(&mut self, count: usize) -> Result<Vec<u8>, Trouble> {
        let mut heard = vec![0; count];
        let mut at = 0;
        while let Some(rest) = heard.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.hear(rest)? {
                0 => return Err(Trouble::Closed),
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
    ) -> Result<Vec<u8>, Trouble> {
        let mut line = Vec::new();
        let mut chunk = [0_u8; 512];
        while line.len() <= longest {
            let count = self.hear(&mut chunk)?;
            let heard = chunk.get(..count).unwrap_or_default();
            if heard.is_empty() {
                return Err(if line.is_empty() {
                    Trouble::Closed
                } else {
                    Trouble::OtherProtocol(protocol)
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
        Err(Trouble::OtherProtocol(protocol))
    }
}

/// Connects to a Unix socket of whatever type, and leaves it at that.
pub(super) fn unix_any(path: &Path, until: Instant) -> Result<(), Trouble> {
    let mut trouble = Trouble::NoSocket;
    for kind in [SocketType::STREAM, SocketType::SEQPACKET, SocketType::DGRAM] {
        match unix_socket(path, kind, until) {
            Ok(_) => return Ok(()),
            // It is there, and of another type.
            Err(Trouble::Failed(_, error))
                if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) =>
            {
                trouble = Trouble::Failed("connecting", error);
            }
            Err(other) => return Err(other),
        }
    }
    Err(trouble)
}

fn unix_socket(path: &Path, kind: SocketType, until: Instant) -> Result<OwnedFd, Trouble> {
    let address = SocketAddrUnix::new(path)
        .map_err(|_| Trouble::BadAddress("the path is too long for a socket".to_owned()))?;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(|error| Trouble::Failed("connecting", error.into()))?;
    loop {
        // A full queue makes connect wait; only this bounds it (unix(7)).
        let left = left(until, "it took no connection")?;
        set_socket_timeout(&socket, Timeout::Send, Some(left))
            .map_err(|error| Trouble::Failed("connecting", error.into()))?;
        return match connect(&socket, &address) {
            Ok(()) => Ok(socket),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Err(Trouble::TimedOut("it took no connection")),
            Err(Errno::NOENT) => Err(Trouble::NoSocket),
            Err(error) => Err(connect_trouble(error.into())),
        };
    }
}

/// The addresses of `host:port`. Asking a resolver can hang; see [`with_timeout`].
fn resolve(place: &str, until: Instant) -> Result<Vec<SocketAddr>, Trouble> {
    if let Ok(address) = place.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let well_formed = place
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !well_formed {
        return Err(Trouble::BadAddress(format!(
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
        Ok(Err(error)) => Err(Trouble::NoAddress(place.to_owned(), error.to_string())),
        Err(failure) if failure.is("deadline") => {
            Err(Trouble::TimedOut("its name was not looked up"))
        }
        Err(failure) => Err(Trouble::NoAddress(place.to_owned(), failure.message)),
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

fn left(until: Instant, what: &'static str) -> Result<Duration, Trouble> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(Trouble::TimedOut(what))
    } else {
        // The kernel takes a timeout of nothing for no timeout at all.
        Ok(left.max(Duration::from_millis(1)))
    }
}

fn connect_trouble(error: io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::ConnectionRefused => Trouble::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            Trouble::TimedOut("no connection came about")
        }
        _ => Trouble::Failed("connecting", error),
    }
}

/// Nothing for what is only to be tried again.
fn talk_trouble(error: io::Error, doing: &'static str, late: &'static str) -> Result<(), Trouble> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Err(Trouble::TimedOut(late)),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            Err(Trouble::Closed)
        }
        _ => Err(Trouble::Failed(doing, error)),
    }
}
