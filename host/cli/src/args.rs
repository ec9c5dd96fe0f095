//! What can be typed: commands, their arguments and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use prunella_core::{
    alert::DispatchState,
    incident::EndingKind,
    summary::{Filter, OutcomeFilter},
};

/// A self-healing engine for Linux hosts.
///
/// When a systemd unit in its care fails, Prunella finds out why, heals it,
/// proves that it is healed, and tells people what happened. Every way of
/// healing is a WebAssembly component that can do only what it was granted.
#[derive(Debug, Parser)]
#[command(
    name = "prunella",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP,
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
To begin:
  sudo prunella setup
  sudo prunella enable nginx.service
  prunella status

`prunella --help` also explains exit codes; `prunella COMMAND --help` has examples.";

/// Kept in step with [`Exit`](crate::exit::Exit) by a test.
const AFTER_LONG_HELP: &str = "\
To begin:
  sudo prunella setup                  install Prunella's own units
  sudo prunella enable nginx.service   put a service in its care
  prunella status                      see how everything stands

Exit codes:
  0  done; for `heal`: healed, recovered, or nothing was wrong
  1  Prunella itself failed
  2  wrong usage
  3  the configuration has mistakes; `plugin verify`: a check failed
  4  `heal`: not healed, a person is needed
  5  `heal`: left alone on purpose, also as a dry run
  6  no such unit, incident or file
  7  permission denied: run as root, or join the group systemd-journal
  8  `plugin test`, `plugin replay`: a scenario failed or the replay diverged

