//! A machine that is a container: it shares the host's kernel.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    TIMEOUT,
    command::{self, Output, enter},
    files::Root,
    follow::{Follower, Journal},
    house::House,
    nspawn::{self, Nspawn},
};

/// A running container.
#[derive(Debug)]
pub(crate) struct Container {
    nspawn: Nspawn,
    follower: Option<Follower>,
    journal: Arc<Journal>,
    arguments: Vec<String>,
    house: House,
}

impl Container {
    /// Starts it, and waits until it is up.
    pub(crate) fn boot(
        house: House,
        mut arguments: Vec<String>,
        journal: &Arc<Journal>,
    ) -> Result<Self> {
        arguments.push(format!("--machine={}", house.name));
        arguments.push("systemd.unit=multi-user.target".to_owned());
        let mut container = Self {
            nspawn: Nspawn::start(&house, &arguments, 0)?,
            follower: None,
            journal: journal.clone(),
            arguments,
            house,
        };
        container.come_up(1)?;
        Ok(container)
    }

    /// Waits until it has come up, in its `boot`th boot.
    pub(crate) fn come_up(&mut self, boot: u32) -> Result<()> {
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
            let deadline = Instant::now() + TIMEOUT;
            loop {
                // Its init is ready before its bus is; with it, this waits.
                let answer = self.run(&["systemctl", "is-system-running", "--wait"])?;
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
                self.console()
            )
        })?;
        // Anew at every boot: journalctl loses a journal that a power cut left
        // unfinished and the next boot put aside. The old one goes first, so
        // that the new one knows how far it came.
        self.follower = None;
        let dir = self.host_path(Path::new("/var/log/journal"));
        self.follower = Some(self.journal.follow(&dir)?);
        Ok(())
    }

    fn leader(&self) -> Result<i32> {
        self.nspawn.state().leader.context("the machine is down")
    }

    /// Its root folder.
    pub(crate) fn root(&self) -> Result<Root> {
        Root::open(Path::new(&format!("/proc/{}/root", self.leader()?)))
    }

    /// Runs a program that only talks to its init, or reads its journal.
    pub(crate) fn run(&self, program: &[&str]) -> Result<Output> {
        command::run(&mut enter(self.leader()?, program))
    }

    /// Its name, unique on the host.
    pub(crate) fn name(&self) -> &str {
        &self.house.name
    }

    /// The last lines that it, and its manager, wrote.
    pub(crate) fn console(&self) -> String {
        nspawn::console(&self.house.dir)
    }

    /// Where a path of its own disk lies on the host.
    pub(crate) fn host_path(&self, guest: &Path) -> PathBuf {
        self.house
            .root()
            .join(guest.strip_prefix("/").unwrap_or(guest))
    }

    /// Whether it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.nspawn.state().leader.is_some()
    }

    /// How often it has been booted.
    pub(crate) fn boots(&self) -> u32 {
        self.nspawn.state().boots
    }

    /// Cuts its power, and boots it again.
    pub(crate) fn power_cut(&mut self) -> Result<()> {
        let boots = self.boots();
        self.nspawn.restart(&self.house, &self.arguments)?;
        self.come_up(boots + 1)
    }

    /// Waits until it is down.
    pub(crate) fn wait_down(&self) -> Result<()> {
        self.nspawn
            .wait("shutting down", TIMEOUT, |state| state.ended.is_some())
            .map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.nspawn.end();
    }
}
