//! What one strategy may do for one service: its grants, held against things.
//!
//! Nothing here knows a host or carries anything out. The safety kernel asks it
//! before every call, and so does the simulated host, so that a strategy hears
//! the same answers from both.

use std::collections::BTreeSet;

use crate::{
    Failure, StrategyName, UnitName,
    capability::{Answer, Kinship, ProcessInfo, Protocol, UnitStatus},
    policy::{Act, Grants, Observe, Scope},
    protected::Protected,
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

impl Authority<'_> {
    /// Whether every strategy may look at `status`: the service, or what it needs.
    fn is_ours(&self, status: &UnitStatus) -> bool {
        status.names.iter().chain([&status.name]).any(|name| {
            *name == self.service.unit
                || self.service.needs.contains(name)
                || self.related.contains(name)
        })
    }

    /// Whether a scope means this unit.
    pub fn covers(&self, scope: &Scope, status: &UnitStatus) -> bool {
        let is = |unit: &UnitName| status.name == *unit || status.names.contains(unit);
        match scope {
            Scope::Itself => is(&self.service.unit),
            Scope::Needs => self.service.needs.iter().any(is),
            Scope::Unit(unit) => is(unit),
            Scope::Declared(_) => false,
        }
    }

    /// Whether it may look at a unit through `what`.
    ///
    /// # Errors
    /// `denied` with the code `out-of-scope`, and the lines that would allow it.
    pub fn may_observe(&self, what: Observe, status: &UnitStatus) -> Answer<()> {
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
    ///
    /// # Errors
    /// `denied` with the code `out-of-scope` for a port that is not declared.
    pub fn may_look_at_port(&self, protocol: Protocol, number: u16) -> Answer<()> {
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
                protocol.word(),
                self.service.unit
            ),
        ))
    }

    /// The denial of an act that was not granted on this.
    pub fn not_granted(&self, act: Act, on: &str) -> Failure {
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
    ///
    /// # Errors
    /// `denied` with the code `not-granted`.
    pub fn may_act_at_all(&self, act: Act, unit: &UnitName) -> Answer<()> {
        if self.grants.scopes(act).next().is_some() {
            Ok(())
        } else {
            Err(self.not_granted(act, unit.as_str()))
        }
    }

    /// Grant, scope and protection for an act on a unit.
    ///
    /// # Errors
    /// `denied`, with the code `not-granted`, `unit-type`, `unit-protected`,
    /// `start-limit-respected` or `failure-action`.
    pub fn may_act_on_unit(
        &self,
        act: Act,
        status: &UnitStatus,
        protected: &Protected,
    ) -> Answer<()> {
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
    ///
    /// # Errors
    /// `denied` with the code `would-stop-protected` or `would-stop-others`.
    pub fn may_stop_along(
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

    /// Grant and scope for an act on something the operator declared.
    ///
    /// # Errors
    /// `denied` with the code `not-granted`.
    pub fn may_act_on_declared(&self, act: Act, name: &str) -> Answer<()> {
        let mut scopes = self.grants.scopes(act).peekable();
        if scopes.peek().is_none() {
            return Err(self.not_granted(act, "self"));
        }
        let granted = scopes.any(|scope| match scope {
            Scope::Itself => true,
            Scope::Declared(declared) => declared == name,
            Scope::Needs | Scope::Unit(_) => false,
        });
        if granted {
            Ok(())
        } else {
            Err(self.not_granted(act, &one_line(name, 64)))
        }
    }

    /// Whether ending processes of the service is granted.
    ///
    /// # Errors
    /// `denied` with the code `not-granted`.
    pub fn may_end_its_own(&self) -> Answer<()> {
        let granted = self
            .grants
            .scopes(Act::Terminate)
            .any(|scope| matches!(scope, Scope::Itself));
        if granted {
            Ok(())
        } else {
            Err(self.not_granted(Act::Terminate, "self"))
        }
    }

    /// Whether a process is the service's own, or proven to be left over from it.
    ///
    /// # Errors
    /// `denied` with the code `not-its-own`.
    pub fn is_its_own(&self, process: &ProcessInfo) -> Answer<()> {
        if process.kinship != Kinship::Foreign {
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
