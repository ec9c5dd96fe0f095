//! Who holds a port.
//!
//! The kernel's list of sockets gives each socket's control group, and so its
//! unit, without a look at any process. Processes are then looked for in that
//! control group first; only a socket that nobody there holds (one that was
//! handed on, or whose makers have left) costs a walk over all processes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    mem::MaybeUninit,
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use prunella_core::{
    Failure, UnitName,
    capability::{ActiveState, Answer, Kinship, PortHolder, Ports, Process, Protocol, UnitStatus},
};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};

use crate::{
    cgroup::{Cgroups, unit_of},
    processes::Kin,
    sockets::{self, BoundSocket},
};

/// So many holders are given at most; each holds a file descriptor. Those that
/// are not the service's come first, so that none of them is left out.
const HOLDERS_MAX: usize = 48;

/// The ports of this host, for one service.
pub struct HostPorts {
    kin: Arc<Kin>,
    /// What was seen of a unit a moment ago.
    sight: Box<Sight>,
}

type Sight = dyn Fn(&UnitName) -> Option<UnitStatus> + Send + Sync;

impl HostPorts {
    /// `kin` tells the service's own processes from others.
    pub fn new(kin: Arc<Kin>) -> Self {
        Self {
            kin,
            sight: Box::new(|_| None),
        }
    }

    /// Spares reading the service where `sight` tells what was read of it a
    /// moment ago, and that will do.
    pub fn with_sight(
        self,
        sight: impl Fn(&UnitName) -> Option<UnitStatus> + Send + Sync + 'static,
    ) -> Self {
        Self {
            sight: Box::new(sight),
            ..self
        }
    }

    /// The service, as far as it matters here: whether it has a network of its
    /// own, which sockets start it, and where its processes are likely to be.
    /// None of that is news, but where a network of its own is.
    fn service(&self, deadline: Instant) -> Answer<UnitStatus> {
        match (self.sight)(self.kin.unit()) {
            Some(status) if !status.private_network => Ok(status),
            _ => self.kin.units().get(deadline, self.kin.unit()),
        }
    }
}

impl Ports for HostPorts {
    /// Each process that holds the port is a holder: the workers of one server
    /// that share a socket, and everybody who bound it with SO_REUSEPORT. A
    /// server on `::` that takes IPv4 too is there once. What a socket unit
    /// holds is marked, whether or not its service runs; `unit` then names the
    /// socket unit, or nothing when that cannot be told.
    ///
    /// # Errors
    /// `unavailable` with the code `private-network` when the service has a
    /// network of its own, which exists only while it runs, and it does not
    /// run.
    fn holders(
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
            return Ok(Vec::new());
        }

        let mut search = Search::new(&bound, deadline);
        let units = self.units_of(&bound);
        search.among(self.likely(deadline, &service, &bound, &units))?;
        if search.is_missing_any() {
            search.among(all_processes())?;
        }

        let mut holders = Vec::new();
        let mut known: HashMap<u32, Option<Arc<dyn Process>>> = HashMap::new();
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
            let holder = |process: Option<Arc<dyn Process>>| {
                let of_process = || process.as_ref()?.info().unit.clone();
                let unit = match &unit {
                    None if !socket_activated => of_process(),
                    unit => unit.clone(),
                };
                PortHolder {
                    unit,
                    socket_activated,
                    address: socket.address.to_string(),
                    process,
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
            Some(process) => match process.info().kinship {
                Kinship::Foreign => 1,
                Kinship::Leftover => 2,
                Kinship::Own => 3,
            },
        });
        holders.truncate(HOLDERS_MAX);
        Ok(holders)
    }
}

impl HostPorts {
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

/// A port that a unit listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListeningPort {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port.
    pub number: u16,
    /// The address.
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

fn all_processes() -> BTreeSet<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return BTreeSet::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The search for who holds some sockets.
struct Search {
    wanted: HashSet<u64>,
    /// Which processes hold each, as far as is known.
    found: BTreeMap<u64, BTreeSet<u32>>,
    searched: HashSet<u32>,
    deadline: Instant,
    names: Vec<MaybeUninit<u8>>,
}

impl Search {
    fn new(bound: &[BoundSocket], deadline: Instant) -> Self {
        Self {
            // The kernel's own sockets have no inode.
            wanted: bound
                .iter()
                .map(|socket| socket.inode)
                .filter(|inode| *inode != 0)
                .collect(),
            found: BTreeMap::new(),
            searched: HashSet::new(),
            deadline,
            names: vec![MaybeUninit::uninit(); 32 * 1024],
        }
    }

    fn is_missing_any(&self) -> bool {
        self.wanted
            .iter()
            .any(|inode| !self.found.contains_key(inode))
    }

