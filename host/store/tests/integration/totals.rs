//! What is counted outlives what it counts, and what was sent as a trace is not sent again.

#![allow(
    clippy::unwrap_used,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::time::Duration;

use prunella_config::Retention;
use prunella_core::{
    Failure, StrategyName,
    incident::{Ending, Incident, Outcome},
    trail::{Entry, Step},
};
use prunella_store::{AttemptEnd, LastSteps, Store, Total};

use crate::common::{incident, ms, note};

fn strategy() -> StrategyName {
    StrategyName::new("service-restart").unwrap()
}

fn step(incident: &Incident, number: u32, step: Step) -> Entry {
    Entry {
        step,
        ..note(&incident.id, number, "")
    }
}

fn intended(number: u32, dry_run: bool) -> Step {
    Step::ActIntended {
        action: number,
        strategy: strategy(),
        act: "unit-control.start".to_owned(),
        target: "web.service".to_owned(),
        dry_run,
        plan: None,
    }
}

fn healed(after: Duration) -> AttemptEnd {
    AttemptEnd {
        at: ms(20),
        ending: Some(Ending::Healed {
            strategy: strategy(),
            recovered_after: Some(after),
            served_by: None,
        }),
        alert: None,
        tries: None,
    }
}

/// What is counted of this, by label, in order.
fn counts(store: &Store, total: Total) -> Vec<(String, String, u64)> {
    let all = store.totals().unwrap();
    let mut found: Vec<_> = all
        .into_iter()
        .filter(|count| count.total == total)
        .map(|count| (count.subject, count.label, count.number))
        .collect();
    found.sort();
    found
}

fn one(subject: &str, label: &str, number: u64) -> Vec<(String, String, u64)> {
    vec![(subject.to_owned(), label.to_owned(), number)]
}

#[test]
fn a_healing_is_counted_and_not_forgotten_with_its_incident() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    let web = incident("web.service", 1, 10);
    store.open_incident(&web).unwrap();
    let refused = Err(Failure::denied("no-grant", "no grant"));
    let steps = [
        intended(1, false),
        Step::ActEnded {
            action: 1,
            result: Ok("done".to_owned()),
            receipt: None,
        },
        intended(2, true),
        intended(3, false),
        Step::ActEnded {
            action: 3,
            result: refused,
            receipt: None,
        },
        Step::Returned {
            strategy: strategy(),
            outcome: Ok(Outcome::Healed {
                summary: "started".to_owned(),
            }),
            took: Duration::from_millis(1_500),
        },
        Step::NotProven {
            strategy: None,
            reason: "it failed again".to_owned(),
            relapse: true,
        },
        Step::Proven {
            strategy: None,
            evidence: Vec::new(),
            stable_for: Duration::from_secs(5),
        },
    ];
    let steps: Vec<Entry> = (0..)
        .zip(steps)
        .map(|(number, of)| step(&web, number, of))
        .collect();
    store.append_all(&steps).unwrap();
    let after = Duration::from_millis(400);
    let end = healed(after);
    store
        .end_attempt(&web.id, LastSteps::Numbered(&[]), &end)
        .unwrap();
    // A newer one of the unit, so that nothing keeps the first.
    store
        .open_incident(&incident("web.service", 2, 30))
        .unwrap();
    let retention = Retention {
        max_age: Some(Duration::from_millis(1)),
        ..Retention::default()
    };
    assert_eq!(store.tidy(&retention, ms(90_000)).unwrap().incidents, 1);
    drop(store);

    let store = Store::open_read_only(&path).unwrap();
    let web = "web.service";
    assert_eq!(counts(&store, Total::Incidents), one(web, "failure", 2));
    assert_eq!(counts(&store, Total::Attempts), one(web, "healed", 1));
    assert_eq!(
        counts(&store, Total::Acts),
        one(web, "unit-control.start", 2)
    );
    assert_eq!(counts(&store, Total::ActsFailed), one(web, "", 1));
    assert_eq!(counts(&store, Total::ActsDenied), []);
    assert_eq!(counts(&store, Total::Proofs), one(web, "", 1));
    assert_eq!(counts(&store, Total::ProofsFailed), one(web, "", 1));
    assert_eq!(counts(&store, Total::Relapses), one(web, "", 1));
    // Up to 0.5 s, which is the third bound.
    assert_eq!(counts(&store, Total::Recoveries), one(web, "2", 1));
    assert_eq!(counts(&store, Total::RecoveryMicros), one(web, "", 400_000));
    assert_eq!(counts(&store, Total::Runs), one("", "service-restart", 1));
    assert_eq!(
        counts(&store, Total::RunMicros),
        one("", "service-restart", 1_500_000)
    );
    assert_eq!(
        store.standing_incidents().unwrap(),
        [(web.to_owned(), false)]
    );
}

#[test]
fn what_is_written_twice_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let web = incident("web.service", 1, 10);
    store.open_incident(&web).unwrap();
    store.open_incident(&web).unwrap();
    let steps = [step(&web, 0, intended(1, false))];
    store.append_all(&steps).unwrap();
    store.put(&web, &steps, None).unwrap();
    assert_eq!(
        counts(&store, Total::Incidents),
        one("web.service", "failure", 1)
    );
    let act = "unit-control.start";
    assert_eq!(counts(&store, Total::Acts), one("web.service", act, 1));
}

#[test]
fn an_incident_is_sent_once_it_is_over_and_again_after_it_went_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let web = incident("web.service", 1, 10);
    store.open_incident(&web).unwrap();
    let untraced = |since| store.untraced(ms(since), 10).unwrap();
    assert_eq!(untraced(0), [], "it is open");
    store.note_traced(&web.id, ms(15)).unwrap();

    let escalated = |retry_at| Ending::Escalated {
        reason: "nobody could".to_owned(),
        retry_at,
    };
    store
        .end(&web.id, ms(20), &escalated(Some(ms(99))))
        .unwrap();
    assert_eq!(untraced(0), [], "it is tried again");
    store.end(&web.id, ms(20), &escalated(None)).unwrap();
    assert_eq!(untraced(0), std::slice::from_ref(&web.id));
    assert_eq!(untraced(21), [], "it ended before");
    store.note_traced(&web.id, ms(25)).unwrap();
    assert_eq!(untraced(0), []);

    store.reopen(&web.id, 2).unwrap();
    assert_eq!(untraced(0), []);
    store.end(&web.id, ms(30), &escalated(None)).unwrap();
    assert_eq!(untraced(0), [web.id]);
}
