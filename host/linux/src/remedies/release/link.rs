//! A declared link is pointed elsewhere, by a new link that takes its place in one step.

use std::{fs, io, os::fd::AsFd as _, path::Path};

use cap_std::fs::MetadataExt as _;
use prunella_core::{
    Failure, Timestamp,
    capability::Answer,
    remedy::{LinkChange, Receipt, ReleaseInForce},
    text::one_line,
};
use rustix::fs::{AtFlags, FileType, Gid, Uid, chownat, fsync, renameat, symlinkat};

use crate::safe_path::{self, Last, Place, Rule};

/// Characters of a target.
const TARGET: usize = 1_024;

/// Where the link leads, and which of the others is there.
pub(super) fn in_force(name: &str, path: &Path, others: Vec<String>) -> Answer<ReleaseInForce> {
    let found = safe_path::walk(path, Rule::Look, Last::Keep)
        .map_err(|error| Failure::not_found("no-release", format!("`{name}`: {error}")))?;
    if found.kind() != FileType::Symlink {
        return Err(Failure::invalid(
            "not-a-link",
            format!("`{name}` is not a symbolic link"),
        ));
    }
    let target = found
        .link_target()
        .map_err(|error| failed(path, &error))?
        .into_string()
        .map_err(|_| failed(path, &"its target is not UTF-8"))?;
    let folder = path.parent().unwrap_or(path);
    let there = others
        .into_iter()
        .find(|other| *other != target && fs::metadata(folder.join(other)).is_ok());
    let seconds = u64::try_from(found.stat.st_mtime).unwrap_or_default();
    let nanoseconds = found.stat.st_mtime_nsec;
    let since = seconds.saturating_mul(1_000) + nanoseconds / 1_000_000;
    Ok(ReleaseInForce {
        target,
        since: Timestamp::from_millis(since),
        there,
        not_there: None,
    })
}

pub(super) fn apply(name: &str, change: &LinkChange) -> Answer<Receipt> {
    let path = &change.path;
    let place = walk(path)?;
    if target(&place, path)?.as_deref() != Some(&*change.from) {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!("`{name}` does not lead any more to where it did"),
        ));
    }
    point(&place, change, &change.to).map_err(|error| failed(path, &error))?;
    Ok(Receipt::done(format!(
        "pointed `{name}` back to {}",
        LinkChange::label(&change.to)
    )))
}

pub(super) fn undo(change: &LinkChange) -> Answer<String> {
    let path = &change.path;
    let place = walk(path)?;
    let now = target(&place, path)?;
    if now.as_deref() == Some(&*change.from) {
        remove_temporary(&place, change).map_err(|error| failed(path, &error))?;
        return Ok(format!("{} had not been changed", path.display()));
    }
    if now.as_deref() != Some(&*change.to) {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!(
                "{} was changed since: it is left as it is now",
                path.display()
            ),
        ));
    }
    point(&place, change, &change.from).map_err(|error| failed(path, &error))?;
    Ok(format!(
        "pointed {} to {} again",
        path.display(),
        one_line(&change.from, TARGET)
    ))
}

fn walk(path: &Path) -> Answer<Place> {
    safe_path::walk_to_folder(path, Rule::Change).map_err(|error| {
        Failure::denied(
            "unsafe-path",
            format!("{} is left alone: {error}", path.display()),
        )
    })
}

/// Where the link leads; none where nothing, or no link, stands.
fn target(place: &Place, path: &Path) -> Answer<Option<String>> {
    match place.dir.symlink_metadata(&place.name) {
        Ok(found) if found.is_symlink() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    }
    let target = place
        .dir
        .read_link_contents(&place.name)
        .map_err(|error| failed(path, &error))?;
    Ok(target.to_str().map(str::to_owned))
}

