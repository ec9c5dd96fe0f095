//! Who holds a port, on a host with 1,000 processes and 5,000 open sockets,
//! against the tools that people use for it, all measured in the same run.
//!
//! `cargo bench -p prunella-linux --bench ports`; as root, so that processes
//! can be put into control groups as systemd would. Prints a table, and appends
//! a JSON line for each row to the file that `PRUNELLA_BENCH_JSON` names.
//! Without `--bench` (as `cargo test --all-targets` runs it) it is small.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run says so by a panic"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Goal, Protocol, UnitStatus},
};
use prunella_linux::{
    cgroup::{Cgroups, Layout},
    ports::HostPorts,
    processes::{Kin, Runs},
    units::Units,
};

/// Set for the processes that hold the sockets: how many each.
const HOLD: &str = "PRUNELLA_BENCH_HOLD";
/// How many processes, and how many sockets each: `10:1,1000:1`.
const SIZES: &str = "PRUNELLA_BENCH_SIZES";
/// Set for those: the control group to move into first.
const GROUP: &str = "PRUNELLA_BENCH_GROUP";

fn main() -> Result<()> {
    if let Ok(sockets) = env::var(HOLD) {
        return hold(sockets.parse()?);
    }
    let full = env::args().any(|argument| argument == "--bench");
    let sizes = match env::var(SIZES) {
        Ok(sizes) => sizes.split(',').map(size).collect::<Result<Vec<_>>>()?,
        Err(_) if full => vec![(1000, 5)],
        Err(_) => vec![(20, 5)],
    };
    let (ours, theirs) = if full { (200, 15) } else { (3, 1) };
    for (processes, each) in sizes {
        let groups = Groups::make(if full { processes.clamp(4, 100) } else { 4 });
        measure(&groups, processes, each, ours, theirs)?;
    }
    Ok(())
}

/// `PROCESSES:SOCKETS-OF-EACH`.
fn size(text: &str) -> Result<(usize, usize)> {
    let (processes, each) = text.split_once(':').context("PROCESSES:SOCKETS")?;
    Ok((processes.parse()?, each.parse()?))
}

fn measure(
    groups: &Groups,
    processes: usize,
    each: usize,
    ours: usize,
    theirs: usize,
) -> Result<()> {
    let mut holders = Vec::new();
    for index in 0..processes {
        holders.push(Holder::start(each, groups.get(index))?);
    }
    // One in the middle: neither the first nor the last that a walk meets.
    let held = holders
        .get(processes / 2)
        .context("no holder was started")?;
    let port = held.port;

    let mut rows = vec![row("prunella: unit and process", ours, || {
        let holders = ask(port)?;
        let found = holders.iter().any(|pid| *pid == held.child.id());
        ensure!(found, "port {port} is held by {holders:?}");
        Ok(())
    })?];
    if groups.paths.is_empty() {
        println!("No control groups could be made here: every search walked over all processes.");
    }
    let number = port.to_string();
    let tools: [(&str, Vec<String>); 4] = [
        (
            "lsof -i :PORT -t",
            vec![
                "lsof".into(),
                "-i".into(),
                format!(":{number}"),
                "-t".into(),
            ],
        ),
        (
            "lsof -nP -iTCP:PORT -sTCP:LISTEN -t",
            [
                "lsof",
                "-nP",
                &format!("-iTCP:{number}"),
                "-sTCP:LISTEN",
                "-t",
            ]
            .map(str::to_owned)
            .into(),
        ),
        (
            "ss -ltnp sport = :PORT",
            ["ss", "-ltnp", "sport", "=", &format!(":{number}")]
                .map(str::to_owned)
                .into(),
        ),
        (
            "fuser PORT/tcp",
            vec!["fuser".into(), format!("{number}/tcp")],
        ),
    ];
    for (name, command) in tools {
        match row(name, theirs, || run(&command, held.child.id())) {
            Ok(row) => rows.push(row),
            Err(error) => println!("{name}: left out, {error:#}"),
        }
    }
    report(&rows, processes, processes * each, groups.layout)
}

struct Row {
    name: &'static str,
    median: Duration,
    fastest: Duration,
}

fn row(name: &'static str, times: usize, mut once: impl FnMut() -> Result<()>) -> Result<Row> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        once()?;
        taken.push(start.elapsed());
    }
    taken.sort_unstable();
    Ok(Row {
        name,
        median: *taken.get(taken.len() / 2).context("nothing was measured")?,
        fastest: *taken.first().context("nothing was measured")?,
    })
}

