//! Reads the remedies that a service declares: a table, and a file here, for each kind.

mod bounds;
mod instances;
mod memory;
mod offenders;
mod set_aside;
mod unit_limits;
mod zombies;

use std::{collections::BTreeMap, ops::Range};

use prunella_core::{
    remedy::{Instances, Remedy},
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
    ("instances", "[[instances]]", instances::read),
    ("memory", "[[memory]]", memory::read),
    ("offenders", "[[offenders]]", offenders::read),
    ("set-aside", "[[set-aside]]", set_aside::read),
    ("unit-limits", "[[unit-limits]]", unit_limits::read),
    ("zombies", "[[zombies]]", zombies::read),
];

/// The names of the tables.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
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
    for (table, shown, read) in KINDS {
        for (section, at) in reader.sections(top, table, shown) {
            let name = reader.name(section, &at);
            let remedy = read(reader, section, &at);
            if let Some(name) = name
                && first_of(reader, &mut seen, "remedy", &name, &at)
                && let Some(remedy) = remedy
                && !makes_way_for_itself(reader, &remedy, service, &at)
                && has_its_check(reader, &remedy, service, &at)
            {
                places.insert(name.clone(), reader.source.place(at));
                service.remedies.insert(name, remedy);
            }
        }
    }
    places
}

/// Whether the check is declared that is to drain an instance.
fn has_its_check(
    reader: &mut Reader<'_>,
    remedy: &Remedy,
    service: &Service,
    at: &Range<usize>,
) -> bool {
    let Remedy::Instances(Instances {
        drain: Some(check), ..
    }) = remedy
    else {
        return true;
    };
    let Err(failure) = service.check(check) else {
        return true;
    };
    reader.error_help(
        at.clone(),
        format!("`drain` names no declared check: {}", failure.message),
        "declare it as [[check]], or leave `drain` out",
    );
    false
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