/// Makes a link of the same owner, and puts it into the place of the old one.
fn point(place: &Place, change: &LinkChange, to: &str) -> io::Result<()> {
    remove_temporary(place, change)?;
    let old = place.dir.symlink_metadata(&place.name)?;
    let dir = place.dir.as_fd();
    symlinkat(to, dir, &*change.temporary)?;
    chownat(
        dir,
        &*change.temporary,
        Some(Uid::from_raw(old.uid())),
        Some(Gid::from_raw(old.gid())),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    renameat(dir, &*change.temporary, dir, &*place.name)?;
    // The folder itself was opened for its path only.
    Ok(fsync(place.dir.open(".")?)?)
}

/// A link that was made and did not come to its place.
fn remove_temporary(place: &Place, change: &LinkChange) -> io::Result<()> {
    match place.dir.symlink_metadata(&change.temporary) {
        Ok(found) if found.is_symlink() => place.dir.remove_file(&change.temporary),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        "cannot-point",
        format!("{} could not be pointed elsewhere: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn change(folder: &Path) -> LinkChange {
        LinkChange {
            path: folder.join("current"),
            from: "releases/2".to_owned(),
            to: "releases/1".to_owned(),
            temporary: ".current.new".to_owned(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn leads_to(folder: &Path) -> String {
        let target = fs::read_link(folder.join("current")).unwrap();
        target.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_link_goes_back_and_forth() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let change = change(here);
        symlink("releases/2", here.join("current")).unwrap();
        let receipt = apply("current", &change).unwrap();
        assert_eq!(receipt.summary, "pointed `current` back to 1");
        assert_eq!(leads_to(here), "releases/1");
        let again = apply("current", &change).unwrap_err();
        assert!(again.is("changed-meanwhile"), "{again}");
        let done = undo(&change).unwrap();
        assert!(done.ends_with("to releases/2 again"), "{done}");
        assert_eq!(leads_to(here), "releases/2");
        let done = undo(&change).unwrap();
        assert!(done.ends_with("had not been changed"), "{done}");
        assert_eq!(names(here), ["current"]);
    }

    #[test]
    fn one_that_was_cut_off_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        symlink("releases/2", here.join("current")).unwrap();
        symlink("releases/1", here.join(".current.new")).unwrap();
        undo(&change(here)).unwrap();
        assert_eq!(names(here), ["current"]);
        // And it can be done after all.
        symlink("releases/1", here.join(".current.new")).unwrap();
        apply("current", &change(here)).unwrap();
        assert_eq!(
            (names(here), leads_to(here)),
            (vec!["current".to_owned()], "releases/1".to_owned())
        );
    }

    #[test]
    fn what_somebody_else_changed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        for stands in ["releases/3", ""] {
            if stands.is_empty() {
                fs::remove_file(here.join("current")).unwrap();
                fs::create_dir(here.join("current")).unwrap();
            } else {
                symlink(stands, here.join("current")).unwrap();
            }
            let inode = fs::symlink_metadata(here.join("current")).unwrap().ino();
            assert!(apply("current", &change(here)).is_err());
            assert!(undo(&change(here)).unwrap_err().is("changed-meanwhile"));
            let now = fs::symlink_metadata(here.join("current")).unwrap().ino();
            assert_eq!(now, inode, "{stands}");
        }
    }

    #[test]
    fn what_is_in_force_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::create_dir_all(here.join("releases/1")).unwrap();
        let path = here.join("current");
        fs::create_dir_all(here.join("releases/2")).unwrap();
        let others = || {
            ["releases/2", "releases/0", "releases/1"]
                .map(str::to_owned)
                .to_vec()
        };
        assert!(
            in_force("current", &path, others())
                .unwrap_err()
                .is("no-release")
        );
        symlink("releases/2", &path).unwrap();
        let found = in_force("current", &path, others()).unwrap();
        assert_eq!(found.target, "releases/2");
        assert_eq!(found.there.as_deref(), Some("releases/1"));
        assert!(found.since > Timestamp::from_millis(0));
        let failure = in_force("x", &here.join("releases/1"), Vec::new()).unwrap_err();
        assert_eq!(failure.message, "`x` is not a symbolic link");
    }
}
