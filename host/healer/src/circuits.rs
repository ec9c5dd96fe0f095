//! Circuits: which are open, when one opens, and when the service is tried.
//!
//! A circuit is open while the store has its opening among what can be undone, and the incident
//! in which it was opened goes on: that outlives a restart of Prunella and of the host. The
//! incident is handed to people once, and its next attempt is the try:
//!
//! | the unit | since it was opened | the next attempt |
//! |---|---|---|
//! | down | nothing | waits, or tries it when its time has come |
//! | down | was tried, or was started by somebody | opens it for longer |
//! | up | was started, by whomever | proves that it is well, which closes it |
//!
//! The starts that the healing budget has paid for are the failures that are counted: each came
//! of one, and the present failure comes on top.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, StrategyName, UnitName,
    capability::{Answer, Host, UnitStatus, remedies::PlanOf},
    duration::written,
    incident::Ending,
    policy::Act,
    remedy::{Applied, AppliedState, Circuit, Lease, LeaseEnds, OpenedCircuit, Plan, Remedy, Undo},
    service::Service,
    situation::Situation,
    summary::Filter,
    trail::{Entry, Record, Step},
};
use prunella_store::{Ledger, Store, StoreError};

use crate::{
    clock::{moment, wall_clock},
    stored::unavailable,
};

/// So many of a unit's latest incidents are looked at for openings before this one.
const LATEST: u32 = 20;

/// A circuit that is open.
#[derive(Debug, Clone)]
pub(crate) struct OpenCircuit {
    pub(crate) applied: Applied,
    pub(crate) opened: OpenedCircuit,
    /// Which strategy has opened it.
    pub(crate) strategy: Option<StrategyName>,
    /// When it was opened, on the clock of this boot; nothing, when that was before it.
    at: Option<Monotonic>,
    /// Whether the service was started since, to try it.
    tried: bool,
}

impl OpenCircuit {
    /// How long it is until the service is tried.
    pub(crate) fn left(&self) -> Duration {
        let until = self.applied.until().unwrap_or_default();
        let lasts = self.applied.lease.map(|lease| lease.lasts);
        // A clock that was set back does not make it longer.
        until.since(wall_clock()).min(lasts.unwrap_or_default())
    }

    /// Whether the unit is as the opening left it: down, and not started by anybody since.
    pub(crate) fn holds(&self, status: &UnitStatus) -> bool {
        let began = status.inactive_exit_monotonic;
        let is_later = began.is_some_and(|began| self.at.is_none_or(|at| began > at));
        !status.is_up() && status.is_settled() && !is_later
    }

    /// Whether the service had its try, by Prunella or by somebody else.
    pub(crate) fn is_tried(&self, status: &UnitStatus) -> bool {
        self.tried || !self.holds(status)
    }
}

/// What was opened, where an act did that.
pub(crate) fn opened(applied: &Applied) -> Option<&OpenedCircuit> {
    match &applied.undo {
        Undo::CloseCircuit(opened) if applied.state != AppliedState::Undone => Some(opened),
        _ => None,
    }
}

/// The openings of all circuits that are kept, the latest first.
fn all_openings(store: &Store) -> Result<Vec<Applied>, StoreError> {
    let mut openings = store.leases()?;
    openings.retain(|applied| opened(applied).is_some());
    openings.sort_by_key(|applied| std::cmp::Reverse((applied.at, applied.action)));
    Ok(openings)
}

/// The openings of a unit's circuit that are kept, the latest first.
pub(crate) fn openings(store: &Store, unit: &UnitName) -> Result<Vec<Applied>, StoreError> {
    let mut openings = all_openings(store)?;
    openings.retain(|applied| applied.unit == *unit);
    Ok(openings)
}

/// The open circuit of the first of these units that has one.
pub(crate) fn open_among<'a>(
    store: &Store,
    situation: &dyn Situation,
    units: impl IntoIterator<Item = &'a UnitName>,
) -> Result<Option<OpenCircuit>, StoreError> {
    let openings = all_openings(store)?;
    for unit in units {
        if let Some(latest) = openings.iter().find(|applied| applied.unit == *unit)
            && let Some(open) = held_open(store, situation, latest)?
        {
            return Ok(Some(open));
        }
    }
    Ok(None)
}

/// The circuit that this has opened, as long as its incident goes on.
fn held_open(
    store: &Store,
    situation: &dyn Situation,
    applied: &Applied,
) -> Result<Option<OpenCircuit>, StoreError> {
    let Some(record) = store.record(&applied.incident)? else {
        return Ok(None);
    };
    let goes_on = match &record.ending {
        None | Some(Ending::Escalated { .. } | Ending::Blocked { .. }) => true,
        Some(Ending::LeftAlone { why, .. }) => why.passes(),
        Some(_) => false,
    };
    Ok(opened(applied).filter(|_| goes_on).map(|opened| {
        let acts = acts(&record);
        let opening = acts.iter().rfind(|act| act.act == Act::OpenCircuit);
        OpenCircuit {
            strategy: opening.map(|act| act.strategy.clone()),
            tried: acts
                .last()
                .is_some_and(|act| act.act == Act::HalfOpenCircuit),
            at: began(&record, opening, applied, situation),
            opened: opened.clone(),
            applied: applied.clone(),
        }
    }))
}

/// An act on a circuit.
struct CircuitAct {
    act: Act,
    strategy: StrategyName,
    at: Monotonic,
    times: Option<u32>,
}

