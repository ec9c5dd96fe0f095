//! A service: a unit in Prunella's care, and what its operator declared.

mod endpoint;
mod probe;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::{
    endpoint::{BadSelector, MetricsEndpoint, SeriesSelector},
    probe::{DeclaredProbe, DnsQuestion, DnsRecord, HttpQuestion, ProbeKind, TlsQuestion},
};
use crate::{
    Failure, StrategyName, UnitName,
    alert::routes::Routes,
    capability::{FileKind, Protocol},
    health::{HealthSettings, Objective},
    remedy::Remedy,
};

/// A unit that the operator put in Prunella's care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The unit, by its canonical name.
    pub unit: UnitName,
    /// What it is for, in the operator's words.
    pub domain: Option<String>,
    /// Whether people are hurt when it is down.
    pub critical: bool,
    /// The ports it should hold.
    pub ports: Vec<Port>,
    /// In the order in which they may heal.
    pub strategies: Vec<StrategyName>,
    /// Those that may act when it is degraded, in their order; none by default.
    #[serde(default)]
    pub heal_degraded: Vec<StrategyName>,
    /// Whether what they have achieved may change that order.
    pub order: Order,
    /// Units it cannot work without.
    pub depends_on: Vec<UnitName>,
    /// Declared files, by name.
    pub files: BTreeMap<String, DeclaredFile>,
    /// Declared checks, by name.
    pub checks: BTreeMap<String, DeclaredCheck>,
    /// Declared probes, by name.
    pub probes: BTreeMap<String, DeclaredProbe>,
    /// What may be done for it beyond starting and stopping it, by name.
    #[serde(default)]
    pub remedies: BTreeMap<String, Remedy>,
    /// When it counts as healed.
    pub proof: ProofSettings,
    /// What to do about systemd's start limit.
    pub start_limit: StartLimit,
    /// Which ends of it are failures.
    pub run_policy: RunPolicy,
    /// Whether a stop by an operator is healed too.
    pub heal_on_stop: bool,
    /// Healings this service may get; the host's default when absent.
    pub budget: Option<BudgetSettings>,
    /// From when on it is degraded or failed.
    #[serde(default)]
    pub health: HealthSettings,
    /// The share of its probes' questions that has to be answered over 30 days.
    #[serde(default)]
    pub objective: Option<Objective>,
    /// Where it tells what it measures of itself.
    #[serde(default)]
    pub metrics_endpoint: Option<MetricsEndpoint>,
    /// Who hears of it, where that is not what holds for the host.
    pub alerts: Option<Routes>,
    /// How long it may be down before people are told; what `[alerts]` says,
    /// when absent.
    pub notify_after: Option<Duration>,
    /// The file that declares it.
    pub declared_in: Option<PathBuf>,
}

impl Service {
    /// A service of which nothing but its unit is declared, with the defaults.
    pub fn new(unit: UnitName) -> Self {
        Self {
            unit,
            domain: None,
            critical: false,
            ports: Vec::new(),
            strategies: Vec::new(),
            heal_degraded: Vec::new(),
            order: Order::default(),
            depends_on: Vec::new(),
            files: BTreeMap::new(),
            checks: BTreeMap::new(),
            probes: BTreeMap::new(),
            remedies: BTreeMap::new(),
            proof: ProofSettings::default(),
            start_limit: StartLimit::default(),
            run_policy: RunPolicy::default(),
            heal_on_stop: false,
            budget: None,
            health: HealthSettings::default(),
            objective: None,
            metrics_endpoint: None,
            alerts: None,
            notify_after: None,
            declared_in: None,
        }
    }

    /// A declared file, or a failure that lists those there are.
    pub fn file(&self, name: &str) -> Result<&DeclaredFile, Failure> {
        declared(&self.files, "file", name)
    }

    /// A declared check, or a failure that lists those there are.
    pub fn check(&self, name: &str) -> Result<&DeclaredCheck, Failure> {
        declared(&self.checks, "check", name)
    }

    /// A declared probe, or a failure that lists those there are.
    pub fn probe(&self, name: &str) -> Result<&DeclaredProbe, Failure> {
        declared(&self.probes, "probe", name)
    }

