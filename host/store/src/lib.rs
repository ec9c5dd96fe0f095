//! What happened, what was done about it, and how much healing was spent.
//!
//! One SQLite file, `/var/lib/prunella/prunella.db`, used by the daemon, the
//! hook and the command line at once, each its own process. It is the truth
//! about incidents: the journal can be written by anybody.
//!
//! - An incident is opened once for each failure, whoever notices it first
//!   ([`Store::open_incident`]), and every step is written before the next is
//!   taken ([`Store::append`]).
//! - Every write is on the disk when the call returns (`synchronous=FULL` in
//!   WAL mode), and costs one fsync. [`Store::append_all`] writes several steps
//!   for the price of one.
//! - But for those that only lead up to an act: opening an incident, its
//!   [detection](Store::append_ahead), a healing spent. They are committed, so
//!   that every process sees them and a killed one does not lose them; onto
//!   the disk they come with the act's intention, which is written after them
//!   into the same log and waits for all of it.
//! - The file is 0600 in a folder of 0700. It is never memory-mapped: a
//!   truncated file would kill the process.
//! - A damaged file is set aside, never deleted
//!   ([`Store::open_or_set_aside`]).
//!
//! The healing budget goes through the [`Ledger`], which still
//! works when the store does not.

mod error;
mod file;
mod healings;
mod incidents;
pub mod ledger;
mod outbox;
mod pauses;
mod schema;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use self::{
    error::StoreError,
    incidents::{Found, Opened},
    ledger::{Kept, Ledger, LedgerError},
    outbox::{
        Decided, DispatchFilter, Fate, FoundDispatch, LastSteps, NewAlert, Tried, Unfinished,
    },
    pauses::Pause,
};

/// Where the store lies unless told otherwise.
pub const DEFAULT_PATH: &str = "/var/lib/prunella/prunella.db";

/// How long a process waits for another one's transaction. Ours take one fsync;
/// on a disk where that takes seconds, the wait is still worth it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The incident store. Cheap to share between threads behind an `Arc`.
pub struct Store {
    path: PathBuf,
    /// Writes, one at a time.
    writer: Mutex<Connection>,
    /// Reads never wait for a write's fsync. Opened when first needed: the hook
    /// hardly reads.
    reader: Mutex<Option<Connection>>,
    read_only: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// What [`Store::open_or_set_aside`] did.
#[derive(Debug)]
pub struct OpenedOrSetAside {
    /// The store, ready.
    pub store: Store,
    /// Where the damaged file is now, and what was wrong with it; absent when
    /// it was sound.
    pub set_aside: Option<(PathBuf, StoreError)>,
}

impl Store {
    /// Opens the store for reading and writing; creates file (0600), folder
    /// (0700) and tables, and brings an older store up to date.
    ///
    /// Only the head of the file is looked at, however large it is:
    /// [`check`](Self::check) looks at all of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = file::prepare(path)?;
        let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let doing = "opening it";
        let failed = |error| StoreError::from_sqlite(&path, doing, error);
        if !is_ready(&writer, &path).map_err(|e| e.or(failed))? {
            // Two processes that change the journal mode at once get in each
            // other's way without waiting for the busy timeout.
            let _lock = file::lock_folder(&path)?;
            set_up(&mut writer).map_err(failed)?;
        }
        writer
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .map_err(failed)?;
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            reader: Mutex::new(None),
            read_only: false,
        })
    }

    /// Opens the store only to read it. It must exist.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let path = file::resolve(path)?;
        if !path.exists() {
            return Err(StoreError::Missing { file: path });
        }
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found = schema::version(&connection)
            .map_err(|error| StoreError::from_sqlite(&path, "opening it", error))?;
        check_version(&path, found)?;
        if found == 0 {
            // Somebody is about to make it: the file is there, its tables not.
            return Err(StoreError::Missing { file: path });
        }
        if found < schema::known_version() {
            // An older store lacks what we would ask for; the next writer
            // brings it up to date.
            return Err(StoreError::ReadOnly {
                file: path,
                doing: "bringing it up to date",
            });
        }
        Ok(Self {
            path,
            writer: Mutex::new(connection),
            reader: Mutex::new(None),
            read_only: true,
        })
    }

    /// Like [`open`](Self::open), but a damaged file is renamed to
    /// `prunella.db.damaged-TIME`, kept, and a new one begun.
    pub fn open_or_set_aside(path: &Path) -> Result<OpenedOrSetAside, StoreError> {
        let damage = match Self::open(path) {
            Ok(store) => {
                return Ok(OpenedOrSetAside {
                    store,
                    set_aside: None,
                });
            }
            Err(error) if error.is_damage() => error,
            Err(error) => return Err(error),
        };
        let resolved = file::resolve(path)?;
        let lock = file::lock_folder(&resolved)?;
        // Another process may have set it aside while we waited for the lock.
        let still_damaged = match Self::examine(&resolved) {
            Ok(()) => false,
            Err(error) => error.is_damage(),
        };
        let set_aside = if still_damaged {
            Some((file::set_aside(&resolved)?, damage))
        } else {
            None
        };
        drop(lock);
        let store = Self::open(path)?;
        Ok(OpenedOrSetAside { store, set_aside })
    }

    /// Sets a file aside in which damage was found later than at its opening.
    /// Answers with its new name. A store that is open goes on writing to the
    /// renamed file: open a new one afterwards.
    pub fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
        let resolved = file::resolve(path)?;
        let _lock = file::lock_folder(&resolved)?;
        file::set_aside(&resolved)
    }

    fn examine(path: &Path) -> Result<(), StoreError> {
        if !path.exists() {
            return Ok(());
        }
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        is_ready(&connection, path)
            .map_err(|e| e.or(|error| StoreError::from_sqlite(path, "opening it", error)))?;
        Ok(())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was opened only to be read.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Looks at the whole file for damage. Takes a second for every few hundred
    /// megabytes: not for the hot path.
    pub fn check(&self) -> Result<(), StoreError> {
        let found: String = self.read("checking it", |connection| {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        })?;
        if found == "ok" {
            Ok(())
        } else {
            Err(StoreError::Corrupt {
                file: self.path.clone(),
                doing: "checking it",
                detail: found,
            })
        }
    }

    /// Runs `body` as one transaction that holds the write lock from its
    /// beginning, so that what it reads stays true until it writes. It is on
    /// the disk when this returns.
    fn write<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.write_until(Durable::Now, doing, body)
    }

    /// Like [`write`](Self::write), on the disk with the next such write: only
    /// for what somebody else's next step makes certain.
    fn write_ahead<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.write_until(Durable::WithTheNext, doing, body)
    }

    fn write_until<T>(
        &self,
        durable: Durable,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly {
                file: self.path.clone(),
                doing,
            });
        }
        let mut writer = lock(&self.writer);
        let failed = |error| StoreError::from_sqlite(&self.path, doing, error);
        // In WAL mode NORMAL leaves out the fsync at a commit, and nothing
        // else; the next FULL commit syncs the log with all that is in it.
        writer
            .pragma_update(None, "synchronous", durable.synchronous())
            .map_err(failed)?;
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let value = body(&transaction).map_err(|e| e.or(failed))?;
        transaction.commit().map_err(failed)?;
        Ok(value)
    }

    fn read<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let failed = |error| StoreError::from_sqlite(&self.path, doing, error);
        if self.read_only {
            return body(&lock(&self.writer)).map_err(failed);
        }
        let mut reader = lock(&self.reader);
        let connection = match reader.take() {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        body(reader.insert(connection)).map_err(failed)
    }

    fn to_json<T: serde::Serialize>(
        &self,
        doing: &'static str,
        value: &T,
    ) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|source| StoreError::Value {
            file: self.path.clone(),
            doing,
            source,
        })
    }
}

