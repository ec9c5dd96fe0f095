//! Full disks, read-only disks, damaged files, newer versions, and SIGKILL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::common::{Disk, incident, ms, note};
use prunella_core::{
    incident::{Ending, IncidentId},
    summary::Filter,
};
use prunella_store::{AttemptEnd, LastSteps, Pause, Store, StoreError};
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
fn a_reader_during_creation_sees_all_or_nothing() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prunella.db");
        let made = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(Store::open(&path).unwrap());
                made.store(true, Ordering::Release);
            });
            loop {
                let was_made = made.load(Ordering::Acquire);
                match Store::open_read_only(&path) {
                    Ok(_) if was_made => break,
                    Ok(_) => {}
                    Err(StoreError::Missing { .. }) if !was_made => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
    }
}

#[test]
fn a_path_without_a_folder_is_in_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "trouble::opens_where_it_stands", "--ignored"])
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
            .open_incident(&incident(&format!("{number}.service"), number, 1_000))
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
                "trouble::writes_until_it_is_killed",
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
            .record(&IncidentId::new(ms(1_000), 1))
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

/// Everything that a healing writes, in order; what of it the store took.
fn heal(store: &Store, number: u16) -> Vec<bool> {
    let incident = incident("web.service", number, u64::from(number) * 1_000);
    let ending = AttemptEnd {
        at: ms(9),
        ending: Some(Ending::Recovered {
            by: "itself".to_owned(),
        }),
        alert: None,
        tries: None,
    };
    vec![
        store.open_incident(&incident).is_ok(),
        store.append(&note(&incident.id, 0, "one")).is_ok(),
        store
            .end_attempt(
                &incident.id,
                LastSteps::Numbered(&[note(&incident.id, 1, "two")]),
                &ending,
            )
            .is_ok(),
    ]
}

/// Flips the bytes of the file's pages from the second on, whatever is in them.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    assert!(bytes.len() > 8 * 4096);
    bytes[4096..].iter_mut().for_each(|b| *b ^= 0x5a);
    // In place: what has it open is to see it.
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
}

fn aside(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.to_string_lossy();
            name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect();
    found.sort();
    found
}

#[test]
fn damage_in_the_middle_of_running_begins_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    // So many that a page has to be read again, and in the file, not in its log.
    let filler = Store::open(&path).unwrap();
    for number in 0..300 {
        heal(&filler, number);
    }
    drop(filler);
    let store = Store::lasting(&path);
    assert_eq!(store.trouble(), None);

    damage(&path);
    assert_eq!(heal(&store, 1_000), [true; 3]);

    let aside = aside(folder.path());
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(store.trouble(), None);
    let left = store.incidents(&Filter::default()).unwrap();
    assert_eq!(left.len(), 1, "past incidents are in the old file");
    store.check().unwrap();
    // And another process has the new one too.
    let other = Store::open_read_only(&path).unwrap();
    assert_eq!(other.incidents(&Filter::default()).unwrap().len(), 1);
}

#[test]
fn damage_found_by_reading_begins_a_new_store_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let filler = Store::open(&path).unwrap();
    for number in 0..300 {
        heal(&filler, number);
    }
    drop(filler);
    let store = Store::lasting(&path);
    damage(&path);
    assert!(store.incidents(&Filter::default()).unwrap().is_empty());
    assert_eq!(aside(folder.path()).len(), 1);
}

#[test]
fn a_new_store_takes_over_what_healing_depends_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let old = Store::open(&path).unwrap();
    let pause = Pause {
        unit: None,
        since: ms(1),
        until: None,
        reason: "maintenance".to_owned(),
        by: "root".to_owned(),
    };
    old.pause(&pause).unwrap();
    let open = incident("db.service", 1, 1_000);
    old.open_incident_with(&open, &[note(&open.id, 0, "a step")])
        .unwrap();
    for number in 2..300 {
        heal(&old, number);
    }
    drop(old);
    let store = Store::lasting(&path);
    // Only the last pages: steps of incidents that are over.
    let mut bytes = fs::read(&path).unwrap();
    let most = bytes.len() / 8 * 7 / 4096 * 4096;
    bytes[most..].iter_mut().for_each(|b| *b ^= 0x5a);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();

    assert_eq!(heal(&store, 1_000), [true; 3]);
    // If that needed nothing of what is damaged, whoever looks at the past finds
    // it.
    let mut after = None;
    while let Ok((_, Some(next))) = store.records(&Filter::default(), after) {
        after = Some(next);
    }
    assert_eq!(aside(folder.path()).len(), 1);
    assert_eq!(heal(&store, 1_001), [true; 3]);
    assert_eq!(store.pauses().unwrap(), [pause]);
    let unfinished = store.unfinished().unwrap();
    assert_eq!(unfinished, std::slice::from_ref(&open));
    assert_eq!(store.record(&open.id).unwrap().unwrap().steps.len(), 1);
}