fn report(rows: &[Row], processes: usize, sockets: usize, layout: Layout) -> Result<()> {
    println!("Who holds a port: {processes} processes, {sockets} sockets, cgroups {layout:?}");
    println!(
        "{:<38} {:>12} {:>12} {:>9}",
        "", "median", "fastest", "times"
    );
    let base = rows
        .first()
        .context("nothing was measured")?
        .median
        .as_secs_f64();
    let mut lines = String::new();
    for row in rows {
        let ratio = row.median.as_secs_f64() / base;
        println!(
            "{:<38} {:>12} {:>12} {ratio:>8.1}x",
            row.name,
            format!("{:.3} ms", row.median.as_secs_f64() * 1e3),
            format!("{:.3} ms", row.fastest.as_secs_f64() * 1e3),
        );
        let line = serde_json::json!({
            "bench": "ports", "case": row.name, "processes": processes, "sockets": sockets,
            "median_ns": row.median.as_nanos(), "fastest_ns": row.fastest.as_nanos(),
            "ratio": ratio,
        });
        lines.push_str(&format!("{line}\n"));
    }
    if let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)?;
        file.write_all(lines.as_bytes())?;
    }
    Ok(())
}

/// As a run of a strategy has it: the control groups are found anew.
fn ask(port: u16) -> Result<Vec<u32>> {
    let kin = Kin::new(
        UnitName::new("prunella-bench-none.service")?,
        Arc::new(Cgroups::detect()),
        Arc::new(NoBus),
        Arc::new(NoJournal),
    );
    let ports = HostPorts::new(Arc::new(kin));
    let deadline = Instant::now() + Duration::from_secs(60);
    let holders = ports.holders(deadline, Protocol::Tcp, port)?;
    Ok(holders
        .iter()
        .filter_map(|holder| Some(holder.process.as_ref()?.info.pid))
        .collect())
}

fn run(command: &[String], pid: u32) -> Result<()> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .context("it cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        said.contains(&pid.to_string()),
        "it did not name process {pid}"
    );
    Ok(())
}

/// A process that listens on some ports until it is dropped.
struct Holder {
    child: Child,
    port: u16,
}

impl Holder {
    fn start(sockets: usize, group: Option<&PathBuf>) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .env(HOLD, sockets.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(group) = group {
            command.env(GROUP, group);
        }
        let mut child = command.spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().context("no pipe")?;
        BufReader::new(said).read_line(&mut line)?;
        let port = line.trim().parse().context("a holder did not start")?;
        Ok(Self { child, port })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a holder does.
fn hold(sockets: usize) -> Result<()> {
    if let Some(group) = env::var_os(GROUP) {
        fs::write(PathBuf::from(group).join("cgroup.procs"), "0")?;
    }
    let mut listeners = Vec::new();
    for _ in 0..sockets {
        listeners.push(TcpListener::bind("127.0.0.1:0")?);
    }
    let Some(first) = listeners.first() else {
        bail!("no socket to hold");
    };
    println!("{}", first.local_addr()?.port());
    // Until whoever started this one ends.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Control groups such as systemd would make for units.
struct Groups {
    layout: Layout,
    slice: PathBuf,
    paths: Vec<PathBuf>,
}

impl Groups {
    fn make(units: usize) -> Self {
        let layout = Cgroups::detect().layout();
        let root = match layout {
            Layout::Unified => "/sys/fs/cgroup",
            Layout::Hybrid => "/sys/fs/cgroup/unified",
            Layout::Legacy => "/sys/fs/cgroup/systemd",
        };
        let slice = PathBuf::from(format!("{root}/prunellabench{}.slice", std::process::id()));
        let paths = (0..units)
            .map(|index| slice.join(format!("prunella-bench-{index}.service")))
            .filter(|path| fs::create_dir_all(path).is_ok())
            .collect();
        Self {
            layout,
            slice,
            paths,
        }
    }

    fn get(&self, index: usize) -> Option<&PathBuf> {
        self.paths.get(index.checked_rem(self.paths.len())?)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = fs::remove_dir(path);
        }
        let _ = fs::remove_dir(&self.slice);
    }
}

/// The search alone is measured, not systemd's answers about units.
struct NoBus;

impl Units for NoBus {
    fn get(&self, _: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let status = serde_json::json!({
            "name": unit, "names": [unit], "description": "", "load_state": "loaded",
            "active_state": "failed", "sub_state": "failed", "kind": null, "result": "success",
            "exit_code": null, "signal": null, "main_pid": null, "restarts": 0,
            "invocation": null, "since": null, "since_monotonic": null,
            "active_exit_monotonic": null, "inactive_enter_monotonic": null,
            "inactive_exit_monotonic": null, "main_exit_monotonic": null,
            "restart_policy": "no", "restart_delay": 0, "start_limit_burst": 0,
            "start_limit_interval": 0, "start_limit_action": "none", "failure_action": "none",
            "success_action": "none", "remain_after_exit": false, "job": null, "requires": [],
            "required_by": [], "conflicts": [], "on_failure": [], "triggered_by": [],
            "triggers": [], "control_group": null, "user": "", "group": "", "fragment": null,
            "needs_reload": false, "private_network": false,
        });
        serde_json::from_value(status).map_err(|error| Failure::failed("bench", error.to_string()))
    }

    fn wait(&self, deadline: Instant, unit: &UnitName, _: Goal, _: Duration) -> Answer<UnitStatus> {
        self.get(deadline, unit)
    }
}

struct NoJournal;

impl Runs for NoJournal {
    fn gave(&self, _: Instant, _: &UnitName, _: &str) -> Answer<bool> {
        Ok(false)
    }
}
