//! The gates, one by one, around a simulated host.

use prunella_core::{
    analyst::{Analyst, Evidence},
    config::{Config, ModelProtocol, ModelSettings},
    oversight::Oversight,
    policy::{Grant, Permission, Scope},
    service::Port,
};
use prunella_sim::{Process as SimProcess, Sim, Unit};
use prunella_store::Store;
use rstest::rstest;

use super::*;

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

pub(crate) fn grant(act: &str, on: &[Scope]) -> Grants {
    Grants(vec![Grant {
        permission: Permission::Act(Act::matching(act)),
        on: on.to_vec(),
    }])
}

/// The kernel around a simulated host, for a strategy with these grants.
fn kernel(sim: &Sim, grants: Grants) -> (tempfile::TempDir, Arc<Kernel>) {
    overseen(sim, grants, Oversight::default(), None)
}

fn model() -> ModelSettings {
    ModelSettings {
        protocol: ModelProtocol::Ollama,
        url: "http://127.0.0.1:1/api/chat".to_owned(),
        model: "m".to_owned(),
        key: None,
        ca_file: None,
        timeout: Duration::from_secs(1),
        wait: Duration::ZERO,
        max_tokens: 1,
        may_order: false,
        addresses: false,
        evidence: 1,
        per_hour: 1,
    }
}

/// A kernel whose acts people oversee, by the store in its folder, and
/// perhaps a model.
pub(crate) fn overseen(
    sim: &Sim,
    grants: Grants,
    oversight: Oversight,
    analyst: Option<Arc<dyn Analyst>>,
) -> (tempfile::TempDir, Arc<Kernel>) {
    let folder = tempfile::tempdir().unwrap();
    let situation: Arc<dyn Situation> = Arc::new(sim.clone());
    let store = Arc::new(Store::open(&folder.path().join("prunella.db")).unwrap());
    let incident = sim.incident();
    store.open_incident(&incident).unwrap();
    let evidence = Evidence {
        detection: incident.detection.clone(),
        domain: None,
        status: None,
        runs: Vec::new(),
        needs: Vec::new(),
        memory: None,
        memory_pressure: None,
        disks: Vec::new(),
        changes: Vec::new(),
    };
    let trail = Arc::new(Trail::new(
        incident,
        &[],
        false,
        Some(Arc::clone(&store)),
        Arc::clone(&situation),
        folder.path(),
        Arc::new(()),
    ));
    let overseer = Arc::new(Overseer {
        oversight,
        service: sim.service(),
        store: Some(store),
        situation: Arc::clone(&situation),
        model: analyst.is_some().then(model),
        analyst: analyst.unwrap_or_else(|| Arc::new(())),
        evidence: Box::new(move || evidence.clone()),
    });
    let rules = Rules {
        strategy: StrategyName::new("site-fix").unwrap(),
        grants: Arc::new(grants),
        service: sim.service(),
        related: BTreeSet::new(),
        protected: Arc::new(Protected::new(&Config::default())),
        budget: BudgetSettings::default(),
        host_budget: HostBudget::default(),
        overseer,
    };
    let ledger = Arc::new(Ledger::new(None, folder.path().to_owned()));
    let snapshot = Arc::new(Snapshot::default());
    let kernel = Kernel::new(
        rules,
        sim.host(),
        trail,
        situation,
        ledger,
        snapshot,
        Phase::Heal,
    );
    (folder, kernel)
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(crate) fn web() -> Sim {
    Sim::new("web.service").failed("exit-code")
}

#[rstest]
#[case::nothing_granted(web(), Grants::default(), "web.service", "not-granted")]
#[case::another_act(web(), grant("unit-control.stop", &[Scope::Itself]), "web.service", "not-granted")]
#[case::another_unit(
    web().unit_beside(Unit::new("db.service").failed("signal")),
    grant("unit-control.start", &[Scope::Itself]), "db.service", "not-granted"
)]
#[case::protected_though_granted(
    web().unit_beside(Unit::new("ssh.service").failed("signal")),
    grant("unit-control.start", &[Scope::Unit(unit("ssh.service"))]), "ssh.service", "unit-protected"
)]
#[case::protected_behind_an_alias(
    web().unit_beside(Unit::new("ssh.service").failed("signal").alias("door.service")),
    grant("unit-control.start", &[Scope::Unit(unit("door.service"))]), "door.service", "unit-protected"
)]
#[case::not_a_service(
    web().unit_beside(Unit::new("data.mount").failed("exit-code")),
    grant("unit-control.start", &[Scope::Unit(unit("data.mount"))]), "data.mount", "unit-type"
)]
#[case::would_reboot(
    web().with(|status| status.failure_action = "reboot".into()),
    grant("unit-control.start", &[Scope::Itself]), "web.service", "failure-action"
)]
#[case::would_stop_another(
    web().with(|status| status.conflicts = vec![unit("other.service")]).unit_beside(Unit::new("other.service")),
    grant("unit-control.start", &[Scope::Itself]), "web.service", "would-stop-others"
)]
fn a_start_that_is_denied(
    #[case] sim: Sim,
    #[case] grants: Grants,
    #[case] on: &str,
    #[case] code: &str,
) {
    let (_folder, kernel) = kernel(&sim, grants);
    let denied = UnitControl::submit(&*kernel, soon(), &unit(on), UnitAct::Start)
        .err()
        .unwrap();
    assert!(denied.is(code), "{denied:?}");
    assert_eq!(sim.acts(), Vec::<String>::new());
}

