//! `prunella health backtest`: what limits would have made of what was recorded.

use std::fmt::Write as _;

use anyhow::Context as _;
use prunella_api::ApiError;
use prunella_core::{
    Timestamp,
    health::Episode,
    summary::Summary,
    text::{self, capital},
};
use prunella_daemon::{
    backtest::{BacktestReport, RecordedSpan, WouldBe, backtest},
    configuration::load_config,
};

use crate::{
    args::BacktestArgs,
    exit::Exit,
    output::{self, FAIR, GOOD, PLAIN, STRONG, wrap},
    paths::Paths,
    table::{Cell, Column, Table},
    time::{self, local, span},
};

/// Values of this many seconds and more are coarse.
const COARSE: u64 = 60;

/// Runs the command.
pub(super) fn run(paths: &Paths, args: &BacktestArgs) -> anyhow::Result<Exit> {
    let unit = crate::unit_name(&args.unit)?;
    let config = load_config(paths)?;
    let report = backtest(paths, &config, &unit, args.since)
        .map_err(ApiError::from)
        .context("the limits cannot be tried")?;
    if args.json {
        output::print_json(&report)?;
    } else {
        let folder = paths.config.display().to_string();
        let (width, table_width) = (output::width(), output::table_width());
        output::print(&shown(&report, &folder, width, table_width))?;
    }
    Ok(Exit::Ok)
}

fn shown(report: &BacktestReport, folder: &str, width: usize, table_width: usize) -> String {
    let now = report.until;
    let mut text = format!(
        "{STRONG}{}{STRONG:#} since {}, with the limits of {folder}\n\n",
        report.unit,
        local(report.since)
    );
    if !report.would_begin.is_empty() {
        let mut table = Table::new(&[
            Column::fixed("WOULD HAVE BEGUN"),
            Column::fixed("LASTED"),
            Column::fixed("REAL INCIDENT"),
            Column::below("WHAT"),
        ]);
        for one in &report.would_begin {
            let (happened, style) = match &one.happened {
                Some(incident) => (incident.id.to_string(), GOOD),
                None => ("none".to_owned(), FAIR),
            };
            table.row(vec![
                Cell::new(local(one.at), PLAIN),
                Cell::new(lasted(one, now), PLAIN),
                Cell::new(happened, style),
                Cell::new(what(one), PLAIN),
            ]);
        }
        text.push_str(&table.render(table_width, 0));
        text.push('\n');
    }
    push_lines(&mut text, &summary(report), width);
    for incident in &report.would_not_begin {
        push_lines(&mut text, &not_begun(incident, now), width);
    }
    let notes = notes(report);
    if !notes.is_empty() {
        let _ = writeln!(text, "\n{STRONG}How far this goes{STRONG:#}");
        for note in notes {
            push_lines(&mut text, &note, width);
        }
    }
    text
}

fn push_lines(text: &mut String, sentence: &str, width: usize) {
    for (number, line) in wrap(sentence, width.saturating_sub(4)).iter().enumerate() {
        let indent = if number == 0 { "  " } else { "    " };
        let _ = writeln!(text, "{indent}{line}");
    }
}

fn lasted(one: &WouldBe, now: Timestamp) -> String {
    match one.ended {
        Some(ended) => span(ended.since(one.at)),
        None => format!("{} so far", span(now.since(one.at))),
    }
}

/// What was at its limit, and what would have been done.
fn what(one: &WouldBe) -> String {
    let symptoms: Vec<String> = one.symptoms.iter().map(symptom).collect();
    let done = if one.healed_by.is_empty() {
        "told, not healed".to_owned()
    } else {
        let names: Vec<&str> = one.healed_by.iter().map(|name| name.as_str()).collect();
        format!("healing by {}", names.join(", then "))
    };
    format!("{}; {done}", symptoms.join(", "))
}

fn symptom(episode: &Episode) -> String {
    let symptom = &episode.symptom;
    let of = match &symptom.instance {
        Some(instance) => format!(" of {instance}"),
        None => String::new(),
    };
    let shown = |value| symptom.metric.shown(value);
    format!(
        "{} {}{of} {}, limit {}",
        symptom.level.as_str(),
        symptom.metric.title(),
        shown(episode.worst),
        shown(symptom.threshold)
    )
}

fn summary(report: &BacktestReport) -> String {
    let happened = report
        .would_begin
        .iter()
        .filter(|one| one.happened.is_some());
    let of_which = match (report.would_begin.len(), happened.count()) {
        (0, _) => String::new(),
        (_, 0) => ", of which none did".to_owned(),
        (_, count) => format!(", of which {count} did"),
    };
    let mut text = format!(
        "{} would have begun{of_which}. In this time {} began",
        capital(&counted(report.would_begin.len(), "degradation")),
        counted(report.degradations, "degradation"),
    );
    if report.failures > 0 {
        let failures = counted(report.failures, "failure");
        let _ = write!(text, ", and {failures}, which limits have no part in");
    }
    text.push('.');
    text
}

