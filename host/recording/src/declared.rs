//! What a strategy can see of a service's declaration.

use std::collections::BTreeMap;

use prunella_core::{
    UnitName,
    service::{
        DeclaredCheck, DeclaredFile, DeclaredProbe, DnsQuestion, FileRole, Port, ProbeKind, ReadBy,
        Service, StartLimit, TlsQuestion,
    },
};
use serde::{Deserialize, Serialize};

/// A service's declaration without what never crosses to a strategy: paths,
/// commands, addresses, owners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    unit: UnitName,
    domain: Option<String>,
    critical: bool,
    ports: Vec<Port>,
    depends_on: Vec<UnitName>,
    start_limit: StartLimit,
    files: BTreeMap<String, File>,
    checks: BTreeMap<String, Check>,
    probes: BTreeMap<String, Probe>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    role: FileRole,
    optional: bool,
    read_by: ReadBy,
    secret: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    mutates: bool,
    validates: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    kind: String,
    unit: Option<UnitName>,
}

impl From<&Service> for Declared {
    fn from(service: &Service) -> Self {
        Self {
            unit: service.unit.clone(),
            domain: service.domain.clone(),
            critical: service.critical,
            ports: service.ports.clone(),
            depends_on: service.depends_on.clone(),
            start_limit: service.start_limit,
            files: named(&service.files, |file| File {
                role: file.role,
                optional: file.optional,
                read_by: file.read_by,
                secret: file.secret,
            }),
            checks: named(&service.checks, |check| Check {
                mutates: check.mutates,
                validates: check.validates,
            }),
            probes: named(&service.probes, |probe| Probe {
                kind: probe.kind.as_str().to_owned(),
                unit: probe.unit.clone(),
            }),
        }
    }
}

fn named<T, U>(things: &BTreeMap<String, T>, seen: impl Fn(&T) -> U) -> BTreeMap<String, U> {
    things
        .iter()
        .map(|(name, thing)| (name.clone(), seen(thing)))
        .collect()
}

impl Declared {
    /// A service of which a strategy sees the same. What was left out is left
    /// empty: nothing asks for it where a recording is played.
    pub(crate) fn service(&self) -> Service {
        let mut service = Service::new(self.unit.clone());
        service.domain.clone_from(&self.domain);
        service.critical = self.critical;
        service.ports.clone_from(&self.ports);
        service.depends_on.clone_from(&self.depends_on);
        service.start_limit = self.start_limit;
        service.files = named(&self.files, |file| DeclaredFile {
            path: Default::default(),
            role: file.role,
            mode: None,
            owner: None,
            group: None,
            target: None,
            keys: Vec::new(),
            optional: file.optional,
            read_by: file.read_by,
            secret: file.secret,
        });
        service.checks = named(&self.checks, |check| DeclaredCheck {
            command: Vec::new(),
            timeout: Default::default(),
            mutates: check.mutates,
            as_root: false,
            validates: check.validates,
        });
        service.probes = named(&self.probes, |probe| DeclaredProbe {
            kind: kind(&probe.kind),
            timeout: Default::default(),
            unit: probe.unit.clone(),
            interval: None,
            failure_threshold: 1,
        });
        service
    }
}

fn kind(word: &str) -> ProbeKind {
    match word {
        "unix" => ProbeKind::Unix(Default::default()),
        "http" => ProbeKind::http(""),
        "tls" => ProbeKind::Tls(TlsQuestion::default()),
        "dns" => ProbeKind::Dns(DnsQuestion::default()),
        "command" => ProbeKind::Command(Vec::new()),
        "postgres" => ProbeKind::Postgres(String::new()),
        "mysql" => ProbeKind::Mysql(String::new()),
        "redis" => ProbeKind::Redis(String::new()),
        "sqlite" => ProbeKind::Sqlite {
            file: String::new(),
        },
        _ => ProbeKind::Tcp(String::new()),
    }
}
