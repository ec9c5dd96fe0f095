//! The healing ledger remembers, wherever it still can.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Barrier},
    time::Duration,
};

use crate::common::{Disk, moment, unit};
use prunella_core::{
    budget::{BudgetVerdict, HostBudget, Moment},
    service::BudgetSettings,
};
use prunella_store::{Kept, Ledger, LedgerError, Store};
use rstest::rstest;

const WINDOW: Duration = Duration::from_secs(300);

fn store(folder: &Path) -> Arc<Store> {
    Arc::new(Store::open(&folder.join("prunella.db")).unwrap())
}

fn ages(ledger: &Ledger, now: &Moment) -> Vec<u64> {
    ledger
        .healings(&unit("web.service"), now, WINDOW)
        .iter()
        .map(Duration::as_secs)
        .collect()
}

#[test]
fn healings_are_counted_once_though_kept_twice() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let ledger = Ledger::new(Some(store(folder.path())), run.clone());
    let web = unit("web.service");
    for since_boot in [100, 110, 150] {
        let kept = ledger
            .record(&web, &moment("b", since_boot, since_boot))
            .unwrap();
        assert_eq!(kept, Kept::InStore);
    }
    ledger
        .record(&unit("db.service"), &moment("b", 155, 155))
        .unwrap();
    let now = moment("b", 160, 160);
    assert_eq!(ages(&ledger, &now), [10, 50, 60]);
    assert_eq!(ledger.host_healings(&now, WINDOW).len(), 4);
    assert_eq!(
        ledger.healings(&web, &now, Duration::from_secs(20)).len(),
        1
    );
    let mode = fs::metadata(run.join("healings.jsonl"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // Another process sees the same, from the store or from /run alone.
    assert_eq!(
        ages(
            &Ledger::new(Some(store(folder.path())), folder.path().join("other")),
            &now
        ),
        [10, 50, 60]
    );
    assert_eq!(ages(&Ledger::new(None, run), &now), [10, 50, 60]);
}

/// A healing at second 1000 of boot `a`, wall clock 50,000. Then:
#[rstest]
#[case::same_boot(moment("a", 1_060, 50_060), &[60])]
#[case::same_boot_clock_forward(moment("a", 1_060, 9_999_999), &[60])]
#[case::same_boot_clock_back(moment("a", 1_060, 3), &[60])]
#[case::after_a_quick_reboot(moment("b", 20, 50_060), &[60])]
#[case::after_a_long_time_off(moment("b", 20, 60_000), &[])]
#[case::reboot_with_a_clock_behind(moment("b", 20, 3), &[0])]
#[case::container_reboot(moment("b", 1_060, 50_060), &[60])]
fn a_reboot_or_a_step_of_the_clock(#[case] now: Moment, #[case] expected: &[u64]) {
    let folder = tempfile::tempdir().unwrap();
    Ledger::new(Some(store(folder.path())), folder.path().join("run-a"))
        .record(&unit("web.service"), &moment("a", 1_000, 50_000))
        .unwrap();
    // The next boot has a new /run.
    let ledger = Ledger::new(Some(store(folder.path())), folder.path().join("run-b"));
    assert_eq!(ages(&ledger, &now), expected);
}

#[rstest]
#[case::forward(9_999_999)]
#[case::back(3)]
fn a_step_after_a_reboot_changes_nothing(#[case] stepped_to: u64) {
    let folder = tempfile::tempdir().unwrap();
    Ledger::new(Some(store(folder.path())), folder.path().join("run"))
        .record(&unit("web.service"), &moment("a", 1_000, 50_000))
        .unwrap();
    let first = Ledger::new(Some(store(folder.path())), folder.path().join("run"));
    assert_eq!(ages(&first, &moment("b", 20, 50_060)), [60]);
    // The same process, and one that begins after the step.
    let later = moment("b", 50, stepped_to);
    assert_eq!(ages(&first, &later), [90]);
    let second = Ledger::new(Some(store(folder.path())), folder.path().join("run"));
    assert_eq!(ages(&second, &later), [90]);
}

#[test]
fn an_operators_start_resets_the_unit_and_not_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let ledger = Ledger::new(Some(store(folder.path())), run.clone());
    let web = unit("web.service");
    ledger.record(&web, &moment("b", 100, 100)).unwrap();
    ledger
        .record(&unit("db.service"), &moment("b", 100, 100))
        .unwrap();
    ledger.reset(&web).unwrap();
    let now = moment("b", 110, 110);
    for ledger in [
        &ledger,
        &Ledger::new(None, run.clone()),
        &Ledger::new(Some(store(folder.path())), folder.path().join("other")),
    ] {
        assert_eq!(ages(ledger, &now), [0; 0]);
        assert_eq!(ledger.host_healings(&now, WINDOW).len(), 2);
    }
    ledger.record(&web, &moment("b", 120, 120)).unwrap();
    assert_eq!(ages(&ledger, &moment("b", 130, 130)), [10]);
}

