//! The last 50 lines of a unit that has been quiet since, as others fill the
//! journal: `host/linux/benches/journal.rs`, within a machine.

use std::path::Path;

use anyhow::{Context, Result};
use prunella_machine::{Machine, TIMEOUT};
use serde_json::Value;

use super::sizes;
use crate::bench::{
    crates::built,
    figures::{Figure, Samples, Target},
    scene::Scene,
};

/// Of the journal on the disk, in MiB.
const SIZES: [u32; 3] = [10, 100, 1_024];

const BENCH: &str = "/opt/test/journal";
const LEFT: &str = "/run/bench-journal.json";

/// Everything is kept, on the disk, however fast it comes.
const JOURNALD: &str = "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n\
                        SystemMaxUse=4G\nSystemKeepFree=1G\nSystemMaxFiles=1000\n";

const QUIET: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                     ExecStart=/bin/sh -c 'for i in $$(seq 60); do echo \"line $$i\"; done'\n";

pub(super) fn measure(prunella: &Path, victim: &Path, quick: bool) -> Result<Vec<Figure>> {
    let machine = Machine::builder()
        .bind_ro(built("journal")?, BENCH)
        .file("/etc/systemd/journald.conf.d/bench.conf", JOURNALD, 0o644)
        .unit("quiet.service", QUIET);
    let scene = Scene::boot(machine, prunella, victim)?;
    scene.machine.systemctl(&["start", "quiet.service"])?;
    scene.machine.wait_active("quiet.service", TIMEOUT)?;
    let mut figures = Vec::new();
    for size in sizes(&SIZES, quick) {
        let words = ["fill-journal".to_owned(), size.to_string()];
        let filled = scene.inside(&words)?;
        let mib = filled.first().and_then(|said| said.get("mib")?.as_f64());
        let left = format!("PRUNELLA_BENCH_JSON={LEFT}");
        scene
            .machine
            .run_ok(&["/usr/bin/env", &left, BENCH, "--bench", "quiet.service"])?;
        let said = scene.machine.read_file(LEFT)?;
        scene.machine.remove_file(LEFT)?;
        let said: Value = serde_json::from_str(said.trim()).context("not JSON")?;
        let milliseconds = |key: &str| {
            let nanoseconds = said.get(key).and_then(Value::as_f64);
            Ok::<_, anyhow::Error>(Samples::new(vec![
                nanoseconds.with_context(|| format!("there is no {key}"))? / 1e6,
            ]))
        };
        figures.push(Figure {
            what: format!(
                "a unit's last 50 lines, in a journal of {:.0} MiB",
                mib.context("how large is the journal?")?
            ),
            unit: "ms",
            ours: milliseconds("median_ns")?,
            target: Target::None,
            peer: Some(("journalctl".to_owned(), milliseconds("journalctl_ns")?)),
            fsync: None,
            load: crate::bench::load()?,
        });
    }
    Ok(figures)
}
