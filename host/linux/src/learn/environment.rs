//! Servers that a service is pointed to by its environment: `DATABASE_URL` and the
//! like.
//!
//! Only where a server is leaves this file; a value holds passwords.

use std::{net::IpAddr, path::PathBuf};

/// A variable that says where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    /// The variable's name.
    pub(super) variable: String,
    pub(super) place: Place,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A TCP port of this host.
    Port(u16),
    /// A Unix socket.
    Socket(PathBuf),
    /// `host:port` on some other host.
    Elsewhere(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(port) => write!(f, "tcp/{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Elsewhere(place) => write!(f, "{place}"),
        }
    }
}

/// Schemes of servers that a service may be unable to work without, with their
/// usual ports. HTTP is not among them: such a URL is often the service's own.
const SCHEMES: [(&str, u16); 18] = [
    ("postgres", 5432),
    ("postgresql", 5432),
    ("pgsql", 5432),
    ("mysql", 3306),
    ("mysql2", 3306),
    ("mariadb", 3306),
    ("redis", 6379),
    ("rediss", 6379),
    ("valkey", 6379),
    ("amqp", 5672),
    ("amqps", 5671),
    ("mongodb", 27017),
    ("memcached", 11211),
    ("memcache", 11211),
    ("nats", 4222),
    ("mqtt", 1883),
    ("ldap", 389),
    ("ldaps", 636),
];

/// The assignments of an environment file, as systemd reads it (systemd.exec(5)): without
/// those whose names it does not take, such as `export NAME`.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", "");
    joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim()).to_owned()))
        .filter(|(name, _)| is_name(name))
        .collect()
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| is_part(c) && !c.is_ascii_digit()) && name.chars().all(is_part)
}

/// The names behind `export` at the beginning of a line, as a shell has it: systemd takes
/// no notice of such a line.
pub(super) fn exported(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("export ")?.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| is_name(name))
        .collect()
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// Where these assignments point to.
pub(super) fn pointers<'a>(
    assignments: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Pointer> {
    let mut found: Vec<Pointer> = Vec::new();
    for (variable, value) in assignments {
        for place in places(value) {
            if !found.iter().any(|known| known.place == place) {
                found.push(Pointer {
                    variable: variable.to_owned(),
                    place,
                });
            }
        }
    }
    found
}

/// The servers of a URL, of `unix:/path`, or of a socket's path.
fn places(value: &str) -> Vec<Place> {
    let value = value.strip_prefix("jdbc:").unwrap_or(value);
    if value.starts_with('/') {
        let is_socket = [".sock", ".socket"].iter().any(|end| value.ends_with(end));
        return if is_socket { socket(value) } else { Vec::new() };
    }
    let Some((scheme, rest)) = value.split_once(':') else {
        return Vec::new();
    };
    // `postgresql+asyncpg`, `redis+socket`.
    let mut words = scheme.split('+');
    let scheme = words.next().unwrap_or_default().to_ascii_lowercase();
    let over_unix = scheme == "unix" || words.any(|word| matches!(word, "unix" | "socket"));
    let known = SCHEMES.iter().find(|(name, _)| *name == scheme);
    let Some(rest) = rest.strip_prefix("//") else {
        return if over_unix { socket(rest) } else { Vec::new() };
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if over_unix {
        return socket(path);
    }
    let Some(&(_, port)) = known else {
        return Vec::new();
    };
    let postgres = matches!(scheme.as_str(), "postgres" | "postgresql" | "pgsql");
    let in_query = query(path);
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if hosts.is_empty()
        && let Some(path) = in_query
            .iter()
            .find(|(key, _)| matches!(key.as_str(), "host" | "unix_socket" | "socket"))
            .map(|(_, value)| value)
    {
        return if path.starts_with('/') {
            at_path(path, postgres, &in_query)
        } else {
            host_and_port(path, port).into_iter().collect()
        };
    }
    hosts
        .split(',')
        .flat_map(|host| {
            let host = decoded(host);
            if host.starts_with('/') {
                at_path(&host, postgres, &in_query)
            } else {
                host_and_port(&host, port).into_iter().collect()
            }
        })
        .collect()
}

/// PostgreSQL names the folder of its sockets, others the socket.
fn at_path(path: &str, postgres: bool, query: &[(String, String)]) -> Vec<Place> {
    if !postgres || path.contains(".s.PGSQL.") {
        return socket(path);
    }
    let port = query
        .iter()
        .find(|(key, _)| key == "port")
        .map_or("5432", |(_, port)| port);
    socket(&format!("{}/.s.PGSQL.{port}", path.trim_end_matches('/')))
}

fn socket(path: &str) -> Vec<Place> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = decoded(path);
    // `unix:///run/a.sock` has one slash too many, or two.
    let path = format!("/{}", path.trim_start_matches('/'));
    if path.len() > 1 && !path.contains('\0') {
        vec![Place::Socket(PathBuf::from(path))]
    } else {
        Vec::new()
    }
}

