//! A strategy that somebody built when the contract was 0.1.0, straight on the
//! bindings of that time. The SDK of today must not come into it.

#![allow(
    unsafe_code,
    missing_docs,
    clippy::all,
    clippy::restriction,
    reason = "generated: crossing into the host is a foreign call"
)]

wit_bindgen::generate!({
    path: [
        "../../../wit/released/0.1.0/base.wit",
        "../../../wit/released/0.1.0/observe.wit",
        "../../../wit/released/0.1.0/act.wit",
        "../../../wit/released/0.1.0/strategy.wit",
    ],
    world: "prunella:strategy/recovery",
    generate_all,
});

use exports::prunella::strategy::strategy::Guest;
use prunella::{
    act::unit_control,
    base::{incidents::Incident, log, settings, types::Failure},
    observe::units::{self, Goal},
    strategy::types::{Applies, Assessment, Description, Outcome, Setting},
};

struct Before;

impl Guest for Before {
    fn describe() -> Description {
        Description {
            name: "before".to_owned(),
            version: "0.1.0".to_owned(),
            author: "Somebody".to_owned(),
            summary: "Starts what is down, as one did then.".to_owned(),
            settings: vec![Setting {
                name: "patience".to_owned(),
                kind: "number".to_owned(),
                required: false,
                default: Some("5000".to_owned()),
                help: "How long to wait, in milliseconds".to_owned(),
            }],
        }
    }

    fn assess(incident: &Incident) -> Result<Assessment, Failure> {
        let unit = units::get(&incident.unit())?;
        if unit.is_up() {
            return Ok(Assessment::NotMine("it is up".to_owned()));
        }
        Ok(Assessment::Applies(Applies {
            confidence: 60,
            reason: format!("it is down: {}", unit.last_result()),
        }))
    }

    fn heal(incident: &Incident) -> Result<Outcome, Failure> {
        let unit = incident.unit();
        let patience = settings::get("patience")
            .and_then(|text| text.parse().ok())
            .unwrap_or(5000);
        log::write(log::Level::Info, "starting it");
        let job = unit_control::start(&unit)?;
        let ended = job.wait(patience)?;
        let up = units::wait(&unit, Goal::Up, patience)?;
        Ok(Outcome::Healed(format!(
            "{} is up ({ended}, {})",
            up.name(),
            up.sub_state()
        )))
    }
}

// The contract's names of functions mean nothing to a native linker.
#[cfg(target_family = "wasm")]
export!(Before);
#[cfg(not(target_family = "wasm"))]
const _: fn() -> Description = Before::describe;
