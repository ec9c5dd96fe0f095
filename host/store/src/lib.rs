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
//! - But for what is [written ahead](Store::append_ahead): opening an incident,
//!   its detection, a healing spent, the intention of a start. It is committed,
//!   so that every process sees it and a killed one does not lose it; onto the
//!   disk it comes with the next write, or by [`Store::sync`].
//! - The file is 0600 in a folder of 0700. It is never memory-mapped: a
//!   truncated file would kill the process.
//! - A damaged file is set aside, never deleted
//!   ([`Store::open_or_set_aside`]).
//! - A [lasting](Store::lasting) store, which is what heals, outlives all of
//!   this: it begins a new file when damage turns up later, goes on when a full
//!   disk has room again, and tells of each trouble once.
//! - What is old is forgotten in small transactions ([`Store::tidy`]); the pages
//!   that frees are used again, and given back when they are many.
//!
//! What was measured lies in a file of its own ([`samples`]).
//!
//! The healing budget goes through the [`Ledger`], which still
//! works when the store does not.

mod access;
mod applied;
mod approvals;
mod attempts;
mod cached;
mod columns;
mod connect;
mod connection;
mod error;
mod error_budgets;
mod events;
mod expected;
mod file;
mod healings;
mod health;
mod incidents;
pub mod ledger;
mod notices;
mod outbox;
mod pauses;
mod ports;
mod probes;
mod releases;
mod retention;
mod salvage;
pub mod samples;
mod schema;
mod state;
mod statistics;
mod totals;
mod traces;
mod trouble;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::{attempts::Backlog, connection::Opened as OpenFile, trouble::Trouble};

pub use self::{
    approvals::{Answer, Asked, Decision, Ruling},
    attempts::{AttemptEnd, LastSteps},
    error::StoreError,
    error_budgets::StoredBudget,
    health::SeenHealth,
    incidents::{Due, Found, LatestEnd, Opened},
    ledger::{Kept, Ledger, LedgerError},
    notices::{Notice, NoticeChange},
    outbox::{AlertDecision, Decided, FoundDispatch, NewAlert, Tried, Unfinished},
    pauses::Pause,
    probes::ProbeHistory,
    retention::Tidied,
    statistics::LearnedCounts,
    totals::{RECOVERY_BOUNDS, Total, TotalCount},
};

/// Where the store lies unless told otherwise.
pub const DEFAULT_PATH: &str = "/var/lib/prunella/prunella.db";

/// A store that could not be opened is not tried again sooner: opening may take
/// as long as another process keeps it locked.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// The incident store. Cheap to share between threads behind an `Arc`.
pub struct Store {
    path: PathBuf,
    kind: Kind,
    /// Reads never wait for a write's fsync. Opened when first needed: the hook
    /// hardly reads. Locked after the writer where both are; closed before it,
    /// since only the last to close can put the log into the file, and a reader
    /// may not.
    reader: Mutex<Option<OpenFile>>,
    /// Writes, one at a time.
    writer: Mutex<Writer>,
    trouble: Trouble,
    backlog: Backlog,
    /// Whom to wake when something was written.
    written: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What becomes of it when there is trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is only read.
    ReadOnly,
    /// Whoever opened it sees to that.
    Plain,
    /// It helps itself: see [`Store::lasting`].
    Lasting,
}

#[derive(Default)]
struct Writer {
    file: Option<OpenFile>,
    /// When opening it failed last.
    failed: Option<Failed>,
}

/// An opening that failed.
struct Failed {
    at: Instant,
    why: String,
    /// What was there: with another file it is worth another try at once.
    identity: Option<connection::Identity>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("kind", &self.kind)
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
    fn new(path: PathBuf, kind: Kind, file: Option<OpenFile>) -> Self {
        Self {
            path,
            kind,
            reader: Mutex::new(None),
            writer: Mutex::new(Writer { file, failed: None }),
            trouble: Trouble::default(),
            backlog: Backlog::default(),
            written: OnceLock::new(),
        }
    }

    /// Has `wake` called after each write of this process, by the thread that wrote: it must
    /// be quick. The first who asks for it gets it.
    pub fn when_written(&self, wake: impl Fn() + Send + Sync + 'static) {
        if self.written.set(Box::new(wake)).is_err() {
            tracing::debug!("somebody is woken by the store already");
        }
    }

