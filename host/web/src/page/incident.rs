//! One incident, as a colleague would hand it over.

use askama::Template;
use axum::{extract::Path, response::Response};
use prunella_core::{
    Timestamp,
    capability::PastIncident,
    summary::Summary,
    text::capital,
    trail::{Record, Step},
};
use prunella_report::{Command, Explanation, Mark, Report, ReportContext, length};

use super::{DAY, Frame, Unit, Visitor, now, render};
use crate::{
    daemon::part,
    show::{self, When},
    text::lines,
};

/// Steps of one attempt that are shown.
const STEPS: usize = 500;

#[derive(Template)]
#[template(path = "incident.html")]
struct Page {
    frame: Frame,
    id: String,
    unit: Unit,
    headline: String,
    outcome: String,
    state: &'static str,
    is_open: bool,
    when: When,
    facts: Vec<(String, String)>,
    to_do: String,
    plan: Option<String>,
    why: Option<String>,
    commands: Vec<Command>,
    logs: Vec<Command>,
    what_failed: String,
    reason: String,
    symptoms: Vec<String>,
    evidence: Vec<String>,
    findings: Vec<Finding>,
    hint: Option<Finding>,
    advice: Option<Advice>,
    opinions: Vec<(String, String, String)>,
    attempts: Vec<Attempt>,
    acts: Vec<Act>,
    proof: Option<(String, Vec<String>)>,
    recurrence: String,
    can_undo: bool,
}

/// What explains it.
struct Finding {
    sentence: String,
    because: String,
    from: String,
    advice: String,
}

/// What a language model made of it.
struct Advice {
    model: String,
    cause: String,
    explanation: String,
    suggestions: Vec<String>,
    why_none: Option<String>,
}

struct Attempt {
    words: String,
    steps: Vec<Line>,
    ended: String,
}

struct Line {
    when: String,
    at: String,
    mark: &'static str,
    /// The mark in a word, for who does not see it.
    word: &'static str,
    text: String,
    times: u32,
}

/// An act, from its intention to what became of it.
struct Act {
    number: u32,
    what: String,
    strategy: String,
    state: &'static str,
    result: String,
    /// What it was to come to.
    plan: Vec<String>,
    /// What it came to.
    receipt: Vec<String>,
    undone: Option<String>,
}

/// `GET /incidents/{id}`
pub async fn page(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Response> {
    let record: Record = visitor.get(&format!("/incidents/{}", part(&id))).await?;
    let now = now();
    let detection = &record.incident.detection;
    let since = detection.at.saturating_sub(DAY * 7).as_millis();
    let unit = part(detection.unit.as_str());
    let past = format!("/incidents?unit={unit}&since={since}&limit=200");
    let past = visitor.ask::<Vec<Summary>>(&past).await.unwrap_or_default();
    let past: Vec<PastIncident> = past.iter().filter_map(before).collect();
    let frame = visitor
        .frame(
            format!("{} · {}", detection.unit, record.incident.id),
            "incidents",
        )
        .about(record.incident.id.as_str());
    Ok(render(&make(frame, now, &record, &past)))
}

fn before(summary: &Summary) -> Option<PastIncident> {
    Some(PastIncident {
        id: summary.id.to_string(),
        at: summary.at,
        cause: summary.cause.clone(),
        ended: summary.ended?.as_str().to_owned(),
        strategy: summary.strategy.clone(),
    })
}

fn make(frame: Frame, now: Timestamp, record: &Record, past: &[PastIncident]) -> Page {
    let context = ReportContext {
        past,
        ..show::context(String::new(), now)
    };
    let report = Report::from_record(record, &context);
    let acts = acts(record);
    Page {
        frame,
        id: report.incident.to_string(),
        unit: Unit::new(&report.unit),
        is_open: record.ending.is_none(),
        state: state(&report),
        when: When::new(report.at.ms, now),
        facts: facts(&report),
        headline: report.headline,
        outcome: report.outcome.replace('_', " "),
        to_do: report.to_do,
        plan: report.plan,
        why: report.why,
        commands: report.next,
        logs: report.logs,
        what_failed: capital(&report.what_failed),
        reason: report.reason,
        symptoms: report.symptoms.iter().map(|it| capital(it)).collect(),
        evidence: report.evidence,
        findings: report.findings.into_iter().map(finding).collect(),
        hint: report.hint.map(finding),
        advice: report.advice.map(|advice| {
            let opinion = advice.opinion;
            Advice {
                model: advice.model,
                cause: opinion
                    .as_ref()
                    .map(|it| capital(&it.cause))
                    .unwrap_or_default(),
                explanation: opinion
                    .as_ref()
                    .map(|it| it.explanation.clone())
                    .unwrap_or_default(),
                suggestions: opinion.map(|it| it.suggestions).unwrap_or_default(),
                why_none: advice.why_none,
            }
        }),
        opinions: report
            .opinions
            .into_iter()
            .map(|it| (it.strategy.to_string(), it.words, it.reason))
            .collect(),
        attempts: report.attempts.into_iter().map(attempt).collect(),
        can_undo: acts.iter().any(|act| {
            act.state == "healthy"
                && act.undone.is_none()
                && act.plan.iter().any(|line| line.starts_with(UNDO))
        }),
        acts,
        proof: report
            .proof
            .map(|proof| (capital(&proof.sentence), proof.evidence)),
        recurrence: report
            .recurrence
            .map(|it| capital(&it.words))
            .unwrap_or_default(),
    }
}

fn finding(it: Explanation) -> Finding {
    Finding {
        sentence: capital(&it.sentence),
        because: it.because.unwrap_or_default(),
        from: match it.from.as_str() {
            "log" => "told by its log".to_owned(),
            "unit" => "told by systemd".to_owned(),
            "process" => "told by its processes".to_owned(),
            "resources" => "told by what it uses".to_owned(),
            "change" => "told by what was changed".to_owned(),
            strategy => format!("told by {strategy}"),
        },
        advice: it.advice.map(|advice| capital(&advice)).unwrap_or_default(),
    }
}

/// The colour of how it stands.
fn state(report: &Report) -> &'static str {
    match report.ended.as_str() {
        _ if report.needs_people => "failed",
        "healed" | "recovered" => "healthy",
        "open" if report.is_of_degradation() => "degraded",
        "open" | "blocked" => "recovering",
        _ => "stopped",
    }
}

