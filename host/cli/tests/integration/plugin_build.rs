//! `prunella plugin new` and `plugin build`, as an author runs them: from nothing to
//! a component that does what its scenarios say. What comes of the templates in C,
//! Python and JavaScript is tried further in `tests/languages`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use prunella_config::Config;
use rstest::rstest;
use tempfile::TempDir;

/// What a strategy in Rust may weigh.
const SMALL: usize = 80_000;

/// An author's own machine: a folder to work in, and a PATH.
struct Desk {
    folder: TempDir,
    path: PathBuf,
}

struct Ran {
    code: Option<i32>,
    text: String,
}

impl Desk {
    /// With all programs of this machine.
    fn new() -> Self {
        let path = env::var_os("PATH").unwrap().into();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, path }
    }

    /// With these programs of this machine only.
    fn with_only(programs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bin");
        fs::create_dir(&path).unwrap();
        for program in programs {
            let all = env::var_os("PATH").unwrap();
            let there = env::split_paths(&all)
                .map(|folder| folder.join(program))
                .find(|path| path.is_file())
                .unwrap_or_else(|| panic!("{program} is missing: run `cargo xtask setup`"));
            symlink(there, path.join(program)).unwrap();
        }
        Self { folder, path }
    }

    /// A program that does as this script says.
    fn program(&self, name: &str, script: &str) {
        let path = self.path.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("site-fix")
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.project().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn component(&self) -> PathBuf {
        self.project().join("build/site-fix.wasm")
    }

    fn create(&self, lang: &str) {
        let ran = self.prunella(["plugin", "new", "site-fix", "--lang", lang]);
        assert_eq!(ran.code, Some(0), "{}", ran.text);
    }

    fn build(&self) -> Ran {
        self.prunella(["plugin", "build", "site-fix"])
    }

    fn prunella<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        self.run(
            Command::new(env!("CARGO_BIN_EXE_prunella"))
                .args(args)
                .current_dir(self.folder.path()),
        )
    }

    fn run(&self, command: &mut Command) -> Ran {
        // What cargo says to the tests of this workspace is not for the author's.
        for (name, _) in env::vars_os() {
            let ours = name.to_string_lossy();
            if ours.starts_with("CARGO_") && ours != "CARGO_HOME" {
                command.env_remove(&name);
            }
        }
        let output = command
            .env("PATH", &self.path)
            .env("COLUMNS", "500")
            // Built once, and again only where something has changed.
            .env(
                "CARGO_TARGET_DIR",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/site-fix"),
            )
            // All that it needs, this workspace needs too.
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .unwrap();
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        Ran {
            code: output.status.code(),
            text: String::from_utf8(text).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    fn ended(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        for part in said {
            assert!(self.text.contains(part), "no `{part}` in:\n{}", self.text);
        }
    }
}

#[test]
fn from_nothing_to_a_tested_strategy_in_rust() {
    let desk = Desk::new();
    desk.create("rust");
    desk.run(
        Command::new("cargo")
            .arg("test")
            .current_dir(desk.project()),
    )
    .ended(0, &["test result: ok. 4 passed"]);

    desk.build().ended(
        0,
        &[
            "site-fix.wasm, of Rust",
            "does     looks at ",
            "may      start units; restart units; clear a unit's failure and start limit, once granted",
        ],
    );
    let size = fs::metadata(desk.component()).unwrap().len();
    assert!(size < SMALL.try_into().unwrap(), "{size} bytes");
    play(&desk);
    the_grant_is_valid(&desk);
}

#[test]
fn from_nothing_to_a_tested_strategy_in_c() {
    let desk = Desk::new();
    desk.create("c");
    desk.build().ended(
        0,
        &[
            "site-fix.wasm, of C",
            "may      start units; restart units, once granted",
            "prunella plugin test site-fix/build/site-fix.wasm --scenario site-fix/scenarios",
        ],
    );
    play(&desk);
    the_grant_is_valid(&desk);
}

/// Its component does what its scenarios say.
#[track_caller]
fn play(desk: &Desk) {
    desk.prunella([
        "plugin".as_ref(),
        "test".as_ref(),
        desk.component().as_os_str(),
        "--scenario".as_ref(),
        desk.project().join("scenarios").as_os_str(),
    ])
    .ended(0, &["3 of 3 as expected"]);
}

/// Its grant is one, once the sha256 is filled in.
#[track_caller]
fn the_grant_is_valid(desk: &Desk) {
    let grant = fs::read_to_string(desk.project().join("grants.toml")).unwrap();
    let filled: Vec<String> = grant
        .lines()
        .map(|line| match line.starts_with("sha256 = ") {
            true => format!("sha256 = \"{}\"", "0".repeat(64)),
            false => line.to_owned(),
        })
        .collect();
    let config = desk.folder.path().join("etc");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("prunella.toml"), filled.join("\n")).unwrap();
    let loaded = Config::load(&config);
    let mistakes: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert_eq!(mistakes, [""; 0]);
}

