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
mod monit;
mod run_policy;
mod servers;
mod text_file;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Answer, Protocol, UnitStatus},
    service::{Port, ProbeKind, RunPolicy},
};

pub use self::monit::MonitWatch;
use self::{
    answers::{Ask, Listening},
    environment::Place,
    known::Known,
};
use crate::{
    Linux,
    cgroup::Cgroups,
    ports::{self, ListeningPort},
    probes,
    runs_as::{all_properties, text, texts, typed},
    sockets,
};

/// What was learned of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// How it stands; its canonical name, type, Restart= and OnFailure= are
    /// among that.
    pub status: UnitStatus,
    /// Where it listens, or its sockets do.
    pub ports: Vec<Finding<Port>>,
    /// The Unix sockets that its socket units listen on.
    pub unix_sockets: Vec<Finding<PathBuf>>,
    /// Which ends of it are failures.
    pub run_policy: Finding<RunPolicy>,
    /// Its EnvironmentFile= entries.
    pub env_files: Vec<Finding<EnvFile>>,
    /// What it cannot start without.
    pub needs: Vec<Finding<UnitName>>,
    /// Checks of its configuration.
    pub checks: Vec<Finding<LearnedCheck>>,
    /// A question that it answers now, and can be asked again and again.
    pub probe: Option<Finding<ProbeKind>>,
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
            unix_sockets: Vec::new(),
            run_policy: run_policy::of(&status, &seen, false),
            env_files: Vec::new(),
            needs: Vec::new(),
            checks: Vec::new(),
            probe: None,
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
        let listening = listening(deadline, &mut learned);
        learned.run_policy = run_policy::of(&learned.status, &seen, !learned.ports.is_empty());
        env_files(&seen, &mut learned);
        self.needs(deadline, &seen, &mut learned);
        self.pointed_to(deadline, &seen, &mut learned);
        let known = known::of(&seen.commands);
        if let Some(known) = known {
            known.tell(&seen.commands, &mut learned, Path::new("/"));
        }
        ask(deadline, known, &listening, &mut learned);
        learned.monit = monit::watches(Path::new("/etc"), &learned.status, &seen.pid_file);
        Ok(learned)
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
                on_success: texts(&properties, "OnSuccess"),
                unit_file_state: text(&properties, "UnitFileState"),
                environment: typed(&properties, "Environment").unwrap_or_default(),
                start_timeout: typed::<u64>(&properties, "TimeoutStartUSec")
                    .filter(|micros| *micros != u64::MAX)
                    .map(Duration::from_micros),
            })
        })
    }

    /// What its socket units listen on.
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
                if address.starts_with('/') {
                    learned
                        .unix_sockets
                        .push(Finding::new(PathBuf::from(address), why.clone()));
                } else if let Some(number) = port_of(&address) {
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

    /// The servers that its environment points it to.
    fn pointed_to(&self, deadline: Instant, seen: &Seen, learned: &mut Learned) {
        let mut sources: Vec<(String, Vec<(String, String)>)> = vec![(
            "Environment=".to_owned(),
            seen.environment
                .iter()
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )];
        for file in &learned.env_files {
            let path = &file.what.path;
            match text_file::read(path) {
                Ok(text) => {
                    sources.push((path.display().to_string(), environment::assignments(&text)))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => learned.notes.push(format!(
                    "{} could not be read for what it depends on: {error}",
                    path.display()
                )),
            }
        }
        let cgroups = Cgroups::detect();
        for (source, assignments) in sources {
            let assignments = assignments.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            for pointer in environment::pointers(assignments) {
                let (variable, place) = (&pointer.variable, &pointer.place);
                let points = format!("{variable} in {source} points to {place}");
                if matches!(place, Place::Elsewhere(_)) {
                    learned.notes.push(format!(
                        "{points}, on another host: a [[probe]] with `unit` or one of its own \
                         would tell whether that answers"
                    ));
                    continue;
                }
                match servers::at(&cgroups, deadline, place) {
                    Ok(Some(unit)) => {
                        self.need(
                            deadline,
                            &unit,
                            &format!("{points}, where it listens"),
                            learned,
                        );
                    }
                    Ok(None) => learned.notes.push(format!(
                        "{points}, where no service listens now: if it cannot work without that, \
                         declare the server's unit under `depends-on`"
                    )),
                    Err(failure) => learned.notes.push(format!(
                        "{points}, but who listens there is unknown: {failure}"
                    )),
                }
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

/// Learns its ports, and returns those of TCP that itself listens on.
fn listening(deadline: Instant, learned: &mut Learned) -> Vec<Listening> {
    let running = learned.status.main_pid.is_some() || learned.status.control_group.is_some();
    if !running {
        if learned.ports.is_empty() {
            learned
                .notes
                .push("it is not running, so its ports could not be learned".to_owned());
        }
        return Vec::new();
    }
    match ports::listening_ports_of(&Cgroups::detect(), deadline, &learned.status) {
        Ok(found) => {
            for there in &found {
                let mut port = Port::new(there.protocol, there.number);
                if is_picked_by_the_kernel(there.number) {
                    learned.notes.push(format!(
                        "it listens on {port} now, which lies in the range that the kernel picks from, so it may be another next time"
                    ));
                } else {
                    let local = found
                        .iter()
                        .filter(|one| (one.protocol, one.number) == (port.protocol, port.number))
                        .all(|one| one.address.is_loopback());
                    let mut why = if local {
                        "it listens there now, for this host only".to_owned()
                    } else {
                        "it listens there now".to_owned()
                    };
                    if let Some(other) = elsewhere(&learned.status, &found, there) {
                        port.address = Some(there.address);
                        why = format!("{why}; somebody else listens on the port at {other}");
                    }
                    add_port(learned, port, &why);
                }
            }
            reachable(&found)
        }
        Err(failure) => {
            learned
                .notes
                .push(format!("its ports could not be learned: {failure}"));
            Vec::new()
        }
    }
}

/// Its TCP ports, and where this host reaches them.
fn reachable(found: &[ListeningPort]) -> Vec<Listening> {
    let mut ports: Vec<Listening> = Vec::new();
    for there in found {
        if there.protocol != Protocol::Tcp || is_picked_by_the_kernel(there.number) {
            continue;
        }
        let address = match there.address {
            IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            bound => bound,
        };
        let place = std::net::SocketAddr::new(address, there.number).to_string();
        match ports.iter_mut().find(|port| port.number == there.number) {
            Some(port) => port.places.push(place),
            None => ports.push(Listening {
                number: there.number,
                places: vec![place],
            }),
        }
    }
    for port in &mut ports {
        // Loopback addresses answer whatever becomes of the network.
        port.places
            .sort_by_key(|place| (!place.starts_with("127."), !place.starts_with("[::1]")));
        port.places.dedup();
    }
    ports
}

/// Finds a question that it answers.
fn ask(deadline: Instant, known: Option<Known>, listening: &[Listening], learned: &mut Learned) {
    if learned.status.private_network {
        return;
    }
    // Being asked would start, or keep up, what a socket starts when it is needed.
    if learned
        .status
        .triggered_by
        .iter()
        .any(|unit| unit.kind() == "socket")
    {
        return;
    }
    let is_up = learned.status.is_up();
    if is_up {
        learned.probe = answers::find(known, listening, Path::new("/"), &Questions { deadline });
    }
    if is_up && learned.probe.is_none() && !learned.ports.is_empty() {
        learned.notes.push(
            "no question is known that it answers, so it is not noticed when it hangs: declare a \
             [[probe]] with an `interval`"
                .to_owned(),
        );
    }
}

/// Asks the service itself.
struct Questions {
    deadline: Instant,
}

impl Questions {
    fn until(&self) -> Instant {
        self.deadline.min(Instant::now() + answers::PATIENCE)
    }
}

impl Ask for Questions {
    fn answers(&self, probe: &ProbeKind) -> bool {
        probes::answers(probe, self.until())
    }

    fn http_status(&self, url: &str) -> Option<u16> {
        probes::http_status(url, self.until())
    }
}

/// Another address at which somebody else listens on the same port, where the
/// unit has bound certain addresses only: then the address tells them apart.
fn elsewhere(status: &UnitStatus, own: &[ListeningPort], there: &ListeningPort) -> Option<IpAddr> {
    let mine = || {
        own.iter()
            .filter(|one| (one.protocol, one.number) == (there.protocol, there.number))
    };
    if status.private_network || mine().any(|one| one.address.is_unspecified()) {
        return None;
    }
    let bound = sockets::bound(there.protocol, Some(there.number)).ok()?;
    bound
        .into_iter()
        .map(|socket| socket.address)
        .find(|address| mine().all(|one| one.address != *address))
}

fn add_port(learned: &mut Learned, port: Port, why: &str) {
    if !learned.ports.iter().any(|known| known.what == port) {
        learned.ports.push(Finding::new(port, why));
    }
}

/// The port in what systemd shows of a socket: `0.0.0.0:80`, `[::]:80`, `80`.
fn port_of(address: &str) -> Option<u16> {
    let port = address.rsplit_once(':').map_or(address, |(_, port)| port);
    port.parse().ok().filter(|port| *port != 0)
}

fn is_picked_by_the_kernel(port: u16) -> bool {
    let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else {
        return false;
    };
    let mut ends = range.split_whitespace().filter_map(|end| end.parse().ok());
    match (ends.next(), ends.next()) {
        (Some(low), Some(high)) => (low..=high).contains(&port),
        _ => false,
    }
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
