//! Results, for people and for programs.

mod chart;
mod json;
mod markdown;
mod saved;
mod table;

pub use chart::chart;
pub use json::json;
pub use markdown::markdown;
pub use saved::saved;
pub use table::{list, table};

use crate::{
    catalogue::{Class, Fault},
    healers::Healer,
    judge::{Score, Verdict, quantile, score},
};

/// Everything that a benchmark came to.
pub struct Results<'a> {
    /// The faults that were made.
    pub faults: Vec<&'a Fault>,
    /// Who was to heal them.
    pub healers: Vec<&'a dyn Healer>,
    pub verdicts: Vec<Verdict>,
    /// Runs that could not be carried out: fault, healer, and why.
    pub errors: Vec<(String, String, String)>,
    /// Whether times were taken one machine at a time.
    pub timed: bool,
    /// Where and when, for people.
    pub host: String,
}

impl Results<'_> {
    /// What each healer achieved.
    #[must_use]
    pub fn scores(&self) -> Vec<Score> {
        self.healers
            .iter()
            .map(|healer| score(healer.name(), &self.verdicts))
            .collect()
    }

    /// The runs of a fault by a healer.
    fn of<'b>(&'b self, fault: &'b str, healer: &'b str) -> impl Iterator<Item = &'b Verdict> {
        self.verdicts
            .iter()
            .filter(move |verdict| verdict.fault == fault && verdict.healer == healer)
    }

    /// The median from crash to answer of a fault by a healer, where each run was
    /// healed; of sickness, from the injection to the message, where each was told.
    fn median(&self, fault: &str, healer: &str) -> Option<f64> {
        let times: Option<Vec<f64>> = self
            .of(fault, healer)
            .map(|verdict| verdict.answered_after_ms.or(verdict.told_after_ms))
            .collect();
        quantile(&times?, 0.5)
    }

    /// Of the faults that both healed each time: how many there are, and how many
    /// `ours` healed in less time.
    fn faster(&self, ours: &str, other: &str) -> (usize, usize) {
        let both: Vec<(f64, f64)> = self
            .faults
            .iter()
            .filter(|fault| fault.class == Class::MustHeal)
            .filter_map(|fault| {
                Some((
                    self.median(&fault.name, ours)?,
                    self.median(&fault.name, other)?,
                ))
            })
            .collect();
        (both.len(), both.iter().filter(|(a, b)| a < b).count())
    }
}

/// A time as people read it.
fn time(ms: Option<f64>) -> String {
    match ms {
        None => "–".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 1000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1e3),
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    f64::from(part) / f64::from(whole) * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "less than a terabyte")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
