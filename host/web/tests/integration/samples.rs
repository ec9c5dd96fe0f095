//! What a daemon would answer, with any text wherever somebody else's text can be.

use std::{collections::BTreeMap, time::Duration};

use prunella_api::{
    AwaitingGrant, BudgetStatus, DaemonInfo, DayCount, DeclaredStatus, DiskStatus, FailureStatus,
    GrantedAct, HealthDetail, HostOverview, InstanceHistory, LatestValue, MetricHistory,
    MetricsReport, NeedsPeople, PauseStatus, PluginStatus, ProbeStatus, SeenHealth, ServiceDetail,
    ServiceStatus, StatusReport, Usage, Waiting,
};
use prunella_core::{
    Monotonic, StrategyName, Timestamp, UnitName,
    access::{AuditEntry, Via},
    alert::{AlertKind, Dispatch, DispatchState, Message, Severity},
    capability::{ActiveState, Load, Memory},
    cause::Cause,
    diagnosis::{self, Finding, Opinion},
    health::{
        Health, HealthState, Metric, Point, Series, Subject, Symptom, SymptomLevel, Transition,
    },
    incident::{
        Assessment, DetectedBy, Detection, Ending, Incident, IncidentId, IncidentKind, Outcome,
    },
    oversight::{Approval, ApprovalState, Proposal},
    remedy::{Amount, AmountOf, Plan, Receipt},
    service::{RunPolicy, StartLimit},
    statistics::{Counts, Signature, StrategyStatistics},
    summary::Summary,
    trail::{Entry, Record, Step},
};

/// The incident that all samples speak of.
pub(crate) const INCIDENT: &str = "20261130-221501Z-4f1c";

pub(crate) fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

fn ago(seconds: u64) -> Timestamp {
    now().saturating_sub(Duration::from_secs(seconds))
}

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn strategy(name: &str) -> StrategyName {
    StrategyName::new(name).unwrap()
}

pub(crate) fn id() -> IncidentId {
    IncidentId::from_text(INCIDENT)
}

fn symptom(text: &str) -> Symptom {
    Symptom {
        level: SymptomLevel::Degraded,
        metric: Metric::LatencyMs,
        instance: Some("answers".into()),
        value: 1_502,
        threshold: 1_000,
        clear: 800,
        since: ago(700),
        evidence: text.to_owned(),
        confirmed: true,
    }
}

pub(crate) fn health(subject: Subject, state: HealthState, text: &str) -> Health {
    Health {
        subject,
        state,
        since: ago(620),
        evidence: text.to_owned(),
        symptoms: match state {
            HealthState::Degraded => vec![symptom(text)],
            _ => Vec::new(),
        },
        episodes: Vec::new(),
        probes: Vec::new(),
        flapping: None,
        expected_work: None,
        error_budget: None,
        forecasts: Vec::new(),
        unusual: Vec::new(),
    }
}

pub(crate) fn service(name: &str, state: HealthState, text: &str) -> ServiceStatus {
    let down = matches!(state, HealthState::Failed | HealthState::Recovering);
    ServiceStatus {
        unit: unit(name),
        domain: Some(text.to_owned()),
        critical: name.starts_with('p'),
        state: Some(if down {
            ActiveState::Failed
        } else {
            ActiveState::Active
        }),
        sub_state: None,
        up: Some(!down),
        health: Some(health(unit(name).into(), state, text)),
        since: Some(ago(4_000)),
        ports: Vec::new(),
        paused: false,
        open_incident: down.then(id),
        waits: (state == HealthState::Recovering).then(|| Waiting {
            reason: text.to_owned(),
            until: None,
        }),
        failed_over_to: None,
        last_healing: None,
    }
}

