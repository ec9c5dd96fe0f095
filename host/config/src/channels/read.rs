//! Reads `[channel.NAME]`.

mod mail;
mod secrets;

use std::{collections::BTreeMap, ops::Range, time::Duration};

use super::{
    Authorization, ChannelKind, ChannelSettings, HttpSettings, Login, TIMEOUT, Value, check_url,
};
use crate::reader::{Reader, Section, Text};
use prunella_core::{ChannelName, text::one_line};

/// The kinds, and the keys of each beyond those that all have.
pub(super) const KINDS: [(&str, &[&str]); 8] = [
    (
        "mail",
        &[
            "host",
            "port",
            "encryption",
            "user",
            "password-file",
            "password-credential",
            "from",
            "to",
            "reply-to",
        ],
    ),
    ("slack", &["url-file", "url-credential"]),
    ("discord", &["url-file", "url-credential"]),
    ("teams", &["url-file", "url-credential"]),
    (
        "pagerduty",
        &["url", "routing-key-file", "routing-key-credential"],
    ),
    (
        "ntfy",
        &[
            "url",
            "topic",
            "topic-file",
            "topic-credential",
            "token-file",
            "token-credential",
        ],
    ),
    (
        "alertmanager",
        &[
            "url",
            "labels",
            "ends-after",
            "user",
            "password-file",
            "password-credential",
            "token-file",
            "token-credential",
        ],
    ),
    (
        "webhook",
        &[
            "url",
            "url-file",
            "url-credential",
            "secret-file",
            "secret-credential",
        ],
    ),
];

pub(super) const COMMON_KEYS: [&str; 3] = ["kind", "timeout", "ca-file"];
pub(super) const HTTP_KEYS: [&str; 2] = ["proxy", "allow-http"];

/// What must never stand in the file itself.
const SECRET_KEYS: [&str; 5] = ["url", "password", "token", "routing-key", "secret"];

/// A day: long enough for people to see to it, and an alert that everybody
/// forgot goes away by itself.
const ENDS_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

const LEAST: Duration = Duration::from_secs(1);

/// Reads all channels. One with a mistake is left out; the mistake is noted.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    top: Section<'_>,
) -> BTreeMap<ChannelName, ChannelSettings> {
    let mut channels = BTreeMap::new();
    let Some(tables) = reader.section(top, "channel", "[channel.NAME]") else {
        return channels;
    };
    for (key, value) in tables.table {
        let Some(table) = value.get_ref().as_table() else {
            reader.error_help(
                key.span(),
                "`channel` holds one table for each channel",
                "for example: [channel.team]",
            );
            continue;
        };
        let name: &str = key.get_ref();
        match ChannelName::new(name) {
            Ok(name) => {
                let section = Section {
                    table,
                    name: "[channel.NAME]",
                };
                let mut channel = ChannelReader {
                    reader: &mut *reader,
                    section,
                    at: key.span(),
                    name: name.clone(),
                };
                if let Some(settings) = channel.read() {
                    channels.insert(name, settings);
                }
                secrets::hide(reader, section);
            }
            Err(error) => reader.error(key.span(), one_line(&error.to_string(), 300)),
        }
    }
    channels
}

fn keys_of(kind: &str) -> Option<&'static [&'static str]> {
    KINDS
        .iter()
        .find_map(|(word, keys)| (*word == kind).then_some(*keys))
}

/// One channel's table.
struct ChannelReader<'r, 's, 't> {
    reader: &'r mut Reader<'s>,
    section: Section<'t>,
    /// Where its name stands.
    at: Range<usize>,
    name: ChannelName,
}

