//! Processes as handles, and how each stands to the service.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{
        ActiveState, Answer, Kinship, Process, ProcessInfo, Processes, Termination, Units,
    },
    text::one_line,
};
use rustix::process::Signal;

use crate::{
    accounts::Accounts,
    cgroup::{Cgroups, is_of_users, unit_of},
    pidfd::PidFd,
    procfs,
};

/// So many processes of a unit are given at most; each handle holds a file
/// descriptor.
const PROCESSES_MAX: usize = 256;

/// A path longer than this is cut where it is shown.
const EXECUTABLE_MAX: usize = 256;

/// What systemd's own records say of a unit's runs.
pub trait Runs: Send + Sync {
    /// Whether systemd itself gave this invocation id to a run of this unit.
    /// What any other process claims does not count.
    fn gave(&self, deadline: Instant, unit: &UnitName, invocation: &str) -> Answer<bool>;
}

/// What decides how a process stands to one service.
pub struct Kin {
    unit: UnitName,
    cgroups: Arc<Cgroups>,
    units: Arc<dyn Units>,
    runs: Arc<dyn Runs>,
    /// The unit that this very program runs in.
    own_unit: Option<UnitName>,
}

struct Judgement {
    unit: Option<UnitName>,
    kinship: Kinship,
    evidence: String,
}

impl Kin {
    /// For the service of `unit`, a canonical name.
    pub fn new(
        unit: UnitName,
        cgroups: Arc<Cgroups>,
        units: Arc<dyn Units>,
        runs: Arc<dyn Runs>,
    ) -> Self {
        let own_unit = cgroups
            .of_process(std::process::id())
            .ok()
            .and_then(|path| unit_of(&path));
        Self {
            unit,
            cgroups,
            units,
            runs,
            own_unit,
        }
    }

    /// The service's unit.
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }

    /// The host's control groups.
    pub fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// The host's units.
    pub fn units(&self) -> &dyn Units {
        &*self.units
    }

    /// Takes hold of a process. `None` when it has ended, before or while it
    /// was looked at.
    ///
    /// # Errors
    /// When the kernel does not let us hold or see it.
    pub fn hold(self: &Arc<Self>, deadline: Instant, pid: u32) -> Answer<Option<Arc<dyn Process>>> {
        let pidfd = match PidFd::open(pid) {
            Ok(pidfd) => pidfd,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::unavailable(
                    "pidfd",
                    format!("the kernel gives no hold on process {pid}: {error}"),
                ));
            }
        };
        let seen = self.look_at(deadline, pid);
        // All that was read by number was read of this process only if it
        // still runs: a number is not given away before that.
        if !pidfd.alive() {
            return Ok(None);
        }
        let info = seen.map_err(|error| {
            Failure::unavailable(
                "unseen",
                format!("process {pid} runs, and cannot be looked at: {error}"),
            )
        })?;
        Ok(Some(Arc::new(Held {
            info,
            pidfd,
            kin: Arc::clone(self),
        })))
    }

    fn look_at(&self, deadline: Instant, pid: u32) -> io::Result<ProcessInfo> {
        let about = procfs::stat(pid)?;
        let user = procfs::user(pid)?;
        let judgement = self.judge(deadline, pid)?;
        Ok(ProcessInfo {
            pid,
            executable: procfs::executable(pid).map(|path| one_line(&path, EXECUTABLE_MAX)),
            user: Accounts::read().user_name(user),
            unit: judgement.unit,
            kinship: judgement.kinship,
            evidence: judgement.evidence,
            started_at: procfs::since_1970(about.started),
        })
    }

    fn judge(&self, deadline: Instant, pid: u32) -> io::Result<Judgement> {
        Ok(self.judge_in(deadline, pid, &self.cgroups.of_process(pid)?))
    }

    fn judge_in(&self, deadline: Instant, pid: u32, path: &str) -> Judgement {
        let unit = unit_of(path);
        let us = &self.unit;
        if unit.as_ref() == Some(us) {
            return Judgement {
                kinship: Kinship::Own,
                evidence: format!("it is in the control group of {us}"),
                unit,
            };
        }
        let proof = match &unit {
            Some(other) if self.is_known(deadline, other) => Err(format!("it belongs to {other}")),
            _ if path.starts_with("/..") => {
                Err("it is in a control group outside of what can be seen from here".to_owned())
            }
            _ if is_of_users(path) => Err("it belongs to a logged-in user".to_owned()),
            _ => self.leftover(deadline, pid),
        };
        let (kinship, evidence) = match proof {
            Ok(evidence) => (Kinship::Leftover, evidence),
            Err(evidence) => (Kinship::Foreign, evidence),
        };
        Judgement {
            unit,
            kinship,
            evidence,
        }
    }

    /// Whether there is such a unit. One that cannot be asked about counts as
    /// being there: then the process is its own.
    fn is_known(&self, deadline: Instant, unit: &UnitName) -> bool {
        match self.units.get(deadline, unit) {
            Ok(status) => status.exists() || status.active_state != ActiveState::Inactive,
            Err(failure) => failure.kind != prunella_core::FailureKind::NotFound,
        }
    }

    /// The proof that a process outside every unit is left over from an earlier
    /// run of the service, or why there is none.
    fn leftover(&self, deadline: Instant, pid: u32) -> Result<String, String> {
        let us = &self.unit;
        // An environment that cannot be read proves nothing either.
        let Some(invocation) = procfs::invocation(pid).ok().flatten() else {
            return Err(format!(
                "it is outside every unit, and nothing proves that it was ever part of {us}"
            ));
        };
        match self.runs.gave(deadline, us, &invocation) {
            Ok(true) if self.is_current(deadline, &invocation) => Err(format!(
                "it was started in the present run of {us}, and has left its control group"
            )),
            Ok(true) => Ok(format!(
                "it is outside every unit, and carries the invocation id that systemd gave to an \
                 earlier run of {us}"
            )),
            Ok(false) => Err(format!(
                "it is outside every unit, and the invocation id that it carries was not given \
                 to {us}"
            )),
            Err(failure) => Err(format!(
                "it is outside every unit, and the journal cannot tell whether it was ever part \
                 of {us}: {failure}"
            )),
        }
    }

    /// Whether a run is going on. When systemd cannot say, it is taken to be:
    /// then nothing is proven.
    fn is_current(&self, deadline: Instant, invocation: &str) -> bool {
        match self.units.get(deadline, &self.unit) {
            Ok(status) => {
                let down = matches!(
                    status.active_state,
                    ActiveState::Inactive | ActiveState::Failed
                );
                !down && status.invocation.as_deref() == Some(invocation)
            }
            Err(_) => true,
        }
    }
}

