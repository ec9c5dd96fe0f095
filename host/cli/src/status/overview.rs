//! The overview: trouble first.

use prunella_api::StatusReport;

use super::{
    host::head,
    sections::{day, expected_work, pauses, people, rest},
    services::services,
};

/// The overview for people. Its text is broken at `width` columns, and its table is cut at
/// `table_width`.
pub(super) fn render(report: &StatusReport, width: usize, table_width: usize) -> String {
    let mut text = String::new();
    head(&mut text, report, width);
    people(&mut text, report, width);
    services(&mut text, report, width, table_width);
    day(&mut text, report, width);
    pauses(&mut text, report, width);
    expected_work(&mut text, report, width);
    rest(&mut text, report, width);
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_api::{
        DaemonInfo, DayCount, DiskStatus, HostOverview, LastHealing, NeedsPeople, PauseStatus,
        PortStatus, ServiceStatus, Usage, Waiting,
    };
    use prunella_core::{
        Timestamp, UnitName,
        capability::{ActiveState, Load, Memory},
        health::{Health, HealthState},
        incident::IncidentId,
    };
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_270_981_000);

    fn before_now(milliseconds: u64) -> Timestamp {
        NOW.saturating_sub(Duration::from_millis(milliseconds))
    }

    fn service(name: &str, state: ActiveState, sub: &str, up: bool, port: &str) -> ServiceStatus {
        ServiceStatus {
            unit: UnitName::new(name).unwrap(),
            domain: Some("the web shop of a friend".into()),
            critical: true,
            state: Some(state),
            sub_state: Some(sub.into()),
            up: Some(up),
            health: None,
            since: Some(before_now(60_000)),
            ports: vec![PortStatus {
                port: port.parse().unwrap(),
                held: Some(up),
                stranger: None,
            }],
            paused: false,
            open_incident: None,
            waits: None,
            failed_over_to: None,
            last_healing: Some(LastHealing {
                incident: IncidentId::from_text("20261121-142301-7f3a"),
                at: before_now(7_200_000),
                strategy: Some("service-restart".into()),
                recovered_after: Some(Duration::from_millis(43)),
            }),
        }
    }

    fn report() -> StatusReport {
        StatusReport {
            at: NOW,
            version: "0.1.0".into(),
            daemon: Some(DaemonInfo {
                pid: 812,
                since: before_now(86_400_000),
            }),
            host: HostOverview {
                name: "web1".into(),
                uptime_s: 793_000,
                system_state: Some("degraded".into()),
                load: Some(Load {
                    one: 0.4,
                    five: 0.3,
                    fifteen: 0.2,
                    processors: 4,
                }),
                memory: Some(Memory {
                    total: 8 << 30,
                    available: 6 << 30,
                    swap_total: 0,
                    swap_free: 0,
                }),
                disks: vec![DiskStatus {
                    place: "/".into(),
                    in_memory: false,
                    bytes: Usage {
                        used: 16,
                        available: 79,
                    },
                    inodes: Usage {
                        used: 93,
                        available: 7,
                    },
                    read_only: true,
                }],
                health: None,
            },
            services: vec![
                service(
                    "nginx.service",
                    ActiveState::Active,
                    "running",
                    true,
                    "tcp/80",
                ),
                service(
                    "a-very-long-name-of-a-service@with-an-instance.service",
                    ActiveState::Failed,
                    "failed",
                    false,
                    "tcp/5432",
                ),
            ],
            day: DayCount {
                healed: 3,
                escalated: 1,
                ..DayCount::default()
            },
            pauses: vec![PauseStatus {
                unit: None,
                reason: "kernel upgrade".into(),
                by: "root".into(),
                since: NOW,
                until: None,
            }],
            expected_work: Vec::new(),
            needs_people: vec![NeedsPeople {
                incident: IncidentId::from_text("20261121-142301-7f3a"),
                unit: UnitName::new("db.service").unwrap(),
                at: before_now(60_000),
                reason: "its data directory is on a full disk, and nothing that Prunella may do \
                         changes that"
                    .into(),
                approval: None,
                retry_at: Some(NOW.saturating_add(Duration::from_secs(60))),
            }],
            awaiting_grant: Vec::new(),
            alarms: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn plain(report: &StatusReport, width: usize) -> String {
        anstream::adapter::strip_str(&render(report, width, width)).to_string()
    }

    #[test]
    fn it_fits_any_terminal() {
        for width in [60, 80, 100, 200] {
            for line in plain(&report(), width).lines() {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn the_overview_shows_the_important_facts() {
        let text = plain(&report(), 80);
        for part in [
            "web1",
            "up 9 d 4 h",
            "memory 2.0 GiB of 8.0 GiB",
            "/ 17% full, 93% of inodes, read-only",
            "● nginx",
            "✖",
            "tcp/5432!",
            "2 h ago",
            "1 escalated",
            "3 healed",
            "tried again at ",
            "prunella incidents 20261121-142301-7f3a",
            "everything, until resumed, by root: kernel upgrade",
        ] {
            assert!(
                text.replace("●  *  ", "● ").contains(part),
                "{part:?} in\n{text}"
            );
        }
    }

    /// The names in the table, in their order.
    fn names(text: &str) -> Vec<String> {
        text.lines()
            .skip_while(|line| !line.contains("SERVICE"))
            .skip(1)
            .take_while(|line| line.starts_with(['●', '✖', '◐', '○', '‖', '?']))
            .filter_map(|line| {
                line.split_whitespace()
                    .find(|word| word.starts_with(char::is_alphanumeric))
                    .map(str::to_owned)
            })
            .collect()
    }

    /// Of 32 services, those in trouble stand on the first screen of 80 by 24.
    #[test]
    fn trouble_comes_first() {
        let mut report = report();
        report.services = (0..30)
            .map(|number| {
                let name = format!("a{number:02}.service");
                service(&name, ActiveState::Active, "running", true, "tcp/80")
            })
            .collect();
        let failed = |name: &str| service(name, ActiveState::Failed, "failed", false, "tcp/81");
        report.services.push(failed("db.service"));
        report.services.push(failed("x.service"));
        let mut healing = failed("y.service");
        healing.open_incident = Some(IncidentId::from_text("1"));
        report.services.push(healing);
        let text = plain(&report, 80);
        assert_eq!(names(&text)[..4], ["db", "x", "y", "a00"], "{text}");
        let screen: Vec<&str> = text.lines().take(23).collect();
        for part in ["Needs people", "*  db", "*  x", "*  y"] {
            assert!(screen.iter().any(|line| line.contains(part)), "{text}");
        }
        assert!(text.contains("*  critical"), "{text}");
    }

    #[test]
    fn what_waits_is_not_being_healed() {
        let mut report = report();
        let web = &mut report.services[0];
        web.state = Some(ActiveState::Failed);
        web.up = Some(false);
        web.open_incident = Some(IncidentId::from_text("1"));
        assert!(plain(&report, 80).contains("failed, healing"));
        report.services[0].waits = Some(Waiting {
            reason: "the healing budget spaces attempts out".into(),
            until: Some(NOW.saturating_add(Duration::from_secs(5))),
        });
        let text = plain(&report, 80);
        assert!(text.contains("failed, waiting"), "{text}");
        assert!(!text.contains("healing\n"), "{text}");
        assert!(
            text.contains("nginx.service: the healing budget spaces attempts out, until "),
            "{text}"
        );
    }

    #[test]
    fn a_port_that_a_stranger_has_is_marked_and_the_stranger_named() {
        let mut report = report();
        report.services[0].ports[0].stranger = Some("nc (process 7) of x.service".into());
        let text = plain(&report, 100);
        assert!(text.contains("tcp/80≠"), "{text}");
        assert!(
            text.contains("≠  tcp/80 is held by nc (process 7) of x.service"),
            "{text}"
        );
        assert!(text.contains("◐"), "{text}");
    }

    #[test]
    fn what_is_up_and_not_well_is_told_and_what_is_well_is_not() {
        let health = |state, evidence: &str| Health {
            subject: UnitName::new("nginx.service").unwrap().into(),
            state,
            since: before_now(180_000),
            evidence: evidence.into(),
            symptoms: Vec::new(),
            episodes: Vec::new(),
            probes: Vec::new(),
            flapping: None,
            expected_work: None,
            error_budget: None,
            forecasts: Vec::new(),
            unusual: Vec::new(),
        };
        let mut report = report();
        report.services[0].health = Some(health(
            HealthState::Degraded,
            "probe `front` took 1,502 ms to answer, with a limit of 1,000 ms",
        ));
        report.services[1].health = Some(health(HealthState::Failed, "it crashed"));
        let text = plain(&report, 80);
        assert!(text.contains("running, degraded"), "{text}");
        assert!(
            text.contains("nginx.service: degraded for 3 min: probe `front` took 1,502 ms to"),
            "{text}"
        );
        assert!(!text.contains("it crashed"), "{text}");
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");

        report.services[0].health = Some(health(HealthState::Unknown, "nothing was heard"));
        let text = plain(&report, 80);
        assert!(
            text.contains("nginx.service: unknown for 3 min: nothing was heard"),
            "{text}"
        );
        assert!(text.contains("?  *  nginx"), "{text}");

        report.services[0].health = Some(health(HealthState::Healthy, "it answers"));
        let text = plain(&report, 80);
        assert!(
            !text.contains("Not well") && !text.contains("it answers"),
            "{text}"
        );
    }

    #[test]
    fn a_quiet_host_says_so() {
        let mut report = report();
        report.services.clear();
        report.day = DayCount::default();
        let text = plain(&report, 80);
        assert!(text.contains("nothing failed"), "{text}");
        assert!(text.contains("prunella enable UNIT"), "{text}");
    }
}
