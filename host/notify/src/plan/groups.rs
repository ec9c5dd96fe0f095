//! Alert groups: what was told is updated, reminded of, and ended.

use std::{collections::BTreeSet, time::Duration};

use prunella_config::Config;
use prunella_core::{
    ChannelName, UnitName,
    alert::{Alert, AlertGroup, AlertKind, GroupMember, Severity},
};
use prunella_store::AlertDecision;

use super::{Mention, MessageForm, PlannedMessage, Planner, UnitAlerts, mention::cause_first};

/// For how long a unit of an alert group that nobody follows has to be up before
/// it counts as well: a restart loop is up between two restarts.
pub(crate) const SETTLED: Duration = Duration::from_secs(60);

/// Whether no incident will say how the unit of an open member goes on, so that its state
/// is all there is to go by.
pub(crate) fn is_followed_by_nobody(
    config: &Config,
    unit: &UnitName,
    member: &GroupMember,
) -> bool {
    member.incident.is_some() && (!member.will_report || !config.services.contains_key(unit))
}

impl Planner<'_, '_> {
    /// Units that came up without an incident that says so.
    pub(super) fn close_members(&mut self, alert_group: &mut AlertGroup) -> bool {
        let mut closed = false;
        for (unit, member) in &mut alert_group.members {
            if !member.open {
                continue;
            }
            if is_followed_by_nobody(self.input.config, unit, member)
                && let Some(since) = self.input.up_since.get(unit)
            {
                let settled = since.saturating_add(SETTLED);
                if settled <= self.input.now {
                    member.open = false;
                    member.headline = format!("{unit} is up again");
                } else {
                    self.plan.look_again(settled);
                }
            }
            closed |= !member.open;
        }
        closed
    }

    /// Units that left Prunella's care before they were well, and those that came back.
    /// True when there is one of either.
    pub(super) fn follow_care(&mut self, alert_group: &mut AlertGroup) -> bool {
        let mut changed = false;
        let mut gone = Vec::new();
        for (unit, member) in &mut alert_group.members {
            // What is the cause and was never in care goes with those that named it.
            if !member.open || member.incident.is_none() {
                continue;
            }
            if self.input.config.services.contains_key(unit) {
                changed |= std::mem::take(&mut member.left_care);
                continue;
            }
            let is_at_work = self.input.unfinished.iter().any(|open| open.unit == *unit);
            // An attempt at it still goes on, or it has just come up.
            if member.left_care || is_at_work || self.input.up_since.contains_key(unit) {
                continue;
            }
            member.left_care = true;
            member.will_report = false;
            changed = true;
            gone.push(Mention {
                unit: unit.clone(),
                incident: member.incident.clone(),
                headline: member.headline.clone(),
                waits: false,
            });
        }
        if !gone.is_empty() {
            self.plan.messages.push(PlannedMessage {
                form: MessageForm::LeftCare,
                kind: AlertKind::Information,
                severity: Severity::Warning,
                alert_group: alert_group.key.clone(),
                resolved: false,
                mentions: gone,
                channels: alert_group.channels.clone(),
                at: self.input.now,
            });
        }
        changed
    }

    /// The alert group that an escalation belongs to.
    pub(super) fn group_of(&self, alert_groups: &[AlertGroup], alert: &Alert) -> Option<String> {
        let relations = self.input.relations;
        alert_groups
            .iter()
            .find(|alert_group| alert_group.members.contains_key(&alert.unit))
            .or_else(|| {
                alert_groups.iter().find(|alert_group| {
                    alert_group.open_members().any(|(unit, member)| {
                        alert.cause.as_ref() == Some(unit)
                            || (alert.cause.is_some() && alert.cause == member.cause)
                            || relations.are_related(&alert.unit, unit)
                    })
                })
            })
            .map(|alert_group| alert_group.key.clone())
    }