/// A process, held.
struct Held {
    info: ProcessInfo,
    pidfd: PidFd,
    kin: Arc<Kin>,
}

impl Held {
    /// Refuses what nobody may end through Prunella, whatever was granted.
    fn check_touchable(&self) -> Answer<()> {
        let pid = self.info.pid;
        let refuse = |what: &str| {
            Err(Failure::denied(
                "untouchable",
                format!("process {pid} is {what}; Prunella never ends it"),
            ))
        };
        if pid == 1 {
            return refuse("PID 1, the service manager itself");
        }
        if pid == std::process::id() {
            return refuse("Prunella itself");
        }
        if self.info.unit.is_some() && self.info.unit == self.kin.own_unit {
            return refuse("part of the unit that Prunella runs in");
        }
        // Not seen means gone, which the next look at the pidfd tells.
        if procfs::stat(pid).is_ok_and(|about| about.kernel_thread) {
            return refuse("a thread of the kernel");
        }
        Ok(())
    }

    /// Looks again how it stands to the service, now that it is to be ended.
    fn check_unchanged(&self, deadline: Instant) -> Answer<()> {
        let pid = self.info.pid;
        let now = self.kin.judge(deadline, pid);
        if !self.pidfd.alive() {
            return Ok(());
        }
        let now = now.map_err(|error| {
            Failure::unavailable(
                "unseen",
                format!("process {pid} runs, and cannot be looked at: {error}"),
            )
        })?;
        if now.kinship != self.info.kinship || now.unit != self.info.unit {
            return Err(Failure::denied(
                "kinship-changed",
                format!(
                    "process {pid} is not what it was when it was found: now {}; it was left alone",
                    now.evidence
                ),
            ));
        }
        Ok(())
    }

