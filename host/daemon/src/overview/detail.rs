//! One service in detail.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_api::{
    BudgetStatus, DeclaredStatus, FailureStatus, NeedsPeople, ProbeStatus, ServiceDetail,
    WatchdogStatus,
};
use prunella_config::Config;
use prunella_core::{
    Timestamp,
    budget::{self, BudgetVerdict, Moment},
    capability::{ActiveState, Host, UnitStatus, logs, probes},
    cause::Cause,
    contract::milliseconds,
    incident::EndingKind,
    oversight::Approval,
    remedy::{Applied, AppliedState, Undo},
    service::{DeclaredProbe, ProbeKind, Service},
    situation::Situation as _,
    summary::{Filter, Summary},
    text::{one_line, redact},
    trail::Step,
};
use prunella_healer::{HealerSituation, failed_over, obstacles, serves_in_its_place};
use prunella_linux::{Linux, processes::is_running};
use prunella_report::how_it_failed;
use prunella_store::{Ledger, Store};

use super::{Listening, PATIENCE, Past, service_status};
use crate::{Paths, clock, pauses};

/// So many lines are read to find the last one of a run's own program.
const LINES: u32 = 50;

/// Characters of a log line that is shown.
const LINE_MAX: usize = 300;

/// So many of its latest incidents are shown.
const INCIDENTS: u32 = 5;

/// Who is asked about a service.
pub(crate) struct Asked<'a> {
    pub(crate) paths: &'a Paths,
    pub(crate) config: &'a Config,
    /// Absent when nothing has happened yet, or it cannot be opened.
    pub(crate) store: Option<&'a Arc<Store>>,
    pub(crate) linux: &'a Arc<Linux>,
}

/// Puts it together, of a service in care and its unit as it stands.
pub(crate) fn of_service(
    asked: &Asked<'_>,
    service: &Service,
    status: &UnitStatus,
) -> ServiceDetail {
    let now = clock::now();
    let deadline = Instant::now() + PATIENCE;
    let store = asked.store.map(Arc::as_ref);
    let past = store
        .and_then(|store| Past::read(store, now).ok())
        .unwrap_or_default();
    let ports = Listening::now(asked.linux).ports(deadline, service, Some(status));
    let shown = service_status(service, Some(status), ports, &past, now);
    let needs_people = past.needs_people(std::slice::from_ref(&shown)).pop();
    let incidents = store
        .and_then(|store| {
            store
                .incidents(&Filter {
                    unit: Some(service.unit.clone()),
                    limit: Some(INCIDENTS),
                    ..Filter::default()
                })
                .ok()
        })
        .unwrap_or_default();
    let pausing = past
        .pauses
        .iter()
        .filter(|pause| pause.covers(&service.unit));
    let mut expected = past.expected_work.iter();
    let expected_work = expected.find(|work| work.unit == service.unit).cloned();
    let denials = store
        .zip(needs_people.as_ref())
        .map(|(store, needy)| denials(store, needy, now))
        .unwrap_or_default();
    let budget = budget_of(asked, service, now);
    let host = asked.linux.host_for(Arc::new(service.clone()));
    let applied = store
        .map(|store| applied(store, service))
        .unwrap_or_default();
    ServiceDetail {
        at: now,
        // systemd gives the name where a unit has no description.
        description: Some(status.description.clone())
            .filter(|text| !text.is_empty() && text != service.unit.as_str()),
        main_pid: status.main_pid.filter(|pid| *pid != 0),
        says: status.own_word.status.clone(),
        watchdog: watchdog(asked.linux, status),
        declared: declared(service),
        probes: service
            .probes
            .iter()
            .map(|(name, probe)| ProbeStatus {
                never_answered: probe.unit.is_none()
                    && !store.is_some_and(|store| was_answered(store, service, name, probe)),
                ..asked_probe(&host, deadline, name, probe, status)
            })
            .collect(),
        failure: failure(&host, deadline, status, incidents.first()),
        denied_until: denials.iter().map(|one| one.until).max(),
        obstacles: stands_in_the_way(
            asked,
            service,
            status,
            &past,
            &budget,
            is_isolated(&applied),
        ),
        budget,
        pauses: pausing.map(pauses::shown).collect(),
        expected_work,
        applied,
        denied: store
            .zip(needs_people.as_ref())
            .is_some_and(|(store, needy)| denies_an_order(store, needy, &denials)),
        needs_people,
        incidents,
        service: shown,
    }
}