    /// An escalation of an alert group that has been told.
    pub(super) fn add_to_group(&mut self, alert_group: &mut AlertGroup, alerts: &UnitAlerts<'_>) {
        let alert = alerts.latest;
        let known = alert_group
            .members
            .get(&alert.unit)
            .is_some_and(|member| member.announced.contains(&alert.content_key()));
        if !known {
            let window = self.input.config.alerts.group_wait;
            let due = alerts.first.saturating_add(window);
            if due > self.input.now {
                // It stays undecided, and keeps the alert group from being over.
                if let Some(member) = alert_group.members.get_mut(&alert.unit) {
                    member.open = true;
                }
                self.plan.look_again(due);
                return;
            }
        }
        let mut member = GroupMember::of(alert);
        if let Some(before) = alert_group.members.get(&alert.unit) {
            member.announced.extend(before.announced.iter().cloned());
        }
        alert_group.members.insert(alert.unit.clone(), member);
        if known {
            self.decide(alerts, AlertDecision::Repeated);
            return;
        }
        let channels: BTreeSet<ChannelName> = self
            .channels(alert.kind, alert.severity, &alert.unit)
            .into_iter()
            .chain(alert_group.channels.iter().cloned())
            .collect();
        self.decide(alerts, AlertDecision::Notified);
        alert_group.channels.extend(channels.iter().cloned());
        alert_group.told = self.input.now;
        let waiting = self.mentions_of(alert_group, true);
        let waiting = waiting.into_iter().filter(|mention| {
            let member = alert_group.members.get(&mention.unit);
            mention.waits && member.is_some_and(|m| m.cause.as_ref() == Some(&alert.unit))
        });
        let mentions = std::iter::once(Mention::of(alert)).chain(waiting).collect();
        self.plan.messages.push(PlannedMessage {
            form: MessageForm::News,
            kind: alert.kind,
            severity: alert.severity,
            alert_group: alert_group.key.clone(),
            resolved: false,
            mentions,
            channels,
            at: alert.at,
        });
    }

    /// Anything else about a unit of an alert group.
    pub(super) fn update_member(&mut self, alert_group: &mut AlertGroup, alerts: &UnitAlerts<'_>) {
        if let Some(member) = alert_group.members.get_mut(&alerts.latest.unit) {
            member.will_report = alerts.latest.will_retry;
            if alerts.latest.resolved {
                member.open = false;
                member.incident = Some(alerts.latest.incident.clone());
                member.headline.clone_from(&alerts.latest.headline);
            }
        }
        self.decide(alerts, AlertDecision::Grouped);
    }

    /// How urgent it is that an alert group is over: as urgent as the recovery of its units.
    fn severity_of_end(&self, alert_group: &AlertGroup) -> Severity {
        let services = &self.input.config.services;
        let of_each = alert_group
            .members
            .keys()
            .map(|unit| Severity::of_recovery(services.get(unit)));
        of_each.max().unwrap_or(Severity::Info)
    }

    /// Ends an alert group, or reminds of it.
    pub(super) fn close_or_remind(&mut self, mut alert_group: AlertGroup, changed: bool) {
        // A cause that is not in care has nobody to say that it is well; it is
        // when those are that named it.
        if alert_group
            .open_members()
            .all(|(_, m)| m.incident.is_none())
        {
            for member in alert_group.members.values_mut() {
                member.open = false;
            }
            alert_group.closed = Some(self.input.now);
            let mut channels = alert_group.channels.clone();
            for (unit, member) in &alert_group.members {
                channels.extend(self.channels(AlertKind::Recovery, member.severity, unit));
            }
            self.plan.messages.push(PlannedMessage {
                form: MessageForm::Resolved,
                kind: AlertKind::Recovery,
                severity: self.severity_of_end(&alert_group),
                alert_group: alert_group.key.clone(),
                resolved: true,
                mentions: self.mentions_of(&alert_group, false),
                channels,
                at: self.input.now,
            });
            self.plan.alert_groups.push(alert_group);
            return;
        }
        // Of one that nobody looks after nobody knows whether it is still down.
        let is_followed = alert_group
            .open_members()
            .any(|(_, member)| !member.left_care);
        if let Some(every) = self.input.config.alerts.repeat_interval
            && is_followed
        {
            let due = alert_group.told.saturating_add(every);
            if due <= self.input.now {
                alert_group.told = self.input.now;
                let open = alert_group
                    .open_members()
                    .map(|(_, member)| member.severity);
                self.plan.messages.push(PlannedMessage {
                    form: MessageForm::Reminder(alert_group.opened),
                    kind: AlertKind::Escalation,
                    severity: open.max().unwrap_or(Severity::Warning),
                    alert_group: alert_group.key.clone(),
                    resolved: false,
                    mentions: self.mentions_of(&alert_group, true),
                    channels: alert_group.channels.clone(),
                    at: self.input.now,
                });
                self.plan.look_again(alert_group.told.saturating_add(every));
                self.plan.alert_groups.push(alert_group);
                return;
            }
            self.plan.look_again(due);
        }
        if changed {
            self.plan.alert_groups.push(alert_group);
        }
    }

    fn mentions_of(&self, alert_group: &AlertGroup, only_open: bool) -> Vec<Mention> {
        let mut mentions: Vec<Mention> = alert_group
            .members
            .iter()
            .filter(|(_, member)| member.open || !only_open)
            .map(|(unit, member)| Mention {
                unit: unit.clone(),
                incident: member.incident.clone(),
                headline: member.headline.clone(),
                waits: member.announced.is_empty() && member.incident.is_some(),
            })
            .collect();
        let causes = alert_group
            .members
            .values()
            .filter_map(|m| m.cause.as_ref());
        cause_first(self.input.relations, &mut mentions, causes);
        mentions
    }
}
