//! A strategy that counts how often it has healed a service.

use prunella_sdk::prelude::*;

struct Counts;

impl Strategy for Counts {
    fn describe() -> Description {
        description!("Starts what is down, and counts.")
    }

    fn assess(incident: &Incident<'_>) -> Result<Assessment> {
        let before = state::number("healed")?.unwrap_or(0);
        Ok(Assessment::applies(
            60,
            format!("{} was healed {before} times before", incident.unit()),
        ))
    }

    fn heal(incident: &Incident<'_>) -> Result<Outcome> {
        let before = state::number("healed")?.unwrap_or(0);
        let outcome = recovery::bring_up(incident)?;
        state::set("healed", (before + 1).to_string())?;
        Ok(outcome)
    }
}

prunella_sdk::export!(Counts);
