//! A rehearsal's host: the real host with an overlay of what was not done.
//!
//! Looks go to the real host, and are changed by what the acts so far would
//! have changed. What is changed so is *assumed*, and says so. Waits return at
//! once, on virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{
        ActiveState, Answer, CheckReport, Checks, Clock, EnvKey, FileRepair, FileStatus, Files,
        Goal, Host, Job, Kinship, PortHolder, Ports, ProbeAnswer, Probes, Process, ProcessControl,
        ProcessInfo, Processes, Protocol, Repair, Termination, UnitAct, UnitControl, UnitStatus,
        Units,
    },
    service::Service,
};

use crate::state::RehearsedState;

/// What would have changed.
#[derive(Default)]
struct Changes {
    /// Units as they are assumed to be.
    units: BTreeMap<UnitName, Assumed>,
    /// Processes that would be gone, by number and start.
    ended: BTreeSet<(u32, u64)>,
    /// Repairs by declared name.
    repaired: BTreeMap<String, BTreeSet<Repair>>,
    /// How much virtual time has passed.
    elapsed: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Assumed {
    Up,
    Down,
    /// Still down, its failure forgotten.
    Reset,
}

struct Overlay {
    real: Host,
    service: Arc<Service>,
    changes: Mutex<Changes>,
}

/// The host of `service` for a rehearsal, on top of the real one.
pub(crate) fn overlay(real: Host, service: Arc<Service>) -> Host {
    let resources = Arc::clone(&real.resources);
    let logs = Arc::clone(&real.logs);
    let history = Arc::clone(&real.history);
    let state = Arc::new(RehearsedState::over(Arc::clone(&real.state)));
    let overlay = Arc::new(Overlay {
        real,
        service,
        changes: Mutex::default(),
    });
    Host {
        clock: Arc::clone(&overlay) as _,
        units: Arc::clone(&overlay) as _,
        processes: Arc::clone(&overlay) as _,
        ports: Arc::clone(&overlay) as _,
        files: Arc::clone(&overlay) as _,
        logs,
        resources,
        probes: Arc::clone(&overlay) as _,
        history,
        state,
        unit_control: Arc::clone(&overlay) as _,
        process_control: Arc::clone(&overlay) as _,
        file_repair: Arc::clone(&overlay) as _,
        checks: overlay as _,
    }
}

impl Overlay {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assumed(&self, unit: &UnitName) -> Option<Assumed> {
        self.changes().units.get(unit).copied()
    }

    fn assume(&self, unit: &UnitName, state: Assumed) {
        self.changes().units.insert(unit.clone(), state);
    }

    fn is_ended(&self, process: &ProcessInfo) -> bool {
        self.changes()
            .ended
            .contains(&(process.pid, process.started_at))
    }
}

impl Clock for Overlay {
    fn now(&self) -> u64 {
        let elapsed = self.changes().elapsed;
        self.real.clock.now() + crate::healer::milliseconds(elapsed)
    }

    fn monotonic(&self) -> u64 {
        let elapsed = self.changes().elapsed;
        self.real.clock.monotonic() + u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()> {
        let mut changes = self.changes();
        let elapsed = changes.elapsed.saturating_add(duration);
        changes.elapsed = elapsed;
        if Instant::now()
            .checked_add(elapsed)
            .is_none_or(|end| end > deadline)
        {
            return Err(Failure::timed_out(
                "deadline",
                "the run's time would be up (virtual time)",
            ));
        }
        Ok(())
    }
}

impl Units for Overlay {
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let mut status = self.real.units.get(deadline, unit)?;
        match self.assumed(&status.name) {
            None => {}
            Some(Assumed::Up) => {
                "success".clone_into(&mut status.result);
                status.job = None;
                status.exit_code = None;
                status.signal = None;
                if status.is_oneshot() && !status.remain_after_exit {
                    status.active_state = ActiveState::Inactive;
                    "dead (assumed)".clone_into(&mut status.sub_state);
                    status.main_exit_monotonic.get_or_insert(0);
                } else {
                    status.active_state = ActiveState::Active;
                    "running (assumed)".clone_into(&mut status.sub_state);
                }
            }
            Some(Assumed::Reset) if status.active_state != ActiveState::Failed => {}
            Some(Assumed::Down | Assumed::Reset) => {
                status.active_state = ActiveState::Inactive;
                "dead (assumed)".clone_into(&mut status.sub_state);
                "success".clone_into(&mut status.result);
            }
        }
        Ok(status)
    }

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        let status = self.get(deadline, unit)?;
        let there = match goal {
            Goal::Up => status.is_up(),
            Goal::Down => {
                status.job.is_none()
                    && matches!(
                        status.active_state,
                        ActiveState::Inactive | ActiveState::Failed
                    )
            }
            Goal::Settled => status.is_settled(),
        };
        if there {
            return Ok(status);
        }
        let mut changes = self.changes();
        changes.elapsed = changes.elapsed.saturating_add(timeout);
        Err(Failure::timed_out(
            "rehearsal",
            format!(
                "{} stays {} in this rehearsal",
                status.name,
                status.active_state.word()
            ),
        ))
    }
}

