//! Holds the crates to the dependencies that docs/architecture.md allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use toml::Table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .parse()
        .unwrap()
}

/// The table under "Which crates may use which": folder by folder, what its
/// library or program may depend on.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    page.lines()
        .skip_while(|line| !line.starts_with("### Which crates may use which"))
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            // "| `host/store` | `host/core`, `host/config` |"
            let mut cells = line.trim_matches('|').split('|').map(|cell| {
                cell.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            });
            let name = cells.next().unwrap().remove(0);
            (name, cells.next().unwrap().into_iter().collect())
        })
        .collect()
}

/// What each crate of the workspace depends on in the workspace, tests aside.
fn actual() -> BTreeMap<String, BTreeSet<String>> {
    let workspace = manifest(&root());
    let shared = &workspace["workspace"]["dependencies"];
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| member.as_str().unwrap())
        .map(|member| {
            let manifest = manifest(&root().join(member));
            let targets = manifest
                .get("target")
                .and_then(|targets| targets.as_table());
            let used = std::iter::once(&manifest)
                .chain(
                    targets
                        .into_iter()
                        .flatten()
                        .filter_map(|(_, target)| target.as_table()),
                )
                .flat_map(|table| {
                    ["dependencies", "build-dependencies"].map(|kind| table.get(kind))
                })
                .filter_map(|dependencies| dependencies?.as_table())
                .flat_map(Table::keys)
                .filter_map(|name| Some(shared.get(name)?.get("path")?.as_str()?.to_owned()))
                .collect();
            (member.to_owned(), used)
        })
        .collect()
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed = allowed();
    let actual = actual();
    let mut wrong = Vec::new();
    for (name, used) in &actual {
        match allowed.get(name) {
            None => wrong.push(format!("{name} is not in the table")),
            Some(allowed) => wrong.extend(
                used.difference(allowed)
                    .map(|other| format!("{name} must not use {other}")),
            ),
        }
    }
    for (name, others) in &allowed {
        for gone in std::iter::once(name)
            .chain(others)
            .filter(|name| !actual.contains_key(*name))
        {
            wrong.push(format!("the table names {gone}, which is no crate"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n(see \"Which crates may use which\" in docs/architecture.md)",
        wrong.join("\n")
    );
}

#[test]
fn core_is_below_everything_and_front_ends_are_above() {
    let allowed = allowed();
    assert_eq!(
        allowed["host/core"],
        BTreeSet::from(["host/redact".to_owned()])
    );
    assert!(allowed["host/redact"].is_empty());
    assert_eq!(
        allowed["host/config"],
        BTreeSet::from(["host/core".to_owned()])
    );
    for (name, others) in &allowed {
        assert!(
            !others.contains("host/cli"),
            "{name} must not use the front end"
        );
    }
}
