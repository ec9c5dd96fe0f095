//! `prunella plugin inspect`: what can be known of a file before it is trusted.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use prunella_core::StrategyName;
use prunella_engine::{Inspection, LoadError};

use super::{engine, field, imports};
use crate::{
    args::PluginInspectArgs,
    assembly::MAX_COMPONENT,
    exit::{Exit, Problem},
    output::{self, BAD, STRONG, wrap},
};

/// Runs the command. Nothing of the component is run, so
/// anybody's file may be looked at.
pub(super) fn run(args: &PluginInspectArgs) -> anyhow::Result<Exit> {
    let path = &args.file;
    let size = fs::metadata(path)
        .map_err(|error| {
            let exit = match error.kind() {
                std::io::ErrorKind::NotFound => Exit::NotFound,
                std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
                _ => Exit::Trouble,
            };
            Problem::new(exit, format!("{} cannot be looked at", path.display())).because(error)
        })?
        .len();
    if size > MAX_COMPONENT {
        return Err(Problem::new(
            Exit::Usage,
            format!("{} is larger than {MAX_COMPONENT} bytes", path.display()),
        )
        .into());
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let inspection = engine()?.inspect(&bytes).map_err(|error| {
        Problem::new(
            Exit::Trouble,
            format!("{} is not a strategy", path.display()),
        )
        .because(error)
    })?;
    let loadable = inspection.loadable();
    if args.json {
        let mut value = serde_json::to_value(&inspection)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("acts".into(), serde_json::to_value(inspection.acts())?);
            let refused = loadable.as_ref().err().map(ToString::to_string);
            object.insert("refused".into(), serde_json::to_value(refused)?);
        }
        output::print_json(&value)?;
        return Ok(Exit::Ok);
    }
    output::print(&inspected(
        path,
        &inspection,
        loadable.err(),
        output::width(),
    ))?;
    Ok(Exit::Ok)
}

fn inspected(
    path: &Path,
    inspection: &Inspection,
    refused: Option<LoadError>,
    width: usize,
) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{STRONG}{}{STRONG:#}", path.display());
    field(&mut text, "sha256", &inspection.sha256, width);
    field(
        &mut text,
        "size",
        &format!("{} bytes", inspection.size),
        width,
    );
    field(&mut text, "imports", &imports(inspection).join(", "), width);
    if let Some(refused) = refused {
        text.push('\n');
        let _ = writeln!(text, "{BAD}It does not load.{BAD:#}");
        for line in wrap(&refused.to_string(), width) {
            let _ = writeln!(text, "{line}");
        }
        return text;
    }
    sentences(&mut text, "It observes", &inspection.observations(), width);
    let consequences = inspection.consequences();
    if consequences.is_empty() {
        let _ = writeln!(text, "\nIt only looks: it needs no grant to act.");
        return text;
    }
    sentences(
        &mut text,
        "It wants to act; once granted, it",
        &consequences,
        width,
    );
    let name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .and_then(|stem| StrategyName::new(stem).ok())
        .map_or_else(|| "NAME".to_owned(), |name| name.to_string());
    let _ = writeln!(
        text,
        "\nTo grant all of it on the failed service itself, add to prunella.toml:\n"
    );
    let _ = writeln!(text, "    [strategy.{name}]");
    let _ = writeln!(text, "    component = \"plugins/{name}.wasm\"");
    let _ = writeln!(text, "    sha256 = \"{}\"", inspection.sha256);
    for act in inspection.acts() {
        let _ = writeln!(text, "\n    [[strategy.{name}.allow]]");
        let _ = writeln!(text, "    act = \"{act}\"\n    on = [\"self\"]");
    }
    text
}

fn sentences(text: &mut String, title: &str, sentences: &[&str], width: usize) {
    if sentences.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    for sentence in sentences {
        let mut bullet = "-";
        for line in wrap(sentence, width.saturating_sub(4)) {
            let _ = writeln!(text, "  {bullet} {line}");
            bullet = " ";
        }
    }
}
