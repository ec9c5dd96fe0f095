//! Whether a socket of somebody else keeps a service from binding a port.
//!
//! That somebody listens on a port proves nothing: they may be at another
//! address, or share the port (SO_REUSEPORT), which the kernel shows to nobody.
//! What proves it is the log of the failed run: that it could not bind the port,
//! and at which address.

use std::net::{IpAddr, Ipv4Addr};

use prunella_core::{
    capability::{LogEntry, Protocol},
    service::Port,
    text::one_line,
};

use crate::sockets::{BoundSocket, Lingering};

/// Characters of a log line that is shown as evidence.
const LINE_MAX: usize = 200;

/// How programs say that they could not bind a port: in lower case.
const IN_USE: [&str; 8] = [
    "address already in use",
    "address in use",
    "eaddrinuse",
    "failed (98:",
    "errno 98",
    "os error 98",
    "was already in use",
    "connection in use",
];

/// Where a service binds a port, by its declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted(Vec<IpAddr>);

impl Wanted {
    /// Of what is declared of one port; nothing is known of the address when one
    /// of the declarations has none.
    pub(super) fn of(declared: &[Port], protocol: Protocol, number: u16) -> Self {
        let addresses: Option<Vec<IpAddr>> = declared
            .iter()
            .filter(|port| (port.protocol, port.number) == (protocol, number))
            .map(|port| port.address)
            .collect();
        Self(addresses.unwrap_or_default())
    }

    /// Whether the service may want what is bound to `held`.
    fn may_be(&self, held: &At) -> bool {
        self.0.is_empty() || self.0.iter().any(|address| held.overlaps(*address))
    }
}

/// What a socket is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) address: IpAddr,
    /// Whether an IPv6 socket leaves IPv4 alone.
    pub(super) v6_only: bool,
}

impl At {
    /// Whether nobody else can bind `wanted` on the same port.
    fn overlaps(self, wanted: IpAddr) -> bool {
        let covers = |held: IpAddr, v6_only: bool, other: IpAddr| {
            held.is_unspecified()
                && (held.is_ipv4() == other.is_ipv4() || held.is_ipv6() && !v6_only)
        };
        let wanted = wanted.to_canonical();
        let held = self.address.to_canonical();
        // Who wants `::` may want IPv4 too: nothing tells.
        held == wanted || covers(held, self.v6_only, wanted) || covers(wanted, false, held)
    }
}

impl From<&BoundSocket> for At {
    fn from(socket: &BoundSocket) -> Self {
        Self {
            address: socket.address,
            v6_only: socket.v6_only,
        }
    }
}

impl From<&Lingering> for At {
    fn from(closed: &Lingering) -> Self {
        Self {
            address: closed.address,
            v6_only: true,
        }
    }
}

/// A line of the failed run that says that it could not bind the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BindFailure {
    /// At this address, where the line says so.
    address: Option<IpAddr>,
    line: String,
}

impl BindFailure {
    /// What these lines say of one port, the latest first.
    pub(super) fn among(lines: &[LogEntry], number: u16) -> Vec<Self> {
        lines
            .iter()
            .rev()
            .filter(|line| !line.by_systemd)
            .filter_map(|line| {
                Some(Self {
                    address: bind_failure(&line.message, number)?,
                    line: one_line(&line.message, LINE_MAX),
                })
            })
            .collect()
    }

    /// What shows that a socket bound to `held` kept the service from binding.
    pub(super) fn evidence(failures: &[Self], wanted: &Wanted, held: &At) -> Option<String> {
        if !wanted.may_be(held) {
            return None;
        }
        failures
            .iter()
            .find(|failure| failure.address.is_none_or(|address| held.overlaps(address)))
            .map(|failure| format!("the service's log says: {}", failure.line))
    }
}

/// Whether a line says that `port` could not be bound, and at which address. A
/// line that names no port at all counts for each.
fn bind_failure(line: &str, port: u16) -> Option<Option<IpAddr>> {
    let lower = line.to_ascii_lowercase();
    if !IN_USE.iter().any(|words| lower.contains(words)) {
        return None;
    }
    let mut others = false;
    let mut before = "";
    let words = lower
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '\'' | '"' | '(' | ')' | '=' | '@'))
        .filter(|word| !word.is_empty());
    for word in words {
        if let Some((named, address)) = named_port(word, before) {
            if named == port {
                return Some(address);
            }
            others = true;
        }
        before = word;
    }
    (!others).then_some(None)
}

