//! What can be learned of a unit before it is put in Prunella's care: for
//! `prunella enable`.
//!
//! Everything comes with its reason, so that the operator can judge it, and
//! nothing is certain: a port is one that the unit holds *now*, a check is one
//! that its program is known to have. How the configuration is written is not
//! decided here.

mod answers;
mod environment;
mod known;
mod listening;
mod monit;
mod remedies;
mod rotation;
mod run_policy;
mod servers;
mod text_file;
mod tuning;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Answer, Protocol, UnitStatus},
    service::{Port, ProbeKind, RunPolicy},
};

use self::listening::{add_port, port_of};
pub use self::{
    monit::MonitWatch,
    remedies::{ProposedRemedy, ProposedValue},
};
use crate::{
    Linux,
    runs_as::{all_properties, text, texts, typed},
};

/// What was learned of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// How it stands; its canonical name, type, Restart= and OnFailure= are
    /// among that.
    pub status: UnitStatus,
    /// Where it listens, or its sockets do.
    pub ports: Vec<Finding<Port>>,
    /// Which ends of it are failures.
    pub run_policy: Finding<RunPolicy>,
    /// Its EnvironmentFile= entries.
    pub env_files: Vec<Finding<EnvFile>>,
    /// What it cannot start without.
    pub needs: Vec<Finding<UnitName>>,
    /// Checks of its configuration.
    pub checks: Vec<Finding<LearnedCheck>>,
    /// Remedies that fit it, for the operator to decide about.
    pub remedies: Vec<Finding<ProposedRemedy>>,
    /// A question that it answers now, and can be asked again and again.
    pub probe: Option<Finding<ProbeKind>>,
    /// Why it is asked nothing although it is meant to go on, and what follows from that.
    pub not_asked: Option<String>,
    /// How long systemd lets it start (TimeoutStartSec=); `None` for ever.
    pub start_timeout: Option<Duration>,
    /// Entries of monit that watch the same service: two healers on one
    /// service fight.
    pub monit: Vec<MonitWatch>,
    /// The units that really run, when this one is only a wrapper around them,
    /// as Debian's `postgresql.service` is: they should be put in care instead.
    pub wrapper_of: Vec<UnitName>,
    /// What else the operator should know, in sentences.
    pub notes: Vec<String>,
}

/// Something learned, and why it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<T> {
    pub what: T,
    /// Why, as a phrase such as `it listens there now`.
    pub why: String,
}

impl<T> Finding<T> {
    fn new(what: T, why: impl Into<String>) -> Self {
        Self {
            what,
            why: why.into(),
        }
    }
}

/// One EnvironmentFile=.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether a leading `-` lets the unit start without it.
    pub optional: bool,
}

/// A command that says whether a configuration is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedCheck {
    /// Program (absolute, and there) and arguments.
    pub command: Vec<String>,
    /// Whether it has to run as root, because the service starts as root.
    pub as_root: bool,
}

/// The properties of a unit that learning is done from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// Program and arguments of each ExecStart=.
    commands: Vec<Vec<String>>,
    /// Path, and whether it is optional.
    env_files: Vec<(String, bool)>,
    requires: Vec<String>,
    binds_to: Vec<String>,
    wants: Vec<String>,
    after: Vec<String>,
    consists_of: Vec<String>,
    pid_file: String,
    /// CacheDirectory=, below `/var/cache`.
    cache_directories: Vec<String>,
    on_success: Vec<String>,
    unit_file_state: String,
    /// Environment=, as `NAME=value`.
    environment: Vec<String>,
    start_timeout: Option<Duration>,
}

