//! What is told of a service that is up, and serves worse than it should.

use std::time::Duration;

use prunella_core::{
    health::{InstanceKind, Metric, Symptom, Unusual},
    incident::Ending,
    text::capital,
    trail::{Record, Step},
};

use super::{
    Explanation, ReportContext, question,
    reason::Causes,
    words::{self, clean},
};

/// More of them are not listed in a sentence.
const LISTED: usize = 3;

/// What people know of a degradation.
pub(super) struct Degradation<'a> {
    /// What held when people were told, or when it was noticed; the worst first.
    pub(super) symptoms: &'a [Symptom],
    /// Why nothing more is done about it, where people were told.
    reason: Option<&'a str>,
    /// Whether what the operator lists for it was tried in vain.
    pub(super) tried: bool,
    /// As it was at its worst, and for how long, once it is over.
    cleared: Option<(&'a [Symptom], Duration)>,
}

impl<'a> Degradation<'a> {
    /// What a record says, where it is about one.
    pub(super) fn of(record: &'a Record) -> Option<Self> {
        let detection = &record.incident.detection;
        if !detection.is_degradation() {
            return None;
        }
        let steps = record.steps.iter().rev();
        let told = steps.clone().find_map(|entry| match &entry.step {
            Step::Watches {
                symptoms,
                reason,
                tried,
            } => Some((symptoms.as_slice(), reason.as_str(), *tried)),
            _ => None,
        });
        let cleared = steps.clone().find_map(|entry| match &entry.step {
            Step::Cleared { symptoms, lasted } => Some((symptoms.as_slice(), *lasted)),
            _ => None,
        });
        Some(Self {
            symptoms: told.map_or(&detection.symptoms, |(symptoms, ..)| symptoms),
            reason: told.map(|(_, reason, _)| reason),
            tried: told.is_some_and(|(_, _, tried)| tried),
            cleared,
        })
    }

    /// How the service is: the verb of a headline.
    pub(super) fn how(&self) -> &'static str {
        self.symptoms.first().map_or("is degraded", how)
    }

    /// How it stands while it goes on, in a word or two.
    pub(super) fn outcome(&self) -> &'static str {
        if self.tried {
            "needs a person"
        } else {
            "degraded"
        }
    }

    /// Since when and how much, and what the likely cause is; once it is over, for how long
    /// it was and how bad.
    pub(super) fn why(
        &self,
        causes: &Causes<'_>,
        hint: Option<&Explanation>,
        last_word: Option<&str>,
        context: &ReportContext<'_>,
    ) -> String {
        if let Some((symptoms, lasted)) = self.cleared {
            return format!(
                "It was degraded for {}: {}.",
                words::length(lasted),
                worst(symptoms)
            );
        }
        let since = self.symptoms.iter().map(|symptom| symptom.since).min();
        let since = since.map_or_else(
            || "It is degraded".to_owned(),
            |since| format!("Since {}", words::local(since, &context.zone)),
        );
        let mut sentence = format!("{since}: {}", symptoms(self.symptoms));
        let cause = match (causes.leading(), hint, last_word) {
            (Some(cause), ..) => format!("likely cause: {}", cause.sentence),
            // After it is not because of it.
            (None, Some(hint), _) => format!(
                "perhaps because {}{}",
                hint.sentence,
                hint.because
                    .as_ref()
                    .map_or_else(String::new, |because| format!(" ({because})"))
            ),
            (None, None, Some(line)) => format!("its last line: “{line}”"),
            (None, None, None) => "no cause is known".to_owned(),
        };
        sentence.push_str(&format!("; {cause}"));
        sentence.push('.');
        sentence
    }

    /// That Prunella does not act, and how to let it.
    pub(super) fn to_do(&self, record: &Record, context: &ReportContext<'_>) -> Option<String> {
        match &record.ending {
            None => {}
            Some(Ending::Blocked { on, .. }) => {
                return Some(format!(
                    "Nothing here: see to {on}, which it needs. People are told if it stays \
                     degraded after that."
                ));
            }
            Some(_) => return None,
        }
        let Some(reason) = self.reason else {
            return Some(if is_being_healed(record) {
                "Nothing yet: Prunella is healing it, and its end follows.".to_owned()
            } else {
                "Nothing yet: Prunella watches it.".to_owned()
            });
        };
        if let Some(asked) = question::asked(record, context.now).waits() {
            return Some(format!(
                "Decide whether Prunella may {asked}: approve it by the first command, or deny it."
            ));
        }
        if let Some(to_do) = untreatable(self.symptoms) {
            return Some(to_do);
        }
        let reason = capital(&clean(reason));
        if self.tried {
            return Some(format!(
                "Find out what makes it so: {reason}. Prunella does nothing more about it, and \
                 says when it is over."
            ));
        }
        let file = context
            .service
            .and_then(|service| service.declared_in.as_deref())
            .map_or_else(
                || "its services file".to_owned(),
                |file| clean(&file.to_string_lossy()),
            );
        let lists_none = context
            .service
            .is_none_or(|service| service.heal_degraded.is_empty());
        Some(if lists_none {
            format!(
                "Find out what makes it so: Prunella does not act on it by itself. To let it, \
                 write `heal-degraded = [\"service-restart\"]` in {file}."
            )
        } else {
            format!("Prunella does not act on it: {reason}.")
        })
    }
}

