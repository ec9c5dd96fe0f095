//! Running a program outside the daemon, in a transient unit of its own.
//!
//! systemd starts it, with a sandbox, a user and a time limit, and tells how it
//! ended; its output comes back through a pipe that is read all the while and
//! of which only the end is kept. Arguments are passed as they are: neither `$`
//! nor `%` means anything. When there is no bus, `systemd-run` does the same
//! over systemd's private socket.

mod orphans;
mod output;
mod settings;

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Goal, UnitStatus},
};
use zbus::{Fd, Variant};

pub(crate) use self::output::OUTPUT;
use self::{
    output::{Collector, output_pipe},
    settings::{Setting, settings},
};
use crate::{
    error::BusError, runs_as::RunsAs, runtime::Shared, timeout::with_timeout, units::Units,
};

/// A program that does not end on SIGTERM is killed after so long.
const GRACE: Duration = Duration::from_secs(2);
/// systemd's own work around a run: beyond this the answer is `timed-out`.
const SLACK: Duration = Duration::from_secs(3);
/// The shortest run worth starting.
const SHORTEST: Duration = Duration::from_millis(100);

/// A capability(7), by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Fsetid = 4,
    Kill = 5,
    Setgid = 6,
    Setuid = 7,
    Setpcap = 8,
    NetBindService = 10,
    SysRawio = 17,
    SysChroot = 18,
    SysPtrace = 19,
    SysAdmin = 21,
    Mknod = 27,
    AuditWrite = 29,
    Setfcap = 31,
}

impl Capability {
    fn as_str(self) -> &'static str {
        match self {
            Self::Chown => "CAP_CHOWN",
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::Fowner => "CAP_FOWNER",
            Self::Fsetid => "CAP_FSETID",
            Self::Kill => "CAP_KILL",
            Self::Setgid => "CAP_SETGID",
            Self::Setuid => "CAP_SETUID",
            Self::Setpcap => "CAP_SETPCAP",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::SysRawio => "CAP_SYS_RAWIO",
            Self::SysChroot => "CAP_SYS_CHROOT",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Mknod => "CAP_MKNOD",
            Self::AuditWrite => "CAP_AUDIT_WRITE",
            Self::Setfcap => "CAP_SETFCAP",
        }
    }
}

/// systemd's ProtectSystem=.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtectSystem {
    /// Everything can be written.
    No,
    /// All but `/usr` and `/boot`.
    Programs,
    /// Nothing but what is named.
    Strict,
}

/// A device, or a group of them, that a program may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// A path, or such as `char-nvidia*`.
    pub(crate) name: String,
    /// `r`, `w` or both.
    pub(crate) access: &'static str,
}

/// What a program may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sandbox {
    pub(crate) protect_system: ProtectSystem,
    /// Whether `/home`, `/root` and `/run/user` are read-only.
    pub(crate) protect_home: bool,
    /// Whether it gets a `/tmp` of its own.
    pub(crate) private_tmp: bool,
    /// Whether it has no network but its own loopback.
    pub(crate) private_network: bool,
    /// Writable all the same; those that do not exist are left out.
    pub(crate) writable: Vec<String>,
    /// What root, or a program that becomes root, is left with.
    pub(crate) capabilities: Vec<Capability>,
    /// Kinds of sockets it may make.
    pub(crate) families: Vec<&'static str>,
    /// What of `/dev` it may open besides what is no hardware.
    pub(crate) devices: Vec<Device>,
}

/// A secret that systemd reads, and hands to the program alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    /// The name of its file in `$CREDENTIALS_DIRECTORY`.
    pub(crate) name: &'static str,
    /// Where systemd reads it.
    pub(crate) path: PathBuf,
}

/// A file that a program sees in the place of another, and cannot change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownInstead {
    pub(crate) path: PathBuf,
    pub(crate) shown: PathBuf,
}

impl Sandbox {
    /// For work on a declared file: it may lie anywhere and belong to anybody, so everything
    /// can be written, and nothing else can be done.
    pub(crate) fn for_declared_files() -> Self {
        Self {
            protect_system: ProtectSystem::No,
            protect_home: false,
            private_tmp: false,
            private_network: true,
            writable: Vec::new(),
            capabilities: vec![
                Capability::Chown,
                Capability::DacOverride,
                Capability::DacReadSearch,
                Capability::Fowner,
            ],
            families: vec!["AF_UNIX"],
            devices: Vec::new(),
        }
    }
}

