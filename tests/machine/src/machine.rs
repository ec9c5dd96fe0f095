//! A machine that is up.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    TIMEOUT,
    builder::Builder,
    command::{self, Output, enter},
    files::Root,
    follow::{self, Follower, Journal},
    house::House,
    nspawn::{self, Nspawn},
};

/// What a condition waits for at most before it is looked at again without any
/// news: for changes that leave no trace in the journal.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// So many journal entries are shown when a test fails.
const TAIL: usize = 250;

/// A machine that is up. Dropping it ends it and removes all it had; in a
/// panicking test its journal goes to the standard error first.
#[derive(Debug)]
pub struct Machine {
    nspawn: Nspawn,
    journal: Arc<Journal>,
    follower: Option<Follower>,
    arguments: Vec<String>,
    runs: AtomicU64,
    boot_took: Duration,
    house: House,
}

impl Machine {
    /// Describes a machine to boot.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn boot(house: House, mut arguments: Vec<String>) -> Result<Self> {
        arguments.push(format!("--machine={}", house.name));
        arguments.push("systemd.unit=multi-user.target".to_owned());
        let started = Instant::now();
        let nspawn = Nspawn::start(&house, &arguments, 0)?;
        let mut machine = Self {
            nspawn,
            journal: Arc::default(),
            follower: None,
            arguments,
            runs: AtomicU64::new(0),
            boot_took: Duration::ZERO,
            house,
        };
        machine.come_up(1)?;
        machine.boot_took = started.elapsed();
        Ok(machine)
    }

    /// Waits until the machine has come up, in its `boot`th boot.
    fn come_up(&mut self, boot: u32) -> Result<()> {
        let mut come_up = || -> Result<()> {
            loop {
                let state = self.nspawn.wait("booting", TIMEOUT, |state| {
                    state.ended.is_some() || (state.boots >= boot && state.ready)
                })?;
                match state.ended {
                    None => break,
                    Some(nspawn::REBOOT) => self.nspawn.restart(&self.house, &self.arguments)?,
                    Some(code) => bail!("systemd-nspawn ended with {code}"),
                }
            }
            let leader = self.leader()?;
            let deadline = Instant::now() + TIMEOUT;
            loop {
                // Its init is ready before its bus is; with it, this waits.
                let wait = ["systemctl", "is-system-running", "--wait"];
                let answer = command::run(&mut enter(leader, &wait))?;
                if matches!(answer.stdout.trim(), "running" | "degraded") {
                    return Ok(());
                }
                ensure!(
                    Instant::now() < deadline,
                    "it does not come up: {} {}",
                    answer.stdout.trim(),
                    answer.stderr.trim()
                );
                thread::sleep(Duration::from_millis(5));
            }
        };
        come_up().with_context(|| {
            format!(
                "the machine did not boot; its console says\n{}",
                nspawn::console(&self.house.dir)
            )
        })?;
        // Anew at every boot: journalctl loses a journal that a power cut left
        // unfinished and the next boot put aside. The old one goes first, so
        // that the new one knows how far it came.
        self.follower = None;
        let dir = self.host_path("/var/log/journal");
        self.follower = Some(self.journal.follow(&dir)?);
        Ok(())
    }

    fn leader(&self) -> Result<i32> {
        self.nspawn.state().leader.context("the machine is down")
    }

    fn root(&self) -> Result<Root> {
        Root::open(Path::new(&format!("/proc/{}/root", self.leader()?)))
    }

    /// Its name, unique on the host.
    pub fn name(&self) -> &str {
        &self.house.name
    }

    /// How long it took to come up.
    pub fn boot_took(&self) -> Duration {
        self.boot_took
    }

    /// Where a path of its own disk (not under `/run`, `/tmp` or `/usr`) lies
    /// on the host: to tell what kind of disk it is.
    pub fn host_path(&self, guest: impl AsRef<Path>) -> PathBuf {
        let guest = guest.as_ref();
        self.house
            .root()
            .join(guest.strip_prefix("/").unwrap_or(guest))
    }

    /// Runs a command as root, as a unit of the machine's init, to its end.
    ///
    /// # Errors
    /// When it cannot be started at all. What it ended with is in the output.
    pub fn run(&self, command: &[&str]) -> Result<Output> {
        self.run_with(&[], command)
    }

    /// [`run`](Self::run) with properties of the unit, such as
    /// `["User=nobody"]` or `["StandardInputText=yes"]`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(&self, properties: &[&str], command: &[&str]) -> Result<Output> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let unit = format!("--unit={}{number}", follow::OWN_UNITS);
        let mut all = vec!["systemd-run", "--wait", "--pipe", "--collect", "--quiet"];
        all.push(&unit);
        // So that nothing waits for ever.
        all.extend(["--property", "RuntimeMaxSec=120"]);
        for property in properties {
            all.extend(["--property", property]);
        }
        all.push("--");
        all.extend(command);
        command::run(&mut enter(self.leader()?, &all))
    }

    /// Runs a command that has to succeed, and returns its standard output.
    ///
    /// # Errors
    /// When it does not end with success; the error shows what it said.
    pub fn run_ok(&self, command: &[&str]) -> Result<String> {
        self.run(command)?.into_stdout(&command.join(" "))
    }

    /// Runs the machine's `systemctl`, which has to succeed.
    ///
    /// # Errors
    /// When it does not; the error shows what it said.
    pub fn systemctl(&self, arguments: &[&str]) -> Result<String> {
        self.try_systemctl(arguments)?
            .into_stdout(&format!("systemctl {}", arguments.join(" ")))
    }

    /// Runs the machine's `systemctl`, whatever comes of it.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn try_systemctl(&self, arguments: &[&str]) -> Result<Output> {
        let mut all = vec!["systemctl"];
        all.extend(arguments);
        command::run(&mut enter(self.leader()?, &all))
    }

    /// One property of a unit, as `systemctl show` prints it.
    ///
    /// # Errors
    /// When init does not answer.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let shown = self.systemctl(&["show", "--value", "--property", name, "--", unit])?;
        Ok(shown.trim_end().to_owned())
    }

    /// Writes a unit file and has init read it.
    ///
    /// # Errors
    /// When it cannot be written, or init does not answer.
    pub fn add_unit(&self, name: &str, content: &str) -> Result<()> {
        self.write_file(format!("/etc/systemd/system/{name}"), content, 0o644)?;
        self.systemctl(&["daemon-reload"]).map(drop)
    }

    /// Waits until `look` finds what it looks for. It is called again whenever
    /// there is something new in the machine's journal, and now and then
    /// without.
    ///
    /// # Errors
    /// When the time is up (the message names `what`), or `look` fails.
    pub fn wait_for<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        loop {
            // Before looking: what comes during the look is news for the next.
            let seen = self.journal.news();
            if let Some(found) = look()? {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("waited {timeout:?} in vain for {what}");
            }
            self.journal.wait_news(seen, left.min(LOOK_AGAIN));
        }
    }

    /// Waits until a unit's ActiveState is `state`.
    ///
    /// # Errors
    /// When the time is up; the message says in which state it is.
    pub fn wait_until(&self, unit: &str, state: &str, timeout: Duration) -> Result<()> {
        let mut last = String::new();
        self.wait_for(&format!("{unit} to be {state}"), timeout, || {
            last = self.property(unit, "ActiveState")?;
            Ok((last == state).then_some(()))
        })
        .with_context(|| format!("{unit} is {last}"))
    }

    /// Waits until a unit is active.
    ///
    /// # Errors
    /// When the time is up; the message says in which state it is.
    pub fn wait_active(&self, unit: &str, timeout: Duration) -> Result<()> {
        self.wait_until(unit, "active", timeout)
    }

    /// Waits for a journal entry, of whenever, that `is_it`.
    ///
    /// # Errors
    /// When the time is up.
    pub fn wait_entry(
        &self,
        what: &str,
        timeout: Duration,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.wait_for(what, timeout, || {
            Ok(self.entries().into_iter().find(&is_it))
        })
    }

    /// Every journal entry so far, of all boots, in order.
    pub fn entries(&self) -> Vec<Value> {
        self.journal.entries()
    }

    /// What `journalctl --output=json` with these arguments says.
    ///
    /// # Errors
    /// When it fails.
    pub fn journal(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let mut all = vec!["journalctl", "--quiet", "--no-pager", "--output=json"];
        all.extend(arguments);
        let text = command::run(&mut enter(self.leader()?, &all))?.into_stdout(&all.join(" "))?;
        text.lines()
            .map(|line| serde_json::from_str(line).context("the journal is not JSON"))
            .collect()
    }

    /// Puts a file in place, with its folders, at once and complete.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_file(
        &self,
        path: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<()> {
        self.root()?.write(path.as_ref(), content.as_ref(), mode)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<String> {
        self.root()?.read(path.as_ref())
    }

    /// Whether anything, be it a dangling link, is at a path.
    ///
    /// # Errors
    /// When the machine is down.
    pub fn exists(&self, path: impl AsRef<Path>) -> Result<bool> {
        Ok(self.root()?.exists(path.as_ref()))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<()> {
        self.root()?.remove(path.as_ref())
    }

    /// Whether it runs: false when it went down by itself.
    pub fn is_up(&self) -> bool {
        self.nspawn.state().leader.is_some()
    }

    /// How often it has been booted.
    pub fn boots(&self) -> u32 {
        self.nspawn.state().boots
    }

    /// Reboots it in good order, and waits until it is up again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn reboot(&mut self) -> Result<()> {
        let boots = self.boots();
        self.systemctl(&["--no-block", "reboot"])?;
        self.come_up(boots + 1)
    }

    /// Cuts its power, and boots it again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn power_cut(&mut self) -> Result<()> {
        let boots = self.boots();
        self.nspawn.restart(&self.house, &self.arguments)?;
        self.come_up(boots + 1)
    }

    /// Waits until the machine, by itself, goes down and comes up again.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_reboot(&mut self, after_boots: u32) -> Result<()> {
        self.come_up(after_boots + 1)
    }

    /// Shuts it down in good order, and waits until it is down.
    ///
    /// # Errors
    /// When it does not go down.
    pub fn poweroff(&mut self) -> Result<()> {
        self.systemctl(&["--no-block", "poweroff"])?;
        self.nspawn
            .wait("shutting down", TIMEOUT, |state| state.ended.is_some())
            .map(drop)
    }

    /// The end of its journal, for people.
    pub fn tail(&self) -> String {
        self.journal.tail(TAIL)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "---- the last of {}'s journal ----\n{}---- console ----\n{}----",
                self.name(),
                self.tail(),
                nspawn::console(&self.house.dir)
            );
        }
        self.nspawn.end();
    }
}
