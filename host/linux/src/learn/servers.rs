//! The servers that a unit's environment points it to, and which units they are.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::Instant,
};

use prunella_core::{
    UnitName,
    capability::{Answer, Protocol},
};
use rustix::net::sockopt::socket_peercred;

use super::{
    Learned, Seen,
    environment::{self, Place},
    text_file,
};
use crate::{
    Linux,
    cgroup::{Cgroups, unit_of},
    ports,
    sockets::{self, BoundSocket},
    timeout::with_timeout,
};

impl Linux {
    /// The servers that its environment points it to.
    pub(super) fn pointed_to(&self, deadline: Instant, seen: &Seen, learned: &mut Learned) {
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
                    let exported = environment::exported(&text);
                    if !exported.is_empty() {
                        learned.notes.push(format!(
                            "{} sets {} behind `export`: systemd takes no notice of such a line, \
                             so the service does not get it",
                            path.display(),
                            exported.join(", ")
                        ));
                    }
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
                        "{points}, on another host, which Prunella does not look after"
                    ));
                    continue;
                }
                match at(&cgroups, deadline, place) {
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
}

/// The service that listens at a place; `None` when nobody does, or something that
/// is no service.
fn at(cgroups: &Cgroups, deadline: Instant, place: &Place) -> Answer<Option<UnitName>> {
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
