//! `prunella plugin test`, as an author runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use prunella_bundle::builtin;
use prunella_hostile::{
    HOSTILE,
    gallery::{Gets, gallery},
};
use rstest::rstest;

/// A folder with a component and a scenario in it.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(wasm: &[u8], scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site-fix.wasm"), wasm).unwrap();
        fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, more: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_prunella"))
            .current_dir(self.0.path())
            .args(["plugin", "test", "site-fix.wasm", "--scenario"])
            .args(if more.is_empty() {
                &["scenario.toml"]
            } else {
                more
            })
            .env("COLUMNS", "500")
            .output()
            .unwrap();
        Ran::of(&output)
    }
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    #[track_caller]
    fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(&self, part: &str) -> &Self {
        assert!(
            self.out.contains(part),
            "no `{part}` in:\n{}\n{}",
            self.out,
            self.err
        );
        self
    }
}

const LEFTOVER: &str = r#"
summary = "A leftover holds the port, and has to be killed"
unit = "web.service"
ports = ["tcp/80"]

[[process]]
executable = "/usr/bin/web"
holds = "tcp/80"
ownership = "leftover"
ignores-term = true

[expect]
assessment = "applies"
outcome = "healed"
says = ["held by a leftover", "had to be killed"]
acts = ["terminate /usr/bin/web", "start web.service"]
log = ["which held tcp/80, had to be killed"]
"#;

fn port_conflict() -> &'static [u8] {
    builtin("port-conflict").unwrap().wasm
}

#[test]
fn log_lines_and_acts_of_a_run_are_shown() {
    Bench::new(port_conflict(), LEFTOVER)
        .run(&[])
        .ended(0)
        .says("scenario.toml  as expected")
        .says("A leftover holds the port")
        .says("applies: tcp/80 is held by a leftover")
        .says("terminate /usr/bin/web")
        .says("1 of 1 as expected");
}

#[test]
fn a_difference_is_shown_and_sets_the_exit_code() {
    let wrong = LEFTOVER.replace("\"terminate /usr/bin/web\", ", "");
    Bench::new(port_conflict(), &wrong)
        .run(&[])
        .ended(8)
        .says("scenario.toml  differs")
        .says("acts: number 1 should be `start web.service`, and is `terminate /usr/bin/web`")
        .says("0 of 1 as expected");
}

#[test]
fn a_folder_of_scenarios_and_one_line_for_each() {
    let bench = Bench::new(port_conflict(), LEFTOVER);
    let stranger = LEFTOVER.replace("\"leftover\"", "\"foreign\"");
    let stranger = stranger.split("[expect]").next().unwrap().to_owned()
        + "[expect]\nassessment = \"veto\"\nacts = []\n";
    fs::write(bench.path("other.toml"), stranger).unwrap();
    let ran = bench.run(&[".", "--json"]);
    ran.ended(0);
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let assessments: Vec<&str> = lines
        .iter()
        .map(|line| line.get("assessment").unwrap().as_str().unwrap())
        .collect();
    assert_eq!(assessments, ["veto", "applies"]);
    assert!(
        lines
            .iter()
            .all(|line| line.get("as_expected").unwrap() == true)
    );
}

#[test]
fn an_act_without_a_grant_is_denied() {
    let narrow = LEFTOVER.split("[expect]").next().unwrap().to_owned()
        + "[[allow]]\nact = \"process-control\"\n[[allow]]\nact = \"unit-control.stop\"\n\
           [expect]\nassessment = \"applies\"\noutcome = \"failure\"\nfailure = \"not-granted\"\n\
           acts = [\"terminate /usr/bin/web\"]\n\
           denied = [\"unit-control.start of web.service: not-granted\"]\n";
    Bench::new(port_conflict(), &narrow).run(&[]).ended(0);
    // An interface of which nothing is granted keeps it from loading.
    let nothing = LEFTOVER.replace("[expect]", "[[allow]]\nact = \"checks\"\n[expect]");
    Bench::new(port_conflict(), &nothing)
        .run(&[])
        .ended(8)
        .says("process-control.terminate");
}

