//! How fast a killed service comes back: under Prunella's daemon, under its
//! hook, and under systemd's own ways, in one machine and in turn.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use prunella_machine::{Builder, Machine, TIMEOUT};
use serde_json::Value;

use super::{
    figures::{Figure, Samples, Target},
    scene::{PRUNELLA, Scene, VICTIM, XTASK},
};

/// A service like all others, but for what restarts it.
pub(super) struct Victim {
    pub(super) name: &'static str,
    port: u16,
    unit: &'static str,
    service: &'static str,
}

/// In Prunella's care.
pub(super) const OURS: Victim = Victim {
    name: "ours.service",
    port: 8080,
    unit: "",
    service: "",
};
const RESTART: Victim = Victim {
    name: "restart.service",
    port: 8081,
    unit: "",
    service: "Restart=on-failure",
};
const RESTART_AT_ONCE: Victim = Victim {
    name: "restart-at-once.service",
    port: 8082,
    unit: "",
    service: "Restart=on-failure\nRestartSec=0",
};
/// The least that an `OnFailure=` can do.
const PLAIN_HOOK: Victim = Victim {
    name: "plain-hook.service",
    port: 8083,
    unit: "OnFailure=plain-hook-start.service",
    service: "",
};
/// The same in the sandbox that Prunella's own hook has: what systemd needs to
/// set that up lies between the stamp of the start and the program's begin.
const SANDBOXED_HOOK: Victim = Victim {
    name: "sandboxed-hook.service",
    port: 8084,
    unit: "OnFailure=sandboxed-hook-start.service",
    service: "",
};
const HARDENING: &str = include_str!("../../../host/cli/src/units/hardening.conf");

const VICTIMS: [Victim; 5] = [OURS, RESTART, RESTART_AT_ONCE, PLAIN_HOOK, SANDBOXED_HOOK];

/// A budget that lasts, and otherwise what `prunella enable` would begin with.
const CARE: &str = "unit = \"ours.service\"\nports = [\"tcp/8080\"]\n\n\
    [proof]\nstable-for = \"500ms\"\n\n\
    [budget]\nhealings = 1000\nwindow = \"300s\"\nbackoff = [\"0s\"]\n";

/// Longer than the proof takes, so that each kill begins a new incident.
const PAUSE_MS: &str = "1000";

/// The step before the act that heals.
const INTENDED: &str = "act-intended unit-control.start";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Daemon,
    Hook,
}

/// Boots a machine, kills its services `times` times, and says how it went.
pub(crate) fn measure(prunella: &Path, victim: &Path, by: By, times: usize) -> Result<Vec<Figure>> {
    let (scene, kills, fsync) = killed_in_turn(prunella, victim, by, times)?;
    figures(&scene, &kills, by, fsync)
}

/// The machine, what the kills came to, and the median of an fsync in ms.
pub(super) fn killed_in_turn(
    prunella: &Path,
    victim: &Path,
    by: By,
    times: usize,
) -> Result<(Scene, Kills, f64)> {
    let machine = VICTIMS
        .iter()
        .fold(Machine::builder(), |machine, victim| {
            machine
                .unit(victim.name, &unit(victim))
                .enabled(victim.name)
        })
        .unit("plain-hook-start.service", &hook_unit(&PLAIN_HOOK, ""))
        .unit(
            "sandboxed-hook-start.service",
            &hook_unit(&SANDBOXED_HOOK, &HARDENING.replace("@FOLDERS@", "")),
        )
        .file("/etc/prunella/services.d/ours.service.toml", CARE, 0o644)
        .file(
            "/etc/systemd/system/prunella-hook@.service.d/bench.conf",
            format!(
                "[Service]\nExecStart=\nExecStart={XTASK} bench --inside exec {PRUNELLA} hook %i\n"
            ),
            0o644,
        );
    let scene = boot(machine, prunella, victim, by)?;
    let fsync = scene.fsync()?;

    let times = times.to_string();
    let hook = match by {
        By::Daemon => "-",
        By::Hook => "prunella-hook@ours.service.service",
    };
    let mut words = vec!["kill".to_owned(), times, PAUSE_MS.to_owned()];
    for victim in &VICTIMS {
        let hook = match victim.name {
            name if name == OURS.name => hook,
            name if name == PLAIN_HOOK.name => "plain-hook-start.service",
            name if name == SANDBOXED_HOOK.name => "sandboxed-hook-start.service",
            _ => "-",
        };
        words.push(format!("{}:{}:{hook}", victim.name, victim.port));
    }
    let kills = Kills(scene.inside(&words)?);
    let fsync_after = scene.fsync()?;
    let fsync = Samples::new([fsync, fsync_after].concat()).median();
    Ok((scene, kills, fsync))
}

