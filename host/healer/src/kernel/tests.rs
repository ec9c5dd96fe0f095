//! The gates, one by one, around a simulated host.

use prunella_core::{
    analyst::{Analyst, Evidence, ModelProtocol, ModelSettings},
    capability::{
        Process, Protocol, Repair, UnitAct,
        checks::Run,
        file_repair::RepairFile,
        ports::Holders,
        process_control::Terminate,
        remedies::Apply,
        unit_control::{ResetFailed, Submit, WaitForJob},
    },
    oversight::Oversight,
    policy::{Grant, Permission, Scope},
    remedy::REMEDY_KINDS,
    service::Port,
};
use prunella_simulation::{Check, File, Process as SimProcess, Remedy, Sim, Unit};
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
        ports: Vec::new(),
        memory: None,
        memory_pressure: None,
        load: None,
        stall: None,
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
        ordered: false,
    });
    let rules = Rules {
        strategy: StrategyName::new("site-fix").unwrap(),
        grants: Arc::new(grants),
        service: sim.service(),
        related: BTreeSet::new(),
        protected: Arc::new(Protected::default()),
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

fn start(kernel: &Arc<Kernel>, deadline: Instant, on: &str) -> Answer<String> {
    let host = kernel.host();
    let submit = Submit {
        unit: unit(on),
        action: UnitAct::Start,
    };
    let job = host.ask(deadline, submit)?;
    let timeout = Duration::from_secs(5);
    host.ask(deadline, WaitForJob { job, timeout })
}

fn reset_failed(kernel: &Arc<Kernel>) -> Answer<()> {
    let unit = unit("web.service");
    kernel.host().ask(soon(), ResetFailed { unit })
}

fn terminate(kernel: &Arc<Kernel>, process: Process) -> Answer<()> {
    let grace = Duration::ZERO;
    let end = Terminate { process, grace };
    kernel.host().ask(soon(), end).map(drop)
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
    let denied = start(&kernel, soon(), on).unwrap_err();
    assert!(denied.is(code), "{denied:?}");
    assert_eq!(sim.acts(), Vec::<String>::new());
}

#[test]
fn a_start_that_is_granted() {
    let sim = web();
    let (_folder, kernel) = kernel(&sim, grant("unit-control.start", &[Scope::Itself]));
    assert_eq!(start(&kernel, soon(), "web.service").unwrap(), "done");
    assert_eq!(sim.acts(), ["start web.service"]);
}

#[test]
fn stopping_dependent_units_needs_its_own_grant() {
    let other = unit("other.service");
    let sim = web()
        .with(|status| status.conflicts = vec![unit("other.service")])
        .unit_beside(Unit::new("other.service"));
    let grants = grant("unit-control.start", &[Scope::Itself, Scope::Unit(other)]);
    let (_folder, kernel) = kernel(&sim, grants);
    assert!(start(&kernel, soon(), "web.service").is_ok());
}

#[test]
fn a_respected_start_limit_is_nobodys_to_clear() {
    let sim = web().respects_start_limit();
    let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
    let denied = reset_failed(&kernel).unwrap_err();
    assert!(denied.is("start-limit-respected"), "{denied:?}");
    assert_eq!(sim.acts(), Vec::<String>::new());
}

#[test]
fn a_stranger_is_never_ended_however_much_is_granted() {
    let sim = web()
        .port("tcp/80")
        .taken("tcp/80", SimProcess::stranger("/usr/bin/python3"));
    let (_folder, kernel) = kernel(&sim, grant("process-control", &[Scope::Itself]));
    let Port {
        protocol, number, ..
    } = sim.ports()[0];
    let holders = kernel.host().ask(soon(), Holders { protocol, number });
    let holders = holders.unwrap();
    let stranger = holders[0].process.clone().unwrap();
    let denied = terminate(&kernel, stranger).unwrap_err();
    assert!(denied.is("not-its-own"), "{denied:?}");
    assert_eq!(sim.acts(), Vec::<String>::new());
}

#[test]
fn other_units_and_ports_are_not_looked_at_without_a_grant() {
    let sim = web().unit_beside(Unit::new("bank.service"));
    let (_folder, kernel) = kernel(&sim, Grants::default());
    let host = kernel.host();
    assert!(host.unit(soon(), &sim.unit()).is_ok());
    let denied = host.unit(soon(), &unit("bank.service")).unwrap_err();
    assert!(denied.is("out-of-scope"), "{denied:?}");
    let ssh = Holders {
        protocol: Protocol::Tcp,
        number: 22,
    };
    let denied = host.ask(soon(), ssh).unwrap_err();
    assert!(denied.is("out-of-scope"), "{denied:?}");
}

#[test]
fn a_start_that_systemd_refused_costs_nothing_once_its_limit_is_cleared() {
    let sim = web()
        .start_refused()
        .with(|status| status.invocation = Some("4d".repeat(16)));
    let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
    let start = || start(&kernel, soon(), "web.service");
    let backoff = BudgetSettings::default().backoff[1];
    let began = sim.uptime();
    assert_eq!(start().unwrap(), "failed");
    reset_failed(&kernel).unwrap();
    assert_eq!(start().unwrap(), "done");
    assert!(sim.uptime() - began < backoff, "it waited for its turn");

    // The next one is paid for again.
    reset_failed(&kernel).unwrap();
    start().unwrap();
    assert!(sim.uptime() - began >= backoff);
}

#[test]
fn a_start_that_systemd_carried_out_is_paid_for_though_it_failed() {
    let sim = web().starts_when("never", |_| false);
    let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
    let start = || start(&kernel, soon(), "web.service");
    assert_eq!(start().unwrap(), "failed");
    reset_failed(&kernel).unwrap();
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
        match start(&kernel, soon() + Duration::from_secs(600), "web.service") {
            Ok(_) => starts += 1,
            Err(failure) => break failure,
        }
    };
    assert_eq!(starts, BudgetSettings::default().healings);
    assert!(spent.is("healing-budget-spent"), "{spent:?}");
}

