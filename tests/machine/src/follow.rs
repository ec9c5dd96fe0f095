//! The machine's journal, followed as it is written.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

/// Units that this harness runs commands in begin with this. Their coming and
/// going is no news.
pub(crate) const OWN_UNITS: &str = "machine-run-";

#[derive(Debug, Default)]
struct Pages {
    entries: Vec<Value>,
    /// How many of them are about something else than our own commands.
    news: u64,
}

/// Everything the machine's journal has said, in all its boots.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
    grown: Condvar,
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads along from where it was left. `dir` is the machine's
    /// `/var/log/journal`.
    ///
    /// From outside, since a process that had entered the machine would be
    /// stopped, and waited for, when the machine shuts down.
    pub(crate) fn follow(self: &Arc<Self>, dir: &Path) -> Result<Follower> {
        let mut command = Command::new("journalctl");
        command
            .arg("--directory")
            .arg(dir)
            .args(["--follow", "--no-tail", "--output=json"]);
        if let Some(last) = self.lock().entries.last() {
            command.arg(format!("--after-cursor={}", text(last, "__CURSOR")));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot follow the machine's journal")?;
        let output = child.stdout.take().context("no output to read")?;
        let journal = self.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if let Ok(entry) = serde_json::from_slice(&line) {
                    journal.add(entry);
                }
            }
        });
        Ok(Follower {
            child,
            reader: Some(reader),
        })
    }

    /// There is one more entry.
    pub(crate) fn add(&self, entry: Value) {
        let news = is_news(&entry);
        let mut pages = self.lock();
        pages.entries.push(entry);
        if news {
            pages.news += 1;
            self.grown.notify_all();
        }
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        self.lock().entries.clone()
    }

    /// How much news there has been.
    pub(crate) fn news(&self) -> u64 {
        self.lock().news
    }

    /// Waits for news beyond `seen`, or until the time is up.
    pub(crate) fn wait_news(&self, seen: u64, limit: Duration) {
        let pages = self.lock();
        drop(
            self.grown
                .wait_timeout_while(pages, limit, |pages| pages.news <= seen)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// The last `count` entries that are news, for people.
    pub(crate) fn tail(&self, count: usize) -> String {
        let pages = self.lock();
        let mut last: Vec<&Value> = pages
            .entries
            .iter()
            .rev()
            .filter(|entry| is_news(entry))
            .take(count)
            .collect();
        last.reverse();
        let mut shown = String::new();
        for entry in last {
            let micros: u64 = text(entry, "__MONOTONIC_TIMESTAMP").parse().unwrap_or(0);
            let who = text(entry, "SYSLOG_IDENTIFIER");
            let message = text(entry, "MESSAGE");
            let seconds = micros / 1_000_000;
            let rest = micros % 1_000_000;
            shown.push_str(&format!("{seconds:>6}.{rest:06} {who}: {message}\n"));
        }
        shown
    }
}

/// Whether an entry is about something else than our own commands.
fn is_news(entry: &Value) -> bool {
    !["UNIT", "_SYSTEMD_UNIT"]
        .into_iter()
        .any(|field| text(entry, field).starts_with(OWN_UNITS))
}

/// Reads a journal along, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A field of an entry; empty when it is absent or not text.
pub(crate) fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}
