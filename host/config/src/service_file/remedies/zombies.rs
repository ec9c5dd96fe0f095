//! Reads `[[zombies]]`.

use std::ops::Range;

use prunella_core::remedy::{Remedy, Zombies};

use crate::reader::{Reader, Section};

/// Fewer may well be on their way.
const AT_LEAST: u32 = 10;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    _at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &["name", "at-least"]);
    let at_least = reader
        .number(section, "at-least", 1_000_000)
        .unwrap_or(AT_LEAST);
    Some(Remedy::Zombies(Zombies { at_least }))
}
