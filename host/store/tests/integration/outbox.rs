//! The outbox: nothing is lost and nothing is sent twice, whenever the process
//! that is at it is killed.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the report"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{incident, ms, note, unit};
use prunella_core::{
    ChannelName,
    alert::{
        Alert, AlertGroup, AlertKind, Dispatch, DispatchFilter, DispatchState, Message, Severity,
    },
    incident::{Ending, Incident, IncidentId},
    trail::{Entry, Step},
};
use prunella_store::{
    AlertDecision, AttemptEnd, Decided, FoundDispatch, LastSteps, Store, StoreError, Tried,
};
use rstest::rstest;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    (folder, store)
}

/// As the next process finds it.
fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("prunella.db")).unwrap()
}

fn escalated() -> Ending {
    Ending::Escalated {
        reason: "nobody knows".to_owned(),
        retry_at: Some(ms(90_000)),
    }
}

fn ended(incident: &Incident, number: u32, ending: &Ending) -> Entry {
    Entry {
        step: Step::Ended {
            ending: ending.clone(),
        },
        ..note(&incident.id, number, "")
    }
}

fn alert(incident: &Incident, ending: &Ending) -> Alert {
    Alert::of(
        incident,
        &[],
        ending,
        None,
        "web.service failed".to_owned(),
        ms(7),
    )
    .unwrap()
}

fn end(at: u64, alert: &Alert) -> AttemptEnd {
    AttemptEnd {
        at: ms(at),
        ending: Some(escalated()),
        alert: Some(alert.clone()),
        tries: None,
    }
}

/// An incident that was handed to people, and its alert.
fn told_of(store: &Store, name: &str, number: u16) -> (Incident, Alert) {
    let incident = incident(name, number, u64::from(number) * 1_000);
    store.open_incident(&incident).unwrap();
    let alert = alert(&incident, &escalated());
    store
        .end_attempt(
            &incident.id,
            LastSteps::Numbered(&[ended(&incident, 0, &escalated())]),
            &end(7, &alert),
        )
        .unwrap();
    (incident, alert)
}

fn message(id: &str, alert_group: &str, incident: &Incident) -> Message {
    Message {
        id: id.to_owned(),
        kind: AlertKind::Escalation,
        severity: Severity::Warning,
        at: ms(7),
        host: "shop1".to_owned(),
        units: vec![incident.detection.unit.clone()],
        incidents: vec![incident.id.clone()],
        alert_group: alert_group.to_owned(),
        resolved: false,
        headline: "web.service needs a person".to_owned(),
        facts: Vec::new(),
        text: "…".to_owned(),
        html: None,
    }
}

fn alert_group(key: &str) -> AlertGroup {
    AlertGroup {
        key: key.to_owned(),
        opened: ms(10),
        told: ms(10),
        closed: None,
        channels: BTreeSet::from([mail()]),
        members: BTreeMap::new(),
    }
}

/// Messages in the outbox for `mail`, as (id, alert group).
fn decide(store: &Store, messages: &[(&str, &str)]) {
    let about = incident("web.service", 1, 1_000);
    let decided = Decided {
        dispatches: messages
            .iter()
            .map(|(id, alert_group)| (mail(), message(id, alert_group, &about)))
            .collect(),
        at: ms(100),
        ..Decided::default()
    };
    assert!(store.decide(&decided).unwrap());
}

fn mail() -> ChannelName {
    ChannelName::new("mail").unwrap()
}

fn ids(dispatches: &[Dispatch]) -> Vec<&str> {
    dispatches
        .iter()
        .map(|dispatch| dispatch.message.id.as_str())
        .collect()
}

