//! `prunella incidents`: the list, and the report of one.

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use anstyle::Style;
use anyhow::Context as _;
use prunella_config::Config;
use prunella_core::{
    Timestamp, UnitName,
    alert::DispatchFilter,
    capability::PastIncident,
    health::Subject,
    incident::{EndingKind, IncidentKind},
    summary::{Filter, OutcomeFilter, Summary},
    trail::Record,
};
use prunella_report::{HOUR, LOOK_BACK, Plot, Plotted, Report, ReportContext};
use prunella_report::{Notification, Rendered, Renderer};

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

/// How many earlier incidents of a unit a report counts at most.
const PAST_LIMIT: u32 = 200;

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
            let rendered = render(paths, &prunella, &record);
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
fn render(paths: &Paths, prunella: &Prunella<'_>, record: &Record) -> Rendered {
    let report = report(paths, prunella, record);
    Renderer::new(Some(&paths.templates())).render(&Notification::about(report))
}

/// The report of an incident, as it stands now.
pub(crate) fn report(paths: &Paths, prunella: &Prunella<'_>, record: &Record) -> Report {
    let config = Config::load(&paths.config).config;
    let is_out_of_care = config.as_ref().is_some_and(|config| {
        !config
            .services
            .contains_key(&record.incident.detection.unit)
    });
    let config = config.unwrap_or_default();
    let detection = &record.incident.detection;
    let past = past(prunella, &detection.unit, detection.at);
    let context = ReportContext {
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        service: config.services.get(&detection.unit),
        boot_id: prunella_linux::clock::boot_id().ok(),
        past: &past,
        now: Some(time::now()),
        zone: jiff::tz::TimeZone::system(),
        sudo: output::needs_sudo(),
    };
    let mut report = Report::from_record(record, &context).with_plot(plot(prunella, record));
    if is_out_of_care && (report.needs_people || record.ending.is_none()) {
        report = report.out_of_care();
    }
    report
}

/// The last hour of what matters most in it; none where nothing is kept of it any more.
fn plot(prunella: &Prunella<'_>, record: &Record) -> Option<Plot> {
    let detection = &record.incident.detection;
    let follows = detection
        .follows
        .as_ref()
        .and_then(|id| prunella.ask(|queries| queries.incident(id.as_str())).ok());
    let plotted = Plotted::of(record, follows.as_ref())?;
    let until = plotted.until.min(time::now());
    let since = until.saturating_sub(HOUR);
    let subject = Subject::from(detection.unit.clone());
    let history = prunella
        .ask(|queries| queries.metric(&subject, plotted.symptom.metric, Some(since), Some(until)))
        .ok()?;
    let one = history
        .series
        .iter()
        .find(|one| one.instance == plotted.symptom.instance)?;
    Plot::new(&plotted, until, &one.points, &jiff::tz::TimeZone::system())
}

/// The unit's incidents of the week before `at`; none where they cannot be had,
/// since the report of one does not depend on it.
fn past(prunella: &Prunella<'_>, unit: &UnitName, at: Timestamp) -> Vec<PastIncident> {
    let filter = Filter {
        unit: Some(unit.clone()),
        since: Some(at.saturating_sub(LOOK_BACK)),
        until: Some(at.saturating_add(Duration::from_millis(1))),
        outcome: None,
        kind: None,
        limit: Some(PAST_LIMIT),
    };
    let found = prunella
        .ask(|queries| queries.incidents(&filter))
        .unwrap_or_default();
    found
        .into_iter()
        .filter_map(|incident| {
            Some(PastIncident {
                id: incident.id.to_string(),
                at: incident.at,
                cause: incident.cause,
                ended: incident.ended?.as_str().to_owned(),
                strategy: incident.strategy.map(|strategy| strategy.to_string()),
            })
        })
        .collect()
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
