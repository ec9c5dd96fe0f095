//! Decides which alerts become which messages, and when: one message for one
//! cause, digests instead of storms. Arithmetic on what it is given, and nothing
//! else.
//!
//! - Alerts of units that need each other, by `depends-on`, by systemd's
//!   dependencies or by what a strategy said, have one cause. Those that come
//!   within a short window are one message, and those who wait for the cause
//!   are named in it.
//! - An escalation opens a *trouble*. The same news about it is not told again,
//!   but for a reminder; its end is told to whoever heard of it, once all its
//!   units are well.
//! - A unit that recovers again and again is told in digests; so is a host on
//!   which many causes come at once. A critical escalation never waits for
//!   longer than its window.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use prunella_config::Config;
use prunella_core::{
    ChannelName, UnitName,
    alert::{Alert, AlertKind, Member, Severity, Trouble},
    incident::IncidentId,
};
use prunella_store::{Fate, NewAlert, Unfinished};

use crate::relations::Relations;

/// For how long a unit of a trouble that nobody follows has to be up before it
/// counts as well: a restart loop is up between two restarts.
pub(crate) const SETTLED: u64 = 60_000;

/// Recoveries wait for those that are still at it, but not for longer than so
/// many of their windows.
const PATIENCE: u64 = 6;

/// Everything that decides.
pub(crate) struct Facts<'a> {
    /// Milliseconds since 1970.
    pub(crate) now: u64,
    pub(crate) config: &'a Config,
    /// In their order.
    pub(crate) alerts: &'a [NewAlert],
    /// Those that go on.
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) unfinished: &'a [Unfinished],
    /// How often each unit recovered within the window of flapping.
    pub(crate) recoveries: &'a BTreeMap<UnitName, u32>,
    /// When the last digest of a unit, or of the host, was sent.
    pub(crate) digests: &'a BTreeMap<Option<UnitName>, u64>,
    pub(crate) relations: &'a Relations,
    /// Since when units of troubles are up, where that is known.
    pub(crate) up_since: &'a BTreeMap<UnitName, u64>,
}

/// What to do now, and when to look again.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) notes: Vec<Note>,
    pub(crate) fates: Vec<(i64, Fate)>,
    /// Troubles that changed.
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) digests: Vec<(Option<UnitName>, u64)>,
    /// Milliseconds since 1970; absent when only a new alert changes anything.
    pub(crate) next: Option<u64>,
}

impl Plan {
    fn look_again(&mut self, at: u64) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// A message to be, for all its channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) form: Form,
    pub(crate) kind: AlertKind,
    pub(crate) severity: Severity,
    pub(crate) trouble: String,
    pub(crate) resolved: bool,
    /// What it is about, the cause first.
    pub(crate) about: Vec<About>,
    pub(crate) channels: BTreeSet<ChannelName>,
    /// When what it tells happened.
    pub(crate) at: u64,
}

/// What a message is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// News of one cause.
    News,
    /// It was told before, and goes on since then.
    Reminder(u64),
    /// All that was told is over.
    Resolved,
    /// All that happened to one unit since then.
    Flapping(u64),
    /// Much at once.
    Storm,
}

/// One unit of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) unit: UnitName,
    /// Absent for a cause that is not in care.
    pub(crate) incident: Option<IncidentId>,
    pub(crate) headline: String,
    /// Whether it only waits for another.
    pub(crate) waits: bool,
}

/// Decides. `name` gives a name that no other trouble has.
pub(crate) fn plan(facts: Facts<'_>, name: &mut dyn FnMut() -> String) -> Plan {
    Planner {
        pending: Pending::of(facts.alerts),
        facts,
        plan: Plan::default(),
        name,
    }
    .run()
}

/// The alerts of each unit, in their order.
struct Pending<'a>(BTreeMap<UnitName, Vec<&'a NewAlert>>);

