//! What is measured: of each metric a straight line through the value that it had when the
//! test began.

use prunella_core::{
    Timestamp,
    capability::{
        Answer,
        metrics::{Latest, Measurement, Over, Slope, SpanSummary, not_measured},
    },
    health::{Metric, Subject},
};

use crate::world::World;

/// How far the values are apart, in milliseconds.
const INTERVAL_MS: u64 = 10_000;

/// With fewer values than this a real host tells no slope.
const LEAST_FOR_A_SLOPE: u64 = 12;

const HOUR_MS: f64 = 3_600_000.0;

/// What is measured of a unit or of the host.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) subject: Subject,
    pub(crate) metric: Metric,
    /// When it was `value`.
    pub(crate) at: Timestamp,
    pub(crate) value: u64,
    /// By how much it changes in an hour.
    pub(crate) an_hour: f64,
}

impl Measured {
    /// Never below 0, as no metric is.
    fn value_at(&self, at: Timestamp) -> u64 {
        let ahead = at.as_millis() as f64 - self.at.as_millis() as f64;
        // The conversion saturates.
        (self.value as f64 + self.an_hour * ahead / HOUR_MS).round() as u64
    }
}

impl World {
    fn measured_of(&self, subject: &Subject, metric: Metric) -> Answer<&Measured> {
        self.measured
            .iter()
            .rev()
            .find(|one| one.subject == *subject && one.metric == metric)
            .ok_or_else(|| not_measured(subject, metric))
    }

    pub(super) fn latest_of(&self, latest: &Latest) -> Answer<Vec<Measurement>> {
        let measured = self.measured_of(&latest.of, latest.metric)?;
        let at = self.timestamp();
        Ok(vec![Measurement {
            instance: None,
            at,
            value: measured.value_at(at),
        }])
    }

    pub(super) fn over(&self, over: &Over) -> Answer<Vec<SpanSummary>> {
        let measured = self.measured_of(&over.of, over.metric)?;
        let last_at = self.timestamp();
        let first_at = last_at.saturating_sub(over.span);
        let (first, last) = (measured.value_at(first_at), measured.value_at(last_at));
        let points = last_at.as_millis().saturating_sub(first_at.as_millis()) / INTERVAL_MS + 1;
        Ok(vec![SpanSummary {
            instance: None,
            first_at,
            last_at,
            points: u32::try_from(points).unwrap_or(u32::MAX),
            mean: first.midpoint(last),
            min: first.min(last),
            max: first.max(last),
            slope: (points >= LEAST_FOR_A_SLOPE).then_some(Slope {
                an_hour: measured.an_hour,
                low: measured.an_hour,
                high: measured.an_hour,
            }),
        }])
    }
}
