//! Whatever is written, by whichever process, is in the order of events.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends with a panic"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use prunella_core::{
    event::{EventKind, PauseEvent},
    health::{HealthState, Subject, Transition},
};
use prunella_store::{Pause, Store};

use crate::common::{incident, ms, note, unit};

#[test]
fn what_two_processes_write_comes_in_order_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    let woken = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&woken);
    store.when_written(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let start = store.latest_event().unwrap();
    assert!(
        start > 1_500_000_000_000,
        "it grows over the loss of a store"
    );
    let nothing = store.events(start, 10).unwrap();
    assert!(nothing.events.is_empty() && !nothing.missed && !nothing.more);

    let hook = Store::open(&path).unwrap();
    let one = incident("a.service", 1, 1_000);
    hook.open_incident(&one).unwrap();
    store.append(&note(&one.id, 0, "looking")).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1, "by its own writes alone");
    let pause = Pause {
        unit: None,
        since: ms(1),
        until: None,
        reason: "moving".into(),
        by: "me".into(),
    };
    hook.pause(&pause).unwrap();
    hook.resume(None).unwrap();
    let subject = Subject::from(unit("a.service"));
    let transition = Transition {
        subject,
        at: ms(5),
        from: HealthState::Healthy,
        to: HealthState::Failed,
        evidence: "it was killed".into(),
        symptom: None,
    };
    store
        .save_health(&[], std::slice::from_ref(&transition))
        .unwrap();

    let all = store.events(start, 100).unwrap();
    let words: Vec<&str> = all.events.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(words, ["incident", "step", "pause", "pause", "health"]);
    let EventKind::Step(step) = &all.events[1].what else {
        unreachable!("the second is a step");
    };
    assert_eq!((&step.incident, &step.unit), (&one.id, &one.detection.unit));
    assert_eq!(
        all.events[3].what,
        EventKind::Pause(PauseEvent {
            unit: None,
            paused: false
        })
    );
    assert_eq!(all.events[4].what, EventKind::Health(transition.into()));
    assert_eq!(all.upto, store.latest_event().unwrap());

    // A part at a time, and from anywhere in between.
    let part = store.events(start, 2).unwrap();
    assert!(part.more);
    assert_eq!(part.events, all.events[..2]);
    let rest = store.events(part.upto, 100).unwrap();
    assert!(!rest.more && !rest.missed);
    assert_eq!(rest.events, all.events[2..]);
}

#[test]
fn what_is_not_known_any_more_is_said_to_be_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let latest = store.latest_event().unwrap();
    let of_another_store = store.events(latest + 1, 10).unwrap();
    assert!(of_another_store.missed);
    assert_eq!(of_another_store.upto, latest);
    assert!(store.events(latest - 2, 10).unwrap().missed);
}