/// The port that a word names, and the address with it.
fn named_port(word: &str, before: &str) -> Option<(u16, Option<IpAddr>)> {
    let word = word.rsplit("//").next().unwrap_or(word);
    let word = word.trim_end_matches(['.', ';', ':', '!']);
    if let Some((host, number)) = word.rsplit_once(':') {
        let number = number.trim_end_matches(']').parse().ok()?;
        let host = host.trim_matches(['[', ']']);
        return match host {
            "" | "*" => Some((number, None)),
            "localhost" => Some((number, Some(Ipv4Addr::LOCALHOST.into()))),
            _ => Some((number, Some(host.parse().ok()?))),
        };
    }
    let number = word.parse().ok()?;
    let before = before.trim_end_matches(':');
    if before == "port" || before.ends_with("/port") {
        return Some((number, None));
    }
    // Python's tuples: ('0.0.0.0', 8080).
    let address = before.trim_matches(['[', ']']).parse().ok()?;
    Some((number, Some(address)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use prunella_core::Timestamp;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::nginx(
        "bind() to 0.0.0.0:80 failed (98: Address already in use)",
        Some("0.0.0.0")
    )]
    #[case::nginx_v6("bind() to [::]:80 failed (98: Address already in use)", Some("::"))]
    #[case::apache(
        "(98)Address already in use: AH00072: make_sock: could not bind to address 10.0.0.5:80",
        Some("10.0.0.5")
    )]
    #[case::node("Error: listen EADDRINUSE: address already in use :::80", Some("::"))]
    #[case::node_v4(
        "Error: listen EADDRINUSE: address already in use 127.0.0.1:80",
        Some("127.0.0.1")
    )]
    #[case::go(
        "listen tcp 127.0.0.1:80: bind: address already in use",
        Some("127.0.0.1")
    )]
    #[case::python(
        "[Errno 98] error while attempting to bind on address ('127.0.0.1', 80): address already in use",
        Some("127.0.0.1")
    )]
    #[case::haproxy(
        "cannot bind socket (Address already in use) [10.0.0.1:80]",
        Some("10.0.0.1")
    )]
    fn a_line_names_the_address(#[case] line: &str, #[case] address: Option<&str>) {
        assert_eq!(bind_failure(line, 80), Some(address.map(ip)), "{line}");
        assert_eq!(bind_failure(line, 81), None, "it is about another port");
    }

    #[rstest]
    #[case::go_any("listen tcp :80: bind: address already in use")]
    #[case::redis(
        "Could not create server TCP listening socket *:80: bind: Address already in use"
    )]
    #[case::spring("Web server failed to start. Port 80 was already in use.")]
    #[case::dnsmasq("failed to create listening socket for port 80: Address already in use")]
    #[case::rust("cannot listen on port 80: Address already in use (os error 98)")]
    #[case::no_port_at_all("12:30:45 OSError: [Errno 98] Address already in use")]
    #[case::its_source("main.c:142: bind: Address already in use")]
    fn a_line_names_no_address(#[case] line: &str) {
        assert_eq!(bind_failure(line, 80), Some(None), "{line}");
    }

    #[rstest]
    #[case("bind() to 0.0.0.0:80 failed (13: Permission denied)")]
    #[case("listening on 0.0.0.0:80")]
    #[case("cannot listen on port 8080: Address already in use (os error 98)")]
    #[case("bind() to 0.0.0.0:8080 failed (98: Address already in use)")]
    fn other_lines_say_nothing(#[case] line: &str) {
        assert_eq!(bind_failure(line, 80), None, "{line}");
    }

    #[rstest]
    #[case::the_same("127.0.0.1", false, "127.0.0.1", true)]
    #[case::another("127.0.0.53", false, "10.0.0.1", false)]
    #[case::any_covers("0.0.0.0", false, "10.0.0.1", true)]
    #[case::any_is_covered("10.0.0.1", false, "0.0.0.0", true)]
    #[case::dual("::", false, "10.0.0.1", true)]
    #[case::v6_only("::", true, "10.0.0.1", false)]
    #[case::v6_only_covers_v6("::", true, "::1", true)]
    #[case::v4_and_v6("127.0.0.1", false, "::1", false)]
    #[case::any_v4_and_v6("0.0.0.0", false, "::1", false)]
    #[case::who_wants_any_v6_may_want_v4("127.0.0.1", false, "::", true)]
    #[case::mapped("127.0.0.1", false, "::ffff:127.0.0.1", true)]
    fn addresses_overlap(
        #[case] held: &str,
        #[case] v6_only: bool,
        #[case] wanted: &str,
        #[case] expected: bool,
    ) {
        let held = At {
            address: ip(held),
            v6_only,
        };
        assert_eq!(held.overlaps(ip(wanted)), expected);
    }

    #[rstest]
    #[case::nothing_logged(&["tcp/80"], &[], "0.0.0.0", false)]
    #[case::logged(&["tcp/80"], &["bind() to 0.0.0.0:80 failed (98: Address already in use)"], "0.0.0.0", true)]
    #[case::logged_of_another_address(&["tcp/80"], &["bind() to 10.0.0.1:80 failed (98: Address already in use)"], "127.0.0.1", false)]
    #[case::declared_elsewhere(&["tcp/10.0.0.1:80"], &["bind: Address already in use"], "127.0.0.1", false)]
    #[case::declared_there(&["tcp/10.0.0.1:80"], &["bind: Address already in use"], "10.0.0.1", true)]
    #[case::one_declared_without(&["tcp/10.0.0.1:80", "tcp/80"], &["bind: Address already in use"], "127.0.0.1", true)]
    fn a_conflict_needs_evidence(
        #[case] declared: &[&str],
        #[case] lines: &[&str],
        #[case] held: &str,
        #[case] expected: bool,
    ) {
        let declared: Vec<Port> = declared.iter().map(|port| port.parse().unwrap()).collect();
        let lines: Vec<LogEntry> = lines
            .iter()
            .map(|line| LogEntry::new(Timestamp::default(), 6, *line))
            .collect();
        let held = At {
            address: ip(held),
            v6_only: false,
        };
        let evidence = BindFailure::evidence(
            &BindFailure::among(&lines, 80),
            &Wanted::of(&declared, Protocol::Tcp, 80),
            &held,
        );
        assert_eq!(evidence.is_some(), expected, "{evidence:?}");
    }
}
