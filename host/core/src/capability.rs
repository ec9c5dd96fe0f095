//! The seam between a strategy and a host: one trait for each capability.
//!
//! The engine calls these traits and knows nothing else of the host. A real
//! host implements them in `prunella-linux`, a simulated one in `prunella-sim`;
//! the healer's safety kernel implements them a third time, around either, and
//! that is where policy lives.
//!
//! A [`Host`] is made *for one service*: declared names (of files, checks and
//! probes) are resolved against that service's declaration.
//!
//! All calls block. `deadline` is the moment by which a call must have
//! returned, whatever else it was told; an implementation that cannot finish
//! returns [`FailureKind::TimedOut`](crate::FailureKind::TimedOut).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Failure, StrategyName, UnitName};

/// What a capability call returns.
pub type Answer<T> = Result<T, Failure>;

/// Everything one run can reach, for one service.
#[derive(Clone)]
pub struct Host {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// systemd's units.
    pub units: Arc<dyn Units>,
    /// Processes.
    pub processes: Arc<dyn Processes>,
    /// Who holds a port.
    pub ports: Arc<dyn Ports>,
    /// Declared files.
    pub files: Arc<dyn Files>,
    /// The journal.
    pub logs: Arc<dyn Logs>,
    /// Memory, disks, load, pressure.
    pub resources: Arc<dyn Resources>,
    /// Declared probes.
    pub probes: Arc<dyn Probes>,
    /// Earlier incidents.
    pub history: Arc<dyn History>,
    /// What strategies keep between incidents.
    pub state: Arc<dyn State>,
    /// Acting on units.
    pub unit_control: Arc<dyn UnitControl>,
    /// Ending processes.
    pub process_control: Arc<dyn ProcessControl>,
    /// Repairing declared files.
    pub file_repair: Arc<dyn FileRepair>,
    /// Running declared checks.
    pub checks: Arc<dyn Checks>,
}

impl Host {
    /// A host of which one thing does everything.
    pub fn all_by<T>(one: Arc<T>) -> Self
    where
        T: Clock
            + Units
            + Processes
            + Ports
            + Files
            + Logs
            + Resources
            + Probes
            + History
            + State
            + UnitControl
            + ProcessControl
            + FileRepair
            + Checks
            + 'static,
    {
        Self {
            clock: one.clone(),
            units: one.clone(),
            processes: one.clone(),
            ports: one.clone(),
            files: one.clone(),
            logs: one.clone(),
            resources: one.clone(),
            probes: one.clone(),
            history: one.clone(),
            state: one.clone(),
            unit_control: one.clone(),
            process_control: one.clone(),
            file_repair: one.clone(),
            checks: one,
        }
    }
}

/// What time it is.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 (UTC). May jump.
    fn now(&self) -> u64;
    /// Nanoseconds since some moment in the past. Never goes back.
    fn monotonic(&self) -> u64;
    /// Lets time pass; ends early with `timed-out` at the deadline.
    fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()>;
}

/// systemd's ActiveState.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActiveState {
    /// Up.
    Active,
    /// Up, reading its configuration again.
    Reloading,
    /// Down, with success.
    Inactive,
    /// Down, with failure.
    Failed,
    /// On its way up, or waiting for systemd's own restart.
    Activating,
    /// On its way down.
    Deactivating,
    /// Being cleaned or otherwise busy.
    Maintenance,
    /// Up, with its mounts being refreshed (systemd 257 and later).
    Refreshing,
    /// A state this version does not know.
    Other,
}

impl ActiveState {
    /// systemd's word, as D-Bus gives it.
    pub fn parse(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            "maintenance" => Self::Maintenance,
            "refreshing" => Self::Refreshing,
            _ => Self::Other,
        }
    }

    /// systemd's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Maintenance => "maintenance",
            Self::Refreshing => "refreshing",
            Self::Other => "unknown",
        }
    }
}

/// A job that systemd has queued for a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// systemd's number for it.
    pub id: u32,
    /// `start`, `stop`, `restart`, `reload`, …
    pub kind: String,
}

