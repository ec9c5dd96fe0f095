//! Reads `[[mode]]`.

use std::{ops::Range, time::Duration};

use prunella_core::{
    UnitName,
    remedy::{Mode, Remedy},
};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// A mode is left after an hour.
const LEASE: Duration = Duration::from_secs(60 * 60);
/// A service has to be well for ten minutes before its mode is left.
const CALM: Duration = Duration::from_secs(10 * 60);

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(
        section,
        &["name", "stop", "start", "enter", "leave", "lease", "calm"],
    );
    let stop = units(reader, section, "stop");
    let start = units(reader, section, "start");
    let enter = check(reader, section, "enter");
    let leave = check(reader, section, "leave");
    let lease = reader.duration(section, "lease", LEAST).unwrap_or(LEASE);
    let calm = reader
        .duration(section, "calm", Duration::ZERO)
        .unwrap_or(CALM);
    if stop.is_empty() && start.is_empty() && enter.is_none() {
        reader.error_help(
            at.clone(),
            "[[mode]] changes nothing",
            "say what is different in it: `stop = [\"worker.service\"]`, `start = \
             [\"maintenance.service\"]`, or `enter = \"CHECK\"`",
        );
        return None;
    }
    if enter.is_some() && leave.is_none() {
        reader.error_help(
            at.clone(),
            "`enter` has no `leave`",
            "name the check that takes back what `enter` does: a mode is for a while",
        );
        return None;
    }
    if let Some(both) = stop.iter().find(|unit| start.contains(unit)) {
        reader.error_help(
            at.clone(),
            format!("{both} is both stopped and started"),
            "leave it out of one of them",
        );
        return None;
    }
    Some(Remedy::Mode(Mode {
        stop,
        start,
        enter,
        leave,
        lease,
        calm,
    }))
}

fn units(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Vec<UnitName> {
    let mut units = Vec::new();
    for text in reader.texts(section, key, "\"worker.service\"") {
        let span = text.1.clone();
        let Some(unit) = reader.unit(text) else {
            continue;
        };
        if units.contains(&unit) {
            reader.warn(span, format!("{unit} is named twice"), "name it once");
        } else {
            units.push(unit);
        }
    }
    units
}

/// The name of a check.
fn check(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<String> {
    reader
        .text(section, key, "read-only-on")
        .map(|(text, _)| text.to_owned())
}
