//! Strategies in Rust, C, Python and JavaScript: projects are built as their authors
//! would, loaded by the real engine, and run on the simulated host behind their
//! grants.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it: a panic is the report"
)]

mod project;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prunella_core::{
    Failure,
    incident::{Assessment, Description, Outcome},
    policy::{Act, Grants, Limits},
};
use prunella_engine::{Engine, EngineSettings, NoLines, Run, RunContext, Strategy, Usage};
use prunella_simulation::Sim;

pub use project::{Project, example, template};

/// A strategy, built and loaded.
pub struct Built {
    pub wasm: Vec<u8>,
    strategy: Strategy,
}

impl Built {
    fn load(name: &str, wasm: Vec<u8>) -> Self {
        let engine = Engine::new(EngineSettings::default()).expect("the engine is set up");
        let name = name.parse().expect("a name");
        // What it is really allowed is the simulated host's to say.
        let strategy = engine
            .load(&name, &wasm, &Grants::on_self(Act::ALL))
            .unwrap_or_else(|error| panic!("{name} does not load: {error}"));
        Self { wasm, strategy }
    }

    /// Who it says it is, and what saying so took.
    #[track_caller]
    pub fn describe(&self) -> (Description, Usage) {
        let run = self.strategy.describe(&Limits::default());
        let usage = run.usage.clone();
        match finished(run) {
            Ok(description) => (description, usage),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// `applies 75: …`, `not-applicable: …`, `blocked-by UNIT: …`, `veto: …`, or the
    /// failure.
    #[track_caller]
    pub fn assess(&self, sim: &Sim) -> String {
        match finished(self.strategy.assess(self.context(sim))) {
            Ok(Assessment::Applies { confidence, reason }) => {
                format!("applies {confidence}: {reason}")
            }
            Ok(Assessment::NotApplicable { reason }) => format!("not-applicable: {reason}"),
            Ok(Assessment::BlockedBy { unit, reason }) => format!("blocked-by {unit}: {reason}"),
            Ok(Assessment::Veto { reason }) => format!("veto: {reason}"),
            Err(failure) => said(&failure),
        }
    }

    /// `healed: …`, `not-applicable: …`, `failed: …`, `blocked-by UNIT: …`, or the
    /// failure.
    #[track_caller]
    pub fn heal(&self, sim: &Sim) -> String {
        match finished(self.strategy.heal(self.context(sim))) {
            Ok(Outcome::Healed { summary }) => format!("healed: {summary}"),
            Ok(Outcome::NotApplicable { reason }) => format!("not-applicable: {reason}"),
            Ok(Outcome::Failed { reason }) => format!("failed: {reason}"),
            Ok(Outcome::BlockedBy { unit, reason }) => format!("blocked-by {unit}: {reason}"),
            Err(failure) => said(&failure),
        }
    }

    /// Why it broke off while assessing.
    #[track_caller]
    pub fn breaks_off(&self, sim: &Sim) -> String {
        match self.strategy.assess(self.context(sim)).result {
            Err(error) => error.to_string(),
            Ok(said) => panic!("it did not: {said:?}"),
        }
    }

    fn context(&self, sim: &Sim) -> RunContext {
        let limits = Limits::default();
        sim.begin_run(limits.deadline);
        let settings = self.settings(sim);
        RunContext {
            host: sim.guarded(self.strategy.name()),
            incident: sim.incident(),
            service: sim.service(),
            dry_run: false,
            limits,
            settings,
            lines: Arc::new(NoLines),
        }
    }

    /// What is set, and the defaults that it declares, as the host fills them in.
    fn settings(&self, sim: &Sim) -> BTreeMap<String, String> {
        let (description, _) = self.describe();
        sim.settings(&description.settings)
            .unwrap_or_else(|mistakes| panic!("{}", mistakes.join("; ")))
    }
}

/// What it said. That it did not come to its end is a mistake.
#[track_caller]
fn finished<T>(run: Run<T>) -> Result<T, Failure> {
    // A run of an interpreter is not to come near the limits that all have.
    let limits = Limits::default();
    assert!(
        run.usage.memory_peak <= limits.memory / 2,
        "{:?}",
        run.usage
    );
    assert!(
        run.usage.cpu < limits.cpu / 2 + SLOW_BUILD,
        "{:?}",
        run.usage
    );
    match run.result {
        Ok(said) => said,
        Err(error) => panic!("{error}"),
    }
}

/// What a test's engine, which is not optimised, may take besides.
const SLOW_BUILD: Duration = Duration::from_millis(500);

fn said(failure: &Failure) -> String {
    format!(
        "failure {} {}: {}",
        failure.kind,
        failure.code.as_deref().unwrap_or("-"),
        failure.message
    )
}
