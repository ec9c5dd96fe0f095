//! `prunella incidents`: the list, and the report of one.

use std::fmt::Write as _;

use anstyle::Style;
use prunella_api::{Filter, Summary};
use prunella_core::{
    config::Config,
    report::{Report, ReportContext},
    trail::Record,
};
use prunella_store::{Store, StoreError};

use crate::{
    args::IncidentsArgs,
    exit::Exit,
    look::Looker,
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET},
    paths::Paths,
    table::{Cell, Column, Table},
    time,
};

/// How many are listed, unless told otherwise.
const LIMIT: u32 = 50;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: IncidentsArgs) -> anyhow::Result<Exit> {
    let looker = Looker::new(paths);
    if let Some(id) = &args.id {
        let record = looker.incident(id)?;
        if args.json {
            output::print_json(&record)?;
        } else {
            output::print(&report(paths, &record))?;
        }
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let limit = args.limit.unwrap_or(LIMIT);
    let filter = Filter {
        unit: args.unit.as_deref().map(crate::unit_name).transpose()?,
        since: args
            .since
            .map(|span| now.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))),
        ended: args.ended.map(|ended| ended.word().to_owned()),
        limit: Some(limit),
    };
    let filtered = filter.unit.is_some() || filter.since.is_some() || filter.ended.is_some();
    let incidents = looker.incidents(filter)?;
    if args.json {
        let mut lines = String::new();
        for incident in &incidents {
            lines.push_str(&serde_json::to_string(incident)?);
            lines.push('\n');
        }
        output::print(&lines)?;
        return Ok(Exit::Ok);
    }
    let mut text = if incidents.is_empty() && filtered {
        "No incident is like that.\n".to_owned()
    } else if incidents.is_empty() {
        "No incident so far.\n".to_owned()
    } else {
        table(&incidents, now, output::width())
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

/// Incidents from the store, newest first; for the daemon too.
pub(crate) fn list(store: &Store, filter: &Filter) -> Result<Vec<Summary>, StoreError> {
    let found = store.incidents(&prunella_store::Filter {
        unit: filter.unit.clone(),
        since_ms: filter.since,
        until_ms: None,
        ended: filter.ended.clone(),
        limit: filter.limit,
    })?;
    let mut summaries = Vec::with_capacity(found.len());
    for incident in found {
        // The store's own list has no reasons; the record has.
        if let Some(record) = store.record(&incident.id)? {
            summaries.push(Summary::of(&record));
        }
    }
    Ok(summaries)
}

/// The hand-over note about one incident.
fn report(paths: &Paths, record: &Record) -> String {
    let config = Config::load(&paths.config).config.unwrap_or_default();
    let context = ReportContext {
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        service: config.services.get(&record.incident.detection.unit),
        boot_id: prunella_linux::clock::boot_id().ok(),
        now: time::now(),
        zone: jiff::tz::TimeZone::system(),
    };
    Report::from_record(record, &context).render_text()
}

fn table(incidents: &[Summary], now: u64, width: usize) -> String {
    let mut table = Table::new(&[
        Column::fixed("ID"),
        Column::shrinks("WHEN", 5),
        Column::shrinks("UNIT", 14),
        Column::optional("CAUSE", 6),
        Column::fixed("ENDED"),
        Column::shrinks("HOW", 12),
    ]);
    for incident in incidents {
        let (ended, style) = ended(incident);
        let unit = incident.unit.as_str();
        table.row(vec![
            Cell::new(incident.id.as_str(), PLAIN),
            Cell::new(time::ago(incident.at, now), QUIET),
            Cell::new(unit.strip_suffix(".service").unwrap_or(unit), PLAIN),
            Cell::new(&incident.cause, PLAIN),
            Cell::new(ended, style),
            Cell::new(how(incident), PLAIN),
        ]);
    }
    table.render(width, 0)
}

fn ended(incident: &Summary) -> (&str, Style) {
    match incident.ended.as_deref() {
        None => ("open", FAIR),
        Some("healed") => ("healed", GOOD),
        Some(word @ "escalated") => (word, BAD),
        Some(word @ ("blocked" | "interrupted")) => (word, FAIR),
        Some(word) => (word, PLAIN),
    }
}

fn how(incident: &Summary) -> String {
    match (&incident.strategy, &incident.why) {
        (Some(strategy), _) => {
            let after = incident
                .recovered_after_us
                .map_or_else(String::new, |us| format!(" in {}", time::took(us)));
            format!("{strategy}{after}")
        }
        (None, Some(why)) => prunella_core::text::one_line(why, 200),
        (None, None) if incident.attempt > 1 => format!("attempt {}", incident.attempt),
        (None, None) => String::new(),
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
            at: 0,
            cause: "exit-code".into(),
            ended: Some("escalated".into()),
            why: Some("its data directory is on a full disk\nand more".into()),
            left_alone: None,
            strategy: None,
            recovered_after_us: None,
            attempt: 1,
        };
        for width in [70, 80, 120] {
            let text = table(std::slice::from_ref(&incident), 60_000, width);
            let text = anstream::adapter::strip_str(&text).to_string();
            assert!(
                text.contains("20261121-142301-7f3a") && text.contains("escalated"),
                "{text}"
            );
            assert!(
                text.lines().all(|line| line.width() <= width),
                "{width}\n{text}"
            );
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }
}
