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
    remedy::{
        Amount, AmountOf, InstanceServer, Instances, Lease, LeaseEnds, Plan, Receipt, ServerState,
        StartedInstance, Undo,
    },
};

use super::{helper::Helper, not_planned, traffic::HaproxyHere};
use crate::{checks::LinuxChecks, clock, unit_control::SystemdUnitControl, units::Units};

/// How long a start or stop is waited for, at most.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) struct InstancesHere<'a> {
    pub(super) units: &'a dyn Units,
    pub(super) control: &'a SystemdUnitControl,
    pub(super) checks: &'a LinuxChecks,
    pub(super) helper: &'a Helper,
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
    /// `own` is the service in care, which is never stopped; `server` is what `drain-traffic`
    /// names.
    pub(super) fn plan(
        &self,
        deadline: Instant,
        of: &PlanOf,
        declared: &Instances,
        own: &UnitName,
        server: Option<&InstanceServer>,
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
        let plan = plan(of.act, &of.name, declared, own, &all);
        match server {
            Some(server) => self.with_server(deadline, plan, server),
            None => Ok(plan),
        }
    }

    /// The plan with what becomes of the instance's server.
    fn with_server(&self, deadline: Instant, plan: Plan, server: &InstanceServer) -> Answer<Plan> {
        let haproxy = HaproxyHere::new(self.helper);
        match plan.undo.clone() {
            Some(Undo::StopInstance(started)) => {
                let server = server.of(&started.unit);
                let may_start = haproxy.may_start(deadline, &server.server)?;
                if !may_start.eligible {
                    return Ok(may_start);
                }
                Ok(plan.undone_by(Undo::StopInstance(StartedInstance {
                    server: Some(Box::new(server)),
                    ..started
                })))
            }
            Some(Undo::StartInstance { unit, .. }) => {
                let server = server.of(&unit);
                let may_stop = haproxy.may_stop(deadline, &server.server)?;
                if !may_stop.eligible {
                    return Ok(may_stop);
                }
                // Who is out of rotation already is not put back later.
                if may_stop.undo.is_none() {
                    return Ok(plan);
                }
                let summary = format!("drain {}, and {}", server.server, plan.summary);
                let server = Some(Box::new(server));
                Ok(Plan { summary, ..plan }.undone_by(Undo::StartInstance { unit, server }))
            }
            _ => Ok(plan),
        }
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        apply: &Apply,
        declared: &Instances,
        undo: Option<&Undo>,
    ) -> Answer<Receipt> {
        let name = &apply.name;
        let done = match (apply.act, undo) {
            (Act::ScaleUp, Some(Undo::StopInstance(started))) => {
                self.carry_out(deadline, &started.unit, UnitAct::Start)?;
                format!("started {}", started.unit)
            }
            (Act::ScaleDown, Some(Undo::StartInstance { unit, server })) => {
                self.drain_and_stop(deadline, unit, declared.drain.as_deref(), server.as_deref())?
            }
            _ => return Err(not_planned(apply)),
        };
        let one = Amount {
            value: 1,
            of: AmountOf::Instances,
        };
        Ok(Receipt {
            predicted: Some(one),
            measured: Some(one),
            ..Receipt::done(format!("{done} (`{name}`)"))
        })
    }

    /// Stops an instance that was started; one that is down is left alone.
    pub(super) fn stop(&self, deadline: Instant, started: &StartedInstance) -> Answer<String> {
        let unit = &started.unit;
        if !self.is_up(deadline, unit)? {
            return Ok(format!("{unit} does not run"));
        }
        let drain = started.drain.as_deref();
        self.drain_and_stop(deadline, unit, drain, started.server.as_deref())
    }

    /// Starts an instance that was stopped, and puts its server back; one that is up is left
    /// alone.
    pub(super) fn start(
        &self,
        deadline: Instant,
        unit: &UnitName,
        server: Option<&InstanceServer>,
    ) -> Answer<String> {
        let started = if self.is_up(deadline, unit)? {
            format!("{unit} runs")
        } else {
            self.carry_out(deadline, unit, UnitAct::Start)?;
            format!("started {unit}")
        };
        let Some(InstanceServer { server, .. }) = server else {
            return Ok(started);
        };
        let change = (ServerState::Ready, ServerState::Drain);
        let back = HaproxyHere::new(self.helper).undo(deadline, server, change)?;
        Ok(format!("{started}; {back}"))
    }

    /// Stops an instance once nothing needs it, and has its server as it was.
    fn drain_and_stop(
        &self,
        deadline: Instant,
        unit: &UnitName,
        check: Option<&str>,
        server: Option<&InstanceServer>,
    ) -> Answer<String> {
        let haproxy = HaproxyHere::new(self.helper);
        let emptied = match server {
            Some(server) => Some(haproxy.empty(deadline, server)?),
            None => None,
        };
        self.drain(deadline, check)?;
        self.carry_out(deadline, unit, UnitAct::Stop)?;
        let stopped = format!("stopped {unit}");
        let (Some(server), Some(emptied)) = (server, emptied) else {
            return Ok(stopped);
        };
        if !emptied.changed {
            return Ok(format!("{}; {stopped}", emptied.summary));
        }
        let back = haproxy.put_back_down(deadline, &server.server)?;
        Ok(format!("{}; {stopped}; {back}", emptied.summary))
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
        let result = self.control.carry_out(deadline, unit, act, PATIENCE)?;
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
                    server: None,
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
                    server: None,
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
            drain_traffic: None,
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
