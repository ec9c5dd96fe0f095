//! `prunella health`: how services are.

mod backtest;

use std::fmt::Write as _;

use anstyle::Style;
use prunella_api::{HealthDetail, HealthReport, SeenHealth};
use prunella_core::{
    Timestamp,
    health::{
        Forecast, Health, HealthState, Metric, Point, ProbeHealth, Subject, Symptom, SymptomLevel,
        Transition, Unusual,
    },
    text::capital,
};

use prunella_metrics::{
    reduce::{Reduced, reduce},
    sparkline::sparkline,
};
use prunella_report::{forecast_in_words, place_in_hour};

use crate::{
    args::{HealthArgs, HealthCommand},
    exit::{Exit, Problem},
    expect,
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET, STRONG, short_unit, wrap},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time::{ago, local, short},
};

/// Characters that show an hour: two minutes each.
const HOUR_COLUMNS: usize = 30;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &HealthArgs) -> anyhow::Result<Exit> {
    if let Some(HealthCommand::Backtest(args)) = &args.command {
        return backtest::run(paths, args);
    }
    let prunella = Prunella::new(paths);
    let subject = match &args.unit {
        Some(unit) => Some(Subject::from(crate::unit_name(unit)?)),
        None if args.host => Some(Subject::Host),
        None if args.since.is_some() => {
            let what = "`--since` shows the changes of one service, or of the host";
            return Err(Problem::new(Exit::Usage, what.to_owned())
                .help("name a UNIT, or add --host")
                .into());
        }
        None => None,
    };
    match subject {
        Some(subject) => {
            let detail = prunella.ask(|queries| queries.health_of(&subject, args.since))?;
            if args.json {
                output::print_json(&detail)?;
            } else {
                let hours = hours(&prunella, &subject, &detail.service.health.symptoms);
                let (width, table_width) = (output::width(), output::table_width());
                let has_since = args.since.is_some();
                output::print(&one(&detail, &hours, has_since, width, table_width))?;
            }
        }
        None => {
            let report = prunella.ask(|queries| queries.health())?;
            if args.json {
                output::print_json(&report)?;
            } else {
                output::print(&all(&report, output::table_width()))?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// A state's colour.
pub(crate) fn style(state: HealthState) -> Style {
    match state {
        HealthState::Failed => BAD,
        HealthState::Recovering | HealthState::Degraded | HealthState::Unknown => FAIR,
        HealthState::Stopped | HealthState::Paused => PLAIN,
        HealthState::Healthy => GOOD,
    }
}

/// Why it is so, and what else is to be known, in one line.
pub(crate) fn why(health: &Health) -> String {
    let mut why = health.evidence.clone();
    if let Some(flapping) = health.flapping {
        let _ = write!(why, "; it is flapping: {}", flapping.in_words());
    }
    if let Some(work) = &health.expected_work {
        let _ = write!(why, "; expected: {}", work.reason);
    }
    why
}

fn why_and_ahead(health: &Health, now: Timestamp) -> String {
    let mut all = vec![why(health)];
    all.extend(unusual(health, now));
    all.extend(
        health
            .forecasts
            .iter()
            .map(|one| forecast_in_words(&health.subject, one, now)),
    );
    all.join("; ")
}

/// What is unusual, in a sentence without its full stop.
pub(crate) fn unusual(health: &Health, now: Timestamp) -> Option<String> {
    let since = health.unusual.iter().map(|one| one.since).min()?;
    let named = |one: &Unusual| format!("{} ({})", one.title(), one.metric.shown(one.value));
    let all: Vec<String> = health.unusual.iter().map(named).collect();
    Some(format!(
        "unusual since {}: {}",
        short(since, now),
        all.join(", ")
    ))
}

/// What will be used up, a sentence each.
pub(crate) fn ahead(health: &Health, now: Timestamp) -> Vec<String> {
    let in_words = |one: &Forecast| capital(&forecast_in_words(&health.subject, one, now));
    health.forecasts.iter().map(in_words).collect()
}

/// A line for each service.
fn all(report: &HealthReport, width: usize) -> String {
    if report.services.is_empty() {
        return format!(
            "No service is in Prunella's care yet: {STRONG}prunella enable UNIT{STRONG:#}\n"
        );
    }
    let mut text = String::new();
    if report.last_known {
        let seen = report.services.iter().filter_map(|seen| seen.seen_at).max();
        text.push_str(&last_known(seen, report.at));
    }
    let mut table = Table::new(&[
        Column::shrinks("SERVICE", 14),
        Column::fixed("HEALTH"),
        Column::fixed("SINCE"),
        Column::below("WHY"),
    ]);
    for SeenHealth { health, seen_at } in report.host.iter().chain(&report.services) {
        // Nothing has been so since a time when nobody looked.
        let since = seen_at.map_or_else(String::new, |_| ago(health.began(), report.at));
        table.row(vec![
            Cell::new(short_unit(health.subject.as_str()), PLAIN),
            Cell::new(health.state.as_str(), style(health.state)),
            Cell::new(since, QUIET),
            Cell::new(why_and_ahead(health, report.at), PLAIN),
        ]);
    }
    text.push_str(&table.render(width, 0));
    text
}

/// That this is no news.
fn last_known(seen: Option<Timestamp>, now: Timestamp) -> String {
    let when = match seen {
        Some(seen) => format!("known last {}", ago(seen, now)),
        None => "never known".to_owned(),
    };
    format!("{FAIR}No daemon runs:{FAIR:#} what follows was {when}.\n")
}

/// The last hour of what each symptom measures; empty where nothing is kept of it.
fn hours(prunella: &Prunella<'_>, subject: &Subject, symptoms: &[Symptom]) -> Vec<String> {
    let hour = |symptom: &Symptom| {
        // It is only told beside what was asked for.
        let history = prunella
            .ask(|queries| queries.metric(subject, symptom.metric, None, None))
            .ok()?;
        let one = history
            .series
            .iter()
            .find(|one| one.instance == symptom.instance)?;
        Some(in_an_hour(&one.points, history.until))
    };
    symptoms
        .iter()
        .map(|symptom| hour(symptom).unwrap_or_default())
        .collect()
}

/// Points of the hour before `until`, as a row of characters.
fn in_an_hour(points: &[Point], until: Timestamp) -> String {
    let mut columns: [Vec<Reduced>; HOUR_COLUMNS] = Default::default();
    for point in points {
        let place = place_in_hour(point.at, until, HOUR_COLUMNS);
        if let Some(column) = place.and_then(|place| columns.get_mut(place)) {
            column.push(Reduced::from(point.mean));
        }
    }
    sparkline(&columns.map(|column| reduce(column).map(|value| value.mean)))
}

/// One service in detail.
fn one(
    detail: &HealthDetail,
    hours: &[String],
    has_since: bool,
    width: usize,
    table_width: usize,
) -> String {
    let SeenHealth { health, seen_at } = &detail.service;
    let mut text = String::new();
    if detail.last_known {
        text.push_str(&last_known(*seen_at, detail.at));
    }
    let style = style(health.state);
    let _ = writeln!(
        text,
        "{STRONG}{}{STRONG:#}: {style}{}{style:#}",
        health.subject.as_str(),
        health.state.as_str()
    );
    let why = match seen_at {
        Some(_) => format!(
            "Since {} ({}): {}",
            local(health.began()),
            ago(health.began(), detail.at),
            why(health)
        ),
        // Nothing has been so since a time when nobody looked.
        None => capital(&why(health)),
    };
    for line in wrap(&why, width.saturating_sub(2)) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(work) = &health.expected_work {
        let line = format!("Expected work: {}", expect::in_words(work, detail.at));
        for line in wrap(&line, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(budget) = &health.error_budget {
        let left = Metric::ErrorBudgetPermille.shown(budget.left_permille);
        let line = format!(
            "Error budget: {left} is left of what an objective of {} allows in 30 days",
            budget.objective
        );
        for line in wrap(&line, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if !health.symptoms.is_empty() {
        let _ = writeln!(text, "\n{STRONG}Symptoms{STRONG:#}");
        text.push_str(&symptoms(&health.symptoms, hours, detail.at, table_width));
    }
    if let Some(unusual) = unusual(health, detail.at) {
        text.push('\n');
        for line in wrap(&capital(&unusual), width) {
            let _ = writeln!(text, "{FAIR}{line}{FAIR:#}");
        }
    }
    if !health.forecasts.is_empty() {
        let _ = writeln!(text, "\n{STRONG}Ahead{STRONG:#}");
        for line in ahead(health, detail.at) {
            for line in wrap(&line, width.saturating_sub(2)) {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    if !health.probes.is_empty() {
        let _ = writeln!(text, "\n{STRONG}Probes{STRONG:#}");
        text.push_str(&probes(&health.probes, detail.at, table_width));
    }
    if detail.transitions.is_empty() {
        let since = if has_since { " since then" } else { " so far" };
        let _ = writeln!(text, "\nNo change{since}.");
    } else {
        let _ = writeln!(text, "\n{STRONG}Changes{STRONG:#}");
        text.push_str(&transitions(&detail.transitions, table_width));
    }
    text
}

fn symptoms(symptoms: &[Symptom], hours: &[String], now: Timestamp, width: usize) -> String {
    let mut table = Table::new(&[
        Column::fixed("LEVEL"),
        Column::fixed("METRIC"),
        Column::shrinks("OF", 8),
        Column::fixed("VALUE"),
        Column::fixed("LIMIT"),
        Column::fixed("SINCE"),
        Column::optional("LAST HOUR", HOUR_COLUMNS),
    ]);
    for (place, symptom) in symptoms.iter().enumerate() {
        let (level, style) = match symptom.level {
            SymptomLevel::Failed => ("failed", BAD),
            SymptomLevel::Critical => ("critical", BAD),
            SymptomLevel::Degraded => ("degraded", FAIR),
        };
        table.row(vec![
            Cell::new(level, style),
            Cell::new(symptom.metric.title(), PLAIN),
            Cell::new(symptom.instance.as_deref().unwrap_or_default(), PLAIN),
            Cell::new(symptom.metric.shown(symptom.value), PLAIN),
            Cell::new(symptom.metric.shown(symptom.threshold), PLAIN),
            Cell::new(ago(symptom.since, now), QUIET),
            Cell::new(hours.get(place).map_or("", String::as_str), PLAIN),
        ]);
    }
    table.render(width, 2)
}

fn probes(probes: &[ProbeHealth], now: Timestamp, width: usize) -> String {
    let has_certificates = probes.iter().any(|probe| probe.certificate_ends.is_some());
    let mut columns = vec![
        Column::shrinks("PROBE", 8),
        Column::fixed("ANSWERED"),
        Column::fixed("LATENCY"),
        Column::fixed("UNANSWERED"),
        Column::fixed("ASKED"),
    ];
    if has_certificates {
        columns.push(Column::fixed("CERTIFICATE UNTIL"));
    }
    let mut table = Table::new(&columns);
    for probe in probes {
        let (answered, style) = match probe.answered {
            Some(true) => ("yes", GOOD),
            Some(false) => ("no", BAD),
            None => ("not known", FAIR),
        };
        let shown = |metric: Metric, value: Option<u64>| {
            value.map_or_else(String::new, |it| metric.shown(it))
        };
        let mut row = vec![
            Cell::new(&probe.name, PLAIN),
            Cell::new(answered, style),
            // An older answer says nothing of a question that went unanswered.
            Cell::new(
                shown(
                    Metric::LatencyMs,
                    probe.latency_ms.filter(|_| probe.answered != Some(false)),
                ),
                PLAIN,
            ),
            Cell::new(shown(Metric::ErrorsPermille, probe.errors_permille), PLAIN),
            Cell::new(
                probe
                    .asked_at
                    .map_or_else(String::new, |asked| ago(asked, now)),
                QUIET,
            ),
        ];
        if has_certificates {
            let ends = probe.certificate_ends.and_then(Timestamp::day);
            row.push(Cell::new(ends.unwrap_or_default(), PLAIN));
        }
        table.row(row);
    }
    table.render(width, 2)
}

fn transitions(transitions: &[Transition], width: usize) -> String {
    let mut table = Table::new(&[
        Column::fixed("WHEN"),
        Column::fixed("FROM"),
        Column::fixed("TO"),
        Column::below("WHY"),
    ]);
    for change in transitions {
        table.row(vec![
            Cell::new(local(change.at), QUIET),
            Cell::new(change.from.as_str(), PLAIN),
            Cell::new(change.to.as_str(), style(change.to)),
            Cell::new(&change.evidence, PLAIN),
        ]);
    }
    table.render(width, 2)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_core::{
        UnitName,
        health::{ErrorBudgetHealth, FlappingHealth, Objective},
    };
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_795_270_000_000 + seconds * 1_000)
    }

    fn seen() -> SeenHealth {
        SeenHealth {
            health: Health {
                subject: UnitName::new("postgresql@15-main.service").unwrap().into(),
                state: HealthState::Degraded,
                since: at(60),
                evidence: "probe `front` took 1,502 ms to answer, with a limit of 1,000 ms".into(),
                symptoms: vec![Symptom {
                    level: SymptomLevel::Degraded,
                    metric: Metric::LatencyMs,
                    instance: Some("front".into()),
                    value: 1_502,
                    threshold: 1_000,
                    clear: 800,
                    since: at(30),
                    evidence: "x".into(),
                    confirmed: true,
                }],
                episodes: Vec::new(),
                probes: vec![ProbeHealth {
                    name: "front".into(),
                    asked_at: Some(at(85)),
                    answered: Some(true),
                    latency_ms: Some(1_502),
                    errors_permille: Some(97),
                    certificate_ends: Some(at(6 * 24 * 3_600)),
                }],
                flapping: Some(FlappingHealth {
                    changes: 7,
                    within_seconds: 1_800,
                }),
                expected_work: None,
                error_budget: Some(ErrorBudgetHealth {
                    objective: Objective::answering(999_000).unwrap(),
                    left_permille: 415,
                }),
                forecasts: Vec::new(),
                unusual: Vec::new(),
            },
            seen_at: Some(at(90)),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_list_fits_and_says_why() {
        let report = HealthReport {
            at: at(90),
            last_known: true,
            host: None,
            services: vec![seen()],
        };
        for width in [60, 80, 120, usize::MAX] {
            let text = plain(&all(&report, width));
            for part in [
                "No daemon runs",
                "known last 0 s ago",
                "degraded",
                "1 min ago",
            ] {
                assert!(text.contains(part), "{part} in\n{text}");
            }
            let words: Vec<&str> = text.split_whitespace().collect();
            let words = words.join(" ");
            assert!(
                words.contains("1,502 ms to answer, with a limit of 1,000 ms"),
                "{text}"
            );
            assert!(words.contains("flapping: 7 changes within 30m"), "{text}");
            assert!(
                text.lines().skip(1).all(|line| line.width() <= width),
                "{text}"
            );
        }
    }

    #[test]
    fn one_service_shows_symptoms_probes_and_changes() {
        let mut detail = HealthDetail {
            at: at(90),
            last_known: false,
            service: seen(),
            transitions: vec![Transition {
                subject: UnitName::new("x.service").unwrap().into(),
                at: at(60),
                from: HealthState::Healthy,
                to: HealthState::Degraded,
                evidence: "it is slow".into(),
                symptom: None,
            }],
        };
        let hour = [(250, 100), (130, 120), (10, 1_502)].map(|(age, value)| Point {
            at: at(90).saturating_sub(Duration::from_secs(age)),
            mean: value,
            min: value,
            max: value,
        });
        for width in [70, 80, 120] {
            let hours = [in_an_hour(&hour, at(90))];
            let text = plain(&one(&detail, &hours, false, width, width));
            assert_eq!(text.contains("▁▁█"), width > 80, "{text}");
            let words: Vec<&str> = text.split_whitespace().collect();
            let words = words.join(" ");
            for part in [
                "postgresql@15-main.service: degraded",
                "(1 min ago): probe `front` took 1,502 ms",
                "degraded latency front 1,502 ms 1,000 ms 1 min ago",
                "front yes 1,502 ms 9.7 % 5 s ago 2026-11-27",
                "Error budget: 41.5 % is left of what an objective of 99.9 % allows in 30 days",
                "healthy degraded it is slow",
            ] {
                assert!(words.contains(part), "{part} in\n{text}");
            }
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
            assert!(!text.contains("No daemon"), "{text}");
        }
        detail.transitions.clear();
        assert!(plain(&one(&detail, &[], true, 80, 80)).contains("No change since then."));
    }

    #[test]
    fn a_service_that_nobody_watched_has_no_time() {
        let mut seen = seen();
        seen.seen_at = None;
        seen.health.state = HealthState::Unknown;
        let report = HealthReport {
            at: at(90),
            last_known: true,
            host: None,
            services: vec![seen],
        };
        let text = plain(&all(&report, 200));
        assert!(
            text.contains("never known") && !text.contains("SINCE"),
            "{text}"
        );
    }
}
