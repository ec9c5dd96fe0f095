//! A recording is recorded on a host, and played without one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use prunella_bundle::builtin;
use prunella_core::{
    policy::{Act, Grants, Limits},
    service::FileRole,
};
use prunella_engine::{Call, Engine, EngineSettings, NoLines, RunContext, Strategy};
use prunella_recording::{Ended, Recorder, Recording, RecordingError, replay};
use prunella_simulation::{Check, File, Process, Sim};

fn strategy(name: &str) -> Strategy {
    let source = builtin(name).unwrap().wasm;
    Engine::new(EngineSettings::default())
        .unwrap()
        .load(&name.parse().unwrap(), source, &Grants::on_self(Act::ALL))
        .unwrap()
}

fn context(sim: &Sim, strategy: &Strategy) -> RunContext {
    let described = strategy.describe(&Limits::default()).result;
    RunContext {
        host: sim.guarded(strategy.name()),
        incident: sim.incident(),
        service: sim.service(),
        dry_run: false,
        limits: Limits::default(),
        settings: sim.settings(&described.unwrap().unwrap().settings).unwrap(),
        lines: Arc::new(NoLines),
    }
}

/// Has a strategy assess and heal, and gives the recording's text.
fn recorded(sim: &Sim, strategy: &Strategy) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.jsonl");
    let recorder = Recorder::create(&file).unwrap();
    let (context_, recording) = recorder.begin(Call::Assess, strategy, context(sim, strategy));
    recording.assessed(&strategy.assess(context_).result);
    let (context_, recording) = recorder.begin(Call::Heal, strategy, context(sim, strategy));
    recording.healed(&strategy.heal(context_).result);
    assert!(recorder.trouble().is_none());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::read_to_string(file).unwrap()
}

fn leftover() -> Sim {
    Sim::new("web.service")
        .failed("exit-code")
        .port("tcp/80")
        .taken("tcp/80", Process::leftover("/usr/bin/web").ignoring_term())
}