impl Sandbox {
    /// For the package manager, which writes everywhere and runs what packages bring, with the
    /// rights that they have where an image of a system is built.
    pub(crate) fn for_package_manager() -> Self {
        Self {
            private_network: false,
            capabilities: vec![
                Capability::Chown,
                Capability::DacOverride,
                Capability::DacReadSearch,
                Capability::Fowner,
                Capability::Fsetid,
                Capability::Kill,
                Capability::Setgid,
                Capability::Setuid,
                Capability::Setpcap,
                Capability::NetBindService,
                Capability::SysChroot,
                Capability::Mknod,
                Capability::AuditWrite,
                Capability::Setfcap,
            ],
            families: vec!["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"],
            ..Self::for_declared_files()
        }
    }
}

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Begins the transient unit's name: `prunella-PURPOSE-…`.
    pub(crate) purpose: &'static str,
    /// systemd's Description=.
    pub(crate) description: String,
    /// Program (absolute) and arguments.
    pub(crate) command: Vec<String>,
    pub(crate) runs_as: RunsAs,
    /// What it may reach.
    pub(crate) sandbox: Sandbox,
    /// What systemd hands to it, beside its arguments.
    pub(crate) credentials: Vec<Credential>,
    /// What it sees in the place of other files.
    pub(crate) shown: Vec<ShownInstead>,
    /// Then it is stopped.
    pub(crate) timeout: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit code, when it exited.
    pub(crate) exit_code: Option<i32>,
    /// The signal that ended it, such as `KILL`.
    pub(crate) signal: Option<String>,
    /// Whether its time was up.
    pub(crate) timed_out: bool,
    /// The end of what it wrote on both outputs, at most [`OUTPUT`] bytes.
    pub(crate) output: Vec<u8>,
}

/// Runs programs; see the module.
pub(crate) trait Runner: Send + Sync {
    /// Runs one and waits for its end.
    fn run(&self, deadline: Instant, task: &Task) -> Answer<Ended>;

    /// Stops what runs for this purpose and outlives the process that began it: nobody waits
    /// for it, and it could still change something.
    fn stop_orphans(&self, deadline: Instant, purpose: &str) -> Answer<()>;
}

/// Runs them through systemd.
pub(crate) struct Transient {
    shared: Arc<Shared>,
    units: Arc<dyn Units>,
}

impl Transient {
    pub(crate) fn new(shared: Arc<Shared>, units: Arc<dyn Units>) -> Self {
        Self { shared, units }
    }
}

impl Runner for Transient {
    fn run(&self, deadline: Instant, task: &Task) -> Answer<Ended> {
        let limit = limit(deadline, task)?;
        let settings = settings(task, limit);
        let (reader, writer) = output_pipe()?;
        let name = unit_name(task.purpose)?;
        let patience = limit + GRACE + SLACK;

        let started = self.shared.block_on_deadline(deadline, async {
            Ok(start(&self.shared, &name, task, &settings, &writer).await)
        })?;
        drop(writer);
        match started {
            Ok(()) => {}
            Err(error) if error.is_down() => {
                return without_bus(deadline, &*self.units, &name, task, &settings, patience);
            }
            Err(error) => {
                return Err(error.failure(&format!("cannot run {}", task.description)));
            }
        }

        let collector = Collector::start(reader)?;
        let status = self.units.wait(deadline, &name, Goal::Settled, patience);
        // The reference was only to keep the unit's ending readable. Whether
        // this works changes nothing: it ends with the connection as well.
        let until = deadline.max(Instant::now() + Duration::from_millis(200));
        let _ = self.shared.block_on_deadline(until, async {
            Ok(self
                .shared
                .bus()
                .manager("UnrefUnit", &(name.as_str(),))
                .await)
        });
        let output = collector.finish();
        let ended = ended(&status?, output);
        was_run(task, &ended)?;
        Ok(ended)
    }

    fn stop_orphans(&self, deadline: Instant, purpose: &str) -> Answer<()> {
        orphans::stop(&self.shared, &*self.units, deadline, purpose)
    }
}

fn ended(status: &UnitStatus, output: Vec<u8>) -> Ended {
    Ended {
        exit_code: status.exit_code,
        signal: status.signal.clone(),
        timed_out: status.result == "timeout",
        output,
    }
}

