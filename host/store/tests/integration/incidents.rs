//! Incidents go in and come out again, and several processes may do so at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use crate::common::{incident, ms, note, unit};
use prunella_core::{
    incident::{DetectedBy, Ending, EndingKind, IncidentId, IncidentKind, LeftAlone},
    summary::{Filter, OutcomeFilter},
};
use prunella_store::{AttemptEnd, Found, Opened, Pause, Store, StoreError};
use rstest::rstest;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella/prunella.db")).unwrap();
    (folder, store)
}

fn healed(after: u64) -> Ending {
    Ending::Healed {
        strategy: "service-restart".parse().unwrap(),
        recovered_after: Some(Duration::from_micros(after)),
        served_by: None,
    }
}

fn escalated(retry_at: Option<u64>) -> Ending {
    Ending::Escalated {
        reason: "nothing helped".to_owned(),
        retry_at: retry_at.map(ms),
    }
}

fn left_alone() -> Ending {
    Ending::LeftAlone {
        why: LeftAlone::OperatorStop,
        detail: String::new(),
    }
}

fn dry_run() -> Ending {
    Ending::DryRun {
        verdict: "it would start".to_owned(),
    }
}

#[test]
fn steps_before_an_act_are_visible_at_once() {
    let (_folder, store) = store();
    let incident = incident("web.service", 7, 1_000);
    store.open_incident(&incident).unwrap();
    let detected = note(&incident.id, 0, "detected");
    store.append_ahead(std::slice::from_ref(&detected)).unwrap();
    // As another process would.
    let other = Store::open_read_only(store.path()).unwrap();
    let record = other.record(&incident.id).unwrap().unwrap();
    assert_eq!(record.steps, std::slice::from_ref(&detected));

    let intended = note(&incident.id, 1, "intended");
    store.append_all(std::slice::from_ref(&intended)).unwrap();
    let record = other.record(&incident.id).unwrap().unwrap();
    assert_eq!(record.steps, [detected, intended]);
}

#[test]
fn a_written_record_is_read_back() {
    let (_folder, store) = store();
    let incident = incident("web.service", 7, 1_000);
    let first = note(&incident.id, 0, "first");
    assert_eq!(
        store
            .open_incident_with(&incident, std::slice::from_ref(&first))
            .unwrap(),
        Opened::New
    );
    let second = note(&incident.id, 1, "second");
    store.append(&second).unwrap();
    let record = store.record(&incident.id).unwrap().unwrap();
    assert_eq!(record.incident, incident);
    assert_eq!(record.steps, [first, second.clone()]);
    assert_eq!(record.ending, None);

    store.end(&incident.id, ms(2_000), &healed(812)).unwrap();
    let record = store.record(&incident.id).unwrap().unwrap();
    assert_eq!(record.ending, Some(healed(812)));
    let last = store.last_healed(&unit("web.service")).unwrap().unwrap();
    assert_eq!(
        (last.recovered_after, last.ended_at),
        (Some(Duration::from_micros(812)), Some(ms(2_000)))
    );

    store.reopen(&incident.id, 2).unwrap();
    let record = store.record(&incident.id).unwrap().unwrap();
    assert_eq!((record.ending, record.incident.attempt), (None, 2));
    assert_eq!(store.last_healed(&unit("web.service")).unwrap(), None);
}

#[test]
fn the_same_failure_is_opened_once() {
    let (_folder, store) = store();
    let first = incident("web.service", 1, 1_000);
    store.open_incident(&first).unwrap();
    let mut again = incident("web.service", 2, 1_000);
    again.key = first.key.clone();
    assert_eq!(
        store.open_incident(&again).unwrap(),
        Opened::Known {
            id: first.id.clone(),
            ending: None
        }
    );
    store.end(&first.id, ms(1), &left_alone()).unwrap();
    assert_eq!(
        store.open_incident(&again).unwrap(),
        Opened::Known {
            id: first.id,
            ending: Some(left_alone())
        }
    );
}

#[test]
fn an_id_drawn_twice_is_told_apart_from_the_same_failure() {
    let (_folder, store) = store();
    let first = incident("web.service", 1, 1_000);
    let other = incident("db.service", 1, 1_000);
    store.open_incident(&first).unwrap();
    assert!(matches!(
        store.open_incident(&other),
        Err(StoreError::IdTaken(id)) if id == first.id
    ));
}

