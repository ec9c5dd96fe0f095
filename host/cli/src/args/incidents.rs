//! `prunella incidents` and `prunella analyse`.

use clap::{Args, Subcommand, ValueEnum};
use prunella_core::{
    Timestamp,
    incident::{EndingKind, IncidentKind},
    summary::{Filter, OutcomeFilter},
};

/// `prunella incidents`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Show what failed and what was done about it.\n\n\
        Without an ID, lists incidents, newest first. With one (or its beginning or end), prints \
        the full report: what failed, the evidence, each step taken, the proof, or what to do \
        next.",
    after_help = "\
Examples:
  prunella incidents
  prunella incidents 20261121-142301Z-7f3a
  prunella incidents 7f3a
  prunella incidents --unit nginx --since 7d --outcome escalated
  prunella incidents 7f3a --html > report.html
  prunella incidents --since 2026-11-20 --until '2026-11-21 06:00'
  prunella incidents --json | jq -r 'select(.ended == \"healed\") | .unit'
  prunella incidents export --since 30d incidents.jsonl"
)]
pub(crate) struct IncidentsArgs {
    /// Other things to do with incidents
    #[command(subcommand)]
    pub(crate) command: Option<IncidentsCommand>,

    /// Incident to report on
    #[arg(value_name = "ID", conflicts_with_all = ["unit", "since", "until", "outcome", "kind", "limit"])]
    pub(crate) id: Option<String>,

    /// Incidents to list
    #[command(flatten)]
    pub(crate) which: WhichIncidents,

    /// Maximum number to show [default: 50]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// Print JSON: one object per line, or one full record
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the report as an HTML page
    #[arg(long, requires = "id", conflicts_with = "json")]
    pub(crate) html: bool,
}

/// `prunella analyse`
#[derive(Debug, Args)]
#[command(
    long_about = "Find the root cause of an incident.\n\n\
        Shows what the rules recognise in the evidence, and why. If prunella.toml has a model under \
        [analysis], asks it and shows its opinion. Changes nothing, and adds nothing to the \
        incident.",
    after_help = "\
Examples:
  sudo prunella analyse 20261121-142301Z-7f3a
  sudo prunella analyse 7f3a --show-request    print what the model would be sent
  sudo prunella analyse 7f3a --json"
)]
pub(crate) struct AnalyseArgs {
    /// Incident ID, or its beginning or end
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Print the request that would be sent to the model, and send nothing
    #[arg(long, conflicts_with = "json")]
    pub(crate) show_request: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which incidents.
#[derive(Debug, Args)]
pub(crate) struct WhichIncidents {
    /// Show only this unit
    #[arg(long, visible_alias = "service", value_name = "UNIT")]
    pub(crate) unit: Option<String>,

    /// Show incidents since a time: an age (90m, 24h, 7d), `today`, a time of day (17:30), a date or a timestamp
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) since: Option<Timestamp>,

    /// Show incidents before a time
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) until: Option<Timestamp>,

    /// Show only incidents with this outcome
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<Outcome>,

    /// Show only incidents of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
}

impl WhichIncidents {
    /// Whether any of them would do.
    pub(crate) fn is_any(&self) -> bool {
        self.unit.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.outcome.is_none()
            && self.kind.is_none()
    }

    /// The same for the store, with a limit.
    pub(crate) fn filter(&self, limit: Option<u32>) -> anyhow::Result<Filter> {
        Ok(Filter {
            unit: self.unit.as_deref().map(crate::unit_name).transpose()?,
            since: self.since,
            until: self.until,
            outcome: self.outcome.map(Outcome::filter),
            kind: self.kind.map(Kind::of),
            before: None,
            limit,
        })
    }
}

/// Other things to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// Export full records, one JSON object per line, oldest first
    #[command(
        long_about = "Export full records, one JSON object per line, oldest first.\n\n\
            Each line has `incident` (what was noticed), `steps` (all that was done, in order) and \
            `ending` (null while it is open). docs/export.md describes every field.",
        after_help = "\
Examples:
  prunella incidents export > incidents.jsonl
  prunella incidents export --since 2026-11-01 --until 2026-12-01 november.jsonl
  prunella incidents export | jq -c 'select(.ending.ended == \"escalated\") | .incident.id'"
    )]
    Export(ExportArgs),
}

/// `prunella incidents export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Output file, readable by you alone; standard output if absent or `-`
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<std::path::PathBuf>,

    /// Incidents to export
    #[command(flatten)]
    pub(crate) which: WhichIncidents,
}

/// What an incident can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A service was down, or did not answer
    Failure,
    /// A service was up, and served worse than it should
    Degradation,
}

impl Kind {
    fn of(self) -> IncidentKind {
        match self {
            Self::Failure => IncidentKind::Failure,
            Self::Degradation => IncidentKind::Degradation,
        }
    }
}

/// How an incident can have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// A strategy healed it, with proof
    Healed,
    /// It recovered by itself, or somebody else healed it
    Recovered,
    /// Nothing was done, on purpose
    LeftAlone,
    /// Handed to people
    Escalated,
    /// Waits for another unit
    Blocked,
    /// The host was rebooted, and nothing has started the service since
    Interrupted,
    /// A dry run
    #[value(name = "dry-run")]
    DryRun,
    /// A degradation that went on as another incident
    Continued,
    /// Still open
    Open,
}

impl Outcome {
    fn filter(self) -> OutcomeFilter {
        OutcomeFilter::Ended(match self {
            Self::Healed => EndingKind::Healed,
            Self::Recovered => EndingKind::Recovered,
            Self::LeftAlone => EndingKind::LeftAlone,
            Self::Escalated => EndingKind::Escalated,
            Self::Blocked => EndingKind::Blocked,
            Self::Interrupted => EndingKind::Interrupted,
            Self::DryRun => EndingKind::DryRun,
            Self::Continued => EndingKind::Continued,
            Self::Open => return OutcomeFilter::Open,
        })
    }
}
