//! What each ending makes people hear.

use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::{
    Monotonic, StrategyName,
    incident::{DetectedBy, Detection, LeftAlone},
};

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn incident() -> Incident {
    let detection = Detection {
        unit: unit("web.service"),
        by: DetectedBy::Signal,
        at: Timestamp::from_millis(1_000),
        cause: "exit-code".into(),
        invocation: None,
        exit_code: Some(1),
        signal: None,
        failed_monotonic: None,
        restarts_before: None,
        symptoms: Vec::new(),
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    };
    Incident {
        id: IncidentId::from_text("20261122-030000-0001"),
        key: "k".to_owned(),
        detection,
        attempt: 2,
        boot_id: "boot".to_owned(),
        parent: None,
    }
}

fn entry(attempt: u32, step: Step) -> Entry {
    Entry {
        incident: incident().id,
        number: 0,
        at: Timestamp::default(),
        monotonic: Monotonic::default(),
        attempt,
        step,
    }
}

fn service(critical: bool) -> Service {
    Service {
        critical,
        ..Service::new(unit("web.service"))
    }
}

fn headline() -> String {
    "web.service failed".to_owned()
}

fn healed() -> Ending {
    Ending::Healed {
        strategy: StrategyName::new("service-restart").unwrap(),
        recovered_after: Some(Duration::from_micros(1_000)),
        served_by: None,
    }
}

fn left(why: LeftAlone) -> Ending {
    Ending::LeftAlone {
        why,
        detail: String::new(),
    }
}

fn escalated(reason: &str, retry_at: Option<Timestamp>) -> Ending {
    Ending::Escalated {
        reason: reason.to_owned(),
        retry_at,
    }
}

fn recovered() -> Ending {
    Ending::Recovered {
        by: "itself".to_owned(),
    }
}

fn interrupted() -> Ending {
    Ending::Interrupted {
        detail: "the host was rebooted".to_owned(),
    }
}

/// Ending, whether critical; kind, severity, over, will_retry.
#[rstest]
#[case(healed(), false, AlertKind::Recovery, Severity::Info, true, false)]
#[case(healed(), true, AlertKind::Recovery, Severity::Warning, true, false)]
#[case(recovered(), false, AlertKind::Recovery, Severity::Info, true, false)]
#[case(
    escalated("x", None),
    false,
    AlertKind::Escalation,
    Severity::Warning,
    false,
    false
)]
#[case(
    escalated("x", Some(Timestamp::from_millis(9))),
    true,
    AlertKind::Escalation,
    Severity::Critical,
    false,
    true
)]
#[case(
    left(LeftAlone::StartLimit),
    true,
    AlertKind::Escalation,
    Severity::Critical,
    false,
    false
)]
#[case(
    left(LeftAlone::Protected),
    false,
    AlertKind::Escalation,
    Severity::Warning,
    false,
    false
)]
#[case(
    left(LeftAlone::OperatorStop),
    true,
    AlertKind::Information,
    Severity::Info,
    true,
    false
)]
#[case(
    left(LeftAlone::Paused),
    true,
    AlertKind::Information,
    Severity::Info,
    false,
    true
)]
#[case(
    left(LeftAlone::Healthy),
    false,
    AlertKind::Information,
    Severity::Info,
    true,
    false
)]
#[case(
    interrupted(),
    true,
    AlertKind::Information,
    Severity::Warning,
    false,
    false
)]
fn an_ending_is_told_as(
    #[case] ending: Ending,
    #[case] critical: bool,
    #[case] kind: AlertKind,
    #[case] severity: Severity,
    #[case] resolved: bool,
    #[case] will_retry: bool,
) {
    let alert = Alert::of(
        &incident(),
        &[],
        &ending,
        Some(&service(critical)),
        headline(),
        Timestamp::from_millis(7),
    )
    .unwrap();
    assert_eq!(
        (alert.kind, alert.severity, alert.resolved, alert.will_retry),
        (kind, severity, resolved, will_retry)
    );
    assert_eq!((alert.attempt, alert.at), (2, Timestamp::from_millis(7)));
    assert!(alert.headline.contains("web.service"), "{}", alert.headline);
}

/// Whoever had a stopped service started knows of it; whoever was asked to see to it does not.
#[rstest]
#[case::alone(&[], None)]
#[case::people_were_asked(&[escalated("x", None)], Some(AlertKind::Recovery))]
fn an_order_is_told_only_to_those_who_were_asked(
    #[case] before: &[Ending],
    #[case] told: Option<AlertKind>,
) {
    let mut incident = incident();
    incident.detection.by = DetectedBy::Operator;
    incident.detection.cause = "inactive".into();
    let steps = ended(before);
    let alert = Alert::of(
        &incident,
        &steps,
        &healed(),
        None,
        headline(),
        Timestamp::from_millis(7),
    );
    assert_eq!(alert.map(|alert| alert.kind), told);
}

/// Of the kill switch people hear once, and not when they see to the service already.
#[rstest]
#[case::alone(&[], Some(AlertKind::Escalation))]
#[case::people_were_asked(&[escalated("x", None)], None)]
fn the_kill_switch_is_no_news_of_what_people_see_to(
    #[case] before: &[Ending],
    #[case] told: Option<AlertKind>,
) {
    let incident = incident();
    let alert = Alert::of(
        &incident,
        &ended(before),
        &left(LeftAlone::KillSwitch),
        None,
        headline(),
        Timestamp::from_millis(7),
    );
    assert_eq!(alert.map(|alert| alert.kind), told);
}