    /// Sends a signal and waits for the end; false when it still runs.
    fn signal(&self, signal: Signal, name: &str, until: Instant) -> Answer<Sent> {
        let fail = |what: &str, error: io::Error| {
            let pid = self.info.pid;
            Failure::failed("signal", format!("{what} process {pid}: {error}"))
        };
        let sent = self
            .pidfd
            .signal(signal)
            .map_err(|error| fail(&format!("cannot send {name} to"), error))?;
        if !sent {
            return Ok(Sent::WasGone);
        }
        let ended = self
            .pidfd
            .ended_by(until)
            .map_err(|error| fail("cannot wait for", error))?;
        Ok(if ended { Sent::Ended } else { Sent::StillThere })
    }
}

enum Sent {
    WasGone,
    Ended,
    StillThere,
}

impl Process for Held {
    fn info(&self) -> &ProcessInfo {
        &self.info
    }

    fn alive(&self) -> bool {
        self.pidfd.alive()
    }

    fn terminate(&self, deadline: Instant, grace: Duration) -> Answer<Termination> {
        self.check_touchable()?;
        if !self.pidfd.alive() {
            return Ok(Termination::WasGone);
        }
        self.check_unchanged(deadline)?;
        let pid = self.info.pid;
        let now = Instant::now();
        if now >= deadline {
            return Err(Failure::timed_out(
                "deadline",
                format!("no time was left to end process {pid}; nothing was sent to it"),
            ));
        }
        let grace_ends = now
            .checked_add(grace)
            .map_or(deadline, |at| at.min(deadline));
        match self.signal(Signal::TERM, "SIGTERM", grace_ends)? {
            Sent::WasGone => return Ok(Termination::WasGone),
            Sent::Ended => return Ok(Termination::Asked),
            Sent::StillThere if grace_ends >= deadline => {
                return Err(Failure::timed_out(
                    "still-there",
                    format!("process {pid} was sent SIGTERM and has not ended yet"),
                ));
            }
            Sent::StillThere => {}
        }
        match self.signal(Signal::KILL, "SIGKILL", deadline)? {
            // It ended between the two: the first signal did it.
            Sent::WasGone => Ok(Termination::Asked),
            Sent::Ended => Ok(Termination::Killed),
            Sent::StillThere => Err(Failure::timed_out(
                "still-there",
                format!("process {pid} was sent SIGKILL and is still there, deep in the kernel"),
            )),
        }
    }
}

/// The processes of a host, for one service.
pub struct HostProcesses {
    kin: Arc<Kin>,
}

impl HostProcesses {
    /// Those that `kin` tells apart.
    pub fn new(kin: Arc<Kin>) -> Self {
        Self { kin }
    }
}

