//! What the daemon costs while nothing happens, with 100 services in its care,
//! and what it has grown to after some incidents.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context, Result, ensure};
use prunella_machine::{Builder, Machine, TIMEOUT};
use serde_json::Value;

use super::{
    figures::{Figure, Samples, Target},
    scene::{PRUNELLA, Scene},
};

const SERVICES: usize = 100;

/// What services run that do nothing.
pub(super) const AT_REST: &str = "/usr/bin/sleep infinity";

pub(super) const DAEMON: &str = "prunella.service";

/// What a daemon remembers.
const STATE: &str = "/var/lib/prunella";

const MAIN: &str = "/etc/prunella/prunella.toml";

/// A tenth of all services fails at once, however many they are.
const BUDGET: &str = "[host-budget]\nhealings = 1000\n";

/// What measuring services costs has figures of its own (`sampling`).
const OFF: &str = "off";

/// The unit's `WatchdogSec=`, in seconds.
const WATCHDOG_SEC: u64 = 30;

/// One after the other; then all at once.
const INCIDENTS: usize = 20;

/// `WatchdogSec=30`, and a sign of life at half of it: 4 in 60 s, and one more
/// if the span happens to have five ends.
const WATCHDOG: f64 = 5.5;

/// What a start or an incident leaves behind is over by then.
const SETTLE: &str = "12";

pub(crate) fn measure(prunella: &Path, victim: &Path, seconds: u64) -> Result<Vec<Figure>> {
    let care = Care::begin(prunella, victim, SERVICES)?;
    let fsync = care.fsync;
    let mut figures = Vec::new();

    let start = care.look(seconds)?;
    figures.extend(memory("after its start", &start, fsync)?);
    figures.push(wake_ups("after its start", seconds, &start, fsync)?);

    for number in 0..INCIDENTS {
        kill(&care.scene.machine, &[name(number)])?;
    }
    let when = format!("after {INCIDENTS} incidents");
    let after = care.look(seconds)?;
    figures.extend(memory(&when, &after, fsync)?);
    figures.push(wake_ups(&when, seconds, &after, fsync)?);

    care.kill_first(SERVICES)?;
    // Once the watchdog's next sign of life has come and gone.
    let after = care.look(WATCHDOG_SEC)?;
    figures.extend(memory("after 100 at once", &after, fsync)?);
    figures.push(Figure {
        what: "daemon's peak, 100 at once".to_owned(),
        ..rss("", &after, "peak_kib", Target::None, fsync)?
    });
    Ok(figures)
}

/// What [`MAIN`] says, with services and host measured this often.
fn configuration(interval: &str) -> String {
    format!("{BUDGET}\n[metrics]\ninterval = \"{interval}\"\n")
}

/// A machine with a daemon, and services in its care that do nothing.
pub(super) struct Care {
    scene: Scene,
    /// The median of an fsync where the store is, in ms.
    pub(super) fsync: f64,
}

impl Care {
    pub(super) fn begin(prunella: &Path, victim: &Path, services: usize) -> Result<Self> {
        let programs = (prunella, victim);
        Self::begin_in(Machine::builder(), programs, AT_REST, services, |_| {
            String::new()
        })
    }

    /// The same in a machine that has more, with services that run this; `declared` is what
    /// else the file of a service says.
    pub(super) fn begin_in(
        mut machine: Builder,
        (prunella, victim): (&Path, &Path),
        runs: &str,
        services: usize,
        declared: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let unit = format!("[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nExecStart={runs}\n");
        for number in 0..services {
            let more = declared(number);
            let name = name(number);
            machine = machine.unit(&name, &unit).enabled(&name).file(
                format!("/etc/prunella/services.d/{name}.toml"),
                format!("unit = \"{name}\"\n\n[proof]\nstable-for = \"500ms\"\n{more}"),
                0o644,
            );
        }
        machine = machine.file(MAIN, configuration(OFF), 0o644);
        let scene = Scene::boot(machine, prunella, victim)?;
        scene
            .machine
            .run_ok(&[PRUNELLA, "setup", "--without-hooks"])?;
        scene.machine.wait_active(DAEMON, TIMEOUT)?;
        let fsync = Samples::new(scene.fsync()?).median();
        Ok(Self { scene, fsync })
    }

    /// Has services and host measured from now on, every so many seconds.
    pub(super) fn measure_every(&self, seconds: u64) -> Result<()> {
        let machine = &self.scene.machine;
        machine.write_file(MAIN, configuration(&format!("{seconds}s")), 0o644)?;
        machine.systemctl(&["reload", DAEMON])?;
        Ok(())
    }

    /// The daemon's memory, its processor time, and how often it wakes up.
    pub(super) fn look(&self, seconds: u64) -> Result<Value> {
        let seen = self.look_at(&[DAEMON], seconds)?.pop();
        seen.context("nothing was measured")
    }

