//! What the operator can allow, so that what was denied is done next time.

use serde::Serialize;

use super::words;
use prunella_core::{
    StrategyName, UnitName, name,
    policy::Act,
    trail::{Record, Step},
};

/// An act that was denied for want of a grant, and the grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grantable {
    /// Who wanted it.
    pub strategy: StrategyName,
    /// What it would do: `end the process 4711 (python3)`.
    pub wants: String,
    /// The lines to add to `prunella.toml`.
    pub toml: String,
}

/// The denials of the safety kernel that name a grant end with the lines that
/// would allow it, after these words.
const MARKS: [&str; 2] = ["; to allow it: ", "; to allow that: "];

/// The grants that were missing, each once.
pub(super) fn grantable(record: &Record) -> Vec<Grantable> {
    let mut found: Vec<Grantable> = Vec::new();
    for entry in &record.steps {
        let Step::ActDenied {
            strategy,
            act,
            target,
            failure,
        } = &entry.step
        else {
            continue;
        };
        let toml = MARKS
            .iter()
            .find_map(|mark| failure.message.split_once(mark))
            .and_then(|(_, grant)| lines(strategy, act, grant));
        if let Some(toml) = toml
            && !found.iter().any(|known| known.toml == toml)
        {
            found.push(Grantable {
                strategy: strategy.clone(),
                wants: words::act(act, target),
                toml,
            });
        }
    }
    found
}

/// A denial without the lines that would allow it, where they are shown apart.
pub(super) fn without_lines(message: &str) -> &str {
    MARKS
        .iter()
        .find_map(|mark| message.split_once(mark))
        .map_or(message, |(reason, _)| reason)
}

/// The lines of a grant, made anew from names that were checked: what a
/// strategy called things has come this way.
fn lines(strategy: &StrategyName, act: &str, grant: &str) -> Option<String> {
    let act = Act::try_from(act.to_owned()).ok()?;
    let on = grant.split_once("on = [")?.1.strip_suffix(']')?;
    let on: Vec<&str> = on
        .split(", ")
        .map(|quoted| quoted.strip_prefix('"')?.strip_suffix('"'))
        .collect::<Option<_>>()?;
    let known = |scope: &&str| name::is_plain(scope) || UnitName::new(*scope).is_ok();
    if on.is_empty() || !on.iter().all(known) {
        return None;
    }
    let on: Vec<String> = on
        .iter()
        // systemd escapes with backslashes, and so does TOML.
        .map(|scope| format!("\"{}\"", scope.replace('\\', "\\\\")))
        .collect();
    Some(format!(
        "[[strategy.{strategy}.allow]]\nact = \"{act}\"\non = [{}]",
        on.join(", ")
    ))
}