Files:
  /etc/prunella/prunella.toml        settings, strategies and their grants
  /etc/prunella/services.d/*.toml    one file per service in Prunella's care
  /etc/prunella/plugins/             your own strategies
  /etc/prunella/templates/           your own report templates
  /var/lib/prunella/                 incidents, and what was done about them

Environment:
  PRUNELLA_LOG   log filter, such as `debug` or `prunella_healer=trace`
  NO_COLOR       no colours";

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration directory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/etc/prunella",
        help_heading = "Global options"
    )]
    pub(crate) config: PathBuf,

    /// State directory, with the incidents
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/lib/prunella",
        hide_short_help = true,
        help_heading = "Global options"
    )]
    pub(crate) state_dir: PathBuf,

    /// Directory of the daemon's sockets
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/run/prunella",
        hide_short_help = true,
        help_heading = "Global options"
    )]
    pub(crate) run_dir: PathBuf,

    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true,
        hide_possible_values = false,
        help_heading = "Global options"
    )]
    pub(crate) color: Color,

    /// Log more (-vv for even more)
    #[arg(
        short,
        long,
        global = true,
        action = clap::ArgAction::Count,
        hide_short_help = true,
        help_heading = "Global options"
    )]
    pub(crate) verbose: u8,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(about = "Install Prunella's units and folders on this host")]
    Setup(SetupArgs),
    #[command(about = "Put services in Prunella's care")]
    Enable(EnableArgs),
    #[command(about = "Take services out of Prunella's care")]
    Disable(DisableArgs),
    #[command(about = "Show the state of the host, its services and Prunella")]
    Status(StatusArgs),
    #[command(about = "Show what failed and what was done about it")]
    Incidents(IncidentsArgs),
    #[command(about = "Show how often each strategy worked, by kind of failure")]
    Strategies(StrategiesArgs),
    #[command(
        about = "Find the root cause of an incident, by rules and, if configured, a language model"
    )]
    #[command(visible_alias = "analyze")]
    Analyse(AnalyseArgs),
    #[command(about = "Heal a service now, or show what healing it would do")]
    Heal(HealArgs),
    #[command(about = "Show alert messages and test channels")]
    Alerts(AlertsArgs),
    #[command(about = "List actions that wait for approval")]
    Approvals(ApprovalsArgs),
    /// Approve an action that waits
    Approve(DecideArgs),
    /// Deny an action that waits
    Deny(DecideArgs),
    #[command(about = "Stop healing a service, or all of them, for a while")]
    Pause(PauseArgs),
    #[command(about = "End a pause")]
    Resume(ResumeArgs),
    #[command(about = "Have the daemon read its configuration again")]
    Reload(ReloadArgs),
    /// Manage strategies, built in and your own
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(about = "Run the daemon (what prunella.service does)")]
    Daemon(DaemonArgs),
    #[command(about = "Handle the failure of a unit (what OnFailure= calls)")]
    Hook(HookArgs),
    #[command(about = "Look once for missed failures (what prunella-sweep.timer does)")]
    Sweep(SweepArgs),
    #[command(about = "Print a completion script for a shell")]
    Completions(CompletionsArgs),
    /// Print the manual page
    #[command(hide = true)]
    Man(ManArgs),
    /// Internal: tasks that run in a transient unit
    #[command(hide = true, disable_help_flag = true)]
    Internal(InternalArgs),
}

/// `prunella setup`
#[derive(Debug, Args)]
#[command(
    long_about = "Install Prunella's units and folders on this host.\n\n\
        Writes prunella.service, the template unit of the OnFailure= hook, and the sweep's service \
        and timer to /etc/systemd/system, creates the folders, and writes a prunella.toml with \
        every setting explained if there is none. Run it again at any time: it changes only what \
        differs, says what it changed, and keeps unit files that somebody edited.",
    after_help = "\
Examples:
  sudo prunella setup                the daemon, which most hosts want
  sudo prunella setup --hook-only    no daemon: OnFailure= hooks and a timer
  prunella setup --dry-run           only show what would be done"
)]
pub(crate) struct SetupArgs {
    /// Enable the daemon and start it (the default)
    #[arg(long, conflicts_with = "hook_only")]
    pub(crate) daemon: bool,

    /// Enable the sweep timer instead of the daemon; hooks then heal each failure
    #[arg(long)]
    pub(crate) hook_only: bool,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Also replace unit files that somebody edited
    #[arg(long)]
    pub(crate) force: bool,

    /// Binary that the units run, instead of this one
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,

    /// Directory for unit files
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/systemd/system",
        hide = true
    )]
    pub(crate) unit_dir: PathBuf,
}

/// `prunella enable`
#[derive(Debug, Args)]
#[command(
    long_about = "Put services in Prunella's care.\n\n\
        For each unit, writes a drop-in with OnFailure= to /etc/systemd/system, and a file in \
        services.d with what it finds out about the service: the ports it listens on, its \
        environment files, the units it depends on, a check of its configuration, and a question \
        that it answers: a health URL of a web server, a database's greeting. Prunella asks that \
        every 10 seconds, so that a service that hangs is noticed. Shows what it wrote. Keeps a \
        services file that already exists.\n\n\
        To find a health URL it sends a few requests to the ports that the service listens on. A \
        unit that is starting is waited for.\n\n\
        Resolves aliases. Refuses protected units (dbus, journald, sshd, gettys, …) and wrappers \
        such as Debian's postgresql.service, and names the unit to use instead.",
    after_help = "\
Examples:
  sudo prunella enable nginx.service
  sudo prunella enable nginx redis-server
  sudo prunella enable --critical shop        asked every 5 seconds, and told as critical
  sudo prunella enable 'worker@*.service'     every loaded instance
  sudo prunella enable --all                  every running or failed service that may be healed
  prunella enable --dry-run nginx             only show what would be done"
)]
pub(crate) struct EnableArgs {
    /// Units or quoted patterns; `.service` is optional
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) units: Vec<String>,

    /// Every running or failed service that may be healed
    #[arg(long, conflicts_with = "units")]
    pub(crate) all: bool,

    /// Write `critical = true`, and have it asked every 5 seconds
    #[arg(long)]
    pub(crate) critical: bool,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Directory for drop-ins
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/systemd/system",
        hide = true
    )]
    pub(crate) unit_dir: PathBuf,
}

/// `prunella disable`
#[derive(Debug, Args)]
#[command(
    long_about = "Take services out of Prunella's care.\n\n\
        Removes the drop-in and the services file that `enable` wrote. Renames a services file that \
        somebody edited to UNIT.toml.disabled. Keeps past incidents.",
    after_help = "\
Examples:
  sudo prunella disable nginx.service
  sudo prunella disable --all"
)]
pub(crate) struct DisableArgs {
    /// Units; `.service` is optional
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) units: Vec<String>,

    /// Every service in Prunella's care
    #[arg(long, conflicts_with = "units")]
    pub(crate) all: bool,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Directory of drop-ins
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/systemd/system",
        hide = true
    )]
    pub(crate) unit_dir: PathBuf,
}

/// `prunella status`
#[derive(Debug, Args)]
#[command(
    long_about = "Show the state of the host, its services and Prunella.\n\n\
        Asks the daemon, which answers root and members of the group systemd-journal. If no \
        daemon is running, root sees the same, read directly.",
    after_help = "\
Examples:
  prunella status
  prunella status --watch
  prunella status --json | jq '.services[] | select(.up == false)'"
)]
pub(crate) struct StatusArgs {
    /// Refresh until Ctrl-C
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) watch: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

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
  prunella incidents 20261121-142301-7f3a
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
    #[arg(value_name = "ID", conflicts_with_all = ["unit", "since", "until", "outcome", "limit"])]
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
  sudo prunella analyse 20261121-142301-7f3a
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

    /// Show incidents since a time: an age (90m, 24h, 7d), `today`, a date or a timestamp
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) since: Option<u64>,

    /// Show incidents before a time
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) until: Option<u64>,

    /// Show only incidents with this outcome
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<Outcome>,
}

impl WhichIncidents {
    /// Whether any of them would do.
    pub(crate) fn is_any(&self) -> bool {
        self.unit.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.outcome.is_none()
    }

    /// The same for the store, with a limit.
    pub(crate) fn filter(&self, limit: Option<u32>) -> anyhow::Result<Filter> {
        Ok(Filter {
            unit: self.unit.as_deref().map(crate::unit_name).transpose()?,
            since: self.since,
            until: self.until,
            outcome: self.outcome.map(Outcome::filter),
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
    /// Prunella was killed while it worked on it
    Interrupted,
    /// A dry run
    #[value(name = "dry-run")]
    DryRun,
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
            Self::Open => return OutcomeFilter::Open,
        })
    }
}

/// `prunella strategies`
#[derive(Debug, Args)]
#[command(
    long_about = "Show how often each strategy worked, by kind of failure.\n\n\
        A kind of failure is the service, systemd's word for what went wrong, and the last lines \
        of the failed run, without numbers, times and ids. Shows how often each strategy was \
        tried, how often the host had proof of its success, how often the service failed again \
        soon after, and the 95 % confidence interval of its success rate. With \
        `order = \"learned\"`, a service tries the most promising strategy first.",
    after_help = "\
Examples:
  prunella strategies
  prunella strategies --service nginx
  prunella strategies --json | jq -r 'select(.relapses > 0) | .strategy'"
)]
pub(crate) struct StrategiesArgs {
    /// Show only this service
    #[arg(long, visible_alias = "unit", value_name = "UNIT")]
    pub(crate) service: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella approvals`
#[derive(Debug, Args)]
#[command(
    long_about = "List actions that wait for approval: what would be done, for which service and why, until when \
        that can be approved, and the command for it.\n\n\
        `[oversight]` in prunella.toml sets which actions need approval. An approval holds for one \
        action on one target in one incident, for the same failed run, process and boot. It can be \
        used once, before it expires.",
    after_help = "\
Examples:
  prunella approvals
  prunella approvals --all --json"
)]
pub(crate) struct ApprovalsArgs {
    /// Also show those that were decided, used, withdrawn or have expired
    #[arg(long)]
    pub(crate) all: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella approve` and `prunella deny`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prunella approvals
  sudo prunella approve 7f3a.1
  sudo prunella deny 7f3a.1 --reason 'it is the backup that holds the port'")]
pub(crate) struct DecideArgs {
    /// Approval ID, or its end, such as 7f3a.1
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Reason, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: Option<String>,
}

/// `prunella alerts`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Show alert messages and test channels.\n\n\
        Lists messages about incidents, newest first: the channel, the state, the next try, and \
        why a message did not get through. A message is retried until it is delivered, for as \
        long as `give-up-after` says. Messages that were refused or given up stay listed, and can \
        be retried.",
    after_help = "\
Examples:
  prunella alerts
  prunella alerts --state failed --state refused
  prunella alerts show 9f3ac2d4
  sudo prunella alerts retry --all
  sudo prunella alerts test pager"
)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AlertsCommand>,

    #[command(flatten)]
    pub(crate) list: AlertsListArgs,
}

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct AlertsListArgs {
    /// Show only messages in this state; may be repeated
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<AlertState>,

    /// Show only this channel
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    /// Maximum number to show [default: 50]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// How far a message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlertState {
    /// Not sent yet
    Waiting,
    /// Being sent
    Sending,
    /// Accepted by the receiver
    Delivered,
    /// Rejected by the receiver
    Refused,
    /// Given up after all retries
    Failed,
}

impl AlertState {
    pub(crate) fn state(self) -> DispatchState {
        match self {
            Self::Waiting => DispatchState::Waiting,
            Self::Sending => DispatchState::Sending,
            Self::Delivered => DispatchState::Delivered,
            Self::Refused => DispatchState::Refused,
            Self::Failed => DispatchState::Failed,
        }
    }
}

/// Other things to do with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Show one message and its delivery
    #[command(after_help = "\
Examples:
  prunella alerts show 20261122-030000-9f3ac2d4
  prunella alerts show 9f3ac2d4 --json")]
    Show(AlertsShowArgs),
    /// Retry messages now
    #[command(after_help = "\
Examples:
  sudo prunella alerts retry 9f3ac2d4
  sudo prunella alerts retry --all      every message that was not delivered")]
    Retry(AlertsRetryArgs),
    /// Send a test message through a channel
    #[command(
        long_about = "Send a test message through a channel.\n\n\
            Exits with 0 if the receiver accepted the message, and with 1 if not. If the daemon is \
            running, it sends the message, with the same credentials and sandbox as real alerts.",
        after_help = "\
Examples:
  sudo prunella alerts test mail"
    )]
    Test(AlertsTestArgs),
}

/// `prunella alerts show`
#[derive(Debug, Args)]
pub(crate) struct AlertsShowArgs {
    /// Message ID, or its beginning or end
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella alerts retry`
#[derive(Debug, Args)]
pub(crate) struct AlertsRetryArgs {
    /// Message ID, or its beginning or end
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) id: Option<String>,

    /// Retry every message that was not delivered
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
}

/// `prunella alerts test`
#[derive(Debug, Args)]
pub(crate) struct AlertsTestArgs {
    /// Channel name
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: String,
}

/// `prunella heal`
#[derive(Debug, Args)]
#[command(
    long_about = "Heal a service now, or show what healing it would do.\n\n\
        Works exactly as the daemon does: strategies assess, those that apply heal, and Prunella \
        looks for proof. With --dry-run the strategies run against the real host, but their \
        actions are only recorded, and the plan is printed.",
    after_help = "\
Examples:
  sudo prunella heal nginx.service --dry-run
  sudo prunella heal nginx
  sudo prunella heal nginx --record nginx.jsonl

Exit codes: 0 healed, recovered or nothing wrong; 4 a person is needed; 5 left alone on purpose."
)]
pub(crate) struct HealArgs {
    /// Unit; `.service` is optional
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,

    /// Dry run: carry nothing out, print the plan
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Record every host call of the strategies, with its answer, in a new file
    /// that only root can read, for `prunella plugin replay`. Secrets are
    /// redacted. Heals in this process, not in the daemon
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// `prunella pause`
#[derive(Debug, Args)]
#[command(
    long_about = "Stop healing a service, or all of them, for a while.\n\n\
        Failures are still recorded, but nothing is done about them. Give a duration, so that the \
        pause cannot be forgotten.",
    after_help = "\
Examples:
  sudo prunella pause nginx --for 2h --reason 'moving it to the new host'
  sudo prunella pause --all --for 30m --reason 'kernel upgrade'"
)]
pub(crate) struct PauseArgs {
    /// Unit; `.service` is optional
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) unit: Option<String>,

    /// Pause everything on this host
    #[arg(long, conflicts_with = "unit")]
    pub(crate) all: bool,

    /// Duration, such as 30m, 2h or 1d [default: until `resume`]
    #[arg(long = "for", value_name = "SPAN", value_parser = crate::time::parse_span)]
    pub(crate) span: Option<std::time::Duration>,

    /// Reason, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("give a reason, in a few words".into());
    }
    Ok(text.chars().take(500).collect())
}

/// `prunella reload`
#[derive(Debug, Args)]
#[command(
    long_about = "Have the daemon read its configuration again, as `systemctl reload \
        prunella.service` does.\n\n\
        With a mistake in the configuration this fails, shows the mistakes, and leaves the one \
        before in force.",
    after_help = "\
Examples:
  sudo prunella reload"
)]
pub(crate) struct ReloadArgs {}

/// `prunella resume`
#[derive(Debug, Args)]
#[command(
    long_about = "End a pause.\n\n\
        `--all` ends every pause. Otherwise only the pause of the named service ends.",
    after_help = "\
Examples:
  sudo prunella resume nginx
  sudo prunella resume --all"
)]
pub(crate) struct ResumeArgs {
    /// Unit; `.service` is optional
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) unit: Option<String>,

    /// End every pause
    #[arg(long, conflicts_with = "unit")]
    pub(crate) all: bool,
}

/// `prunella plugin`
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Create a project for a new strategy
    #[command(
        long_about = "Create a project for a new strategy. It does something useful, builds with \
            `prunella plugin build`, and has a passing test. It contains all it needs of \
            Prunella; you install the toolchain of its language. Overwrites nothing.",
        after_help = "\
Examples:
  prunella plugin new cache-guard
  prunella plugin new cache-guard --lang python ~/src/cache-guard"
    )]
    New(PluginNewArgs),
    /// Build a strategy project into a component
    #[command(
        long_about = "Build a strategy project into a component, build/NAME.wasm, with the \
            toolchain of its language. Writes only components that Prunella would load, so none \
            that import WASI. Says what the component could do, and what to do next.",
        after_help = "\
Examples:
  prunella plugin build
  prunella plugin build ~/src/cache-guard"
    )]
    Build(PluginBuildArgs),
    /// List every strategy, its grants and its state
    #[command(after_help = "\
Examples:
  sudo prunella plugin list
  sudo prunella plugin list --json")]
    List(PluginListArgs),
    /// Show what a component is, what it could do, and the grants it needs
    #[command(
        long_about = "Show what a component is, what it could do, and the grants it needs. What it \
            could do is read from its imports. Its description comes from the component itself, \
            which runs under all limits and can neither look nor act. Safe for untrusted files.",
        after_help = "\
Exit codes: 0 Prunella would load it; 1 it would not, with the reason.

Examples:
  prunella plugin inspect site-fix.wasm
  prunella plugin inspect /etc/prunella/plugins/site-fix.wasm --json"
    )]
    Inspect(PluginInspectArgs),
    /// Run scenarios against a component on a simulated host
    #[command(
        long_about = "Run scenarios against a component on a simulated host.\n\n\
            A scenario is a TOML file: a host, a failed service, and what the strategy should say \
            and do about it. The component runs as in the daemon, with the same limits and \
            grants, but time is virtual and the host is a model. Shows every difference from the \
            scenario's [expect]. docs/testing.md lists every key.",
        after_help = "\
Examples:
  prunella plugin test site-fix.wasm --scenario scenarios/
  prunella plugin test site-fix.wasm --scenario leftover.toml --scenario stranger.toml --json

Exit codes: 0 all passed; 8 a scenario failed; 3 a scenario has mistakes."
    )]
    Test(PluginTestArgs),
    /// Install a component, with its signature
    #[command(
        long_about = "Install a component, with its signature.\n\n\
            Checks the component's signature (FILE.minisig) against the keys in /etc/prunella/keys, \
            compiles it and asks it for its description. Then copies it to \
            /etc/prunella/plugins, records its sha256 beside it, and prints the grants it needs. \
            If anything is wrong, nothing changes. A running daemon loads it by itself.\n\n\
            A component that acts must be signed for its name, unless prunella.toml says \
            `signatures = \"warn\"` or pins its sha256. One that only observes needs no \
            signature.",
        after_help = "\
Examples:
  sudo prunella plugin add site-fix.wasm
  sudo prunella plugin add ./site-fix-1.2.0/
  sudo prunella plugin add site-fix.wasm --signature site-fix-1.2.0.minisig
  sudo prunella plugin add site-fix-1.1.0.wasm --name site-fix --allow-downgrade"
    )]
    Add(PluginAddArgs),
    /// Remove an installed component and its data
    #[command(
        long_about = "Remove an installed component and its data: its files in \
            /etc/prunella/plugins, its compiled code, and its state for all services. Keeps the \
            incidents that it healed, and the highest version ever installed.",
        after_help = "\
Examples:
  sudo prunella plugin remove site-fix
  sudo prunella plugin remove site-fix --force"
    )]
    Remove(PluginRemoveArgs),
    /// Check installed components: bytes, signatures, owners and modes
    #[command(
        long_about = "Check installed components: bytes against the recorded or pinned sha256, \
            signatures against the current keys, versions, and who can write the files. Exits \
            with 3 if a check fails. Also checks a file that is not installed: its signature, and \
            whether it loads.",
        after_help = "\
Examples:
  sudo prunella plugin verify
  sudo prunella plugin verify site-fix
  sudo prunella plugin verify ./site-fix.wasm"
    )]
    Verify(PluginVerifyArgs),
    /// Replay a recording against a component, and show where it diverges
    #[command(
        long_about = "Replay a recording against a component, and show where it diverges.\n\n\
            `prunella heal UNIT --record FILE` records every host call of the strategies, with its \
            answer. The replay gives a component the same incident and the same answers, up to \
            the first call that differs, which it shows. So a mistake that a strategy made on one \
            host can be studied on another.",
        after_help = "\
Examples:
  prunella plugin replay site-fix.wasm --recording incident.jsonl
  prunella plugin replay new.wasm --recording incident.jsonl --strategy site-fix --json

Exit codes: 0 same calls and same result; 8 the replay diverged."
    )]
    Replay(PluginReplayArgs),
}

/// `prunella plugin add`
#[derive(Debug, Args)]
pub(crate) struct PluginAddArgs {
    /// Component, or a folder with one component
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,

    /// Strategy name [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Signature file [default: FILE.minisig]
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,

    /// Install it even if this host has had a newer version
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
}

/// `prunella plugin remove`
#[derive(Debug, Args)]
pub(crate) struct PluginRemoveArgs {
    /// Strategy name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Remove it even if services still use it
    #[arg(long)]
    pub(crate) force: bool,
}

/// `prunella plugin verify`
#[derive(Debug, Args)]
pub(crate) struct PluginVerifyArgs {
    /// Strategy name or component file [default: everything installed]
    #[arg(value_name = "NAME|FILE")]
    pub(crate) what: Option<String>,

    /// Name under which to check a file [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `prunella plugin replay`
#[derive(Debug, Args)]
pub(crate) struct PluginReplayArgs {
    /// Component file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Recording that `prunella heal --record` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) recording: PathBuf,

    /// Strategy whose runs to replay [default: the one named like the file]
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<prunella_core::StrategyName>,

    /// Print one JSON object per run
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin test`
#[derive(Debug, Args)]
pub(crate) struct PluginTestArgs {
    /// Component file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Scenario file or folder; may be repeated
    #[arg(long = "scenario", value_name = "FILE|DIR", required = true)]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Print one JSON object per scenario
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin new`
#[derive(Debug, Args)]
pub(crate) struct PluginNewArgs {
    /// Strategy name, such as `cache-guard`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Target folder [default: NAME]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// Language
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    pub(crate) lang: Lang,

    /// Use the SDK of this Prunella checkout instead of a copy (Rust only)
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<PathBuf>,
}

/// A language for strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// Rust, with the SDK: the smallest and fastest
    Rust,
    /// C, with clang
    C,
    /// Python, with its interpreter in the component (about 18 MB)
    Python,
    /// JavaScript, with its engine in the component (about 12 MB)
    Js,
}

/// `prunella plugin build`
#[derive(Debug, Args)]
pub(crate) struct PluginBuildArgs {
    /// Project folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
}

/// `prunella plugin list`
#[derive(Debug, Args)]
pub(crate) struct PluginListArgs {
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin inspect`
#[derive(Debug, Args)]
pub(crate) struct PluginInspectArgs {
    /// Component, or a folder with one component
    #[arg(value_name = "FILE|DIR")]
    pub(crate) file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella config`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every mistake in the configuration
    #[command(
        long_about = "Report every mistake in the configuration: file, line, column, what is wrong \
            and how to fix it. Also loads every configured strategy, so that a missing grant shows \
            up here and not during an outage. Changes nothing.",
        after_help = "\
Examples:
  sudo prunella config check
  prunella --config ./etc config check"
    )]
    Check(ConfigCheckArgs),
}

/// `prunella config check`
#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {}

/// `prunella daemon`
#[derive(Debug, Args)]
#[command(
    long_about = "Run the daemon (what prunella.service does).\n\n\
        Watches units over D-Bus, heals what is in its care, and answers the hook and the other \
        commands. SIGHUP reads the configuration again; SIGTERM stops.",
    after_help = "\
Examples:
  sudo systemctl start prunella.service
  sudo prunella -v daemon"
)]
pub(crate) struct DaemonArgs {}

/// `prunella hook`
#[derive(Debug, Args)]
#[command(
    long_about = "Handle the failure of a unit (what OnFailure= calls).\n\n\
        Hands the failure to the daemon, or heals the unit itself if no daemon is running. Exits \
        non-zero only if the hook itself fails: a service that cannot be healed is reported, and \
        is no error here.",
    after_help = "\
Examples:
  sudo systemctl start prunella-hook@nginx.service.service
  sudo prunella hook nginx.service"
)]
pub(crate) struct HookArgs {
    /// Unit that failed
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,
}

/// `prunella sweep`
#[derive(Debug, Args)]
#[command(
    long_about = "Look for missed failures once (what prunella-sweep.timer does).\n\n\
        For hosts without the daemon: opens incidents for units that failed unnoticed, retries \
        escalated incidents when they are due, and runs the probes that have an interval, so \
        that a service that runs but does not answer is noticed.",
    after_help = "\
Examples:
  sudo prunella sweep"
)]
pub(crate) struct SweepArgs {}

/// `prunella completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prunella completions bash | sudo tee /etc/bash_completion.d/prunella
  prunella completions zsh > ~/.zfunc/_prunella")]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `prunella man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Manual page of this command only
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}

/// `prunella internal`
#[derive(Debug, Args)]
pub(crate) struct InternalArgs {
    /// What to do, and with what
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<std::ffi::OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// A doc comment on a variant would take it away.
    #[test]
    fn the_long_help_of_a_command_is_shown() {
        for words in [["setup"].as_slice(), &["heal"], &["plugin", "new"]] {
            let mut command = Cli::command();
            for word in words {
                command = command.find_subcommand(word).unwrap().clone();
            }
            assert!(command.get_about().is_some(), "{words:?}");
            assert!(command.get_long_about().is_some(), "{words:?}");
        }
    }

    /// clap would give a subcommand the global option's value.
    #[test]
    fn no_option_has_the_name_of_a_global_one() {
        fn all(command: &clap::Command) -> Vec<String> {
            let own = command.get_arguments().map(|arg| arg.get_id().to_string());
            own.chain(command.get_subcommands().flat_map(all)).collect()
        }
        let command = Cli::command();
        let below: Vec<String> = command.get_subcommands().flat_map(all).collect();
        let global = command.get_arguments().filter(|arg| arg.is_global_set());
        for id in global.map(|arg| arg.get_id().to_string()) {
            assert!(!below.contains(&id), "{id}");
        }
    }

    #[test]
    fn every_exit_code_is_explained() {
        for exit in Exit::ALL {
            let line = format!("\n  {}  ", exit.code());
            assert!(AFTER_LONG_HELP.contains(&line), "{exit:?}");
        }
    }

    #[test]
    fn every_visible_command_has_examples() {
        fn look(command: &clap::Command, missing: &mut Vec<String>) {
            for sub in command.get_subcommands().filter(|c| !c.is_hide_set()) {
                if sub.has_subcommands() {
                    look(sub, missing);
                    continue;
                }
                let help = sub.get_after_help().map(ToString::to_string);
                if !help.unwrap_or_default().contains("Examples:") {
                    missing.push(sub.get_name().to_owned());
                }
            }
        }
        let mut missing = Vec::new();
        look(&Cli::command(), &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }

    #[rstest]
    #[case::nothing(&["prunella"])]
    #[case::enable_nothing(&["prunella", "enable"])]
    #[case::enable_both(&["prunella", "enable", "--all", "a"])]
    #[case::pause_without_reason(&["prunella", "pause", "a"])]
    #[case::pause_with_empty_reason(&["prunella", "pause", "a", "--reason", " "])]
    #[case::pause_nothing(&["prunella", "pause", "--reason", "x"])]
    #[case::span(&["prunella", "pause", "a", "--reason", "x", "--for", "soon"])]
    #[case::outcome(&["prunella", "incidents", "--outcome", "well"])]
    #[case::id_and_filter(&["prunella", "incidents", "x", "--unit", "a"])]
    #[case::retry_nothing(&["prunella", "alerts", "retry"])]
    #[case::retry_both(&["prunella", "alerts", "retry", "x", "--all"])]
    #[case::alert_state(&["prunella", "alerts", "--state", "gone"])]
    #[case::both_modes(&["prunella", "setup", "--daemon", "--hook-only"])]
    fn wrong_usage(#[case] words: &[&str]) {
        let error = Cli::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()));
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        let cli = Cli::try_parse_from(["prunella", "status", "--config", "/x", "--json"]).unwrap();
        assert_eq!(cli.global.config, PathBuf::from("/x"));
    }

    #[test]
    fn internal_takes_any_words() {
        let cli = Cli::try_parse_from(["prunella", "internal", "repair", "--help", "-x"]).unwrap();
        let Command::Internal(internal) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(internal.words, ["repair", "--help", "-x"]);
    }
}
