//! `prunella metrics`: what is measured of services and of the host.

mod detect;
mod export;
mod outlook;
mod plot;

use std::{fmt::Write as _, time::Duration};

use anyhow::Context as _;
use prunella_api::{InstanceHistory, LatestValue, MetricHistory, MetricsReport};
use prunella_core::{
    Timestamp,
    health::{Metric, Subject},
};

use crate::{
    args::{MetricsArgs, MetricsCommand},
    exit::{Exit, Problem},
    output::{self, PLAIN, QUIET, STRONG, short_unit, wrap},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time::{ago, local},
};

/// Lines of a plot.
const HEIGHT: usize = 10;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &MetricsArgs) -> anyhow::Result<Exit> {
    match &args.command {
        Some(MetricsCommand::Detect(args)) => return detect::run(args),
        Some(MetricsCommand::Export(args)) => return export::run(paths, args),
        None => {}
    }
    let prunella = Prunella::new(paths);
    let subject = args.unit.as_deref().map(subject).transpose()?;
    let Some(metric) = &args.metric else {
        let report = prunella.ask(|queries| queries.metrics(subject.as_ref()))?;
        if args.json {
            output::print_json(&report)?;
        } else {
            let width = output::table_width();
            output::print(&match &subject {
                Some(subject) => of_subject(&report, subject, width),
                None => of_all(&report, width),
            })?;
        }
        return Ok(Exit::Ok);
    };
    let metric = meant(metric)?;
    // clap has seen to that.
    let subject = subject.context("a metric needs a unit")?;
    let history = prunella.ask(|queries| queries.metric(&subject, metric, args.since, None))?;
    if args.json {
        output::print_json(&history)?;
    } else {
        let width = output::table_width();
        output::print(&if width == usize::MAX {
            rows(&history)
        } else {
            drawn(&history, width)
        })?;
    }
    Ok(Exit::Ok)
}

fn subject(name: &str) -> anyhow::Result<Subject> {
    if name == Subject::HOST {
        return Ok(Subject::Host);
    }
    Ok(crate::unit_name(name)?.into())
}

/// The metric with this name, or the one whose name begins so; of several, the share.
fn meant(name: &str) -> Result<Metric, Problem> {
    if let Some(metric) = Metric::from_word(name) {
        return Ok(metric);
    }
    let found: Vec<Metric> = Metric::ALL
        .iter()
        .copied()
        .filter(|metric| metric.as_str().starts_with(name))
        .collect();
    let share = format!("{name}-permille");
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let all: Vec<&str> = Metric::ALL.iter().map(|it| it.as_str()).collect();
            let what = format!("there is no metric {name:?}");
            Err(Problem::new(Exit::Usage, what).help(format!("metrics: {}", all.join(", "))))
        }
        several => match several.iter().find(|metric| metric.as_str() == share) {
            Some(share) => Ok(*share),
            None => {
                let all: Vec<&str> = several.iter().map(|it| it.as_str()).collect();
                let what = format!("{name:?} begins the names of several metrics");
                Err(Problem::new(Exit::Usage, what).help(format!("one of {}", all.join(", "))))
            }
        },
    }
}

/// Metrics that the list of all subjects has.
const LISTED: [(Metric, Column); 6] = [
    (Metric::CpuPermille, Column::fixed("CPU")),
    (Metric::MemoryBytes, Column::fixed("MEMORY")),
    (Metric::Processes, Column::fixed("PROCESSES")),
    (Metric::Descriptors, Column::fixed("OPEN FILES")),
    (Metric::IoReadBytesPerSecond, Column::fixed("READS")),
    (Metric::IoWriteBytesPerSecond, Column::fixed("WRITES")),
];