#[test]
fn without_the_store_run_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let ledger = Ledger::new(None, run.clone());
    let kept = ledger
        .record(&unit("web.service"), &moment("b", 100, 100))
        .unwrap();
    assert_eq!(kept, Kept::UntilReboot);
    assert!(!ledger.degraded());
    assert_eq!(ages(&Ledger::new(None, run), &moment("b", 110, 110)), [10]);
}

#[test]
fn a_store_that_fails_in_the_middle_frees_nothing() {
    let disk = Disk::new("size=1m");
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(store(disk.path())), folder.path().join("run"));
    let web = unit("web.service");
    assert_eq!(
        ledger.record(&web, &moment("b", 100, 100)).unwrap(),
        Kept::InStore
    );
    fs::write(disk.join("filler"), vec![0; 1 << 20]).unwrap_err();
    let mut number = 0;
    // SQLite may still have room in a file it has grown before.
    while ledger
        .record(&web, &moment("b", 101 + number, 101))
        .unwrap()
        == Kept::InStore
    {
        number += 1;
        assert!(number < 1_000, "the disk never got full");
    }
    let expected = usize::try_from(number).unwrap() + 2;
    assert_eq!(
        ledger
            .healings(&web, &moment("b", 101 + number, 101), Duration::MAX)
            .len(),
        expected
    );
}

#[test]
fn where_nothing_can_be_noted_down_there_is_one_healing() {
    let disk = Disk::new("size=1m");
    disk.make_read_only();
    let ledger = Ledger::new(None, disk.join("run"));
    let web = unit("web.service");
    let (settings, host) = (BudgetSettings::default(), HostBudget::default());
    let spend = |since_boot| {
        ledger.spend(
            &web,
            &moment("b", since_boot, since_boot),
            &settings,
            &host,
            Duration::ZERO,
        )
    };
    assert_eq!(spend(100).unwrap(), BudgetVerdict::Now);
    assert!(ledger.degraded());
    // Not even a day later.
    assert!(matches!(
        spend(90_000).unwrap(),
        BudgetVerdict::Spent { .. }
    ));
    assert!(matches!(
        ledger.record(&web, &moment("b", 90_000, 90_000)),
        Err(LedgerError::Nowhere { .. })
    ));
    // Another service gets its own.
    assert_eq!(
        ledger
            .spend(
                &unit("db.service"),
                &moment("b", 110, 110),
                &settings,
                &host,
                Duration::ZERO
            )
            .unwrap(),
        BudgetVerdict::Now
    );
}

#[test]
fn the_last_place_in_the_hosts_budget_is_spent_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(store(folder.path())), folder.path().join("run"));
    let host = HostBudget {
        healings: 3,
        ..HostBudget::default()
    };
    let barrier = Barrier::new(8);
    let given = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8_u64)
            .map(|racer| {
                let (ledger, host, barrier) = (&ledger, &host, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    ledger
                        .spend(
                            &unit(&format!("s{racer}.service")),
                            &moment("b", 100 + racer, 100),
                            &BudgetSettings::default(),
                            host,
                            Duration::ZERO,
                        )
                        .unwrap()
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .filter(|verdict| *verdict == BudgetVerdict::Now)
            .count()
    });
    assert_eq!(given, 3);
}

#[test]
fn a_file_in_run_that_was_cut_or_grew_long_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let ledger = Ledger::new(None, run.clone());
    let web = unit("web.service");
    ledger.record(&web, &moment("b", 100, 100)).unwrap();
    let file = run.join("healings.jsonl");
    let line = fs::read_to_string(&file).unwrap();
    let half = &line[..line.len() / 2];
    fs::write(&file, format!("{half}\n\u{0}\u{1}\n{}", line.repeat(4_000))).unwrap();
    ledger.record(&web, &moment("b", 120, 120)).unwrap();
    assert!(fs::metadata(&file).unwrap().len() < 200_000);
    assert_eq!(
        ages(&Ledger::new(None, run), &moment("b", 130, 130)),
        [10, 30]
    );
}
