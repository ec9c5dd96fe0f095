//! `prunella plugin build`: a component of a project.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use prunella_core::policy::Limits;
use prunella_engine::Usage;
use prunella_scaffold::{BuildError, Built, build};

use super::{
    engine, field,
    info::{PluginInfo, is_large, size},
};
use crate::{
    args::PluginBuildArgs,
    exit::{Exit, Problem},
    output::{self, BAD, FAIR, GOOD, QUIET, wrap},
};

/// What `describe` uses of a limit, in percent, from which there is little left
/// for what a strategy is there for.
const MUCH: usize = 50;

/// Runs the command.
pub(super) fn run(args: &PluginBuildArgs) -> anyhow::Result<Exit> {
    let built = build(&args.folder).map_err(problem)?;
    let bytes =
        fs::read(&built.path).with_context(|| format!("cannot read {}", built.path.display()))?;
    if is_large(&bytes) {
        output::remark(
            "note",
            QUIET,
            "it is large, and is compiled to be asked who it is: that takes a moment",
        );
    }
    let info = PluginInfo::of(&engine()?, &built.path, &bytes)?;
    output::print(&report(&built, &info, output::width()))?;
    Ok(if info.is_good() {
        Exit::Ok
    } else {
        Exit::Trouble
    })
}

fn report(built: &Built, info: &PluginInfo, width: usize) -> String {
    let path = shown(&built.path);
    let mut text = String::new();
    let style = if info.is_good() { GOOD } else { BAD };
    let _ = writeln!(text, "{style}{path}{style:#}, of {}", built.language);
    field(&mut text, "size", &size(built.inspection.size), width);
    field(&mut text, "sha256", &built.inspection.sha256, width);
    let looks = built.inspection.observations().join("; ");
    if !looks.is_empty() {
        field(&mut text, "does", &looks, width);
    }
    let may: Vec<&str> = built
        .inspection
        .consequences()
        .into_iter()
        .map(|sentence| sentence.strip_prefix("may ").unwrap_or(sentence))
        .collect();
    let may = if may.is_empty() {
        "only look".to_owned()
    } else {
        format!("{}, once granted", may.join("; "))
    };
    field(&mut text, "may", &may, width);
    if let Some(trouble) = info.trouble() {
        let _ = writeln!(text, "\n{BAD}{}{BAD:#}", trouble.0);
        for line in wrap(trouble.1, width) {
            let _ = writeln!(text, "{line}");
        }
        return text;
    }
    if let Some(advice) = info.usage.as_ref().and_then(|u| advice(&built.name, u)) {
        let _ = writeln!(text, "\n{FAIR}{advice}{FAIR:#}");
    }
    let _ = writeln!(text, "\nNext:\n");
    if let Some(scenarios) = scenarios(&built.path) {
        let _ = writeln!(
            text,
            "  prunella plugin test {path} --scenario {}",
            shown(&scenarios)
        );
    }
    let _ = writeln!(text, "  prunella plugin inspect {path}");
    let _ = writeln!(text, "  sudo prunella plugin add {path}");
    text
}

/// What to raise, when saying who it is takes up much of what a run may.
fn advice(name: &str, usage: &Usage) -> Option<String> {
    let limits = Limits::default();
    let much = |used: u128, limit: u128| used * 100 >= limit * MUCH as u128;
    let mut lines = Vec::new();
    if much(usage.memory_peak as u128, limits.memory as u128) {
        let mib = usage.memory_peak.div_ceil(1 << 20);
        lines.push(format!("memory = \"{}MiB\"", mib * 4));
    }
    if much(usage.cpu.as_micros(), limits.cpu.as_micros()) {
        let seconds = usage.cpu.as_secs() + 1;
        lines.push(format!("cpu = \"{}s\"", seconds * 4));
    }
    if lines.is_empty() {
        return None;
    }
    Some(format!(
        "Only to say who it is it takes {} and {} ms of processor time, much of what a run may \
         have. Whoever uses it should add to prunella.toml:\n\n    [strategy.{name}.limits]\n    {}",
        size(usage.memory_peak),
        usage.cpu.as_millis(),
        lines.join("\n    ")
    ))
}

/// The project's scenarios, if it has any: beside the folder of what was built.
fn scenarios(component: &Path) -> Option<PathBuf> {
    let folder = component.ancestors().nth(2)?.join("scenarios");
    folder.is_dir().then_some(folder)
}

/// A path as somebody here would type it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn problem(error: BuildError) -> Problem {
    let exit = match &error {
        BuildError::NoProject { .. } => Exit::NotFound,
        BuildError::SeveralProjects { .. } => Exit::Usage,
        BuildError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
            Exit::NotFound
        }
        BuildError::Io { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::NoPermission
        }
        _ => Exit::Trouble,
    };
    Problem::new(exit, "no component was built").because(error)
}
