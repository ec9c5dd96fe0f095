//! The kernel's own list of sockets that are bound to ports.
//!
//! From netlink (sock_diag(7)): one question for each address family, answered
//! in a fraction of a millisecond and with each socket's control group. Where
//! netlink does not answer, or for another network namespace, from
//! `/proc/PID/net`, which needs no right to enter that namespace.

use std::{
    collections::HashSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, Timer, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use prunella_core::capability::Protocol;

/// INET_DIAG_CGROUP_ID of linux/inet_diag.h, which the crate does not know.
const CGROUP_ID: u16 = 21;

/// The kernel fills answers of up to 32 KiB; a smaller buffer loses sockets.
const BUFFER: usize = 64 * 1024;

/// TCP_ESTABLISHED, TCP_CLOSE and TCP_LISTEN of net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// States of connections that nobody has open any more.
const LINGERING: StateFlags = StateFlags::TIME_WAIT
    .union(StateFlags::FIN_WAIT1)
    .union(StateFlags::FIN_WAIT2)
    .union(StateFlags::CLOSING)
    .union(StateFlags::LAST_ACK);

/// TCP_TIMEWAIT_LEN of net/tcp.h: how long the kernel keeps a closed connection.
const TIME_WAIT: Duration = Duration::from_secs(60);

/// A socket that holds a port: a listening one of TCP, any bound one of UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundSocket {
    /// TCP or UDP.
    pub protocol: Protocol,
    pub port: u16,
    /// The address; an IPv4 address that an IPv6 socket is bound to is shown
    /// as IPv4.
    pub address: IpAddr,
    /// Its inode, which is what `/proc/PID/fd` shows; 0 for the kernel's own.
    pub inode: u64,
    /// The id of the control group that made it, where the kernel tells.
    pub cgroup: Option<u64>,
    /// Connected to one peer (UDP only).
    pub connected: bool,
    /// Whether an IPv6 socket leaves IPv4 alone, where the kernel tells.
    pub v6_only: bool,
}

/// Closed connections of a port that the kernel keeps for a while, and that keep
/// a server without SO_REUSEADDR from binding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lingering {
    /// The address on this side.
    pub address: IpAddr,
    /// How long until the kernel lets go of it.
    pub free_in: Duration,
}

/// Lists those of a TCP port in this program's own network namespace.
///
/// # Errors
/// When netlink does not answer.
pub fn lingering(port: u16) -> io::Result<Vec<Lingering>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let request = request(family, Protocol::Tcp, LINGERING, Some(port));
        dump(&request, |response, expires| {
            if response.header.socket_id.source_port == port {
                found.push(Lingering {
                    address: response.header.socket_id.source_address.to_canonical(),
                    free_in: match response.header.timer {
                        Some(Timer::TimeWait) => expires,
                        // The other side has yet to answer; then it begins.
                        _ => TIME_WAIT,
                    },
                });
            }
        })?;
    }
    Ok(found)
}

/// Lists those of this program's own network namespace: all, or those on one
/// port.
///
/// # Errors
/// When neither netlink nor /proc answers.
pub fn bound(protocol: Protocol, port: Option<u16>) -> io::Result<Vec<BoundSocket>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let request = request(family, protocol, holding(protocol), port);
        let each = |response: &InetResponse, _| {
            found.extend(from_response(response, protocol, port));
        };
        if dump(&request, each).is_err() {
            // No netlink, no sock_diag, or not this protocol.
            return bound_as_seen_by("self", protocol, port);
        }
    }
    Ok(once(found))
}

/// Each socket once: when sockets come and go while a list is read, the kernel
/// may show one of them twice.
fn once(mut found: Vec<BoundSocket>) -> Vec<BoundSocket> {
    let mut seen = HashSet::new();
    found.retain(|socket| seen.insert((socket.inode, socket.address, socket.port)));
    found
}