fn one(store: &Store, id: &str) -> Dispatch {
    match store.find_dispatch(id).unwrap() {
        FoundDispatch::One(found) => *found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_end_and_its_alert_are_one_write() {
    let (folder, store) = store();
    let (incident, alert) = told_of(&store, "web.service", 1);
    drop(store);
    let store = open(&folder);
    let new = store.new_alerts().unwrap();
    assert_eq!(new.len(), 1);
    assert_eq!(new.first().unwrap().alert, alert);
    let record = store.record(&incident.id).unwrap().unwrap();
    assert_eq!(record.ending, Some(escalated()));
    assert_eq!(record.steps.len(), 1);
}

#[test]
fn an_end_that_cannot_be_written_leaves_no_alert() {
    let (_folder, store) = store();
    let (incident, alert) = told_of(&store, "web.service", 1);
    let taken = [ended(&incident, 0, &escalated())];
    let last = LastSteps::Numbered(&taken);
    let result = store.end_attempt(&incident.id, last, &end(8, &alert));
    assert!(
        matches!(result, Err(StoreError::NumberTaken { .. })),
        "{result:?}"
    );
    assert_eq!(store.new_alerts().unwrap().len(), 1);
}

#[test]
fn an_end_between_attempts_takes_the_next_number() {
    let (_folder, store) = store();
    let (incident, alert) = told_of(&store, "web.service", 1);
    let entry = ended(&incident, 0, &escalated());
    store
        .end_attempt(&incident.id, LastSteps::Next(&entry), &end(8, &alert))
        .unwrap();
    let record = store.record(&incident.id).unwrap().unwrap();
    let numbers: Vec<u32> = record.steps.iter().map(|step| step.number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn an_alert_outlives_an_incident_that_the_store_could_not_take() {
    let (_folder, store) = store();
    let unknown = incident("web.service", 1, 1_000);
    let alert = alert(&unknown, &escalated());
    let entry = ended(&unknown, 0, &escalated());
    let result = store.end_attempt(&unknown.id, LastSteps::Next(&entry), &end(8, &alert));
    assert!(
        matches!(result, Err(StoreError::NoSuchIncident(_))),
        "{result:?}"
    );
    store
        .put(&unknown, &[entry], Some(&end(8, &alert)))
        .unwrap();
    assert_eq!(store.new_alerts().unwrap().len(), 1);
}

#[test]
fn a_decision_is_written_once() {
    let (folder, store) = store();
    let (incident, _) = told_of(&store, "web.service", 1);
    let seq = store.new_alerts().unwrap().first().unwrap().seq;
    let decided = Decided {
        decisions: vec![(seq, AlertDecision::Notified)],
        alert_groups: vec![alert_group("t")],
        digests: vec![(None, ms(100)), (Some(unit("web.service")), ms(90))],
        dispatches: vec![(mail(), message("m-1", "t", &incident))],
        at: ms(100),
    };
    assert!(store.decide(&decided).unwrap());
    // Another process that had read the same alert.
    let again = Decided {
        dispatches: vec![(mail(), message("m-2", "t", &incident))],
        ..decided
    };
    assert!(!store.decide(&again).unwrap());
    drop(store);

    let store = open(&folder);
    assert!(store.new_alerts().unwrap().is_empty());
    assert_eq!(store.open_alert_groups().unwrap(), [alert_group("t")]);
    assert_eq!(
        store.digests().unwrap(),
        BTreeMap::from([(None, ms(100)), (Some(unit("web.service")), ms(90))])
    );
    let all = store.dispatches(&DispatchFilter::default()).unwrap();
    assert_eq!(ids(&all), ["m-1"]);
    let closed = AlertGroup {
        closed: Some(ms(200)),
        ..alert_group("t")
    };
    let decided = Decided {
        alert_groups: vec![closed],
        ..Decided::default()
    };
    assert!(store.decide(&decided).unwrap());
    assert!(store.open_alert_groups().unwrap().is_empty());
}

/// Kills the sender at each state and looks what the next one finds: how the
/// dispatch stands, whether it is due, and how often it was tried.
#[rstest]
#[case::before_it_began(0, DispatchState::Waiting, true, 0)]
#[case::while_it_was_sent(1, DispatchState::Waiting, true, 1)]
#[case::after_it_was_delivered(2, DispatchState::Delivered, false, 1)]
#[case::after_it_was_refused(3, DispatchState::Refused, false, 1)]
#[case::after_it_was_put_off(4, DispatchState::Waiting, false, 1)]
#[case::after_it_was_given_up(5, DispatchState::Failed, false, 1)]
fn a_killed_sender(
    #[case] killed: u32,
    #[case] state: DispatchState,
    #[case] due: bool,
    #[case] tries: u32,
) {
    let (folder, store) = store();
    decide(&store, &[("m-1", "t")]);
    if killed > 0 {
        assert!(store.begin_dispatch("m-1", ms(110)).unwrap());
        assert!(
            !store.begin_dispatch("m-1", ms(110)).unwrap(),
            "one at a time"
        );
        assert_eq!(one(&store, "m-1").state, DispatchState::Sending);
        assert!(store.due_dispatches(ms(1_000)).unwrap().is_empty());
    }
    match killed {
        2 => store
            .end_dispatch("m-1", &Tried::Delivered, "250 Ok")
            .unwrap(),
        3 => store
            .end_dispatch("m-1", &Tried::Refused, "550 no")
            .unwrap(),
        4 => store
            .end_dispatch("m-1", &Tried::Again(ms(500)), "busy")
            .unwrap(),
        5 => store
            .end_dispatch("m-1", &Tried::GivenUp, "too old")
            .unwrap(),
        _ => {}
    }
    drop(store);

    let store = open(&folder);
    let taken_back = store.take_back_dispatches(ms(200)).unwrap();
    assert_eq!(taken_back, usize::from(killed == 1));
    let found = one(&store, "m-1");
    assert_eq!((found.state, found.tries), (state, tries));
    assert_eq!(found.message.id, "m-1", "the id is the same at each try");
    assert_eq!(!store.due_dispatches(ms(200)).unwrap().is_empty(), due);
    if killed == 1 {
        assert!(found.detail.unwrap().contains("same id"));
    }
    if killed == 4 {
        assert_eq!(ids(&store.due_dispatches(ms(500)).unwrap()), ["m-1"]);
        assert_eq!(
            store.next_dispatches().unwrap(),
            BTreeMap::from([(mail(), ms(500))])
        );
    }
}

#[test]
fn messages_of_one_alert_group_arrive_in_order() {
    let (_folder, store) = store();
    decide(&store, &[("m-1", "t"), ("m-2", "t"), ("m-3", "other")]);
    assert_eq!(ids(&store.due_dispatches(ms(100)).unwrap()), ["m-1", "m-3"]);
    store.begin_dispatch("m-1", ms(100)).unwrap();
    assert_eq!(ids(&store.due_dispatches(ms(100)).unwrap()), ["m-3"]);
    store
        .end_dispatch("m-1", &Tried::Again(ms(500)), "busy")
        .unwrap();
    assert_eq!(ids(&store.due_dispatches(ms(100)).unwrap()), ["m-3"]);
    store.begin_dispatch("m-1", ms(500)).unwrap();
    store.end_dispatch("m-1", &Tried::Refused, "no").unwrap();
    assert_eq!(ids(&store.due_dispatches(ms(500)).unwrap()), ["m-2", "m-3"]);
}

#[test]
fn a_channel_that_does_not_work_is_put_off_without_a_try() {
    let (_folder, store) = store();
    decide(&store, &[("m-1", "t"), ("m-2", "u")]);
    store.put_off(&mail(), ms(900)).unwrap();
    assert!(store.due_dispatches(ms(899)).unwrap().is_empty());
    assert_eq!(store.due_dispatches(ms(900)).unwrap().len(), 2);
    assert_eq!(one(&store, "m-2").tries, 0);
}

#[test]
fn a_person_has_it_tried_again() {
    let (_folder, store) = store();
    decide(&store, &[("m-1", "a"), ("m-2", "b"), ("m-3", "c")]);
    for (id, tried) in [
        ("m-1", Tried::Delivered),
        ("m-2", Tried::Refused),
        ("m-3", Tried::GivenUp),
    ] {
        store.begin_dispatch(id, ms(100)).unwrap();
        store.end_dispatch(id, &tried, "so").unwrap();
    }
    assert_eq!(store.retry_dispatches(Some("m-1"), ms(700)).unwrap(), 0);
    assert_eq!(store.retry_dispatches(Some("m-2"), ms(700)).unwrap(), 1);
    assert_eq!(ids(&store.due_dispatches(ms(700)).unwrap()), ["m-2"]);
    assert_eq!(store.dispatch_since("m-2").unwrap(), Some(ms(700)));
    assert_eq!(store.retry_dispatches(None, ms(800)).unwrap(), 2);
    assert_eq!(ids(&store.due_dispatches(ms(800)).unwrap()), ["m-2", "m-3"]);
    assert_eq!(one(&store, "m-1").state, DispatchState::Delivered);
}

#[rstest]
#[case::all(DispatchFilter::default(), &["m-3", "m-2", "m-1"])]
#[case::newest(DispatchFilter { limit: Some(1), ..DispatchFilter::default() }, &["m-3"])]
#[case::refused(
    DispatchFilter { states: vec![DispatchState::Refused, DispatchState::Failed], ..DispatchFilter::default() },
    &["m-2"]
)]
#[case::channel(DispatchFilter { channel: Some(ChannelName::new("pager").unwrap()), ..DispatchFilter::default() }, &[])]
#[case::incident(
    DispatchFilter { incident: Some(incident("web.service", 1, 1_000).id), ..DispatchFilter::default() },
    &["m-3", "m-2", "m-1"]
)]
#[case::another_incident(
    DispatchFilter { incident: Some(IncidentId::from_text("other")), ..DispatchFilter::default() },
    &[]
)]
fn lists(#[case] filter: DispatchFilter, #[case] expected: &[&str]) {
    let (_folder, store) = store();
    decide(&store, &[("m-1", "a"), ("m-2", "b"), ("m-3", "c")]);
    store.begin_dispatch("m-2", ms(100)).unwrap();
    store.end_dispatch("m-2", &Tried::Refused, "no").unwrap();
    assert_eq!(ids(&store.dispatches(&filter).unwrap()), expected);
}

