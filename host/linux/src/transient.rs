//! Running a program outside the daemon, in a transient unit of its own.
//!
//! systemd starts it, with a sandbox, a user and a time limit, and tells how it
//! ended; its output comes back through a pipe that is read all the while and
//! of which only the end is kept. Arguments are passed as they are: neither `$`
//! nor `%` means anything. When there is no bus, `systemd-run` does the same
//! over systemd's private socket.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Goal, UnitStatus, Units},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, fchmod, fcntl_getfl, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};
use zbus::{Fd, Variant};

use crate::{bounded::bounded, error::BusError, runs_as::RunsAs, runtime::Shared};

/// Of the output so much is kept: its end.
pub(crate) const OUTPUT: usize = 4096;
/// A program that does not end on SIGTERM is killed after so long.
const GRACE: Duration = Duration::from_secs(2);
/// systemd's own work around a run: beyond this the answer is `timed-out`.
const SLACK: Duration = Duration::from_secs(3);
/// The shortest run worth starting.
const SHORTEST: Duration = Duration::from_millis(100);
/// While the unit has ended, at most so much more output is read.
const REST: usize = 1024 * 1024;

/// A capability(7), by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Setgid = 6,
    Setuid = 7,
    NetBindService = 10,
}

impl Capability {
    fn word(self) -> &'static str {
        match self {
            Self::Chown => "CAP_CHOWN",
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::Fowner => "CAP_FOWNER",
            Self::Setgid => "CAP_SETGID",
            Self::Setuid => "CAP_SETUID",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
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
    /// As whom.
    pub(crate) runs_as: RunsAs,
    /// What it may reach.
    pub(crate) sandbox: Sandbox,
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

/// One setting of the transient unit, for D-Bus and for a command line.
#[derive(Debug, Clone, PartialEq)]
enum Setting {
    Text(&'static str, String),
    Flag(&'static str, bool),
    List(&'static str, Vec<String>),
    /// In D-Bus `…USec`, in a file `…Sec`.
    Time(&'static str, Duration),
    Number(&'static str, u64),
    Capabilities(Vec<Capability>),
    Families(Vec<&'static str>),
    /// Every namespace is forbidden.
    NoNamespaces,
    /// Every exit code counts as success to systemd: a check that says no is
    /// not a failed unit, and must not set off anybody's OnFailure=.
    AnyExitCode,
}

impl Setting {
    fn for_bus(&self) -> (String, Variant<'static>) {
        match self {
            Self::Text(name, value) => ((*name).to_owned(), Variant::from(value.clone())),
            Self::Flag(name, value) => ((*name).to_owned(), Variant::from(*value)),
            Self::List(name, values) => ((*name).to_owned(), Variant::from(values.clone())),
            Self::Time(name, value) => (
                format!("{name}USec"),
                Variant::from(u64::try_from(value.as_micros()).unwrap_or(u64::MAX)),
            ),
            Self::Number(name, value) => ((*name).to_owned(), Variant::from(*value)),
            Self::Capabilities(these) => (
                "CapabilityBoundingSet".to_owned(),
                Variant::from(these.iter().fold(0_u64, |set, one| set | 1 << (*one as u8))),
            ),
            Self::Families(these) => (
                "RestrictAddressFamilies".to_owned(),
                // True: these and no others.
                Variant::from((
                    true,
                    these
                        .iter()
                        .map(|one| (*one).to_owned())
                        .collect::<Vec<String>>(),
                )),
            ),
            Self::NoNamespaces => ("RestrictNamespaces".to_owned(), Variant::from(0_u64)),
            Self::AnyExitCode => (
                "SuccessExitStatus".to_owned(),
                Variant::from(((1..=255).collect::<Vec<i32>>(), Vec::<i32>::new())),
            ),
        }
    }

    fn for_command_line(&self) -> String {
        match self {
            Self::Text(name, value) => format!("{name}={}", value.replace('%', "%%")),
            Self::Flag(name, value) => format!("{name}={}", if *value { "yes" } else { "no" }),
            Self::List(name, values) => {
                let quoted: Vec<String> = values.iter().map(|value| quote(value)).collect();
                format!("{name}={}", quoted.join(" "))
            }
            Self::Time(name, value) => format!("{name}Sec={}us", value.as_micros()),
            Self::Number(name, value) => format!("{name}={value}"),
            Self::Capabilities(these) => {
                let words: Vec<&str> = these.iter().map(|one| one.word()).collect();
                format!("CapabilityBoundingSet={}", words.join(" "))
            }
            Self::Families(these) => format!("RestrictAddressFamilies={}", these.join(" ")),
            Self::NoNamespaces => "RestrictNamespaces=yes".to_owned(),
            Self::AnyExitCode => {
                let codes: Vec<String> = (1..=255).map(|code: u8| code.to_string()).collect();
                format!("SuccessExitStatus={}", codes.join(" "))
            }
        }
    }
}

fn quote(word: &str) -> String {
    format!(
        "\"{}\"",
        word.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('%', "%%")
    )
}

fn settings(task: &Task, limit: Duration) -> Vec<Setting> {
    let sandbox = &task.sandbox;
    let mut settings = vec![
        Setting::Text("Description", format!("Prunella: {}", task.description)),
        Setting::Text("CollectMode", "inactive-or-failed".to_owned()),
        Setting::Time("TimeoutStart", limit),
        Setting::Time("TimeoutStop", GRACE),
        Setting::AnyExitCode,
        Setting::Flag("NoNewPrivileges", true),
        Setting::Flag("PrivateDevices", true),
        Setting::Flag("ProtectKernelTunables", true),
        Setting::Flag("ProtectKernelModules", true),
        Setting::Flag("ProtectKernelLogs", true),
        Setting::Flag("ProtectControlGroups", true),
        Setting::Flag("ProtectClock", true),
        Setting::Flag("ProtectHostname", true),
        Setting::Flag("RestrictRealtime", true),
        Setting::Flag("RestrictSUIDSGID", true),
        Setting::Flag("LockPersonality", true),
        Setting::NoNamespaces,
        Setting::Number("LimitCORE", 0),
        Setting::Number("TasksMax", 512),
        Setting::Text(
            "ProtectSystem",
            match sandbox.protect_system {
                ProtectSystem::No => "no",
                ProtectSystem::Programs => "yes",
                ProtectSystem::Strict => "strict",
            }
            .to_owned(),
        ),
        Setting::Text(
            "ProtectHome",
            if sandbox.protect_home {
                "read-only"
            } else {
                "no"
            }
            .to_owned(),
        ),
        Setting::Flag("PrivateTmp", sandbox.private_tmp),
        Setting::Flag("PrivateNetwork", sandbox.private_network),
        Setting::Capabilities(sandbox.capabilities.clone()),
        Setting::Families(sandbox.families.clone()),
    ];
    if !sandbox.writable.is_empty() {
        settings.push(Setting::List(
            "ReadWritePaths",
            sandbox
                .writable
                .iter()
                .map(|path| format!("-{path}"))
                .collect(),
        ));
    }
    if !task.runs_as.user.is_empty() {
        settings.push(Setting::Text("User", task.runs_as.user.clone()));
    }
    if !task.runs_as.group.is_empty() {
        settings.push(Setting::Text("Group", task.runs_as.group.clone()));
    }
    if task.runs_as.dynamic {
        // The same name gives the same user as long as the service runs.
        settings.push(Setting::Flag("DynamicUser", true));
    }
    if !task.runs_as.more_groups.is_empty() {
        settings.push(Setting::List(
            "SupplementaryGroups",
            task.runs_as.more_groups.clone(),
        ));
    }
    settings
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
    bounded(deadline, &format!("running {program}"), move || {
        command.stdin(Stdio::null()).output()
    })?
    .map_err(|error| {
        Failure::unavailable("no-program", format!("{program} cannot be run: {error}"))
    })
}

fn wait_readable(fds: &mut [PollFd<'_>]) -> rustix::io::Result<()> {
    match poll(fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A pipe for a program's output, its end for reading without blocking.
fn output_pipe() -> Answer<(OwnedFd, OwnedFd)> {
    let made = pipe_with(PipeFlags::CLOEXEC).and_then(|(reader, writer)| {
        fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
        // A program that is not root and opens /dev/stderr anew, as some do for
        // their log, needs permission for the pipe itself.
        fchmod(&writer, Mode::from_raw_mode(0o622))?;
        Ok((reader, writer))
    });
    made.map_err(|error| {
        Failure::unavailable(
            "no-pipe",
            format!("no pipe for a program's output: {error}"),
        )
    })
}

/// Reads a program's output while it runs, so that it never waits for us, and
/// keeps the end.
struct Collector {
    thread: JoinHandle<Vec<u8>>,
    stop: OwnedFd,
}

impl Collector {
    fn start(reader: OwnedFd) -> Answer<Self> {
        let no = |error: &dyn std::fmt::Display| {
            Failure::unavailable(
                "no-thread",
                format!("nothing to read a program's output with: {error}"),
            )
        };
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| no(&error))?;
        let thread = std::thread::Builder::new()
            .name("prunella-output".to_owned())
            .spawn(move || collect(&reader, &stopped))
            .map_err(|error| no(&error))?;
        Ok(Self { thread, stop })
    }

    /// The end of what was written; for when the program has ended.
    fn finish(self) -> Vec<u8> {
        // A child left behind may still hold the pipe: what is there now is
        // read, and no more is waited for.
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn collect(reader: &OwnedFd, stopped: &OwnedFd) -> Vec<u8> {
    let mut kept = Vec::with_capacity(2 * OUTPUT);
    let mut chunk = vec![0_u8; 16 * 1024];
    let mut rest = None;
    loop {
        match rustix::io::read(reader, chunk.as_mut_slice()) {
            Ok(0) => break,
            Ok(read) => {
                kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
                if kept.len() > OUTPUT {
                    kept.drain(..kept.len() - OUTPUT);
                }
                if let Some(rest) = rest.as_mut() {
                    *rest += read;
                    if *rest > REST {
                        break;
                    }
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if rest.is_some() => break,
            Err(Errno::AGAIN) => {
                let mut fds = [
                    PollFd::new(reader, PollFlags::IN),
                    PollFd::new(stopped, PollFlags::IN),
                ];
                if wait_readable(&mut fds).is_err() {
                    break;
                }
                let [_, stop] = &fds;
                if !stop.revents().is_empty() {
                    rest = Some(0);
                }
            }
            Err(_) => break,
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn task() -> Task {
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
            },
            timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn settings_say_the_same_both_ways() {
        let settings = settings(&task(), Duration::from_secs(10));
        let lines: Vec<String> = settings.iter().map(Setting::for_command_line).collect();
        for line in [
            "TimeoutStartSec=10000000us",
            "ProtectSystem=strict",
            "CapabilityBoundingSet=CAP_CHOWN CAP_NET_BIND_SERVICE",
            "ReadWritePaths=\"-/run\"",
            "SupplementaryGroups=\"adm\"",
            "User=app",
        ] {
            assert!(lines.iter().any(|there| there == line), "{line}");
        }
        let bus: Vec<(String, Variant<'_>)> = settings.iter().map(Setting::for_bus).collect();
        assert!(bus.contains(&("TimeoutStartUSec".to_owned(), Variant::from(10_000_000_u64))));
        assert!(bus.contains(&(
            "CapabilityBoundingSet".to_owned(),
            Variant::from(1_u64 | 1 << 10)
        )));
    }

    #[rstest]
    #[case::exited(Some(1), None, "", true)]
    #[case::said_something(Some(203), None, "usage", true)]
    #[case::no_program(Some(203), None, "", false)]
    #[case::no_sandbox(Some(226), None, "", false)]
    #[case::killed(None, Some("KILL"), "", true)]
    #[case::nothing_happened(None, None, "", false)]
    fn what_counts_as_run(
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
    fn the_end_of_the_output_is_kept() {
        let (reader, writer) = output_pipe().unwrap();
        let collector = Collector::start(reader).unwrap();
        let mut file = std::fs::File::from(writer);
        for line in 0..100_000 {
            std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
        }
        drop(file);
        let kept = collector.finish();
        assert_eq!(kept.len(), OUTPUT);
        assert!(kept.ends_with(b"99998\n99999\n"));
    }

    #[test]
    fn a_pipe_that_stays_open_is_not_waited_for() {
        let (reader, writer) = output_pipe().unwrap();
        let collector = Collector::start(reader).unwrap();
        rustix::io::write(&writer, b"half a line").unwrap();
        assert_eq!(collector.finish(), b"half a line");
    }

    #[test]
    fn names_are_units_and_differ() {
        let one = unit_name("check").unwrap();
        assert!(one.as_str().starts_with("prunella-check-"));
        assert_ne!(one, unit_name("check").unwrap());
    }
}
