//! Transient units that outlive the process that began them: it was killed.

use std::{fs, time::Instant};

use prunella_core::{
    UnitName,
    capability::{Answer, Goal},
};

use super::GRACE;
use crate::{runtime::Shared, situation::Listed, units::Units};

/// How this binary is called in `/proc/PID/comm`.
const OWN_NAME: &str = "prunella";

/// Stops those of a purpose, and waits until they are down.
pub(super) fn stop(
    shared: &Shared,
    units: &dyn Units,
    deadline: Instant,
    purpose: &str,
) -> Answer<()> {
    let cannot = "cannot look for helpers of an earlier process";
    let pattern = format!("prunella-{purpose}-*.service");
    let listed = shared.block_on_deadline(deadline, async {
        let body = shared
            .bus()
            .manager(
                "ListUnitsByPatterns",
                &(
                    ["active", "activating", "deactivating"].as_slice(),
                    [pattern.as_str()].as_slice(),
                ),
            )
            .await
            .map_err(|error| error.failure(cannot))?;
        body.deserialize::<Vec<Listed>>()
            .map_err(|error| crate::error::BusError::from(error).failure(cannot))
    })?;
    for unit in listed {
        let Ok(name) = UnitName::new(unit.0) else {
            continue;
        };
        if began_by(name.as_str(), purpose).is_none_or(is_prunella) {
            continue;
        }
        tracing::info!("stopping {name}, which an earlier process began");
        shared.block_on_deadline(deadline, async {
            shared
                .bus()
                .manager("StopUnit", &(name.as_str(), "replace"))
                .await
                .map(drop)
                .or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
                .map_err(|error| error.failure(&format!("cannot stop {name}")))
        })?;
        // One that is not loaded any more is down.
        if let Err(failure) = units.wait(deadline, &name, Goal::Down, GRACE * 2) {
            tracing::debug!("{name}: {failure}");
        }
    }
    Ok(())
}

/// The process that began a unit of this name.
fn began_by(name: &str, purpose: &str) -> Option<u32> {
    let rest = name.strip_prefix("prunella-")?.strip_prefix(purpose)?;
    rest.strip_prefix('-')?.split('-').next()?.parse().ok()
}

/// Whether a process runs by this number that is Prunella.
fn is_prunella(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == OWN_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_name_tells_who_began_it() {
        let name = "prunella-remedy-92-4503e162950e-4.service";
        assert_eq!(began_by(name, "remedy"), Some(92));
        assert_eq!(began_by(name, "repair"), None);
        assert_eq!(began_by("prunella-remedy.service", "remedy"), None);
    }
}
