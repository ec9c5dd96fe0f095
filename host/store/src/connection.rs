//! Opening the file: what is looked at, what is made, what is set aside.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use crate::{
    StoreError, WriteError,
    connect::{BUSY_TIMEOUT, connect},
    file, salvage, schema,
};

/// The log beside the file is cut back to this, in bytes, when all of it is in
/// the file: a burst of writes does not keep its size for good.
const LOG_LIMIT: i64 = 8 << 20;

/// The damaged file's new name, and what was wrong with it.
pub(crate) type SetAside = Option<(PathBuf, StoreError)>;

/// Which file it is: device and inode.
pub(crate) type Identity = (u64, u64);

/// A connection, and which file it is to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// A path may come to name another file.
    identity: Option<Identity>,
    patience: Duration,
}

impl Opened {
    fn new(connection: Connection, path: &Path) -> Self {
        Self {
            connection,
            identity: identity(path),
            patience: BUSY_TIMEOUT,
        }
    }

    /// Whether `path` is still the file that this is a connection to.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.identity.is_some() && self.identity == identity(path)
    }

    /// How long it waits from now on for another process's transaction.
    pub(crate) fn wait(&mut self, patience: Duration) {
        // It can only fail when SQLite was built without it.
        if self.patience != patience && self.connection.busy_timeout(patience).is_ok() {
            self.patience = patience;
        }
    }
}

/// By name: opening and closing the file would drop the locks that SQLite holds
/// on it for another connection of this process.
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Opens it for reading and writing, made or brought up to date where needed.
/// Answers with its path, links of the folder resolved.
pub(crate) fn open(path: &Path) -> Result<(PathBuf, Opened), StoreError> {
    let path = file::prepare(path)?;
    let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = |error| StoreError::from_sqlite(&path, "opening it", error);
    if !is_ready(&writer, &path).map_err(|e| e.or(failed))? {
        // Two processes that change the journal mode at once get in each
        // other's way without waiting for the busy timeout.
        let _lock = file::lock_folder(&path)?;
        set_up(&mut writer).map_err(failed)?;
    }
    writer
        .execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = {LOG_LIMIT};"
        ))
        .map_err(failed)?;
    let opened = Opened::new(writer, &path);
    Ok((path, opened))
}

/// A connection to read with, beside one that writes.
pub(crate) fn reader(path: &Path) -> Result<Opened, StoreError> {
    let path = file::resolve(path)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(Opened::new(connection, &path))
}

/// Opens it only to read it. It must exist and be of this version.
pub(crate) fn open_read_only(path: &Path) -> Result<(PathBuf, Opened), StoreError> {
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
        // An older store lacks what we would ask for; the next writer brings
        // it up to date.
        return Err(StoreError::ReadOnly {
            file: path,
            doing: "bringing it up to date",
        });
    }
    let opened = Opened::new(connection, &path);
    Ok((path, opened))
}

/// [`open`], with a damaged file set aside first.
pub(crate) fn open_or_set_aside(path: &Path) -> Result<(PathBuf, Opened, SetAside), StoreError> {
    let damage = match open(path) {
        Ok((path, opened)) => return Ok((path, opened, None)),
        Err(error) if error.is_damage() => error,
        Err(error) => return Err(error),
    };
    let resolved = file::resolve(path)?;
    let lock = file::lock_folder(&resolved)?;
    // Another process may have set it aside while we waited for the lock.
    let still_damaged = match examine(&resolved) {
        Ok(()) => false,
        Err(error) => error.is_damage(),
    };
    let set_aside = if still_damaged {
        Some((file::set_aside(&resolved)?, damage))
    } else {
        None
    };
    drop(lock);
    let (path, mut opened) = open(path)?;
    if let Some((aside, _)) = &set_aside {
        salvage::take_over(aside, &mut opened.connection);
    }
    Ok((path, opened, set_aside))
}

/// Sets a damaged file aside whatever its head looks like, and begins a new
/// one. Answers with the old one's new name.
pub(crate) fn begin_anew(path: &Path) -> Result<(PathBuf, Opened), StoreError> {
    let resolved = file::resolve(path)?;
    let lock = file::lock_folder(&resolved)?;
    let aside = file::set_aside(&resolved)?;
    drop(lock);
    let (_, mut opened) = open(path)?;
    salvage::take_over(&aside, &mut opened.connection);
    Ok((aside, opened))
}

/// Puts the log into the file as far as nobody needs it any more.
pub(crate) fn checkpoint(path: &Path) -> Result<(), StoreError> {
    let path = file::resolve(path)?;
    let failed = |error| StoreError::from_sqlite(&path, "putting its log into the file", error);
    connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .map_err(failed)
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
    // Before there is any table, or it has no effect.
    writer.pragma_update(None, "auto_vacuum", "incremental")?;
    writer.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    writer.execute_batch("PRAGMA synchronous = FULL;")?;
    schema::migrate(writer)
}
