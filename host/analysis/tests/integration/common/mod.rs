//! Evidence, made by hand.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test a panic is the report"
)]

pub(crate) mod server;

use prunella_core::{
    Timestamp, UnitName,
    analyst::{Evidence, FailedRun},
    capability::LogEntry,
    incident::{DetectedBy, Detection},
};

pub(crate) const FAILED_AT: u64 = 1_780_000_000_000;

/// A run that ended with exit code 1.
pub(crate) fn run(lines: &[&str]) -> FailedRun {
    FailedRun {
        result: "exit-code".to_owned(),
        lasted: None,
        exit_code: Some(1),
        signal: None,
        ended_at: Timestamp::from_millis(FAILED_AT),
        lines: lines.iter().map(|text| line(text)).collect(),
    }
}

pub(crate) fn line(text: &str) -> LogEntry {
    LogEntry::new(Timestamp::from_millis(FAILED_AT - 100), 6, text)
}

pub(crate) fn evidence(runs: Vec<FailedRun>) -> Evidence {
    Evidence {
        detection: Detection {
            unit: UnitName::new("shop.service").unwrap(),
            by: DetectedBy::Signal,
            at: Timestamp::from_millis(FAILED_AT),
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
        },
        domain: Some("Web shop".to_owned()),
        status: None,
        runs,
        needs: Vec::new(),
        ports: Vec::new(),
        memory: None,
        memory_pressure: None,
        load: None,
        stall: None,
        disks: Vec::new(),
        changes: Vec::new(),
    }
}