#[test]
fn a_file_that_is_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::lasting(&path);
    assert_eq!(heal(&store, 1), [true; 3]);
    let elsewhere = folder.path().join("elsewhere.db");
    for suffix in ["", "-wal", "-shm"] {
        let from = format!("{}{suffix}", path.display());
        fs::rename(from, format!("{}{suffix}", elsewhere.display())).unwrap();
    }
    assert_eq!(heal(&store, 2), [true; 3]);
    assert_eq!(store.incidents(&Filter::default()).unwrap().len(), 1);
    // What was moved is whole.
    let old = Store::open(&elsewhere).unwrap();
    assert_eq!(old.incidents(&Filter::default()).unwrap().len(), 1);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_newer_version_is_waited_for_without_a_word_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    with_one_incident(&path);
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let store = Store::lasting(&path);
    let trouble = store.trouble().unwrap();
    assert!(trouble.contains("version 99"), "{trouble}");
    assert_eq!(heal(&store, 2), [false; 3]);
    assert_eq!(store.trouble(), Some(trouble), "it is still that");
    assert!(aside(folder.path()).is_empty(), "it is not damaged");

    // As the error advises; what was kept in memory meanwhile comes into it.
    let late = incident("late.service", 1, 5_000);
    store.put_later(late.clone(), vec![note(&late.id, 0, "a step")], None);
    fs::rename(&path, folder.path().join("newer.db")).unwrap();
    assert_eq!(store.record(&late.id).unwrap().unwrap().steps.len(), 1);
    assert_eq!(heal(&store, 3), [true; 3]);
    assert_eq!(store.trouble(), None);
}

#[test]
fn a_full_disk_is_gone_on_with_and_caught_up_on() {
    let disk = Disk::new("size=600k");
    let path = disk.join("prunella.db");
    let store = Store::lasting(&path);
    assert_eq!(heal(&store, 1), [true; 3]);
    let filler = disk.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    // What is left of the last page may still take a little.
    let refused = (2..200)
        .find(|number| heal(&store, *number) == [false; 3])
        .unwrap();
    assert!(store.trouble().unwrap().contains("no space is left"));
    let late = incident("late.service", 1, 5_000);
    let end = AttemptEnd {
        at: ms(6_000),
        ending: Some(Ending::Recovered {
            by: "itself".to_owned(),
        }),
        alert: None,
        tries: None,
    };
    store.put_later(
        late.clone(),
        vec![note(&late.id, 0, "only in memory")],
        Some(end),
    );
    assert!(
        store.incidents(&Filter::default()).is_ok(),
        "it can be read"
    );
    assert!(store.record(&late.id).unwrap().is_none());

    fs::remove_file(&filler).unwrap();
    // Whoever asks now gets the truth.
    let record = store.record(&late.id).unwrap().unwrap();
    assert_eq!((record.steps.len(), record.ending.is_some()), (1, true));
    assert_eq!(store.trouble(), None);
    assert_eq!(heal(&store, refused), [true; 3]);
}

#[test]
fn a_locked_store_is_waited_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::lasting(&path);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!heal(&store, 1)[0]);
    let trouble = store.trouble().unwrap();
    assert!(trouble.contains("another process kept"), "{trouble}");
    let began = std::time::Instant::now();
    assert_eq!(heal(&store, 2), [false; 3]);
    assert!(
        began.elapsed() < std::time::Duration::from_secs(4),
        "one wait of five seconds would be too much: {:?}",
        began.elapsed()
    );
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(heal(&store, 3), [true; 3]);
    assert_eq!(store.trouble(), None);
}
