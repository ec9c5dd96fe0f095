//! The last lines of a unit, against journalctl, on this host's own journal.
//!
//! `cargo bench -p prunella-linux --bench journal [UNIT]` as somebody who may
//! read the journal; the unit is by default systemd's `init.scope`. Prints a
//! table, and appends a JSON line to the file that `PRUNELLA_BENCH_JSON` names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run says so by a panic"
)]

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use prunella_core::{UnitName, capability::logs::Tail};
use prunella_linux::{journal::Journal, logs::HostLogs};

const LINES: u32 = 50;

fn main() -> Result<()> {
    let full = env::args().any(|argument| argument == "--bench");
    let unit = env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let unit = UnitName::new(unit.unwrap_or_else(|| "init.scope".to_owned()))?;
    let times = if full { 50 } else { 1 };

    let logs = HostLogs::new(Arc::new(Journal::of_this_host()));
    let query = Tail {
        unit: unit.clone(),
        invocation: None,
        priority: None,
        lines: LINES,
    };
    let mut found = 0;
    let ours = median(times, || {
        let deadline = Instant::now() + Duration::from_secs(60);
        found = logs.tail(deadline, &query)?.len();
        Ok(())
    })?;
    let theirs = median(times, || {
        let output = Command::new("journalctl")
            .args(["--no-pager", "--quiet", "--output=json"])
            .arg(format!("--lines={LINES}"))
            .arg(format!("_SYSTEMD_UNIT={unit}"))
            .args(["+", "_PID=1"])
            .arg(format!("UNIT={unit}"))
            .output()?;
        ensure!(
            output.status.success() || output.stdout.is_empty(),
            "journalctl failed"
        );
        Ok(())
    })?;
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("The last {LINES} lines of {unit}: {found} found");
    println!("prunella   {:>9.3} ms", ours.as_secs_f64() * 1e3);
    println!(
        "journalctl {:>9.3} ms {ratio:>8.1}x",
        theirs.as_secs_f64() * 1e3
    );
    if let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") {
        let line = serde_json::json!({
            "bench": "journal", "case": "tail", "lines": found,
            "median_ns": ours.as_nanos(), "journalctl_ns": theirs.as_nanos(), "ratio": ratio,
        });
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "{line}")?;
    }
    Ok(())
}

fn median(times: usize, mut once: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        once()?;
        taken.push(start.elapsed());
    }
    taken.sort_unstable();
    taken
        .get(taken.len() / 2)
        .copied()
        .context("nothing was measured")
}
