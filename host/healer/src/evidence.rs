//! Gathers what is known of a failure, for whoever thinks about it.
//!
//! Only looks, and only while nobody waits for a start: reading the journal
//! takes longer than healing. What cannot be read is left out.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    analyst::{Changes, ChangesQuestion, Evidence, FailedRun, NeededUnit},
    capability::{ActiveState, Host, LogEntry, LogQuery, PressureOf, UnitStatus},
    incident::Detection,
    service::Service,
};

use crate::healer::wall_clock;

/// A traceback may be long, and its last line is not always the one that says
/// it.
const LINES: u32 = 200;

/// Looking at more would take long, and a service hardly needs more.
const NEEDS_MAX: usize = 16;

/// All of it together takes no longer.
const LIMIT: Duration = Duration::from_secs(3);

/// Changes longer ago are not looked for.
const LATELY: u64 = 24 * 60 * 60 * 1000;

/// Places that programs write to, beside those that the operator declared.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

/// What is known of the failure that `detection` tells of. `status` is the unit
/// as it was while it was down, when somebody looked.
pub fn gather(
    host: &Host,
    changes: &dyn Changes,
    service: &Service,
    detection: &Detection,
    status: Option<&UnitStatus>,
) -> Evidence {
    let deadline = Instant::now() + LIMIT;
    let now = host.units.get(deadline, &service.unit).ok();
    let mut runs = vec![FailedRun {
        result: detection.cause.clone(),
        exit_code: detection.exit_code,
        signal: detection.signal.clone(),
        ended_at: detection.at,
        lines: lines(host, deadline, service, detection.invocation.as_deref()),
    }];
    // A start that was tried since may have failed for a reason of its own.
    if let Some(now) = &now
        && now.active_state == ActiveState::Failed
        && now.invocation.is_some()
        && now.invocation != detection.invocation
    {
        runs.push(FailedRun {
            result: now.result.clone(),
            exit_code: now.exit_code,
            signal: now.signal.clone(),
            ended_at: wall_clock(),
            lines: lines(host, deadline, service, now.invocation.as_deref()),
        });
    }
    let status = status.cloned().or(now);
    let fragment = status
        .as_ref()
        .and_then(|status| status.fragment.as_deref());
    let question = ChangesQuestion {
        service,
        fragment,
        since: detection.at.saturating_sub(LATELY),
        until: detection.at,
    };
    let changed = changes
        .since(deadline, &question)
        .unwrap_or_else(|failure| {
            tracing::debug!("what changed lately cannot be told: {failure}");
            Vec::new()
        });
    let declared = service.files.keys().map(String::as_str);
    Evidence {
        detection: detection.clone(),
        domain: service.domain.clone(),
        needs: needs(host, deadline, service, status.as_ref()),
        memory: host.resources.memory().ok(),
        memory_pressure: host.resources.pressure(PressureOf::Memory).ok(),
        disks: PLACES
            .into_iter()
            .chain(declared)
            .filter_map(|place| Some((place.to_owned(), host.resources.disk(place).ok()?)))
            .collect(),
        changes: changed,
        status,
        runs,
    }
}

fn lines(
    host: &Host,
    deadline: Instant,
    service: &Service,
    invocation: Option<&str>,
) -> Vec<LogEntry> {
    let query = LogQuery {
        unit: service.unit.clone(),
        invocation: invocation.map(str::to_owned),
        priority: None,
        lines: LINES,
    };
    host.logs.tail(deadline, &query).unwrap_or_else(|failure| {
        tracing::debug!("no log lines of {}: {failure}", service.unit);
        Vec::new()
    })
}

/// The units that it needs, by its declaration and by systemd's. Slices and
/// targets are nothing that could be missing.
fn needs(
    host: &Host,
    deadline: Instant,
    service: &Service,
    status: Option<&UnitStatus>,
) -> Vec<NeededUnit> {
    let required = status.into_iter().flat_map(|status| &status.requires);
    let units: BTreeSet<&UnitName> = service.needs.iter().chain(required).collect();
    units
        .into_iter()
        .filter(|unit| matches!(unit.kind(), "service" | "socket" | "mount"))
        .take(NEEDS_MAX)
        .filter_map(|unit| {
            let found = host.units.get(deadline, unit).ok()?;
            Some(NeededUnit {
                exists: found.exists(),
                state: found.active_state,
                result: found.result,
                unit: found.name,
            })
        })
        .collect()
}
