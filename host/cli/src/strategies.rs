//! `prunella strategies`: what each strategy has achieved, for each kind of
//! failure.

use std::fmt::Write as _;

use prunella_core::{
    Timestamp,
    statistics::{Counts, StrategyStatistics},
};

use crate::{
    args::StrategiesArgs,
    exit::Exit,
    output::{self, PLAIN, QUIET, STRONG, fit},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time,
};

/// How wide the picture of an interval is, in characters.
const BAR: usize = 10;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &StrategiesArgs) -> anyhow::Result<Exit> {
    let unit = args.service.as_deref().map(crate::unit_name).transpose()?;
    let statistics = Prunella::new(paths).ask(|queries| queries.statistics(unit.as_ref()))?;
    if args.json {
        output::print_json_lines(&statistics)?;
    } else if statistics.is_empty() {
        output::print("No strategy was tried so far.\n")?;
    } else {
        output::print(&render(&statistics, time::now(), output::table_width()))?;
    }
    Ok(Exit::Ok)
}

/// By service and kind of failure, which is the order they come in.
fn render(statistics: &[StrategyStatistics], now: Timestamp, width: usize) -> String {
    let mut text = String::new();
    let kinds = statistics.chunk_by(|one, next| one.signature == next.signature);
    let mut unit = None;
    for kind in kinds {
        let Some(first) = kind.first() else { continue };
        let signature = &first.signature;
        if unit != Some(&signature.unit) {
            let gap = if unit.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{STRONG}{}{STRONG:#}", signature.unit);
            unit = Some(&signature.unit);
        }
        let _ = writeln!(text, "\n  {}", signature.cause);
        for line in signature.sample.lines() {
            let line = fit(line, width.saturating_sub(4));
            let _ = writeln!(text, "  {QUIET}│ {line}{QUIET:#}");
        }
        text.push_str(&table(kind, now).render(width, 2));
    }
    let _ = writeln!(
        text,
        "\n{QUIET}LIKELY: between which shares the true one lies, with 95 % confidence.{QUIET:#}"
    );
    text
}

fn table(kind: &[StrategyStatistics], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        Column::fixed("STRATEGY"),
        Column::fixed("TRIES"),
        Column::fixed("PROVEN"),
        Column::fixed("RELAPSED"),
        Column::fixed("LIKELY"),
        Column::optional("", BAR),
        Column::optional("LAST", 6),
    ]);
    for statistics in kind {
        let counts = statistics.counts;
        table.row(vec![
            Cell::new(statistics.strategy.as_str(), PLAIN),
            Cell::new(format!("{:>5}", counts.tries), PLAIN),
            Cell::new(format!("{:>6}", counts.proofs), PLAIN),
            Cell::new(format!("{:>8}", counts.relapses), PLAIN),
            Cell::new(percent(counts), PLAIN),
            Cell::new(bar(counts), QUIET),
            Cell::new(time::ago(statistics.last_at, now), QUIET),
        ]);
    }
    table
}

fn percent(counts: Counts) -> String {
    let (low, high) = counts.interval();
    format!("{:>3.0}–{:.0} %", low * 100.0, high * 100.0)
}

/// The interval on a line from 0 to 1.
fn bar(counts: Counts) -> String {
    let (low, high) = counts.interval();
    let mut from = 0.0;
    let step = 1.0 / 10.0;
    (0..BAR)
        .map(|_| {
            let to = from + step;
            let within = from < high && to > low;
            from = to;
            if within { '━' } else { '·' }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use prunella_core::{StrategyName, UnitName, statistics::Signature};
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn statistics(unit: &str, line: &str, strategy: &str, counts: [u32; 3]) -> StrategyStatistics {
        StrategyStatistics {
            signature: Signature::new(UnitName::new(unit).unwrap(), "exit-code", [line]),
            strategy: StrategyName::new(strategy).unwrap(),
            counts: Counts {
                tries: counts[0],
                proofs: counts[1],
                relapses: counts[2],
            },
            last_at: Timestamp::default(),
        }
    }

    #[test]
    fn it_is_laid_out_by_service_and_failure() {
        let all = [
            statistics(
                "db.service",
                "error: no space left",
                "service-restart",
                [1, 0, 1],
            ),
            statistics(
                "web.service",
                "error: port 80 in use",
                "port-conflict",
                [12, 11, 0],
            ),
            statistics(
                "web.service",
                "error: port 80 in use",
                "service-restart",
                [3, 0, 0],
            ),
            statistics("web.service", "", "service-restart", [100, 90, 4]),
        ];
        let text = render(&all, Timestamp::from_millis(60_000), 80);
        let text = anstream::adapter::strip_str(&text).to_string();
        let expected = "\
db.service

  exit-code
  │ error: no space left
  STRATEGY         TRIES  PROVEN  RELAPSED  LIKELY                LAST
  service-restart      1       0         1    0–79 %  ━━━━━━━━··  1 min ago

web.service

  exit-code
  │ error: port # in use
  STRATEGY         TRIES  PROVEN  RELAPSED  LIKELY                LAST
  port-conflict       12      11         0   65–99 %  ······━━━━  1 min ago
  service-restart      3       0         0    0–56 %  ━━━━━━····  1 min ago

  exit-code
  STRATEGY         TRIES  PROVEN  RELAPSED  LIKELY                LAST
  service-restart    100      90         4   83–94 %  ········━━  1 min ago

LIKELY: between which shares the true one lies, with 95 % confidence.
";
        assert_eq!(text, expected);
        for width in [60, 70, 100] {
            let text = render(&all, Timestamp::from_millis(60_000), width);
            let text = anstream::adapter::strip_str(&text).to_string();
            let table = text.lines().filter(|line| !line.starts_with("LIKELY:"));
            assert!(
                table.clone().all(|line| line.width() <= width),
                "{width}\n{text}"
            );
        }
    }
}
