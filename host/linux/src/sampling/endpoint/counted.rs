//! What an endpoint has counted so far, and what was added between two of its answers.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use prunella_core::service::{MetricsEndpoint, SeriesSelector};

use super::exposition::{Sample, samples};

/// More series than this are not looked at.
pub(super) const MOST_SERIES: usize = 10_000;

/// Every client library says when its process was started; where that is another time, all
/// counters began anew.
const STARTED: &str = "process_start_time_seconds";

/// Counters, by what tells them from each other.
type Counters = HashMap<String, f64>;

/// What an answer says of what was declared.
#[derive(Debug, Default)]
pub(super) struct Counted {
    started: Option<f64>,
    requests: Counters,
    errors: Counters,
    /// Of the latency: the sum of how long requests took, and how many they were.
    sum: Counters,
    count: Counters,
    /// Requests that took no longer than this.
    buckets: HashMap<(String, Bound), f64>,
}

/// The upper bound of a bucket, which can be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Bound {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Bound {
    pub(super) fn value(self) -> f64 {
        self.0
    }
}

impl Counted {
    /// Nothing, where it would be too much.
    pub(super) fn of(text: &str, endpoint: &MetricsEndpoint) -> Option<Self> {
        let mut counted = Self::default();
        for sample in samples(text) {
            if !sample.value.is_finite() || sample.value < 0.0 {
                continue;
            }
            if sample.name == STARTED {
                counted.started = Some(sample.value);
            }
            let selects = |selectors: &[SeriesSelector]| {
                selectors.iter().any(|selector| {
                    matches!(behind(&sample, selector), Some("" | "_total"))
                        && fits(&sample, selector)
                })
            };
            if selects(&endpoint.requests) {
                counted.requests.insert(sample.identity(None), sample.value);
            }
            if selects(&endpoint.errors) {
                counted.errors.insert(sample.identity(None), sample.value);
            }
            if let Some(selector) = &endpoint.latency {
                counted.latency(&sample, selector);
            }
            if counted.series() > MOST_SERIES {
                return None;
            }
        }
        Some(counted)
    }

    fn latency(&mut self, sample: &Sample<'_>, selector: &SeriesSelector) {
        let counters = match behind(sample, selector) {
            Some("_sum") => &mut self.sum,
            Some("_count") => &mut self.count,
            Some("_bucket") => {
                let bound = sample.label("le").and_then(|le| le.parse().ok());
                if let Some(bound) = bound.filter(|it: &f64| !it.is_nan())
                    && fits(sample, selector)
                {
                    let key = (sample.identity(Some("le")), Bound(bound));
                    self.buckets.insert(key, sample.value);
                }
                return;
            }
            _ => return,
        };
        if fits(sample, selector) {
            counters.insert(sample.identity(None), sample.value);
        }
    }

    fn series(&self) -> usize {
        let counters = [&self.requests, &self.errors, &self.sum, &self.count];
        counters.iter().map(|it| it.len()).sum::<usize>() + self.buckets.len()
    }

    /// What is declared, and not here. Errors may still be to come: a counter is often there
    /// from the first one on.
    pub(super) fn missing(&self, endpoint: &MetricsEndpoint) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !endpoint.requests.is_empty() && self.requests.is_empty() {
            missing.push("requests");
        }
        if endpoint.latency.is_some() {
            if self.count.is_empty() || self.sum.is_empty() {
                missing.push("latency");
            } else if endpoint.quantile.is_some() && self.buckets.is_empty() {
                missing.push("quantile");
            }
        }
        missing
    }
}

/// What of a series' name comes behind that which is selected.
fn behind<'s>(sample: &'s Sample<'_>, selector: &SeriesSelector) -> Option<&'s str> {
    sample.name.strip_prefix(selector.name.as_str())
}

fn fits(sample: &Sample<'_>, selector: &SeriesSelector) -> bool {
    selector.fits(|name| sample.label(name))
}

/// What was added within a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Increase {
    pub(super) span: Duration,
    /// Absent where nothing counts them.
    pub(super) requests: Option<f64>,
    pub(super) errors: Option<f64>,
    sum: Option<f64>,
    count: Option<f64>,
    /// By their bounds, each with those below.
    pub(super) buckets: BTreeMap<Bound, f64>,
}

impl Increase {
    /// Nothing, where a counter went back: it is another process that counts.
    pub(super) fn between(before: &Counted, now: &Counted, span: Duration) -> Option<Self> {
        if before.started != now.started {
            return None;
        }
        let mut buckets: BTreeMap<Bound, f64> = BTreeMap::new();
        for (key, value) in &now.buckets {
            let before = before.buckets.get(key).copied().unwrap_or(0.0);
            if *value < before {
                return None;
            }
            *buckets.entry(key.1).or_default() += value - before;
        }
        let requests = added(&before.requests, &now.requests)?;
        Some(Self {
            span,
            requests,
            // Without any series of errors there was none.
            errors: added(&before.errors, &now.errors)?.or(requests.map(|_| 0.0)),
            sum: added(&before.sum, &now.sum)?,
            count: added(&before.count, &now.count)?,
            buckets,
        })
    }

    pub(super) fn add(&mut self, other: &Self) {
        let add = |sum: &mut Option<f64>, more: Option<f64>| {
            *sum = match (*sum, more) {
                (Some(sum), Some(more)) => Some(sum + more),
                (sum, more) => sum.or(more),
            };
        };
        self.span += other.span;
        add(&mut self.requests, other.requests);
        add(&mut self.errors, other.errors);
        add(&mut self.sum, other.sum);
        add(&mut self.count, other.count);
        for (bound, more) in &other.buckets {
            *self.buckets.entry(*bound).or_default() += more;
        }
    }

    /// How long a request took in the mean; nothing, where there was none.
    pub(super) fn mean(&self) -> Option<f64> {
        let (sum, count) = self.sum.zip(self.count)?;
        (count > 0.0).then(|| sum / count)
    }
}

/// `None` where one went back; within, nothing where there is none.
fn added(before: &Counters, now: &Counters) -> Option<Option<f64>> {
    let mut sum = 0.0;
    for (series, value) in now {
        let before = before.get(series).copied().unwrap_or(0.0);
        if *value < before {
            return None;
        }
        sum += value - before;
    }
    Some((!now.is_empty()).then_some(sum))
}