/// Lists those of the network namespace that a process is in. The kernel does
/// not tell their control groups this way.
///
/// # Errors
/// When there is no such process.
pub fn bound_in_namespace_of(
    pid: u32,
    protocol: Protocol,
    port: Option<u16>,
) -> io::Result<Vec<BoundSocket>> {
    bound_as_seen_by(&pid.to_string(), protocol, port)
}

/// Asks the kernel, and hands on each socket of its answer with what is left of
/// the socket's timer.
fn dump(request: &[u8], mut each: impl FnMut(&InetResponse, Duration)) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(request, 0)?;

    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        buffer.clear();
        // The kernel answers from the call itself: this never waits.
        socket.recv(&mut buffer, 0)?;
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let length = usize::try_from(message.header.length).unwrap_or(0);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    each(&response, expires(rest));
                }
                _ => {}
            }
            // Messages are aligned to four bytes.
            rest = match length.next_multiple_of(4) {
                0 => &[],
                step => rest.get(step..).unwrap_or_default(),
            };
        }
    }
}

/// `idiag_expires` of the message that these bytes begin with (struct
/// inet_diag_msg, behind the netlink header): the crate leaves it out for
/// TIME_WAIT.
fn expires(message: &[u8]) -> Duration {
    let bytes = message.get(68..72).and_then(|bytes| bytes.try_into().ok());
    Duration::from_millis(bytes.map_or(0, u32::from_ne_bytes).into())
}

/// The states in which a socket holds a port.
fn holding(protocol: Protocol) -> StateFlags {
    match protocol {
        Protocol::Tcp => StateFlags::LISTEN,
        Protocol::Udp => StateFlags::CLOSE | StateFlags::ESTABLISHED,
    }
}