impl<'a> Pending<'a> {
    fn of(alerts: &'a [NewAlert]) -> Self {
        let mut units: BTreeMap<UnitName, Vec<&NewAlert>> = BTreeMap::new();
        for alert in alerts {
            units
                .entry(alert.alert.unit.clone())
                .or_default()
                .push(alert);
        }
        Self(units)
    }
}

/// What one unit has to say: its latest alert.
struct Voice<'a> {
    latest: &'a Alert,
    /// All its alerts that are not decided about; the latest says it for all.
    all: Vec<&'a NewAlert>,
    /// When the first of the latest's kind came.
    first: u64,
}

/// Units that become one message.
struct Group<'a> {
    kind: AlertKind,
    voices: Vec<Voice<'a>>,
    due: u64,
    first: u64,
}

impl Group<'_> {
    fn severity(&self) -> Severity {
        let severities = self.voices.iter().map(|voice| voice.latest.severity);
        severities.max().unwrap_or(Severity::Info)
    }

    /// Never kept waiting.
    fn is_urgent(&self) -> bool {
        self.kind == AlertKind::Escalation && self.severity() == Severity::Critical
    }
}

struct Planner<'a, 'n> {
    facts: Facts<'a>,
    pending: Pending<'a>,
    plan: Plan,
    name: &'n mut dyn FnMut() -> String,
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl<'a> Planner<'a, '_> {
    fn run(mut self) -> Plan {
        let mut troubles = std::mem::take(&mut self.facts.troubles);
        let mut changed = BTreeSet::new();
        for trouble in &mut troubles {
            if self.close_members(trouble) {
                changed.insert(trouble.key.clone());
            }
        }
        let voices = self.voices();
        let (escalations, rest): (Vec<_>, Vec<_>) = voices
            .into_iter()
            .partition(|voice| voice.latest.kind == AlertKind::Escalation);

        let mut fresh = Vec::new();
        for voice in escalations {
            match self.trouble_of(&troubles, voice.latest) {
                Some(key) => {
                    if let Some(trouble) = troubles.iter_mut().find(|t| t.key == key) {
                        changed.insert(key);
                        self.join(trouble, &voice);
                    }
                }
                None => fresh.push(voice),
            }
        }
        let mut others = Vec::new();
        for voice in rest {
            let unit = &voice.latest.unit;
            match troubles.iter_mut().find(|t| t.members.contains_key(unit)) {
                Some(trouble) => {
                    changed.insert(trouble.key.clone());
                    self.hear(trouble, &voice);
                }
                None => others.push(voice),
            }
        }
        let others = self.flapping(others);
        let groups: Vec<Group<'_>> = self
            .groups(AlertKind::Escalation, fresh)
            .into_iter()
            .chain(self.groups(AlertKind::Recovery, others))
            .collect();
        self.tell(groups);
        for trouble in troubles {
            let is_changed = changed.contains(&trouble.key);
            self.look_after(trouble, is_changed);
        }
        self.plan
    }