/// A line for each subject.
fn of_all(report: &MetricsReport, width: usize) -> String {
    if report.metrics.is_empty() {
        return nothing(report);
    }
    let mut columns = vec![Column::shrinks("SERVICE", 14)];
    columns.extend(LISTED.iter().map(|(_, column)| *column));
    let has_old = report
        .metrics
        .iter()
        .any(|it| is_listed(it) && is_old(report, it));
    if has_old {
        columns.push(Column::fixed("LAST MEASURED"));
    }
    let mut table = Table::new(&columns);
    let mut rest = report.metrics.as_slice();
    while let Some(first) = rest.first() {
        let subject = &first.series.subject;
        let count = rest
            .iter()
            .take_while(|it| it.series.subject == *subject)
            .count();
        let (of_it, others) = rest.split_at(count);
        rest = others;
        let mut row = vec![Cell::new(short_unit(subject.as_str()), STRONG)];
        row.extend(LISTED.iter().map(|(metric, _)| {
            let latest = of_it.iter().find(|it| it.series.metric == *metric);
            match latest {
                Some(it) if is_old(report, it) => Cell::new("-", QUIET),
                Some(it) => Cell::new(metric.shown(it.value), PLAIN),
                None => Cell::new("", PLAIN),
            }
        }));
        if has_old {
            let old = of_it
                .iter()
                .filter(|it| is_listed(it) && is_old(report, it));
            let latest = old.map(|it| it.at).max();
            let measured = latest.map_or_else(String::new, |at| ago(at, report.at));
            row.push(Cell::new(measured, QUIET));
        }
        table.row(row);
    }
    table.render(width, 0)
}

fn is_listed(value: &LatestValue) -> bool {
    let metric = value.series.metric;
    LISTED.iter().any(|(listed, _)| *listed == metric)
}

/// Without an interval nothing is measured any more.
const RECENT: Duration = Duration::from_secs(60);

/// Whether a value tells nothing of now: at least one measurement has come without it.
fn is_old(report: &MetricsReport, value: &LatestValue) -> bool {
    report.at.since(value.at) > report.interval.map_or(RECENT, |interval| interval * 2)
}

/// A line for each metric of one subject.
fn of_subject(report: &MetricsReport, subject: &Subject, width: usize) -> String {
    if report.metrics.is_empty() {
        return nothing(report);
    }
    let mut text = String::new();
    let _ = writeln!(text, "{STRONG}{}{STRONG:#}", subject.as_str());
    let mut table = Table::new(&[
        Column::fixed("METRIC"),
        Column::shrinks("OF", 8),
        Column::fixed("VALUE"),
        Column::optional("MEASURED", 8),
    ]);
    for LatestValue { series, at, value } in &report.metrics {
        table.row(vec![
            Cell::new(series.metric.as_str(), PLAIN),
            Cell::new(series.instance.as_deref().unwrap_or_default(), PLAIN),
            Cell::new(series.metric.shown(*value), STRONG),
            Cell::new(ago(*at, report.at), QUIET),
        ]);
    }
    text.push_str(&table.render(width, 2));
    text
}

fn nothing(report: &MetricsReport) -> String {
    match report.interval {
        Some(_) => "Nothing was measured yet.\n".to_owned(),
        None => "Nothing is measured: no daemon runs, nothing is in its care, or `[metrics]` is \
                 switched off.\n"
            .to_owned(),
    }
}

/// Each point in a line, for a program.
fn rows(history: &MetricHistory) -> String {
    let mut text = String::new();
    for InstanceHistory { instance, points } in &history.series {
        if let Some(instance) = instance {
            let _ = writeln!(text, "# {instance}");
        }
        for point in points {
            let at = local(point.at);
            let _ = writeln!(text, "{at}\t{}\t{}\t{}", point.mean, point.min, point.max);
        }
    }
    text
}

/// A plot of each instance, with its values in numbers and when it is used up.
fn drawn(history: &MetricHistory, width: usize) -> String {
    let metric = history.metric;
    if history.series.is_empty() {
        return format!(
            "Nothing was measured of {} since {}.\n",
            metric.as_str(),
            local(history.since)
        );
    }
    let mut text = String::new();
    for (place, one) in history.series.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        let instance = one.instance.as_deref().map(|of| format!(" of {of}"));
        let _ = writeln!(
            text,
            "{STRONG}{}: {}{}{STRONG:#}",
            history.subject.as_str(),
            metric.title(),
            instance.unwrap_or_default()
        );
        let _ = writeln!(text, "{QUIET}{}{QUIET:#}", in_numbers(metric, one));
        if let Some(outlook) = outlook::outlook(metric, &one.points) {
            for line in wrap(&outlook, width) {
                let _ = writeln!(text, "{line}");
            }
        }
        let frame = plot::Frame {
            since: first_shown(history, one),
            until: history.until,
            width,
            height: HEIGHT,
        };
        text.push_str(&plot::plot(&one.points, &frame, |value| {
            metric.shown(value)
        }));
    }
    text
}

