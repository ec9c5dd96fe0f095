//! `[channel.NAME]`: the ways to reach people.
//!
//! A secret never stands in the configuration, which everybody may read, but in
//! a file of root's or in a credential of systemd's; what is kept here is only
//! where it is; it is read anew each time, so that it can be replaced.

mod read;
#[cfg(test)]
mod tests;
mod url;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

pub(super) use self::read::read;
pub use self::url::{UrlError, check_url};
use prunella_core::{ChannelName, secret::SecretSource};

/// How long one try may take, unless set.
pub const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSettings {
    /// The operator's name for it.
    pub name: ChannelName,
    /// What it talks to.
    pub kind: ChannelKind,
    /// How long one try may take as a whole.
    pub timeout: Duration,
    /// The authorities whose certificates are accepted, in PEM form; the
    /// system's when absent.
    pub ca_file: Option<PathBuf>,
    /// For every kind but mail.
    pub http: HttpSettings,
    /// Where it is configured: file and line.
    pub declared_at: String,
}

/// How a channel that speaks HTTP gets there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// The proxy; none when absent, whatever the environment says.
    pub proxy: Option<String>,
    /// Whether `http://` may be used beyond this host.
    pub allow_http: bool,
}

/// What a channel talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelKind {
    /// Mail by SMTP.
    Mail(MailSettings),
    /// A Slack incoming webhook, or one that takes the same.
    Slack { url: SecretSource },
    /// A Discord webhook.
    Discord { url: SecretSource },
    /// A webhook of Microsoft Teams' Workflows.
    Teams { url: SecretSource },
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// Where events go; PagerDuty's European region has another.
        url: String,
        /// The integration's key.
        routing_key: SecretSource,
    },
    /// An ntfy server.
    Ntfy {
        url: String,
        topic: Value,
        /// An access token.
        token: Option<SecretSource>,
    },
    /// Prometheus' Alertmanager, API v2.
    Alertmanager {
        /// The server, without `/api/v2/alerts`.
        url: String,
        /// Who is asking.
        authorization: Option<Authorization>,
        /// Labels beyond those that every alert has.
        labels: BTreeMap<String, String>,
        /// When an alert ends that nobody said to be over.
        ends_after: Duration,
    },
    /// Anything that takes JSON, signed as Standard Webhooks wants it.
    Webhook {
        url: Value,
        /// The key of the signature.
        secret: SecretSource,
    },
}

impl ChannelKind {
    /// Its word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Slack { .. } => "slack",
            Self::Discord { .. } => "discord",
            Self::Teams { .. } => "teams",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Ntfy { .. } => "ntfy",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Webhook { .. } => "webhook",
        }
    }
}

impl ChannelKind {
    /// Whether an alert stays open there until it is told that it is resolved.
    pub fn holds_alerts(&self) -> bool {
        matches!(self, Self::PagerDuty { .. } | Self::Alertmanager { .. })
    }

    /// Every secret that it needs.
    pub fn secrets(&self) -> Vec<&SecretSource> {
        let secret = |value| match value {
            &Value::Plain(_) => None,
            Value::Secret(secret) => Some(secret),
        };
        match self {
            Self::Mail(mail) => mail.login.iter().map(|login| &login.password).collect(),
            Self::Slack { url } | Self::Discord { url } | Self::Teams { url } => vec![url],
            Self::PagerDuty { routing_key, .. } => vec![routing_key],
            Self::Ntfy { topic, token, .. } => secret(topic).into_iter().chain(token).collect(),
            Self::Alertmanager { authorization, .. } => match authorization {
                Some(Authorization::Password(login)) => vec![&login.password],
                Some(Authorization::Token(token)) => vec![token],
                None => Vec::new(),
            },
            Self::Webhook { url, secret: key } => secret(url).into_iter().chain([key]).collect(),
        }
    }
}

/// What may be a secret, and need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Written down in the configuration.
    Plain(String),
    Secret(SecretSource),
}

/// Who is asking, in HTTP's `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// `Basic`
    Password(Login),
    /// `Bearer`
    Token(SecretSource),
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// The server's name or address.
    pub host: String,
    pub port: u16,
    /// How the way there is protected.
    pub encryption: Encryption,
    /// Who sends; never over an unprotected connection.
    pub login: Option<Login>,
    /// The sender: `prunella@example.org` or `Prunella <prunella@example.org>`.
    pub from: String,
    /// The recipients, at least one.
    pub to: Vec<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
}

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// A plain greeting, then TLS or nothing.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: only to this host itself.
    None,
}
