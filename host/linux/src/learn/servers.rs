//! Which unit is the server at a place of this host.

use std::{
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::Instant,
};

use prunella_core::{
    UnitName,
    capability::{Answer, Protocol},
};
use rustix::net::sockopt::socket_peercred;

use super::environment::Place;
use crate::{
    cgroup::{Cgroups, unit_of},
    ports,
    sockets::{self, BoundSocket},
    timeout::with_timeout,
};

/// The service that listens at a place; `None` when nobody does, or something that
/// is no service.
pub(super) fn at(cgroups: &Cgroups, deadline: Instant, place: &Place) -> Answer<Option<UnitName>> {
    let unit = match place {
        Place::Port(port) => of_port(cgroups, deadline, *port)?,
        Place::Socket(path) => of_socket(cgroups, deadline, path)?,
        Place::Elsewhere(_) => None,
    };
    Ok(unit.filter(|unit| unit.kind() == "service"))
}

fn of_port(cgroups: &Cgroups, deadline: Instant, port: u16) -> Answer<Option<UnitName>> {
    let bound: Vec<BoundSocket> = sockets::bound(Protocol::Tcp, Some(port)).unwrap_or_default();
    if let Some(unit) = bound
        .iter()
        .filter_map(|socket| unit_of(&cgroups.by_id(socket.cgroup?)?))
        .find(|unit| unit.kind() == "service")
    {
        return Ok(Some(unit));
    }
    // Where the kernel tells no control groups, the processes do.
    let holders = ports::processes_of(&bound, deadline)?;
    Ok(holders.into_iter().find_map(|pid| of_process(cgroups, pid)))
}

/// Of a socket's peer the kernel tells who began to listen.
fn of_socket(cgroups: &Cgroups, deadline: Instant, path: &Path) -> Answer<Option<UnitName>> {
    let path = path.to_owned();
    // A server with a full queue makes connecting wait.
    let peer = with_timeout(deadline, "connecting to a socket", move || {
        let stream = UnixStream::connect(path).ok()?;
        socket_peercred(stream.as_fd()).ok()
    })?;
    Ok(peer.and_then(|peer| {
        let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).ok()?;
        of_process(cgroups, pid)
    }))
}

fn of_process(cgroups: &Cgroups, pid: u32) -> Option<UnitName> {
    unit_of(&cgroups.of_process(pid).ok()?)
}