fn is_being_healed(record: &Record) -> bool {
    record
        .steps
        .iter()
        .any(|entry| matches!(entry.step, Step::Heals { .. }))
}

/// What people do, where nothing that Prunella does would end any of it.
fn untreatable(symptoms: &[Symptom]) -> Option<String> {
    if symptoms.iter().any(Symptom::may_be_treated) {
        return None;
    }
    let worst = symptoms.first()?;
    let evidence = clean(&worst.evidence);
    Some(match worst.metric {
        Metric::CertificateHours => format!(
            "Renew the certificate, and have the service use it: {evidence}. Prunella says when \
             another one is shown."
        ),
        Metric::LogMatchesPerMinute => format!("Look into its log: {evidence}."),
        _ => format!("Find out what goes unanswered: {evidence}."),
    })
}

/// How a service is, by its worst symptom: the verb of a headline.
pub(super) fn how(symptom: &Symptom) -> &'static str {
    match symptom.metric {
        Metric::LatencyMs | Metric::RequestLatencyMs => "is slow",
        Metric::ErrorsPermille | Metric::RequestErrorsPermille => "has errors",
        Metric::CertificateHours => "shows a certificate near its end",
        Metric::ErrorBudgetPermille => "uses up its error budget",
        Metric::LogLinesPerMinute => "floods the journal",
        Metric::LogErrorsPerMinute => "logs errors",
        Metric::LogMatchesPerMinute => "logs what it should not",
        Metric::Unusual => "is unusual",
        _ => "is degraded",
    }
}

/// Those that matter most, in words.
fn listed(symptoms: &[Symptom], words: impl Fn(&Symptom) -> String) -> String {
    let mut all: Vec<String> = symptoms.iter().take(LISTED).map(words).collect();
    let more = symptoms.len().saturating_sub(LISTED);
    if more > 0 {
        all.push(format!("{more} more"));
    }
    if all.is_empty() {
        return "what was measured is not known any more".to_owned();
    }
    all.join("; ")
}

/// `latency of probe `front` 612 ms, with a limit of 400 ms`; `direction` stands before the
/// value.
fn of_limit(symptom: &Symptom, direction: &str) -> String {
    // There is no limit to what is usual.
    if symptom.metric == Metric::Unusual {
        return clean(&symptom.evidence);
    }
    format!(
        "{} {direction}{}, with a limit of {}",
        named(symptom),
        symptom.metric.shown(symptom.value),
        symptom.metric.shown(symptom.threshold)
    )
}

/// What is unusual, in a few words: `memory (412 MiB), since 02:10`.
pub(super) fn unusual(unusual: &Unusual, context: &ReportContext<'_>) -> String {
    format!(
        "{} ({}), since {}",
        clean(&unusual.title()),
        unusual.metric.shown(unusual.value),
        words::time_of_day(unusual.since, &context.zone)
    )
}

/// What is measured, of what.
pub(super) fn named(symptom: &Symptom) -> String {
    let title = symptom.metric.title();
    let Some(instance) = symptom.instance.as_deref().map(clean) else {
        return title.to_owned();
    };
    match symptom.metric.instances() {
        InstanceKind::Probe => format!("{title} of probe `{instance}`"),
        InstanceKind::LogPattern => format!("{title} of pattern `{instance}`"),
        _ => format!("{title} of {instance}"),
    }
}

/// The symptoms of a step, in words.
pub(super) fn symptoms(symptoms: &[Symptom]) -> String {
    listed(symptoms, |symptom| of_limit(symptom, ""))
}

/// The same at their worst.
pub(super) fn worst(symptoms: &[Symptom]) -> String {
    listed(symptoms, |symptom| {
        let is_too_high = symptom.clear <= symptom.threshold;
        of_limit(symptom, if is_too_high { "up to " } else { "down to " })
    })
}