/// A unit as it was at one moment, read in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The canonical name (systemd's Id).
    pub name: UnitName,
    /// Every name it goes by, the canonical one among them.
    pub names: Vec<UnitName>,
    /// systemd's Description=.
    pub description: String,
    /// systemd's LoadState.
    pub load_state: String,
    /// systemd's ActiveState.
    pub active_state: ActiveState,
    /// systemd's SubState.
    pub sub_state: String,
    /// systemd's Type= (services only).
    pub kind: Option<String>,
    /// systemd's Result; `success` when there is none.
    pub result: String,
    /// The main process's exit code, when it exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended the main process, without `SIG`.
    pub signal: Option<String>,
    /// The main process.
    pub main_pid: Option<u32>,
    /// systemd's NRestarts.
    pub restarts: u32,
    /// The current or last run's invocation id.
    pub invocation: Option<String>,
    /// When the active state last changed: microseconds since 1970.
    pub since: Option<u64>,
    /// The same on the monotonic clock (CLOCK_MONOTONIC), in microseconds.
    pub since_monotonic: Option<u64>,
    /// When it last left `active` (monotonic, microseconds).
    pub active_exit_monotonic: Option<u64>,
    /// When it last entered `inactive` or `failed` (monotonic, microseconds).
    pub inactive_enter_monotonic: Option<u64>,
    /// When it last left `inactive` (monotonic, microseconds).
    pub inactive_exit_monotonic: Option<u64>,
    /// When the main process last ended (monotonic, microseconds).
    pub main_exit_monotonic: Option<u64>,
    /// systemd's Restart=.
    pub restart_policy: String,
    /// systemd's RestartSec=, in microseconds.
    pub restart_delay: u64,
    /// systemd's StartLimitBurst=.
    pub start_limit_burst: u32,
    /// systemd's StartLimitIntervalSec=, in microseconds.
    pub start_limit_interval: u64,
    /// systemd's StartLimitAction=.
    pub start_limit_action: String,
    /// systemd's FailureAction=.
    pub failure_action: String,
    /// systemd's SuccessAction=.
    pub success_action: String,
    /// RemainAfterExit=.
    pub remain_after_exit: bool,
    /// The pending job.
    pub job: Option<PendingJob>,
    /// Requires=, Requisite= and BindsTo=.
    pub requires: Vec<UnitName>,
    /// RequiredBy=, RequisiteOf=, BoundBy= and ConsistsOf=: what stops with it.
    pub required_by: Vec<UnitName>,
    /// Conflicts= and ConflictedBy=: what a start of it would stop.
    pub conflicts: Vec<UnitName>,
    /// OnFailure=.
    pub on_failure: Vec<UnitName>,
    /// TriggeredBy=: the sockets, timers and paths that start it.
    pub triggered_by: Vec<UnitName>,
    /// Triggers=: what it starts, for a socket or timer.
    pub triggers: Vec<UnitName>,
    /// The control group, such as `/system.slice/nginx.service`.
    pub control_group: Option<String>,
    /// User=, empty for root.
    pub user: String,
    /// Group=, empty for the user's own.
    pub group: String,
    /// The file that defines it.
    pub fragment: Option<String>,
    /// Whether the unit's files changed since systemd read them.
    pub needs_reload: bool,
    /// Whether its network is its own (PrivateNetwork=, NetworkNamespacePath=).
    pub private_network: bool,
}

impl UnitStatus {
    /// Whether the unit is up, by its kind: active, or for a oneshot without
    /// RemainAfterExit=, done with success.
    pub fn is_up(&self) -> bool {
        match self.active_state {
            ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing => true,
            ActiveState::Inactive => {
                self.is_oneshot()
                    && !self.remain_after_exit
                    && self.result == "success"
                    && self.main_exit_monotonic.is_some()
            }
            _ => false,
        }
    }

    /// Whether it is a service of Type=oneshot.
    pub fn is_oneshot(&self) -> bool {
        self.kind.as_deref() == Some("oneshot")
    }

    /// Whether nothing is going on: no job, no transition.
    pub fn is_settled(&self) -> bool {
        self.job.is_none()
            && matches!(
                self.active_state,
                ActiveState::Active | ActiveState::Inactive | ActiveState::Failed
            )
    }

    /// Whether systemd is about to start it again by itself.
    pub fn is_auto_restarting(&self) -> bool {
        // `auto-restart`; since 254 also `auto-restart-queued`, and for a moment
        // `failed-before-auto-restart` and `dead-before-auto-restart`.
        self.sub_state.contains("auto-restart")
    }

    /// Whether the unit exists.
    pub fn exists(&self) -> bool {
        self.load_state != "not-found"
    }
}

/// What [`Units::wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Up, by the kind of unit.
    Up,
    /// Inactive or failed, with no job pending.
    Down,
    /// No job pending and in no transition.
    Settled,
}

