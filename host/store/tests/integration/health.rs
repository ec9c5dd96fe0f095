//! How services are, and were.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::time::Duration;

use prunella_config::Retention;
use prunella_core::{
    Timestamp, UnitName,
    budget::Moment,
    health::{
        Bucket, BucketSpan, BudgetRecord, Health, HealthState, Metric, Symptom, SymptomLevel,
        Transition,
    },
};
use prunella_store::{SeenHealth, Store};

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_millis(milliseconds)
}

fn symptom() -> Symptom {
    Symptom {
        level: SymptomLevel::Degraded,
        metric: Metric::LatencyMs,
        instance: Some("front".into()),
        value: 1_502,
        threshold: 1_000,
        clear: 800,
        since: at(5),
        evidence: "it is slow".into(),
        confirmed: true,
    }
}

fn transition(name: &str, at_ms: u64, to: HealthState) -> Transition {
    Transition {
        subject: unit(name).into(),
        at: at(at_ms),
        from: HealthState::Unknown,
        to,
        evidence: format!("it is {}", to.as_str()),
        symptom: (to == HealthState::Degraded).then(symptom),
    }
}

fn seen(name: &str, at_ms: u64, state: HealthState) -> SeenHealth {
    SeenHealth {
        health: Health {
            subject: unit(name).into(),
            state,
            since: at(at_ms),
            evidence: "so".into(),
            symptoms: vec![symptom()],
            episodes: Vec::new(),
            probes: Vec::new(),
            flapping: None,
            expected_work: None,
            error_budget: None,
            forecasts: Vec::new(),
            unusual: Vec::new(),
        },
        moment: Moment {
            boot_id: "b".into(),
            since_boot: Duration::from_millis(at_ms + 1),
            at: at(at_ms),
        },
    }
}

#[test]
fn states_and_their_changes_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let changes = [
        transition("web.service", 10, HealthState::Degraded),
        transition("db.service", 11, HealthState::Healthy),
        // The clock was put back.
        transition("web.service", 8, HealthState::Healthy),
    ];
    let store = Store::open(&path).unwrap();
    let web = seen("web.service", 10, HealthState::Degraded);
    store.save_health(&[web], &changes[..2]).unwrap();
    let web = seen("web.service", 12, HealthState::Healthy);
    store
        .save_health(std::slice::from_ref(&web), &changes[2..])
        .unwrap();
    drop(store);

    let store = Store::open_read_only(&path).unwrap();
    assert_eq!(store.seen_health().unwrap(), [web]);
    let of = |name, since, limit| {
        store
            .health_transitions(&unit(name).into(), since, limit)
            .unwrap()
    };
    assert_eq!(
        of("web.service", None, 10),
        [changes[2].clone(), changes[0].clone()]
    );
    assert_eq!(of("web.service", None, 1), [changes[2].clone()]);
    assert_eq!(of("web.service", Some(at(9)), 10), [changes[0].clone()]);
    assert_eq!(of("db.service", None, 10), [changes[1].clone()]);
    assert!(of("other.service", None, 10).is_empty());
}

#[test]
fn old_changes_are_forgotten_and_the_newest_of_each_service_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let mut changes: Vec<Transition> = (0..1_100)
        .map(|number| transition("web.service", 1_000 + number, HealthState::Healthy))
        .collect();
    changes.push(transition("db.service", 1, HealthState::Healthy));
    changes.push(transition("db.service", 2, HealthState::Healthy));
    store
        .save_health(&[seen("gone.service", 1, HealthState::Healthy)], &changes)
        .unwrap();
    let retention = |max_age| Retention {
        max_age,
        max_size: None,
    };
    store.tidy(&retention(None), at(2_000)).unwrap();
    let left = |name| {
        store
            .health_transitions(&unit(name).into(), None, 5_000)
            .unwrap()
    };
    assert_eq!(left("web.service").len(), 1_000);
    assert_eq!(left("db.service").len(), 2);
    let day = Some(Duration::from_millis(500));
    store.tidy(&retention(day), at(2_000)).unwrap();
    assert_eq!(left("web.service").len(), 600);
    assert_eq!(left("db.service"), [changes[1_101].clone()]);
    assert!(store.seen_health().unwrap().is_empty());
}

fn bucket(span: BucketSpan, at: u64, unanswered: u32) -> Bucket {
    Bucket {
        span,
        at,
        asked: 6,
        unanswered,
    }
}

fn moment(at_ms: u64) -> Moment {
    Moment {
        boot_id: "boot".into(),
        since_boot: Duration::from_millis(at_ms),
        at: at(at_ms),
    }
}

#[test]
fn error_budgets_grow_by_what_has_changed_and_what_is_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::open(&path).unwrap();
    let record = |clock: u64, buckets: Vec<Bucket>| BudgetRecord {
        clock: Duration::from_secs(clock),
        since: vec![None, Some(at(7))],
        buckets,
    };
    let save = |unit_name: &str, at_ms: u64, record: BudgetRecord| {
        let changed = [(unit(unit_name), record)];
        store.save_error_budgets(&moment(at_ms), &changed).unwrap();
    };
    let old = bucket(BucketSpan::Minute, 0, 1);
    let first = bucket(BucketSpan::Minute, 60, 2);
    let long_ago = bucket(BucketSpan::TwoHours, 0, 3);
    save("web.service", 1, record(3_599, vec![old, first, long_ago]));
    save("db.service", 1, record(60, vec![old]));
    assert_eq!(
        store.error_budgets().unwrap()[&unit("web.service")]
            .record
            .buckets,
        [old, first, long_ago]
    );
    // It has grown, and an hour is over for the oldest.
    let grown = bucket(BucketSpan::Minute, 60, 4);
    save("web.service", 2, record(3_661, vec![grown]));
    drop(store);

    let store = Store::open(&path).unwrap();
    let stored = store.error_budgets().unwrap();
    let web = &stored[&unit("web.service")];
    assert_eq!(web.record, record(3_661, vec![grown, long_ago]));
    assert_eq!(web.moment, moment(2));
    store.forget_error_budget(&unit("web.service")).unwrap();
    let left: Vec<_> = store.error_budgets().unwrap().into_keys().collect();
    assert_eq!(left, [unit("db.service")]);
}
