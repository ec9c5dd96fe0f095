//! New alerts: those of one cause become one message, many at once a digest.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{AlertGroup, AlertKind, GroupMember, Severity},
};
use prunella_store::{AlertDecision, Unfinished};

use super::{Mention, MessageForm, PlannedMessage, Planner, UnitAlerts, mention::cause_first};

/// Recoveries wait for those that are still at it, but not for longer than so
/// many of their windows.
const MAX_WINDOWS: u32 = 6;

/// Units that become one message.
pub(super) struct Batch<'a> {
    kind: AlertKind,
    unit_alerts: Vec<UnitAlerts<'a>>,
    due: Timestamp,
    first: Timestamp,
}

impl Batch<'_> {
    fn severity(&self) -> Severity {
        let severities = self.unit_alerts.iter().map(|alerts| alerts.latest.severity);
        severities.max().unwrap_or(Severity::Info)
    }

    /// Never kept waiting.
    fn is_urgent(&self) -> bool {
        self.kind.stays_open() && self.severity() == Severity::Critical
    }
}

impl<'a> Planner<'a, '_> {
    /// Takes out the recoveries of units that recover too often, and tells them
    /// when their time has come.
    pub(super) fn flapping(&mut self, unit_alerts: Vec<UnitAlerts<'a>>) -> Vec<UnitAlerts<'a>> {
        let settings = &self.input.config.alerts.flapping;
        let every = settings.interval;
        let mut rest = Vec::new();
        for alerts in unit_alerts {
            let alert = alerts.latest;
            let often = self.input.recoveries.get(&alert.unit).copied().unwrap_or(0);
            if alert.kind != AlertKind::Recovery || often <= settings.recoveries {
                rest.push(alerts);
                continue;
            }
            let unit = Some(alert.unit.clone());
            let window = self.input.config.alerts.recovery_group_wait;
            let last = self.input.digests.get(&unit).copied();
            let due = alerts.first.saturating_add(window).max(
                last.map(|last| last.saturating_add(every))
                    .unwrap_or_default(),
            );
            if due > self.input.now {
                self.plan.look_again(due);
                continue;
            }
            let within = self.input.now.saturating_sub(settings.window);
            let channels: BTreeSet<ChannelName> = self
                .channels(alert.kind, alert.severity, &alert.unit)
                .into_iter()
                .collect();
            let decision = if channels.is_empty() {
                AlertDecision::Unrouted
            } else {
                AlertDecision::Notified
            };
            self.decide(&alerts, decision);
            self.plan.digests.push((unit, self.input.now));
            if !channels.is_empty() {
                self.plan.messages.push(PlannedMessage {
                    form: MessageForm::Flapping(last.unwrap_or_default().max(within)),
                    kind: alert.kind,
                    severity: alert.severity.max(Severity::Warning),
                    alert_group: (self.name)(),
                    resolved: true,
                    mentions: vec![Mention::of(alert)],
                    channels,
                    at: alert.at,
                });
            }
        }
        rest
    }

    /// Puts those together that have one cause. `kind` is that of the window.
    pub(super) fn batches(
        &self,
        window: AlertKind,
        unit_alerts: Vec<UnitAlerts<'a>>,
    ) -> Vec<Batch<'a>> {
        let alerts = &self.input.config.alerts;
        let window = if window == AlertKind::Escalation {
            alerts.group_wait
        } else {
            alerts.recovery_group_wait
        };
        let sets = self.input.relations.sets(
            unit_alerts
                .iter()
                .map(|alerts| (&alerts.latest.unit, alerts.latest.cause.as_ref())),
        );
        let mut batches: BTreeMap<(usize, AlertKind), Batch<'a>> = BTreeMap::new();
        for (alerts, set) in unit_alerts.into_iter().zip(sets) {
            let batch = batches
                .entry((set, alerts.latest.kind))
                .or_insert_with(|| Batch {
                    kind: alerts.latest.kind,
                    unit_alerts: Vec::new(),
                    due: alerts.first,
                    first: alerts.first,
                });
            batch.first = batch.first.min(alerts.first);
            batch.unit_alerts.push(alerts);
        }
        let mut batches: Vec<Batch<'a>> = batches.into_values().collect();
        for batch in &mut batches {
            batch.due = batch.first.saturating_add(window);
            if !batch.kind.stays_open() && self.is_going_on(batch) {
                batch.due = batch
                    .first
                    .saturating_add(window.saturating_mul(MAX_WINDOWS));
            }
        }
        batches
    }

    /// Whether somebody who has to do with a batch is still at it.
    fn is_going_on(&self, batch: &Batch<'_>) -> bool {
        self.input.unfinished.iter().any(|open| {
            batch.unit_alerts.iter().any(|alerts| {
                let unit = &alerts.latest.unit;
                open.waits_for.as_ref().is_some_and(|(on, _)| on == unit)
                    || alerts.latest.parent.as_ref() == Some(&open.incident)
                    || self.input.relations.needs(&open.unit, unit)
            })
        })
    }

    /// Tells what is due; much at once as one.
    pub(super) fn announce(&mut self, mut batches: Vec<Batch<'a>>) {
        let storm = &self.input.config.alerts.storm;
        let every = storm.interval;
        let now = self.input.now;
        let quiet_until = self
            .input
            .digests
            .get(&None)
            .map(|last| last.saturating_add(every))
            .unwrap_or_default();
        let many = batches.len() > usize::try_from(storm.causes).unwrap_or(usize::MAX);
        let begins = many && batches.iter().any(|batch| batch.due <= now);
        let mut after_storm = 0_usize;
        for batch in &mut batches {
            if batch.first < quiet_until && !batch.is_urgent() {
                batch.due = batch.due.max(quiet_until);
                after_storm += 1;
            }
        }
        let goes_on = after_storm > 1 && quiet_until <= now;
        if (begins && quiet_until <= now) || goes_on {
            self.plan.digests.push((None, now));
            for kind in AlertKind::ALL {
                let unit_alerts: Vec<UnitAlerts<'a>> = batches
                    .iter_mut()
                    .filter(|batch| batch.kind == kind)
                    .flat_map(|batch| std::mem::take(&mut batch.unit_alerts))
                    .collect();
                if !unit_alerts.is_empty() {
                    let form = if unit_alerts.len() > 1 {
                        MessageForm::Storm
                    } else {
                        MessageForm::News
                    };
                    self.announce_batch(kind, &unit_alerts, form);
                }
            }
            return;
        }
        for batch in batches {
            if batch.due > now {
                self.plan.look_again(batch.due);
            } else {
                self.announce_batch(batch.kind, &batch.unit_alerts, MessageForm::News);
            }
        }
    }

    fn announce_batch(
        &mut self,
        kind: AlertKind,
        unit_alerts: &[UnitAlerts<'a>],
        form: MessageForm,
    ) {
        let mut mentions: Vec<Mention> =
            unit_alerts.iter().map(|v| Mention::of(v.latest)).collect();
        let mut channels = BTreeSet::new();
        let mut severity = Severity::Info;
        let mut members: BTreeMap<UnitName, GroupMember> = BTreeMap::new();
        let mut at = Timestamp::default();
        for alerts in unit_alerts {
            let alert = alerts.latest;
            channels.extend(self.channels(kind, alert.severity, &alert.unit));
            severity = severity.max(alert.severity);
            at = at.max(alert.at);
            members.insert(alert.unit.clone(), GroupMember::of(alert));
        }
        if kind.stays_open() {
            for (waiting, on) in self.waiting(&members) {
                let service = self.input.config.services.get(&waiting.unit);
                let urgent = Severity::of_outage(service);
                severity = severity.max(urgent);
                channels.extend(self.channels(kind, urgent, &waiting.unit));
                let headline = format!("{} waits for {on}", waiting.unit);
                mentions.push(Mention {
                    unit: waiting.unit.clone(),
                    incident: Some(waiting.incident.clone()),
                    headline: headline.clone(),
                    waits: true,
                });
                members.insert(
                    waiting.unit.clone(),
                    GroupMember {
                        incident: Some(waiting.incident.clone()),
                        open: true,
                        severity: urgent,
                        headline,
                        cause: Some(on.clone()),
                        will_report: true,
                        announced: BTreeSet::new(),
                        degraded: false,
                        left_care: false,
                    },
                );
            }
        }
        let decision = if channels.is_empty() {
            AlertDecision::Unrouted
        } else {
            AlertDecision::Notified
        };
        for alerts in unit_alerts {
            self.decide(alerts, decision);
        }
        if channels.is_empty() {
            return;
        }
        // A cause that several name, and that has no alert of its own.
        let causes: Vec<&UnitName> = unit_alerts
            .iter()
            .filter_map(|alerts| alerts.latest.cause.as_ref())
            .collect();
        if form == MessageForm::News && kind.stays_open() {
            for cause in &causes {
                if !members.contains_key(*cause) {
                    let headline = format!("{cause} is the cause");
                    mentions.push(Mention {
                        unit: (*cause).clone(),
                        incident: None,
                        headline: headline.clone(),
                        waits: false,
                    });
                    members.insert(
                        (*cause).clone(),
                        GroupMember {
                            incident: None,
                            open: true,
                            severity: Severity::Warning,
                            headline,
                            cause: None,
                            will_report: true,
                            announced: BTreeSet::new(),
                            degraded: false,
                            left_care: false,
                        },
                    );
                }
            }
        }
        cause_first(self.input.relations, &mut mentions, causes.into_iter());
        let alert_group = (self.name)();
        self.plan.messages.push(PlannedMessage {
            form,
            kind,
            severity,
            alert_group: alert_group.clone(),
            // What nobody has to do anything about is over as it is told.
            resolved: !kind.stays_open(),
            mentions,
            channels: channels.clone(),
            at,
        });
        if kind.stays_open() {
            if let Some(every) = self.input.config.alerts.repeat_interval {
                self.plan.look_again(self.input.now.saturating_add(every));
            }
            self.plan.alert_groups.push(AlertGroup {
                key: alert_group,
                opened: self.input.now,
                told: self.input.now,
                closed: None,
                channels,
                members,
            });
        }
    }

    /// Who waits for one of `members`, directly or not, and for whom.
    fn waiting(
        &self,
        members: &BTreeMap<UnitName, GroupMember>,
    ) -> Vec<(&'a Unfinished, UnitName)> {
        let mut causes: BTreeSet<&UnitName> = members.keys().collect();
        let mut found: Vec<(&Unfinished, UnitName)> = Vec::new();
        loop {
            let before = found.len();
            for open in self.input.unfinished {
                if let Some((on, _)) = &open.waits_for
                    && causes.contains(on)
                    && causes.insert(&open.unit)
                {
                    found.push((open, on.clone()));
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}
