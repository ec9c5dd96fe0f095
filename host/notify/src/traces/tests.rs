//! The trace of an incident that was healed, and of one that was cut off.

use std::{collections::BTreeMap, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use prunella_core::{
    Failure, Monotonic, StrategyName, Timestamp, UnitName,
    incident::{Assessment, DetectedBy, Detection, Ending, Incident, IncidentId, Outcome},
    trail::{Entry, Record, Step},
};

use super::spans::request;

const START: &str = "unit-control.start";

fn strategy() -> StrategyName {
    StrategyName::new("service-restart").unwrap()
}

/// Steps, each so many microseconds after the first, which was 50 ms after the failure.
fn record(steps: impl IntoIterator<Item = (u64, Step)>, ending: Option<Ending>) -> Record {
    let id = IncidentId::from_text("20261121-142301Z-7f3a");
    let failed = 7_000_000;
    let entries = (0..).zip(steps).map(|(number, (after, step))| Entry {
        incident: id.clone(),
        number,
        at: Timestamp::from_millis(1_000_050 + after / 1_000),
        monotonic: Monotonic::from_micros(failed + 50_000 + after),
        attempt: 1,
        step,
    });
    let steps = entries.collect();
    let detection = Detection {
        unit: UnitName::new("web.service").unwrap(),
        by: DetectedBy::Signal,
        at: Timestamp::from_millis(1_000_050),
        cause: "signal".into(),
        invocation: None,
        exit_code: None,
        signal: Some("KILL".to_owned()),
        failed_monotonic: Some(Monotonic::from_micros(failed)),
        restarts_before: None,
        symptoms: Vec::new(),
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    };
    let incident = Incident {
        id,
        key: "web.service/1".to_owned(),
        detection,
        attempt: 1,
        boot_id: "b".to_owned(),
        parent: None,
    };
    Record {
        incident,
        steps,
        ending,
    }
}

fn intended() -> Step {
    Step::ActIntended {
        action: 1,
        strategy: strategy(),
        act: START.to_owned(),
        target: "web.service".to_owned(),
        dry_run: false,
        plan: None,
    }
}

/// The spans as a collector reads them, by name.
fn spans(record: &Record) -> BTreeMap<String, Span> {
    let bytes = request(record, "h").encode_to_vec();
    let read = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    let spans = read.resource_spans.into_iter();
    let spans = spans.flat_map(|of| of.scope_spans).flat_map(|of| of.spans);
    spans.map(|span| (span.name.clone(), span)).collect()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let mut found = span.attributes.iter().filter(|it| it.key == key);
    found.next()?.value.clone()?.value
}

fn text(span: &Span, key: &str) -> String {
    match attribute(span, key) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

fn code(span: &Span) -> i32 {
    span.status.as_ref().map_or(-1, |status| status.code)
}

/// In microseconds since the failure.
fn when(span: &Span) -> (i64, i64) {
    let since = |nanos: u64| i64::try_from(nanos / 1_000).unwrap() - 1_000_000_000;
    (
        since(span.start_time_unix_nano),
        since(span.end_time_unix_nano),
    )
}

#[test]
fn a_healing_is_a_trace_with_its_real_times() {
    let healed = Ending::Healed {
        strategy: strategy(),
        recovered_after: Some(Duration::from_micros(190_300)),
        served_by: None,
    };
    let record = record(
        [
            (
                700,
                Step::Assessed {
                    strategy: strategy(),
                    assessment: Assessment::Applies {
                        confidence: 90,
                        reason: "it was killed\npassword=hunter2hunter2".to_owned(),
                    },
                    took: Duration::from_micros(400),
                },
            ),
            (
                1_000,
                Step::Heals {
                    strategy: strategy(),
                },
            ),
            (1_200, intended()),
            (
                90_250,
                Step::ActEnded {
                    action: 1,
                    result: Ok("done".to_owned()),
                    receipt: None,
                },
            ),
            (
                91_000,
                Step::Returned {
                    strategy: strategy(),
                    outcome: Ok(Outcome::Healed {
                        summary: "started".to_owned(),
                    }),
                    took: Duration::from_micros(90_000),
                },
            ),
            (
                5_091_000,
                Step::Proven {
                    strategy: None,
                    evidence: Vec::new(),
                    stable_for: Duration::from_secs(5),
                },
            ),
            (
                5_092_000,
                Step::Ended {
                    ending: healed.clone(),
                },
            ),
        ],
        Some(healed),
    );
    let spans = spans(&record);
    let [root, assess, heal, act, prove] =
        ["incident", "assess", "heal", START, "prove"].map(|name| &spans[name]);
    // The first step's wall clock has whole milliseconds: 1,000,050 + 0.
    assert_eq!(when(root), (-700, 5_141_300));
    assert_eq!(when(assess), (49_600, 50_000));
    assert_eq!(when(heal), (50_300, 140_300));
    assert_eq!(when(act), (50_500, 139_550));
    assert_eq!(when(prove), (140_300, 5_140_300));

    assert!(spans.values().all(|span| span.trace_id == root.trace_id));
    assert_eq!((root.trace_id.len(), root.span_id.len()), (16, 8));
    assert!(root.parent_span_id.is_empty());
    assert_eq!(act.parent_span_id, heal.span_id);
    for span in [assess, heal, prove] {
        assert_eq!(span.parent_span_id, root.span_id, "{}", span.name);
    }
    let ok = i32::from(StatusCode::Ok);
    assert_eq!([root, heal, act, prove].map(code), [ok; 4]);
    assert_eq!(text(root, "prunella.unit"), "web.service");
    assert_eq!(text(root, "prunella.outcome"), "healed");
    let reason = text(assess, "prunella.assessment.reason");
    assert!(
        !reason.contains('\n') && !reason.contains("hunter2"),
        "{reason}"
    );
}

#[test]
fn a_trace_that_is_sent_again_is_the_same_and_of_another_host_another() {
    let record = record([(0, intended())], None);
    assert_eq!(request(&record, "a"), request(&record, "a"));
    let trace = |host| request(&record, host).resource_spans[0].scope_spans[0].spans[0].clone();
    assert_ne!(trace("a").trace_id, trace("b").trace_id);
}

#[test]
fn what_was_cut_off_says_so() {
    let escalated = Ending::Escalated {
        reason: "it fails at each start".to_owned(),
        retry_at: None,
    };
    let record = record(
        [
            (
                0,
                Step::Heals {
                    strategy: strategy(),
                },
            ),
            (100, intended()),
            (
                9_000_000,
                Step::ActDenied {
                    strategy: strategy(),
                    act: START.to_owned(),
                    target: "web.service".to_owned(),
                    failure: Failure::denied("not-granted", "no grant"),
                },
            ),
            (
                9_000_100,
                Step::Ended {
                    ending: escalated.clone(),
                },
            ),
        ],
        Some(escalated),
    );
    let spans = spans(&record);
    let error = i32::from(StatusCode::Error);
    for name in ["incident", "heal", START] {
        assert_eq!(code(&spans[name]), error, "{name}");
        assert_eq!(when(&spans[name]).1, 9_050_100, "{name}");
    }
    let events = spans["incident"].events.iter();
    let events: Vec<&str> = events.map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["act denied", "ended"]);
}

#[test]
fn a_clock_that_was_set_is_believed_and_turns_nothing_around() {
    let mut record = record(
        [(0, intended()), (1_000, intended()), (2_000, intended())],
        None,
    );
    // An hour back, then as it was.
    record.steps[1].at = Timestamp::from_millis(1);
    let times = super::spans::times(&record.steps);
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[2] / 1_000_000, 1_000_052);
}
