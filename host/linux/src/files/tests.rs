//! How declared files are seen.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, lchown, symlink},
    path::PathBuf,
};

use prunella_core::{FailureKind, UnitName};
use rstest::rstest;

use super::*;
use crate::runs_as::RunsAs;

struct As(&'static str);

impl Who for As {
    fn runs_as(&self, _deadline: Instant) -> Answer<RunsAs> {
        Ok(RunsAs {
            user: self.0.to_owned(),
            ..RunsAs::default()
        })
    }
}

/// A folder that everybody may search, and one declared file in it.
struct Bench {
    dir: tempfile::TempDir,
    declared: DeclaredFile,
}

impl Bench {
    fn new(role: FileRole) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("it");
        Self {
            dir,
            declared: DeclaredFile {
                path,
                role,
                mode: None,
                owner: None,
                group: None,
                target: None,
                keys: Vec::new(),
                optional: false,
                read_by: ReadBy::Service,
                secret: false,
            },
        }
    }

    fn with_content(role: FileRole, content: &[u8]) -> Self {
        let bench = Self::new(role);
        fs::write(&bench.declared.path, content).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn chmod(&self, mode: u32) {
        fs::set_permissions(&self.declared.path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn files(&self) -> LinuxFiles {
        let mut service = Service::new(UnitName::new("a.service").unwrap());
        service.files.insert("it".to_owned(), self.declared.clone());
        LinuxFiles::new(Arc::new(service), Arc::new(As("4242")))
    }

    fn stat(&self) -> FileStatus {
        self.files().stat(soon(), "it").unwrap()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn a_file_as_declared() {
    let mut bench = Bench::with_content(FileRole::Plain, b"12345");
    bench.chmod(0o640);
    bench.declared.mode = Some(0o640);
    bench.declared.owner = Some("root".to_owned());
    bench.declared.group = Some("0".to_owned());
    let status = bench.stat();
    assert_eq!(status.kind, Some(FileKind::File));
    assert_eq!((status.mode, status.size), (0o640, Some(5)));
    assert_eq!(
        (status.owner.as_str(), status.group.as_str()),
        ("root", "root")
    );
    assert_eq!(status.deviations, Vec::<String>::new());
    assert_eq!(status.repairable, []);
    assert!(status.age < Duration::from_secs(600));
    assert!(!status.readable, "0640 of root is nothing for 4242");
}

#[test]
fn deviations_are_named_and_repairable() {
    let mut bench = Bench::with_content(FileRole::Plain, b"");
    bench.chmod(0o600);
    bench.declared.mode = Some(0o640);
    bench.declared.owner = Some("4242".to_owned());
    let status = bench.stat();
    assert_eq!(
        status.deviations,
        [
            "its mode is 0600, declared is 0640",
            "its owner is root, declared is 4242"
        ]
    );
    assert_eq!(status.repairable, [Repair::Mode, Repair::Owner]);
}

#[test]
fn a_second_name_is_not_repairable() {
    let mut bench = Bench::with_content(FileRole::Plain, b"");
    fs::hard_link(&bench.declared.path, bench.path("other")).unwrap();
    bench.declared.mode = Some(0o400);
    let status = bench.stat();
    assert_eq!(status.deviations.len(), 1);
    assert_eq!(status.repairable, []);
}

#[test]
fn how_a_directory_is_shared_is_no_deviation() {
    let mut bench = Bench::new(FileRole::Directory);
    fs::create_dir(&bench.declared.path).unwrap();
    bench.chmod(0o2750);
    bench.declared.mode = Some(0o750);
    assert_eq!(bench.stat().deviations, Vec::<String>::new());
}

#[rstest]
#[case::needed(false, &["it does not exist"])]
#[case::optional(true, &[])]
fn nothing_there(#[case] optional: bool, #[case] deviations: &[&str]) {
    let mut bench = Bench::new(FileRole::Plain);
    bench.declared.optional = optional;
    let status = bench.stat();
    assert_eq!(status.kind, None);
    assert_eq!(status.deviations, deviations);
    assert!(!status.readable);
}

#[test]
fn a_missing_link_can_be_made() {
    let mut bench = Bench::new(FileRole::Symlink);
    bench.declared.target = Some(PathBuf::from("releases/2"));
    assert_eq!(bench.stat().repairable, [Repair::Target]);
}

#[test]
fn a_link_that_leads_elsewhere() {
    let mut bench = Bench::new(FileRole::Symlink);
    fs::write(bench.path("one"), "").unwrap();
    symlink("one", &bench.declared.path).unwrap();
    bench.declared.target = Some(PathBuf::from("two"));
    let status = bench.stat();
    assert_eq!(status.kind, Some(FileKind::Symlink));
    assert_eq!(status.link_target.as_deref(), Some("one"));
    assert_eq!(status.deviations, ["it leads elsewhere than declared"]);
    assert_eq!(status.repairable, [Repair::Target]);
    bench.declared.target = Some(PathBuf::from("one"));
    assert_eq!(bench.stat().deviations, Vec::<String>::new());
    assert!(bench.stat().readable);
}

#[test]
fn a_link_to_nothing() {
    let bench = Bench::new(FileRole::Plain);
    symlink("nowhere", &bench.declared.path).unwrap();
    let status = bench.stat();
    assert_eq!(
        status.deviations,
        ["it is a symbolic link to something that does not exist"]
    );
    assert!(!status.readable);
}

#[test]
fn a_file_in_place_of_a_link_is_left_to_people() {
    let mut bench = Bench::with_content(FileRole::Symlink, b"");
    bench.declared.target = Some(PathBuf::from("one"));
    let status = bench.stat();
    assert_eq!(
        status.deviations,
        ["it is a regular file, declared is a symbolic link"]
    );
    assert_eq!(status.repairable, []);
}

#[test]
fn another_kind_than_declared() {
    let bench = Bench::new(FileRole::Database);
    fs::create_dir(&bench.declared.path).unwrap();
    let status = bench.stat();
    assert_eq!(
        status.deviations,
        ["it is a directory, declared is a regular file"]
    );
    assert!(!status.readable);
}

#[test]
fn every_folder_on_the_way_counts() {
    let mut bench = Bench::new(FileRole::Plain);
    let folder = bench.path("closed");
    fs::create_dir(&folder).unwrap();
    bench.declared.path = folder.join("it");
    fs::write(&bench.declared.path, "").unwrap();
    bench.chmod(0o644);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(!bench.stat().readable);
    bench.declared.read_by = ReadBy::Manager;
    assert!(bench.stat().readable);
    bench.declared.read_by = ReadBy::Service;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).unwrap();
    assert!(bench.stat().readable);
}

#[test]
fn a_secret_file_stays_secret() {
    let mut bench = Bench::with_content(FileRole::Plain, b"secret");
    bench.declared.secret = true;
    assert_eq!(bench.stat().size, None);
    let failure = bench.files().sha256(soon(), "it").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.is("secret"));
}

#[test]
fn a_hash() {
    let bench = Bench::with_content(FileRole::Plain, b"abc");
    assert_eq!(
        bench.files().sha256(soon(), "it").unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn only_regular_files_are_hashed() {
    let bench = Bench::new(FileRole::Plain);
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &bench.declared.path,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let failure = bench.files().sha256(soon(), "it").unwrap_err();
    assert!(failure.is("not-a-regular-file"), "{failure}");
    fs::remove_file(&bench.declared.path).unwrap();
    symlink("/etc/passwd", &bench.declared.path).unwrap();
    let failure = bench.files().sha256(soon(), "it").unwrap_err();
    assert!(failure.is("not-a-regular-file"), "{failure}");
}

#[test]
fn a_folder_that_was_turned_into_a_link_shows_nothing() {
    let mut bench = Bench::new(FileRole::Plain);
    let folder = bench.path("theirs");
    symlink("/etc", &folder).unwrap();
    lchown(&folder, Some(4242), Some(4242)).unwrap();
    bench.declared.path = folder.join("shadow");
    let failure = bench.files().sha256(soon(), "it").unwrap_err();
    assert!(failure.is("foreign-link"), "{failure}");
}

#[test]
fn the_names_in_an_env_file() {
    let mut bench = Bench::with_content(FileRole::Env, b"A=secret\nB=\n");
    bench.declared.keys = ["A", "B", "C"].map(str::to_owned).to_vec();
    let files = bench.files();
    assert_eq!(
        files.env_keys(soon(), "it").unwrap(),
        [
            EnvKey {
                name: "A".to_owned(),
                empty: false
            },
            EnvKey {
                name: "B".to_owned(),
                empty: true
            }
        ]
    );
    assert_eq!(files.missing_keys(soon(), "it").unwrap(), ["B", "C"]);
}

#[test]
fn an_env_file_may_be_a_link_as_for_systemd() {
    let bench = Bench::new(FileRole::Env);
    fs::write(bench.path("real"), "A=1\n").unwrap();
    symlink("real", &bench.declared.path).unwrap();
    assert_eq!(bench.files().env_keys(soon(), "it").unwrap().len(), 1);
    assert_eq!(bench.stat().deviations, Vec::<String>::new());
    // Not when another made the link and the file is not theirs.
    lchown(&bench.declared.path, Some(4242), Some(4242)).unwrap();
    assert!(
        bench
            .files()
            .env_keys(soon(), "it")
            .unwrap_err()
            .is("foreign-link")
    );
    chown(bench.path("real"), Some(4242), None).unwrap();
    assert_eq!(bench.files().env_keys(soon(), "it").unwrap().len(), 1);
}

#[test]
fn files_that_are_no_env_files() {
    let large = vec![b'#'; 1024 * 1024 + 1];
    let bench = Bench::with_content(FileRole::Env, &large);
    assert!(
        bench
            .files()
            .env_keys(soon(), "it")
            .unwrap_err()
            .is("too-large")
    );
    let bench = Bench::with_content(FileRole::Env, b"A=\xff\n");
    assert!(
        bench
            .files()
            .env_keys(soon(), "it")
            .unwrap_err()
            .is("not-text")
    );
    let bench = Bench::with_content(FileRole::Plain, b"A=1\n");
    assert!(
        bench
            .files()
            .env_keys(soon(), "it")
            .unwrap_err()
            .is("not-an-env-file")
    );
    let bench = Bench::new(FileRole::Env);
    assert!(
        bench
            .files()
            .env_keys(soon(), "it")
            .unwrap_err()
            .is("no-such-file")
    );
}

#[test]
fn sentences_name_no_path() {
    let bench = Bench::new(FileRole::Env);
    let failure = bench.files().missing_keys(soon(), "it").unwrap_err();
    assert!(!failure.message.contains('/'), "{failure}");
    let failure = bench.files().stat(soon(), "other").unwrap_err();
    assert!(failure.is("not-declared"));
}
