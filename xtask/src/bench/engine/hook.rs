//! The hook, from its exec to the call that starts the unit, beside the programs
//! that a shell handler starts to do a part of the same, in one machine.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::{
    figures::{Figure, Samples, Target},
    heal::{self, By},
};

const TIMES: usize = 30;

/// What a handler in shell is made of. The service is up: nothing is changed.
const PROGRAMS: [&str; 6] = [
    "bash -c true",
    "systemctl show --property=ActiveState,Result,ExecMainStatus ours.service",
    "systemctl start ours.service",
    "lsof -nP -iTCP:8080 -sTCP:LISTEN -t",
    "ss -ltnpH sport = :8080",
    "journalctl --quiet --no-pager --lines=50 --unit=ours.service",
];

pub(super) fn measure(prunella: &Path, victim: &Path) -> Result<Vec<Figure>> {
    let (scene, kills, fsync) = heal::killed_in_turn(prunella, victim, By::Hook, TIMES)?;
    let ours = kills.between(heal::OURS.name, "hook_exec", "asked");
    let mut words = vec!["programs".to_owned(), TIMES.to_string()];
    words.extend(PROGRAMS.map(str::to_owned));
    scene
        .inside(&words)?
        .iter()
        .map(|line| {
            let program = line.get("program").and_then(Value::as_str);
            let taken = line.get("ms").and_then(Value::as_array);
            let taken = taken.context("a program was not timed")?;
            Ok(Figure {
                what: "hook: its exec → StartUnit call".to_owned(),
                unit: "ms",
                ours: ours.clone(),
                target: Target::None,
                peer: Some((
                    program.context("which program?")?.to_owned(),
                    Samples::new(taken.iter().filter_map(Value::as_f64).collect()),
                )),
                fsync: Some(fsync),
                load: kills.load(),
            })
        })
        .collect()
}
