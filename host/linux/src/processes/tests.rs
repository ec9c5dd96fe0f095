//! Whose a process is, and who may be ended.

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
        restart_delay: Duration::ZERO,
        start_limit_burst: 0,
        start_limit_interval: Duration::ZERO,
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
        can_reload: false,
        private_network: false,
        start_rules: prunella_core::start_rules::StartRules::default(),
        own_word: prunella_core::capability::OwnWord::default(),
    }
}

impl Units for Nothing {
    fn get(&self, _: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        self.known
            .get(unit.as_str())
            .cloned()
            .ok_or_else(|| Failure::not_found("no-such-unit", format!("no unit {unit}")))
    }
    fn wait(&self, deadline: Instant, unit: &UnitName, _: Goal, _: Duration) -> Answer<UnitStatus> {
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

fn known(process: &Process) -> &HeldProcess {
    process.token.get().unwrap()
}

fn spawn(command: &mut Command) -> (Spawned, Process) {
    let child = Spawned(command.spawn().unwrap());
    let held = kin(Nothing::default()).hold(soon(), child.id()).unwrap();
    (child, held.unwrap())
}

#[test]
fn a_process_is_described() {
    let (child, held) = spawn(Command::new("sleep").arg("1000").env_clear());
    let info = &held.info;
    assert_eq!(info.pid, child.id());
    assert!(known(&held).alive());
    assert_eq!(info.ownership, Ownership::Foreign);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(info.user, Accounts::read().user_name(uid));
    drop(child);
    assert!(!known(&held).alive());
    assert_eq!(
        known(&held).terminate(soon(), Duration::ZERO).unwrap(),
        Termination::WasGone
    );
}

#[test]
fn one_that_listens_ends_when_asked() {
    let (_child, held) = spawn(Command::new("sleep").arg("1000"));
    let ending = known(&held)
        .terminate(soon(), Duration::from_secs(10))
        .unwrap();
    assert_eq!(ending, Termination::Asked);
}

/// A child of which it is certain that it ignores SIGTERM already.
fn stubborn() -> (Spawned, Process) {
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
    assert_eq!(
        known(&held).terminate(soon(), grace).unwrap(),
        Termination::Killed
    );
    assert!(before.elapsed() >= grace);
}

#[test]
fn the_deadline_ends_the_wait_and_not_the_process() {
    let (_child, held) = stubborn();
    let deadline = Instant::now() + Duration::from_millis(30);
    let failure = known(&held)
        .terminate(deadline, Duration::from_secs(60))
        .unwrap_err();
    assert!(failure.is("still-there"), "{failure:?}");
    assert!(known(&held).alive());
    let failure = known(&held)
        .terminate(Instant::now(), Duration::ZERO)
        .unwrap_err();
    assert!(failure.is("deadline"), "{failure:?}");
}

#[test]
fn pid_1_and_ourselves_are_untouchable() {
    for pid in [1, std::process::id()] {
        let held = kin(Nothing::default()).hold(soon(), pid).unwrap().unwrap();
        let failure = known(&held).terminate(soon(), Duration::ZERO).unwrap_err();
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
#[case::in_its_group("/system.slice/x.service", None, Ownership::Own)]
#[case::below_its_group("/system.slice/x.service/worker", None, Ownership::Own)]
#[case::proven("/", Some(RUN), Ownership::Leftover)]
#[case::proven_in_a_slice("/system.slice", Some(RUN), Ownership::Leftover)]
#[case::in_a_forgotten_unit("/system.slice/gone.service", Some(RUN), Ownership::Leftover)]
#[case::of_another("/", Some(OTHER), Ownership::Foreign)]
#[case::unproven("/", None, Ownership::Foreign)]
#[case::in_another_unit("/system.slice/y.service", Some(RUN), Ownership::Foreign)]
#[case::in_a_session(
    "/user.slice/user-0.slice/session-1.scope",
    Some(RUN),
    Ownership::Foreign
)]
#[case::of_a_user("/user.slice", Some(RUN), Ownership::Foreign)]
#[case::in_a_container("/machine.slice/y.service/x.service", Some(RUN), Ownership::Foreign)]
#[case::out_of_sight("/../elsewhere", Some(RUN), Ownership::Foreign)]
fn ownership(#[case] path: &str, #[case] invocation: Option<&str>, #[case] expected: Ownership) {
    let child = with_invocation(invocation);
    let mut units = Nothing::down();
    let other = unit_status("y.service", ActiveState::Active);
    units.known.insert(other.name.to_string(), other);

    let judged = kin(units).judge_in(soon(), child.id(), path);
    assert_eq!(judged.ownership, expected, "{}", judged.evidence);
    assert!(!judged.evidence.contains(RUN), "{}", judged.evidence);
}

#[test]
fn part_of_a_run_that_goes_on_is_no_leftover() {
    let child = with_invocation(Some(RUN));
    for (state, expected) in [
        (ActiveState::Active, Ownership::Foreign),
        (ActiveState::Failed, Ownership::Leftover),
    ] {
        let mut unit = unit_status("x.service", state);
        unit.invocation = Some(RUN.into());
        let known = HashMap::from([(unit.name.to_string(), unit)]);
        let judged = kin(Nothing { known }).judge_in(soon(), child.id(), "/");
        assert_eq!(judged.ownership, expected, "{}", judged.evidence);
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
