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
    analyst::{Changes, ChangesQuestion, Evidence, FailedRun, HeldPort, NeededUnit, Stall},
    capability::{
        ActiveState, Host, LogEntry, Ownership, PortHolder, PressureOf, ProcessInfo, UnitStatus,
        filesystems, logs, ports, resources,
    },
    cause::Cause,
    incident::Detection,
    service::Service,
};

use crate::clock::wall_clock;

/// A traceback may be long, and its last line is not always the one that says
/// it.
const LINES: u32 = 200;

/// Looking at more would take long, and a service hardly needs more.
const NEEDS_MAX: usize = 16;

/// All of it together takes no longer.
const LIMIT: Duration = Duration::from_secs(3);

/// Changes longer ago are not looked for.
const LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// Places that programs write to, beside those that the operator declared.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

/// What is known of the failure that `detection` tells of. `status` is the unit
/// as it was while it was down, when somebody looked; `stall` what kept its main process
/// from running then, while it was up.
pub fn gather(
    host: &Host,
    changes: &dyn Changes,
    service: &Service,
    detection: &Detection,
    status: Option<&UnitStatus>,
    stall: Option<Stall>,
) -> Evidence {
    let deadline = Instant::now() + LIMIT;
    let now = host.unit(deadline, &service.unit).ok();
    // A loop is noticed in the middle of a run; the one before says how it fails.
    let is_told = detection.exit_code.is_some() || detection.signal.is_some();
    let looping = (detection.cause == Cause::RestartLoop && !is_told)
        .then(|| restarted_run(host, deadline, service))
        .flatten();
    let first = looping
        .map(|(_, failed)| failed)
        .unwrap_or_else(|| FailedRun {
            result: detection.cause.to_string(),
            exit_code: detection.exit_code,
            signal: detection.signal.clone(),
            ended_at: detection.at,
            lasted: [now.as_ref(), status]
                .into_iter()
                .flatten()
                .find(|seen| seen.invocation == detection.invocation)
                .and_then(lasted),
            lines: lines_of_detected(host, deadline, service, detection, now.as_ref()),
        });
    let mut runs = vec![first];
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
            lasted: lasted(now),
            lines: now
                .invocation
                .as_deref()
                .map(|run| lines(host, deadline, service, Some(run)))
                .unwrap_or_default(),
        });
    }
    // systemd restarts it: the run before this one has failed, too.
    else if let Some(now) = &now
        && now.restarts > 0
        && now.invocation != detection.invocation
        && detection.cause != Cause::RestartLoop
        && let Some((run, failed)) = restarted_run(host, deadline, service)
        && Some(run) != detection.invocation
    {
        runs.push(failed);
    }
    let is_up = now
        .as_ref()
        .is_some_and(|now| now.is_up() && now.is_settled());
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
        ports: held_ports(host, deadline, service, status.as_ref(), is_up),
        stall,
        memory: host.ask(deadline, resources::MemoryUse {}).ok(),
        memory_pressure: host
            .ask(
                deadline,
                resources::PressureShare {
                    of: PressureOf::Memory,
                },
            )
            .ok(),
        load: host.ask(deadline, resources::LoadAverage {}).ok(),
        disks: PLACES
            .into_iter()
            .chain(declared)
            .filter_map(|place| {
                let place = place.to_owned();
                let below = filesystems::Below {
                    place: place.clone(),
                };
                Some((place, host.ask(deadline, below).ok()?.room()))
            })
            .collect(),
        changes: changed,
        status,
        runs,
    }
}

/// The invocation of the latest run that failed of a unit that systemd restarts, and
/// how it failed.
fn restarted_run(host: &Host, deadline: Instant, service: &Service) -> Option<(String, FailedRun)> {
    let all = lines(host, deadline, service, None);
    let (run, exit_code, signal) = last_end(&all)?;
    // Asked for anew: with lines that journald could not ascribe to it.
    let lines = lines(host, deadline, service, Some(&run));
    let failed = FailedRun {
        result: if signal.is_some() {
            "signal"
        } else {
            "exit-code"
        }
        .to_owned(),
        exit_code,
        signal,
        ended_at: wall_clock(),
        lasted: None,
        lines,
    };
    Some((run, failed))
}

