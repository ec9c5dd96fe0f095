//! Why the store could not do what it was asked.

use std::{
    io,
    path::{Path, PathBuf},
};

use prunella_core::incident::IncidentId;
use rusqlite::ErrorCode;

/// Why the store could not do what it was asked. Each names the file and what
/// was going on; the variants are what a caller can react to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process held it for longer than the busy timeout.
    #[error("{}: another process kept the store busy for too long, {doing} was given up", file.display())]
    Locked {
        /// The store's file.
        file: PathBuf,
        /// What was given up.
        doing: &'static str,
        /// SQLite's own words.
        #[source]
        source: rusqlite::Error,
    },
    /// No space is left where it lies. Nothing was written.
    #[error("{}: no space is left, {doing} failed", file.display())]
    Full {
        /// The store's file.
        file: PathBuf,
        doing: &'static str,
        /// SQLite's own words.
        #[source]
        source: rusqlite::Error,
    },
    /// It cannot be written here.
    #[error("{}: the store cannot be written here (read-only), {doing} failed", file.display())]
    ReadOnly {
        /// The store's file.
        file: PathBuf,
        doing: &'static str,
    },
    /// The file is damaged, or is no store at all.
    /// [`Store::open_or_set_aside`](crate::Store::open_or_set_aside) sets it
    /// aside.
    #[error("{}: the store is damaged, {doing} failed: {detail}", file.display())]
    Corrupt {
        /// The store's file.
        file: PathBuf,
        doing: &'static str,
        /// What was found.
        detail: String,
    },
    /// A newer Prunella has written it.
    #[error(
        "{}: the store has version {found}, and this Prunella knows versions up to {known}: use the newer Prunella, or move the file away",
        file.display()
    )]
    NewerVersion {
        /// The store's file.
        file: PathBuf,
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// There is no store at that path (when opened read-only).
    #[error("{}: there is no store yet", file.display())]
    Missing {
        /// The store's file.
        file: PathBuf,
    },
    /// It could not be opened a moment ago, and is not tried with every call.
    #[error("{}: {doing} was given up, since the store could not be opened a moment ago: {why}", file.display())]
    Unavailable {
        /// The store's file.
        file: PathBuf,
        /// What was given up.
        doing: &'static str,
        /// Why it could not be opened.
        why: String,
    },
    /// One thing in it cannot be understood; the rest may well be.
    #[error("{}: {doing} failed: what was written there is not understood", file.display())]
    NotUnderstood {
        /// The store's file.
        file: PathBuf,
        doing: &'static str,
        /// What was found.
        #[source]
        source: rusqlite::Error,
    },
    /// Something about the file or its folder failed outside SQLite.
    #[error("{}: {doing} failed", file.display())]
    File {
        /// The file or folder.
        file: PathBuf,
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    /// Another incident has this id already: draw another one and try again.
    #[error("there is already an incident {0}, about another failure")]
    IdTaken(IncidentId),
    /// Another incident is open for the same unit.
    #[error("incident {0} is open for the same unit")]
    AnotherIsOpen(IncidentId),
    /// The incident has a step of this number already.
    #[error("incident {incident} has a step number {number} already")]
    NumberTaken { incident: IncidentId, number: u32 },
    /// There is no such incident.
    #[error("there is no incident {0}")]
    NoSuchIncident(IncidentId),
    /// A value could not be turned into text for the store.
    #[error("{}: {doing} failed: the value cannot be written as JSON", file.display())]
    Value {
        /// The store's file.
        file: PathBuf,
        doing: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// Anything else SQLite says.
    #[error("{}: {doing} failed", file.display())]
    Sqlite {
        /// The store's file.
        file: PathBuf,
        doing: &'static str,
        /// SQLite's own words.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Sorts SQLite's error into what a caller can react to.
    pub(crate) fn from_sqlite(file: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        let file = file.to_owned();
        match &source {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => {
                return Self::NotUnderstood {
                    file,
                    doing,
                    source,
                };
            }
            _ => {}
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked {
                file,
                doing,
                source,
            },
            Some(ErrorCode::DiskFull) => Self::Full {
                file,
                doing,
                source,
            },
            // On a full disk the shared-memory file cannot grow either, and
            // SQLite calls that an I/O error; so is a short write.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_full(&file) => {
                Self::Full {
                    file,
                    doing,
                    source,
                }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { file, doing }
            }
            Some(ErrorCode::CannotOpen) if is_read_only(&file) => Self::ReadOnly { file, doing },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                file,
                doing,
                detail: source.to_string(),
            },
            _ => Self::Sqlite {
                file,
                doing,
                source,
            },
        }
    }

    /// Whether the file itself is at fault, and not the moment.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether it is the store's own trouble (its file, its disk), and not what
    /// was asked of it. A [lasting](crate::Store::lasting) store tells of it
    /// itself, once: whoever gets the error need not.
    pub fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::IdTaken(_)
                | Self::AnotherIsOpen(_)
                | Self::NumberTaken { .. }
                | Self::NoSuchIncident(_)
                | Self::Value { .. }
                | Self::NotUnderstood { .. }
        )
    }
}

fn is_full(file: &Path) -> bool {
    statvfs(file).is_some_and(|fs| fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_favail == 0))
}

fn is_read_only(file: &Path) -> bool {
    statvfs(file).is_some_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

fn statvfs(file: &Path) -> Option<rustix::fs::StatVfs> {
    rustix::fs::statvfs(file.parent()?).ok()
}

/// An error with its causes, for a log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
