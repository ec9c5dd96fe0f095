//! Finds who keeps the service from its ports. A leftover of the service itself
//! is ended by its handle; closed connections that the kernel keeps for a while
//! are waited for; anybody else is left alone and reported, or ended if a person
//! agrees (`foreign-processes = "ask"`). Nothing is held back because of who merely
//! shares the port or is at another address.

#[cfg(test)]
mod tests;

use std::time::Duration;

use prunella_sdk::ports::Holder;
use prunella_sdk::prelude::*;
use prunella_sdk::process_control::Ending;
use prunella_sdk::processes::{Ownership, Process};
use prunella_sdk::units::Unit;

/// How often the kernel is asked again once its time for closed connections is up.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How much later the kernel may let go of a port than it said: a timer of a minute is
/// rounded up to the next tick of a coarse wheel, by as much as 5.12 s
/// (kernel/time/timer.c).
const LATE: Duration = Duration::from_secs(6);

/// Most servers close their connections well within this.
const GRACE: Duration = Duration::from_secs(5);

/// Whether people may be asked about processes of others.
const FOREIGN_PROCESSES: &str = "foreign-processes";

struct PortConflict;

impl Strategy for PortConflict {
    fn describe() -> Description {
        description!(
            "Ends a leftover of the service that holds one of its ports, or waits until the kernel \
             lets go of the port, and starts the service; holds everything while somebody else \
             keeps the service from it, or asks to end them."
        )
        .setting(
            Setting::duration(
                "grace",
                "How long a leftover may take to end before it is killed.",
            )
            .or("5s"),
        )
        .setting(
            Setting::text(
                FOREIGN_PROCESSES,
                "`ask` to ask people to let somebody else's process be ended; otherwise it holds \
                 everything back. Follows [oversight] unless it is set here.",
            )
            .or("deny"),
        )
        .setting(recovery::timeout_setting())
    }

    fn assess(incident: &Incident) -> Result<Assessment> {
        let ports = incident.ports();
        if ports.is_empty() {
            return Ok(Assessment::not_applicable(format!(
                "no ports are declared for {}",
                incident.unit()
            )));
        }
        let found = look(incident, &ports)?;
        if let Some(stranger) = found.strangers.first() {
            let why = format!(
                "{}; {} cannot work until it is free",
                stranger.told,
                incident.unit()
            );
            let may_ask = asks() && found.strangers.iter().all(|one| one.process.is_some());
            return Ok(if may_ask {
                Assessment::applies(90, why)
            } else {
                Assessment::veto(why)
            });
        }
        let mut reasons: Vec<String> = found
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
            .collect();
        reasons.extend(found.lingering.iter().map(|lingering| {
            format!(
                "{} is free in {}: until then the kernel keeps closed connections of it \
                 (TIME_WAIT), and {}",
                lingering.port,
                seconds(lingering.free_in),
                lingering.evidence
            )
        }));
        Ok(if !reasons.is_empty() {
            Assessment::applies(90, reasons.join("; "))
        } else if found.beside.is_empty() {
            Assessment::not_applicable(format!("nobody else holds {}", listed(&ports)))
        } else {
            Assessment::not_applicable(format!(
                "nothing shows that {} is kept from its ports: {}",
                incident.unit(),
                found.beside.join("; ")
            ))
        })
    }

    fn heal(incident: &Incident) -> Result<Outcome> {
        let grace = settings::duration("grace", GRACE)?;
        let found = look(incident, &incident.ports())?;
        let free_in = longest(&found);
        let mut ended = Vec::new();
        let mut kept = Vec::new();
        let asks = asks();
        // All of them are asked about before anything else is done.
        for stranger in &found.strangers {
            match (&stranger.process, asks) {
                (Some(process), true) => match process_control::terminate(process, grace) {
                    Ok(ending) => ended.push(gone(&process.to_string(), &stranger.port, ending)),
                    Err(failure) => kept.push(format!("{}; {failure}", stranger.told)),
                },
                _ => kept.push(stranger.told.clone()),
            }
        }
        if !kept.is_empty() {
            return Ok(Outcome::failed(kept.join("; ")));
        }
        for leftover in found.leftovers {
            // Shown before it ends: afterwards there is nothing to look at.
            let who = leftover.process.to_string();
            let ending = process_control::terminate(&leftover.process, grace)?;
            ended.push(gone(&who, &leftover.port, ending));
        }
        if let Some(free_in) = free_in {
            let waited = wait_until_free(incident, free_in)?;
            ended.push(format!(
                "waited {} until the port was free",
                seconds(waited)
            ));
        }
        if ended.is_empty() {
            return Ok(Outcome::not_applicable("the ports are free by now"));
        }
        Ok(recovery::bring_up(incident)?.after(&ended.join("; ")))
    }
}

