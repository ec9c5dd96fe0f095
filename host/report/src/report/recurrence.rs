//! Repeated failures: healing must not hide a fault.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Command, Moment, words};
use prunella_core::{Timestamp, UnitName, capability::PastIncident, cause::Cause};

/// How far back a report looks.
pub const LOOK_BACK: Duration = Duration::from_secs(7 * 24 * 3_600);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How often it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Often {
    /// For the second time in a week.
    Again,
    /// Three times in a week, or more.
    Often,
    /// Five times in a day, or ten times in a week, or more: whatever heals it
    /// only keeps it alive.
    Constantly,
}

/// A failure that is not the first of its kind lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recurrence {
    /// How often it happens.
    pub often: Often,
    /// Failures in the week up to this one, this one among them.
    pub failed: u32,
    /// How many of them were healed.
    pub healed: u32,
    /// The same of the last 24 hours.
    pub failed_today: u32,
    /// How many of those were healed.
    pub healed_today: u32,
    /// When it failed the time before.
    pub before: Moment,
    /// In a few words: `healed 4 times this week`.
    pub words: String,
    /// In a sentence or two.
    pub sentence: String,
    /// What is likely worth doing about it.
    pub advice: String,
    /// What to look at.
    pub commands: Vec<Command>,
}

/// This failure, as it is counted.
pub(super) struct This<'a> {
    pub(super) id: &'a str,
    pub(super) unit: &'a UnitName,
    pub(super) at: Timestamp,
    pub(super) cause: &'a str,
    /// The signal that ended the main process, without `SIG`.
    pub(super) signal: Option<&'a str>,
    pub(super) ended: &'a str,
    pub(super) strategy: Option<&'a str>,
}

impl This<'_> {
    /// Whether the kernel ended it for what it did itself.
    fn is_crash(&self) -> bool {
        matches!(
            self.signal,
            Some("SEGV" | "BUS" | "ILL" | "FPE" | "ABRT" | "TRAP" | "SYS")
        )
    }
}

/// Whether an incident with this cause that ended so was a failure of the service.
fn counts(cause: &str, ended: &str) -> bool {
    // Somebody asked about it, or it was only slow: nothing had failed.
    let was_up = matches!(
        Cause::from(cause),
        Cause::RestartRequested | Cause::State(_) | Cause::Degraded
    );
    !was_up && !matches!(ended, "left-alone" | "dry-run")
}

/// What the past makes of this failure; nothing when it is the first in a week,
/// or no failure.
pub(super) fn recurrence(
    this: &This<'_>,
    past: &[PastIncident],
    moment: impl Fn(Timestamp) -> Moment,
    zone: &TimeZone,
) -> Option<Recurrence> {
    if !counts(this.cause, this.ended) {
        return None;
    }
    let within = |at: Timestamp, span: Duration| at <= this.at && this.at.since(at) < span;
    let before: Vec<&PastIncident> = past
        .iter()
        .filter(|past| {
            past.id != this.id && counts(&past.cause, &past.ended) && within(past.at, LOOK_BACK)
        })
        .collect();
    let latest = before.iter().map(|past| past.at).max()?;
    let count = |span: Duration, healed_only: bool| {
        let earlier = before
            .iter()
            .filter(|past| within(past.at, span) && (!healed_only || past.ended == "healed"))
            .count();
        let this = usize::from(!healed_only || this.ended == "healed");
        u32::try_from(earlier + this).unwrap_or(u32::MAX)
    };
    let (failed, healed) = (count(LOOK_BACK, false), count(LOOK_BACK, true));
    let (failed_today, healed_today) = (count(DAY, false), count(DAY, true));
    let often = if failed_today >= 5 || failed >= 10 {
        Often::Constantly
    } else if failed >= 3 {
        Often::Often
    } else {
        Often::Again
    };
    // What fails that often within a day is told of by the day.
    let by_day = often == Often::Constantly && failed_today >= 5;
    let (number, healings, span) = if by_day {
        (failed_today, healed_today, "in 24 hours")
    } else {
        (failed, healed, "this week")
    };
    let words = if healings == number {
        format!("healed {} {span}", words::times(healings))
    } else if healings == 0
        && (this.ended == "recovered" || before.iter().any(|past| past.ended == "recovered"))
    {
        format!("failed {} {span}", words::times(number))
    } else if healings == 0 {
        format!("failed {} {span}, never healed", words::times(number))
    } else {
        format!(
            "failed {} {span}, healed {}",
            words::times(number),
            words::times(healings)
        )
    };
    let sentence = if healings == number {
        format!("{} was {words}", this.unit)
    } else {
        format!("{} {words}", this.unit)
    };
    let before_moment = moment(latest);
    let first = match often {
        Often::Again => format!("{sentence}; the time before was {}.", before_moment.local),
        _ => format!("{sentence}."),
    };
    let healed_it = healings > 0;
    let judged = match often {
        Often::Again => "Once may be chance; once more would be a pattern.",
        Often::Often if healings == number => {
            "Healing brings it back each time; it does not remove the cause."
        }
        Often::Often if healed_it => "Healing does not remove the cause.",
        Often::Constantly if healed_it => {
            "This is a standing fault, and healing hides it: it is being kept alive, not well."
        }
        Often::Often | Often::Constantly => "It will not go away by itself.",
    };
    let (advice, look) = next_step(this, &before);
    let unit = words::shell(this.unit);
    let mut commands = vec![Command {
        command: format!("prunella incidents --unit {unit} --since 7d"),
        purpose: "its failures side by side".to_owned(),
    }];
    if let Some((command, purpose)) = look {
        commands.push(Command {
            command: command
                .replace("{unit}", &unit)
                .replace("{since}", &words::shell_time(latest, zone)),
            purpose: purpose.to_owned(),
        });
    }
    Some(Recurrence {
        often,
        failed,
        healed,
        failed_today,
        healed_today,
        before: before_moment,
        words,
        sentence: format!("{first} {judged}"),
        advice,
        commands,
    })
}

