//! `prunella expect`: work that strains a service, and is no reason to worry.

use anyhow::Context as _;
use prunella_api::{ExpectCall, account};
use prunella_core::{
    Timestamp,
    health::{ExpectedWork, Metric},
};

use crate::{
    args::ExpectArgs,
    exit::{Exit, Problem},
    output::{self, PLAIN, QUIET, short_unit},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time,
};

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: ExpectArgs) -> anyhow::Result<Exit> {
    let prunella = Prunella::new(paths);
    if args.list {
        let all = prunella.ask(|queries| queries.expected_work())?;
        if args.json {
            output::print_json(&all)?;
        } else {
            output::print(&list(&all, time::now(), output::table_width()))?;
        }
        return Ok(Exit::Ok);
    }
    // clap has seen to the rest.
    let unit = crate::unit_name(&args.unit.context("a UNIT is missing")?)?;
    if args.end {
        let was = prunella.order(|orders| orders.end_expected_work(&unit))?;
        output::print(&if was {
            format!("No work is expected of {unit} any longer.\n")
        } else {
            format!("No work was expected of {unit}.\n")
        })?;
        return Ok(Exit::Ok);
    }
    let span = args.span.context("--for is missing")?;
    let call = ExpectCall {
        unit,
        until: time::now().saturating_add(span),
        reason: args.reason.context("--reason is missing")?,
        by: account::own(),
        metrics: meant(&args.allow)?,
    };
    let work = prunella.order(|orders| orders.expect_work(&call))?;
    output::print(&format!(
        "Work is expected of {} until {}: {}.\n",
        work.unit,
        time::short(work.until, time::now()),
        relaxed(&work)
    ))?;
    Ok(Exit::Ok)
}

/// The metrics of these names, or beginnings of names; none of none.
fn meant(names: &[String]) -> Result<Vec<Metric>, Problem> {
    let all = || {
        let all = Metric::ALL.iter().copied();
        all.filter(|metric| metric.strained_by_work())
    };
    let mut meant = Vec::new();
    for name in names {
        let begins = format!("{name}-");
        let is_it = |word: &str| word == name || word.starts_with(&begins);
        let before = meant.len();
        meant.extend(all().filter(|metric| is_it(metric.as_str())));
        if meant.len() == before {
            let known: Vec<&str> = all().map(Metric::as_str).collect();
            let what = if Metric::ALL.iter().any(|metric| is_it(metric.as_str())) {
                format!("work does not excuse {name:?}")
            } else {
                format!("there is no metric {name:?}")
            };
            let help = format!("metrics that work may strain: {}", known.join(", "));
            return Err(Problem::new(Exit::Usage, what).help(help));
        }
    }
    Ok(meant)
}

/// What begins no symptom.
fn relaxed(work: &ExpectedWork) -> String {
    let all = Metric::ALL
        .iter()
        .filter(|metric| metric.strained_by_work());
    if all.count() == work.metrics.len() {
        return "neither what it uses nor slow answers degrade it".to_owned();
    }
    let titles: Vec<&str> = work.metrics.iter().map(|metric| metric.title()).collect();
    format!("not degraded by {}", titles.join(", "))
}

/// What, until when, by whom, and what it relaxes.
pub(crate) fn in_words(work: &ExpectedWork, now: Timestamp) -> String {
    format!(
        "{}, until {}, by {}; {}",
        work.reason,
        time::short(work.until, now),
        work.by,
        relaxed(work)
    )
}

/// What ends it.
pub(crate) fn end_command(work: &ExpectedWork) -> String {
    format!(
        "sudo prunella expect {} --end",
        short_unit(work.unit.as_str())
    )
}

fn list(all: &[ExpectedWork], now: Timestamp, width: usize) -> String {
    if all.is_empty() {
        return "No work is expected of any service.\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::shrinks("SERVICE", 14),
        Column::fixed("UNTIL"),
        Column::fixed("BY"),
        Column::below("WHAT"),
    ]);
    for work in all {
        table.row(vec![
            Cell::new(short_unit(work.unit.as_str()), PLAIN),
            Cell::new(time::short(work.until, now), PLAIN),
            Cell::new(&work.by, QUIET),
            Cell::new(format!("{}; {}", work.reason, relaxed(work)), PLAIN),
        ]);
    }
    table.render(width, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_the_beginning_of_several_and_none_excuses_being_down() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            meant(&names)
        };
        assert_eq!(names(&[]).unwrap(), []);
        assert_eq!(names(&["latency"]).unwrap(), [Metric::LatencyMs]);
        let memory = names(&["memory"]).unwrap();
        assert_eq!(memory, [Metric::MemoryBytes, Metric::MemoryPermille]);
        assert_eq!(names(&["cpu-permille"]).unwrap(), [Metric::CpuPermille]);
        let excused = names(&["unanswered-in-a-row"]).unwrap_err();
        assert!(excused.to_string().contains("does not excuse"), "{excused}");
        let unknown = names(&["nonsense"]).unwrap_err();
        assert!(unknown.to_string().contains("no metric"), "{unknown}");
    }
}