pub(crate) fn status(text: &str, services: Vec<ServiceStatus>, calm: bool) -> StatusReport {
    StatusReport {
        at: now(),
        version: "0.1.0".into(),
        daemon: Some(DaemonInfo {
            pid: 1,
            since: ago(90_000),
        }),
        host: HostOverview {
            name: text.to_owned(),
            uptime_s: 1_004_000,
            system_state: Some(text.to_owned()),
            load: Some(Load {
                one: 0.42,
                five: 0.3,
                fifteen: 0.2,
                processors: 4,
            }),
            memory: Some(Memory {
                total: 8 << 30,
                available: 5 << 30,
                swap_total: 0,
                swap_free: 0,
            }),
            disks: vec![DiskStatus {
                place: if calm { "/".into() } else { text.to_owned() },
                in_memory: false,
                bytes: Usage {
                    used: 41 << 30,
                    available: 51 << 30,
                },
                inodes: Usage {
                    used: 1,
                    available: 9,
                },
                read_only: false,
            }],
            health: None,
        },
        services,
        day: DayCount {
            healed: 2,
            ..DayCount::default()
        },
        pauses: if calm {
            Vec::new()
        } else {
            vec![PauseStatus {
                unit: Some(unit("web.service")),
                reason: text.to_owned(),
                by: text.to_owned(),
                since: ago(60),
                until: None,
            }]
        },
        expected_work: Vec::new(),
        needs_people: if calm {
            Vec::new()
        } else {
            vec![NeedsPeople {
                incident: id(),
                unit: unit("mail.service"),
                at: ago(300),
                reason: text.to_owned(),
                retry_at: Some(now().saturating_add(Duration::from_secs(600))),
                approval: None,
            }]
        },
        awaiting_grant: if calm {
            Vec::new()
        } else {
            vec![AwaitingGrant {
                strategy: text.to_owned(),
                reason: text.to_owned(),
            }]
        },
        alarms: if calm {
            Vec::new()
        } else {
            vec![text.to_owned()]
        },
        notices: if calm {
            Vec::new()
        } else {
            vec![text.to_owned()]
        },
    }
}

pub(crate) fn summary(name: &str, text: &str, seconds: u64) -> Summary {
    Summary {
        id: id(),
        unit: unit(name),
        at: ago(seconds),
        kind: IncidentKind::Failure,
        cause: text.to_owned(),
        ended: Some(prunella_core::incident::EndingKind::Healed),
        ended_at: Some(ago(seconds - 1)),
        why: Some(text.to_owned()),
        left_alone: None,
        strategy: Some(text.to_owned()),
        recovered_after: Some(Duration::from_millis(61)),
        attempt: 1,
        people_asked: None,
    }
}

pub(crate) fn detail(text: &str) -> ServiceDetail {
    ServiceDetail {
        at: now(),
        service: service("web.service", HealthState::Degraded, text),
        description: Some(text.to_owned()),
        main_pid: Some(4242),
        says: Some(text.to_owned()),
        watchdog: None,
        declared: DeclaredStatus {
            file: Some(text.into()),
            strategies: vec![strategy("service-restart"), strategy("config-validation")],
            depends_on: vec![unit("postgresql.service")],
            files: BTreeMap::from([(text.to_owned(), text.into())]),
            checks: vec![text.to_owned()],
            remedies: BTreeMap::from([(text.to_owned(), text.to_owned())]),
            run_policy: RunPolicy::default(),
            start_limit: StartLimit::default(),
            heal_on_stop: false,
        },
        probes: vec![ProbeStatus {
            name: text.to_owned(),
            kind: "http".into(),
            unit: None,
            interval_ms: Some(10_000),
            healthy: Some(true),
            detail: text.to_owned(),
            never_answered: false,
        }],
        budget: BudgetStatus {
            healings: 5,
            window_ms: 300_000,
            used: 1,
            next_at: None,
        },
        pauses: vec![PauseStatus {
            unit: Some(unit("web.service")),
            reason: text.to_owned(),
            by: text.to_owned(),
            since: ago(60),
            until: Some(now()),
        }],
        expected_work: None,
        applied: Vec::new(),
        failure: Some(FailureStatus {
            since: Some(ago(5)),
            how: text.to_owned(),
            last_line: Some(text.to_owned()),
        }),
        needs_people: Some(NeedsPeople {
            incident: id(),
            unit: unit("web.service"),
            at: ago(9),
            reason: text.to_owned(),
            retry_at: None,
            approval: None,
        }),
        denied: false,
        denied_until: None,
        incidents: vec![
            summary("web.service", text, 8_000),
            summary("web.service", text, 40_000),
        ],
        obstacles: vec![text.to_owned()],
    }
}

pub(crate) fn health_detail(text: &str) -> HealthDetail {
    let change = |seconds, from, to| Transition {
        subject: Subject::Unit(unit("web.service")),
        at: ago(seconds),
        from,
        to,
        evidence: text.to_owned(),
        symptom: None,
    };
    HealthDetail {
        at: now(),
        last_known: false,
        service: SeenHealth {
            health: health(unit("web.service").into(), HealthState::Degraded, text),
            seen_at: Some(now()),
        },
        transitions: vec![
            change(620, HealthState::Healthy, HealthState::Degraded),
            change(7_900, HealthState::Recovering, HealthState::Healthy),
            change(8_000, HealthState::Healthy, HealthState::Recovering),
        ],
    }
}

