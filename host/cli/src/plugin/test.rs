//! `prunella plugin test`: a component on a simulated host, by scenarios.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use prunella_core::{incident::Assessment, policy::Limits};
use prunella_engine::RunContext;
use prunella_simulation::scenario::{self, Happened, Scenario};
use serde::Serialize;

use super::{
    field,
    sandbox_run::{Kept, SandboxRun, text},
};
use crate::{
    args::PluginTestArgs,
    exit::{Exit, Problem},
    output::{self, BAD, GOOD, QUIET, STRONG},
};

/// A scenario longer than this is none.
const MAX_SCENARIO: u64 = 1 << 20;

/// One scenario, as `prunella plugin test --json` has it.
#[derive(Debug, Serialize)]
struct Tried {
    scenario: PathBuf,
    summary: Option<String>,
    as_expected: bool,
    /// `applies`, `not-applicable`, `blocked-by`, `veto`, `failure`.
    assessment: Option<&'static str>,
    reason: Option<String>,
    /// `healed`, `not-applicable`, `failed`, `blocked-by`, `failure`.
    outcome: Option<&'static str>,
    said: Option<String>,
    broken_off: Option<String>,
    acts: Vec<String>,
    denied: Vec<String>,
    log: Vec<String>,
    differences: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &PluginTestArgs) -> anyhow::Result<Exit> {
    let files = scenarios(&args.scenarios)?;
    let component = SandboxRun::load(&args.file)?;
    let mut broken = false;
    let mut tried = Vec::new();
    for file in files {
        match read(&file)? {
            Ok(scenario) => tried.push(play(&component, &file, &scenario)),
            Err(mistakes) => {
                broken = true;
                for mistake in mistakes {
                    anstream::eprintln!("{}\n", mistake.coloured());
                }
            }
        }
    }
    if args.json {
        output::print_json_lines(&tried)?;
    } else {
        output::print(&shown(&component, &tried, output::width()))?;
    }
    Ok(if broken {
        Exit::Config
    } else if tried.iter().all(|tried| tried.as_expected) {
        Exit::Ok
    } else {
        Exit::Differs
    })
}

/// The scenarios' files: those named, and those in the folders named.
fn scenarios(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        let trouble = |error: std::io::Error| {
            let what = format!("{} cannot be looked at", path.display());
            Problem::new(Exit::of_io(&error), what).because(error)
        };
        if !fs::metadata(path).map_err(trouble)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(trouble)? {
            let file = entry.map_err(trouble)?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(Problem::new(
                Exit::NotFound,
                format!("there is no scenario in {}", path.display()),
            )
            .help("a scenario is a TOML file; its name ends with .toml")
            .into());
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

type Read = Result<Scenario, Vec<prunella_config::Diagnostic>>;

fn read(file: &Path) -> anyhow::Result<Read> {
    let text = text(file, MAX_SCENARIO, "a scenario")?;
    Ok(scenario::parse(file, &text))
}

fn play(component: &SandboxRun, file: &Path, scenario: &Scenario) -> Tried {
    let happened = happen(component, scenario);
    let differences = scenario.expect.differences(&happened);
    Tried {
        scenario: file.to_owned(),
        summary: scenario.summary.clone(),
        as_expected: differences.is_empty(),
        assessment: happened.assessed(),
        reason: happened.reason().map(str::to_owned),
        outcome: happened.came(),
        said: happened.summary().map(str::to_owned),
        broken_off: happened.broken_off,
        acts: happened.acts,
        denied: happened.denied,
        log: happened.log,
        differences,
    }
}

/// Has the strategy assess, and heal if that applies.
fn happen(component: &SandboxRun, scenario: &Scenario) -> Happened {
    let (strategy, host) = (&component.strategy, &scenario.host);
    let mut happened = Happened::default();
    if let Err(error) = strategy.check_grants(&host.grants()) {
        happened.broken_off = Some(error.to_string());
        return happened;
    }
    let settings = match host.settings(&component.description.settings) {
        Ok(settings) => settings,
        Err(wrong) => {
            happened.broken_off = Some(wrong.join("; "));
            return happened;
        }
    };
    let limits = Limits::default();
    let kept = Arc::new(Kept::default());
    let context = || {
        host.begin_run(limits.deadline);
        RunContext {
            host: host.guarded(strategy.name()),
            incident: host.incident(),
            service: host.service(),
            dry_run: false,
            limits: limits.clone(),
            settings: settings.clone(),
            lines: Arc::clone(&kept) as _,
        }
    };
    match strategy.assess(context()).result {
        Ok(said) => happened.assessment = Some(said),
        Err(error) => happened.broken_off = Some(error.to_string()),
    }
    if matches!(happened.assessment, Some(Ok(Assessment::Applies { .. }))) {
        match strategy.heal(context()).result {
            Ok(said) => happened.outcome = Some(said),
            Err(error) => happened.broken_off = Some(error.to_string()),
        }
    }
    happened.acts = host.acts();
    happened.denied = host.denied();
    happened.log = kept.lines();
    happened
}

fn shown(component: &SandboxRun, tried: &[Tried], width: usize) -> String {
    let mut text = String::new();
    let description = &component.description;
    let _ = writeln!(
        text,
        "{STRONG}{}{STRONG:#} {}\n",
        description.name, description.version
    );
    for tried in tried {
        let (word, style) = match tried.as_expected {
            true => ("as expected", GOOD),
            false => ("differs", BAD),
        };
        let _ = writeln!(
            text,
            "{STRONG}{}{STRONG:#}  {style}{word}{style:#}",
            tried.scenario.display()
        );
        if let Some(summary) = &tried.summary {
            field(&mut text, "about", summary, width);
        }
        let said = [
            ("assessed", tried.assessment, &tried.reason),
            ("healing", tried.outcome, &tried.said),
        ];
        for (name, word, said) in said {
            if let Some(word) = word {
                let said = said.as_deref().unwrap_or_default();
                field(&mut text, name, &format!("{word}: {said}"), width);
            }
        }
        for (name, lines) in [
            ("did", &tried.acts),
            ("denied", &tried.denied),
            ("logged", &tried.log),
            ("differs", &tried.differences),
        ] {
            for (number, line) in lines.iter().enumerate() {
                field(&mut text, if number == 0 { name } else { "" }, line, width);
            }
        }
        text.push('\n');
    }
    let well = tried.iter().filter(|tried| tried.as_expected).count();
    let _ = writeln!(
        text,
        "{QUIET}{well} of {} as expected{QUIET:#}",
        tried.len()
    );
    text
}
