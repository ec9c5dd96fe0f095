//! Reads `[alerts]`: who hears of what, and how alerts are kept from becoming a
//! storm.
//!
//! ```toml
//! [alerts]
//! recovery = ["mail"]
//! escalation = ["pager", "mail"]
//! information = []
//!
//! [[alerts.route]]                 # the first that fits goes before the above
//! services = ["db-*.service"]
//! severity = "critical"
//! channels = ["pager", "dba"]
//! ```

#[cfg(test)]
mod tests;

use std::{ops::Range, time::Duration};

use super::{
    diagnostic::Place,
    reader::{Reader, Section},
};
use prunella_core::{
    ChannelName, UnitName,
    alert::{AlertKind, Routes, Severity},
    glob,
    service::Service,
};

const KEYS: [&str; 13] = [
    "recovery",
    "escalation",
    "outage",
    "degradation",
    "information",
    "route",
    "notify-after",
    "group-wait",
    "recovery-group-wait",
    "repeat-interval",
    "give-up-after",
    "flapping",
    "storm",
];

const KINDS: [(&str, AlertKind); 5] = [
    ("recovery", AlertKind::Recovery),
    ("escalation", AlertKind::Escalation),
    ("outage", AlertKind::Outage),
    ("degradation", AlertKind::Degradation),
    ("information", AlertKind::Information),
];

const SEVERITIES: [(&str, Severity); 3] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];

/// A `[[alerts.route]]`: alerts that fit it go to its channels and to no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Patterns of units, with `*` and `?`; any unit, when empty.
    pub services: Vec<String>,
    /// Any kind, when empty.
    pub kinds: Vec<AlertKind>,
    /// Any severity, when empty.
    pub severities: Vec<Severity>,
    /// Who hears of it; nobody, when empty.
    pub channels: Vec<ChannelName>,
}

impl Route {
    fn fits(&self, kind: AlertKind, severity: Severity, unit: &UnitName) -> bool {
        (self.services.is_empty() || self.names(unit))
            && (self.kinds.is_empty() || self.kinds.iter().any(|of| covers(*of, kind)))
            && (self.severities.is_empty() || self.severities.contains(&severity))
    }

    fn names(&self, unit: &UnitName) -> bool {
        self.services
            .iter()
            .any(|pattern| glob::matches(pattern, unit.as_str()))
    }
}

/// What is routed like escalations includes outages and degradations, which may become some.
fn covers(of: AlertKind, kind: AlertKind) -> bool {
    let may_become_one = matches!(kind, AlertKind::Outage | AlertKind::Degradation);
    of == kind || (of == AlertKind::Escalation && may_become_one)
}

/// `[alerts]`: who hears of what, and how alerts are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSettings {
    /// What holds where no route fits.
    pub routes: Routes,
    /// In order; the first that fits holds.
    pub special: Vec<Route>,
    /// A service that is still down this long after its failure is told of while
    /// it is being healed.
    pub notify_after: Duration,
    /// Escalations of one cause that come within so long are one message. No
    /// escalation waits for longer.
    pub group_wait: Duration,
    /// The same for all else, which is in no hurry.
    pub recovery_group_wait: Duration,
    /// An escalation that is still open is told again so often; never, when
    /// absent.
    pub repeat_interval: Option<Duration>,
    /// A message that cannot be delivered is given up after so long.
    pub give_up_after: Duration,
    /// When recoveries of one service become a digest.
    pub flapping: Flapping,
    /// When alerts of many services become one.
    pub storm: Storm,
}

/// `[alerts.flapping]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flapping {
    /// More recoveries of one service than this …
    pub recoveries: u32,
    /// … in so long are told in digests …
    pub window: Duration,
    /// … sent so often.
    pub interval: Duration,
}

/// `[alerts.storm]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    /// Alerts of more causes than this at once are told as one digest …
    pub causes: u32,
    /// … and what comes after it as another, so long after it at the earliest,
    /// but for critical escalations.
    pub interval: Duration,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            routes: Routes::default(),
            special: Vec::new(),
            notify_after: Duration::from_secs(10),
            // Long enough for the dependants of a dead unit to find that out.
            group_wait: Duration::from_secs(3),
            // Whoever is related and still being healed is waited for longer.
            recovery_group_wait: Duration::from_secs(2),
            repeat_interval: Some(Duration::from_secs(6 * 3600)),
            // A long weekend without the mail server.
            give_up_after: Duration::from_secs(3 * 24 * 3600),
            flapping: Flapping {
                recoveries: 3,
                window: Duration::from_secs(3600),
                interval: Duration::from_secs(3600),
            },
            storm: Storm {
                causes: 10,
                interval: Duration::from_secs(60),
            },
        }
    }
}