/// What was done for the service and has a lease that is not over.
fn applied(store: &Store, service: &Service) -> Vec<Applied> {
    let mut leases = store.leases().unwrap_or_default();
    leases.retain(|one| one.unit == service.unit && one.state != AppliedState::Undone);
    leases
}

/// Whether an open circuit isolates the service.
fn is_isolated(applied: &[Applied]) -> bool {
    applied
        .iter()
        .any(|one| matches!(one.undo, Undo::CloseCircuit(_)))
}

/// What people have denied in an incident, as far as that stands.
fn denials(store: &Store, needy: &NeedsPeople, now: Timestamp) -> Vec<Approval> {
    let mut approvals = store.approvals().unwrap_or_default();
    approvals.retain(|one| one.proposal.incident == needy.incident && one.denies(now));
    approvals
}

/// Whether a person has denied something in the incident's last attempt that an order would
/// ask for again: what is done to the service itself is agreed to with the order. Nothing of
/// that is left once the process has ended that it is about.
fn denies_an_order(store: &Store, needy: &NeedsPeople, denials: &[Approval]) -> bool {
    let stands = |one: &Approval| one.proposal.process.as_ref().is_none_or(is_running);
    if !denials.iter().any(stands) {
        return false;
    }
    let Some(record) = store.record(&needy.incident).ok().flatten() else {
        return false;
    };
    let last = record.steps.last().map(|entry| entry.attempt);
    record.steps.iter().any(|entry| {
        let Step::ActDenied {
            target, failure, ..
        } = &entry.step
        else {
            return false;
        };
        Some(entry.attempt) == last && failure.is("disapproved") && target != needy.unit.as_str()
    })
}

/// Its watchdog, of one that runs.
fn watchdog(linux: &Linux, status: &UnitStatus) -> Option<WatchdogStatus> {
    let every = status.own_word.watchdog.filter(|_| status.is_up())?;
    let now = linux.monotonic();
    Some(WatchdogStatus {
        every_ms: milliseconds(every),
        alive_ms_ago: status
            .own_word
            .alive_monotonic
            .map(|alive| milliseconds(now.since(alive))),
    })
}

/// How it failed, if it is down by failure or systemd is about to restart it.
fn failure(
    host: &Host,
    deadline: Instant,
    status: &UnitStatus,
    latest: Option<&Summary>,
) -> Option<FailureStatus> {
    let failed = status.active_state == ActiveState::Failed || status.is_auto_restarting();
    if !failed || status.result == "success" {
        return None;
    }
    let open = latest.filter(|latest| {
        !matches!(
            latest.ended,
            Some(EndingKind::Healed | EndingKind::Recovered | EndingKind::DryRun)
        )
    });
    let cause = Cause::from(status.result.as_str());
    Some(FailureStatus {
        since: open.map(|latest| latest.at),
        how: how_it_failed(&cause, status.exit_code, status.signal.as_deref()),
        last_line: last_line(host, deadline, status),
    })
}

/// What the program of the latest run logged last.
fn last_line(host: &Host, deadline: Instant, status: &UnitStatus) -> Option<String> {
    let tail = logs::Tail {
        unit: status.name.clone(),
        invocation: Some(status.invocation.clone()?),
        priority: None,
        lines: LINES,
    };
    let lines = host.ask(deadline, tail).ok()?;
    let own = lines.into_iter().rev().find(|line| !line.by_systemd)?;
    Some(one_line(&redact(&own.message), LINE_MAX))
}

fn declared(service: &Service) -> DeclaredStatus {
    DeclaredStatus {
        file: service.declared_in.clone(),
        strategies: service.strategies.clone(),
        depends_on: service.depends_on.clone(),
        files: service
            .files
            .iter()
            .map(|(name, file)| (name.clone(), file.path.clone()))
            .collect(),
        checks: service.checks.keys().cloned().collect(),
        remedies: service
            .remedies
            .iter()
            .map(|(name, remedy)| (name.clone(), remedy.kind().to_owned()))
            .collect(),
        run_policy: service.run_policy,
        start_limit: service.start_limit,
        heal_on_stop: service.heal_on_stop,
    }
}

