//! `traffic`: the service is taken out of rotation where a proxy sends it requests, and put
//! back.
//!
//! How the rotation is, is seen when it is planned. What is out of it already was taken out by
//! somebody else: it is left as it is, and so is not put back later.

mod checks;
mod haproxy;
pub(crate) mod runtime;
mod track_file;

use std::time::Instant;

use prunella_core::{
    Failure, UnitName,
    capability::{
        Act, Answer,
        remedies::{Apply, PlanOf},
    },
    remedy::{
        ChangedTraffic, HaproxyServer, Lease, LeaseEnds, Plan, Receipt, ServerState, Traffic,
        TrafficChange, TrafficWay, Undo,
    },
};
use serde::{Deserialize, Serialize};

pub(super) use self::haproxy::HaproxyHere;
use self::{checks::ChecksHere, track_file::TrackFileHere};
use super::{
    helper::{Helper, Outcome},
    not_planned,
};
use crate::checks::LinuxChecks;

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub(super) enum Request {
    Haproxy(haproxy::Request),
    TrackFile(track_file::Request),
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Haproxy(request) => haproxy::carry_out(request),
        Request::TrackFile(request) => track_file::carry_out(request),
    }
}

/// Plans, does and undoes what is declared as `[[traffic]]`.
pub(super) struct TrafficHere<'a> {
    helper: &'a Helper,
    checks: &'a LinuxChecks,
    /// The service's own unit.
    unit: &'a UnitName,
}

impl<'a> TrafficHere<'a> {
    pub(super) fn new(helper: &'a Helper, checks: &'a LinuxChecks, unit: &'a UnitName) -> Self {
        Self {
            helper,
            checks,
            unit,
        }
    }

    /// What one of the acts of `traffic` would come to with what is declared by this name.
    pub(super) fn plan(&self, deadline: Instant, of: &PlanOf, declared: &Traffic) -> Answer<Plan> {
        let name = &of.name;
        let to = wanted(of.act)?;
        let plan = match &declared.way {
            TrafficWay::Haproxy(server)
                if server.is_of_instances() && self.unit.instance().is_none() =>
            {
                Plan::nothing(format!(
                    "`{name}` is a server for each instance, and {} is none",
                    self.unit
                ))
            }
            TrafficWay::Haproxy(server) => {
                let server = self.own_server(server);
                let waits = !declared.wait.is_zero();
                HaproxyHere::new(self.helper).plan(deadline, name, &server, to, waits)?
            }
            TrafficWay::TrackFile(file) => {
                TrackFileHere::new(self.helper).plan(deadline, name, file, to)?
            }
            TrafficWay::Checks(checks) => {
                ChecksHere::new(self.checks).plan(deadline, name, checks, to)?
            }
        };
        let is_lent = plan.eligible && to != ServerState::Ready;
        Ok(Plan {
            lease: is_lent.then_some(Lease {
                lasts: declared.lease,
                ends: LeaseEnds::Undone,
                calm: declared.calm,
            }),
            ..plan
        })
    }

    /// Does it, as its plan said.
    pub(super) fn apply(
        &self,
        deadline: Instant,
        apply: &Apply,
        declared: &Traffic,
        undo: Option<&Undo>,
    ) -> Answer<Receipt> {
        let Some(Undo::RestoreTraffic(ChangedTraffic { name, change })) = undo else {
            return Err(not_planned(apply));
        };
        match (&declared.way, change) {
            (TrafficWay::Haproxy(_), TrafficChange::Haproxy { server, from, to }) => {
                HaproxyHere::new(self.helper).apply(
                    deadline,
                    name,
                    server,
                    (*from, *to),
                    declared.wait,
                )
            }
            (TrafficWay::TrackFile(_), TrafficChange::TrackFile { path, from, to }) => {
                TrackFileHere::new(self.helper).apply(deadline, name, path, from, *to)
            }
            (TrafficWay::Checks(checks), TrafficChange::Checks { .. }) => {
                ChecksHere::new(self.checks).apply(deadline, name, checks, wanted(apply.act)?)
            }
            _ => Err(not_planned(apply)),
        }
    }

    /// Has the rotation as it was, unless somebody else has changed it since.
    pub(super) fn undo(&self, deadline: Instant, changed: &ChangedTraffic) -> Answer<String> {
        match &changed.change {
            TrafficChange::Haproxy { server, from, to } => {
                HaproxyHere::new(self.helper).undo(deadline, server, (*from, *to))
            }
            TrafficChange::TrackFile { path, from, to } => {
                TrackFileHere::new(self.helper).undo(deadline, path, from, *to)
            }
            TrafficChange::Checks { back, drained, out } => {
                ChecksHere::new(self.checks).undo(deadline, back, drained.as_deref(), *out)
            }
        }
    }

    /// The server of the service's own instance, where each has one.
    fn own_server(&self, server: &HaproxyServer) -> HaproxyServer {
        server.of_instance(self.unit.instance().unwrap_or_default())
    }
}

/// What an act wants a server to be.
fn wanted(act: Act) -> Answer<ServerState> {
    match act {
        Act::DrainTraffic => Ok(ServerState::Drain),
        Act::MaintainTraffic => Ok(ServerState::Maint),
        Act::RestoreTraffic => Ok(ServerState::Ready),
        act => Err(Failure::invalid(
            "not-of-traffic",
            format!("{act} does nothing with traffic"),
        )),
    }
}

/// What would be done, in an infinitive.
fn would(name: &str, to: ServerState) -> String {
    match to {
        ServerState::Ready => format!("put `{name}` back into rotation"),
        ServerState::Drain => format!("drain `{name}`"),
        ServerState::Maint => format!("put `{name}` into maintenance"),
    }
}

/// The same, done.
fn did(name: &str, to: ServerState) -> String {
    match to {
        ServerState::Ready => format!("put `{name}` back into rotation"),
        ServerState::Drain => format!("drained `{name}`"),
        ServerState::Maint => format!("put `{name}` into maintenance"),
    }
}
