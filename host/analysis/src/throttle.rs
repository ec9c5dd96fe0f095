//! How often the host may ask: so often in an hour, and not for a while after
//! the model could not be asked. Kept in `/run/prunella`, since each hook is a
//! process of its own, and forgotten with a reboot.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::tz::TimeZone;
use prunella_core::{Timestamp, text::one_line};
use rustix::{
    fs::{FlockOperation, flock},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};

const HOUR: u64 = 3600;

/// For how long a model is left alone that could not be asked once, twice in a row, and
/// more often: one that is restarted is asked again soon, and one that is gone delays no
/// report.
const QUIET: [Duration; 3] = [
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
];

/// So many answers of no use in a row count as if it could not be asked: the next would
/// be no better, and each costs.
const UNUSABLE: u32 = 3;

/// Characters that are kept of why it could not be asked.
const WHY_MAX: usize = 200;

/// A file of this many bytes is not ours.
const FILE_MAX: u64 = 1 << 20;

/// Why the model is not asked now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThrottleError {
    #[error("it was asked {0} times in the last hour, which is as often as `per-hour` allows")]
    Often(u32),
    /// It failed lately.
    #[error("it is not asked before {}: {}", until(*.again_in), .why)]
    Quiet {
        /// What came of asking it last.
        why: String,
        /// In so many seconds it may be asked again.
        again_in: u64,
    },
    /// The file cannot be used.
    #[error("how often it was asked cannot be noted in {path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The limit, by its file.
pub(crate) struct Throttle {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Past {
    /// When it was asked: seconds since boot.
    asked: Vec<u64>,
    /// When it failed last.
    failed: Option<u64>,
    /// What was wrong then.
    #[serde(default)]
    why: String,
    /// How often in a row it failed.
    #[serde(default)]
    failures: u32,
    /// How many answers in a row were of no use.
    #[serde(default)]
    unusable: u32,
}

/// The boot's own seconds.
fn since_boot() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or_default()
}

/// For how long it is left alone after so many failures in a row.
fn quiet_after(failures: u32) -> Duration {
    let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let [.., longest] = QUIET;
    QUIET.get(place).copied().unwrap_or(longest)
}

/// The time of day in so many seconds, in the host's own time zone.
fn until(seconds: u64) -> String {
    let at = Timestamp::from(SystemTime::now()).saturating_add(Duration::from_secs(seconds));
    at.to_jiff().map_or_else(
        || format!("{seconds} seconds have passed"),
        |at| {
            at.to_zoned(TimeZone::system())
                .strftime("%H:%M:%S")
                .to_string()
        },
    )
}

impl Past {
    /// That it is still left alone.
    fn quiet(&self, now: u64) -> Option<ThrottleError> {
        let ago = now.saturating_sub(self.failed?);
        let again_in = quiet_after(self.failures).as_secs().saturating_sub(ago);
        (again_in > 0).then(|| ThrottleError::Quiet {
            why: self.why.clone(),
            again_in,
        })
    }
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskOutcome<'a> {
    /// An answer that is of use.
    Answer,
    /// An answer that is of none, and why. Another question may well be answered better.
    Unusable(&'a str),
    /// Why it could not be asked, or did not answer.
    Nothing(&'a str),
}

impl Throttle {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("analysis.json"),
        }
    }

    /// Notes that it is asked now, if it may be.
    pub(crate) fn enter(&self, per_hour: u32) -> Result<(), ThrottleError> {
        self.change(|past, now| {
            if let Some(quiet) = past.quiet(now) {
                return Err(quiet);
            }
            past.asked.retain(|asked| now.saturating_sub(*asked) < HOUR);
            let count = u32::try_from(past.asked.len()).unwrap_or(u32::MAX);
            if count >= per_hour {
                return Err(ThrottleError::Often(count));
            }
            past.asked.push(now);
            Ok(())
        })
    }

    /// Why it is left alone now, and until when; nothing when it may be asked, or that
    /// cannot be read.
    pub(crate) fn silence(&self) -> Option<String> {
        let text = fs::read_to_string(&self.path).ok()?;
        let past: Past = serde_json::from_str(&text).ok()?;
        Some(past.quiet(since_boot())?.to_string())
    }

