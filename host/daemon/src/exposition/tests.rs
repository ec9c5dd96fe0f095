//! What is written, of figures that are made up.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::{Timestamp, UnitName, health::HealthState};
use prunella_metrics::histogram::Histogram;
use prunella_store::{Total, TotalCount};

use super::{
    figures::{Figures, ServiceFigures, recoveries},
    written,
};
use crate::health::{LATENCY_BOUNDS, ProbeFigures};
use prunella_api::{DaemonInfo, ExpositionFormat};

/// A name with all that has to be escaped.
const ODD: &str = r"odd\x2d.service";

fn count(total: Total, subject: &str, label: &str, number: u64) -> TotalCount {
    TotalCount {
        total,
        subject: subject.to_owned(),
        label: label.to_owned(),
        number,
    }
}

fn service(unit: &str, state: HealthState) -> ServiceFigures {
    ServiceFigures {
        unit: unit.to_owned(),
        state,
        latency_ms: Some(12),
        budget_left: 4.0,
        has_incident: false,
        asks_people: true,
    }
}

fn figures() -> Figures {
    let mut latency = Histogram::new(&LATENCY_BOUNDS);
    latency.observe(0.02);
    latency.observe(30.0);
    let totals = vec![
        count(Total::Incidents, "web.service", "failure", 3),
        count(Total::Attempts, "web.service", "healed", 2),
        count(Total::Acts, "web.service", "unit-control.start", 2),
        count(Total::Proofs, "web.service", "", 2),
        count(Total::ProofsFailed, "web.service", "", 2),
        count(Total::Recoveries, "web.service", "2", 2),
        count(Total::RecoveryMicros, "web.service", "", 800_000),
        count(Total::Runs, "", "service-restart", 2),
        count(Total::RunMicros, "", "service-restart", 1_500_000),
        count(Total::Messages, "mail", "delivered", 7),
        // Not in care any more.
        count(Total::Incidents, "gone.service", "failure", 9),
    ];
    Figures {
        services: vec![
            service(ODD, HealthState::Unknown),
            service("web.service", HealthState::Healthy),
        ],
        probes: vec![ProbeFigures {
            unit: UnitName::new("web.service").unwrap(),
            probe: "front".to_owned(),
            latency,
            unanswered: 1,
        }],
        agent_names: false,
        daemon: Some(DaemonInfo {
            pid: 1,
            since: Timestamp::from_millis(1_500),
        }),
        host_state: HealthState::Healthy,
        host_budget_left: 200.0,
        store_works: true,
        config_problems: 0,
        is_held: false,
        recoveries: recoveries(&totals),
        totals,
        waiting_messages: BTreeMap::from([("mail".to_owned(), 1)]),
        waiting_approvals: 1,
        cost: super::process::own_cost(),
    }
}

/// All lines of these, in order.
#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|it| it == *line), "{line}\n{text}");
    }
}

#[test]
fn what_prometheus_reads() {
    let text = written(figures(), ExpositionFormat::Prometheus).unwrap();
    assert_lines(
        &text,
        &[
            "# TYPE prunella_incidents_total counter",
            r#"prunella_incidents_total{unit="web.service",kind="failure"} 3"#,
            r#"prunella_incidents_total{unit="web.service",kind="degradation"} 0"#,
            r#"prunella_service_health{unit="odd\\x2d.service",state="unknown"} 1.0"#,
            r#"prunella_service_health{unit="web.service",state="unknown"} 0.0"#,
            r#"prunella_acts_total{unit="web.service",act="unit-control.start"} 2"#,
            "# TYPE prunella_recovery_seconds histogram",
            r#"prunella_recovery_seconds_sum{unit="web.service"} 0.8"#,
            r#"prunella_recovery_seconds_count{unit="web.service"} 2"#,
            r#"prunella_recovery_seconds_bucket{unit="web.service",le="0.25"} 0"#,
            r#"prunella_recovery_seconds_bucket{unit="web.service",le="0.5"} 2"#,
            r#"prunella_recovery_seconds_bucket{unit="web.service",le="+Inf"} 2"#,
            r#"prunella_strategy_run_seconds_total{strategy="service-restart"} 1.5"#,
            r#"prunella_probe_latency_seconds_count{unit="web.service",probe="front"} 2"#,
            r#"prunella_messages_total{channel="mail",outcome="delivered"} 7"#,
        ],
    );
    assert!(!text.contains("gone.service"), "{text}");
    assert!(!text.contains("agent_"), "{text}");
    assert!(!text.contains("# EOF"), "{text}");
    let infinite = "prunella_probe_latency_seconds_bucket{unit=\"web.service\",probe=\"front\",le=\"+Inf\"} 2\n\
                    prunella_probe_latency_seconds_sum";
    assert!(text.contains(infinite), "{text}");
    assert!(
        !text.contains("e+308"),
        "one bucket has what is above all bounds: {text}"
    );
}

#[test]
fn what_open_metrics_are() {
    let text = written(figures(), ExpositionFormat::OpenMetrics).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_lines(
        &text,
        &[
            "# TYPE prunella_incidents counter",
            r#"prunella_incidents_total{unit="web.service",kind="failure"} 3"#,
            r#"prunella_recovery_seconds_bucket{le="+Inf",unit="web.service"} 2"#,
        ],
    );
    assert!(!text.contains("e308"), "{text}");
}

#[test]
fn the_names_of_other_agents() {
    let figures = Figures {
        agent_names: true,
        ..figures()
    };
    let text = written(figures, ExpositionFormat::Prometheus).unwrap();
    assert_lines(
        &text,
        &[
            r#"service_health_status{service="web.service"} 1.0"#,
            r#"service_latency_ms{service="web.service"} 12.0"#,
            r#"agent_incidents_total{service="web.service"} 3"#,
            r#"agent_actions_total{service="web.service"} 2"#,
            "agent_success_rate 0.5",
            "agent_monitoring_duration_seconds_count 2",
        ],
    );
    assert!(
        !text.contains(r#"service_health_status{service="odd"#),
        "what is not known is not told: {text}"
    );
}

#[test]
fn without_a_daemon_nothing_is_told_of_it() {
    let figures = Figures {
        daemon: None,
        cost: None,
        probes: Vec::new(),
        ..figures()
    };
    let text = written(figures, ExpositionFormat::Prometheus).unwrap();
    assert_lines(&text, &["prunella_daemon_running 0.0"]);
    assert!(!text.contains("prunella_daemon_cpu"), "{text}");
    assert!(!text.contains("prunella_probe"), "{text}");
}

#[test]
fn every_family_is_documented() {
    let page = include_str!("../../../../docs/monitoring.md");
    let figures = Figures {
        agent_names: true,
        ..figures()
    };
    let text = written(figures, ExpositionFormat::Prometheus).unwrap();
    let families: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    assert!(families.len() > 25, "{families:?}");
    for family in families {
        assert!(page.contains(&format!("`{family}`")), "{family}");
    }
}