/// Asks a probe once. One that asks the service itself is not asked while that is down.
fn asked_probe(
    host: &Host,
    deadline: Instant,
    name: &str,
    probe: &DeclaredProbe,
    status: &UnitStatus,
) -> ProbeStatus {
    let answer = if matches!(probe.kind, ProbeKind::Sqlite { .. }) {
        // It starts a unit of its own, which a mere look should not do.
        (
            None,
            "not asked: a look at the status checks no database file".to_owned(),
        )
    } else if probe.unit.is_none() && !status.is_up() {
        (None, "not asked: the service is down".to_owned())
    } else {
        let ask = probes::Ask {
            name: name.to_owned(),
        };
        match host.ask(deadline.min(Instant::now() + probe.timeout), ask) {
            Ok(answer) => (Some(answer.healthy), answer.detail),
            Err(failure) => (None, failure.to_string()),
        }
    };
    ProbeStatus {
        name: name.to_owned(),
        kind: probe.kind.as_str().to_owned(),
        unit: probe.unit.clone(),
        interval_ms: probe.interval.map(milliseconds),
        healthy: answer.0,
        detail: answer.1,
        never_answered: false,
    }
}

fn was_answered(store: &Store, service: &Service, name: &str, probe: &DeclaredProbe) -> bool {
    store
        .probe_history(&service.unit, name)
        .ok()
        .flatten()
        .is_some_and(|history| history.answered && history.is_of(probe))
}

fn budget_of(asked: &Asked<'_>, service: &Service, now: Timestamp) -> BudgetStatus {
    let settings = service.budget.as_ref().unwrap_or(&asked.config.budget);
    let ledger = Ledger::new(asked.store.cloned(), asked.paths.run.clone());
    let moment = Moment {
        boot_id: asked.linux.boot_id(),
        since_boot: asked.linux.since_boot(),
        at: now,
    };
    let ages = ledger.healings(&service.unit, &moment, settings.window);
    // The first wait of a backoff begins with the failure, which has not been.
    let wait = match budget::verdict(settings, &ages, Duration::MAX) {
        BudgetVerdict::Now => None,
        BudgetVerdict::After(wait) => Some(wait),
        BudgetVerdict::Spent { until } => Some(until).filter(|until| *until != Duration::MAX),
    };
    BudgetStatus {
        healings: settings.healings,
        window_ms: milliseconds(settings.window),
        used: u32::try_from(ages.len()).unwrap_or(u32::MAX),
        next_at: wait.map(|wait| now.saturating_add(wait)),
    }
}

/// What would keep the service from being healed if it failed now, a sentence each.
fn stands_in_the_way(
    asked: &Asked<'_>,
    service: &Service,
    status: &UnitStatus,
    past: &Past,
    budget: &BudgetStatus,
    is_isolated: bool,
) -> Vec<String> {
    let kill_switch = asked.paths.kill_switch();
    let situation = HealerSituation {
        kill_switch: &kill_switch,
        mistake: asked.config.mistake_of(&service.unit),
        pauses: &past.pauses,
        protected: &asked.config.protected(),
        is_isolated,
        failed_over: asked
            .store
            .and_then(|store| failed_over(store, status))
            .and_then(|applied| serves_in_its_place(&applied)),
        situation: asked.linux.as_ref(),
    };
    let mut found: Vec<String> = obstacles(&situation, service, status)
        .into_iter()
        .map(|(why, detail)| match detail.is_empty() {
            true => why.sentence().to_owned(),
            false => format!("{}: {detail}", why.sentence()),
        })
        .collect();
    if service.strategies.is_empty() && situation.mistake.is_none() {
        found.push("no strategy is listed for it".to_owned());
    }
    if budget.healings == 0 {
        found.push("its healing budget allows none".to_owned());
    } else if budget.used >= budget.healings {
        found.push(format!(
            "its healing budget is spent: {} of {} healings",
            budget.used, budget.healings
        ));
    }
    found
}
