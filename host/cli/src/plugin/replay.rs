//! `prunella plugin replay`: a component on the recorded answers of a host.

use std::{fmt::Write as _, path::Path, sync::Arc};

use prunella_core::StrategyName;
use prunella_recording::{Divergence, Entry, Recording, Replayed, ReplayedRun as Run, replay};
use serde::Serialize;

use super::{
    field,
    sandbox_run::{Kept, SandboxRun, text},
};
use crate::{
    args::PluginReplayArgs,
    exit::{Exit, Problem},
    output::{self, BAD, GOOD, QUIET, STRONG},
};

/// A recording longer than this was not written by one healing.
const MAX_RECORDING: u64 = 64 << 20;

/// One run, as `prunella plugin replay --json` has it.
#[derive(Debug, Serialize)]
struct Shown {
    /// `assess` or `heal`.
    call: &'static str,
    strategy: String,
    incident: String,
    /// Whether it asked and said the same.
    same: bool,
    /// How many calls were answered from the recording.
    answered: usize,
    departure: Option<Parted>,
    /// What the strategy said when it was recorded.
    then: Option<String>,
    /// What it says now; after a departure that says little.
    now: String,
}

#[derive(Debug, Serialize)]
struct Parted {
    number: usize,
    recorded: Option<Entry>,
    made: Option<Entry>,
}

/// Runs the command.
pub(super) fn run(args: &PluginReplayArgs) -> anyhow::Result<Exit> {
    let recording = read(&args.recording)?;
    let tried = SandboxRun::load(&args.file)?;
    let strategy = chosen(args.strategy.as_ref(), &tried, &recording)?;
    let shown: Vec<Shown> = recording
        .runs
        .iter()
        .filter(|run| run.begun.strategy == strategy)
        .map(|run| {
            let replayed = replay(&tried.strategy, run, Arc::new(Kept::default()));
            shown(run, replayed)
        })
        .collect();
    if args.json {
        output::print_json_lines(&shown)?;
    } else {
        output::print(&told(&shown, output::width()))?;
    }
    Ok(if shown.iter().all(|run| run.same) {
        Exit::Ok
    } else {
        Exit::Differs
    })
}

fn read(path: &Path) -> anyhow::Result<Recording> {
    let text = text(path, MAX_RECORDING, "a recording")?;
    Recording::parse(&text).map_err(|error| {
        Problem::new(
            Exit::Usage,
            format!("{} cannot be replayed", path.display()),
        )
        .because(error)
        .into()
    })
}

/// Whose runs to play: those of the named strategy, of the one that the file is
/// named after, of the one with these very bytes, or of the only one there is.
fn chosen(
    named: Option<&StrategyName>,
    tried: &SandboxRun,
    recording: &Recording,
) -> anyhow::Result<StrategyName> {
    let there = recording.strategies();
    let own = tried.strategy.name();
    let same_bytes = || {
        let sha256 = tried.strategy.sha256();
        let run = recording.runs.iter().find(|run| run.begun.sha256 == sha256);
        run.map(|run| run.begun.strategy.clone())
    };
    let found = match named {
        Some(name) => there.contains(&name).then(|| name.clone()),
        None if there.contains(&own) => Some(own.clone()),
        None => same_bytes().or_else(|| match there.as_slice() {
            [only] => Some((*only).clone()),
            _ => None,
        }),
    };
    found.ok_or_else(|| {
        let list: Vec<&str> = there.iter().map(|name| name.as_str()).collect();
        let looked_for = named.unwrap_or(own);
        Problem::new(
            Exit::NotFound,
            format!("the recording has no run of strategy `{looked_for}`"),
        )
        .help(match list.as_slice() {
            [] => "it has no run at all: no strategy was asked".to_owned(),
            list => format!(
                "say whose runs to play with --strategy: {}",
                list.join(", ")
            ),
        })
        .into()
    })
}

fn shown(run: &Run, replayed: Replayed) -> Shown {
    let then = run.ended.as_ref();
    Shown {
        call: run.begun.call.as_str(),
        strategy: run.begun.strategy.to_string(),
        incident: run.begun.incident.id.to_string(),
        same: replayed.is_same_as(run),
        answered: replayed.answered,
        then: then.map(ToString::to_string),
        now: replayed.ended.to_string(),
        departure: replayed.divergence.map(
            |Divergence {
                 number,
                 recorded,
                 made,
             }| Parted {
                number,
                recorded,
                made,
            },
        ),
    }
}

fn told(runs: &[Shown], width: usize) -> String {
    let mut text = String::new();
    for run in runs {
        let (word, style) = match (run.same, &run.departure) {
            (true, _) => ("the same".to_owned(), GOOD),
            (false, Some(parted)) => (format!("departs at call {}", parted.number), BAD),
            (false, None) => ("says something else".to_owned(), BAD),
        };
        let _ = writeln!(
            text,
            "{STRONG}{} {}{STRONG:#}  {style}{word}{style:#}  {QUIET}incident {}{QUIET:#}",
            run.strategy, run.call, run.incident
        );
        let calls = match run.answered {
            1 => "1 call answered from the recording".to_owned(),
            calls => format!("{calls} calls answered from the recording"),
        };
        field(&mut text, "calls", &calls, width);
        if let Some(parted) = &run.departure {
            let show = |entry: &Option<Entry>, none: &str| {
                entry
                    .as_ref()
                    .map_or_else(|| none.to_owned(), ToString::to_string)
            };
            field(
                &mut text,
                "then",
                &show(&parted.recorded, "no further call"),
                width,
            );
            field(
                &mut text,
                "now",
                &show(&parted.made, "no further call"),
                width,
            );
        }
        if run.same || run.departure.is_none() {
            if !run.same {
                let then = run.then.as_deref();
                field(
                    &mut text,
                    "then",
                    then.unwrap_or("the recording ends before"),
                    width,
                );
            }
            field(
                &mut text,
                if run.same { "says" } else { "now" },
                &run.now,
                width,
            );
        }
        text.push('\n');
    }
    let same = runs.iter().filter(|run| run.same).count();
    let _ = writeln!(
        text,
        "{QUIET}{same} of {} runs the same{QUIET:#}",
        runs.len()
    );
    text
}
