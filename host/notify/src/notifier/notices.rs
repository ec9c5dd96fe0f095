//! What is no incident of a service: trouble of Prunella's own, the health of the host, and
//! what will be used up.

use std::collections::{BTreeMap, BTreeSet};

use prunella_config::Config;
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{AlertKind, Message, Severity},
    health::{SubjectForecast, Symptom, SymptomLevel},
    text::capital,
};
use prunella_report::{Moment, Notification, StatusColour, forecast_in_words};
use prunella_store::{Notice, NoticeChange, StoreError};

use super::{Notifier, Shared, wall_clock};

/// The unit by which routes find who hears of what is of no service.
const OWN_UNIT: &str = "prunella.service";

/// What the matters of forecasts are named: this, of the host; and this and a service's unit.
const FORECASTS: &str = "forecasts";

/// So many services are named in a message.
const LISTED: usize = 20;

/// What people are told of.
struct Matter {
    /// Its name in the store.
    key: String,
    /// The service by whose routes people hear of it; none, where it is of the host or of
    /// Prunella.
    of: Option<UnitName>,
    /// The services that it is about, too.
    units: Vec<UnitName>,
    /// What is the matter, a line for each thing; none when it is over.
    lines: Vec<String>,
    /// Whether it is news that one of several things is over.
    tells_what_is_left: bool,
    kind: AlertKind,
    severity: Severity,
    outcome: &'static str,
    colour: StatusColour,
    headline: String,
    /// What the message says, a sentence each.
    intro: Vec<String>,
}

impl Notifier {
    /// Tells people what of the configuration is not in force, a sentence each that begins
    /// with the file and a colon: once, again when it changes, and once when nothing is
    /// left of it.
    ///
    /// # Errors
    /// When the store does not take the messages.
    pub fn config_problems(&self, problems: &[String]) -> Result<(), StoreError> {
        let heals_nothing = (self.shared.settings.config)().held.is_some();
        self.notice(configuration(problems, heals_nothing))
    }

    /// Tells people of the symptoms of the host: of each once, once more when it becomes
    /// critical or the first `services` are degraded because of it, and once when none is left.
    ///
    /// # Errors
    /// When the store does not take the messages.
    pub fn host_health(
        &self,
        symptoms: &[Symptom],
        services: &[UnitName],
    ) -> Result<(), StoreError> {
        self.notice(host_health(symptoms, services))
    }

    /// Tells people what will be used up soon: of each once, and once when nothing is left of
    /// a service's or of the host's. Of a service hears who hears of its degradations.
    ///
    /// # Errors
    /// When the store does not take the messages.
    pub fn forecasts(&self, forecasts: &[SubjectForecast]) -> Result<(), StoreError> {
        let told = self.shared.settings.store.notices_of(FORECASTS)?;
        let mut by_subject: BTreeMap<Option<UnitName>, Vec<SubjectForecast>> = told
            .iter()
            .map(|key| (subject_of(key), Vec::new()))
            .collect();
        for one in forecasts {
            let of = one.subject.unit().cloned();
            by_subject.entry(of).or_default().push(one.clone());
        }
        for (of, forecasts) in by_subject {
            self.notice(forecast(of, &forecasts, wall_clock()))?;
        }
        Ok(())
    }

    fn notice(&self, matter: Matter) -> Result<(), StoreError> {
        if self.shared.tell(&matter)? {
            self.wake();
        }
        Ok(())
    }
}

fn configuration(problems: &[String], heals_nothing: bool) -> Matter {
    let file = |problem: &str| problem.split(':').next().unwrap_or_default().to_owned();
    let mut intro = problems.to_vec();
    let (severity, headline, what_to_do) = match problems {
        [] => (
            Severity::Info,
            "Prunella's configuration is in force again".to_owned(),
            "This ends what was reported before. Nothing is left to do.",
        ),
        problems => (
            if heals_nothing {
                Severity::Critical
            } else {
                Severity::Warning
            },
            match problems {
                [first, ..] if heals_nothing => {
                    format!("Prunella heals nothing: mistake in {}", file(first))
                }
                // A subject has room for the file; what is wrong with it follows.
                [one] => format!("Mistake in {}: it is not in force", file(one)),
                many => format!("{} mistakes in Prunella's configuration", many.len()),
            },
            "`prunella config check` shows each mistake with its place. Correct them, then run \
             `sudo prunella reload`.",
        ),
    };
    intro.push(what_to_do.to_owned());
    Matter {
        key: "configuration".to_owned(),
        of: None,
        units: Vec::new(),
        lines: problems.to_vec(),
        tells_what_is_left: true,
        kind: AlertKind::Escalation,
        severity,
        outcome: "needs a person",
        colour: StatusColour::Red,
        headline,
        intro,
    }
}

