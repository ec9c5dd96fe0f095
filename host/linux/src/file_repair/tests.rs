//! What a repair does to files, and what it leaves alone.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    sync::Mutex,
};

use prunella_core::{
    FailureKind, UnitName,
    service::{DeclaredFile, FileRole, ReadBy},
};
use rstest::rstest;

use super::*;
use crate::transient::Ended;

/// A folder that only root can write in, all the way down, and in it
/// another that user 4242 can write in.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("prunella-repair")
            .tempdir_in("/var/lib")
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("theirs")).unwrap();
        chown(dir.path().join("theirs"), Some(4242), Some(4242)).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, owner: u32, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, "content").unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn repair(&self, name: &str, change: Change) -> Answer<bool> {
        self.repair_of(None, name, change)
    }

    /// With a declared owner.
    fn repair_of(&self, owner: Option<u32>, name: &str, change: Change) -> Answer<bool> {
        carry_out(&Request {
            name: "it".to_owned(),
            path: self.path(name),
            owner,
            change,
        })
    }

    fn link(&self, name: &str, target: &str) -> Answer<bool> {
        self.repair(name, Change::Target(PathBuf::from(target)))
    }
}

fn owner(uid: u32) -> Change {
    Change::Owner {
        uid: Some(uid),
        gid: Some(uid),
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn denied(answer: Answer<bool>, code: &str) {
    let failure = answer.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
    assert!(failure.is(code), "{failure:?}");
}

#[rstest]
#[case::in_roots_folder("it")]
#[case::in_their_folder("theirs/it")]
fn a_mode_is_brought_back_once(#[case] name: &str) {
    let bench = Bench::new();
    let path = bench.file(name, 4242, 0o600);
    assert_eq!(bench.repair(name, Change::Mode(0o640)), Ok(true));
    assert_eq!(mode_of(&path), 0o640);
    assert_eq!(bench.repair(name, Change::Mode(0o640)), Ok(false));
}

#[rstest]
#[case::in_roots_folder("it")]
#[case::in_their_folder("theirs/it")]
fn an_owner_is_brought_back_once(#[case] name: &str) {
    let bench = Bench::new();
    let path = bench.file(name, 0, 0o600);
    assert_eq!(bench.repair(name, owner(4242)), Ok(true));
    let there = fs::metadata(&path).unwrap();
    assert_eq!((there.uid(), there.gid()), (4242, 4242));
    assert_eq!(bench.repair(name, owner(4242)), Ok(false));
}

#[test]
fn a_directory_keeps_how_it_is_shared() {
    let bench = Bench::new();
    let path = bench.path("theirs");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o3700)).unwrap();
    assert_eq!(bench.repair("theirs", Change::Mode(0o750)), Ok(true));
    assert_eq!(mode_of(&path), 0o3750);
}

#[rstest]
#[case::setuid(0o4755)]
#[case::setgid(0o2755)]
#[case::sticky(0o1755)]
#[case::writable_for_all(0o666)]
#[case::no_mode(0o100_644)]
fn some_modes_are_never_set(#[case] mode: u32) {
    let bench = Bench::new();
    let path = bench.file("it", 0, 0o600);
    denied(bench.repair("it", Change::Mode(mode)), "unsafe-repair");
    assert_eq!(mode_of(&path), 0o600);
}

#[test]
fn a_setuid_file_is_left_alone() {
    let bench = Bench::new();
    bench.file("it", 0, 0o4755);
    denied(bench.repair("it", Change::Mode(0o755)), "unsafe-repair");
    denied(bench.repair("it", owner(4242)), "unsafe-repair");
}

#[test]
fn a_link_is_not_followed() {
    let bench = Bench::new();
    let victim = bench.file("victim", 0, 0o600);
    symlink(&victim, bench.path("theirs/it")).unwrap();
    symlink(&victim, bench.path("it")).unwrap();
    lchown(bench.path("theirs/it"), Some(4242), Some(4242)).unwrap();
    for name in ["theirs/it", "it"] {
        denied(bench.repair(name, Change::Mode(0o644)), "unsafe-repair");
        denied(bench.repair(name, owner(4242)), "unsafe-repair");
    }
    assert_eq!(mode_of(&victim), 0o600);
}

#[test]
fn a_folder_turned_into_a_link_is_not_followed() {
    let bench = Bench::new();
    let victim = bench.file("victim", 0, 0o600);
    let trap = bench.path("theirs/folder");
    symlink(bench.dir.path(), &trap).unwrap();
    lchown(&trap, Some(4242), Some(4242)).unwrap();
    denied(
        bench.repair("theirs/folder/victim", Change::Mode(0o644)),
        "unsafe-path",
    );
    denied(bench.link("theirs/folder/new", "/etc"), "unsafe-path");
    assert_eq!(mode_of(&victim), 0o600);
    assert!(!bench.path("new").exists());
}

#[test]
fn roots_own_links_lead_on() {
    let bench = Bench::new();
    let path = bench.file("theirs/it", 4242, 0o600);
    symlink("theirs", bench.path("current")).unwrap();
    assert_eq!(bench.repair("current/it", Change::Mode(0o640)), Ok(true));
    assert_eq!(mode_of(&path), 0o640);
}

#[test]
fn a_second_name_is_left_alone() {
    let bench = Bench::new();
    let victim = bench.file("victim", 0, 0o600);
    fs::hard_link(&victim, bench.path("theirs/it")).unwrap();
    denied(bench.repair("theirs/it", owner(4242)), "unsafe-repair");
    assert_eq!(fs::metadata(&victim).unwrap().uid(), 0);
}

