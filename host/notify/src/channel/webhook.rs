//! The message as JSON of its own, in the shape that Standard Webhooks
//! recommends: `type`, `timestamp`, `data`.

use serde_json::{Value, json};

use super::{
    fit::{line, lines},
    rfc3339,
};
use crate::Message;

pub(super) fn body(message: &Message) -> Value {
    let facts: Vec<Value> = message
        .facts
        .iter()
        .map(|(name, value)| json!({ "name": line(name), "value": line(value) }))
        .collect();
    json!({
        "type": format!("prunella.{}", message.kind.as_str()),
        "timestamp": rfc3339(message.at),
        "data": {
            "id": message.id,
            "severity": message.severity,
            "host": message.host,
            "units": message.units,
            "incidents": message.incidents,
            "alert_group": message.alert_group,
            "resolved": message.resolved,
            "headline": line(&message.headline),
            "facts": facts,
            "text": lines(&message.text),
        },
    })
}
