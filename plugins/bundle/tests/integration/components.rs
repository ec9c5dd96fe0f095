//! What the built-in components are, before any of them runs: small, and
//! importing exactly what they use. Their imports are the list of what they
//! could do, so a change here is a change of what users are asked to trust.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::collections::BTreeMap;

use prunella_bundle::{Builtin, builtin, builtins};
use prunella_core::policy::{BUILTIN_STRATEGIES, builtin_grants};
use prunella_engine::{Engine, EngineSettings};
use rstest::rstest;
use wit_parser::{
    WorldItem,
    decoding::{DecodedWasm, decode},
};

/// Larger is a sign of something pulled in by accident.
const LARGEST: usize = 96 << 10;

#[test]
fn they_come_in_the_default_order() {
    let names: Vec<&str> = builtins().iter().map(|builtin| builtin.name).collect();
    assert_eq!(names, BUILTIN_STRATEGIES);
}

#[test]
fn they_are_small() {
    for Builtin { name, wasm } in builtins() {
        println!("{name}: {} bytes", wasm.len());
        assert!(wasm.len() < LARGEST, "{name} has {} bytes", wasm.len());
    }
}

/// Interfaces without their package's version; of act interfaces each function.
#[rstest]
#[case::config_validation(
    "config-validation",
    &[
        "act/checks: run",
        "base/incidents", "base/log", "base/types",
        "observe/remedies",
        "strategy/types",
    ]
)]
#[case::environment_check(
    "environment-check",
    &[
        "act/file-repair: mode owner target",
        "act/unit-control: [method]job.wait reset-failed restart start",
        "base/incidents", "base/log", "base/settings", "base/types",
        "observe/files", "observe/remedies", "observe/units",
        "strategy/types",
    ]
)]
#[case::database_check(
    "database-check",
    &[
        "act/file-repair: mode owner target",
        "act/unit-control: [method]job.wait reset-failed restart start",
        "base/incidents", "base/log", "base/settings", "base/types",
        "observe/files", "observe/probes", "observe/units",
        "strategy/types",
    ]
)]
#[case::port_conflict(
    "port-conflict",
    &[
        "act/process-control: terminate",
        "act/unit-control: [method]job.wait reset-failed restart start",
        "base/clock", "base/incidents", "base/log", "base/settings", "base/types",
        "observe/ports", "observe/processes", "observe/units",
        "strategy/types",
    ]
)]
#[case::service_restart(
    "service-restart",
    &[
        "act/unit-control: [method]job.wait reset-failed restart start",
        "base/incidents", "base/log", "base/settings", "base/types",
        "observe/ports", "observe/probes", "observe/units",
        "strategy/types",
    ]
)]
fn they_import_what_they_use(#[case] name: &str, #[case] expected: &[&str]) {
    let mut imports: Vec<String> = imports(builtin(name).unwrap().wasm)
        .into_iter()
        .map(|(interface, mut functions)| {
            functions.sort();
            if interface.starts_with("act/") {
                format!("{interface}: {}", functions.join(" "))
            } else {
                interface
            }
        })
        .collect();
    imports.sort();
    assert_eq!(imports, expected);
}

fn imports(component: &[u8]) -> BTreeMap<String, Vec<String>> {
    let DecodedWasm::Component(resolve, world) = decode(component).unwrap() else {
        panic!("it is a package of the contract, not a component");
    };
    resolve.worlds[world]
        .imports
        .iter()
        .map(|(key, item)| {
            let WorldItem::Interface { id, .. } = item else {
                panic!("{} is no interface", resolve.name_world_key(key));
            };
            let name = resolve.name_world_key(key);
            let name = name.strip_prefix("prunella:").unwrap_or(&name);
            let name = name.strip_suffix("@0.2.0").unwrap_or(name).to_owned();
            let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
            (name, functions)
        })
        .collect()
}

#[test]
fn they_load_with_their_own_grants_and_say_who_they_are() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    for &Builtin { name, wasm } in builtins() {
        loads_and_says_who_it_is(&engine, name, wasm);
    }
}

fn loads_and_says_who_it_is(engine: &Engine, name: &str, wasm: &[u8]) {
    let grants = builtin_grants(name).unwrap();
    let strategy = engine.load(&name.parse().unwrap(), wasm, &grants).unwrap();
    assert_eq!(
        strategy.partly_denied(),
        [],
        "every act that {name} imports is granted"
    );

    let run = strategy.describe(&prunella_core::policy::Limits::default());
    let description = run.result.unwrap().unwrap();
    assert_eq!(description.name, name);
    assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
    assert!(
        description.summary.ends_with('.'),
        "{}",
        description.summary
    );
    // The operator need not set anything.
    assert!(description.settings.iter().all(|setting| !setting.required));
}
