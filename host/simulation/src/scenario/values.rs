//! Values that several tables of a scenario have.

use std::{ops::Range, time::Duration};

use prunella_config::reader::{Reader, Section};

/// A time after which something happens.
pub(super) fn after(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<Duration> {
    reader.duration(section, key, Duration::ZERO)
}

pub(super) fn not_a_port(reader: &mut Reader<'_>, text: &str, span: Range<usize>) {
    let shown = prunella_core::text::one_line(text, 40);
    reader.error_help(
        span,
        format!("`{shown}` is not a port"),
        "write protocol and number, such as \"tcp/80\" or \"udp/53\"",
    );
}

/// A whole number of any size.
pub(super) fn whole(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<i64> {
    let value = section.table.get(key)?;
    let number = value
        .get_ref()
        .as_integer()
        .and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
    if number.is_none() {
        let example = format!("for example: {key} = 400");
        reader.error_help(
            value.span(),
            format!("`{key}` must be a whole number"),
            example,
        );
    }
    number
}
