//! A store with a million incidents: how long it takes to list, to open and to
//! write, and how much the file grows for each incident.
//!
//! `cargo bench -p prunella-store`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run says so by a panic"
)]

use std::{
    env,
    fmt::Write as _,
    fs::{self, OpenOptions},
    hint::black_box,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, StrategyName, Timestamp, UnitName,
    incident::{DetectedBy, Detection, Ending, EndingKind, Incident, IncidentId},
    summary::{Filter, OutcomeFilter},
    trail::{Entry, Step},
};
use prunella_store::{AttemptEnd, LastSteps, Store};
use rusqlite::{Connection, params};

/// Minutes between two incidents: a million are two years.
const MINUTE: u64 = 60_000;

const BEGAN: u64 = 1_700_000_000_000;

fn main() {
    // `cargo test` runs it too, to see that it works.
    let real = env::args().any(|argument| argument == "--bench");
    let (incidents, times) = if real { (1_000_000, 200) } else { (2_000, 3) };
    let mut report = Report::default();

    let folder = tempfile::tempdir_in(env::temp_dir()).unwrap();
    let path = folder.path().join("prunella.db");
    let began = Instant::now();
    fill(&path, incidents);
    println!(
        "{incidents} incidents made in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    let store = Store::open(&path).unwrap();
    let last = BEGAN + incidents * MINUTE;
    let fifty = |filter: Filter| Filter {
        limit: Some(50),
        ..filter
    };
    let lists = [
        ("list the last 50", Filter::default()),
        (
            "list 50 of a unit",
            Filter {
                unit: Some(unit(7)),
                ..Filter::default()
            },
        ),
        (
            "list 50 escalated",
            Filter {
                outcome: Some(OutcomeFilter::Ended(EndingKind::Escalated)),
                ..Filter::default()
            },
        ),
        (
            "list 50 escalated of a unit",
            Filter {
                unit: Some(unit(0)),
                outcome: Some(OutcomeFilter::Ended(EndingKind::Escalated)),
                ..Filter::default()
            },
        ),
        (
            "list 50 of a day long ago",
            Filter {
                since: Some(Timestamp::from_millis(BEGAN + 1_000 * MINUTE)),
                until: Some(Timestamp::from_millis(BEGAN + 2_440 * MINUTE)),
                ..Filter::default()
            },
        ),
    ];
    for (name, filter) in lists {
        let filter = fifty(filter);
        report.time(name, times, || {
            assert!(!black_box(store.incidents(&filter).unwrap()).is_empty());
        });
    }
    let middle = IncidentId::new(Timestamp::from_millis(BEGAN + incidents / 2 * MINUTE), 0);
    report.time("open one with its steps", times, || {
        assert!(black_box(store.record(&middle).unwrap()).is_some());
    });
    let mut number = 0;
    report.time("write a whole incident", times, || {
        number += 1;
        write(&store, 10_000_000 + number, last + number * MINUTE);
    });
    drop(store);
    drop(folder);

    report.growth(if real { 5_000 } else { 50 });
    report.save();
}

fn unit(number: u64) -> UnitName {
    UnitName::new(format!("service-{number}.service")).unwrap()
}

fn incident(number: u64, at: u64) -> Incident {
    let detection = Detection {
        unit: unit(number % 100),
        by: DetectedBy::Signal,
        at: Timestamp::from_millis(at),
        cause: "exit-code".into(),
        invocation: Some(format!(
            "{:032x}",
            u128::from(number) * 0x9e37_79b9_7f4a_7c15
        )),
        exit_code: Some(1),
        signal: None,
        failed_monotonic: Some(Monotonic::from_micros(number * 1_000)),
        restarts_before: None,
        symptoms: Vec::new(),
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    };
    Incident {
        id: IncidentId::new(Timestamp::from_millis(at), 0),
        key: detection.key("boot"),
        detection,
        attempt: 1,
        boot_id: "3f1c4c0e-8f52-4e43-9d3c-6c2b9f5d1a77".to_owned(),
        parent: None,
    }
}

fn ending(number: u64) -> Ending {
    if number.is_multiple_of(1_000) {
        Ending::Escalated {
            reason: "every strategy was tried as often as the healing budget allows".to_owned(),
            retry_at: None,
        }
    } else {
        Ending::Healed {
            strategy: strategy("service-restart"),
            recovered_after: Some(Duration::from_micros(50_000)),
            served_by: None,
        }
    }
}

fn strategy(name: &str) -> StrategyName {
    StrategyName::new(name).unwrap()
}

/// What a healing by a restart leaves behind: as many steps, and as long.
fn steps(incident: &Incident) -> Vec<Entry> {
    let restart = strategy("service-restart");
    let assessed = |name: &str| Step::Assessed {
        strategy: strategy(name),
        assessment: prunella_core::incident::Assessment::NotApplicable {
            reason: "nothing that it looks after is wrong".to_owned(),
        },
        took: Duration::from_micros(900),
    };
    let steps = vec![
        Step::Detected {
            detection: incident.detection.clone(),
            evidence: Vec::new(),
        },
        assessed("config-validation"),
        assessed("environment-check"),
        assessed("database-check"),
        assessed("port-conflict"),
        assessed("service-restart"),
        Step::Heals {
            strategy: restart.clone(),
        },
        Step::ActIntended {
            action: 1,
            strategy: restart.clone(),
            act: "unit-control.start".to_owned(),
            target: incident.detection.unit.to_string(),
            dry_run: false,
            plan: None,
        },
        Step::ActEnded {
            action: 1,
            result: Ok("done".to_owned()),
            receipt: None,
        },
        Step::Returned {
            strategy: restart,
            outcome: Ok(prunella_core::incident::Outcome::Healed {
                summary: "the service was started and is active".to_owned(),
            }),
            took: Duration::from_micros(40_000),
        },
        Step::Answering {
            evidence: vec!["active, and tcp/8080 is held from within its control group".to_owned()],
            after: Some(Duration::from_micros(50_000)),
        },
        Step::Evidence {
            lines: (0..20)
                .map(|line| format!("worker {line}: request took 120 ms, connection is closed"))
                .collect(),
        },
        Step::Proven {
            strategy: None,
            evidence: vec!["active, and tcp/8080 is held from within its control group".to_owned()],
            stable_for: Duration::from_millis(5_000),
        },
        Step::Ended {
            ending: Ending::Healed {
                strategy: strategy("service-restart"),
                recovered_after: Some(Duration::from_micros(50_000)),
                served_by: None,
            },
        },
    ];
    (0..)
        .zip(steps)
        .map(|(number, step)| Entry {
            incident: incident.id.clone(),
            number,
            at: incident.detection.at,
            monotonic: Monotonic::from_micros(1_000_000 + u64::from(number)),
            attempt: 1,
            step,
        })
        .collect()
}

/// Makes a store with so many past incidents, with two steps each: through the
/// real schema, and past the store's own writes, which would each wait for the
/// disk.
fn fill(path: &Path, incidents: u64) {
    drop(Store::open(path).unwrap());
    let mut connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
        .unwrap();
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction
            .prepare(
                "INSERT INTO incidents (id, key, unit, at_ms, cause, attempt, boot_id, detection,
                   ended_at_ms, ended, ending, why, strategy, recovered_after)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )
            .unwrap();
        let mut step = transaction
            .prepare(
                "INSERT INTO steps (incident, number, at_ms, monotonic, attempt, step)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5)",
            )
            .unwrap();
        for number in 0..incidents {
            let at = i64::try_from(BEGAN + number * MINUTE).unwrap();
            let incident = incident(number, BEGAN + number * MINUTE);
            let ending = ending(number);
            let healed = matches!(ending, Ending::Healed { .. });
            insert
                .execute(params![
                    incident.id.as_str(),
                    incident.key,
                    incident.detection.unit.as_str(),
                    at,
                    incident.detection.cause.to_string(),
                    incident.boot_id,
                    serde_json::to_string(&incident.detection).unwrap(),
                    at + 5_000,
                    ending.as_str(),
                    serde_json::to_string(&ending).unwrap(),
                    ending.why(),
                    healed.then_some("service-restart"),
                    healed.then_some(50_000),
                ])
                .unwrap();
            for entry in steps(&incident).into_iter().take(2) {
                step.execute(params![
                    incident.id.as_str(),
                    entry.number,
                    at,
                    1_i64,
                    serde_json::to_string(&entry.step).unwrap()
                ])
                .unwrap();
            }
        }
    }
    transaction.commit().unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
}

