//! Reads `[[offenders]]`.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use prunella_core::{
    UnitName,
    remedy::{Offender, Remedy, UnitProperty},
};

use super::{
    super::LEAST,
    bounds,
    unit_limits::{CALM, LEASE},
};
use crate::reader::{Reader, Section};

/// What throttles a unit and takes nothing from it for good.
const THROTTLES: [UnitProperty; 3] = [
    UnitProperty::CpuQuota,
    UnitProperty::CpuWeight,
    UnitProperty::IoWeight,
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(
        section,
        &["name", "unit", "throttle", "freeze", "lease", "calm"],
    );
    let lease = reader.duration(section, "lease", LEAST).unwrap_or(LEASE);
    let calm = reader
        .duration(section, "calm", Duration::ZERO)
        .unwrap_or(CALM);
    let freeze = reader.flag(section, "freeze").unwrap_or(false);
    let throttle = throttle(reader, section)?;
    let Some((unit, span)) = bounds::unit(reader, section)? else {
        reader.error_help(
            at.clone(),
            "[[offenders]] has no unit",
            "add a line such as `unit = \"batch.slice\"`",
        );
        return None;
    };
    if throttle.is_empty() && !freeze {
        reader.error_help(
            at.clone(),
            format!("[[offenders]] says nothing that may be done to {unit}"),
            "add a line such as `throttle = { cpu-weight = 10 }`",
        );
        return None;
    }
    if freeze && is_of_logins(&unit) {
        reader.error_help(
            span,
            format!("{unit} cannot be frozen: people work in it"),
            "leave `freeze` out; `throttle` is possible",
        );
        return None;
    }
    Some(Remedy::Offender(Offender {
        unit,
        throttle,
        freeze,
        lease,
        calm,
    }))
}

/// Whether people work in it, who could not thaw it any more.
fn is_of_logins(unit: &UnitName) -> bool {
    let name = unit.as_str();
    name == "user.slice"
        || name.starts_with("user@")
        || (unit.kind() == "slice" && name.starts_with("user-"))
        || (unit.kind() == "scope" && name.starts_with("session-"))
}

/// What the unit is throttled to; none where something of it is wrong.
fn throttle(reader: &mut Reader<'_>, section: Section<'_>) -> Option<BTreeMap<UnitProperty, u64>> {
    if !section.table.contains_key("throttle") {
        return Some(BTreeMap::new());
    }
    let inner = reader.section(section, "throttle", "throttle = { cpu-weight = 10 }")?;
    let known = THROTTLES.map(UnitProperty::as_str);
    reader.only(
        Section {
            name: "throttle",
            ..inner
        },
        &known,
    );
    let mut throttle = BTreeMap::new();
    for property in THROTTLES {
        if inner.table.contains_key(property.as_str()) {
            let value = bounds::value_of(reader, inner, property, property.as_str())?;
            throttle.insert(property, value);
        }
    }
    Some(throttle)
}