fn host_health(symptoms: &[Symptom], services: &[UnitName]) -> Matter {
    let mut lines = Vec::new();
    for symptom in symptoms {
        let of = symptom.instance.as_deref().unwrap_or_default();
        let what = format!("{} {of}", symptom.metric.as_str());
        if symptom.level != SymptomLevel::Degraded {
            lines.push(format!("{what}, critical"));
        }
        lines.push(what);
    }
    let is_critical = |symptom: &Symptom| symptom.level != SymptomLevel::Degraded;
    let mut intro: Vec<String> = symptoms
        .iter()
        .map(|symptom| format!("{}.", capital(&symptom.evidence)))
        .collect();
    let (severity, headline, what_to_do) = match symptoms {
        [] => (
            Severity::Info,
            "The host is well again".to_owned(),
            "This ends what was reported before. Nothing is left to do.",
        ),
        [first, others @ ..] => (
            if symptoms.iter().any(is_critical) {
                Severity::Critical
            } else {
                Severity::Warning
            },
            match (others.len(), services.len()) {
                (0, 0) => format!("The host is degraded: {}", first.evidence),
                (more, 0) => format!("The host is degraded: {}, and {more} more", first.evidence),
                (_, 1) => format!(
                    "The host is degraded, and 1 service with it: {}",
                    first.evidence
                ),
                (_, many) => format!(
                    "The host is degraded, and {many} services with it: {}",
                    first.evidence
                ),
            },
            "Prunella does nothing about it. `prunella health --host` shows how it stands, and \
             `prunella metrics host` what is measured.",
        ),
    };
    if !services.is_empty() {
        lines.push("services".to_owned());
        intro.push(format!(
            "Degraded because of it: {}. Of them there is no message apart, as long as the host \
             is so.",
            listed(services)
        ));
    }
    intro.push(what_to_do.to_owned());
    Matter {
        key: "host-health".to_owned(),
        of: None,
        units: services.to_vec(),
        lines,
        tells_what_is_left: false,
        kind: AlertKind::Degradation,
        severity,
        outcome: "degraded",
        colour: StatusColour::Amber,
        headline,
        intro,
    }
}

/// Names for a sentence.
fn listed(units: &[UnitName]) -> String {
    let mut names: Vec<String> = units.iter().take(LISTED).map(ToString::to_string).collect();
    let more = units.len().saturating_sub(LISTED);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// The service that a matter of forecasts is about.
fn subject_of(key: &str) -> Option<UnitName> {
    let (_, unit) = key.split_once(' ')?;
    UnitName::new(unit).ok()
}

/// Forecasts of the host, or of one service.
fn forecast(of: Option<UnitName>, forecasts: &[SubjectForecast], now: Timestamp) -> Matter {
    let in_words = |one: &SubjectForecast| forecast_in_words(&one.subject, &one.forecast, now);
    let mut intro: Vec<String> = forecasts
        .iter()
        .map(|one| format!("{}, if it goes on like this.", capital(&in_words(one))))
        .collect();
    let (severity, headline) = match forecasts {
        [] => (
            Severity::Info,
            match &of {
                Some(unit) => format!("Nothing of {unit} is about to be used up any more"),
                None => "Nothing is about to be used up any more".to_owned(),
            },
        ),
        [first, others @ ..] => (
            Severity::Warning,
            match others.len() {
                0 => capital(&in_words(first)),
                more => format!("{}, and {more} more", capital(&in_words(first))),
            },
        ),
    };
    intro.push(match (forecasts.first(), &of) {
        (None, _) => "This ends what was reported before. Nothing is left to do.".to_owned(),
        (Some(first), None) => {
            let place = first.forecast.instance.as_deref();
            let look = match place.and_then(shell_word) {
                Some(place) => format!("`sudo du -xh --max-depth=2 {place} | sort -h` shows what lies there"),
                None => "`prunella health --host` shows how the host stands".to_owned(),
            };
            format!("Prunella does nothing about it. {look}, and `prunella metrics host` what is measured.")
        }
        (Some(_), Some(unit)) => format!(
            "Prunella does nothing about it. `prunella metrics {unit}` shows what is measured."
        ),
    });
    Matter {
        key: match &of {
            Some(unit) => format!("{FORECASTS} {unit}"),
            None => FORECASTS.to_owned(),
        },
        units: of.iter().cloned().collect(),
        of,
        lines: forecasts
            .iter()
            .map(|one| {
                let of = one.forecast.instance.as_deref().unwrap_or_default();
                let what = one.forecast.metric.as_str();
                format!("{} {what} {of}", one.subject.as_str())
            })
            .collect(),
        tells_what_is_left: false,
        kind: AlertKind::Degradation,
        severity,
        outcome: "forecast",
        colour: StatusColour::Amber,
        headline,
        intro,
    }
}

/// A path that a shell takes as it is.
fn shell_word(path: &str) -> Option<&str> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    (path.starts_with('/') && path.chars().all(is_plain)).then_some(path)
}

