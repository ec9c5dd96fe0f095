//! What can be typed: commands, their arguments and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use prunella_core::alert::DispatchState;
use prunella_core::summary::Filter;

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
  1  trouble of Prunella's own
  2  wrong usage
  3  the configuration has mistakes; `plugin verify`: something is off
  4  `heal`: not healed, people are needed
  5  `heal`: left alone, rightly; `heal --dry-run`: it would be left alone
  6  there is no such unit, incident or file
  7  no permission: root, or another group, is needed
  8  `plugin test`, `plugin replay`: it went otherwise than it should

Files:
  /etc/prunella/prunella.toml        settings, strategies and their grants
  /etc/prunella/services.d/*.toml    one for each service in Prunella's care
  /etc/prunella/plugins/             strategies of your own
  /etc/prunella/templates/           templates of your own for reports
  /var/lib/prunella/                 incidents, and what was done about them

Environment:
  PRUNELLA_LOG   what to log, such as `debug` or `prunella_healer=trace`
  NO_COLOR       no colours";

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Where the configuration is
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/etc/prunella",
        help_heading = "Global options"
    )]
    pub(crate) config: PathBuf,

    /// Where incidents are kept
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/lib/prunella",
        hide_short_help = true,
        help_heading = "Global options"
    )]
    pub(crate) state: PathBuf,

    /// Where the daemon's sockets are
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

    /// Log more; twice for still more
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
    /// Install Prunella's units and folders on this host
    Setup(SetupArgs),
    /// Put services in Prunella's care
    Enable(EnableArgs),
    /// Take services out of Prunella's care
    Disable(DisableArgs),
    /// See how host, services and Prunella stand
    Status(StatusArgs),
    /// See what failed, and what was done about it
    Incidents(IncidentsArgs),
    /// See what each strategy has achieved, for each kind of failure
    Strategies(StrategiesArgs),
    /// Find the root cause of an incident: by rules, and by a model where one is configured
    #[command(visible_alias = "analyze")]
    Analyse(AnalyseArgs),
    /// Heal a service now, or rehearse it
    Heal(HealArgs),
    /// See who was told what, and try channels
    Alerts(AlertsArgs),
    /// See which acts wait until somebody agrees
    Approvals(ApprovalsArgs),
    /// Agree to an act that waits
    Approve(DecideArgs),
    /// Deny an act that waits
    Deny(DecideArgs),
    /// Leave a service, or everything, alone for a while
    Pause(PauseArgs),
    /// End a pause
    Resume(ResumeArgs),
    /// Look at strategies: built in, and your own
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run the daemon (what prunella.service does)
    Daemon(DaemonArgs),
    /// Handle the failure of a unit (what OnFailure= calls)
    Hook(HookArgs),
    /// Look for missed failures once (what prunella-sweep.timer does)
    Sweep(SweepArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    #[command(hide = true)]
    Man(ManArgs),
    /// For Prunella itself: what runs in a transient unit of its own
    #[command(hide = true, disable_help_flag = true)]
    Internal(InternalArgs),
}

/// `prunella setup`
#[derive(Debug, Args)]
#[command(
    long_about = "Install Prunella's units and folders on this host.\n\n\
        Writes prunella.service, the template of the OnFailure= hook and the sweep's service and \
        timer to /etc/systemd/system, makes the folders, and writes a prunella.toml with every \
        setting explained when there is none. May be run again at any time: it changes only what \
        differs, says what it changed, and keeps unit files that somebody edited.",
    after_help = "\
Examples:
  sudo prunella setup                what most hosts want: the daemon
  sudo prunella setup --hook-only    no daemon: OnFailure= hooks and a timer
  prunella setup --dry-run           only say what would be done"
)]
pub(crate) struct SetupArgs {
    /// Enable the daemon and start it (the default)
    #[arg(long, conflicts_with = "hook_only")]
    pub(crate) daemon: bool,

    /// Enable the sweep timer instead of the daemon; each failure is then healed by its hook
    #[arg(long)]
    pub(crate) hook_only: bool,

    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Replace unit files that somebody edited, too
    #[arg(long)]
    pub(crate) force: bool,

    /// The binary that the units run, instead of this one
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,

    /// Where unit files go
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
        services.d with what could be learnt about the service: the ports it listens on, its \
        environment files, what it needs, a check of its configuration. Shows what it wrote. A \
        services file that is already there is kept as it is.\n\n\
        Aliases are resolved. Protected units (dbus, journald, sshd, …) and wrappers such as \
        Debian's postgresql.service are refused, with the unit that does the work.",
    after_help = "\
Examples:
  sudo prunella enable nginx.service
  sudo prunella enable nginx redis-server
  sudo prunella enable 'worker@*.service'     every instance that is loaded
  sudo prunella enable --all                  every running or failed service it may heal
  prunella enable --dry-run nginx             only show what would be written"
)]
pub(crate) struct EnableArgs {
    /// Units, or patterns in quotes; `.service` may be left out
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) units: Vec<String>,

    /// Every running or failed service that may be healed
    #[arg(long, conflicts_with = "units")]
    pub(crate) all: bool,

    /// Only show what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Where drop-ins go
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
        Removes the drop-in and the services file that `enable` wrote. A services file that \
        somebody edited is renamed to UNIT.toml.disabled and kept. Past incidents are kept.",
    after_help = "\
Examples:
  sudo prunella disable nginx.service
  sudo prunella disable --all"
)]
pub(crate) struct DisableArgs {
    /// Units; `.service` may be left out
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) units: Vec<String>,

    /// Every service in Prunella's care
    #[arg(long, conflicts_with = "units")]
    pub(crate) all: bool,

    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Where drop-ins are
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
    long_about = "See how host, services and Prunella stand.\n\n\
        Asks the daemon when one listens: root and members of the group systemd-journal may. \
        Without a daemon, root sees the same, looked up directly.",
    after_help = "\
Examples:
  prunella status
  prunella status --watch
  prunella status --json | jq '.services[] | select(.up == false)'"
)]
pub(crate) struct StatusArgs {
    /// Keep looking, until Ctrl-C
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) watch: bool,

    /// One JSON object, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella incidents`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "See what failed, and what was done about it.\n\n\
        Without an ID, a list, newest first. With one (or the beginning or end of one), the whole \
        report: what failed, the evidence, what was done step by step, the proof, or what to do \
        now.",
    after_help = "\
Examples:
  prunella incidents
  prunella incidents 20261121-142301-7f3a
  prunella incidents 7f3a
  prunella incidents --unit nginx --since 7d --ended escalated
  prunella incidents 7f3a --html > report.html
  prunella incidents --since 2026-11-20 --until '2026-11-21 06:00'
  prunella incidents --json | jq -r 'select(.ended == \"healed\") | .unit'
  prunella incidents export --since 30d incidents.jsonl"
)]
pub(crate) struct IncidentsArgs {
    /// What else to do with them
    #[command(subcommand)]
    pub(crate) command: Option<IncidentsCommand>,

    /// The incident to tell about
    #[arg(value_name = "ID", conflicts_with_all = ["unit", "since", "until", "ended", "limit"])]
    pub(crate) id: Option<String>,

    /// Which to list
    #[command(flatten)]
    pub(crate) which: WhichIncidents,

    /// At most so many [default: 50]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// JSON for programs: an object on each line, or the whole record of one
    #[arg(long)]
    pub(crate) json: bool,

    /// The report of one as a page for a browser
    #[arg(long, requires = "id", conflicts_with = "json")]
    pub(crate) html: bool,
}

/// `prunella analyse`
#[derive(Debug, Args)]
#[command(
    long_about = "Find the root cause of an incident.\n\n\
        Shows what the rules recognise in the evidence, each with what made them think so. Where \
        prunella.toml has a model under [analysis], asks it now and shows its opinion. Nothing is \
        changed, and nothing is written into the incident.",
    after_help = "\
Examples:
  sudo prunella analyse 20261121-142301-7f3a
  sudo prunella analyse 7f3a --show-request    what the model would be sent; sends nothing
  sudo prunella analyse 7f3a --json"
)]
pub(crate) struct AnalyseArgs {
    /// The incident, or the beginning or end of its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Print the request that would be sent to the model, and send nothing
    #[arg(long, conflicts_with = "json")]
    pub(crate) show_request: bool,

    /// One JSON object, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which incidents.
#[derive(Debug, Args)]
pub(crate) struct WhichIncidents {
    /// Only of this unit
    #[arg(long, visible_alias = "service", value_name = "UNIT")]
    pub(crate) unit: Option<String>,

    /// Only from then on: so long ago (90m, 24h, 7d), or a date or time
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) since: Option<u64>,

    /// Only before then
    #[arg(long, value_name = "WHEN", value_parser = crate::time::parse_when)]
    pub(crate) until: Option<u64>,

    /// Only those that ended so
    #[arg(long, visible_alias = "outcome", value_name = "HOW")]
    pub(crate) ended: Option<Ended>,
}

impl WhichIncidents {
    /// Whether any of them would do.
    pub(crate) fn is_any(&self) -> bool {
        self.unit.is_none() && self.since.is_none() && self.until.is_none() && self.ended.is_none()
    }

    /// The same for the store, with a limit.
    pub(crate) fn filter(&self, limit: Option<u32>) -> anyhow::Result<Filter> {
        Ok(Filter {
            unit: self.unit.as_deref().map(crate::unit_name).transpose()?,
            since: self.since,
            until: self.until,
            ended: self.ended.map(|ended| ended.word().to_owned()),
            limit,
        })
    }
}

/// What else to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// Write out whole records, one JSON object on each line, oldest first
    #[command(
        long_about = "Write out whole records, one JSON object on each line, oldest first.\n\n\
            Each line has `incident` (what was noticed), `steps` (all that was done, in order) and \
            `ending` (null while it is open); docs/export.md tells of every field.",
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
    /// Where to write them, readable by you alone; the standard output, when
    /// left out or `-`
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<std::path::PathBuf>,

    /// Which to write out
    #[command(flatten)]
    pub(crate) which: WhichIncidents,
}

/// How an incident can have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ended {
    /// By a strategy, with proof
    Healed,
    /// By itself, or by somebody else
    Recovered,
    /// Nothing was done, and rightly so
    LeftAlone,
    /// Handed to people
    Escalated,
    /// Waits for another unit
    Blocked,
    /// Prunella was killed in the middle of it
    Interrupted,
    /// A rehearsal
    Rehearsed,
    /// Not at all yet
    Open,
}

impl Ended {
    /// The word of the store and of `--json`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::LeftAlone => "left-alone",
            Self::Escalated => "escalated",
            Self::Blocked => "blocked",
            Self::Interrupted => "interrupted",
            Self::Rehearsed => "rehearsed",
            Self::Open => "open",
        }
    }
}

/// `prunella strategies`
#[derive(Debug, Args)]
#[command(
    long_about = "See what each strategy has achieved, for each kind of failure.\n\n\
        A kind of failure is the service, systemd's word for what went wrong, and what the failed \
        run logged last, without numbers, times and ids. For each: how often a strategy was tried, \
        how often the host had proof afterwards, and how often the service did not stay well; and \
        between which shares of all tries the true one lies, with 95 % confidence. With \
        `order = \"learned\"` a service tries the likeliest first.",
    after_help = "\
Examples:
  prunella strategies
  prunella strategies --service nginx
  prunella strategies --json | jq -r 'select(.relapses > 0) | .strategy'"
)]
pub(crate) struct StrategiesArgs {
    /// Only at this service
    #[arg(long, visible_alias = "unit", value_name = "UNIT")]
    pub(crate) service: Option<String>,

    /// JSON for programs: an object on each line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella approvals`
#[derive(Debug, Args)]
#[command(
    long_about = "See which acts wait until somebody agrees.\n\n\
        Which acts do is set in `[oversight]` of prunella.toml. An approval is bound to its \
        incident, act and target, to the failed run, the process and the boot; it is good once, \
        and until it expires.",
    after_help = "\
Examples:
  prunella approvals
  prunella approvals --all --json"
)]
pub(crate) struct ApprovalsArgs {
    /// Those that were decided, used, or are over, too
    #[arg(long)]
    pub(crate) all: bool,

    /// JSON for programs: an object on each line
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
    /// Its id, or the end of it, such as 7f3a.1
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: Option<String>,
}

/// `prunella alerts`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "See who was told what, and try channels.\n\n\
        Lists the messages about incidents, newest first: by which channel, how far they have \
        got, when they are tried next, and why they did not get through. A message is kept until \
        it was delivered, for as long as `give-up-after` says; what was refused or given up is \
        kept and shown, and can be tried again.",
    after_help = "\
Examples:
  prunella alerts
  prunella alerts --only failed --only refused
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
    /// Only those in this state; may be given more than once
    #[arg(long, value_name = "STATE")]
    pub(crate) only: Vec<AlertState>,

    /// Only this channel's
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    /// At most so many [default: 50]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// A JSON object on each line, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// How far a message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlertState {
    /// It is to be tried
    Waiting,
    /// It is being tried
    Sending,
    /// The far side has it
    Delivered,
    /// The far side does not take it
    Refused,
    /// It was tried for as long as it is worth
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

/// What else to do with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Show one message, and what became of it
    #[command(after_help = "\
Examples:
  prunella alerts show 20261122-030000-9f3ac2d4
  prunella alerts show 9f3ac2d4 --json")]
    Show(AlertsShowArgs),
    /// Try messages again now
    #[command(after_help = "\
Examples:
  sudo prunella alerts retry 9f3ac2d4
  sudo prunella alerts retry --all      every one that did not get through")]
    Retry(AlertsRetryArgs),
    /// Send a real message by a channel, and say what came of it
    #[command(
        long_about = "Send a real message by a channel, and say what came of it.\n\n\
            Ends with 0 when the far side has taken it, and with 1 when it has not. The daemon \
            sends it when one runs: it has the credentials, and the sandbox, that alerts are sent \
            with.",
        after_help = "\
Examples:
  sudo prunella alerts test mail"
    )]
    Test(AlertsTestArgs),
}

/// `prunella alerts show`
#[derive(Debug, Args)]
pub(crate) struct AlertsShowArgs {
    /// The message, or the beginning or end of its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// One JSON object, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella alerts retry`
#[derive(Debug, Args)]
pub(crate) struct AlertsRetryArgs {
    /// The message, or the beginning or end of its id
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) id: Option<String>,

    /// Every message that did not get through
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
}

/// `prunella alerts test`
#[derive(Debug, Args)]
pub(crate) struct AlertsTestArgs {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: String,
}

/// `prunella heal`
#[derive(Debug, Args)]
#[command(
    long_about = "Heal a service now, or rehearse it.\n\n\
        Goes the same way as the daemon does: strategies assess, then those that apply heal, and \
        the host looks for proof. With --dry-run the strategies run against the real host, but \
        what they would do is recorded and not carried out, and the plan is printed.",
    after_help = "\
Examples:
  sudo prunella heal nginx.service --dry-run
  sudo prunella heal nginx
  sudo prunella heal nginx --record nginx.jsonl

Exit code 0: healed, recovered or nothing wrong; 4: people are needed; 5: left alone, rightly."
)]
pub(crate) struct HealArgs {
    /// The unit; `.service` may be left out
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,

    /// Rehearse: carry nothing out, print the plan
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Write every call that the strategies make of the host, with its answer, to a
    /// new file that only root can read, for `prunella plugin replay`. What looks
    /// like a secret is left out. Heals here, and not in the daemon
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// `prunella pause`
#[derive(Debug, Args)]
#[command(
    long_about = "Leave a service, or everything, alone for a while.\n\n\
        Failures are still written down, and nothing is done about them. Say how long, so that a \
        pause cannot be forgotten.",
    after_help = "\
Examples:
  sudo prunella pause nginx --for 2h --reason 'moving it to the new host'
  sudo prunella pause --all --for 30m --reason 'kernel upgrade'"
)]
pub(crate) struct PauseArgs {
    /// The unit; `.service` may be left out
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) unit: Option<String>,

    /// Everything on this host
    #[arg(long, conflicts_with = "unit")]
    pub(crate) all: bool,

    /// For so long, such as 30m, 2h, 1d; until `resume` otherwise
    #[arg(long = "for", value_name = "SPAN", value_parser = crate::time::parse_span)]
    pub(crate) span: Option<std::time::Duration>,

    /// Why, for whoever wonders later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why, in a few words".into());
    }
    Ok(text.chars().take(500).collect())
}

/// `prunella resume`
#[derive(Debug, Args)]
#[command(
    long_about = "End a pause.\n\n\
        `--all` ends the pause of everything and those of single services; without it, only the \
        named service's own.",
    after_help = "\
Examples:
  sudo prunella resume nginx
  sudo prunella resume --all"
)]
pub(crate) struct ResumeArgs {
    /// The unit; `.service` may be left out
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub(crate) unit: Option<String>,

    /// Every pause there is
    #[arg(long, conflicts_with = "unit")]
    pub(crate) all: bool,
}

/// `prunella plugin`
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Write the project of a new strategy, which builds and has a test that passes
    #[command(
        long_about = "Write the project of a new strategy: one that does something useful, builds \
            with `prunella plugin build`, and has a test that passes. It brings along all of \
            Prunella that it needs; the toolchain of its language is yours to install. \
            Overwrites nothing.",
        after_help = "\
Examples:
  prunella plugin new cache-guard
  prunella plugin new cache-guard --lang python ~/src/cache-guard"
    )]
    New(PluginNewArgs),
    /// Make a component of the project of a strategy
    #[command(
        long_about = "Make a component of the project of a strategy, with the toolchain of its \
            language: build/NAME.wasm. A component that Prunella would not load is not written; \
            in particular it imports nothing of WASI. Says what it may do, and what to do next.",
        after_help = "\
Examples:
  prunella plugin build
  prunella plugin build ~/src/cache-guard"
    )]
    Build(PluginBuildArgs),
    /// List every strategy, what it may do, and whether it is ready
    #[command(after_help = "\
Examples:
  sudo prunella plugin list
  sudo prunella plugin list --json")]
    List(PluginListArgs),
    /// Show what a component file is, what it could do, and what it needs to be granted
    #[command(
        long_about = "Show what a component file is, what it could do, and what it needs to be \
            granted. What it could do is read from its imports. Who it is it says itself: it is \
            asked under all limits, and can neither look nor act while it answers. Safe for \
            anybody's file.",
        after_help = "\
Exit code 0: Prunella would load it; 1: it would not, and why is said.

Examples:
  prunella plugin inspect site-fix.wasm
  prunella plugin inspect /etc/prunella/plugins/site-fix.wasm --json"
    )]
    Inspect(PluginInspectArgs),
    /// Try a component on a simulated host, by scenarios
    #[command(
        long_about = "Try a component on a simulated host, by scenarios.\n\n\
            A scenario is a TOML file: a host, a failed service, and what a strategy should say \
            and do about it. The component runs as it would run in the daemon, with the same \
            limits and behind the same grants, but time is virtual and the host is a model. What \
            differs from the scenario's [expect] is shown. docs/testing.md has every key.",
        after_help = "\
Examples:
  prunella plugin test site-fix.wasm --scenario scenarios/
  prunella plugin test site-fix.wasm --scenario leftover.toml --scenario stranger.toml --json

Exit code 0: all as expected; 8: something differs; 3: a scenario has mistakes."
    )]
    Test(PluginTestArgs),
    /// Install a component, with its signature
    #[command(
        long_about = "Install a component, with its signature.\n\n\
            Looks at the component, checks its signature (FILE.minisig) against the keys in \
            /etc/prunella/keys, compiles it and has it say who it is; then puts it into \
            /etc/prunella/plugins, notes its sha256 beside it, and prints the grants that it \
            would need. Nothing is changed when anything is wrong. A running daemon takes it \
            into service by itself.\n\n\
            What acts has to be signed for its name, unless prunella.toml says `signatures = \
            \"warn\"` or names its sha256. What only looks needs no signature.",
        after_help = "\
Examples:
  sudo prunella plugin add site-fix.wasm
  sudo prunella plugin add ./site-fix-1.2.0/
  sudo prunella plugin add site-fix.wasm --signature site-fix-1.2.0.minisig
  sudo prunella plugin add site-fix-1.1.0.wasm --name site-fix --allow-downgrade"
    )]
    Add(PluginAddArgs),
    /// Remove an installed component, and all that it kept
    #[command(
        long_about = "Remove an installed component, and all that it kept: its files in \
            /etc/prunella/plugins, what was compiled of it, and its state of all services. What \
            it healed stays in the records, and so does the highest version that was seen of it.",
        after_help = "\
Examples:
  sudo prunella plugin remove site-fix
  sudo prunella plugin remove site-fix --force"
    )]
    Remove(PluginRemoveArgs),
    /// Check what is installed: bytes, signatures, owners and modes
    #[command(
        long_about = "Check what is installed: the bytes against the sha256 that was noted or \
            pinned, signatures against the keys as they are now, versions, and who could write \
            the files. Ends with 3 when anything is off. A file that is not installed can be \
            checked too: its signature, and whether it could be loaded.",
        after_help = "\
Examples:
  sudo prunella plugin verify
  sudo prunella plugin verify site-fix
  sudo prunella plugin verify ./site-fix.wasm"
    )]
    Verify(PluginVerifyArgs),
    /// Run a component on a recorded session, and show where it departs
    #[command(
        long_about = "Run a component on a recorded session, and show where it departs.\n\n\
            `prunella heal UNIT --record FILE` writes every call that the strategies made of the \
            host, with its answer. Here a component is given the same incident and the same \
            answers, until it makes another call than was recorded: that call is shown. So a \
            mistake that a strategy made on somebody's host can be looked at anywhere.",
        after_help = "\
Examples:
  prunella plugin replay site-fix.wasm --session incident.jsonl
  prunella plugin replay new.wasm --session incident.jsonl --strategy site-fix --json

Exit code 0: it asked and said the same; 8: it departs, or says something else."
    )]
    Replay(PluginReplayArgs),
}

/// `prunella plugin add`
#[derive(Debug, Args)]
pub(crate) struct PluginAddArgs {
    /// The component, or a folder with one component in it
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,

    /// The strategy's name; the file's, unless given
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Its signature, when that is not FILE.minisig
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,

    /// Install it although a newer version has been on this host
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
}

/// `prunella plugin remove`
#[derive(Debug, Args)]
pub(crate) struct PluginRemoveArgs {
    /// The strategy's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Remove it although services still name it
    #[arg(long)]
    pub(crate) force: bool,
}

/// `prunella plugin verify`
#[derive(Debug, Args)]
pub(crate) struct PluginVerifyArgs {
    /// A strategy's name, or a component's file; everything that is installed,
    /// unless given
    #[arg(value_name = "NAME|FILE")]
    pub(crate) what: Option<String>,

    /// The name under which a file would be installed; the file's, unless given
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `prunella plugin replay`
#[derive(Debug, Args)]
pub(crate) struct PluginReplayArgs {
    /// The component
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// What `prunella heal --record` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) session: PathBuf,

    /// Whose runs to play, when it is not the strategy that the file is named after
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<prunella_core::StrategyName>,

    /// One JSON object for each run, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin test`
#[derive(Debug, Args)]
pub(crate) struct PluginTestArgs {
    /// The component
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// A scenario, or a folder of them; may be given several times
    #[arg(long = "scenario", value_name = "FILE|DIR", required = true)]
    pub(crate) scenarios: Vec<PathBuf>,

    /// One JSON object for each scenario, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin new`
#[derive(Debug, Args)]
pub(crate) struct PluginNewArgs {
    /// What to call it, such as `cache-guard`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Where to; a folder of its name, otherwise
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// What to write it in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    pub(crate) lang: Lang,

    /// A checkout of Prunella whose SDK to use, instead of bringing it along (Rust)
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
    /// The project
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
}

/// `prunella plugin list`
#[derive(Debug, Args)]
pub(crate) struct PluginListArgs {
    /// One JSON object on each line, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella plugin inspect`
#[derive(Debug, Args)]
pub(crate) struct PluginInspectArgs {
    /// The component, or a folder with it
    #[arg(value_name = "FILE|DIR")]
    pub(crate) file: PathBuf,

    /// One JSON object, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella config`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every mistake in the configuration
    #[command(
        long_about = "Report every mistake in the configuration: file, line, column, what is \
            wrong and what would be right. Also loads every configured strategy, so that a \
            missing grant shows here and not when something is down. Changes nothing.",
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
        Hands the failure to the daemon when one listens, and heals the unit itself otherwise. \
        Exits non-zero only for trouble of its own: a service that cannot be healed is reported, \
        and is not an error here.",
    after_help = "\
Examples:
  sudo systemctl start prunella-hook@nginx.service.service
  sudo prunella hook nginx.service"
)]
pub(crate) struct HookArgs {
    /// The unit that failed
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,
}

/// `prunella sweep`
#[derive(Debug, Args)]
#[command(
    long_about = "Look for missed failures once (what prunella-sweep.timer does).\n\n\
        For hosts without the daemon: opens incidents for units that failed unnoticed, tries \
        escalated ones again when their time has come, and asks the probes that have an interval \
        (`every`), so that a service that runs and does not answer is noticed, too.",
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
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `prunella man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Of this command instead of the whole
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
    #[case::ended(&["prunella", "incidents", "--ended", "well"])]
    #[case::id_and_filter(&["prunella", "incidents", "x", "--unit", "a"])]
    #[case::retry_nothing(&["prunella", "alerts", "retry"])]
    #[case::retry_both(&["prunella", "alerts", "retry", "x", "--all"])]
    #[case::alert_state(&["prunella", "alerts", "--only", "gone"])]
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
