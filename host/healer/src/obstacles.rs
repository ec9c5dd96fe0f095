//! What would keep a service from being healed if it failed now: what
//! [`decide`](crate::decide) looks at when it has, as far as that can be told before.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use prunella_core::{
    capability::UnitStatus,
    incident::LeftAlone,
    protected::Protected,
    service::{Service, StartLimit},
    situation::Situation,
};
use prunella_store::Pause;

use crate::clock::wall_clock;

/// How long one look at the host may take.
const LOOK: Duration = Duration::from_secs(2);

/// What is asked about the host and its operators' orders.
pub struct HealerSituation<'a> {
    /// The file that stops all healing.
    pub kill_switch: &'a Path,
    /// The mistake in the configuration that keeps the service from being healed.
    pub mistake: Option<&'a str>,
    pub pauses: &'a [Pause],
    pub protected: &'a Protected,
    /// Whether an open circuit isolates the service: then nobody else has stopped it.
    pub is_isolated: bool,
    /// Who serves in the place of the service, and how that is taken back.
    pub failed_over: Option<String>,
    pub situation: &'a dyn Situation,
}

/// Everything that stands in the way of healing, each with more about it, or nothing.
pub fn obstacles(
    host: &HealerSituation<'_>,
    service: &Service,
    status: &UnitStatus,
) -> Vec<(LeftAlone, String)> {
    let mut found = Vec::new();
    if let Some(mistake) = host.mistake {
        found.push((LeftAlone::Misconfigured, mistake.to_owned()));
    }
    if host.kill_switch.exists() {
        let detail = format!("{} exists", host.kill_switch.display());
        found.push((LeftAlone::KillSwitch, detail));
    }
    let now = wall_clock();
    for pause in host.pauses {
        if pause.holds(now) && pause.covers(&service.unit) {
            let detail = format!("by {}: {}", pause.by, pause.reason);
            found.push((LeftAlone::Paused, detail));
        }
    }
    if let Some(detail) = &host.failed_over {
        found.push((LeftAlone::FailedOver, detail.clone()));
    }
    if host.protected.covers(&service.unit) {
        found.push((LeftAlone::Protected, String::new()));
    }
    let deadline = || Instant::now() + LOOK;
    if host
        .situation
        .system_state(deadline())
        .is_ok_and(|state| state == "stopping")
    {
        found.push((LeftAlone::Shutdown, String::new()));
    }
    if status.load_state == "masked" {
        found.push((LeftAlone::Masked, String::new()));
    }
    found.extend(failure_action(status).map(|action| (LeftAlone::FailureAction, action)));
    if let Some(holder) = host.situation.package_lock() {
        found.push((LeftAlone::PackageUpgrade, holder));
    }
    // The fence of a failover is Prunella's own.
    if status.start_rules.refuses_manual_start && host.failed_over.is_none() {
        found.push((LeftAlone::RefusesStart, String::new()));
    }
    if status.is_up() {
        return found;
    }
    // While it stops, that may be a restart of Prunella's own.
    if !service.heal_on_stop
        && !host.is_isolated
        && status.is_settled()
        && let Ok(Some(evidence)) = host.situation.stopped_by_operator(deadline(), status)
    {
        found.push((LeftAlone::OperatorStop, evidence));
    }
    if status.start_rules.unmet && host.failed_over.is_none() {
        found.push((
            LeftAlone::ConditionUnmet,
            status.start_rules.unmet_lines.join(", "),
        ));
    }
    if service.start_limit == StartLimit::Respect
        && host
            .situation
            .start_refused(deadline(), status)
            .unwrap_or(false)
    {
        found.push((LeftAlone::StartLimit, String::new()));
    }
    found
}

/// What systemd would do to the host if a start failed once too often.
pub(crate) fn failure_action(status: &UnitStatus) -> Option<String> {
    [
        ("StartLimitAction", &status.start_limit_action),
        ("FailureAction", &status.failure_action),
    ]
    .into_iter()
    .find(|(_, action)| !action.is_empty() && action.as_str() != "none")
    .map(|(setting, action)| format!("{setting}={action}"))
}
