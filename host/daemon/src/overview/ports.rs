//! Who listens on the ports that services declare.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use prunella_api::PortStatus;
use prunella_core::{
    UnitName,
    capability::{Ownership, PortHolder, Protocol, UnitStatus, ports},
    service::{Port, Service},
    text::one_line,
};
use prunella_linux::{
    Linux,
    cgroup::{Cgroups, unit_of},
    sockets::{self, BoundSocket},
};

/// A line of a process is shown no longer than this.
const NAME_MAX: usize = 40;

/// All sockets that hold ports, as they were a moment ago.
pub(super) struct Listening<'a> {
    linux: &'a Arc<Linux>,
    cgroups: Cgroups,
    /// Absent where the kernel does not tell.
    sockets: BTreeMap<Protocol, Option<Vec<BoundSocket>>>,
}

impl<'a> Listening<'a> {
    pub(super) fn now(linux: &'a Arc<Linux>) -> Self {
        Self {
            linux,
            cgroups: Cgroups::detect(),
            sockets: [Protocol::Tcp, Protocol::Udp]
                .into_iter()
                .map(|protocol| (protocol, sockets::bound(protocol, None).ok()))
                .collect(),
        }
    }

    /// The ports of a service, and who has them.
    pub(super) fn ports(
        &self,
        deadline: Instant,
        service: &Service,
        status: Option<&UnitStatus>,
    ) -> Vec<PortStatus> {
        // In a network of its own the host cannot see its ports.
        let private = status.is_some_and(|status| status.private_network);
        let look = |port: &Port| {
            let holders = self
                .sockets
                .get(&port.protocol)
                .and_then(Option::as_ref)
                .filter(|_| !private)
                .map(|sockets| holding(sockets, *port));
            PortStatus {
                port: *port,
                held: holders.as_ref().map(|holders| !holders.is_empty()),
                stranger: holders
                    .filter(|holders| !holders.is_empty() && !self.are_its_own(holders, service))
                    .and_then(|_| self.stranger(deadline, service, *port, status)),
            }
        };
        service.ports.iter().map(look).collect()
    }

    /// Whether the kernel says that the service's own control group made one of them. That
    /// spares a look at any process.
    fn are_its_own(&self, holders: &[&BoundSocket], service: &Service) -> bool {
        holders
            .iter()
            .filter_map(|socket| self.cgroups.by_id(socket.cgroup?))
            .any(|path| unit_of(&path).as_ref() == Some(&service.unit))
    }

    /// Who has a port that the service does not have.
    fn stranger(
        &self,
        deadline: Instant,
        service: &Service,
        port: Port,
        status: Option<&UnitStatus>,
    ) -> Option<String> {
        let host = self.linux.host_for(Arc::new(service.clone()));
        let ask = ports::Holders {
            protocol: port.protocol,
            number: port.number,
        };
        let holders = host.ask(deadline, ask).ok()?;
        let serving: Vec<&PortHolder> = holders
            .iter()
            .filter(|holder| {
                let address = holder.address.parse();
                address.is_ok_and(|address| port.is_served_at(address))
            })
            .collect();
        let sockets: &[UnitName] = status.map_or(&[], |status| &status.triggered_by);
        let is_its = |holder: &&PortHolder| {
            holder.unit.as_ref() == Some(&service.unit)
                || holder
                    .process
                    .as_ref()
                    .is_some_and(|process| process.info.ownership == Ownership::Own)
                || (holder.socket_activated
                    && holder
                        .unit
                        .as_ref()
                        .is_none_or(|unit| sockets.contains(unit)))
        };
        if serving.iter().any(is_its) {
            return None;
        }
        serving.first().map(|holder| named(holder))
    }
}

fn holding(sockets: &[BoundSocket], port: Port) -> Vec<&BoundSocket> {
    sockets
        .iter()
        .filter(|socket| socket.port == port.number && port.is_served_at(socket.address))
        .collect()
}

/// A process, its id and its unit, as far as they are known.
fn named(holder: &PortHolder) -> String {
    let process = holder.process.as_ref().map(|process| {
        let info = &process.info;
        let program = info.executable.as_deref().unwrap_or("a process");
        let program = program.rsplit('/').next().unwrap_or(program);
        format!("{} (process {})", one_line(program, NAME_MAX), info.pid)
    });
    match (process, &holder.unit) {
        (Some(process), Some(unit)) => format!("{process} of {unit}"),
        (Some(process), None) => process,
        (None, Some(unit)) => unit.to_string(),
        (None, None) => "somebody else".to_owned(),
    }
}
