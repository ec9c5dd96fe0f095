//! Full disks, read-only disks, damaged files, newer versions, and SIGKILL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{Disk, incident, note};
use prunella_core::incident::IncidentId;
use prunella_store::{Store, StoreError};
use rstest::rstest;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn with_one_incident(path: &Path) -> IncidentId {
    let store = Store::open(path).unwrap();
    let incident = incident("web.service", 1, 1_000);
    store.open_incident(&incident).unwrap();
    incident.id
}

#[test]
fn nobody_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/prunella/prunella.db");
    let store = Store::open(&path).unwrap();
    store
        .open_incident(&incident("web.service", 1, 1_000))
        .unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_file_open_to_others_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Store::open(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_store_that_is_just_being_made_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    std::fs::write(&path, "").unwrap();
    let error = Store::open_read_only(&path).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
}

#[test]
fn a_path_without_a_folder_is_in_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opens_where_it_stands", "--ignored"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(folder.path().join("prunella.db").exists());
}

/// The other process of the test above; run by it alone.
#[test]
#[ignore = "run by `a_path_without_a_folder_is_in_the_current_one` as its other process"]
fn opens_where_it_stands() {
    Store::open(Path::new("prunella.db")).unwrap();
}

#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("elsewhere.db");
    with_one_incident(&target);
    let path = folder.path().join("prunella.db");
    symlink(&target, &path).unwrap();
    assert!(Store::open(&path).is_err());
}

#[test]
fn there_is_nothing_to_read_yet() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["prunella.db", "missing/prunella.db"] {
        let error = Store::open_read_only(&folder.path().join(path)).unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    }
    assert!(!folder.path().join("missing").exists());
}

#[test]
fn a_reader_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let id = with_one_incident(&path);
    let store = Store::open_read_only(&path).unwrap();
    assert!(store.record(&id).unwrap().is_some());
    assert!(matches!(
        store.append(&note(&id, 0, "a")),
        Err(StoreError::ReadOnly { .. })
    ));
}

#[test]
fn a_newer_version_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    with_one_incident(&path);
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    for error in [
        Store::open(&path).unwrap_err(),
        Store::open_or_set_aside(&path).unwrap_err(),
        Store::open_read_only(&path).unwrap_err(),
    ] {
        assert!(
            matches!(error, StoreError::NewerVersion { found: 99, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("use the newer Prunella"));
    }
    assert!(path.exists());
}

/// What can be wrong with the bytes of a file.
#[rstest]
#[case::not_sqlite(|bytes: &mut Vec<u8>| *bytes = b"this is no database at all, it is prose".repeat(100))]
#[case::head_flipped(|bytes: &mut Vec<u8>| bytes[..64].iter_mut().for_each(|b| *b ^= 0x5a))]
#[case::schema_flipped(|bytes: &mut Vec<u8>| bytes[100..4096].iter_mut().for_each(|b| *b ^= 0x5a))]
fn a_damaged_file_is_set_aside_and_kept(#[case] damage: fn(&mut Vec<u8>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    with_one_incident(&path);
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, &bytes).unwrap();

    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");

    let opened = Store::open_or_set_aside(&path).unwrap();
    let (aside, why) = opened.set_aside.unwrap();
    assert!(why.is_damage());
    assert!(
        aside.to_string_lossy().contains("prunella.db.damaged-"),
        "{}",
        aside.display()
    );
    assert_eq!(fs::read(&aside).unwrap(), bytes);
    opened
        .store
        .open_incident(&incident("web.service", 1, 1_000))
        .unwrap();
    drop(opened.store);
    assert!(Store::open_or_set_aside(&path).unwrap().set_aside.is_none());
}

#[test]
fn damage_deep_in_the_file_is_found_by_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    for number in 0..1_000 {
        store
            .open_incident(&incident("web.service", number, 1_000))
            .unwrap();
    }
    store.check().unwrap();
    drop(store);
    // Whoever closes it last, and can write, moves its log into it.
    drop(Store::open(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 8192].iter_mut().for_each(|b| *b ^= 0x5a);
    fs::write(&path, &bytes).unwrap();
    let store = Store::open(&path).unwrap();
    assert!(store.check().unwrap_err().is_damage());
    let aside = Store::set_aside(&path).unwrap();
    assert!(aside.exists() && !path.exists());
}

#[test]
fn a_full_disk_is_told_and_what_was_written_stays() {
    let disk = Disk::new("size=400k");
    let path = disk.join("prunella.db");
    let store = Store::open(&path).unwrap();
    let incident = incident("web.service", 1, 1_000);
    store.open_incident(&incident).unwrap();
    let long = "x".repeat(4_000);
    let mut written = 0;
    let error = loop {
        match store.append(&note(&incident.id, written, &long)) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk never got full");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("no space is left"));
    let steps = store.record(&incident.id).unwrap().unwrap().steps;
    assert_eq!(steps.len(), usize::try_from(written).unwrap());
    store.check().unwrap();
}

#[test]
fn no_room_for_a_new_store() {
    let disk = Disk::new("size=4k");
    fs::write(disk.join("filler"), [0; 4096]).unwrap();
    let error = Store::open(&disk.join("prunella.db")).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
}

#[test]
fn a_read_only_disk_is_told() {
    let disk = Disk::new("size=1m");
    let path = disk.join("prunella.db");
    let id = with_one_incident(&path);
    disk.make_read_only();
    let error = Store::open(&disk.join("new.db")).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let error = Store::open(&path)
        .and_then(|store| store.append(&note(&id, 0, "a")))
        .unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
}

/// The other process of the test below; run by it alone.
#[test]
#[ignore = "run by `a_killed_writer_leaves_a_sound_store` as its other process"]
fn writes_until_it_is_killed() {
    let path = PathBuf::from(std::env::var_os("PRUNELLA_TEST_STORE").unwrap());
    let store = Store::open(&path).unwrap();
    let incident = incident("web.service", 1, 1_000);
    store.open_incident(&incident).unwrap();
    for number in 0.. {
        store.append(&note(&incident.id, number, "step")).unwrap();
        // Each number is promised only once it is on the disk.
        println!("written {number}");
    }
}

#[test]
fn a_killed_writer_leaves_a_sound_store() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let path = folder.path().join(format!("{round}.db"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "writes_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("PRUNELLA_TEST_STORE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let promised = lines
            .by_ref()
            .map(Result::unwrap)
            .filter_map(|line| line.rsplit_once("written ")?.1.parse::<usize>().ok())
            .nth(20 + 7 * round)
            .unwrap();
        child.kill().unwrap();
        // What it still promised before the signal arrived.
        let promised = lines
            .map(Result::unwrap)
            .filter_map(|line| line.strip_prefix("written ")?.parse().ok())
            .last()
            .unwrap_or(promised);
        child.wait().unwrap();

        let store = Store::open(&path).unwrap();
        store.check().unwrap();
        let steps = store
            .record(&IncidentId::new(1_000, 1))
            .unwrap()
            .unwrap()
            .steps;
        assert!(
            steps.len() > promised,
            "{} steps, {promised} promised",
            steps.len()
        );
        assert!(steps.iter().zip(0..).all(|(step, n)| step.number == n));
    }
}
