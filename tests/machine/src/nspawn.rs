//! The container manager of one machine, and what it tells about it.
//!
//! systemd-nspawn reports over a notification socket: the process id of the
//! machine's init, and then, passed on from that init, that it is ready. A
//! machine that reboots is started again, with a new init: by the same nspawn
//! where systemd manages it, else by us, when nspawn ends with [`REBOOT`].

use std::{
    fs::{self, File},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::{cgroup, house::House};

/// What we send to our own socket to end the thread that reads it.
const END: &str = "X_MACHINE_END=1";

/// nspawn's exit code when the machine asked for a reboot and nspawn, with
/// `--keep-unit`, leaves that to whoever started it.
pub(crate) const REBOOT: i32 = 133;

/// What is known of the machine.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    /// How often it was started.
    pub(crate) boots: u32,
    /// Its init, by the host's number.
    pub(crate) leader: Option<i32>,
    /// Whether that init has said that it is ready.
    pub(crate) ready: bool,
    /// nspawn's exit code, when it has ended; -1 after a signal.
    pub(crate) ended: Option<i32>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A running systemd-nspawn.
#[derive(Debug)]
pub(crate) struct Nspawn {
    shared: Arc<Shared>,
    pidfd: OwnedFd,
    socket: Arc<UnixDatagram>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Nspawn {
    /// Starts a machine that was booted `boots` times before.
    pub(crate) fn start(house: &House, arguments: &[String], boots: u32) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        // An abstract name: a path in a deep folder may be too long for one.
        // With a number, since a restart comes before the old one is let go.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}/{number}", house.name);
        let address = SocketAddr::from_abstract_name(&name)?;
        let socket = Arc::new(UnixDatagram::bind_addr(&address)?);
        let console = File::create(house.dir.join("console"))?;

        let mut command = if cgroup::by_systemd() {
            Command::new("systemd-nspawn")
        } else {
            let group = cgroup::path(&house.name)
                .context("a test machine needs a cgroup2 hierarchy, and none is mounted")?;
            fs::create_dir_all(&group)
                .with_context(|| format!("cannot make the control group {}", group.display()))?;
            // A process can only be put there before it forks, so a shell does
            // it and becomes nspawn.
            let mut command = Command::new("sh");
            command
                .args(["-c", r#"echo $$ >"$1" && shift && exec "$@""#, "sh"])
                .arg(group.join("cgroup.procs"))
                .args(["systemd-nspawn", "--keep-unit"]);
            command
        };
        let mut child = command
            .args(arguments)
            .env("NOTIFY_SOCKET", format!("@{name}"))
            // Version 2 inside, on hosts that mount version 1 as well.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .context("cannot start systemd-nspawn")?;
        house.note_manager(child.id())?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pidfd = pidfd_open(
            pid.context("a process without a number")?,
            PidfdFlags::empty(),
        )?;

        let shared = Arc::new(Shared::default());
        shared.update(|state| state.boots = boots);
        let reader = thread::spawn({
            let (shared, socket) = (shared.clone(), socket.clone());
            move || read(&socket, &shared)
        });
        let waiter = thread::spawn({
            let shared = shared.clone();
            move || {
                let ended = child.wait().ok().and_then(|status| status.code());
                shared.update(|state| {
                    state.leader = None;
                    state.ready = false;
                    state.ended = Some(ended.unwrap_or(-1));
                });
            }
        });
        Ok(Self {
            shared,
            pidfd,
            socket,
            address,
            threads: vec![reader, waiter],
        })
    }

    /// Ends what there is and starts the machine again.
    pub(crate) fn restart(&mut self, house: &House, arguments: &[String]) -> Result<()> {
        self.end();
        cgroup::remove(&house.name);
        *self = Self::start(house, arguments, self.state().boots)?;
        Ok(())
    }

    pub(crate) fn state(&self) -> State {
        self.shared.lock().clone()
    }

    /// Waits until `done`, woken by every message of the machine.
    pub(crate) fn wait(
        &self,
        what: &str,
        timeout: Duration,
        done: impl Fn(&State) -> bool,
    ) -> Result<State> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{what} took longer than {timeout:?}: {state:?}");
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(state.clone())
    }
}

impl Nspawn {
    /// Ends the machine at once, as a power cut would, and waits until it is
    /// gone.
    pub(crate) fn end(&mut self) {
        let init = self.state().leader.and_then(|pid| {
            let pid = Pid::from_raw(pid)?;
            pidfd_open(pid, PidfdFlags::empty()).ok()
        });
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        // The init outlives nspawn; everything else in the machine dies with
        // the init. Until then they may still write files.
        if let Some(init) = init {
            let _ = pidfd_send_signal(&init, Signal::KILL);
            let limit = Timespec {
                tv_sec: 10,
                tv_nsec: 0,
            };
            let _ = poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&limit));
        }
        let _ = self.socket.send_to_addr(END.as_bytes(), &self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Nspawn {
    fn drop(&mut self) {
        self.end();
    }
}

/// Follows what nspawn tells (sd_notify(3): `KEY=VALUE` lines).
fn read(socket: &UnixDatagram, shared: &Shared) {
    let mut buffer = [0u8; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        for line in text.lines() {
            if line == END {
                return;
            }
            match line.split_once('=') {
                Some(("X_NSPAWN_LEADER_PID", pid)) => shared.update(|state| {
                    state.boots += 1;
                    state.leader = pid.parse().ok();
                    state.ready = false;
                }),
                Some(("READY", "1")) => shared.update(|state| state.ready = true),
                // A reboot or a shutdown: that init is gone.
                Some(("STOPPING", "1")) => shared.update(|state| {
                    state.leader = None;
                    state.ready = false;
                }),
                _ => shared.changed.notify_all(),
            }
        }
    }
}

/// The last lines of what the machine and nspawn wrote to the console.
pub(crate) fn console(dir: &Path) -> String {
    fs::read_to_string(dir.join("console")).unwrap_or_default()
}
