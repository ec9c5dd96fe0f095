//! Processes as handles, and how each stands to the service.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{
        ActiveState, Answer, Ownership, Process, ProcessInfo, Termination, Token,
        processes::LastFacts,
    },
    contract::milliseconds,
    oversight::ProcessKey,
    text::one_line,
};
use rustix::process::Signal;

use crate::{
    accounts::Accounts,
    cgroup::{Cgroups, is_of_users, unit_of},
    last_facts,
    pidfd::PidFd,
    procfs,
    units::Units,
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
    ownership: Ownership,
    evidence: String,
}

/// Whether the process still runs. One that has taken over its number is another.
pub fn is_running(process: &ProcessKey) -> bool {
    procfs::stat(process.pid)
        .is_ok_and(|found| milliseconds(procfs::since_boot(found.started)) == process.started_ms)
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
    pub fn hold(self: &Arc<Self>, deadline: Instant, pid: u32) -> Answer<Option<Process>> {
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
        let held = HeldProcess {
            info: info.clone(),
            pidfd,
            kin: Arc::clone(self),
        };
        Ok(Some(Process::new(info, Token::new(held))))
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
            ownership: judgement.ownership,
            evidence: judgement.evidence,
            started_at: procfs::timestamp(about.started),
            since_boot: procfs::since_boot(about.started),
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
                ownership: Ownership::Own,
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
        let (ownership, evidence) = match proof {
            Ok(evidence) => (Ownership::Leftover, evidence),
            Err(evidence) => (Ownership::Foreign, evidence),
        };
        Judgement {
            unit,
            ownership,
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

/// What a process is known by: held by its descriptor.
pub(crate) struct HeldProcess {
    info: ProcessInfo,
    pidfd: PidFd,
    kin: Arc<Kin>,
}

impl HeldProcess {
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
        if now.ownership != self.info.ownership || now.unit != self.info.unit {
            return Err(Failure::denied(
                "ownership-changed",
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

impl HeldProcess {
    pub(crate) fn alive(&self) -> bool {
        self.pidfd.alive()
    }

    /// SIGTERM, SIGKILL after the grace, and waits until it is gone. Whether that
    /// may be is decided before, by the safety kernel.
    pub(crate) fn terminate(&self, deadline: Instant, grace: Duration) -> Answer<Termination> {
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

impl HostProcesses {
    /// Also of a unit that is down and has left processes behind. At most 256.
    pub fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Process>> {
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

    /// What is lost when these are ended.
    pub(crate) fn last_facts(&self, deadline: Instant, of: &LastFacts) -> Vec<String> {
        let cgroups = self.kin.cgroups();
        let groups = of.units.iter().filter_map(|unit| cgroups.of_unit(unit));
        let mut pids: Vec<u32> = groups
            .flat_map(|group| cgroups.processes(&group))
            .chain(of.pid)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        last_facts::of(&pids, deadline)
    }
}

#[cfg(test)]
pub(crate) mod tests;
