//! Reads `[[memory]]`.

use std::ops::Range;

use prunella_core::remedy::{MemoryReclaim, Remedy};

use super::bounds;
use crate::reader::{Reader, Section};

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &["name", "unit", "at-most"]);
    let unit = bounds::unit(reader, section)?.map(|(unit, _)| unit);
    if !section.table.contains_key("at-most") {
        reader.error_help(
            at.clone(),
            "[[memory]] does not say how much may be reclaimed at a time",
            "add a line such as `at-most = \"256MiB\"`",
        );
        return None;
    }
    let at_most = reader.size(section, "at-most")?;
    Some(Remedy::MemoryReclaim(MemoryReclaim { unit, at_most }))
}
