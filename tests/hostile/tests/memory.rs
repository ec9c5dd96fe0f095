//! However often they misbehave, the host's memory stays flat.
//!
//! Alone in its process: nothing else may allocate meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::fs;

use prunella_hostile::{misbehave, the_next_one_is_served};

/// Resident, in bytes.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// What an allocator may keep for itself.
const SLACK: usize = 8 << 20;

#[test]
fn resident_memory_stays_flat() {
    let ways = [
        "eat-memory",
        "recurse",
        "huge-string",
        "call-for-ever",
        "write-for-ever",
        "read-for-ever",
        "hoard-units",
        "hoard-processes",
        "panic",
        "trap",
        "fail",
        "lie",
    ];
    let round = || {
        for way in ways {
            let _ = misbehave(way);
        }
        the_next_one_is_served();
    };
    for _ in 0..3 {
        round();
    }
    let before = resident();
    for _ in 0..20 {
        round();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < SLACK, "it grew by {} KiB in 240 runs", grown >> 10);
}