pub(crate) fn metrics(text: &str) -> MetricsReport {
    let value = |metric, instance: Option<&str>, value| LatestValue {
        series: Series {
            subject: Subject::Unit(unit("web.service")),
            metric,
            instance: instance.map(str::to_owned),
        },
        at: now(),
        value,
    };
    MetricsReport {
        at: now(),
        interval: Some(Duration::from_secs(5)),
        metrics: vec![
            value(Metric::LatencyMs, Some("answers"), 1_502),
            value(Metric::CpuPermille, None, 130),
            value(Metric::MemoryBytes, None, 212 << 20),
            value(Metric::LogMatchesPerMinute, Some(text), 3),
            value(Metric::Tasks, None, 17),
        ],
    }
}

pub(crate) fn history(subject: &str, metric: &str, since: u64, text: &str) -> MetricHistory {
    let metric = Metric::from_word(metric).unwrap();
    let (from, until) = (since, now().as_millis());
    let step = until.saturating_sub(from).max(300) / 300;
    let points = (0..300).map(|index| {
        let wave = (f64::from(index) / 21.0).sin() + (f64::from(index * 7 % 13) / 13.0);
        let base = match metric {
            Metric::LatencyMs => 300.0 + 120.0 * wave + if index > 280 { 1_000.0 } else { 0.0 },
            Metric::MemoryBytes => f64::from(180 << 20) + f64::from(index) * 100_000.0,
            Metric::MemoryPermille => 380.0 + f64::from(index) / 10.0,
            Metric::LoadMilli => 500.0 + 300.0 * wave,
            _ => 180.0 + 120.0 * wave,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "made up"
        )]
        let value = |factor: f64| (base * factor).max(0.0) as u64;
        Point {
            at: Timestamp::from_millis(from + step * u64::try_from(index).unwrap()),
            mean: value(1.0),
            min: value(0.8),
            max: value(1.25),
        }
    });
    MetricHistory {
        subject: subject.to_owned().try_into().unwrap(),
        metric,
        since: Timestamp::from_millis(from),
        until: Timestamp::from_millis(until),
        series: vec![InstanceHistory {
            instance: (metric == Metric::LatencyMs).then(|| text.to_owned()),
            points: points.collect(),
        }],
    }
}

fn plan(text: &str) -> Plan {
    let mut plan = Plan::to(text)
        .details(format!("{text}\n{text}"))
        .amount(AmountOf::Bytes, 5 << 20);
    plan.evidence = vec![text.to_owned()];
    plan.along = vec![unit("worker.service")];
    plan
}

pub(crate) fn approval(text: &str, state: ApprovalState) -> Approval {
    Approval {
        id: format!("{INCIDENT}-{state}"),
        proposal: Proposal {
            incident: id(),
            unit: unit("postgresql.service"),
            strategy: strategy("disk-relief"),
            act: "set-aside.run".into(),
            target: text.to_owned(),
            process: None,
            invocation: None,
            boot_id: "b".into(),
        },
        why: text.to_owned(),
        plan: Some(plan(text)),
        asked_at: ago(100),
        until: now().saturating_add(Duration::from_secs(3_000)),
        state,
        by: (state != ApprovalState::Waiting).then(|| text.to_owned()),
        reason: Some(text.to_owned()),
    }
}

