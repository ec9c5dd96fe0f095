//! DNS: one question to a name server, over UDP, and over TCP where the answer is too long
//! for that.
//!
//! The messages are read and written by hickory-proto, which the daemon's own resolver is
//! made of.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{Name, RecordType},
};
use prunella_core::service::{DnsQuestion, DnsRecord};
use tokio::{net::UdpSocket, time::timeout};

use super::{
    Heard,
    error::ProbeError,
    wire::{Talk, left, share},
};

/// Where the host's own servers are written down.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Of those, no more are asked, as the C library does.
const SERVERS: usize = 3;
/// A question over UDP may get lost: it is asked again after so long.
const AGAIN: Duration = Duration::from_secs(2);
/// Longer than any answer over UDP.
const DATAGRAM: usize = 4096;
/// Answers that are shown.
const SHOWN: usize = 4;

/// What did not happen in time.
const SILENT: &str = "no name server answered";

/// Asks, and judges the answer.
pub(super) async fn ask(question: &DnsQuestion, until: Instant) -> Heard {
    let mut name = Name::from_ascii(&question.name)
        .map_err(|error| ProbeError::BadAddress(format!("`{}`: {error}", question.name)))?;
    name.set_fqdn(true);
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name, record_type(question.record)));
    let bytes = query
        .to_vec()
        .map_err(|error| ProbeError::BadAddress(format!("`{}`: {error}", question.name)))?;
    let servers = servers(question)?;
    let mut trouble = ProbeError::TimedOut(SILENT);
    let count = servers.len();
    for (tried, server) in servers.into_iter().enumerate() {
        let share = share(until, count - tried, SILENT)?;
        match exchange(server, &query, &bytes, Instant::now() + share).await {
            Ok(answer) => return Ok(judge(question, &answer)),
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}

fn record_type(record: DnsRecord) -> RecordType {
    match record {
        DnsRecord::A => RecordType::A,
        DnsRecord::Aaaa => RecordType::AAAA,
        DnsRecord::Cname => RecordType::CNAME,
        DnsRecord::Mx => RecordType::MX,
        DnsRecord::Ns => RecordType::NS,
        DnsRecord::Ptr => RecordType::PTR,
        DnsRecord::Soa => RecordType::SOA,
        DnsRecord::Srv => RecordType::SRV,
        DnsRecord::Txt => RecordType::TXT,
    }
}

/// Who is asked, one after the other.
fn servers(question: &DnsQuestion) -> Result<Vec<SocketAddr>, ProbeError> {
    if let Some(server) = question.server {
        return Ok(vec![server]);
    }
    let text = fs::read_to_string(RESOLV_CONF)
        .map_err(|error| ProbeError::Failed("reading /etc/resolv.conf", error))?;
    Ok(resolvers(&text))
}

/// The servers of a resolv.conf(5); with none, it is the one of this host.
fn resolvers(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(|address| address.parse().ok())
        .map(|address: IpAddr| SocketAddr::new(address, 53))
        .take(SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, 53).into());
    }
    servers
}

async fn exchange(
    server: SocketAddr,
    query: &Message,
    bytes: &[u8],
    until: Instant,
) -> Result<Message, ProbeError> {
    let answer = over_udp(server, query, bytes, until).await?;
    if answer.metadata.truncation {
        return over_tcp(server, query, bytes, until).await;
    }
    Ok(answer)
}

async fn over_udp(
    server: SocketAddr,
    query: &Message,
    bytes: &[u8],
    until: Instant,
) -> Result<Message, ProbeError> {
    let here: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((here, 0)).await.map_err(trouble)?;
    // Connected, it hears of nobody else, and that nobody listens there.
    socket.connect(server).await.map_err(trouble)?;
    let mut buffer = vec![0_u8; DATAGRAM];
    let mut again = Instant::now();
    loop {
        let left = left(until, SILENT)?;
        let mut patience = again.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            socket.send(bytes).await.map_err(trouble)?;
            again = Instant::now() + AGAIN;
            patience = AGAIN;
        }
        let Ok(heard) = timeout(left.min(patience), socket.recv(&mut buffer)).await else {
            continue;
        };
        let count = heard.map_err(trouble)?;
        let heard = buffer.get(..count).unwrap_or_default();
        // What is no answer to this question came from somebody who guesses.
        if let Some(answer) = answer_to(query, heard) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    query: &Message,
    bytes: &[u8],
    until: Instant,
) -> Result<Message, ProbeError> {
    let length = u16::try_from(bytes.len())
        .map_err(|_| ProbeError::BadAddress("the question is too long".to_owned()))?;
    let mut talk = Talk::tcp(&server.to_string(), until).await?;
    let mut said = length.to_be_bytes().to_vec();
    said.extend_from_slice(bytes);
    talk.say(&said).await?;
    let no_dns = || ProbeError::OtherProtocol("DNS");
    let length = talk
        .hear_exactly(2)
        .await?
        .try_into()
        .map_err(|_| no_dns())?;
    let heard = talk.hear_exactly(u16::from_be_bytes(length).into()).await?;
    answer_to(query, &heard).ok_or_else(no_dns)
}

fn answer_to(query: &Message, heard: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(heard).ok()?;
    let is_of_it = answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        // A server that cannot read the question may leave it out.
        && (answer.queries == query.queries || answer.queries.is_empty());
    is_of_it.then_some(answer)
}

fn judge(question: &DnsQuestion, answer: &Message) -> (bool, String) {
    let wanted = record_type(question.record);
    let (name, record) = (&question.name, question.record.as_str());
    match answer.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => {
            return (false, format!("it answered that there is no name {name}"));
        }
        code => return (false, format!("it answered with the error \"{code}\"")),
    }
    let found: Vec<_> = answer
        .answers
        .iter()
        .filter(|record| record.record_type() == wanted)
        .collect();
    if found.is_empty() {
        return (
            false,
            format!("it answered that {name} has no {record} record"),
        );
    }
    let mut shown: Vec<String> = found
        .iter()
        .take(SHOWN)
        .map(|record| record.data.to_string())
        .collect();
    if found.len() > SHOWN {
        shown.push(format!("{} more", found.len() - SHOWN));
    }
    let shown = shown.join(", ");
    match question.address {
        Some(address) if !found.iter().any(|one| one.data.ip_addr() == Some(address)) => {
            (false, format!("it answered {shown}, not {address}"))
        }
        _ => (true, format!("it answered {shown}")),
    }
}

fn trouble(error: io::Error) -> ProbeError {
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeError::Refused,
        _ => ProbeError::Failed("asking a name server", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_servers() {
        let text = "# from DHCP\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\n\
                    nameserver fe80::1%eth0\noptions edns0\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        let shown: Vec<String> = resolvers(text).iter().map(SocketAddr::to_string).collect();
        assert_eq!(shown, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"]);
        assert_eq!(resolvers(""), ["127.0.0.1:53".parse().unwrap()]);
    }
}
