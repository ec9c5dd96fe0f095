//! In real folders: what goes, and what stays.

use std::{
    fs::{self, File, FileTimes},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use prunella_core::{
    Timestamp,
    remedy::{Cleanup, CleanupFolder, CleanupOf, Plan, Receipt},
};
use tempfile::TempDir;

use super::*;

const KIB: u64 = 1 << 10;
const HOUR: Duration = Duration::from_secs(3_600);

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A file of so many KiB that was written so many hours ago.
fn file(folder: &TempDir, name: &str, kib: usize, hours: u32) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(&vec![1; kib << 10]).unwrap();
    file.sync_all().unwrap();
    let at = SystemTime::now() - HOUR * hours;
    file.set_times(FileTimes::new().set_modified(at)).unwrap();
}

/// A cleanup of the whole folder, whatever is gained.
fn cleanup(folder: &TempDir) -> (Cleanup, CleanupFolder) {
    let of = CleanupFolder {
        path: folder.path().to_owned(),
        patterns: Vec::new(),
        truncate: false,
        mounted: None,
    };
    let cleanup = Cleanup {
        of: CleanupOf::Folder(of.clone()),
        older_than: Duration::ZERO,
        keep_newest: 0,
        at_most: None,
        at_least: 1,
    };
    (cleanup, of)
}

fn request(declared: &Cleanup, apply: bool) -> Request {
    Request {
        name: "pictures".to_owned(),
        declared: declared.clone(),
        now: Timestamp::from(SystemTime::now()),
        apply,
    }
}

fn plan(declared: &Cleanup) -> Plan {
    match carry_out(&request(declared, false)).unwrap() {
        Outcome::Planned(plan) => plan,
        other => panic!("{other:?}"),
    }
}

