//! The cache of compiled code survives whatever happens to its files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use prunella_engine::{Engine, EngineSettings, Origin, Strategy, precompile};
use prunella_hostile::{HOSTILE, all_granted, context, healable_host, limits, named};
use rstest::rstest;
use tempfile::TempDir;

struct Cached {
    folder: TempDir,
}

impl Cached {
    fn new() -> Self {
        let cached = Self {
            folder: TempDir::new().unwrap(),
        };
        assert_eq!(cached.load().origin(), Origin::Compiled);
        assert_eq!(cached.load().origin(), Origin::Cache);
        cached
    }

    fn load(&self) -> Strategy {
        load(Some(self.folder.path().to_owned()))
    }

    fn file(&self) -> PathBuf {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    /// What was wrong has been put right, and it works.
    #[track_caller]
    fn is_made_anew(&self) {
        let strategy = self.load();
        assert_eq!(strategy.origin(), Origin::Compiled);
        let run = strategy.heal(context(&healable_host(), "heal", limits()));
        run.result.unwrap().unwrap();
        assert_eq!(self.load().origin(), Origin::Cache);
    }
}

fn load(cache_dir: Option<PathBuf>) -> Strategy {
    Engine::new(EngineSettings { cache_dir })
        .unwrap()
        .load(&named("hostile"), HOSTILE, &all_granted())
        .unwrap()
}

#[test]
fn flipped_bytes() {
    let cached = Cached::new();
    let path = cached.file();
    let good = fs::read(&path).unwrap();
    let last = good.len() - 1;
    for place in [
        0,
        7,
        15,
        16,
        20,
        47,
        48,
        49,
        60,
        200,
        1000,
        last / 3,
        last / 2,
        last - 9,
        last,
    ] {
        let mut bad = good.clone();
        bad[place] ^= 0x40;
        fs::write(&path, bad).unwrap();
        cached.is_made_anew();
        assert_eq!(fs::read(&path).unwrap(), good, "byte {place}");
    }
}

#[test]
fn truncated_or_longer() {
    let cached = Cached::new();
    let path = cached.file();
    let good = fs::read(&path).unwrap();
    for length in [0, 1, 16, 47, 48, 100, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        cached.is_made_anew();
    }
    let mut longer = good;
    longer.push(0);
    fs::write(&path, longer).unwrap();
    cached.is_made_anew();
}

/// Compiled code as wasmtime writes it, with no hash that says who did.
#[test]
fn code_without_a_header() {
    let cached = Cached::new();
    fs::write(cached.file(), precompile(HOSTILE).unwrap()).unwrap();
    cached.is_made_anew();
}

#[test]
fn writable_by_others() {
    let cached = Cached::new();
    fs::set_permissions(cached.file(), fs::Permissions::from_mode(0o666)).unwrap();
    cached.is_made_anew();
}

#[test]
fn a_link() {
    let cached = Cached::new();
    let (path, elsewhere) = (cached.file(), TempDir::new().unwrap());
    let target = elsewhere.path().join("code");
    fs::rename(&path, &target).unwrap();
    symlink(&target, &path).unwrap();
    cached.is_made_anew();
}

#[rstest]
#[case::a_file(|folder: &TempDir| {
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    path
})]
#[case::writable_by_others(|folder: &TempDir| {
    let path = folder.path().join("open");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    path
})]
#[case::impossible(|_: &TempDir| PathBuf::from("/proc/prunella/cache"))]
fn a_folder_that_cannot_be_used(#[case] folder: fn(&TempDir) -> PathBuf) {
    let temporary = TempDir::new().unwrap();
    let folder = folder(&temporary);
    for _ in 0..2 {
        let strategy = load(Some(folder.clone()));
        assert_eq!(strategy.origin(), Origin::Compiled);
    }
}

#[test]
fn files_of_another_version_are_swept() {
    let folder = TempDir::new().unwrap();
    let old = folder.path().join("0123-4567.cwasm");
    fs::write(&old, "old").unwrap();
    load(Some(folder.path().to_owned()));
    assert!(!old.exists());
}
