//! Who holds a port.
//!
//! The kernel's list of sockets gives each socket's control group, and so its
//! unit, without a look at any process. Processes are then looked for in that
//! control group first; only a socket that nobody there holds (one that was
//! handed on, or whose makers have left) costs a walk over all processes.

mod conflict;
mod listening;
mod search;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use prunella_core::{
    Failure, UnitName,
    capability::{
        ActiveState, Answer, Ownership, PortHolder, Process, Protocol, UnitStatus, logs::Tail,
    },
    service::Port,
};

pub use self::listening::{ListeningPort, listening_ports_of};
use self::{
    conflict::{At, BindFailure, Wanted},
    search::{Search, all_processes},
};
use crate::{
    cgroup::{Cgroups, unit_of},
    logs::HostLogs,
    processes::Kin,
    sockets::{self, BoundSocket},
    stop_evidence::synchronize,
};

/// So many of the failed run's last lines are searched for what keeps it from
/// binding a port.
const LINES: u32 = 100;

/// So many holders are given at most; each holds a file descriptor. Those that
/// are not the service's come first, so that none of them is left out.
const HOLDERS_MAX: usize = 48;

/// The ports of this host, for one service.
pub struct HostPorts {
    kin: Arc<Kin>,
    declared: Vec<Port>,
    logs: Option<HostLogs>,
    /// What was seen of a unit a moment ago.
    snapshots: Box<Snapshots>,
}

type Snapshots = dyn Fn(&UnitName) -> Option<UnitStatus> + Send + Sync;

impl HostPorts {
    /// `kin` tells the service's own processes from others.
    pub fn new(kin: Arc<Kin>) -> Self {
        Self {
            kin,
            declared: Vec::new(),
            logs: None,
            snapshots: Box::new(|_| None),
        }
    }

    /// Takes what is declared of the service's ports and what its failed run
    /// logged as evidence of what keeps it from binding them. Without it nothing
    /// does.
    pub fn with_evidence(self, declared: &[Port], logs: HostLogs) -> Self {
        Self {
            declared: declared.to_vec(),
            logs: Some(logs),
            ..self
        }
    }

    /// Spares reading the service where `snapshots` tell what was read of it a
    /// moment ago, and that will do.
    pub fn with_snapshots(
        self,
        snapshots: impl Fn(&UnitName) -> Option<UnitStatus> + Send + Sync + 'static,
    ) -> Self {
        Self {
            snapshots: Box::new(snapshots),
            ..self
        }
    }

    /// The service, as far as it matters here: whether it has a network of its
    /// own, which sockets start it, and where its processes are likely to be.
    /// None of that is news, but where a network of its own is.
    fn service(&self, deadline: Instant) -> Answer<UnitStatus> {
        match (self.snapshots)(self.kin.unit()) {
            Some(status) if !status.private_network => Ok(status),
            _ => self.kin.units().get(deadline, self.kin.unit()),
        }
    }
}

/// The processes that hold any of these sockets.
pub(crate) fn processes_of(bound: &[BoundSocket], deadline: Instant) -> Answer<BTreeSet<u32>> {
    let mut search = Search::new(bound, deadline);
    if search.is_missing_any() {
        search.among(all_processes())?;
    }
    Ok(search.found.into_values().flatten().collect())
}

