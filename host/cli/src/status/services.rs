//! The table of services.

use std::fmt::Write as _;

use anstyle::Style;
use prunella_api::{PortStatus, ServiceStatus, StatusReport};
use prunella_core::{
    Timestamp,
    capability::ActiveState,
    health::{Health, HealthState},
};

use super::severity::{Severity, is_being_healed, sorted};
use crate::{
    output::{BAD, FAIR, GOOD, PLAIN, QUIET, STRONG, short_unit, wrap},
    table::{Cell, Column, Table},
    time::{ago, clock, span, took},
};

/// Behind a port that nobody listens on.
const SILENT: &str = "!";

/// Behind a port that somebody else has.
const STRANGER: &str = "≠";

/// Before the name of a critical service.
const CRITICAL: &str = "*";

/// Appends it, and what its marks mean.
pub(super) fn services(text: &mut String, report: &StatusReport, width: usize, table_width: usize) {
    text.push('\n');
    if report.services.is_empty() {
        // There may be some in what cannot be read.
        if !report.alarms.is_empty() {
            text.push_str("No service is known.\n");
            return;
        }
        let _ = writeln!(
            text,
            "No service is in Prunella's care yet: {STRONG}prunella enable UNIT{STRONG:#}"
        );
        return;
    }
    let mut table = Table::new(&[
        Column::fixed(""),
        Column::fixed(""),
        Column::shrinks("SERVICE", 14),
        // How it stands is what the table is for.
        Column::fixed("STATE"),
        Column::optional("PORTS", 8),
        Column::optional("DOMAIN", 8),
        Column::optional("LAST HEALED", 12),
    ]);
    let services = sorted(report);
    for (severity, service) in &services {
        let (mark, style) = mark(*severity, service);
        let amiss = service.ports.iter().any(PortStatus::is_amiss);
        table.row(vec![
            Cell::new(mark, style),
            Cell::new(if service.critical { CRITICAL } else { "" }, STRONG),
            Cell::new(
                short_unit(service.unit.as_str()),
                if service.critical { STRONG } else { PLAIN },
            ),
            Cell::new(state(*severity, service), style),
            Cell::new(ports(service), if amiss { BAD } else { PLAIN }),
            Cell::new(service.domain.clone().unwrap_or_default(), PLAIN),
            Cell::new(
                if table_width < ROOMY {
                    healed_ago(service, report.at)
                } else {
                    last_healed(service, report.at)
                },
                PLAIN,
            ),
        ]);
    }
    text.push_str(&table.render(table_width, 0));
    legend(text, &services, width);
    not_well(text, &services, report.at, width);
    waiting(text, &services, report.at, width);
}

/// In fewer columns the table does not say how long a healing took.
const ROOMY: usize = 100;

/// When it was up again.
fn healed_ago(service: &ServiceStatus, now: Timestamp) -> String {
    let healing = service.last_healing.as_ref();
    healing.map_or_else(String::new, |healing| ago(healing.at, now))
}

fn ports(service: &ServiceStatus) -> String {
    let ports: Vec<String> = service
        .ports
        .iter()
        .map(|status| {
            let mark = match (&status.stranger, status.held) {
                (Some(_), _) => STRANGER,
                (None, Some(false)) => SILENT,
                (None, _) => "",
            };
            format!("{}{mark}", status.port)
        })
        .collect();
    ports.join(" ")
}

/// When it was up again, and how long that took.
pub(super) fn last_healed(service: &ServiceStatus, now: Timestamp) -> String {
    service.last_healing.as_ref().map_or_else(String::new, |h| {
        let after = h
            .recovered_after
            .map_or_else(String::new, |after| format!(" in {}", took(after)));
        format!("{}{after}", ago(h.at, now))
    })
}

/// A sign that also speaks without colours, and its colour.
pub(super) fn mark(severity: Severity, service: &ServiceStatus) -> (&'static str, Style) {
    if service.paused {
        return ("‖", if service.up == Some(true) { FAIR } else { BAD });
    }
    let moving = matches!(
        service.state,
        Some(ActiveState::Activating | ActiveState::Deactivating)
    );
    match severity {
        Severity::NeedsPeople | Severity::Failed => ("✖", BAD),
        Severity::BeingHealed => ("◐", FAIR),
        Severity::Degraded if moving || service.up == Some(true) => ("◐", FAIR),
        Severity::Degraded => ("○", FAIR),
        Severity::Unknown => ("?", FAIR),
        Severity::Well => ("●", GOOD),
    }
}

