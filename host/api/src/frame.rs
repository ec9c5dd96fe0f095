//! One message on one line: reading it within limits, writing it.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use serde::Serialize;

/// Why no line came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The other side closed before it wrote anything.
    #[error("the connection was closed")]
    Closed,
    /// The other side closed in the middle of a line.
    #[error("the connection was closed in the middle of a message")]
    Half,
    /// The line is longer than the limit.
    #[error("the message is longer than {0} bytes")]
    TooLong(usize),
    /// The line was not complete in time.
    #[error("no complete message came in time")]
    TimedOut,
    /// Anything else.
    #[error("reading from the connection failed")]
    Io(#[source] io::Error),
}

/// Reads lines from a stream, each of at most `max` bytes.
pub(crate) struct Reader {
    stream: UnixStream,
    max: usize,
    pending: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(stream: UnixStream, max: usize) -> Self {
        Self {
            stream,
            max,
            pending: Vec::new(),
        }
    }

    /// The next line without its end. The time is for the whole line: a peer
    /// that sends one byte now and then gains nothing by it.
    pub(crate) fn line(&mut self, limit: Option<Duration>) -> Result<Vec<u8>, FrameError> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut searched = 0;
        let mut chunk = [0_u8; 8192];
        loop {
            let fresh = self.pending.get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.pending, rest);
                line.pop();
                if line.len() > self.max {
                    return Err(FrameError::TooLong(self.max));
                }
                return Ok(line);
            }
            searched = self.pending.len();
            if searched > self.max {
                return Err(FrameError::TooLong(self.max));
            }
            let left = match deadline {
                None => None,
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => Some(left),
                    _ => return Err(FrameError::TimedOut),
                },
            };
            self.stream.set_read_timeout(left).map_err(FrameError::Io)?;
            match self.stream.read(&mut chunk) {
                Ok(0) if self.pending.is_empty() => return Err(FrameError::Closed),
                Ok(0) => return Err(FrameError::Half),
                Ok(count) => self
                    .pending
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        return Err(FrameError::TimedOut);
                    }
                    io::ErrorKind::ConnectionReset => return Err(FrameError::Closed),
                    _ => return Err(FrameError::Io(error)),
                },
            }
        }
    }
}

/// Writes `message` as one line. The stream's write timeout applies.
pub(crate) fn write(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(max: usize) -> (UnixStream, Reader) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, Reader::new(theirs, max))
    }

    #[test]
    fn lines_come_one_by_one() {
        let (mut writer, mut reader) = pair(10);
        writer.write_all(b"one\ntwo\n\nha").unwrap();
        drop(writer);
        assert_eq!(reader.line(None).unwrap(), b"one");
        assert_eq!(reader.line(None).unwrap(), b"two");
        assert_eq!(reader.line(None).unwrap(), b"");
        assert!(matches!(reader.line(None), Err(FrameError::Half)));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let (mut writer, mut reader) = pair(3);
        writer.write_all(b"abc\nabcd\n").unwrap();
        assert_eq!(reader.line(None).unwrap(), b"abc");
        assert!(matches!(reader.line(None), Err(FrameError::TooLong(3))));
    }

    #[test]
    fn an_endless_line_is_refused_before_it_ends() {
        let (mut writer, mut reader) = pair(3);
        writer.write_all(b"abcdefgh").unwrap();
        assert!(matches!(reader.line(None), Err(FrameError::TooLong(3))));
    }

    #[test]
    fn silence_ends_in_time() {
        let (_writer, mut reader) = pair(3);
        let limit = Some(Duration::from_millis(20));
        assert!(matches!(reader.line(limit), Err(FrameError::TimedOut)));
    }

    #[test]
    fn a_peer_that_goes_away_is_noticed() {
        let (writer, mut reader) = pair(3);
        drop(writer);
        assert!(matches!(reader.line(None), Err(FrameError::Closed)));
    }
}