#[test]
fn steps_must_fit() {
    let (_folder, store) = store();
    let incident = incident("web.service", 1, 1_000);
    store.open_incident(&incident).unwrap();
    store.append(&note(&incident.id, 0, "a")).unwrap();
    assert!(matches!(
        store.append(&note(&incident.id, 0, "b")),
        Err(StoreError::NumberTaken { number: 0, .. })
    ));
    assert_eq!(store.append_next(&note(&incident.id, 0, "b")).unwrap(), 1);
    assert_eq!(store.next_number(&incident.id).unwrap(), 2);
    // All or none.
    assert!(
        store
            .append_all(&[note(&incident.id, 2, "c"), note(&incident.id, 1, "d")])
            .is_err()
    );
    assert_eq!(store.next_number(&incident.id).unwrap(), 2);

    let nobody = IncidentId::from_text("nobody");
    assert!(matches!(
        store.append(&note(&nobody, 0, "a")),
        Err(StoreError::NoSuchIncident(_))
    ));
    assert!(matches!(
        store.end(&nobody, ms(1), &left_alone()),
        Err(StoreError::NoSuchIncident(_))
    ));
    assert_eq!(store.record(&nobody).unwrap(), None);
}

/// Eight stores on one file, as eight processes would have them.
#[test]
fn exactly_one_of_many_opens_an_incident() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8_u16)
        .map(|racer| {
            let (path, barrier) = (path.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                // Opening races, too: each would create the tables.
                barrier.wait();
                let store = Store::open(&path).unwrap();
                barrier.wait();
                (0..20_u16)
                    .filter(|failure| {
                        let unit = format!("web{failure}.service");
                        let mut mine = incident(&unit, racer * 100 + failure, 1_000);
                        mine.key = format!("{unit}/{failure}");
                        store.open_incident(&mine).unwrap() == Opened::New
                    })
                    .count()
            })
        })
        .collect();
    let opened: usize = racers.into_iter().map(|racer| racer.join().unwrap()).sum();
    assert_eq!(opened, 20);
}

/// Hook, sweep and daemon, each with another failed run of the same service.
#[test]
fn one_incident_is_open_for_a_unit_whoever_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8_u16)
        .map(|racer| {
            let (path, barrier) = (path.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let store = Store::open(&path).unwrap();
                barrier.wait();
                store
                    .open_incident(&incident("web.service", racer, 1_000))
                    .unwrap()
            })
        })
        .collect();
    let opened: Vec<Opened> = racers
        .into_iter()
        .map(|racer| racer.join().unwrap())
        .collect();
    assert_eq!(opened.iter().filter(|one| **one == Opened::New).count(), 1);
    let store = Store::open(&path).unwrap();
    let open = store.unfinished().unwrap();
    assert_eq!(open.len(), 1);
    let known = Opened::Known {
        id: open[0].id.clone(),
        ending: None,
    };
    assert_eq!(opened.iter().filter(|one| **one == known).count(), 7);

    // One that waits for another unit is open, too.
    let blocked = Ending::Blocked {
        on: unit("db.service"),
        reason: "it is down".to_owned(),
    };
    store.end(&open[0].id, ms(5), &blocked).unwrap();
    let next = incident("web.service", 9, 2_000);
    assert_eq!(
        store.open_incident(&next).unwrap(),
        Opened::Known {
            id: open[0].id.clone(),
            ending: Some(blocked)
        }
    );
    store.end(&open[0].id, ms(6), &escalated(Some(7))).unwrap();
    assert_eq!(store.open_incident(&next).unwrap(), Opened::New);
    assert!(matches!(
        store.reopen(&open[0].id, 2),
        Err(StoreError::AnotherIsOpen(id)) if id == next.id
    ));
}

/// An incident that happened while the store was in trouble is written when it is
/// over, whatever is open by then.
#[test]
fn a_late_ending_is_written_beside_an_open_incident() {
    let (_folder, store) = store();
    let open = incident("web.service", 2, 2_000);
    store.open_incident(&open).unwrap();
    let over = incident("web.service", 1, 1_000);
    let end = AttemptEnd {
        at: ms(5),
        ending: Some(healed(7)),
        alert: None,
        tries: None,
    };
    store
        .put(&over, &[note(&over.id, 0, "a step")], Some(&end))
        .unwrap();
    let record = store.record(&over.id).unwrap().unwrap();
    assert_eq!((record.ending, record.steps.len()), (Some(healed(7)), 1));
    assert_eq!(store.unfinished().unwrap(), [open]);
}

