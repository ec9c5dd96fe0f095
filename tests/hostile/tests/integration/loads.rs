//! What is refused before anything of it runs, each with its own error and a
//! sentence that says what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use prunella_core::policy::{Act, Grants};
use prunella_engine::{LoadError, Package, Strategy, precompile};
use prunella_hostile::{
    HOSTILE, engine, named,
    odd::{EXPORTS, of_changed_contract, of_wat_in, of_world},
    the_next_one_is_served,
};
use rstest::rstest;

const STRATEGY: &str = "export prunella:strategy/strategy@0.2.0;";

fn load(wasm: &[u8], grants: &Grants) -> Result<Strategy, LoadError> {
    engine().load(&named("odd"), wasm, grants)
}

#[track_caller]
fn refused(wasm: &[u8]) -> LoadError {
    match load(wasm, &Grants::default()) {
        Err(error) => error,
        Ok(_) => panic!("it was loaded"),
    }
}

#[rstest]
#[case::text(b"#!/bin/sh\nrm -rf /".to_vec(), "not-wasm", "`#!/bin/s`")]
#[case::nothing(Vec::new(), "truncated", "cut off after 0 bytes")]
#[case::a_beginning(b"\0as".to_vec(), "truncated", "cut off after 3 bytes")]
#[case::random(random(5000, b""), "not-wasm", "is one `.wasm` file")]
#[case::random_after_the_magic(random(5000, b"\0asm\x0d\0\x01\0"), "", "")]
#[case::a_core_module(b"\0asm\x01\0\0\0".to_vec(), "core-module", "wasm-tools component new")]
#[case::an_empty_component(b"\0asm\x0d\0\x01\0".to_vec(), "exports", "it exports nothing")]
#[case::half(HOSTILE[..HOSTILE.len() / 2].to_vec(), "truncated", "compare its sha256")]
#[case::precompiled(precompile(HOSTILE).unwrap(), "precompiled", "give it the component itself")]
fn bytes(#[case] wasm: Vec<u8>, #[case] kind: &str, #[case] said: &str) {
    let error = refused(&wasm);
    if !kind.is_empty() {
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.to_string().len() < 1000, "{error}");
    the_next_one_is_served();
}

/// However much of it is missing, it is refused; unless it is cut between two
/// sections, and all that is missing are names and notes (custom sections).
#[test]
fn every_truncation() {
    for length in (0..HOSTILE.len()).step_by(977) {
        // With every grant, so that nothing but its bytes can be the reason.
        let error = match load(&HOSTILE[..length], &Grants::on_self(Act::ALL)) {
            Ok(_) => {
                assert_eq!(HOSTILE[length], 0, "{length} bytes of it were loaded");
                continue;
            }
            Err(error) => error,
        };
        let kind = error.kind();
        assert!(
            ["truncated", "invalid", "exports"].contains(&kind),
            "{length}: {error}"
        );
    }
}

/// Flipped bytes of a component are found by validation, or do no harm.
#[test]
fn flipped_bytes() {
    for place in (0..HOSTILE.len()).step_by(1999) {
        let mut wasm = HOSTILE.to_vec();
        wasm[place] ^= 0x55;
        let _ = load(&wasm, &Grants::on_self(Act::ALL));
    }
    the_next_one_is_served();
}

#[test]
fn wasi() {
    let wasm = of_world(
        &["package wasi:cli@0.2.0; interface environment { get: func() -> list<string>; }"],
        &format!("import wasi:cli/environment@0.2.0; {STRATEGY}"),
    );
    let error = refused(&wasm);
    assert_eq!(error.kind(), "wasi");
    let message = error.to_string();
    assert!(
        message.contains("`wasi:cli/environment@0.2.0`"),
        "{message}"
    );
    assert!(
        message.contains("build it for wasm32-unknown-unknown"),
        "{message}"
    );
}

#[test]
fn an_interface_that_does_not_exist() {
    let wasm = of_world(
        &["package prunella:magic@0.2.0; interface wand { wave: func(); }"],
        &format!("import prunella:magic/wand@0.2.0; {STRATEGY}"),
    );
    let error = refused(&wasm);
    assert_eq!(error.kind(), "unknown-interface");
    let message = error.to_string();
    assert!(message.contains("`prunella:magic/wand@0.2.0`"), "{message}");
    assert!(
        message.contains("prunella:act/unit-control"),
        "lists what there is: {message}"
    );
}

#[test]
fn a_lone_function() {
    let wasm = of_world(
        &[],
        &format!("import run-as-root: func(command: string); {STRATEGY}"),
    );
    assert_eq!(refused(&wasm).kind(), "unknown-interface");
}

#[rstest]
#[case::the_next_line("0.3.0")]
#[case::a_far_one("9.9.9")]
#[case::a_candidate("0.2.0-rc.1")]
fn another_version(#[case] version: &str) {
    let wasm = of_changed_contract(
        |text| text.replace("@0.2.0", &format!("@{version}")),
        &format!(
            "import prunella:observe/units@{version}; \
             export prunella:strategy/strategy@{version};"
        ),
    );
    let error = refused(&wasm);
    assert_eq!(error.kind(), "unknown-version");
    assert!(error.to_string().contains(&format!("units@{version}")));
    assert!(error.to_string().contains("knows version 0.2.0"), "{error}");
}

