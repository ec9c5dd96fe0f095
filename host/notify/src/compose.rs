//! Makes a message of a planned message: reads the incidents' records and has a notification
//! rendered about them.

use std::{collections::BTreeSet, time::Duration};

use jiff::tz::TimeZone;
use prunella_config::Config;
use prunella_core::{
    Timestamp, UnitName,
    alert::{AlertKind, Message, Severity},
    incident::{Ending, IncidentId, LeftAlone},
    summary::Filter,
    trail::{Record, was_handed_over},
};
use prunella_report::{
    HOUR, Moment, Notification, Plot, Plotted, Renderer, Report, ReportContext, StatusColour,
};
use prunella_store::Store;

use crate::{
    HostQueries,
    plan::{Mention, MessageForm, PlannedMessage},
};

/// As many incidents as a digest tells of.
const DIGEST_MAX: u32 = 100;

/// A unit's incidents that a report looks back on.
const PAST_MAX: u32 = 200;

/// What messages are made with.
pub(crate) struct Composer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) config: &'a Config,
    pub(crate) host: &'a dyn HostQueries,
    pub(crate) renderer: &'a Renderer,
    pub(crate) hostname: &'a str,
    pub(crate) sudo: bool,
    pub(crate) boot_id: &'a str,
}

impl Composer<'_> {
    /// The message, but for its id, which each channel's has of its own.
    pub(crate) fn message(&self, planned: &PlannedMessage) -> Message {
        let mut notification = self.notification(planned);
        if let Some(report) = notification.report.take() {
            let plot = self.plot(&report.incident, planned.at);
            notification.report = Some(report.with_plot(plot));
        }
        // What was down when this was planned may be up by now: that is no emergency.
        let lead = notification.report.as_ref();
        let is_checked = lead.is_some_and(|report| report.being_checked);
        // That nothing more is done, since somebody stopped it, is no emergency either.
        let is_closed = matches!(planned.form, MessageForm::Resolved)
            && notification.kind == AlertKind::Information;
        if !is_checked && !is_closed {
            notification.severity = notification.severity.max(planned.severity);
        }
        let rendered = self.renderer.render(&notification);
        for warning in &rendered.warnings {
            tracing::warn!("a template is left aside for the built-in one: {warning}");
        }
        let mut units: Vec<UnitName> = planned
            .mentions
            .iter()
            .map(|one| one.unit.clone())
            .collect();
        units.dedup();
        let mut incidents: Vec<IncidentId> = Vec::new();
        for incident in planned
            .mentions
            .iter()
            .filter_map(|one| one.incident.clone())
            .chain(notification.incidents())
        {
            if !incidents.contains(&incident) {
                incidents.push(incident);
            }
        }
        Message {
            id: String::new(),
            // An end is not always a recovery.
            kind: match planned.form {
                MessageForm::Resolved => notification.kind,
                _ => planned.kind,
            },
            severity: notification.severity,
            at: planned.at,
            host: self.hostname.to_owned(),
            units,
            incidents,
            alert_group: planned.alert_group.clone(),
            resolved: planned.resolved,
            headline: rendered.subject,
            facts: notification.facts(),
            text: rendered.text,
            html: Some(rendered.html),
        }
    }

    fn notification(&self, planned: &PlannedMessage) -> Notification {
        let reports: Vec<Report> = match planned.form {
            MessageForm::Flapping(since) => self.since(planned, since),
            _ => planned
                .mentions
                .iter()
                .filter_map(|one| self.report(one.incident.as_ref()?))
                .collect(),
        };
        let notification = match planned.form {
            MessageForm::Flapping(since) => {
                Notification::digest(&reports, &span(planned.at.since(since)))
            }
            MessageForm::Storm => Notification::digest(&reports, "at once"),
            _ => self.about(planned, reports),
        };
        notification.unwrap_or_else(|| self.without_records(planned))
    }

    /// One cause and those that have to do with it.
    fn about(&self, planned: &PlannedMessage, mut reports: Vec<Report>) -> Option<Notification> {
        if reports.is_empty() {
            return None;
        }
        let lead = reports.remove(0);
        let cause = planned.mentions.first()?;
        let mut notification = Notification::about_cause(lead, &reports);
        if cause.incident.is_none() && planned.form != MessageForm::Resolved {
            // No incident that goes on tells of the cause.
            notification.others_title = "Down because of it".to_owned();
            let units = units(planned.mentions.iter().skip(1));
            notification.headline = format!(
                "{} is down, and {units} with it: needs a person",
                cause.unit
            );
            notification.intro = vec![format!(
                "{} is the cause, and {}. {units} cannot work without it. This is the only \
                 message about all of them; the report is that of the first.",
                cause.unit,
                self.why_not_healed(&cause.unit)
            )];
        }
        match planned.form {
            MessageForm::Resolved => {
                notification.kind = planned.kind;
                notification.severity = planned.severity;
                let (left, up): (Vec<&Mention>, Vec<&Mention>) = planned
                    .mentions
                    .iter()
                    .partition(|one| self.is_left_as_it_is(one));
                let down: Vec<(&UnitName, String)> = left
                    .iter()
                    .filter_map(|one| Some((&one.unit, self.host.stays_down(&one.unit)?)))
                    .collect();
                if !up.is_empty() && !left.is_empty() && down.len() == left.len() {
                    notification.headline =
                        format!("Closed: {} up again; {}", units_are(&up), stay_down(&down));
                    notification.kind = AlertKind::Information;
                    notification.severity = Severity::Info;
                    notification.status_colour = StatusColour::Grey;
                    notification.report = notification.report.map(Report::is_over);
                    notification.intro = self.about_left(&down);
                    "Up again without it".clone_into(&mut notification.others_title);
                } else if left.is_empty() {
                    // The last report may still say that it was handed to people.
                    if notification.status_colour != StatusColour::Green || up.len() > 1 {
                        notification.headline = format!("Resolved: {} up again", units_are(&up));
                    }
                    if notification.status_colour != StatusColour::Green {
                        notification.report = notification.report.map(Report::is_over);
                    }
                    notification.status_colour = StatusColour::Green;
                    notification
                        .intro
                        .insert(0, "This ends what was reported before.".to_owned());
                } else {
                    // Somebody stopped it, say: it is over, and the service is not up.
                    notification.headline = match (up.is_empty(), left.len()) {
                        (true, 1) => format!("Closed: {}", notification.headline),
                        (true, _) => format!("Closed: {} left alone", units_are(&left)),
                        (false, _) => format!(
                            "Closed: {} up again, {} left alone",
                            units_are(&up),
                            units_are(&left)
                        ),
                    };
                    notification.kind = AlertKind::Information;
                    notification.severity = Severity::Info;
                    notification.intro.insert(
                        0,
                        "Prunella does nothing more about what was reported before.".to_owned(),
                    );
                }
            }
            MessageForm::LeftCare => {
                notification.kind = planned.kind;
                let is_degraded = notification
                    .report
                    .as_ref()
                    .is_some_and(Report::is_of_degradation);
                let how = if is_degraded { "degraded" } else { "failed" };
                notification.report = notification.report.map(Report::out_of_care);
                let all: Vec<&Mention> = planned.mentions.iter().collect();
                notification.headline = format!(
                    "{} still {how}; Prunella no longer looks after {}",
                    units_are(&all),
                    if all.len() == 1 { "it" } else { "them" }
                );
                notification.intro.insert(
                    0,
                    "What was reported before is not over, and nobody heals it. This goes on \
                     when it is in Prunella's care again."
                        .to_owned(),
                );
            }
            MessageForm::Reminder(since) => {
                notification.headline = format!("Still open: {}", notification.headline);
                notification.intro.insert(
                    0,
                    format!(
                        "First reported {}, and still not fixed.",
                        Moment::of_host(since).local
                    ),
                );
            }
            _ => {}
        }
        Some(notification)
    }

    /// Whether what was told of a unit is over because it is meant to be as it is, or because
    /// what needs it is up without it. Otherwise it is up: whatever kept Prunella from healing
    /// it, somebody else has started it.
    fn is_left_as_it_is(&self, mention: &Mention) -> bool {
        if self.host.up_since(&mention.unit).is_some() {
            return false;
        }
        let Some(incident) = &mention.incident else {
            // No incident tells how the cause stands.
            return self.host.stays_down(&mention.unit).is_some();
        };
        match self.record(incident).and_then(|record| record.ending) {
            Some(Ending::LeftAlone { why, .. }) => why.is_meant() && why != LeftAlone::Healthy,
            _ => false,
        }
    }

    /// What becomes of units that stay down although what was reported is over.
    fn about_left(&self, down: &[(&UnitName, String)]) -> Vec<String> {
        let mut sentences =
            vec!["Prunella does nothing more about what was reported before.".to_owned()];
        for (unit, why) in down {
            sentences.push(
                match (why.as_str(), self.config.services.contains_key(*unit)) {
                    ("masked", true) => {
                        let sudo = if self.sudo { "sudo " } else { "" };
                        format!(
                            "{unit} stays down as long as it is masked. `{sudo}systemctl unmask \
                             {unit}` ends that, and has Prunella heal it if it had failed."
                        )
                    }
                    (why, true) => format!("{unit} stays down: {why}."),
                    (why, false) => {
                        format!("{unit} stays down ({why}): it is not in Prunella's care.")
                    }
                },
            );
        }
        sentences
    }

    /// Why nobody heals a unit that has no incident going on.
    fn why_not_healed(&self, unit: &UnitName) -> String {
        if !self.config.services.contains_key(unit) {
            return "it is not in Prunella's care".to_owned();
        }
        let latest = self.store.latest_record(unit).ok().flatten();
        match latest.and_then(|record| record.ending) {
            Some(Ending::LeftAlone { why, .. }) => {
                format!("Prunella left it alone: {}", why.sentence())
            }
            _ => "it was not healed".to_owned(),
        }
    }

    /// All that happened to a unit since then, the newest first.
    fn since(&self, planned: &PlannedMessage, since: Timestamp) -> Vec<Report> {
        let Some(one) = planned.mentions.first() else {
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
                .filter_map(|summary| self.record(&summary.id))
                .filter(|record| {
                    let detection = &record.incident.detection;
                    let nothing_failed = match &record.ending {
                        None => detection.is_order(),
                        Some(Ending::DryRun { .. }) => true,
                        Some(ending) => detection.nothing_failed(ending),
                    };
                    !detection.is_degradation()
                        && (!nothing_failed || was_handed_over(&record.steps))
                })
                .map(|record| self.report_of(&record))
                .collect(),
            Err(error) => {
                tracing::warn!("a digest about {} lacks its incidents: {error}", one.unit);
                Vec::new()
            }
        }
    }

    fn report(&self, incident: &IncidentId) -> Option<Report> {
        Some(self.report_of(&self.record(incident)?))
    }

    fn record(&self, incident: &IncidentId) -> Option<Record> {
        self.store.record(incident).unwrap_or_else(|error| {
            tracing::warn!("a message lacks the record of {incident}: {error}");
            None
        })
    }

    fn report_of(&self, record: &Record) -> Report {
        let unit = &record.incident.detection.unit;
        let past = self.store.recent(unit, PAST_MAX).unwrap_or_default();
        let context = ReportContext {
            hostname: self.hostname.to_owned(),
            service: self.config.services.get(unit),
            boot_id: Some(self.boot_id.to_owned()),
            past: &past,
            now: None,
            zone: TimeZone::system(),
            sudo: self.sudo,
        };
        Report::from_record(record, &context)
    }

    /// The hour before `now`, or before the end, of what matters most in an incident.
    fn plot(&self, incident: &IncidentId, now: Timestamp) -> Option<Plot> {
        let record = self.record(incident)?;
        let detection = &record.incident.detection;
        let follows = detection.follows.as_ref().and_then(|it| self.record(it));
        let plotted = Plotted::of(&record, follows.as_ref())?;
        let until = plotted.until.min(now);
        let points = self.host.measured(
            &detection.unit,
            plotted.symptom.metric,
            plotted.symptom.instance.as_deref(),
            (until.saturating_sub(HOUR), until),
        );
        Plot::new(&plotted, until, &points, &TimeZone::system())
    }

    /// When the store has no record of any incident: the alerts' own words.
    fn without_records(&self, planned: &PlannedMessage) -> Notification {
        let headlines: Vec<&str> = planned
            .mentions
            .iter()
            .map(|one| one.headline.as_str())
            .collect();
        let headline = headlines.first().copied().unwrap_or("an incident");
        let mut intro = headlines.clone();
        intro.push("The incident store has no record of it. The journal may.");
        let mut notification = Notification::notice(
            headline,
            &intro,
            self.hostname,
            Moment::of_host(planned.at),
            planned.severity,
        );
        notification.kind = planned.kind;
        notification
    }
}

/// `a.service`, or `12 services (a.service, b.service, …)`.
fn units<'a>(mentions: impl Iterator<Item = &'a Mention>) -> String {
    let names: BTreeSet<&str> = mentions.map(|one| one.unit.as_str()).collect();
    let listed = names.iter().copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        1 => listed,
        many => format!("{many} services ({listed})"),
    }
}

/// `a.service stays down: masked, b.service stays down: failed`.
fn stay_down(down: &[(&UnitName, String)]) -> String {
    let each = down
        .iter()
        .map(|(unit, why)| format!("{unit} stays down: {why}"));
    each.collect::<Vec<_>>().join(", ")
}

fn units_are(mentions: &[&Mention]) -> String {
    let verb = if mentions.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", units(mentions.iter().copied()))
}

/// `in 2 hours`.
fn span(span: Duration) -> String {
    let minutes = span.as_millis().div_ceil(60_000).max(1);
    match minutes {
        1 => "in a minute".to_owned(),
        2..120 => format!("in {minutes} minutes"),
        _ => format!("in {} hours", minutes.div_ceil(60)),
    }
}
