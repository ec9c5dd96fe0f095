//! Runs the checks that the operator declared to say whether the service's
//! configuration is valid, and holds everything while one of them says no: a
//! start would only fail again. It never acts.

use prunella_sdk::checks::Report;
use prunella_sdk::prelude::*;

/// A checker's last lines usually name file, line and mistake.
const QUOTED_LINES: usize = 5;

struct ConfigValidation;

impl Strategy for ConfigValidation {
    fn describe() -> Description {
        description!(
            "Runs the declared checks of the configuration, and holds everything while one of \
             them finds it broken."
        )
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let declared = incident.config_checks();
        if declared.is_empty() {
            return Ok(Assessment::not_applicable(format!(
                "no check of its configuration is declared for {}",
                incident.unit()
            )));
        }
        let (mut passed, mut unknown) = (Vec::new(), Vec::new());
        for check in declared {
            match checks::run(&check) {
                Ok(report) if report.passed => passed.push(format!("`{check}`")),
                Ok(report) => {
                    let verdict = verdict(&check, &report);
                    return Ok(
                        match remedies::first_eligible(incident, "file-restore.run")? {
                            Some(file) => Assessment::not_applicable(format!(
                                "{verdict}; the content of `{file}` can be brought back"
                            )),
                            None => Assessment::veto(verdict),
                        },
                    );
                }
                Err(failure) => {
                    unknown.push(format!("the check `{check}` could not be run: {failure}"))
                }
            }
        }
        Ok(Assessment::not_applicable(if unknown.is_empty() {
            format!("the configuration is valid, says {}", passed.join(", "))
        } else {
            format!(
                "whether the configuration is valid is not known: {}",
                unknown.join("; ")
            )
        }))
    }

    fn heal(_: &Incident) -> Result<Outcome> {
        Ok(Outcome::not_applicable(
            "it can tell that a configuration is broken, and cannot mend it",
        ))
    }
}

fn verdict(check: &str, report: &Report) -> String {
    let lines: Vec<&str> = report
        .output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let skipped = lines.len().saturating_sub(QUOTED_LINES);
    let said: Vec<&str> = lines.into_iter().skip(skipped).collect();
    // What it says comes early: a subject has no room for more.
    let fails = match (report.exit_code, &report.signal) {
        (None, Some(signal)) => format!("check `{check}` was ended by signal {signal}"),
        (Some(code), _) if said.is_empty() => {
            format!("check `{check}` fails with exit code {code}")
        }
        _ => format!("check `{check}` fails"),
    };
    if said.is_empty() {
        format!("{fails}, and says nothing")
    } else {
        format!("{fails}: {}", said.join(" | "))
    }
}

prunella_sdk::export!(ConfigValidation);
