//! Lines that a service logs because Prunella asked it.
//!
//! A web server writes down each request, and a database each greeting that led to
//! no login. Asked every few seconds, such lines would push out of sight what a
//! service said before it failed.

use std::net::{IpAddr, SocketAddr};

use prunella_core::service::{DeclaredProbe, ProbeKind};

use super::http::{USER_AGENT, asked_for};

/// Tells lines that declared probes cause from all others.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnLines {
    requests: Vec<Request>,
    http: bool,
    databases: bool,
}

/// What is asked for by HTTP.
#[derive(Debug, Clone)]
struct Request {
    /// As it stands in an access log.
    line: String,
    /// Where it is asked, which is where it comes from as well: an address of this
    /// host's, if it is not this host's loopback.
    address: Option<IpAddr>,
    /// Whether only an answer that was well is taken for ours: others of this host ask for
    /// `/` as well.
    only_success: bool,
}

impl OwnLines {
    pub(crate) fn of<'a>(probes: impl Iterator<Item = &'a DeclaredProbe>) -> Self {
        let mut own = Self::default();
        for probe in probes {
            match &probe.kind {
                ProbeKind::Http(question) => {
                    own.http = true;
                    own.requests
                        .extend(asked_for(&question.url).map(|(path, address)| Request {
                            line: format!("GET {path} HTTP/1.1"),
                            address,
                            only_success: path == "/",
                        }));
                }
                ProbeKind::Postgres(_) | ProbeKind::Mysql(_) => own.databases = true,
                ProbeKind::Tcp(_)
                | ProbeKind::Unix(_)
                | ProbeKind::Tls(_)
                | ProbeKind::Dns(_)
                | ProbeKind::Redis(_)
                | ProbeKind::Sqlite { .. }
                | ProbeKind::Command(_) => {}
            }
        }
        own
    }

    /// Whether a question of ours caused the line.
    pub(crate) fn caused(&self, line: &str) -> bool {
        (self.http && self.is_request(line)) || (self.databases && is_greeting(line))
    }

    /// An access log names the program that asks, in the usual formats.
    fn is_request(&self, line: &str) -> bool {
        let ours = [
            format!("\"{USER_AGENT}\""),
            format!("ua={USER_AGENT}"),
            format!("user_agent={USER_AGENT}"),
        ];
        (line.contains("GET ") && ours.iter().any(|agent| line.contains(agent.as_str())))
            || self.requests.iter().any(|request| request.caused(line))
    }
}

impl Request {
    /// Whether an access log says no more than that it was answered, and that nobody
    /// else asked. An error that quotes the request stays.
    fn caused(&self, line: &str) -> bool {
        let Some((before, rest)) = line.split_once(&self.line) else {
            return false;
        };
        let Some(rest) = rest.strip_prefix('"').unwrap_or(rest).strip_prefix(' ') else {
            return false;
        };
        let mut who = addresses(before).chain(addresses(rest)).peekable();
        if who.peek().is_some() {
            let classes: &[&str] = if self.only_success {
                &["2", "3"]
            } else {
                &["1", "2", "3", "4", "5"]
            };
            return is_status(rest, classes) && who.all(|one| self.is_here(one));
        }
        // Some programs write no address. In the common format a name stands in its place.
        let named = before.trim_end_matches([' ', '"']).ends_with(']') && before.contains(" - ");
        is_status(rest, &["2", "3"]) && (!named || before.starts_with("localhost "))
    }

    fn is_here(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || Some(address) == self.address
    }
}

/// Whether it begins with a status of one of these classes.
fn is_status(rest: &str, classes: &[&str]) -> bool {
    let word = rest.split(' ').next().unwrap_or_default();
    word.len() == 3
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && classes.iter().any(|class| word.starts_with(class))
}

/// The addresses in a part of a line, with or without ports.
fn addresses(part: &str) -> impl Iterator<Item = IpAddr> {
    part.split([' ', '"', ',', '=', '(', ')', '[', ']'])
        .filter_map(|word| {
            let word = word.trim_end_matches(':');
            let socket = || word.parse::<SocketAddr>().ok().map(|socket| socket.ip());
            word.parse().ok().or_else(socket)
        })
}

