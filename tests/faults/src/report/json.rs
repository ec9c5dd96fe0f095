//! Everything, for programs.

use serde_json::{Value, json};

use super::Results;

/// All that is known: the scores, and every run.
#[must_use]
pub fn json(results: &Results<'_>) -> Value {
    let healers: Vec<Value> = results
        .healers
        .iter()
        .map(|healer| json!({ "name": healer.name(), "title": healer.title() }))
        .collect();
    let faults: Vec<Value> = results
        .faults
        .iter()
        .map(|fault| {
            json!({
                "name": fault.name,
                "title": fault.title,
                "class": fault.class,
                "software": fault.software,
                "missing": fault.missing,
            })
        })
        .collect();
    let errors: Vec<Value> = results
        .errors
        .iter()
        .map(|(fault, healer, why)| json!({ "fault": fault, "healer": healer, "why": why }))
        .collect();
    json!({
        "host": results.host,
        "timed-one-at-a-time": results.timed,
        "healers": healers,
        "faults": faults,
        "scores": results.scores(),
        "runs": results.verdicts,
        "errors": errors,
    })
}
