//! `prunella plugin list`: every strategy there is, and how it stands.

use std::fmt::Write as _;

use anstyle::Style;
use prunella_config::Config;
use prunella_core::text::one_line;
use prunella_daemon::plugins::{Listed, State, all};

use super::field;
use crate::{
    args::PluginListArgs,
    exit::Exit,
    output::{self, BAD, FAIR, GOOD, QUIET, STRONG},
    paths::Paths,
};

/// Runs the command.
pub(super) fn run(paths: &Paths, args: &PluginListArgs) -> anyhow::Result<Exit> {
    let loaded = Config::load(&paths.config);
    let broken = loaded.errors().count();
    let config = loaded.config.unwrap_or_default();
    let listed = all(paths, &config)?;
    if args.json {
        for strategy in &listed {
            output::print_json(strategy)?;
        }
    } else {
        let width = output::width();
        let mut text = String::new();
        for strategy in &listed {
            show(&mut text, strategy, width);
        }
        output::print(&text)?;
    }
    if broken > 0 {
        output::remark(
            "note",
            FAIR,
            "the configuration has mistakes, so what it sets is not shown: see `prunella config check`",
        );
    }
    Ok(Exit::Ok)
}

fn show(text: &mut String, strategy: &Listed, width: usize) {
    let (state, style): (&str, Style) = match strategy.state {
        State::Ready => ("ready", GOOD),
        State::AwaitingGrant => ("awaiting a grant", FAIR),
        State::Refused => ("refused", BAD),
    };
    let _ = writeln!(
        text,
        "{STRONG}{}{STRONG:#}  {style}{state}{style:#}  {QUIET}{}{QUIET:#}",
        strategy.name, strategy.source
    );
    if let Some(version) = &strategy.version {
        field(text, "version", &one_line(version, 80), width);
    }
    if let Some(signature) = &strategy.signature {
        field(text, "signed", signature, width);
    }
    if let Some(sha256) = &strategy.sha256 {
        field(text, "sha256", sha256, width);
    }
    if let Some(imports) = &strategy.imports {
        let short: Vec<&str> = imports
            .iter()
            .filter_map(|name| name.split('@').next())
            .map(|name| name.strip_prefix("prunella:").unwrap_or(name))
            .collect();
        field(text, "imports", &short.join(", "), width);
    }
    let may: Vec<String> = strategy
        .granted
        .iter()
        .map(|granted| format!("{} on {}", granted.what, granted.on.join(", ")))
        .collect();
    let may = if may.is_empty() {
        "only observe".to_owned()
    } else {
        may.join("; ")
    };
    field(text, "may", &may, width);
    if !strategy.not_granted.is_empty() && strategy.state == State::Ready {
        let denied: Vec<&str> = strategy.not_granted.iter().map(|act| act.name()).collect();
        field(text, "denied", &denied.join(", "), width);
    }
    if let Some(why) = &strategy.why {
        // Lines to add to the configuration keep their shape.
        let mut lines = why.lines();
        field(text, "why", lines.next().unwrap_or_default(), width);
        for line in lines {
            let _ = writeln!(text, "           {line}");
        }
    }
    text.push('\n');
}
