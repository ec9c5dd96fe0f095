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

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    builder::Builder,
    command::Output,
    container::Container,
    follow::{self, Journal},
    kernel::Guest,
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
    inside: Inside,
    journal: Arc<Journal>,
    runs: AtomicU64,
    boot_took: Duration,
}

/// Which way leads inside.
#[derive(Debug)]
enum Inside {
    Container(Container),
    Guest(Guest),
}

impl Machine {
    /// Describes a machine to boot.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn container(boot: impl FnOnce(&Arc<Journal>) -> Result<Container>) -> Result<Self> {
        Self::up(|journal| boot(journal).map(Inside::Container))
    }

    pub(crate) fn guest(resume: impl FnOnce(&Arc<Journal>) -> Result<Guest>) -> Result<Self> {
        Self::up(|journal| resume(journal).map(Inside::Guest))
    }

    fn up(boot: impl FnOnce(&Arc<Journal>) -> Result<Inside>) -> Result<Self> {
        let started = Instant::now();
        let journal = Arc::default();
        let inside = boot(&journal)?;
        Ok(Self {
            inside,
            journal,
            runs: AtomicU64::new(0),
            boot_took: started.elapsed(),
        })
    }

    /// What only a container can do. One with a kernel of its own is thrown away where
    /// another one would boot again.
    fn as_container(&self) -> Result<&Container> {
        match &self.inside {
            Inside::Container(container) => Ok(container),
            Inside::Guest(_) => bail!("only a container can do this"),
        }
    }

    fn as_container_mut(&mut self) -> Result<&mut Container> {
        match &mut self.inside {
            Inside::Container(container) => Ok(container),
            Inside::Guest(_) => bail!("only a container can do this"),
        }
    }

    /// Runs a program that only talks to the machine's init, or reads its journal: not as a
    /// unit.
    fn enter(&self, program: &[&str]) -> Result<Output> {
        match &self.inside {
            Inside::Container(container) => container.run(program),
            Inside::Guest(guest) => guest.run(program),
        }
    }

    fn console(&self) -> String {
        match &self.inside {
            Inside::Container(container) => container.console(),
            Inside::Guest(guest) => guest.console(),
        }
    }

    /// Its name, unique on the host.
    pub fn name(&self) -> &str {
        match &self.inside {
            Inside::Container(container) => container.name(),
            Inside::Guest(guest) => guest.name(),
        }
    }

    /// How long it took to come up.
    pub fn boot_took(&self) -> Duration {
        self.boot_took
    }

    /// Where a path of a container's own disk (not under `/run`, `/tmp` or `/usr`) lies
    /// on the host: to tell what kind of disk it is.
    ///
    /// # Errors
    /// When the machine is no container.
    pub fn host_path(&self, guest: impl AsRef<Path>) -> Result<PathBuf> {
        Ok(self.as_container()?.host_path(guest.as_ref()))
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
        self.enter(&all)
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
        self.enter(&all)
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
        let text = self.enter(&all)?.into_stdout(&all.join(" "))?;
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
        match &self.inside {
            Inside::Container(container) => {
                container
                    .root()?
                    .write(path.as_ref(), content.as_ref(), mode)
            }
            Inside::Guest(guest) => guest.write(path.as_ref(), content.as_ref(), mode),
        }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<String> {
        match &self.inside {
            Inside::Container(container) => container.root()?.read(path.as_ref()),
            Inside::Guest(guest) => guest.read(path.as_ref()),
        }
    }

    /// Whether anything, be it a dangling link, is at a path.
    ///
    /// # Errors
    /// When the machine is down.
    pub fn exists(&self, path: impl AsRef<Path>) -> Result<bool> {
        match &self.inside {
            Inside::Container(container) => Ok(container.root()?.exists(path.as_ref())),
            Inside::Guest(guest) => guest.exists(path.as_ref()),
        }
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<()> {
        match &self.inside {
            Inside::Container(container) => container.root()?.remove(path.as_ref()),
            Inside::Guest(guest) => guest.remove(path.as_ref()),
        }
    }

    /// Whether a container runs: false when it went down by itself.
    pub fn is_up(&self) -> bool {
        self.as_container().is_ok_and(Container::is_up)
    }

    /// How often a container has been booted.
    pub fn boots(&self) -> u32 {
        self.as_container().map_or(1, Container::boots)
    }

    /// Reboots a container in good order, and waits until it is up again.
    ///
    /// # Errors
    /// When it does not come up, or is no container.
    pub fn reboot(&mut self) -> Result<()> {
        let boots = self.as_container()?.boots();
        self.systemctl(&["--no-block", "reboot"])?;
        self.as_container_mut()?.come_up(boots + 1)
    }

    /// Cuts a container's power, and boots it again.
    ///
    /// # Errors
    /// When it does not come up, or is no container.
    pub fn power_cut(&mut self) -> Result<()> {
        self.as_container_mut()?.power_cut()
    }

    /// Waits until the container, by itself, goes down and comes up again.
    ///
    /// # Errors
    /// When it does not in time, or is no container.
    pub fn wait_reboot(&mut self, after_boots: u32) -> Result<()> {
        self.as_container_mut()?.come_up(after_boots + 1)
    }

    /// Shuts a container down in good order, and waits until it is down.
    ///
    /// # Errors
    /// When it does not go down, or is no container.
    pub fn poweroff(&mut self) -> Result<()> {
        self.as_container()?;
        self.systemctl(&["--no-block", "poweroff"])?;
        self.as_container()?.wait_down()
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
                self.console()
            );
        }
    }
}
