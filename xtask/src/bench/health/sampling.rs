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
        idle::{AT_REST, Care, DAEMON, figure, megabytes, name, number},
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

/// What another build of Prunella is called.
pub(super) const OTHER_BUILD: &str = "the other build";

/// Where it is.
const BESIDE: &str = "/opt/prunella/beside";

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
    (prunella, beside): (&Path, Option<&Path>),
    victim: &Path,
    peers: &Peers,
    seconds: u64,
) -> Result<Vec<Figure>> {
    let programs = (prunella, victim);
    let mut figures = Vec::new();
    for (runs, what) in [(AT_REST, "at rest"), (BUSY, "that all do something")] {
        let mut machine = Machine::builder();
        if let Some(beside) = beside {
            machine = machine.bind_ro(beside, BESIDE);
        }
        let with_peers = runs == AT_REST;
        if with_peers {
            machine = furnish(peers.show_in(machine), peers);
        }
        let care = Care::begin_in(machine, programs, runs, SERVICES, |_| String::new())?;
        let peers = if with_peers {
            peers.settle_in(care.machine())?;
            begin(&care, peers)?
        } else {
            Vec::new()
        };
        let cost = Cost::measure(&care, &peers, seconds)?;
        let other = match beside {
            Some(_) => {
                care.replace_daemon(BESIDE)?;
                Some(Cost::measure(&care, &[], seconds)?)
            }
            None => None,
        };
        figures.extend(cost.figures(what, other.as_ref(), care.fsync)?);
    }
    Ok(figures)
}

/// What measuring costs.
struct Cost {
    /// Of one processor, in percent.
    used: f64,
    /// By how many MB the daemon is larger for it, and how large it is then.
    more: f64,
    all: f64,
    /// What others, by their names, use and have, meanwhile.
    peers: Vec<(&'static str, f64, f64)>,
}

impl Cost {
    fn measure(care: &Care, peers: &[Peer], seconds: u64) -> Result<Self> {
        let off = care.look(1)?;
        care.measure_every(EVERY)?;
        thread::sleep(FIRST_MINUTE);
        let mut units = vec![DAEMON];
        units.extend(peers.iter().map(|(unit, _)| *unit));
        let seen = care.look_at(&units, seconds)?;
        let on = seen.first().context("nothing was measured")?;
        let all = megabytes(on, "rss_kib")?;
        let peers = peers
            .iter()
            .zip(seen.iter().skip(1))
            .map(|((_, name), seen)| {
                let used = share(seen, "cpu_ms", seconds)?;
                Ok((*name, used, megabytes(seen, "rss_kib")?))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            used: share(on, "cpu_ms", seconds)?,
            more: all - megabytes(&off, "rss_kib")?,
            all,
            peers,
        })
    }

    fn figures(&self, what: &str, beside: Option<&Self>, fsync: f64) -> Result<Vec<Figure>> {
        let cpu = figure(
            &format!("measuring {SERVICES} services {what}, of one processor"),
            "%",
            self.used,
            Target::Below(CPU),
            fsync,
        )?;
        let memory = figure(
            "  more RSS for it",
            "MB",
            self.more,
            Target::Below(MORE_MEMORY),
            fsync,
        )?;
        let all = figure("  RSS with it", "MB", self.all, Target::None, fsync)?;
        let mut figures = vec![cpu.clone(), memory.clone(), all.clone()];
        let mut compare = |ours: &Figure, name: &str, value| {
            figures.push(Figure {
                peer: Some((name.to_owned(), Samples::new(vec![value]))),
                target: Target::None,
                ..ours.clone()
            });
        };
        if let Some(other) = beside {
            let values = [(&cpu, other.used), (&memory, other.more), (&all, other.all)];
            for (ours, value) in values {
                compare(ours, OTHER_BUILD, value);
            }
        }
        for (name, used, has) in &self.peers {
            compare(&cpu, name, *used);
            // All that they have is for this.
            compare(&memory, name, *has);
        }
        Ok(figures)
    }
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

/// The unit of one that measures the same, and what it is called.
type Peer = (&'static str, &'static str);

/// Has the peers measure from now on: with Prunella and at the same time, so that the machine is
/// as busy for all of them.
fn begin(care: &Care, peers: &Peers) -> Result<Vec<Peer>> {
    let mut begun = Vec::new();
    if peers.monit.is_some() {
        begin_monit(care.machine())?;
        begun.push(("monit.service", "monit"));
    }
    if peers.exporter.is_some() {
        begin_exporter(care.machine())?;
        begun.push(("exporter.service", "node exporter, units' states alone"));
    }
    Ok(begun)
}

fn begin_monit(machine: &Machine) -> Result<()> {
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
    Ok(())
}

fn begin_exporter(machine: &Machine) -> Result<()> {
    machine.systemctl(&["start", "exporter.service", "scrape.service"])?;
    let told = machine.wait_for("the exporter to tell of the services", TIMEOUT, || {
        let url = format!("http://127.0.0.1:{EXPORTER_PORT}/metrics");
        let said = machine.run(&["curl", "--silent", &url])?.stdout;
        let last = name(SERVICES - 1);
        Ok(said.contains(&last).then_some(()))
    });
    told.context("see `journalctl -u exporter`")
}