/// The latest run of which systemd says here that it ended, and its exit code or signal.
fn last_end(lines: &[LogEntry]) -> Option<(String, Option<i32>, Option<String>)> {
    lines
        .iter()
        .rev()
        .filter(|line| line.by_systemd)
        .find_map(|line| {
            let (exit_code, signal) = exit_of(&line.message)?;
            Some((line.invocation.clone()?, exit_code, signal))
        })
}

/// How a run ended, by systemd's own line: `…: Main process exited, code=exited,
/// status=7/NOTRUNNING` or `code=killed, status=9/KILL` (service.c).
fn exit_of(line: &str) -> Option<(Option<i32>, Option<String>)> {
    let (_, how) = line.split_once("Main process exited, code=")?;
    let (code, status) = how.split_once(", status=")?;
    let (number, name) = status.split_once('/').unwrap_or((status, ""));
    match code {
        "exited" => Some((number.trim().parse().ok(), None)),
        "killed" | "dumped" => Some((None, Some(name.trim().to_owned()))),
        _ => None,
    }
}

/// How long the last run of a unit that is down went on.
fn lasted(status: &UnitStatus) -> Option<Duration> {
    let (began, ended) = (
        status.inactive_exit_monotonic?,
        status.inactive_enter_monotonic?,
    );
    ended
        .checked_since(began)
        .filter(|lasted| !lasted.is_zero())
}

/// The service's ports that somebody else keeps it from binding, or that somebody else has
/// and it has not although it `is_up`.
fn held_ports(
    host: &Host,
    deadline: Instant,
    service: &Service,
    status: Option<&UnitStatus>,
    is_up: bool,
) -> Vec<HeldPort> {
    let own = |unit: &UnitName| {
        *unit == service.unit || status.is_some_and(|status| status.triggered_by.contains(unit))
    };
    let mut held = Vec::new();
    for port in &service.ports {
        let asked = ports::Holders {
            protocol: port.protocol,
            number: port.number,
        };
        let holders = host.ask(deadline, asked).unwrap_or_default();
        let is_own = |holder: &PortHolder| {
            holder.unit.as_ref().is_some_and(own)
                || holder
                    .process
                    .as_ref()
                    .is_some_and(|process| process.info.ownership != Ownership::Foreign)
        };
        let goes_without = is_up && !holders.iter().any(is_own);
        for holder in holders {
            let process = holder.process.map(|process| process.info);
            let foreign = process
                .as_ref()
                .is_none_or(|process| process.ownership == Ownership::Foreign);
            // What the kernel keeps for a while has no holder.
            let because = holder.blocks.or_else(|| {
                goes_without.then(|| format!("{} is up and does not listen there", service.unit))
            });
            if let Some(because) = because
                && holder.free_in.is_none()
                && foreign
                && !holder.unit.as_ref().is_some_and(own)
            {
                held.push(HeldPort {
                    port: *port,
                    address: holder.address,
                    unit: holder.unit,
                    process: process.map(|process| (process.pid, program(&process))),
                    because,
                });
            }
        }
    }
    held
}

/// The name of a process's program.
fn program(process: &ProcessInfo) -> String {
    process
        .executable
        .as_deref()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or("a process")
        .to_owned()
}

/// The lines of the run that failed. Without a failed run there are none: what
/// earlier runs logged has nothing to do with it.
fn lines_of_detected(
    host: &Host,
    deadline: Instant,
    service: &Service,
    detection: &Detection,
    now: Option<&UnitStatus>,
) -> Vec<LogEntry> {
    let Some(detected) = detection.invocation.as_deref() else {
        return Vec::new();
    };
    let failed = if detection.cause == Cause::RestartLoop {
        // The detected run is the one that systemd has just begun.
        let all = lines(host, deadline, service, None);
        let going = now
            .filter(|now| now.active_state != ActiveState::Failed)
            .and_then(|now| now.invocation.as_deref());
        last_failed_run(&all, going).map(str::to_owned)
    } else {
        None
    };
    let run = failed.as_deref().unwrap_or(detected);
    lines(host, deadline, service, Some(run))
}

