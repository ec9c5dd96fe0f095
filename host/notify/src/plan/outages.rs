//! Services that are down and still being healed: told once that has gone on for
//! too long.

use std::collections::BTreeSet;

use prunella_core::{
    Timestamp, UnitName,
    alert::{Alert, AlertGroup, AlertKind},
};

use super::{Planner, UnitAlerts};

/// An open incident, and when people are to hear that it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    /// What they hear.
    pub(crate) alert: Alert,
    pub(crate) due: Timestamp,
}

impl<'a> Planner<'a, '_> {
    /// The outages that are due, but for those that people know of already or
    /// are about to hear of as escalations.
    pub(super) fn due_outages(
        &mut self,
        alert_groups: &[AlertGroup],
        escalating: &BTreeSet<&UnitName>,
    ) -> Vec<UnitAlerts<'a>> {
        let window = self.input.config.alerts.group_wait;
        let mut due = Vec::new();
        for outage in self.input.outages {
            let alert = &outage.alert;
            if escalating.contains(&alert.unit)
                || is_known(alert_groups, &alert.unit)
                || self
                    .channels(AlertKind::Outage, alert.severity, &alert.unit)
                    .is_empty()
            {
                continue;
            }
            if outage.due > self.input.now {
                self.plan.look_again(outage.due);
                continue;
            }
            due.push(UnitAlerts {
                latest: alert,
                all: Vec::new(),
                // It has waited for others for long enough.
                first: outage.due.saturating_sub(window),
            });
        }
        due
    }
}

/// Whether an alert group goes on for the unit, as for one that is down.
pub(crate) fn is_known(alert_groups: &[AlertGroup], unit: &UnitName) -> bool {
    alert_groups
        .iter()
        .filter_map(|alert_group| alert_group.members.get(unit))
        .any(|member| member.open && !member.degraded)
}