impl<'t> ChannelReader<'_, '_, 't> {
    fn read(&mut self) -> Option<ChannelSettings> {
        let words = KINDS.map(|(word, _)| (word, word));
        if !self.has("kind") {
            let known = KINDS.map(|(word, _)| word).join(", ");
            self.reader.error_help(
                self.at.clone(),
                format!("the channel `{}` has no kind", self.name),
                format!("add `kind = \"…\"`, one of: {known}"),
            );
            return None;
        }
        let kind = self.reader.one_of(self.section, "kind", &words)?;
        let own = keys_of(kind)?;
        let errors = self.errors();
        self.inline_secrets(kind, own);
        let http = kind != "mail";
        let mut keys: Vec<&str> = COMMON_KEYS.iter().chain(own).copied().collect();
        if http {
            keys.extend(HTTP_KEYS);
        }
        // Of these was spoken already.
        keys.extend(
            SECRET_KEYS
                .into_iter()
                .filter(|key| self.has(key) && !own.contains(key)),
        );
        self.reader.only(self.section, &keys);
        let http = if http {
            self.http()
        } else {
            HttpSettings::default()
        };
        let kind = self.kind(kind, http.allow_http);
        let timeout = self
            .reader
            .duration(self.section, "timeout", LEAST)
            .unwrap_or(TIMEOUT);
        let ca_file = self
            .text("ca-file", "/etc/ssl/certs/our-ca.pem")
            .and_then(|text| self.reader.path("ca-file", text));
        let line = self.reader.source.place(self.at.clone()).line;
        let sound = self.errors() == errors;
        kind.filter(|_| sound).map(|kind| ChannelSettings {
            name: self.name.clone(),
            kind,
            timeout,
            ca_file,
            http,
            declared_at: format!("{}:{line}", self.reader.source.file.display()),
        })
    }

    fn kind(&mut self, kind: &str, allow_http: bool) -> Option<ChannelKind> {
        match kind {
            "mail" => self.mail().map(ChannelKind::Mail),
            "slack" => Some(ChannelKind::Slack {
                url: self.required_secret("url")?,
            }),
            "discord" => Some(ChannelKind::Discord {
                url: self.required_secret("url")?,
            }),
            "teams" => Some(ChannelKind::Teams {
                url: self.required_secret("url")?,
            }),
            "pagerduty" => {
                let url = self.url("https://events.pagerduty.com/v2/enqueue", allow_http);
                Some(ChannelKind::PagerDuty {
                    routing_key: self.required_secret("routing-key")?,
                    url: url?,
                })
            }
            "ntfy" => {
                let url = self.url("https://ntfy.sh", allow_http);
                let token = self.secret("token");
                let topic = self.topic();
                Some(ChannelKind::Ntfy {
                    url: url?,
                    topic: topic?,
                    token,
                })
            }
            "alertmanager" => self.alertmanager(allow_http),
            "webhook" => {
                let url = if self.has("url") {
                    self.only_one(&["url", "url-file", "url-credential"]);
                    self.url("", allow_http).map(Value::Plain)
                } else {
                    self.required_secret("url").map(Value::Secret)
                };
                Some(ChannelKind::Webhook {
                    secret: self.required_secret("secret")?,
                    url: url?,
                })
            }
            _ => None,
        }
    }

    fn errors(&self) -> usize {
        self.reader.found.iter().filter(|d| d.is_error()).count()
    }

    fn has(&self, key: &str) -> bool {
        self.section.table.contains_key(key)
    }

