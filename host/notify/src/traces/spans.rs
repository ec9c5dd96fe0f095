//! The record of an incident as a trace: the incident is its root, and each assessment, healing,
//! act and proof a span below.
//!
//! Ids are made from the host's name and the incident, so that a trace that is sent again is the
//! same. Text of services and of strategies is quoted as reports quote it: on one line, without
//! what looks like a secret, and cut.

use std::{collections::BTreeMap, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status::StatusCode},
};
use prunella_core::{
    Monotonic, StrategyName,
    incident::{Assessment, Ending, Outcome},
    text::{one_line, redact},
    trail::{Entry, Record, Step},
};
use sha2::{Digest as _, Sha256};

/// Characters of a text that somebody else may have written.
const TEXT_MAX: usize = 300;

/// Clocks that differ by more were set in between, or belong to two boots.
const DRIFT: Duration = Duration::from_secs(2);

/// The whole trace of an incident, as it is sent.
pub(super) fn request(record: &Record, hostname: &str) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "prunella"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("host.name", hostname),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "prunella".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: Builder::new(record, hostname).spans(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

struct Builder<'a> {
    record: &'a Record,
    trace: Vec<u8>,
    root: Vec<u8>,
    /// When each step was, in nanoseconds since 1970.
    times: Vec<u64>,
    spans: Vec<Span>,
    events: Vec<span::Event>,
    /// The healing that is under way.
    heals: Option<Span>,
    /// Acts that have no end yet, by their number.
    acts: BTreeMap<u32, Span>,
    /// When there was first something to prove.
    to_prove: Option<u64>,
}

impl<'a> Builder<'a> {
    fn new(record: &'a Record, hostname: &str) -> Self {
        let incident = &record.incident;
        let name = format!("{hostname}/{}/{}", incident.id, incident.key);
        let trace = id(&name, 16);
        Self {
            record,
            root: id(&format!("{name}/root"), 8),
            trace,
            times: times(&record.steps),
            spans: Vec::new(),
            events: Vec::new(),
            heals: None,
            acts: BTreeMap::new(),
            to_prove: None,
        }
    }

    fn spans(mut self) -> Vec<Span> {
        let record = self.record;
        let times = self.times.clone();
        for (entry, at) in record.steps.iter().zip(times) {
            self.step(entry, at);
        }
        let end = self.times.last().copied().unwrap_or_default();
        self.cut_off(end);
        let root = self.root_span(end);
        let mut spans = vec![root];
        spans.append(&mut self.spans);
        spans
    }

    fn root_span(&mut self, end: u64) -> Span {
        let incident = &self.record.incident;
        let detection = &incident.detection;
        let mut attributes = vec![
            text("prunella.incident.id", incident.id.as_str()),
            text("prunella.incident.kind", detection.kind().as_str()),
            text("prunella.unit", detection.unit.as_str()),
            text("prunella.cause", detection.cause.as_str()),
            text("prunella.detected_by", detection.by.as_str()),
            number("prunella.attempts", incident.attempt.into()),
        ];
        let mut status = None;
        if let Some(ending) = &self.record.ending {
            attributes.push(text("prunella.outcome", ending.as_str()));
            if let Some(why) = ending.why() {
                attributes.push(text("prunella.outcome.reason", &quoted(&why)));
            }
            if let Ending::Healed {
                strategy,
                recovered_after,
                ..
            } = ending
            {
                attributes.push(text("prunella.strategy", strategy.as_str()));
                if let Some(after) = recovered_after {
                    let key = "prunella.recovered_after_us";
                    attributes.push(number(key, micros(*after)));
                }
            }
            status = match ending {
                Ending::Healed { .. } | Ending::Recovered { .. } => Some(ok()),
                Ending::Escalated { .. } | Ending::Interrupted { .. } => {
                    Some(failed(&ending.why().unwrap_or_default()))
                }
                _ => None,
            };
        }
        Span {
            trace_id: self.trace.clone(),
            span_id: self.root.clone(),
            name: "incident".to_owned(),
            kind: span::SpanKind::Internal.into(),
            start_time_unix_nano: self.begin(),
            end_time_unix_nano: end,
            attributes,
            events: std::mem::take(&mut self.events),
            status,
            ..Span::default()
        }
    }

