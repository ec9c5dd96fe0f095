//! What one strategy may do for one service: its grants, held against things.
//!
//! Nothing here knows a host or carries anything out. The safety kernel asks it
//! before every call, and so does the simulated host, so that a strategy hears
//! the same answers from both.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    Failure, FailureKind, StrategyName, UnitName,
    capability::{
        Act, Answer, Call, Described as _, Description, Observe, Ownership, ProcessInfo, Protocol,
        StopsAlong, Subject, UnitStatus,
    },
    policy::{Grants, Scope},
    protected::Protected,
    remedy::Remedy,
    service::{Service, StartLimit},
    text::one_line,
};

/// A strategy's rights at one service.
#[derive(Clone, Copy)]
pub struct Authority<'a> {
    /// The operator's name for the strategy.
    pub strategy: &'a StrategyName,
    /// What it was granted.
    pub grants: &'a Grants,
    /// The incident's service.
    pub service: &'a Service,
    /// The units that the service needs by systemd's own word, and its sockets.
    pub related: &'a BTreeSet<UnitName>,
}

/// Where the rights are held against things, what is known of these.
pub trait Facts {
    /// How a unit stands.
    ///
    /// # Errors
    /// `not-found`, or whatever keeps it from being known.
    fn unit(&self, unit: &UnitName) -> Answer<UnitStatus>;

    /// The units that nobody may act on.
    fn protected(&self) -> &Protected;

    /// Whether somebody may be asked to let a process be ended that is not proven
    /// to be the service's own.
    fn may_be_asked_about(&self, process: &ProcessInfo) -> bool {
        let _ = process;
        false
    }
}

/// What an allowed call is about.
#[derive(Debug)]
pub enum Target {
    /// Nothing in particular.
    None,
    /// A unit, as it stands.
    Unit(Box<UnitStatus>),
    Process {
        shown: String,
        pid: u32,
        /// Since boot.
        started: Duration,
        /// Whether it is proven to be the service's own.
        own: bool,
    },
    /// Something that the operator declared for the service.
    Declared(String),
}

impl Target {
    /// For the trail and for people.
    pub fn shown(&self) -> &str {
        match self {
            Self::None => "the host",
            Self::Unit(status) => status.name.as_str(),
            Self::Process { shown, .. } => shown,
            Self::Declared(name) => name,
        }
    }
}