/// Tells systemd's own exit codes (systemd.exec(5), "Process exit codes") from
/// the program's: a program that was run and chose such a code has usually said
/// something, and one that was not run cannot have.
fn was_run(task: &Task, ended: &Ended) -> Answer<()> {
    let Some(code @ 200..=245) = ended.exit_code else {
        if ended.exit_code.is_none() && ended.signal.is_none() && !ended.timed_out {
            return Err(Failure::failed(
                "not-run",
                format!("systemd did not run {}", task.description),
            ));
        }
        return Ok(());
    };
    if !ended.output.is_empty() {
        return Ok(());
    }
    let why = match code {
        203 => "its program cannot be executed",
        216 => "its group does not exist",
        217 => "its user does not exist",
        225 | 226 => "its sandbox cannot be set up here",
        _ => "setting it up failed",
    };
    Err(Failure::failed(
        "not-run",
        format!(
            "systemd could not run {}: {why} (exit code {code})",
            task.description
        ),
    ))
}

/// How long the program may run, so that its end can still be told in time.
fn limit(deadline: Instant, task: &Task) -> Answer<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < SHORTEST {
        return Err(Failure::timed_out(
            "deadline",
            format!("no time is left to run {}", task.description),
        ));
    }
    let reserve = (left / 10).min(Duration::from_millis(500));
    Ok(task.timeout.max(SHORTEST).min(left.saturating_sub(reserve)))
}

fn unit_name(purpose: &str) -> Answer<UnitName> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The clock tells apart what a process of the same number did before.
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    UnitName::new(format!(
        "prunella-{purpose}-{}-{:x}-{count}.service",
        std::process::id(),
        clock.tv_sec.unsigned_abs() * 1_000_000_000 + clock.tv_nsec.unsigned_abs(),
    ))
    .map_err(|error| Failure::failed("bad-unit-name", error.to_string()))
}