    /// Notes what came of asking.
    pub(crate) fn note(&self, outcome: AskOutcome<'_>) {
        let noted = self.change(|past, now| {
            past.unusable = match outcome {
                AskOutcome::Unusable(_) => past.unusable.saturating_add(1),
                AskOutcome::Answer | AskOutcome::Nothing(_) => 0,
            };
            past.why = match outcome {
                AskOutcome::Answer => String::new(),
                AskOutcome::Unusable(why) | AskOutcome::Nothing(why) => one_line(why, WHY_MAX),
            };
            let failed = matches!(outcome, AskOutcome::Nothing(_)) || past.unusable >= UNUSABLE;
            past.failed = failed.then_some(now);
            past.failures = match outcome {
                AskOutcome::Answer => 0,
                _ if failed => past.failures.saturating_add(1),
                _ => past.failures,
            };
            Ok(())
        });
        if let Err(error) = noted {
            tracing::debug!("{error}");
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Past, u64) -> Result<(), ThrottleError>,
    ) -> Result<(), ThrottleError> {
        let failed = |source: io::Error| ThrottleError::File {
            path: self.path.clone(),
            source,
        };
        let mut file = self.open().map_err(failed)?;
        // Held for as long as it takes to read and write a few numbers.
        flock(&file, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        let mut text = String::new();
        (&mut file)
            .take(FILE_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let mut past: Past = serde_json::from_str(&text).unwrap_or_default();
        let now = since_boot();
        let answer = change(&mut past, now);
        let text = serde_json::to_string(&past).map_err(|error| failed(error.into()))?;
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        answer
    }

    fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(folder)?;
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_often_in_an_hour_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        // Two processes share the file.
        let here = Throttle::new(folder.path());
        let there = Throttle::new(folder.path());
        here.enter(3).unwrap();
        there.enter(3).unwrap();
        here.enter(3).unwrap();
        assert!(matches!(there.enter(3), Err(ThrottleError::Often(3))));
        there.enter(4).unwrap();
        // An hour later, by the file.
        std::fs::write(&here.path, r#"{"asked":[],"failed":null}"#).unwrap();
        here.enter(1).unwrap();
    }

    #[test]
    fn it_is_left_alone_after_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let throttle = Throttle::new(folder.path());
        throttle.enter(10).unwrap();
        assert_eq!(throttle.silence(), None);
        throttle.note(AskOutcome::Nothing("HTTP 500"));
        let quiet = throttle.enter(10).unwrap_err();
        assert!(matches!(
            quiet,
            ThrottleError::Quiet {
                again_in: 1..=15,
                ..
            }
        ));
        // What was wrong, and until when.
        assert!(quiet.to_string().starts_with("it is not asked before "));
        assert!(quiet.to_string().ends_with(": HTTP 500"), "{quiet}");
        assert!(throttle.silence().unwrap().ends_with(": HTTP 500"));
        throttle.note(AskOutcome::Nothing("HTTP 500"));
        assert!(matches!(
            throttle.enter(10),
            Err(ThrottleError::Quiet { again_in: 16.., .. })
        ));
        throttle.note(AskOutcome::Answer);
        throttle.enter(10).unwrap();
    }

    #[test]
    fn an_answer_of_no_use_is_forgiven_and_one_after_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let throttle = Throttle::new(folder.path());
        for outcome in [
            AskOutcome::Unusable("no JSON"),
            AskOutcome::Unusable("no JSON"),
            AskOutcome::Answer,
            AskOutcome::Unusable("no JSON"),
        ] {
            throttle.note(outcome);
            throttle.enter(10).unwrap();
        }
        throttle.note(AskOutcome::Unusable("no JSON"));
        throttle.enter(10).unwrap();
        throttle.note(AskOutcome::Unusable("no JSON"));
        assert!(matches!(
            throttle.enter(10),
            Err(ThrottleError::Quiet {
                again_in: 1..=15,
                ..
            })
        ));
    }

    #[test]
    fn a_file_of_nonsense_is_begun_anew_and_one_that_cannot_be_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let throttle = Throttle::new(folder.path());
        std::fs::write(&throttle.path, "nonsense").unwrap();
        throttle.enter(1).unwrap();
        assert!(throttle.enter(1).is_err());
        std::fs::write(folder.path().join("file"), "").unwrap();
        let throttle = Throttle::new(&folder.path().join("file"));
        assert!(matches!(throttle.enter(1), Err(ThrottleError::File { .. })));
    }
}
