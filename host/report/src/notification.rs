//! What a notification is about: one incident, one alert group of many services, a digest.

use std::{collections::HashSet, hash::Hash};

use crate::{Moment, Report};
use prunella_core::{
    UnitName,
    alert::{AlertKind, Severity},
    incident::IncidentId,
    text::{capital, one_line, redact},
};
use serde::Serialize;

/// The longest headline, in characters.
const HEADLINE_MAX: usize = 240;

/// The longest paragraph, in characters.
const PARAGRAPH_MAX: usize = 2_000;

/// What is told to people in one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// All of it in one sentence.
    pub headline: String,
    /// What sort of news it is.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// How it looks at first sight.
    pub status_colour: StatusColour,
    /// That in a word or two: `healed`, `needs a person`.
    pub outcome: String,
    pub host: String,
    /// When what it tells happened.
    pub at: Moment,
    /// Paragraphs that come before the report.
    pub intro: Vec<String>,
    /// The incident that matters most: the cause, or the latest.
    pub report: Option<Report>,
    /// What the others are, such as `Held up by it`.
    pub others_title: String,
    /// Other incidents that it is about, a line for each.
    pub others: Vec<RelatedIncident>,
}

/// How a notification looks at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusColour {
    /// All is well.
    Green,
    /// A person has to do something.
    Red,
    /// It goes on, or waits.
    Amber,
    /// Nothing was done, and nothing has to be.
    Grey,
}

/// Another incident, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelatedIncident {
    pub unit: UnitName,
    pub incident: IncidentId,
    /// When it was detected.
    pub at: Moment,
    /// How it looks at first sight.
    pub status_colour: StatusColour,
    /// How it ended, in a word or two.
    pub outcome: String,
    /// What there is to say about it.
    pub text: String,
}

impl StatusColour {
    fn of(report: &Report) -> Self {
        match report.ended.as_str() {
            "healed" | "recovered" => Self::Green,
            _ if report.needs_people => Self::Red,
            "left-alone" | "dry-run" => Self::Grey,
            _ => Self::Amber,
        }
    }
}

impl From<&Report> for RelatedIncident {
    fn from(report: &Report) -> Self {
        let healed_in = report
            .proof
            .as_ref()
            .filter(|_| report.ended == "healed")
            .and_then(|proof| proof.healed_in.as_ref());
        Self {
            unit: report.unit.clone(),
            incident: report.incident.clone(),
            at: report.at.clone(),
            status_colour: StatusColour::of(report),
            outcome: match healed_in {
                Some(healed_in) => format!("{} in {healed_in}", report.outcome),
                None => report.outcome.clone(),
            },
            text: report.what_failed.clone(),
        }
    }
}

impl RelatedIncident {
    /// One that needed people, as it is told after a later incident of the same service.
    fn overtaken(self) -> Self {
        Self {
            status_colour: StatusColour::Grey,
            outcome: "needed a person".to_owned(),
            ..self
        }
    }
}

impl Notification {
    /// About one incident.
    pub fn about(report: Report) -> Self {
        Self {
            headline: headline(&report.headline),
            kind: report.kind,
            severity: report.severity,
            status_colour: StatusColour::of(&report),
            outcome: report.outcome.clone(),
            host: report.host.clone(),
            at: report.at.clone(),
            intro: Vec::new(),
            others_title: String::new(),
            others: Vec::new(),
            report: Some(report),
        }
    }