#[test]
fn a_dispatch_is_found_by_a_part_of_its_id() {
    let (_folder, store) = store();
    decide(
        &store,
        &[("20261122-030000-aabb", "a"), ("20261122-030001-ccdd", "b")],
    );
    assert_eq!(one(&store, "ccdd").message.alert_group, "b");
    assert_eq!(
        store.find_dispatch("20261122").unwrap(),
        FoundDispatch::Many(vec![
            "20261122-030001-ccdd".to_owned(),
            "20261122-030000-aabb".to_owned()
        ])
    );
    for none in ["", "eeff", "*", "a'b"] {
        assert_eq!(store.find_dispatch(none).unwrap(), FoundDispatch::None);
    }
}

#[test]
fn names_differ() {
    let (_folder, store) = store();
    let one = store.new_name(ms(0)).unwrap();
    assert!(one.starts_with("19700101-000000Z-"), "{one}");
    assert_ne!(one, store.new_name(ms(0)).unwrap());
}

#[test]
fn units_that_wait_for_another_are_told_apart() {
    let (_folder, store) = store();
    let waits = incident("web.service", 1, 1_000);
    store.open_incident(&waits).unwrap();
    store
        .end(
            &waits.id,
            ms(2),
            &Ending::Blocked {
                on: unit("db.service"),
                reason: "it is dead".to_owned(),
            },
        )
        .unwrap();
    told_of(&store, "db.service", 2);
    let unfinished = store.unfinished_units().unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(
        unfinished.first().unwrap().waits_for,
        Some((unit("db.service"), "it is dead".to_owned()))
    );
}

#[test]
fn old_messages_are_forgotten_and_pending_ones_kept() {
    let (_folder, store) = store();
    decide(&store, &[("m-1", "a"), ("m-2", "b")]);
    store.begin_dispatch("m-1", ms(100)).unwrap();
    store.end_dispatch("m-1", &Tried::Refused, "no").unwrap();
    assert_eq!(store.forget_dispatches(ms(100)).unwrap(), 0);
    assert_eq!(store.forget_dispatches(ms(101)).unwrap(), 1);
    let left = store.dispatches(&DispatchFilter::default()).unwrap();
    assert_eq!(ids(&left), ["m-2"]);
}
