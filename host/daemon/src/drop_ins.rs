//! The drop-ins that `prunella enable` writes, so that systemd calls the hook.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use prunella_config::Config;
use prunella_core::UnitName;

use crate::{DaemonError, files};

/// Where this host's drop-ins are.
pub(crate) const UNIT_DIR: &str = "/etc/systemd/system";

/// The drop-in's name within `UNIT.d`.
const NAME: &str = "50-prunella.conf";

/// What makes systemd call the hook. `%n` and not `%N`: a service and a socket
/// of the same name must not share one hook.
pub const BODY: &str = "[Unit]\nOnFailure=prunella-hook@%n.service\n";

/// Where the drop-in of a unit is.
pub fn path(unit_dir: &Path, unit: &UnitName) -> PathBuf {
    unit_dir.join(format!("{unit}.d")).join(NAME)
}

/// Every drop-in that Prunella wrote and nobody edited, by its unit.
pub fn all(unit_dir: &Path) -> Result<Vec<(UnitName, PathBuf)>, DaemonError> {
    let mut found = marked(unit_dir)?;
    found.retain(|(_, _, edited)| !edited);
    Ok(found
        .into_iter()
        .map(|(unit, path, _)| (unit, path))
        .collect())
}

/// Every one that Prunella wrote and somebody edited.
pub fn edited(unit_dir: &Path) -> Result<Vec<PathBuf>, DaemonError> {
    let found = marked(unit_dir)?;
    let edited = found.into_iter().filter(|(_, _, edited)| *edited);
    Ok(edited.map(|(_, path, _)| path).collect())
}

/// Every one that carries Prunella's mark, and whether somebody edited it. A link, or a file
/// of somebody else's, carries none.
fn marked(unit_dir: &Path) -> Result<Vec<(UnitName, PathBuf, bool)>, DaemonError> {
    let failed = || DaemonError::file("list", unit_dir);
    let entries = match fs::read_dir(unit_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed())?.file_name();
        let unit = name
            .to_str()
            .and_then(|name| name.strip_suffix(".d"))
            .and_then(|name| UnitName::new(name).ok());
        let Some(unit) = unit else { continue };
        let path = path(unit_dir, &unit);
        if files::is_marked(&path)? {
            let edited = !files::is_unedited(&path)?;
            found.push((unit, path, edited));
        }
    }
    found.sort();
    Ok(found)
}

/// Those of units that are in nobody's care: their services files are gone. `config` has to
/// be one without mistakes, since a file with one declares a service, too. None where they
/// are [`lost`].
pub fn orphans(unit_dir: &Path, config: &Config) -> Result<Vec<(UnitName, PathBuf)>, DaemonError> {
    let found = without_file(unit_dir, config)?;
    Ok(if are_lost(&found, config) {
        Vec::new()
    } else {
        found
    })
}

/// Those of units whose services files seem to be lost: there are more of them than services
/// in care, as when the folder of services files was moved away or emptied, or is not mounted
/// yet.
pub fn lost(unit_dir: &Path, config: &Config) -> Result<Vec<(UnitName, PathBuf)>, DaemonError> {
    let found = without_file(unit_dir, config)?;
    Ok(if are_lost(&found, config) {
        found
    } else {
        Vec::new()
    })
}

fn without_file(unit_dir: &Path, config: &Config) -> Result<Vec<(UnitName, PathBuf)>, DaemonError> {
    let mut found = all(unit_dir)?;
    found.retain(|(unit, _)| !config.services.contains_key(unit));
    Ok(found)
}

fn are_lost(found: &[(UnitName, PathBuf)], config: &Config) -> bool {
    found.len() > config.services.len()
}

/// The units in care that have no drop-in of that name, whoever wrote it.
pub fn missing<'c>(unit_dir: &'c Path, config: &'c Config) -> impl Iterator<Item = &'c UnitName> {
    let units = config.services.keys();
    units.filter(move |unit| fs::symlink_metadata(path(unit_dir, unit)).is_err())
}

/// Writes a drop-in, and its folder where there is none.
pub fn write(path: &Path) -> Result<(), DaemonError> {
    if let Some(folder) = path.parent() {
        files::folder(folder, 0o755)?;
    }
    files::write(path, files::marked(BODY))
}

/// Removes a drop-in, and its folder when nothing else is in it.
pub fn remove(path: &Path) -> Result<(), DaemonError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(DaemonError::file("remove", path)(error));
        }
        _ => {}
    }
    path.parent().map_or(Ok(()), remove_folder)
}

/// Removes a folder of drop-ins when nothing is in it.
pub fn remove_folder(folder: &Path) -> Result<(), DaemonError> {
    match fs::remove_dir(folder) {
        // Other drop-ins stay where they are.
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(DaemonError::file("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::service::Service;

    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    #[test]
    fn it_stands_where_systemd_looks() {
        assert_eq!(
            path(
                Path::new("/etc/systemd/system"),
                &unit("postgresql@15-main.service")
            ),
            Path::new("/etc/systemd/system/postgresql@15-main.service.d/50-prunella.conf")
        );
        assert!(BODY.contains("%n.service"), "the whole name, with its type");
    }

    #[test]
    fn only_prunellas_own_of_units_in_nobodys_care_are_orphans() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = path(folder.path(), &unit(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        write("cared.service", &files::marked(BODY));
        let orphan = write("gone.service", &files::marked(BODY));
        let edited = write(
            "edited.service",
            &format!("{}# mine\n", files::marked(BODY)),
        );
        write("foreign.service", "[Unit]\n");
        fs::create_dir(folder.path().join("multi-user.target.wants")).unwrap();
        let mut config = Config::default();
        let cared = unit("cared.service");
        config.services.insert(cared.clone(), Service::new(cared));

        let found = orphans(folder.path(), &config).unwrap();
        assert_eq!(found, [(unit("gone.service"), orphan.clone())]);
        let untouched = super::edited(folder.path()).unwrap();
        assert_eq!(untouched, std::slice::from_ref(&edited));
        fs::write(orphan.with_file_name("10-mine.conf"), "").unwrap();
        remove(&orphan).unwrap();
        assert!(
            orphan.parent().unwrap().is_dir(),
            "somebody else's is in it"
        );
        assert!(edited.is_file());
        assert_eq!(orphans(folder.path(), &config).unwrap(), []);
        assert_eq!(orphans(Path::new("/nowhere"), &config).unwrap(), []);
        write("gone.service", &files::marked(BODY));
        assert_eq!(
            orphans(folder.path(), &Config::default()).unwrap(),
            [],
            "all services files are gone: nobody meant that"
        );
    }
}
