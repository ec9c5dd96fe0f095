//! What each unit has to say.

use std::collections::BTreeMap;

use prunella_core::{Timestamp, UnitName, alert::Alert};
use prunella_store::NewAlert;

/// What one unit has to say: its latest alert.
pub(super) struct UnitAlerts<'a> {
    pub(super) latest: &'a Alert,
    /// All its alerts that are not decided about; the latest says it for all.
    pub(super) all: Vec<&'a NewAlert>,
    /// When the first of the latest's kind came.
    pub(super) first: Timestamp,
}

/// The alerts of each unit.
pub(super) fn by_unit(alerts: &[NewAlert], now: Timestamp) -> impl Iterator<Item = UnitAlerts<'_>> {
    let mut units: BTreeMap<&UnitName, Vec<&NewAlert>> = BTreeMap::new();
    for alert in alerts {
        units.entry(&alert.alert.unit).or_default().push(alert);
    }
    units.into_values().filter_map(move |all| {
        let latest = &all.last()?.alert;
        let first = all
            .iter()
            .filter(|alert| alert.alert.kind == latest.kind)
            .map(|alert| alert.alert.at)
            .min()
            .unwrap_or(latest.at);
        Some(UnitAlerts {
            latest,
            // A clock that was set back must not make anybody wait.
            first: first.min(now),
            all,
        })
    })
}
