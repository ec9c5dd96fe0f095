//! One healing of a service at a time, also between daemon and hook: a file
//! lock for each unit under `/run/prunella/lock`.
//!
//! Whoever heals a unit has a second lock on it until it answers again: what
//! waits for the unit in another process need not wait for its proof as well.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

use prunella_core::UnitName;
use rustix::fs::{FlockOperation, flock};

use crate::HealerError;

/// Held while an incident of the unit is worked on. The kernel drops it when
/// the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct UnitLock {
    _file: File,
    until_it_answers: Mutex<Option<File>>,
}

impl UnitLock {
    /// Waits for the lock.
    pub(crate) fn acquire(folder: &Path, unit: &UnitName) -> Result<Self, HealerError> {
        let file = wait(folder, unit.as_str())?;
        Self::of(file, folder, unit)
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_acquire(folder: &Path, unit: &UnitName) -> Result<Option<Self>, HealerError> {
        take(
            folder,
            unit.as_str(),
            FlockOperation::NonBlockingLockExclusive,
        )?
        .map(|file| Self::of(file, folder, unit))
        .transpose()
    }

    /// With the second lock, which nobody keeps who does not have the first.
    fn of(file: File, folder: &Path, unit: &UnitName) -> Result<Self, HealerError> {
        Ok(Self {
            _file: file,
            until_it_answers: Mutex::new(Some(wait(folder, &until_it_answers(unit))?)),
        })
    }

    /// Whether anybody has worked on the unit since boot, at which the folder is empty.
    pub(crate) fn was_taken(folder: &Path, unit: &UnitName) -> bool {
        folder.join(unit.as_str()).exists()
    }

    /// The unit answers again.
    pub(crate) fn answers(&self) {
        self.until_it_answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Waits until the unit answers, or until whoever holds its lock gives up.
    pub(crate) fn wait_until_it_answers(folder: &Path, unit: &UnitName) -> Result<(), HealerError> {
        wait(folder, &until_it_answers(unit)).map(drop)
    }
}

/// The second lock's name.
fn until_it_answers(unit: &UnitName) -> String {
    format!("{unit}.answers")
}

fn wait(folder: &Path, name: &str) -> Result<File, HealerError> {
    take(folder, name, FlockOperation::LockExclusive)?.ok_or_else(|| HealerError::Lock {
        path: folder.join(name),
        source: std::io::Error::from(std::io::ErrorKind::WouldBlock),
    })
}

fn take(folder: &Path, name: &str, how: FlockOperation) -> Result<Option<File>, HealerError> {
    let path = folder.join(name);
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
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(error(errno.into())),
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

    #[test]
    fn a_service_that_answers_is_no_longer_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let unit = UnitName::new("web.service").unwrap();
        let held = UnitLock::acquire(folder.path(), &unit).unwrap();
        let free = || {
            take(
                folder.path(),
                &until_it_answers(&unit),
                FlockOperation::NonBlockingLockExclusive,
            )
            .unwrap()
            .is_some()
        };
        assert!(!free());
        held.answers();
        assert!(free());
        UnitLock::wait_until_it_answers(folder.path(), &unit).unwrap();
        // It is being healed all the same.
        assert!(
            UnitLock::try_acquire(folder.path(), &unit)
                .unwrap()
                .is_none()
        );
    }
}
