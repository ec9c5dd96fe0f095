//! Reads `[[circuit]]`.

use std::{ops::Range, time::Duration};

use prunella_core::{
    duration::written,
    remedy::{Circuit, Remedy},
};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// What failed once or twice may be well after another start.
const FAILURES: u32 = 3;
const WINDOW: Duration = Duration::from_secs(10 * 60);
const WAIT: Duration = Duration::from_secs(30);
const WAIT_MOST: Duration = Duration::from_secs(5 * 60);

/// One failure opens nothing; more than these are never counted.
const FAILURES_ALLOWED: std::ops::RangeInclusive<u32> = 2..=100;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(
        section,
        &["name", "failures", "window", "wait", "wait-most"],
    );
    let failures = match section.table.get("failures") {
        Some(value) => reader.number_in(value, "failures", FAILURES_ALLOWED)?,
        None => FAILURES,
    };
    let window = reader.duration(section, "window", LEAST).unwrap_or(WINDOW);
    let wait = reader.duration(section, "wait", LEAST).unwrap_or(WAIT);
    let most = reader.duration(section, "wait-most", LEAST);
    let wait_most = most.unwrap_or(WAIT_MOST.max(wait));
    if wait_most < wait {
        let span = section.table.get("wait-most").map(|value| value.span());
        reader.error_help(
            span.unwrap_or_else(|| at.clone()),
            format!(
                "`wait-most` is {}, and must not be less than `wait`, {}",
                written(wait_most),
                written(wait)
            ),
            "the first time that the circuit is open it is for `wait`",
        );
        return None;
    }
    Some(Remedy::Circuit(Circuit {
        failures,
        window,
        wait,
        wait_most,
    }))
}