    /// Looks through the open files of some processes.
    fn among(&mut self, pids: impl IntoIterator<Item = u32>) -> Answer<()> {
        for pid in pids {
            if !self.searched.insert(pid) {
                continue;
            }
            if Instant::now() >= self.deadline {
                return Err(Failure::timed_out(
                    "deadline",
                    "the time was up before all processes had been looked at",
                ));
            }
            // A process that is gone, or that we may not look into, holds
            // nothing that we can tell.
            let _ = self.look_into(pid);
        }
        Ok(())
    }

    fn look_into(&mut self, pid: u32) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
        let mut entries = RawDir::new(&folder, &mut self.names);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if entry.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            let mut target = [MaybeUninit::<u8>::uninit(); 64];
            let Ok((target, _)) = readlinkat_raw(&folder, entry.file_name(), &mut target[..])
            else {
                // Closed meanwhile.
                continue;
            };
            if let Some(inode) = socket_inode(target)
                && self.wanted.contains(&inode)
            {
                self.found.entry(inode).or_default().insert(pid);
            }
        }
        Ok(())
    }
}

/// Of `socket:[4711]`.
fn socket_inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        net::{SocketAddr, TcpListener, UdpSocket},
        process::{Command, Stdio},
    };

    use rstest::rstest;
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

    use super::*;
    use crate::processes::tests::{Nothing, kin, soon, unit_status};

    fn holders(protocol: Protocol, number: u16) -> Vec<PortHolder> {
        let ports = HostPorts::new(kin(Nothing::down()));
        ports.holders(soon(), protocol, number).unwrap()
    }

    fn pids(holders: &[PortHolder]) -> Vec<u32> {
        let processes = holders.iter().flat_map(|holder| &holder.process);
        let mut pids: Vec<u32> = processes.map(|process| process.info().pid).collect();
        pids.sort_unstable();
        pids
    }

    #[rstest]
    #[case::ipv4("127.0.0.1:0", "127.0.0.1")]
    #[case::ipv6("[::1]:0", "::1")]
    #[case::dual("[::]:0", "::")]
    #[case::mapped("[::ffff:127.0.0.1]:0", "127.0.0.1")]
    fn a_listener_is_found_with_its_process(#[case] at: &str, #[case] address: &str) {
        let listener = TcpListener::bind(at).unwrap();
        let found = holders(Protocol::Tcp, listener.local_addr().unwrap().port());
        assert_eq!(pids(&found), [std::process::id()]);
        let holder = found.first().unwrap();
        assert_eq!(holder.address, address);
        assert!(!holder.socket_activated);
    }

    #[test]
    fn udp_is_not_tcp() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(pids(&holders(Protocol::Udp, port)), [std::process::id()]);
        assert_eq!(holders(Protocol::Tcp, port).len(), 0);
    }

    #[test]
    fn a_free_port_has_no_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(holders(Protocol::Tcp, port).len(), 0);
    }

    #[test]
    fn each_of_several_sockets_on_a_port_is_a_holder() {
        let reusing = |port: u16| {
            let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            sockopt::set_socket_reuseport(&fd, true).unwrap();
            bind(&fd, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
            listen(&fd, 1).unwrap();
            TcpListener::from(fd)
        };
        let one = reusing(0);
        let port = one.local_addr().unwrap().port();
        let _two = reusing(port);
        assert_eq!(holders(Protocol::Tcp, port).len(), 2);
    }

    #[test]
    fn a_child_that_shares_the_socket_is_a_holder_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // As its standard input, which a child inherits.
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .spawn()
            .unwrap();
        let found = pids(&holders(Protocol::Tcp, port));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()), "{found:?}");
    }

    #[test]
    fn a_network_of_its_own_is_looked_into_only_while_it_is_there() {
        let mut unit = unit_status("x.service", ActiveState::Failed);
        unit.private_network = true;
        let look = |unit: &UnitStatus, port| {
            let known = HashMap::from([(unit.name.to_string(), unit.clone())]);
            HostPorts::new(kin(Nothing { known })).holders(soon(), Protocol::Tcp, port)
        };
        let failure = look(&unit, 80).err().unwrap();
        assert!(failure.is("private-network"), "{failure:?}");

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        unit.main_pid = Some(std::process::id());
        assert_eq!(pids(&look(&unit, port).unwrap()), [std::process::id()]);
    }

    #[test]
    fn there_is_no_port_0_and_no_time_after_the_deadline() {
        let ports = HostPorts::new(kin(Nothing::down()));
        let failure = ports.holders(soon(), Protocol::Tcp, 0).err().unwrap();
        assert!(failure.is("no-port"), "{failure:?}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let late = ports.holders(Instant::now(), Protocol::Tcp, port);
        assert!(late.err().unwrap().is("deadline"));
    }

    #[rstest]
    #[case(b"socket:[4711]", Some(4711))]
    #[case(b"pipe:[4711]", None)]
    #[case(b"/tmp/socket:[1]", None)]
    #[case(b"socket:[]", None)]
    fn an_open_file_that_is_a_socket(#[case] target: &[u8], #[case] inode: Option<u64>) {
        assert_eq!(socket_inode(target), inode);
    }
}
