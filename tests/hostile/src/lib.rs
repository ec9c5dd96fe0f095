//! Hostile components, and a simulated host to let them loose on.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it: a panic is the report"
)]

pub mod gallery;
pub mod odd;
mod strict;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use prunella_core::{
    StrategyName, Timestamp,
    capability::LogEntry,
    incident::Outcome,
    policy::{Act, Grants, Limits},
    service::FileRole,
};
use prunella_engine::{Engine, EngineSettings, Level, Lines, Run, RunContext, Strategy};
use prunella_simulation::{Check, File, Sim, Unit};

pub use strict::strict;

/// The component with many ways of misbehaving, built from `guest/`.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prunella-hostile-guest.wasm"));

/// One engine for all, as in the daemon.
pub fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> =
        LazyLock::new(|| Engine::new(EngineSettings::default()).expect("the engine is set up"));
    &ENGINE
}

/// A strategy's name.
pub fn named(name: &str) -> StrategyName {
    StrategyName::new(name).expect("a name")
}

/// Everything, on the service itself.
pub fn all_granted() -> Grants {
    Grants::on_self(Act::ALL)
}

/// The hostile strategy, loaded once.
pub fn hostile() -> &'static Strategy {
    static HOSTILE_LOADED: LazyLock<Strategy> = LazyLock::new(|| {
        engine()
            .load(&named("hostile"), HOSTILE, &all_granted())
            .expect("the hostile strategy loads: it is hostile only when it runs")
    });
    &HOSTILE_LOADED
}

/// A failed service on a simulated host.
pub fn host() -> Sim {
    let text = "something happened, and here is a long line about it: ".repeat(8);
    let line = |at| LogEntry::new(Timestamp::from_millis(at), 6, text.clone());
    Sim::new("web.service")
        .port("tcp/80")
        .failed("exit-code")
        .taken(
            "tcp/80",
            prunella_simulation::Process::stranger("/usr/bin/nc"),
        )
        .unit_beside(Unit::new("sshd.service"))
        .file("big", File::new(FileRole::Plain).content(&[7; 4 << 20]))
        .measured("host", "load-milli", 500)
        .check("config", Check::passes())
        .check("migrate", Check::passes().changing())
        .logs("web.service", (0..20_000).map(line))
}

/// The same, on which the service can start.
pub fn healable_host() -> Sim {
    Sim::new("web.service").port("tcp/80").failed("exit-code")
}

/// Small enough that a test of any of them is over soon, and large enough for
/// an honest run.
pub fn limits() -> Limits {
    Limits {
        deadline: Duration::from_secs(2),
        cpu: Duration::from_millis(150),
        memory: 16 << 20,
        host_calls: 1000,
        hashed_bytes: 16 << 20,
        bus_calls: 100,
        ..Limits::default()
    }
}

/// Keeps a strategy's lines.
#[derive(Default)]
pub struct Kept(Mutex<Vec<(Level, String)>>);

impl Kept {
    /// The lines so far.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Lines for Kept {
    fn line(&self, level: Level, message: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((level, message.to_owned()));
    }
}

/// What a run is given, with the way of misbehaving in the setting `do`.
pub fn context(sim: &Sim, way: &str, limits: Limits) -> RunContext {
    context_with(sim, way, limits, Arc::new(Kept::default()))
}

/// The same, keeping the lines.
pub fn context_with(sim: &Sim, way: &str, limits: Limits, lines: Arc<Kept>) -> RunContext {
    RunContext {
        host: sim.host(),
        incident: sim.incident(),
        service: sim.service(),
        dry_run: false,
        limits,
        settings: BTreeMap::from([("do".to_owned(), way.to_owned())]),
        lines,
    }
}

/// One way of misbehaving while healing, on a host of its own.
pub fn misbehave(way: &str) -> Run<Outcome> {
    hostile().heal(context(&host(), way, limits()))
}

/// The next incident is served as if nothing had happened.
#[track_caller]
pub fn the_next_one_is_served() {
    let sim = healable_host();
    let run = hostile().heal(context(&sim, "heal", limits()));
    match run.result {
        Ok(Ok(Outcome::Healed { .. })) => {}
        other => panic!("the next incident was not served: {other:?}"),
    }
    assert!(sim.status("web.service").is_up());
}
