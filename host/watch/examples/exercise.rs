//! Exercises units, jobs, waiting and watching on a real systemd.
//!
//! To be run as root *inside a throw-away machine*, since it makes, kills and
//! removes units and restarts the bus. Prints what it measured; any departure
//! from what should be ends it with a panic.

use std::{
    error::Error,
    process::Command,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, UnitName,
    capability::{ActiveState, Goal, UnitAct},
    incident::Detection,
    situation::Situation,
};
use prunella_linux::{Linux, LinuxSettings, unit_control::wait_for};
use prunella_watch::{Care, WatchEvent, Watcher};

type Outcome = Result<(), Box<dyn Error>>;

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn sh(command: &str) -> Outcome {
    let status = Command::new("/bin/sh").args(["-c", command]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{command}` ended with {status}").into())
    }
}

fn check(what: &str, holds: bool) -> Outcome {
    println!("{} {what}", if holds { "ok  " } else { "FAIL" });
    if holds { Ok(()) } else { Err(what.into()) }
}

fn unit_file(name: &str, body: &str) -> Outcome {
    std::fs::write(format!("/run/systemd/system/{name}"), body)?;
    Ok(())
}

fn next(
    events: &mpsc::Receiver<(Monotonic, WatchEvent)>,
    wanted: impl Fn(&WatchEvent) -> bool,
) -> Result<(Monotonic, WatchEvent), Box<dyn Error>> {
    let end = deadline();
    loop {
        let event = events.recv_timeout(end.saturating_duration_since(Instant::now()))?;
        if wanted(&event.1) {
            return Ok(event);
        }
        println!("     (also told: {})", brief(&event.1));
    }
}

fn brief(event: &WatchEvent) -> String {
    match event {
        WatchEvent::Failed(detection, status) => format!(
            "failed {} cause={} state={}",
            detection.unit,
            detection.cause,
            status.active_state.as_str()
        ),
        other => format!("{other:?}"),
    }
}

fn failed_of<'a>(unit: &'a UnitName, cause: &'a str) -> impl Fn(&WatchEvent) -> bool + 'a {
    move |event| matches!(event, WatchEvent::Failed(d, _) if d.unit == *unit && d.cause.as_str() == cause)
}

fn median(mut times: Vec<Duration>) -> u128 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .copied()
        .unwrap_or_default()
        .as_micros()
}

fn since_failure(at: Monotonic, detection: &Detection) -> Duration {
    detection
        .failed_monotonic
        .map_or(Duration::ZERO, |failed| at.since(failed))
}

fn main() -> Outcome {
    let begun = Instant::now();
    let linux = Linux::connect(LinuxSettings::default())?;
    let units = linux.units();
    let control = linux.unit_control();
    let root = UnitName::new("dbus.service")?;
    units.get(deadline(), &root)?;
    println!(
        "     connect and first status: {} µs",
        begun.elapsed().as_micros()
    );
    let reads: Vec<Duration> = (0..50)
        .map(|_| {
            let start = Instant::now();
            let _ = units.get(deadline(), &root);
            start.elapsed()
        })
        .collect();
    println!("     one status: median {} µs", median(reads));

    std::fs::create_dir_all("/run/systemd/system")?;
    unit_file(
        "web.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\n",
    )?;
    unit_file(
        "rude.service",
        "[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/false\n",
    )?;
    unit_file(
        "slow.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 1.5\n",
    )?;
    unit_file(
        "slowstop.service",
        "[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sleep 2\n",
    )?;
    unit_file(
        "db.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    )?;
    unit_file(
        "app.service",
        "[Unit]\nRequires=db.service\nAfter=db.service\n[Service]\nExecStart=/bin/sleep 1000\n",
    )?;
    unit_file(
        "flap.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=20ms\n",
    )?;
    unit_file(
        "kept.service",
        "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nAlias=alias.service\n",
    )?;
    sh(
        "ln -sf kept.service /run/systemd/system/alias.service; systemctl daemon-reload; systemctl mask --runtime masked.service 2>/dev/null; systemctl start web rude kept",
    )?;
    let [web, rude, slow, slowstop, app, flap, kept, alias, masked] = [
        "web", "rude", "slow", "slowstop", "app", "flap", "kept", "alias", "masked",
    ]
    .map(UnitName::from_user);
    let (web, rude, slow, slowstop, app, flap, kept, alias, masked) = (
        web?, rude?, slow?, slowstop?, app?, flap?, kept?, alias?, masked?,
    );

    // Reading.
    let missing = units.get(deadline(), &UnitName::new("nothing.service")?);
    check(
        "a missing unit is not found",
        missing.is_err_and(|f| f.is("no-such-unit")),
    )?;
    let aliased = units.get(deadline(), &alias)?;
    check(
        "an alias has its canonical name",
        aliased.name == kept && aliased.names.contains(&alias),
    )?;
    check(
        "it runs",
        aliased.is_up() && aliased.main_pid.is_some() && aliased.invocation.is_some(),
    )?;
    check(
        "a masked unit is masked",
        units.get(deadline(), &masked)?.load_state == "masked",
    )?;

    // Jobs.
    let start = Instant::now();
    let job = control.submit(deadline(), &slow, UnitAct::Start)?;
    let submitted = start.elapsed();
    let pending = units.get(deadline(), &slow)?;
    check(
        "a pending job is seen",
        pending.job.is_some_and(|job| job.kind == "start"),
    )?;
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let job = job.clone();
            std::thread::spawn(move || wait_for(deadline(), &job, Duration::from_secs(10)))
        })
        .collect();
    let short = wait_for(deadline(), &job, Duration::from_millis(50));
    check(
        "a short wait is timed out",
        short.is_err_and(|f| f.is("job")),
    )?;
    let words: Vec<_> = waiters
        .into_iter()
        .filter_map(|waiter| waiter.join().ok()?.ok())
        .collect();
    check(
        "three waiters have systemd's word",
        words == ["done", "done", "done"],
    )?;
    println!(
        "     first submit (opens signals): {} µs",
        submitted.as_micros()
    );
    let refused = control.submit(deadline(), &masked, UnitAct::Start);
    check(
        "a masked unit is not started",
        refused.is_err_and(|f| f.is("masked")),
    )?;
    let refused = control.submit(
        deadline(),
        &UnitName::new("nothing.service")?,
        UnitAct::Start,
    );
    check(
        "a missing unit is not started",
        refused.is_err_and(|f| f.is("no-such-unit")),
    )?;
    let refused = control.submit(deadline(), &web, UnitAct::Reload);
    check(
        "what cannot reload is not reloaded",
        refused.is_err_and(|f| f.is("not-applicable")),
    )?;
    sh("systemctl start slowstop; systemctl stop --no-block slowstop")?;
    let refused = control.submit(deadline(), &slowstop, UnitAct::Start);
    check(
        "a pending stop is not replaced",
        refused.is_err_and(|f| f.is("job-conflict")),
    )?;
    let waited = units.wait(deadline(), &slowstop, Goal::Down, Duration::from_secs(10))?;
    check("waits until it is down", !waited.is_up())?;
    let late = units.wait(deadline(), &web, Goal::Down, Duration::from_millis(50));
    check(
        "a wait ends when its time is up",
        late.is_err_and(|f| f.is("wait")),
    )?;

    // Watching.
    let (tell, events) = mpsc::channel();
    let clock = Arc::clone(&linux);
    let care = |names: &[&UnitName]| -> Vec<Care> {
        names
            .iter()
            .map(|unit| Care {
                unit: (*unit).clone(),
                heal_on_stop: **unit == alias,
                run_policy: prunella_core::service::RunPolicy::OnFailure,
                only_up: false,
            })
            .collect()
    };
    sh("systemctl kill -s KILL rude; systemctl reset-failed db 2>/dev/null; true")?;
    units.wait(deadline(), &rude, Goal::Down, Duration::from_secs(5))?;
    let watcher = Watcher::start(
        Arc::clone(&linux),
        care(&[&web, &rude, &app, &flap, &alias]),
        move |event| tell.send((clock.monotonic(), event)).is_ok(),
    );
    let (_, event) = next(&events, failed_of(&rude, "signal"))?;
    check(
        "what is failed at the start is told",
        matches!(&event, WatchEvent::Failed(d, _) if d.by.as_str() == "sweep"),
    )?;

    let mut told = Vec::new();
    let mut started = Vec::new();
    for _ in 0..30 {
        sh("systemctl kill -s KILL web")?;
        let (at, event) = next(&events, failed_of(&web, "signal"))?;
        let WatchEvent::Failed(detection, status) = event else {
            continue;
        };
        told.push(since_failure(at, &detection));
        let none = linux.stopped_by_operator(deadline(), &status)?;
        if none.is_some() {
            return Err("a kill was taken for a stop".into());
        }
        let job = control.submit(deadline(), &web, UnitAct::Start)?;
        started.push(since_failure(linux.monotonic(), &detection));
        wait_for(deadline(), &job, Duration::from_secs(5))?;
        next(
            &events,
            |event| matches!(event, WatchEvent::Recovered { unit } if *unit == web),
        )?;
    }
    println!(
        "     from InactiveEnter to the event: median {} µs",
        median(told)
    );
    println!(
        "     from InactiveEnter to StartUnit's reply: median {} µs",
        median(started)
    );

    sh("systemctl start rude")?;
    next(
        &events,
        |event| matches!(event, WatchEvent::StartedByOperator { unit, .. } if *unit == rude),
    )?;
    check("an operator's start is told", true)?;
    sh("systemctl stop rude")?;
    let (_, event) = next(&events, failed_of(&rude, "exit-code"))?;
    if let WatchEvent::Failed(_, status) = event {
        let start = Instant::now();
        let stop = linux.stopped_by_operator(deadline(), &status)?;
        println!("     {stop:?} in {} µs", start.elapsed().as_micros());
        check(
            "an operator's stop is recognised",
            stop.is_some_and(|s| s.contains("journal entry")),
        )?;
    }
    sh("systemctl start rude; systemctl restart rude")?;
    let mut status = units.get(deadline(), &rude)?;
    check("up after the restart", status.is_up())?;
    sh("systemctl kill -s KILL --kill-whom=main rude")?;
    status = units.wait(deadline(), &rude, Goal::Down, Duration::from_secs(5))?;
    check(
        "a kill after a restart is a failure",
        linux.stopped_by_operator(deadline(), &status)?.is_none(),
    )?;
    sh("systemctl stop web")?;
    status = units.get(deadline(), &web)?;
    check(
        "a stop that succeeded is recognised after it was unloaded",
        linux.stopped_by_operator(deadline(), &status)?.is_some(),
    )?;

    sh("systemctl start app || true")?;
    next(&events, failed_of(&app, "dependency"))?;
    check("a failed dependency is told", true)?;
    sh("systemctl start flap")?;
    next(
        &events,
        |event| matches!(event, WatchEvent::RestartLoop(d) if d.unit == flap),
    )?;
    check("a restart loop is told", true)?;
    sh("systemctl stop flap kept")?;
    let (_, event) = next(&events, failed_of(&kept, "stopped"))?;
    check(
        "a stop is told where stops are healed",
        matches!(&event, WatchEvent::Failed(d, s) if d.invocation.is_some() && s.active_state == ActiveState::Inactive),
    )?;

    sh("systemctl daemon-reload")?;
    next(&events, |event| matches!(event, WatchEvent::Resync))?;
    check("resync after daemon-reload", true)?;
    sh("systemctl daemon-reexec")?;
    sh("systemctl start web")?;
    sh("systemctl kill -s KILL web")?;
    next(&events, failed_of(&web, "signal"))?;
    check("failures are told after daemon-reexec", true)?;
    let job = control.submit(deadline(), &web, UnitAct::Start)?;
    let _ = wait_for(deadline(), &job, Duration::from_secs(5));

    // The bus goes while somebody waits.
    let waiting = {
        let linux = Arc::clone(&linux);
        let web = web.clone();
        std::thread::spawn(move || {
            linux
                .units()
                .wait(deadline(), &web, Goal::Down, Duration::from_secs(15))
        })
    };
    std::thread::sleep(Duration::from_millis(300));
    sh("systemctl restart dbus.service")?;
    next(&events, |event| matches!(event, WatchEvent::BusLost))?;
    next(&events, |event| matches!(event, WatchEvent::BusBack))?;
    next(&events, |event| matches!(event, WatchEvent::Resync))?;
    sh("systemctl kill -s KILL web")?;
    next(&events, failed_of(&web, "signal"))?;
    check("failures are told after the bus is back", true)?;
    let ended = waiting.join().map_err(|_| "the waiter panicked")?;
    check(
        "a wait goes on without the bus",
        ended.is_ok_and(|status| status.active_state == ActiveState::Failed),
    )?;

    // No bus at all.
    sh(
        "systemctl stop dbus.socket dbus.service; systemctl mask --runtime dbus.service dbus.socket 2>/dev/null; true",
    )?;
    next(&events, |event| matches!(event, WatchEvent::BusLost))?;
    let status = units.get(deadline(), &web)?;
    check(
        "a status without a bus",
        status.active_state == ActiveState::Failed && status.signal.as_deref() == Some("KILL"),
    )?;
    check(
        "the failed units without a bus",
        linux.failed_units(deadline())?.contains(&web),
    )?;
    println!("     state: {}", linux.system_state(deadline())?);
    control.reset_failed(deadline(), &web)?;
    let job = control.submit(deadline(), &web, UnitAct::Start)?;
    check(
        "a start without a bus",
        wait_for(deadline(), &job, Duration::from_secs(5))? == "done",
    )?;
    let up = units.wait(deadline(), &web, Goal::Up, Duration::from_secs(5))?;
    check("up without a bus", up.is_up())?;
    let refused = control.submit(deadline(), &masked, UnitAct::Start);
    check(
        "a refusal without a bus",
        refused.is_err_and(|f| f.is("masked")),
    )?;
    sh(
        "systemctl kill -s KILL web; systemctl unmask --runtime dbus.service dbus.socket; systemctl start dbus.socket",
    )?;
    next(&events, |event| matches!(event, WatchEvent::BusBack))?;
    next(&events, |event| matches!(event, WatchEvent::Resync))?;
    check(
        "the bus is used again",
        linux.system_state(deadline()).is_ok(),
    )?;
    drop(watcher);
    println!("all as it should be");
    Ok(())
}
