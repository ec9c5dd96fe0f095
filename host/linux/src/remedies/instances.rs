//! `instances`: one more instance of a template is started, or the last one is drained and
//! stopped.

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, Monotonic, UnitName,
    capability::{
        Act, ActiveState, Answer, UnitAct, UnitStatus,
        remedies::{Apply, PlanOf},
    },
    duration::written,
    remedy::{Amount, AmountOf, Instances, Lease, LeaseEnds, Plan, Receipt, StartedInstance, Undo},
};

use super::not_planned;
use crate::{
    checks::LinuxChecks,
    clock,
    unit_control::{SystemdUnitControl, wait_for},
    units::Units,
};

/// How long a start or stop is waited for, at most.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) struct InstancesHere<'a> {
    pub(super) units: &'a dyn Units,
    pub(super) control: &'a SystemdUnitControl,
    pub(super) checks: &'a LinuxChecks,
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Down,
    Failed,
    /// On its way up or down.
    Moving,
    /// For so long.
    Up(Duration),
}

impl Standing {
    fn of(status: &UnitStatus, now: Monotonic) -> Self {
        let is_moving = !status.is_settled();
        match status.active_state {
            _ if is_moving => Self::Moving,
            ActiveState::Failed => Self::Failed,
            _ if status.is_up() => {
                let since = status.since_monotonic;
                Self::Up(since.map_or(Duration::MAX, |since| now.since(since)))
            }
            _ => Self::Down,
        }
    }
}

