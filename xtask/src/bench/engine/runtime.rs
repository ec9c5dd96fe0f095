//! What WebAssembly costs: `host/engine/benches/engine.rs`.

use anyhow::Result;
use serde_json::Value;

use crate::bench::{
    crates::{engine, number, text},
    figures::{Figure, Samples, Target},
};

pub(super) fn measure() -> Result<Vec<Figure>> {
    let lines = engine()?;
    let median = |line: &Value| Ok::<_, anyhow::Error>(number(line, "median_ns")? / 1e3);
    lines
        .iter()
        .map(|line| {
            let call = text(line, "call")?;
            let threads = number(line, "threads")?;
            let limit = text(line, "limit")?;
            let plain = |other: &&Value| {
                other.get("call") == line.get("call")
                    && other.get("threads") == Some(&Value::from(1))
                    && other.get("limit") == Some(&Value::from(""))
            };
            // A run under other conditions, beside one under the usual ones.
            let usual = lines.iter().find(plain).filter(|usual| *usual != line);
            Ok(Figure {
                what: match (threads > 1.0, limit) {
                    (true, _) => format!("{call}, {threads} threads at once"),
                    (false, "") => call.to_owned(),
                    (false, limit) => format!("{call}, {limit}"),
                },
                unit: "µs",
                ours: Samples::new(vec![median(line)?]),
                target: Target::None,
                peer: usual
                    .map(|usual| {
                        Ok::<_, anyhow::Error>((
                            "one thread, all limits".to_owned(),
                            Samples::new(vec![median(usual)?]),
                        ))
                    })
                    .transpose()?,
                fsync: None,
                load: crate::bench::load()?,
            })
        })
        .collect()
}
