//! Failover groups that do not fit this host.

use std::time::Instant;

use prunella_config::{Config, Diagnostic};
use prunella_core::{
    UnitName,
    remedy::{Failover, StandbyIs},
    service::Service,
};
use prunella_linux::Linux;

use super::{File, LOOK, Look, look};

/// What is wrong with one, of this service.
pub(super) fn wrong_with(
    file: &File,
    name: &str,
    service: &Service,
    declared: &Failover,
    config: &Config,
    linux: &Linux,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let span = || file.0.value_in("failover", name, "standbys");
    let primary = &service.unit;
    for standby in &declared.standbys {
        if matches!(look(linux, standby), Look::Missing) {
            let message = format!("there is no {standby} on this host, which is to take over");
            found.push(
                file.warning(span(), message)
                    .help("write its name as systemctl shows it, or take it out of `standbys`"),
            );
            continue;
        }
        if declared.standby_is == StandbyIs::Stopped
            && starts_at_boot(linux, primary)
            && starts_at_boot(linux, standby)
        {
            let message = format!(
                "{standby} and {primary} are both enabled: a boot starts both, and one of them may \
                 run"
            );
            found.push(file.warning(span(), message).help(format!(
                "take one of them out: `systemctl disable {standby}`"
            )));
        }
        if !config.services.contains_key(standby) {
            let message = format!(
                "{standby} is not in Prunella's care: nothing heals it once it serves for {primary}"
            );
            found.push(
                file.warning(span(), message)
                    .help(format!("`prunella enable {standby}` takes it into care")),
            );
        }
    }
    found
}

/// Whether a unit is started at boot; not where that cannot be known.
fn starts_at_boot(linux: &Linux, unit: &UnitName) -> bool {
    let enabled = linux.unit_control();
    enabled
        .is_enabled(Instant::now() + LOOK, unit)
        .unwrap_or(false)
}
