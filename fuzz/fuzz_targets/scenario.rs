//! Any text as a scenario: it is read, or refused with mistakes that can be shown
//! and that lie within it. What is read makes a host that can be looked at.

#![no_main]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use prunella_core::capability::{
    UnitAct,
    unit_control::{Submit, WaitForJob},
};
use prunella_simulation::scenario::parse;

fuzz_target!(|text: &str| {
    match parse(Path::new("fuzzed.toml"), text) {
        Ok(scenario) => {
            let host = scenario.host.host();
            let unit = scenario.host.unit();
            let deadline = Instant::now() + Duration::from_secs(60);
            let _ = host.unit(deadline, &unit);
            let action = UnitAct::Start;
            if let Ok(job) = host.ask(deadline, Submit { unit, action }) {
                let timeout = Duration::from_secs(3600);
                let _ = host.ask(deadline, WaitForJob { job, timeout });
            }
        }
        Err(found) => {
            assert!(!found.is_empty(), "refused without a word");
            let lines = text.lines().count() + 1;
            for mistake in found {
                assert!(!mistake.to_string().is_empty());
                if let Some(place) = &mistake.place {
                    assert!((1..=lines).contains(&place.line), "{mistake}");
                }
            }
        }
    }
});