/// A call for each act there is. An act that is not here does not compile.
fn call_of(act: Act, process: &Process) -> Call {
    let unit = || unit("web.service");
    let submit = |action| Submit {
        unit: unit(),
        action,
    };
    let repair = |what| RepairFile {
        name: "cache".to_owned(),
        what,
    };
    match act {
        Act::Start => submit(UnitAct::Start).into_call(),
        Act::Restart => submit(UnitAct::Restart).into_call(),
        Act::Stop => submit(UnitAct::Stop).into_call(),
        Act::Reload => submit(UnitAct::Reload).into_call(),
        Act::ResetFailed => ResetFailed { unit: unit() }.into_call(),
        Act::Terminate => Terminate {
            process: process.clone(),
            grace: Duration::ZERO,
        }
        .into_call(),
        Act::RepairMode => repair(Repair::Mode).into_call(),
        Act::RepairOwner => repair(Repair::Owner).into_call(),
        Act::RepairTarget => repair(Repair::Target).into_call(),
        Act::RunCheck => Run {
            name: "syntax".to_owned(),
        }
        .into_call(),
        act => {
            assert!(act.is_remedy(), "{act}: how is it called?");
            let name = match act {
                Act::HalfOpenCircuit => "open",
                act => act.interface(),
            };
            Apply {
                act,
                name: name.to_owned(),
                undo: None,
            }
            .into_call()
        }
    }
}

/// No act gets around a step of the gate.
#[rstest]
#[case::not_granted(Grants::default(), Oversight::default(), "not-granted")]
#[case::not_agreed_to(
    Grants::on_self(Act::ALL),
    Oversight { ask: Act::ALL.into(), ..Oversight::default() },
    "awaits-approval"
)]
fn every_act_passes_every_step(
    #[case] grants: Grants,
    #[case] oversight: Oversight,
    #[case] code: &str,
) {
    let mut sim = web()
        .port("tcp/80")
        .taken("tcp/80", SimProcess::leftover("/usr/bin/web"))
        .file("cache", File::plain())
        .check("syntax", Check::passes());
    for kind in REMEDY_KINDS {
        sim = sim.remedy(kind, Remedy::of(kind, "do it"));
    }
    // Only an open circuit is half-opened.
    sim = sim.remedy("open", Remedy::of("circuit", "do it").applied());
    let Port {
        protocol, number, ..
    } = sim.ports()[0];
    let holders = sim
        .host()
        .ask(soon(), Holders { protocol, number })
        .unwrap();
    let process = holders[0].process.clone().unwrap();
    let (_folder, kernel) = overseen(&sim, grants, oversight, None);
    for act in Act::ALL {
        let denied = kernel.host().call(soon(), call_of(act, &process));
        let denied = denied.err().unwrap();
        assert!(denied.is(code), "{act}: {denied:?}");
    }
    assert_eq!(sim.acts(), Vec::<String>::new());
}

/// What runs in a slice is not throttled with it when it is protected.
#[rstest]
#[case::protected("ssh.service", Some("unit-protected"))]
#[case::another("batch.service", None)]
fn a_remedy_takes_nothing_protected_along(#[case] along: &str, #[case] code: Option<&str>) {
    let batch = Remedy::of("offenders", "lower CPUWeight of batch.slice")
        .about("throttle")
        .takes_along(along);
    let sim = Sim::new("web.service").remedy("batch", batch);
    let (_folder, kernel) = kernel(&sim, grant("offenders.throttle", &[Scope::Itself]));
    let throttle = Apply {
        act: Act::Throttle,
        name: "batch".to_owned(),
        undo: None,
    };
    let answer = kernel.host().call(soon(), throttle.into_call());
    match code {
        Some(code) => {
            assert!(answer.err().unwrap().is(code));
            assert_eq!(sim.acts(), Vec::<String>::new());
        }
        None => {
            answer.unwrap();
            assert_eq!(sim.acts(), ["offenders.throttle batch"]);
        }
    }
}

#[test]
fn what_an_operator_has_stopped_meanwhile_is_not_started() {
    let start = |sim: &Sim| {
        let (_folder, kernel) = kernel(sim, grant("unit-control", &[Scope::Itself]));
        let submit = Submit {
            unit: unit("web.service"),
            action: UnitAct::Start,
        };
        let done = kernel.host().ask(soon(), submit).map(drop);
        (done, kernel.was_stopped())
    };
    let sim = web().stopped_by_operator("a stop job");
    let (done, was_stopped) = start(&sim);
    assert!(done.unwrap_err().is(STOPPED_BY_OPERATOR));
    assert!(was_stopped);
    assert_eq!(sim.acts(), Vec::<String>::new());

    let sim = web()
        .stopped_by_operator("a stop job")
        .declare(|service| service.heal_on_stop = true);
    assert!(matches!(start(&sim), (Ok(()), false)));
    assert_eq!(sim.acts(), ["start web.service"]);
}
