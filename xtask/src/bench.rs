//! `cargo xtask bench`: the figures that Prunella has to reach, each beside its
//! peer, measured in the same run.

mod crates;
mod docs;
mod engine;
mod faults;
mod figures;
mod heal;
mod health;
mod idle;
mod inside;
mod scene;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use prunella_machine::{Linking, Profile, program};
use serde_json::json;

use self::{figures::Figure, heal::By};
use crate::{
    setup::{self, Need},
    step::workspace,
};

/// `cargo xtask bench`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    suite: Option<Suite>,

    /// Write the figures as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Only these
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,

    /// How often services are killed
    #[arg(long, value_name = "N", default_value_t = 30)]
    times: usize,

    /// For how many seconds the daemon is watched doing nothing
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u64,

    /// Within the machine: what to measure there
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    inside: Vec<String>,
}

/// Benchmarks that are more than figures to reach.
#[derive(Debug, Subcommand)]
enum Suite {
    /// Faults, and who heals them how fast and how rightly: Prunella and its peers
    Faults(faults::Options),
    /// What Prunella's own parts cost, beside the tools that do the same
    Engine(engine::Options),
    /// What measuring and probing many services costs, beside monit and Prometheus' exporter
    Health(health::Options),
}

/// Groups of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A killed service, under the daemon
    Daemon,
    /// A killed service, under the hook
    Hook,
    /// One run of a strategy
    Strategy,
    /// Who holds a port
    Ports,
    /// A store with a million incidents
    Store,
    /// The anomaly detector
    Anomaly,
    /// The daemon's memory and wake-ups, with nothing measured
    Idle,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.suite {
        Some(Suite::Faults(options)) => return faults::run(options),
        Some(Suite::Engine(options)) => return engine::run(options),
        Some(Suite::Health(options)) => return health::run(options),
        None => {}
    }
    if !options.inside.is_empty() {
        return inside::run(&options.inside);
    }
    set_up()?;
    let wanted: Vec<What> = What::value_variants()
        .iter()
        .copied()
        .filter(|what| options.only.is_empty() || options.only.contains(what))
        .collect();
    eprintln!("\n==> building prunella as it is shipped (linked statically)");
    let prunella = program("prunella", "prunella", Profile::Release, Linking::Static)?;
    // The same for everybody who restarts it.
    let victim = program("prunella-machine", "victim", Profile::Dev, Linking::Static)?;

    let before = load()?;
    let mut figures: Vec<Figure> = Vec::new();
    for what in wanted {
        eprintln!("\n==> measuring: {what:?} (load average {:.1})", load()?);
        figures.extend(match what {
            What::Daemon => heal::measure(&prunella, &victim, By::Daemon, options.times)?,
            What::Hook => heal::measure(&prunella, &victim, By::Hook, options.times)?,
            What::Strategy => crates::strategy()?,
            What::Ports => crates::ports()?,
            What::Store => crates::store()?,
            What::Anomaly => crates::anomaly()?,
            What::Idle => idle::measure(&prunella, &victim, options.seconds)?,
        });
    }
    let host = host()?;
    println!(
        "\n{host}; load average {before:.1} before, {:.1} after",
        load()?
    );
    println!("fsync: the median of 4 KiB appended and synced in the store's folder, meanwhile\n");
    figures::table(&figures);
    if let Some(path) = &options.json {
        let all = json!({
            "host": host,
            "load_before": before,
            "load_after": load()?,
            "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
        });
        fs::write(path, format!("{all:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let missed = figures.iter().filter(|f| f.met() == Some(false)).count();
    if missed > 0 {
        bail!("{missed} targets are not met");
    }
    Ok(())
}

/// What measuring needs: root, and what building needs.
fn set_up() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the figures are measured in throw-away machines, and that needs root: run this as root \
         (for example with `sudo -E`)"
    );
    setup::run(&[Need::Build, Need::Machines, Need::Images])
}

/// The table of figures, and JSON where that is wanted. `before` was the load average.
fn publish(figures: &[Figure], before: f64, json: Option<&Path>) -> Result<()> {
    let (host, after) = (host()?, load()?);
    println!("\n{host}; load average {before:.1} before, {after:.1} after\n");
    figures::table(figures);
    if let Some(path) = json {
        let all = json!({
            "host": host,
            "load_before": before,
            "load_after": after,
            "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
        });
        fs::write(path, format!("{all:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The load average of the last minute.
fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next();
    first
        .and_then(|load| load.parse().ok())
        .context("there is no load average")
}

/// This host, and the disk that the machines' stores are on.
fn host() -> Result<String> {
    let processors = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpu = fs::read_to_string("/proc/cpuinfo")?
        .lines()
        .find_map(|line| {
            Some(
                line.strip_prefix("model name")?
                    .split_once(": ")?
                    .1
                    .to_owned(),
            )
        })
        .unwrap_or_else(|| "processors".to_owned());
    let disk = Command::new("df")
        .arg("--output=source,fstype")
        .arg(workspace())
        .output()?;
    let disk = String::from_utf8_lossy(&disk.stdout);
    let disk: Vec<&str> = disk
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let systemd = Command::new("systemctl").arg("--version").output()?;
    let systemd = String::from_utf8_lossy(&systemd.stdout);
    Ok(format!(
        "{processors} × {cpu}, Linux {}, {}, store on {}",
        kernel.trim(),
        systemd.split(" (").next().unwrap_or("systemd"),
        disk.join(" ")
    ))
}