impl AlertSettings {
    /// How long a service may be down before people are told of it.
    pub fn notify_after(&self, service: Option<&Service>) -> Duration {
        service
            .and_then(|service| service.notify_after)
            .unwrap_or(self.notify_after)
    }

    /// The channels that hear of an alert: what the service's own file says, or
    /// else the first route that fits, or else what holds for the kind.
    pub fn channels<'a>(
        &'a self,
        kind: AlertKind,
        severity: Severity,
        unit: &UnitName,
        service: Option<&'a Service>,
    ) -> &'a [ChannelName] {
        service
            .and_then(|service| service.alerts.as_ref()?.of(kind))
            .or_else(|| {
                self.special
                    .iter()
                    .find(|route| route.fits(kind, severity, unit))
                    .map(|route| route.channels.as_slice())
            })
            .or_else(|| self.routes.of(kind))
            .unwrap_or_default()
    }
}

/// Where the configuration names a channel.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) channel: ChannelName,
    pub(super) place: Place,
}

/// What has to be looked at again when everything is read.
#[derive(Debug, Default)]
pub(super) struct AlertPlaces {
    pub(super) channels: Vec<Named>,
    /// Patterns of services in routes.
    pub(super) patterns: Vec<(String, Place)>,
    /// Where each channel is configured.
    pub(super) declared: Vec<Named>,
}

/// Reads `[alerts]` of `prunella.toml`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    settings: &mut AlertSettings,
) -> AlertPlaces {
    let mut places = AlertPlaces::default();
    // What is wrong with this table was said when the channels were read.
    let declared = top
        .table
        .get("channel")
        .and_then(|v| v.get_ref().as_table());
    for key in declared.into_iter().flat_map(|table| table.keys()) {
        if let Ok(channel) = ChannelName::new(key.get_ref().as_ref()) {
            places.declared.push(Named {
                channel,
                place: reader.source.place(key.span()),
            });
        }
    }
    let Some(section) = reader.section(top, "alerts", "[alerts]") else {
        return places;
    };
    reader.only(section, &KEYS);
    settings.routes = read_kinds(reader, section, &mut places.channels);
    for (route, at) in reader.sections(section, "route", "[[alerts.route]]") {
        settings
            .special
            .extend(read_route(reader, route, &at, &mut places));
    }
    if let Some(after) = reader.duration(section, "notify-after", Duration::ZERO) {
        settings.notify_after = after;
    }
    // A window of no time joins nothing, and that may be what somebody wants.
    if let Some(join) = reader.duration(section, "group-wait", Duration::ZERO) {
        settings.group_wait = join;
    }
    if let Some(join) = reader.duration(section, "recovery-group-wait", Duration::ZERO) {
        settings.recovery_group_wait = join;
    }
    if let Some(value) = section.table.get("repeat-interval") {
        settings.repeat_interval = if value.get_ref().as_str() == Some("never") {
            None
        } else {
            reader
                .duration_of(value, "repeat-interval", Duration::from_secs(60))
                .or(settings.repeat_interval)
        };
    }
    if let Some(age) = reader.duration(section, "give-up-after", Duration::from_secs(60)) {
        settings.give_up_after = age;
    }
    read_flapping(reader, section, &mut settings.flapping);
    read_storm(reader, section, &mut settings.storm);
    places
}

/// Reads `[alerts]` of a service's file.
pub(super) fn read_service(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    service: &mut Service,
) -> Vec<Named> {
    let mut named = Vec::new();
    let Some(section) = reader.section(top, "alerts", "[alerts]") else {
        return named;
    };
    reader.only(
        section,
        &[
            "recovery",
            "escalation",
            "outage",
            "degradation",
            "information",
            "notify-after",
        ],
    );
    service.notify_after = reader.duration(section, "notify-after", Duration::ZERO);
    service.alerts = Some(read_kinds(reader, section, &mut named));
    named
}

