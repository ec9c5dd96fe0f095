//! The contract in `wit/` against the newest released copy: what a compiled
//! plugin relies on has to stay. Adding is all that is possible without a break:
//! functions, interfaces, methods of a resource.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use prunella_core::hash;
use prunella_engine::CONTRACT_VERSIONS;
use rstest::rstest;
use semver::Version;
use wit_parser::{Resolve, WorldId};

const PACKAGES: [&str; 4] = ["base", "observe", "act", "strategy"];

/// The text of each of the four packages.
type Contract = [String; 4];

fn wit() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"))
}

fn current() -> Contract {
    PACKAGES.map(|package| {
        fs::read_to_string(wit().join(package).join(format!("{package}.wit"))).unwrap()
    })
}

/// What was released, the oldest first.
fn released() -> BTreeMap<Version, Contract> {
    fs::read_dir(wit().join("released"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let version = path.file_name().unwrap().to_str().unwrap();
            let texts = PACKAGES
                .map(|package| fs::read_to_string(path.join(format!("{package}.wit"))).unwrap());
            (Version::parse(version).unwrap(), texts)
        })
        .collect()
}

/// The version that all four packages carry, also where they use one another.
#[track_caller]
fn version_of(contract: &Contract) -> Version {
    let mut versions: Vec<&str> = contract
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter_map(|line| {
            let (_, version) = line.split_once('@')?;
            let end = version.find([';', '{', ' ']).unwrap_or(version.len());
            Some(version[..end].trim_end_matches('.'))
        })
        .collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 1, "one version for all: {versions:?}");
    Version::parse(versions[0]).unwrap()
}

fn push(resolve: &mut Resolve, contract: &Contract) -> WorldId {
    let mut last = None;
    for (name, text) in PACKAGES.iter().zip(contract) {
        last = Some(resolve.push_str(format!("{name}.wit"), text).unwrap());
    }
    resolve
        .select_world(&[last.unwrap()], Some("recovery"))
        .unwrap()
}

/// Whether a component that was built for `old` can run where `new` is offered.
fn check(old: &Contract, new: &Contract) -> Result<(), String> {
    // Of two packages with one version the second would be taken for the first,
    // and nothing be compared.
    assert_ne!(version_of(old), version_of(new));
    let mut resolve = Resolve::default();
    let old = push(&mut resolve, old);
    let new = push(&mut resolve, new);
    wit_component::semver_check(resolve, old, new).map_err(|error| format!("{error:#}"))
}

#[test]
fn what_a_compiled_plugin_relies_on_stays() {
    let now = current();
    let version = version_of(&now);
    let released = released();
    let (newest, _) = released.last_key_value().unwrap();
    if released.get(&version) == Some(&now) {
        return; // Released just so, and not changed since.
    }
    assert!(
        version > *newest,
        "wit/ has changed since {newest} was released, so its packages need a later version than \
         {version}"
    );
    for (before, contract) in released
        .iter()
        .filter(|(before, _)| (before.major, before.minor) == (version.major, version.minor))
    {
        if let Err(error) = check(contract, &now) {
            panic!("a plugin that was built for {before} would not load any more: {error}");
        }
    }
}

/// That the check finds what it is for, and nothing else.
#[rstest]
#[case::an_added_enum_case("quota,", "quota,\n        bored,", false)]
#[case::an_added_field(
    "code: option<string>,",
    "code: option<string>,\n        at: u64,",
    false
)]
#[case::an_added_variant_case("not-mine(string),", "not-mine(string),\n        later,", false)]
#[case::another_parameter(
    "sleep: func(milliseconds: u64)",
    "sleep: func(milliseconds: u32)",
    false
)]
#[case::another_answer("now: func() -> u64;", "now: func() -> string;", false)]
#[case::a_function_less("monotonic: func() -> u64;", "", false)]
#[case::a_method_less("critical: func() -> bool;", "", false)]
#[case::an_export_more("heal: func(", "undo: func();\n    heal: func(", false)]
#[case::a_function_more(
    "now: func() -> u64;",
    "now: func() -> u64;\n    zone: func() -> string;",
    true
)]
#[case::a_method_more(
    "critical: func() -> bool;",
    "critical: func() -> bool;\n        team: func() -> string;",
    true
)]
#[case::an_interface_more(
    "interface clock {",
    "interface weather {\n    rains: func() -> bool;\n}\n\ninterface clock {",
    true
)]
#[case::other_words("/// What time it is.", "/// The time.", true)]
fn the_check_proves_itself(#[case] from: &str, #[case] to: &str, #[case] compatible: bool) {
    let now = current();
    let version = version_of(&now);
    let next = format!("@{}.{}.{}", version.major, version.minor, version.patch + 1);
    let changed = now.clone().map(|text| {
        text.replace(from, to)
            .replace(&format!("@{version}"), &next)
    });
    let unchanged = now
        .clone()
        .map(|text| text.replace(&format!("@{version}"), &next));
    assert_ne!(changed, unchanged, "the contract has no `{from}`");
    assert_eq!(check(&now, &unchanged), Ok(()));
    let found = check(&now, &changed);
    assert_eq!(found.is_ok(), compatible, "{found:?}");
}

/// The engine names every version that was released, and the one in `wit/`.
#[test]
fn the_engine_offers_them_all() {
    let mut versions: Vec<Version> = released().into_keys().collect();
    versions.push(version_of(&current()));
    versions.dedup();
    let offered: Vec<Version> = CONTRACT_VERSIONS
        .iter()
        .map(|version| Version::parse(version).unwrap())
        .collect();
    assert_eq!(offered, versions);
}

/// Plugins that were built from it are out there: it is never edited.
#[rstest]
#[case(
    "0.1.0",
    "f1391a93365c55a5f7551c49e71e5dc84ec3984ab843fa23dfdb6fca83a42050"
)]
fn a_released_copy_is_never_edited(#[case] version: &str, #[case] sha256: &str) {
    let released = released();
    let contract = &released[&Version::parse(version).unwrap()];
    assert_eq!(version_of(contract).to_string(), version);
    let found = hash::sha256(contract.concat().as_bytes());
    assert_eq!(found, sha256, "restore wit/released/{version}");
}