impl Matter {
    fn is_over(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether people hear of it who were told `before`.
    fn is_news(&self, before: &str) -> bool {
        let is_new = |line: &String| !before.lines().any(|told| told == line);
        self.is_over() || self.tells_what_is_left || self.lines.iter().any(is_new)
    }
}

impl Shared {
    /// Whether there is anything to send.
    fn tell(&self, matter: &Matter) -> Result<bool, StoreError> {
        let store = &self.settings.store;
        let config = (self.settings.config)();
        let at = wall_clock();
        let before = store.notice(&matter.key)?;
        let text = matter.lines.join("\n");
        if before
            .as_ref()
            .map_or(matter.is_over(), |told| told.text == text)
        {
            return Ok(false);
        }
        let mut notice = Notice {
            text,
            alert_group: match &before {
                Some(told) => told.alert_group.clone(),
                None => store.new_name(at)?,
            },
            channels: before
                .as_ref()
                .map(|told| told.channels.clone())
                .unwrap_or_default(),
        };
        if !matter.is_over() {
            notice.channels.extend(channels(&config, matter));
        }
        notice
            .channels
            .retain(|channel| config.channels.contains_key(channel));
        let message = self.notice_message(matter, &notice, at);
        let mut dispatches = Vec::new();
        if before
            .as_ref()
            .is_none_or(|told| matter.is_news(&told.text))
        {
            for channel in &notice.channels {
                let message = Message {
                    id: store.new_name(at)?,
                    ..message.clone()
                };
                dispatches.push((channel.clone(), message));
            }
        }
        store.change_notice(&NoticeChange {
            key: &matter.key,
            before: before.as_ref(),
            now: (!matter.is_over()).then_some(&notice),
            dispatches: &dispatches,
            at,
        })
    }

    fn notice_message(&self, matter: &Matter, notice: &Notice, at: Timestamp) -> Message {
        let host = &self.settings.hostname;
        let intro: Vec<&str> = matter.intro.iter().map(String::as_str).collect();
        let at_host = Moment::of_host(at);
        let mut notification =
            Notification::notice(&matter.headline, &intro, host, at_host, matter.severity);
        if matter.is_over() {
            notification.kind = AlertKind::Recovery;
            notification.status_colour = StatusColour::Green;
            "resolved".clone_into(&mut notification.outcome);
        } else {
            notification.kind = matter.kind;
            notification.status_colour = matter.colour;
            matter.outcome.clone_into(&mut notification.outcome);
        }
        let rendered = self.settings.renderer.render(&notification);
        for warning in &rendered.warnings {
            tracing::warn!("a template is left aside for the built-in one: {warning}");
        }
        Message {
            id: String::new(),
            kind: notification.kind,
            severity: matter.severity,
            at,
            host: host.clone(),
            units: matter.units.clone(),
            incidents: Vec::new(),
            alert_group: notice.alert_group.clone(),
            resolved: matter.is_over(),
            headline: rendered.subject,
            facts: notification.facts(),
            text: rendered.text,
            html: Some(rendered.html),
        }
    }
}

/// The channels of those who hear of a matter.
fn channels(config: &Config, matter: &Matter) -> BTreeSet<ChannelName> {
    let own = || UnitName::new(OWN_UNIT).ok();
    let Some(unit) = matter.of.clone().or_else(own) else {
        return BTreeSet::new();
    };
    let service = config.services.get(&unit);
    let severity = match matter.kind {
        // Whoever hears that a person is needed hears of the configuration.
        AlertKind::Escalation => Severity::Warning,
        _ => matter.severity,
    };
    config
        .alerts
        .channels(matter.kind, severity, &unit, service)
        .iter()
        .cloned()
        .collect()
}
