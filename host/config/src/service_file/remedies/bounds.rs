//! Reads values of a unit's limits, and the bounds within which they may be moved.

use std::ops::Range;

use prunella_core::{
    UnitName,
    remedy::{Bounds, UnitProperty},
};

use crate::{
    reader::{Reader, Section, Value},
    value,
};

/// The weights that systemd knows.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=10_000;

/// Processes and threads, at most; more than any kernel counts.
const TASKS: std::ops::RangeInclusive<u32> = 1..=4_194_304;

/// How a value of each limit is written.
fn example(property: UnitProperty) -> &'static str {
    match property {
        UnitProperty::MemoryHigh | UnitProperty::MemoryMax => {
            "{ min = \"512MiB\", max = \"2GiB\", step = \"256MiB\" }"
        }
        UnitProperty::CpuQuota => "{ min = \"50%\", max = \"200%\", step = \"50%\" }",
        UnitProperty::CpuWeight | UnitProperty::IoWeight => "{ min = 100, max = 1000, step = 300 }",
        UnitProperty::TasksMax => "{ min = 100, max = 1000, step = 200 }",
    }
}

/// A value of a limit, as systemd has it.
pub(super) fn value_of(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    property: UnitProperty,
    key: &str,
) -> Option<u64> {
    match property {
        UnitProperty::MemoryHigh | UnitProperty::MemoryMax => reader.size(section, key),
        UnitProperty::CpuQuota => quota(reader, section, key),
        UnitProperty::CpuWeight | UnitProperty::IoWeight => {
            number(reader, section.table.get(key)?, key, WEIGHTS)
        }
        UnitProperty::TasksMax => number(reader, section.table.get(key)?, key, TASKS),
    }
}

fn number(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    key: &str,
    range: std::ops::RangeInclusive<u32>,
) -> Option<u64> {
    reader.number_in(value, key, range).map(u64::from)
}

/// A share of one processor, such as `50%`, in microseconds a second.
fn quota(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<u64> {
    let (text, span) = reader.text(section, key, "50%")?;
    match value::many_permille(text).filter(|share| *share > 0) {
        Some(share) => Some(share * 1_000),
        None => {
            let shown = prunella_core::text::one_line(text, 40);
            reader.error_help(
                span,
                format!("`{shown}` is not a share of a processor"),
                "write percent of one processor, such as \"50%\" or \"200%\"",
            );
            None
        }
    }
}

/// The bounds of a limit, `{ min, max, step }`; without a step, all at once.
pub(super) fn bounds_of(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    property: UnitProperty,
) -> Option<Bounds> {
    let key = property.as_str();
    let at = section.table.get(key)?.span();
    let Some(inner) = reader.section(section, key, example(property)) else {
        return None;
    };
    reader.only(Section { name: key, ..inner }, &["min", "max", "step"]);
    for wanted in ["min", "max"] {
        if !inner.table.contains_key(wanted) {
            reader.error_help(
                at.clone(),
                format!("`{key}` has no `{wanted}`"),
                format!("for example: {key} = {}", example(property)),
            );
            return None;
        }
    }
    let min = value_of(reader, inner, property, "min")?;
    let max = value_of(reader, inner, property, "max")?;
    if min >= max {
        reader.error(
            at,
            format!(
                "`min` of `{key}` is {}, and must be less than its `max`, {}",
                property.shown(min),
                property.shown(max)
            ),
        );
        return None;
    }
    let step = if inner.table.contains_key("step") {
        value_of(reader, inner, property, "step")?
    } else {
        max - min
    };
    Some(Bounds { min, max, step })
}

/// The unit that a remedy acts on, where the table names one: a service, scope or slice.
/// The outer one is none where what it names is wrong.
pub(super) fn unit(
    reader: &mut Reader<'_>,
    section: Section<'_>,
) -> Option<Option<(UnitName, Range<usize>)>> {
    let Some(text) = reader.text(section, "unit", "batch.slice") else {
        return (!section.table.contains_key("unit")).then_some(None);
    };
    let span = text.1.clone();
    let unit = reader.unit(text)?;
    if !matches!(unit.kind(), "service" | "scope" | "slice") {
        reader.error_help(
            span,
            format!("{unit} has no limits that could be moved"),
            "name a service, a scope or a slice",
        );
        return None;
    }
    if ALL_OF_THE_HOST.contains(&unit.as_str()) {
        reader.error_help(
            span,
            format!("{unit} holds what the host itself needs"),
            "name a service, or a slice of its own, such as `batch.slice`",
        );
        return None;
    }
    Some(Some((unit, span)))
}

/// In them, systemd and Prunella itself run.
const ALL_OF_THE_HOST: [&str; 3] = ["-.slice", "system.slice", "init.scope"];
