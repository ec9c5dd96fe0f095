//! Runs of earlier goes, read from what [`json`](super::json) wrote of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Results;
use crate::{catalogue::Fault, healers::Healer, judge::Verdict};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Go {
    host: String,
    timed_one_at_a_time: bool,
    runs: Vec<Verdict>,
    errors: Vec<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    fault: String,
    healer: String,
    why: String,
}

/// What several goes came to together, given the name and the text of each file.
/// All faults count as often for all healers, which is as often as the rarest of
/// them was made: of the others the first runs are taken. What could not be carried
/// out in one go and was in another is no error any more.
///
/// # Errors
/// When a file is not what [`json`](super::json) writes, or there is no run of a
/// fault by a healer in any.
pub fn saved<'a>(
    faults: Vec<&'a Fault>,
    healers: Vec<&'a dyn Healer>,
    files: &[(String, String)],
) -> Result<Results<'a>> {
    let mut hosts: Vec<String> = Vec::new();
    let mut timed = true;
    let mut made: BTreeMap<(String, String), Vec<Verdict>> = BTreeMap::new();
    let mut failed = Vec::new();
    for (name, text) in files {
        let go: Go = serde_json::from_str(text)
            .with_context(|| format!("{name} is not what `bench faults --json` writes"))?;
        timed &= go.timed_one_at_a_time;
        if !hosts.contains(&go.host) {
            hosts.push(go.host);
        }
        for run in go.runs {
            let pair = (run.fault.clone(), run.healer.clone());
            made.entry(pair).or_default().push(run);
        }
        failed.extend(go.errors);
    }
    let pairs = faults.iter().flat_map(|fault| {
        healers
            .iter()
            .map(|healer| (fault.name.clone(), healer.name().to_owned()))
    });
    let mut chosen: Vec<Vec<Verdict>> = Vec::new();
    for pair in pairs {
        let runs = made.remove(&pair).unwrap_or_default();
        ensure!(
            !runs.is_empty() || failed.iter().any(|one| one.is_of(&pair)),
            "there is no run of {} with {}",
            pair.0,
            pair.1
        );
        if !runs.is_empty() {
            failed.retain(|one| !one.is_of(&pair));
            chosen.push(runs);
        }
    }
    let times = chosen.iter().map(Vec::len).min().unwrap_or_default();
    let verdicts = chosen
        .into_iter()
        .flat_map(|runs| runs.into_iter().take(times))
        .collect();
    Ok(Results {
        faults,
        healers,
        verdicts,
        errors: failed
            .into_iter()
            .map(|one| (one.fault, one.healer, one.why))
            .collect(),
        timed,
        host: hosts.join("; "),
    })
}

impl Failed {
    fn is_of(&self, (fault, healer): &(String, String)) -> bool {
        self.fault == *fault && self.healer == *healer
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "in a test a panic is the report"
    )]

    use serde_json::{Value, json};

    use super::*;
    use crate::{catalogue, healers, report};

    fn run(fault: &str, healer: &str, ms: f64) -> Value {
        json!({
            "fault": fault, "healer": healer, "class": "must-heal", "not-yet": false,
            "right": true, "answered-after-ms": ms, "wrong": [], "silent": false,
            "alerts": [], "cpu-ms": 1.0, "memory-kib": 1, "watched-ms": 1.0,
            "unanswered": [], "took-ms": 1.0,
        })
    }

    fn go(runs: &[Value], errors: &[Value]) -> (String, String) {
        let text = json!({
            "host": "a host", "timed-one-at-a-time": true, "runs": runs, "errors": errors,
        });
        ("go.json".to_owned(), text.to_string())
    }

    fn put_together(files: &[(String, String)]) -> Result<Vec<(String, Option<f64>)>> {
        let all = catalogue::load()?;
        let faults = all.iter().filter(|fault| fault.name == "killed").collect();
        let every = healers::all();
        let pair: Vec<&dyn Healer> = every
            .iter()
            .copied()
            .filter(|healer| ["monit", "prunella"].contains(&healer.name()))
            .collect();
        let results = saved(faults, pair, files)?;
        assert_eq!(results.errors, []);
        // It can be written again, and read again.
        let written = ("again.json".to_owned(), report::json(&results).to_string());
        let again = saved(results.faults.clone(), results.healers.clone(), &[written])?;
        assert_eq!(again.verdicts.len(), results.verdicts.len());
        Ok(results
            .verdicts
            .into_iter()
            .map(|verdict| (verdict.healer, verdict.answered_after_ms))
            .collect())
    }

    #[test]
    fn each_counts_as_often_as_the_rarest() {
        let first = go(
            &[
                run("killed", "monit", 900.0),
                run("killed", "monit", 901.0),
                run("killed", "prunella", 9.0),
            ],
            &[],
        );
        assert_eq!(
            put_together(std::slice::from_ref(&first)).unwrap(),
            [
                ("monit".to_owned(), Some(900.0)),
                ("prunella".to_owned(), Some(9.0))
            ]
        );
        let second = go(&[run("killed", "prunella", 10.0)], &[]);
        assert_eq!(put_together(&[first, second]).unwrap().len(), 4);
    }

    #[test]
    fn a_run_completed_in_another_round_is_no_error() {
        let failed = json!({ "fault": "killed", "healer": "prunella", "why": "no machine" });
        let first = go(&[run("killed", "monit", 900.0)], &[failed]);
        let second = go(&[run("killed", "prunella", 9.0)], &[]);
        assert_eq!(put_together(&[first, second]).unwrap().len(), 2);
    }

    #[test]
    fn missing_runs_are_named() {
        let error = put_together(&[go(&[run("killed", "monit", 1.0)], &[])]).unwrap_err();
        assert_eq!(error.to_string(), "there is no run of killed with prunella");
    }
}
