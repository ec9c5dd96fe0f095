//! How bad a service stands: the worst comes first.

use prunella_api::{ServiceStatus, StatusReport};
use prunella_core::{capability::ActiveState, health::HealthState};

/// From worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Handed to people, and not up.
    NeedsPeople,
    /// Failed, and nobody is at work on it.
    Failed,
    /// Down, and being healed or waiting for it.
    BeingHealed,
    /// Down but not failed, up without all of its ports, on its way, or its health says so.
    Degraded,
    /// Its state, or its health, is not known.
    Unknown,
    Well,
}

impl Severity {
    pub(super) fn of(service: &ServiceStatus, needs_people: bool) -> Self {
        if needs_people {
            return Self::NeedsPeople;
        }
        let Some(up) = service.up else {
            return Self::Unknown;
        };
        if !up && service.open_incident.is_some() {
            return Self::BeingHealed;
        }
        match (up, service.state) {
            // Another unit serves.
            _ if service.failed_over_to.is_some() => Self::Degraded,
            (false, Some(ActiveState::Failed)) => Self::Failed,
            (false, _) => Self::Degraded,
            (true, _) if service.ports.iter().any(|port| port.is_amiss()) => Self::Degraded,
            // A probe has found it hanging.
            (true, _) if is_being_healed(service) => Self::BeingHealed,
            (true, _) => match service.health.as_ref().map(|health| health.state) {
                Some(HealthState::Failed | HealthState::Recovering | HealthState::Degraded) => {
                    Self::Degraded
                }
                Some(HealthState::Unknown) => Self::Unknown,
                _ => Self::Well,
            },
        }
    }
}

/// Whether somebody is at work on it. While it is degraded nobody is: it is watched, or
/// else it would be recovering.
pub(super) fn is_being_healed(service: &ServiceStatus) -> bool {
    let state = service.health.as_ref().map(|health| health.state);
    let is_watched = service.up == Some(true) && state == Some(HealthState::Degraded);
    service.open_incident.is_some() && !is_watched
}

/// The services of a report, the worst first, and by name where they stand alike.
pub(super) fn sorted(report: &StatusReport) -> Vec<(Severity, &ServiceStatus)> {
    let mut services: Vec<(Severity, &ServiceStatus)> = report
        .services
        .iter()
        .map(|service| {
            let needy = report
                .needs_people
                .iter()
                .any(|needy| needy.unit == service.unit);
            (Severity::of(service, needy), service)
        })
        .collect();
    services.sort_by(|a, b| (a.0, &a.1.unit).cmp(&(b.0, &b.1.unit)));
    services
}