    /// When the service went down, or else when that was noticed.
    fn begin(&self) -> u64 {
        let detection = &self.record.incident.detection;
        let noticed = nanos(Duration::from_millis(detection.at.as_millis()));
        let Some((first, at)) = self.record.steps.first().zip(self.times.first()) else {
            return noticed;
        };
        let since = |failed| first.monotonic.checked_since(failed);
        match detection.failed_monotonic.and_then(since) {
            Some(before) => at.saturating_sub(nanos(before)),
            None => noticed.min(*at),
        }
    }

    fn step(&mut self, entry: &Entry, at: u64) {
        match &entry.step {
            Step::Assessed {
                strategy,
                assessment,
                took,
            } => {
                let mut span = self.span("assess", entry, at.saturating_sub(nanos(*took)));
                span.attributes = vec![text("prunella.strategy", strategy.as_str())];
                span.attributes.extend(said(assessment));
                self.close(span, at, None);
            }
            Step::Heals { strategy } => {
                self.end_heal(at, None);
                let mut span = self.span("heal", entry, at);
                span.attributes = vec![text("prunella.strategy", strategy.as_str())];
                self.heals = Some(span);
            }
            Step::Returned { outcome, .. } => {
                let status = match outcome {
                    Ok(Outcome::Healed { .. }) => Some(ok()),
                    Ok(Outcome::Failed { reason }) => Some(failed(reason)),
                    Ok(_) => None,
                    Err(failure) => Some(failed(&failure.to_string())),
                };
                self.end_heal(at, status);
            }
            Step::Broke { call, message, .. } if call == "heal" => {
                self.end_heal(at, Some(failed(message)));
            }
            Step::ActIntended {
                action,
                strategy,
                act,
                target,
                ..
            } => self.begin_act(entry, at, *action, (strategy, act, target)),
            Step::ActEnded { action, result, .. } => {
                if let Some(mut span) = self.acts.remove(action) {
                    let status = match result {
                        Ok(done) => {
                            span.attributes.push(text("prunella.result", &quoted(done)));
                            ok()
                        }
                        Err(failure) => failed(&failure.to_string()),
                    };
                    self.to_prove = Some(at);
                    self.close(span, at, Some(status));
                }
            }
            Step::Proven { stable_for, .. } => {
                let begun = self.to_prove.take();
                let begun = begun.unwrap_or_else(|| at.saturating_sub(nanos(*stable_for)));
                let mut span = self.span("prove", entry, begun);
                let key = "prunella.stable_for_us";
                span.attributes = vec![number(key, micros(*stable_for))];
                self.close(span, at, Some(ok()));
            }
            Step::NotProven {
                reason, relapse, ..
            } => {
                let begun = self.to_prove.take().unwrap_or(at);
                let mut span = self.span("prove", entry, begun);
                let value = Value::BoolValue(*relapse);
                span.attributes = vec![attribute("prunella.relapse", value)];
                self.close(span, at, Some(failed(reason)));
            }
            other => self.event(other, at),
        }
    }

    fn begin_act(
        &mut self,
        entry: &Entry,
        at: u64,
        action: u32,
        (strategy, act, target): (&StrategyName, &str, &str),
    ) {
        let mut span = self.span(act, entry, at);
        if let Some(heals) = &self.heals {
            span.parent_span_id.clone_from(&heals.span_id);
        }
        span.attributes = vec![
            text("prunella.strategy", strategy.as_str()),
            text("prunella.target", &quoted(target)),
        ];
        self.acts.insert(action, span);
    }