#[test]
fn a_third_users_file_in_their_folder_is_left_alone() {
    let bench = Bench::new();
    bench.file("theirs/it", 4343, 0o600);
    denied(
        bench.repair("theirs/it", Change::Mode(0o644)),
        "unsafe-repair",
    );
    denied(bench.repair("theirs/it", owner(4242)), "unsafe-repair");
    assert_eq!(
        bench.repair_of(Some(4343), "theirs/it", Change::Mode(0o640)),
        Ok(true),
        "it is the declared owner's"
    );
    // Where only root can write, nobody can have put it there.
    let path = bench.file("it", 4343, 0o600);
    assert_eq!(bench.repair("it", owner(4242)), Ok(true));
    assert_eq!(fs::metadata(path).unwrap().uid(), 4242);
}

#[test]
fn pipes_and_devices_are_left_alone_without_blocking() {
    let bench = Bench::new();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        bench.path("pipe"),
        Mode::from_raw_mode(0o600),
    )
    .unwrap();
    denied(bench.repair("pipe", Change::Mode(0o640)), "unsafe-repair");
    let device = Request {
        name: "it".to_owned(),
        path: PathBuf::from("/dev/null"),
        owner: None,
        change: Change::Mode(0o640),
    };
    denied(carry_out(&device), "unsafe-repair");
}

#[test]
fn a_missing_file_is_not_found() {
    let bench = Bench::new();
    for name in ["none", "none/it"] {
        let failure = bench.repair(name, Change::Mode(0o640)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
        assert!(!failure.message.contains('/'), "{failure}");
    }
}

#[rstest]
#[case::in_roots_folder("it")]
#[case::in_their_folder("theirs/it")]
fn a_link_is_made_and_corrected(#[case] name: &str) {
    let bench = Bench::new();
    let path = bench.path(name);
    assert_eq!(bench.link(name, "one"), Ok(true));
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("one"));
    assert_eq!(bench.link(name, "two"), Ok(true));
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("two"));
    assert_eq!(bench.link(name, "two"), Ok(false));
    // Nothing is left beside it.
    let beside = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("prunella-")
        })
        .count();
    assert_eq!(beside, 0);
}

#[test]
fn nothing_but_a_link_is_replaced() {
    let bench = Bench::new();
    let path = bench.file("it", 0, 0o600);
    denied(bench.link("it", "one"), "unsafe-repair");
    assert_eq!(fs::read_to_string(path).unwrap(), "content");
    fs::create_dir(bench.path("folder")).unwrap();
    denied(bench.link("folder", "one"), "unsafe-repair");
    assert!(bench.path("folder").is_dir());
}

#[test]
fn a_file_that_took_the_links_place_comes_back() {
    let bench = Bench::new();
    let path = bench.file("theirs/it", 4242, 0o600);
    let request = Request {
        name: "it".to_owned(),
        path: path.clone(),
        owner: None,
        change: Change::Target(PathBuf::from("one")),
    };
    // As if it had been exchanged for the link right after we looked.
    let place = folder(&request).unwrap();
    let new = new_name(&place);
    place.dir.symlink_contents("one", &new).unwrap();
    assert!(matches!(
        exchange(&request, &place, &new),
        Err(Moved::Refused(_))
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    assert!(matches!(
        move_new(&place, &new),
        Err(Moved::Errno(Errno::EXIST))
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "content");
}

/// Runs the helper's part right here, as the transient unit would.
#[derive(Default)]
struct Here(Mutex<Vec<Task>>);

impl Runner for Here {
    fn stop_orphans(&self, _: Instant, _: &str) -> Answer<()> {
        Ok(())
    }

    fn run(&self, _deadline: Instant, task: &Task) -> Answer<Ended> {
        self.0.lock().unwrap().push(task.clone());
        let request: Request = serde_json::from_str(&task.command[3]).unwrap();
        let outcome = match carry_out(&request) {
            Ok(changed) => Outcome::Changed(changed),
            Err(failure) => Outcome::Failed(failure),
        };
        Ok(Ended {
            exit_code: Some(0),
            signal: None,
            timed_out: false,
            output: format!("{}\n", serde_json::to_string(&outcome).unwrap()).into_bytes(),
        })
    }
}

fn declared(path: PathBuf) -> DeclaredFile {
    DeclaredFile {
        path,
        role: FileRole::Plain,
        mode: Some(0o640),
        owner: None,
        group: Some("no-such-group".to_owned()),
        target: None,
        keys: Vec::new(),
        optional: false,
        read_by: ReadBy::Service,
        secret: false,
    }
}

#[test]
fn a_declared_file_is_repaired_by_its_name_only() {
    let bench = Bench::new();
    let path = bench.file("it", 0, 0o600);
    let mut service = Service::new(UnitName::new("a.service").unwrap());
    service
        .files
        .insert("it".to_owned(), declared(path.clone()));
    let runner = Arc::new(Here::default());
    let repair = LinuxFileRepair::new(Arc::new(service), Arc::clone(&runner) as Arc<dyn Runner>);
    let soon = Instant::now() + Duration::from_secs(60);
    assert_eq!(repair.repair(soon, "it", Repair::Mode), Ok(true));
    assert_eq!(mode_of(&path), 0o640);
    assert_eq!(repair.repair(soon, "it", Repair::Mode), Ok(false));
    for (name, what, code) in [
        ("other", Repair::Mode, "not-declared"),
        ("it", Repair::Target, "nothing-declared"),
        ("it", Repair::Owner, "no-such-account"),
    ] {
        let failure = repair.repair(soon, name, what).unwrap_err();
        assert!(failure.is(code), "{failure:?}");
    }
    let tasks = runner.0.lock().unwrap();
    assert_eq!(tasks.len(), 2);
    assert_eq!(tasks[0].command[1..3], ["internal", "repair"]);
    assert!(tasks[0].sandbox.private_network);
}