#[rstest]
#[case::cargo("rust", &[], "cargo is not installed", "apt install rustup")]
#[case::clang("c", &[], "clang is not installed", "apt install clang")]
#[case::linker("c", &["clang"], "wasm-ld is not installed", "apt install lld")]
#[case::python(
    "python",
    &[],
    "componentize-py is not installed",
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"
)]
#[case::node("js", &[], "node is not installed", "apt install nodejs npm")]
#[case::library("js", &["node"], "componentize-js is not installed", "npm install")]
fn a_missing_tool_is_named_with_what_gets_it(
    #[case] lang: &str,
    #[case] installed: &[&str],
    #[case] said: &str,
    #[case] command: &str,
) {
    let desk = Desk::with_only(installed);
    desk.create(lang);
    desk.build()
        .ended(1, &["no component was built", said, command]);
    assert!(!desk.component().exists());
}

#[test]
fn a_missing_target_of_rust_is_named_with_what_gets_it() {
    let desk = Desk::with_only(&[]);
    desk.program("cargo", "exit 0");
    desk.program("rustc", "echo /nowhere");
    desk.create("rust");
    let said = "Rust's target wasm32-unknown-unknown is not installed";
    desk.build()
        .ended(1, &[said, "apt install libstd-rust-dev-wasm32"]);
    desk.program("rustup", "exit 0");
    desk.build()
        .ended(1, &[said, "rustup target add wasm32-unknown-unknown"]);
}

#[test]
fn a_component_that_imports_wasi_is_refused() {
    let desk = Desk::new();
    desk.create("c");
    desk.file(
        "src/clock.c",
        "__attribute__((import_module(\"wasi_snapshot_preview1\"), import_name(\"sched_yield\")))\n\
         extern int yield(void);\n\
         __attribute__((export_name(\"spare\"))) int spare(void) { return yield(); }\n",
    );
    desk.build().ended(
        1,
        &["the code calls `sched_yield` of `wasi_snapshot_preview1`, which belongs to WASI"],
    );
    assert!(!desk.component().exists());
}

#[test]
fn a_mistake_in_the_code_is_shown_and_nothing_is_built() {
    let desk = Desk::new();
    desk.create("c");
    desk.file("src/strategy.c", "int mistake(void) { return oops; }\n");
    desk.build()
        .ended(1, &["strategy.c:1:", "oops", "what it says is above"]);
    assert!(!desk.component().exists());
}

#[test]
fn a_world_that_names_what_there_is_not() {
    let desk = Desk::new();
    desk.create("c");
    desk.file(
        "wit/plugin.wit",
        "package local:site-fix;\nworld plugin { import prunella:observe/weather@0.2.0; }\n",
    );
    desk.build().ended(
        1,
        &["the world in", "cannot be used", "'weather' not found"],
    );
}

#[test]
fn where_there_is_nothing_to_build() {
    let desk = Desk::new();
    desk.build().ended(6, &["no component was built"]);
    fs::create_dir(desk.project()).unwrap();
    desk.build().ended(
        6,
        &["is not the project of a strategy", "prunella plugin new"],
    );
    desk.file("Cargo.toml", "");
    desk.file("package.json", "");
    desk.build().ended(
        2,
        &["several projects at once", "Cargo.toml and package.json"],
    );
}

#[test]
fn a_project_is_not_written_where_it_should_not_be() {
    let desk = Desk::new();
    let new = |args: &[&str]| desk.prunella([&["plugin", "new"], args].concat());
    desk.file("notes.txt", "mine");
    new(&["site-fix"]).ended(2, &["is there already and not empty"]);
    new(&["Site_Fix"]).ended(2, &["`Site_Fix` cannot be the name of a strategy"]);
    new(&["port-conflict"]).ended(2, &["is a built-in strategy"]);
    new(&["new-one", "--sdk", "/nowhere"]).ended(6, &["/nowhere is no checkout of Prunella"]);
    new(&["new-one", "--sdk", ".", "--lang", "c"]).ended(2, &["--sdk is for Rust"]);
    let there: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().collect();
    assert_eq!(there.len(), 1, "{there:?}");
}

/// With a checkout, nothing is brought along.
#[test]
fn a_checkout_can_be_used_instead() {
    let desk = Desk::new();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    desk.prunella([
        "plugin".as_ref(),
        "new".as_ref(),
        "site-fix".as_ref(),
        "--sdk".as_ref(),
        checkout.as_os_str(),
    ])
    .ended(0, &["site-fix, a strategy in Rust"]);
    assert!(!desk.project().join("vendor").exists());
    let manifest = fs::read_to_string(desk.project().join("Cargo.toml")).unwrap();
    let sdk = checkout.canonicalize().unwrap().join("sdk");
    let named = format!("prunella-sdk = {{ path = \"{}\" }}", sdk.display());
    assert!(manifest.contains(&named), "{manifest}");
}