fn request(family: u8, protocol: Protocol, states: StateFlags, port: Option<u16>) -> Vec<u8> {
    let mut id = if family == AF_INET {
        SocketId::new_v4()
    } else {
        SocketId::new_v6()
    };
    // The kernel leaves out what is on another port; 0 is any.
    id.source_port = port.unwrap_or(0);
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let protocol = match protocol {
        Protocol::Tcp => IPPROTO_TCP,
        Protocol::Udp => IPPROTO_UDP,
    };
    let request = InetRequest {
        family,
        protocol,
        extensions: ExtensionFlags::empty(),
        states,
        socket_id: id,
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn from_response(
    response: &InetResponse,
    protocol: Protocol,
    port: Option<u16>,
) -> Option<BoundSocket> {
    let header = &response.header;
    let bound = header.socket_id.source_port;
    if bound == 0 || port.is_some_and(|wanted| wanted != bound) {
        return None;
    }
    let cgroup = response.nlas.iter().find_map(|nla| match nla {
        Nla::Other(raw) if raw.kind() == CGROUP_ID => {
            let mut value = [0; 8];
            (raw.value_len() == value.len()).then(|| raw.emit_value(&mut value))?;
            Some(u64::from_ne_bytes(value))
        }
        _ => None,
    });
    Some(BoundSocket {
        protocol,
        port: bound,
        address: header.socket_id.source_address.to_canonical(),
        inode: u64::from(header.inode),
        cgroup,
        connected: header.state == ESTABLISHED,
        v6_only: response
            .nlas
            .iter()
            .any(|nla| matches!(nla, Nla::SkV6Only(true))),
    })
}

fn bound_as_seen_by(
    who: &str,
    protocol: Protocol,
    port: Option<u16>,
) -> io::Result<Vec<BoundSocket>> {
    let mut found = Vec::new();
    for suffix in ["", "6"] {
        let path = format!("/proc/{who}/net/{}{suffix}", protocol.as_str());
        match fs::read_to_string(&path) {
            Ok(text) => found.extend(
                text.lines()
                    .filter_map(|line| parse_line(line, protocol))
                    .filter(|socket| port.is_none_or(|port| port == socket.port)),
            ),
            // A host without IPv6 has no such file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && suffix == "6" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(once(found))
}

/// A line of `/proc/net/tcp` and its like (proc_pid_net(5)).
fn parse_line(line: &str, protocol: Protocol) -> Option<BoundSocket> {
    let mut fields = line.split_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    let wanted = match protocol {
        Protocol::Tcp => state == LISTEN,
        Protocol::Udp => state == CLOSE || state == ESTABLISHED,
    };
    let address = parse_address(address)?.to_canonical();
    (wanted && port != 0).then_some(BoundSocket {
        protocol,
        port,
        address,
        inode,
        cgroup: None,
        connected: state == ESTABLISHED,
        // The file does not say. A socket bound to one address of IPv6 has nothing of
        // IPv4 (inet6_bind in the kernel); one bound to all of them may have.
        v6_only: address.is_ipv6() && !address.is_unspecified(),
    })
}

/// The kernel prints an address as 32-bit words in its own byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| -> Option<[u8; 4]> {
        let digits = hex.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            for (byte, value) in bytes.iter_mut().zip(words.as_flattened()) {
                *byte = *value;
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use rstest::rstest;

    use super::*;

    fn holds(sockets: &[BoundSocket], address: &str) -> bool {
        sockets
            .iter()
            .any(|socket| socket.address.to_string() == address)
    }

    /// Both ways must tell the same, but for the control group.
    fn both(protocol: Protocol, port: u16) -> Vec<BoundSocket> {
        let by_netlink = bound(protocol, Some(port)).unwrap();
        let mut by_proc = bound_in_namespace_of(std::process::id(), protocol, Some(port)).unwrap();
        for socket in &mut by_proc {
            let twin = by_netlink.iter().find(|twin| twin.inode == socket.inode);
            socket.cgroup = twin.unwrap().cgroup;
        }
        let sorted = |mut sockets: Vec<BoundSocket>| {
            sockets.sort_by_key(|socket| socket.inode);
            sockets
        };
        assert_eq!(sorted(by_netlink.clone()), sorted(by_proc));
        by_netlink
    }

    #[rstest]
    #[case::ipv4("127.0.0.1:0", "127.0.0.1")]
    #[case::any("0.0.0.0:0", "0.0.0.0")]
    #[case::ipv6("[::1]:0", "::1")]
    #[case::dual("[::]:0", "::")]
    #[case::mapped("[::ffff:127.0.0.1]:0", "127.0.0.1")]
    fn a_listening_socket(#[case] bind: &str, #[case] address: &str) {
        let listener = TcpListener::bind(bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = both(Protocol::Tcp, port);
        assert!(holds(&found, address), "{found:?}");
        assert!(
            bound(Protocol::Tcp, None)
                .unwrap()
                .iter()
                .any(|socket| socket.port == port)
        );
    }

    #[test]
    fn udp_sockets_connected_or_not() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").unwrap();
        two.connect(one.local_addr().unwrap()).unwrap();
        for (socket, connected) in [(&one, false), (&two, true)] {
            let port = socket.local_addr().unwrap().port();
            let found = both(Protocol::Udp, port);
            assert!(
                found.iter().any(|seen| seen.connected == connected),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_connection_does_not_hold_a_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert_eq!(both(Protocol::Tcp, port), Vec::new());
    }

    #[rstest]
    #[case::short("0100007F:1F90 00000000:0000 0A", None)]
    #[case::heading("  sl  local_address rem_address   st tx_queue rx_queue tr", None)]
    #[case::not_hex("0: 010000ZZ:1F90 00000000:0000 0A 0:0 0:0 0 0 0 77", None)]
    #[case::listening("0: 00000000:1F90 00000000:0000 0A 0:0 0:0 0 0 0 77 1", Some((8080, 77)))]
    #[case::established("0: 00000000:1F90 00000000:0000 01 0:0 0:0 0 0 0 77 1", None)]
    fn a_line_of_proc(#[case] line: &str, #[case] expected: Option<(u16, u64)>) {
        let parsed = parse_line(line, Protocol::Tcp);
        assert_eq!(parsed.map(|socket| (socket.port, socket.inode)), expected);
    }
}
