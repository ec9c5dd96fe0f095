//! Finds who holds the service's ports. A leftover of the service itself is
//! ended by its handle; anybody else is left alone and reported.

#[cfg(test)]
mod tests;

use std::time::Duration;

use prunella_sdk::ports::Holder;
use prunella_sdk::prelude::*;
use prunella_sdk::process_control::Ending;
use prunella_sdk::processes::{Kinship, Process};
use prunella_sdk::units::Unit;

/// Most servers close their connections well within this.
const GRACE: Duration = Duration::from_secs(5);

struct PortConflict;

impl Strategy for PortConflict {
    fn describe() -> Description {
        description!(
            "Ends a leftover of the service that holds one of its ports, and starts the service; \
             holds everything while somebody else has the port."
        )
        .setting(
            Setting::duration(
                "grace",
                "How long a leftover may take to end before it is killed.",
            )
            .or("5s"),
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let ports = incident.ports();
        if ports.is_empty() {
            return Ok(Assessment::not_mine(format!(
                "no ports are declared for {}",
                incident.unit()
            )));
        }
        let found = look(incident, &ports)?;
        if let Some(stranger) = found.strangers.first() {
            return Ok(Assessment::must_not(format!(
                "{}; {} cannot work until it is free",
                stranger,
                incident.unit()
            )));
        }
        Ok(match found.leftovers.first() {
            None => Assessment::not_mine(format!("nobody else holds {}", listed(&ports))),
            Some(_) => Assessment::applies(
                90,
                found
                    .leftovers
                    .iter()
                    .map(|leftover| {
                        format!(
                            "{} is held by a leftover, {}: {}",
                            leftover.port,
                            leftover.process,
                            leftover.process.evidence()
                        )
                    })
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let grace = settings::duration("grace", GRACE)?;
        let found = look(incident, &incident.ports())?;
        if let Some(stranger) = found.strangers.first() {
            return Ok(Outcome::failed(stranger.as_str()));
        }
        let mut ended = Vec::new();
        for leftover in found.leftovers {
            // Shown before it ends: afterwards there is nothing to look at.
            let who = leftover.process.to_string();
            let how = match process_control::terminate(&leftover.process, grace)? {
                Ending::WasGone => "had ended by itself",
                Ending::Asked => "ended when asked",
                Ending::Killed => "had to be killed",
            };
            info!("{who}, which held {}, {how}", leftover.port);
            ended.push(format!("{who}, which held {}, {how}", leftover.port));
        }
        if ended.is_empty() {
            return Ok(Outcome::not_mine("the ports are free by now"));
        }
        Ok(recovery::bring_up(incident)?.after(&ended.join("; ")))
    }
}

/// A process of the service's own that should not be there any more.
struct Leftover {
    port: Port,
    process: Process,
}

/// Who holds the service's ports and should not.
#[derive(Default)]
struct Found {
    leftovers: Vec<Leftover>,
    /// One sentence for each.
    strangers: Vec<String>,
}

fn look(incident: &Incident, ports: &[Port]) -> Result<Found> {
    let unit = units::get(&incident.unit())?;
    let mut found = Found::default();
    for port in ports {
        let (mut served, mut strangers) = (false, Vec::new());
        for holder in ports::holders(port)? {
            match claim(&holder, &unit) {
                Claim::Rightful => served = true,
                Claim::Leftover(process) => {
                    let known = |other: &Leftover| other.process.pid() == process.pid();
                    if !found.leftovers.iter().any(known) {
                        found.leftovers.push(Leftover {
                            port: port.clone(),
                            process,
                        });
                    }
                }
                Claim::Stranger(who) => {
                    strangers.push(format!("{port} ({}) is held by {who}", holder.address()));
                }
            }
        }
        // Where the service has its place on the port, others that share it,
        // on another address perhaps, are in nobody's way.
        if !served {
            found.strangers.append(&mut strangers);
        }
    }
    Ok(found)
}

/// By what right somebody holds one of the service's ports.
enum Claim {
    /// The service itself, or its socket unit.
    Rightful,
    Leftover(Process),
    /// Somebody else, shown.
    Stranger(String),
}

fn claim(holder: &Holder, unit: &Unit) -> Claim {
    let holding_unit = holder.unit();
    if holder.socket_activated() {
        return match holding_unit {
            Some(socket)
                if socket.ends_with(".socket") && !unit.triggered_by().contains(&socket) =>
            {
                Claim::Stranger(format!("systemd, for {socket}"))
            }
            _ => Claim::Rightful,
        };
    }
    let Some(process) = holder.process() else {
        return match holding_unit {
            Some(name) if name == unit.name() => Claim::Rightful,
            Some(name) => Claim::Stranger(name),
            None => Claim::Stranger("somebody who cannot be named".to_owned()),
        };
    };
    match process.kinship() {
        Kinship::Leftover => Claim::Leftover(process),
        // A process in the control group of a unit that is down has outlived
        // its own service.
        Kinship::Own if unit.is_down() => Claim::Leftover(process),
        Kinship::Own => Claim::Rightful,
        Kinship::Foreign => Claim::Stranger(format!("{process}: {}", process.evidence())),
    }
}

fn listed(ports: &[Port]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    ports.join(", ")
}

prunella_sdk::export!(PortConflict);
