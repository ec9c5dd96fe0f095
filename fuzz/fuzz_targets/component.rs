//! Any bytes as a plugin's file: inspected, loaded with every grant, and where
//! that succeeds asked who they are. They never panic the host, never run beyond
//! their limits, and what is said of them is fit to show.

#![no_main]

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use libfuzzer_sys::{Corpus, fuzz_target};
use prunella_core::{
    StrategyName,
    policy::{Act, Grants, Limits},
};
use prunella_engine::{Engine, EngineSettings};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(EngineSettings::default()).expect("the engine is set up"));

/// The longest sentence about a component: lists in it are cut.
const LONGEST: usize = 10_000;

fn limits() -> Limits {
    Limits {
        deadline: Duration::from_millis(500),
        cpu: Duration::from_millis(50),
        memory: 16 << 20,
        ..Limits::default()
    }
}

/// On one line but for the lines of TOML to paste, and free of control
/// characters.
fn is_fit_to_show(said: &str) {
    assert!(said.len() < LONGEST, "{} bytes", said.len());
    assert!(
        said.chars().all(|c| c == '\n' || !c.is_control()),
        "{said:?}"
    );
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let name = StrategyName::new("fuzzed").expect("a name");
    let inspected = ENGINE.inspect(bytes);
    match &inspected {
        Ok(inspection) => {
            for import in &inspection.imports {
                is_fit_to_show(&import.name);
                import.functions.iter().for_each(|f| is_fit_to_show(f));
            }
            inspection.exports.iter().for_each(|e| is_fit_to_show(e));
            if let Err(error) = inspection.loadable() {
                is_fit_to_show(&error.to_string());
            }
        }
        Err(error) => is_fit_to_show(&error.to_string()),
    }
    match ENGINE.load(&name, bytes, &Grants::on_self(Act::ALL)) {
        Ok(strategy) => {
            let inspection = inspected.expect("what loads can be inspected");
            assert_eq!(strategy.inspection(), &inspection);
            let began = Instant::now();
            match strategy.describe(&limits()).result {
                Ok(Ok(description)) => {
                    is_fit_to_show(&description.name);
                    is_fit_to_show(&description.summary);
                }
                Ok(Err(failure)) => is_fit_to_show(&failure.message),
                Err(error) => is_fit_to_show(&error.to_string()),
            }
            assert!(began.elapsed() < Duration::from_secs(5), "it ran on");
            Corpus::Keep
        }
        Err(error) => {
            is_fit_to_show(&error.to_string());
            Corpus::Keep
        }
    }
});