#[test]
fn writers_and_readers_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let incident = incident("web.service", 1, 1_000);
    Store::open(&path)
        .unwrap()
        .open_incident(&incident)
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = Store::open(&path).unwrap();
                for _ in 0..25 {
                    store.append_next(&note(&incident.id, 0, "step")).unwrap();
                }
            });
            scope.spawn(|| {
                let store = Store::open_read_only(&path).unwrap();
                for _ in 0..25 {
                    store.record(&incident.id).unwrap().unwrap();
                }
            });
        }
    });
    let record = Store::open_read_only(&path)
        .unwrap()
        .record(&incident.id)
        .unwrap()
        .unwrap();
    let numbers: Vec<u32> = record.steps.iter().map(|step| step.number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

/// web.service: 1 healed, 2 escalated, 3 open. db.service: 4 left alone,
/// 5 dry-run.
fn five() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    for (name, number) in [
        ("web.service", 1),
        ("web.service", 2),
        ("web.service", 3),
        ("db.service", 4),
        ("db.service", 5),
    ] {
        let incident = incident(name, number, u64::from(number) * 1_000);
        store.open_incident(&incident).unwrap();
        let ending = match number {
            1 => healed(5),
            2 => escalated(None),
            4 => left_alone(),
            5 => dry_run(),
            _ => continue,
        };
        store.end(&incident.id, ms(9_000), &ending).unwrap();
    }
    (folder, store)
}

#[rstest]
#[case::all(Filter::default(), &[5, 4, 3, 2, 1])]
#[case::newest(Filter { limit: Some(2), ..Filter::default() }, &[5, 4])]
#[case::before(Filter { before: Some(incident("web.service", 3, 3_000).id), limit: Some(1), ..Filter::default() }, &[2])]
#[case::before_nothing(Filter { before: Some(IncidentId::from_text("other")), ..Filter::default() }, &[])]
#[case::unit(Filter { unit: Some(unit("web.service")), ..Filter::default() }, &[3, 2, 1])]
#[case::since(Filter { since: Some(ms(4_000)), ..Filter::default() }, &[5, 4])]
#[case::until(Filter { until: Some(ms(2_000)), ..Filter::default() }, &[1])]
#[case::ended(Filter { outcome: Some(OutcomeFilter::Ended(EndingKind::Healed)), ..Filter::default() }, &[1])]
#[case::open(Filter { outcome: Some(OutcomeFilter::Open), ..Filter::default() }, &[3])]
#[case::both(Filter { unit: Some(unit("db.service")), outcome: Some(OutcomeFilter::Ended(EndingKind::Healed)), ..Filter::default() }, &[])]
fn lists(#[case] filter: Filter, #[case] expected: &[u64]) {
    let (_folder, store) = five();
    let found: Vec<u64> = store
        .incidents(&filter)
        .unwrap()
        .iter()
        .map(|summary| summary.at.as_millis() / 1_000)
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn kinds_are_told_apart() {
    let (_folder, store) = five();
    let mut slow = incident("slow.service", 77, 9_000);
    slow.detection.cause = "degraded".into();
    store.open_incident(&slow).unwrap();
    let of = |kind| {
        let filter = Filter {
            kind: Some(kind),
            ..Filter::default()
        };
        store.incidents(&filter).unwrap()
    };
    let degradations = of(IncidentKind::Degradation);
    assert_eq!(degradations.len(), 1);
    assert_eq!(degradations[0].id, slow.id);
    assert_eq!(degradations[0].kind, IncidentKind::Degradation);
    assert_eq!(of(IncidentKind::Failure).len(), 5);
    let open = store.unfinished_units().unwrap();
    let kinds: Vec<IncidentKind> = open.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [IncidentKind::Failure, IncidentKind::Degradation]);
}

/// Nothing had failed, unless the order itself went wrong.
#[rstest]
#[case::asked_about_what_is_up("active", left_alone(), None)]
#[case::started_after_a_stop("inactive", healed(5), None)]
#[case::restarted("restart-requested", healed(5), None)]
#[case::started_in_vain("inactive", escalated(None), Some(EndingKind::Escalated))]
#[case::healed_by_hand("exit-code", healed(5), Some(EndingKind::Healed))]
fn orders_about_what_had_not_failed_are_not_counted(
    #[case] cause: &str,
    #[case] ending: Ending,
    #[case] counted: Option<EndingKind>,
) {
    let (_folder, store) = store();
    let mut ordered = incident("web.service", 7, 1_000);
    ordered.detection.by = DetectedBy::Operator;
    ordered.detection.cause = cause.into();
    store.open_incident(&ordered).unwrap();
    store.end(&ordered.id, ms(2_000), &ending).unwrap();
    let counts = store.counts_since(ms(0)).unwrap();
    let counted: Vec<_> = counted.map(|kind| (Some(kind), 1)).into_iter().collect();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), counted);
}

