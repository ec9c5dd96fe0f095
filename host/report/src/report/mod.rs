//! What is told to people about an incident, as typed facts: a colleague's
//! hand-over note before anybody has written it down.
//!
//! [`Report::from_record`] makes it from a [`Record`](prunella_core::trail::Record); a
//! [`Renderer`](crate::Renderer) makes text and HTML of it, by templates. The sentences are
//! made here, once, so that every format and every template says the same.
//!
//! What a log line, a check, a strategy or a model said is redacted, kept on one
//! line and shown as a quotation or after the name of who said it. Commands to
//! run come from this module alone, with nothing in them but names that were
//! checked.

mod builder;
mod degraded;
mod from_record;
mod grants;
mod headline;
mod next;
mod obstacle;
mod opinions;
mod plot;
mod question;
mod reason;
mod recurrence;
mod repeats;
mod standing;
mod step;
mod words;

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use self::words::clean;
pub use self::words::{act as shown_act, planned_act};
pub use self::{
    grants::Grantable,
    headline::{degraded_headline, headline, outage_headline},
    obstacle::Obstacle,
    plot::{HOUR, Plot, Plotted, place_in_hour},
    question::approve_command,
    recurrence::{LOOK_BACK, Often, Recurrence},
    standing::is_up,
    step::{Importance, StepText, describe},
    words::{failure as how_it_failed, length, short_failure as how_it_ended},
};
use prunella_core::{
    StrategyName, Timestamp, UnitName,
    alert::{AlertKind, Severity},
    capability::PastIncident,
    diagnosis,
    incident::{IncidentId, IncidentKind},
    service::Service,
    text::capital,
    trail::LatestFailure,
};

/// What a report needs to know beyond the record.
#[derive(Debug, Clone)]
pub struct ReportContext<'a> {
    /// The host's name.
    pub hostname: String,
    /// The service, while it is in care.
    pub service: Option<&'a Service>,
    /// The boot the host is in now; a report of an earlier one says so.
    pub boot_id: Option<String>,
    /// The unit's incidents of the [week](LOOK_BACK) before this one, in any
    /// order, with or without this one and older or later ones: the store's
    /// `recent`.
    pub past: &'a [PastIncident],
    /// For "2 minutes ago"; absent in what is read
    /// later, such as mail.
    pub now: Option<Timestamp>,
    /// In which times are shown: [`TimeZone::system`] for the host's own.
    pub zone: TimeZone,
    /// Whether commands that only root may run begin with `sudo`.
    pub sudo: bool,
}

