//! What strategies have achieved is counted with the end of an attempt.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use crate::common::{incident, ms, note, unit};
use prunella_core::{
    StrategyName,
    incident::Ending,
    statistics::{Counts, Signature, Try, TryOutcome},
};
use prunella_store::{AttemptEnd, LastSteps, Store, StoreError};

fn name(name: &str) -> StrategyName {
    StrategyName::new(name).unwrap()
}

fn signature(service: &str, line: &str) -> Signature {
    Signature::new(unit(service), "exit-code", [line])
}

fn end(at: u64, signature: &Signature, tries: &[(&str, TryOutcome)]) -> AttemptEnd {
    AttemptEnd {
        at: ms(at),
        ending: Some(Ending::Recovered {
            by: "itself".to_owned(),
        }),
        alert: None,
        tries: Some((
            signature.clone(),
            tries
                .iter()
                .map(|(strategy, came)| Try {
                    strategy: name(strategy),
                    came: *came,
                })
                .collect(),
        )),
    }
}

fn counts(tries: u32, proofs: u32, relapses: u32) -> Counts {
    Counts {
        tries,
        proofs,
        relapses,
    }
}

#[test]
fn tries_are_counted_by_kind_of_failure() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let in_use = signature("web.service", "error: port 80 in use");
    let denied = signature("web.service", "error: access denied");
    let other = signature("db.service", "error: port 80 in use");
    let ends = [
        (
            &in_use,
            vec![
                ("restart", TryOutcome::Failed),
                ("port", TryOutcome::Proven),
            ],
        ),
        (
            &in_use,
            vec![
                ("restart", TryOutcome::Relapsed),
                ("port", TryOutcome::Proven),
            ],
        ),
        (&denied, vec![("restart", TryOutcome::Proven)]),
        (&other, vec![("restart", TryOutcome::Proven)]),
    ];
    for (number, (signature, tries)) in (1..).zip(&ends) {
        let incident = incident(signature.unit.as_str(), number, 1_000);
        store.open_incident(&incident).unwrap();
        let end = end(u64::from(number), signature, tries);
        store
            .end_attempt(&incident.id, LastSteps::Numbered(&[]), &end)
            .unwrap();
    }
    let learned = store.counts(&in_use).unwrap();
    assert_eq!(
        learned.same.into_iter().collect::<Vec<_>>(),
        [
            (name("port"), counts(2, 2, 0)),
            (name("restart"), counts(2, 0, 1))
        ]
    );
    assert_eq!(
        learned.similar.into_iter().collect::<Vec<_>>(),
        [(name("restart"), counts(1, 1, 0))]
    );
    let all = store.statistics(None).unwrap();
    let shown: Vec<(&str, &str, &str, u32, u64)> = all
        .iter()
        .map(|one| {
            (
                one.signature.unit.as_str(),
                one.signature.sample.as_str(),
                one.strategy.as_str(),
                one.counts.tries,
                one.last_at.as_millis(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("db.service", "error: port # in use", "restart", 1, 4),
            ("web.service", "error: access denied", "restart", 1, 3),
            ("web.service", "error: port # in use", "port", 2, 2),
            ("web.service", "error: port # in use", "restart", 2, 2),
        ]
    );
    let of_web = store.statistics(Some(&unit("web.service"))).unwrap();
    assert_eq!(of_web.as_slice(), &all[1..]);
}

/// Step, ending and counts are written together or not at all.
#[test]
fn an_end_that_is_refused_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("prunella.db")).unwrap();
    let kind = signature("web.service", "error");
    let incident = incident("web.service", 1, 1_000);
    store
        .open_incident_with(&incident, &[note(&incident.id, 0, "first")])
        .unwrap();
    let end = end(5, &kind, &[("restart", TryOutcome::Proven)]);
    let error = store
        .end_attempt(
            &incident.id,
            LastSteps::Numbered(&[note(&incident.id, 0, "again")]),
            &end,
        )
        .unwrap_err();
    assert!(matches!(error, StoreError::NumberTaken { .. }), "{error:?}");
    assert!(store.statistics(None).unwrap().is_empty());
    assert_eq!(store.record(&incident.id).unwrap().unwrap().ending, None);

    store
        .end_attempt(
            &incident.id,
            LastSteps::Numbered(&[note(&incident.id, 1, "second")]),
            &end,
        )
        .unwrap();
    assert_eq!(store.statistics(None).unwrap().len(), 1);
    let record = store.record(&incident.id).unwrap().unwrap();
    assert_eq!((record.steps.len(), record.ending), (2, end.ending));
}
