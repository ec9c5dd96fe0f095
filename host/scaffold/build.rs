//! Collects what a new project is made of: the templates, and the sources of
//! the SDK and of all that it is built from, so that a project in Rust builds
//! where neither a checkout nor a registry has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// Where the SDK is in the workspace. What it depends on by path comes along.
const SDK: &str = "sdk";

fn main() -> ExitCode {
    match collect() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error:#}");
            ExitCode::FAILURE
        }
    }
}

fn collect() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = here
        .ancestors()
        .nth(2)
        .context("host/scaffold is not two folders below the workspace")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in ["Cargo.toml", "Cargo.lock", "sdk/templates", "wit"] {
        rerun_if_changed(&root.join(input));
    }

    let templates = files_below(&root.join("sdk/templates"))?;
    let mut contract = Vec::new();
    for package in ["base", "observe", "act", "strategy"] {
        contract.push((
            format!("{package}.wit"),
            root.join("wit")
                .join(package)
                .join(format!("{package}.wit")),
        ));
    }
    let vendored = vendored(root, &out)?;

    let mut code = String::new();
    table(
        &mut code,
        "TEMPLATES",
        "The templates, by language and path.",
        &templates,
    )?;
    table(
        &mut code,
        "CONTRACT",
        "The contract, a file for each package.",
        &contract,
    )?;
    table(
        &mut code,
        "SOURCES",
        "The SDK and what it is built from, as a workspace.",
        &vendored,
    )?;
    fs::write(out.join("embedded.rs"), code).context("writing embedded.rs")
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// A table of files as Rust code, with their content.
fn table(code: &mut String, name: &str, about: &str, files: &[(String, PathBuf)]) -> Result<()> {
    writeln!(code, "/// {about}\npub(crate) static {name}: &[File] = &[")?;
    for (path, source) in files {
        writeln!(
            code,
            "    File {{ path: {path:?}, content: include_str!({:?}) }},",
            source.to_str().context("a path that is not UTF-8")?
        )?;
    }
    writeln!(code, "];")?;
    Ok(())
}

