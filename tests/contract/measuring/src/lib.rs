//! A strategy that says what was measured of its service, of the host and of another service
//! before it starts what is down.

use std::time::Duration;

use prunella_sdk::prelude::*;

const HOUR: Duration = Duration::from_secs(3_600);

struct Measures;

impl Strategy for Measures {
    fn describe() -> Description {
        description!("Says what was measured, and starts what is down.")
    }

    fn assess(incident: &Incident<'_>) -> Result<Assessment> {
        let own = measured(&incident.unit(), "memory-bytes");
        let host = measured("host", "processes");
        let other = measured("other.service", "memory-bytes");
        Ok(Assessment::applies(
            60,
            format!("own: {own}; host: {host}; other: {other};"),
        ))
    }

    fn heal(incident: &Incident<'_>) -> Result<Outcome> {
        recovery::bring_up(incident)
    }
}

/// The latest value, and the least and greatest of the last hour; or the failure's code.
fn measured(subject: &str, metric: &str) -> String {
    let ask = || {
        let latest = metrics::latest(subject, metric)?;
        let hour = metrics::over(subject, metric, HOUR)?;
        let value = latest.first().map_or(0, |one| one.value);
        let (min, max) = hour.first().map_or((0, 0), |one| (one.min, one.max));
        Ok(format!("{value} ({min} to {max})"))
    };
    ask().unwrap_or_else(|failure: Failure| failure.code().unwrap_or("unknown").to_owned())
}

prunella_sdk::export!(Measures);