impl Linux {
    /// Learns what it can of `unit`, running or not.
    ///
    /// # Errors
    /// `not-found` when there is no such unit; `unavailable` without the system
    /// bus, over which all of this is asked.
    pub fn learn(&self, deadline: Instant, unit: &UnitName) -> Answer<Learned> {
        let units = self.units();
        let status = units.get(deadline, unit)?;
        let seen = self.see(deadline, &status.name)?;
        let mut learned = Learned {
            ports: Vec::new(),
            run_policy: run_policy::of(&status, &seen, false),
            env_files: Vec::new(),
            needs: Vec::new(),
            checks: Vec::new(),
            remedies: remedies::fitting(&status, &seen),
            probe: None,
            not_asked: None,
            start_timeout: seen.start_timeout,
            monit: Vec::new(),
            wrapper_of: wrapped(&status, &seen),
            notes: Vec::new(),
            status,
        };
        if is_wrapper(&learned.status, &seen) && learned.wrapper_of.is_empty() {
            learned.notes.push(
                "it runs nothing itself (its command is /bin/true), and no unit is part of it"
                    .to_owned(),
            );
        }
        if !learned.wrapper_of.is_empty() {
            // All there is to learn is behind it.
            return Ok(learned);
        }
        self.sockets(deadline, &mut learned)?;
        let listening = listening::listening(deadline, &mut learned);
        learned.run_policy = run_policy::of(&learned.status, &seen, !learned.ports.is_empty());
        env_files(&seen, &mut learned);
        self.needs(deadline, &seen, &mut learned);
        self.pointed_to(deadline, &seen, &mut learned);
        let known = known::of(&seen.commands);
        if let Some(known) = known {
            known.tell(&seen.commands, &mut learned, Path::new("/"));
        }
        learned.remedies.extend(rotation::proposed(&listening));
        let is_there = |unit: &UnitName| {
            let found = units.get(deadline, unit);
            found.is_ok_and(|status| status.load_state == "loaded")
        };
        let standby = remedies::standby(&learned.status.name, is_there);
        learned.remedies.extend(standby);
        answers::ask(deadline, known, &listening, &mut learned);
        learned.monit = monit::watches(Path::new("/etc"), &learned.status, &seen.pid_file);
        Ok(learned)
    }

    /// The units that do the work of `unit`, when that is only a wrapper around them, as
    /// Debian's `postgresql.service` is; none of any other.
    ///
    /// # Errors
    /// As for [`learn`](Self::learn).
    pub fn wrapped_by(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<UnitName>> {
        let status = self.units().get(deadline, unit)?;
        if !status.is_oneshot() {
            return Ok(Vec::new());
        }
        let seen = self.see(deadline, &status.name)?;
        Ok(wrapped(&status, &seen))
    }

    fn see(&self, deadline: Instant, unit: &UnitName) -> Answer<Seen> {
        self.shared.block_on_deadline(deadline, async {
            // An empty interface name means the properties of all of them.
            let properties = all_properties(&self.shared, unit, "")
                .await
                .map_err(|error| error.failure(&format!("cannot learn about {unit}")))?;
            type Exec = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);
            let commands: Vec<Exec> = typed(&properties, "ExecStart").unwrap_or_default();
            Ok(Seen {
                commands: commands
                    .into_iter()
                    .map(|(program, mut words, ..)| {
                        // argv[0] may be anything (`@`); the path is the program.
                        if let Some(first) = words.first_mut() {
                            *first = program;
                        }
                        words
                    })
                    .collect(),
                env_files: typed(&properties, "EnvironmentFiles").unwrap_or_default(),
                requires: texts(&properties, "Requires"),
                binds_to: texts(&properties, "BindsTo"),
                wants: texts(&properties, "Wants"),
                after: texts(&properties, "After"),
                consists_of: texts(&properties, "ConsistsOf"),
                pid_file: text(&properties, "PIDFile"),
                cache_directories: texts(&properties, "CacheDirectory"),
                on_success: texts(&properties, "OnSuccess"),
                unit_file_state: text(&properties, "UnitFileState"),
                environment: typed(&properties, "Environment").unwrap_or_default(),
                start_timeout: typed::<u64>(&properties, "TimeoutStartUSec")
                    .filter(|micros| *micros != u64::MAX)
                    .map(Duration::from_micros),
            })
        })
    }

    /// The ports that its socket units listen on.
    fn sockets(&self, deadline: Instant, learned: &mut Learned) -> Answer<()> {
        for unit in learned.status.triggered_by.clone() {
            if unit.kind() != "socket" {
                learned
                    .notes
                    .push(format!("{unit} starts it: it may rightly be inactive"));
                continue;
            }
            let listens: Vec<(String, String)> =
                self.shared.block_on_deadline(deadline, async {
                    let properties = all_properties(&self.shared, &unit, "")
                        .await
                        .map_err(|error| error.failure(&format!("cannot learn about {unit}")))?;
                    Ok(typed(&properties, "Listen").unwrap_or_default())
                })?;
            let why = format!("{unit} listens there for it");
            for (kind, address) in listens {
                let protocol = match kind.as_str() {
                    "Stream" => Protocol::Tcp,
                    "Datagram" => Protocol::Udp,
                    _ => continue,
                };
                if let Some(number) = port_of(&address) {
                    add_port(learned, Port::new(protocol, number), &why);
                }
            }
        }
        Ok(())
    }