    /// Has another build's daemon run instead, which begins with nothing known.
    pub(super) fn replace_daemon(&self, program: &str) -> Result<()> {
        let machine = self.machine();
        machine.systemctl(&["stop", DAEMON])?;
        machine.run_ok(&["rm", "-rf", STATE])?;
        machine.write_file(MAIN, configuration(OFF), 0o644)?;
        machine.run_ok(&[program, "setup", "--without-hooks"])?;
        machine.systemctl(&["restart", DAEMON])?;
        machine.wait_active(DAEMON, TIMEOUT)?;
        Ok(())
    }

    /// The same of the main processes of these units, all in the same span.
    pub(super) fn look_at(&self, units: &[&str], seconds: u64) -> Result<Vec<Value>> {
        let mut words = vec!["idle".to_owned(), SETTLE.to_owned(), seconds.to_string()];
        for unit in units {
            words.push(self.machine().property(unit, "MainPID")?);
        }
        self.scene.inside(&words)
    }

    pub(super) fn machine(&self) -> &Machine {
        &self.scene.machine
    }

    /// The daemon's processor time since it began, in ms.
    pub(super) fn spent(&self) -> Result<f64> {
        number(&self.ask(&["spent", &self.pid()?])?, "cpu_ms")
    }

    /// Kills so many services at once, and waits until they are up anew.
    pub(super) fn kill_first(&self, services: usize) -> Result<()> {
        let names: Vec<String> = (0..services).map(name).collect();
        kill(&self.scene.machine, &names)
    }

    fn pid(&self) -> Result<String> {
        self.scene.machine.property(DAEMON, "MainPID")
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.scene
            .inside(&words)?
            .pop()
            .context("nothing was measured")
    }
}

pub(super) fn name(number: usize) -> String {
    format!("care-{number}.service")
}

/// Kills services, and waits until they are up anew.
fn kill(machine: &Machine, units: &[String]) -> Result<()> {
    let with_units = |words: &[&'static str]| -> Vec<String> {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(units.iter().cloned()).collect()
    };
    let ask = |words: &[&'static str]| -> Result<Vec<String>> {
        let words = with_units(words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = machine.systemctl(&words)?;
        Ok(said.split_whitespace().map(str::to_owned).collect())
    };
    let runs = || ask(&["show", "--value", "--property=InvocationID", "--"]);
    let before = runs()?;
    ensure!(before.len() == units.len(), "not all of {units:?} run");
    ask(&["kill", "--signal=KILL"])?;
    machine.wait_for("the killed services to be back", TIMEOUT * 3, || {
        let now = runs()?;
        let anew = now.len() == before.len() && now.iter().all(|run| !before.contains(run));
        let states = ask(&["show", "--value", "--property=ActiveState", "--"])?;
        Ok((anew && states.iter().all(|state| state == "active")).then_some(()))
    })
}

fn memory(when: &str, look: &Value, fsync: f64) -> Result<Vec<Figure>> {
    Ok(vec![
        rss(
            &format!("daemon's RSS, {SERVICES} services, {when}"),
            look,
            "rss_kib",
            Target::Below(25.0),
            fsync,
        )?,
        rss(
            "  of it its own (anonymous)",
            look,
            "anon_kib",
            Target::None,
            fsync,
        )?,
        rss("  PSS", look, "pss_kib", Target::None, fsync)?,
    ])
}

fn rss(what: &str, look: &Value, key: &str, target: Target, fsync: f64) -> Result<Figure> {
    figure(what, "MB", megabytes(look, key)?, target, fsync)
}

/// One of the numbers that [`Care::look`] has found.
pub(super) fn number(look: &Value, key: &str) -> Result<f64> {
    let number = look.get(key).and_then(Value::as_f64);
    number.with_context(|| format!("there is no {key}"))
}

/// One that is in KiB, in MB of 1,000,000 bytes.
pub(super) fn megabytes(look: &Value, key: &str) -> Result<f64> {
    Ok(number(look, key)? * 1024.0 / 1e6)
}

/// A figure that was measured once, where an fsync takes so many ms.
pub(super) fn figure(
    what: &str,
    unit: &'static str,
    value: f64,
    target: Target,
    fsync: f64,
) -> Result<Figure> {
    Ok(Figure {
        what: what.to_owned(),
        unit,
        ours: Samples::new(vec![value]),
        target,
        peer: None,
        fsync: Some(fsync),
        load: super::load()?,
    })
}

fn wake_ups(when: &str, seconds: u64, look: &Value, fsync: f64) -> Result<Figure> {
    let threads = look.get("woken").and_then(Value::as_array);
    let threads = threads.context("no threads were seen")?;
    let mut all = 0.0;
    let mut by_name = String::new();
    for thread in threads {
        let name = thread.get("thread").and_then(Value::as_str).unwrap_or("?");
        let times = thread.get("times").and_then(Value::as_f64).unwrap_or(0.0);
        all += times;
        write!(by_name, " {name} {times}")?;
    }
    println!("    wake-ups in {seconds} s {when}:{by_name}");
    let what = format!("daemon's wake-ups in {seconds} s, {when}");
    figure(&what, "times", all, Target::Below(WATCHDOG), fsync)
}
