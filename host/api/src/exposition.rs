//! What monitoring reads, as text.

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// Prometheus' text format, version 0.0.4: what node_exporter and promtool read.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl ExpositionFormat {
    const OPEN_METRICS: &str = "application/openmetrics-text";

    /// The format that a reader understands who sends this `Accept`.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains(Self::OPEN_METRICS) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}
