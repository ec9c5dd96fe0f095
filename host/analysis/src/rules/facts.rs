//! What systemd itself says of a run's end. Nobody else can say it.

use prunella_core::{analyst::FailedRun, diagnosis::Cause};

/// What a fact stands for.
pub(super) struct Fact {
    pub(super) cause: Cause,
    /// Whether it is the cause itself. Else it is only a convention, or what
    /// came of the cause.
    pub(super) certain: bool,
    pub(super) sentence: String,
    pub(super) because: String,
}

/// What systemd's Result, the exit code and the signal say.
pub(super) fn facts(run: &FailedRun) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut add = |cause, certain, sentence: &str, because: String| {
        facts.push(Fact {
            cause,
            certain,
            sentence: sentence.to_owned(),
            because,
        });
    };
    let result = || format!("systemd's result is {}", run.result);
    match run.result.as_str() {
        "oom-kill" => add(
            Cause::OomKill,
            true,
            "the kernel, or systemd-oomd, killed it for its memory",
            result(),
        ),
        "watchdog" => add(
            Cause::Watchdog,
            true,
            "it gave systemd no sign of life in time (WatchdogSec=)",
            result(),
        ),
        "timeout" => add(
            Cause::Timeout,
            true,
            "it took longer to start or stop than systemd allows",
            result(),
        ),
        "start-limit-hit" => add(
            Cause::StartLimit,
            false,
            "systemd refuses to start it again: it was started too often",
            result(),
        ),
        // Which unit, its own state tells.
        "dependency" => add(
            Cause::DependencyRefused,
            false,
            "a unit that it requires did not start",
            result(),
        ),
        _ => {}
    }
    if let Some(signal) = run.signal.as_deref() {
        let ended = format!("signal {signal} ended its main process");
        match signal {
            "SEGV" => add(
                Cause::Segfault,
                true,
                "it accessed memory that is not its own",
                ended,
            ),
            "BUS" => add(
                Cause::Segfault,
                true,
                "it accessed memory that cannot be accessed; a file that shrank while it was \
                 mapped does that, too",
                ended,
            ),
            _ => {}
        }
    }
    // Of a process that a signal ended, the code is the signal's number.
    if run.signal.is_none()
        && let Some(code) = run.exit_code
        && let Some((cause, certain, what, name)) = exit_code(code)
    {
        add(cause, certain, what, format!("exit code {code} ({name})"));
    }
    facts
}

/// What an exit code means where it has a meaning: cause, whether the code alone
/// is enough, sentence, name (systemd.exec(5), "Process exit codes").
fn exit_code(code: i32) -> Option<(Cause, bool, &'static str, &'static str)> {
    use Cause::{BadConfig, MissingExecutable, MissingFile, NoMemory, PermissionDenied, Segfault};
    Some(match code {
        // Shells' own, and sysexits.h.
        78 => (
            BadConfig,
            false,
            "it says that its configuration is wrong",
            "CONFIG",
        ),
        126 => (
            MissingExecutable,
            false,
            "a shell could not execute a program",
            "a shell's own",
        ),
        127 => (
            MissingExecutable,
            false,
            "a program, or a library of it, was not found",
            "a shell's or the loader's own",
        ),
        139 => (
            Segfault,
            false,
            "a program that it ran accessed memory that is not its own",
            "128 and signal 11",
        ),
        // systemd's own, before the program runs.
        200 => (
            MissingFile,
            true,
            "its working directory cannot be entered (WorkingDirectory=)",
            "CHDIR",
        ),
        203 => (
            MissingExecutable,
            true,
            "its program is not there, or cannot be executed",
            "EXEC",
        ),
        204 => (NoMemory, true, "there was no memory to start it", "MEMORY"),
        205 => (
            PermissionDenied,
            true,
            "its resource limits could not be set (Limit…=)",
            "LIMITS",
        ),
        206 => (
            PermissionDenied,
            true,
            "its OOM score could not be set (OOMScoreAdjust=)",
            "OOM_ADJUST",
        ),
        208 => (
            BadConfig,
            true,
            "its standard input could not be opened (StandardInput=)",
            "STDIN",
        ),
        209 => (
            BadConfig,
            true,
            "its standard output could not be opened (StandardOutput=)",
            "STDOUT",
        ),
        210 => (
            MissingFile,
            true,
            "its root directory cannot be entered (RootDirectory=)",
            "CHROOT",
        ),
        214 => (
            PermissionDenied,
            true,
            "its scheduling could not be set (CPUSchedulingPolicy=)",
            "SETSCHEDULER",
        ),
        215 => (
            BadConfig,
            true,
            "its processors could not be set (CPUAffinity=)",
            "CPUAFFINITY",
        ),
        216 => (
            BadConfig,
            true,
            "its group does not exist, or cannot be taken (Group=, SupplementaryGroups=)",
            "GROUP",
        ),
        217 => (
            BadConfig,
            true,
            "its user does not exist, or cannot be taken (User=)",
            "USER",
        ),
        218 => (
            PermissionDenied,
            true,
            "its capabilities could not be set (CapabilityBoundingSet=, AmbientCapabilities=)",
            "CAPABILITIES",
        ),
        219 => (
            PermissionDenied,
            true,
            "its control group could not be set up",
            "CGROUP",
        ),
        222 => (
            BadConfig,
            true,
            "its standard error could not be opened (StandardError=)",
            "STDERR",
        ),
        224 => (
            PermissionDenied,
            true,
            "PAM did not let it in (PAMName=)",
            "PAM",
        ),
        225 => (
            BadConfig,
            true,
            "its network namespace could not be set up (PrivateNetwork=, NetworkNamespacePath=)",
            "NETWORK",
        ),
        226 => (
            MissingFile,
            true,
            "its view of the file system could not be set up; a path that it names may not be there (ReadWritePaths=, BindPaths=, …)",
            "NAMESPACE",
        ),
        228 => (
            BadConfig,
            true,
            "its system call filter could not be set (SystemCallFilter=)",
            "SECCOMP",
        ),
        229 => (
            BadConfig,
            true,
            "its SELinux context could not be set (SELinuxContext=)",
            "SELINUX_CONTEXT",
        ),
        231 => (
            BadConfig,
            true,
            "its AppArmor profile could not be set (AppArmorProfile=)",
            "APPARMOR",
        ),
        233 => (
            PermissionDenied,
            true,
            "its runtime directory could not be made (RuntimeDirectory=)",
            "RUNTIME_DIRECTORY",
        ),
        235 => (
            PermissionDenied,
            true,
            "a directory of it could not be given to its user",
            "CHOWN",
        ),
        238 => (
            PermissionDenied,
            true,
            "its state directory could not be made (StateDirectory=)",
            "STATE_DIRECTORY",
        ),
        239 => (
            PermissionDenied,
            true,
            "its cache directory could not be made (CacheDirectory=)",
            "CACHE_DIRECTORY",
        ),
        240 => (
            PermissionDenied,
            true,
            "its log directory could not be made (LogsDirectory=)",
            "LOGS_DIRECTORY",
        ),
        241 => (
            PermissionDenied,
            true,
            "its configuration directory could not be made (ConfigurationDirectory=)",
            "CONFIGURATION_DIRECTORY",
        ),
        243 => (
            MissingFile,
            true,
            "its credentials could not be set up (LoadCredential=)",
            "CREDENTIALS",
        ),
        _ => return None,
    })
}