impl HostPorts {
    /// Each process that holds the port is a holder: the workers of one server
    /// that share a socket, and everybody who bound it with SO_REUSEPORT. A
    /// server on `::` that takes IPv4 too is there once. What a socket unit
    /// holds is marked, whether or not its service runs; `unit` then names the
    /// the socket unit, or nothing when that cannot be told.
    ///
    /// # Errors
    /// `unavailable` with the code `private-network` when the service has a
    /// network of its own, which exists only while it runs, and it does not
    /// run.
    pub fn holders(
        &self,
        deadline: Instant,
        protocol: Protocol,
        number: u16,
    ) -> Answer<Vec<PortHolder>> {
        if number == 0 {
            return Err(Failure::invalid("no-port", "there is no port 0"));
        }
        let cgroups = self.kin.cgroups();
        let service = self.service(deadline)?;
        let bound = bound_for(&service, cgroups, protocol, Some(number))?;
        if bound.is_empty() {
            let lingering = self.lingering(deadline, &service, protocol, number);
            return Ok(lingering.into_iter().collect());
        }

        let mut search = Search::new(&bound, deadline);
        let units = self.units_of(&bound);
        search.among(self.likely(deadline, &service, &bound, &units))?;
        if search.is_missing_any() {
            search.among(all_processes())?;
        }

        let mut conflict = Conflict::new(self, deadline, &service, protocol, number);
        let mut holders = Vec::new();
        let mut known: HashMap<u32, Option<Process>> = HashMap::new();
        for socket in &bound {
            let unit = units.get(&socket.inode).cloned();
            let pids = search.found.get(&socket.inode);
            // Where the kernel does not show us what PID 1 holds, the control
            // group has to do.
            let socket_activated = match pids {
                Some(pids) => pids.contains(&1),
                None => unit.as_ref().is_some_and(|unit| unit.kind() == "socket"),
            };
            let unit = match unit {
                // Where systemd cannot make a socket inside its unit's control
                // group (no BPF firewall), it makes it in its own.
                Some(unit) if unit.kind() == "socket" => Some(unit),
                _ if socket_activated => self.only_active_socket(deadline, &service),
                unit => unit,
            };
            let mut holder = |process: Option<Process>| {
                let of_process = || process.as_ref()?.info.unit.clone();
                let unit = match &unit {
                    None if !socket_activated => of_process(),
                    unit => unit.clone(),
                };
                let own = unit.as_ref() == Some(self.kin.unit())
                    || process
                        .as_ref()
                        .is_some_and(|process| process.info.ownership != Ownership::Foreign);
                PortHolder {
                    unit,
                    socket_activated,
                    address: socket.address.to_string(),
                    process,
                    blocks: if own { None } else { conflict.with(socket) },
                    free_in: None,
                }
            };
            let Some(pids) = pids else {
                holders.push(holder(None));
                continue;
            };
            for pid in pids {
                let process = match known.get(pid) {
                    Some(process) => process.clone(),
                    None => {
                        let process = self.kin.hold(deadline, *pid)?;
                        known.insert(*pid, process.clone());
                        process
                    }
                };
                // One that has ended meanwhile holds nothing any more.
                if process.is_some() {
                    holders.push(holder(process));
                }
            }
        }
        // Strangers first: they are what decides.
        holders.sort_by_key(|holder| match &holder.process {
            None => 0,
            Some(process) => match process.info.ownership {
                Ownership::Foreign => 1,
                Ownership::Leftover => 2,
                Ownership::Own => 3,
            },
        });
        holders.truncate(HOLDERS_MAX);
        Ok(holders)
    }
}

/// What keeps the service from binding a port, found out when first asked.
struct Conflict<'a> {
    ports: &'a HostPorts,
    deadline: Instant,
    has_bound: bool,
    number: u16,
    wanted: Wanted,
    failures: Option<Vec<BindFailure>>,
}

impl<'a> Conflict<'a> {
    fn new(
        ports: &'a HostPorts,
        deadline: Instant,
        service: &UnitStatus,
        protocol: Protocol,
        number: u16,
    ) -> Self {
        Self {
            ports,
            deadline,
            has_bound: service.is_up() || was_ended_from_outside(service),
            number,
            wanted: Wanted::of(&ports.declared, protocol, number),
            failures: None,
        }
    }

    /// The evidence that what is bound there keeps the service from binding. A
    /// service that is up, or was until somebody ended it, has bound what it needs: to
    /// read its log would only take the time in which it could be started.
    fn with(&mut self, held: impl Into<At>) -> Option<String> {
        if self.has_bound {
            return None;
        }
        let (ports, deadline, number) = (self.ports, self.deadline, self.number);
        let failures = self
            .failures
            .get_or_insert_with(|| ports.bind_failures(deadline, number));
        BindFailure::evidence(failures, &self.wanted, &held.into())
    }
}

impl HostPorts {
    /// What the failed run logged of its binding a port in vain.
    fn bind_failures(&self, deadline: Instant, number: u16) -> Vec<BindFailure> {
        let Some(logs) = &self.logs else {
            return Vec::new();
        };
        // Which run was the last is news.
        let status = self.kin.units().get(deadline, self.kin.unit());
        let Some(invocation) = status.ok().and_then(|status| status.invocation) else {
            return Vec::new();
        };
        let query = Tail {
            unit: self.kin.unit().clone(),
            invocation: Some(invocation),
            priority: None,
            lines: LINES,
        };
        let read = || {
            let lines = logs.tail(deadline, &query).unwrap_or_default();
            BindFailure::among(&lines, number)
        };
        let failures = read();
        if !failures.is_empty() {
            return failures;
        }
        // It has ended a moment ago: its last lines may be on their way.
        synchronize(deadline);
        read()
    }

