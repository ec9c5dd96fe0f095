//! The units of a message.

use std::collections::BTreeMap;

use prunella_core::{UnitName, alert::Alert, incident::IncidentId};

use crate::relations::Relations;

/// One unit of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) unit: UnitName,
    /// Absent for a cause that is not in care.
    pub(crate) incident: Option<IncidentId>,
    pub(crate) headline: String,
    /// Whether it only waits for another.
    pub(crate) waits: bool,
}

impl Mention {
    pub(super) fn of(alert: &Alert) -> Self {
        Self {
            unit: alert.unit.clone(),
            incident: Some(alert.incident.clone()),
            headline: alert.headline.clone(),
            waits: false,
        }
    }
}

/// The unit that most of the others need comes first.
pub(super) fn cause_first<'u>(
    relations: &Relations,
    mentions: &mut [Mention],
    causes: impl Iterator<Item = &'u UnitName>,
) {
    let mut named: BTreeMap<&UnitName, usize> = BTreeMap::new();
    for cause in causes {
        *named.entry(cause).or_default() += 1;
    }
    let units: Vec<UnitName> = mentions.iter().map(|one| one.unit.clone()).collect();
    mentions.sort_by_cached_key(|one| {
        let needed = units
            .iter()
            .filter(|unit| relations.needs(unit, &one.unit))
            .count();
        let named = named.get(&one.unit).copied().unwrap_or(0);
        (
            std::cmp::Reverse(needed.max(named)),
            one.waits,
            one.unit.clone(),
        )
    });
}
