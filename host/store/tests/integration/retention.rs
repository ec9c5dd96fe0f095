//! What is old is forgotten, what is needed is kept, and space comes back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::common::{incident, ms, note};
use prunella_config::Retention;
use prunella_core::{
    StrategyName,
    incident::{Ending, IncidentId},
    summary::Filter,
};
use prunella_store::{Store, Tidied};

const DAY: u64 = 86_400_000;

fn healed() -> Ending {
    Ending::Healed {
        strategy: StrategyName::new("service-restart").unwrap(),
        recovered_after: Some(Duration::from_micros(1)),
        served_by: None,
    }
}

fn escalated(retry_at: Option<u64>) -> Ending {
    Ending::Escalated {
        reason: "nobody could".to_owned(),
        retry_at: retry_at.map(ms),
    }
}

/// An incident of day `day`, which ended so, or not at all.
fn add(store: &Store, name: &str, number: u16, day: u64, ending: Option<&Ending>) -> IncidentId {
    let incident = incident(name, number, day * DAY);
    store
        .open_incident_with(&incident, &[note(&incident.id, 0, "a step")])
        .unwrap();
    if let Some(ending) = ending {
        store.end(&incident.id, ms(day * DAY + 1), ending).unwrap();
    }
    incident.id
}

fn left(store: &Store) -> Vec<(String, u64)> {
    let mut left: Vec<(String, u64)> = store
        .incidents(&Filter::default())
        .unwrap()
        .into_iter()
        .map(|line| (line.unit.to_string(), line.at.as_millis() / DAY))
        .collect();
    left.reverse();
    left
}

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("prunella.db")).unwrap()
}

const TEN_DAYS: Retention = Retention {
    max_age: Some(Duration::from_secs(10 * 86_400)),
    max_size: None,
};

#[test]
fn old_incidents_go_and_needed_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let gone = add(&store, "web.service", 1, 1, Some(&healed()));
    add(&store, "open.service", 2, 2, None);
    let blocked = Ending::Blocked {
        on: crate::common::unit("db.service"),
        reason: "it is down".to_owned(),
    };
    add(&store, "waits.service", 3, 3, Some(&blocked));
    add(&store, "web.service", 4, 95, Some(&healed()));
    // The newest of its service, however old.
    add(&store, "old.service", 5, 1, Some(&healed()));
    // To be tried again; and one that was, until a newer one came.
    add(
        &store,
        "again.service",
        6,
        4,
        Some(&escalated(Some(99 * DAY))),
    );
    add(
        &store,
        "twice.service",
        7,
        4,
        Some(&escalated(Some(5 * DAY))),
    );
    add(&store, "twice.service", 8, 96, Some(&healed()));
    // It began long ago, and ended lately.
    let late = add(&store, "slow.service", 9, 1, None);
    store.end(&late, ms(95 * DAY), &healed()).unwrap();
    add(&store, "slow.service", 10, 97, Some(&healed()));

    let tidied = store.tidy(&TEN_DAYS, ms(100 * DAY)).unwrap();
    assert_eq!(tidied.incidents, 2);
    let expected = [
        ("old.service", 1),
        ("slow.service", 1),
        ("open.service", 2),
        ("waits.service", 3),
        ("again.service", 4),
        ("web.service", 95),
        ("twice.service", 96),
        ("slow.service", 97),
    ];
    let expected = expected.map(|(unit, day)| (unit.to_owned(), day));
    assert_eq!(left(&store), expected);
    assert!(store.record(&gone).unwrap().is_none());
    let steps: i64 = rusqlite::Connection::open(folder.path().join("prunella.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM steps", [], |row| row.get(0))
        .unwrap();
    assert_eq!(steps, 8, "their steps went with them");
    assert_eq!(
        store.tidy(&TEN_DAYS, ms(100 * DAY)).unwrap(),
        Tidied::default(),
        "there is nothing more to do"
    );
}

#[test]
fn kept_for_ever_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for day in 1..=3_u16 {
        add(&store, "web.service", day, u64::from(day), Some(&healed()));
    }
    let forever = Retention {
        max_age: None,
        max_size: None,
    };
    assert_eq!(store.tidy(&forever, ms(10_000 * DAY)).unwrap().incidents, 0);
    assert_eq!(left(&store).len(), 3);
}

#[test]
fn a_store_that_is_too_large_loses_its_oldest_and_gives_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "x".repeat(10_000);
    for number in 0..2_000_u16 {
        let unit = if number == 7 {
            "db.service"
        } else {
            "web.service"
        };
        let incident = incident(unit, number, u64::from(number) * 1_000);
        store
            .open_incident_with(&incident, &[note(&incident.id, 0, &long)])
            .unwrap();
        if number != 7 {
            store.end(&incident.id, ms(1), &healed()).unwrap();
        }
    }
    let retention = Retention {
        max_age: None,
        max_size: Some(4 << 20),
    };
    let tidied = store.tidy(&retention, ms(10 * DAY)).unwrap();
    let left: Vec<u64> = store
        .incidents(&Filter::default())
        .unwrap()
        .iter()
        .map(|line| line.at.as_millis() / 1_000)
        .collect();
    assert_eq!(u64::try_from(left.len()).unwrap() + tidied.incidents, 2_000);
    assert_eq!(left.last(), Some(&7), "the open one stays");
    // The newest are all there, without a gap.
    let newest = left.len() as u64 - 1;
    assert!(newest > 200, "{newest}");
    assert!(
        left.iter()
            .take(left.len() - 1)
            .copied()
            .eq((2_000 - newest..2_000).rev())
    );
    assert!(tidied.given_back > 10 << 20, "{tidied:?}");
    let size = fs::metadata(folder.path().join("prunella.db"))
        .unwrap()
        .len();
    assert!(size < 9 << 20, "{size} bytes");
    drop(store);
    open(folder.path()).check().unwrap();
}

#[test]
fn a_few_free_pages_stay_to_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for day in 1..=100_u16 {
        add(&store, "web.service", day, u64::from(day), Some(&healed()));
    }
    let tidied = store.tidy(&TEN_DAYS, ms(100 * DAY)).unwrap();
    assert_eq!((tidied.incidents, tidied.given_back), (89, 0));
}

/// While a long past is being forgotten, steps are written as ever.
#[test]
fn a_healing_does_not_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "x".repeat(2_000);
    for number in 0..3_000_u16 {
        let incident = incident("web.service", number, u64::from(number) * 1_000);
        store
            .open_incident_with(&incident, &[note(&incident.id, 0, &long)])
            .unwrap();
        store.end(&incident.id, ms(1), &healed()).unwrap();
    }
    let healing = incident("db.service", 1, DAY);
    store.open_incident(&healing).unwrap();
    let done = AtomicBool::new(false);
    let (forgotten, longest, written) = thread::scope(|scope| {
        let tidying = scope.spawn(|| {
            let tidied = store.tidy(&TEN_DAYS, ms(100 * DAY));
            done.store(true, Ordering::Release);
            tidied.unwrap().incidents
        });
        let (mut longest, mut number) = (Duration::ZERO, 0);
        while !done.load(Ordering::Acquire) {
            let began = Instant::now();
            store
                .append_ahead(&[note(&healing.id, number, "a step")])
                .unwrap();
            longest = longest.max(began.elapsed());
            number += 1;
        }
        (tidying.join().unwrap(), longest, number)
    });
    assert_eq!(forgotten, 2_999);
    // It got its turn between the 60 transactions, again and again.
    assert!(
        written > 60,
        "{written} steps, the longest took {longest:?}"
    );
}
