//! Reading entries, from files and from journalctl.

use rstest::rstest;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn empty(journalctl: &str) -> (tempfile::TempDir, Journal) {
    let root = tempfile::tempdir().unwrap();
    let journal = Journal {
        roots: vec![root.path().to_owned()],
        machine_id: "0".repeat(32),
        journalctl: journalctl.into(),
    };
    (root, journal)
}

fn question() -> JournalQuery {
    JournalQuery {
        any_of: vec![vec![("_PID", "1".to_owned())]],
        newest: 5,
        namespaces: true,
    }
}

#[rstest]
#[case::text(
    r#"{"__REALTIME_TIMESTAMP":"7","MESSAGE":"a","PRIORITY":"3"}"#,
    b"a",
    Some(3)
)]
#[case::bytes(r#"{"__REALTIME_TIMESTAMP":"7","MESSAGE":[97,255]}"#, b"a\xff", None)]
#[case::twice(r#"{"__REALTIME_TIMESTAMP":"7","MESSAGE":["a","b"]}"#, b"a", None)]
#[case::too_long(r#"{"__REALTIME_TIMESTAMP":"7","MESSAGE":null}"#, b"", None)]
fn an_entry_as_json(#[case] line: &str, #[case] message: &[u8], #[case] priority: Option<u8>) {
    let entry = from_json(line.as_bytes()).unwrap();
    assert_eq!((entry.at, entry.message.as_slice()), (7, message));
    assert_eq!(entry.priority, priority);
}

#[rstest]
#[case("")]
#[case("[]")]
#[case(r#"{"MESSAGE":"a"}"#)]
fn malformed_journal_entries(#[case] line: &str) {
    assert_eq!(from_json(line.as_bytes()), None);
}

#[test]
fn without_files_journalctl_is_asked() {
    let (_root, journal) = empty("/bin/true");
    assert!(journal.ask_files(soon(), &question()).is_err());
    assert_eq!(journal.ask(soon(), &question()).unwrap(), Vec::new());
}

#[test]
fn without_either_there_is_no_journal() {
    let (_root, journal) = empty("/no/such/program");
    let failure = journal.ask(soon(), &question()).unwrap_err();
    assert!(failure.is("no-journal"), "{failure:?}");
}

#[test]
fn a_program_that_hangs_is_ended_at_the_deadline() {
    let mut command = Command::new("sleep");
    command.arg("1000");
    let before = Instant::now();
    let error = run(command, before + Duration::from_millis(30)).unwrap_err();
    assert!(matches!(error, JournalError::Deadline), "{error}");
    assert!(before.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_program_that_never_stops_talking_is_ended_too() {
    let error = run(Command::new("yes"), soon()).unwrap_err();
    assert!(
        matches!(error, JournalError::Odd | JournalError::Deadline),
        "{error}"
    );
}

#[test]
fn only_this_hosts_journals_are_read() {
    let (root, journal) = empty("/bin/true");
    let own = "0".repeat(32);
    for name in [
        own.clone(),
        format!("{own}.web"),
        "1".repeat(32),
        "remote".into(),
    ] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    let names = |namespaces| -> Vec<String> {
        let found = journal.directories(namespaces).into_iter();
        found
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(false), std::slice::from_ref(&own));
    assert_eq!(names(true), [own.clone(), format!("{own}.web")]);
}
