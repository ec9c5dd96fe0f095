//! A dry run's host: the real host with an overlay of what was not done.
//!
//! Looks go to the real host, and are changed by what the acts so far would
//! have changed. What is changed so is *assumed*, and says so. Waits return at
//! once, on virtual time.

mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Timestamp, UnitName,
    capability::{
        Act, ActiveState, Answer, Call, CheckReport, FileKind, FileStatus, Goal, Host, HostCalls,
        Job, Operation as _, PortHolder, ProbeAnswer, Process, ProcessInfo, Repair, Reply,
        Termination, Token, UnitAct, UnitStatus, checks, clock, file_repair, files, ports, probes,
        process_control, processes, remedies, unit_control, units,
    },
    remedy::Receipt,
    service::Service,
};

use self::state::DryRunState;

/// What would have changed.
#[derive(Default)]
struct Changes {
    /// Units as they are assumed to be.
    units: BTreeMap<UnitName, Assumed>,
    /// Processes that would be gone, by number and start.
    ended: BTreeSet<(u32, Duration)>,
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

/// The host of `service` for a dry run, on top of the real one.
pub(crate) fn overlay(real: Host, service: Arc<Service>) -> Host {
    Host::new(Overlay {
        real: Host::new(DryRunState::over(real)),
        service,
        changes: Mutex::default(),
    })
}

/// What a dry run changes of the host's answers. All other calls look, and go to
/// the real host; an act that is not here is not done.
impl HostCalls for Overlay {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::ClockNow(now) => now.reply(self.now(deadline)),
            Call::ClockMonotonic(monotonic) => monotonic.reply(self.monotonic(deadline)),
            Call::ClockSleep(sleep) => sleep.reply(self.sleep(deadline, sleep.time)),
            Call::UnitGet(get) => get.reply(self.unit(deadline, &get.unit)),
            Call::UnitWait(wait) => wait.reply(self.wait(deadline, &wait)),
            Call::ProcessesOfUnit(of) => of.reply(self.processes(deadline, &of)),
            Call::PortHolders(holders) => holders.reply(self.holders(deadline, holders)),
            Call::FileStat(stat) => stat.reply(self.stat(deadline, &stat)),
            Call::ProbeAsk(ask) => ask.reply(self.probe(deadline, &ask)),
            Call::UnitSubmit(submit) => submit.reply(self.submit(&submit)),
            Call::UnitResetFailed(reset) => reset.reply(self.reset_failed(&reset)),
            Call::JobWait(wait) => wait.reply(Ok("done".to_owned())),
            Call::ProcessTerminate(end) => end.reply(self.terminate(deadline, &end)),
            Call::FileRepair(repair) => repair.reply(self.repair(deadline, &repair)),
            Call::RemedyApply(apply) => apply.reply(self.apply(deadline, &apply)),
            Call::CheckRun(run) => run.reply(self.check(deadline, &run)),
            call => match call.act() {
                None => self.real.call(deadline, call),
                Some(act) => Err(Failure::unavailable(
                    "not-in-dry-run",
                    format!("a dry run has no model of {act}"),
                )),
            },
        }
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
            .contains(&(process.pid, process.since_boot))
    }
}

impl Overlay {
    fn now(&self, deadline: Instant) -> Answer<Timestamp> {
        let elapsed = self.changes().elapsed;
        let now = self.real.ask(deadline, clock::Now {})?;
        Ok(now.saturating_add(elapsed))
    }