/// The acts on circuits in an incident, in their order.
fn acts(record: &Record) -> Vec<CircuitAct> {
    let of = |entry: &Entry| match &entry.step {
        Step::ActIntended {
            strategy,
            act,
            plan,
            dry_run: false,
            ..
        } => Some(CircuitAct {
            act: Act::named(act)
                .filter(|act| matches!(act, Act::OpenCircuit | Act::HalfOpenCircuit))?,
            strategy: strategy.clone(),
            at: entry.monotonic,
            times: plan.as_ref().and_then(|plan| match &plan.undo {
                Some(Undo::CloseCircuit(opened)) => Some(opened.times),
                _ => None,
            }),
        }),
        _ => None,
    };
    record.steps.iter().filter_map(of).collect()
}

/// When a circuit was opened, on the clock of this boot.
fn began(
    record: &Record,
    opening: Option<&CircuitAct>,
    applied: &Applied,
    situation: &dyn Situation,
) -> Option<Monotonic> {
    if record.incident.boot_id == situation.boot_id() {
        return opening.map(|act| act.at);
    }
    let ago = wall_clock().since(applied.at);
    let is_of_this_boot = ago < situation.since_boot();
    is_of_this_boot.then(|| situation.monotonic().saturating_sub(ago))
}

/// All that decides about a circuit.
pub(crate) struct Circuits<'a> {
    pub(crate) below: &'a Host,
    pub(crate) store: &'a Store,
    pub(crate) ledger: &'a Ledger,
    pub(crate) situation: &'a Arc<dyn Situation>,
    pub(crate) service: &'a Service,
}

impl Circuits<'_> {
    /// The plan of an act on a circuit.
    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        let name = &of.name;
        let Remedy::Circuit(declared) = self.service.remedy("circuit", name)? else {
            return Ok(Plan::nothing(format!("`{name}` is no circuit")));
        };
        let unit = &self.service.unit;
        let status = self.below.unit(deadline, unit)?;
        let open = open_among(self.store, &**self.situation, [unit]).map_err(unavailable)?;
        if of.act == Act::HalfOpenCircuit {
            return Ok(match &open {
                None => Plan::nothing(format!("circuit `{name}` is closed")),
                Some(open) if open.is_tried(&status) => {
                    Plan::nothing(format!("{unit} was started since `{name}` was opened"))
                }
                Some(_) => Plan::to(format!("start {unit} at its open circuit `{name}`")),
            });
        }
        let times = match &open {
            Some(open) if !open.is_tried(&status) => {
                return Ok(Plan::nothing(format!("circuit `{name}` is open")));
            }
            Some(open) => open.opened.times.saturating_add(1),
            None => match self.first_opening(name, declared)? {
                Ok(times) => times,
                Err(because) => return Ok(Plan::nothing(because)),
            },
        };
        if let Some(trigger) = self.active_trigger(deadline, &status)? {
            return Ok(Plan::nothing(format!(
                "{trigger} would start {unit} again, which no circuit prevents"
            )));
        }
        Ok(opening(name, declared, &status, times))
    }

    /// How many times in a row the circuit is opened with this one; why it is not.
    fn first_opening(&self, name: &str, declared: &Circuit) -> Answer<Result<u32, String>> {
        let now = moment(&**self.situation);
        let healings = self
            .ledger
            .healings(&self.service.unit, &now, declared.window);
        let failures = u32::try_from(healings.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        if failures < declared.failures {
            return Ok(Err(format!(
                "it has failed {failures}× in {}, and circuit `{name}` opens at {}",
                written(declared.window),
                declared.failures
            )));
        }
        let before = self.in_a_row(declared.window).map_err(unavailable)?;
        Ok(Ok(before.saturating_add(1)))
    }

    /// How many times in a row it was opened before it was closed, where that is not longer ago
    /// than `window`.
    fn in_a_row(&self, window: Duration) -> Result<u32, StoreError> {
        let lately = self.store.incidents(&Filter {
            unit: Some(self.service.unit.clone()),
            limit: Some(LATEST),
            ..Filter::default()
        })?;
        let now = wall_clock();
        for incident in lately {
            let is_recent = incident.ended_at.is_some_and(|at| now.since(at) <= window);
            if !is_recent {
                continue;
            }
            let record = self.store.record(&incident.id)?;
            let acts = record.iter().flat_map(acts);
            if let Some(times) = acts.filter_map(|act| act.times).next_back() {
                return Ok(times);
            }
        }
        Ok(0)
    }

    /// What would start the service, however often it is stopped.
    fn active_trigger(&self, deadline: Instant, status: &UnitStatus) -> Answer<Option<UnitName>> {
        for trigger in &status.triggered_by {
            if self.below.unit(deadline, trigger)?.is_up() {
                return Ok(Some(trigger.clone()));
            }
        }
        Ok(None)
    }
}

fn opening(name: &str, declared: &Circuit, status: &UnitStatus, times: u32) -> Plan {
    let unit = &status.name;
    let wait = declared.wait_for(times);
    let how = if status.is_up() { "stop" } else { "keep down" };
    Plan::to(format!(
        "open circuit `{name}`: {how} {unit}, and try it after {}",
        written(wait)
    ))
    .undone_by(Undo::CloseCircuit(OpenedCircuit {
        name: name.to_owned(),
        unit: unit.clone(),
        times,
    }))
    .lease(Lease {
        lasts: wait,
        ends: LeaseEnds::Tried,
        calm: Duration::ZERO,
    })
}

/// Nothing is kept of a unit's circuit any more: it is closed, or nobody holds it open.
pub(crate) fn forget(store: &Store, unit: &UnitName) -> Vec<Applied> {
    let openings = openings(store, unit).unwrap_or_default();
    for applied in &openings {
        if let Err(error) = store.forget_applied(&applied.incident, applied.action) {
            tracing::error!("that the circuit of {unit} is closed is not written down: {error}");
        }
    }
    openings
}
