//! The ports that a unit listens on.

use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use prunella_core::capability::{Answer, Protocol, UnitStatus};

use super::{bound_for, control_group_of, search::Search};
use crate::{cgroup::Cgroups, sockets::BoundSocket};

/// A port that a unit listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListeningPort {
    /// TCP or UDP.
    pub protocol: Protocol,
    pub number: u16,
    pub address: IpAddr,
}

/// The ports that the processes of a running unit listen on, in order, each
/// address once. What systemd listens on for the unit's sockets is not among
/// them, and neither are UDP ports that the kernel picked.
///
/// # Errors
/// When the kernel's list cannot be read, or (`private-network`) the unit has
/// a network of its own and does not run.
pub fn listening_ports_of(
    cgroups: &Cgroups,
    deadline: Instant,
    status: &UnitStatus,
) -> Answer<Vec<ListeningPort>> {
    let Some(path) = control_group_of(status, cgroups) else {
        return Ok(Vec::new());
    };
    let ids = cgroups.ids_below(&path);
    let mut ports = BTreeSet::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let mut bound = bound_for(status, cgroups, protocol, None)?;
        if protocol == Protocol::Udp {
            let picked = picked_by_the_kernel();
            bound.retain(|socket| !socket.connected && !picked.contains(&socket.port));
        }
        // Where the kernel tells no control groups, the processes do.
        let unknown: Vec<BoundSocket> = bound
            .iter()
            .filter(|socket| socket.cgroup.is_none())
            .cloned()
            .collect();
        let mut search = Search::new(&unknown, deadline);
        if !unknown.is_empty() {
            search.among(cgroups.processes(&path))?;
        }
        ports.extend(
            bound
                .iter()
                .filter(|socket| match socket.cgroup {
                    Some(id) => ids.contains(&id),
                    None => search.found.contains_key(&socket.inode),
                })
                .map(|socket| ListeningPort {
                    protocol,
                    number: socket.port,
                    address: socket.address,
                }),
        );
    }
    Ok(ports.into_iter().collect())
}

/// The ports the kernel gives to those who ask for any (ip(7)).
fn picked_by_the_kernel() -> std::ops::RangeInclusive<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let text = text.unwrap_or_default();
    let mut ends = text.split_whitespace().map(str::parse);
    match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        _ => 32768..=60999,
    }
}