    /// Opens the store for reading and writing; creates file (0600), folder
    /// (0700) and tables, and brings an older store up to date.
    ///
    /// Only the head of the file is looked at, however large it is:
    /// [`check`](Self::check) looks at all of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (path, file) = connection::open(path)?;
        Ok(Self::new(path, Kind::Plain, Some(file)))
    }

    /// Opens the store only to read it. It must exist.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let (path, file) = connection::open_read_only(path)?;
        Ok(Self::new(path, Kind::ReadOnly, Some(file)))
    }

    /// Like [`open`](Self::open), but a damaged file is renamed to
    /// `prunella.db.damaged-TIME`, kept, and a new one begun with what could be
    /// read of the old one's pauses, healings and open incidents.
    pub fn open_or_set_aside(path: &Path) -> Result<OpenedOrSetAside, StoreError> {
        let (resolved, file, set_aside) = connection::open_or_set_aside(path)?;
        Ok(OpenedOrSetAside {
            store: Self::new(resolved, Kind::Plain, Some(file)),
            set_aside,
        })
    }

    /// The store for whoever heals: it never refuses, it outlives trouble, and
    /// it tells of each trouble once, as an error in the log.
    ///
    /// - What cannot be opened now (a read-only disk, a newer version) is tried
    ///   again with later calls; until then each of them fails at once.
    /// - A file in which damage is found, now or later, is set aside and kept,
    ///   and a new one takes its place. So does a file that somebody moves away.
    /// - While another process keeps it locked, only the first call waits for
    ///   long.
    pub fn lasting(path: &Path) -> Self {
        let store = Self::new(path.to_owned(), Kind::Lasting, None);
        let opened = store.open_again(&mut lock(&store.writer), "opening it");
        store.note(opened).ok();
        store
    }

    /// Sets a file aside in which damage was found later than at its opening.
    /// Answers with its new name. A store that is open goes on writing to the
    /// renamed file, unless it is a [lasting](Self::lasting) one.
    pub fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
        let resolved = file::resolve(path)?;
        let _lock = file::lock_folder(&resolved)?;
        file::set_aside(&resolved)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was opened only to be read.
    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::ReadOnly
    }

    /// What keeps a [lasting](Self::lasting) store from working at the moment,
    /// in a sentence.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.now()
    }

    /// Looks at the whole file for damage. Takes a second for every few hundred
    /// megabytes: not for the hot path.
    pub fn check(&self) -> Result<(), StoreError> {
        self.read("checking it", |connection| {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        })
        .and_then(|found| {
            if found == "ok" {
                Ok(())
            } else {
                Err(StoreError::Corrupt {
                    file: self.path.clone(),
                    doing: "checking it",
                    detail: found,
                })
            }
        })
    }

    /// Has on the disk, when it returns, what was written ahead: steps by
    /// [`append_ahead`](Self::append_ahead), incidents opened, healings spent.
    pub fn sync(&self) -> Result<(), StoreError> {
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        // By a descriptor of our own, so that no write waits for it. SQLite keeps
        // no locks on this file that closing it would lose.
        match File::open(&wal).and_then(|file| file.sync_data()) {
            Ok(()) => Ok(()),
            // All of it was carried over into the store itself, and synced.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(StoreError::File {
                file: wal.into(),
                doing: "putting it onto the disk",
                source,
            }),
        }
    }

    /// Runs `body` as one transaction that holds the write lock from its
    /// beginning, so that what it reads stays true until it writes. It is on
    /// the disk when this returns.
    fn write<T>(
        &self,
        doing: &'static str,
        body: impl Fn(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.write_until(Durable::Now, doing, body)
    }

    /// Like [`write`](Self::write), on the disk with the next such write: only
    /// for what somebody else's next step makes certain.
    fn write_ahead<T>(
        &self,
        doing: &'static str,
        body: impl Fn(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.write_until(Durable::WithTheNext, doing, body)
    }

    fn write_until<T>(
        &self,
        durable: Durable,
        doing: &'static str,
        body: impl Fn(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        if self.kind == Kind::ReadOnly {
            return Err(StoreError::ReadOnly {
                file: self.path.clone(),
                doing,
            });
        }
        let mut writer = lock(&self.writer);
        let attempt = |writer: &mut Writer| {
            let connection = self.connection(writer, doing)?;
            transact(connection, durable, &body)
                .map_err(|e| e.or(|error| StoreError::from_sqlite(&self.path, doing, error)))
        };
        let result = match attempt(&mut writer) {
            Err(error) if self.kind == Kind::Lasting && error.is_damage() => {
                match self.replace(&mut writer, error) {
                    // What it was about may be gone with the old file.
                    Ok(()) => attempt(&mut writer),
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        drop(writer);
        let result = self.note(result);
        if result.is_ok() && self.is_behind() {
            self.catch_up();
        }
        if result.is_ok()
            && let Some(wake) = self.written.get()
        {
            wake();
        }
        result
    }

    fn read<T>(
        &self,
        doing: &'static str,
        body: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let failed = |error| StoreError::from_sqlite(&self.path, doing, error);
        if self.kind == Kind::ReadOnly {
            let mut writer = lock(&self.writer);
            return body(self.connection(&mut writer, doing)?).map_err(failed);
        }
        if self.is_behind() {
            // Whoever asks gets the truth as soon as it can be written.
            self.catch_up();
        }
        let attempt = || {
            let mut reader = lock(&self.reader);
            let current = reader.take().filter(|file| self.is_current(file));
            let file = match current {
                Some(file) => file,
                None => {
                    // What is not there or not up to date is the writer's to
                    // see to, and the writer is locked before the reader.
                    drop(reader);
                    self.connection(&mut lock(&self.writer), doing)?;
                    let file = connection::reader(&self.path)?;
                    reader = lock(&self.reader);
                    file
                }
            };
            body(&reader.insert(file).connection).map_err(failed)
        };
        let result = match attempt() {
            Err(error) if self.kind == Kind::Lasting && error.is_damage() => {
                // Its own statement: the lock is not to be held for the attempt.
                let replaced = self.replace(&mut lock(&self.writer), error);
                replaced.and_then(|()| attempt())
            }
            other => other,
        };
        // That it can be read does not say that it can be written.
        if let Err(error) = &result
            && self.kind == Kind::Lasting
            && error.is_trouble()
        {
            self.trouble.met(error);
        }
        result
    }

    /// The connection to write with; opened anew where a lasting store has none
    /// or its file is no longer the one at its path.
    fn connection<'w>(
        &self,
        writer: &'w mut Writer,
        doing: &'static str,
    ) -> Result<&'w mut Connection, StoreError> {
        if self.kind == Kind::Lasting
            && !writer
                .file
                .as_ref()
                .is_some_and(|file| self.is_current(file))
        {
            self.open_again(writer, doing)?;
        }
        match writer.file.as_mut() {
            Some(file) => {
                if self.kind == Kind::Lasting {
                    file.wait(self.trouble.patience());
                }
                Ok(&mut file.connection)
            }
            None => Err(StoreError::Missing {
                file: self.path.clone(),
            }),
        }
    }

    fn is_current(&self, file: &OpenFile) -> bool {
        self.kind != Kind::Lasting || file.is_at(&self.path)
    }

    fn open_again(&self, writer: &mut Writer, doing: &'static str) -> Result<(), StoreError> {
        if let Some(failed) = &writer.failed
            && failed.at.elapsed() < TRY_AGAIN
            && failed.identity == connection::identity(&self.path)
        {
            return Err(StoreError::Unavailable {
                file: self.path.clone(),
                doing,
                why: failed.why.clone(),
            });
        }
        // Closed before another file takes its path.
        writer.file = None;
        lock(&self.reader).take();
        match connection::open_or_set_aside(&self.path) {
            Ok((_, file, set_aside)) => {
                if let Some((aside, why)) = set_aside {
                    self.trouble.set_aside(&aside, &why);
                }
                writer.file = Some(file);
                writer.failed = None;
                Ok(())
            }
            Err(error) => {
                writer.failed = Some(self.failure(&error));
                Err(error)
            }
        }
    }

    fn failure(&self, error: &StoreError) -> Failed {
        Failed {
            at: Instant::now(),
            why: error.to_string(),
            identity: connection::identity(&self.path),
        }
    }

    /// Damage was found: sets the file aside and begins a new one.
    fn replace(&self, writer: &mut Writer, damage: StoreError) -> Result<(), StoreError> {
        let ours = writer.file.take();
        lock(&self.reader).take();
        // Whoever was first, another thread or another process, has done it.
        let still_there = ours.as_ref().is_some_and(|file| file.is_at(&self.path));
        drop(ours);
        if still_there {
            match connection::begin_anew(&self.path) {
                Ok((aside, file)) => {
                    self.trouble.set_aside(&aside, &damage);
                    writer.file = Some(file);
                }
                Err(error) => {
                    writer.failed = Some(self.failure(&error));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Tells of trouble when it begins, and when it is over.
    fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if self.kind == Kind::Lasting {
            match &result {
                Ok(_) => self.trouble.over(&self.path),
                Err(error) if error.is_trouble() => self.trouble.met(error),
                Err(_) => {}
            }
        }
        result
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

fn transact<T>(
    connection: &mut Connection,
    durable: Durable,
    body: impl Fn(&Transaction<'_>) -> Result<T, WriteError>,
) -> Result<T, WriteError> {
    // In WAL mode NORMAL leaves out the fsync at a commit, and nothing else;
    // the next FULL commit syncs the log with all that is in it.
    connection.pragma_update(None, "synchronous", durable.synchronous())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = body(&transaction)?;
    transaction.commit()?;
    Ok(value)
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
