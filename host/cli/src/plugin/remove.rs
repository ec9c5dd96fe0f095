//! `prunella plugin remove`: takes a plugin away, with all that is kept of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use prunella_core::{StrategyName, hash, policy::BUILTIN_STRATEGIES};
use prunella_daemon::plugins::{InstallPaths, Lock, component::MAX_COMPONENT};
use prunella_engine::{Engine, EngineSettings};
use prunella_store::Store;
use toml::Value;

use super::add::{remove, root_only};
use crate::{
    args::PluginRemoveArgs,
    exit::{Exit, Problem},
    output::{self, FAIR, GOOD},
    paths::Paths,
};

/// Runs the command.
pub(super) fn run(paths: &Paths, args: &PluginRemoveArgs) -> anyhow::Result<Exit> {
    let name = StrategyName::new(args.name.as_str())
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    if BUILTIN_STRATEGIES.contains(&name.as_str()) {
        return Err(Problem::new(
            Exit::Usage,
            format!("`{name}` is built in, and cannot be removed"),
        )
        .help("leave it out of the services' `strategies`, or set `allow = []` for it")
        .into());
    }
    root_only()?;
    let installed = InstallPaths::of(paths, &name);
    if installed.files().is_empty() {
        return Err(Problem::new(
            Exit::NotFound,
            format!(
                "there is no plugin `{name}` in {}",
                paths.plugins().display()
            ),
        )
        .help("`prunella plugin list` shows which there are")
        .into());
    }
    let naming = naming(paths, &name);
    if !naming.is_empty() && !args.force {
        let files: Vec<String> = naming
            .iter()
            .map(|path| format!("  {}", path.display()))
            .collect();
        return Err(Problem::new(
            Exit::Config,
            format!(
                "`{name}` is not removed: services still ask it, by\n{}",
                files.join("\n")
            ),
        )
        .help("take it out of `strategies` there; or `--force`, and do it before the next reload: the configuration is not valid without it")
        .into());
    }

    let sha256 = prunella_linux::trusted_file::read(&installed.component, MAX_COMPONENT)
        .ok()
        .map(|bytes| hash::sha256(&bytes));
    let held = Lock::wait(paths)?;
    for file in installed.files() {
        remove(file)?;
    }
    drop(held);
    if let Some(sha256) = sha256 {
        let engine = Engine::new(EngineSettings {
            cache_dir: Some(paths.cache.clone()),
        })?;
        engine.forget(&sha256);
    }
    let mut text = format!("{GOOD}removed{GOOD:#}  {name}\n");
    if paths.store().exists() {
        let forgotten = Store::open(&paths.store())?.forget_state(&name)?;
        if forgotten > 0 {
            let s = if forgotten == 1 { "" } else { "s" };
            text.push_str(&format!(
                "         and {forgotten} value{s} that it kept between incidents\n"
            ));
        }
    }
    output::print(&text)?;
    for path in naming {
        output::remark(
            "note",
            FAIR,
            &format!(
                "{} still names `{name}`: take it out before the next reload",
                path.display()
            ),
        );
    }
    Ok(Exit::Ok)
}

/// The files that name a strategy among their `strategies`. They are looked
/// through as they are, so that a mistake elsewhere hides none.
fn naming(paths: &Paths, name: &StrategyName) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(paths.services())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files.retain(|path| names(path, &["strategies"], name));
    let main_file = paths.main_file();
    if names(&main_file, &["defaults", "strategies"], name) {
        files.push(main_file);
    }
    files
}

/// Whether the list at this place of a TOML file has the strategy in it.
fn names(path: &Path, keys: &[&str], name: &StrategyName) -> bool {
    let table: Option<toml::Table> = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.parse().ok());
    let Some(table) = table else { return false };
    let table = Value::Table(table);
    keys.iter()
        .try_fold(&table, |value, key| value.get(key))
        .and_then(Value::as_array)
        .is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name.as_str())))
}
