//! The ports that a unit listens on.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

use prunella_core::{
    capability::{Protocol, UnitStatus},
    service::Port,
};

use super::{Finding, Learned, answers::Listening};
use crate::{
    cgroup::Cgroups,
    ports::{self, ListeningPort},
    sockets,
};

/// Learns its ports, and returns those of TCP that itself listens on.
pub(super) fn listening(deadline: Instant, learned: &mut Learned) -> Vec<Listening> {
    let running = learned.status.main_pid.is_some() || learned.status.control_group.is_some();
    if !running {
        // One that has done its work and stays active has no process to hold any.
        let has_ended_well = learned.status.is_up() && learned.status.sub_state == "exited";
        if learned.ports.is_empty() && !has_ended_well {
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
pub(super) fn reachable(found: &[ListeningPort]) -> Vec<Listening> {
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
        let place = SocketAddr::new(address, there.number).to_string();
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

pub(super) fn add_port(learned: &mut Learned, port: Port, why: &str) {
    if !learned.ports.iter().any(|known| known.what == port) {
        learned.ports.push(Finding::new(port, why));
    }
}

/// The port in what systemd shows of a socket: `0.0.0.0:80`, `[::]:80`, `80`.
pub(super) fn port_of(address: &str) -> Option<u16> {
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