    /// A declared remedy of a kind, or a failure that lists those there are.
    pub fn remedy(&self, kind: &str, name: &str) -> Result<&Remedy, Failure> {
        let of_kind: BTreeMap<String, &Remedy> = self
            .remedies
            .iter()
            .filter(|(_, remedy)| remedy.kind() == kind)
            .map(|(name, remedy)| (name.clone(), remedy))
            .collect();
        declared(&of_kind, kind, name).copied()
    }

    /// Where something lies whose file system can be asked about: the folders of a declared
    /// cleanup, or a declared file; or a failure that lists the files there are.
    pub fn paths_of(&self, name: &str) -> Result<Vec<&Path>, Failure> {
        let folders = self.remedies.get(name).map(Remedy::makes_room_in);
        match folders {
            Some(folders) if !folders.is_empty() => Ok(folders),
            _ => Ok(vec![&self.file(name)?.path]),
        }
    }

    /// What a strategy said, with the paths of the declared files and remedies, of which it
    /// knows the names alone: `` the environment file `environment` `` becomes `the environment
    /// file /etc/default/web`. Whatever stands in backquotes and is such a name is taken for it.
    pub fn with_paths(&self, said: &str) -> String {
        let files = self.files.iter().map(|(name, file)| (name, &*file.path));
        let remedies = self.remedies.iter();
        let remedies = remedies.filter_map(|(name, remedy)| Some((name, remedy.path()?)));
        files
            .chain(remedies)
            .fold(said.to_owned(), |text, (name, path)| {
                text.replace(&format!("`{name}`"), &path.to_string_lossy())
            })
    }

    /// The probes of the service itself, by name.
    pub fn own_probes(&self) -> impl Iterator<Item = (&String, &DeclaredProbe)> {
        self.probes.iter().filter(|(_, probe)| probe.unit.is_none())
    }
}

fn declared<'a, T>(
    things: &'a BTreeMap<String, T>,
    what: &str,
    name: &str,
) -> Result<&'a T, Failure> {
    things.get(name).ok_or_else(|| {
        let known: Vec<&str> = things.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            format!("no {what} is declared for this service")
        } else {
            format!("declared are: {}", known.join(", "))
        };
        let shown = crate::text::one_line(name, 80);
        Failure::not_found(
            "not-declared",
            format!("there is no {what} `{shown}`; {known}"),
        )
    })
}

/// In which order the strategies that apply are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As the operator listed them.
    #[default]
    Listed,
    /// The likeliest first, by what they have achieved at such failures: see
    /// [`statistics::order`](crate::statistics::order).
    Learned,
}

/// A port, as `tcp/80` or `udp/127.0.0.53:53` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// 1 to 65535.
    pub number: u16,
    /// The address that the service binds; whichever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

impl Port {
    /// One at whichever address.
    pub fn new(protocol: Protocol, number: u16) -> Self {
        Self {
            protocol,
            number,
            address: None,
        }
    }

    /// Whether a socket that is bound to `held` on this port serves its address.
    pub fn is_served_at(&self, held: IpAddr) -> bool {
        let Some(wanted) = self.address else {
            return true;
        };
        let (held, wanted) = (held.to_canonical(), wanted.to_canonical());
        held == wanted || held.is_unspecified() && (held.is_ipv6() || wanted.is_ipv4())
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.as_str();
        match self.address {
            Some(address) => write!(f, "{protocol}/{}", SocketAddr::new(address, self.number)),
            None => write!(f, "{protocol}/{}", self.number),
        }
    }
}

impl std::str::FromStr for Port {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a port: write `tcp/80`, or `udp/127.0.0.53:53` with an address"
            )
        };
        let (protocol, number) = text.split_once('/').ok_or_else(wrong)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(wrong()),
        };
        let (number, address) = match number.parse::<SocketAddr>() {
            Ok(at) => (at.port(), Some(at.ip())),
            Err(_) => (number.parse().map_err(|_| wrong())?, None),
        };
        if number == 0 {
            return Err(wrong());
        }
        Ok(Self {
            protocol,
            number,
            // Any address is no address.
            address: address.filter(|address| !address.is_unspecified()),
        })
    }
}

/// What a declared file is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileRole {
    #[default]
    Plain,
    /// `NAME=value` lines, as EnvironmentFile= reads them.
    Env,
    /// An SQLite database.
    Database,
    Directory,
    /// A symbolic link.
    Symlink,
    /// A Unix socket.
    Socket,
}

