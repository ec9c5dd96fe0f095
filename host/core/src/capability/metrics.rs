//! `prunella:observe/metrics`: what is measured of services and of the host.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Observe, Subject};
use crate::{
    Failure, Timestamp,
    health::{self, Metric},
};

/// The longest span that may be asked about.
pub const LONGEST_SPAN: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// An answer has at most so many instances. A host with more file systems than this is none
/// that a strategy can say anything sensible about.
pub const MOST_INSTANCES: usize = 256;

/// The latest value of each instance; `not-found` where nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Latest {
    pub of: health::Subject,
    pub metric: Metric,
}

/// What each instance was over a span until now; `not-found` where nothing was measured
/// within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Over {
    pub of: health::Subject,
    pub metric: Metric,
    /// At most [`LONGEST_SPAN`].
    pub span: Duration,
}

static LATEST: Look = Look::new("metrics.latest")
    .through(Observe::Metrics)
    .reads_metrics();
static OVER: Look = Look::new("metrics.over")
    .through(Observe::Metrics)
    .reads_metrics();

impl Described for Latest {
    fn description(&self) -> Description {
        Description::Look(&LATEST)
    }

    fn subject(&mut self) -> Subject<'_> {
        unit_of(&mut self.of)
    }
}

impl Described for Over {
    fn description(&self) -> Description {
        Description::Look(&OVER)
    }

    fn subject(&mut self) -> Subject<'_> {
        unit_of(&mut self.of)
    }
}

/// The host itself may be looked at by everybody, as its memory and load may.
fn unit_of(subject: &mut health::Subject) -> Subject<'_> {
    match subject {
        health::Subject::Host => Subject::Nothing,
        health::Subject::Unit(unit) => Subject::Unit(unit),
    }
}

/// What a host answers that has no value.
pub fn not_measured(subject: &health::Subject, metric: Metric) -> Failure {
    Failure::not_found(
        "not-measured",
        format!("nothing was measured of `{}` of {subject}", metric.as_str()),
    )
}

/// The latest value of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// Which; absent where the subject has one value of the metric.
    pub instance: Option<String>,
    /// When it was measured.
    pub at: Timestamp,
    pub value: u64,
}

/// What one instance was over a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanSummary {
    /// Which; absent where the subject has one value of the metric.
    pub instance: Option<String>,
    /// The first value that was kept within the span.
    pub first_at: Timestamp,
    /// The last one.
    pub last_at: Timestamp,
    /// So many values were kept: as measured within an hour, else one a minute or a quarter
    /// of an hour.
    pub points: u32,
    pub mean: u64,
    pub min: u64,
    pub max: u64,
    /// Absent where the values are too few.
    pub slope: Option<Slope>,
}

/// How fast a metric changes, in its own unit an hour: the median of the slopes between all
/// pairs of values (Theil–Sen), and the range that holds it nine times in ten.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    pub an_hour: f64,
    pub low: f64,
    pub high: f64,
}