/// An incident as it is told to people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What happened to what, and how it ended, in one sentence.
    pub headline: String,
    pub incident: IncidentId,
    /// What it is about: [`IncidentKind::as_str`].
    pub incident_kind: String,
    /// What was measured, each in a line without its full stop; only of a degradation.
    pub symptoms: Vec<String>,
    /// What was unusual of the service when it was noticed, each in a few words: a hint.
    pub unusual: Vec<String>,
    /// The last hour of what matters most of it, where that is at hand.
    pub plot: Option<Plot>,
    pub unit: UnitName,
    /// What it is for.
    pub domain: Option<String>,
    /// Whether people are hurt when it is down.
    pub critical: bool,
    /// The ports it should hold, such as `tcp/80`.
    pub ports: Vec<String>,
    pub host: String,
    /// When it failed, as near as is known.
    pub at: Moment,
    /// Whether that was in an earlier boot.
    pub earlier_boot: bool,
    /// How it was noticed: see [`DetectedBy::as_str`](prunella_core::incident::DetectedBy::as_str).
    pub detected_by: String,
    /// The same in a few words.
    pub noticed: String,
    /// The work that was expected of the service then, with who said so and until when.
    pub expected_work: Option<String>,
    /// Why it failed, in one sentence, as far as that is known.
    pub reason: String,
    /// Whether it waited for another unit to be healed, or still does.
    pub waited: bool,
    /// What a person has to do, in one sentence; that nothing has to be done, where
    /// that is so.
    pub to_do: String,
    /// systemd's word for what went wrong.
    pub cause: String,
    /// How the last run failed, in a sentence without its full stop.
    pub what_failed: String,
    /// What that run's program logged last, redacted.
    pub evidence: Vec<String>,
    /// How it failed at first, where that was in another way.
    pub first_failure: Option<Failure>,
    /// What explains it, the surest first: what a strategy found and held everything
    /// for, then what the rules made of the evidence.
    pub findings: Vec<Explanation>,
    /// What kept it down until it was up again, where that was told before.
    pub obstacle: Option<Obstacle>,
    /// What was changed shortly before: it may have nothing to do with it.
    pub hint: Option<Explanation>,
    /// What a language model made of it, when one was asked.
    pub advice: Option<Advice>,
    /// What each strategy thought in the latest attempt.
    pub opinions: Vec<StrategyOpinion>,
    /// What was done, step by step.
    pub attempts: Vec<Attempt>,
    /// How many attempts there were; turns that only waited are none.
    pub attempt: u32,
    /// What the host saw for itself; absent without proof.
    pub proof: Option<Proof>,
    /// [`Ending::as_str`](prunella_core::incident::Ending::as_str), or `open`.
    pub ended: String,
    /// The same in a word or two for people.
    pub outcome: String,
    /// Why it ended so, in one or two sentences, where the headline leaves
    /// something to say.
    pub why: Option<String>,
    /// Whether it is up although the incident is open: only its proof is waited for.
    pub being_checked: bool,
    /// Whether nothing was carried out.
    pub dry_run: bool,
    /// Whether a person has to do something.
    pub needs_people: bool,
    /// What sort of news it is.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What each strategy tried, and what came of it.
    pub tried: Vec<Tried>,
    /// How often it has happened lately, when it is not the first time.
    pub recurrence: Option<Recurrence>,
    /// When Prunella tries again by itself.
    pub retry_at: Option<Moment>,
    /// What Prunella will do next by itself, and when.
    pub plan: Option<String>,
    /// What people should do, in a sentence or two.
    pub recommendation: Option<String>,
    /// What to run now.
    pub next: Vec<Command>,
    /// Where it logs.
    pub logs: Vec<Command>,
    /// What the operator can allow, so that it would be done next time.
    pub grantable: Vec<Grantable>,
}

/// A moment as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// For templates, as milliseconds since 1970.
    pub ms: Timestamp,
    /// In the host's time zone, such as `Sat 2026-11-21 15:23:01 CET`.
    pub local: String,
    /// `2 minutes ago`, for who reads it now.
    pub ago: Option<String>,
}

/// What a language model made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    pub model: String,
    /// Its opinion, cleaned.
    pub opinion: Option<diagnosis::Opinion>,
    /// Why there is none.
    pub why_none: Option<String>,
}

/// What explains a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// In a sentence without its full stop.
    pub sentence: String,
    /// What it rests on; absent where a strategy has looked for itself.
    pub because: Option<String>,
    /// Who says so: a strategy's name, or `log`, `unit`, `process`, `resources` or
    /// `change`.
    pub from: String,
    /// What a person can do about it.
    pub advice: Option<String>,
    /// Which classic cause it is; absent where a strategy has looked for itself.
    #[serde(skip)]
    cause: Option<diagnosis::Cause>,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// In a sentence without its full stop.
    pub what: String,
    /// The same in a few words, such as `exit code 1` or `SIGKILL`.
    pub short: String,
    /// What its program logged last, redacted.
    pub evidence: Vec<String>,
}

