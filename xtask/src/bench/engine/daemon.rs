//! What the daemon costs, as the services in its care grow: in peace, and while
//! a tenth of them fails at once.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::sizes;
use crate::bench::{
    figures::{Figure, Samples, Target},
    idle::Care,
};

const SIZES: [usize; 4] = [10, 100, 1_000, 5_000];

/// In peace, in seconds.
const PEACE: u64 = 30;

pub(super) fn measure(prunella: &Path, victim: &Path, quick: bool) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for services in sizes(&SIZES, quick) {
        let care = Care::begin(prunella, victim, *services)?;
        let load = crate::bench::load()?;
        let figure = |what: String, unit, value| Figure {
            what,
            unit,
            ours: Samples::new(vec![value]),
            target: Target::None,
            peer: None,
            fsync: Some(care.fsync),
            load,
        };
        let peace = care.look(PEACE)?;
        let of = |what: &str| format!("daemon with {services} services: {what}");
        figures.push(figure(of("RSS"), "MB", megabytes(&peace, "rss_kib")?));
        figures.push(figure(
            of(&format!("processor time in {PEACE} s of peace")),
            "ms",
            number(&peace, "cpu_ms")?,
        ));
        let before = care.spent()?;
        let failing = services / 10;
        care.kill_first(failing)?;
        let after = care.look(1)?;
        let spent = care.spent()? - before;
        let failing = of(&format!("{failing} fail at once, processor time"));
        figures.push(figure(failing, "ms", spent));
        figures.push(figure(
            of("RSS after that"),
            "MB",
            megabytes(&after, "rss_kib")?,
        ));
        figures.push(figure(
            of("RSS at its height"),
            "MB",
            megabytes(&after, "peak_kib")?,
        ));
    }
    Ok(figures)
}

fn number(look: &Value, key: &str) -> Result<f64> {
    let value = look.get(key).and_then(Value::as_f64);
    value.with_context(|| format!("there is no {key}"))
}

/// A MB has 1,000,000 bytes.
fn megabytes(look: &Value, key: &str) -> Result<f64> {
    Ok(number(look, key)? * 1024.0 / 1e6)
}
