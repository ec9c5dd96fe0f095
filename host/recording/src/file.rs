//! A recording's lines, and reading them.

use std::{collections::BTreeMap, fmt};

use prunella_core::{
    Failure, StrategyName,
    incident::{Assessment, Incident, Outcome},
    policy::Limits,
    text::redact,
};
use prunella_engine::Call;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Declared;

/// The version of the lines' form.
pub(crate) const VERSION: u32 = 1;

/// One call of a capability, and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Such as `units.get`.
    pub call: String,
    /// Its arguments, by name.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// What it gave; absent when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failure>,
}

impl fmt::Display for Entry {
    /// The call alone: `units.get(unit: "web.service")`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.call)?;
        for (number, (name, value)) in self.with.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{name}: {value}")?;
        }
        f.write_str(")")
    }
}

/// What a run was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// `assess` or `heal`.
    pub call: Call,
    /// The operator's name for the strategy.
    pub strategy: StrategyName,
    /// Of its component.
    pub sha256: String,
    pub incident: Incident,
    /// What failed, as a strategy sees it.
    pub service: Declared,
    /// Whether acts were only recorded.
    pub dry_run: bool,
    /// `[strategy.NAME.settings]`, redacted.
    pub settings: BTreeMap<String, String>,
    /// What the run might use up.
    pub limits: Limits,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// What it said of the incident.
    Assessed(Assessment),
    /// What it said that it did.
    Healed(Outcome),
    /// It gave up with a failure.
    GaveUp(Failure),
    /// It was broken off.
    BrokeOff(String),
}

impl Ended {
    /// Without what looks like a secret.
    pub(crate) fn redacted(mut self) -> Self {
        let words = match &mut self {
            Self::Assessed(
                Assessment::Applies { reason: words, .. }
                | Assessment::NotApplicable { reason: words }
                | Assessment::BlockedBy { reason: words, .. }
                | Assessment::Veto { reason: words },
            )
            | Self::Healed(
                Outcome::Healed { summary: words }
                | Outcome::NotApplicable { reason: words }
                | Outcome::Failed { reason: words }
                | Outcome::BlockedBy { reason: words, .. },
            )
            | Self::GaveUp(Failure { message: words, .. })
            | Self::BrokeOff(words) => words,
        };
        *words = redact(words);
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assessed(Assessment::Applies { confidence, reason }) => {
                write!(f, "applies ({confidence}): {reason}")
            }
            Self::Assessed(Assessment::Veto { reason }) => write!(f, "veto: {reason}"),
            Self::Healed(Outcome::Healed { summary }) => write!(f, "healed: {summary}"),
            Self::Healed(Outcome::Failed { reason }) => write!(f, "failed: {reason}"),
            Self::Assessed(Assessment::NotApplicable { reason })
            | Self::Healed(Outcome::NotApplicable { reason }) => {
                write!(f, "not-applicable: {reason}")
            }
            Self::Assessed(Assessment::BlockedBy { unit, reason })
            | Self::Healed(Outcome::BlockedBy { unit, reason }) => {
                write!(f, "blocked-by {unit}: {reason}")
            }
            Self::GaveUp(failure) => write!(f, "gave up: {failure}"),
            Self::BrokeOff(why) => write!(f, "was broken off: {why}"),
        }
    }
}

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Head {
        /// The version of the lines' form.
        recording: u32,
        /// Who wrote it.
        #[serde(rename = "recorded-by")]
        recorded_by: String,
    },
    /// A run begins.
    Begins {
        run: u32,
        /// What it is given.
        begins: Box<Begun>,
    },
    /// A run ends.
    Ends { run: u32, ends: Ended },
    /// A run logs a line.
    Says {
        run: u32,
        /// `info: …`, redacted.
        says: String,
    },
    /// A run made a call.
    Called {
        run: u32,
        /// The call and its answer.
        #[serde(flatten)]
        entry: Entry,
    },
}

/// One run of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedRun {
    /// What it was given.
    pub begun: Begun,
    /// Its calls, in order.
    pub calls: Vec<Entry>,
    /// How it ended; absent when recording ended before.
    pub ended: Option<Ended>,
}

/// A recording, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// Its runs, in the order in which they began.
    pub runs: Vec<ReplayedRun>,
}

/// Why a text is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The first line is not that of a recording.
    #[error(
        "this is not a recording: its first line should be {{\"recording\":{VERSION},…}}, as \
         `prunella heal UNIT --record FILE` writes it"
    )]
    NotARecording,
    /// It has another form.
    #[error("this recording has form {0}, and only form {VERSION} is known here")]
    Version(u32),
    /// A line is not understood.
    #[error("line {line} of the recording is not understood")]
    Line {
        /// From 1 on.
        line: usize,
        source: serde_json::Error,
    },
    /// A line is about a run that has not begun.
    #[error("line {line} of the recording is about run {run}, which has not begun")]
    NoSuchRun {
        /// From 1 on.
        line: usize,
        run: u32,
    },
}

impl Recording {
    /// Reads one. A last line that was cut off, as when the machine went down
    /// while it was written, is left out.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.lines().enumerate();
        match lines.next().map(|(_, line)| serde_json::from_str(line)) {
            Some(Ok(Line::Head {
                recording: VERSION, ..
            })) => {}
            Some(Ok(Line::Head { recording, .. })) => {
                return Err(RecordingError::Version(recording));
            }
            _ => return Err(RecordingError::NotARecording),
        }
        let mut runs: BTreeMap<u32, ReplayedRun> = BTreeMap::new();
        let mut lines = lines.peekable();
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() {
                continue;
            }
            let place = number + 1;
            let read = match serde_json::from_str(line) {
                Ok(read) => read,
                Err(_) if lines.peek().is_none() && !text.ends_with('\n') => break,
                Err(source) => {
                    return Err(RecordingError::Line {
                        line: place,
                        source,
                    });
                }
            };
            let mut note = |run: u32, note: &dyn Fn(&mut ReplayedRun)| match runs.get_mut(&run) {
                Some(played) => {
                    note(played);
                    Ok(())
                }
                None => Err(RecordingError::NoSuchRun { line: place, run }),
            };
            match read {
                Line::Head { .. } | Line::Says { .. } => {}
                Line::Ends { run, ends } => {
                    note(run, &|played| played.ended = Some(ends.clone()))?;
                }
                Line::Called { run, entry } => {
                    note(run, &|played| played.calls.push(entry.clone()))?;
                }
                Line::Begins { run, begins } => {
                    let played = ReplayedRun {
                        begun: *begins,
                        calls: Vec::new(),
                        ended: None,
                    };
                    runs.insert(run, played);
                }
            }
        }
        Ok(Self {
            runs: runs.into_values().collect(),
        })
    }

    /// The strategies whose runs it has, in the order of their first.
    pub fn strategies(&self) -> Vec<&StrategyName> {
        let mut names = Vec::new();
        for run in &self.runs {
            if !names.contains(&&run.begun.strategy) {
                names.push(&run.begun.strategy);
            }
        }
        names
    }
}
