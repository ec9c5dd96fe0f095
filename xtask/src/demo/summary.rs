//! The summary: what each strategy was allowed, what it did, and how the scenes ended.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use anyhow::{Context, Result as Outcome};
use prunella_machine::Machine;
use serde_json::Value;

use super::{
    incident::{Incident, word},
    scenes::{Ending, Expected, Scene},
    screen::{self, ACT, BAD, CARE, GOOD, PLAIN, QUIET, STRONG},
    stage::{self, PRUNELLA},
};

/// How a scene went.
pub(crate) struct Result {
    pub(crate) number: usize,
    pub(crate) scene: Scene,
    pub(crate) ending: Ending,
    /// What was not as expected.
    pub(crate) unmet: Vec<String>,
}

impl Result {
    pub(crate) fn healed(&self) -> bool {
        matches!(self.scene.expected, Expected::Healed(_))
    }

    pub(crate) fn as_expected(&self) -> bool {
        self.unmet.is_empty()
    }
}

pub(crate) fn show(machine: &Machine, results: &[Result]) -> Outcome<()> {
    let all = stage::all_incidents(machine)?;
    screen::heading("", "What each strategy was allowed, and what it did");
    screen::paragraph(
        "Each is a WebAssembly component. What it imports is all that it can reach; what it was \
         granted is all that it may do, and only to the service at hand.",
    );
    let listed = machine.run_ok(&[PRUNELLA, "plugin", "list", "--json"])?;
    for line in listed.lines() {
        let strategy: Value = serde_json::from_str(line)
            .with_context(|| format!("`prunella plugin list --json` says: {line}"))?;
        show_strategy(&strategy, &all);
    }
    screen::heading("", "How it went");
    table(results);
    Ok(())
}

fn show_strategy(strategy: &Value, all: &[Incident]) {
    let name = word(strategy, "name");
    let granted: Vec<(&str, Vec<&str>)> = array(strategy, "granted")
        .map(|grant| {
            let on = array(grant, "on").filter_map(Value::as_str).collect();
            (word(grant, "what"), on)
        })
        .collect();
    let mut done = BTreeMap::<&str, usize>::new();
    for (by, act) in all.iter().flat_map(Incident::acts) {
        if by == name {
            *done.entry(act).or_default() += 1;
        }
    }
    let denied = all
        .iter()
        .flat_map(|incident| incident.steps("act-denied"))
        .filter(|step| word(step, "strategy") == name)
        .count();

    anstream::println!("\n    {STRONG}{name}{STRONG:#}");
    // As a grant reads: the interface, then what of it.
    let may = join(&grouped(granted.iter().map(|(what, _)| *what)));
    let on: BTreeSet<&str> = granted
        .iter()
        .flat_map(|(_, on)| on.iter().copied())
        .collect();
    let on = match on.iter().copied().collect::<Vec<_>>().join(", ").as_str() {
        "" => String::new(),
        "self" => " (of the failed service alone)".to_owned(),
        on => format!(" (on {on})"),
    };
    item("may do", PLAIN, &format!("{may}{on}"));
    let imports: Vec<&str> = array(strategy, "imports")
        .filter_map(Value::as_str)
        .collect();
    let looks: Vec<&str> = imports
        .iter()
        .filter_map(|import| import.strip_prefix("prunella:observe/"))
        .filter_map(|import| import.split('@').next())
        .collect();
    item("can look at", QUIET, &looks.join(", "));
    let can: Vec<&str> = imports
        .iter()
        .filter_map(|import| import.strip_prefix("prunella:act/"))
        .filter_map(|import| import.split('@').next())
        .collect();
    item(
        "can reach",
        QUIET,
        &if can.is_empty() {
            "nothing that acts".to_owned()
        } else {
            can.join(", ")
        },
    );
    let did = if done.is_empty() {
        "nothing but look".to_owned()
    } else {
        let acts: Vec<String> = done
            .iter()
            .map(|(act, times)| format!("{act} ×{times}"))
            .collect();
        acts.join(", ")
    };
    item("did", if done.is_empty() { QUIET } else { ACT }, &did);
    if denied > 0 {
        item("was denied", BAD, &format!("{denied} acts"));
    }
}

/// `unit-control.start` and `unit-control.restart` as one.
fn grouped<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let (group, what) = name.split_once('.').unwrap_or((name, ""));
        match groups.iter_mut().find(|(other, _)| *other == group) {
            Some((_, whats)) => whats.push(what),
            None => groups.push((group, vec![what])),
        }
    }
    groups
        .into_iter()
        .map(|(group, whats)| format!("{group}: {}", whats.join(", ")))
        .collect()
}

fn join(texts: &[String]) -> String {
    if texts.is_empty() {
        "nothing".to_owned()
    } else {
        texts.join("; ")
    }
}

fn item(label: &str, style: Style, text: &str) {
    screen::indented(6, &format!("{label:<13}"), style, text);
}

fn table(results: &[Result]) {
    let head = [
        "",
        "",
        "unit",
        "by, or why",
        "answers after",
        "what was done",
    ];
    let mut rows = vec![head.map(|text| (text.to_owned(), QUIET)).to_vec()];
    for result in results {
        let (mark, style) = if result.as_expected() {
            ("✔", GOOD)
        } else {
            ("✘", BAD)
        };
        let unit = result.scene.unit;
        let (by, by_style) = match result.scene.expected {
            Expected::Healed(strategy) => (strategy, PLAIN),
            Expected::LeftAlone(why) => (why, CARE),
        };
        let after = result
            .ending
            .answered_after
            .map_or_else(|| "–".to_owned(), screen::took);
        rows.push(vec![
            (mark.to_owned(), style),
            (result.number.to_string(), QUIET),
            (
                unit.strip_suffix(".service").unwrap_or(unit).to_owned(),
                PLAIN,
            ),
            (by.to_owned(), by_style),
            (after, STRONG),
            (result.ending.how.clone(), QUIET),
        ]);
    }
    screen::table(&rows);
}

fn array<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