    /// About one alert group of several services: `cause` is why `held_up` are down
    /// too, or were; those that did not wait for it failed at the same time.
    pub fn about_cause(cause: Report, held_up: &[Report]) -> Self {
        let mut notification = Self::about(cause);
        let units = distinct(held_up.iter().map(|report| &report.unit));
        if units.is_empty() {
            return notification;
        }
        let over = notification.status_colour == StatusColour::Green;
        // Some may only have failed at the same time, and come back without it.
        let waiting = distinct(
            held_up
                .iter()
                .filter(|report| report.waited)
                .map(|report| &report.unit),
        );
        let only_degraded = held_up.iter().all(Report::is_of_degradation);
        let (how, was) = if only_degraded {
            ("degraded", "were degraded")
        } else {
            ("down", "failed")
        };
        let counted = match (over, waiting.len(), units.len()) {
            (true, 0, 1) if only_degraded => "1 service was degraded with it".to_owned(),
            (true, 0, all) => format!("{} {was} with it", services(all)),
            (false, 0, 1) => format!("1 service is {how} with it"),
            (false, 0, all) => format!("{} are {how} with it", services(all)),
            (true, waited, _) => format!("{} waited for it", services(waited)),
            (false, 1, _) => "1 service waits for it".to_owned(),
            (false, wait, _) => format!("{} wait for it", services(wait)),
        };
        notification.headline = headline(&format!("{}; {counted}", notification.headline));
        notification.intro = vec![format!(
            "{}. This is the only message about all of them.",
            capital(&counted)
        )];
        if !over {
            let worst = held_up.iter().map(|report| report.severity).max();
            notification.severity = worst
                .unwrap_or(notification.severity)
                .max(notification.severity);
            // What holds up a critical service is as urgent as that.
            if notification.status_colour == StatusColour::Red
                && held_up.iter().any(|report| report.critical)
            {
                notification.severity = Severity::Critical;
            }
        }
        notification.others_title = match (over, waiting.len() == units.len()) {
            (true, true) => "Waited for it",
            (false, true) => "Waiting for it",
            (_, false) if only_degraded => "Degraded with it",
            (true, false) => "Failed with it",
            (false, false) => "Down with it",
        }
        .to_owned();
        notification.others = held_up.iter().map(RelatedIncident::from).collect();
        notification
    }

    /// A digest of several incidents, the newest first: of one flapping service,
    /// or of many in a short time. What has to be done is that of each service's
    /// latest. `span` is how long that was, in words: `in 12 minutes`. Without any
    /// there is no digest.
    pub fn digest(reports: &[Report], span: &str) -> Option<Self> {
        let newest = reports.first()?;
        let units = distinct(reports.iter().map(|report| &report.unit));
        let latest = latest(reports);
        let count = |colour| {
            reports
                .iter()
                .filter(|r| StatusColour::of(r) == colour)
                .count()
        };
        let (healed, needed) = (count(StatusColour::Green), count(StatusColour::Red));
        let bad = latest
            .iter()
            .filter(|report| StatusColour::of(report) == StatusColour::Red)
            .count();
        let overtaken = needed - bad;
        let mut how = Vec::new();
        if bad > 0 {
            how.push(match bad {
                1 => "1 needs a person".to_owned(),
                bad => format!("{bad} need a person"),
            });
        }
        if overtaken > 0 {
            how.push(format!("{overtaken} needed a person"));
        }
        if healed == reports.len() {
            how.push("recovered each time".to_owned());
        } else if healed > 0 {
            how.push(format!("{healed} recovered"));
        }
        let open = reports.iter().filter(|r| r.ended == "open").count();
        if open > 0 {
            how.push(format!("{open} being healed"));
        }
        let rest = reports.len() - needed - healed - open;
        if rest > 0 {
            how.push(format!("{rest} other"));
        }
        let how = how.join(", ");
        let span = one_line(span, 80);
        // The one that somebody has to look at leads, else the newest.
        let lead = latest
            .iter()
            .copied()
            .find(|report| StatusColour::of(report) == StatusColour::Red)
            .unwrap_or(newest);
        let mut notification = Self::about(lead.clone());
        let flapping = units.len() == 1;
        notification.headline = headline(&if flapping {
            format!(
                "{} failed {} times {span}: {how}",
                newest.unit,
                reports.len()
            )
        } else {
            format!(
                "{} incidents of {} services {span}: {how}",
                reports.len(),
                units.len()
            )
        });
        notification.intro = vec![if flapping {
            "It keeps failing, so this is one message instead of many. Each failure is listed \
             at the end."
                .to_owned()
        } else {
            format!(
                "Many services failed at once, so this is one message instead of many: {}.",
                listed(&units)
            )
        }];
        let is_latest = |report: &Report| latest.iter().any(|one| one.incident == report.incident);
        // What has recovered since is no emergency any more.
        notification.severity = latest.iter().map(|report| report.severity).max()?;
        if bad > 0 {
            notification.kind = AlertKind::Escalation;
        } else if flapping {
            // Healed each time, and still not well.
            notification.kind = AlertKind::Information;
            notification.severity = notification.severity.max(Severity::Warning);
            notification.status_colour = StatusColour::Amber;
            "keeps failing".clone_into(&mut notification.outcome);
        }
        notification.at = newest.at.clone();
        notification.others_title = if flapping {
            "Each failure"
        } else {
            "All incidents"
        }
        .to_owned();
        notification.others = reports
            .iter()
            .map(|report| {
                let related = RelatedIncident::from(report);
                if related.status_colour == StatusColour::Red && !is_latest(report) {
                    related.overtaken()
                } else {
                    related
                }
            })
            .collect();
        Some(notification)
    }