/// An incident as a healing writes it.
fn write(store: &Store, number: u64, at: u64) {
    let incident = incident(number, at);
    let steps = steps(&incident);
    store.open_incident(&incident).unwrap();
    let (first, rest) = steps.split_at(8);
    store.append_all(first).unwrap();
    let end = AttemptEnd {
        at: Timestamp::from_millis(at),
        ending: Some(ending(1)),
        alert: None,
        tries: None,
    };
    store
        .end_attempt(&incident.id, LastSteps::Numbered(rest), &end)
        .unwrap();
}

#[derive(Default)]
struct Report {
    lines: String,
}

impl Report {
    fn time(&mut self, case: &str, times: usize, mut once: impl FnMut()) {
        once();
        let mut taken: Vec<Duration> = (0..times)
            .map(|_| {
                let began = Instant::now();
                once();
                began.elapsed()
            })
            .collect();
        taken.sort_unstable();
        let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        println!(
            "{case:<28} median {:>8.3} ms  fastest {:>8.3} ms  p95 {:>8.3} ms",
            ms(at(50)),
            ms(at(0)),
            ms(at(95))
        );
        let _ = writeln!(
            self.lines,
            "{{\"bench\": \"store\", \"case\": \"{case}\", \"median_ns\": {}, \"p95_ns\": {}}}",
            at(50).as_nanos(),
            at(95).as_nanos()
        );
    }

    /// Bytes for each incident of a healing with all its steps.
    fn growth(&mut self, incidents: u64) {
        let folder = tempfile::tempdir_in(env::temp_dir()).unwrap();
        let path = folder.path().join("prunella.db");
        let store = Store::open(&path).unwrap();
        let empty = fs::metadata(&path).unwrap().len();
        for number in 0..incidents {
            write(&store, number, BEGAN + number * MINUTE);
        }
        drop(store);
        let grown = fs::metadata(&path).unwrap().len() - empty;
        let each = grown as f64 / incidents as f64;
        println!("the file grows by {each:.0} bytes for an incident with 14 steps");
        let _ = writeln!(
            self.lines,
            "{{\"bench\": \"store\", \"case\": \"growth\", \"bytes\": {each:.0}}}"
        );
    }

    fn save(&self) {
        if let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.unwrap().write_all(self.lines.as_bytes()).unwrap();
        }
    }
}