impl Authority<'_> {
    /// Whether a call is granted, in scope, and takes nothing along that is
    /// protected or somebody else's. Puts the canonical name of its unit into it.
    ///
    /// This is all that can be denied without looking at what was done before;
    /// oversight and budget come after it.
    ///
    /// # Errors
    /// `denied`, with the code of the step that it did not pass.
    pub fn allows(&self, call: &mut Call, facts: &impl Facts) -> Answer<Target> {
        match call.description() {
            Description::Look(look) => match (call.subject(), look.through) {
                (Subject::Unit(unit), Some(through)) => {
                    let status = facts.unit(unit)?;
                    self.may_observe(through, &status)?;
                    unit.clone_from(&status.name);
                    Ok(Target::Unit(Box::new(status)))
                }
                (Subject::Port(protocol, number), _) => {
                    self.may_look_at_port(protocol, number)?;
                    Ok(Target::None)
                }
                _ => Ok(Target::None),
            },
            Description::Act(act) => self.allows_act(act, call.subject(), facts),
        }
    }

    fn allows_act(&self, act: Act, subject: Subject<'_>, facts: &impl Facts) -> Answer<Target> {
        match subject {
            Subject::Unit(unit) => {
                self.may_act_at_all(act, unit)?;
                let status = facts.unit(unit)?;
                self.may_act_on_unit(act, &status, facts.protected())?;
                let along = stops_along(act, &status, facts)?;
                self.may_stop_along(act, &status, &along, facts.protected())?;
                unit.clone_from(&status.name);
                Ok(Target::Unit(Box::new(status)))
            }
            Subject::Process(process) => {
                self.may_end_its_own(act)?;
                let own = match self.is_its_own(process) {
                    Ok(()) => true,
                    Err(_) if facts.may_be_asked_about(process) => false,
                    Err(failure) => return Err(failure),
                };
                Ok(Target::Process {
                    shown: process.shown(),
                    pid: process.pid,
                    started: process.since_boot,
                    own,
                })
            }
            Subject::File(name) => {
                self.service.file(name)?;
                self.may_act_on_declared(act, name)
            }
            Subject::Check(name) => {
                self.service.check(name)?;
                self.may_act_on_declared(act, name)
            }
            Subject::Remedy(name) => {
                let remedy = self.service.remedy(act.interface(), name)?;
                for unit in remedy.units() {
                    if facts.protected().covers(unit) {
                        return Err(Failure::denied(
                            "unit-protected",
                            format!("{unit} is protected: no grant allows acting on it"),
                        ));
                    }
                }
                self.may_stop_with_remedy(act, remedy, facts)?;
                self.may_act_on_declared(act, name)
            }
            Subject::Probe(_) | Subject::Place(_) | Subject::Port(..) | Subject::Nothing => {
                Err(self.not_granted(act, "self"))
            }
        }
    }

    /// Whether every strategy may look at `status`: the service, or what it needs.
    fn is_ours(&self, status: &UnitStatus) -> bool {
        status.names.iter().chain([&status.name]).any(|name| {
            *name == self.service.unit
                || self.service.depends_on.contains(name)
                || self.related.contains(name)
        })
    }

    /// Whether a scope means this unit.
    fn covers(&self, scope: &Scope, status: &UnitStatus) -> bool {
        let is = |unit: &UnitName| status.name == *unit || status.names.contains(unit);
        match scope {
            Scope::Itself => is(&self.service.unit),
            Scope::Dependencies => self.service.depends_on.iter().any(is),
            Scope::Unit(unit) => is(unit),
            Scope::Declared(_) => false,
        }
    }

    /// Whether it may look at a unit through `what`.
    fn may_observe(&self, what: Observe, status: &UnitStatus) -> Answer<()> {
        if self.is_ours(status)
            || self
                .grants
                .observed(what)
                .any(|scope| self.covers(scope, status))
        {
            return Ok(());
        }
        Err(Failure::denied(
            "out-of-scope",
            format!(
                "strategy {} may not look at {} through `{}`: it is neither the incident's \
                 service nor needed by it; to allow it: [[strategy.{}.allow]] observe = \"{}\", \
                 on = [\"{}\"]",
                self.strategy,
                status.name,
                what.name(),
                self.strategy,
                what.name(),
                status.name
            ),
        ))
    }

    /// Whether it may ask who holds a port.
    fn may_look_at_port(&self, protocol: Protocol, number: u16) -> Answer<()> {
        let declared = self
            .service
            .ports
            .iter()
            .any(|port| port.protocol == protocol && port.number == number);
        if declared {
            return Ok(());
        }
        Err(Failure::denied(
            "out-of-scope",
            format!(
                "{}/{number} is not among the ports declared for {}",
                protocol.as_str(),
                self.service.unit
            ),
        ))
    }

    /// The denial of an act that was not granted on this.
    fn not_granted(&self, act: Act, on: &str) -> Failure {
        let name = self.strategy;
        Failure::denied(
            "not-granted",
            format!(
                "strategy {name} was not granted {act} on {on}; to allow it: \
                 [[strategy.{name}.allow]] act = \"{act}\", on = [\"{on}\"]"
            ),
        )
    }

    /// Whether an act is granted on anything at all; asked before `unit` is
    /// looked up.
    fn may_act_at_all(&self, act: Act, unit: &UnitName) -> Answer<()> {
        if self.grants.scopes(act).next().is_some() {
            Ok(())
        } else {
            Err(self.not_granted(act, unit.as_str()))
        }
    }

    /// Grant, scope and protection for an act on a unit.
    fn may_act_on_unit(&self, act: Act, status: &UnitStatus, protected: &Protected) -> Answer<()> {
        let is_itself = status.name == self.service.unit;
        let on = if is_itself {
            "self"
        } else {
            status.name.as_str()
        };
        if !self
            .grants
            .scopes(act)
            .any(|scope| self.covers(scope, status))
        {
            return Err(self.not_granted(act, on));
        }
        if !matches!(status.name.kind(), "service" | "socket") {
            return Err(Failure::denied(
                "unit-type",
                format!(
                    "{} is a {}: only services and sockets can be acted on",
                    status.name,
                    status.name.kind()
                ),
            ));
        }
        if status
            .names
            .iter()
            .chain([&status.name])
            .any(|name| protected.covers(name))
        {
            return Err(Failure::denied(
                "unit-protected",
                format!("{} is protected: no grant allows acting on it", status.name),
            ));
        }
        if act == Act::ResetFailed && is_itself && self.service.start_limit == StartLimit::Respect {
            return Err(Failure::denied(
                "start-limit-respected",
                format!(
                    "`start-limit = \"respect\"` leaves the start limit of {} to people",
                    status.name
                ),
            ));
        }
        if act.is_healing() {
            for (setting, action) in [
                ("StartLimitAction", &status.start_limit_action),
                ("FailureAction", &status.failure_action),
            ] {
                if !action.is_empty() && action != "none" {
                    return Err(Failure::denied(
                        "failure-action",
                        format!(
                            "{} has {setting}={action}: one start too many would take the host \
                             down",
                            status.name
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether an act may stop these along with `status`: no protected unit, and
    /// no other unit without a grant of its own.
    fn may_stop_along(
        &self,
        act: Act,
        status: &UnitStatus,
        along: &[UnitStatus],
        protected: &Protected,
    ) -> Answer<()> {
        for other in along {
            if protected.covers(&other.name) {
                return Err(Failure::denied(
                    "would-stop-protected",
                    format!(
                        "{act} of {} would also stop {}, which is protected",
                        status.name, other.name
                    ),
                ));
            }
            let granted = self
                .grants
                .scopes(act)
                .any(|scope| !matches!(scope, Scope::Itself) && self.covers(scope, other));
            if !granted {
                return Err(Failure::denied(
                    "would-stop-others",
                    format!(
                        "{act} of {} would also stop {}; to allow that: \
                         [[strategy.{}.allow]] act = \"{act}\", on = [\"self\", \"{}\"]",
                        status.name, other.name, self.strategy, other.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Whether nothing stops with what a remedy stops but what it names.
    fn may_stop_with_remedy(&self, act: Act, remedy: &Remedy, facts: &impl Facts) -> Answer<()> {
        // A circuit that is tried starts the service, and stops it only to isolate it again.
        let itself = act != Act::HalfOpenCircuit && remedy.stops_itself();
        let itself = itself.then_some(&self.service.unit);
        for unit in remedy.stops().iter().chain(itself) {
            let status = facts.unit(unit)?;
            // With what is down already, nothing stops.
            if !status.is_live() {
                continue;
            }
            for other in dependents(&status, facts)? {
                if facts.protected().covers(&other.name) || !remedy.stops().contains(&other.name) {
                    let allow = if remedy.stops_itself() {
                        ", and nothing allows that"
                    } else {
                        "; to allow that, name it in the remedy's `stop`"
                    };
                    return Err(Failure::denied(
                        "would-stop-others",
                        format!("{act} would stop {unit} and with it {}{allow}", other.name),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Grant and scope for an act on something the operator declared.
    fn may_act_on_declared(&self, act: Act, name: &str) -> Answer<Target> {
        let mut scopes = self.grants.scopes(act).peekable();
        if scopes.peek().is_none() {
            return Err(self.not_granted(act, "self"));
        }
        let granted = scopes.any(|scope| match scope {
            Scope::Itself => true,
            Scope::Declared(declared) => declared == name,
            Scope::Dependencies | Scope::Unit(_) => false,
        });
        if granted {
            Ok(Target::Declared(name.to_owned()))
        } else {
            Err(self.not_granted(act, &one_line(name, 64)))
        }
    }

    /// Whether ending processes of the service is granted.
    fn may_end_its_own(&self, act: Act) -> Answer<()> {
        let granted = self
            .grants
            .scopes(act)
            .any(|scope| matches!(scope, Scope::Itself));
        if granted {
            Ok(())
        } else {
            Err(self.not_granted(act, "self"))
        }
    }

    /// Whether a process is the service's own, or proven to be left over from it.
    fn is_its_own(&self, process: &ProcessInfo) -> Answer<()> {
        if process.ownership != Ownership::Foreign {
            return Ok(());
        }
        Err(Failure::denied(
            "not-its-own",
            format!(
                "{} is not proven to belong to {}: {}; only a person may end it",
                process.shown(),
                self.service.unit,
                process.evidence
            ),
        ))
    }
}

/// The active units that stop with an act, however indirectly.
fn stops_along(act: Act, status: &UnitStatus, facts: &impl Facts) -> Answer<Vec<UnitStatus>> {
    match act.consequence().stops_along {
        StopsAlong::Nothing => Ok(Vec::new()),
        StopsAlong::ItsConflicts => active_among(&status.conflicts, facts),
        StopsAlong::ItsDependents => dependents(status, facts),
    }
}

/// The active units that cannot run without this one, however indirectly.
fn dependents(status: &UnitStatus, facts: &impl Facts) -> Answer<Vec<UnitStatus>> {
    let mut seen: BTreeSet<UnitName> = BTreeSet::from([status.name.clone()]);
    let mut found = Vec::new();
    let mut open = active_among(&status.required_by, facts)?;
    while let Some(next) = open.pop() {
        if seen.insert(next.name.clone()) {
            open.extend(active_among(&next.required_by, facts)?);
            found.push(next);
        }
    }
    Ok(found)
}

fn active_among(units: &[UnitName], facts: &impl Facts) -> Answer<Vec<UnitStatus>> {
    let mut active = Vec::new();
    for unit in units {
        // Targets of the shutdown are in everybody's Conflicts=, and never active
        // while anything is healed.
        if unit.kind() == "target" {
            continue;
        }
        match facts.unit(unit) {
            Ok(status) if status.is_live() => active.push(status),
            Ok(_) => {}
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(active)
}