    fn text(&mut self, key: &str, example: &str) -> Option<Text<'t>> {
        self.reader.text(self.section, key, example)
    }

    /// Text that must be there and not be empty.
    fn required(&mut self, key: &str, example: &str) -> Option<Text<'t>> {
        if !self.has(key) {
            self.reader.error_help(
                self.at.clone(),
                format!("the channel `{}` has no `{key}`", self.name),
                format!("add it, for example: {key} = \"{example}\""),
            );
            return None;
        }
        let (text, span) = self.text(key, example)?;
        if text.trim().is_empty() {
            self.reader
                .error(span, format!("`{key}` must not be empty"));
            return None;
        }
        Some((text, span))
    }

    /// A URL in the open; `default` when it may be left out.
    fn url(&mut self, default: &str, allow_http: bool) -> Option<String> {
        if !self.has("url") && !default.is_empty() {
            return Some(default.to_owned());
        }
        let (text, span) = self.required("url", "https://alerts.example.org")?;
        match check_url(text, allow_http) {
            Ok(_) => Some(text.to_owned()),
            Err(error) => {
                self.reader
                    .error(span, format!("`url` cannot be used: {error}"));
                None
            }
        }
    }

    fn http(&mut self) -> HttpSettings {
        let allow_http = self
            .reader
            .flag(self.section, "allow-http")
            .unwrap_or_default();
        let proxy = self
            .text("proxy", "http://proxy.example.org:3128")
            .and_then(|(text, span)| match check_url(text, true) {
                Ok(_) => Some(text.to_owned()),
                Err(error) => {
                    self.reader
                        .error(span, format!("`proxy` cannot be used: {error}"));
                    None
                }
            });
        HttpSettings { proxy, allow_http }
    }

    /// A topic in the open, or a secret one.
    fn topic(&mut self) -> Option<Value> {
        if !self.has("topic") {
            if !self.has("topic-file") && !self.has("topic-credential") {
                self.required("topic", "prunella");
                return None;
            }
            return self.secret("topic").map(Value::Secret);
        }
        self.only_one(&["topic", "topic-file", "topic-credential"]);
        let (topic, span) = self.required("topic", "prunella")?;
        let valid = topic.len() <= 64
            && topic
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !valid {
            let shown = one_line(topic, 60);
            self.reader.error_help(
                span,
                format!("`{shown}` is not a topic"),
                "use letters, digits, `_` and `-`, at most 64",
            );
            return None;
        }
        if !self.has("token-file") && !self.has("token-credential") {
            self.reader.warn(
                span,
                "without a token, whoever knows the topic can read the alerts, and everybody can read this file",
                "put the topic into a file of mode 0600 and write `topic-file`, or protect it and add `token-file`",
            );
        }
        Some(Value::Plain(topic.to_owned()))
    }

    /// `user` with a password.
    fn login(&mut self) -> Option<Login> {
        let password = self.secret("password");
        match (self.text("user", "prunella"), password) {
            (Some((user, _)), Some(password)) => Some(Login {
                user: user.to_owned(),
                password,
            }),
            (Some(_), None) => {
                self.required_secret("password");
                None
            }
            (None, Some(_)) => {
                self.required("user", "prunella");
                None
            }
            (None, None) => None,
        }
    }

    fn alertmanager(&mut self, allow_http: bool) -> Option<ChannelKind> {
        let url = self.url("", allow_http);
        let login = self.login();
        let token = self.secret("token");
        if login.is_some() && token.is_some() {
            self.reader.error_help(
                self.at.clone(),
                format!("the channel `{}` has both a user and a token", self.name),
                "keep one of them",
            );
        }
        let authorization = login
            .map(Authorization::Password)
            .or(token.map(Authorization::Token));
        let labels = self.labels();
        let ends_after = self
            .reader
            .duration(self.section, "ends-after", Duration::from_secs(60))
            .unwrap_or(ENDS_AFTER);
        Some(ChannelKind::Alertmanager {
            url: url?,
            authorization,
            labels,
            ends_after,
        })
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        let Some(section) = self.reader.section(self.section, "labels", "{ … }") else {
            return labels;
        };
        for (key, value) in section.table {
            let name: &str = key.get_ref();
            let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let own = OWN_LABELS.contains(&name);
            match value.get_ref().as_str() {
                _ if !valid => {
                    let shown = one_line(name, 60);
                    self.reader.error_help(
                        key.span(),
                        format!("`{shown}` is not a label"),
                        "use letters, digits and `_`, not beginning with a digit",
                    );
                }
                _ if own => self.reader.error(
                    key.span(),
                    format!("Prunella sets the label `{name}` itself"),
                ),
                Some(value) => {
                    labels.insert(name.to_owned(), value.to_owned());
                }
                None => self.reader.error_help(
                    value.span(),
                    "a label's value is text",
                    "for example: labels = { team = \"web\" }",
                ),
            }
        }
        labels
    }
}

/// The labels by which Alertmanager tells our alerts apart.
const OWN_LABELS: [&str; 5] = ["alertname", "severity", "host", "service", "alert_group"];