#[test]
fn a_start_that_is_granted() {
    let sim = web();
    let (_folder, kernel) = kernel(&sim, grant("unit-control.start", &[Scope::Itself]));
    let job = UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start).unwrap();
    assert_eq!(job.wait(soon(), Duration::from_secs(5)).unwrap(), "done");
    assert_eq!(sim.acts(), ["start web.service"]);
}

#[test]
fn what_would_stop_along_needs_a_grant_of_its_own() {
    let other = unit("other.service");
    let sim = web()
        .with(|status| status.conflicts = vec![unit("other.service")])
        .unit_beside(Unit::new("other.service"));
    let grants = grant("unit-control.start", &[Scope::Itself, Scope::Unit(other)]);
    let (_folder, kernel) = kernel(&sim, grants);
    assert!(UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start).is_ok());
}

#[test]
fn a_respected_start_limit_is_nobodys_to_clear() {
    let sim = web().respects_start_limit();
    let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
    let denied = kernel.reset_failed(soon(), &sim.unit()).unwrap_err();
    assert!(denied.is("start-limit-respected"), "{denied:?}");
    assert_eq!(sim.acts(), Vec::<String>::new());
}

#[test]
fn a_stranger_is_never_ended_however_much_is_granted() {
    let sim = web()
        .port("tcp/80")
        .taken("tcp/80", SimProcess::stranger("/usr/bin/python3"));
    let (_folder, kernel) = kernel(&sim, grant("process-control", &[Scope::Itself]));
    let Port { protocol, number } = sim.ports()[0];
    let holders = Ports::holders(&*kernel, soon(), protocol, number).unwrap();
    let stranger = holders[0].process.clone().unwrap();
    let denied =
        ProcessControl::terminate(&*kernel, soon(), &stranger, Duration::ZERO).unwrap_err();
    assert!(denied.is("not-its-own"), "{denied:?}");
    assert_eq!(sim.acts(), Vec::<String>::new());
}

#[test]
fn other_units_and_ports_are_not_looked_at_without_a_grant() {
    let sim = web().unit_beside(Unit::new("bank.service"));
    let (_folder, kernel) = kernel(&sim, Grants::default());
    assert!(Units::get(&*kernel, soon(), &sim.unit()).is_ok());
    let denied = Units::get(&*kernel, soon(), &unit("bank.service")).unwrap_err();
    assert!(denied.is("out-of-scope"), "{denied:?}");
    let denied = Ports::holders(&*kernel, soon(), Protocol::Tcp, 22)
        .err()
        .unwrap();
    assert!(denied.is("out-of-scope"), "{denied:?}");
}

#[test]
fn a_start_that_systemd_refused_costs_nothing_once_its_limit_is_cleared() {
    let sim = web()
        .start_refused()
        .with(|status| status.invocation = Some("4d".repeat(16)));
    let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
    let start = || {
        let job = UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start)?;
        job.wait(soon(), Duration::from_secs(5))
    };
    let backoff = BudgetSettings::default().backoff[1];
    let began = sim.uptime();
    assert_eq!(start().unwrap(), "failed");
    kernel.reset_failed(soon(), &sim.unit()).unwrap();
    assert_eq!(start().unwrap(), "done");
    assert!(sim.uptime() - began < backoff, "it waited for its turn");

    // The next one is paid for again.
    kernel.reset_failed(soon(), &sim.unit()).unwrap();
    start().unwrap();
    assert!(sim.uptime() - began >= backoff);
}

#[test]
fn a_start_that_systemd_carried_out_is_paid_for_though_it_failed() {
    let sim = web().starts_when("never", |_| false);
    let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
    let start = || {
        let job = UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start)?;
        job.wait(soon(), Duration::from_secs(5))
    };
    assert_eq!(start().unwrap(), "failed");
    kernel.reset_failed(soon(), &sim.unit()).unwrap();
    let before = sim.uptime();
    start().unwrap();
    assert!(sim.uptime() - before >= BudgetSettings::default().backoff[1]);
}

#[test]
fn healings_are_spent_and_then_there_are_none() {
    let sim = web().starts_when("never", |_| false);
    let (_folder, kernel) = kernel(&sim, grant("unit-control.start", &[Scope::Itself]));
    let mut starts = 0;
    let spent = loop {
        match UnitControl::submit(
            &*kernel,
            soon() + Duration::from_secs(600),
            &sim.unit(),
            UnitAct::Start,
        ) {
            Ok(_) => starts += 1,
            Err(failure) => break failure,
        }
    };
    assert_eq!(starts, BudgetSettings::default().healings);
    assert!(spent.is("healing-budget-spent"), "{spent:?}");
}
