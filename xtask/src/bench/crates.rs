//! The benches of the crates that have figures to reach, run as cargo runs
//! them.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::figures::{Figure, Samples, Target};
use crate::step::{cargo, take};

/// Instantiate and run a strategy: `host/engine/benches/engine.rs`.
pub(crate) fn strategy() -> Result<Vec<Figure>> {
    let lines = engine()?;
    let is_run = |line: &&Value| {
        let call = line.get("call").and_then(Value::as_str);
        matches!(call, Some("describe" | "assess" | "heal"))
            && line.get("threads") == Some(&Value::from(1))
            && line.get("limit") == Some(&Value::from(""))
    };
    lines
        .iter()
        .filter(is_run)
        .map(|line| {
            let call = text(line, "call")?;
            Ok(Figure {
                what: format!("strategy instantiated and run: {call}"),
                unit: "µs",
                ours: Samples::new(vec![number(line, "median_ns")? / 1e3]),
                target: Target::Below(60.0),
                peer: None,
                fsync: None,
                load: super::load()?,
            })
        })
        .collect()
}

/// Everything that strategies cost, measured in the environment of the daemon's
/// unit: when glibc gives memory back matters for what runs in microseconds.
pub(super) fn engine() -> Result<Vec<Value>> {
    let unit = include_str!("../../../host/cli/src/units/prunella.service");
    let environment: Vec<(&str, &str)> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="))
        .flat_map(str::split_whitespace)
        .filter_map(|pair| pair.split_once('='))
        .collect();
    ensure!(!environment.is_empty(), "the daemon's unit sets nothing");
    bench("engine", &environment)
}

/// Who holds a port: `host/linux/benches/ports.rs`.
pub(crate) fn ports() -> Result<Vec<Figure>> {
    let lines = bench("ports", &[])?;
    let milliseconds = |line: &Value| Ok::<_, anyhow::Error>(number(line, "median_ns")? / 1e6);
    let (ours, peers) = lines.split_first().context("nothing was measured")?;
    let ours = milliseconds(ours)?;
    peers
        .iter()
        .map(|peer| {
            let name = text(peer, "case")?;
            Ok(Figure {
                what: "who holds a port: 1,000 processes, 5,000 sockets".to_owned(),
                unit: "ms",
                ours: Samples::new(vec![ours]),
                target: if name.starts_with("lsof -i :PORT") {
                    Target::Times(10.0)
                } else {
                    Target::None
                },
                peer: Some((name.to_owned(), Samples::new(vec![milliseconds(peer)?]))),
                fsync: None,
                load: super::load()?,
            })
        })
        .collect()
}

/// A store with a million incidents: `host/store/benches/million.rs`.
pub(crate) fn store() -> Result<Vec<Figure>> {
    let lines = bench("million", &[])?;
    lines
        .iter()
        .map(|line| {
            let case = text(line, "case")?;
            let (what, unit, value, target) = match case {
                "growth" => (
                    "store: the file grows for an incident by".to_owned(),
                    "bytes",
                    number(line, "bytes")?,
                    Target::None,
                ),
                _ => (
                    format!("store with 1,000,000 incidents: {case}"),
                    "ms",
                    number(line, "median_ns")? / 1e6,
                    if case.starts_with("list") {
                        Target::Below(10.0)
                    } else {
                        Target::None
                    },
                ),
            };
            Ok(Figure {
                what,
                unit,
                ours: Samples::new(vec![value]),
                target,
                peer: None,
                fsync: None,
                load: super::load()?,
            })
        })
        .collect()
}

/// The anomaly detector: `host/metrics/benches/anomaly.rs`.
pub(crate) fn anomaly() -> Result<Vec<Figure>> {
    let lines = bench("anomaly", &[])?;
    let line = lines.first().context("nothing was measured")?;
    let figure = |what: &str, unit, value, most| {
        Ok::<_, anyhow::Error>(Figure {
            what: what.to_owned(),
            unit,
            ours: Samples::new(vec![value]),
            target: Target::Below(most),
            peer: None,
            fsync: None,
            load: super::load()?,
        })
    };
    Ok(vec![
        figure(
            "anomaly detector: a sample",
            "µs",
            number(line, "median_ns")? / 1e3,
            5.0,
        )?,
        figure(
            "anomaly detector: a series",
            "bytes",
            number(line, "bytes")?,
            2048.0,
        )?,
    ])
}

/// Runs a bench in an environment, and returns the lines of JSON it leaves.
pub(super) fn bench(name: &str, environment: &[(&str, &str)]) -> Result<Vec<Value>> {
    let path = env::temp_dir().join(format!("prunella-bench-{name}-{}", std::process::id()));
    let result = take(
        command(name)
            .envs(environment.iter().copied())
            .env("PRUNELLA_BENCH_JSON", &path),
    )
    .and_then(|()| fs::read_to_string(&path).context("the bench left no figures"));
    let _ = fs::remove_file(&path);
    result?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect()
}

/// Builds a bench, to be run elsewhere.
pub(super) fn built(name: &str) -> Result<PathBuf> {
    let output = command(name)
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the bench {name} does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name") == Some(&Value::from(name)))
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .with_context(|| format!("cargo does not say where the bench {name} is"))
}

/// Not `--package`: so it shares the crates that `prunella` itself is made of.
fn command(name: &str) -> Command {
    cargo(&["bench", "--bench", name])
}

pub(super) fn number(line: &Value, key: &str) -> Result<f64> {
    line.get(key)
        .and_then(Value::as_f64)
        .with_context(|| format!("there is no {key} in {line}"))
}

pub(super) fn text<'a>(line: &'a Value, key: &str) -> Result<&'a str> {
    line.get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("there is no {key} in {line}"))
}
