//! Components of every version run in one engine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's panic is its report, in its helpers too"
)]

use std::{collections::BTreeMap, sync::Arc};

use prunella_contract::{V0_1_0, V0_1_1};
use prunella_core::{
    StrategyName,
    incident::{Assessment, Outcome},
    policy::{Act, Grants, Limits},
};
use prunella_engine::{
    CONTRACT_VERSIONS, Engine, EngineSettings, NoLines, RunContext, Source, Strategy,
};
use prunella_sim::Sim;
use rstest::rstest;

fn load(engine: &Engine, name: &str, wasm: &[u8]) -> Strategy {
    let grants = Grants::on_self(Act::ALL);
    let name = StrategyName::new(name).unwrap();
    engine.load(&name, Source::Wasm(wasm), &grants).unwrap()
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

#[rstest]
#[case::before("0.1.0", V0_1_0)]
#[case::now("0.1.1", V0_1_1)]
fn each_was_built_for_its_version(#[case] version: &str, #[case] wasm: &[u8]) {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    assert_eq!(versions_of(&load(&engine, "it", wasm)), [version]);
    assert!(CONTRACT_VERSIONS.contains(&version));
}

#[test]
fn both_heal_in_one_engine() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let before = load(&engine, "before", V0_1_0);
    let now = load(&engine, "now", V0_1_1);
    let limits = Limits::default();
    let description = before.describe(&limits).result.unwrap().unwrap();
    assert_eq!(description.summary, "Starts what is down, as one did then.");
    assert_eq!(description.settings.len(), 1);
    now.describe(&limits).result.unwrap().unwrap();

    for strategy in [&before, &now, &before] {
        let sim = Sim::new("web.service").failed("exit-code");
        let said = strategy.assess(context(&sim)).result.unwrap().unwrap();
        assert!(
            matches!(said, Assessment::Applies { confidence: 60, .. }),
            "{said:?}"
        );
        assert!(!sim.status("web.service").is_up());
        let said = strategy.heal(context(&sim)).result.unwrap().unwrap();
        assert!(matches!(said, Outcome::Healed { .. }), "{said:?}");
        assert!(sim.status("web.service").is_up());
        assert_eq!(sim.acts(), ["start web.service"]);
    }
}

/// What the old one is told of a failure is what it knows.
#[test]
fn the_old_one_gets_failures_as_it_knows_them() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let before = load(&engine, "before", V0_1_0);
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .with(|status| status.active_state = prunella_core::capability::ActiveState::Refreshing);
    let said = before.assess(context(&sim)).result.unwrap().unwrap();
    assert!(matches!(said, Assessment::NotMine { .. }), "{said:?}");

    let sim = Sim::new("web.service")
        .failed("exit-code")
        .starts_when("not yet", |_| false);
    let failure = before.heal(context(&sim)).result.unwrap().unwrap_err();
    assert_eq!(failure.kind, prunella_core::FailureKind::Failed);
}

#[test]
fn the_new_one_remembers_across_incidents() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let now = load(&engine, "now", V0_1_1);
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
