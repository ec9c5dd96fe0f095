//! What a letter is about: one incident, one trouble of many services, a digest.

use std::{collections::HashSet, hash::Hash};

use crate::{Moment, Report};
use prunella_core::{
    UnitName,
    alert::{AlertKind, Severity},
    incident::IncidentId,
    text::{one_line, redact},
};
use serde::Serialize;

/// The longest headline, in characters.
const HEADLINE_MAX: usize = 240;

/// The longest paragraph, in characters.
const PARAGRAPH_MAX: usize = 2_000;

/// What is told to people in one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Letter {
    /// All of it in one sentence.
    pub headline: String,
    /// What sort of news it is.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// How it looks at first sight.
    pub tone: Tone,
    /// That in a word or two: `healed`, `needs a person`.
    pub outcome: String,
    /// The host.
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
    pub others: Vec<Other>,
}

/// How a letter looks at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// All is well.
    Good,
    /// A person has to do something.
    Bad,
    /// It goes on, or waits.
    Waiting,
    /// Nothing was done, and nothing has to be.
    Quiet,
}

/// Another incident, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The unit.
    pub unit: UnitName,
    /// Its incident.
    pub incident: IncidentId,
    /// When it was detected.
    pub at: Moment,
    /// How it looks at first sight.
    pub tone: Tone,
    /// How it ended, in a word or two.
    pub outcome: String,
    /// What there is to say about it.
    pub text: String,
}

impl Tone {
    fn of(report: &Report) -> Self {
        match report.ended.as_str() {
            "healed" | "recovered" => Self::Good,
            _ if report.needs_people => Self::Bad,
            "left-alone" | "rehearsed" => Self::Quiet,
            _ => Self::Waiting,
        }
    }
}

impl From<&Report> for Other {
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
            tone: Tone::of(report),
            outcome: match healed_in {
                Some(healed_in) => format!("{} in {healed_in}", report.outcome),
                None => report.outcome.clone(),
            },
            text: report.what_failed.clone(),
        }
    }
}

impl Letter {
    /// About one incident.
    pub fn about(report: Report) -> Self {
        Self {
            headline: headline(&report.headline),
            kind: report.kind,
            severity: report.severity,
            tone: Tone::of(&report),
            outcome: report.outcome.clone(),
            host: report.host.clone(),
            at: report.at.clone(),
            intro: Vec::new(),
            others_title: String::new(),
            others: Vec::new(),
            report: Some(report),
        }
    }

    /// About one trouble of several services: `cause` is why `held_up` are down
    /// too, or were.
    pub fn about_cause(cause: Report, held_up: &[Report]) -> Self {
        let mut letter = Self::about(cause);
        let units = distinct(held_up.iter().map(|report| &report.unit));
        if units.is_empty() {
            return letter;
        }
        let over = letter.tone == Tone::Good;
        let number = match units.len() {
            1 => "1 service".to_owned(),
            number => format!("{number} services"),
        };
        let verb = match (over, units.len()) {
            (true, _) => "waited",
            (false, 1) => "waits",
            (false, _) => "wait",
        };
        letter.headline = headline(&format!("{}; {number} {verb} for it", letter.headline));
        letter.intro = vec![format!(
            "It is the cause of more: {number} {verb} for it, and this is the one message about \
             all of them."
        )];
        if !over {
            let worst = held_up.iter().map(|report| report.severity).max();
            letter.severity = worst.unwrap_or(letter.severity).max(letter.severity);
            // What holds up a critical service is as urgent as that.
            if letter.tone == Tone::Bad && held_up.iter().any(|report| report.critical) {
                letter.severity = Severity::Critical;
            }
        }
        letter.others_title = if over {
            "Held up by it"
        } else {
            "Waiting for it"
        }
        .to_owned();
        letter.others = held_up.iter().map(Other::from).collect();
        letter
    }

    /// A digest of several incidents, the newest first: of one flapping service,
    /// or of many in a short time. `span` is how long that was, in words: `in 12
    /// minutes`. Without any there is no digest.
    pub fn digest(reports: &[Report], span: &str) -> Option<Self> {
        let newest = reports.first()?;
        let units = distinct(reports.iter().map(|report| &report.unit));
        let count = |tone| reports.iter().filter(|r| Tone::of(r) == tone).count();
        let (healed, bad) = (count(Tone::Good), count(Tone::Bad));
        let mut how = Vec::new();
        if bad > 0 {
            how.push(match bad {
                1 => "1 needs a person".to_owned(),
                bad => format!("{bad} need a person"),
            });
        }
        if healed == reports.len() {
            how.push("well again each time".to_owned());
        } else if healed > 0 {
            how.push(format!("{healed} well again"));
        }
        let rest = reports.len() - bad - healed;
        if rest > 0 {
            how.push(format!("{rest} otherwise"));
        }
        let how = how.join(", ");
        let span = one_line(span, 80);
        // The one that somebody has to look at leads, else the newest.
        let lead = reports
            .iter()
            .find(|report| Tone::of(report) == Tone::Bad)
            .unwrap_or(newest);
        let mut letter = Self::about(lead.clone());
        let flapping = units.len() == 1;
        letter.headline = headline(&if flapping {
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
        letter.intro = vec![if flapping {
            "It fails again and again, so this is one message instead of many. Each healing is \
             listed below; what follows first is the incident that tells most."
                .to_owned()
        } else {
            format!(
                "So much failed at once that this is one message instead of many. It concerns {}.",
                listed(&units)
            )
        }];
        let worst = reports.iter().max_by_key(|report| report.severity)?;
        letter.severity = worst.severity;
        if bad > 0 {
            letter.kind = AlertKind::Escalation;
        } else if flapping {
            // Healed each time, and still not well.
            letter.kind = AlertKind::Information;
            letter.severity = letter.severity.max(Severity::Warning);
            letter.tone = Tone::Waiting;
            "fails again and again".clone_into(&mut letter.outcome);
        }
        letter.at = newest.at.clone();
        letter.others_title = if flapping { "Each time" } else { "All of them" }.to_owned();
        letter.others = reports.iter().map(Other::from).collect();
        Some(letter)
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
        let tone = match severity {
            Severity::Info => Tone::Quiet,
            Severity::Warning => Tone::Waiting,
            Severity::Critical => Tone::Bad,
        };
        let clean = |text: &str, max| one_line(&redact(text), max);
        Self {
            headline: headline(&clean(headline_, HEADLINE_MAX)),
            kind: AlertKind::Information,
            severity,
            tone,
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

/// Each once, in the order in which they come first.
fn distinct<'a, T: Eq + Hash + 'a>(all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut known = HashSet::new();
    all.filter(|one| known.insert(*one)).collect()
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
