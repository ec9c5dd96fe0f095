//! What the daemon answers on its sockets.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use prunella_api::{
    Accepted, AddedKey, Answer, ChannelTest, DaemonInfo, DecideCall, ExpectCall, HealCall,
    HookCall, KeyCall, LinkCall, LoginLink, Orders, PauseCall, PauseStatus, Refusal, RefusalKind,
    Reloaded, ResumeCall, Resumed, Retried, Steps, UndoCall, Undone,
};
use prunella_config::Config;
use prunella_core::{
    ChannelName, UnitName,
    access::{KeyInfo, KeyName},
    capability::UnitStatus,
    health::{ExpectedWork, Health},
    incident::{DetectedBy, Detection, Ending, IncidentId},
    oversight::Approval,
};
use prunella_healer::{OpenOutcome, Scheduler};
use prunella_linux::{Linux, own_program};
use prunella_store::Store;

use crate::{
    DaemonError, access, alerts, approvals, clock,
    detection::{degraded, detection, ordered},
    error::may_heal,
    expected,
    gate::DaemonGate,
    health::ProbeFigures,
    keys, pauses,
    queries::{InForce, LocalQueries},
    reload,
    sampler::Sampler,
    shared::{Daemon, Event},
    undo,
};

/// Whoever orders a healing does not wait for a try that is longer away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the daemon's questions.
pub(crate) fn queries(daemon: &Arc<Daemon>) -> LocalQueries {
    LocalQueries::of_daemon(
        daemon.paths.clone(),
        Arc::clone(daemon) as _,
        daemon.assembly.store.clone(),
    )
}

impl InForce for Daemon {
    fn config(&self) -> Arc<Config> {
        self.assembly.healer.config()
    }

    fn linux(&self) -> Answer<Arc<Linux>> {
        Ok(Arc::clone(&self.assembly.linux))
    }

    fn daemon(&self) -> Option<DaemonInfo> {
        Some(DaemonInfo {
            pid: std::process::id(),
            since: self.since,
        })
    }

    fn health(&self) -> Option<Vec<Health>> {
        self.settle_health();
        Some(self.health.all())
    }

    fn host_health(&self) -> Option<Health> {
        Some(self.health.of_host())
    }

    fn sampler(&self) -> Option<&Sampler> {
        Some(&self.sampler)
    }

    fn probe_figures(&self) -> Vec<ProbeFigures> {
        self.health.probe_figures()
    }

    fn wait_for_health(&self) {
        self.health.wait_until_written(Duration::from_secs(1));
    }

    fn config_problems(&self) -> Vec<String> {
        self.config_problems()
    }

    fn notices(&self) -> Vec<String> {
        let refused = self.assembly.healer.strategies();
        let refused = refused.refused().iter().map(|refused| {
            format!(
                "strategy {} is not in force: {}",
                refused.name,
                reload::why(refused)
            )
        });
        let replaced = own_program::is_replaced().then(|| {
            "the daemon runs a program that has been replaced: `sudo prunella setup` restarts it"
                .to_owned()
        });
        replaced.into_iter().chain(refused).collect()
    }
}

/// Carries out what the daemon is ordered.
pub(crate) struct DaemonOrders {
    daemon: Arc<Daemon>,
    gate: Arc<DaemonGate>,
}

impl DaemonOrders {
    pub(crate) fn new(daemon: Arc<Daemon>, gate: Arc<DaemonGate>) -> Self {
        Self { daemon, gate }
    }

    fn unit(&self, unit: &UnitName) -> Answer<UnitStatus> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = self.daemon.assembly.linux.units().get(deadline, unit);
        Ok(status.map_err(|failure| DaemonError::Unit {
            unit: unit.clone(),
            failure,
        })?)
    }

    /// What a dry run is about where the service is degraded: what would be done about that.
    fn degraded(&self, unit: &UnitName) -> Option<Detection> {
        let health = self.daemon.health.of(unit)?;
        let seen = degraded(&self.daemon.assembly, unit, &health)?;
        Some(Detection {
            by: DetectedBy::Operator,
            ..seen
        })
    }

    fn store(&self) -> Result<&Store, Refusal> {
        self.daemon
            .assembly
            .store
            .as_deref()
            .ok_or_else(access::no_store)
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalKind::Failed, error.to_string())
}

impl Orders for DaemonOrders {
    fn hook(&self, call: &HookCall) -> Answer<Accepted> {
        let status = self.unit(&call.unit)?;
        let detection = detection(&status, DetectedBy::Hook, Some(&call.monitor));
        let opening = self.daemon.scheduler.open(detection).map_err(failed)?;
        let in_care = opening != OpenOutcome::NotInCare;
        let config = self.daemon.assembly.healer.config();
        Ok(Accepted {
            in_care,
            mistake: config
                .mistake_of(&status.name)
                .filter(|_| in_care)
                .map(str::to_owned),
            incident: match opening {
                OpenOutcome::Known(..) => None,
                other => other.incident().cloned(),
            },
        })
    }

