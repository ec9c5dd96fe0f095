//! The capabilities on a real host: Linux with systemd.
//!
//! [`Linux::connect`] starts one background thread, which drives two
//! connections to the system bus: one for calls, one for signals. Everything
//! else blocks on the caller's own thread, and never past its deadline.
//!
//! Each capability has a file of its own, and in it a type made for one
//! service; `host.rs` puts them together. How units are read, awaited
//! and acted on: [`units`], [`unit_control`], and without a bus `systemctl`.
//! What the healer asks before it decides: `situation`.

pub mod cgroup;
pub mod file_systems;
pub mod folder_watch;
pub mod journal;
pub mod logs;
pub mod pidfd;
pub mod ports;
pub mod process_control;
pub mod processes;
mod procfs;
mod reading;
pub mod resources;
pub mod sampling;
pub mod sockets;

mod access;
pub mod accounts;
mod answer;
mod bus;
mod changes;
mod checks;
pub mod clock;
pub mod config_file;
mod declared;
mod declared_command;
pub mod dpkg;
pub mod env_file;
mod error;
mod file_repair;
mod files;
mod host;
pub mod internal;
mod job;
mod last_facts;
pub mod learn;
pub mod own_program;
mod package_lock;
mod probes;
mod remedies;
mod runs_as;
mod runtime;
mod safe_path;
mod signals;
mod situation;
mod snapshots;
mod sqlite_check;
mod standing;
mod start_limit;
mod status;
mod stop_evidence;
mod systemctl;
mod timeout;
mod transient;
pub mod trusted_file;
pub mod unit_control;
mod unit_refs;
pub mod units;

use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prunella_core::{
    UnitName,
    capability::{Answer, UnitStatus},
};

pub use crate::{
    bus::unit_path,
    error::LinuxError,
    probes::ask_listener,
    reading::Reading,
    signals::{BusEvent, Glimpse, Interest, Listener, UnitSet},
    stop_evidence::EndedRun,
};
use crate::{
    cgroup::Cgroups, journal::Journal, runtime::Shared, unit_control::SystemdUnitControl,
    units::SystemdUnits,
};

/// How to reach the host.
#[derive(Debug, Clone, Default)]
pub struct LinuxSettings {
    /// Another bus than the system's, as a D-Bus address.
    pub bus_address: Option<String>,
    /// Where copies of files are kept, whose content may be brought back; nowhere, when
    /// absent.
    pub content: Option<PathBuf>,
}

/// The host. Stays connected until the last reference is dropped.
pub struct Linux {
    shared: Arc<Shared>,
    journal: Arc<Journal>,
    cgroups: OnceLock<Arc<Cgroups>>,
    boot_id: String,
    content: Option<PathBuf>,
}

impl Linux {
    /// Starts the background thread and begins to open the connection for calls.
    ///
    /// Does not wait for the bus: without one, what can be done is done by the
    /// `systemctl` program, and the bus is used again when it is back.
    ///
    /// # Errors
    /// When the background thread cannot be started, or `/proc` is missing.
    pub fn connect(settings: LinuxSettings) -> Result<Arc<Self>, LinuxError> {
        let boot_id = clock::boot_id().map_err(LinuxError::BootId)?;
        let shared = Shared::start(settings.bus_address)?;
        let opening = Arc::downgrade(&shared);
        shared.handle().spawn(async move {
            if let Some(shared) = opening.upgrade()
                && let Err(error) = shared.bus().connection().await
            {
                tracing::debug!(%error, "no system bus at the start");
            }
        });
        Ok(Arc::new(Self {
            shared,
            journal: Arc::new(Journal::of_this_host()),
            cgroups: OnceLock::new(),
            boot_id,
            content: settings.content,
        }))
    }

    /// Control groups, which are looked for once.
    pub(crate) fn groups(&self) -> Arc<Cgroups> {
        Arc::clone(self.cgroups.get_or_init(|| Arc::new(Cgroups::detect())))
    }

    /// systemd's units.
    pub fn units(&self) -> SystemdUnits {
        SystemdUnits::new(&self.shared)
    }

    /// systemd's jobs.
    pub fn unit_control(&self) -> SystemdUnitControl {
        SystemdUnitControl::new(&self.shared)
    }

    /// Asks disks and GPUs how they are, by programs of others.
    pub fn hardware_sampler(&self) -> sampling::HardwareSampler {
        let units: Arc<dyn units::Units> = Arc::new(self.units());
        let runner = transient::Transient::new(Arc::clone(&self.shared), units);
        sampling::HardwareSampler::new(Arc::new(runner))
    }

    /// Counts what services write to the journal. Nothing is read before it is told whose
    /// lines count.
    pub fn log_sampler(&self) -> sampling::LogSampler {
        sampling::LogSampler::new(Arc::clone(&self.journal))
    }

    /// Begins to open the connection for signals, which the first wait, or the
    /// first job, would otherwise open: to be called when one is likely.
    pub fn expect_waiting(&self) {
        self.shared.signals().prepare();
    }

    /// Hands on what systemd's signals say of the units that `interest` cares
    /// for. Keeps the connection for signals open, and opens it again after a
    /// loss, until the listener is dropped.
    pub fn listen(&self, interest: Box<dyn Interest>) -> Listener {
        self.shared.signals().listen(interest)
    }

    /// Runs a task on the background thread. It must never block.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.handle().spawn(task);
    }

    /// Reads a unit, for a task on the background thread. One that does not
    /// exist has the load state `not-found`.
    ///
    /// # Errors
    /// `unavailable` when there is no bus or it is lost, `timed-out` after
    /// `limit`.
    pub async fn read_unit(&self, unit: &UnitName, limit: Duration) -> Answer<UnitStatus> {
        let what = standing::cannot_read(unit);
        let bus = self.shared.bus();
        // Whoever decides about the unit will ask for systemd's state, too: both
        // questions are on their way at once.
        let both =
            async { tokio::join!(units::read(bus, unit), situation::read_system_state(bus)) };
        match tokio::time::timeout(limit, both).await {
            Ok((read, system)) => {
                if let Ok(system) = system {
                    self.shared.snapshots().keep_system(system);
                }
                read.inspect(|status| self.shared.snapshots().keep(status))
                    .map_err(|error| error.failure(&what))
            }
            Err(_) => Err(prunella_core::Failure::timed_out("deadline", what)),
        }
    }

    /// Reads a unit, for a task of whichever thread, and nothing beside it.
    ///
    /// # Errors
    /// `unavailable` when there is no bus or it is lost, `timed-out` after
    /// `limit`.
    pub async fn read_only_unit(&self, unit: &UnitName, limit: Duration) -> Answer<UnitStatus> {
        let what = standing::cannot_read(unit);
        match tokio::time::timeout(limit, units::read(self.shared.bus(), unit)).await {
            Ok(read) => read.map_err(|error| error.failure(&what)),
            Err(_) => Err(prunella_core::Failure::timed_out("deadline", what)),
        }
    }

    /// The units that are failed now, for a task on the background thread.
    ///
    /// # Errors
    /// `unavailable` when there is no bus or it is lost, `timed-out` after
    /// `limit`.
    pub async fn read_failed(&self, limit: Duration) -> Answer<Vec<UnitName>> {
        let what = "cannot list the failed units";
        match tokio::time::timeout(limit, self.list_failed()).await {
            Ok(Ok(Some(units))) => Ok(units),
            Ok(Ok(None)) => Err(prunella_core::Failure::unavailable("bus-down", what)),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(prunella_core::Failure::timed_out("deadline", what)),
        }
    }
}