fn not_begun(incident: &Summary, now: Timestamp) -> String {
    let ended = match incident.ended {
        Some(ended) => ended.as_str(),
        None => "still open",
    };
    format!(
        "{} of {} ({ended}) would not have begun.",
        incident.id,
        time::short(incident.at, now)
    )
}

fn notes(report: &BacktestReport) -> Vec<String> {
    let mut notes = Vec::new();
    match report.recorded.first() {
        None => notes.push(format!(
            "Nothing was recorded of {} in this time.",
            report.unit
        )),
        Some(first) if first.since.since(report.since).as_secs() > 2 * first.each_seconds => {
            let since = local(first.since);
            notes.push(format!("Nothing was recorded before {since}."));
        }
        Some(_) => {}
    }
    let coarse = report
        .recorded
        .iter()
        .filter(|one| one.each_seconds >= COARSE);
    notes.extend(coarse.map(|one| coarse_note(one, report.until)));
    if report.unclear > 0 {
        notes.push(format!(
            "In {} of these spans a value reached its limit for an unknown time: they count as \
             below it.",
            report.unclear
        ));
    }
    if report
        .would_begin
        .iter()
        .any(|one| !one.healed_by.is_empty())
    {
        notes.push(
            "What healing would have changed is not known: what follows it is as it was \
             recorded."
                .to_owned(),
        );
    }
    let cannot = report
        .not_played
        .iter()
        .map(|one| format!("{}.", capital(one)));
    notes.extend(cannot);
    notes
}

/// That what a value stands for is long. Its first and its last value may stand for less: when
/// the recording began, and as long as it goes on.
fn coarse_note(recorded: &RecordedSpan, now: Timestamp) -> String {
    let each = match recorded.each_seconds {
        60 => "a minute".to_owned(),
        900 => "a quarter of an hour".to_owned(),
        other => format!("{other} s"),
    };
    format!(
        "Coarse: from {} to {} only the mean of {each} is kept, or of what was recorded of it, so \
         times are that exact, and a shorter spell may be missed.",
        local(recorded.since),
        local(recorded.until.min(now))
    )
}

/// `no failure`, `1 failure`, or `3 failures`.
fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        count => text::counted(count, what),
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{
        UnitName,
        health::{Metric, Symptom, SymptomLevel},
    };

    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_795_270_000_000 + minutes * 60_000)
    }

    fn report(would_begin: Vec<WouldBe>) -> BacktestReport {
        BacktestReport {
            unit: UnitName::new("web.service").unwrap(),
            since: at(0),
            until: at(60),
            recorded: vec![RecordedSpan {
                since: at(0),
                until: at(60),
                each_seconds: 60,
            }],
            unclear: 2,
            would_begin,
            would_not_begin: Vec::new(),
            degradations: 0,
            failures: 1,
            not_played: vec!["single answers are not kept".to_owned()],
        }
    }

    fn slow() -> WouldBe {
        let symptom = Symptom {
            level: SymptomLevel::Degraded,
            metric: Metric::LatencyMs,
            instance: Some("front".to_owned()),
            value: 1_200,
            threshold: 1_000,
            clear: 800,
            since: at(9),
            evidence: "it is slow".to_owned(),
            confirmed: true,
        };
        WouldBe {
            at: at(10),
            ended: Some(at(22)),
            each_seconds: 60,
            symptoms: vec![Episode {
                worst: 1_502,
                symptom,
                cleared: Some(at(22)),
            }],
            healed_by: vec!["service-restart".parse().unwrap()],
            happened: None,
        }
    }

    #[test]
    fn it_says_what_would_have_begun_how_bad_it_was_and_what_did() {
        let text = shown(&report(vec![slow()]), "/etc/prunella", 80, 80);
        let text = anstream::adapter::strip_str(&text).to_string();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "12 min none",
            "degraded latency of front 1,502 ms, limit 1,000 ms; healing by service-restart",
            "1 degradation would have begun, of which none did. In this time no degradation began, \
             and 1 failure, which limits have no part in.",
            "only the mean of a minute is kept",
            "In 2 of these spans",
            "Single answers are not kept.",
        ] {
            assert!(flat.contains(part), "{part}: {flat}");
        }
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{text}");
    }

    #[test]
    fn nothing_recorded_is_said() {
        let mut none = report(Vec::new());
        none.recorded.clear();
        let text = shown(&none, "/etc/prunella", 80, 80);
        assert!(text.contains("No degradation would have begun."), "{text}");
        assert!(
            text.contains("Nothing was recorded of web.service"),
            "{text}"
        );
    }
}
