//! `prunella incidents`: the list, and the report of one.

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anstyle::Style;
use anyhow::Context as _;
use prunella_config::Config;
use prunella_core::{
    Timestamp,
    alert::DispatchFilter,
    incident::{EndingKind, IncidentKind},
    summary::{Filter, OutcomeFilter, Summary},
    trail::Record,
};
use prunella_report::{Notification, Rendered, Renderer, Report};

use crate::{
    args::{ExportArgs, IncidentsArgs, IncidentsCommand},
    exit::Exit,
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET, short_unit},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time,
};

/// How many are listed, unless told otherwise.
const LIMIT: u32 = 50;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: IncidentsArgs) -> anyhow::Result<Exit> {
    let prunella = Prunella::new(paths);
    if let Some(IncidentsCommand::Export(args)) = &args.command {
        return export(&prunella, args);
    }
    if let Some(id) = &args.id {
        let record = prunella.ask(|queries| queries.incident(id))?;
        if args.json {
            output::print_json(&record)?;
        } else {
            let rendered = render(paths, &prunella, &record)?;
            output::print(if args.html {
                &rendered.html
            } else {
                &rendered.text
            })?;
            if !args.html {
                let told = prunella.ask(|queries| {
                    queries.alerts(&DispatchFilter {
                        incident: Some(record.incident.id.clone()),
                        ..DispatchFilter::default()
                    })
                })?;
                output::print(&crate::alerts::told(&told))?;
            }
            for warning in &rendered.warnings {
                output::remark("warning", FAIR, &warning.to_string());
            }
        }
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let filter = args.which.filter(Some(args.limit.unwrap_or(LIMIT)))?;
    let incidents = prunella.ask(|queries| queries.incidents(&filter))?;
    if args.json {
        output::print_json_lines(&incidents)?;
        return Ok(Exit::Ok);
    }
    let mut text = if incidents.is_empty() && args.which.is_any() {
        "No incident so far.\n".to_owned()
    } else if incidents.is_empty() {
        "No incident is like that.\n".to_owned()
    } else {
        table(&incidents, now, output::table_width())
    };
    if args.limit.is_none() && incidents.len() >= LIMIT as usize {
        let _ = writeln!(
            text,
            "{QUIET}These are the latest {LIMIT}; --limit shows more.{QUIET:#}"
        );
    }
    output::print(&text)?;
    Ok(Exit::Ok)
}

/// Writes out whole records as lines of JSON.
fn export(prunella: &Prunella<'_>, args: &ExportArgs) -> anyhow::Result<Exit> {
    let filter = args.which.filter(None)?;
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let Some(path) = file else {
        let mut out = io::stdout().lock();
        export_to(prunella, &filter, &mut out)?;
        out.flush()?;
        return Ok(Exit::Ok);
    };
    // Log lines are in it: nobody else's to read.
    let cannot = || format!("cannot write {}", path.display());
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map(BufWriter::new)
        .with_context(cannot)?;
    let count = export_to(prunella, &filter, &mut out).with_context(cannot)?;
    out.flush().with_context(cannot)?;
    output::print(&format!("{count} incidents are in {}.\n", path.display()))?;
    Ok(Exit::Ok)
}

fn export_to(prunella: &Prunella<'_>, filter: &Filter, out: &mut dyn Write) -> anyhow::Result<u64> {
    let mut after = None;
    let mut count = 0;
    loop {
        let part = prunella.ask(|queries| queries.records(filter, after))?;
        for record in &part.records {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            out.write_all(&line)?;
            count += 1;
        }
        match part.next {
            Some(next) => after = Some(next),
            None => return Ok(count),
        }
    }
}

/// The hand-over note about one incident.
fn render(paths: &Paths, prunella: &Prunella<'_>, record: &Record) -> anyhow::Result<Rendered> {
    let report = report(paths, prunella, record)?;
    Ok(Renderer::new(Some(&paths.templates())).render(&Notification::about(report)))
}

/// The report of an incident, as it stands now.
pub(crate) fn report(
    paths: &Paths,
    prunella: &Prunella<'_>,
    record: &Record,
) -> anyhow::Result<Report> {
    let config = Config::load(&paths.config).config;
    prunella.ask(|queries| {
        // Tells whether it is the daemon that is asked, before what may be left out.
        let record = queries.incident(record.incident.id.as_str())?;
        Ok(prunella_daemon::reports::report(
            queries,
            config.as_ref(),
            &record,
            output::needs_sudo(),
        ))
    })
}

pub(crate) fn table(incidents: &[Summary], now: Timestamp, width: usize) -> String {
    let mut table = Table::new(&[
        Column::fixed("ID"),
        Column::shrinks("WHEN", 5),
        Column::shrinks("UNIT", 14),
        Column::fixed("CAUSE"),
        Column::fixed("OUTCOME"),
        Column::below("HOW"),
    ]);
    for incident in incidents {
        let (ended, style) = ended(incident);
        table.row(vec![
            Cell::new(incident.id.as_str(), PLAIN),
            Cell::new(time::ago(incident.at, now), QUIET),
            Cell::new(short_unit(incident.unit.as_str()), PLAIN),
            Cell::new(&incident.cause, PLAIN),
            Cell::new(ended, style),
            Cell::new(how(incident), PLAIN),
        ]);
    }
    table.render(width, 0)
}

fn ended(incident: &Summary) -> (&'static str, Style) {
    let OutcomeFilter::Ended(kind) = incident.outcome() else {
        return ("open", FAIR);
    };
    let style = match kind {
        EndingKind::Healed => GOOD,
        EndingKind::Escalated => BAD,
        EndingKind::Blocked | EndingKind::Interrupted => FAIR,
        EndingKind::Recovered
        | EndingKind::LeftAlone
        | EndingKind::DryRun
        | EndingKind::Continued => PLAIN,
    };
    (kind.as_str(), style)
}

fn how(incident: &Summary) -> String {
    // Looking at a degradation again is no attempt to heal it.
    let attempt = (incident.ended.is_none()
        && incident.attempt > 1
        && incident.kind == IncidentKind::Failure)
        .then(|| format!("attempt {}", incident.attempt));
    // Not cut: what matters may stand at its end.
    let whole = |why: &str| why.split_whitespace().collect::<Vec<_>>().join(" ");
    match (&incident.strategy, &incident.why, &incident.people_asked) {
        (Some(strategy), ..) => {
            let after = incident
                .recovered_after
                .map_or_else(String::new, |after| format!(" in {}", time::took(after)));
            format!("{strategy}{after}")
        }
        (None, Some(why), _) => whole(why),
        (None, None, Some(asked)) => match attempt {
            Some(attempt) => format!("{}; {attempt} goes on", whole(asked)),
            None => whole(asked),
        },
        (None, None, None) => attempt.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{UnitName, incident::IncidentId};
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn the_list_fits_and_keeps_what_matters() {
        let incident = Summary {
            id: IncidentId::from_text("20261121-142301-7f3a"),
            unit: UnitName::new("postgresql@15-main.service").unwrap(),
            at: Timestamp::default(),
            kind: IncidentKind::Failure,
            cause: "exit-code".into(),
            ended: Some(EndingKind::Escalated),
            ended_at: Some(Timestamp::from_millis(9)),
            why: Some("its data directory is on a full disk\nand more".into()),
            left_alone: None,
            strategy: None,
            recovered_after: None,
            attempt: 1,
            people_asked: None,
        };
        for (width, lines) in [(70, 3), (80, 3), (140, 2), (usize::MAX, 2)] {
            let text = table(
                std::slice::from_ref(&incident),
                Timestamp::from_millis(60_000),
                width,
            );
            let text = anstream::adapter::strip_str(&text).to_string();
            // Neither cause nor ending is ever cut.
            for whole in [
                "20261121-142301-7f3a",
                "exit-code",
                "escalated",
                "its data directory is on a full disk and more",
            ] {
                assert!(text.contains(whole), "{width}: {whole} in\n{text}");
            }
            assert!(
                text.lines().all(|line| line.width() <= width),
                "{width}\n{text}"
            );
            assert_eq!(text.lines().count(), lines, "{text}");
        }
    }

    #[test]
    fn what_people_are_asked_about_says_so_while_it_is_tried_again() {
        let incident = Summary {
            id: IncidentId::from_text("20261121-142301-7f3a"),
            unit: UnitName::new("a.service").unwrap(),
            at: Timestamp::default(),
            kind: IncidentKind::Failure,
            cause: "exit-code".into(),
            ended: None,
            ended_at: None,
            why: None,
            left_alone: None,
            strategy: None,
            recovered_after: None,
            attempt: 24,
            people_asked: Some("it fails at each start (exit code 1)".into()),
        };
        assert_eq!(ended(&incident).0, "escalated");
        assert_eq!(
            how(&incident),
            "it fails at each start (exit code 1); attempt 24 goes on"
        );
        let healing = Summary {
            people_asked: None,
            ..incident
        };
        assert_eq!(ended(&healing).0, "open");
        assert_eq!(how(&healing), "attempt 24");
    }
}
