//! What measuring 1,000 services every ten seconds costs the daemon.

use std::{path::Path, thread, time::Duration};

use anyhow::Result;

use super::{
    figures::{Figure, Target},
    idle::{Care, figure, megabytes, number},
};

const SERVICES: usize = 1_000;

/// What it may take of one processor, in percent.
const CPU: f64 = 1.0;

/// By how much the daemon may be larger for it, in MB.
const MORE_MEMORY: f64 = 15.0;

pub(crate) fn measure(prunella: &Path, victim: &Path, seconds: u64) -> Result<Vec<Figure>> {
    let care = Care::begin(prunella, victim, SERVICES)?;
    let off = care.look(seconds)?;
    care.measure_every(10)?;
    // The first minute has what comes once: each series gets its number.
    thread::sleep(Duration::from_secs(70));
    let on = care.look(seconds)?;
    let share = number(&on, "cpu_ms")? / 10.0 / seconds as f64;
    let more = megabytes(&on, "rss_kib")? - megabytes(&off, "rss_kib")?;
    Ok(vec![
        figure(
            &format!("sampling {SERVICES} services, of one processor"),
            "%",
            share,
            Target::Below(CPU),
            care.fsync,
        )?,
        figure(
            &format!("more RSS for sampling {SERVICES} services"),
            "MB",
            more,
            Target::Below(MORE_MEMORY),
            care.fsync,
        )?,
    ])
}
