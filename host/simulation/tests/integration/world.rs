//! The simulated host behaves as a host would.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::time::{Duration, Instant};

use prunella_core::{
    FailureKind,
    capability::{
        ActiveState, Answer, Goal, Host, PortHolder, ProbeAnswer, Process, Repair, Termination,
        UnitAct,
        clock::Monotonic,
        file_repair::RepairFile,
        ports::Holders,
        probes::Ask,
        process_control::Terminate,
        processes::Alive,
        unit_control::{Submit, WaitForJob},
        units::Wait,
    },
    service::{FileRole, ProbeKind},
};
use prunella_simulation::{File, Process as Model, Sim, Unit};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

const LONG: Duration = Duration::from_secs(30);

fn submit(sim: &Sim, action: UnitAct) -> Answer<prunella_core::capability::Job> {
    let unit = sim.unit();
    sim.host().ask(soon(), Submit { unit, action })
}

fn wait(sim: &Sim, job: prunella_core::capability::Job) -> String {
    let timeout = LONG;
    sim.host().ask(soon(), WaitForJob { job, timeout }).unwrap()
}

fn holders(sim: &Sim) -> Vec<PortHolder> {
    let protocol = sim.ports()[0].protocol;
    let number = 80;
    let host = sim.host();
    host.ask(soon(), Holders { protocol, number }).unwrap()
}

fn probe(host: &Host, name: &str) -> Answer<ProbeAnswer> {
    let name = name.to_owned();
    host.ask(soon(), Ask { name })
}

#[test]
fn a_failed_unit_starts_and_holds_its_port() {
    let sim = Sim::new("web.service").failed("exit-code").port("tcp/80");
    assert_eq!(sim.status("web.service").active_state, ActiveState::Failed);
    assert!(holders(&sim).is_empty());

    let job = submit(&sim, UnitAct::Start).unwrap();
    assert_eq!(
        sim.status("web.service").active_state,
        ActiveState::Activating
    );
    assert_eq!(wait(&sim, job), "done");
    assert!(sim.status("web.service").is_up());
    assert_eq!(holders(&sim).len(), 1);
    assert_eq!(sim.acts(), ["start web.service"]);
}

#[test]
fn a_start_fails_until_its_condition_holds() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .file("cache", File::new(FileRole::Plain).mode(0o600, 0o640))
        .starts_when("cannot read the cache", |host| host.is_as_declared("cache"));
    let host = sim.host();
    let start = || {
        let job = submit(&sim, UnitAct::Start).unwrap();
        wait(&sim, job)
    };
    let repair = || {
        let name = "cache".to_owned();
        let what = Repair::Mode;
        host.ask(soon(), RepairFile { name, what }).unwrap()
    };
    assert_eq!(start(), "failed");
    assert!(repair());
    assert!(!repair());
    assert_eq!(start(), "done");
}

#[test]
fn waiting_moves_the_clock_and_nothing_else() {
    let sim = Sim::new("web.service")
        .failed("signal")
        .start_takes(Duration::from_secs(3));
    let host = sim.host();
    let (began, before) = (Instant::now(), host.ask(soon(), Monotonic {}).unwrap());
    submit(&sim, UnitAct::Start).unwrap();
    let up = || {
        let wait = Wait {
            unit: sim.unit(),
            goal: Goal::Up,
            timeout: Duration::from_secs(2),
        };
        host.ask(soon(), wait)
    };
    let late = up();
    assert_eq!(late.unwrap_err().kind, FailureKind::TimedOut);
    up().unwrap();
    assert_eq!(
        host.ask(soon(), Monotonic {}).unwrap() - before,
        3_000_000_000
    );
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_job_never_replaces_another() {
    let sim = Sim::new("web.service").failed("signal");
    submit(&sim, UnitAct::Start).unwrap();
    let second = submit(&sim, UnitAct::Stop);
    assert!(second.err().unwrap().is("job-pending"));
}

#[test]
fn a_stubborn_process_has_to_be_killed() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .port("tcp/80")
        .taken("tcp/80", Model::leftover("/usr/bin/web").ignoring_term());
    let host = sim.host();
    let alive = |process: &Process| {
        let process = process.clone();
        host.ask(soon(), Alive { process }).unwrap()
    };
    let end = |process: &Process| {
        let (process, grace) = (process.clone(), LONG);
        host.ask(soon(), Terminate { process, grace }).unwrap()
    };
    let holders = holders(&sim);
    let leftover = holders[0].process.clone().unwrap();
    assert!(alive(&leftover));
    let ended = end(&leftover);
    assert_eq!(ended, Termination::Killed);
    assert!(!alive(&leftover));
    let again = end(&leftover);
    assert_eq!(again, Termination::WasGone);
}

#[test]
fn a_probe_answers_for_the_unit_it_asks() {
    let sim = Sim::new("web.service")
        .needs(Unit::new("db.service").failed("signal"))
        .probe("http", ProbeKind::Tcp("127.0.0.1:80".to_owned()))
        .probe_of(
            "db.service",
            "db",
            ProbeKind::Postgres("/run/db".to_owned()),
        );
    let host = sim.host();
    assert!(probe(&host, "http").unwrap().healthy);
    assert!(!probe(&host, "db").unwrap().healthy);
    assert!(probe(&host, "smtp").unwrap_err().is("not-declared"));
}