impl InstancesHere<'_> {
    /// `own` is the service in care, which is never stopped.
    pub(super) fn plan(
        &self,
        deadline: Instant,
        of: &PlanOf,
        declared: &Instances,
        own: &UnitName,
    ) -> Answer<Plan> {
        let now = clock::monotonic();
        let mut all = Vec::new();
        for unit in declared.names() {
            match self.units.get(deadline, &unit) {
                Ok(status) => all.push((unit, Standing::of(&status, now))),
                Err(failure) if failure.kind == prunella_core::FailureKind::NotFound => {
                    return Ok(Plan::nothing(format!("there is no {}", declared.template)));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(plan(of.act, &of.name, declared, own, &all))
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        apply: &Apply,
        declared: &Instances,
        undo: Option<&Undo>,
    ) -> Answer<Receipt> {
        let name = &apply.name;
        let (unit, act, done) = match (apply.act, undo) {
            (Act::ScaleUp, Some(Undo::StopInstance(started))) => {
                (&started.unit, UnitAct::Start, "started")
            }
            (Act::ScaleDown, Some(Undo::StartInstance { unit })) => {
                self.drain(deadline, declared.drain.as_deref())?;
                (unit, UnitAct::Stop, "stopped")
            }
            _ => return Err(not_planned(apply)),
        };
        self.carry_out(deadline, unit, act)?;
        let one = Amount {
            value: 1,
            of: AmountOf::Instances,
        };
        Ok(Receipt {
            predicted: Some(one),
            measured: Some(one),
            ..Receipt::done(format!("{done} {unit} (`{name}`)"))
        })
    }

    /// Stops an instance that was started; one that is down is left alone.
    pub(super) fn stop(&self, deadline: Instant, started: &StartedInstance) -> Answer<String> {
        let unit = &started.unit;
        if !self.is_up(deadline, unit)? {
            return Ok(format!("{unit} does not run"));
        }
        self.drain(deadline, started.drain.as_deref())?;
        self.carry_out(deadline, unit, UnitAct::Stop)?;
        Ok(format!("stopped {unit}"))
    }

    /// Starts an instance that was stopped; one that is up is left alone.
    pub(super) fn start(&self, deadline: Instant, unit: &UnitName) -> Answer<String> {
        if self.is_up(deadline, unit)? {
            return Ok(format!("{unit} runs"));
        }
        self.carry_out(deadline, unit, UnitAct::Start)?;
        Ok(format!("started {unit}"))
    }

    fn is_up(&self, deadline: Instant, unit: &UnitName) -> Answer<bool> {
        match self.units.get(deadline, unit) {
            Ok(status) => Ok(status.is_up()),
            Err(failure) if failure.kind == prunella_core::FailureKind::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Runs the declared check that drains. One that is not declared any more drains nothing.
    fn drain(&self, deadline: Instant, check: Option<&str>) -> Answer<()> {
        let Some(check) = check else { return Ok(()) };
        let report = match self.checks.run(deadline, check) {
            Ok(report) => report,
            Err(failure) if failure.kind == prunella_core::FailureKind::NotFound => return Ok(()),
            Err(failure) => return Err(failure),
        };
        if report.passed {
            return Ok(());
        }
        Err(Failure::failed(
            "not-drained",
            format!("it is not drained: check `{check}` fails"),
        ))
    }

    fn carry_out(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<()> {
        let job = self.control.submit(deadline, unit, act)?;
        let result = wait_for(deadline, &job, PATIENCE)?;
        if result == "done" {
            return Ok(());
        }
        let word = match act {
            UnitAct::Stop => "stop",
            _ => "start",
        };
        Err(Failure::failed(
            "job-failed",
            format!("{unit} did not {word}: systemd says `{result}`"),
        ))
    }
}

fn plan(
    act: Act,
    name: &str,
    declared: &Instances,
    own: &UnitName,
    all: &[(UnitName, Standing)],
) -> Plan {
    let template = &declared.template;
    if let Some((unit, _)) = all.iter().find(|(_, one)| *one == Standing::Moving) {
        return Plan::nothing(format!("{unit} is on its way"));
    }
    let up: Vec<(&UnitName, Duration)> = all
        .iter()
        .filter_map(|(unit, one)| match one {
            Standing::Up(age) => Some((unit, *age)),
            _ => None,
        })
        .collect();
    let running = u32::try_from(up.len()).unwrap_or(u32::MAX);
    if let Some(youngest) = up.iter().map(|(_, age)| *age).min()
        && youngest < declared.cooldown
    {
        return Plan::nothing(format!(
            "an instance of {template} was started less than {} ago",
            written(declared.cooldown)
        ));
    }
    let planned = match act {
        Act::ScaleDown if running <= declared.min => {
            Err(format!("{running} of {template} run, the least that may"))
        }
        Act::ScaleDown => match up.iter().rev().find(|(unit, _)| *unit != own) {
            Some((unit, _)) => Ok((
                format!("stop {unit}"),
                Undo::StartInstance {
                    unit: (*unit).clone(),
                },
                None,
            )),
            None => Err(format!(
                "{own} itself is the only one of {template} that runs"
            )),
        },
        _ if running >= declared.max => {
            Err(format!("{running} of {template} run, the most that may"))
        }
        _ => match all.iter().find(|(_, one)| *one == Standing::Down) {
            Some((unit, _)) => Ok((
                format!("start {unit}"),
                Undo::StopInstance(StartedInstance {
                    unit: unit.clone(),
                    drain: declared.drain.clone(),
                }),
                Some(Lease {
                    lasts: declared.lease,
                    ends: LeaseEnds::Undone,
                    calm: declared.calm,
                }),
            )),
            None => Err(format!("what does not run of {template} has failed")),
        },
    };
    match planned {
        Err(because) => Plan::nothing(because),
        Ok((summary, undo, lease)) => Plan {
            lease,
            ..Plan::to(format!("{summary} (`{name}`)"))
                .amount(AmountOf::Instances, 1)
                .undone_by(undo)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Standing = Standing::Up(Duration::from_secs(3_600));

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    fn planned(act: Act, own: &str, standings: &[Standing]) -> Plan {
        let declared = Instances {
            template: unit("app@.service"),
            min: 1,
            max: 3,
            cooldown: Duration::from_secs(60),
            lease: Duration::from_secs(3_600),
            calm: Duration::from_secs(3_600),
            drain: Some("drained".to_owned()),
        };
        let all: Vec<_> = declared.names().zip(standings.iter().copied()).collect();
        plan(act, "app", &declared, &unit(own), &all)
    }

    #[test]
    fn one_more_is_started_and_never_more_than_the_most() {
        use Standing::{Down, Failed, Moving, Up};
        let up = |standings: &[Standing]| planned(Act::ScaleUp, "app@1.service", standings);
        let plan = up(&[OLD, Down, Down]);
        assert_eq!(plan.summary, "start app@2.service (`app`)");
        assert_eq!(plan.undo.unwrap().to_string(), "stop app@2.service");
        assert!(plan.lease.is_some());
        for (standings, because) in [
            ([OLD, OLD, OLD], "3 of app@.service run, the most that may"),
            ([OLD, Moving, Down], "app@2.service is on its way"),
            (
                [OLD, Up(Duration::from_secs(10)), Down],
                "an instance of app@.service was started less than 1m ago",
            ),
            (
                [OLD, Failed, Failed],
                "what does not run of app@.service has failed",
            ),
        ] {
            let plan = up(&standings);
            assert!(!plan.eligible);
            assert_eq!(plan.summary, because);
        }
    }

    #[test]
    fn the_last_one_is_stopped_and_never_the_service_itself() {
        use Standing::Down;
        let down = |own: &str, standings: &[Standing]| planned(Act::ScaleDown, own, standings);
        let plan = down("app@1.service", &[OLD, OLD, OLD]);
        assert_eq!(plan.summary, "stop app@3.service (`app`)");
        let plan = down("app@3.service", &[OLD, OLD, OLD]);
        assert_eq!(plan.summary, "stop app@2.service (`app`)");
        let plan = down("app@1.service", &[OLD, Down, Down]);
        assert!(!plan.eligible);
        assert_eq!(plan.summary, "1 of app@.service run, the least that may");
    }
}