/// systemd's units.
pub trait Units: Send + Sync {
    /// How a unit stands; a unit that does not exist is `not-found`.
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus>;
    /// Waits until a unit is there. [`Goal::Up`] ends with `failed` when the
    /// unit settles in failure instead; the time running out is `timed-out`.
    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus>;
}

/// How a process stands to the service of the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kinship {
    /// In the control group of the service's unit.
    Own,
    /// Proven to be left over from an earlier run of the service.
    Leftover,
    /// Anybody else's, or not proven.
    Foreign,
}

/// What is known about a process. Never its command line or environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// Its executable.
    pub executable: Option<String>,
    /// Its owner's name, or number.
    pub user: String,
    /// The unit it belongs to.
    pub unit: Option<UnitName>,
    /// How it stands to the service.
    pub kinship: Kinship,
    /// The evidence for the kinship.
    pub evidence: String,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
}

impl ProcessInfo {
    /// For people: `process 4242 (/usr/sbin/nginx, user www-data)`.
    pub fn shown(&self) -> String {
        format!(
            "process {} ({}, user {})",
            self.pid,
            self.executable.as_deref().unwrap_or("unknown program"),
            self.user
        )
    }
}

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// It had ended already.
    WasGone,
    /// It ended when asked to (SIGTERM).
    Asked,
    /// It had to be killed (SIGKILL).
    Killed,
}

/// A handle to one process; never comes to mean another.
pub trait Process: Send + Sync {
    /// What was known when the handle was made.
    fn info(&self) -> &ProcessInfo;
    /// Whether it still runs.
    fn alive(&self) -> bool;
    /// Ends it: SIGTERM, SIGKILL after `grace`, and waits until it is gone.
    /// Only the safety kernel calls this.
    fn terminate(&self, deadline: Instant, grace: Duration) -> Answer<Termination>;
}

/// Processes.
pub trait Processes: Send + Sync {
    /// The processes in a unit's control group.
    fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>>;
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// One holder of one port.
#[derive(Clone)]
pub struct PortHolder {
    /// The process, when one can be named.
    pub process: Option<Arc<dyn Process>>,
    /// The unit that the socket belongs to, by its control group.
    pub unit: Option<UnitName>,
    /// Held by systemd for a socket unit.
    pub socket_activated: bool,
    /// The address it is bound to.
    pub address: String,
}

/// Who holds a port.
pub trait Ports: Send + Sync {
    /// Who listens on `number`, in the service's own network namespace.
    fn holders(
        &self,
        deadline: Instant,
        protocol: Protocol,
        number: u16,
    ) -> Answer<Vec<PortHolder>>;
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A device.
    Device,
}

impl FileKind {
    /// The contract's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Socket => "socket",
            Self::Fifo => "fifo",
            Self::Device => "device",
        }
    }
}

/// What [`FileRepair`] can bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// The permission bits.
    Mode,
    /// User and group.
    Owner,
    /// Where a symbolic link leads.
    Target,
}

impl Repair {
    /// The contract's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Target => "target",
        }
    }
}

/// How a declared file stands. A link is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Absent when nothing is there.
    pub kind: Option<FileKind>,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    /// The owner's name, or number.
    pub owner: String,
    /// The group's name, or number.
    pub group: String,
    /// Bytes; absent for a secret file.
    pub size: Option<u64>,
    /// Since it was last modified.
    pub age: Duration,
    /// Where a link leads.
    pub link_target: Option<String>,
    /// How it departs from its declaration, one sentence each.
    pub deviations: Vec<String>,
    /// Which of the deviations can be repaired.
    pub repairable: Vec<Repair>,
    /// Whether whoever reads it can.
    pub readable: bool,
}

/// A name in an environment file, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvKey {
    /// The name.
    pub name: String,
    /// Whether its value is empty.
    pub empty: bool,
}

/// Declared files, by the operator's names for them.
pub trait Files: Send + Sync {
    /// How a file stands.
    fn stat(&self, deadline: Instant, name: &str) -> Answer<FileStatus>;
    /// The SHA-256 of its content in hexadecimal; `denied` for a secret file.
    fn sha256(&self, deadline: Instant, name: &str) -> Answer<String>;
    /// The names that an environment file sets.
    fn env_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<EnvKey>>;
    /// The names that the operator requires and that are missing or empty.
    fn missing_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<String>>;
}

/// What [`Logs::tail`] should give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The unit.
    pub unit: UnitName,
    /// Only of this run.
    pub invocation: Option<String>,
    /// No less urgent than this (0 to 7).
    pub priority: Option<u8>,
    /// At most so many, the newest.
    pub lines: u32,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// 0 (emergency) to 7 (debug).
    pub priority: u8,
    /// Its text: evidence, never a command.
    pub message: String,
}

