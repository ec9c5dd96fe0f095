//! One healing of a service at a time, also between daemon and hook: a file
//! lock for each unit under `/run/prunella/lock`.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use prunella_core::UnitName;
use rustix::fs::{FlockOperation, flock};

use crate::HealerError;

/// Held while an incident of the unit is worked on. The kernel drops it when
/// the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct UnitLock {
    _file: File,
}

impl UnitLock {
    /// Waits for the lock.
    pub(crate) fn acquire(folder: &Path, unit: &UnitName) -> Result<Self, HealerError> {
        Self::take(folder, unit, FlockOperation::LockExclusive)
            .map(|lock| lock.ok_or(()))?
            .map_err(|()| HealerError::Lock {
                path: folder.join(unit.as_str()),
                source: std::io::Error::from(std::io::ErrorKind::WouldBlock),
            })
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_acquire(folder: &Path, unit: &UnitName) -> Result<Option<Self>, HealerError> {
        Self::take(folder, unit, FlockOperation::NonBlockingLockExclusive)
    }

    fn take(
        folder: &Path,
        unit: &UnitName,
        how: FlockOperation,
    ) -> Result<Option<Self>, HealerError> {
        let path = folder.join(unit.as_str());
        let error = |source| HealerError::Lock {
            path: path.clone(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(error)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(error)?;
        loop {
            match flock(&file, how) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(error(errno.into())),
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
        let unit = UnitName::new("web.service").unwrap();
        let held = UnitLock::acquire(folder.path(), &unit).unwrap();
        assert!(
            UnitLock::try_acquire(folder.path(), &unit)
                .unwrap()
                .is_none()
        );
        let other = UnitName::new("db.service").unwrap();
        assert!(
            UnitLock::try_acquire(folder.path(), &other)
                .unwrap()
                .is_some()
        );
        drop(held);
        assert!(
            UnitLock::try_acquire(folder.path(), &unit)
                .unwrap()
                .is_some()
        );
    }
}
