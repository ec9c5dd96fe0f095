use std::{
    fs::{self, File},
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
    process::{Child, Command},
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};

use super::*;

fn trace(path: &Path, what: TraceKind) -> Trace {
    Trace {
        name: "trace".to_owned(),
        declared: StaleFile {
            path: path.to_owned(),
            what,
            keep: Duration::from_secs(3600),
        },
        user: Some(rustix::process::geteuid().as_raw()),
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    // A folder on the way may be a link.
    let path = folder.path().canonicalize().unwrap().join("trace");
    (folder, path)
}

fn planned(trace: &Trace) -> Result<Plan, String> {
    let plan = plan(trace, Timestamp::from_millis(1_000)).unwrap();
    if plan.eligible {
        Ok(plan)
    } else {
        Err(plan.summary)
    }
}

fn moved(plan: &Plan) -> MovedAside {
    match plan.undo.clone() {
        Some(Undo::PutBack(moved)) => moved,
        other => panic!("{other:?}"),
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").spawn().unwrap()
}

/// The number of a process that has ended.
fn dead() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn a_pid_file_of_a_dead_process_is_removed_and_put_back() {
    let (_folder, path) = folder();
    fs::write(&path, format!("{}\n", dead())).unwrap();
    let trace = trace(&path, TraceKind::Pid);
    let plan = planned(&trace).unwrap();
    assert_eq!(plan.summary, "remove the stale pid file `trace`");
    let moved = moved(&plan);
    let receipt = remove(&trace, Some(&moved), Timestamp::from_millis(1_000)).unwrap();
    assert!(receipt.changed);
    assert_eq!(receipt.summary, "removed the stale pid file `trace`");
    assert!(!path.exists());
    assert!(put_back(&moved).unwrap().starts_with("put "));
    assert!(path.exists());
    assert!(put_back(&moved).unwrap().ends_with("had not been removed"));
}

#[test]
fn what_was_made_anew_meanwhile_stays() {
    let (_folder, path) = folder();
    fs::write(&path, dead().to_string()).unwrap();
    let trace = trace(&path, TraceKind::Pid);
    let moved = moved(&planned(&trace).unwrap());
    remove(&trace, Some(&moved), Timestamp::from_millis(1_000)).unwrap();
    fs::write(&path, "new").unwrap();
    assert!(put_back(&moved).unwrap().ends_with("made it anew"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert!(discard(&moved).unwrap().starts_with("deleted "));
    assert!(discard(&moved).unwrap().ends_with("gone already"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn undoing_what_was_not_done_changes_nothing() {
    let (_folder, path) = folder();
    fs::write(&path, dead().to_string()).unwrap();
    let moved = moved(&planned(&trace(&path, TraceKind::Pid)).unwrap());
    assert!(put_back(&moved).unwrap().ends_with("had not been removed"));
    assert!(path.exists());
    assert!(discard(&moved).unwrap().ends_with("gone already"));
    assert!(path.exists());
}

#[test]
fn another_file_than_was_planned_is_not_removed() {
    let (_folder, path) = folder();
    fs::write(&path, dead().to_string()).unwrap();
    let trace = trace(&path, TraceKind::Pid);
    let moved = moved(&planned(&trace).unwrap());
    let other = path.with_file_name("other");
    fs::write(&other, dead().to_string()).unwrap();
    fs::rename(&other, &path).unwrap();
    let failure = remove(&trace, Some(&moved), Timestamp::from_millis(1_000)).unwrap_err();
    assert!(failure.is("changed-meanwhile"), "{failure}");
    assert!(path.exists());
}

#[test]
fn a_pid_file_of_a_living_process_is_stale_only_if_that_is_younger() {
    let (_folder, path) = folder();
    let mut child = sleeper();
    fs::write(&path, child.id().to_string()).unwrap();
    let trace = trace(&path, TraceKind::Pid);
    assert_eq!(
        planned(&trace).unwrap_err(),
        format!(
            "process {} runs, is older than `trace`, and may be what wrote it",
            child.id()
        )
    );
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    planned(&trace).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_names_no_process_is_no_proof() {
    let (_folder, path) = folder();
    for content in ["", "zero\n", "0", "-1"] {
        fs::write(&path, content).unwrap();
        assert_eq!(
            planned(&trace(&path, TraceKind::Pid)).unwrap_err(),
            "`trace` names no process"
        );
    }
}

#[test]
fn a_lock_that_nobody_holds_is_stale() {
    let (_folder, path) = folder();
    fs::write(&path, "").unwrap();
    let lock = trace(&path, TraceKind::Lock);
    planned(&lock).unwrap();
    let holder = File::open(&path).unwrap();
    flock(&holder, FlockOperation::NonBlockingLockExclusive).unwrap();
    let held = planned(&lock).unwrap_err();
    assert!(held.contains("a lock on `trace`"), "{held}");
    drop(holder);
    planned(&lock).unwrap();
    let mut child = sleeper();
    fs::write(&path, child.id().to_string()).unwrap();
    assert!(planned(&lock).unwrap_err().contains("may be what wrote it"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_empty_folder_may_be_a_lock() {
    let (_folder, path) = folder();
    fs::create_dir(&path).unwrap();
    let lock = trace(&path, TraceKind::Lock);
    let moved = moved(&planned(&lock).unwrap());
    fs::write(path.join("inside"), "").unwrap();
    assert_eq!(planned(&lock).unwrap_err(), "there is something in `trace`");
    fs::remove_file(path.join("inside")).unwrap();
    remove(&lock, Some(&moved), Timestamp::from_millis(1_000)).unwrap();
    assert!(!path.exists());
    assert!(discard(&moved).unwrap().starts_with("deleted "));
}

#[test]
fn a_socket_that_nobody_listens_on_is_removed_for_good() {
    let (_folder, path) = folder();
    let listener = UnixListener::bind(&path).unwrap();
    let socket = trace(&path, TraceKind::Socket);
    assert_eq!(planned(&socket).unwrap_err(), "somebody has bound `trace`");
    drop(listener);
    let plan = planned(&socket).unwrap();
    assert_eq!((plan.undo, plan.lease), (None, None));
    let receipt = remove(&socket, None, Timestamp::from_millis(1_000)).unwrap();
    assert!(receipt.changed);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn only_what_is_declared_is_removed() {
    let (_folder, path) = folder();
    let pid = trace(&path, TraceKind::Pid);
    assert_eq!(planned(&pid).unwrap_err(), "`trace` does not exist");
    let target = path.with_file_name("target");
    fs::write(&target, dead().to_string()).unwrap();
    symlink(&target, &path).unwrap();
    assert_eq!(planned(&pid).unwrap_err(), "`trace` is a symbolic link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(planned(&pid).unwrap_err(), "`trace` is no pid file");
    let socket = trace(&path, TraceKind::Socket);
    assert_eq!(planned(&socket).unwrap_err(), "`trace` is no socket");
}
