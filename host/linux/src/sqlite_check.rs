//! SQLite's own check of a database file.
//!
//! It runs in a transient unit, as the owner of the file and with no rights
//! beyond: a database is a foreign file, and reading one is parsing untrusted
//! input ([`main`]). The database is opened for reading only, so that nothing
//! in it changes; beside it SQLite may have to make its `-shm` file, which is
//! why the folder stays writable and the owner's user is used.

use std::{
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{Failure, capability::Answer, service::DeclaredFile, text};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use crate::{
    answer::answer,
    own_program::own_program,
    runs_as::RunsAs,
    safe_path::{self, Last, Rule, WalkError},
    timeout::with_timeout,
    transient::{ProtectSystem, Runner, Sandbox, Task},
};

/// Another process may hold the lock for a moment.
const BUSY: Duration = Duration::from_millis(500);

/// What the check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SqliteIntegrity {
    /// Whether there is nothing wrong with it, as far as can be told.
    pub(crate) sound: bool,
    pub(crate) detail: String,
}

/// Checks databases in transient units.
pub(crate) struct SqliteCheck {
    runner: Arc<dyn Runner>,
}

impl SqliteCheck {
    pub(crate) fn new(runner: Arc<dyn Runner>) -> Self {
        Self { runner }
    }

    /// Checks the declared file `name`.
    pub(crate) fn run(
        &self,
        deadline: Instant,
        timeout: Duration,
        name: &str,
        file: &DeclaredFile,
    ) -> Answer<SqliteIntegrity> {
        let path = file.path.clone();
        let found = with_timeout(deadline, "looking at a declared file", move || {
            safe_path::walk(&path, Rule::Look, Last::Follow)
                .map(|found| (found.kind(), found.stat.st_uid, found.stat.st_gid))
        })?;
        let unsound = |detail: String| {
            Ok(SqliteIntegrity {
                sound: false,
                detail,
            })
        };
        let (kind, uid, gid) = match found {
            Ok(found) => found,
            Err(
                error @ (WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder),
            ) => {
                return unsound(format!("`{name}`: {error}"));
            }
            Err(error) => {
                return Err(Failure::failed("cannot-look", format!("`{name}`: {error}")));
            }
        };
        if kind != FileType::RegularFile {
            return unsound(format!("`{name}` is not a regular file"));
        }
        let task = Task {
            purpose: "sqlite",
            description: format!("integrity check of `{name}`"),
            command: vec![
                own_program()?.to_string_lossy().into_owned(),
                "internal".to_owned(),
                "sqlite-check".to_owned(),
                file.path.to_string_lossy().into_owned(),
            ],
            runs_as: RunsAs {
                user: uid.to_string(),
                group: gid.to_string(),
                ..RunsAs::default()
            },
            sandbox: sandbox(&file.path),
            credentials: Vec::new(),
            shown: Vec::new(),
            timeout,
        };
        let ended = self.runner.run(deadline, &task)?;
        if ended.timed_out {
            return unsound(format!(
                "`{name}` is too large to be checked within {} s",
                timeout.as_secs_f64()
            ));
        }
        let said = String::from_utf8_lossy(&ended.output);
        let last = said.lines().next_back().unwrap_or_default();
        serde_json::from_str(last).map_err(|_| {
            Failure::failed(
                "check-broken",
                format!(
                    "the integrity check of `{name}` gave no verdict: exit code {:?}, `{}`",
                    ended.exit_code,
                    text::one_line(last, 200)
                ),
            )
        })
    }
}

fn sandbox(path: &Path) -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::Strict,
        protect_home: false,
        private_tmp: false,
        private_network: true,
        writable: path
            .parent()
            .map(|folder| folder.to_string_lossy().into_owned())
            .into_iter()
            .collect(),
        capabilities: Vec::new(),
        families: vec!["AF_UNIX"],
        devices: Vec::new(),
    }
}

/// `internal sqlite-check PATH`: the part that runs in the transient unit. The
/// answer is JSON, the last line of the output.
pub(crate) fn main(path: &str) -> ExitCode {
    let verdict = check(Path::new(path)).unwrap_or_else(|error| judge(&error));
    answer(&verdict, ExitCode::SUCCESS)
}

