//! The store's file and folder: created closed to others, locked, set aside.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::StoreError;

/// What SQLite keeps beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

fn failed(file: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let file = file.to_owned();
    move |source| match source
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error)
    {
        Some(rustix::io::Errno::ROFS) => StoreError::ReadOnly { file, doing },
        _ => StoreError::File {
            file,
            doing,
            source,
        },
    }
}

/// The path with its folder's links resolved: SQLite is told to follow none.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(StoreError::File {
            file: path.to_owned(),
            doing: "finding it",
            source: io::Error::from(io::ErrorKind::InvalidInput),
        });
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    match fs::canonicalize(folder) {
        Ok(folder) => Ok(folder.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Missing {
            file: path.to_owned(),
        }),
        Err(error) => Err(failed(folder, "finding its folder")(error)),
    }
}

/// Creates folder and file where they are missing, and closes the file to
/// others. SQLite gives its companions the mode of the file.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed(folder, "creating its folder"))?;
    }
    let path = resolve(path)?;
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match created {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tighten(&path)?,
        Err(error) => return Err(failed(&path, "creating it")(error)),
    }
    Ok(path)
}

/// By name and not by descriptor: opening and closing the file would drop the
/// locks that SQLite holds on it for another connection of this process.
fn tighten(path: &Path) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(path).map_err(failed(path, "looking at it"))?;
    if found.is_file() && found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(failed(path, "closing it to others"))?;
    }
    Ok(())
}

/// Held while tables are made or a file is set aside; released when dropped.
pub(crate) fn lock_folder(path: &Path) -> Result<File, StoreError> {
    let folder = path.parent().unwrap_or(path);
    let doing = "locking its folder";
    let lock = File::open(folder).map_err(failed(folder, doing))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|errno| failed(folder, doing)(errno.into()))?;
    Ok(lock)
}

/// Removes the file and its companions: what was in it is lost.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    let all = COMPANIONS.map(|companion| with_suffix(path, companion));
    for file in all.iter().map(PathBuf::as_path).chain([path]) {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(file, "removing it")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Renames the file and its companions; answers with the file's new name.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut number = 0_u32;
    let aside = loop {
        let suffix = if number == 0 {
            format!(".damaged-{seconds}")
        } else {
            format!(".damaged-{seconds}-{number}")
        };
        let candidate = with_suffix(path, &suffix);
        if !candidate.exists() {
            break candidate;
        }
        number += 1;
    };
    // The companions first: without them the file still says that it is
    // damaged, but a new file must never meet an old one's log.
    for companion in COMPANIONS {
        match fs::rename(with_suffix(path, companion), with_suffix(&aside, companion)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(path, "setting it aside")(error)),
        }
    }
    fs::rename(path, &aside).map_err(failed(path, "setting it aside"))?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
