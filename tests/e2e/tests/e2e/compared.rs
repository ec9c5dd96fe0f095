//! The simulated host held against a real one: the same failure on both, the same
//! strategies, and the same calls with the answers that matter.
//!
//! What was asked and answered on the real machine is recorded by `prunella heal
//! --record`; on the simulated host by the same recorder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{collections::BTreeMap, sync::Arc};

use prunella_bundle::builtin;
use prunella_core::{policy::Limits, policy::builtin_grants, service::FileRole};
use prunella_e2e::{Builder, Scene, TIMEOUT, victim};
use prunella_engine::{Call, Engine, EngineSettings, NoLines, RunContext, Strategy};
use prunella_recording::{Ended, Entry, Recorder, Recording, replay};
use prunella_simulation::{File, Process, Sim, Unit};
use serde_json::{Value, json};

const RECORDING: &str = "/root/recording.jsonl";

/// Heals `web.service` on the machine, and gives what the strategies asked.
fn really(scene: &Scene) -> Recording {
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    scene.prunella(&["heal", "web.service", "--record", RECORDING]);
    let mode = scene.run_ok(&["stat", "-c", "%a %U", RECORDING]).unwrap();
    assert_eq!(mode, "600 root\n");
    Recording::parse(&scene.read_file(RECORDING).unwrap()).unwrap()
}

fn strategy(name: &str) -> Strategy {
    let source = builtin(name).unwrap().wasm;
    Engine::new(EngineSettings::default())
        .unwrap()
        .load(
            &name.parse().unwrap(),
            source,
            &builtin_grants(name).unwrap(),
        )
        .unwrap()
}

/// Has the same strategies do the same on the simulated host. Each has the grants
/// that it comes with, unless the host says otherwise.
fn simulated(sim: &Sim, real: &Recording, granted: bool) -> Recording {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.jsonl");
    let recorder = Recorder::create(&file).unwrap();
    for run in &real.runs {
        let begun = &run.begun;
        let strategy = strategy(begun.strategy.as_str());
        if granted {
            let grants = builtin_grants(begun.strategy.as_str()).unwrap();
            drop(sim.clone().with_grants(grants));
        }
        sim.begin_run(begun.limits.deadline);
        let context = RunContext {
            host: sim.guarded(&begun.strategy),
            incident: sim.incident(),
            service: sim.service(),
            dry_run: false,
            limits: Limits::default(),
            settings: begun.settings.clone(),
            lines: Arc::new(NoLines),
        };
        let (context, recording) = recorder.begin(begun.call, &strategy, context);
        match begun.call {
            Call::Heal => recording.healed(&strategy.heal(context).result),
            _ => recording.assessed(&strategy.assess(context).result),
        }
    }
    Recording::parse(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// By strategy and call: what was asked and answered, and how it ended.
type Seen = BTreeMap<String, Vec<String>>;

fn seen(recording: &Recording) -> Seen {
    recording
        .runs
        .iter()
        .map(|run| {
            let begun = &run.begun;
            let mut lines: Vec<String> = run.calls.iter().map(line).collect();
            lines.push(ended(run.ended.as_ref().expect("the run has an end")));
            (format!("{} of {}", begun.call, begun.strategy), lines)
        })
        .collect()
}

/// A call and what of its answer a strategy decides by. Numbers of processes,
/// names of runs and moments are never twice the same.
fn line(entry: &Entry) -> String {
    let answer = match (&entry.failed, entry.call.as_str(), &entry.gave) {
        (Some(failure), ..) => format!("{:?}", failure.code),
        (None, "units.get" | "units.wait", Some(unit)) => of(
            unit,
            &[
                "name",
                "load_state",
                "active_state",
                "sub_state",
                "result",
                "signal",
                "restarts",
            ],
        ),
        (None, "ports.holders", Some(holders)) => holders
            .as_array()
            .unwrap()
            .iter()
            .map(|holder| {
                let process = holder.get("process").unwrap();
                of(process, &["ownership", "unit", "user"])
                    + &of(holder, &["unit", "socket_activated"])
            })
            .collect(),
        (None, "files.stat", Some(file)) => of(
            file,
            &[
                "kind",
                "mode",
                "owner",
                "link_target",
                "deviations",
                "repairable",
                "readable",
            ],
        ),
        (None, "probes.ask", Some(answer)) => of(answer, &["healthy"]),
        (None, _, gave) => format!("{gave:?}"),
    };
    format!("{entry} -> {answer}")
}

fn of(thing: &Value, fields: &[&str]) -> String {
    let chosen: serde_json::Map<String, Value> = fields
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), thing.get(field)?.clone())))
        .collect();
    json!(chosen).to_string()
}

