//! One sender at a time, among daemon, hooks and sweep: a lock on a file in
//! `/run/prunella`.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// Held while messages are made and sent. The kernel drops it when the process
/// ends, however it ends.
#[derive(Debug)]
pub(crate) struct SenderLock {
    _file: File,
}

impl SenderLock {
    /// Takes the lock if nobody holds it.
    pub(crate) fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/alerts.lock");
        let held = SenderLock::try_acquire(&path).unwrap().unwrap();
        assert!(SenderLock::try_acquire(&path).unwrap().is_none());
        drop(held);
        assert!(SenderLock::try_acquire(&path).unwrap().is_some());
    }
}
