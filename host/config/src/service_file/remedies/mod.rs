//! Reads the remedies that a service declares: a table, and a file here, for each kind.

mod bounds;
mod call;
mod circuit;
mod cleanup;
mod config_update;
mod failover;
mod file_restore;
mod instances;
mod memory;
mod mode;
mod offenders;
mod release;
mod set_aside;
mod signal;
mod stale_file;
mod traffic;
mod unit_limits;
mod zombies;

use std::{collections::BTreeMap, ops::Range};

use prunella_core::{
    remedy::{Remedy, TrafficWay},
    service::Service,
};

use super::first_of;
use crate::{
    diagnostic::Place,
    reader::{Reader, Section},
};

/// Reads one table of a kind; none when something in it is wrong.
type ReadRemedy = fn(&mut Reader<'_>, Section<'_>, &Range<usize>) -> Option<Remedy>;

/// The tables, with what reads each.
const KINDS: &[(&str, &str, ReadRemedy)] = &[
    ("call", "[[call]]", call::read),
    ("circuit", "[[circuit]]", circuit::read),
    ("cleanup", "[[cleanup]]", cleanup::read),
    ("config-update", "[[config-update]]", config_update::read),
    ("failover", "[[failover]]", failover::read),
    ("file-restore", "[[file-restore]]", file_restore::read),
    ("instances", "[[instances]]", instances::read),
    ("memory", "[[memory]]", memory::read),
    ("mode", "[[mode]]", mode::read),
    ("offenders", "[[offenders]]", offenders::read),
    ("release", "[[release]]", release::read),
    ("set-aside", "[[set-aside]]", set_aside::read),
    ("signal", "[[signal]]", signal::read),
    ("stale-file", "[[stale-file]]", stale_file::read),
    ("traffic", "[[traffic]]", traffic::read),
    ("unit-limits", "[[unit-limits]]", unit_limits::read),
    ("zombies", "[[zombies]]", zombies::read),
];

/// The names of the tables.
pub(in super::super) fn tables() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(table, ..)| *table)
}

/// Reads all of them, and where each is declared. A name is one remedy's, whatever its kind:
/// grants go by it.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    service: &mut Service,
) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let mut spans = Vec::new();
    for (table, shown, read) in KINDS {
        for (section, at) in reader.sections(top, table, shown) {
            let name = reader.name(section, &at);
            let remedy = read(reader, section, &at);
            if let Some(name) = name
                && first_of(reader, &mut seen, "remedy", &name, &at)
                && let Some(remedy) = remedy
                && !makes_way_for_itself(reader, &remedy, service, &at)
                && !is_second_circuit(reader, &remedy, service, &at)
            {
                check_against(reader, &at, service, &remedy);
                if let Remedy::Failover(declared) = &remedy {
                    failover::takes_checks(service, declared);
                }
                places.insert(name.clone(), reader.source.place(at.clone()));
                spans.push((name.clone(), at));
                service.remedies.insert(name, remedy);
            }
        }
    }
    for (name, at) in spans {
        traffic::check_servers(reader, &at, service, &name);
    }
    places
}

/// Whether the service is declared to make way for itself, which is a mistake.
fn makes_way_for_itself(
    reader: &mut Reader<'_>,
    remedy: &Remedy,
    service: &Service,
    at: &Range<usize>,
) -> bool {
    let itself = matches!(remedy, Remedy::Offender(offender) if offender.unit == service.unit);
    if itself {
        reader.error_help(
            at.clone(),
            format!("{} cannot make way for itself", service.unit),
            "name the unit or slice that uses what the service needs",
        );
    }
    itself
}

/// Whether the service has a circuit already, which is a mistake: it is isolated or not.
fn is_second_circuit(
    reader: &mut Reader<'_>,
    remedy: &Remedy,
    service: &Service,
    at: &Range<usize>,
) -> bool {
    let is_circuit = |remedy: &Remedy| matches!(remedy, Remedy::Circuit(_));
    let first = service.remedies.iter().find(|(_, other)| is_circuit(other));
    let Some((first, _)) = first.filter(|_| is_circuit(remedy)) else {
        return false;
    };
    reader.error_help(
        at.clone(),
        format!("{} has a second circuit, beside `{first}`", service.unit),
        "declare one: a service is isolated, or it is not",
    );
    true
}

/// What a remedy names has to be declared, and the service itself is not stopped by one: it
/// would never be proven well.
fn check_against(reader: &mut Reader<'_>, at: &Range<usize>, service: &Service, remedy: &Remedy) {
    for check in remedy.checks() {
        if let Err(failure) = service.check(check) {
            reader.error(at.clone(), failure.message);
        }
    }
    if let Remedy::Failover(declared) = remedy {
        failover::check_against(reader, at, service, declared);
    }
    if let Some(check) = looks_by(remedy)
        && service.check(check).is_ok_and(|check| check.mutates)
    {
        reader.error_help(
            at.clone(),
            format!("the check `{check}` changes things, and it is run before anything is done"),
            "name a check that changes nothing",
        );
    }
    if remedy.stops().contains(&service.unit) {
        reader.error_help(
            at.clone(),
            format!(
                "{} would be stopped, and never be proven well",
                service.unit
            ),
            "name the other units that are stopped",
        );
    }
}

/// The declared check that is run to see whether there is anything to do.
fn looks_by(remedy: &Remedy) -> Option<&str> {
    match remedy {
        Remedy::ConfigUpdate(declared) => Some(&declared.check),
        Remedy::FileRestore(declared) => declared.check.as_deref(),
        Remedy::Traffic(declared) => match &declared.way {
            TrafficWay::Checks(checks) => checks.drained.as_deref(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
