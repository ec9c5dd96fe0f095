//! Reading systemd's journal: from its files, or where that fails, by asking
//! `journalctl`.
//!
//! Any local process can write almost any field. Those that begin with `_` are
//! journald's own; `_PID=1` marks what systemd itself wrote. So each question
//! here names such a field, and only journals of this host's own machine id are
//! read: in a container's journal, `_PID=1` is the container's.

use std::{
    fs, io,
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prunella_core::{Failure, UnitName, capability::Answer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sdjournal::{EntryRef, Journal as Files, SdJournalError};

use crate::processes::Runs;

/// SD_MESSAGE_UNIT_STOPPING: a stop job runs.
const UNIT_STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";

/// Journal files that are damaged, or being written, give errors between
/// entries; so many are passed over.
const ERRORS_MAX: usize = 64;

/// So much of journalctl's output is read at most.
const OUTPUT_MAX: usize = 16 * 1024 * 1024;

/// So much of a message is kept; what is shown of it is shorter.
const MESSAGE_MAX: usize = 16 * 1024;

/// A way of reading could not be gone.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The journal's files could not be opened or searched.
    #[error("the journal's files cannot be read: {0}")]
    Files(#[from] SdJournalError),
    /// journalctl could not be run.
    #[error("journalctl cannot be run: {0}")]
    Run(#[source] io::Error),
    /// journalctl ended with an error.
    #[error("journalctl ended with {0}")]
    Ended(std::process::ExitStatus),
    /// journalctl said something that is not its own format.
    #[error("journalctl's output does not look as it should")]
    Odd,
    /// It took too long.
    #[error("the journal did not answer in time")]
    Deadline,
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Deadline => Self::timed_out("deadline", error.to_string()),
            _ => Self::unavailable("no-journal", error.to_string()),
        }
    }
}

/// Fields that must all have these values.
pub(crate) type Group = Vec<(&'static str, String)>;

/// A question: entries that match any of the groups.
#[derive(Debug, Clone)]
pub(crate) struct JournalQuery {
    pub(crate) any_of: Vec<Group>,
    /// The newest so many.
    pub(crate) newest: usize,
    /// Look into the journals of log namespaces too (LogNamespace=).
    pub(crate) namespaces: bool,
}

/// An entry, as far as it is of use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Microseconds since 1970.
    pub(crate) at: u64,
    pub(crate) priority: Option<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) job_type: Option<String>,
    /// The run it is of. journald cannot tell when the process was gone by the
    /// time it looked.
    pub(crate) invocation: Option<String>,
    /// Whether systemd wrote it.
    pub(crate) by_systemd: bool,
}

/// This host's journal.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Where journals are kept; in each, those of this host are in a directory
    /// named by its machine id.
    roots: Vec<PathBuf>,
    machine_id: String,
    journalctl: PathBuf,
}

impl Journal {
    /// The journal of this host. Nothing is opened until it is asked.
    pub fn of_this_host() -> Self {
        let machine_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        Self {
            roots: vec!["/run/log/journal".into(), "/var/log/journal".into()],
            machine_id: machine_id.trim().to_owned(),
            journalctl: "/usr/bin/journalctl".into(),
        }
    }

    /// A journal that is kept in one folder.
    #[cfg(test)]
    pub(crate) fn in_folder(root: &std::path::Path, machine_id: &str) -> Self {
        Self {
            roots: vec![root.to_owned()],
            machine_id: machine_id.to_owned(),
            journalctl: "/bin/false".into(),
        }
    }

