//! A machine with Prunella in it, its disk, and this program to measure with.

use std::{env, path::Path};

use anyhow::{Context, Result};
use prunella_machine::{Builder, Machine};
use serde_json::Value;

pub(crate) const PRUNELLA: &str = "/opt/prunella/prunella";
pub(crate) const VICTIM: &str = "/opt/test/victim";
pub(crate) const XTASK: &str = "/opt/test/xtask";

/// The folder of the machine's store.
const STORE: &str = "/var/lib/prunella";

/// Often enough for a median.
const FSYNCS: &str = "100";

pub(crate) struct Scene {
    pub(crate) machine: Machine,
}

impl Scene {
    pub(crate) fn boot(machine: Builder, prunella: &Path, victim: &Path) -> Result<Self> {
        let machine = machine
            .bind_ro(prunella, PRUNELLA)
            .bind_ro(victim, VICTIM)
            .bind_ro(env::current_exe()?, XTASK)
            .boot()?;
        Ok(Self { machine })
    }

    /// Runs one of the measurements of [`inside`](super::inside).
    pub(crate) fn inside(&self, words: &[String]) -> Result<Vec<Value>> {
        let mut command = vec![XTASK, "bench", "--inside"];
        command.extend(words.iter().map(String::as_str));
        let output = self
            .machine
            .run_with(&["RuntimeMaxSec=1800"], &command)?
            .into_stdout(&command.join(" "))
            .inspect_err(|_| eprintln!("{}", self.machine.tail()))?;
        output
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }

    /// How long an fsync of one page takes where the store is, in ms.
    pub(crate) fn fsync(&self) -> Result<Vec<f64>> {
        let words = ["fsync", STORE, FSYNCS].map(str::to_owned);
        let said = self.inside(&words)?;
        let taken = said.first().and_then(|said| said.get("ms")?.as_array());
        let taken = taken.context("no fsync was measured")?;
        Ok(taken.iter().filter_map(Value::as_f64).collect())
    }
}