/// The latest run among these lines that logged anything, but for the one that
/// goes on.
fn last_failed_run<'l>(lines: &'l [LogEntry], going: Option<&str>) -> Option<&'l str> {
    lines
        .iter()
        .rev()
        .filter(|line| !line.by_systemd)
        .filter_map(|line| line.invocation.as_deref())
        .find(|run| Some(*run) != going)
}

fn lines(
    host: &Host,
    deadline: Instant,
    service: &Service,
    invocation: Option<&str>,
) -> Vec<LogEntry> {
    let tail = logs::Tail {
        unit: service.unit.clone(),
        invocation: invocation.map(str::to_owned),
        priority: None,
        lines: LINES,
    };
    host.ask(deadline, tail).unwrap_or_else(|failure| {
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
    let units: BTreeSet<&UnitName> = service.depends_on.iter().chain(required).collect();
    units
        .into_iter()
        .filter(|unit| matches!(unit.kind(), "service" | "socket" | "mount"))
        .take(NEEDS_MAX)
        .filter_map(|unit| {
            let found = host.unit(deadline, unit).ok()?;
            Some(NeededUnit {
                exists: found.exists(),
                masked: found.load_state == "masked",
                has_to_be_up: service.depends_on.contains(unit) && !found.is_oneshot(),
                state: found.active_state,
                result: found.result,
                unit: found.name,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use prunella_core::{Timestamp, capability::LogEntry};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("web.service: Main process exited, code=exited, status=7/NOTRUNNING", Some((Some(7), None)))]
    #[case("web.service: Main process exited, code=killed, status=9/KILL", Some((None, Some("KILL".to_owned()))))]
    #[case("web.service: Failed with result 'exit-code'.", None)]
    fn systemds_line_says_how_a_run_ended(
        #[case] line: &str,
        #[case] expected: Option<(Option<i32>, Option<String>)>,
    ) {
        assert_eq!(exit_of(line), expected);
    }

    #[test]
    fn a_run_that_logged_nothing_itself_has_its_end_told_by_systemd() {
        let entry = |run: &str, by_systemd, message: &str| LogEntry {
            by_systemd,
            invocation: Some(run.to_owned()),
            ..LogEntry::new(Timestamp::default(), 6, message)
        };
        let exited = "web.service: Main process exited, code=exited, status=7/NOTRUNNING";
        let lines = [
            entry("a", false, "ready"),
            entry("b", true, exited),
            entry("b", true, "web.service: Failed with result 'exit-code'."),
            entry("c", false, exited),
        ];
        assert_eq!(last_end(&lines), Some(("b".to_owned(), Some(7), None)));
        assert_eq!(last_end(&lines[..1]), None);
    }

    fn line(run: &str, by_systemd: bool) -> LogEntry {
        LogEntry {
            by_systemd,
            invocation: Some(run.to_owned()),
            ..LogEntry::new(Timestamp::default(), 6, "text")
        }
    }

    #[rstest]
    #[case::systemd_alone_spoke_of_the_latest(&[("a", false), ("b", true)], "b", Some("a"))]
    #[case::the_latest_still_runs(&[("a", false), ("b", false)], "b", Some("a"))]
    #[case::the_latest_is_over(&[("a", false), ("b", false)], "c", Some("b"))]
    #[case::only_systemd_spoke(&[("a", true), ("b", true)], "b", None)]
    fn in_a_restart_loop_the_last_finished_run_with_output_counts(
        #[case] lines: &[(&str, bool)],
        #[case] going: &str,
        #[case] found: Option<&str>,
    ) {
        let lines: Vec<LogEntry> = lines.iter().map(|(run, by)| line(run, *by)).collect();
        assert_eq!(last_failed_run(&lines, Some(going)), found);
    }
}
