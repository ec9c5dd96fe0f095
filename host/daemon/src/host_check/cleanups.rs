//! Cleanups whose folder is not what it is declared to be.

use std::path::Path;

use prunella_config::Diagnostic;
use prunella_core::{
    remedy::{Cleanup, CleanupOf},
    text::one_line,
};
use prunella_linux::file_systems::mount_points;

use super::{File, is_missing};

/// A folder that is missing or none, that is not mounted although it has to be, or whose mount
/// nobody would miss.
pub(super) fn wrong_with(file: &File, name: &str, cleanup: &Cleanup) -> Option<Diagnostic> {
    let CleanupOf::Folder(folder) = &cleanup.of else {
        return None;
    };
    let at = |key: &str| file.0.value_in("cleanup", name, key);
    let mounts = mount_points()?;
    let is_mounted = |path: &Path| mounts.contains(&*path.to_string_lossy());
    let shown = one_line(&folder.path.to_string_lossy(), 200);
    if let Some(point) = &folder.mounted
        && !is_mounted(point)
    {
        let point = one_line(&point.to_string_lossy(), 200);
        let message = format!("nothing is mounted on {point}");
        return Some(file.warning(at("mounted"), message).help(format!(
            "until something is, the cleanup `{name}` deletes nothing: mount it, or correct \
             `mounted`"
        )));
    }
    if is_missing(&folder.path) {
        let message = format!("the folder {shown} of the cleanup `{name}` is not there");
        return Some(
            file.warning(at("path"), message)
                .help("correct `path`, or create the folder"),
        );
    }
    if folder.path.is_file() {
        let message = format!("{shown} of the cleanup `{name}` is not a folder");
        return Some(
            file.warning(at("path"), message)
                .help("name the folder that it lies in, and the file as `patterns`"),
        );
    }
    let is_of_every_host = folder.path == Path::new("/tmp") || folder.path.starts_with("/run");
    if folder.mounted.is_none() && !is_of_every_host && is_mounted(&folder.path) {
        let message = format!("{shown} of the cleanup `{name}` is where a file system is mounted");
        return Some(file.warning(at("path"), message).help(
            "write `mounted = true`: without it, what lies below is cleaned up when the file \
             system is not mounted",
        ));
    }
    None
}