/// Closed connections that keep the service from a port for a while.
struct Lingering {
    port: Port,
    free_in: Duration,
    evidence: String,
}

/// A process of the service's own that should not be there any more.
struct Leftover {
    port: Port,
    process: Process,
}

/// Somebody else who keeps the service from a port.
struct Stranger {
    port: Port,
    /// A sentence about them.
    told: String,
    /// Absent where systemd or somebody who cannot be named holds it.
    process: Option<Process>,
}

/// Who holds the service's ports and should not.
#[derive(Default)]
struct Found {
    leftovers: Vec<Leftover>,
    lingering: Vec<Lingering>,
    strangers: Vec<Stranger>,
    /// Who has a port, too, and is not known to be in the way.
    beside: Vec<String>,
}

fn look(incident: &Incident, ports: &[Port]) -> Result<Found> {
    let unit = units::get(&incident.unit())?;
    let mut found = Found::default();
    for port in ports {
        let (mut served, mut strangers) = (false, Vec::new());
        for holder in ports::holders(port)? {
            if let Some(free_in) = holder.free_in() {
                found.lingering.push(Lingering {
                    port: port.clone(),
                    free_in,
                    evidence: holder.blocks().unwrap_or_default(),
                });
                continue;
            }
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
                Claim::Stranger(who, process) => {
                    let stranger = format!("{port} ({}) is held by {who}", holder.address());
                    match holder.blocks() {
                        Some(evidence) => strangers.push(Stranger {
                            port: port.clone(),
                            told: format!("{stranger}; {evidence}"),
                            process,
                        }),
                        None => found.beside.push(stranger),
                    }
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
    /// Somebody else, shown, and their process.
    Stranger(String, Option<Process>),
}

fn claim(holder: &Holder, unit: &Unit) -> Claim {
    let holding_unit = holder.unit();
    if holder.socket_activated() {
        return match holding_unit {
            Some(socket)
                if socket.ends_with(".socket") && !unit.triggered_by().contains(&socket) =>
            {
                Claim::Stranger(format!("systemd, for {socket}"), None)
            }
            _ => Claim::Rightful,
        };
    }
    let Some(process) = holder.process() else {
        return match holding_unit {
            Some(name) if name == unit.name() => Claim::Rightful,
            Some(name) => Claim::Stranger(name, None),
            None => Claim::Stranger("somebody who cannot be named".to_owned(), None),
        };
    };
    match process.ownership() {
        Ownership::Leftover => Claim::Leftover(process),
        // A process in the control group of a unit that is down has outlived
        // its own service.
        Ownership::Own if unit.is_down() => Claim::Leftover(process),
        Ownership::Own => Claim::Rightful,
        Ownership::Foreign => {
            Claim::Stranger(format!("{process}: {}", process.evidence()), Some(process))
        }
    }
}

/// Whether people may be asked to let a process of others be ended.
fn asks() -> bool {
    settings::text(FOREIGN_PROCESSES).as_deref() == Some("ask")
}

/// Tells that somebody who held a port is gone.
fn gone(who: &str, port: &Port, ending: Ending) -> String {
    let how = match ending {
        Ending::WasGone => "had ended by itself",
        Ending::Asked => "ended when asked",
        Ending::Killed => "had to be killed",
    };
    let told = format!("{who}, which held {port}, {how}");
    info!("{told}");
    told
}

/// How long the kernel says that it keeps the last of the closed connections.
fn longest(found: &Found) -> Option<Duration> {
    let times = found.lingering.iter().map(|lingering| lingering.free_in);
    times.max()
}

/// Waits until the kernel has let go of the ports, and says how long that took.
fn wait_until_free(incident: &Incident, free_in: Duration) -> Result<Duration> {
    info!(
        "waiting {} until the kernel lets go of the port",
        seconds(free_in)
    );
    let begun = clock::monotonic();
    let mut pause = free_in;
    loop {
        clock::sleep(pause)?;
        let waited = clock::monotonic().saturating_sub(begun);
        if waited > free_in + LATE || longest(&look(incident, &incident.ports())?).is_none() {
            return Ok(waited);
        }
        pause = LOOK_EVERY;
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_millis().div_ceil(1_000))
}

fn listed(ports: &[Port]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    ports.join(", ")
}

prunella_sdk::export!(PortConflict);
