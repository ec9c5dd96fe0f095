//! Failover groups: of a group with stopped standbys, one unit runs. While another does, none
//! is healed; and where two do, people are asked.

use std::time::{Duration, Instant};

use prunella_config::Config;
use prunella_core::{
    FailureKind, UnitName,
    capability::{Answer, Host, UnitStatus},
    remedy::{Applied, Remedy, StandbyIs},
};
use prunella_store::Store;

use crate::stored::has_incident;

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(10);

/// Who else of its group runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Another {
    /// It serves in the place of the unit, which is down.
    Serves(String),
    /// It runs beside the unit.
    Split(String),
}

/// The failover by which another unit serves in the place of this one, which is down.
pub fn failed_over(store: &Store, status: &UnitStatus) -> Option<Applied> {
    if status.is_up() {
        return None;
    }
    // The store has told of its trouble itself.
    let applied = store.applied().ok()?;
    let of_it = |one: &Applied| {
        one.failed_over()
            .is_some_and(|over| over.primary == status.name)
    };
    applied.into_iter().find(of_it)
}

/// In a sentence without its full stop: who serves in its place, and how that is taken back.
pub fn serves_in_its_place(applied: &Applied) -> Option<String> {
    let standby = &applied.failed_over()?.standby;
    Some(format!(
        "failed over to {standby}; to take that back: prunella undo {}",
        applied.incident
    ))
}

/// Whether another unit of a failover group of this one runs.
///
/// # Errors
/// One of them cannot be looked at.
pub(crate) fn another(
    store: Option<&Store>,
    config: &Config,
    host: &Host,
    status: &UnitStatus,
) -> Answer<Option<Another>> {
    if let Some(applied) = store.and_then(|store| failed_over(store, status)) {
        return Ok(serves_in_its_place(&applied).map(Another::Serves));
    }
    for (name, other, is_primary) in others(config, status) {
        // Whether the standby is started is decided there.
        if is_primary && !status.is_live() && store.is_some_and(|store| has_incident(store, other))
        {
            return Ok(Some(Another::Serves(format!(
                "{other} of failover group `{name}` is being healed"
            ))));
        }
        let other = match host.unit(Instant::now() + LOOK, other) {
            Ok(other) => other,
            Err(failure) if failure.kind == FailureKind::NotFound => continue,
            Err(failure) => return Err(failure),
        };
        if other.is_live() && other.name != status.name {
            let (unit, other) = (&status.name, &other.name);
            return Ok(Some(if status.is_live() {
                Another::Split(format!(
                    "split: {unit} and {other} both run, and one of failover group `{name}` may"
                ))
            } else {
                Another::Serves(format!("{other} of failover group `{name}` runs"))
            }));
        }
    }
    Ok(None)
}

/// The other units of the groups that a unit belongs to, and of which one may run: with the
/// name of the group, and whether it is the primary.
fn others<'c>(config: &'c Config, status: &UnitStatus) -> Vec<(&'c str, &'c UnitName, bool)> {
    let is_it = |unit: &UnitName| *unit == status.name || status.names.contains(unit);
    let mut others = Vec::new();
    for service in config.services.values() {
        for (name, remedy) in &service.remedies {
            let Remedy::Failover(group) = remedy else {
                continue;
            };
            if group.standby_is == StandbyIs::Running {
                continue;
            }
            let members = || [&service.unit].into_iter().chain(&group.standbys);
            if members().any(is_it) {
                let rest = members().filter(|unit| !is_it(unit));
                others.extend(rest.map(|unit| (name.as_str(), unit, *unit == service.unit)));
            }
        }
    }
    others
}
