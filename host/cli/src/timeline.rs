//! An incident as it goes, a line for each step worth one.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anstyle::{AnsiColor, Style};
use prunella_core::{
    Monotonic,
    capability::ActiveState,
    cause::Cause,
    incident::{Ending, Incident, Outcome},
    text::without_numbers,
    trail::{Awaited, Entry, Step},
};
use prunella_healer::Observer;
use prunella_report::{Importance, Mark, describe};

use crate::output::{width, wrap};

/// Bytes of a reason that is not worth reading twice.
const LONG: usize = 40;

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
    /// The attempt that was shown first, and the texts that were shown, without their numbers:
    /// of the attempts after it only what is new is shown.
    first_attempt: Option<u32>,
    shown: BTreeSet<String>,
    /// When the first step was.
    begun: Option<Monotonic>,
    /// Whether how it ended was among it.
    end: bool,
    /// Whether the unit was up when its healing was asked for.
    was_up: bool,
    /// The reasons that were given in the attempt of this number, the longest first.
    reasons_of: u32,
    reasons: Vec<String>,
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
        let (begun, style, text) = {
            let mut seen = self.lock();
            let begun = seen.note(entry);
            let Some((style, text)) = line(&entry.step) else {
                return;
            };
            let text = seen.without_repetition(entry, text);
            match seen.news(entry, text) {
                Some(text) => (begun, style, text),
                None => return,
            }
        };
        let after = crate::time::took(entry.monotonic.since(begun));
        let mut first = after.as_str();
        for line in wrap(&text, width().saturating_sub(INDENT)) {
            anstream::println!("{DIM}{first:>10}{DIM:#}  {style}{line}{style:#}");
            first = "";
        }
    }
}

impl Seen {
    /// Takes note of a step, shown or not. Answers when the first was.
    fn note(&mut self, entry: &Entry) -> Monotonic {
        self.end |= matches!(entry.step, Step::Ended { .. });
        if let Step::Detected { detection, .. } = &entry.step {
            self.was_up = detection.cause == Cause::State(ActiveState::Active);
        }
        *self.begun.get_or_insert(entry.monotonic)
    }

    /// A line without the reason that a line of the same try gave before it: what a strategy
    /// was denied is why it failed, and why people are needed.
    fn without_repetition(&mut self, entry: &Entry, text: String) -> String {
        let reason = match &entry.step {
            Step::ActDenied { failure, .. } => failure.message.as_str(),
            Step::Returned {
                outcome: Err(failure),
                ..
            } => failure.message.as_str(),
            Step::Returned {
                outcome: Ok(Outcome::Failed { reason }),
                ..
            }
            | Step::Ended {
                ending: Ending::Escalated { reason, .. },
            } => reason.as_str(),
            _ => return text,
        };
        if self.reasons_of != entry.attempt {
            self.reasons_of = entry.attempt;
            self.reasons.clear();
        }
        let mut shown = text;
        for told in self.reasons.iter().filter(|told| told.len() >= LONG) {
            shown = shown.replace(told.as_str(), "as above");
        }
        self.reasons.push(reason.to_owned());
        // The longer one holds the shorter one.
        self.reasons
            .sort_by_key(|told| std::cmp::Reverse(told.len()));
        shown
    }

    /// What is news of a line: of the tries after the first, what was not there before, and
    /// of each that went like those before one line.
    fn news(&mut self, entry: &Entry, text: String) -> Option<String> {
        let first = *self.first_attempt.get_or_insert(entry.attempt);
        let is_new = self.shown.insert(without_numbers(&text));
        if is_new || entry.attempt <= first || matches!(entry.step, Step::Ended { .. }) {
            return Some(text);
        }
        let is_end_of_try = matches!(
            entry.step,
            Step::Waits {
                on: Awaited::Budget,
                ..
            }
        );
        let number = entry.attempt - first + 1;
        is_end_of_try.then(|| format!("try {number} went like the one before; {text}"))
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

#[cfg(test)]
mod tests {
    use prunella_core::{Failure, Timestamp, incident::IncidentId};
    use std::time::Duration;

    use super::*;

    fn entry(attempt: u32, step: Step) -> Entry {
        Entry {
            incident: IncidentId::from_text("x"),
            number: 0,
            at: Timestamp::from_millis(1),
            monotonic: Monotonic::from_micros(1),
            attempt,
            step,
        }
    }

    #[test]
    fn a_reason_is_told_once_in_a_try() {
        let denied =
            "root (uid 0) has denied process-control.terminate on process 7 (nc, user root)";
        let failed = format!("tcp/80 is held by nc (pid 7); {denied}");
        let steps = || {
            [
                Step::ActDenied {
                    strategy: "port-conflict".parse().unwrap(),
                    act: "process-control.terminate".to_owned(),
                    target: "process 7 (nc, user root)".to_owned(),
                    failure: Failure::denied("disapproved", denied),
                },
                Step::Returned {
                    strategy: "port-conflict".parse().unwrap(),
                    outcome: Ok(Outcome::Failed {
                        reason: failed.clone(),
                    }),
                    took: Duration::ZERO,
                },
                Step::Ended {
                    ending: Ending::Escalated {
                        reason: format!("port-conflict: {failed}"),
                        retry_at: None,
                    },
                },
            ]
        };
        let mut seen = Seen::default();
        for attempt in [1, 2] {
            let lines: Vec<String> = steps()
                .into_iter()
                .filter_map(|step| {
                    let (_, text) = line(&step)?;
                    Some(seen.without_repetition(&entry(attempt, step), text))
                })
                .collect();
            assert_eq!(lines.join("|").matches(denied).count(), 1, "{lines:?}");
            assert_eq!(
                lines.join("|").matches("is held by").count(),
                1,
                "{lines:?}"
            );
            assert!(lines.last().unwrap().ends_with("as above"), "{lines:?}");
        }
    }

    #[test]
    fn a_try_that_goes_like_the_one_before_is_one_line() {
        let heals = || Step::Heals {
            strategy: "service-restart".parse().unwrap(),
        };
        let not_proven = |reason: &str| Step::NotProven {
            strategy: None,
            reason: reason.to_owned(),
            relapse: false,
        };
        let waits = |seconds| Step::Waits {
            on: Awaited::Budget,
            reason: "the healing budget spaces attempts out".to_owned(),
            up_to: Duration::from_secs(seconds),
        };
        let mut seen = Seen::default();
        let mut lines = |attempt, step: Step| {
            let text = line(&step).map(|(_, text)| text)?;
            seen.news(&entry(attempt, step), text)
        };
        // Whichever attempt of the incident is the first that is seen.
        for step in [heals(), not_proven("exit code 1"), waits(1)] {
            assert!(lines(7, step).is_some());
        }
        assert_eq!(lines(8, heals()), None);
        assert_eq!(lines(8, not_proven("exit code 1")), None);
        let again = lines(8, waits(5)).unwrap();
        assert!(
            again.starts_with("try 2 went like the one before; "),
            "{again}"
        );
        assert_eq!(lines(9, heals()), None);
        assert!(lines(9, not_proven("it does not answer")).is_some());
    }
}
