//! The simulated host behaves as a host would.

use std::time::{Duration, Instant};

use prunella_core::{
    FailureKind,
    capability::{ActiveState, Goal, Repair, Termination, UnitAct},
    service::{FileRole, ProbeKind},
};
use prunella_sim::{File, Process, Sim, Unit};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_failed_unit_starts_and_holds_its_port() {
    let sim = Sim::new("web.service").failed("exit-code").port("tcp/80");
    let host = sim.host();
    assert_eq!(sim.status("web.service").active_state, ActiveState::Failed);
    assert!(
        host.ports
            .holders(soon(), sim.ports()[0].protocol, 80)
            .unwrap()
            .is_empty()
    );

    let job = host
        .unit_control
        .submit(soon(), &sim.unit(), UnitAct::Start)
        .unwrap();
    assert_eq!(
        sim.status("web.service").active_state,
        ActiveState::Activating
    );
    assert_eq!(job.wait(soon(), LONG).unwrap(), "done");
    assert!(sim.status("web.service").is_up());
    assert_eq!(
        host.ports
            .holders(soon(), sim.ports()[0].protocol, 80)
            .unwrap()
            .len(),
        1
    );
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
        let job = host
            .unit_control
            .submit(soon(), &sim.unit(), UnitAct::Start)
            .unwrap();
        job.wait(soon(), LONG).unwrap()
    };
    assert_eq!(start(), "failed");
    assert!(
        host.file_repair
            .repair(soon(), "cache", Repair::Mode)
            .unwrap()
    );
    assert!(
        !host
            .file_repair
            .repair(soon(), "cache", Repair::Mode)
            .unwrap()
    );
    assert_eq!(start(), "done");
}

#[test]
fn waiting_moves_the_clock_and_nothing_else() {
    let sim = Sim::new("web.service")
        .failed("signal")
        .start_takes(Duration::from_secs(3));
    let host = sim.host();
    let (began, before) = (Instant::now(), host.clock.monotonic());
    host.unit_control
        .submit(soon(), &sim.unit(), UnitAct::Start)
        .unwrap();
    let late = host
        .units
        .wait(soon(), &sim.unit(), Goal::Up, Duration::from_secs(2));
    assert_eq!(late.unwrap_err().kind, FailureKind::TimedOut);
    host.units
        .wait(soon(), &sim.unit(), Goal::Up, Duration::from_secs(2))
        .unwrap();
    assert_eq!(host.clock.monotonic() - before, 3_000_000_000);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_job_never_replaces_another() {
    let sim = Sim::new("web.service").failed("signal");
    let control = sim.host().unit_control;
    control.submit(soon(), &sim.unit(), UnitAct::Start).unwrap();
    let second = control.submit(soon(), &sim.unit(), UnitAct::Stop);
    assert!(second.err().unwrap().is("job-pending"));
}

#[test]
fn a_stubborn_process_has_to_be_killed() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .port("tcp/80")
        .taken("tcp/80", Process::leftover("/usr/bin/web").ignoring_term());
    let host = sim.host();
    let holders = host
        .ports
        .holders(soon(), sim.ports()[0].protocol, 80)
        .unwrap();
    let leftover = holders[0].process.clone().unwrap();
    assert!(leftover.alive());
    let ended = host
        .process_control
        .terminate(soon(), &leftover, LONG)
        .unwrap();
    assert_eq!(ended, Termination::Killed);
    assert!(!leftover.alive());
    let again = host
        .process_control
        .terminate(soon(), &leftover, LONG)
        .unwrap();
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
    let probes = sim.host().probes;
    assert!(probes.ask(soon(), "http").unwrap().answering);
    assert!(!probes.ask(soon(), "db").unwrap().answering);
    assert!(probes.ask(soon(), "smtp").unwrap_err().is("not-declared"));
}