/// When a write is on the disk.
#[derive(Debug, Clone, Copy)]
enum Durable {
    Now,
    WithTheNext,
}

impl Durable {
    fn synchronous(self) -> &'static str {
        match self {
            Self::Now => "FULL",
            Self::WithTheNext => "NORMAL",
        }
    }
}

/// What can go wrong within a transaction.
#[derive(Debug)]
enum WriteError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl WriteError {
    fn or(self, sqlite: impl FnOnce(rusqlite::Error) -> StoreError) -> StoreError {
        match self {
            Self::Sqlite(error) => sqlite(error),
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A panic in another thread left no half-done work behind: an unfinished
/// transaction was rolled back when it was dropped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |error| StoreError::from_sqlite(path, "opening it", error);
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Some builds of SQLite map files by default.
    connection
        .pragma_update(None, "mmap_size", 0)
        .map_err(failed)?;
    Ok(connection)
}

/// Whether the store is of the newest version and in WAL mode.
fn is_ready(connection: &Connection, path: &Path) -> Result<bool, WriteError> {
    let found = schema::version(connection)?;
    check_version(path, found)?;
    // Reading the schema finds damage beyond the first page's head.
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if found > 0 && tables == 0 {
        return Err(WriteError::Store(StoreError::Corrupt {
            file: path.to_owned(),
            doing: "opening it",
            detail: "it has a version and no tables".to_owned(),
        }));
    }
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(found == schema::known_version() && mode == "wal")
}

fn check_version(path: &Path, found: i64) -> Result<(), StoreError> {
    let known = schema::known_version();
    if found > known {
        return Err(StoreError::NewerVersion {
            file: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

fn set_up(writer: &mut Connection) -> rusqlite::Result<()> {
    writer.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    writer.execute_batch("PRAGMA synchronous = FULL;")?;
    schema::migrate(writer)
}