/// What a database says of a greeting that named our account, or none.
fn is_greeting(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "user \"prunella\"",
        "role \"prunella\"",
        "prunella@postgres",
    ]
    .iter()
    .any(|ours| line.contains(ours))
        || (line.contains("aborted connection") && line.contains("unauthenticated"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    fn probe(kind: ProbeKind) -> DeclaredProbe {
        DeclaredProbe {
            kind,
            timeout: Duration::from_secs(5),
            unit: None,
            interval: None,
            failure_threshold: 3,
        }
    }

    #[rstest]
    #[case::combined(
        r#"127.0.0.1 - - [29/Nov/2026:12:00:00 +0000] "GET /health HTTP/1.1" 200 2 "-" "prunella""#,
        true
    )]
    #[case::uvicorn(r#"INFO:     127.0.0.1:51234 - "GET /health HTTP/1.1" 200 OK"#, true)]
    #[case::python(
        r#"127.0.0.1 - - [29/Nov/2026 12:00:00] "GET /health HTTP/1.1" 200 -"#,
        true
    )]
    #[case::without_an_address(r#"shop: "GET /health HTTP/1.1" 200 -"#, true)]
    #[case::json_like(r#"time=12:00:00 msg="GET /health HTTP/1.1" 204"#, true)]
    #[case::by_its_name(
        r#"localhost - - [29/Nov/2026:12:00:00 +0000] "GET /health HTTP/1.1" 200 2"#,
        true
    )]
    #[case::mapped(r#"::ffff:127.0.0.1 - - "GET /health HTTP/1.1" 200 -"#, true)]
    #[case::ipv6_with_port(r#"INFO: [::1]:51234 - "GET /health HTTP/1.1" 200 OK"#, true)]
    #[case::told_of_its_trouble(r#"127.0.0.1 - - "GET /health HTTP/1.1" 503 -"#, true)]
    #[case::by_its_own_address(r#"192.0.2.7 - - "GET /ready?full=1 HTTP/1.1" 200 -"#, true)]
    #[case::postgres(r#"FATAL:  role "prunella" does not exist"#, true)]
    #[case::from_elsewhere(r#"10.1.2.3 - - "GET /health HTTP/1.1" 200 -"#, false)]
    #[case::from_elsewhere_with_a_port(
        r#"INFO:     10.1.2.3:51234 - "GET /health HTTP/1.1" 200 OK"#,
        false
    )]
    #[case::from_elsewhere_by_a_proxy(
        r#"127.0.0.1 - - "GET /health HTTP/1.1" 200 - "10.1.2.3""#,
        false
    )]
    #[case::from_elsewhere_by_name(
        r#"lb.example.org - - [29/Nov/2026:12:00:00 +0000] "GET /health HTTP/1.1" 200 2"#,
        false
    )]
    #[case::another_page(r#"127.0.0.1 - - "GET /healthy-food HTTP/1.1" 500 -"#, false)]
    #[case::below_it(r#"shop: "GET /health/db HTTP/1.1" 200 -"#, false)]
    #[case::another_method(r#"127.0.0.1 - - "HEAD /health HTTP/1.1" 200 -"#, false)]
    #[case::another_version(r#"127.0.0.1 - - "GET /health HTTP/1.0" 200 -"#, false)]
    #[case::the_first_page(r#"127.0.0.1 - - "GET / HTTP/1.1" 200 -"#, true)]
    #[case::trouble_of_the_first_page(r#"127.0.0.1 - - "GET / HTTP/1.1" 503 -"#, false)]
    #[case::the_first_page_from_elsewhere(r#"10.1.2.3 - - "GET / HTTP/1.1" 200 -"#, false)]
    #[case::its_trouble_told_by_itself(r#"shop: "GET /health HTTP/1.1" 500 -"#, false)]
    #[case::an_error_of_it(
        r#"shop: "GET /health HTTP/1.1" failed: no connection to the database"#,
        false
    )]
    #[case::an_error_of_nginx(
        r#"connect() failed, client: 127.0.0.1, request: "GET /health HTTP/1.1", upstream: "x""#,
        false
    )]
    #[case::an_error("error: the license file /etc/shop/license is expired", false)]
    #[case::another_role(r#"FATAL:  role "shop" does not exist"#, false)]
    #[case::names_it("prunella: the herb is sold out", false)]
    fn lines(#[case] line: &str, #[case] ours: bool) {
        let probes = [
            probe(ProbeKind::http("http://127.0.0.1:8080/health")),
            probe(ProbeKind::http("http://192.0.2.7:8080/ready?full=1")),
            probe(ProbeKind::http("http://127.0.0.1:8080/")),
            probe(ProbeKind::Postgres("127.0.0.1:5432".to_owned())),
        ];
        assert_eq!(OwnLines::of(probes.iter()).caused(line), ours);
        assert!(!OwnLines::default().caused(line), "nobody asks it");
    }
}