fn facts(report: &Report) -> Vec<(String, String)> {
    // The heading has the rest.
    let told = [
        "service", "host", "incident", "priority", "failed", "degraded",
    ];
    report
        .facts()
        .into_iter()
        .filter(|(name, _)| !told.contains(&name.as_str()))
        .map(|(name, value)| (capital(&name), value))
        .collect()
}

fn attempt(attempt: prunella_report::Attempt) -> Attempt {
    Attempt {
        words: capital(&attempt.words),
        ended: attempt.ended.unwrap_or_default(),
        steps: attempt
            .steps
            .into_iter()
            .take(STEPS)
            .map(|line| {
                let (mark, word) = match line.mark {
                    Mark::Plain => ("plain", ""),
                    Mark::Good => ("good", "Went well:"),
                    Mark::Bad => ("bad", "Went wrong:"),
                    Mark::Unknown => ("unknown", "Unclear:"),
                    Mark::DryRun => ("dry", "Would:"),
                };
                Line {
                    when: line.when,
                    at: crate::show::clock(line.at),
                    mark,
                    word,
                    text: capital(&line.text),
                    times: line.times,
                }
            })
            .collect(),
    }
}

/// What a plan says about taking it back begins so.
const UNDO: &str = "To undo it: ";

fn acts(record: &Record) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    for entry in &record.steps {
        match &entry.step {
            Step::ActIntended {
                action,
                strategy,
                act,
                target,
                dry_run,
                plan,
            } => acts.push(Act {
                number: *action,
                what: capital(&prunella_report::shown_act(act, target)),
                strategy: strategy.to_string(),
                state: if *dry_run { "stopped" } else { "unknown" },
                result: if *dry_run {
                    "Not carried out: a dry run"
                } else {
                    "Its end is not known"
                }
                .to_owned(),
                plan: plan.as_ref().map(plan_lines).unwrap_or_default(),
                receipt: Vec::new(),
                undone: None,
            }),
            Step::ActEnded {
                action,
                result,
                receipt,
            } => {
                let Some(act) = acts.iter_mut().rev().find(|act| act.number == *action) else {
                    continue;
                };
                (act.state, act.result) = match result {
                    Ok(text) => ("healthy", capital(text)),
                    Err(failure) => ("failed", capital(&failure.message)),
                };
                if let Some(receipt) = receipt {
                    act.receipt = receipt_lines(receipt);
                }
            }
            Step::Undone {
                action, result, by, ..
            } => {
                let Some(act) = acts.iter_mut().rev().find(|act| act.number == *action) else {
                    continue;
                };
                let who = by
                    .as_ref()
                    .map(|by| format!(" by {by}"))
                    .unwrap_or_default();
                act.undone = Some(match result {
                    Ok(text) => format!("Undone{who}: {text}"),
                    Err(failure) => format!("Could not be undone: {}", failure.message),
                });
            }
            Step::ActDenied {
                strategy,
                act,
                target,
                failure,
            } => acts.push(Act {
                number: u32::MAX,
                what: capital(&prunella_report::shown_act(act, target)),
                strategy: strategy.to_string(),
                state: "stopped",
                result: format!("Not allowed: {}", failure.message),
                plan: Vec::new(),
                receipt: Vec::new(),
                undone: None,
            }),
            _ => {}
        }
    }
    acts
}

/// A plan, line by line.
pub(crate) fn plan_lines(plan: &prunella_core::remedy::Plan) -> Vec<String> {
    let mut shown = vec![capital(&plan.summary)];
    shown.extend(plan.amount.map(|amount| format!("About {amount}")));
    shown.extend(
        plan.details
            .iter()
            .flat_map(|it| lines(it))
            .map(str::to_owned),
    );
    shown.extend(plan.evidence.iter().take(50).map(|it| capital(it)));
    if !plan.along.is_empty() {
        let units: Vec<String> = plan
            .along
            .iter()
            .take(50)
            .map(ToString::to_string)
            .collect();
        shown.push(format!("Stops along with it: {}", units.join(", ")));
    }
    if let Some(lease) = plan.lease {
        shown.push(format!("For {} at most", length(lease.lasts)));
    }
    shown.push(match &plan.undo {
        Some(undo) => format!("{UNDO}{undo}"),
        None => "It cannot be undone".to_owned(),
    });
    shown
}

fn receipt_lines(receipt: &prunella_core::remedy::Receipt) -> Vec<String> {
    let mut shown = vec![capital(&receipt.summary)];
    if !receipt.changed {
        shown.push("Nothing was changed".to_owned());
    }
    match (receipt.predicted, receipt.measured) {
        (Some(predicted), Some(measured)) => {
            shown.push(format!("Planned {predicted}, measured {measured}"));
        }
        (None, Some(measured)) => shown.push(format!("Measured {measured}")),
        (Some(predicted), None) => shown.push(format!("Planned {predicted}, not measured")),
        (None, None) => {}
    }
    shown.extend(
        receipt
            .details
            .iter()
            .flat_map(|it| lines(it))
            .map(str::to_owned),
    );
    shown
}
