//! Looks after the data a service stands on: units that it needs, servers that
//! its probes greet, declared database files. A dead dependency blocks; a
//! deviation from a file's declaration is repaired; a missing or damaged
//! database holds everything.
//!
//! Declared files that are no databases are repaired here too, as long as they
//! are there and can be read: those that cannot are `environment-check`'s.

use prunella_sdk::files::{File, Role};
use prunella_sdk::prelude::*;

struct DatabaseCheck;

impl Strategy for DatabaseCheck {
    fn describe() -> Description {
        description!(
            "Waits for the databases and other units that the service needs, brings declared \
             files back to their declaration and starts the service; holds everything while a \
             database is missing or damaged."
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let files = look_at_files(incident)?;
        if !files.obstacles.is_empty() {
            return Ok(Assessment::veto(files.obstacles.join("; ")));
        }
        if let Some(blocked) = dead_need(incident)? {
            return Ok(blocked);
        }
        if !files.to_repair.is_empty() {
            let reasons: Vec<&str> = files
                .to_repair
                .iter()
                .map(|(_, why)| why.as_str())
                .collect();
            return Ok(Assessment::applies(files.confidence, reasons.join("; ")));
        }
        if let Some(damage) = damage(incident)? {
            return Ok(Assessment::veto(damage));
        }
        Ok(Assessment::not_applicable(
            "what it needs is up and answers, and its declared files are as declared",
        ))
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let mut repaired = Vec::new();
        for (name, _) in look_at_files(incident)?.to_repair {
            for what in file_repair::bring_back(&name)? {
                info!("brought the {} of `{name}` back", what.as_str());
                repaired.push(format!("brought the {} of `{name}` back", what.as_str()));
            }
        }
        let repaired = repaired.join(", ");
        if repaired.is_empty() {
            return Ok(Outcome::not_applicable(
                "the declared files are as declared by now",
            ));
        }
        let left = look_at_files(incident)?;
        let still = left
            .obstacles
            .into_iter()
            .chain(left.to_repair.into_iter().map(|(_, why)| why));
        // What could not be opened before can be asked now.
        if let Some(trouble) = still.chain(damage(incident)?).next() {
            return Ok(Outcome::failed(trouble).after(&repaired));
        }
        Ok(recovery::bring_up(incident)?.after(&repaired))
    }
}

/// What there is to say about the declared files.
#[derive(Default)]
struct Files {
    /// Names, and why.
    to_repair: Vec<(String, String)>,
    confidence: u8,
    /// What only people can put right.
    obstacles: Vec<String>,
}

fn look_at_files(incident: &Incident) -> Result<Files> {
    let mut found = Files::default();
    for name in incident.files() {
        let file = files::stat(&name)?;
        match file.role() {
            Role::Database => look_at_database(&mut found, name, &file),
            Role::Env => {}
            _ => look_at_other(&mut found, name, &file),
        }
    }
    Ok(found)
}

fn look_at_database(found: &mut Files, name: String, file: &File) {
    let deviations = file.deviations().join(", ");
    if !file.repairable().is_empty() {
        let why = format!("the database `{name}` is not as declared: {deviations}");
        found.to_repair.push((name, why));
        found.confidence = 85;
    } else if !file.exists() {
        if !file.optional() {
            found.obstacles.push(format!(
                "the database `{name}` is missing; the service might start with an empty one"
            ));
        }
    } else if !deviations.is_empty() {
        found.obstacles.push(format!(
            "the database `{name}` is not as declared: {deviations}"
        ));
    } else if !file.readable() {
        found.obstacles.push(format!(
            "the database `{name}` cannot be read by the service"
        ));
    }
}

fn look_at_other(found: &mut Files, name: String, file: &File) {
    // Only what the service can read all the same: a deviation that may
    // matter, and may not.
    if file.exists() && file.readable() && !file.repairable().is_empty() {
        let why = format!(
            "`{name}` is not as declared: {}",
            file.deviations().join(", ")
        );
        found.to_repair.push((name, why));
        found.confidence = found.confidence.max(40);
    }
}

/// A unit that the service needs and that is down, or does not answer.
fn dead_need(incident: &Incident) -> Result<Option<Assessment>> {
    let service = incident.unit();
    for need in incident.needs() {
        let standing = match units::get(&need) {
            Ok(unit) if unit.is_up() => continue,
            Ok(unit) => unit.standing(),
            Err(failure) if failure.is_not_found() => "not there at all".to_owned(),
            Err(failure) => return Err(failure),
        };
        let reason = format!("{service} needs {need}, which is {standing}");
        return Ok(Some(Assessment::blocked_by(need, reason)));
    }
    for probe in incident.probes() {
        let Some(target) = probes::target(&probe)? else {
            // A probe of the service itself: of course it is not answered now.
            continue;
        };
        let answer = probes::ask(&probe)?;
        if !answer.healthy {
            let kind = probes::kind(&probe)?;
            let reason = format!(
                "{service} needs {target}, which does not answer the {kind} probe `{probe}`: {}",
                answer.detail
            );
            return Ok(Some(Assessment::blocked_by(target, reason)));
        }
    }
    Ok(None)
}

/// What SQLite's own check finds wrong with the service's database files.
fn damage(incident: &Incident) -> Result<Option<String>> {
    for probe in incident.probes() {
        if probes::kind(&probe)? != "sqlite" {
            continue;
        }
        let answer = probes::ask(&probe)?;
        if !answer.healthy {
            return Ok(Some(format!(
                "SQLite's check `{probe}` finds the database damaged: {}",
                answer.detail
            )));
        }
    }
    Ok(None)
}

prunella_sdk::export!(DatabaseCheck);
