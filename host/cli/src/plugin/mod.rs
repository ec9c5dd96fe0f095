//! `prunella plugin`: strategies, built in and the operator's own.

mod build;
mod inspect;
mod list;
mod new;
mod played;
mod portrait;
mod standing;
mod test;

use std::{fmt::Write as _, path::Path};

use prunella_engine::{Engine, EngineSettings, Inspection};

use crate::{
    args::PluginCommand,
    assembly::MAX_COMPONENT,
    exit::Exit,
    output::{QUIET, wrap},
    paths::Paths,
};

pub(crate) use self::standing::{awaiting_grant, complaints};

/// Runs `prunella plugin …`.
pub(crate) fn run(paths: &Paths, command: &PluginCommand) -> anyhow::Result<Exit> {
    match command {
        PluginCommand::New(args) => new::run(args),
        PluginCommand::Build(args) => build::run(args),
        PluginCommand::List(args) => list::run(paths, args),
        PluginCommand::Inspect(args) => inspect::run(args),
        PluginCommand::Test(args) => test::run(args),
    }
}

/// An engine without a cache: to look at components, not to run them.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    Ok(Engine::new(EngineSettings { cache_dir: None })?)
}

/// The imports that are capabilities.
fn imports(inspection: &Inspection) -> Vec<String> {
    inspection
        .imports
        .iter()
        .filter(|import| import.is_capability())
        .map(|import| import.name.clone())
        .collect()
}

fn field(text: &mut String, name: &str, value: &str, width: usize) {
    let mut name = name;
    for line in wrap(value, width.saturating_sub(11)) {
        let _ = writeln!(text, "  {QUIET}{name:<8}{QUIET:#} {line}");
        name = "";
    }
}

/// Reads a component as the daemon would: no links, and nobody but root may
/// have been able to write it.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(prunella_linux::trusted_file::read(path, MAX_COMPONENT)?)
}
