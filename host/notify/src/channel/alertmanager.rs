//! Prometheus' Alertmanager, API v2.
//!
//! An alert is its labels: two with the same are one. Among ours are the service
//! and the severity, by which people route; both may change while an alert group
//! lasts. So what is over ends for each service of the alert group and under each
//! severity: an alert that was never told of ends nowhere and tells nobody.
//!
//! Alertmanager expects to be told again and again, or lets an alert end. Ours
//! are told once, with a time far ahead at which they end.

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{UnitName, alert::Severity};
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
        message.at.saturating_add(ends_after)
    };
    let incidents: Vec<String> = message.incidents.iter().map(ToString::to_string).collect();
    let services: Vec<&str> = message.units.iter().map(UnitName::as_str).collect();
    let alert = |service: Option<&UnitName>, severity: Severity| {
        let mut labels = more.clone();
        labels.insert("alertname".to_owned(), "PrunellaAlert".to_owned());
        labels.insert("severity".to_owned(), severity.as_str().to_owned());
        labels.insert("host".to_owned(), message.host.clone());
        labels.insert("alert_group".to_owned(), message.alert_group.clone());
        if let Some(service) = service {
            labels.insert("service".to_owned(), service.to_string());
        }
        json!({
            "labels": labels,
            "annotations": {
                "summary": line(&message.headline),
                "description": fit(&lines(&message.text), TEXT_MAX, BYTES),
                "kind": message.kind.as_str(),
                "services": services.join(" "),
                "incidents": incidents.join(" "),
            },
            "startsAt": rfc3339(message.at),
            "endsAt": rfc3339(ends),
        })
    };
    if !message.resolved {
        return json!([alert(message.units.first(), message.severity)]);
    }
    let mut over: Vec<Option<&UnitName>> = message.units.iter().map(Some).collect();
    if over.is_empty() {
        over.push(None);
    }
    over.into_iter()
        .flat_map(|service| Severity::ALL.map(|severity| alert(service, severity)))
        .collect()
}
