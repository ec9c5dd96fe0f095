//! Who holds a port, as processes and sockets grow:
//! `host/linux/benches/ports.rs`.

use anyhow::{Context, Result};

use super::sizes;
use crate::bench::{
    crates::{bench, number, text},
    figures::{Figure, Samples, Target},
};

/// Processes; each with one socket.
const SIZES: [u32; 3] = [10, 1_000, 10_000];

pub(super) fn measure(quick: bool) -> Result<Vec<Figure>> {
    let wanted: Vec<String> = sizes(&SIZES, quick)
        .iter()
        .map(|processes| format!("{processes}:1"))
        .collect();
    let lines = bench("ports", &[("PRUNELLA_BENCH_SIZES", &wanted.join(","))])?;
    let mut figures = Vec::new();
    let mut ours = None;
    for line in &lines {
        let case = text(line, "case")?;
        let median = Samples::new(vec![number(line, "median_ns")? / 1e6]);
        if case.starts_with("prunella") {
            ours = Some(median);
            continue;
        }
        figures.push(Figure {
            what: format!(
                "who holds a port: {} processes, {} sockets",
                number(line, "processes")?,
                number(line, "sockets")?
            ),
            unit: "ms",
            ours: ours.clone().context("nothing of ours was measured")?,
            target: Target::None,
            peer: Some((case.to_owned(), median)),
            fsync: None,
            load: crate::bench::load()?,
        });
    }
    Ok(figures)
}
