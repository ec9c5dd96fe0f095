//! The steps of incidents, a line for each, as they come.

use std::collections::HashMap;

use anstyle::Style;
use serde_json::Value;

use super::{
    incident::{Incident, word},
    screen::{self, ACT, BAD, CARE, GOOD, PLAIN, QUIET, WIDTH},
};

/// Columns of the time.
const TIME: usize = 12;

/// Columns of the unit.
const UNIT: usize = 14;

/// No step gets more lines than this: the whole report is one command away.
const LINES: usize = 3;

/// Prints what it has not printed yet.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// CLOCK_MONOTONIC, in microseconds, of the first failure.
    zero: Option<u64>,
    shown: HashMap<String, Progress>,
}

/// How far an incident has been shown.
#[derive(Debug, Default)]
struct Progress {
    steps: usize,
    /// Which strategies do not apply, until that is worth a line.
    not_theirs: Vec<String>,
}

impl Timeline {
    /// Shows what is new in `incidents`, in the order in which it happened.
    pub(crate) fn show(&mut self, incidents: &[Incident]) {
        let mut fresh = Vec::new();
        for incident in incidents {
            let progress = self.shown.entry(incident.id().to_owned()).or_default();
            for entry in incident.entries().iter().skip(progress.steps) {
                progress.steps += 1;
                let at = entry.get("monotonic").and_then(Value::as_u64);
                if let (Some(at), Some(step)) = (at, entry.get("step")) {
                    fresh.push((at, incident, step));
                }
            }
        }
        fresh.sort_by_key(|(at, _, _)| *at);
        for (at, incident, step) in fresh {
            let zero = *self
                .zero
                .get_or_insert_with(|| incident.failed_at().unwrap_or(at));
            let progress = self.shown.entry(incident.id().to_owned()).or_default();
            let unit = incident.unit();
            match word(step, "step") {
                "assessed"
                    if step.pointer("/assessment/says") == Some(&"not-applicable".into()) =>
                {
                    progress.not_theirs.push(word(step, "strategy").to_owned());
                    continue;
                }
                "assessed" | "evidence" => {}
                _ if progress.not_theirs.is_empty() => {}
                _ => {
                    let text = format!("does not apply: {}", progress.not_theirs.join(", "));
                    progress.not_theirs.clear();
                    line(zero, at, unit, QUIET, &text);
                }
            }
            if let Some((style, text)) = say(step) {
                line(zero, at, unit, style, &text);
            }
        }
    }
}

fn line(zero: u64, at: u64, unit: &str, style: Style, text: &str) {
    let time = format!("+{}", screen::took(at.saturating_sub(zero)));
    let unit = unit.strip_suffix(".service").unwrap_or(unit);
    let room = WIDTH - TIME - UNIT - 4;
    for (number, text) in screen::wrap_some(text, room, LINES).iter().enumerate() {
        let (time, unit) = if number == 0 {
            (time.as_str(), unit)
        } else {
            ("", "")
        };
        anstream::println!("{QUIET}{time:>TIME$}  {unit:<UNIT$}{QUIET:#}  {style}{text}{style:#}");
    }
}

/// A step as one sentence; none for those that say nothing new.
fn say(step: &Value) -> Option<(Style, String)> {
    let text = |key: &str| word(step, key);
    let strategy = text("strategy");
    let reason = text("reason");
    Some(match text("step") {
        "detected" => (
            BAD,
            format!("failure noticed: {}", cause(step.get("detection")?)),
        ),
        "waits" => (QUIET, format!("waits: {reason}")),
        "assessed" => return assessed(strategy, step.get("assessment")?),
        "broke" => (BAD, text("message").to_owned()),
        "said" => (QUIET, format!("{strategy}: {}", text("message"))),
        "act-intended" => {
            let (verb, what) = act(text("act"), text("target"));
            let dry_run = step.get("dry_run") == Some(&Value::Bool(true));
            let does = if dry_run {
                format!("would {verb}")
            } else {
                format!("{verb}s")
            };
            (ACT, format!("▶ {strategy} {does} {what}"))
        }
        "act-ended" => {
            let failure = step.pointer("/result/Err/message")?.as_str()?;
            (BAD, format!("✘ {failure}"))
        }
        "act-denied" => {
            let (verb, what) = act(text("act"), text("target"));
            let failure = step.pointer("/failure/message")?.as_str()?;
            (
                BAD,
                format!("✘ {strategy} may not {verb} {what}: {failure}"),
            )
        }
        "returned" => {
            let reason = ["/outcome/Ok/reason", "/outcome/Err/message"]
                .into_iter()
                .find_map(|pointer| step.pointer(pointer)?.as_str())?;
            (CARE, format!("{strategy}: {reason}"))
        }
        "answering" => (GOOD, format!("up again: {}", list(step.get("evidence")?))),
        "proven" => {
            let millis = step.get("stable_for").and_then(Value::as_u64)?;
            (
                GOOD,
                format!("still up after {}", screen::took(millis * 1000)),
            )
        }
        "not-proven" => (BAD, format!("not up: {reason}")),
        "unblocked" => {
            let well = step.get("healthy") == Some(&Value::Bool(true));
            let now = if well { "is up again" } else { "is still down" };
            (PLAIN, format!("goes on: {} {now}", text("on")))
        }
        "note" => (QUIET, text("message").to_owned()),
        "blocked" => (CARE, format!("waits for {}: {reason}", text("on"))),
        "ended" => return ended(step.get("ending")?),
        _ => return None,
    })
}