    /// Whether systemd itself gave an invocation id to a run of a unit.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn gave_invocation(
        &self,
        deadline: Instant,
        unit: &UnitName,
        invocation: &str,
    ) -> Answer<bool> {
        let mut group = by_systemd(unit);
        group.push(("INVOCATION_ID", invocation.to_owned()));
        Ok(!self.newest_of(deadline, group)?.is_empty())
    }

    /// The type of the job (`stop`, `restart`, …) that ended a run of a unit,
    /// when a job did. A run that failed or ended by itself has none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn stop_job(
        &self,
        deadline: Instant,
        unit: &UnitName,
        invocation: &str,
    ) -> Answer<Option<String>> {
        let mut group = by_systemd(unit);
        group.push(("INVOCATION_ID", invocation.to_owned()));
        group.push(("MESSAGE_ID", UNIT_STOPPING.to_owned()));
        let found = self.newest_of(deadline, group)?;
        Ok(found
            .into_iter()
            .next()
            .map(|entry| entry.job_type.unwrap_or_else(|| "stop".to_owned())))
    }

    fn newest_of(&self, deadline: Instant, group: Group) -> Answer<Vec<Entry>> {
        self.ask(
            deadline,
            &JournalQuery {
                any_of: vec![group],
                newest: 1,
                namespaces: false,
            },
        )
    }

    /// The newest entries, oldest first.
    pub(crate) fn ask(&self, deadline: Instant, question: &JournalQuery) -> Answer<Vec<Entry>> {
        match self.ask_files(deadline, question) {
            Ok(entries) => Ok(entries),
            Err(JournalError::Deadline) => Err(JournalError::Deadline.into()),
            Err(error) => {
                tracing::debug!(%error, "asking journalctl instead");
                Ok(self.ask_journalctl(deadline, question)?)
            }
        }
    }

    /// From the files.
    pub(crate) fn ask_files(
        &self,
        deadline: Instant,
        question: &JournalQuery,
    ) -> Result<Vec<Entry>, JournalError> {
        let files = Files::open_dirs(&self.directories(question.namespaces))?;
        let mut query = files.query();
        for group in &question.any_of {
            // The terms of one group are taken together, and the groups are
            // alternatives (the crate's own text has it the other way round;
            // the end-to-end test compares with journalctl).
            query.or_group(|terms| {
                for (field, value) in group {
                    terms.match_exact(field, value.as_bytes());
                }
            });
        }
        query.seek_tail().limit(question.newest);

        let mut entries = Vec::new();
        let mut errors = 0;
        for found in query.iter()? {
            if Instant::now() >= deadline {
                return Err(JournalError::Deadline);
            }
            match found {
                Ok(found) => entries.push(from_file(&found)),
                Err(error) if errors >= ERRORS_MAX => return Err(error.into()),
                Err(_) => errors += 1,
            }
        }
        entries.reverse();
        Ok(entries)
    }

    /// This host's directories, whether they are there or not.
    pub(crate) fn directories(&self, namespaces: bool) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        for root in &self.roots {
            directories.push(root.join(&self.machine_id));
            if !namespaces {
                continue;
            }
            let prefix = format!("{}.", self.machine_id);
            directories.extend(
                fs::read_dir(root)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter_map(|entry| {
                        let ours = entry.file_name().to_str()?.starts_with(&prefix);
                        ours.then(|| entry.path())
                    }),
            );
        }
        directories
    }

    /// From journalctl, which also knows files in formats to come.
    pub(crate) fn ask_journalctl(
        &self,
        deadline: Instant,
        question: &JournalQuery,
    ) -> Result<Vec<Entry>, JournalError> {
        let mut command = Command::new(&self.journalctl);
        command
            .env_clear()
            .args(["--no-pager", "--quiet", "--all", "--output=json"])
            .arg(
                "--output-fields=MESSAGE,PRIORITY,JOB_TYPE,_PID,INVOCATION_ID,\
                 _SYSTEMD_INVOCATION_ID",
            )
            .arg(format!("--lines={}", question.newest));
        if question.namespaces {
            command.arg("--namespace=*");
        }
        for (index, group) in question.any_of.iter().enumerate() {
            if index > 0 {
                command.arg("+");
            }
            command.args(
                group
                    .iter()
                    .map(|(field, value)| format!("{field}={value}")),
            );
        }
        let output = run(command, deadline)?;
        output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| from_json(line).ok_or(JournalError::Odd))
            .collect()
    }
}

impl Runs for Journal {
    fn gave(&self, deadline: Instant, unit: &UnitName, invocation: &str) -> Answer<bool> {
        self.gave_invocation(deadline, unit, invocation)
    }
}