#[test]
fn counts_and_the_past() {
    let (_folder, store) = five();
    let counts = store.counts_since(ms(2_000)).unwrap();
    let counts: Vec<(Option<EndingKind>, u64)> = counts.into_iter().collect();
    assert_eq!(
        counts,
        [
            (None, 1),
            (Some(EndingKind::LeftAlone), 1),
            (Some(EndingKind::Escalated), 1),
            (Some(EndingKind::DryRun), 1)
        ]
    );
    let past: Vec<String> = store
        .recent(&unit("web.service"), 10)
        .unwrap()
        .into_iter()
        .map(|past| past.ended)
        .collect();
    assert_eq!(past, ["escalated", "healed"]);
    assert_eq!(store.recent(&unit("db.service"), 10).unwrap().len(), 1);
}

#[test]
fn unfinished_are_the_open_and_the_blocked() {
    let (_folder, store) = store();
    let open = incident("a.service", 1, 1_000);
    let blocked = incident("b.service", 2, 2_000);
    let over = incident("c.service", 3, 3_000);
    for incident in [&open, &blocked, &over] {
        store.open_incident(incident).unwrap();
    }
    store
        .end(
            &blocked.id,
            ms(1),
            &Ending::Blocked {
                on: unit("a.service"),
                reason: "it is down".to_owned(),
            },
        )
        .unwrap();
    store.end(&over.id, ms(1), &left_alone()).unwrap();
    assert_eq!(store.unfinished().unwrap(), [open, blocked]);
}

#[rstest]
#[case::time_has_come(Some(100), None, 100, true)]
#[case::not_yet(Some(101), None, 100, false)]
#[case::never(None, None, 100, false)]
#[case::superseded(Some(100), Some(left_alone()), 100, false)]
#[case::a_dry_run_supersedes_nothing(Some(100), Some(dry_run()), 100, true)]
fn due(
    #[case] retry_at: Option<u64>,
    #[case] newer: Option<Ending>,
    #[case] now: u64,
    #[case] expected: bool,
) {
    let (_folder, store) = store();
    let this = incident("web.service", 1, 2_000);
    store.open_incident(&this).unwrap();
    store.end(&this.id, ms(50), &escalated(retry_at)).unwrap();
    store
        .open_incident(&incident("other.service", 9, 9_000))
        .unwrap();
    if let Some(ending) = newer {
        // Opened later, though the clock was set back in between.
        let newer = incident("web.service", 2, 1_000);
        store.open_incident(&newer).unwrap();
        store.end(&newer.id, ms(60), &ending).unwrap();
    }
    let found = store.due(ms(now)).unwrap();
    assert_eq!(!found.is_empty(), expected);
}

#[test]
fn found_by_beginning_or_end() {
    let (_folder, store) = store();
    for number in [0x7f3a, 0x00aa, 0x11aa] {
        store
            .open_incident(&incident(&format!("{number}.service"), number, 1_000))
            .unwrap();
    }
    let one = IncidentId::new(ms(1_000), 0x7f3a);
    assert_eq!(store.find("7f3a").unwrap(), Found::One(one.clone()));
    assert_eq!(store.find(one.as_str()).unwrap(), Found::One(one));
    assert!(matches!(store.find("aa").unwrap(), Found::Many(ids) if ids.len() == 2));
    assert!(matches!(store.find("19700101").unwrap(), Found::Many(ids) if ids.len() == 3));
    for nothing in ["beef", "", "*", "%"] {
        assert_eq!(store.find(nothing).unwrap(), Found::None);
    }
}

#[test]
fn pauses_come_and_go() {
    let (_folder, store) = store();
    let all = Pause {
        unit: None,
        since: ms(1),
        until: Some(ms(100)),
        reason: "maintenance".to_owned(),
        by: "alice".to_owned(),
    };
    let web = Pause {
        unit: Some(unit("web.service")),
        until: None,
        ..all.clone()
    };
    store.pause(&all).unwrap();
    store.pause(&web).unwrap();
    store.pause(&web).unwrap();
    assert_eq!(store.pauses().unwrap(), [all.clone(), web.clone()]);
    assert_eq!(
        store.paused(&unit("db.service"), ms(99)).unwrap(),
        Some(all)
    );
    assert_eq!(store.paused(&unit("db.service"), ms(100)).unwrap(), None);
    assert!(store.resume(None).unwrap());
    assert!(!store.resume(None).unwrap());
    assert_eq!(
        store.paused(&unit("web.service"), ms(100)).unwrap(),
        Some(web)
    );
}