#[test]
fn the_same_component_asks_and_says_the_same() {
    let strategy = strategy("port-conflict");
    let text = recorded(&leftover(), &strategy);
    let recording = Recording::parse(&text).unwrap();
    assert_eq!(recording.runs.len(), 2);
    let heal = &recording.runs[1];
    let calls: Vec<&str> = heal.calls.iter().map(|entry| entry.call.as_str()).collect();
    assert_eq!(
        calls,
        [
            "units.get",
            "ports.holders",
            "process-control.terminate",
            "units.get",
            "unit-control.start",
            "job.wait",
            "units.wait"
        ]
    );
    for run in &recording.runs {
        let replayed = replay(&strategy, run, Arc::new(NoLines));
        assert!(replayed.is_same_as(run), "{replayed:?}");
        assert_eq!(replayed.answered, run.calls.len());
    }
    assert!(text.contains(r#""says":"info: /usr/bin/web"#), "{text}");
}

#[test]
fn the_first_call_that_differs_is_told() {
    let text = recorded(&leftover(), &strategy("port-conflict"));
    let recording = Recording::parse(&text).unwrap();
    let replayed = replay(
        &strategy("service-restart"),
        &recording.runs[1],
        Arc::new(NoLines),
    );
    let parted = replayed.divergence.unwrap();
    assert_eq!((parted.number, replayed.answered), (2, 1));
    assert_eq!(
        parted.recorded.unwrap().to_string(),
        r#"ports.holders(port: "tcp/80")"#
    );
    assert_eq!(
        parted.made.unwrap().to_string(),
        r#"units.get(unit: "web.service")"#
    );
}

#[test]
fn one_that_stops_asking_departs_too() {
    let text = recorded(&leftover(), &strategy("port-conflict"));
    let recording = Recording::parse(&text).unwrap();
    // Assessing, this one asks nothing at all.
    let replayed = replay(
        &strategy("config-validation"),
        &recording.runs[0],
        Arc::new(NoLines),
    );
    let parted = replayed.divergence.unwrap();
    assert_eq!(parted.number, 1);
    assert_eq!(parted.recorded.unwrap().call, "units.get");
    assert_eq!(parted.made, None);
}

#[test]
fn other_answers_lead_elsewhere() {
    let strategy = strategy("port-conflict");
    let text = recorded(&leftover(), &strategy)
        .replace(r#""ownership":"leftover""#, r#""ownership":"foreign""#);
    let recording = Recording::parse(&text).unwrap();
    let replayed = replay(&strategy, &recording.runs[1], Arc::new(NoLines));
    assert!(!replayed.is_same_as(&recording.runs[1]));
    assert!(matches!(
        replayed.ended,
        Ended::Healed(prunella_core::incident::Outcome::Failed { .. })
    ));
}

#[test]
fn a_denial_is_part_of_it() {
    let strategy = strategy("service-restart");
    let sim = Sim::new("web.service").failed("signal").granting("checks");
    let recording = Recording::parse(&recorded(&sim, &strategy)).unwrap();
    let heal = &recording.runs[1];
    assert!(
        heal.calls
            .last()
            .unwrap()
            .failed
            .as_ref()
            .unwrap()
            .is("not-granted")
    );
    assert!(matches!(&heal.ended, Some(Ended::GaveUp(failure)) if failure.is("not-granted")));
    assert!(replay(&strategy, heal, Arc::new(NoLines)).is_same_as(heal));
}

#[test]
fn secrets_and_declarations_stay_behind() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .check(
            "config",
            Check::fails(1, "login failed: password=hunter2").validating(),
        )
        .file("env", File::new(FileRole::Env).sets("TOKEN", "hunter2"))
        .declare(|service| {
            for check in service.checks.values_mut() {
                check.command = vec!["/opt/check".to_owned(), "hunter2".to_owned()];
            }
        });
    let text = recorded(&sim, &strategy("config-validation"));
    assert!(text.contains("password=[redacted]"), "{text}");
    assert!(!text.contains("/opt/check"), "{text}");
    assert!(!text.contains("/sim/env"), "{text}");
    // What the strategy itself repeated of it is in how it ended.
    let calls: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("\"call\":\"checks.run\""))
        .collect();
    assert!(!calls.is_empty(), "{text}");
    assert!(calls.iter().all(|line| !line.contains("hunter2")), "{text}");
    // Nor in what the strategy repeats of it.
    assert!(!text.contains("hunter2"), "{text}");
    // What is played says the same, although it never saw the secret.
    let recording = Recording::parse(&text).unwrap();
    assert!(!recording.runs.is_empty());
    for run in &recording.runs {
        assert!(replay(&strategy("config-validation"), run, Arc::new(NoLines)).is_same_as(run));
    }
}

#[test]
fn unit_fields_outside_the_contract_are_left_out() {
    let sim = Sim::new("web.service").failed("signal").with(|unit| {
        "hunter2 of the shop".clone_into(&mut unit.description);
        unit.fragment = Some("/srv/hunter2/web.service".to_owned());
        "hunter2".clone_into(&mut unit.user);
    });
    let text = recorded(&sim, &strategy("service-restart"));
    assert!(text.contains("\"call\":\"units.get\""));
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn nothing_that_is_there_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    fs::write(&there, "precious").unwrap();
    let link: PathBuf = folder.path().join("link");
    symlink(&there, &link).unwrap();
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    for path in [&there, &link, &dangling] {
        assert!(Recorder::create(path).is_err());
    }
    assert_eq!(fs::read_to_string(&there).unwrap(), "precious");
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_file_that_is_no_recording_is_refused() {
    let text = recorded(&leftover(), &strategy("port-conflict"));
    assert!(matches!(
        Recording::parse(""),
        Err(RecordingError::NotARecording)
    ));
    assert!(matches!(
        Recording::parse("[expect]"),
        Err(RecordingError::NotARecording)
    ));
    let newer = text.replacen("\"recording\":1", "\"recording\":2", 1);
    assert!(matches!(
        Recording::parse(&newer),
        Err(RecordingError::Version(2))
    ));
    let broken = text.replacen("\"begins\"", "\"begun\"", 1);
    assert!(matches!(
        Recording::parse(&broken),
        Err(RecordingError::Line { line: 2, .. })
    ));
    let orphan = text.replacen("{\"run\":1,\"call\"", "{\"run\":9,\"call\"", 1);
    assert!(matches!(
        Recording::parse(&orphan),
        Err(RecordingError::NoSuchRun { line: 3, run: 9 })
    ));
    // Cut off in its last line: all before it counts.
    let cut = Recording::parse(text.trim_end().trim_end_matches('}')).unwrap();
    assert_eq!(cut.runs[1].ended, None);
    assert_eq!(cut.runs[1].calls.len(), 7);
}

#[test]
fn a_wait_stands_there_as_the_strategy_asked_for_it() {
    let strategy = strategy("service-restart");
    let sim = Sim::new("web.service")
        .failed("signal")
        .setting("timeout", "1h")
        .start_takes(Duration::from_secs(1));
    let recording = Recording::parse(&recorded(&sim, &strategy)).unwrap();
    let heal = &recording.runs[1];
    let wait = heal
        .calls
        .iter()
        .find(|entry| entry.call == "job.wait")
        .unwrap();
    assert_eq!(wait.to_string(), "job.wait(job: 1, timeout: 3600000)");
    assert!(replay(&strategy, heal, Arc::new(NoLines)).is_same_as(heal));
}