fn read_kinds(reader: &mut Reader<'_>, section: Section<'_>, named: &mut Vec<Named>) -> Routes {
    let mut read = |key| {
        section
            .table
            .contains_key(key)
            .then(|| read_channels(reader, section, key, named))
    };
    Routes {
        recovery: read("recovery"),
        escalation: read("escalation"),
        outage: read("outage"),
        degradation: read("degradation"),
        information: read("information"),
    }
}

/// A list of channels, without doubles.
fn read_channels(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    named: &mut Vec<Named>,
) -> Vec<ChannelName> {
    let mut channels: Vec<ChannelName> = Vec::new();
    for (text, span) in reader.texts(section, key, "\"mail\"") {
        match ChannelName::new(text) {
            Ok(channel) if channels.contains(&channel) => {
                reader.warn(span, format!("`{text}` is named twice"), "name it once");
            }
            Ok(channel) => {
                named.push(Named {
                    channel: channel.clone(),
                    place: reader.source.place(span),
                });
                channels.push(channel);
            }
            Err(error) => {
                reader.error(span, prunella_core::text::one_line(&error.to_string(), 300));
            }
        }
    }
    channels
}

fn read_route(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
    places: &mut AlertPlaces,
) -> Option<Route> {
    reader.only(section, &["services", "kind", "severity", "channels"]);
    let mut services = Vec::new();
    for (text, span) in reader.texts(section, "services", "\"db-*.service\"") {
        if let Some(pattern) = read_pattern(reader, text, span.clone()) {
            places
                .patterns
                .push((pattern.clone(), reader.source.place(span)));
            services.push(pattern);
        }
    }
    let kinds = read_words(reader, section, "kind", &KINDS);
    let severities = read_words(reader, section, "severity", &SEVERITIES);
    if !section.table.contains_key("channels") {
        reader.error_help(
            at.clone(),
            "this route leads nowhere: it has no `channels`",
            "add `channels = [\"mail\"]`, or `channels = []` if nobody should hear of these",
        );
        return None;
    }
    let channels = read_channels(reader, section, "channels", &mut places.channels);
    Some(Route {
        services,
        kinds,
        severities,
        channels,
    })
}

/// A unit's name in which `*` and `?` may stand; `.service` is added to a name
/// without them.
fn read_pattern(reader: &mut Reader<'_>, text: &str, span: Range<usize>) -> Option<String> {
    if !text.contains(['*', '?']) {
        return reader.unit((text, span)).map(String::from);
    }
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@*?".contains(&b));
    if plain {
        return Some(text.to_owned());
    }
    let shown = prunella_core::text::one_line(text, 60);
    reader.error_help(
        span,
        format!("`{shown}` is not a pattern of units"),
        "write a unit's name with `*` for any text or `?` for any character, such as \"db-*.service\"",
    );
    None
}

/// One word or a list of them.
fn read_words<T: Copy + PartialEq>(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    words: &[(&str, T)],
) -> Vec<T> {
    let Some(value) = section.table.get(key) else {
        return Vec::new();
    };
    if value.get_ref().as_array().is_none() {
        return reader.one_of(section, key, words).into_iter().collect();
    }
    let example = words.first().map_or("", |(word, _)| word);
    let mut found = Vec::new();
    for text in reader.texts(section, key, &format!("\"{example}\"")) {
        if let Some(meaning) = reader.word(key, text, words)
            && !found.contains(&meaning)
        {
            found.push(meaning);
        }
    }
    found
}

fn read_flapping(reader: &mut Reader<'_>, section: Section<'_>, flapping: &mut Flapping) {
    let Some(section) = reader.section(section, "flapping", "[alerts.flapping]") else {
        return;
    };
    reader.only(section, &["recoveries", "window", "interval"]);
    if let Some(recoveries) = reader.number(section, "recoveries", 1_000) {
        flapping.recoveries = recoveries;
    }
    if let Some(window) = reader.duration(section, "window", Duration::from_secs(1)) {
        flapping.window = window;
    }
    if let Some(interval) = reader.duration(section, "interval", Duration::from_secs(1)) {
        flapping.interval = interval;
    }
}

fn read_storm(reader: &mut Reader<'_>, section: Section<'_>, storm: &mut Storm) {
    let Some(section) = reader.section(section, "storm", "[alerts.storm]") else {
        return;
    };
    reader.only(section, &["causes", "interval"]);
    if let Some(causes) = reader.number(section, "causes", 10_000) {
        storm.causes = causes;
    }
    if let Some(interval) = reader.duration(section, "interval", Duration::from_secs(1)) {
        storm.interval = interval;
    }
}
