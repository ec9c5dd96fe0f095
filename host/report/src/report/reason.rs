//! Why a service failed, in one sentence, as far as that is known.

use super::{
    Explanation, Failure, Obstacle,
    words::{self, clean},
};
use prunella_core::{
    cause::Cause,
    diagnosis,
    incident::{Ending, LeftAlone},
    text::capital,
};

/// The explanations of a failure, and what decides which of them leads.
pub(super) struct Causes<'a> {
    /// How the latest run failed.
    pub(super) failed: &'a Cause,
    /// The surest first.
    pub(super) all: &'a [Explanation],
    /// Whether the service is still down.
    pub(super) still_down: bool,
}

impl<'a> Causes<'a> {
    /// What is told first. While a service is down, that is what keeps it down rather than
    /// the signal that ended a run which could be started again.
    pub(super) fn leading(&self) -> Option<&'a Explanation> {
        let kill = |one: &&Explanation| one.cause == Some(diagnosis::Cause::KillRequested);
        let mut others = self.all.iter().filter(|one| !kill(one));
        let first = self.all.first()?;
        if self.still_down && kill(&first) {
            return others.next().or(Some(first));
        }
        Some(first)
    }

    /// Whether all that is known is that somebody asked systemd to end it.
    pub(super) fn is_kill(&self) -> bool {
        let leading = self.leading().and_then(|one| one.cause);
        leading == Some(diagnosis::Cause::KillRequested)
    }

    /// What leads, where somebody has seen it on the host and a strategy holds everything
    /// for it. What becomes of another service is not to be seen: whoever waits for it says.
    pub(super) fn seen(&self) -> Option<&'a Explanation> {
        let held = self.all.iter().any(|one| one.because.is_none());
        self.leading().filter(|one| {
            held && one.because.is_some()
                && one.from != "log"
                && one.cause != Some(diagnosis::Cause::DependencyRefused)
        })
    }

    /// Who holds a port that it needs, as far as that was seen and not only logged.
    pub(super) fn port_held(&self) -> Option<&'a str> {
        let held = self
            .all
            .iter()
            .find(|one| one.cause == Some(diagnosis::Cause::AddressInUse) && one.from != "log")?;
        let sentence = held.sentence.as_str();
        Some(
            sentence
                .strip_suffix(", which it needs")
                .unwrap_or(sentence),
        )
    }

    /// Whether an explanation says what the failure itself says.
    fn restates(&self, explanation: &Explanation) -> bool {
        matches!(
            (self.failed, explanation.cause),
            (Cause::OomKill, Some(diagnosis::Cause::OomKill))
                | (Cause::Timeout, Some(diagnosis::Cause::Timeout))
                | (Cause::Watchdog, Some(diagnosis::Cause::Watchdog))
        )
    }
}

/// Why, in one sentence; in two, where something kept it down that is over.
pub(super) fn reason(
    ending: Option<&Ending>,
    last: &Failure,
    causes: &Causes<'_>,
    obstacle: Option<&Obstacle>,
) -> String {
    if let Some(Ending::LeftAlone { why, detail }) = ending
        && !why.needs_people()
        // It is down, and whoever put it out of care may want to know why.
        && *why != LeftAlone::NotInCare
    {
        return left_alone(*why, detail);
    }
    let mut sentence = capital(&last.what);
    if let Some(obstacle) = obstacle {
        sentence.push_str(&format!(". {}.", obstacle.in_words()));
        return sentence;
    }
    match causes.leading() {
        Some(cause) if causes.restates(cause) && *causes.failed == Cause::OomKill => {}
        Some(cause) if !causes.restates(cause) => {
            // What a log line says is a guess; all else is a fact.
            let probably = if cause.from == "log" && !cause.is_certain() {
                "probably "
            } else {
                ""
            };
            sentence.push_str(&format!(
                "; {probably}{}",
                words::place_first(&words::bare(&cause.sentence))
            ));
        }
        _ => {
            if let Some(line) = last.last_word() {
                sentence.push_str(&format!("; its last line: “{line}”"));
            }
        }
    }
    sentence.push('.');
    sentence
}

/// Whoever stopped it knows how it ended.
fn left_alone(why: LeftAlone, detail: &str) -> String {
    let mut sentence = capital(why.sentence());
    if !detail.is_empty() {
        sentence.push_str(&format!(": {}", clean(detail)));
    }
    sentence.push('.');
    sentence
}

impl Explanation {
    /// Whether a log line says it that only systemd can have written.
    fn is_certain(&self) -> bool {
        self.cause == Some(diagnosis::Cause::KillRequested)
    }
}

/// Why it ended so, where the headline leaves something to say.
pub(super) fn why(ending: Option<&Ending>) -> Option<String> {
    let detail = match ending? {
        Ending::LeftAlone { detail, .. } | Ending::Interrupted { detail } => detail,
        Ending::Blocked { reason, .. } | Ending::Continued { reason } => reason,
        _ => return None,
    };
    let detail = clean(detail);
    (!detail.is_empty()).then(|| capital(&detail))
}