    /// About something that is no incident, such as a test of a channel, or
    /// trouble of Prunella's own.
    pub fn notice(
        headline_: &str,
        intro: &[&str],
        host: &str,
        at: Moment,
        severity: Severity,
    ) -> Self {
        let status_colour = match severity {
            Severity::Info => StatusColour::Grey,
            Severity::Warning => StatusColour::Amber,
            Severity::Critical => StatusColour::Red,
        };
        let clean = |text: &str, max| one_line(&redact(text), max);
        Self {
            headline: headline(&clean(headline_, HEADLINE_MAX)),
            kind: AlertKind::Information,
            severity,
            status_colour,
            outcome: "a notice".to_owned(),
            host: clean(host, 255),
            at,
            intro: intro
                .iter()
                .map(|paragraph| clean(paragraph, PARAGRAPH_MAX))
                .collect(),
            report: None,
            others_title: String::new(),
            others: Vec::new(),
        }
    }

    /// The units it is about, the cause first, each once.
    pub fn units(&self) -> Vec<UnitName> {
        let lead = self.report.iter().map(|report| &report.unit);
        distinct(lead.chain(self.others.iter().map(|other| &other.unit)))
            .into_iter()
            .cloned()
            .collect()
    }

    /// Their incidents, each once.
    pub fn incidents(&self) -> Vec<IncidentId> {
        let lead = self.report.iter().map(|report| &report.incident);
        distinct(lead.chain(self.others.iter().map(|other| &other.incident)))
            .into_iter()
            .cloned()
            .collect()
    }

    /// The first things anybody wants to know, name and value, in the order in
    /// which they are shown.
    pub fn facts(&self) -> Vec<(String, String)> {
        let Some(report) = &self.report else {
            return vec![
                ("host".to_owned(), self.host.clone()),
                ("time".to_owned(), self.at.local.clone()),
            ];
        };
        let mut facts = report.facts();
        let units = self.units();
        if units.len() > 1 {
            let others: Vec<&UnitName> = units.iter().skip(1).collect();
            facts.insert(
                1,
                (
                    "others".to_owned(),
                    format!("{} ({})", others.len(), listed(&others)),
                ),
            );
        }
        facts
    }
}

/// In one line, as the subject of a mail has room for.
fn headline(text: &str) -> String {
    one_line(text, HEADLINE_MAX)
}

fn services(number: usize) -> String {
    match number {
        1 => "1 service".to_owned(),
        number => format!("{number} services"),
    }
}

/// Each once, in the order in which they come first.
fn distinct<'a, T: Eq + Hash + 'a>(all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut known = HashSet::new();
    all.filter(|one| known.insert(*one)).collect()
}

/// The latest of each service, of reports that begin with the newest.
fn latest(reports: &[Report]) -> Vec<&Report> {
    let mut known = HashSet::new();
    reports
        .iter()
        .filter(|report| known.insert(&report.unit))
        .collect()
}

/// `a, b and c`; the first ten of many.
fn listed(units: &[&UnitName]) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<String> = units.iter().take(SHOWN).map(|u| u.to_string()).collect();
    let more = units.len().saturating_sub(SHOWN);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
