//! Reading what a program writes.

use std::{os::fd::OwnedFd, thread::JoinHandle};

use prunella_core::{Failure, capability::Answer};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, fchmod, fcntl_getfl, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};

/// Of the output so much is kept: its end.
pub(crate) const OUTPUT: usize = 4096;
/// While the unit has ended, at most so much more output is read.
const REST: usize = 1024 * 1024;

fn wait_readable(fds: &mut [PollFd<'_>]) -> rustix::io::Result<()> {
    match poll(fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A pipe for a program's output, its end for reading without blocking.
pub(super) fn output_pipe() -> Answer<(OwnedFd, OwnedFd)> {
    let made = pipe_with(PipeFlags::CLOEXEC).and_then(|(reader, writer)| {
        fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
        // A program that is not root and opens /dev/stderr anew, as some do for
        // their log, needs permission for the pipe itself.
        fchmod(&writer, Mode::from_raw_mode(0o622))?;
        Ok((reader, writer))
    });
    made.map_err(|error| {
        Failure::unavailable(
            "no-pipe",
            format!("no pipe for a program's output: {error}"),
        )
    })
}

/// Reads a program's output while it runs, so that it never waits for us, and
/// keeps the end.
pub(super) struct Collector {
    thread: JoinHandle<Vec<u8>>,
    stop: OwnedFd,
}

impl Collector {
    pub(super) fn start(reader: OwnedFd) -> Answer<Self> {
        let no = |error: &dyn std::fmt::Display| {
            Failure::unavailable(
                "no-thread",
                format!("nothing to read a program's output with: {error}"),
            )
        };
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| no(&error))?;
        let thread = std::thread::Builder::new()
            .name("prunella-output".to_owned())
            .spawn(move || collect(&reader, &stopped))
            .map_err(|error| no(&error))?;
        Ok(Self { thread, stop })
    }

    /// The end of what was written; for when the program has ended.
    pub(super) fn finish(self) -> Vec<u8> {
        // A child left behind may still hold the pipe: what is there now is
        // read, and no more is waited for.
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn collect(reader: &OwnedFd, stopped: &OwnedFd) -> Vec<u8> {
    let mut kept = Vec::with_capacity(2 * OUTPUT);
    let mut chunk = vec![0_u8; 16 * 1024];
    let mut rest = None;
    loop {
        match rustix::io::read(reader, chunk.as_mut_slice()) {
            Ok(0) => break,
            Ok(read) => {
                kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
                if kept.len() > OUTPUT {
                    kept.drain(..kept.len() - OUTPUT);
                }
                if let Some(rest) = rest.as_mut() {
                    *rest += read;
                    if *rest > REST {
                        break;
                    }
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if rest.is_some() => break,
            Err(Errno::AGAIN) => {
                let mut fds = [
                    PollFd::new(reader, PollFlags::IN),
                    PollFd::new(stopped, PollFlags::IN),
                ];
                if wait_readable(&mut fds).is_err() {
                    break;
                }
                let [_, stop] = &fds;
                if !stop.revents().is_empty() {
                    rest = Some(0);
                }
            }
            Err(_) => break,
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_output_is_kept() {
        let (reader, writer) = output_pipe().unwrap();
        let collector = Collector::start(reader).unwrap();
        let mut file = std::fs::File::from(writer);
        for line in 0..100_000 {
            std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
        }
        drop(file);
        let kept = collector.finish();
        assert_eq!(kept.len(), OUTPUT);
        assert!(kept.ends_with(b"99998\n99999\n"));
    }

    #[test]
    fn a_pipe_that_stays_open_is_not_waited_for() {
        let (reader, writer) = output_pipe().unwrap();
        let collector = Collector::start(reader).unwrap();
        rustix::io::write(&writer, b"half a line").unwrap();
        assert_eq!(collector.finish(), b"half a line");
    }
}