    /// What every unit has to say.
    fn voices(&mut self) -> Vec<Voice<'a>> {
        let pending = std::mem::take(&mut self.pending.0);
        pending
            .into_values()
            .filter_map(|all| {
                let latest = &all.last()?.alert;
                let first = all
                    .iter()
                    .filter(|alert| alert.alert.kind == latest.kind)
                    .map(|alert| alert.alert.at)
                    .min()
                    .unwrap_or(latest.at);
                Some(Voice {
                    latest,
                    // A clock that was set back must not make anybody wait.
                    first: first.min(self.facts.now),
                    all,
                })
            })
            .collect()
    }

    fn settle(&mut self, voice: &Voice<'_>, fate: Fate) {
        for alert in &voice.all {
            let is_latest = alert.alert == *voice.latest;
            let fate = if is_latest { fate } else { Fate::Joined };
            self.plan.fates.push((alert.seq, fate));
        }
    }

    fn channels(&self, kind: AlertKind, severity: Severity, unit: &UnitName) -> Vec<ChannelName> {
        let config = self.facts.config;
        config
            .alerts
            .channels(kind, severity, unit, config.services.get(unit))
            .to_vec()
    }

    // Troubles

    /// Units that went out of care, or that came up without an incident that
    /// says so.
    fn close_members(&mut self, trouble: &mut Trouble) -> bool {
        let mut closed = false;
        for (unit, member) in &mut trouble.members {
            if !member.open {
                continue;
            }
            let in_care = self.facts.config.services.contains_key(unit);
            // What is the cause and not in care goes with those that named it.
            if !in_care && member.incident.is_some() {
                member.open = false;
            } else if !member.followed
                && let Some(since) = self.facts.up_since.get(unit)
            {
                let settled = since.saturating_add(SETTLED);
                if settled <= self.facts.now {
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

    /// The trouble that an escalation belongs to.
    fn trouble_of(&self, troubles: &[Trouble], alert: &Alert) -> Option<String> {
        let relations = self.facts.relations;
        troubles
            .iter()
            .find(|trouble| trouble.members.contains_key(&alert.unit))
            .or_else(|| {
                troubles.iter().find(|trouble| {
                    trouble.open_members().any(|(unit, member)| {
                        alert.cause.as_ref() == Some(unit)
                            || (alert.cause.is_some() && alert.cause == member.cause)
                            || relations.are_related(&alert.unit, unit)
                    })
                })
            })
            .map(|trouble| trouble.key.clone())
    }

    /// An escalation of a trouble that has been told.
    fn join(&mut self, trouble: &mut Trouble, voice: &Voice<'_>) {
        let alert = voice.latest;
        let known = trouble
            .members
            .get(&alert.unit)
            .is_some_and(|member| member.news.contains(&alert.news()));
        if !known {
            let window = milliseconds(self.facts.config.alerts.group_wait);
            let due = voice.first.saturating_add(window);
            if due > self.facts.now {
                // It stays undecided, and keeps the trouble from being over.
                if let Some(member) = trouble.members.get_mut(&alert.unit) {
                    member.open = true;
                }
                self.plan.look_again(due);
                return;
            }
        }
        let mut member = Member::of(alert);
        if let Some(before) = trouble.members.get(&alert.unit) {
            member.news.extend(before.news.iter().cloned());
        }
        trouble.members.insert(alert.unit.clone(), member);
        if known {
            self.settle(voice, Fate::Repeated);
            return;
        }
        let channels: BTreeSet<ChannelName> = self
            .channels(alert.kind, alert.severity, &alert.unit)
            .into_iter()
            .chain(trouble.channels.iter().cloned())
            .collect();
        self.settle(voice, Fate::Told);
        trouble.channels.extend(channels.iter().cloned());
        trouble.told = self.facts.now;
        self.plan.notes.push(Note {
            form: Form::News,
            kind: alert.kind,
            severity: alert.severity,
            trouble: trouble.key.clone(),
            resolved: false,
            about: vec![About::of(alert)],
            channels,
            at: alert.at,
        });
    }

    /// Anything else about a unit of a trouble.
    fn hear(&mut self, trouble: &mut Trouble, voice: &Voice<'_>) {
        if let Some(member) = trouble.members.get_mut(&voice.latest.unit) {
            member.followed = voice.latest.retried;
            if voice.latest.over {
                member.open = false;
                member.incident = Some(voice.latest.incident.clone());
                member.headline.clone_from(&voice.latest.headline);
            }
        }
        self.settle(voice, Fate::Joined);
    }

    /// Ends a trouble, or reminds of it.
    fn look_after(&mut self, mut trouble: Trouble, changed: bool) {
        // A cause that is not in care has nobody to say that it is well; it is
        // when those are that named it.
        if trouble.open_members().all(|(_, m)| m.incident.is_none()) {
            for member in trouble.members.values_mut() {
                member.open = false;
            }
            trouble.closed = Some(self.facts.now);
            let mut channels = trouble.channels.clone();
            for (unit, member) in &trouble.members {
                channels.extend(self.channels(AlertKind::Recovery, member.severity, unit));
            }
            self.plan.notes.push(Note {
                form: Form::Resolved,
                kind: AlertKind::Recovery,
                severity: Severity::Info,
                trouble: trouble.key.clone(),
                resolved: true,
                about: self.about_members(&trouble, false),
                channels,
                at: self.facts.now,
            });
            self.plan.troubles.push(trouble);
            return;
        }
        if let Some(every) = self.facts.config.alerts.repeat_interval {
            let due = trouble.told.saturating_add(milliseconds(every));
            if due <= self.facts.now {
                trouble.told = self.facts.now;
                let open = trouble.open_members().map(|(_, member)| member.severity);
                self.plan.notes.push(Note {
                    form: Form::Reminder(trouble.opened),
                    kind: AlertKind::Escalation,
                    severity: open.max().unwrap_or(Severity::Warning),
                    trouble: trouble.key.clone(),
                    resolved: false,
                    about: self.about_members(&trouble, true),
                    channels: trouble.channels.clone(),
                    at: self.facts.now,
                });
                self.plan
                    .look_again(trouble.told.saturating_add(milliseconds(every)));
                self.plan.troubles.push(trouble);
                return;
            }
            self.plan.look_again(due);
        }
        if changed {
            self.plan.troubles.push(trouble);
        }
    }

    fn about_members(&self, trouble: &Trouble, only_open: bool) -> Vec<About> {
        let mut about: Vec<About> = trouble
            .members
            .iter()
            .filter(|(_, member)| member.open || !only_open)
            .map(|(unit, member)| About {
                unit: unit.clone(),
                incident: member.incident.clone(),
                headline: member.headline.clone(),
                waits: member.news.is_empty() && member.incident.is_some(),
            })
            .collect();
        let causes = trouble.members.values().filter_map(|m| m.cause.as_ref());
        self.cause_first(&mut about, causes);
        about
    }

    // What is new

    /// Takes out the recoveries of units that recover too often, and tells them
    /// when their time has come.
    fn flapping(&mut self, voices: Vec<Voice<'a>>) -> Vec<Voice<'a>> {
        let settings = &self.facts.config.alerts.flapping;
        let every = milliseconds(settings.interval);
        let mut rest = Vec::new();
        for voice in voices {
            let alert = voice.latest;
            let often = self.facts.recoveries.get(&alert.unit).copied().unwrap_or(0);
            if alert.kind != AlertKind::Recovery || often <= settings.recoveries {
                rest.push(voice);
                continue;
            }
            let unit = Some(alert.unit.clone());
            let window = milliseconds(self.facts.config.alerts.recovery_group_wait);
            let last = self.facts.digests.get(&unit).copied();
            let due = voice
                .first
                .saturating_add(window)
                .max(last.map_or(0, |last| last.saturating_add(every)));
            if due > self.facts.now {
                self.plan.look_again(due);
                continue;
            }
            let within = self.facts.now.saturating_sub(milliseconds(settings.window));
            let channels: BTreeSet<ChannelName> = self
                .channels(alert.kind, alert.severity, &alert.unit)
                .into_iter()
                .collect();
            let fate = if channels.is_empty() {
                Fate::Unrouted
            } else {
                Fate::Told
            };
            self.settle(&voice, fate);
            self.plan.digests.push((unit, self.facts.now));
            if !channels.is_empty() {
                self.plan.notes.push(Note {
                    form: Form::Flapping(last.unwrap_or(0).max(within)),
                    kind: alert.kind,
                    severity: alert.severity.max(Severity::Warning),
                    trouble: (self.name)(),
                    resolved: true,
                    about: vec![About::of(alert)],
                    channels,
                    at: alert.at,
                });
            }
        }
        rest
    }

    /// Puts those together that have one cause. `kind` is that of the window.
    fn groups(&self, window: AlertKind, voices: Vec<Voice<'a>>) -> Vec<Group<'a>> {
        let alerts = &self.facts.config.alerts;
        let window = milliseconds(if window == AlertKind::Escalation {
            alerts.group_wait
        } else {
            alerts.recovery_group_wait
        });
        let sets = self.facts.relations.sets(
            voices
                .iter()
                .map(|voice| (&voice.latest.unit, voice.latest.cause.as_ref())),
        );
        let mut groups: BTreeMap<(usize, AlertKind), Group<'a>> = BTreeMap::new();
        for (voice, set) in voices.into_iter().zip(sets) {
            let group = groups
                .entry((set, voice.latest.kind))
                .or_insert_with(|| Group {
                    kind: voice.latest.kind,
                    voices: Vec::new(),
                    due: 0,
                    first: voice.first,
                });
            group.first = group.first.min(voice.first);
            group.voices.push(voice);
        }
        let mut groups: Vec<Group<'a>> = groups.into_values().collect();
        for group in &mut groups {
            group.due = group.first.saturating_add(window);
            if group.kind != AlertKind::Escalation && self.is_going_on(group) {
                group.due = group.first.saturating_add(window.saturating_mul(PATIENCE));
            }
        }
        groups
    }

    /// Whether somebody who has to do with a group is still at it.
    fn is_going_on(&self, group: &Group<'_>) -> bool {
        self.facts.unfinished.iter().any(|open| {
            group.voices.iter().any(|voice| {
                let unit = &voice.latest.unit;
                open.waits_for.as_ref().is_some_and(|(on, _)| on == unit)
                    || voice.latest.parent.as_ref() == Some(&open.incident)
                    || self.facts.relations.needs(&open.unit, unit)
            })
        })
    }

    /// Tells what is due; much at once as one.
    fn tell(&mut self, mut groups: Vec<Group<'a>>) {
        let storm = &self.facts.config.alerts.storm;
        let every = milliseconds(storm.interval);
        let now = self.facts.now;
        let quiet_until = self
            .facts
            .digests
            .get(&None)
            .map_or(0, |last| last.saturating_add(every));
        let many = groups.len() > usize::try_from(storm.causes).unwrap_or(usize::MAX);
        let begins = many && groups.iter().any(|group| group.due <= now);
        let mut after_storm = 0_usize;
        for group in &mut groups {
            if group.first < quiet_until && !group.is_urgent() {
                group.due = group.due.max(quiet_until);
                after_storm += 1;
            }
        }
        let goes_on = after_storm > 1 && quiet_until <= now;
        if (begins && quiet_until <= now) || goes_on {
            self.plan.digests.push((None, now));
            for kind in AlertKind::ALL {
                let voices: Vec<Voice<'a>> = groups
                    .iter_mut()
                    .filter(|group| group.kind == kind)
                    .flat_map(|group| std::mem::take(&mut group.voices))
                    .collect();
                if !voices.is_empty() {
                    let form = if voices.len() > 1 {
                        Form::Storm
                    } else {
                        Form::News
                    };
                    self.tell_group(kind, &voices, form);
                }
            }
            return;
        }
        for group in groups {
            if group.due > now {
                self.plan.look_again(group.due);
            } else {
                self.tell_group(group.kind, &group.voices, Form::News);
            }
        }
    }

    fn tell_group(&mut self, kind: AlertKind, voices: &[Voice<'a>], form: Form) {
        let mut about: Vec<About> = voices.iter().map(|v| About::of(v.latest)).collect();
        let mut channels = BTreeSet::new();
        let mut severity = Severity::Info;
        let mut members: BTreeMap<UnitName, Member> = BTreeMap::new();
        let mut at = 0;
        for voice in voices {
            let alert = voice.latest;
            channels.extend(self.channels(kind, alert.severity, &alert.unit));
            severity = severity.max(alert.severity);
            at = at.max(alert.at);
            members.insert(alert.unit.clone(), Member::of(alert));
        }
        if kind == AlertKind::Escalation {
            for (waiting, on) in self.waiting(&members) {
                let critical = self.facts.config.services.get(&waiting.unit);
                let urgent = if critical.is_some_and(|service| service.critical) {
                    Severity::Critical
                } else {
                    Severity::Warning
                };
                severity = severity.max(urgent);
                channels.extend(self.channels(kind, urgent, &waiting.unit));
                let headline = format!("{} waits for {on}", waiting.unit);
                about.push(About {
                    unit: waiting.unit.clone(),
                    incident: Some(waiting.incident.clone()),
                    headline: headline.clone(),
                    waits: true,
                });
                members.insert(
                    waiting.unit.clone(),
                    Member {
                        incident: Some(waiting.incident.clone()),
                        open: true,
                        severity: urgent,
                        headline,
                        cause: Some(on.clone()),
                        followed: true,
                        news: BTreeSet::new(),
                    },
                );
            }
        }
        let fate = if channels.is_empty() {
            Fate::Unrouted
        } else {
            Fate::Told
        };
        for voice in voices {
            self.settle(voice, fate);
        }
        if channels.is_empty() {
            return;
        }
        // A cause that several name, and that has no alert of its own.
        let causes: Vec<&UnitName> = voices
            .iter()
            .filter_map(|voice| voice.latest.cause.as_ref())
            .collect();
        if form == Form::News && kind == AlertKind::Escalation {
            for cause in &causes {
                if !members.contains_key(*cause) {
                    let headline = format!("{cause} is the cause");
                    about.push(About {
                        unit: (*cause).clone(),
                        incident: None,
                        headline: headline.clone(),
                        waits: false,
                    });
                    members.insert(
                        (*cause).clone(),
                        Member {
                            incident: None,
                            open: true,
                            severity: Severity::Warning,
                            headline,
                            cause: None,
                            followed: true,
                            news: BTreeSet::new(),
                        },
                    );
                }
            }
        }
        self.cause_first(&mut about, causes.into_iter());
        let trouble = (self.name)();
        self.plan.notes.push(Note {
            form,
            kind,
            severity,
            trouble: trouble.clone(),
            // What nobody has to do anything about is over as it is told.
            resolved: kind != AlertKind::Escalation,
            about,
            channels: channels.clone(),
            at,
        });
        if kind == AlertKind::Escalation {
            if let Some(every) = self.facts.config.alerts.repeat_interval {
                self.plan
                    .look_again(self.facts.now.saturating_add(milliseconds(every)));
            }
            self.plan.troubles.push(Trouble {
                key: trouble,
                opened: self.facts.now,
                told: self.facts.now,
                closed: None,
                channels,
                members,
            });
        }
    }

    /// Who waits for one of `members`, directly or not, and for whom.
    fn waiting(&self, members: &BTreeMap<UnitName, Member>) -> Vec<(&'a Unfinished, UnitName)> {
        let mut causes: BTreeSet<&UnitName> = members.keys().collect();
        let mut found: Vec<(&Unfinished, UnitName)> = Vec::new();
        loop {
            let before = found.len();
            for open in self.facts.unfinished {
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

    /// The unit that most of the others need comes first.
    fn cause_first<'u>(&self, about: &mut [About], causes: impl Iterator<Item = &'u UnitName>) {
        let mut named: BTreeMap<&UnitName, usize> = BTreeMap::new();
        for cause in causes {
            *named.entry(cause).or_default() += 1;
        }
        let units: Vec<UnitName> = about.iter().map(|one| one.unit.clone()).collect();
        about.sort_by_cached_key(|one| {
            let needed = units
                .iter()
                .filter(|unit| self.facts.relations.needs(unit, &one.unit))
                .count();
            let named = named.get(&one.unit).copied().unwrap_or(0);
            (
                std::cmp::Reverse(needed.max(named)),
                one.waits,
                one.unit.clone(),
            )
        });
    }
}

impl About {
    fn of(alert: &Alert) -> Self {
        Self {
            unit: alert.unit.clone(),
            incident: Some(alert.incident.clone()),
            headline: alert.headline.clone(),
            waits: false,
        }
    }
}
