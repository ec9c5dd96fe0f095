//! HAProxy's runtime API: a command goes in at its socket, an answer comes out, and HAProxy
//! closes. What it answers is text that is read up to a bound, by a deadline.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    fs::FileType,
    io::{Errno, ioctl_fionbio},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use crate::safe_path::{self, Rule, WalkError};

/// Of an answer: a server has a line of some 300 bytes.
const ANSWER: usize = 1 << 20;

/// HAProxy answers at once, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why HAProxy was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    #[error("HAProxy's socket is not there")]
    Missing,
    #[error("nobody listens on HAProxy's socket")]
    NobodyListens,
    #[error("HAProxy's socket is left alone: {0}")]
    Unsafe(String),
    #[error("HAProxy cannot be asked: {0}")]
    Io(std::io::Error),
    #[error("HAProxy did not answer within {} s", PATIENCE.as_secs())]
    TooLong,
    #[error("HAProxy's answer is longer than {} MiB", ANSWER >> 20)]
    TooMuch,
}

impl RuntimeError {
    /// Whether HAProxy does not run, as far as its socket shows.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self, Self::Missing | Self::NobodyListens)
    }
}

/// Has a command answered. It must not contain a line's end, nor a `;`.
pub(crate) fn ask(socket: &Path, command: &str) -> Result<String, RuntimeError> {
    let until = Instant::now() + PATIENCE;
    let mut stream = connected(socket)?;
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero())
            .then_some(left)
            .ok_or(RuntimeError::TooLong)
    };
    stream
        .set_write_timeout(Some(left()?))
        .and_then(|()| stream.write_all(format!("{command}\n").as_bytes()))
        .map_err(not_done)?;
    let mut answer = Vec::new();
    let mut part = [0; 8192];
    loop {
        stream
            .set_read_timeout(Some(left()?))
            .map_err(RuntimeError::Io)?;
        let count = match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(not_done(error)),
        };
        answer.extend(part.iter().take(count));
        if answer.len() > ANSWER {
            return Err(RuntimeError::TooMuch);
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn not_done(error: std::io::Error) -> RuntimeError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => RuntimeError::TooLong,
        _ => RuntimeError::Io(error),
    }
}

/// Connects to the very socket that was found at the path.
fn connected(path: &Path) -> Result<UnixStream, RuntimeError> {
    let found = safe_path::walk_to_folder(path, Rule::Change)
        .and_then(safe_path::Place::open)
        .map_err(|error| match error {
            WalkError::Missing | WalkError::MissingFolder => RuntimeError::Missing,
            error => RuntimeError::Unsafe(error.to_string()),
        })?;
    if found.kind() != FileType::Socket {
        return Err(RuntimeError::Unsafe("it is no socket".to_owned()));
    }
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", found.fd.as_raw_fd()));
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = address
        .and_then(|address| {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            connect(socket.as_fd(), &address)?;
            Ok(socket)
        })
        .map_err(|error| match error {
            Errno::CONNREFUSED => RuntimeError::NobodyListens,
            error => RuntimeError::Io(error.into()),
        })?;
    waits(&socket).map_err(|error| RuntimeError::Io(error.into()))?;
    Ok(UnixStream::from(socket))
}

/// From here on what is read and written is waited for, as long as its timeout says.
fn waits(socket: &OwnedFd) -> rustix::io::Result<()> {
    ioctl_fionbio(socket, false)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// What is asked, and what comes of it, with somebody who answers so.
    fn asked(answer: Vec<u8>) -> (String, Result<String, RuntimeError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = [0; 100];
            let count = stream.read(&mut heard).unwrap();
            // Whoever has read enough closes.
            let _ = stream.write_all(&answer);
            String::from_utf8_lossy(&heard[..count]).into_owned()
        });
        let result = ask(&path, "show info");
        (server.join().unwrap(), result)
    }

    #[test]
    fn a_command_is_answered() {
        let (heard, answer) = asked(b"Name: HAProxy\n\n".to_vec());
        assert_eq!(heard, "show info\n");
        assert_eq!(answer.unwrap(), "Name: HAProxy\n\n");
    }

    #[test]
    fn an_answer_without_end_is_not_read() {
        let (_, answer) = asked(vec![b'x'; 2 * ANSWER]);
        assert!(matches!(answer, Err(RuntimeError::TooMuch)), "{answer:?}");
    }

    #[test]
    fn what_is_no_socket_of_somebody_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        assert!(matches!(ask(&path, "x"), Err(RuntimeError::Missing)));
        drop(UnixListener::bind(&path).unwrap());
        assert!(matches!(ask(&path, "x"), Err(RuntimeError::NobodyListens)));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(ask(&file, "x"), Err(RuntimeError::Unsafe(_))));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(ask(&link, "x"), Err(RuntimeError::Unsafe(_))));
    }
}