impl Processes for HostProcesses {
    /// Also of a unit that is down and has left processes behind. At most 256.
    fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let cgroups = self.kin.cgroups();
        // The answer is in the tree; systemd forgets the group of a unit that
        // is down, even while processes are left in it.
        let Some(path) = cgroups.of_unit(unit) else {
            return Ok(Vec::new());
        };
        let mut pids = cgroups.processes(&path);
        pids.sort_unstable();
        pids.dedup();
        let mut held = Vec::new();
        for pid in pids.into_iter().take(PROCESSES_MAX) {
            if Instant::now() >= deadline {
                return Err(Failure::timed_out(
                    "deadline",
                    format!("the processes of {unit} could not all be looked at in time"),
                ));
            }
            held.extend(self.kin.hold(deadline, pid)?);
        }
        Ok(held)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        collections::HashMap,
        process::{Child, Command},
    };

    use prunella_core::capability::{Goal, UnitStatus};
    use rstest::rstest;

    use super::*;

    /// No unit exists; one invocation belongs to the service.
    #[derive(Default)]
    pub(crate) struct Nothing {
        pub(crate) known: HashMap<String, UnitStatus>,
    }

    impl Nothing {
        /// The service's own unit, which has failed.
        pub(crate) fn down() -> Self {
            let unit = unit_status("x.service", ActiveState::Failed);
            Self {
                known: HashMap::from([(unit.name.to_string(), unit)]),
            }
        }
    }

    /// A unit of which nothing but name and state is of interest.
    pub(crate) fn unit_status(name: &str, active_state: ActiveState) -> UnitStatus {
        UnitStatus {
            name: UnitName::new(name).unwrap(),
            names: Vec::new(),
            description: String::new(),
            load_state: "loaded".into(),
            active_state,
            sub_state: String::new(),
            kind: None,
            result: "success".into(),
            exit_code: None,
            signal: None,
            main_pid: None,
            restarts: 0,
            invocation: None,
            since: None,
            since_monotonic: None,
            active_exit_monotonic: None,
            inactive_enter_monotonic: None,
            inactive_exit_monotonic: None,
            main_exit_monotonic: None,
            restart_policy: "no".into(),
            restart_delay: 0,
            start_limit_burst: 0,
            start_limit_interval: 0,
            start_limit_action: "none".into(),
            failure_action: "none".into(),
            success_action: "none".into(),
            remain_after_exit: false,
            job: None,
            requires: Vec::new(),
            required_by: Vec::new(),
            conflicts: Vec::new(),
            on_failure: Vec::new(),
            triggered_by: Vec::new(),
            triggers: Vec::new(),
            control_group: None,
            user: String::new(),
            group: String::new(),
            fragment: None,
            needs_reload: false,
            private_network: false,
        }
    }

    impl Units for Nothing {
        fn get(&self, _: Instant, unit: &UnitName) -> Answer<UnitStatus> {
            self.known
                .get(unit.as_str())
                .cloned()
                .ok_or_else(|| Failure::not_found("no-such-unit", format!("no unit {unit}")))
        }
        fn wait(
            &self,
            deadline: Instant,
            unit: &UnitName,
            _: Goal,
            _: Duration,
        ) -> Answer<UnitStatus> {
            self.get(deadline, unit)
        }
    }

    pub(crate) struct Given(pub(crate) &'static str);

    impl Runs for Given {
        fn gave(&self, _: Instant, unit: &UnitName, invocation: &str) -> Answer<bool> {
            Ok(unit.as_str() == "x.service" && invocation == self.0)
        }
    }

    pub(crate) const RUN: &str = "0123456789abcdef0123456789abcdef";

    pub(crate) fn kin(units: Nothing) -> Arc<Kin> {
        Arc::new(Kin {
            unit: UnitName::new("x.service").unwrap(),
            cgroups: Arc::new(Cgroups::detect()),
            units: Arc::new(units),
            runs: Arc::new(Given(RUN)),
            // The tests end their own children, whatever unit they run in.
            own_unit: None,
        })
    }

    pub(crate) fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// A child that does not outlive its test, however that ends.
    struct Spawned(Child);

    impl Drop for Spawned {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl std::ops::Deref for Spawned {
        type Target = Child;
        fn deref(&self) -> &Child {
            &self.0
        }
    }

    fn spawn(command: &mut Command) -> (Spawned, Arc<dyn Process>) {
        let child = Spawned(command.spawn().unwrap());
        let held = kin(Nothing::default()).hold(soon(), child.id()).unwrap();
        (child, held.unwrap())
    }

    #[test]
    fn a_process_is_described() {
        let (child, held) = spawn(Command::new("sleep").arg("1000").env_clear());
        let info = held.info();
        assert_eq!(info.pid, child.id());
        assert!(held.alive());
        assert_eq!(info.kinship, Kinship::Foreign);
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(info.user, Accounts::read().user_name(uid));
        drop(child);
        assert!(!held.alive());
        assert_eq!(
            held.terminate(soon(), Duration::ZERO).unwrap(),
            Termination::WasGone
        );
    }

    #[test]
    fn one_that_listens_ends_when_asked() {
        let (_child, held) = spawn(Command::new("sleep").arg("1000"));
        let ending = held.terminate(soon(), Duration::from_secs(10)).unwrap();
        assert_eq!(ending, Termination::Asked);
    }

    /// A child of which it is certain that it ignores SIGTERM already.
    fn stubborn() -> (Spawned, Arc<dyn Process>) {
        use std::io::Read;
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' TERM; echo; exec sleep 1000"])
            .stdout(std::process::Stdio::piped());
        let (mut child, held) = spawn(&mut command);
        let mut byte = [0];
        child
            .0
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut byte)
            .unwrap();
        (child, held)
    }

    #[test]
    fn one_that_does_not_is_killed_after_the_grace() {
        let (_child, held) = stubborn();
        let grace = Duration::from_millis(30);
        let before = Instant::now();
        assert_eq!(held.terminate(soon(), grace).unwrap(), Termination::Killed);
        assert!(before.elapsed() >= grace);
    }

    #[test]
    fn the_deadline_ends_the_wait_and_not_the_process() {
        let (_child, held) = stubborn();
        let deadline = Instant::now() + Duration::from_millis(30);
        let failure = held
            .terminate(deadline, Duration::from_secs(60))
            .unwrap_err();
        assert!(failure.is("still-there"), "{failure:?}");
        assert!(held.alive());
        let failure = held.terminate(Instant::now(), Duration::ZERO).unwrap_err();
        assert!(failure.is("deadline"), "{failure:?}");
    }

    #[test]
    fn pid_1_and_ourselves_are_untouchable() {
        for pid in [1, std::process::id()] {
            let held = kin(Nothing::default()).hold(soon(), pid).unwrap().unwrap();
            let failure = held.terminate(soon(), Duration::ZERO).unwrap_err();
            assert!(failure.is("untouchable"), "{failure:?}");
        }
    }

    /// A child that has certainly begun to run its program: until then the
    /// kernel shows no environment of it.
    fn with_invocation(invocation: Option<&str>) -> Spawned {
        use std::io::{Read, Write};
        let mut command = Command::new("cat");
        command.env_clear();
        command.envs(invocation.map(|id| ("INVOCATION_ID", id)));
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = Spawned(command.spawn().unwrap());
        let mut byte = [b'x'];
        child.0.stdin.as_mut().unwrap().write_all(&byte).unwrap();
        let output = child.0.stdout.as_mut().unwrap();
        output.read_exact(&mut byte).unwrap();
        child
    }

    const OTHER: &str = "ffffffffffffffffffffffffffffffff";

    #[rstest]
    #[case::in_its_group("/system.slice/x.service", None, Kinship::Own)]
    #[case::below_its_group("/system.slice/x.service/worker", None, Kinship::Own)]
    #[case::proven("/", Some(RUN), Kinship::Leftover)]
    #[case::proven_in_a_slice("/system.slice", Some(RUN), Kinship::Leftover)]
    #[case::in_a_forgotten_unit("/system.slice/gone.service", Some(RUN), Kinship::Leftover)]
    #[case::of_another("/", Some(OTHER), Kinship::Foreign)]
    #[case::unproven("/", None, Kinship::Foreign)]
    #[case::in_another_unit("/system.slice/y.service", Some(RUN), Kinship::Foreign)]
    #[case::in_a_session(
        "/user.slice/user-0.slice/session-1.scope",
        Some(RUN),
        Kinship::Foreign
    )]
    #[case::of_a_user("/user.slice", Some(RUN), Kinship::Foreign)]
    #[case::in_a_container("/machine.slice/y.service/x.service", Some(RUN), Kinship::Foreign)]
    #[case::out_of_sight("/../elsewhere", Some(RUN), Kinship::Foreign)]
    fn kinship(#[case] path: &str, #[case] invocation: Option<&str>, #[case] expected: Kinship) {
        let child = with_invocation(invocation);
        let mut units = Nothing::down();
        let other = unit_status("y.service", ActiveState::Active);
        units.known.insert(other.name.to_string(), other);

        let judged = kin(units).judge_in(soon(), child.id(), path);
        assert_eq!(judged.kinship, expected, "{}", judged.evidence);
        assert!(!judged.evidence.contains(RUN), "{}", judged.evidence);
    }

    #[test]
    fn part_of_a_run_that_goes_on_is_no_leftover() {
        let child = with_invocation(Some(RUN));
        for (state, expected) in [
            (ActiveState::Active, Kinship::Foreign),
            (ActiveState::Failed, Kinship::Leftover),
        ] {
            let mut unit = unit_status("x.service", state);
            unit.invocation = Some(RUN.into());
            let known = HashMap::from([(unit.name.to_string(), unit)]);
            let judged = kin(Nothing { known }).judge_in(soon(), child.id(), "/");
            assert_eq!(judged.kinship, expected, "{}", judged.evidence);
        }
    }

    #[test]
    fn nobody_is_there() {
        assert!(kin(Nothing::default()).hold(soon(), 0).unwrap().is_none());
    }

    #[test]
    fn a_unit_without_a_control_group_has_no_processes() {
        let processes = HostProcesses::new(kin(Nothing::default()));
        let unit = UnitName::new("no-such-unit.service").unwrap();
        assert_eq!(processes.of_unit(soon(), &unit).unwrap().len(), 0);
    }
}
