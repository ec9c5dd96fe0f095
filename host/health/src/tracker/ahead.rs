//! What of the service will be used up.

use prunella_core::{
    Timestamp,
    health::{ExpectedWork, Forecast, Metric},
};

use super::Tracker;
use crate::{Now, expected::unstrained};

impl Tracker {
    /// Reckons anew what will be used up.
    pub fn look_ahead(&mut self, now: Now) -> Vec<Forecast> {
        self.outlook.look(now, &self.settings.limits);
        self.outlook.forecasts()
    }

    /// The metrics whose past tells what will be used up.
    pub fn foreseen(&self) -> Vec<Metric> {
        self.settings.limits.foreseen().collect()
    }

    /// What was measured before this began, of what will be used up, and what work was
    /// expected then.
    pub fn earlier(
        &mut self,
        now: Now,
        metric: Metric,
        instance: Option<&str>,
        values: &[(Timestamp, u64)],
        expected: &[ExpectedWork],
    ) {
        let values = unstrained(metric, values, expected);
        self.outlook.earlier(now, metric, instance, &values);
    }
}