/// `host`, `host:port`, `[::1]:port` or nothing, which stands for this host.
fn host_and_port(text: &str, usual: u16) -> Option<Place> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None | Some("") => usual,
        Some(port) => port.parse().ok()?,
    };
    let is_here = host.is_empty()
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if is_here {
        return Some(Place::Port(port));
    }
    let is_name = host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    is_name.then(|| Place::Elsewhere(format!("{host}:{port}")))
}

fn query(path: &str) -> Vec<(String, String)> {
    let Some((_, query)) = path.split_once('?') else {
        return Vec::new();
    };
    let query = query.split('#').next().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

/// Percent-encoding, taken off; what is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn port(port: u16) -> Vec<Place> {
        vec![Place::Port(port)]
    }

    fn at(path: &str) -> Vec<Place> {
        vec![Place::Socket(PathBuf::from(path))]
    }

    fn elsewhere(place: &str) -> Vec<Place> {
        vec![Place::Elsewhere(place.to_owned())]
    }

    #[rstest]
    #[case("postgres://me:se%40cret@localhost/shop", port(5432))]
    #[case("postgresql+asyncpg://me@127.0.0.1:5433/shop", port(5433))]
    #[case(
        "postgresql:///db?host=/run/postgresql",
        at("/run/postgresql/.s.PGSQL.5432")
    )]
    #[case(
        "postgresql:///db?host=/run/postgresql&port=5433",
        at("/run/postgresql/.s.PGSQL.5433")
    )]
    #[case(
        "postgresql://%2Frun%2Fpostgresql/db",
        at("/run/postgresql/.s.PGSQL.5432")
    )]
    #[case("postgresql:///db", port(5432))]
    #[case("jdbc:postgresql://db.example/shop", elsewhere("db.example:5432"))]
    #[case(
        "mysql://me@/shop?unix_socket=/run/mysqld/mysqld.sock",
        at("/run/mysqld/mysqld.sock")
    )]
    #[case("redis://:secret@[::1]:6380/0", port(6380))]
    #[case(
        "redis+socket:///run/redis/redis.sock?db=1",
        at("/run/redis/redis.sock")
    )]
    #[case(
        "amqps://guest:guest@mq.example:5671/%2f",
        elsewhere("mq.example:5671")
    )]
    #[case("mongodb://a.example,localhost:27018/x", [elsewhere("a.example:27017"), port(27018)].concat())]
    #[case("unix:/run/app.sock", at("/run/app.sock"))]
    #[case("unix:///run/app.sock?x=1", at("/run/app.sock"))]
    #[case("/run/app.sock", at("/run/app.sock"))]
    #[case("/srv/app", vec![])]
    #[case("http://localhost:8080/", vec![])]
    #[case("redis://localhost:port/", vec![])]
    #[case("12:30", vec![])]
    #[case("", vec![])]
    fn where_a_value_points_to(#[case] value: &str, #[case] expected: Vec<Place>) {
        assert_eq!(places(value), expected);
    }

    #[test]
    fn a_file_is_read_as_systemd_reads_it() {
        let text = "# DATABASE_URL=postgres://old/\n; no\n DATABASE_URL = \"postgres://localhost/a\" \n\
                    LONG=a\\\nb\nnothing\nREDIS_URL='redis://localhost'\n\
                    export DB_DSN=postgres://localhost/b\n1A=b\n";
        let read = assignments(text);
        let read: Vec<(&str, &str)> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            read,
            [
                ("DATABASE_URL", "postgres://localhost/a"),
                ("LONG", "ab"),
                ("REDIS_URL", "redis://localhost")
            ]
        );
        assert_eq!(exported(text), ["DB_DSN"]);
        let found = pointers(read);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].variable, "DATABASE_URL");
        assert_eq!(found[1].place, Place::Port(6379));
    }

    #[test]
    fn what_is_shown_of_a_value_holds_no_password() {
        for value in [
            "postgres://me:hunter2@db.example/x",
            "redis://:hunter2@localhost",
            "amqp://u:hunter2@/v",
        ] {
            for place in places(value) {
                assert!(!place.to_string().contains("hunter2"), "{place}");
            }
        }
    }
}