fn apply(declared: &Cleanup) -> Receipt {
    match carry_out(&request(declared, true)).unwrap() {
        Outcome::Applied(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// What is there, by name.
fn left(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_planned_is_done_and_measured() {
    let folder = folder();
    file(&folder, "small", 16, 1);
    file(&folder, "a/large", 64, 2);
    file(&folder, "a/b/c/deep", 32, 3);
    let (cleanup, _) = cleanup(&folder);
    let plan = plan(&cleanup);
    assert_eq!(plan.summary, "delete 3 files of `pictures`");
    assert_eq!(
        plan.details.unwrap(),
        "the largest: a/large (64 KiB), a/b/c/deep (32 KiB), small (16 KiB)"
    );
    assert_eq!(plan.amount.unwrap().value, 112 * KIB);
    assert_eq!(plan.undo, None);
    assert_eq!(left(&folder), ["a", "small"], "planning deletes nothing");
    let receipt = apply(&cleanup);
    assert_eq!(receipt.summary, "deleted 3 files of `pictures`");
    assert_eq!(receipt.predicted, receipt.measured);
    assert_eq!(receipt.measured.unwrap().value, 112 * KIB);
    assert_eq!(left(&folder), ["a"], "folders stay");
    let again = apply(&cleanup);
    assert!(!again.changed);
    assert_eq!(again.summary, "`pictures` has no files to delete");
}

#[test]
fn the_oldest_go_first_and_no_more_than_may() {
    let folder = folder();
    for (name, hours) in [("c", 1), ("b", 2), ("a", 3)] {
        file(&folder, name, 16, hours);
    }
    let (cleanup, _) = cleanup(&folder);
    let limited = Cleanup {
        at_most: Some(40 * KIB),
        ..cleanup
    };
    assert_eq!(apply(&limited).measured.unwrap().value, 32 * KIB);
    assert_eq!(left(&folder), ["c"]);
    let less = Cleanup {
        at_most: Some(8 * KIB),
        ..limited
    };
    assert_eq!(
        plan(&less).summary,
        "no file of `pictures` may go: 1 is larger than may be freed at once"
    );
}

#[test]
fn the_young_and_the_newest_stay() {
    let folder = folder();
    for (name, hours) in [("new", 1), ("old", 48), ("older", 72)] {
        file(&folder, name, 16, hours);
    }
    let (cleanup, _) = cleanup(&folder);
    let aged = Cleanup {
        older_than: 24 * HOUR,
        ..cleanup
    };
    let kept = Cleanup {
        keep_newest: 2,
        ..aged.clone()
    };
    apply(&kept);
    assert_eq!(left(&folder), ["new", "old"]);
    assert_eq!(
        plan(&kept).summary,
        "no file of `pictures` may go: 2 are kept as the newest"
    );
    apply(&aged);
    assert_eq!(left(&folder), ["new"]);
    assert_eq!(
        plan(&aged).summary,
        "no file of `pictures` may go: 1 is too young"
    );
}

#[test]
fn only_what_fits_a_pattern_goes() {
    let folder = folder();
    for name in ["x.log", "a/y.log", "a/z.txt", "b/z.txt", "keep"] {
        file(&folder, name, 16, 1);
    }
    let (cleanup, of) = cleanup(&folder);
    let patterned = Cleanup {
        of: CleanupOf::Folder(CleanupFolder {
            patterns: vec!["*.log".to_owned(), "b/*".to_owned()],
            ..of
        }),
        ..cleanup
    };
    apply(&patterned);
    assert_eq!(left(&folder), ["a", "b", "keep"]);
    assert!(folder.path().join("a/z.txt").exists());
    assert!(!folder.path().join("b/z.txt").exists());
}

#[test]
fn what_is_open_or_mapped_or_has_another_name_stays() {
    let outside = folder();
    let folder = folder();
    file(&outside, "precious", 16, 1);
    file(&folder, "open", 16, 1);
    file(&folder, "linked", 16, 1);
    fs::hard_link(folder.path().join("linked"), outside.path().join("other")).unwrap();
    symlink(outside.path(), folder.path().join("link")).unwrap();
    symlink(outside.path().join("precious"), folder.path().join("to")).unwrap();
    let open = File::open(folder.path().join("open")).unwrap();
    let (cleanup, _) = cleanup(&folder);
    assert_eq!(
        plan(&cleanup).summary,
        "no file of `pictures` may go: 1 is open, 1 is also in use under another name"
    );
    assert!(!apply(&cleanup).changed);
    assert_eq!(left(&folder), ["link", "linked", "open", "to"]);
    assert!(outside.path().join("precious").exists());
    drop(open);
    apply(&cleanup);
    assert_eq!(left(&folder), ["link", "linked", "to"]);
}

#[test]
fn a_log_that_is_open_is_emptied_only_where_that_is_declared() {
    let folder = folder();
    file(&folder, "app.log", 64, 1);
    file(&folder, "data.log", 64, 1);
    file(&folder, "read.log", 64, 1);
    let path = |name: &str| folder.path().join(name);
    let mut log = File::options().append(true).open(path("app.log")).unwrap();
    let _database = File::options().write(true).open(path("data.log")).unwrap();
    let _reader = File::open(path("read.log")).unwrap();
    let (cleanup, of) = cleanup(&folder);
    assert_eq!(
        plan(&cleanup).summary,
        "no file of `pictures` may go: 3 are open"
    );
    let truncating = Cleanup {
        of: CleanupOf::Folder(CleanupFolder {
            patterns: vec!["*.log".to_owned()],
            truncate: true,
            ..of
        }),
        ..cleanup
    };
    assert_eq!(plan(&truncating).summary, "empty 1 open log of `pictures`");
    let receipt = apply(&truncating);
    assert_eq!(receipt.summary, "emptied 1 open log of `pictures`");
    assert_eq!(receipt.measured.unwrap().value, 64 * KIB);
    log.write_all(b"goes on\n").unwrap();
    assert_eq!(fs::read(path("app.log")).unwrap(), b"goes on\n");
    for other in ["data.log", "read.log"] {
        assert_eq!(fs::metadata(path(other)).unwrap().len(), 64 * KIB);
    }
}

#[test]
fn little_is_not_worth_it() {
    let folder = folder();
    file(&folder, "small", 16, 1);
    let (cleanup, _) = cleanup(&folder);
    let worth = Cleanup {
        at_least: 1 << 20,
        ..cleanup
    };
    assert_eq!(
        plan(&worth).summary,
        "16 KiB of `pictures` could be freed, and less than 1 MiB is not worth it"
    );
    assert!(!apply(&worth).changed);
    assert_eq!(left(&folder), ["small"]);
}

#[test]
fn a_folder_that_is_no_mount_any_more_is_left_alone() {
    let folder = folder();
    file(&folder, "precious", 16, 1);
    let (cleanup, of) = cleanup(&folder);
    let mounted = Cleanup {
        of: CleanupOf::Folder(CleanupFolder {
            mounted: Some(folder.path().to_owned()),
            ..of
        }),
        ..cleanup
    };
    assert_eq!(
        plan(&mounted).summary,
        "the file system of `pictures` is not mounted"
    );
    assert!(!apply(&mounted).changed);
    assert_eq!(left(&folder), ["precious"]);
}

#[test]
fn a_folder_behind_somebodys_link_is_left_alone() {
    let outside = folder();
    let folder = folder();
    file(&outside, "precious", 16, 1);
    let link = folder.path().join("link");
    symlink(outside.path(), &link).unwrap();
    // Others may write in the folder, so the link may be theirs.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (cleanup, of) = cleanup(&folder);
    let linked = Cleanup {
        of: CleanupOf::Folder(CleanupFolder { path: link, ..of }),
        ..cleanup
    };
    let failure = carry_out(&request(&linked, true)).unwrap_err();
    assert!(failure.is("unsafe-path"), "{failure}");
    assert_eq!(left(&outside), ["precious"]);
}

#[test]
fn a_missing_folder_has_nothing_to_delete() {
    let folder = folder();
    let (cleanup, of) = cleanup(&folder);
    let missing = Cleanup {
        of: CleanupOf::Folder(CleanupFolder {
            path: Path::new("/nowhere/at/all").to_owned(),
            ..of
        }),
        ..cleanup
    };
    assert_eq!(plan(&missing).summary, "`pictures` does not exist");
}
