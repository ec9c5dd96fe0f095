//! Makes a message of a note: reads the incidents' records and has a letter
//! written about them.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use prunella_config::Config;
use prunella_core::{
    UnitName,
    alert::{Message, Severity},
    incident::IncidentId,
    summary::Filter,
};
use prunella_report::{Letter, Letters, Tone};
use prunella_report::{Moment, Report, ReportContext};
use prunella_store::Store;

use crate::plan::{About, Form, Note};

/// As many incidents as a digest tells of.
const DIGEST_MAX: u32 = 100;

/// A unit's incidents that a report looks back on.
const PAST_MAX: u32 = 200;

/// What messages are made with.
pub(crate) struct Composer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) config: &'a Config,
    pub(crate) letters: &'a Letters,
    pub(crate) hostname: &'a str,
    pub(crate) boot_id: &'a str,
}

impl Composer<'_> {
    /// The message, but for its id, which each channel's has of its own.
    pub(crate) fn message(&self, note: &Note) -> Message {
        let letter = self.letter(note);
        let written = self.letters.write(&letter);
        for warning in &written.warnings {
            tracing::warn!("a template is left aside for the built-in one: {warning}");
        }
        let mut units: Vec<UnitName> = note.about.iter().map(|one| one.unit.clone()).collect();
        units.dedup();
        let mut incidents: Vec<IncidentId> = Vec::new();
        for incident in note
            .about
            .iter()
            .filter_map(|one| one.incident.clone())
            .chain(letter.incidents())
        {
            if !incidents.contains(&incident) {
                incidents.push(incident);
            }
        }
        Message {
            id: String::new(),
            kind: note.kind,
            severity: note.severity.max(letter.severity),
            at: note.at,
            host: self.hostname.to_owned(),
            units,
            incidents,
            trouble: note.trouble.clone(),
            resolved: note.resolved,
            headline: written.subject,
            facts: letter.facts(),
            text: written.text,
            html: Some(written.html),
        }
    }

    fn letter(&self, note: &Note) -> Letter {
        let reports: Vec<Report> = match note.form {
            Form::Flapping(since) => self.since(note, since),
            _ => note
                .about
                .iter()
                .filter_map(|one| self.report(one.incident.as_ref()?))
                .collect(),
        };
        let letter = match note.form {
            Form::Flapping(since) => Letter::digest(&reports, &span(note.at.saturating_sub(since))),
            Form::Storm => Letter::digest(&reports, "at once"),
            _ => self.about(note, reports),
        };
        letter.unwrap_or_else(|| self.without_records(note))
    }

    /// One cause and those that have to do with it.
    fn about(&self, note: &Note, mut reports: Vec<Report>) -> Option<Letter> {
        if reports.is_empty() {
            return None;
        }
        let lead = reports.remove(0);
        let cause = note.about.first()?;
        let mut letter = Letter::about_cause(lead, &reports);
        if cause.incident.is_none() {
            // What is the cause is not in care: no incident tells of it.
            letter.others_title = "Down because of it".to_owned();
            let units = units(note.about.iter().skip(1));
            letter.headline = format!(
                "{} is down, and {units} with it: a person has to see to it",
                cause.unit
            );
            letter.intro = vec![format!(
                "{} is the cause, and it is not in Prunella's care. {units} cannot work without \
                 it. What follows is the report of the first of them; this is the one message \
                 about all of them.",
                cause.unit
            )];
        }
        match note.form {
            Form::Resolved => {
                letter.kind = note.kind;
                letter.severity = Severity::Info;
                // The last report may still say that it was handed to people.
                if letter.tone != Tone::Good || note.about.len() > 1 {
                    letter.headline = format!("Over: {} well again", units_are(&note.about));
                }
                letter.tone = Tone::Good;
                letter.intro.insert(
                    0,
                    "What was told of this before is over; nothing is left to do.".to_owned(),
                );
            }
            Form::Reminder(since) => {
                letter.headline = format!("Still open: {}", letter.headline);
                letter.intro.insert(
                    0,
                    format!(
                        "This was told before, {}, and nobody has repaired it so far.",
                        Moment::of_host(since).local
                    ),
                );
            }
            _ => {}
        }
        Some(letter)
    }

    /// All that happened to a unit since then, the newest first.
    fn since(&self, note: &Note, since: u64) -> Vec<Report> {
        let Some(one) = note.about.first() else {
            return Vec::new();
        };
        let filter = Filter {
            unit: Some(one.unit.clone()),
            since: Some(since),
            limit: Some(DIGEST_MAX),
            ..Filter::default()
        };
        match self.store.incidents(&filter) {
            Ok(found) => found
                .iter()
                .filter_map(|summary| self.report(&summary.id))
                .collect(),
            Err(error) => {
                tracing::warn!("a digest about {} lacks its incidents: {error}", one.unit);
                Vec::new()
            }
        }
    }

    fn report(&self, incident: &IncidentId) -> Option<Report> {
        let record = match self.store.record(incident) {
            Ok(record) => record?,
            Err(error) => {
                tracing::warn!("a message lacks the record of {incident}: {error}");
                return None;
            }
        };
        let unit = &record.incident.detection.unit;
        let past = self.store.recent(unit, PAST_MAX).unwrap_or_default();
        let context = ReportContext {
            hostname: self.hostname.to_owned(),
            service: self.config.services.get(unit),
            boot_id: Some(self.boot_id.to_owned()),
            past: &past,
            now: None,
            zone: TimeZone::system(),
        };
        Some(Report::from_record(&record, &context))
    }

    /// When the store has no record of any incident: the alerts' own words.
    fn without_records(&self, note: &Note) -> Letter {
        let headlines: Vec<&str> = note.about.iter().map(|one| one.headline.as_str()).collect();
        let headline = headlines.first().copied().unwrap_or("an incident");
        let mut intro = headlines.clone();
        intro.push("The incident store has no record of it; the journal may have.");
        let mut letter = Letter::notice(
            headline,
            &intro,
            self.hostname,
            Moment::of_host(note.at),
            note.severity,
        );
        letter.kind = note.kind;
        letter
    }
}

/// `a.service`, or `12 services (a.service, b.service, …)`.
fn units<'a>(about: impl Iterator<Item = &'a About>) -> String {
    let names: BTreeSet<&str> = about.map(|one| one.unit.as_str()).collect();
    let listed = names.iter().copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        1 => listed,
        many => format!("{many} services ({listed})"),
    }
}

fn units_are(about: &[About]) -> String {
    let verb = if about.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", units(about.iter()))
}

/// `in 2 hours`, for a span in milliseconds.
fn span(ms: u64) -> String {
    let minutes = ms.div_ceil(60_000).max(1);
    match minutes {
        1 => "in a minute".to_owned(),
        2..120 => format!("in {minutes} minutes"),
        _ => format!("in {} hours", minutes.div_ceil(60)),
    }
}
