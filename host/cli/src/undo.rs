//! `prunella undo`: takes back what was done in an incident.

use std::fmt::Write as _;

use prunella_api::{UndoCall, Undone, account};
use prunella_core::text::one_line;
use prunella_report::shown_act;

use crate::{
    args::UndoArgs,
    exit::Exit,
    output::{self, BAD, GOOD, PLAIN, QUIET},
    paths::Paths,
    query::Prunella,
};

/// Characters of a line that are shown.
const LINE: usize = 500;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: UndoArgs) -> anyhow::Result<Exit> {
    let call = UndoCall {
        incident: args.id,
        by: account::own(),
        dry_run: args.dry_run,
    };
    let undone = Prunella::new(paths).order(|orders| orders.undo(&call))?;
    if args.json {
        output::print_json(&undone)?;
    } else {
        output::print(&shown(&undone, args.dry_run))?;
    }
    let all_well = undone
        .acts
        .iter()
        .all(|act| act.result.as_ref().err().is_none_or(|f| f.is("for-good")));
    Ok(if all_well { Exit::Ok } else { Exit::Trouble })
}

fn shown(undone: &Undone, dry_run: bool) -> String {
    let Undone {
        incident,
        unit,
        acts,
    } = undone;
    if acts.is_empty() {
        return format!(
            "Nothing was done in incident {incident} of {unit} that could be undone.\n"
        );
    }
    let mut text = String::new();
    for act in acts {
        let (style, mark, line) = match &act.result {
            Ok(what) if dry_run => (PLAIN, "would", one_line(what, LINE)),
            Ok(done) => (GOOD, "undone", one_line(done, LINE)),
            Err(failure) => {
                let did = shown_act(&act.act, &act.name);
                let kept = if failure.is("for-good") { QUIET } else { BAD };
                let why = one_line(&failure.message, LINE);
                (kept, "stays", format!("{did}: {why}"))
            }
        };
        let _ = writeln!(text, "{style}{mark:<7}{style:#}{line}");
    }
    text
}