    /// What is a moment on the way.
    fn event(&mut self, step: &Step, at: u64) {
        let (name, attributes) = match step {
            Step::Detected { .. } => ("detected", Vec::new()),
            Step::FailedAgain { cause, .. } => {
                ("failed again", vec![text("prunella.cause", cause.as_str())])
            }
            Step::Waits { reason, .. } => ("waits", vec![text("reason", &quoted(reason))]),
            Step::ActDenied { act, failure, .. } => (
                "act denied",
                vec![
                    text("prunella.act", act),
                    text("reason", &quoted(&failure.to_string())),
                ],
            ),
            Step::Undone { act, result, .. } => {
                let done = Value::BoolValue(result.is_ok());
                let attributes = vec![text("prunella.act", act), attribute("done", done)];
                ("undone", attributes)
            }
            Step::Proposed { act, .. } => ("waits for approval", vec![text("prunella.act", act)]),
            Step::Approved { act, .. } => ("approved", vec![text("prunella.act", act)]),
            Step::Answering { .. } => ("answering", Vec::new()),
            Step::Blocked { on, .. } => ("blocked", vec![text("prunella.on", on.as_str())]),
            Step::Unblocked { on, .. } => ("unblocked", vec![text("prunella.on", on.as_str())]),
            Step::Watches { reason, .. } => ("watches", vec![text("reason", &quoted(reason))]),
            Step::Cleared { .. } => ("cleared", Vec::new()),
            Step::Ended { ending } => ("ended", vec![text("prunella.outcome", ending.as_str())]),
            _ => return,
        };
        self.events.push(span::Event {
            time_unix_nano: at,
            name: name.to_owned(),
            attributes,
            dropped_attributes_count: 0,
        });
    }

    /// A span below the root that has just begun.
    fn span(&self, name: &str, entry: &Entry, begun: u64) -> Span {
        let incident = &self.record.incident;
        let own = format!("{}/{}/{}", incident.id, incident.key, entry.number);
        Span {
            trace_id: self.trace.clone(),
            span_id: id(&own, 8),
            parent_span_id: self.root.clone(),
            name: name.to_owned(),
            kind: span::SpanKind::Internal.into(),
            start_time_unix_nano: begun,
            ..Span::default()
        }
    }

    fn close(&mut self, mut span: Span, at: u64, status: Option<Status>) {
        span.end_time_unix_nano = at.max(span.start_time_unix_nano);
        span.status = status;
        self.spans.push(span);
    }

    fn end_heal(&mut self, at: u64, status: Option<Status>) {
        if let Some(span) = self.heals.take() {
            self.to_prove = Some(at);
            self.close(span, at, status);
        }
    }

    /// What never came to its end: Prunella was killed, or the host.
    fn cut_off(&mut self, at: u64) {
        let unknown = || Some(failed("how it ended is not known"));
        self.end_heal(at, unknown());
        for span in std::mem::take(&mut self.acts).into_values() {
            self.close(span, at, unknown());
        }
    }
}

/// When each step was, in nanoseconds since 1970: as exactly as the monotonic clock tells, from
/// the first step on, and anew where the wall clock says something else.
pub(super) fn times(steps: &[Entry]) -> Vec<u64> {
    let mut base: Option<(u64, Monotonic)> = None;
    let mut latest = 0;
    steps
        .iter()
        .map(|entry| {
            let wall = nanos(Duration::from_millis(entry.at.as_millis()));
            let told = base.and_then(|(at, monotonic)| {
                let since = entry.monotonic.checked_since(monotonic)?;
                Some(at.saturating_add(nanos(since)))
            });
            let at = match told {
                Some(told) if told.abs_diff(wall) <= nanos(DRIFT) => told,
                _ => {
                    base = Some((wall, entry.monotonic));
                    wall
                }
            };
            // A clock that was set back does not turn a trace around.
            latest = at.max(latest);
            latest
        })
        .collect()
}

fn said(assessment: &Assessment) -> Vec<KeyValue> {
    let (word, reason) = match assessment {
        Assessment::Applies { reason, .. } => ("applies", reason),
        Assessment::NotApplicable { reason } => ("not-applicable", reason),
        Assessment::BlockedBy { reason, .. } => ("blocked-by", reason),
        Assessment::Veto { reason } => ("veto", reason),
    };
    let mut said = vec![
        text("prunella.assessment", word),
        text("prunella.assessment.reason", &quoted(reason)),
    ];
    if let Assessment::Applies { confidence, .. } = assessment {
        said.push(number("prunella.confidence", (*confidence).into()));
    }
    said
}

/// Text that somebody else may have written.
fn quoted(text: &str) -> String {
    one_line(&redact(text), TEXT_MAX)
}

fn ok() -> Status {
    Status {
        message: String::new(),
        code: StatusCode::Ok.into(),
    }
}

fn failed(why: &str) -> Status {
    Status {
        message: quoted(why),
        code: StatusCode::Error.into(),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// So many bytes that belong to this name alone.
fn id(name: &str, length: usize) -> Vec<u8> {
    Sha256::digest(name.as_bytes())
        .into_iter()
        .take(length)
        .collect()
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
