//! Acting on units: jobs of mode `fail`, which never replace another's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Job, Token, UnitAct},
    remedy::SignalName,
};
use tokio::sync::watch;
use zbus::OwnedObjectPath;

use crate::{
    job::{JOB_MODE, JobEnd, word},
    remedies::signal,
    runtime::Shared,
    systemctl,
    unit_refs::UnitRefs,
};

/// systemd's jobs.
#[derive(Clone)]
pub struct SystemdUnitControl {
    shared: Arc<Shared>,
    refs: Arc<UnitRefs>,
}

impl SystemdUnitControl {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            refs: Arc::new(UnitRefs::new(shared)),
        }
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

impl SystemdUnitControl {
    pub fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Job> {
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
                self.refs.hold(unit),
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
            Some(job) => Ok(known_by(job)),
            None => systemctl::submit(deadline, unit, act).map(known_by),
        }
    }

    /// Queues a job and waits for its end, for `patience` at most: systemd's word for how it
    /// ended.
    pub(crate) fn carry_out(
        &self,
        deadline: Instant,
        unit: &UnitName,
        act: UnitAct,
        patience: Duration,
    ) -> Answer<String> {
        let job = self.submit(deadline, unit, act)?;
        wait_for(deadline, &job, patience)
    }

    pub fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let done = self.shared.block_on_deadline(deadline, async {
            match self
                .shared
                .bus()
                .manager("ResetFailedUnit", &unit.as_str())
                .await
            {
                Ok(_) => Ok(true),
                Err(error) if error.is_down() => Ok(false),
                // systemd has unloaded it, which it does to what has not failed: nothing is left
                // to clear.
                Err(error) if error.is("org.freedesktop.systemd1.NoSuchUnit") => Ok(true),
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

impl SystemdUnitControl {
    /// Whether systemd starts a unit at boot, by the word of its files.
    ///
    /// # Errors
    /// systemd cannot be asked, or there is no such unit.
    pub fn is_enabled(&self, deadline: Instant, unit: &UnitName) -> Answer<bool> {
        let what = format!("whether {unit} is enabled is not known");
        self.shared.block_on_deadline(deadline, async {
            let name = unit.as_str();
            let asked = self.shared.bus().manager("GetUnitFileState", &name);
            let body = asked.await.map_err(|error| error.failure(&what))?;
            let state = body.deserialize::<String>();
            let state =
                state.map_err(|error| Failure::failed("no-answer", format!("{what}: {error}")))?;
            Ok(matches!(state.as_str(), "enabled" | "enabled-runtime"))
        })
    }

    /// Has systemd read all unit files again, and waits until it has.
    pub(crate) fn reload_all(&self, deadline: Instant) -> Answer<()> {
        let done = self.shared.block_on_deadline(deadline, async {
            match self.shared.bus().manager("Reload", &()).await {
                Ok(_) => Ok(true),
                Err(error) if error.is_down() => Ok(false),
                Err(error) => Err(error.failure("cannot have the unit files read again")),
            }
        })?;
        if done {
            Ok(())
        } else {
            systemctl::reload_all(deadline)
        }
    }

    /// Sends a signal to a unit's main process, and to no other.
    pub(crate) fn signal_main(
        &self,
        deadline: Instant,
        unit: &UnitName,
        signal: SignalName,
    ) -> Answer<()> {
        let sent = self.shared.block_on_deadline(deadline, async {
            let arguments = (unit.as_str(), "main", signal::number(signal));
            match self.shared.bus().manager("KillUnit", &arguments).await {
                Ok(_) => Ok(true),
                Err(error) if error.is_down() => Ok(false),
                Err(error) => Err(error.failure(&format!("cannot send a signal to {unit}"))),
            }
        })?;
        if sent {
            Ok(())
        } else {
            systemctl::signal_main(deadline, unit, signal)
        }
    }
}

fn known_by(end: impl JobEnd + 'static) -> Job {
    let end: Arc<dyn JobEnd> = Arc::new(end);
    Job::new(Token::new(end))
}

/// Waits for a job's end.
///
/// # Errors
/// It has not ended in time, or how it ended cannot be known.
pub fn wait_for(deadline: Instant, job: &Job, timeout: Duration) -> Answer<String> {
    match job.token.get::<Arc<dyn JobEnd>>() {
        Some(end) => end.wait(deadline, timeout),
        None => Err(Failure::invalid(
            "not-a-job",
            "the handle is to no job of this host",
        )),
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

impl JobEnd for SystemdJob {
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