/// How it stands, and who is at work on it.
pub(super) fn state(severity: Severity, service: &ServiceStatus) -> String {
    if let Some(standby) = &service.failed_over_to {
        return format!("stopped: failed over to {standby}");
    }
    let mut text = match (service.state, service.sub_state.as_deref()) {
        (Some(_), Some("not found")) => "no such unit".to_owned(),
        (Some(ActiveState::Failed), _) => "failed".to_owned(),
        (Some(state), Some(sub)) if !sub.is_empty() && sub != state.as_str() => sub.to_owned(),
        (Some(state), _) => state.as_str().to_owned(),
        (None, _) => "not known".to_owned(),
    };
    if severity == Severity::NeedsPeople {
        text.push_str(", needs people");
    }
    if let Some(health) = unwell(service)
        && severity != Severity::NeedsPeople
    {
        match health.state {
            HealthState::Degraded => text.push_str(", degraded"),
            HealthState::Failed => text.push_str(", health failed"),
            _ => {}
        }
    }
    if service.paused {
        text.push_str(", paused");
    } else if service.waits.is_some() {
        text.push_str(", waiting");
    } else if is_being_healed(service) && severity != Severity::NeedsPeople {
        text.push_str(", healing");
    }
    text
}

/// What the marks mean that stand in the table, and who the strangers are.
fn legend(text: &mut String, services: &[(Severity, &ServiceStatus)], width: usize) {
    let ports = || services.iter().flat_map(|(_, service)| &service.ports);
    if services.iter().any(|(_, service)| service.critical) {
        let _ = writeln!(text, "{QUIET}{CRITICAL}  critical{QUIET:#}");
    }
    if ports().any(|port| port.held == Some(false)) {
        let _ = writeln!(
            text,
            "{QUIET}{SILENT}  nobody listens on this port{QUIET:#}"
        );
    }
    for port in ports() {
        if let Some(stranger) = &port.stranger {
            let line = format!("{} is held by {stranger}", port.port);
            let mut mark = STRANGER;
            for line in wrap(&line, width.saturating_sub(3)) {
                let _ = writeln!(text, "{BAD}{mark}  {line}{BAD:#}");
                mark = " ";
            }
        }
    }
}

/// The health of a service that is up and not well: of one that is down the table says so.
pub(super) fn unwell(service: &ServiceStatus) -> Option<&Health> {
    service.health.as_ref().filter(|health| {
        service.up == Some(true)
            && !matches!(
                health.state,
                HealthState::Healthy | HealthState::Stopped | HealthState::Paused
            )
    })
}

/// What is wrong with those that are up, or not known of them.
fn not_well(
    text: &mut String,
    services: &[(Severity, &ServiceStatus)],
    now: Timestamp,
    width: usize,
) {
    let mut title = format!("\n{FAIR}Not well{FAIR:#}\n");
    for (_, service) in services {
        let Some(health) = unwell(service) else {
            continue;
        };
        text.push_str(&std::mem::take(&mut title));
        let line = format!("{}: {}", service.unit, health_in_words(health, now));
        for line in wrap(&line, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

/// Its state, since when, and why.
pub(super) fn health_in_words(health: &Health, now: Timestamp) -> String {
    format!(
        "{} for {}: {}",
        health.state.as_str(),
        span(now.since(health.began())),
        crate::health::why(health)
    )
}

/// What each healing that waits is waiting for.
fn waiting(
    text: &mut String,
    services: &[(Severity, &ServiceStatus)],
    now: Timestamp,
    width: usize,
) {
    let waiting: Vec<String> = services
        .iter()
        .filter_map(|(_, service)| Some(format!("{}: {}", service.unit, waits(service, now)?)))
        .collect();
    if waiting.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{FAIR}Waiting{FAIR:#}");
    for line in waiting {
        for line in wrap(&line, width.saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

/// What its healing waits for, and until when.
pub(super) fn waits(service: &ServiceStatus, now: Timestamp) -> Option<String> {
    let waits = service.waits.as_ref()?;
    Some(match waits.until {
        Some(until) => format!("{}, until {}", waits.reason, clock(until, now)),
        None => waits.reason.clone(),
    })
}
