//! The book's tutorial, line by line: each block of `sh` is run, and the block of
//! `text` after it is what it prints, in that order and perhaps with more between.
//!
//! Only where things are is not as the page has it: `sudo` needs no password, and
//! the host's folders lie in a scratch one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// A block of the page.
struct Block {
    line: usize,
    is_output: bool,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(page.lines()) {
        match line.strip_prefix("```") {
            Some("") => open = false,
            Some(kind) => {
                assert!(["sh", "text"].contains(&kind), "line {number}: {kind}");
                open = true;
                blocks.push(Block {
                    line: number,
                    is_output: kind == "text",
                    text: String::new(),
                });
            }
            None if open => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

fn program(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Where what the page prints is missing.
fn first_missing<'a>(expected: &'a str, printed: &str) -> Option<&'a str> {
    let mut lines = printed.lines();
    expected
        .lines()
        .find(|wanted| !lines.any(|line| line.contains(wanted.trim())))
}

#[test]
fn it_goes_as_the_page_says() {
    assert!(
        rustix::process::geteuid().is_root(),
        "the tutorial installs a plugin, which is root's to do: run this test as root"
    );
    let page = include_str!("../../../../docs/tutorial.md");
    // Not in /tmp, where others can write: a plugin there is trusted by nobody.
    let scratch = tempfile::Builder::new()
        .prefix("prunella-tutorial-")
        .tempdir_in("/root")
        .unwrap();
    let at = |name: &str| scratch.path().join(name);
    for folder in ["bin", "etc/services.d", "state", "run", "work"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    let prunella = format!(
        "#!/bin/sh\nexec '{}' --config '{}' --state-dir '{}' --run-dir '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_prunella"),
        at("etc").display(),
        at("state").display(),
        at("run").display()
    );
    program(&at("bin"), "prunella", &prunella);
    program(&at("bin"), "sudo", "#!/bin/sh\nexec \"$@\"\n");
    let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap());

    let mut folder = at("work");
    let mut printed = String::new();
    for block in blocks(page) {
        if block.is_output {
            if let Some(line) = first_missing(&block.text, &printed) {
                panic!(
                    "docs/tutorial.md:{}: nothing prints `{line}` here; what was printed:\n{printed}",
                    block.line
                );
            }
            continue;
        }
        let etc = at("etc").display().to_string();
        let script = format!(
            "set -eu\n{}pwd > '{}'\n",
            block.text.replace("/etc/prunella", &etc),
            at("folder").display()
        );
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(&folder)
            .env("PATH", &path)
            // Compiled once for all runs of this test.
            .env(
                "CARGO_TARGET_DIR",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/tutorial"),
            )
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        printed = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(
            ran.status.success(),
            "docs/tutorial.md:{}: {}\n{printed}",
            block.line,
            ran.status
        );
        folder = fs::read_to_string(at("folder")).unwrap().trim().into();
    }
}

#[test]
fn a_missing_line_of_the_tutorial_is_noticed() {
    assert_eq!(first_missing("a\nc\n", "xax\nb\nc"), None);
    assert_eq!(first_missing("c\na\n", "a\nb\nc"), Some("a"));
}
