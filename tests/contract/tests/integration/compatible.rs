//! The contract in `wit/` against the newest released copy: what a compiled
//! plugin relies on has to stay. Adding is all that is possible without a break:
//! functions, interfaces, methods of a resource.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

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
fn released(folder: &Path) -> BTreeMap<Version, Contract> {
    fs::read_dir(folder)
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

/// Where the copies of released versions are.
fn copies() -> PathBuf {
    wit().join("released")
}

/// The contract with other numbers in it.
fn numbered(contract: &Contract, version: &str) -> Contract {
    let now = format!("@{}", version_of(contract));
    contract
        .clone()
        .map(|text| text.replace(&now, &format!("@{version}")))
}

/// Freezes a contract, as a release does.
fn freeze(folder: &Path, contract: &Contract) {
    let copy = folder.join(version_of(contract).to_string());
    fs::create_dir(&copy).unwrap();
    for (package, text) in PACKAGES.iter().zip(contract) {
        fs::write(copy.join(format!("{package}.wit")), text).unwrap();
    }
    fs::write(copy.join("SHA256"), sha256(contract)).unwrap();
}

fn sha256(contract: &Contract) -> String {
    hash::sha256(contract.concat().as_bytes())
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

/// Whether every plugin that was built for a copy in `folder` loads with `now`.
fn grows(folder: &Path, now: &Contract) -> Result<(), String> {
    let version = version_of(now);
    let released = released(folder);
    let Some((newest, _)) = released.last_key_value() else {
        return Ok(()); // Nobody has built for any yet.
    };
    if released.get(&version) == Some(now) {
        return Ok(()); // Released just so, and not changed since.
    }
    if version <= *newest {
        return Err(format!(
            "wit/ has changed since {newest} was released: give its packages a later version \
             than {version}"
        ));
    }
    for (before, contract) in released
        .iter()
        .filter(|(before, _)| (before.major, before.minor) == (version.major, version.minor))
    {
        check(contract, now)
            .map_err(|error| format!("a plugin built for {before} would not load: {error}"))?;
    }
    Ok(())
}

#[test]
fn compiled_plugins_keep_working() {
    assert_eq!(grows(&copies(), &current()), Ok(()));
}

/// The same on contracts that were made up: with copies of two versions, what may
/// come next?
#[rstest]
#[case::the_newest_as_it_is("7.1.1", keep, None)]
#[case::a_change_without_a_version("7.1.1", rename, Some("later version than 7.1.1"))]
#[case::an_earlier_version("7.1.0", rename, Some("later version than 7.1.0"))]
#[case::nothing_but_a_version("7.1.2", keep, None)]
#[case::a_function_more("7.1.2", grow, None)]
#[case::a_function_less("7.1.2", rename, Some("a plugin built for 7.1.0 would not load"))]
#[case::a_break_in_a_new_line("7.2.0", rename, None)]
fn a_contract_grows(
    #[case] version: &str,
    #[case] change: fn(&mut String),
    #[case] problem: Option<&str>,
) {
    let folder = tempfile::tempdir().unwrap();
    for copy in ["7.1.0", "7.1.1"] {
        freeze(folder.path(), &numbered(&current(), copy));
    }
    let mut next = numbered(&current(), version);
    change(&mut next[0]);
    match (grows(folder.path(), &next), problem) {
        (Ok(()), None) => {}
        (Err(found), Some(problem)) => assert!(found.contains(problem), "{found}"),
        (found, _) => panic!("{found:?}"),
    }
}

fn keep(_: &mut String) {}

fn grow(base: &mut String) {
    *base = base.replace(
        "monotonic: func()",
        "zone: func() -> string;\n    monotonic: func()",
    );
}

fn rename(base: &mut String) {
    *base = base.replace("monotonic: func()", "steady: func()");
}

/// That the check finds what it is for, and nothing else.
#[rstest]
#[case::an_added_enum_case("quota,", "quota,\n        bored,", false)]
#[case::an_added_field(
    "code: option<string>,",
    "code: option<string>,\n        at: u64,",
    false
)]
#[case::an_added_variant_case(
    "not-applicable(string),",
    "not-applicable(string),\n        later,",
    false
)]
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
fn the_compatibility_check_finds_each_kind_of_break(
    #[case] from: &str,
    #[case] to: &str,
    #[case] compatible: bool,
) {
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
fn the_engine_offers_every_released_version() {
    let mut versions: Vec<Version> = released(&copies()).into_keys().collect();
    versions.push(version_of(&current()));
    versions.dedup();
    let offered: Vec<Version> = CONTRACT_VERSIONS
        .iter()
        .map(|version| Version::parse(version).unwrap())
        .collect();
    assert_eq!(offered, versions);
}

/// The copies that are not as they were when they were released: plugins that
/// were built from them are out there.
fn edited(folder: &Path) -> Vec<String> {
    released(folder)
        .into_iter()
        .filter(|(version, contract)| {
            let sum = fs::read_to_string(folder.join(version.to_string()).join("SHA256")).unwrap();
            sum.trim() != sha256(contract) || version_of(contract) != *version
        })
        .map(|(version, _)| version.to_string())
        .collect()
}

#[test]
fn a_released_copy_is_never_edited() {
    assert_eq!(edited(&copies()), Vec::<String>::new());

    let folder = tempfile::tempdir().unwrap();
    for copy in ["7.1.0", "7.1.1"] {
        freeze(folder.path(), &numbered(&current(), copy));
    }
    assert_eq!(edited(folder.path()), Vec::<String>::new());
    let file = folder.path().join("7.1.0").join("act.wit");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("SIGTERM", "SIGINT")).unwrap();
    assert_eq!(edited(folder.path()), ["7.1.0"]);
}
