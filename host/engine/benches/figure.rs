//! One run of a strategy on the simulated host, all limits on: instantiated,
//! run, and thrown away.
//!
//! `cargo bench -p prunella-engine --bench figure` prints a table, and appends
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
    collections::BTreeMap,
    env,
    fs::OpenOptions,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName,
    policy::{Act, Grants, Limits},
};
use prunella_engine::{Engine, EngineSettings, NoLines, RunContext, Source, Strategy};
use prunella_sim::Sim;

const STRATEGY: &str = "service-restart";

fn main() {
    let times = if env::args().any(|argument| argument == "--bench") {
        20_000
    } else {
        20
    };
    let strategy = load();
    let limits = Limits::default();
    let calls: [(&str, &dyn Fn() -> Duration); 3] = [
        ("describe", &|| {
            let start = Instant::now();
            strategy.describe(&limits).result.unwrap().unwrap();
            start.elapsed()
        }),
        ("assess", &|| {
            let context = context();
            let start = Instant::now();
            strategy.assess(context).result.unwrap().unwrap();
            start.elapsed()
        }),
        ("heal", &|| {
            let context = context();
            let start = Instant::now();
            strategy.heal(context).result.unwrap().unwrap();
            start.elapsed()
        }),
    ];
    let mut lines = String::new();
    for (call, once) in calls {
        for _ in 0..times / 10 {
            once();
        }
        let mut taken: Vec<u128> = (0..times).map(|_| once().as_nanos()).collect();
        taken.sort_unstable();
        let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
        println!(
            "{STRATEGY} {call:<9} median {:>7.1} µs  fastest {:>7.1} µs  p95 {:>7.1} µs",
            at(50) as f64 / 1e3,
            at(0) as f64 / 1e3,
            at(95) as f64 / 1e3
        );
        lines.push_str(&format!(
            "{{\"bench\": \"engine\", \"call\": \"{call}\", \"median_ns\": {}, \"fastest_ns\": {}, \
             \"p95_ns\": {}}}\n",
            at(50),
            at(0),
            at(95)
        ));
    }
    if let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(lines.as_bytes()).unwrap();
    }
}

fn load() -> Strategy {
    let builtin = prunella_bundle::builtins()
        .iter()
        .find(|builtin| builtin.name == STRATEGY)
        .unwrap();
    let source = Source::Builtin {
        wasm: builtin.wasm,
        precompiled: builtin.precompiled,
    };
    let name = StrategyName::new(builtin.name).unwrap();
    Engine::new(EngineSettings::default())
        .unwrap()
        .load(&name, source, &Grants::on_self(Act::ALL))
        .unwrap()
}

fn context() -> RunContext {
    let sim = Sim::new("web.service").failed("exit-code");
    RunContext {
        host: sim.host(),
        incident: sim.incident(),
        service: sim.service(),
        rehearsal: false,
        limits: Limits::default(),
        settings: BTreeMap::new(),
        lines: Arc::new(NoLines),
    }
}