fn unit(victim: &Victim) -> String {
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n{}\n\n[Service]\nType=notify\n{}\n\
         ExecStart={VICTIM} --notify --listen {}\n\n[Install]\nWantedBy=multi-user.target\n",
        victim.unit, victim.service, victim.port
    )
}

/// The shortest hook there is. It stays a while, so that its start can be read.
fn hook_unit(victim: &Victim, sandbox: &str) -> String {
    format!(
        "[Unit]\nStartLimitIntervalSec=0\nCollectMode=inactive-or-failed\n\n\
         [Service]\nType=oneshot\nExecStart=/usr/bin/systemctl start {}\n\
         ExecStartPost=/usr/bin/sleep 0.5\n{sandbox}\n",
        victim.name
    )
}

fn boot(machine: Builder, prunella: &Path, victim: &Path, by: By) -> Result<Scene> {
    let scene = Scene::boot(machine, prunella, victim)?;
    scene.machine.run_ok(&[PRUNELLA, "config", "check"])?;
    match by {
        By::Daemon => {
            scene
                .machine
                .run_ok(&[PRUNELLA, "setup", "--without-hooks"])?;
            scene.machine.wait_active("prunella.service", TIMEOUT)?;
        }
        By::Hook => {
            scene.machine.run_ok(&[PRUNELLA, "setup", "--hook-only"])?;
            scene.machine.run_ok(&[PRUNELLA, "enable", OURS.name])?;
        }
    }
    Ok(scene)
}

/// What the kills came to.
pub(super) struct Kills(Vec<Value>);

impl Kills {
    /// Milliseconds between two moments of a unit's kills.
    pub(super) fn between(&self, unit: &str, from: &str, to: &str) -> Samples {
        let all = self
            .0
            .iter()
            .filter(|kill| kill.get("unit") == Some(&Value::from(unit)));
        let spans = all.filter_map(|kill| {
            let moment = |name: &str| kill.get(name)?.as_f64();
            Some((moment(to)? - moment(from)?) / 1e3)
        });
        Samples::new(spans.collect())
    }

    pub(super) fn load(&self) -> f64 {
        let loads = self.0.iter().filter_map(|kill| kill.get("load")?.as_f64());
        Samples::new(loads.collect()).median()
    }
}

