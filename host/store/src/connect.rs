//! One connection to a file, with what is set for every connection.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{StoreError, cached};

/// How long a process waits for another one's transaction. Ours take one fsync;
/// on a disk where that takes seconds, the wait is still worth it.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection keeps of the file, in KiB. SQLite would keep 2 MiB, and a
/// daemon after a storm does; a write and a list need a few pages, and the system
/// has the rest in its own cache.
const CACHE_KIB: u32 = 256;

pub(crate) fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |error| StoreError::from_sqlite(path, "opening it", error);
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(cached::KEPT);
    // Some builds of SQLite map files by default.
    let settings = format!("PRAGMA mmap_size = 0; PRAGMA cache_size = -{CACHE_KIB};");
    connection.execute_batch(&settings).map_err(failed)?;
    Ok(connection)
}

/// Opens a file that was set aside, for what can still be read of it.
pub(crate) fn open_damaged(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}
