//! Makes the report of a record.

use super::{
    Explanation, Failure, Moment, Often, Proof, Recurrence, Report, ReportContext,
    builder::ReportBuilder,
    degraded::{self, Degradation},
    grants, headline, next, obstacle, opinions, reason,
    reason::Causes,
    recurrence,
    standing::Standing,
    words::{self, clean},
};
use prunella_core::{
    Timestamp,
    alert::{AlertKind, Severity},
    diagnosis,
    incident::Ending,
    trail::{LatestFailure, Record, Step, people_asked},
};

impl Report {
    /// The report of an incident.
    pub fn from_record(record: &Record, context: &ReportContext<'_>) -> Self {
        let in_peoples_hands = in_peoples_hands(record);
        let record = in_peoples_hands.as_ref().unwrap_or(record);
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
        let degradation = Degradation::of(record);
        let goes_on = degradation.as_ref().filter(|_| ending.is_none());
        let needs_people = match ending {
            None => goes_on.is_some_and(|degradation| degradation.tried),
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
        let latest = LatestFailure::of(detection, &record.steps);
        let recurrence = recurrence::recurrence(
            &recurrence::This {
                id: record.incident.id.as_str(),
                unit,
                at: detection.at,
                cause: latest.cause.as_str(),
                signal: latest.signal,
                ended,
                strategy,
            },
            context.past,
            moment,
            &context.zone,
        )
        .map(|recurrence| Recurrence {
            commands: next::all_as_root(recurrence.commands, context),
            ..recurrence
        });
        let retry_at = match ending {
            Some(Ending::Escalated { retry_at, .. }) => retry_at.map(moment),
            _ => None,
        };
        let grantable = grants::grantable(record);
        let first = Failure::new(&LatestFailure::of(detection, &[]), &built.evidence);
        let (last, first_failure) = match latest.lines {
            Some(lines) => (Failure::new(&latest, lines), Some(first)),
            None => (first, None),
        };
        // Who ended the first run has nothing to do with what fails since.
        if first_failure.is_some() {
            built
                .findings
                .retain(|finding| finding.cause != diagnosis::Cause::KillRequested);
        }
        let obstacle = obstacle::obstacle(record);
        // Of one cause, what was seen in the way says more than what the log says of it.
        if let Some(cause) = obstacle.as_ref().and_then(|obstacle| obstacle.cause) {
            built.findings.retain(|finding| finding.cause != cause);
        }
        let findings = opinions::explanations(&built.opinions, &built.findings);
        let causes = Causes {
            failed: latest.cause,
            all: &findings,
            still_down: !matches!(
                ending,
                Some(Ending::Healed { .. } | Ending::Recovered { .. })
            ),
        };
        let standing = Standing::of(&record.steps);
        let headline = headline::of_record(
            record,
            degradation.as_ref(),
            &last,
            &causes,
            standing,
            context.now,
        );
        let hint = built.hint.as_ref().map(Explanation::from);
        let reason = match &degradation {
            Some(degradation) if tells_of_symptoms(ending) => {
                degradation.why(&causes, hint.as_ref(), last.last_word(), context)
            }
            _ => reason::reason(ending, &last, &causes, obstacle.as_ref()),
        };
        let as_root = |text| words::commands_as_root(text, context.sudo);
        let recommendation =
            next::recommendation(record, &causes, recurrence.as_ref(), context).map(as_root);
        Self {
            headline,
            incident: record.incident.id.clone(),
            incident_kind: detection.kind().as_str().to_owned(),
            symptoms: degradation.as_ref().map_or_else(Vec::new, |degradation| {
                degradation
                    .symptoms
                    .iter()
                    .map(|one| clean(&one.evidence))
                    .collect()
            }),
            unusual: detection
                .unusual
                .iter()
                .map(|one| degraded::unusual(one, context))
                .collect(),
            plot: None,
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
            expected_work: detection.expected_work.as_ref().map(|work| {
                let until = words::local(work.until, &context.zone);
                format!(
                    "{}, until {until}, by {}",
                    clean(&work.reason),
                    clean(&work.by)
                )
            }),
            reason,
            to_do: degradation
                .as_ref()
                .and_then(|degradation| degradation.to_do(record, context))
                .unwrap_or_else(|| {
                    as_root(next::to_do(
                        record,
                        recommendation.as_deref(),
                        &causes,
                        needs_people,
                        context,
                    ))
                }),
            waited: has_waited(record),
            cause: clean(latest.cause.as_str()),
            what_failed: last.what,
            recommendation,
            evidence: last.evidence,
            first_failure,
            next: next::next(record, context, &built.findings),
            findings: opinions::each_once(findings),
            obstacle,
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
                let is_degradation = detection.is_degradation();
                Proof::new(
                    seen.evidence,
                    recovered_after,
                    seen.stable_for,
                    is_degradation,
                )
            }),
            ended: ended.to_owned(),
            outcome: match ending {
                Some(ending) => words::outcome(ending, needs_people),
                None => goes_on.map_or(standing.words(), Degradation::outcome),
            }
            .to_owned(),
            why: reason::why(ending),
            being_checked: ending.is_none() && standing == Standing::Up,
            dry_run: built.dry_run,
            needs_people,
            kind: match goes_on {
                Some(_) if !needs_people => AlertKind::Degradation,
                _ => kind(ending, needs_people),
            },
            severity: match (needs_people, critical) {
                (true, true) => Severity::Critical,
                (true, false) => Severity::Warning,
                (false, _) if goes_on.is_some() => Severity::Warning,
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
            plan: next::plan(record, retry_at.as_ref(), context.now),
            recurrence,
            retry_at,
            logs: next::logs(record, context),
            grantable,
        }
    }
}

/// The record of an incident that was handed to people and is tried again: until its service
/// is up, it is theirs.
fn in_peoples_hands(record: &Record) -> Option<Record> {
    let reason = people_asked(&record.steps).filter(|_| record.ending.is_none())?;
    let retry_at = match Standing::of(&record.steps) {
        Standing::Up => return None,
        Standing::Waits(until) => Some(until),
        Standing::SystemdRestarts | Standing::BeingHealed => None,
    };
    Some(Record {
        ending: Some(Ending::Escalated {
            reason: reason.to_owned(),
            retry_at,
        }),
        ..record.clone()
    })
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

/// Whether what was measured is the reason that is told: not where something else ended it.
fn tells_of_symptoms(ending: Option<&Ending>) -> bool {
    !matches!(
        ending,
        Some(Ending::LeftAlone { .. } | Ending::Interrupted { .. } | Ending::Continued { .. })
    )
}

fn has_waited(record: &Record) -> bool {
    matches!(record.ending, Some(Ending::Blocked { .. }))
        || record
            .steps
            .iter()
            .any(|entry| matches!(entry.step, Step::Blocked { .. } | Step::Unblocked { .. }))
}

fn kind(ending: Option<&Ending>, needs_people: bool) -> AlertKind {
    match ending {
        _ if needs_people => AlertKind::Escalation,
        None => AlertKind::Outage,
        Some(Ending::Healed { .. } | Ending::Recovered { .. }) => AlertKind::Recovery,
        _ => AlertKind::Information,
    }
}
