//! Prometheus' Alertmanager, API v2.
//!
//! An alert is its labels: two with the same are one. Among ours is the
//! severity, which routes need, and which may rise while a trouble lasts. So
//! what is over ends under each severity: one that was never told of ends
//! nowhere and tells nobody.
//!
//! Alertmanager expects to be told again and again, or lets an alert end. Ours
//! are told once, with a time far ahead at which they end.

use std::{collections::BTreeMap, time::Duration};

use prunella_core::alert::Severity;
use serde_json::{Value, json};

use super::{
    fit::{BYTES, fit, line, lines},
    rfc3339,
};
use crate::Message;

/// Alertmanager has no limit; those whom it tells have.
const TEXT_MAX: usize = 16 * 1024;

pub(super) fn body(
    message: &Message,
    more: &BTreeMap<String, String>,
    ends_after: Duration,
) -> Value {
    let ends = if message.resolved {
        message.at
    } else {
        let after = u64::try_from(ends_after.as_millis()).unwrap_or(u64::MAX);
        message.at.saturating_add(after)
    };
    let severities = if message.resolved {
        Severity::ALL.to_vec()
    } else {
        vec![message.severity]
    };
    let incidents: Vec<String> = message.incidents.iter().map(ToString::to_string).collect();
    let alerts: Vec<Value> = severities
        .into_iter()
        .map(|severity| {
            let mut labels = more.clone();
            labels.insert("alertname".to_owned(), "PrunellaTrouble".to_owned());
            labels.insert("severity".to_owned(), severity.word().to_owned());
            labels.insert("host".to_owned(), message.host.clone());
            labels.insert("trouble".to_owned(), message.trouble.clone());
            if let Some(unit) = message.units.first() {
                labels.insert("service".to_owned(), unit.to_string());
            }
            json!({
                "labels": labels,
                "annotations": {
                    "summary": line(&message.headline),
                    "description": fit(&lines(&message.text), TEXT_MAX, BYTES),
                    "kind": message.kind.word(),
                    "incidents": incidents.join(" "),
                },
                "startsAt": rfc3339(message.at),
                "endsAt": rfc3339(ends),
            })
        })
        .collect();
    Value::Array(alerts)
}
