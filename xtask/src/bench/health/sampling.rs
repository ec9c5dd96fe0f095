//! What measuring 1,000 services every ten seconds costs, beside monit, which looks at as many
//! processes as often, and Prometheus' node exporter, which is asked as often for the state of
//! as many units.

use std::{fmt::Write as _, path::Path, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use prunella_machine::{Builder, Machine, TIMEOUT};
use serde_json::Value;

use super::{
    super::{
        figures::{Figure, Samples, Target},
        idle::{AT_REST, Care, figure, megabytes, name, number},
        scene::XTASK,
    },
    peers::Peers,
};

const SERVICES: usize = 1_000;

/// How often each is measured, in seconds.
const EVERY: u64 = 10;

/// What services run that do something between any two samples: two processes each.
const BUSY: &str = "/bin/sh -c 'while sleep 9; do :; done'";

/// What it may take of one processor, in percent.
const CPU: f64 = 1.0;

/// By how much the daemon may be larger for it, in MB.
const MORE_MEMORY: f64 = 15.0;

/// What comes once is over by then: each series gets its number with the first minute.
const FIRST_MINUTE: Duration = Duration::from_secs(70);

const EXPORTER_PORT: &str = "9100";

/// As the fault benchmark has it, but for the pace, and that nobody is told.
const MONIT: &str = "\
set daemon 10
set log syslog
set pidfile /run/monit.pid
set idfile /run/monit.id
set statefile /run/monit.state
";

pub(super) fn measure(
    prunella: &Path,
    victim: &Path,
    peers: &Peers,
    seconds: u64,
) -> Result<Vec<Figure>> {
    let machine = furnish(peers.show_in(Machine::builder()), peers);
    let programs = (prunella, victim);
    let care = Care::begin_in(machine, programs, AT_REST, SERVICES, |_| String::new())?;
    let fsync = care.fsync;
    peers.settle_in(care.machine())?;
    let (used, more) = cost(&care, seconds)?;
    care.machine().systemctl(&["stop", "prunella.service"])?;

    let mut cpu = figure(
        &format!("measuring {SERVICES} services at rest, of one processor"),
        "%",
        used,
        Target::Below(CPU),
        fsync,
    )?;
    let mut memory = figure(
        &format!("more RSS for measuring {SERVICES} services"),
        "MB",
        more,
        Target::Below(MORE_MEMORY),
        fsync,
    )?;
    let mut figures = Vec::new();
    if peers.monit.is_some() {
        let seen = monit(&care, seconds)?;
        let peer = |value| Some(("monit".to_owned(), Samples::new(vec![value])));
        cpu.peer = peer(share(&seen, "cpu_ms", seconds)?);
        memory.peer = peer(megabytes(&seen, "rss_kib")?);
    }
    if peers.exporter.is_some() {
        let seen = exporter(&care, seconds)?;
        let peer = |value| {
            let name = "node exporter, units' states alone";
            Some((name.to_owned(), Samples::new(vec![value])))
        };
        figures.push(Figure {
            peer: peer(share(&seen, "cpu_ms", seconds)?),
            target: Target::None,
            ..cpu.clone()
        });
        figures.push(Figure {
            peer: peer(megabytes(&seen, "rss_kib")?),
            target: Target::None,
            ..memory.clone()
        });
    }
    figures.splice(0..0, [cpu, memory]);
    drop(care);
    let care = Care::begin_in(Machine::builder(), programs, BUSY, SERVICES, |_| {
        String::new()
    })?;
    let (used, _) = cost(&care, seconds)?;
    figures.push(figure(
        &format!("measuring {SERVICES} services that all do something, of one processor"),
        "%",
        used,
        Target::Below(CPU),
        care.fsync,
    )?);
    Ok(figures)
}

/// What measuring takes of one processor, in percent, and by how many MB the daemon is larger
/// for it.
fn cost(care: &Care, seconds: u64) -> Result<(f64, f64)> {
    let off = care.look(seconds)?;
    care.measure_every(EVERY)?;
    thread::sleep(FIRST_MINUTE);
    let on = care.look(seconds)?;
    let more = megabytes(&on, "rss_kib")? - megabytes(&off, "rss_kib")?;
    Ok((share(&on, "cpu_ms", seconds)?, more))
}

/// What a process has used of one processor, in percent.
pub(super) fn share(look: &Value, key: &str, seconds: u64) -> Result<f64> {
    Ok(number(look, key)? / 10.0 / seconds as f64)
}

fn furnish(mut machine: Builder, peers: &Peers) -> Builder {
    if let Some(monit) = &peers.monit {
        let mut settings = MONIT.to_owned();
        for number in 0..SERVICES {
            let name = name(number);
            let _ = write!(
                settings,
                "check process {name} with pidfile /run/care/{name}\n    \
                 if cpu > 90% for 30 cycles then alert\n    \
                 if memory > 90% for 6 cycles then alert\n    \
                 if children > 1000 for 6 cycles then alert\n"
            );
        }
        let unit = format!("[Service]\nExecStart={monit} -I -c /etc/monitrc\n");
        machine = machine
            // It refuses to read what others may read.
            .file("/etc/monitrc", settings, 0o600)
            .unit("monit.service", &unit);
    }
    if let Some(exporter) = &peers.exporter {
        let unit = format!(
            "[Service]\nExecStart={exporter} --collector.disable-defaults --collector.systemd \
             --collector.systemd.enable-restarts-metrics \
             --web.listen-address=127.0.0.1:{EXPORTER_PORT}\n"
        );
        let scrape = format!(
            "[Service]\nRestart=always\nRestartSec=1\n\
             ExecStart={XTASK} bench --inside scrape {EXPORTER_PORT} /metrics {EVERY}\n"
        );
        machine = machine
            .unit("exporter.service", &unit)
            .unit("scrape.service", &scrape);
    }
    machine
}

fn monit(care: &Care, seconds: u64) -> Result<Value> {
    let machine = care.machine();
    let names: Vec<String> = (0..SERVICES).map(name).collect();
    let mut words = vec!["show", "--value", "--property=MainPID", "--"];
    words.extend(names.iter().map(String::as_str));
    let said = machine.systemctl(&words)?;
    let pids: Vec<&str> = said.split_whitespace().collect();
    ensure!(pids.len() == SERVICES, "not all of the services run");
    for (name, pid) in names.iter().zip(pids) {
        machine.write_file(format!("/run/care/{name}"), format!("{pid}\n"), 0o644)?;
    }
    machine.systemctl(&["start", "monit.service"])?;
    thread::sleep(Duration::from_secs(2 * EVERY));
    let seen = care.look_at("monit.service", seconds)?;
    machine.systemctl(&["stop", "monit.service"])?;
    Ok(seen)
}

fn exporter(care: &Care, seconds: u64) -> Result<Value> {
    let machine = care.machine();
    machine.systemctl(&["start", "exporter.service", "scrape.service"])?;
    let told = machine.wait_for("the exporter to tell of the services", TIMEOUT, || {
        let url = format!("http://127.0.0.1:{EXPORTER_PORT}/metrics");
        let said = machine.run(&["curl", "--silent", &url])?.stdout;
        let last = name(SERVICES - 1);
        Ok(said.contains(&last).then_some(()))
    });
    told.context("see `journalctl -u exporter`")?;
    let seen = care.look_at("exporter.service", seconds)?;
    machine.systemctl(&["stop", "scrape.service", "exporter.service"])?;
    Ok(seen)
}