pub(crate) fn record(text: &str, ended: bool) -> Record {
    let at = ago(120);
    let detection = Detection {
        unit: unit("web.service"),
        by: DetectedBy::Signal,
        at,
        cause: Cause::Signal,
        invocation: None,
        exit_code: None,
        signal: Some(text.chars().take(50).collect()),
        failed_monotonic: Some(Monotonic::from_micros(5_000_000)),
        restarts_before: Some(0),
        symptoms: Vec::new(),
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    };
    let steps = vec![
        Step::Detected {
            detection: detection.clone(),
            evidence: vec![text.to_owned(); 3],
        },
        Step::Assessed {
            strategy: strategy("service-restart"),
            assessment: Assessment::Applies {
                confidence: 90,
                reason: text.to_owned(),
            },
            took: Duration::from_millis(3),
        },
        Step::Assessed {
            strategy: strategy("port-conflict"),
            assessment: Assessment::NotApplicable {
                reason: text.to_owned(),
            },
            took: Duration::from_millis(2),
        },
        Step::Heals {
            strategy: strategy("service-restart"),
        },
        Step::Said {
            strategy: strategy("service-restart"),
            level: "info".into(),
            message: text.to_owned(),
        },
        Step::ActIntended {
            action: 1,
            strategy: strategy("service-restart"),
            act: "set-aside.run".into(),
            target: text.to_owned(),
            dry_run: false,
            plan: Some(plan(text)),
        },
        Step::ActEnded {
            action: 1,
            result: Ok(text.to_owned()),
            receipt: Some(Receipt {
                changed: true,
                summary: text.to_owned(),
                predicted: Some(Amount {
                    value: 5 << 20,
                    of: AmountOf::Bytes,
                }),
                measured: Some(Amount {
                    value: 4 << 20,
                    of: AmountOf::Bytes,
                }),
                details: Some(text.to_owned()),
            }),
        },
        Step::Returned {
            strategy: strategy("service-restart"),
            outcome: Ok(Outcome::Healed {
                summary: text.to_owned(),
            }),
            took: Duration::from_millis(40),
        },
        Step::Diagnosed {
            findings: vec![Finding {
                cause: diagnosis::Cause::KillRequested,
                sentence: text.to_owned(),
                because: text.to_owned(),
                from: diagnosis::Source::Log,
                advice: Some(text.to_owned()),
                manual_steps: Vec::new(),
            }],
        },
        Step::Advised {
            model: text.to_owned(),
            opinion: Ok(Opinion {
                model: text.to_owned(),
                cause: text.to_owned(),
                explanation: text.to_owned(),
                confidence: Some(60),
                suggestions: vec![text.to_owned()],
                order: Vec::new(),
            }),
            took: Duration::from_millis(900),
        },
        Step::Answering {
            evidence: vec![text.to_owned()],
            after: Some(Duration::from_millis(61)),
        },
        Step::Proven {
            strategy: None,
            evidence: vec![text.to_owned()],
            stable_for: Duration::from_secs(10),
        },
        Step::Note {
            message: text.to_owned(),
        },
    ];
    let ending = Ending::Healed {
        strategy: strategy("service-restart"),
        recovered_after: Some(Duration::from_millis(61)),
        served_by: None,
    };
    let mut steps = steps;
    if ended {
        steps.push(Step::Ended {
            ending: ending.clone(),
        });
    }
    Record {
        incident: Incident {
            id: id(),
            key: "k".into(),
            detection,
            attempt: 1,
            boot_id: "b".into(),
            parent: None,
        },
        steps: (0..)
            .zip(steps)
            .map(|(number, step)| Entry {
                incident: id(),
                number,
                at: at.saturating_add(Duration::from_millis(u64::from(number) * 7)),
                monotonic: Monotonic::from_micros(5_000_000 + u64::from(number) * 7_000),
                attempt: 1,
                step,
            })
            .collect(),
        ending: ended.then_some(ending),
    }
}

pub(crate) fn statistics(text: &str) -> Vec<StrategyStatistics> {
    [
        ("service-restart", 14, 13),
        ("disk-relief", 3, 2),
        ("reload", 1, 0),
    ]
    .map(|(name, tries, proofs)| StrategyStatistics {
        signature: Signature {
            unit: unit("web.service"),
            cause: text.to_owned(),
            fingerprint: "f".into(),
            sample: text.to_owned(),
        },
        strategy: strategy(name),
        counts: Counts {
            tries,
            proofs,
            relapses: 1,
        },
        last_at: ago(500),
    })
    .into()
}

pub(crate) fn dispatch(text: &str, state: DispatchState) -> Dispatch {
    Dispatch {
        channel: prunella_core::ChannelName::new("mail").unwrap(),
        state,
        created: ago(300),
        tries: 2,
        tried: Some(ago(200)),
        next: None,
        detail: Some(text.to_owned()),
        message: Message {
            id: text.to_owned(),
            kind: AlertKind::Recovery,
            severity: Severity::Warning,
            at: ago(300),
            host: text.to_owned(),
            units: vec![unit("web.service")],
            incidents: vec![id()],
            alert_group: text.to_owned(),
            resolved: true,
            headline: text.to_owned(),
            facts: Vec::new(),
            text: format!("{text}\n{text}"),
            html: None,
        },
    }
}

pub(crate) fn plugins(text: &str) -> Vec<PluginStatus> {
    ["service-restart", "disk-relief", "ours"]
        .map(|name| PluginStatus {
            name: if name == "ours" {
                text.to_owned()
            } else {
                name.to_owned()
            },
            source: text.to_owned(),
            state: if name == "ours" {
                "awaiting-grant".into()
            } else {
                "ready".into()
            },
            version: Some(text.to_owned()),
            signature: Some(text.to_owned()),
            sha256: None,
            granted: vec![GrantedAct {
                what: text.to_owned(),
                on: vec![text.to_owned()],
            }],
            imports: None,
            not_granted: vec![text.to_owned()],
            why: Some(text.to_owned()),
            declared_at: Some(text.to_owned()),
        })
        .into()
}

pub(crate) fn audit(text: &str) -> Vec<AuditEntry> {
    [Via::Root, Via::Key, Via::Session]
        .map(|via| AuditEntry {
            seq: 7,
            at: ago(50),
            by: text.to_owned(),
            via,
            method: "POST".into(),
            address: format!("/api/v1/{text}"),
            order: Some(text.to_owned()),
            status: 200,
            peer: Some(text.to_owned()),
        })
        .into()
}