type Look = Option<(&'static str, &'static str)>;

/// The likeliest next step, by what the failures have in common.
fn next_step(this: &This<'_>, before: &[&PastIncident]) -> (String, Look) {
    let same_cause = before.iter().all(|past| past.cause == this.cause);
    let by = this.strategy.filter(|strategy| {
        before
            .iter()
            .all(|past| past.strategy.as_deref() == Some(*strategy))
    });
    if !same_cause {
        return (
            "The causes differ, so look for what these moments have in common: load, a full \
             disk, a timer, a deployment."
                .to_owned(),
            None,
        );
    }
    if by == Some("port-conflict") {
        return (
            "Each time something else held its port. Find out what starts that, and stop it \
             there."
                .to_owned(),
            None,
        );
    }
    let (advice, look): (&str, Look) = match this.cause {
        "oom-kill" => (
            "Each time for want of memory: give it more (MemoryMax=, or a larger host), or find \
             out what lets it grow.",
            Some((
                "systemctl show {unit} -p MemoryMax -p MemoryHigh -p MemoryCurrent",
                "how much it may have, and has",
            )),
        ),
        "core-dump" | "signal" if this.cause == "core-dump" || this.is_crash() => (
            "Each time it crashed by a fault of its own: its maintainers need the core dump, or \
             an older version may help.",
            Some((
                "coredumpctl info COREDUMP_UNIT={unit}",
                "where in the program it crashed; it needs the package systemd-coredump",
            )),
        ),
        "signal" => (
            "Each time something ended it from outside: find out who sends the signal. systemd \
             logs that for the unit where it was asked to; the kernel's log (journalctl -k) tells \
             when it was the kernel.",
            Some((
                "journalctl -u {unit} --since \"{since}\" -g signal",
                "the signals that systemd saw or sent since the time before",
            )),
        ),
        "timeout" => (
            "Each time it took too long: find out what it waits for before its time limit is \
             raised.",
            Some((
                "systemctl show {unit} -p TimeoutStartUSec -p TimeoutStopUSec",
                "how long it may take",
            )),
        ),
        "watchdog" | "not-answering" => (
            "Each time it hung while it ran: look at what it waits for (a database, a lock, a \
             full pool of connections) while it hangs.",
            None,
        ),
        "dependency" => (
            "Each time something that it requires failed first: that is what has to be mended.",
            Some((
                "systemctl list-dependencies {unit}",
                "what it needs, and how that is",
            )),
        ),
        "restart-loop" => (
            "systemd restarts it, and it ends again: mend what ends it, or Restart= goes on \
             hiding it.",
            Some((
                "systemctl show {unit} -p Restart -p RestartUSec -p NRestarts",
                "how systemd restarts it",
            )),
        ),
        _ => (
            "Each time in the same way: compare what it logged before each failure, and what \
             changed before the first.",
            Some((
                "journalctl -u {unit} --since \"{since}\" -p warning",
                "its warnings and errors since the time before",
            )),
        ),
    };
    (advice.to_owned(), look)
}