/// How it ended, without its words: those name processes.
fn ended(ended: &Ended) -> String {
    let words = ended.to_string();
    words.split(':').next().unwrap_or_default().to_owned()
}

#[track_caller]
fn compare(real: &Recording, sim: &Recording) {
    // What was recorded can be played: the same component does the same on it.
    for run in &real.runs {
        let strategy = strategy(run.begun.strategy.as_str());
        let replayed = replay(&strategy, run, Arc::new(NoLines));
        assert!(replayed.is_same_as(run), "{run:#?} {replayed:#?}");
    }
    let (real, sim) = (seen(real), seen(sim));
    assert!(!real.is_empty(), "some strategy was asked");
    for (run, asked) in &real {
        assert_eq!(Some(asked), sim.get(run), "{run}: really, and simulated");
    }
    assert_eq!(real.len(), sim.len());
}

/// The healings of a recording: `heal of NAME`, and how it ended.
fn healings(recording: &Recording) -> Vec<String> {
    recording
        .runs
        .iter()
        .filter(|run| run.begun.call == Call::Heal)
        .map(|run| {
            format!(
                "{} {}",
                run.begun.strategy,
                ended(run.ended.as_ref().unwrap())
            )
        })
        .collect()
}

const PORT: &str = r#"ports = ["tcp/8080"]"#;

fn web(service: &str, options: &str, declared: &str) -> Builder {
    Scene::builder().service("web.service", &victim(service, options), declared)
}

#[test]
fn a_crash() {
    let scene = web("", "--listen 8080", PORT).without_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let real = really(&scene);
    assert_eq!(healings(&real), ["service-restart healed"]);
    let sim = Sim::new("web.service").failed("signal").port("tcp/8080");
    compare(&real, &simulated(&sim, &real, true));
    assert_eq!(sim.acts(), ["start web.service"]);
}

#[test]
fn a_port_held_by_a_leftover() {
    let scene = web("KillMode=process", "--listen 8080 --leave-child", PORT).without_daemon();
    scene.start(&["web.service"]);
    let main = scene.main_pid("web.service").to_string();
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();
    let real = really(&scene);
    assert_eq!(healings(&real), ["port-conflict healed"]);
    // Its child is still in the unit's control group.
    let child = Process::own("/opt/test/victim")
        .of_unit("web.service")
        .ignoring_term();
    let sim = Sim::new("web.service")
        .failed("signal")
        .port("tcp/8080")
        .taken("tcp/8080", child);
    compare(&real, &simulated(&sim, &real, true));
    assert_eq!(
        sim.acts(),
        ["terminate /opt/test/victim", "start web.service"]
    );
}

#[test]
fn a_port_held_by_a_stranger() {
    let scene = web("", "--listen 8080", PORT)
        .unit("stranger.service", &victim("", "--listen 8080"))
        .without_daemon();
    scene.start(&["stranger.service"]);
    scene.try_systemctl(&["start", "web.service"]).unwrap();
    let real = really(&scene);
    assert_eq!(healings(&real), [""; 0], "nobody acts");
    let stranger = Process::stranger("/opt/test/victim").of_unit("stranger.service");
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .port("tcp/8080")
        .unit_beside(Unit::new("stranger.service"))
        .taken("tcp/8080", stranger);
    compare(&real, &simulated(&sim, &real, true));
    assert_eq!(sim.acts(), [""; 0]);
}