    fn needs(&self, deadline: Instant, seen: &Seen, learned: &mut Learned) {
        for (names, setting) in [(&seen.requires, "Requires="), (&seen.binds_to, "BindsTo=")] {
            for unit in services(names) {
                self.need(deadline, &unit, &format!("its {setting} names it"), learned);
            }
        }
        for unit in services(&seen.wants) {
            let known = learned.needs.iter().any(|need| need.what == unit);
            if !known && seen.after.iter().any(|after| unit == **after) {
                learned.notes.push(format!(
                    "it starts after {unit}, which it only wants: if it cannot work without, declare it under `depends-on`"
                ));
            }
        }
    }

    /// Adds a need; for a wrapper the units behind it.
    fn need(&self, deadline: Instant, unit: &UnitName, why: &str, learned: &mut Learned) {
        let behind = self.units().get(deadline, unit).and_then(|status| {
            let seen = self.see(deadline, &status.name)?;
            Ok((status.name.clone(), wrapped(&status, &seen)))
        });
        let (names, why) = match behind {
            Ok((_, behind)) if !behind.is_empty() => {
                (behind, format!("{why} by its wrapper {unit}"))
            }
            Ok((canonical, _)) => (vec![canonical], why.to_owned()),
            Err(failure) => {
                learned
                    .notes
                    .push(format!("{unit} is needed, but: {failure}"));
                return;
            }
        };
        for what in names {
            if what != learned.status.name && !learned.needs.iter().any(|need| need.what == what) {
                learned.needs.push(Finding::new(what, why.clone()));
            }
        }
    }
}

/// Whether it is a oneshot that does nothing and stays active.
fn is_wrapper(status: &UnitStatus, seen: &Seen) -> bool {
    let does_nothing = seen.commands.iter().all(|words| {
        words
            .first()
            .is_some_and(|program| matches!(program.as_str(), "/bin/true" | "/usr/bin/true"))
    });
    status.is_oneshot() && status.remain_after_exit && does_nothing
}

/// The units behind a wrapper: those that are part of it.
fn wrapped(status: &UnitStatus, seen: &Seen) -> Vec<UnitName> {
    if !is_wrapper(status, seen) {
        return Vec::new();
    }
    // Instances that never ran are not loaded, and then only wanted.
    let mut behind: Vec<UnitName> = Vec::new();
    for unit in services(&seen.consists_of).into_iter().chain(
        services(&seen.wants)
            .into_iter()
            .filter(|unit| unit.template().is_some()),
    ) {
        if unit != status.name && !behind.contains(&unit) {
            behind.push(unit);
        }
    }
    behind
}

/// The services among these that are worth depending on by name.
fn services(names: &[String]) -> Vec<UnitName> {
    names
        .iter()
        .filter_map(|name| UnitName::new(name.as_str()).ok())
        .filter(|unit| unit.kind() == "service" && !is_basic(unit))
        .collect()
}

/// Part of the system itself: always there, and protected anyway.
fn is_basic(unit: &UnitName) -> bool {
    let name = unit.as_str();
    name.starts_with("systemd-")
        || matches!(
            name,
            "dbus.service" | "dbus-broker.service" | "polkit.service" | "udev.service"
        )
}

fn env_files(seen: &Seen, learned: &mut Learned) {
    for (path, optional) in &seen.env_files {
        if path.contains(['*', '?', '[']) {
            learned.notes.push(format!(
                "its EnvironmentFile={path} stands for several files: declare those that matter"
            ));
            continue;
        }
        learned.env_files.push(Finding::new(
            EnvFile {
                path: PathBuf::from(path),
                optional: *optional,
            },
            "its EnvironmentFile= names it",
        ));
    }
}

#[cfg(test)]
mod tests;