/// What systemd itself wrote about a unit.
pub(crate) fn by_systemd(unit: &UnitName) -> Group {
    vec![("_PID", "1".to_owned()), ("UNIT", unit.to_string())]
}

fn from_file(entry: &EntryRef) -> Entry {
    let text = |field| Some(std::str::from_utf8(entry.get(field)?).ok()?.to_owned());
    let mut message = entry.get("MESSAGE").unwrap_or_default().to_vec();
    message.truncate(MESSAGE_MAX);
    Entry {
        at: entry.realtime_usec(),
        priority: text("PRIORITY").and_then(|digit| digit.parse().ok()),
        message,
        job_type: text("JOB_TYPE"),
        invocation: invocation(text),
        by_systemd: by_systemd_itself(text),
    }
}

/// The run that an entry is of, by fields that only journald and systemd write.
fn invocation(text: impl Fn(&'static str) -> Option<String>) -> Option<String> {
    if by_systemd_itself(&text) {
        text("INVOCATION_ID")
    } else {
        text("_SYSTEMD_INVOCATION_ID")
    }
}

fn by_systemd_itself(text: impl Fn(&'static str) -> Option<String>) -> bool {
    text("_PID").as_deref() == Some("1")
}

/// Of `journalctl --output=json`: a value is a text, a list of bytes when it is
/// not UTF-8, a list of those when the field is there more than once, or null.
fn from_json(line: &[u8]) -> Option<Entry> {
    let fields: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = |field| Some(String::from_utf8_lossy(&bytes(fields.get(field)?)?).into_owned());
    let mut message = fields.get("MESSAGE").and_then(bytes).unwrap_or_default();
    message.truncate(MESSAGE_MAX);
    Some(Entry {
        at: text("__REALTIME_TIMESTAMP")?.parse().ok()?,
        priority: text("PRIORITY").and_then(|digit| digit.parse().ok()),
        message,
        job_type: text("JOB_TYPE"),
        invocation: invocation(text),
        by_systemd: by_systemd_itself(text),
    })
}

fn bytes(value: &serde_json::Value) -> Option<Vec<u8>> {
    if let Some(text) = value.as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let list = value.as_array()?;
    list.iter()
        .map(|byte| u8::try_from(byte.as_u64()?).ok())
        .collect::<Option<Vec<u8>>>()
        .or_else(|| list.first().and_then(bytes))
}

/// Runs a command and gives what it wrote; it never outlives the deadline.
fn run(mut command: Command, deadline: Instant) -> Result<Vec<u8>, JournalError> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(JournalError::Run)?;
    let output = read_until(&mut child, deadline);
    if output.is_err() {
        // It may have ended by itself, which is what killing is for.
        let _ = child.kill();
    }
    let status = child.wait().map_err(JournalError::Run)?;
    match output? {
        output if status.success() => Ok(output),
        // Nothing found is an error to some versions.
        output if output.is_empty() && status.code() == Some(1) => Ok(output),
        _ => Err(JournalError::Ended(status)),
    }
}

fn read_until(child: &mut Child, deadline: Instant) -> Result<Vec<u8>, JournalError> {
    let mut output = Vec::new();
    let Some(pipe) = child.stdout.as_ref() else {
        return Ok(output);
    };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(JournalError::Deadline);
        }
        if !readable_within(pipe.as_fd(), left)? {
            continue;
        }
        let read =
            rustix::io::read(pipe, &mut buffer).map_err(|error| JournalError::Run(error.into()))?;
        let Some(new) = buffer.get(..read).filter(|new| !new.is_empty()) else {
            return Ok(output);
        };
        output.extend_from_slice(new);
        if output.len() > OUTPUT_MAX {
            return Err(JournalError::Odd);
        }
    }
}

fn readable_within(
    pipe: std::os::fd::BorrowedFd<'_>,
    time: Duration,
) -> Result<bool, JournalError> {
    let timeout = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    match poll(
        &mut [PollFd::from_borrowed_fd(pipe, PollFlags::IN)],
        Some(&timeout),
    ) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(JournalError::Run(error.into())),
    }
}

#[cfg(test)]
mod tests;
