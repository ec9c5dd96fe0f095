//! A hold on one process, which never comes to mean another one.

use std::{io, os::fd::OwnedFd, time::Instant};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// A pidfd. Numbers of processes are used again; this is not.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

impl PidFd {
    /// Takes hold of a process.
    ///
    /// # Errors
    /// `NotFound` when there is none with that number.
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::NotFound)?;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(Self { fd }),
            // ESRCH has no kind of its own; EINVAL is a thread's number.
            Err(Errno::SRCH | Errno::INVAL) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it still runs. One that waits to be reaped does not: it holds
    /// nothing any more.
    pub fn alive(&self) -> bool {
        // Not being able to ask says nothing of the process.
        !self.ended_by(Instant::now()).unwrap_or(false)
    }

    /// Waits until it has ended; false when it still runs at `until`.
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn ended_by(&self, until: Instant) -> io::Result<bool> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a signal; false when it has ended already.
    ///
    /// # Errors
    /// `PermissionDenied` when that is not allowed.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::*;

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    #[test]
    fn it_tells_a_running_process_from_an_ended_one() {
        let mut child = sleeper();
        let held = PidFd::open(child.id()).unwrap();
        assert!(held.alive());
        assert!(held.signal(Signal::KILL).unwrap());
        let soon = Instant::now() + Duration::from_secs(10);
        assert!(held.ended_by(soon).unwrap());
        // A zombie: ended, but not yet reaped.
        assert!(!held.alive());
        child.wait().unwrap();
        assert!(!held.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn waiting_ends_in_time() {
        let mut child = sleeper();
        let held = PidFd::open(child.id()).unwrap();
        let until = Instant::now() + Duration::from_millis(20);
        assert!(!held.ended_by(until).unwrap());
        assert!(Instant::now() >= until);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn there_is_no_such_process() {
        for pid in [0, u32::MAX, i32::MAX as u32] {
            let error = PidFd::open(pid).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{pid}");
        }
    }
}