/// Of a newer version of the same line, what is not there yet is missing: a
/// whole interface, or a function in one.
#[rstest]
#[case::an_interface(
    "interface clock {",
    "interface weather { rains: func() -> bool; }\ninterface clock {",
    "import prunella:base/weather@0.2.9;"
)]
#[case::a_function(
    "now: func() -> u64;",
    "now: func() -> u64; zone: func() -> string;",
    "import prunella:base/clock@0.2.9;"
)]
fn growth_that_is_newer_than_the_host(#[case] from: &str, #[case] to: &str, #[case] import: &str) {
    let wasm = of_changed_contract(
        |text| text.replace(from, to).replace("@0.2.0", "@0.2.9"),
        &format!("{import} export prunella:strategy/strategy@0.2.9;"),
    );
    let error = refused(&wasm);
    assert_eq!(error.kind(), "unknown-version", "{error}");
    let message = error.to_string();
    assert!(message.contains("@0.2.9"), "{message}");
    assert!(message.contains("knows version 0.2.0"), "{message}");
    assert!(message.contains("upgrade Prunella"), "{message}");
}

/// The last number may differ: that is what compatible growth is for.
#[test]
fn a_compatible_version() {
    let wasm = of_changed_contract(
        |text| text.replace("@0.2.0", "@0.2.7"),
        "import prunella:observe/resources@0.2.7; export prunella:strategy/strategy@0.2.7;",
    );
    let strategy = load(&wasm, &Grants::default()).unwrap();
    assert_eq!(
        strategy.inspection().imports[0].version.as_deref(),
        Some("0.2.7")
    );
}

#[rstest]
#[case::a_case_too_many("quota,", "quota, bored,")]
#[case::a_field_too_many("code: option<string>,", "code: option<string>, severity: u8,")]
#[case::another_type(
    "load: func() -> result<load-average, failure>;",
    "load: func() -> u8;"
)]
fn other_types(#[case] from: &str, #[case] to: &str) {
    let wasm = of_changed_contract(
        |text| text.replace(from, to),
        &format!("import prunella:observe/resources@0.2.0; {STRATEGY}"),
    );
    let error = refused(&wasm);
    assert_eq!(error.kind(), "import-types", "{error}");
    assert!(
        error.to_string().contains("build it again with the SDK"),
        "{error}"
    );
}

#[test]
fn exports_nothing_of_a_strategy() {
    let wasm = of_world(&[], "export run: func();");
    let error = refused(&wasm);
    assert_eq!(error.kind(), "exports");
    assert!(error.to_string().contains("it exports `run`"), "{error}");
}

#[rstest]
#[case::describe(
    "describe: func() -> description;",
    "describe: func() -> string;",
    "describe"
)]
#[case::assess(
    "assess: func(incident: borrow<incident>) -> result<assessment, failure>;",
    "assess: func(incident: borrow<incident>) -> assessment;",
    "assess"
)]
#[case::heal(
    "heal: func(incident: borrow<incident>) -> result<outcome, failure>;",
    "heal: func(who: string) -> result<outcome, failure>;",
    "heal"
)]
fn exports_with_other_types(#[case] from: &str, #[case] to: &str, #[case] which: &str) {
    let wasm = of_changed_contract(|text| text.replace(from, to), STRATEGY);
    let error = refused(&wasm);
    assert_eq!(error.kind(), "export-types", "{error}");
    assert!(
        error.to_string().contains(&format!("exports `{which}`")),
        "{error}"
    );
}

#[test]
fn exports_a_strategy_without_heal() {
    let wasm = of_changed_contract(
        |text| {
            text.replace(
                "heal: func(incident: borrow<incident>) -> result<outcome, failure>;",
                "",
            )
        },
        STRATEGY,
    );
    let error = refused(&wasm);
    assert_eq!(error.kind(), "exports", "{error}");
    assert!(error.to_string().contains("`heal`"), "{error}");
}

#[test]
fn imports_without_a_grant_are_refused() {
    let error = refused(HOSTILE);
    let LoadError::NotGranted { acts, .. } = &error else {
        panic!("{error}");
    };
    assert!(acts.contains(&Act::RunCheck));
    let message = error.to_string();
    assert!(message.contains("strategy `odd`"), "{message}");
    assert!(
        message.contains("[[strategy.odd.allow]]\n    act = \"checks.run\"\n    on = [\"self\"]"),
        "{message}"
    );
}

#[test]
fn partly_granted_imports_are_refused() {
    let mut some: Vec<Act> = Act::ALL.to_vec();
    some.retain(|act| *act != Act::Stop);
    let strategy = load(HOSTILE, &Grants::on_self(some)).unwrap();
    assert_eq!(strategy.partly_denied(), [Act::Stop]);
}

/// An interface imported for its types is not a capability.
#[test]
fn types_alone_need_no_grant() {
    let wasm = of_wat_in(
        &format!("use prunella:act/process-control@0.2.0.{{ending}}; {STRATEGY}"),
        &format!(r#"(module (memory (export "memory") 1) (func $f) {EXPORTS})"#),
    );
    let strategy = load(&wasm, &Grants::default()).unwrap();
    let imports = &strategy.inspection().imports;
    assert!(imports.iter().any(|i| i.package == Package::Act));
    assert!(strategy.inspection().acts().is_empty());
}

#[test]
fn an_inspection_tells_the_consequences() {
    let inspection = engine().inspect(HOSTILE).unwrap();
    assert_eq!(inspection.size, HOSTILE.len());
    assert_eq!(inspection.sha256.len(), 64);
    assert!(
        inspection
            .exports
            .contains(&"prunella:strategy/strategy@0.2.0".to_owned())
    );
    let consequences = inspection.consequences();
    assert!(
        consequences.contains(&"may restart units"),
        "{consequences:?}"
    );
    assert!(
        consequences.contains(&"may run declared checks"),
        "{consequences:?}"
    );
    assert!(
        inspection
            .observations()
            .contains(&"reads the journal of units")
    );
}

/// The same bytes every time: xorshift.
fn random(length: usize, prefix: &[u8]) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = prefix.to_vec();
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_le_bytes()[3]);
    }
    bytes
}
