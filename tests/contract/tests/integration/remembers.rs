//! A component that was built for the contract in `wit/` runs in the engine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{collections::BTreeMap, sync::Arc};

use prunella_contract::COUNTING;
use prunella_core::{
    StrategyName,
    incident::Assessment,
    policy::{Act, Grants, Limits},
};
use prunella_engine::{CONTRACT_VERSIONS, Engine, EngineSettings, NoLines, RunContext, Strategy};
use prunella_simulation::Sim;

fn load(engine: &Engine, name: &str, wasm: &[u8]) -> Strategy {
    let grants = Grants::on_self(Act::ALL);
    let name = StrategyName::new(name).unwrap();
    engine.load(&name, wasm, &grants).unwrap()
}

fn context(sim: &Sim) -> RunContext {
    RunContext {
        host: sim.host(),
        incident: sim.incident(),
        service: sim.service(),
        dry_run: false,
        limits: Limits::default(),
        settings: BTreeMap::new(),
        lines: Arc::new(NoLines),
    }
}

/// Every version of the contract that an import or export names.
fn versions_of(strategy: &Strategy) -> Vec<String> {
    let inspection = strategy.inspection();
    let mut versions: Vec<String> = inspection
        .imports
        .iter()
        .map(|import| import.version.clone().unwrap())
        .chain(
            inspection
                .exports
                .iter()
                .map(|export| export.split_once('@').unwrap().1.to_owned()),
        )
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

#[test]
fn a_component_carries_the_version_it_was_built_for() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let newest = CONTRACT_VERSIONS.last().unwrap();
    assert_eq!(versions_of(&load(&engine, "it", COUNTING)), [*newest]);
}

#[test]
fn a_strategy_remembers_across_incidents() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let now = load(&engine, "now", COUNTING);
    let mut sim = Sim::new("web.service").failed("exit-code");
    for healed in 0..3 {
        let said = now.assess(context(&sim)).result.unwrap().unwrap();
        let Assessment::Applies { reason, .. } = said else {
            panic!("{said:?}");
        };
        assert_eq!(
            reason,
            format!("web.service was healed {healed} times before")
        );
        now.heal(context(&sim)).result.unwrap().unwrap();
        assert_eq!(sim.keeps("now", "healed"), Some((healed + 1).to_string()));
        sim = sim.failed("exit-code");
    }
}
