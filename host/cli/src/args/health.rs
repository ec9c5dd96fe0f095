//! `prunella health` and its subcommand.

use clap::{Args, Subcommand};
use prunella_core::Timestamp;

/// `prunella health`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Show how services are, since when and why.\n\n\
        Without a UNIT, shows the host and each service in Prunella's care, the worst first. With one, also \
        shows its symptoms, its probes and how its state has changed. States: failed, recovering, \
        degraded, unknown, stopped, paused, healthy. A service of which too little is known is \
        `unknown`, never `healthy`. Without a daemon, shows what the last one knew.",
    after_help = "\
Examples:
  prunella health
  prunella health --host
  prunella health nginx
  prunella health nginx --since 7d
  prunella health --json | jq -r '.services[] | select(.state == \"degraded\") | .subject'"
)]
pub(crate) struct HealthArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HealthCommand>,

    /// Show this service in detail
    #[arg(value_name = "UNIT")]
    pub(crate) unit: Option<String>,

    /// Show the host itself in detail
    #[arg(long, conflicts_with = "unit")]
    pub(crate) host: bool,

    /// Show changes since a time: an age (90m, 24h, 7d), `today`, a time of day (17:30), a date or a timestamp [default: the latest 20]
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) since: Option<Timestamp>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Subcommands of `prunella health`.
#[derive(Debug, Subcommand)]
pub(crate) enum HealthCommand {
    #[command(about = "Try limits on what was recorded: which degradations would have begun")]
    Backtest(BacktestArgs),
}

/// `prunella health backtest`
#[derive(Debug, Args)]
#[command(
    long_about = "Try limits on what was recorded: which degradations would have begun, when, how \
        long, at what worst value, and who would have been asked to heal them; beside what really \
        began.\n\n\
        Takes the limits of /etc/prunella or, with --config, of a folder with changed ones, such \
        as a copy of it. What was measured is played through the same rules as on the running \
        host. Values are kept as they were measured for one or two hours, by the minute for 7 \
        days, and by the quarter of an hour for 13 months: what is coarse, and what cannot be \
        played, is said. Nothing on the host changes.",
    after_help = "\
Examples:
  sudo prunella health backtest nginx
  sudo prunella health backtest nginx --since 7d
  sudo cp -a /etc/prunella /root/tried
  sudo prunella health backtest nginx --since 30d --config /root/tried
  sudo prunella health backtest nginx --json | jq '.would_begin | length'"
)]
pub(crate) struct BacktestArgs {
    /// Service in Prunella's care
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,

    /// Play what was recorded since a time: an age (90m, 24h, 30d), `today`, a time of day (17:30), a date or a timestamp
    #[arg(long, value_name = "WHEN", default_value = "30d", value_parser = crate::time::parse_when)]
    pub(crate) since: Timestamp,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
