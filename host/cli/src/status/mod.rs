//! `prunella status`: the overview and one service in detail, for a terminal and for programs.

mod detail;
mod host;
mod overview;
mod screen;
mod sections;
mod services;
mod severity;
mod watch;

use crate::{args::StatusArgs, exit::Exit, output, paths::Paths, query::Prunella};

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &StatusArgs) -> anyhow::Result<Exit> {
    if let Some(unit) = &args.unit {
        let unit = crate::unit_name(unit)?;
        let detail = Prunella::new(paths).ask(|queries| queries.service(&unit))?;
        if args.json {
            output::print_json(&detail)?;
        } else {
            output::print(&detail::render(&detail, output::width()))?;
        }
        return Ok(Exit::Ok);
    }
    if args.watch {
        return watch::run(paths);
    }
    let report = Prunella::new(paths).ask(|queries| queries.status())?;
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&overview::render(
            &report,
            output::width(),
            output::table_width(),
        ))?;
    }
    Ok(Exit::Ok)
}