/// What one strategy thought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StrategyOpinion {
    pub strategy: StrategyName,
    /// `applies`, `not-applicable`, `blocked-by`, `veto` or `broke-off`.
    pub says: String,
    /// The same in a few words, such as `applies (90 % confidence)`.
    pub words: String,
    /// 0 to 100, when it applies.
    pub confidence: Option<u8>,
    /// Why, in its own words.
    pub reason: String,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    Plain,
    /// It did what it should.
    Good,
    /// It did not.
    Bad,
    Unknown,
    /// It would have been done.
    DryRun,
}

/// One attempt, or several in a row that went the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its number; that of the first of several.
    pub first: u32,
    /// That of the last of several.
    pub last: u32,
    /// Which it is, in words: `attempt 2`, or `attempts 2 to 97, each the same`.
    pub words: String,
    /// Its steps; of several, those of the first.
    pub steps: Vec<Line>,
    /// How it ended, when another one followed.
    pub ended: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Since the failure, for templates in microseconds; since the detection where
    /// systemd gave no moment.
    #[serde(serialize_with = "prunella_core::span::in_micros::serialize")]
    pub after: Duration,
    /// The same as it is shown: `+0.061 s`.
    pub when: String,
    pub at: Timestamp,
    /// How it went.
    pub mark: Mark,
    /// What it was.
    pub text: String,
    /// How many times in a row.
    pub times: u32,
    /// What it is the same as, whatever the figures in its text.
    #[serde(skip)]
    key: String,
}

/// What the host saw for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// What it saw.
    pub evidence: Vec<String>,
    /// From the failure to the moment of recovery; for templates in microseconds.
    #[serde(serialize_with = "prunella_core::span::in_micros::serialize")]
    pub recovered_after: Option<Duration>,
    /// The same as it is shown: `61 ms`.
    pub healed_in: Option<String>,
    /// For how long it was watched since, for templates in milliseconds; absent
    /// while that goes on.
    #[serde(serialize_with = "prunella_core::span::in_millis::serialize")]
    pub stable_for: Option<Duration>,
    /// Both in a sentence without its full stop.
    pub sentence: String,
}

/// What one strategy tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    pub strategy: StrategyName,
    /// In which attempt, the latest of several.
    pub attempt: u32,
    /// How many times with this result.
    pub times: u32,
    /// What came of it.
    pub result: String,
}

/// A command to run, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// As it can be typed.
    pub command: String,
    pub purpose: String,
}

impl Report {
    /// With the last hour of what matters most.
    #[must_use]
    pub fn with_plot(mut self, plot: Option<Plot>) -> Self {
        self.plot = plot;
        self
    }

    /// The first things anybody wants to know, name and value, in the order in
    /// which they are shown: what, where, how urgent, when.
    pub fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![("service", self.unit.to_string())];
        if let Some(domain) = &self.domain {
            facts.push(("domain", domain.clone()));
        }
        let priority = if self.critical { "critical" } else { "normal" };
        facts.push(("priority", priority.to_owned()));
        match self.ports.as_slice() {
            [] => {}
            [port] => facts.push(("port", port.clone())),
            ports => facts.push(("ports", ports.join(", "))),
        }
        facts.push(("host", self.host.clone()));
        let mut beside: Vec<&str> = Vec::new();
        beside.extend(self.at.ago.as_deref());
        if self.earlier_boot {
            beside.push("in an earlier boot");
        }
        let beside = if beside.is_empty() {
            String::new()
        } else {
            format!(" ({})", beside.join(", "))
        };
        let since = if self.is_of_degradation() {
            "degraded"
        } else {
            "failed"
        };
        facts.push((since, format!("{}{beside}", self.at.local)));
        facts.push(("detected", self.noticed.clone()));
        if let Some(expected) = &self.expected_work {
            facts.push(("expected", expected.clone()));
        }
        if self.attempt > 1 && !self.tried.is_empty() {
            facts.push(("attempts", self.attempt.to_string()));
        }
        if let Some(healed_in) = self.healed_in() {
            facts.push(("healed in", healed_in.to_owned()));
        }
        if let Some(again) = &self.recurrence {
            facts.push(("recurring", again.words.clone()));
        }
        facts.push(("incident", clean(self.incident.as_str())));
        facts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Whether it is of a service that is up, and serves worse than it should.
    pub fn is_of_degradation(&self) -> bool {
        self.incident_kind == IncidentKind::Degradation.as_str()
    }