    fn decide(&self, call: &DecideCall) -> Answer<Approval> {
        let approval = approvals::decide(self.store()?, call)?;
        self.daemon
            .scheduler
            .decided(&approval.proposal.unit)
            .map_err(failed)?;
        Ok(approval)
    }

    fn undo(&self, call: &UndoCall) -> Answer<Undone> {
        undo::undo(self.store()?, &self.daemon.assembly.healer, call)
    }

    fn heal(&self, call: &HealCall, steps: Steps) -> Answer<(IncidentId, Ending)> {
        let status = self.unit(&call.unit)?;
        let unit = status.name.clone();
        may_heal(&self.daemon.assembly.healer.config(), &unit)?;
        let measured = (call.dry_run && !call.restart)
            .then(|| self.degraded(&unit))
            .flatten();
        let detection = measured.unwrap_or_else(|| ordered(&status, call.restart));
        let dry_run;
        let scheduler = if call.dry_run {
            dry_run =
                Scheduler::dry_run(Arc::clone(&self.daemon.assembly.healer)).map_err(failed)?;
            &dry_run
        } else {
            &self.daemon.scheduler
        };
        self.daemon.watchers.add(unit.clone(), steps);
        let result = match scheduler.open(detection) {
            Ok(OpenOutcome::NotInCare) => Err(DaemonError::NotInCare(unit.clone())),
            Ok(_) => scheduler
                .wait_for(&unit, Some(PATIENCE))
                .ok_or_else(|| DaemonError::BrokenOff(unit.clone())),
            Err(error) => Err(error.into()),
        };
        self.daemon.watchers.remove(&unit);
        Ok(result?)
    }

    fn pause(&self, call: &PauseCall) -> Answer<PauseStatus> {
        let pause = pauses::pause(self.store()?, call).map_err(failed)?;
        self.daemon.send(Event::LookAgain);
        Ok(pause)
    }

    fn expect_work(&self, call: &ExpectCall) -> Answer<ExpectedWork> {
        let config = self.daemon.assembly.healer.config();
        let work = expected::expect(self.store()?, &config, call)?;
        self.daemon.health.pauses_changed();
        Ok(work)
    }

    fn end_expected_work(&self, unit: &UnitName) -> Answer<bool> {
        let store = self.store()?;
        let was = store
            .end_expected_work(unit, clock::now())
            .map_err(failed)?;
        self.daemon.health.pauses_changed();
        Ok(was)
    }

    fn resume(&self, call: &ResumeCall) -> Answer<Resumed> {
        let resumed = pauses::resume(self.store()?, call).map_err(failed)?;
        self.daemon.send(Event::LookAgain);
        Ok(resumed)
    }

    fn retry_alerts(&self, id: Option<&str>) -> Answer<Retried> {
        let retried = alerts::retry(self.store()?, id)?;
        self.daemon.tell();
        Ok(retried)
    }

    fn test_channel(&self, channel: &ChannelName) -> Answer<ChannelTest> {
        let config = self.daemon.assembly.healer.config();
        let settings = config.channels.get(channel).ok_or_else(|| {
            Refusal::new(
                RefusalKind::NotFound,
                format!("the daemon knows no channel `{channel}`"),
            )
            .help("systemctl reload prunella.service")
        })?;
        alerts::test(&self.daemon.paths, settings)
    }

    fn keys(&self) -> Answer<Vec<KeyInfo>> {
        Ok(self.store()?.keys().map_err(failed)?)
    }

    fn add_key(&self, call: &KeyCall) -> Answer<AddedKey> {
        let config = self.daemon.assembly.healer.config();
        let added = keys::add(self.store()?, &config, call)?;
        tracing::info!(
            "a key for {} was added by {}: {}",
            added.info.role,
            added.info.created_by,
            added.info.name
        );
        Ok(added)
    }

    fn revoke_key(&self, name: &KeyName) -> Answer<bool> {
        let was = keys::revoke(self.store()?, name)?;
        if was {
            tracing::info!("the key {name} was revoked");
        }
        Ok(was)
    }

    fn login_link(&self, call: &LinkCall) -> Answer<LoginLink> {
        self.gate.link(call)
    }

    fn reload(&self) -> Answer<Reloaded> {
        let (answer, answered) = mpsc::channel();
        self.daemon.send(Event::Reload(Some(answer)));
        match answered.recv_timeout(Duration::from_secs(8)) {
            Ok(Ok(now)) => Ok(now),
            Ok(Err(mistakes)) => Err(Refusal::new(RefusalKind::BadConfig, mistakes.to_string())
                .help("the last good configuration stays in force")
                .into()),
            Err(_) => {
                Err(Refusal::new(RefusalKind::Busy, "the daemon did not get to it in time").into())
            }
        }
    }
}
