//! Reads the remedies that a service declares: a table, and a file here, for each kind.

mod cleanup;
mod mode;
mod set_aside;

use std::{collections::BTreeMap, ops::Range};

use prunella_core::{remedy::Remedy, service::Service};

use super::first_of;
use crate::reader::{Reader, Section};

/// Reads one table of a kind; none when something in it is wrong.
type ReadRemedy = fn(&mut Reader<'_>, Section<'_>, &Range<usize>) -> Option<Remedy>;

/// The tables, with what reads each.
const KINDS: &[(&str, &str, ReadRemedy)] = &[
    ("cleanup", "[[cleanup]]", cleanup::read),
    ("mode", "[[mode]]", mode::read),
    ("set-aside", "[[set-aside]]", set_aside::read),
];

/// The names of the tables.
pub(in super::super) fn tables() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(table, ..)| *table)
}

/// Reads all of them. A name is one remedy's, whatever its kind: grants go by it.
pub(super) fn read(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (table, shown, read) in KINDS {
        for (section, at) in reader.sections(top, table, shown) {
            let name = reader.name(section, &at);
            let remedy = read(reader, section, &at);
            if let Some(name) = name
                && first_of(reader, &mut seen, "remedy", &name, &at)
                && let Some(remedy) = remedy
            {
                check_against(reader, &at, service, &remedy);
                service.remedies.insert(name, remedy);
            }
        }
    }
}

/// What a remedy names has to be declared, and the service itself is not stopped by one: it
/// would never be proven well.
fn check_against(reader: &mut Reader<'_>, at: &Range<usize>, service: &Service, remedy: &Remedy) {
    for check in remedy.checks() {
        if let Err(failure) = service.check(check) {
            reader.error(at.clone(), failure.message);
        }
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
