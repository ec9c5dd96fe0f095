//! What 13 months of a service take: `host/store/benches/months.rs`.

use anyhow::Result;

use super::super::{
    crates::{bench, number, text},
    figures::{Figure, Samples, Target},
};

/// What 13 months may take, in MB.
const MOST: f64 = 30.0;

pub(super) fn measure() -> Result<Vec<Figure>> {
    bench("months", &[])?
        .iter()
        .map(|line| {
            let case = text(line, "case")?;
            Ok(Figure {
                what: format!("13 months of a service with 18 metrics, {case}"),
                unit: "MB",
                ours: Samples::new(vec![number(line, "bytes")? / 1e6]),
                target: Target::Below(MOST),
                peer: None,
                fsync: None,
                load: super::super::load()?,
            })
        })
        .collect()
}
