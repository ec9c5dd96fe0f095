//! What a service measures of itself: requests, errors and latency, from its own metrics
//! endpoint.
//!
//! Its counters become rates over the last minute. A counter that went back, because its
//! process was started anew, is no rate; one that is new since the answer before began at 0.

mod counted;
mod exposition;
mod histogram;

use std::{collections::VecDeque, time::Duration};

use prunella_core::{
    health::{Metric, Reading},
    service::MetricsEndpoint,
};

use self::counted::{Counted, Increase};
use super::permille;
use crate::probes::{Document, document};

/// An endpoint that says more is not read: Prometheus' own servers say some 100 KiB.
const LARGEST: usize = 8 << 20;

/// What is understood, in the order of preference.
const FORMATS: &str =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// What is told is of the last minute.
const MINUTE: Duration = Duration::from_secs(60);

/// Of fewer requests no share is an error rate, as of a probe's questions.
const LEAST_REQUESTS: f64 = 10.0;

/// Why an endpoint told nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It could not be asked, or did not answer.
    #[error("{0}")]
    NoAnswer(String),
    /// It answered with something else than 200.
    #[error("it answered {0}, not 200")]
    Status(u16),
    /// In OpenMetrics' format its answer ends with `# EOF`.
    #[error("its answer is not whole")]
    NotWhole,
    /// Its answer is no text.
    #[error("its answer is not UTF-8")]
    NoText,
    /// More than anybody has.
    #[error("more than {} of its series are selected", counted::MOST_SERIES)]
    TooMany,
}

/// What an endpoint answered, not looked at yet.
#[derive(Debug)]
pub struct EndpointAnswer(Document);

/// What an endpoint told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointSample {
    pub readings: Vec<Reading>,
    /// What it says nothing of, although that is declared: keys of the declaration.
    pub missing: Vec<&'static str>,
}

/// Asks one endpoint, again and again.
#[derive(Debug)]
pub struct EndpointSampler {
    endpoint: MetricsEndpoint,
    before: Option<(Duration, Counted)>,
    /// The spans of the last minute, with their ends.
    spans: VecDeque<(Duration, Increase)>,
}

impl EndpointSampler {
    /// Of this endpoint.
    pub fn new(endpoint: MetricsEndpoint) -> Self {
        Self {
            endpoint,
            before: None,
            spans: VecDeque::new(),
        }
    }

    /// Asks it: no thread waits for the answer, and no longer than the endpoint's timeout.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&self) -> Result<EndpointAnswer, EndpointError> {
        document(&self.endpoint.url, FORMATS, LARGEST, self.endpoint.timeout)
            .await
            .map(EndpointAnswer)
            .map_err(EndpointError::NoAnswer)
    }

    /// What its service did within the last minute, by what it answered at `now`, a time since
    /// boot. Of megabytes, reading them takes a while.
    ///
    /// # Errors
    /// When the answer is not what an endpoint should say.
    pub fn sample(
        &mut self,
        now: Duration,
        EndpointAnswer(answer): &EndpointAnswer,
    ) -> Result<EndpointSample, EndpointError> {
        if answer.status != 200 {
            return Err(EndpointError::Status(answer.status));
        }
        let text = std::str::from_utf8(&answer.body).map_err(|_| EndpointError::NoText)?;
        let is_open_metrics = answer
            .content_type
            .starts_with("application/openmetrics-text");
        if is_open_metrics && !exposition::is_whole(text) {
            return Err(EndpointError::NotWhole);
        }
        self.take(now, text)
    }

    fn take(&mut self, now: Duration, text: &str) -> Result<EndpointSample, EndpointError> {
        let counted = Counted::of(text, &self.endpoint).ok_or(EndpointError::TooMany)?;
        let missing = counted.missing(&self.endpoint);
        let increase = self.before.as_ref().and_then(|(at, before)| {
            let span = now.saturating_sub(*at);
            (!span.is_zero()).then(|| Increase::between(before, &counted, span))?
        });
        match increase {
            Some(increase) => self.spans.push_back((now, increase)),
            // Another process counts: what was is not what it is like now.
            None => self.spans.clear(),
        }
        self.before = Some((now, counted));
        while let Some((end, _)) = self.spans.front()
            && now.saturating_sub(*end) >= MINUTE
        {
            self.spans.pop_front();
        }
        Ok(EndpointSample {
            readings: self.readings(),
            missing,
        })
    }

    fn readings(&self) -> Vec<Reading> {
        let mut sum = Increase::default();
        for (_, increase) in &self.spans {
            sum.add(increase);
        }
        let mut readings = Vec::new();
        if let Some(requests) = sum.requests {
            let rate = requests * MINUTE.as_secs_f64() / sum.span.as_secs_f64();
            readings.push(Reading::new(Metric::RequestsPerMinute, whole(rate)));
            let counts_errors = !self.endpoint.errors.is_empty();
            let failed = sum
                .errors
                .filter(|_| counts_errors && requests >= LEAST_REQUESTS);
            let share = failed.and_then(|failed| permille(whole(failed), whole(requests)));
            // What failed may be counted before what was asked.
            let share = share.map(|share| share.min(1_000));
            readings.extend(share.map(|it| Reading::new(Metric::RequestErrorsPermille, it)));
        }
        let latency = match self.endpoint.quantile {
            Some(share) if !sum.buckets.is_empty() => {
                histogram::quantile(&sum.buckets, f64::from(share) / 1_000.0)
            }
            _ => sum.mean(),
        };
        if let (Some(latency), Some(selector)) = (latency, &self.endpoint.latency) {
            let milliseconds = whole(latency * milliseconds_of(&selector.name));
            readings.push(Reading::new(Metric::RequestLatencyMs, milliseconds));
        }
        readings
    }
}

/// To the nearest whole number; what is too large is the largest.
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// How many milliseconds the unit is that a metric's name ends with: seconds, unless it says
/// otherwise.
fn milliseconds_of(name: &str) -> f64 {
    const UNITS: [(&str, f64); 7] = [
        ("_milliseconds", 1.0),
        ("_millis", 1.0),
        ("_ms", 1.0),
        ("_microseconds", 1e-3),
        ("_us", 1e-3),
        ("_nanoseconds", 1e-6),
        ("_ns", 1e-6),
    ];
    UNITS
        .iter()
        .find(|(unit, _)| name.ends_with(unit))
        .map_or(1e3, |(_, milliseconds)| *milliseconds)
}

#[cfg(test)]
mod tests;