    /// The kernel as the holder of a port on which nobody listens: connections
    /// that the service closed, and that keep it from binding without
    /// SO_REUSEADDR.
    fn lingering(
        &self,
        deadline: Instant,
        service: &UnitStatus,
        protocol: Protocol,
        number: u16,
    ) -> Option<PortHolder> {
        if protocol != Protocol::Tcp || service.is_up() || service.private_network {
            return None;
        }
        let lingering = sockets::lingering(number).ok()?;
        let mut conflict = Conflict::new(self, deadline, service, protocol, number);
        let (last, evidence) = lingering
            .into_iter()
            .filter_map(|closed| Some((closed, conflict.with(&closed)?)))
            .max_by_key(|(closed, _)| closed.free_in)?;
        Some(PortHolder {
            process: None,
            unit: None,
            socket_activated: false,
            address: last.address.to_string(),
            blocks: Some(evidence),
            free_in: Some(last.free_in),
        })
    }

    /// The socket unit that starts the service, when just one that is active
    /// does.
    fn only_active_socket(&self, deadline: Instant, service: &UnitStatus) -> Option<UnitName> {
        let mut active = service.triggered_by.iter().filter(|unit| {
            let is_active = |status: UnitStatus| status.active_state == ActiveState::Active;
            unit.kind() == "socket" && self.kin.units().get(deadline, unit).is_ok_and(is_active)
        });
        let only = active.next()?;
        active.next().is_none().then(|| only.clone())
    }

    /// The unit of each socket, by inode, where its control group tells.
    fn units_of(&self, bound: &[BoundSocket]) -> HashMap<u64, UnitName> {
        let cgroups = self.kin.cgroups();
        bound
            .iter()
            .filter_map(|socket| {
                let path = cgroups.by_id(socket.cgroup?)?;
                Some((socket.inode, unit_of(&path)?))
            })
            .collect()
    }

    /// The processes that most likely hold these sockets.
    fn likely(
        &self,
        deadline: Instant,
        service: &UnitStatus,
        bound: &[BoundSocket],
        units: &HashMap<u64, UnitName>,
    ) -> BTreeSet<u32> {
        let cgroups = self.kin.cgroups();
        let mut paths: BTreeSet<String> = bound
            .iter()
            .filter_map(|socket| cgroups.by_id(socket.cgroup?))
            // The root and the slices hold whole hosts.
            .filter(|path| unit_of(path).is_some())
            .collect();
        paths.extend(control_group_of(service, cgroups));
        let mut pids = BTreeSet::new();
        for socket in units.values().filter(|unit| unit.kind() == "socket") {
            pids.insert(1);
            if let Ok(status) = self.kin.units().get(deadline, socket) {
                paths.extend(
                    status
                        .triggers
                        .iter()
                        .filter_map(|unit| cgroups.of_unit(unit)),
                );
            }
        }
        pids.extend(paths.iter().flat_map(|path| cgroups.processes(path)));
        pids
    }
}

/// Whether the last run did not end by itself, and so not for want of a port.
fn was_ended_from_outside(status: &UnitStatus) -> bool {
    ["signal", "core-dump", "watchdog", "oom-kill"].contains(&status.result.as_str())
}

fn control_group_of(status: &UnitStatus, cgroups: &Cgroups) -> Option<String> {
    status
        .control_group
        .clone()
        .filter(|path| !path.is_empty())
        .or_else(|| cgroups.of_unit(&status.name))
}

/// The sockets in the network that a unit sees.
fn bound_for(
    status: &UnitStatus,
    cgroups: &Cgroups,
    protocol: Protocol,
    port: Option<u16>,
) -> Answer<Vec<BoundSocket>> {
    let read = if status.private_network {
        let inside = status.main_pid.or_else(|| {
            let path = control_group_of(status, cgroups)?;
            cgroups.processes(&path).into_iter().min()
        });
        let Some(pid) = inside else {
            return Err(Failure::unavailable(
                "private-network",
                format!(
                    "{} has a network of its own, which is there only while it runs",
                    status.name
                ),
            ));
        };
        sockets::bound_in_namespace_of(pid, protocol, port)
    } else {
        sockets::bound(protocol, port)
    };
    read.map_err(|error| {
        Failure::unavailable(
            "sockets",
            format!("the kernel does not tell who listens: {error}"),
        )
    })
}

#[cfg(test)]
mod tests;
