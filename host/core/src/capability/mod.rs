//! Capabilities as data: everything that a strategy can ask of a host.
//!
//! A call is a value ([`Call`]), and so is its answer ([`Reply`]). Both come from
//! the tables in this file, and each capability describes its calls in a file of its
//! own: whether they look or act, at what, and what they cost.
//!
//! From the engine to the host there is one function, [`HostCalls::call`]. What
//! lies between is a stack of layers around it: a recorder, the safety kernel, in a
//! dry run what was not done, and at the bottom the real host or a simulated one.
//! A layer matches on the calls that it cares for and passes all others on.
//!
//! A [`Host`] is made *for one service*: declared names (of files, checks and
//! probes) are resolved against that service's declaration.

/// Hands the table to the macro `$then`: for each interface its package, its
/// module, its name, what looking through it means, and its calls with their
/// answers.
#[macro_export]
macro_rules! catalogue {
    ($then:ident) => {
        $then! {
            Base clock "clock" "" {
                ClockNow: Now -> $crate::Timestamp;
                ClockMonotonic: Monotonic -> u64;
                ClockSleep: Sleep -> ();
            }
            Base incidents "incidents" "" {}
            Base log "log" "" {}
            Base settings "settings" "" {}
            Base state "state" "" {
                StateGet: Get -> Option<String>;
                StateSet: Set -> ();
                StateRemove: Remove -> bool;
                StateKeys: Keys -> Vec<String>;
            }
            Observe files "files" "looks at declared files" {
                FileStat: Stat -> FileStatus;
                FileSha256: Sha256 -> String;
                FileEnvKeys: EnvKeys -> Vec<EnvKey>;
                FileMissingKeys: MissingKeys -> Vec<String>;
            }
            Observe filesystems "filesystems" "looks at file systems" {
                FileSystemList: List -> Vec<super::filesystems::FileSystem>;
                FileSystemBelow: Below -> super::filesystems::FileSystem;
            }
            Observe health "health" "looks at how services are" {
                HealthGet: Get -> $crate::health::Health;
            }
            Observe history "history" "looks at earlier incidents of the service" {
                HistoryRecent: Recent -> Vec<PastIncident>;
            }
            Observe logs "logs" "reads the journal of units" {
                LogTail: Tail -> Vec<LogEntry>;
            }
            Observe metrics "metrics" "looks at what is measured of services and the host" {
                MetricLatest: Latest -> Vec<super::metrics::Measurement>;
                MetricOver: Over -> Vec<super::metrics::SpanSummary>;
            }
            Observe ports "ports" "looks at who holds a port" {
                PortHolders: Holders -> Vec<PortHolder>;
            }
            Observe probes "probes" "asks declared probes" {
                ProbeAsk: Ask -> ProbeAnswer;
            }
            Observe processes "processes" "looks at the processes of units" {
                ProcessesOfUnit: OfUnit -> Vec<Process>;
                ProcessAlive: Alive -> bool;
                ProcessLastFacts: LastFacts -> Vec<String>;
            }
            Observe remedies "remedies" "looks at what declared remedies would do" {
                RemedyPlan: PlanOf -> $crate::remedy::Plan;
                RemedyApply: Apply -> $crate::remedy::Receipt;
                RemedyTakeBack: TakeBack -> String;
                RemedyKeep: Keep -> bool;
            }
            Observe resources "resources" "looks at memory, load and pressure" {
                MemoryUse: MemoryUse -> Memory;
                LoadAverage: LoadAverage -> Load;
                PressureShare: PressureShare -> Pressure;
            }
            Observe units "units" "looks at units, and waits for them" {
                UnitGet: Get -> UnitStatus;
                UnitWait: Wait -> UnitStatus;
            }
            Act call "call" "" {}
            Act circuit "circuit" "" {}
            Act checks "checks" "" {
                CheckRun: Run -> CheckReport;
            }
            Act cleanup "cleanup" "" {}
            Act config_update "config-update" "" {}
            Act failover "failover" "" {}
            Act file_repair "file-repair" "" {
                FileRepair: RepairFile -> bool;
            }
            Act mode "mode" "" {}
            Act file_restore "file-restore" "" {}
            Act process_control "process-control" "" {
                ProcessTerminate: Terminate -> Termination;
            }
            Act instances "instances" "" {}
            Act memory "memory" "" {}
            Act offenders "offenders" "" {}
            Act unit_limits "unit-limits" "" {}
            Act zombies "zombies" "" {}
            Act release "release" "" {
                ReleaseInForce: InForce -> $crate::remedy::ReleaseInForce;
            }
            Act set_aside "set-aside" "" {}
            Act stale_file "stale-file" "" {}
            Act signal "signal" "" {}
            Act traffic "traffic" "" {}
            Act unit_control "unit-control" "" {
                UnitSubmit: Submit -> Job;
                UnitResetFailed: ResetFailed -> ();
                JobWait: WaitForJob -> String;
            }
        }
    };
}

