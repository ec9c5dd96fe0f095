//! Declared probes: what each asks, and of whom.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::UnitName;

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// Opens a TCP connection to `host:port`.
    Tcp(String),
    /// Connects to a Unix socket.
    Unix(PathBuf),
    /// GETs a URL.
    Http(HttpQuestion),
    /// Greets whoever speaks TLS, and looks at its certificate.
    Tls(TlsQuestion),
    /// Asks a name server for a name.
    Dns(DnsQuestion),
    /// Greets PostgreSQL at `host:port` or in a socket's directory or path.
    Postgres(String),
    /// Reads the greeting of MySQL or MariaDB at `host:port` or a socket path.
    Mysql(String),
    /// Sends PING to Redis at `host:port` or a socket path.
    Redis(String),
    /// SQLite's own integrity check of a declared file.
    Sqlite {
        /// The declared file's name.
        file: String,
    },
    /// Runs a program (absolute) with arguments, without a shell: exit code 0 is an answer.
    Command(Vec<String>),
}

impl ProbeKind {
    /// The contract's word for each, which is also its key in a service's file.
    pub const WORDS: [&'static str; 10] = [
        "tcp", "unix", "http", "tls", "dns", "postgres", "mysql", "redis", "sqlite", "command",
    ];

    /// A GET of this URL, of which any status from 200 to 399 is an answer.
    pub fn http(url: impl Into<String>) -> Self {
        Self::Http(HttpQuestion {
            url: url.into(),
            ..HttpQuestion::default()
        })
    }

    /// One of [`WORDS`](Self::WORDS).
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Unix(_) => "unix",
            Self::Http(_) => "http",
            Self::Tls(_) => "tls",
            Self::Dns(_) => "dns",
            Self::Postgres(_) => "postgres",
            Self::Mysql(_) => "mysql",
            Self::Redis(_) => "redis",
            Self::Sqlite { .. } => "sqlite",
            Self::Command(_) => "command",
        }
    }
}

/// A GET, and what its answer has to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpQuestion {
    /// `http://host:port/path`, or the same with `https`.
    pub url: String,
    /// One of these codes; 200 to 399 when empty.
    pub status: Vec<u16>,
    /// The body has to contain this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers, by their names in lower case, and what the value of each has to be: a text,
    /// or a pattern with `*` and `?` ([`crate::glob`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The name to ask for, in TLS and in the `Host` header, when it is not the URL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Whose certificate is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsQuestion {
    /// `host:port`.
    pub place: String,
    /// The name to ask for, when it is not the host of `place`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// A question to a name server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsQuestion {
    /// The name, in full: no search list is used.
    pub name: String,
    /// The server; those of `/etc/resolv.conf`, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<SocketAddr>,
    /// What is asked for.
    pub record: DnsRecord,
    /// One of the answers has to be this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// A type of record that a DNS probe may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsRecord {
    #[default]
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

impl DnsRecord {
    pub const ALL: [Self; 9] = [
        Self::A,
        Self::Aaaa,
        Self::Cname,
        Self::Mx,
        Self::Ns,
        Self::Ptr,
        Self::Soa,
        Self::Srv,
        Self::Txt,
    ];

    /// As it stands in a zone file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// A question that the operator declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredProbe {
    /// What it asks.
    pub kind: ProbeKind,
    /// Then it counts as not answering.
    pub timeout: Duration,
    /// The unit it asks, when that is not the service itself.
    pub unit: Option<UnitName>,
    /// How often the daemon asks while all is well; never, when absent.
    pub interval: Option<Duration>,
    /// So many unanswered in a row make an incident (with `interval`).
    pub failure_threshold: u32,
}

impl DeclaredProbe {
    /// What it asks, and how long it waits for the answer: as long as this is the same,
    /// it is the same probe, however often it is asked.
    pub fn question(&self) -> String {
        serde_json::to_string(&(&self.kind, self.timeout.as_micros())).unwrap_or_default()
    }
}
