//! Reads `[[unit-limits]]`.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use prunella_core::remedy::{Remedy, UnitLimits, UnitProperty};

use super::{super::LEAST, bounds};
use crate::reader::{Reader, Section};

/// Moved limits go back after half an hour.
pub(super) const LEASE: Duration = Duration::from_secs(30 * 60);
/// They go back before, once the service was well for so long.
pub(super) const CALM: Duration = Duration::from_secs(10 * 60);

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    let known: Vec<&str> = ["name", "unit", "lease", "calm"]
        .into_iter()
        .chain(UnitProperty::ALL.map(UnitProperty::as_str))
        .collect();
    reader.only(section, &known);
    let lease = reader.duration(section, "lease", LEAST).unwrap_or(LEASE);
    let calm = reader
        .duration(section, "calm", Duration::ZERO)
        .unwrap_or(CALM);
    let named = UnitProperty::ALL
        .into_iter()
        .filter(|property| section.table.contains_key(property.as_str()));
    let named: Vec<UnitProperty> = named.collect();
    let found: BTreeMap<_, _> = named
        .iter()
        .filter_map(|property| Some((*property, bounds::bounds_of(reader, section, *property)?)))
        .collect();
    if named.is_empty() {
        reader.error_help(
            at.clone(),
            "[[unit-limits]] names no limit",
            "add a line such as `memory-high = { min = \"512MiB\", max = \"2GiB\", step = \
             \"256MiB\" }`",
        );
    }
    let unit = bounds::unit(reader, section)?.map(|(unit, _)| unit);
    (!found.is_empty() && found.len() == named.len()).then_some(Remedy::UnitLimits(UnitLimits {
        unit,
        bounds: found,
        lease,
        calm,
    }))
}