/// The contract's records that have the same fields here, and its enums that have the
/// same cases: what [`contract_conversions`](crate::contract_conversions) is made of.
#[macro_export]
macro_rules! contract_types {
    ($prunella:tt) => {
        $crate::contract_conversions! { @record $prunella
            $crate::capability::EnvKey => observe::files::EnvKey { name, empty }
            $crate::capability::LogEntry => observe::logs::Entry {
                at.as_millis(), priority, message
            }
            $crate::capability::Memory => observe::resources::MemoryUse {
                total, available, swap_total, swap_free
            }
            $crate::capability::filesystems::FileSystem => observe::filesystems::FileSystem {
                mount_point, device, kind, total, used, available, used_percent, inodes_total,
                inodes_available, read_only, files, kernel_log
            }
            $crate::capability::Load => observe::resources::LoadAverage {
                one, five, fifteen, processors
            }
            $crate::capability::Pressure => observe::resources::PressureShare { some, full }
            $crate::capability::PastIncident => observe::history::PastIncident {
                id, at.as_millis(), cause, ended, strategy
            }
            $crate::capability::metrics::Measurement => observe::metrics::Measurement {
                instance, at.as_millis(), value
            }
            $crate::capability::metrics::Slope => observe::metrics::Slope { an_hour, low, high }
            $crate::capability::CheckReport => act::checks::Report {
                passed, exit_code, signal, output
            }
        }
        $crate::contract_conversions! { @to $prunella
            $crate::FailureKind => base::types::FailureKind {
                Denied NotFound Invalid TimedOut Quota Unavailable Failed
            }
            $crate::capability::ActiveState => observe::units::ActiveState {
                Active Reloading Inactive Failed Activating Deactivating Maintenance Refreshing
                Other
            }
            $crate::capability::Ownership => observe::processes::Ownership {
                Own Leftover Foreign
            }
            $crate::capability::Termination => act::process_control::Ending {
                WasGone Asked Killed
            }
        }
        $crate::contract_conversions! { @from $prunella
            base::types::FailureKind => $crate::FailureKind {
                Denied NotFound Invalid TimedOut Quota Unavailable Failed
            }
            observe::units::Goal => $crate::capability::Goal { Up Down Settled }
        }
    };
}

/// The looking functions of the contract that are calls as they are: interfaces that
/// are nothing else need no bindings of their own. The types are the contract's.
#[macro_export]
macro_rules! plain_looks {
    ($then:ident) => {
        $then! {
            observe filesystems {
                list() -> Vec<FileSystem>: calls::List {};
                below(place: String) -> FileSystem: calls::Below { place };
            }
            observe health {
                get(unit: String) -> ServiceHealth: calls::Get {
                    unit: $crate::argument::unit_name(&unit)?,
                };
            }
            observe history {
                recent(limit: u32) -> Vec<PastIncident>: calls::Recent { limit };
            }
            observe metrics {
                latest(subject: String, metric: String) -> Vec<Measurement>: calls::Latest {
                    of: $crate::argument::subject(&subject)?,
                    metric: $crate::argument::metric(&metric)?,
                };
                over(subject: String, metric: String, span_milliseconds: u64) -> Vec<SpanSummary>:
                    calls::Over {
                        of: $crate::argument::subject(&subject)?,
                        metric: $crate::argument::metric(&metric)?,
                        span: $crate::argument::span(span_milliseconds)?,
                    };
            }
            observe remedies {
                plan_for(act: String, name: String) -> Plan: calls::PlanOf {
                    act: $crate::argument::remedy_act(&act)?,
                    name,
                };
            }
            observe resources {
                memory() -> MemoryUse: calls::MemoryUse {};
                load() -> LoadAverage: calls::LoadAverage {};
                pressure(of: String) -> PressureShare: calls::PressureShare {
                    of: $crate::argument::pressure(&of)?,
                };
            }
        }
    };
}