    fn monotonic(&self, deadline: Instant) -> Answer<u64> {
        let elapsed = self.changes().elapsed;
        let now = self.real.ask(deadline, clock::Monotonic {})?;
        Ok(now.saturating_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Virtual time passes, until the deadline at most.
    fn pass(&self, deadline: Instant, time: Duration) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut changes = self.changes();
        let wanted = changes.elapsed.saturating_add(time);
        changes.elapsed = wanted.min(left.max(changes.elapsed));
        wanted <= left
    }

    fn sleep(&self, deadline: Instant, time: Duration) -> Answer<()> {
        if !self.pass(deadline, time) {
            return Err(Failure::timed_out(
                "deadline",
                "the run's time would be up (virtual time)",
            ));
        }
        Ok(())
    }

    fn unit(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let unit = unit.clone();
        let mut status = self.real.ask(deadline, units::Get { unit })?;
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
                    status.main_exit_monotonic.get_or_insert_default();
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

    fn wait(&self, deadline: Instant, wait: &units::Wait) -> Answer<UnitStatus> {
        let status = self.unit(deadline, &wait.unit)?;
        let there = match wait.goal {
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
        self.pass(deadline, wait.timeout);
        Err(Failure::timed_out(
            "dry_run",
            format!(
                "{} stays {} in this dry run",
                status.name,
                status.active_state.as_str()
            ),
        ))
    }

    fn processes(&self, deadline: Instant, of: &processes::OfUnit) -> Answer<Vec<Process>> {
        let mut processes = self.real.ask(deadline, of.clone())?;
        processes.retain(|process| !self.is_ended(&process.info));
        Ok(processes)
    }

    fn holders(&self, deadline: Instant, holders: ports::Holders) -> Answer<Vec<PortHolder>> {
        let mut holders = self.real.ask(deadline, holders)?;
        holders.retain(|holder| {
            holder
                .process
                .as_ref()
                .is_none_or(|process| !self.is_ended(&process.info))
        });
        let unit = &self.service.unit;
        if holders.is_empty() && self.assumed(unit) == Some(Assumed::Up) {
            holders.push(PortHolder {
                process: None,
                unit: Some(unit.clone()),
                socket_activated: false,
                address: "assumed".to_owned(),
                blocks: None,
                free_in: None,
            });
        }
        Ok(holders)
    }

    fn stat(&self, deadline: Instant, stat: &files::Stat) -> Answer<FileStatus> {
        let mut status = self.real.ask(deadline, stat.clone())?;
        let repaired = self.changes().repaired.get(&stat.name).cloned();
        if let Some(repaired) = repaired {
            status.repairable.retain(|what| !repaired.contains(what));
            if status.repairable.is_empty() {
                status.deviations.clear();
                status.readable = true;
                if repaired.contains(&Repair::Target) {
                    status.kind = Some(FileKind::Symlink);
                }
            }
        }
        Ok(status)
    }

    fn probe(&self, deadline: Instant, ask: &probes::Ask) -> Answer<ProbeAnswer> {
        let of = self.service.probe(&ask.name)?.unit.clone();
        let unit = of.unwrap_or_else(|| self.service.unit.clone());
        if self.assumed(&unit) == Some(Assumed::Up) {
            return Ok(ProbeAnswer {
                healthy: true,
                detail: "assumed".to_owned(),
                took: Duration::ZERO,
                certificate: None,
            });
        }
        self.real.ask(deadline, ask.clone())
    }

    fn submit(&self, submit: &unit_control::Submit) -> Answer<Job> {
        match submit.action {
            UnitAct::Start | UnitAct::Restart => self.assume(&submit.unit, Assumed::Up),
            UnitAct::Stop => self.assume(&submit.unit, Assumed::Down),
            UnitAct::Reload => {}
        }
        // Nobody queued it.
        Ok(Job::new(Token::default()))
    }

    fn reset_failed(&self, reset: &unit_control::ResetFailed) -> Answer<()> {
        if self.assumed(&reset.unit).is_none() {
            self.assume(&reset.unit, Assumed::Reset);
        }
        Ok(())
    }

    fn terminate(
        &self,
        deadline: Instant,
        end: &process_control::Terminate,
    ) -> Answer<Termination> {
        let info = &end.process.info;
        let new = self.changes().ended.insert((info.pid, info.since_boot));
        let process = end.process.clone();
        Ok(
            if new && self.real.ask(deadline, processes::Alive { process })? {
                Termination::Asked
            } else {
                Termination::WasGone
            },
        )
    }

    fn repair(&self, deadline: Instant, repair: &file_repair::RepairFile) -> Answer<bool> {
        let name = repair.name.clone();
        let status = self.stat(deadline, &files::Stat { name })?;
        let needed = status.repairable.contains(&repair.what);
        if needed {
            self.changes()
                .repaired
                .entry(repair.name.clone())
                .or_default()
                .insert(repair.what);
        }
        Ok(needed)
    }

    /// What its plan says is assumed to come true.
    fn apply(&self, deadline: Instant, apply: &remedies::Apply) -> Answer<Receipt> {
        let of = remedies::PlanOf {
            act: apply.act,
            name: apply.name.clone(),
        };
        let plan = self.real.ask(deadline, of)?;
        let serves = match apply.act {
            Act::HalfOpenCircuit => true,
            // What takes its place is assumed to serve as well.
            Act::SwitchOver => plan.eligible,
            _ => false,
        };
        if serves {
            self.assume(&self.service.unit, Assumed::Up);
        }
        Ok(Receipt {
            predicted: plan.amount,
            ..Receipt::done(format!("{} (assumed)", plan.summary))
        })
    }

    fn check(&self, deadline: Instant, run: &checks::Run) -> Answer<CheckReport> {
        if self.service.check(&run.name)?.mutates {
            return Ok(CheckReport {
                passed: true,
                exit_code: Some(0),
                signal: None,
                output: "assumed to pass: it changes things, so it was not run".to_owned(),
            });
        }
        self.real.ask(deadline, run.clone())
    }
}
