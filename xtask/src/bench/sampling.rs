//! What measuring 1,000 services every ten seconds costs the daemon.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    figures::{Figure, Samples, Target},
    idle::Care,
};

const SERVICES: usize = 1_000;

/// Of one processor, in percent.
const CPU: f64 = 1.0;

/// In MB.
const MORE_MEMORY: f64 = 15.0;

pub(crate) fn measure(prunella: &Path, victim: &Path, seconds: u64) -> Result<Vec<Figure>> {
    let care = Care::begin(prunella, victim, SERVICES)?;
    let off = care.look(seconds)?;
    care.measure_every(10)?;
    // The first minute has what comes once: each series gets its number.
    thread::sleep(Duration::from_secs(70));
    let on = care.look(seconds)?;
    let spent = on.get("cpu_ms").and_then(Value::as_f64);
    let spent = spent.context("there is no cpu_ms")?;
    let figure = |what: &str, unit, value, target| -> Result<Figure> {
        Ok(Figure {
            what: what.to_owned(),
            unit,
            ours: Samples::new(vec![value]),
            target,
            peer: None,
            fsync: Some(care.fsync),
            load: super::load()?,
        })
    };
    let share = spent / 10.0 / seconds as f64;
    let more = rss(&on)? - rss(&off)?;
    Ok(vec![
        figure(
            &format!("sampling {SERVICES} services, of one processor"),
            "%",
            share,
            Target::Below(CPU),
        )?,
        figure(
            &format!("more RSS for sampling {SERVICES} services"),
            "MB",
            more,
            Target::Below(MORE_MEMORY),
        )?,
    ])
}

fn rss(look: &Value) -> Result<f64> {
    let kib = look.get("rss_kib").and_then(Value::as_f64);
    // A MB has 1,000,000 bytes.
    Ok(kib.context("there is no rss_kib")? * 1024.0 / 1e6)
}
