//! Compiled code on disk, by the sha256 of what it was compiled from.
//!
//! wasmtime trusts compiled code: flipped bytes in it would crash the process
//! or worse. So each file begins with a hash of the rest, and is used only when
//! that is right and only root (or who runs this) could have written it.
//! Anything else is compiled again and written anew. A cache that cannot be
//! used is no error: everything works without, slower.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `prunella-cwasm-1` |
//! | 32 | SHA-256 of the rest |
//! | … | what wasmtime's compiler made |

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use prunella_core::hash::hexadecimal;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 16] = b"prunella-cwasm-1";
const HASH: usize = 32;
const EXTENSION: &str = "cwasm";

/// The largest file that is read: Python's runtime compiles to about 40 MB.
const LARGEST: u64 = 256 << 20;

/// A folder of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// Names what the code can be loaded into: Prunella's and wasmtime's version,
    /// its configuration, the target.
    compatible: String,
}

impl Cache {
    /// Uses a folder, which is made if it is not there. Fails when others than
    /// root and this user could write to it.
    pub(crate) fn open(folder: PathBuf, engine: &wasmtime::Engine) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let found = fs::symlink_metadata(&folder)?;
        if !found.is_dir() {
            return Err(io::Error::other("it is not a folder"));
        }
        trusted(&found)?;
        let mut hasher = Hashing(Sha256::new());
        // With another version come other built-in strategies: nothing uses the old
        // ones any more, and `sweep` removes them.
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let mut compatible = hexadecimal(&hasher.0.finalize());
        compatible.truncate(16);
        Ok(Self { folder, compatible })
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.folder
            .join(format!("{sha256}-{}.{EXTENSION}", self.compatible))
    }

    /// The compiled code of the component with this hash, if it is there and
    /// as it was written. What is wrong with it is logged.
    pub(crate) fn get(&self, sha256: &str) -> Option<Vec<u8>> {
        let path = self.path(sha256);
        match read(&path) {
            Ok(code) => Some(code),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(
                    file = %path.display(),
                    "compiled code is not used, and made anew: {error}"
                );
                None
            }
        }
    }

    /// Keeps compiled code. Failing to is logged, and costs only time.
    pub(crate) fn put(&self, sha256: &str, code: &[u8]) {
        let path = self.path(sha256);
        if let Err(error) = self.write(&path, code) {
            tracing::warn!(
                file = %path.display(),
                "compiled code cannot be kept, so it is made anew at every start: {error}"
            );
        }
    }

    /// Removes what was kept.
    pub(crate) fn remove(&self, sha256: &str) {
        let path = self.path(sha256);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(
                file = %path.display(),
                "compiled code is not needed any more, and cannot be removed: {error}"
            ),
            _ => {}
        }
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let temporary = self.folder.join(format!(
            ".{}-{}.tmp",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let written = write_new(&temporary, code).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // Whatever went wrong, nothing half-written stays behind; if that
            // fails too, the first error is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.sweep();
        Ok(())
    }

    /// Removes what another version of Prunella compiled: nothing can use it
    /// any more. Done only when something new was written, so that it costs
    /// nothing otherwise.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let current = format!("-{}.{EXTENSION}", self.compatible);
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(&format!(".{EXTENSION}")) && !name.ends_with(&current) {
                // It may be gone already, by another process that sweeps.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(
            (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK)
                .bits()
                .cast_signed(),
        )
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(io::Error::other("it is not a file of compiled code"));
    }
    trusted(&found)?;
    let mut header = [0; MAGIC.len() + HASH];
    file.read_exact(&mut header)?;
    let (magic, hash) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(io::Error::other("it does not begin as it should"));
    }
    let mut code = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
    file.take(LARGEST).read_to_end(&mut code)?;
    if hash != Sha256::digest(&code).as_slice() {
        return Err(io::Error::other("its content is not what was written"));
    }
    Ok(code)
}

fn write_new(path: &Path, code: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(MAGIC)?;
    file.write_all(&Sha256::digest(code))?;
    // No fsync: after a crash the hash does not fit, and it is compiled again.
    file.write_all(code)
}

/// Whether only root and this user could have written it.
fn trusted(found: &fs::Metadata) -> io::Result<()> {
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != me {
        return Err(io::Error::other(format!(
            "it belongs to user {}, not to root",
            found.uid()
        )));
    }
    if found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others may write to it (mode {:04o}); `chmod go-w` would do",
            found.mode() & 0o7777
        )));
    }
    Ok(())
}

/// A hash that is the same in every process and build, which the standard
/// library does not promise of its own.
struct Hashing(Sha256);

impl Hasher for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0
            .clone()
            .finalize()
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