#[test]
fn settings_are_held_against_those_it_declares() {
    let odd = LEFTOVER.replace("[expect]", "[settings]\ngrase = \"1s\"\n[expect]");
    Bench::new(port_conflict(), &odd)
        .run(&[])
        .ended(8)
        .says("declares no setting `grase`; it declares: grace, foreign-processes, timeout");
}

#[test]
fn a_mistake_in_a_scenario_has_its_place() {
    let ran = Bench::new(port_conflict(), "unit = \"web\"\nprots = []\n").run(&[]);
    ran.ended(3);
    assert!(ran.err.contains("scenario.toml:2:1"), "{}", ran.err);
    assert!(ran.err.contains("did you mean `ports`?"), "{}", ran.err);
}

#[rstest]
#[case::no_component("nowhere.wasm", "scenario.toml", 6)]
#[case::no_scenario("site-fix.wasm", "nowhere.toml", 6)]
#[case::a_device("/dev/zero", "scenario.toml", 2)]
#[case::an_endless_scenario("site-fix.wasm", "/dev/zero", 2)]
#[case::a_folder_without_any("site-fix.wasm", "empty", 6)]
fn what_cannot_be_read(#[case] component: &str, #[case] scenario: &str, #[case] code: i32) {
    let bench = Bench::new(port_conflict(), LEFTOVER);
    fs::create_dir(bench.path("empty")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_prunella"))
        .current_dir(bench.0.path())
        .args(["plugin", "test", component, "--scenario", scenario])
        .output()
        .unwrap();
    let ran = Ran::of(&output);
    ran.ended(code);
    assert!(ran.err.contains(Path::new(component).to_str().unwrap()) || ran.err.contains(scenario));
}

/// What is no strategy ends in a sentence, and so does one that misbehaves.
#[rstest]
#[case::text(b"#!/bin/sh\nrm -rf /".to_vec(), "this is not WebAssembly")]
#[case::nothing(Vec::new(), "cut off after 0 bytes")]
#[case::a_core_module(b"\0asm\x01\0\0\0".to_vec(), "wasm-tools component new")]
#[case::half(HOSTILE.get(..HOSTILE.len() / 2).unwrap().to_vec(), "compare its sha256")]
fn what_is_no_strategy(#[case] wasm: Vec<u8>, #[case] said: &str) {
    let ran = Bench::new(&wasm, LEFTOVER).run(&[]);
    ran.ended(1);
    assert!(
        ran.err.contains("site-fix.wasm cannot be tried"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[rstest]
#[case("loop", "used up its 2 s of processor time")]
#[case("panic-and-lie", "processor time")]
#[case("eat-memory", "may have 64 MiB")]
#[case("recurse", "recursion without end")]
#[case("huge-string", "data-per-call")]
#[case("call-for-ever", "host-calls")]
#[case("write-for-ever", "host-calls")]
#[case("sleep-for-ever", "host-calls")]
#[case("hoard-processes", "64 handles")]
#[case("panic", "the parser met a comma")]
#[case("trap", "code that must not be reached")]
#[case("divide", "attempt to divide by zero")]
fn one_that_misbehaves(#[case] way: &str, #[case] said: &str) {
    let scenario = format!(
        "unit = \"web.service\"\nports = [\"tcp/80\"]\n[settings]\ndo = \"{way}\"\n\
         [[process]]\nexecutable = \"/usr/bin/nc\"\nholds = \"tcp/80\"\nownership = \"foreign\"\n"
    );
    Bench::new(HOSTILE, &scenario)
        .run(&[])
        .ended(8)
        .says("its run was broken off")
        .says(said);
}

#[test]
fn the_whole_gallery() {
    for exhibit in gallery() {
        let ran = Bench::new(&exhibit.bytes, LEFTOVER).run(&[]);
        let told = format!("{}: {}{}", exhibit.name, ran.out, ran.err);
        let (code, said) = match exhibit.gets {
            Gets::Nowhere | Gets::Refused | Gets::Silent => (1, exhibit.said),
            Gets::Loaded => (8, "0 of 1 as expected"),
        };
        assert_eq!(ran.code, Some(code), "{told}");
        assert!(told.contains(said), "{told}");
        assert!(!told.contains("panicked at"), "{told}");
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!told.contains(odd), "control characters: {told:?}");
    }
}
