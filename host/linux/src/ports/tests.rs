//! Who is found to hold a port of this host.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    process::{Command, Stdio},
};

use rstest::rstest;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket, sockopt};

use super::*;
use crate::processes::tests::{Nothing, kin, soon, unit_status};

fn holders(protocol: Protocol, number: u16) -> Vec<PortHolder> {
    let ports = HostPorts::new(kin(Nothing::down()));
    ports.holders(soon(), protocol, number).unwrap()
}

fn pids(holders: &[PortHolder]) -> Vec<u32> {
    let processes = holders.iter().flat_map(|holder| &holder.process);
    let mut pids: Vec<u32> = processes.map(|process| process.info.pid).collect();
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
    // Bound, so that no other test gets it, and not listened on.
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&fd, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let bound = SocketAddr::try_from(getsockname(&fd).unwrap()).unwrap();
    assert_eq!(holders(Protocol::Tcp, bound.port()).len(), 0);
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
