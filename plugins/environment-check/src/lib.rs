//! Looks after what a service reads when it starts: its environment files and
//! every other declared file but databases and sockets, which are
//! `database-check`'s. What is missing or cannot be read is repaired where the
//! declaration tells how; else everything is held.

use prunella_sdk::files::{File, Role};
use prunella_sdk::prelude::*;

struct EnvironmentCheck;

impl Strategy for EnvironmentCheck {
    fn describe() -> Description {
        description!(
            "Makes the files that the service reads at its start readable again, as they were \
             declared, and starts the service; holds everything while one is missing or lacks a \
             required key."
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let (mut repairs, mut obstacles) = (Vec::new(), Vec::new());
        let mut looked_at = Vec::new();
        for name in incident.files() {
            let file = files::stat(&name)?;
            if !is_read_at_start(&file) {
                continue;
            }
            match look(&name, &file)? {
                Finding::Fine => looked_at.push(format!("`{name}`")),
                Finding::Repairable(reason) => repairs.push(reason),
                Finding::Obstacle(reason) => obstacles.push(reason),
            }
        }
        let obstacles = obstacles.join("; ");
        Ok(if !obstacles.is_empty() {
            match remedies::first_eligible(incident, "file-restore.run")? {
                Some(file) => Assessment::not_applicable(format!(
                    "{obstacles}; the content of `{file}` can be brought back"
                )),
                None => Assessment::veto(obstacles),
            }
        } else if !repairs.is_empty() {
            Assessment::applies(85, repairs.join("; "))
        } else if looked_at.is_empty() {
            Assessment::not_applicable("no files that the service reads are declared")
        } else {
            Assessment::not_applicable(format!(
                "all that it reads is there: {}",
                looked_at.join(", ")
            ))
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let mut repaired = Vec::new();
        for name in incident.files() {
            let file = files::stat(&name)?;
            if !is_read_at_start(&file) || !matches!(look(&name, &file)?, Finding::Repairable(_)) {
                continue;
            }
            for what in file_repair::bring_back(&name)? {
                info!("brought the {} of `{name}` back", what.as_str());
                repaired.push(format!("brought the {} of `{name}` back", what.as_str()));
            }
            // What could not be seen before, such as its keys, can be now.
            match look(&name, &files::stat(&name)?)? {
                Finding::Fine => {}
                Finding::Repairable(reason) | Finding::Obstacle(reason) => {
                    return Ok(Outcome::failed(reason).after(&repaired.join(", ")));
                }
            }
        }
        if repaired.is_empty() {
            return Ok(Outcome::not_applicable(
                "all that the service reads is there by now",
            ));
        }
        Ok(recovery::bring_up(incident)?.after(&repaired.join(", ")))
    }
}

fn is_read_at_start(file: &File) -> bool {
    !matches!(file.role(), Role::Database | Role::Socket)
}

/// What stands between a service and a file that it reads.
enum Finding {
    Fine,
    /// Something that the declaration tells how to repair.
    Repairable(String),
    /// Something that only people can.
    Obstacle(String),
}

fn look(name: &str, file: &File) -> Result<Finding> {
    let shown = match file.role() {
        Role::Env => format!("the environment file `{name}`"),
        Role::Directory => format!("the directory `{name}`"),
        Role::Symlink => format!("the link `{name}`"),
        _ => format!("the file `{name}`"),
    };
    let repairable = !file.repairable().is_empty();
    if !file.exists() {
        return Ok(if repairable {
            Finding::Repairable(format!("{shown} is missing, and can be made again"))
        } else if file.optional() {
            Finding::Fine
        } else {
            Finding::Obstacle(format!("{shown} is missing"))
        });
    }
    if !file.readable() {
        let reader = match file.read_by().as_str() {
            "manager" => "systemd",
            _ => "the service",
        };
        let mut reason = format!("{shown} cannot be read by {reader}");
        let deviations = file.deviations();
        if !deviations.is_empty() {
            reason = format!("{reason}: {}", deviations.join(", "));
        }
        return Ok(if repairable {
            Finding::Repairable(reason)
        } else if file.optional() {
            Finding::Fine
        } else {
            Finding::Obstacle(reason)
        });
    }
    if file.role() == Role::Env {
        let missing = files::missing_keys(name)?;
        if !missing.is_empty() {
            let keys = missing.join(", ");
            return Ok(Finding::Obstacle(format!(
                "{shown} does not set, or leaves empty, what is required of it: {keys}"
            )));
        }
    }
    Ok(Finding::Fine)
}

prunella_sdk::export!(EnvironmentCheck);