    /// How long it was down, when it was healed.
    fn healed_in(&self) -> Option<&str> {
        let proof = self.proof.as_ref().filter(|_| self.ended == "healed")?;
        proof.healed_in.as_deref()
    }
}

impl Report {
    /// As it is told while the service is not in Prunella's care: nobody heals it, and
    /// Prunella refuses to be asked for that.
    #[must_use]
    pub fn out_of_care(self) -> Self {
        let unit = self.unit.clone();
        let heal = format!("prunella heal {}", words::shell(&unit));
        let enable = next::enable(&unit);
        let mut next: Vec<Command> = self
            .next
            .into_iter()
            .filter(|next| !next.command.contains("prunella approve "))
            .filter(|next| !next.command.ends_with(&enable.command))
            .collect();
        let sudo = next.iter().any(|next| next.command.starts_with("sudo "));
        next.retain(|next| !next.command.ends_with(&heal));
        next.push(Command {
            command: next::as_root(enable.command, sudo),
            ..enable
        });
        Self {
            to_do: words::commands_as_root(next::out_of_care(&unit), sudo),
            recommendation: None,
            plan: None,
            retry_at: None,
            next,
            ..self
        }
    }

    /// As it is told once the service is known to be up again, whatever the incident's last
    /// attempt came to: nothing of it is left to do.
    #[must_use]
    pub fn is_over(self) -> Self {
        Self {
            to_do: next::NOTHING.to_owned(),
            recommendation: None,
            plan: None,
            retry_at: None,
            next: Vec::new(),
            needs_people: false,
            ..self
        }
    }
}

impl Failure {
    /// In words, with what its program logged last.
    fn new(failure: &LatestFailure<'_>, lines: &[String]) -> Self {
        Self {
            what: words::failure(failure.cause, failure.exit_code, failure.signal),
            short: words::short_failure(failure.cause, failure.exit_code, failure.signal),
            evidence: lines.iter().map(|line| words::clean(line)).collect(),
        }
    }

    /// What its program said last; nothing where a signal from elsewhere ended it, with
    /// which that has nothing to do.
    fn last_word(&self) -> Option<&str> {
        let sent = ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"];
        if sent.contains(&self.short.as_str()) {
            return None;
        }
        self.evidence.last().map(String::as_str)
    }
}

impl Moment {
    /// A moment as `context` shows it.
    pub fn new(ms: Timestamp, context: &ReportContext<'_>) -> Self {
        Self {
            ms,
            local: words::local(ms, &context.zone),
            ago: context.now.map(|now| words::relative(ms, now)),
        }
    }

    /// A moment in the host's own time zone, for what is read later.
    pub fn of_host(ms: Timestamp) -> Self {
        Self {
            ms,
            local: words::local(ms, &TimeZone::system()),
            ago: None,
        }
    }
}

impl Proof {
    fn new(
        evidence: Vec<String>,
        recovered_after: Option<Duration>,
        stable_for: Option<Duration>,
        is_degradation: bool,
    ) -> Self {
        let healed_in = recovered_after.map(words::length);
        let (well, before) = if is_degradation {
            ("clear", "it began")
        } else {
            ("up", "the failure")
        };
        let mut sentence = match &healed_in {
            Some(healed_in) => format!("{} {healed_in} after {before}", capital(well)),
            None => format!("{} again", capital(well)),
        };
        if let Some(stable_for) = stable_for {
            let watched = words::length(stable_for);
            sentence.push_str(&format!(", and still {well} after {watched}"));
        }
        Self {
            evidence,
            recovered_after,
            healed_in,
            stable_for,
            sentence,
        }
    }
}

#[cfg(test)]
mod tests;
