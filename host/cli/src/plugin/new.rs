//! `prunella plugin new`: the project of a new strategy.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use prunella_scaffold::{CreateError, Language, Project, create};

use crate::{
    args::{Lang, PluginNewArgs},
    exit::{Exit, Problem},
    output::{self, QUIET, STRONG},
};

/// Runs the command.
pub(super) fn run(args: &PluginNewArgs) -> anyhow::Result<Exit> {
    let folder = args
        .folder
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.name));
    let language = language(args.lang);
    if args.sdk.is_some() && language != Language::Rust {
        return Err(Problem::new(
            Exit::Usage,
            format!("--sdk is for Rust: what {language} needs of Prunella is its contract only"),
        )
        .into());
    }
    let project = Project {
        name: &args.name,
        language,
        folder: &folder,
        sdk: args.sdk.as_deref(),
    };
    let created = create(&project).map_err(problem)?;

    let mut text = format!(
        "{STRONG}{}{STRONG:#}, a strategy in {language}, is in {}:\n\n",
        args.name,
        folder.display()
    );
    for file in &created.files {
        let _ = writeln!(text, "  {file}");
    }
    if created.brought_along > 0 {
        let (what, place) = match language {
            Language::Rust => ("of the SDK's", "vendor/"),
            _ => ("of the contract", "wit/deps/"),
        };
        let _ = writeln!(
            text,
            "  {QUIET}{place} with {} files {what}{QUIET:#}",
            created.brought_along
        );
    }
    let _ = writeln!(text, "\nNext:\n");
    for command in next(&args.name, language, &folder) {
        let _ = writeln!(text, "  {command}");
    }
    output::print(&text)?;
    Ok(Exit::Ok)
}

fn language(lang: Lang) -> Language {
    match lang {
        Lang::Rust => Language::Rust,
        Lang::C => Language::C,
        Lang::Python => Language::Python,
        Lang::Js => Language::JavaScript,
    }
}

/// What to run first.
fn next(name: &str, language: Language, folder: &Path) -> Vec<String> {
    let mut commands = vec![format!("cd {}", folder.display())];
    match language {
        Language::Rust => commands.push("cargo test".to_owned()),
        Language::C => {}
        Language::Python => commands
            .push("python3 -m venv .venv && .venv/bin/pip install -r requirements.txt".to_owned()),
        Language::JavaScript => commands.push("npm install".to_owned()),
    }
    commands.push("prunella plugin build".to_owned());
    commands.push(format!(
        "prunella plugin test build/{name}.wasm --scenario scenarios/"
    ));
    commands
}

fn problem(error: CreateError) -> Problem {
    let exit = match &error {
        CreateError::Write { error, .. } => match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::Trouble,
        },
        CreateError::Sdk { .. } => Exit::NotFound,
        _ => Exit::Usage,
    };
    Problem::new(exit, "no project was written").because(error)
}
