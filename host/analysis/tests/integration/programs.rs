//! Real programs fail for real, and what they say is recognised.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{net::TcpListener, process::Command};

use crate::common::{evidence, run};
use prunella_analysis::rules::diagnose;
use prunella_core::diagnosis::Cause;
use rstest::rstest;

/// What a command that has to fail says, and what is made of it.
fn fails(command: &[&str], cause: Cause, names: &str) {
    let (program, arguments) = command.split_first().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(!output.status.success(), "{command:?} did not fail");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    let lines: Vec<&str> = said.lines().collect();
    let findings = diagnose(&evidence(vec![run(&lines)]));
    let first = findings
        .first()
        .unwrap_or_else(|| panic!("nothing in {said}"));
    assert_eq!(first.cause, cause, "{findings:?} in {said}");
    assert!(first.sentence.contains(names), "{findings:?} in {said}");
}

#[rstest]
#[case::cat(&["cat", "/nonexistent/file"], Cause::MissingFile, "/nonexistent/file")]
#[case::bash(&["bash", "-c", "no-such-program"], Cause::MissingExecutable, "no-such-program")]
#[case::dash(&["sh", "-c", "no-such-program"], Cause::MissingExecutable, "no-such-program")]
#[case::env(&["/usr/bin/env", "no-such-program"], Cause::MissingExecutable, "no-such-program")]
#[case::dd(&["dd", "if=/dev/zero", "of=/dev/full", "count=1"], Cause::DiskFull, "/dev/full")]
#[case::echo(&["bash", "-c", "echo x >/dev/full"], Cause::DiskFull, "")]
#[case::proc(&["bash", "-c", "echo x >/sys/kernel/notes"], Cause::PermissionDenied, "/sys/kernel/notes")]
#[case::loader(&["bash", "-c", "ulimit -n 3; exec python3 -c pass"], Cause::TooManyFiles, "")]
#[case::python_files(&["python3", "-c", "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (3, 3)); open('/etc/passwd')"], Cause::TooManyFiles, "")]
#[case::python_file(&["python3", "-c", "open('/nonexistent/settings')"], Cause::MissingFile, "/nonexistent/settings")]
#[case::python_script(&["python3", "/nonexistent/main.py"], Cause::MissingFile, "/nonexistent/main.py")]
#[case::python_module(&["python3", "-c", "import no_such_module"], Cause::MissingFile, "no_such_module")]
#[case::python_memory(&["bash", "-c", "ulimit -v 200000; exec python3 -c 'x = b\"x\" * (1 << 30)'"], Cause::NoMemory, "")]
#[case::python_segfault(&["bash", "-c", "python3 -X faulthandler -c 'import ctypes; ctypes.string_at(0)'"], Cause::Segfault, "")]
#[case::python_env(&["python3", "-c", "import os; os.environ['DATABASE_URL']"], Cause::BadConfig, "DATABASE_URL")]
#[case::python_json(&["python3", "-c", "import json; json.loads('{1')"], Cause::BadConfig, "line 1")]
#[case::python_name(&["python3", "-c", "import socket; socket.create_connection(('no-such-host.invalid', 1))"], Cause::DependencyRefused, "")]
#[case::perl(&["perl", "-e", "open(F, '<', '/nonexistent/x') or die \"/nonexistent/x: $!\""], Cause::MissingFile, "/nonexistent/x")]
fn a_program_that_fails(#[case] command: &[&str], #[case] cause: Cause, #[case] names: &str) {
    fails(command, cause, names);
}

#[test]
fn an_address_in_use_and_one_where_nobody_is() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let bind = format!("import socket; socket.create_server(('127.0.0.1', {port}))");
    fails(&["python3", "-c", &bind], Cause::AddressInUse, "");
    drop(taken);
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {port}))");
    fails(&["python3", "-c", &connect], Cause::DependencyRefused, "");
    let bash = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    fails(&["bash", "-c", &bash], Cause::DependencyRefused, "");
}

#[test]
fn a_certificate_that_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=shop",
        ])
        .args(["-keyout", &path("key"), "-out", &path("cert")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    // As it will be in 2100.
    fails(
        &[
            "openssl",
            "verify",
            "-attime",
            "4102444800",
            "-CAfile",
            &path("cert"),
            &path("cert"),
        ],
        Cause::CertificateExpired,
        "",
    );
}

#[test]
fn a_library_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args([
            "-c",
            "ldd /usr/bin/openssl | grep -o 'libssl[^ ]*' | head -1",
        ])
        .output()
        .unwrap();
    let library = String::from_utf8(output.stdout).unwrap();
    let library = library.trim();
    assert!(library.starts_with("libssl"), "{library}");
    // An empty file of its name comes first on the way.
    std::fs::write(folder.path().join(library), "").unwrap();
    let path = format!("LD_LIBRARY_PATH={}", folder.path().display());
    fails(
        &["/usr/bin/env", &path, "/usr/bin/openssl", "version"],
        Cause::LibraryNotFound,
        library,
    );
}