/// Where far less was measured than was asked for, the rest is left out.
fn first_shown(history: &MetricHistory, one: &InstanceHistory) -> Timestamp {
    let first = one.points.first().map_or(history.since, |point| point.at);
    let (asked, there) = (
        history.until.since(history.since),
        history.until.since(first),
    );
    if there < asked / 4 {
        first
    } else {
        history.since
    }
}

/// The latest value, the lowest and the highest.
fn in_numbers(metric: Metric, one: &InstanceHistory) -> String {
    let last = one.points.last().map(|point| point.mean);
    let low = one.points.iter().map(|point| point.min).min();
    let high = one.points.iter().map(|point| point.max).max();
    let shown = |value: Option<u64>| value.map_or_else(String::new, |it| metric.shown(it));
    format!(
        "latest {}, range {} to {}",
        shown(last),
        shown(low),
        shown(high)
    )
}

#[cfg(test)]
mod tests {
    use prunella_core::{
        UnitName,
        health::{Point, Series},
    };
    use rstest::rstest;
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_795_270_000_000 + seconds * 1_000)
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[rstest]
    #[case("cpu", Some(Metric::CpuPermille))]
    #[case("cpu-core", Some(Metric::CpuCorePermille))]
    #[case("memory-b", Some(Metric::MemoryBytes))]
    #[case("latency-ms", Some(Metric::LatencyMs))]
    #[case("io", None)]
    #[case("colour", None)]
    fn a_metric_is_named_by_its_beginning(#[case] name: &str, #[case] metric: Option<Metric>) {
        assert_eq!(meant(name).ok(), metric);
    }

    fn report() -> MetricsReport {
        let value = |subject: Subject, metric, instance: Option<&str>, value| LatestValue {
            series: Series {
                subject,
                metric,
                instance: instance.map(str::to_owned),
            },
            at: at(80),
            value,
        };
        let web = || Subject::from(UnitName::new("web.service").unwrap());
        MetricsReport {
            at: at(90),
            interval: None,
            metrics: vec![
                value(Subject::Host, Metric::CpuPermille, None, 120),
                value(Subject::Host, Metric::DiskPermille, Some("/var"), 912),
                value(web(), Metric::CpuPermille, None, 935),
                value(web(), Metric::MemoryBytes, None, 3 << 30),
            ],
        }
    }

    #[test]
    fn the_lists_have_what_was_measured() {
        for width in [60, 80, 140, usize::MAX] {
            let all = plain(&of_all(&report(), width));
            assert!(all.lines().all(|line| line.width() <= width), "{all}");
            let lines: Vec<Vec<&str>> = all
                .lines()
                .map(|line| line.split_whitespace().collect())
                .collect();
            assert_eq!(lines[1][..3], ["host", "12", "%"], "{all}");
            assert_eq!(lines[2][..5], ["web", "93.5", "%", "3", "GiB"], "{all}");
            let one = plain(&of_subject(&report(), &Subject::Host, width));
            assert!(one.contains("/var"), "{one}");
            assert!(one.contains("91.2 %"), "{one}");
        }
        let none = MetricsReport {
            metrics: Vec::new(),
            ..report()
        };
        assert!(of_all(&none, 80).contains("no daemon runs"));
    }

    #[test]
    fn a_history_is_drawn_or_printed() {
        let points: Vec<Point> = (0..360)
            .map(|number| Point {
                at: at(number * 10),
                mean: number,
                min: number,
                max: number + 5,
            })
            .collect();
        let mut history = MetricHistory {
            subject: Subject::Host,
            metric: Metric::DiskPermille,
            since: at(0),
            until: at(3_600),
            series: vec![InstanceHistory {
                instance: Some("/var".into()),
                points,
            }],
        };
        for width in [40, 80, 140] {
            let text = plain(&drawn(&history, width));
            assert!(text.contains("host: disk of /var"), "{text}");
            assert!(text.contains("latest 35.9 %, range 0 % to 36.4 %"));
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
        }
        let rows = rows(&history);
        assert_eq!(rows.lines().count(), 361);
        assert!(
            rows.lines().nth(2).unwrap().ends_with("\t1\t1\t6"),
            "{rows}"
        );
        history.series.clear();
        assert!(drawn(&history, 80).contains("Nothing was measured"));
    }
}
