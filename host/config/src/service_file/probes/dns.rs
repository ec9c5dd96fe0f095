//! Reads what a `dns` probe asks, and what its answer has to be.

use std::net::{IpAddr, SocketAddr};

use prunella_core::{
    service::{DnsQuestion, DnsRecord},
    text::one_line,
};

use crate::{
    reader::{Reader, Section, Text},
    value,
};

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    (text, span): Text<'_>,
) -> Option<DnsQuestion> {
    let server = read_server(reader, section);
    let address = read_address(reader, section);
    let words = DnsRecord::ALL.map(|record| (record.as_str(), record));
    let record = reader.one_of(section, "record", &words);
    let of_address = match &address {
        Some((IpAddr::V6(_), _)) => DnsRecord::Aaaa,
        Some((IpAddr::V4(_), _)) | None => DnsRecord::A,
    };
    let record = record.unwrap_or(of_address);
    if let Some((address, span)) = &address
        && record != of_address
    {
        let wanted = of_address.as_str();
        reader.error_help(
            span.clone(),
            format!("{address} is in no {} record", record.as_str()),
            format!("leave out `record`, or write record = \"{wanted}\""),
        );
    }
    if !value::is_domain_name(text) {
        let shown = one_line(text, 80);
        reader.error_help(
            span,
            format!("`{shown}` is not a name that a name server can be asked for"),
            "write it in full, such as `dns = \"shop.example\"`; other letters than a to z as \
             `xn--…`",
        );
        return None;
    }
    Some(DnsQuestion {
        name: text.to_owned(),
        server,
        record,
        address: address.map(|(address, _)| address),
    })
}

/// `server`: an address, with a port or without.
fn read_server(reader: &mut Reader<'_>, section: Section<'_>) -> Option<SocketAddr> {
    let (text, span) = reader.text(section, "server", "127.0.0.1:53")?;
    let server = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse().map(|address: IpAddr| (address, 53).into()));
    match server {
        Ok(server) if server.port() > 0 => Some(server),
        Ok(_) | Err(_) => {
            let shown = one_line(text, 80);
            reader.error_help(
                span,
                format!("`{shown}` is not the address of a name server"),
                "write an address, with a port where that is not 53, such as `server = \
                 \"127.0.0.1:5353\"`; without `server`, those of /etc/resolv.conf are asked",
            );
            None
        }
    }
}

fn read_address(
    reader: &mut Reader<'_>,
    section: Section<'_>,
) -> Option<(IpAddr, std::ops::Range<usize>)> {
    let (text, span) = reader.text(section, "address", "192.0.2.1")?;
    match text.parse() {
        Ok(address) => Some((address, span)),
        Err(_) => {
            let shown = one_line(text, 80);
            reader.error_help(
                span,
                format!("`{shown}` is not an IP address"),
                "for example: address = \"192.0.2.1\"",
            );
            None
        }
    }
}