impl FileRole {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Env => "env",
            Self::Database => "database",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Socket => "socket",
        }
    }

    /// What should stand there, where the role tells.
    pub fn kind(self) -> Option<FileKind> {
        match self {
            Self::Plain => None,
            Self::Env | Self::Database => Some(FileKind::File),
            Self::Directory => Some(FileKind::Directory),
            Self::Symlink => Some(FileKind::Symlink),
            Self::Socket => Some(FileKind::Socket),
        }
    }
}

/// Who opens a declared file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadBy {
    /// The program itself, as the unit's user.
    #[default]
    Service,
    /// systemd, as root, before it starts the program (EnvironmentFile=).
    Manager,
}

/// A file that the operator named, and how it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredFile {
    /// Absolute.
    pub path: PathBuf,
    /// What it is.
    pub role: FileRole,
    /// Permission bits it should have (at most `0o777`, never setuid, setgid,
    /// sticky or world-writable).
    pub mode: Option<u32>,
    /// `user` it should belong to.
    pub owner: Option<String>,
    /// `group` it should belong to.
    pub group: Option<String>,
    /// Where a symbolic link should lead.
    pub target: Option<PathBuf>,
    /// Names an environment file must set to something.
    pub keys: Vec<String>,
    /// Whether the service can start without it.
    pub optional: bool,
    /// Who reads it.
    pub read_by: ReadBy,
    /// Whether neither its size nor its hash may be told.
    pub secret: bool,
}

/// A command that the operator declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredCheck {
    /// Program (absolute) and arguments; no shell.
    pub command: Vec<String>,
    /// Then it is stopped, and counts as failed.
    pub timeout: Duration,
    /// Whether it changes anything. If not, it may run while assessing and in
    /// a dry run.
    pub mutates: bool,
    /// Run as root instead of the unit's user; refused unless program and
    /// configuration are root-owned.
    pub as_root: bool,
    /// Whether it says if the service's configuration is valid: then nobody
    /// starts the service while it does not pass. Unless told otherwise, every
    /// check that changes nothing does.
    pub validates: bool,
}

/// When a service counts as healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofSettings {
    /// It has to be well for so long.
    pub stable_for: Duration,
    /// It has to be well after so long at the latest; as long as its starts are
    /// known to take, when absent.
    pub timeout: Option<Duration>,
}

impl Default for ProofSettings {
    fn default() -> Self {
        Self {
            stable_for: Duration::from_secs(5),
            timeout: None,
        }
    }
}

/// What to do about a start limit that was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartLimit {
    /// It may be cleared.
    #[default]
    Heal,
    /// It stands: the service is left alone.
    Respect,
}

/// Which ends of a service are failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunPolicy {
    /// Those that systemd calls so.
    #[default]
    OnFailure,
    /// Every end that nobody asked for: it is meant to run.
    Always,
}

impl RunPolicy {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// How much healing there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSettings {
    /// So many healings …
    pub healings: u32,
    /// … in so long.
    pub window: Duration,
    /// How long to wait before the first, second, … healing in that span; the
    /// last holds for all that follow.
    pub backoff: Vec<Duration>,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            healings: 5,
            window: Duration::from_secs(300),
            backoff: [0, 1, 5, 30, 120].map(Duration::from_secs).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_file(
        "the environment file `environment` is missing",
        "the environment file /etc/default/web is missing"
    )]
    #[case::of_a_file(
        "brought the mode of `environment` back",
        "brought the mode of /etc/default/web back"
    )]
    #[case::twice(
        "file `environment`, directory `environment`",
        "file /etc/default/web, directory /etc/default/web"
    )]
    #[case::by_its_name_alone(
        "`environment` is not as declared",
        "/etc/default/web is not as declared"
    )]
    #[case::without_backquotes("an environment is missing", "an environment is missing")]
    #[case::another("the file `other` is missing", "the file `other` is missing")]
    fn what_a_strategy_says_has_the_paths(#[case] said: &str, #[case] told: &str) {
        let mut service = Service::new(UnitName::new("web.service").unwrap());
        let file = DeclaredFile {
            path: "/etc/default/web".into(),
            role: FileRole::Env,
            mode: None,
            owner: None,
            group: None,
            target: None,
            keys: Vec::new(),
            optional: false,
            read_by: ReadBy::default(),
            secret: false,
        };
        service.files.insert("environment".to_owned(), file);
        assert_eq!(service.with_paths(said), told);
    }
}
