//! The servers of HAProxy on this host that a unit is.

use std::path::Path;

use super::{
    Finding,
    answers::Listening,
    remedies::{ProposedRemedy, numbered, text},
};
use crate::remedies::traffic::runtime;

/// Where Debian's HAProxy listens to its administrators.
const SOCKET: &str = "/run/haproxy/admin.sock";

/// What declares those that lead to where the unit listens.
pub(super) fn proposed(listening: &[Listening]) -> Vec<Finding<ProposedRemedy>> {
    if listening.is_empty() {
        return Vec::new();
    }
    match runtime::ask(Path::new(SOCKET), "show servers state") {
        Ok(states) => leading_to(listening, &states),
        // Nobody knows whether this host has one.
        Err(error) => {
            tracing::debug!("{error}");
            Vec::new()
        }
    }
}

fn leading_to(listening: &[Listening], states: &str) -> Vec<Finding<ProposedRemedy>> {
    let places: Vec<&String> = listening.iter().flat_map(|port| &port.places).collect();
    let servers = servers(states).unwrap_or_default();
    let ours = servers.iter().filter(|server| {
        let (v4, v6) = (
            format!("{}:{}", server.address, server.port),
            format!("[{}]:{}", server.address, server.port),
        );
        places.iter().any(|place| **place == v4 || **place == v6)
    });
    ours.enumerate()
        .map(|(number, server)| {
            Finding::new(
                ProposedRemedy::new(
                    "traffic",
                    &numbered("front", number),
                    vec![
                        ("haproxy", text(SOCKET)),
                        ("backend", text(server.backend)),
                        ("server", text(server.name)),
                    ],
                ),
                "HAProxy sends it requests; it can be taken out of rotation before it is restarted",
            )
        })
        .collect()
}

struct Server<'a> {
    backend: &'a str,
    name: &'a str,
    address: &'a str,
    port: &'a str,
}

/// Those of all backends, by the columns that a line names.
fn servers(states: &str) -> Option<Vec<Server<'_>>> {
    let mut lines = states.lines();
    let head = lines.find_map(|line| line.strip_prefix("# "))?;
    let column = |name: &str| head.split(' ').position(|column| column == name);
    let (backend, name, address, port) = (
        column("be_name")?,
        column("srv_name")?,
        column("srv_addr")?,
        column("srv_port")?,
    );
    let servers = lines.filter_map(|line| {
        let cells: Vec<&str> = line.split(' ').collect();
        Some(Server {
            backend: cells.get(backend)?,
            name: cells.get(name)?,
            address: cells.get(address)?,
            port: cells.get(port)?,
        })
    });
    Some(servers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: &str = "1\n\
        # be_id be_name srv_id srv_name srv_addr srv_op_state srv_port\n\
        3 shop 1 one 127.0.0.1 2 8081\n\
        3 shop 2 two 127.0.0.1 2 8082\n\
        4 api 1 six ::1 2 8081\n\n";

    #[test]
    fn a_server_is_known_by_where_it_listens() {
        let listening = [Listening {
            number: 8081,
            places: vec!["127.0.0.1:8081".to_owned(), "[::1]:8081".to_owned()],
        }];
        let found = leading_to(&listening, STATES);
        let shown: Vec<String> = found
            .iter()
            .map(|finding| format!("{} {:?}", finding.what.name, finding.what.keys))
            .collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].starts_with("front ") && shown[0].contains("\"one\""));
        assert!(shown[1].starts_with("front-2 ") && shown[1].contains("\"six\""));
        assert!(leading_to(&[], STATES).is_empty());
        assert!(leading_to(&listening, "x").is_empty());
    }
}
