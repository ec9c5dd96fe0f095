//! `prunella health`.

use clap::Args;
use prunella_core::Timestamp;

/// `prunella health`
#[derive(Debug, Args)]
#[command(
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
