//! `prunella metrics` and its subcommand.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use prunella_core::Timestamp;

/// `prunella metrics`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Show what is measured of services and of the host.\n\n\
        Without a UNIT, shows the host and each service in a line. With one, shows the latest \
        value of each of its metrics; `host` is the host itself. With a METRIC too, draws it over \
        time; in a pipe, prints a row for each point: its time, mean, lowest and highest value. \
        A METRIC is a name of the list, or its beginning: `cpu` is cpu-permille.\n\n\
        Values are kept as they were measured for an hour, by the minute for 7 days, and by the \
        quarter of an hour for 13 months. Nothing is drawn where nothing was measured.",
    after_help = "\
Examples:
  prunella metrics
  prunella metrics nginx
  prunella metrics nginx memory --since 7d
  prunella metrics host disk --since 24h
  prunella metrics nginx cpu --json | jq '.series[].points[-1]'"
)]
pub(crate) struct MetricsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<MetricsCommand>,

    /// Show this service, or `host`
    #[arg(value_name = "UNIT")]
    pub(crate) unit: Option<String>,

    /// Draw this metric
    #[arg(value_name = "METRIC", requires = "unit")]
    pub(crate) metric: Option<String>,

    /// Draw it since a time: an age (90m, 24h, 7d), `today`, a time of day (17:30), a date or a timestamp [default: 1h]
    #[arg(long, value_name = "WHEN", requires = "metric", value_parser = crate::time::parse_when)]
    pub(crate) since: Option<Timestamp>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Subcommands of `prunella metrics`.
#[derive(Debug, Subcommand)]
pub(crate) enum MetricsCommand {
    #[command(about = "Score each measurement of a CSV file: how unusual it is")]
    Detect(DetectArgs),
    #[command(about = "Print what monitoring reads, for Prometheus or OpenMetrics")]
    Export(ExportMetricsArgs),
}

/// `prunella metrics export`
#[derive(Debug, Args)]
#[command(
    long_about = "Print what monitoring reads, for Prometheus or OpenMetrics.\n\n\
        Tells how services are, what was done about them, and what Prunella itself costs: the same \
        as `GET /metrics` on the daemon's socket. With --output, writes it to a file for \
        node_exporter's textfile collector, so that nothing has to listen: at any moment the whole \
        old or the whole new file is there. Without a daemon, the health of services is unknown, \
        and counters are those of the store.",
    after_help = "\
Examples:
  prunella metrics export
  prunella metrics export --format openmetrics
  sudo prunella metrics export --output /var/lib/prometheus/node-exporter/prunella.prom"
)]
pub(crate) struct ExportMetricsArgs {
    /// Format to print
    #[arg(long, value_name = "FORMAT", default_value = "prometheus")]
    pub(crate) format: MetricsFormat,

    /// Write to this file instead, readable by everybody
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Formats of `prunella metrics export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricsFormat {
    /// Prometheus' text format
    Prometheus,
    /// OpenMetrics
    #[value(name = "openmetrics")]
    OpenMetrics,
}

/// `prunella metrics detect`
#[derive(Debug, Args)]
#[command(
    long_about = "Score each measurement of a CSV file: how unusual it is.\n\n\
        Reads rows of a timestamp and a value, in the order of their times, and prints each with a \
        score from 0 (as always) to 1 (never seen, in many ways). A score of 0.5 or more is worth \
        a look. Each row is judged only by those before it, as it would be on a running host, and \
        one incident is reported once: for the next 150 rows, only a higher score is reported.\n\n\
        Timestamps are seconds since 1970, or such as 2026-11-29 14:30:00 or \
        2026-11-29T14:30:00Z, in UTC where they name no zone. Leave a value empty where it is \
        missing. A heading and further columns are ignored. It suits one row in 1 to 60 minutes. \
        Scores of the first 576 rows are provisional: until then much is new.",
    after_help = "\
Examples:
  prunella metrics detect latency.csv
  prunella metrics detect --min-score 0.5 latency.csv
  psql --csv -c 'SELECT at, sessions FROM load ORDER BY at' | prunella metrics detect -"
)]
pub(crate) struct DetectArgs {
    /// File of measurements; `-` reads standard input
    #[arg(value_name = "FILE.csv")]
    pub(crate) file: PathBuf,

    /// Print only rows with this score or more
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub(crate) min_score: Option<f32>,
}

fn score(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|score| (0.0..=1.0).contains(score))
        .ok_or_else(|| "a score is a number from 0 to 1, such as 0.5".to_owned())
}
