//! An incident as it goes, a line for each step worth one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use prunella_core::{
    Monotonic,
    capability::ActiveState,
    cause::Cause,
    incident::Incident,
    trail::{Entry, Step},
};
use prunella_healer::Observer;
use prunella_report::{Importance, Mark, describe};

use crate::output::{width, wrap};

/// Where the text of a line begins.
const INDENT: usize = 12;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const ACT: Style = AnsiColor::Cyan.on_default();
const WAITING: Style = AnsiColor::Yellow.on_default();

/// Prints the steps of an incident to standard output.
#[derive(Default)]
pub(crate) struct Timeline(Mutex<Seen>);

/// What was shown so far.
#[derive(Default)]
struct Seen {
    /// When the first step was.
    begun: Option<Monotonic>,
    /// Whether how it ended was among it.
    end: bool,
    /// Whether the unit was up when its healing was asked for.
    was_up: bool,
}

impl Timeline {
    /// Whether how it ended was shown.
    pub(crate) fn has_shown_end(&self) -> bool {
        self.lock().end
    }

    /// Whether the unit was up when its healing was asked for.
    pub(crate) fn was_up(&self) -> bool {
        self.lock().was_up
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn show(&self, entry: &Entry) {
        let begun = {
            let mut seen = self.lock();
            seen.end |= matches!(entry.step, Step::Ended { .. });
            if let Step::Detected { detection, .. } = &entry.step {
                seen.was_up = detection.cause == Cause::State(ActiveState::Active);
            }
            *seen.begun.get_or_insert(entry.monotonic)
        };
        let Some((style, text)) = line(&entry.step) else {
            return;
        };
        let after = crate::time::took(entry.monotonic.since(begun));
        let mut first = after.as_str();
        for line in wrap(&text, width().saturating_sub(INDENT)) {
            anstream::println!("{DIM}{first:>10}{DIM:#}  {style}{line}{style:#}");
            first = "";
        }
    }
}

impl Observer for Timeline {
    fn step(&self, _: &Incident, entry: &Entry) {
        self.show(entry);
    }
}

/// A step as one line; none for those that only matter in a report.
fn line(step: &Step) -> Option<(Style, String)> {
    let described = describe(step);
    if described.importance == Importance::Record {
        return None;
    }
    let style = match described.mark {
        Mark::Plain if described.act.is_some() => ACT,
        Mark::Plain if described.importance == Importance::Detail => DIM,
        Mark::Plain => Style::new(),
        Mark::Good => GOOD,
        Mark::Bad => BAD,
        Mark::Unknown => WAITING,
        Mark::DryRun => ACT,
    };
    let text = match step {
        Step::Detected { detection, .. } => format!("{}: {}", detection.unit, described.text),
        Step::Proposed { approval, .. } => {
            format!("{}: sudo prunella approve {approval}", described.text)
        }
        _ => described.text,
    };
    let is_end = matches!(step, Step::Ended { .. });
    Some((if is_end { style.bold() } else { style }, text))
}