fn assessed(strategy: &str, assessment: &Value) -> Option<(Style, String)> {
    let reason = word(assessment, "reason");
    Some(match word(assessment, "says") {
        "applies" => {
            let sure = assessment.get("confidence").and_then(Value::as_u64)?;
            (
                PLAIN,
                format!("{strategy} can heal it ({sure} %): {reason}"),
            )
        }
        "veto" => (CARE, format!("{strategy} vetoes any action: {reason}")),
        "blocked-by" => (
            CARE,
            format!(
                "{strategy}: {} comes first: {reason}",
                word(assessment, "unit")
            ),
        ),
        _ => return None,
    })
}

fn ended(ending: &Value) -> Option<(Style, String)> {
    let reason = word(ending, "reason");
    Some(match word(ending, "ended") {
        "healed" => (
            GOOD.bold(),
            format!("healed by {}", word(ending, "strategy")),
        ),
        "recovered" => (GOOD.bold(), format!("recovered: {}", word(ending, "by"))),
        "left-alone" => (
            CARE.bold(),
            format!(
                "left alone: {} ({})",
                word(ending, "why"),
                word(ending, "detail")
            ),
        ),
        "escalated" => (CARE.bold(), format!("handed to people: {reason}")),
        "interrupted" => (
            BAD.bold(),
            format!("interrupted: {}", word(ending, "detail")),
        ),
        "dry-run" => (ACT.bold(), format!("dry run: {}", word(ending, "verdict"))),
        // The step before said so.
        _ => return None,
    })
}

fn cause(detection: &Value) -> String {
    let cause = word(detection, "cause");
    let code = detection.get("exit_code").and_then(Value::as_i64);
    match (cause, code, word(detection, "signal")) {
        ("exit-code", Some(code), _) => format!("its program ended with exit code {code}"),
        ("signal", _, signal) if !signal.is_empty() => {
            format!(
                "its program was ended by SIG{}",
                signal.trim_start_matches("SIG")
            )
        }
        ("not-answering", _, _) => "it runs, and does not answer".to_owned(),
        ("start-limit-hit", _, _) => "systemd has given it up: started too often".to_owned(),
        (other, _, _) => other.to_owned(),
    }
}

/// An act on a target: its verb, and the rest.
fn act(act: &str, target: &str) -> (&'static str, String) {
    match act {
        "unit-control.start" => ("start", target.to_owned()),
        "unit-control.restart" => ("restart", target.to_owned()),
        "unit-control.reset-failed" => ("clear", format!("the failed state of {target}")),
        "process-control.terminate" => ("end", target.to_owned()),
        "file-repair.mode" => ("bring", format!("back the mode of `{target}`")),
        "file-repair.owner" => ("bring", format!("back the owner of `{target}`")),
        "file-repair.target" => ("bring", format!("back the link `{target}`")),
        "checks.run" => ("run", format!("the check `{target}`")),
        other => ("call", format!("{other} on {target}")),
    }
}

fn list(texts: &Value) -> String {
    let texts: Vec<&str> = texts
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(step: Value) -> String {
        say(&step).map(|(_, text)| text).unwrap_or_default()
    }

    #[test]
    fn steps_are_told_in_sentences() {
        let detection = json!({"cause": "signal", "signal": "KILL"});
        assert_eq!(
            said(json!({"step": "detected", "detection": detection})),
            "failure noticed: its program was ended by SIGKILL"
        );
        let mut act = json!({
            "step": "act-intended", "strategy": "service-restart", "dry_run": false,
            "act": "unit-control.start", "target": "a.service",
        });
        assert_eq!(said(act.clone()), "▶ service-restart starts a.service");
        act["dry_run"] = json!(true);
        assert_eq!(said(act), "▶ service-restart would start a.service");
        let failure = json!({"Err": {"kind": "failed", "code": null, "message": "no"}});
        assert_eq!(
            said(json!({"step": "act-ended", "result": failure})),
            "✘ no"
        );
        // What the next step says again, or only a report wants.
        assert_eq!(
            said(json!({"step": "act-ended", "result": {"Ok": "done"}})),
            ""
        );
        assert_eq!(said(json!({"step": "evidence", "lines": ["x"]})), "");
        assert_eq!(said(json!({"step": "something-new"})), "");
    }
}
