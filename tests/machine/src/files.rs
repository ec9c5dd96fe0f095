//! Files inside a machine, from outside.
//!
//! Every path is resolved inside the machine's root: a link to `/run/x` leads
//! to the machine's `/run/x`, never to the host's.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result, bail};
use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// A root folder to resolve paths in.
pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let root = rustix::fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self(root))
    }

    fn at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat2(
            &self.0,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
    }

    /// The folder of `path`, made with all its parents where it is missing,
    /// and the file's name.
    fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            bail!("{} names no file", path.display());
        };
        let mut done = PathBuf::from("/");
        let folder = OFlags::PATH | OFlags::DIRECTORY;
        let mut dir = self.at(&done, folder)?;
        for component in parent.components() {
            if let Component::Normal(part) = component {
                match rustix::fs::mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                done.push(part);
                dir = self.at(&done, folder)?;
            }
        }
        Ok((dir, name))
    }

    /// Puts a file in place at once: whoever looks sees all of it or nothing.
    pub(crate) fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let place = || format!("cannot write {} in the machine", path.display());
        let (dir, name) = self.parent(path).with_context(place)?;
        let fresh = format!(".machine-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let fd = rustix::fs::openat(
            &dir,
            &fresh,
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o600),
        )
        .with_context(place)?;
        let mut file = File::from(fd);
        file.write_all(content).with_context(place)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).with_context(place)?;
        rustix::fs::renameat(&dir, &fresh, &dir, name).with_context(place)
    }

    pub(crate) fn link(&self, path: &Path, target: &Path) -> Result<()> {
        let place = || format!("cannot link {} in the machine", path.display());
        let (dir, name) = self.parent(path).with_context(place)?;
        rustix::fs::symlinkat(target, &dir, name).with_context(place)
    }

    pub(crate) fn read(&self, path: &Path) -> Result<String> {
        let place = || format!("cannot read {} in the machine", path.display());
        let mut text = String::new();
        File::from(self.at(path, OFlags::RDONLY).with_context(place)?)
            .read_to_string(&mut text)
            .with_context(place)?;
        Ok(text)
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.at(path, OFlags::PATH | OFlags::NOFOLLOW).is_ok()
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let place = || format!("cannot remove {} in the machine", path.display());
        let (dir, name) = self.parent(path).with_context(place)?;
        rustix::fs::unlinkat(&dir, name, AtFlags::empty()).with_context(place)
    }
}
