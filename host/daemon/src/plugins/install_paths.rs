//! Where the files of an installed plugin are, and how they are changed.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use prunella_core::StrategyName;
use rustix::fs::{FlockOperation, flock};

use crate::{DaemonError, Paths};

/// What is appended to a component's name for its signature, as minisign does.
const SIGNATURE: &str = ".minisig";

/// The files of one plugin.
#[derive(Debug, Clone)]
pub struct InstallPaths {
    /// `NAME.wasm`
    pub component: PathBuf,
    /// `NAME.wasm.minisig`
    pub signature: PathBuf,
    /// `NAME.toml`: what was installed.
    pub record: PathBuf,
}

impl InstallPaths {
    /// Of a name, whether it is there or not.
    pub fn of(paths: &Paths, name: &StrategyName) -> Self {
        let folder = paths.plugins();
        let component = folder.join(format!("{name}.wasm"));
        Self {
            signature: signature_of(&component),
            record: folder.join(format!("{name}.toml")),
            component,
        }
    }

    /// Those of its files that are there, whatever they are.
    pub fn files(&self) -> Vec<&Path> {
        // The component first: without it the others mean nothing.
        [&self.component, &self.signature, &self.record]
            .into_iter()
            .map(PathBuf::as_path)
            .filter(|path| fs::symlink_metadata(path).is_ok())
            .collect()
    }
}

/// Where the signature of a component's file would be.
pub fn signature_of(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(SIGNATURE);
    name.into()
}

/// Held while the folder of plugins is changed or read, so that nobody sees the
/// half of a change. It is let go when dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "the lock is as long as this is open")] File);

impl Lock {
    /// Waits until nobody else holds it. Only root can hold it at all.
    pub fn wait(paths: &Paths) -> Result<Self, DaemonError> {
        Self::take(paths, FlockOperation::LockExclusive)
            .map_err(DaemonError::file("lock", paths.plugins_lock()))
    }

    /// Takes it if it is free.
    pub fn try_take(paths: &Paths) -> io::Result<Self> {
        Self::take(paths, FlockOperation::NonBlockingLockExclusive)
    }

    fn take(paths: &Paths, how: FlockOperation) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(paths.plugins_lock())?;
        flock(&file, how)?;
        Ok(Self(file))
    }
}