fn check(path: &Path) -> rusqlite::Result<SqliteIntegrity> {
    let database = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    database.busy_timeout(BUSY)?;
    // The schema of a damaged or hostile file runs no functions of ours.
    database.pragma_update(None, "trusted_schema", false)?;
    database.pragma_update(None, "cell_size_check", true)?;
    let first: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if first != "ok" {
        return Ok(SqliteIntegrity {
            sound: false,
            detail: format!("it is damaged: {}", text::one_line(&first, 200)),
        });
    }
    let tables: u32 = database.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
        [],
        |row| row.get(0),
    )?;
    Ok(SqliteIntegrity {
        sound: true,
        detail: match tables {
            // A file of no length is a database to SQLite.
            0 => "it holds no tables".to_owned(),
            1 => "its structure is sound (1 table)".to_owned(),
            tables => format!("its structure is sound ({tables} tables)"),
        },
    })
}

/// What an error of SQLite says about the file.
fn judge(error: &rusqlite::Error) -> SqliteIntegrity {
    let sound = |sound: bool, detail: &str| SqliteIntegrity {
        sound,
        detail: detail.to_owned(),
    };
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return sound(
            false,
            &format!(
                "it cannot be checked: {}",
                text::one_line(&error.to_string(), 200)
            ),
        );
    };
    match (code.code, code.extended_code) {
        (ErrorCode::NotADatabase, _) => sound(false, "it is not an SQLite database, or encrypted"),
        (ErrorCode::DatabaseCorrupt, _) => {
            sound(false, "it is damaged: its structure cannot be read")
        }
        // Neither says anything against the file.
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => sound(
            true,
            "another process has locked it, so its structure was not checked",
        ),
        (_, ffi::SQLITE_READONLY_ROLLBACK | ffi::SQLITE_READONLY_RECOVERY) => sound(
            true,
            "it holds an unfinished transaction that SQLite will undo when its program opens it, so its structure was not checked",
        ),
        (ErrorCode::CannotOpen, _) => sound(false, "its owner cannot open it"),
        _ => {
            let message = message.clone().unwrap_or_else(|| code.to_string());
            sound(
                false,
                &format!("it cannot be checked: {}", text::one_line(&message, 200)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Seek, SeekFrom, Write},
        path::PathBuf,
    };

    use super::*;

    fn database(dir: &tempfile::TempDir) -> PathBuf {
        let path = dir.path().join("data.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE t(x); CREATE INDEX i ON t(x);")
            .unwrap();
        let mut insert = connection.prepare("INSERT INTO t VALUES (?)").unwrap();
        connection.execute_batch("BEGIN").unwrap();
        for number in 0..2000 {
            insert.execute([format!("row {number:040}")]).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        path
    }

    fn verdict(path: &Path) -> SqliteIntegrity {
        check(path).unwrap_or_else(|error| judge(&error))
    }

    #[test]
    fn a_sound_database() {
        let dir = tempfile::tempdir().unwrap();
        let found = verdict(&database(&dir));
        assert!(found.sound, "{found:?}");
        assert_eq!(found.detail, "its structure is sound (1 table)");
    }

    #[test]
    fn a_damaged_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = database(&dir);
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(3 * 4096)).unwrap();
        file.write_all(&[0xa5; 8192]).unwrap();
        let found = verdict(&path);
        assert!(!found.sound);
        assert!(found.detail.contains("damaged"), "{found:?}");
    }

    #[test]
    fn no_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(!verdict(&path).sound);
        assert!(!verdict(&dir.path().join("none")).sound);
        assert!(!dir.path().join("none").exists(), "nothing is made");
    }

    #[test]
    fn a_locked_database_is_not_called_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = database(&dir);
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let found = verdict(&path);
        assert!(found.sound && found.detail.contains("locked"), "{found:?}");
    }

    #[test]
    fn a_database_with_a_log_written_ahead() {
        let dir = tempfile::tempdir().unwrap();
        let path = database(&dir);
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch("PRAGMA journal_mode=WAL; INSERT INTO t VALUES (1)")
            .unwrap();
        assert!(verdict(&path).sound);
    }

    #[test]
    fn a_transaction_that_a_crash_left_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let path = database(&dir);
        let other = Connection::open(&path).unwrap();
        // Small enough that the change and its journal reach the disk at once.
        other
            .execute_batch("PRAGMA cache_size=1; BEGIN; UPDATE t SET x = x || 'y'")
            .unwrap();
        // What a crash leaves behind: both files, and nobody who holds them.
        let crashed = tempfile::tempdir().unwrap();
        let copy = crashed.path().join("data.db");
        fs::copy(&path, &copy).unwrap();
        fs::copy(
            dir.path().join("data.db-journal"),
            crashed.path().join("data.db-journal"),
        )
        .unwrap();
        let before = fs::read(&copy).unwrap();
        let found = verdict(&copy);
        assert!(
            found.sound && found.detail.contains("unfinished"),
            "{found:?}"
        );
        assert_eq!(fs::read(&copy).unwrap(), before, "nothing is changed");
    }
}