/// The journal.
pub trait Logs: Send + Sync {
    /// The last lines, oldest first.
    fn tail(&self, deadline: Instant, query: &LogQuery) -> Answer<Vec<LogEntry>>;
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What programs can still get without swapping.
    pub available: u64,
    /// All swap.
    pub swap_total: u64,
    /// Free swap.
    pub swap_free: u64,
}

/// A file system, in bytes and numbers of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// All there is.
    pub total: u64,
    /// What an unprivileged program can still write.
    pub available: u64,
    /// All inodes; 0 where the file system has no fixed number.
    pub files_total: u64,
    /// Free inodes.
    pub files_available: u64,
    /// Mounted read-only.
    pub read_only: bool,
}

/// Load averages (proc_loadavg(5)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five.
    pub five: f64,
    /// Over fifteen.
    pub fifteen: f64,
    /// How many processors there are.
    pub processors: u32,
}

/// Pressure stall information over ten seconds, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// Some tasks waited.
    pub some: f64,
    /// All tasks waited.
    pub full: f64,
}

/// What [`Resources::pressure`] can tell about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PressureOf {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Input and output.
    Io,
}

/// Memory, disks, load and pressure of the host.
pub trait Resources: Send + Sync {
    /// Memory.
    fn memory(&self) -> Answer<Memory>;
    /// The file system below a declared file, or `/`, `/var`, `/tmp`, `/run`.
    fn disk(&self, place: &str) -> Answer<Disk>;
    /// Load.
    fn load(&self) -> Answer<Load>;
    /// Pressure; `unavailable` where the kernel does not tell.
    fn pressure(&self, of: PressureOf) -> Answer<Pressure>;
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// Whether it answered as it should.
    pub answering: bool,
    /// What it said, or why not.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}

/// Declared probes.
pub trait Probes: Send + Sync {
    /// Asks one.
    fn ask(&self, deadline: Instant, name: &str) -> Answer<ProbeAnswer>;
}

/// An earlier incident of the same service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastIncident {
    /// Its id.
    pub id: String,
    /// When it was detected, in milliseconds since 1970.
    pub at: u64,
    /// What went wrong, in systemd's words.
    pub cause: String,
    /// How it ended: `healed`, `recovered`, `left-alone`, `escalated`,
    /// `interrupted`.
    pub ended: String,
    /// Who healed it.
    pub strategy: Option<String>,
}

/// What happened to this service before.
pub trait History: Send + Sync {
    /// Newest first.
    fn recent(&self, limit: u32) -> Answer<Vec<PastIncident>>;
}

/// What each strategy keeps of its own between the incidents of the service. The
/// quotas are in [`state`](crate::state).
pub trait State: Send + Sync {
    /// The value of a key, if there is one.
    fn get(&self, strategy: &StrategyName, key: &str) -> Answer<Option<String>>;
    /// Keeps a value; `quota` when there is no room, and nothing is changed.
    fn set(&self, strategy: &StrategyName, key: &str, value: &str) -> Answer<()>;
    /// Forgets a key; true when there was one.
    fn remove(&self, strategy: &StrategyName, key: &str) -> Answer<bool>;
    /// The keys, in alphabetical order.
    fn keys(&self, strategy: &StrategyName) -> Answer<Vec<String>>;
}

/// What to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitAct {
    /// For what is failed or inactive.
    Start,
    /// For what runs.
    Restart,
    /// Down.
    Stop,
    /// Read its configuration again.
    Reload,
}

/// A job that systemd has accepted.
pub trait Job: Send + Sync {
    /// Waits for its end: systemd's word (`done`, `failed`, `dependency`, …).
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String>;
}

/// Acting on units, by jobs of mode `fail`: they never replace another job.
pub trait UnitControl: Send + Sync {
    /// Queues a job.
    fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>>;
    /// Clears `failed` and the start limit's count.
    fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()>;
}

/// Ending processes.
pub trait ProcessControl: Send + Sync {
    /// Ends one; see [`Process::terminate`].
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination>;
}

/// Bringing a declared file back to its declaration.
pub trait FileRepair: Send + Sync {
    /// Repairs one aspect; true when something was changed.
    fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool>;
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Exit code 0.
    pub passed: bool,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<String>,
    /// The end of what it wrote.
    pub output: String,
}

/// Running declared checks.
pub trait Checks: Send + Sync {
    /// Runs one.
    fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport>;
}
