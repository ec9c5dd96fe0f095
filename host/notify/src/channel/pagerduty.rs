//! PagerDuty's Events API v2: an alert group is triggered and resolved by its
//! `dedup_key`.
//!
//! Limits (PagerDuty's reference): `summary` 1024 characters, `dedup_key` 255,
//! an event 512 KB.

use prunella_core::{alert::Severity, secret::Secret};
use serde_json::{Map, Value, json};

use super::{
    fit::{BYTES, UTF16, fit, line, lines},
    rfc3339,
};
use crate::Message;

const SUMMARY_MAX: usize = 1024;
const DEDUP_KEY_MAX: usize = 255;
/// Far below 512 KB, and more than anybody reads on a telephone.
const TEXT_MAX: usize = 64 * 1024;
const VALUE_MAX: usize = 1024;
const FACTS_MAX: usize = 50;

pub(super) fn body(message: &Message, routing_key: &Secret) -> Value {
    let dedup_key = fit(&message.alert_group, DEDUP_KEY_MAX, BYTES);
    if message.resolved {
        return json!({
            "routing_key": routing_key.reveal(),
            "event_action": "resolve",
            "dedup_key": dedup_key,
        });
    }
    let mut details = Map::new();
    for (name, value) in message.facts.iter().take(FACTS_MAX) {
        let value = fit(&line(value), VALUE_MAX, UTF16);
        details.insert(fit(&line(name), VALUE_MAX, UTF16), value.into());
    }
    details.insert(
        "report".to_owned(),
        fit(&lines(&message.text), TEXT_MAX, BYTES).into(),
    );
    let mut payload = json!({
        "summary": fit(&line(&message.headline), SUMMARY_MAX, UTF16),
        "source": message.host,
        "severity": match message.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        },
        "timestamp": rfc3339(message.at),
        "class": message.kind.as_str(),
        "custom_details": details,
    });
    if let (Some(unit), Some(payload)) = (message.units.first(), payload.as_object_mut()) {
        payload.insert("component".to_owned(), unit.as_str().into());
    }
    json!({
        "routing_key": routing_key.reveal(),
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Prunella",
        "payload": payload,
    })
}
