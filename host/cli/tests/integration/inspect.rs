//! `prunella plugin inspect` on files of strangers: each of the hostile ones gets
//! a clear sentence, and none does anything else.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use prunella_hostile::gallery::{Gets, gallery};
use rustix::fs::{CWD, Mode, mkfifoat};

/// What it may take to look at a file: compiling a small one, and a strategy's
/// processor time. On a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn inspect(file: &Path, more: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_prunella"))
        .args(["plugin", "inspect"])
        .arg(file)
        .args(more)
        .env("COLUMNS", "500")
        .output()
        .unwrap();
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(all).unwrap();
    (output, text)
}

#[test]
fn the_whole_gallery() {
    let folder = tempfile::tempdir().unwrap();
    for exhibit in gallery() {
        let file = folder.path().join(format!("{}.wasm", exhibit.name));
        fs::write(&file, &exhibit.bytes).unwrap();
        let began = Instant::now();
        let (output, text) = inspect(&file, &[]);
        let told = format!("{}: {text}", exhibit.name);
        assert!(began.elapsed() < SOON, "{told}");
        assert!(text.contains(exhibit.said), "{told}");
        assert!(!text.contains("panicked"), "{told}");
        assert!(text.len() < 20_000, "{told}");
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(odd), "control characters: {told:?}");
        let expected = match exhibit.gets {
            Gets::Nowhere => (1, "is not a strategy"),
            Gets::Refused => (1, "It does not load."),
            Gets::Silent => (1, "It does not answer when it is asked who it is."),
            Gets::Loaded => (0, "prunella.toml"),
        };
        assert_eq!(output.status.code(), Some(expected.0), "{told}");
        assert!(text.contains(expected.1), "{told}");
    }
}

#[test]
fn the_whole_gallery_as_json() {
    let folder = tempfile::tempdir().unwrap();
    for exhibit in gallery() {
        let file = folder.path().join(format!("{}.wasm", exhibit.name));
        fs::write(&file, &exhibit.bytes).unwrap();
        let (output, text) = inspect(&file, &["--json"]);
        if exhibit.gets == Gets::Nowhere {
            assert!(output.stdout.is_empty(), "{}: {text}", exhibit.name);
            continue;
        }
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let known = |key: &str| !json[key].is_null();
        let is = (known("refused"), known("silent"), known("description"));
        let expected = match exhibit.gets {
            Gets::Nowhere | Gets::Refused => (true, false, false),
            Gets::Silent => (false, true, false),
            Gets::Loaded => (false, false, true),
        };
        assert_eq!(is, expected, "{}: {text}", exhibit.name);
        assert_eq!(json["size"], exhibit.bytes.len(), "{}", exhibit.name);
    }
}

#[test]
fn what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let pipe = folder.path().join("pipe.wasm");
    mkfifoat(CWD, &pipe, Mode::RUSR).unwrap();
    let huge = folder.path().join("huge.wasm");
    fs::File::create(&huge).unwrap().set_len(65 << 20).unwrap();
    for (path, code, said) in [
        (folder.path().join("nothing.wasm"), 6, "cannot be looked at"),
        (empty, 6, "there is no component"),
        (folder.path().to_path_buf(), 2, "there are 2 components"),
        (pipe, 2, "is not a regular file"),
        ("/dev/zero".into(), 2, "is not a regular file"),
        (huge, 2, "is larger than 67108864 bytes"),
    ] {
        let (output, text) = inspect(&path, &[]);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

/// What is said of an honest one: a built-in strategy, with its settings and all
/// that it would have to be granted.
#[test]
fn an_honest_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my-restart.wasm");
    let builtin = prunella_bundle::builtin("service-restart").unwrap();
    fs::write(&file, builtin.wasm).unwrap();
    let (output, text) = inspect(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for said in [
        "service-restart 0.1.0",
        "looks at units, and waits for them",
        "may restart units",
        "timeout  duration, \"90s\" unless it is set",
        "[strategy.my-restart]",
        "act = \"unit-control.reset-failed\"",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("may stop units"), "{text}");

    // Nobody has signed it, and not everything is a signature.
    assert!(text.contains("signed   none"), "{text}");
    fs::write(file.with_extension("wasm.minisig"), "trust me\n").unwrap();
    let (output, text) = inspect(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("signed   not good: the file is not a signature"),
        "{text}"
    );

    // The lines to paste are a configuration without mistakes, and name the bytes.
    let (output, _) = inspect(&file, &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let grant = json["grant"].as_str().unwrap();
    assert!(grant.contains(json["sha256"].as_str().unwrap()), "{grant}");
    let config = folder.path().join("etc");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("prunella.toml"), grant).unwrap();
    let loaded = prunella_config::Config::load(&config);
    let mistakes: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert_eq!(mistakes, [""; 0]);
}
