//! Reads `[[instances]]`.

use std::{ops::Range, time::Duration};

use prunella_core::{
    UnitName,
    remedy::{Instances, Remedy},
};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// Between one change and the next.
const COOLDOWN: Duration = Duration::from_secs(5 * 60);
/// One that was added runs for an hour at most.
const LEASE: Duration = Duration::from_secs(60 * 60);
/// It is stopped before, once the service was well for so long.
const CALM: Duration = Duration::from_secs(15 * 60);
/// More instances of one template are none that are watched one by one.
const MOST: u32 = 100;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(
        section,
        &[
            "name",
            "template",
            "min",
            "max",
            "cooldown",
            "lease",
            "calm",
            "drain",
            "drain-traffic",
        ],
    );
    let cooldown = reader.duration(section, "cooldown", LEAST);
    let lease = reader.duration(section, "lease", LEAST);
    let calm = reader.duration(section, "calm", Duration::ZERO);
    let drain = reader.text(section, "drain", "drained");
    let drain_traffic = reader.text(section, "drain-traffic", "front");
    for (key, example) in [
        ("template", "template = \"app@.service\""),
        ("max", "max = 4"),
    ] {
        if !section.table.contains_key(key) {
            reader.error_help(
                at.clone(),
                format!("[[instances]] has no `{key}`"),
                format!("add a line such as `{example}`"),
            );
            return None;
        }
    }
    let template = template(reader, section)?;
    let max = reader.number(section, "max", MOST)?;
    let min = if section.table.contains_key("min") {
        reader.number(section, "min", MOST)?
    } else {
        1
    };
    if min > max {
        reader.error(
            at.clone(),
            format!("`min` is {min}, and must not be more than `max`, {max}"),
        );
        return None;
    }
    Some(Remedy::Instances(Instances {
        template,
        min,
        max,
        cooldown: cooldown.unwrap_or(COOLDOWN),
        lease: lease.unwrap_or(LEASE),
        calm: calm.unwrap_or(CALM),
        drain: drain.map(|(name, _)| name.to_owned()),
        drain_traffic: drain_traffic.map(|(name, _)| name.to_owned()),
    }))
}

fn template(reader: &mut Reader<'_>, section: Section<'_>) -> Option<UnitName> {
    let (text, span) = reader.text(section, "template", "app@.service")?;
    match UnitName::from_user(text) {
        Ok(unit) if unit.is_template() && unit.kind() == "service" => Some(unit),
        Ok(unit) => {
            reader.error_help(
                span,
                format!("{unit} is not the template of a service"),
                "name it with its `@` and without an instance, such as `app@.service`",
            );
            None
        }
        Err(error) => {
            reader.error(span, prunella_core::text::one_line(&error.to_string(), 300));
            None
        }
    }
}