impl Processes for Overlay {
    fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let mut processes = self.real.processes.of_unit(deadline, unit)?;
        processes.retain(|process| !self.is_ended(process.info()));
        Ok(processes)
    }
}

impl Ports for Overlay {
    fn holders(
        &self,
        deadline: Instant,
        protocol: Protocol,
        number: u16,
    ) -> Answer<Vec<PortHolder>> {
        let mut holders = self.real.ports.holders(deadline, protocol, number)?;
        holders.retain(|holder| {
            holder
                .process
                .as_ref()
                .is_none_or(|process| !self.is_ended(process.info()))
        });
        let unit = &self.service.unit;
        if holders.is_empty() && self.assumed(unit) == Some(Assumed::Up) {
            holders.push(PortHolder {
                process: None,
                unit: Some(unit.clone()),
                socket_activated: false,
                address: "assumed".to_owned(),
            });
        }
        Ok(holders)
    }
}

impl Files for Overlay {
    fn stat(&self, deadline: Instant, name: &str) -> Answer<FileStatus> {
        let mut status = self.real.files.stat(deadline, name)?;
        let repaired = self.changes().repaired.get(name).cloned();
        if let Some(repaired) = repaired {
            status.repairable.retain(|what| !repaired.contains(what));
            if status.repairable.is_empty() {
                status.deviations.clear();
                status.readable = true;
                if repaired.contains(&Repair::Target) {
                    status.kind = Some(prunella_core::capability::FileKind::Symlink);
                }
            }
        }
        Ok(status)
    }

    fn sha256(&self, deadline: Instant, name: &str) -> Answer<String> {
        self.real.files.sha256(deadline, name)
    }

    fn env_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        self.real.files.env_keys(deadline, name)
    }

    fn missing_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<String>> {
        self.real.files.missing_keys(deadline, name)
    }
}

impl Probes for Overlay {
    fn ask(&self, deadline: Instant, name: &str) -> Answer<ProbeAnswer> {
        let of = self.service.probe(name)?.of.clone();
        let unit = of.unwrap_or_else(|| self.service.unit.clone());
        if self.assumed(&unit) == Some(Assumed::Up) {
            return Ok(ProbeAnswer {
                answering: true,
                detail: "assumed".to_owned(),
                took: Duration::ZERO,
            });
        }
        self.real.probes.ask(deadline, name)
    }
}

/// A job that nobody queued.
struct AssumedJob;

impl Job for AssumedJob {
    fn wait(&self, _: Instant, _: Duration) -> Answer<String> {
        Ok("done".to_owned())
    }
}

impl UnitControl for Overlay {
    fn submit(&self, _: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        match act {
            UnitAct::Start | UnitAct::Restart => self.assume(unit, Assumed::Up),
            UnitAct::Stop => self.assume(unit, Assumed::Down),
            UnitAct::Reload => {}
        }
        Ok(Arc::new(AssumedJob))
    }

    fn reset_failed(&self, _: Instant, unit: &UnitName) -> Answer<()> {
        if self.assumed(unit).is_none() {
            self.assume(unit, Assumed::Reset);
        }
        Ok(())
    }
}

impl ProcessControl for Overlay {
    fn terminate(
        &self,
        _: Instant,
        process: &Arc<dyn Process>,
        _: Duration,
    ) -> Answer<Termination> {
        let info = process.info();
        // What a real host would refuse is refused here too.
        if info.kinship == Kinship::Foreign {
            return Err(Failure::denied("not-its-own", info.evidence.clone()));
        }
        let new = self.changes().ended.insert((info.pid, info.started_at));
        Ok(if new && process.alive() {
            Termination::Asked
        } else {
            Termination::WasGone
        })
    }
}

impl FileRepair for Overlay {
    fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool> {
        let needed = self.stat(deadline, name)?.repairable.contains(&what);
        if needed {
            self.changes()
                .repaired
                .entry(name.to_owned())
                .or_default()
                .insert(what);
        }
        Ok(needed)
    }
}

impl Checks for Overlay {
    fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport> {
        if self.service.check(name)?.changes {
            return Ok(CheckReport {
                passed: true,
                exit_code: Some(0),
                signal: None,
                output: "assumed to pass: it changes things, so it was not run".to_owned(),
            });
        }
        self.real.checks.run(deadline, name)
    }
}