/// The steps of an incident that has ended so before.
fn ended(endings: &[Ending]) -> Vec<Entry> {
    let steps = endings.iter().map(|ending| Step::Ended {
        ending: ending.clone(),
    });
    steps.map(|step| entry(1, step)).collect()
}

#[rstest]
#[case::dry_run(Ending::DryRun { verdict: "x".to_owned() })]
#[case::blocked(Ending::Blocked { on: unit("db.service"), reason: "x".to_owned() })]
fn nobody_hears_of(#[case] ending: Ending) {
    assert_eq!(
        Alert::of(
            &incident(),
            &[],
            &ending,
            Some(&service(true)),
            headline(),
            Timestamp::from_millis(7)
        ),
        None
    );
}

#[test]
fn a_service_out_of_care_is_not_critical() {
    let alert = Alert::of(
        &incident(),
        &[],
        &escalated("x", None),
        None,
        headline(),
        Timestamp::from_millis(7),
    )
    .unwrap();
    assert_eq!(alert.severity, Severity::Warning);
}

fn assessed(named: &str) -> Step {
    Step::Assessed {
        strategy: StrategyName::new("database-check").unwrap(),
        assessment: Assessment::BlockedBy {
            unit: named.to_owned(),
            reason: "dead".to_owned(),
        },
        took: Duration::from_micros(1),
    }
}

#[rstest]
#[case::nothing(vec![], None)]
#[case::assessed(vec![(2, assessed("db.service"))], Some("db.service"))]
#[case::itself(vec![(2, assessed("web.service"))], None)]
#[case::no_unit(vec![(2, assessed("no unit"))], None)]
#[case::of_an_earlier_attempt(vec![(1, assessed("db.service"))], None)]
#[case::waited(
    vec![(1, assessed("old.service")), (2, Step::Unblocked { on: unit("db.service"), healthy: true })],
    Some("db.service")
)]
fn the_cause_is_what_was_named_last(#[case] steps: Vec<(u32, Step)>, #[case] cause: Option<&str>) {
    let steps: Vec<Entry> = steps
        .into_iter()
        .map(|(attempt, step)| entry(attempt, step))
        .collect();
    let alert = Alert::of(
        &incident(),
        &steps,
        &healed(),
        None,
        headline(),
        Timestamp::from_millis(7),
    )
    .unwrap();
    assert_eq!(alert.cause.as_ref().map(UnitName::as_str), cause);
}

#[rstest]
#[case("the next in 213 s", "the next in 7 s", true)]
#[case("its port is taken", "its disk is full", false)]
fn numbers_do_not_make_an_alert_different(
    #[case] one: &str,
    #[case] other: &str,
    #[case] same: bool,
) {
    let key = |reason: &str| {
        let headline = format!("web.service needs a person: {reason}");
        Alert::of(
            &incident(),
            &[],
            &escalated(reason, None),
            None,
            headline,
            Timestamp::from_millis(7),
        )
        .unwrap()
        .content_key()
    };
    assert_eq!(key(one) == key(other), same);
}

/// Whoever did not hear of a degradation need not hear of its end, unless Prunella has acted.
#[test]
fn the_end_of_a_degradation_is_told_where_it_was_told() {
    let mut degraded = incident();
    degraded.detection.cause = "degraded".into();
    let recovered = Ending::Recovered {
        by: "its symptoms have cleared by themselves".to_owned(),
    };
    let healed = Ending::Healed {
        strategy: StrategyName::new("service-restart").unwrap(),
        recovered_after: None,
        served_by: None,
    };
    let told = entry(
        1,
        Step::Watches {
            symptoms: Vec::new(),
            reason: "it may not".to_owned(),
            tried: false,
        },
    );
    let at = Timestamp::from_millis(2_000);
    let of = |steps: &[Entry], ending: &Ending| {
        Alert::of(&degraded, steps, ending, None, headline(), at)
    };
    assert_eq!(of(&[], &recovered), None);
    assert!(of(&[], &healed).is_some_and(|alert| alert.resolved));
    let end = of(std::slice::from_ref(&told), &recovered).unwrap();
    assert!(end.resolved);
    assert_eq!(end.kind, AlertKind::Recovery);
    // That goes on as another incident, which tells its own end.
    let continued = Ending::Continued {
        reason: "it has failed".to_owned(),
    };
    assert_eq!(of(&[told], &continued), None);
}

#[test]
fn a_degradation_is_a_warning_until_healing_was_of_no_use() {
    let at = Timestamp::from_millis(2_000);
    let of = |critical, tried| {
        let service = service(critical);
        let alert = Alert::degradation(&incident(), Some(&service), headline(), tried, at);
        assert!(!alert.resolved && alert.will_retry);
        (alert.kind, alert.severity)
    };
    assert_eq!(of(true, false), (AlertKind::Degradation, Severity::Warning));
    assert_eq!(of(false, true), (AlertKind::Escalation, Severity::Warning));
    assert_eq!(of(true, true), (AlertKind::Escalation, Severity::Critical));
}
