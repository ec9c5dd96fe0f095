//! What a strategy costs: the built-in `service-restart` on the simulated host,
//! with all limits on.
//!
//! `cargo bench -p prunella-engine`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run says so by a panic"
)]

use std::{collections::BTreeMap, sync::Arc};

use divan::{Bencher, black_box};
use prunella_core::{
    StrategyName,
    policy::{Act, Grants, Limits},
};
use prunella_engine::{Engine, EngineSettings, NoLines, RunContext, Source, Strategy, precompile};
use prunella_sim::Sim;

fn main() {
    divan::main();
}

fn service_restart() -> &'static prunella_bundle::Builtin {
    prunella_bundle::builtins()
        .iter()
        .find(|builtin| builtin.name == "service-restart")
        .unwrap()
}

fn engine() -> Engine {
    Engine::new(EngineSettings::default()).unwrap()
}

fn load(engine: &Engine) -> Strategy {
    let builtin = service_restart();
    let source = Source::Builtin {
        wasm: builtin.wasm,
        precompiled: builtin.precompiled,
    };
    let name = StrategyName::new(builtin.name).unwrap();
    engine
        .load(&name, source, &Grants::on_self(Act::ALL))
        .unwrap()
}

fn sim() -> Sim {
    Sim::new("web.service").failed("exit-code")
}

fn context(sim: &Sim) -> RunContext {
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

#[divan::bench]
fn engine_new() -> Engine {
    engine()
}

#[divan::bench(sample_count = 10)]
fn compile_cold() -> Vec<u8> {
    precompile(black_box(service_restart().wasm)).unwrap()
}

#[divan::bench]
fn load_builtin(bencher: Bencher<'_, '_>) {
    let engine = engine();
    bencher.bench_local(|| load(&engine));
}

#[divan::bench]
fn load_from_cache(bencher: Bencher<'_, '_>) {
    let folder = tempfile::TempDir::new().unwrap();
    let engine = Engine::new(EngineSettings {
        cache_dir: Some(folder.path().to_owned()),
    })
    .unwrap();
    let name = StrategyName::new("mine").unwrap();
    let load = || {
        let source = Source::Wasm(service_restart().wasm);
        engine
            .load(&name, source, &Grants::on_self(Act::ALL))
            .unwrap()
    };
    load();
    bencher.bench_local(load);
}

/// Instantiates, and calls the one function that needs no host.
#[divan::bench(threads = [1, 4])]
fn describe(bencher: Bencher<'_, '_>) {
    let strategy = load(&engine());
    let limits = Limits::default();
    bencher.bench(|| strategy.describe(&limits).result.unwrap().unwrap());
}

/// Instantiates, and looks: some ten host calls.
#[divan::bench(threads = [1, 4])]
fn assess(bencher: Bencher<'_, '_>) {
    let strategy = load(&engine());
    bencher
        .with_inputs(|| context(&sim()))
        .bench_values(|context| strategy.assess(context).result.unwrap().unwrap());
}

/// Instantiates, and heals: starts the unit and waits for it, some twenty host
/// calls.
#[divan::bench(threads = [1, 4])]
fn heal(bencher: Bencher<'_, '_>) {
    let strategy = load(&engine());
    bencher
        .with_inputs(|| context(&sim()))
        .bench_values(|context| strategy.heal(context).result.unwrap().unwrap());
}
