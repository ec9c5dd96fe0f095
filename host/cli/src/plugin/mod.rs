//! `prunella plugin`: strategies, built in and the operator's own.

mod add;
mod build;
mod candidate;
mod info;
mod inspect;
mod list;
mod new;
mod remove;
mod replay;
mod sandbox_run;
mod test;
mod verify;

use std::fmt::Write as _;

use prunella_engine::{Engine, EngineSettings};

use crate::{
    args::PluginCommand,
    exit::Exit,
    output::{QUIET, wrap},
    paths::Paths,
};

/// Runs `prunella plugin …`.
pub(crate) fn run(paths: &Paths, command: &PluginCommand) -> anyhow::Result<Exit> {
    match command {
        PluginCommand::New(args) => new::run(args),
        PluginCommand::Build(args) => build::run(args),
        PluginCommand::List(args) => list::run(paths, args),
        PluginCommand::Inspect(args) => inspect::run(paths, args),
        PluginCommand::Test(args) => test::run(args),
        PluginCommand::Add(args) => add::run(paths, args),
        PluginCommand::Remove(args) => remove::run(paths, args),
        PluginCommand::Verify(args) => verify::run(paths, args),
        PluginCommand::Replay(args) => replay::run(args),
    }
}

/// An engine without a cache: to look at components, not to run them.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    Ok(Engine::new(EngineSettings { cache_dir: None })?)
}

fn field(text: &mut String, name: &str, value: &str, width: usize) {
    let mut name = name;
    for line in wrap(value, width.saturating_sub(11)) {
        let _ = writeln!(text, "  {QUIET}{name:<8}{QUIET:#} {line}");
        name = "";
    }
}
