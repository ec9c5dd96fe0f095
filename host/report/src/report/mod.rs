//! What is told to people about an incident, as typed facts: a colleague's
//! hand-over note before anybody has written it down.
//!
//! [`Report::from_record`] makes it from a [`Record`]; a [`Renderer`](crate::Renderer) makes
//! text and HTML of it, by templates. The sentences are made here, once, so that
//! every format and every template says the same.
//!
//! What a log line, a check, a strategy or a model said is redacted, kept on one
//! line and shown as a quotation or after the name of who said it. Commands to
//! run come from this module alone, with nothing in them but names that were
//! checked.

mod builder;
mod grants;
mod next;
mod opinions;
mod recurrence;
mod repeats;
mod step;
mod words;

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

pub use self::words::act as shown_act;
use self::{builder::ReportBuilder, words::clean};
pub use self::{
    grants::Grantable,
    recurrence::{LOOK_BACK, Often, Recurrence},
    step::{Importance, StepText, describe},
    words::length,
};
use prunella_core::{
    StrategyName, Timestamp, UnitName,
    alert::{AlertKind, Severity},
    capability::PastIncident,
    cause::Cause,
    diagnosis,
    incident::{Ending, IncidentId, LeftAlone},
    service::Service,
    text::capital,
    trail::Record,
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
    /// Why it failed, in one sentence, as far as that is known.
    pub reason: String,
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
    /// [`Ending::as_str`], or `open`.
    pub ended: String,
    /// The same in a word or two for people.
    pub outcome: String,
    /// Why it ended so, in one or two sentences, where the headline leaves
    /// something to say.
    pub why: Option<String>,
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
    /// Who says so: a strategy's name, or `log`, `unit`, `resources` or `change`.
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
    /// The report of an incident.
    pub fn from_record(record: &Record, context: &ReportContext<'_>) -> Self {
        let detection = &record.incident.detection;
        let unit = &detection.unit;
        let ending = record.ending.as_ref();
        let moment = |ms| Moment::new(ms, context);
        let mut built = ReportBuilder::new(record).build();
        if let Some(service) = context.service {
            for opinion in &mut built.opinions {
                opinion.reason = service.with_paths(&opinion.reason);
            }
        }
        let attempt = built
            .attempts
            .last()
            .map_or(record.incident.attempt, |attempt| attempt.last);
        let needs_people = match ending {
            Some(Ending::Escalated { .. }) => true,
            Some(Ending::LeftAlone { why, .. }) => why.needs_people(),
            _ => false,
        };
        let critical = context.service.is_some_and(|service| service.critical);
        let ended = ending.map_or("open", Ending::as_str);
        let strategy = match ending {
            Some(Ending::Healed { strategy, .. }) => Some(strategy.as_str()),
            _ => None,
        };
        let recurrence = recurrence::recurrence(
            &recurrence::This {
                id: record.incident.id.as_str(),
                unit,
                at: detection.at,
                cause: detection.cause.as_str(),
                ended,
                strategy,
            },
            context.past,
            moment,
            &context.zone,
        );
        let retry_at = match ending {
            Some(Ending::Escalated { retry_at, .. }) => retry_at.map(moment),
            _ => None,
        };
        let grantable = grants::grantable(record);
        let first = Failure {
            what: words::cause(detection),
            evidence: built.evidence,
        };
        let (last, first_failure) = match built.last_failure {
            Some(last) => (last, Some(first)),
            None => (first, None),
        };
        let findings = opinions::explanations(&built.opinions, &built.findings);
        let hint = built.hint.as_ref().map(Explanation::from);
        let recommendation =
            next::recommendation(record, &findings, recurrence.as_ref(), context.now);
        Self {
            headline: headline(unit, &detection.cause, ending),
            incident: record.incident.id.clone(),
            unit: unit.clone(),
            domain: context
                .service
                .and_then(|service| service.domain.as_deref())
                .map(clean),
            critical,
            ports: context.service.map_or_else(Vec::new, |service| {
                service.ports.iter().map(ToString::to_string).collect()
            }),
            host: clean(&context.hostname),
            at: moment(failed_at(record)),
            earlier_boot: context
                .boot_id
                .as_ref()
                .is_some_and(|boot_id| *boot_id != record.incident.boot_id),
            detected_by: detection.by.as_str().to_owned(),
            noticed: words::noticed(detection.by.as_str()),
            reason: reason(ending, &last, &findings),
            to_do: next::to_do(record, recommendation.as_deref(), needs_people),
            cause: clean(detection.cause.as_str()),
            what_failed: last.what,
            recommendation,
            evidence: last.evidence,
            first_failure,
            next: next::next(record, context, &built.findings),
            findings,
            hint,
            advice: built.advice,
            opinions: built.opinions,
            attempts: built.attempts,
            attempt,
            proof: built.proof.map(|seen| {
                let recovered_after = match ending {
                    Some(Ending::Healed {
                        recovered_after: Some(after),
                        ..
                    }) => Some(*after),
                    _ => seen.recovered_after,
                };
                Proof::new(seen.evidence, recovered_after, seen.stable_for)
            }),
            ended: ended.to_owned(),
            outcome: words::outcome(ending, needs_people).to_owned(),
            why: why(ending),
            dry_run: built.dry_run,
            needs_people,
            kind: kind(ending, needs_people),
            severity: match (needs_people, critical) {
                (true, true) => Severity::Critical,
                (true, false) => Severity::Warning,
                // Healed, and still a fault that somebody should look at.
                (false, _)
                    if recurrence
                        .as_ref()
                        .is_some_and(|again| again.often == Often::Constantly) =>
                {
                    Severity::Warning
                }
                _ => Severity::Info,
            },
            tried: built.tried,
            plan: next::plan(record, retry_at.as_ref()),
            recurrence,
            retry_at,
            logs: next::logs(record, context),
            grantable,
        }
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
        facts.push(("failed", format!("{}{beside}", self.at.local)));
        facts.push(("detected", self.noticed.clone()));
        if self.attempt > 1 {
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

    /// How long it was down, when it was healed.
    fn healed_in(&self) -> Option<&str> {
        let proof = self.proof.as_ref().filter(|_| self.ended == "healed")?;
        proof.healed_in.as_deref()
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
    ) -> Self {
        let healed_in = recovered_after.map(words::length);
        let mut sentence = match &healed_in {
            Some(healed_in) => format!("Up {healed_in} after the failure"),
            None => "Up again".to_owned(),
        };
        if let Some(stable_for) = stable_for {
            let watched = words::length(stable_for);
            sentence.push_str(&format!(", and still up after {watched}"));
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

/// When it failed: what noticed it may have come later.
fn failed_at(record: &Record) -> Timestamp {
    let detection = &record.incident.detection;
    let noticed_after = record
        .steps
        .first()
        .zip(detection.failed_monotonic)
        .and_then(|(first, failed)| first.monotonic.checked_since(failed));
    // A run that began in another boot says nothing.
    detection
        .at
        .saturating_sub(noticed_after.unwrap_or_default())
}

fn kind(ending: Option<&Ending>, needs_people: bool) -> AlertKind {
    match ending {
        _ if needs_people => AlertKind::Escalation,
        None => AlertKind::Outage,
        Some(Ending::Healed { .. } | Ending::Recovered { .. }) => AlertKind::Recovery,
        _ => AlertKind::Information,
    }
}

/// Why, in one sentence, as far as it is known.
fn reason(ending: Option<&Ending>, last: &Failure, findings: &[Explanation]) -> String {
    if let Some(Ending::LeftAlone { why, detail }) = ending
        && !why.needs_people()
    {
        // Whoever stopped it knows how it ended.
        let mut sentence = capital(why.sentence());
        if !detail.is_empty() {
            sentence.push_str(&format!(": {}", clean(detail)));
        }
        sentence.push('.');
        return sentence;
    }
    let mut sentence = capital(&last.what);
    // That it was started too often comes of the cause, and is none.
    let mut causes = findings
        .iter()
        .filter(|finding| finding.cause != Some(diagnosis::Cause::StartLimit));
    if let Some(finding) = causes.next() {
        let probably = if finding.because.is_some() {
            "probably "
        } else {
            ""
        };
        sentence.push_str(&format!("; {probably}{}", finding.sentence));
    } else if let Some(line) = last.evidence.last() {
        sentence.push_str(&format!("; its last line: “{line}”"));
    }
    sentence.push('.');
    sentence
}

/// That a service is down, in one sentence.
pub fn outage_headline(unit: &UnitName) -> String {
    format!("{unit} is down, being healed")
}

/// What happened to what, and how it ended, in one sentence.
pub fn headline(unit: &UnitName, cause: &Cause, ending: Option<&Ending>) -> String {
    match ending {
        None => outage_headline(unit),
        Some(Ending::Healed { strategy, .. }) if *cause == Cause::RestartRequested => {
            format!("{unit} was restarted by {strategy}, as a person asked")
        }
        Some(Ending::Recovered { .. }) if *cause == Cause::RestartRequested => {
            format!("{unit} was restarted meanwhile, and is healthy")
        }
        Some(Ending::Healed {
            strategy,
            recovered_after: Some(after),
        }) => format!(
            "{unit} failed; healed by {strategy} in {}",
            words::length(*after)
        ),
        Some(Ending::Healed { strategy, .. }) => {
            format!("{unit} failed; healed by {strategy}")
        }
        Some(Ending::Recovered { .. }) if matches!(cause, Cause::State(_)) => {
            format!("{unit} is healthy: nothing to do")
        }
        Some(Ending::Recovered { by }) => {
            format!("{unit} failed and is up again: {}", clean(by))
        }
        Some(Ending::LeftAlone {
            why: LeftAlone::Misconfigured,
            detail,
        }) => format!("{unit} is not healed: mistake in {}", clean(detail)),
        Some(Ending::LeftAlone { why, .. }) => {
            format!("{unit} left alone: {}", why.sentence())
        }
        Some(Ending::Escalated { reason, .. }) => match reason.strip_prefix("it ") {
            // Its subject is the unit.
            Some(rest) => format!("{unit} {}", words::timeless(rest)),
            None => format!("{unit} needs a person: {}", words::timeless(reason)),
        },
        Some(Ending::Blocked { on, .. }) => format!("{unit} is down, waiting for {on}"),
        Some(Ending::Interrupted { .. }) => format!("healing {unit} was interrupted"),
        Some(Ending::DryRun { verdict }) => {
            format!("dry run of {unit}: {}", clean(verdict))
        }
    }
}

fn why(ending: Option<&Ending>) -> Option<String> {
    let detail = match ending? {
        Ending::LeftAlone { detail, .. } | Ending::Interrupted { detail } => detail,
        Ending::Blocked { reason, .. } => reason,
        _ => return None,
    };
    let detail = clean(detail);
    (!detail.is_empty()).then(|| capital(&detail))
}

#[cfg(test)]
mod tests;
