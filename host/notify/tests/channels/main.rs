//! The channels against real servers on loopback, and against servers that do
//! everything wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, a panic is the report"
)]

mod alertmanager;
mod answers;
mod certificates;
mod formats;
mod mail;
mod mail_server;
mod receiver;
mod tls;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_config::channels::{ChannelKind, ChannelSettings, HttpSettings};
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{AlertKind, Severity},
    incident::IncidentId,
    secret::SecretSource,
};
use prunella_notify::{Delivery, Message, channel};

/// What stands in log lines when somebody wants more than to log.
const HOSTILE: &str = "<!channel> @everyone <@U1> *bold* _it_ ~no~ `code` ```end [here](https://evil.example) &amp; \u{1b}[31mred\u{202e} <b>";

/// Everything a message can have.
fn message() -> Message {
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Message {
        id: "20261122-025127-7f3a-1".to_owned(),
        kind: AlertKind::Escalation,
        severity: Severity::Critical,
        at: Timestamp::from_millis(1_795_315_887_123),
        host: "web1.example.org".to_owned(),
        units: vec![
            UnitName::new("shop.service").unwrap(),
            UnitName::new("cart.service").unwrap(),
        ],
        incidents: vec![IncidentId::from_text("20261122-025127-7f3a")],
        alert_group: "web1.example.org-shop.service-20261122-025127-7f3a".to_owned(),
        resolved: false,
        headline: "shop.service is down on web1: the configuration is broken".to_owned(),
        facts: vec![
            fact("Service", "shop.service"),
            fact("Domain", "Web shop & more"),
            fact("Port", "tcp/8080"),
            fact("Last words", HOSTILE),
            fact("Host", "web1.example.org"),
            fact("Time", "2026-11-22 02:51:27 UTC"),
        ],
        text: format!(
            "shop.service failed at 02:51:27 and is still down.\n\n  > {HOSTILE}\n\nWhat to do next:\n  prunella heal shop.service\n"
        ),
        html: Some("<!doctype html><p>shop.service is <b>down</b>. Grüße</p>".to_owned()),
    }
}

/// The same alert group, over.
fn resolved() -> Message {
    Message {
        id: "20261122-025127-7f3a-2".to_owned(),
        kind: AlertKind::Recovery,
        severity: Severity::Info,
        at: Timestamp::from_millis(1_795_315_947_000),
        resolved: true,
        headline: "shop.service is well again on web1".to_owned(),
        text: "shop.service is well again after 60 s.\n".to_owned(),
        html: None,
        ..message()
    }
}

/// A folder for secrets, gone at the end of the test.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, secret: &str) -> SecretSource {
        let path = self.path(name);
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        SecretSource::File(path)
    }
}

fn settings(kind: ChannelKind) -> ChannelSettings {
    ChannelSettings {
        name: ChannelName::new("test").unwrap(),
        kind,
        timeout: Duration::from_secs(20),
        ca_file: None,
        http: HttpSettings::default(),
        declared_at: "prunella.toml:1".to_owned(),
    }
}

fn with_ca(kind: ChannelKind, ca: &Path) -> ChannelSettings {
    ChannelSettings {
        ca_file: Some(ca.to_owned()),
        ..settings(kind)
    }
}

fn alertmanager_at(url: &str) -> ChannelKind {
    ChannelKind::Alertmanager {
        url: url.to_owned(),
        authorization: None,
        labels: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        ends_after: Duration::from_secs(3600),
    }
}

fn send(settings: &ChannelSettings, message: &Message) -> Delivery {
    let deadline = Instant::now() + Duration::from_secs(60);
    channel::open(settings).unwrap().send(message, deadline)
}

#[track_caller]
fn delivered(outcome: Delivery) -> String {
    match outcome {
        Delivery::Delivered { detail } => detail,
        other => panic!("not delivered: {other:?}"),
    }
}

#[track_caller]
fn try_again(outcome: Delivery) -> String {
    match outcome {
        Delivery::TryAgain { reason, .. } => reason,
        other => panic!("not to be tried again: {other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Delivery) -> String {
    match outcome {
        Delivery::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// Compares with a file beside this one. `BLESS=1 cargo test` writes it anew.
#[track_caller]
fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/channels/golden")
        .join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{} differs (BLESS=1 writes it anew). Found:\n{found}",
        path.display()
    );
}