/// The acting functions that are calls as they are.
#[macro_export]
macro_rules! plain_acts {
    ($then:ident) => {
        $then! {
            act call {
                send(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::MakeCall,
                    name,
                    undo: None,
                };
            }
            act checks {
                run(name: String) -> Report: calls::Run { name };
            }
            act circuit {
                open(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::OpenCircuit,
                    name,
                    undo: None,
                };
                half_open(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::HalfOpenCircuit,
                    name,
                    undo: None,
                };
            }
            act cleanup {
                run(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::Cleanup,
                    name,
                    undo: None,
                };
            }
            act config_update {
                run(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::UpdateConfig,
                    name,
                    undo: None,
                };
            }
            act file_repair {
                mode(name: String) -> bool: calls::RepairFile {
                    name,
                    what: $crate::capability::Repair::Mode,
                };
                owner(name: String) -> bool: calls::RepairFile {
                    name,
                    what: $crate::capability::Repair::Owner,
                };
                target(name: String) -> bool: calls::RepairFile {
                    name,
                    what: $crate::capability::Repair::Target,
                };
            }
            act instances {
                up(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::ScaleUp,
                    name,
                    undo: None,
                };
                down(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::ScaleDown,
                    name,
                    undo: None,
                };
            }
            act memory {
                reclaim(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::ReclaimMemory,
                    name,
                    undo: None,
                };
            }
            act offenders {
                throttle(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::Throttle,
                    name,
                    undo: None,
                };
                freeze(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::Freeze,
                    name,
                    undo: None,
                };
                thaw(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::Thaw,
                    name,
                    undo: None,
                };
            }
            act failover {
                switch(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::SwitchOver,
                    name,
                    undo: None,
                };
            }
            act mode {
                enter(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::EnterMode,
                    name,
                    undo: None,
                };
            }
            act release {
                roll_back(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::RollBack,
                    name,
                    undo: None,
                };
            }
            act file_restore {
                run(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::RestoreFile,
                    name,
                    undo: None,
                };
            }
            act stale_file {
                remove(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::RemoveStale,
                    name,
                    undo: None,
                };
            }
            act set_aside {
                run(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::SetAside,
                    name,
                    undo: None,
                };
            }
            act traffic {
                drain(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::DrainTraffic,
                    name,
                    undo: None,
                };
                maintain(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::MaintainTraffic,
                    name,
                    undo: None,
                };
                restore(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::RestoreTraffic,
                    name,
                    undo: None,
                };
            }
            act unit_limits {
                raise(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::RaiseLimits,
                    name,
                    undo: None,
                };
                lower(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::LowerLimits,
                    name,
                    undo: None,
                };
            }
            act zombies {
                reap(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::ReapZombies,
                    name,
                    undo: None,
                };
            }
            act signal {
                send(name: String) -> Receipt: calls::Apply {
                    act: $crate::capability::Act::SendSignal,
                    name,
                    undo: None,
                };
            }
        }
    };
}

pub mod call;
pub mod catalogue;
pub mod checks;
pub mod circuit;
pub mod cleanup;
pub mod clock;
pub mod config_update;
mod description;
pub mod failover;
pub mod file_repair;
pub mod file_restore;
pub mod files;
pub mod filesystems;
pub mod health;
pub mod history;
mod host;
pub mod instances;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod mode;
pub mod offenders;
pub mod ports;
pub mod probes;
pub mod process_control;
pub mod processes;
pub mod release;
pub mod remedies;
pub mod resources;
pub mod set_aside;
pub mod signal;
pub mod stale_file;
pub mod state;
mod token;
pub mod traffic;
pub mod unit_control;
pub mod unit_limits;
pub mod units;
pub mod zombies;

use serde::Serializer;

pub use self::{
    catalogue::{Act, Call, INTERFACES, Interface, Operation, Package, Reply},
    checks::CheckReport,
    description::{
        ActsOn, Budget, Consequence, Described, Description, Durability, Look, Observe,
        OversightRule, StopsAlong, Subject, Time,
    },
    file_repair::Repair,
    files::{EnvKey, FileKind, FileStatus},
    history::PastIncident,
    host::{Answer, Host, HostCalls},
    logs::LogEntry,
    ports::{PortHolder, Protocol},
    probes::{Certificate, ProbeAnswer},
    process_control::Termination,
    processes::{Ownership, Process, ProcessInfo},
    resources::{Disk, Load, Memory, Pressure, PressureOf},
    token::Token,
    unit_control::{Job, UnitAct},
    units::{ActiveState, Goal, OwnWord, PendingJob, UnitStatus},
};

/// A process in a recording, where it is an argument.
fn number_of_process<S: Serializer>(process: &Process, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(process.number)
}

/// A job in a recording, where it is an argument.
fn number_of_job<S: Serializer>(job: &Job, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(job.number)
}

#[cfg(test)]
mod tests;