#[test]
fn a_missing_link() {
    let scene = web(
        "",
        "--read /opt/current",
        "[[file]]\nname = \"database\"\npath = \"/opt/current\"\nrole = \"symlink\"\n\
         target = \"/opt/releases/1/app.db\"\n",
    )
    .file("/opt/releases/1/app.db", "data", 0o644)
    .without_daemon();
    scene.try_systemctl(&["start", "web.service"]).unwrap();
    let real = really(&scene);
    assert_eq!(healings(&real), ["environment-check healed"]);
    let link = File::new(FileRole::Symlink).target(None, "/opt/releases/1/app.db");
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .file("database", link)
        .starts_when("no link", |host| host.is_as_declared("database"));
    compare(&real, &simulated(&sim, &real, true));
    assert_eq!(
        sim.acts(),
        ["repair target of database", "start web.service"]
    );
}

#[test]
fn a_wrong_mode() {
    let scene = web(
        "User=www-data",
        "--read /opt/data/app.db",
        "[[file]]\nname = \"database\"\npath = \"/opt/data/app.db\"\nmode = \"0644\"\n",
    )
    .file("/opt/data/app.db", "data", 0o600)
    .without_daemon();
    scene.try_systemctl(&["start", "web.service"]).unwrap();
    let real = really(&scene);
    assert_eq!(healings(&real), ["environment-check healed"]);
    let file = File::plain().mode(0o600, 0o644).unreadable();
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .file("database", file)
        .starts_when("cannot read it", |host| host.is_as_declared("database"));
    compare(&real, &simulated(&sim, &real, true));
    assert_eq!(sim.acts(), ["repair mode of database", "start web.service"]);
}

#[test]
fn an_act_that_is_denied() {
    let scene = web("", "", "strategies = [\"service-restart\"]")
        .file(
            "/etc/prunella/prunella.toml",
            "[[strategy.service-restart.allow]]\nact = \"unit-control.restart\"\n",
            0o644,
        )
        .without_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let real = really(&scene);
    assert_eq!(healings(&real), ["service-restart gave up"]);
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
    let sim = Sim::new("web.service")
        .failed("signal")
        .granting("unit-control.restart");
    compare(&real, &simulated(&sim, &real, false));
    assert_eq!(sim.acts(), [""; 0]);
    assert_eq!(
        sim.denied(),
        ["unit-control.start of web.service: not-granted"]
    );
}

#[test]
fn a_dry_run_is_recorded_too_and_nothing_is_written_over() {
    let scene = web("", "--listen 8080", PORT).without_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    scene
        .write_file("/root/precious", "precious", 0o600)
        .unwrap();
    scene
        .run_ok(&["ln", "-s", "/root/precious", "/root/link"])
        .unwrap();
    for there in ["/root/precious", "/root/link"] {
        let refused = scene.prunella(&["heal", "web.service", "--dry-run", "--record", there]);
        assert!(!refused.success(), "{refused:?}");
    }
    assert_eq!(scene.read_file("/root/precious").unwrap(), "precious");

    scene.prunella_ok(&["heal", "web.service", "--dry-run", "--record", RECORDING]);
    let recording = Recording::parse(&scene.read_file(RECORDING).unwrap()).unwrap();
    assert_eq!(healings(&recording), ["service-restart healed"]);
    assert!(recording.runs.iter().all(|run| run.begun.dry_run));
    let state = scene.property("web.service", "ActiveState").unwrap();
    assert_eq!(state, "failed", "nothing was carried out");
}

#[test]
fn an_escalated_incident_can_be_recorded_beside_the_daemon() {
    const CONFIG: &str = "/etc/prunella/prunella.toml";
    let scene = web("", "", "strategies = [\"service-restart\"]")
        .file(
            CONFIG,
            "[[strategy.service-restart.allow]]\nact = \"unit-control.restart\"\n",
            0o644,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_ended("web.service", "escalated");

    // The daemon has not read this; whoever heals by hand does.
    scene.write_file(CONFIG, "", 0o644).unwrap();
    let healed = scene.prunella(&["heal", "web.service", "--record", RECORDING]);
    assert!(healed.success(), "{healed:?}");
    let recording = Recording::parse(&scene.read_file(RECORDING).unwrap()).unwrap();
    assert_eq!(healings(&recording), ["service-restart healed"]);
    scene.wait_active("web.service", TIMEOUT).unwrap();
}
