//! Decides which alerts become which messages, and when: one message for one
//! cause, digests instead of storms. Arithmetic on what it is given, and nothing
//! else.
//!
//! - Alerts of units that need each other, by `depends-on`, by systemd's
//!   dependencies or by what a strategy said, have one cause. Those that come
//!   within a short window are one message, and those who wait for the cause
//!   are named in it.
//! - An escalation opens an *alert group*. The same news about it is not told
//!   again, but for a reminder; its end is told to whoever heard of it, once all
//!   its units are well.
//! - So does a unit that is still down some time after its failure: its end, or
//!   that it needs a person, is told in the same alert group.
//! - A unit that leaves Prunella's care while it is down is no recovery: that nobody
//!   looks after it is told once, and its alert group goes on.
//! - A unit that recovers again and again is told in digests; so is a host on
//!   which many causes come at once. A critical escalation never waits for
//!   longer than its window.

mod batches;
mod groups;
mod mention;
mod outages;
#[cfg(test)]
mod tests;
mod unit_alerts;

use std::collections::{BTreeMap, BTreeSet};

use prunella_config::Config;
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{AlertGroup, AlertKind, Severity},
};
use prunella_store::{AlertDecision, NewAlert, Unfinished};

use self::{
    batches::Batch,
    unit_alerts::{UnitAlerts, by_unit},
};
pub(crate) use self::{
    groups::is_followed_by_nobody,
    mention::Mention,
    outages::{Outage, is_known},
};
use crate::relations::Relations;

/// Everything that decides.
pub(crate) struct PlanInput<'a> {
    pub(crate) now: Timestamp,
    pub(crate) config: &'a Config,
    /// In their order.
    pub(crate) alerts: &'a [NewAlert],
    /// Those that go on.
    pub(crate) alert_groups: Vec<AlertGroup>,
    pub(crate) unfinished: &'a [Unfinished],
    /// Open incidents that nobody has heard of.
    pub(crate) outages: &'a [Outage],
    /// How often each unit recovered within the window of flapping.
    pub(crate) recoveries: &'a BTreeMap<UnitName, u32>,
    /// When the last digest of a unit, or of the host, was sent.
    pub(crate) digests: &'a BTreeMap<Option<UnitName>, Timestamp>,
    pub(crate) relations: &'a Relations,
    /// Since when units of alert groups are up, where that is known.
    pub(crate) up_since: &'a BTreeMap<UnitName, Timestamp>,
}

/// What to do now, and when to look again.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) messages: Vec<PlannedMessage>,
    pub(crate) decisions: Vec<(i64, AlertDecision)>,
    /// Alert groups that changed.
    pub(crate) alert_groups: Vec<AlertGroup>,
    pub(crate) digests: Vec<(Option<UnitName>, Timestamp)>,
    /// Absent when only a new alert changes anything.
    pub(crate) next: Option<Timestamp>,
}

impl Plan {
    fn look_again(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// A message to be, for all its channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedMessage {
    pub(crate) form: MessageForm,
    pub(crate) kind: AlertKind,
    pub(crate) severity: Severity,
    pub(crate) alert_group: String,
    pub(crate) resolved: bool,
    /// What it is about, the cause first.
    pub(crate) mentions: Vec<Mention>,
    pub(crate) channels: BTreeSet<ChannelName>,
    /// When what it tells happened.
    pub(crate) at: Timestamp,
}

/// What a message is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageForm {
    /// News of one cause.
    News,
    /// It was told before, and goes on since then.
    Reminder(Timestamp),
    /// All that was told is over.
    Resolved,
    /// Nobody looks after it any more, and it is not well.
    LeftCare,
    /// All that happened to one unit since then.
    Flapping(Timestamp),
    /// Much at once.
    Storm,
}

/// Decides. `name` gives a name that no other alert group has.
pub(crate) fn plan(input: PlanInput<'_>, name: &mut dyn FnMut() -> String) -> Plan {
    Planner {
        input,
        plan: Plan::default(),
        name,
    }
    .run()
}

struct Planner<'a, 'n> {
    input: PlanInput<'a>,
    plan: Plan,
    name: &'n mut dyn FnMut() -> String,
}

impl<'a> Planner<'a, '_> {
    fn run(mut self) -> Plan {
        let mut alert_groups = std::mem::take(&mut self.input.alert_groups);
        let mut changed = BTreeSet::new();
        for alert_group in &mut alert_groups {
            let closed = self.close_members(alert_group);
            let care_changed = self.follow_care(alert_group);
            if closed || care_changed {
                changed.insert(alert_group.key.clone());
            }
        }
        let (escalations, rest): (Vec<_>, Vec<_>) = by_unit(self.input.alerts, self.input.now)
            .partition(|alerts| alerts.latest.kind.stays_open());

        let escalating = escalations
            .iter()
            .map(|alerts| &alerts.latest.unit)
            .collect();
        let outages = self.due_outages(&alert_groups, &escalating);
        let mut fresh = Vec::new();
        for alerts in escalations.into_iter().chain(outages) {
            match self.group_of(&alert_groups, alerts.latest) {
                Some(key) => {
                    if let Some(alert_group) = alert_groups.iter_mut().find(|t| t.key == key) {
                        changed.insert(key);
                        self.add_to_group(alert_group, &alerts);
                    }
                }
                None => fresh.push(alerts),
            }
        }
        let mut others = Vec::new();
        for alerts in rest {
            let unit = &alerts.latest.unit;
            match alert_groups
                .iter_mut()
                .find(|t| t.members.contains_key(unit))
            {
                Some(alert_group) => {
                    changed.insert(alert_group.key.clone());
                    self.update_member(alert_group, &alerts);
                }
                // It came when that was told already, or all of it was over before.
                None if alerts.latest.only_waited => {
                    self.decide(&alerts, AlertDecision::Grouped);
                }
                None => others.push(alerts),
            }
        }
        let others = self.flapping(others);
        let batches: Vec<Batch<'_>> = self
            .batches(AlertKind::Escalation, fresh)
            .into_iter()
            .chain(self.batches(AlertKind::Recovery, others))
            .collect();
        self.announce(batches);
        for alert_group in alert_groups {
            let is_changed = changed.contains(&alert_group.key);
            self.close_or_remind(alert_group, is_changed);
        }
        self.plan
    }

    fn decide(&mut self, alerts: &UnitAlerts<'_>, decision: AlertDecision) {
        for alert in &alerts.all {
            let is_latest = alert.alert == *alerts.latest;
            let decision = if is_latest {
                decision
            } else {
                AlertDecision::Grouped
            };
            self.plan.decisions.push((alert.seq, decision));
        }
    }

    fn channels(&self, kind: AlertKind, severity: Severity, unit: &UnitName) -> Vec<ChannelName> {
        let config = self.input.config;
        config
            .alerts
            .channels(kind, severity, unit, config.services.get(unit))
            .to_vec()
    }
}
