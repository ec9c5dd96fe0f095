//! The first lines: what keeps Prunella from healing, the host, and the daemon.

use std::{fmt::Write as _, time::Duration};

use anstyle::Style;
use prunella_api::{DiskStatus, StatusReport};
use prunella_core::health::HealthState;

use super::{sections::pieces, services::health_in_words};
use crate::{
    output::{BAD, FAIR, GOOD, PLAIN, STRONG, wrap},
    time::{local, short, span},
};

/// From so much of a file system on there is little left of it.
const FAIR_PERCENT: u64 = 85;

/// From so much on it is nearly full.
const BAD_PERCENT: u64 = 95;

/// Appends them.
pub(super) fn head(text: &mut String, report: &StatusReport, width: usize) {
    for alarm in &report.alarms {
        for line in wrap(alarm, width) {
            let _ = writeln!(text, "{BAD}{line}{BAD:#}");
        }
    }
    let host = &report.host;
    let mut first = vec![
        (host.name.clone(), STRONG),
        (local(report.at), PLAIN),
        (
            format!("up {}", span(Duration::from_secs(host.uptime_s))),
            PLAIN,
        ),
    ];
    if let Some(state) = &host.system_state {
        let style = if state == "running" { GOOD } else { FAIR };
        first.push((format!("systemd {state}"), style));
    }
    pieces(text, 0, width, &first);

    let mut second = Vec::new();
    if let Some(load) = host.load {
        let processors = f64::from(load.processors.max(1));
        let style = level(load.one / processors, 1.0, 2.0);
        second.push((
            format!("load {:.2} {:.2} {:.2}", load.one, load.five, load.fifteen),
            style,
        ));
    }
    if let Some(memory) = host.memory {
        let used = memory.total.saturating_sub(memory.available);
        second.push((
            format!("memory {} of {}", bytes(used), bytes(memory.total)),
            level(share(used, memory.total), 0.85, 0.95),
        ));
    }
    second.extend(host.disks.iter().filter_map(disk));
    if !second.is_empty() {
        pieces(text, 0, width, &second);
    }
    if let Some(health) = host.health.as_ref().filter(|it| is_unwell(it.state)) {
        let style = crate::health::style(health.state);
        let line = format!("host {}", health_in_words(health, report.at));
        for line in wrap(&line, width) {
            let _ = writeln!(text, "{style}{line}{style:#}");
        }
    }
    let services = report.services.iter().filter_map(|it| it.health.as_ref());
    for health in host.health.iter().chain(services) {
        let unusual = crate::health::unusual(health, report.at)
            .map(|unusual| format!("{}: {unusual}", health.subject.as_str()));
        for line in unusual
            .into_iter()
            .chain(crate::health::ahead(health, report.at))
        {
            for line in wrap(&line, width) {
                let _ = writeln!(text, "{FAIR}{line}{FAIR:#}");
            }
        }
    }
    let daemon = match &report.daemon {
        Some(daemon) => (
            format!(
                "prunella {}: daemon runs since {} (process {})",
                report.version,
                short(daemon.since, report.at),
                daemon.pid
            ),
            PLAIN,
        ),
        None => (
            format!(
                "prunella {}: no daemon runs; hooks and the sweep heal, if enabled",
                report.version
            ),
            FAIR,
        ),
    };
    let (line, style) = daemon;
    for line in wrap(&line, width) {
        let _ = writeln!(text, "{style}{line}{style:#}");
    }
}

/// Whether people should know. That it was not measured yet is none of their business.
fn is_unwell(state: HealthState) -> bool {
    matches!(state, HealthState::Failed | HealthState::Degraded)
}

fn level(value: f64, fair: f64, bad: f64) -> Style {
    if value >= bad {
        BAD
    } else if value >= fair {
        FAIR
    } else {
        PLAIN
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a share for the eye; 53 bits are plenty"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Bytes for the eye: `812 MiB`, `3.4 GiB`.
fn bytes(count: u64) -> String {
    let mib = count >> 20;
    if mib < 1024 {
        format!("{mib} MiB")
    } else {
        format!("{:.1} GiB", share(mib, 1024))
    }
}

/// A file system. One in memory is worth a look only when there is little left of it.
fn disk(disk: &DiskStatus) -> Option<(String, Style)> {
    let percent = disk.bytes.percent().unwrap_or(0);
    let inodes = disk.inodes.percent().unwrap_or(0);
    if disk.in_memory && disk.place != "/" && percent.max(inodes) < FAIR_PERCENT {
        return None;
    }
    let mut said = format!("{} {percent}% full", disk.place);
    // As long as there are plenty, nobody asks for them.
    if inodes >= FAIR_PERCENT {
        let _ = write!(said, ", {inodes}% of inodes");
    }
    if disk.read_only {
        said.push_str(", read-only");
    }
    let style = match percent.max(inodes) {
        BAD_PERCENT.. => BAD,
        FAIR_PERCENT.. => FAIR,
        _ => PLAIN,
    };
    Some((said, style))
}