async fn start(
    shared: &Shared,
    name: &UnitName,
    task: &Task,
    settings: &[Setting],
    output: &OwnedFd,
) -> Result<(), BusError> {
    let mut properties: Vec<(String, Variant<'_>)> =
        settings.iter().map(Setting::for_bus).collect();
    let program = task.command.first().cloned().unwrap_or_default();
    properties.extend([
        ("Type".to_owned(), Variant::from("oneshot")),
        // Keeps the unit's ending readable as long as we hold the reference.
        ("AddRef".to_owned(), Variant::from(true)),
        (
            "ExecStartEx".to_owned(),
            Variant::from(vec![(
                program,
                task.command.clone(),
                // Or `$HOME` in an argument would be replaced.
                vec!["no-env-expand".to_owned()],
            )]),
        ),
        (
            "StandardOutputFileDescriptor".to_owned(),
            Variant::from(Fd::from(output.as_fd())),
        ),
        (
            "StandardErrorFileDescriptor".to_owned(),
            Variant::from(Fd::from(output.as_fd())),
        ),
    ]);
    let no_others: Vec<(String, Vec<(String, Variant<'_>)>)> = Vec::new();
    shared
        .bus()
        .manager(
            "StartTransientUnit",
            &(name.as_str(), "fail", properties, no_others),
        )
        .await?;
    Ok(())
}

/// The same by `systemd-run`, which reaches systemd over its private socket when
/// the bus is down. That way it can neither pass descriptors nor hold a
/// reference: the output comes by our pipe's name in `/proc`, and the unit stays
/// until its ending was read.
fn without_bus(
    deadline: Instant,
    units: &dyn Units,
    name: &UnitName,
    task: &Task,
    settings: &[Setting],
    patience: Duration,
) -> Answer<Ended> {
    let cannot = |why: &str| {
        Failure::unavailable(
            "bus-down",
            format!(
                "cannot run {}: the system bus is down, and {why}",
                task.description
            ),
        )
    };
    let (reader, writer) = output_pipe()?;
    let output = format!(
        "file:/proc/{}/fd/{}",
        std::process::id(),
        writer.as_raw_fd()
    );
    let mut command = Command::new("systemd-run");
    command
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_LOG_COLOR", "0")
        .args(["--quiet", "--no-block", "--no-ask-password"])
        .args(["--service-type=oneshot", "--remain-after-exit"])
        .arg(format!("--unit={name}"))
        .args(["-p", &format!("StandardOutput={output}")])
        .args(["-p", &format!("StandardError={output}")]);
    for setting in settings {
        // Else a failed unit would be gone before it was read.
        if !matches!(setting, Setting::Text("CollectMode", _)) {
            command.args(["-p", &setting.for_command_line()]);
        }
    }
    // `$` is replaced in what systemd-run passes on; `$$` stands for one.
    command
        .arg("--")
        .args(task.command.iter().map(|word| word.replace('$', "$$")));
    let run = run_program(deadline, command)?;
    if run.status.code() != Some(0) {
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        return Err(cannot(&format!(
            "systemd-run says: {}",
            prunella_core::text::one_line(&said, 200)
        )));
    }
    let collector = Collector::start(reader)?;
    let status = units.wait(deadline, name, Goal::Settled, patience);
    drop(writer);
    let output = collector.finish();
    // Whether these work changes nothing about what was found.
    let until = deadline.max(Instant::now() + Duration::from_millis(500));
    for verb in ["stop", "reset-failed"] {
        let mut tidy = Command::new("systemctl");
        tidy.args(["--quiet", "--no-block", "--no-ask-password", verb])
            .arg(name.as_str());
        if let Err(failure) = run_program(until, tidy) {
            tracing::debug!(%name, %failure, "cannot tidy up a transient unit");
        }
    }
    let ended = ended(&status?, output);
    was_run(task, &ended)?;
    Ok(ended)
}

/// Runs one of systemd's own programs, until `deadline`.
fn run_program(deadline: Instant, mut command: Command) -> Answer<std::process::Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    with_timeout(deadline, &format!("running {program}"), move || {
        command.stdin(Stdio::null()).output()
    })?
    .map_err(|error| {
        Failure::unavailable("no-program", format!("{program} cannot be run: {error}"))
    })
}

#[cfg(test)]
pub(in crate::transient) mod tests {
    use rstest::rstest;

    use super::*;

    pub(in crate::transient) fn task() -> Task {
        Task {
            purpose: "check",
            description: "check `config` of a.service".to_owned(),
            command: vec!["/bin/echo".to_owned(), "$HOME %n".to_owned()],
            runs_as: RunsAs {
                user: "app".to_owned(),
                group: String::new(),
                more_groups: vec!["adm".to_owned()],
                dynamic: false,
            },
            sandbox: Sandbox {
                protect_system: ProtectSystem::Strict,
                protect_home: true,
                private_tmp: true,
                private_network: false,
                writable: vec!["/run".to_owned()],
                capabilities: vec![Capability::Chown, Capability::NetBindService],
                families: vec!["AF_UNIX"],
                devices: Vec::new(),
            },
            credentials: vec![Credential {
                name: "secret",
                path: PathBuf::from("/run/x"),
            }],
            shown: vec![ShownInstead {
                path: PathBuf::from("/etc/web.conf"),
                shown: PathBuf::from("/etc/web.conf.new:1"),
            }],
            timeout: Duration::from_secs(10),
        }
    }

    #[rstest]
    #[case::exited(Some(1), None, "", true)]
    #[case::said_something(Some(203), None, "usage", true)]
    #[case::no_program(Some(203), None, "", false)]
    #[case::no_sandbox(Some(226), None, "", false)]
    #[case::killed(None, Some("KILL"), "", true)]
    #[case::nothing_happened(None, None, "", false)]
    fn outcomes_that_count_as_run(
        #[case] exit_code: Option<i32>,
        #[case] signal: Option<&str>,
        #[case] output: &str,
        #[case] run: bool,
    ) {
        let ended = Ended {
            exit_code,
            signal: signal.map(str::to_owned),
            timed_out: false,
            output: output.as_bytes().to_vec(),
        };
        assert_eq!(was_run(&task(), &ended).is_ok(), run);
    }

    #[test]
    fn no_run_is_longer_than_its_deadline() {
        let now = Instant::now();
        assert!(limit(now, &task()).unwrap_err().is("deadline"));
        assert!(limit(now + Duration::from_secs(2), &task()).unwrap() < Duration::from_secs(2));
        assert_eq!(
            limit(now + Duration::from_secs(60), &task()).unwrap(),
            Duration::from_secs(10)
        );
    }

    #[test]
    fn names_are_units_and_differ() {
        let one = unit_name("check").unwrap();
        assert!(one.as_str().starts_with("prunella-check-"));
        assert_ne!(one, unit_name("check").unwrap());
    }
}
