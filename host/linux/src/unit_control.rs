//! Acting on units: jobs of mode `fail`, which never replace another's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Job, UnitAct, UnitControl},
};
use tokio::sync::watch;
use zbus::OwnedObjectPath;

use crate::{held::Held, runtime::Shared, systemctl};

/// With it systemd refuses a job that would cancel another one. `replace` would
/// cancel an operator's.
pub(crate) const JOB_MODE: &str = "fail";

/// systemd's jobs.
#[derive(Clone)]
pub struct SystemdUnitControl {
    shared: Arc<Shared>,
    held: Arc<Held>,
}

impl SystemdUnitControl {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            held: Arc::new(Held::new(shared)),
        }
    }
}

/// systemctl's word for an act.
pub(crate) fn word(act: UnitAct) -> &'static str {
    match act {
        UnitAct::Start => "start",
        UnitAct::Restart => "restart",
        UnitAct::Stop => "stop",
        UnitAct::Reload => "reload",
    }
}

fn method(act: UnitAct) -> &'static str {
    match act {
        UnitAct::Start => "StartUnit",
        UnitAct::Restart => "RestartUnit",
        UnitAct::Stop => "StopUnit",
        UnitAct::Reload => "ReloadUnit",
    }
}

impl UnitControl for SystemdUnitControl {
    fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        let what = format!("cannot {} {unit}", word(act));
        let job = self.shared.block_on_deadline(deadline, async {
            let signals = self.shared.signals();
            // Signals first: the job may end before the reply has come.
            match signals.ready().await {
                Ok(()) => {}
                Err(error) if error.is_down() => return Ok(None),
                Err(error) => return Err(error.failure(&what)),
            }
            let submitting = signals.submitting();
            let arguments = (unit.as_str(), JOB_MODE);
            // Both are on their way at once: to be kept loaded costs no time.
            let ((), queued) = tokio::join!(
                self.held.hold(unit),
                self.shared.bus().manager(method(act), &arguments),
            );
            let body = match queued {
                Ok(body) => body,
                Err(error) if error.is_down() => return Ok(None),
                Err(error) => return Err(error.failure(&what)),
            };
            // From here on the job exists, whatever else goes wrong.
            let end = body
                .deserialize::<OwnedObjectPath>()
                .ok()
                .and_then(|path| submitting.claim(path.as_str()).ok());
            Ok(Some(SystemdJob {
                shared: Arc::clone(&self.shared),
                unit: unit.clone(),
                act,
                end,
            }))
        })?;
        match job {
            Some(job) => Ok(Arc::new(job)),
            None => systemctl::submit(deadline, unit, act),
        }
    }

    fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let done = self.shared.block_on_deadline(deadline, async {
            match self
                .shared
                .bus()
                .manager("ResetFailedUnit", &unit.as_str())
                .await
            {
                Ok(_) => Ok(true),
                Err(error) if error.is_down() => Ok(false),
                Err(error) => Err(error.failure(&format!("cannot reset {unit}"))),
            }
        })?;
        if done {
            Ok(())
        } else {
            systemctl::reset_failed(deadline, unit)
        }
    }
}

/// A job that systemd has accepted.
struct SystemdJob {
    shared: Arc<Shared>,
    unit: UnitName,
    act: UnitAct,
    /// None when signals ended before it could be watched.
    end: Option<watch::Receiver<Option<String>>>,
}

impl Job for SystemdJob {
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String> {
        let unknown = || {
            Failure::unavailable(
                "bus-lost",
                format!(
                    "the connection to systemd was lost: how the {} job of {} ended is not known",
                    word(self.act),
                    self.unit
                ),
            )
        };
        let Some(end) = &self.end else {
            return Err(unknown());
        };
        // Each waiter has its own view of the one result.
        let mut end = end.clone();
        let until = Instant::now()
            .checked_add(timeout)
            .map_or(deadline, |end| end.min(deadline));
        let ended = self.shared.block_on_deadline(until, async {
            end.wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|result| result.clone())
                .ok_or_else(unknown)
        });
        match ended {
            Err(failure) if failure.is("deadline") => Err(Failure::timed_out(
                "job",
                format!(
                    "the {} job of {} has not ended yet",
                    word(self.act),
                    self.unit
                ),
            )),
            other => other,
        }
    }
}
