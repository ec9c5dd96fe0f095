//! What the healer asks about the host before it decides.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, UnitName,
    analyst::StallState,
    capability::{Answer, UnitStatus},
    oversight::ProcessKey,
    situation::Situation,
};
use zbus::OwnedObjectPath;

use crate::{
    Linux,
    bus::{Bus, MANAGER, MANAGER_INTERFACE},
    clock,
    error::BusError,
    package_lock, processes, procfs, start_limit,
    stop_evidence::{self, EndedRun},
    systemctl,
};

/// One unit of `ListUnitsByPatterns`: name, description, load state, active
/// state, sub-state, followed unit, path, job id, job type, job path.
pub(crate) type Listed = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// systemd's own state: `running`, `degraded`, `stopping`, …
pub(crate) async fn read_system_state(bus: &Bus) -> Result<String, BusError> {
    bus.text(MANAGER, MANAGER_INTERFACE, "SystemState").await
}

impl Situation for Linux {
    fn boot_id(&self) -> String {
        self.boot_id.clone()
    }

    fn since_boot(&self) -> Duration {
        clock::since_boot()
    }

    fn monotonic(&self) -> Monotonic {
        clock::monotonic()
    }

    fn system_state(&self, deadline: Instant) -> Answer<String> {
        if let Some(state) = self.shared.snapshots().of_system() {
            return Ok(state);
        }
        self.system_state_now(deadline)
    }

    fn system_state_now(&self, deadline: Instant) -> Answer<String> {
        let state = self.shared.block_on_deadline(deadline, async {
            let asked = read_system_state(self.shared.bus()).await;
            unless_gone(asked, "cannot read systemd's state")
        })?;
        state.map_or_else(|| systemctl::system_state(deadline), Ok)
    }

    fn package_lock(&self) -> Option<String> {
        package_lock::holder()
    }

    fn stopped_by_operator(
        &self,
        deadline: Instant,
        status: &UnitStatus,
    ) -> Answer<Option<String>> {
        stop_evidence::stopped_by_operator(deadline, &self.journal, status, || {
            let units = self.units();
            for required in &status.requires {
                // What cannot be read was no reason to stop anything.
                if let Ok(required) = units.get(deadline, required)
                    && stop_evidence::went_down_before(&required, status)
                {
                    return Ok(Some(required.name));
                }
            }
            Ok(None)
        })
    }

    fn was_cleared(&self, deadline: Instant, status: &UnitStatus) -> Answer<bool> {
        stop_evidence::was_cleared(deadline, &self.journal, status)
    }

    fn start_refused(&self, deadline: Instant, status: &UnitStatus) -> Answer<bool> {
        start_limit::refused(deadline, &self.journal, status)
    }

    fn wait_for_logs(&self, deadline: Instant) {
        stop_evidence::synchronize(deadline);
    }

    fn failed_units(&self, deadline: Instant) -> Answer<Vec<UnitName>> {
        let units = self
            .shared
            .block_on_deadline(deadline, self.list_failed())?;
        units.map_or_else(|| systemctl::failed_units(deadline), Ok)
    }

    fn stall(&self, pid: u32) -> Option<StallState> {
        // One that cannot be read is gone, as a rule.
        procfs::stat(pid).ok()?.stall
    }

    fn is_running(&self, process: &ProcessKey) -> bool {
        processes::is_running(process)
    }

    fn random(&self) -> u16 {
        // Keyed anew for each call from the system's source of randomness.
        let bits = RandomState::new().build_hasher().finish();
        u16::try_from(bits & 0xffff).unwrap_or_default()
    }
}

impl Linux {
    /// The last run of a unit that is inactive, if it was in this boot and nobody
    /// asked for its end; by systemd's own journal entries.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn ended_by_itself(
        &self,
        deadline: Instant,
        status: &UnitStatus,
    ) -> Answer<Option<EndedRun>> {
        stop_evidence::ended_by_itself(deadline, &self.journal, status, &self.boot_id)
    }

    /// The failed units; none when there is no bus.
    pub(crate) async fn list_failed(&self) -> Answer<Option<Vec<UnitName>>> {
        let asked = async {
            let none: [&str; 0] = [];
            let body = self
                .shared
                .bus()
                .manager(
                    "ListUnitsByPatterns",
                    &(["failed"].as_slice(), none.as_slice()),
                )
                .await?;
            let listed = body.deserialize::<Vec<Listed>>().map_err(BusError::from)?;
            Ok(listed
                .into_iter()
                .filter_map(|unit| UnitName::new(unit.0).ok())
                .collect())
        };
        unless_gone(asked.await, "cannot list the failed units")
    }
}

/// None when the bus brings no answer.
fn unless_gone<T>(asked: Result<T, BusError>, what: &str) -> Answer<Option<T>> {
    match asked {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error.failure(what)),
    }
}
