//! The names by which some dashboards know an agent that heals: `[metrics] agent-names`.
//! They keep to the words of those dashboards, and so not to Prometheus' conventions.

use std::fmt;

use prunella_core::health::HealthState;
use prunella_metrics::histogram::Histogram;
use prunella_store::Total;

use super::{Figures, page::Page};
use crate::health::LATENCY_BOUNDS;

/// Writes the figures under the names that other agents give them.
pub(super) fn write(figures: &Figures, page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "service_health_status",
        "How a service is: 1 healthy, 0.5 degraded or being healed, 0 failed.",
        figures.services.iter().filter_map(|service| {
            let value = match service.state {
                HealthState::Healthy => 1.0,
                HealthState::Degraded | HealthState::Recovering => 0.5,
                HealthState::Failed => 0.0,
                // What is not known, or not meant to be up, is neither well nor unwell.
                HealthState::Unknown | HealthState::Stopped | HealthState::Paused => return None,
            };
            Some(([("service", service.unit.as_str())], value))
        }),
    )?;
    page.gauge(
        "service_latency_ms",
        "How long the slowest probe of a service took to be answered last, in milliseconds.",
        figures.services.iter().filter_map(|service| {
            let latency = u32::try_from(service.latency_ms?).ok()?;
            Some(([("service", service.unit.as_str())], f64::from(latency)))
        }),
    )?;
    let of_services = |total| {
        let of_units = figures.by_unit(total);
        of_units.map(|([(_, unit)], number)| ([("service", unit)], number))
    };
    page.counter(
        "agent_incidents",
        "Incidents of a service that were opened.",
        of_services(Total::Incidents),
    )?;
    page.counter(
        "agent_actions",
        "Acts that were carried out, or tried, for a service.",
        of_services(Total::Acts),
    )?;
    let proven = figures.sum(Total::Proofs);
    let all = proven.saturating_add(figures.sum(Total::ProofsFailed));
    page.gauge(
        "agent_success_rate",
        "Of all healings, the share that was proven, from 0 to 1.",
        (all > 0).then(|| ([], ratio(proven, all))),
    )?;
    let mut taken = Histogram::new(&LATENCY_BOUNDS);
    for probe in &figures.probes {
        taken.merge(&probe.latency);
    }
    page.histogram(
        "agent_monitoring_duration_seconds",
        "How long looks at services took: probes of all services that were answered.",
        figures.is_watched().then_some(([], &taken)),
    )
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a share needs no more digits than these"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