/// All files below a folder, by their paths in it, in order.
fn files_below(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_str().context("not UTF-8")?;
                found.push((name.to_owned(), path.clone()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The SDK's crate and those that it depends on by path, as a workspace of
/// their own: this one's manifest and lock file, reduced to them.
fn vendored(root: &Path, out: &Path) -> Result<Vec<(String, PathBuf)>> {
    let workspace = read(&root.join("Cargo.toml"))?;
    let shared = at(&workspace, &["workspace", "dependencies"])
        .and_then(Value::as_table)
        .context("the workspace has no dependencies")?;

    let mut files = Vec::new();
    let mut used = BTreeSet::new();
    let mut packages = Vec::new();
    let mut members: Vec<String> = vec![SDK.to_owned()];
    let mut next = 0;
    while let Some(member) = members.get(next).cloned() {
        next += 1;
        let folder = root.join(&member);
        for input in ["Cargo.toml", "src"] {
            rerun_if_changed(&folder.join(input));
        }
        let mut manifest = read(&folder.join("Cargo.toml"))?;
        // Its tests stay at home, and its lints are its own workspace's.
        for only_here in ["dev-dependencies", "lints", "bench", "test", "example"] {
            manifest.remove(only_here);
        }
        manifest.insert("lints".to_owned(), quiet());
        for name in dependencies(&manifest) {
            let path = shared
                .get(&name)
                .and_then(|dependency| dependency.get("path"))
                .and_then(Value::as_str);
            if let Some(path) = path.filter(|path| !members.iter().any(|known| known == path)) {
                members.push(path.to_owned());
            }
            used.insert(name);
        }
        if let Some(name) = at(&manifest, &["package", "name"]).and_then(Value::as_str) {
            packages.push(name.to_owned());
        }
        files.push(written(out, &format!("{member}/Cargo.toml"), &manifest)?);
        for (name, path) in files_below(&folder.join("src"))? {
            // Modules of tests, which nobody but us builds.
            if name != "tests.rs" && !name.ends_with("/tests.rs") {
                files.push((format!("{member}/src/{name}"), path));
            }
        }
    }
    for (name, path) in files_below(&root.join("wit"))? {
        // What was released before is compared with in this project only.
        if !name.starts_with("released/") {
            files.push((format!("wit/{name}"), path));
        }
    }
    files.push(("LICENSE".to_owned(), root.join("LICENSE")));
    files.push(written(
        out,
        "Cargo.toml",
        &reduced(&workspace, &members, &used),
    )?);
    files.push(written(out, "Cargo.lock", &lock(root, &packages)?)?);
    files.sort();
    Ok(files)
}

/// The names of all that a package is built from, on whatever machine.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    targets
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(|target| target.get("dependencies"))
        .chain(manifest.get("dependencies"))
        .filter_map(Value::as_table)
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Warnings of a compiler newer than ours would be nothing that the author of a
/// strategy could do anything about.
fn quiet() -> Value {
    Value::Table(Table::from_iter([(
        "rust".to_owned(),
        Value::Table(Table::from_iter([(
            "warnings".to_owned(),
            Value::String("allow".to_owned()),
        )])),
    )]))
}

fn reduced(workspace: &Table, members: &[String], used: &BTreeSet<String>) -> Table {
    let mut kept = Table::new();
    let Some(Value::Table(all)) = workspace.get("workspace") else {
        return kept;
    };
    for (key, value) in all {
        match (key.as_str(), value) {
            ("members", _) => {
                let members = members.iter().cloned().map(Value::String).collect();
                kept.insert(key.clone(), Value::Array(members));
            }
            ("dependencies", Value::Table(dependencies)) => {
                let mut dependencies = dependencies.clone();
                dependencies.retain(|name, _| used.contains(name));
                kept.insert(key.clone(), Value::Table(dependencies));
            }
            ("lints", _) => {}
            _ => {
                kept.insert(key.clone(), value.clone());
            }
        }
    }
    Table::from_iter([("workspace".to_owned(), Value::Table(kept))])
}

/// The versions that the SDK is tested with: what of the lock file `packages`
/// reach.
fn lock(root: &Path, packages: &[String]) -> Result<Table> {
    let mut lock = read(&root.join("Cargo.lock"))?;
    let Some(Value::Array(all)) = lock.remove("package") else {
        anyhow::bail!("Cargo.lock has no packages");
    };
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, package) in all.iter().enumerate() {
        if let Some(name) = package.get("name").and_then(Value::as_str) {
            by_name.entry(name).or_default().push(index);
        }
    }
    let mut wanted: Vec<&str> = packages.iter().map(String::as_str).collect();
    let mut kept = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        // `name`, or `name version` where there are several.
        let mut words = name.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        for &index in by_name.get(name).into_iter().flatten() {
            let Some(package) = all.get(index) else {
                continue;
            };
            let same =
                version.is_none() || package.get("version").and_then(Value::as_str) == version;
            if same && kept.insert(index) {
                let needs = package.get("dependencies").and_then(Value::as_array);
                wanted.extend(needs.into_iter().flatten().filter_map(Value::as_str));
            }
        }
    }
    let kept = kept.into_iter().filter_map(|index| all.get(index).cloned());
    lock.insert("package".to_owned(), Value::Array(kept.collect()));
    Ok(lock)
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, key| value.get(key))
}

fn read(path: &Path) -> Result<Table> {
    fs::read_to_string(path)
        .with_context(|| format!("reading {}", path.display()))?
        .parse()
        .with_context(|| format!("parsing {}", path.display()))
}

fn written(out: &Path, name: &str, table: &Table) -> Result<(String, PathBuf)> {
    let path = out.join("sources").join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, toml::to_string(table)?)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok((name.to_owned(), path))
}
