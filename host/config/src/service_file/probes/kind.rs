//! Reads what a `[[probe]]` asks.

use std::ops::Range;

use prunella_core::{
    service::{FileRole, ProbeKind, Service, TlsQuestion},
    text::one_line,
};

use super::{dns, http};
use crate::{
    reader::{Reader, Section},
    service_file::checks,
    value,
};

/// A key that means something for some kinds alone.
pub(super) struct OwnKey {
    pub(super) key: &'static str,
    kinds: &'static [&'static str],
}

pub(super) const OWN_KEYS: [OwnKey; 7] = [
    OwnKey {
        key: "status",
        kinds: &["http"],
    },
    OwnKey {
        key: "body",
        kinds: &["http"],
    },
    OwnKey {
        key: "header",
        kinds: &["http"],
    },
    OwnKey {
        key: "server-name",
        kinds: &["http", "tls"],
    },
    OwnKey {
        key: "server",
        kinds: &["dns"],
    },
    OwnKey {
        key: "record",
        kinds: &["dns"],
    },
    OwnKey {
        key: "address",
        kinds: &["dns"],
    },
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
    service: &Service,
) -> Option<ProbeKind> {
    let kinds: Vec<&str> = ProbeKind::WORDS
        .into_iter()
        .filter(|kind| section.table.contains_key(*kind))
        .collect();
    let list = ProbeKind::WORDS.join(", ");
    let [kind] = kinds.as_slice() else {
        let (message, help) = if kinds.is_empty() {
            (
                "[[probe]] does not say what it asks".to_owned(),
                format!("add one of {list}, such as `tcp = \"127.0.0.1:80\"`"),
            )
        } else {
            (
                format!("[[probe]] asks more than one thing: {}", kinds.join(", ")),
                "make each a probe of its own".to_owned(),
            )
        };
        reader.error_help(at.clone(), message, help);
        return None;
    };
    for own in OWN_KEYS {
        if !own.kinds.contains(kind)
            && let Some((key, _)) = section.table.get_key_value(own.key)
        {
            reader.error_help(
                key.span(),
                format!("`{}` is for {} probes", own.key, own.kinds.join(" and ")),
                "leave it out",
            );
        }
    }
    if *kind == "command" {
        return checks::read_command(reader, section, at, "probe").map(ProbeKind::Command);
    }
    let example = match *kind {
        "unix" => "/run/app.sock",
        "http" => "http://127.0.0.1:80/health",
        "tls" => "127.0.0.1:443",
        "dns" => "shop.example",
        "sqlite" => "database",
        _ => "127.0.0.1:5432",
    };
    let (text, span) = reader.text(section, kind, example)?;
    let shown = one_line(text, 80);
    let address = |reader: &mut Reader<'_>, path_too: bool| {
        let path = path_too && text.starts_with('/') && !text.contains('\0');
        let valid = path || value::is_host_and_port(text);
        if !valid {
            let or_path = if path_too {
                ", or the absolute path of a socket"
            } else {
                ""
            };
            reader.error_help(
                span.clone(),
                format!("`{shown}` is not an address"),
                format!("write host:port, such as \"127.0.0.1:5432\" or \"[::1]:5432\"{or_path}"),
            );
        }
        valid.then(|| text.to_owned())
    };
    match *kind {
        "tcp" => address(reader, false).map(ProbeKind::Tcp),
        "tls" => {
            let server_name = http::server_name(reader, section);
            address(reader, false).map(|place| ProbeKind::Tls(TlsQuestion { place, server_name }))
        }
        "dns" => dns::read(reader, section, (text, span)).map(ProbeKind::Dns),
        "postgres" => address(reader, true).map(ProbeKind::Postgres),
        "mysql" => address(reader, true).map(ProbeKind::Mysql),
        "redis" => address(reader, true).map(ProbeKind::Redis),
        "unix" => reader.path("unix", (text, span)).map(ProbeKind::Unix),
        "sqlite" => {
            let known: Vec<&str> = service
                .files
                .iter()
                .filter(|(_, file)| matches!(file.role, FileRole::Database | FileRole::Plain))
                .map(|(name, _)| name.as_str())
                .collect();
            if known.contains(&text) {
                return Some(ProbeKind::Sqlite {
                    file: text.to_owned(),
                });
            }
            let help = match value::nearest(text, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if known.is_empty() => {
                    "declare it as a [[file]] with `role = \"database\"`".to_owned()
                }
                None => format!("declared are: {}", known.join(", ")),
            };
            reader.error_help(span, format!("no file `{shown}` is declared here"), help);
            None
        }
        _ => http::read(reader, section, (text, span)).map(ProbeKind::Http),
    }
}
