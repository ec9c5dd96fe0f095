//! What can be typed: commands, their arguments and their help.

mod alerts;
mod health;
mod incidents;
mod key;
mod metrics;
mod plugin;
mod web;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::{
    alerts::{AlertsArgs, AlertsCommand, AlertsListArgs},
    health::{BacktestArgs, HealthArgs, HealthCommand},
    incidents::{AnalyseArgs, ExportArgs, IncidentsArgs, IncidentsCommand},
    key::{KeyAddArgs, KeyCommand, KeyListArgs, KeyRevokeArgs},
    metrics::{DetectArgs, ExportMetricsArgs, MetricsArgs, MetricsCommand, MetricsFormat},
    plugin::{
        Lang, PluginAddArgs, PluginBuildArgs, PluginCommand, PluginInspectArgs, PluginListArgs,
        PluginNewArgs, PluginRemoveArgs, PluginReplayArgs, PluginTestArgs, PluginVerifyArgs,
    },
    web::{WebCommand, WebDisableArgs, WebEnableArgs, WebLoginArgs},
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
  /etc/prunella/keys/*.toml          keys that may sign strategies
  /etc/prunella/templates/           your own report templates
  /var/lib/prunella/                 incidents, what was done about them, and measurements

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
    #[command(about = "Take Prunella off this host again")]
    Uninstall(UninstallArgs),
    #[command(about = "Put services in Prunella's care")]
    Enable(EnableArgs),
    #[command(about = "Take services out of Prunella's care")]
    Disable(DisableArgs),
    #[command(about = "Show the state of the host, its services and Prunella")]
    Status(StatusArgs),
    #[command(about = "Show how services are, since when and why")]
    Health(HealthArgs),
    #[command(about = "Show what failed and what was done about it")]
    Incidents(IncidentsArgs),
    #[command(about = "Show how often each strategy worked, by kind of failure")]
    Strategies(StrategiesArgs),
    #[command(
        about = "Find the root cause of an incident, by rules and, if configured, a language model"
    )]
    #[command(visible_alias = "analyze")]
    Analyse(AnalyseArgs),
    #[command(about = "Show what is measured of services and of the host")]
    Metrics(MetricsArgs),
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
    #[command(about = "Undo what was done in an incident, as far as that is possible")]
    Undo(UndoArgs),
    #[command(about = "Expect work that strains a service, so that nobody is told of it")]
    Expect(ExpectArgs),
    #[command(about = "Stop healing a service, or all of them, for a while")]
    Pause(PauseArgs),
    #[command(about = "End a pause")]
    Resume(ResumeArgs),
    #[command(about = "Have the daemon read its configuration again")]
    Reload(ReloadArgs),
    /// Manage strategies, built in and your own
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Manage keys for the API
    #[command(subcommand)]
    Key(KeyCommand),
    /// Start and stop the web pages and the API for the network, and log in to them
    #[command(subcommand)]
    Web(WebCommand),
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
    /// Remove drop-ins of units that are in nobody's care (what Prunella's units begin with)
    #[command(hide = true)]
    Tidy(TidyArgs),
    /// Internal: tasks that run in a transient unit
    #[command(hide = true, disable_help_flag = true)]
    Internal(InternalArgs),
}

/// Where units and drop-ins are written.
#[derive(Debug, Args)]
pub(crate) struct UnitDirectory {
    /// Directory of unit files
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/systemd/system",
        hide = true
    )]
    pub(crate) unit_dir: PathBuf,
}

/// `prunella setup`
#[derive(Debug, Args)]
#[command(
    long_about = "Install Prunella's units and folders on this host.\n\n\
        Writes prunella.service, the template unit of the OnFailure= hook, and the sweep's service \
        and timer to /etc/systemd/system, creates the folders, and writes a prunella.toml with \
        every setting explained if there is none. Puts back the drop-ins of services in care that \
        have none, so that systemd calls the hook when they fail. Run it again at any time, and after each \
        upgrade: it changes only what differs, says what it changed, and keeps unit files that \
        somebody edited. It restarts the daemon if that still runs an earlier program, and removes \
        drop-ins of units whose services files are gone.",
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

    /// Write no drop-ins that are missing: only the daemon, or the sweep, notices failures
    #[arg(long)]
    pub(crate) without_hooks: bool,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Also replace unit files that somebody edited
    #[arg(long)]
    pub(crate) force: bool,

    /// Binary that the units run, instead of this one
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}

/// `prunella uninstall`
#[derive(Debug, Args)]
#[command(
    long_about = "Take Prunella off this host again.\n\n\
        Stops and removes Prunella's units, the drop-ins that `enable` wrote, its sockets and its \
        compiled strategies. Configuration and incidents stay, unless --purge is given. Unit files \
        that somebody edited stay, and so does the program itself. Services keep running.",
    after_help = "\
Examples:
  sudo prunella uninstall --dry-run          only show what would be done
  sudo prunella uninstall                    keep configuration and incidents
  sudo prunella uninstall --purge --yes      delete them, too, without a question"
)]
pub(crate) struct UninstallArgs {
    /// Also delete configuration and incidents
    #[arg(long)]
    pub(crate) purge: bool,

    /// Do not ask before --purge deletes anything
    #[arg(long, requires = "purge")]
    pub(crate) yes: bool,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
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
        services file that already exists, and restores one that `disable` set aside; then it \
        shows what else it found out.\n\n\
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

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}

/// `prunella disable`
#[derive(Debug, Args)]
#[command(
    long_about = "Take services out of Prunella's care.\n\n\
        Removes the drop-in that `enable` wrote, and renames the services file to \
        UNIT.toml.disabled. `enable` puts it back, with all that was edited in it. Keeps past \
        incidents.",
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

    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}

/// `prunella tidy`
#[derive(Debug, Args)]
pub(crate) struct TidyArgs {
    #[command(flatten)]
    pub(crate) place: UnitDirectory,
}

/// `prunella status`
#[derive(Debug, Args)]
#[command(
    long_about = "Show the state of the host, its services and Prunella.\n\n\
        Services in trouble come first. With a UNIT, shows one service in detail: how it stands, \
        what is declared, its ports, its probes (asked just now), its healing budget, its latest \
        incidents, and what would keep it from being healed now.\n\n\
        Asks the daemon, which answers root and members of the group systemd-journal. If no \
        daemon is running, root sees the same, read directly.\n\n\
        Keys of --watch: arrows or j and k scroll by a line, PgUp and PgDn (or b and Space) by a \
        page, g and G go to the ends, q quits.",
    after_help = "\
Examples:
  prunella status
  prunella status nginx
  prunella status --watch
  prunella status --json | jq '.services[] | select(.up == false)'"
)]
pub(crate) struct StatusArgs {
    /// Show this service in detail; `.service` is optional
    #[arg(value_name = "UNIT", conflicts_with = "watch")]
    pub(crate) unit: Option<String>,

    /// Show it on the whole screen and refresh it, until `q`
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) watch: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
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

/// `prunella undo`
#[derive(Debug, Args)]
#[command(
    long_about = "Undo what was done in an incident, as far as that is possible.\n\n\
        Takes back what strategies did to what you declared for the service, the last act first: \
        what was moved aside comes back, limits return to what they were. Says what cannot be \
        undone. Starts and restarts are not undone.",
    after_help = "\
Examples:
  sudo prunella undo 7f3a --dry-run
  sudo prunella undo 20261121-142301Z-7f3a

Exit codes:
  0  all that can be undone is undone, or there was nothing
  1  something could not be undone
  6  no such incident
  7  permission denied: run as root"
)]
pub(crate) struct UndoArgs {
    /// Incident ID, or its beginning or end
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Show what would be undone, and undo nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prunella heal`
#[derive(Debug, Args)]
#[command(
    long_about = "Heal a service now, or show what healing it would do.\n\n\
        Works exactly as the daemon does: strategies assess, those that apply heal, and Prunella \
        looks for proof. A service that is well is left as it is, unless --restart is given. With \
        --dry-run the strategies run against the real host, but their actions are only recorded, \
        and the plan is printed.",
    after_help = "\
Examples:
  sudo prunella heal nginx.service --dry-run
  sudo prunella heal nginx
  sudo prunella heal nginx --restart
  sudo prunella heal nginx --record nginx.jsonl

Exit codes:
  0  healed, restarted, recovered, or nothing was wrong
  4  not healed, or not so far: a person is needed, or the daemon tries again later
  5  left alone on purpose: paused, masked, kill switch, package upgrade, …
  6  no such unit, or not in Prunella's care
  7  permission denied: run as root"
)]
pub(crate) struct HealArgs {
    /// Unit; `.service` is optional
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,

    /// Dry run: carry nothing out, print the plan
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Restart the service even if nothing is wrong with it. Passes the same checks as any
    /// healing: grants, protected units, a broken configuration. Recorded as an operator's
    /// request
    #[arg(long)]
    pub(crate) restart: bool,

    /// Record every host call of the strategies, with its answer, in a new file
    /// that only root can read, for `prunella plugin replay`. Secrets are
    /// redacted. Heals in this process, not in the daemon
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// `prunella expect`
#[derive(Debug, Args)]
#[command(
    long_about = "Expect work that strains a service, such as a backup or an import, so that \
        nobody is told of it.\n\n\
        For the span, what the service uses and slow answers degrade it no longer; --allow \
        names fewer metrics. What is degraded already stays so until it has cleared. That the \
        service is down, or goes unanswered, counts as ever, and is healed. Questions in the \
        span count for no error budget. It survives restarts and ends by itself; reports of \
        incidents in the span say it.",
    after_help = "\
Examples:
  sudo prunella expect db --for 2h --reason 'nightly backup'
  sudo prunella expect db --for 30m --reason import --allow cpu --allow io-write-bytes-per-second
  prunella expect --list
  sudo prunella expect db --end"
)]
pub(crate) struct ExpectArgs {
    /// Unit in Prunella's care; `.service` is optional
    #[arg(value_name = "UNIT", required_unless_present = "list")]
    pub(crate) unit: Option<String>,

    /// Duration, such as 30m, 2h or 1d; a week at most
    #[arg(long = "for", value_name = "SPAN", value_parser = expected_span,
          required_unless_present_any = ["list", "end"])]
    pub(crate) span: Option<std::time::Duration>,

    /// What the work is, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason,
          required_unless_present_any = ["list", "end"])]
    pub(crate) reason: Option<String>,

    /// Relax only this metric, such as cpu, memory or latency; may be repeated
    #[arg(long, value_name = "METRIC")]
    pub(crate) allow: Vec<String>,

    /// Show what work is expected
    #[arg(long, conflicts_with_all = ["unit", "span", "reason", "allow", "end"])]
    pub(crate) list: bool,

    /// Print JSON
    #[arg(long, requires = "list")]
    pub(crate) json: bool,

    /// End the expected work of the unit now
    #[arg(long, conflicts_with_all = ["span", "reason", "allow"])]
    pub(crate) end: bool,
}

/// What goes on for longer is no longer expected work.
const LONGEST_WORK: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

fn expected_span(text: &str) -> Result<std::time::Duration, String> {
    let span = crate::time::parse_span(text)?;
    if span > LONGEST_WORK {
        return Err("a week is the longest: for what lasts, change the limits".to_owned());
    }
    Ok(span)
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
        With a mistake in the configuration, this fails and shows every mistake; the previous \
        configuration stays in force.",
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