/// The last 50 of a million.
#[test]
fn a_long_past_does_not_slow_the_list_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "PRAGMA synchronous = OFF;
             INSERT INTO incidents
               (id, key, unit, at_ms, cause, attempt, boot_id, detection, ended, ended_at_ms, ending)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             SELECT 'id-' || i, 'key-' || i, 's' || (i % 100) || '.service', i, 'signal', 1,
                    'boot', '{}', iif(i % 1000 = 0, 'escalated', 'healed'), i, '{}' FROM n;",
        )
        .unwrap();
    for filter in [
        Filter::default(),
        Filter {
            unit: Some(unit("s7.service")),
            ..Filter::default()
        },
        Filter {
            outcome: Some(OutcomeFilter::Ended(EndingKind::Escalated)),
            ..Filter::default()
        },
    ] {
        let filter = Filter {
            limit: Some(50),
            ..filter
        };
        assert_fast(|| assert_eq!(store.incidents(&filter).unwrap().len(), 50));
    }
    assert_fast(|| assert!(store.due(ms(1)).unwrap().is_empty()));
    assert_fast(|| assert!(store.unfinished().unwrap().is_empty()));
}

/// The fastest of ten: what the query costs, not what else the machine does.
fn assert_fast(query: impl Fn()) {
    let fastest = (0..10)
        .map(|_| {
            let began = Instant::now();
            query();
            began.elapsed()
        })
        .min()
        .unwrap();
    assert!(fastest.as_millis() < 10, "{fastest:?}");
}

#[test]
fn a_line_of_the_list_says_why() {
    let (_folder, store) = store();
    let one = incident("web.service", 1, 1_000);
    store.open_incident(&one).unwrap();
    let open = store.incidents(&Filter::default()).unwrap();
    assert_eq!(open[0].why, None);
    let reason = format!("no strategy applies:\n{}", "x".repeat(2_000));
    let ending = Ending::Escalated {
        reason: reason.clone(),
        retry_at: None,
    };
    store.end(&one.id, ms(2_000), &ending).unwrap();
    let why = store.incidents(&Filter::default()).unwrap()[0]
        .why
        .clone()
        .unwrap();
    assert!(why.starts_with("no strategy applies:"), "{why}");
    assert!(!why.contains('\n') && why.len() < 1_100, "{why}");
    // The whole of it is in the record.
    let record = store.record(&one.id).unwrap().unwrap();
    assert_eq!(record.ending, Some(ending));

    let ending = Ending::LeftAlone {
        why: LeftAlone::Paused,
        detail: "until noon".to_owned(),
    };
    store.end(&one.id, ms(3_000), &ending).unwrap();
    let line = store.incidents(&Filter::default()).unwrap().remove(0);
    assert_eq!(line.left_alone, Some(LeftAlone::Paused));
    assert_eq!(line.why.unwrap(), "Prunella is paused for it: until noon");
    store.reopen(&one.id, 2).unwrap();
    let line = store.incidents(&Filter::default()).unwrap().remove(0);
    assert_eq!((line.why, line.left_alone, line.ended), (None, None, None));
}

#[test]
fn records_come_whole_in_parts_and_in_order() {
    let (_folder, store) = store();
    let count = 450;
    for number in 0..count {
        let one = incident(
            if number % 3 == 0 {
                "db.service"
            } else {
                "web.service"
            },
            number,
            u64::from(number) * 1_000,
        );
        store
            .open_incident_with(
                &one,
                &[note(&one.id, 0, "first"), note(&one.id, 1, "second")],
            )
            .unwrap();
        store.end(&one.id, ms(1), &left_alone()).unwrap();
    }
    let all = |filter: &Filter| {
        let (mut after, mut found, mut parts) = (None, Vec::new(), 0);
        loop {
            let (records, next) = store.records(filter, after).unwrap();
            assert!(records.iter().all(|record| record.steps.len() == 2));
            found.extend(
                records
                    .iter()
                    .map(|r| r.incident.detection.at.as_millis() / 1_000),
            );
            parts += 1;
            match next {
                Some(next) => after = Some(next),
                None => return (found, parts),
            }
        }
    };
    let (found, parts) = all(&Filter::default());
    assert_eq!(found, (0..u64::from(count)).collect::<Vec<_>>());
    assert!(parts > 1);
    let (found, _) = all(&Filter {
        unit: Some(unit("db.service")),
        since: Some(ms(300_000)),
        until: Some(ms(310_000)),
        ..Filter::default()
    });
    assert_eq!(found, [300, 303, 306, 309]);
    let (found, parts) = all(&Filter {
        outcome: Some(OutcomeFilter::Ended(EndingKind::Healed)),
        ..Filter::default()
    });
    assert_eq!((found, parts), (Vec::new(), 1));
}