fn figures(scene: &Scene, kills: &Kills, by: By, fsync: f64) -> Result<Vec<Figure>> {
    let intended = intentions(scene)?;
    let figure =
        |what: &str, ours: Samples, target: Target, peer: Option<(&str, Samples)>| Figure {
            what: what.to_owned(),
            unit: "ms",
            ours,
            target,
            peer: peer.map(|(name, samples)| (name.to_owned(), samples)),
            fsync: Some(fsync),
            load: kills.load(),
        };
    let answers = |unit| kills.between(unit, "killed", "answered");
    let who = match by {
        By::Daemon => "daemon",
        By::Hook => "hook",
    };
    let mut figures = vec![match by {
        By::Daemon => figure(
            "daemon: unit failed → StartUnit call",
            kills.between(OURS.name, "failed", "asked"),
            Target::Below(5.0),
            None,
        ),
        By::Hook => figure(
            "hook: its exec → StartUnit call",
            kills.between(OURS.name, "hook_exec", "asked"),
            Target::Below(15.0),
            None,
        ),
    }];
    figures.push(match by {
        By::Daemon => figure(
            "daemon: unit failed → systemd starts it",
            kills.between(OURS.name, "failed", "started"),
            Target::None,
            Some((
                "OnFailure= with systemctl start",
                kills.between(PLAIN_HOOK.name, "failed", "started"),
            )),
        ),
        By::Hook => figure(
            "hook: its fork → systemd starts the unit",
            kills.between(OURS.name, "hook_forked", "started"),
            Target::None,
            Some((
                "systemctl start, same sandbox",
                kills.between(SANDBOXED_HOOK.name, "hook_forked", "started"),
            )),
        ),
    });
    figures.push(figure(
        &format!("{who}: unit failed → act written down"),
        intended,
        Target::None,
        None,
    ));
    for (peer, name, target) in [
        (&RESTART, "Restart=on-failure", Target::BelowPeer),
        (
            &RESTART_AT_ONCE,
            "Restart=on-failure, RestartSec=0",
            Target::None,
        ),
        (&PLAIN_HOOK, "OnFailure= with systemctl start", Target::None),
        (&SANDBOXED_HOOK, "the same, sandboxed", Target::None),
    ] {
        figures.push(figure(
            &format!("{who}: killed → answers again"),
            answers(OURS.name),
            if by == By::Daemon {
                target
            } else {
                Target::None
            },
            Some((name, answers(peer.name))),
        ));
    }
    Ok(figures)
}

/// From the failure to the moment before the intention went to the disk, as
/// the incidents' own trails have it. Shows where the time went before.
fn intentions(scene: &Scene) -> Result<Samples> {
    let list = scene
        .machine
        .run_ok(&[PRUNELLA, "incidents", "--json", "--limit", "1000"])?;
    let mut way: Vec<(String, Vec<f64>)> = Vec::new();
    for line in list.lines() {
        let incident: Value = serde_json::from_str(line)?;
        let id = incident
            .get("id")
            .and_then(Value::as_str)
            .context("an incident without an id")?;
        let ended = incident.get("ended").and_then(Value::as_str);
        ensure!(ended == Some("healed"), "{id} ended as {ended:?}: {line}");
        let record = scene
            .machine
            .run_ok(&[PRUNELLA, "incidents", id, "--json"])?;
        let record: Value = serde_json::from_str(&record)?;
        let failed = record
            .pointer("/incident/detection/failed_monotonic")
            .and_then(Value::as_f64)
            .context("a failure without a time")?;
        let steps = record.get("steps").and_then(Value::as_array);
        for entry in steps.into_iter().flatten() {
            let text = |path| entry.pointer(path).and_then(Value::as_str);
            let moment = entry.get("monotonic").and_then(Value::as_f64);
            let (Some(step), Some(moment)) = (text("/step/step"), moment) else {
                continue;
            };
            let name = match text("/step/strategy") {
                Some(strategy) if step == "assessed" => format!("{step} {strategy}"),
                _ => match (text("/step/act"), entry.pointer("/step/action")) {
                    (Some(act), _) => format!("{step} {act}"),
                    (None, Some(action)) => format!("{step} {action}"),
                    (None, None) => step.to_owned(),
                },
            };
            let span = (moment - failed) / 1e3;
            match way.iter_mut().find(|(known, _)| *known == name) {
                Some((_, spans)) => spans.push(span),
                None => way.push((name, vec![span])),
            }
        }
    }
    println!("    the way, as the trails have it (medians, ms after the failure):");
    for (name, spans) in &way {
        println!("    {:>8.2}  {name}", Samples::new(spans.clone()).median());
    }
    let intended = way.into_iter().find(|(name, _)| name == INTENDED);
    let (_, spans) = intended.context("nothing was done")?;
    Ok(Samples::new(spans))
}
