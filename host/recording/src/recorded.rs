//! A call and its answer as a recording has them: the same when it is recorded and
//! when it is played.

use prunella_core::{
    Failure,
    capability::{
        Call, CheckReport, Described as _, LogEntry, OwnWord, ProbeAnswer, Reply, UnitStatus,
    },
    text::{REDACTED, redact},
};
use serde_json::{Map, Value};

use crate::Entry;

/// A call without its answer. What a strategy keeps may be a secret.
pub(crate) fn made(call: &Call) -> Entry {
    let arguments = match call {
        Call::StateSet(set) => {
            let mut set = set.clone();
            set.value = redacted_value(&set.key, &set.value);
            serde_json::to_value(set)
        }
        call => serde_json::to_value(call),
    };
    Entry {
        call: call.description().name().to_owned(),
        with: match arguments {
            Ok(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        },
        gave: None,
        failed: None,
    }
}

/// The same call with its answer: what the contract shows of it, and no secret.
pub(crate) fn answered(made: Entry, answer: Result<&Reply, &Failure>) -> Entry {
    match answer {
        Ok(reply) => {
            let key = made.with.get("key").and_then(Value::as_str);
            let shown = shown(key.unwrap_or_default(), reply.clone());
            Entry {
                gave: Some(serde_json::to_value(shown).unwrap_or_default()),
                ..made
            }
        }
        Err(failure) => Entry {
            failed: Some(Failure {
                message: redact(&failure.message),
                ..failure.clone()
            }),
            ..made
        },
    }
}

fn shown(key: &str, reply: Reply) -> Reply {
    match reply {
        Reply::UnitGet(status) => Reply::UnitGet(as_seen(status)),
        Reply::UnitWait(status) => Reply::UnitWait(as_seen(status)),
        Reply::LogTail(lines) => Reply::LogTail(
            lines
                .into_iter()
                // What the contract does not show is in no recording.
                .map(|line| LogEntry::new(line.at, line.priority, redact(&line.message)))
                .collect(),
        ),
        Reply::ProbeAsk(answer) => Reply::ProbeAsk(ProbeAnswer {
            detail: redact(&answer.detail),
            ..answer
        }),
        Reply::StateGet(value) => Reply::StateGet(value.map(|value| redacted_value(key, &value))),
        Reply::CheckRun(report) => Reply::CheckRun(CheckReport {
            output: redact(&report.output),
            ..report
        }),
        reply => reply,
    }
}

/// A unit without what the contract does not show of it.
fn as_seen(status: UnitStatus) -> UnitStatus {
    UnitStatus {
        description: String::new(),
        user: String::new(),
        group: String::new(),
        fragment: None,
        own_word: OwnWord::default(),
        ..status
    }
}

/// A value whose name may say that it is a secret.
pub(crate) fn redacted_value(key: &str, value: &str) -> String {
    let shown = redact(&format!("{key}={value}"));
    match shown
        .strip_prefix(key)
        .and_then(|rest| rest.strip_prefix('='))
    {
        Some(value) => value.to_owned(),
        None => REDACTED.to_owned(),
    }
}
