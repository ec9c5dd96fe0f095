//! What the daemon answers on its sockets.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use prunella_api::{
    Answer, DaemonInfo, DecideCall, Handler, HealCall, HookCall, Lines, PauseCall, Records,
    Refusal, RefusalKind, ResumeCall, StatusReport,
};
use prunella_core::{
    ChannelName, FailureKind, UnitName,
    achievement::Achievement,
    alert::{Dispatch, DispatchFilter},
    capability::{UnitStatus, Units as _},
    incident::{DetectedBy, Ending, IncidentId},
    oversight::Approval,
    summary::{Filter, Summary},
    trail::Record,
};
use prunella_healer::{Opening, Scheduler};
use prunella_store::{Found, Store};

use crate::{
    approve::Said,
    daemon::{Daemon, Event},
    detect::detection,
};

/// Answers for the daemon.
pub(crate) struct DaemonHandler {
    daemon: Arc<Daemon>,
}

impl DaemonHandler {
    pub(crate) fn new(daemon: Arc<Daemon>) -> Self {
        Self { daemon }
    }

    fn unit(&self, unit: &UnitName) -> Answer<UnitStatus> {
        self.daemon
            .assembly
            .linux
            .units()
            .get(Instant::now() + Duration::from_secs(10), unit)
            .map_err(|failure| {
                let kind = match failure.kind {
                    FailureKind::NotFound => RefusalKind::NotFound,
                    _ => RefusalKind::Failed,
                };
                Refusal::new(kind, failure.message)
            })
    }

    fn store(&self) -> Answer<&Store> {
        self.daemon.assembly.store.as_deref().ok_or_else(|| {
            Refusal::new(RefusalKind::Failed, "the incident store cannot be used")
                .help("journalctl -u prunella -p warning")
        })
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalKind::Failed, error.to_string())
}

impl Handler for DaemonHandler {
    fn hook(&self, call: HookCall) -> Answer<Option<IncidentId>> {
        let status = self.unit(&call.unit)?;
        let detection = detection(&status, DetectedBy::Hook, Some(&call.monitor));
        let opening = self.daemon.scheduler.open(detection).map_err(failed)?;
        Ok(match opening {
            Opening::NotInCare | Opening::Known(..) => None,
            other => other.incident().cloned(),
        })
    }

    fn status(&self) -> Answer<StatusReport> {
        let daemon = &self.daemon;
        let config = daemon.assembly.healer.config();
        let mut notices: Vec<String> = daemon
            .assembly
            .healer
            .strategies()
            .refused()
            .iter()
            .map(|refused| {
                format!(
                    "strategy {} is not in force: {}",
                    refused.name,
                    crate::reload::why(refused)
                )
            })
            .collect();
        if let Some(trouble) = daemon.assembly.store.as_ref().and_then(|s| s.trouble()) {
            notices.push(format!(
                "the incident store does not work, and what happens is only in the journal: \
                 {trouble}"
            ));
        }
        crate::overview::of(
            &daemon.paths,
            &config,
            daemon.assembly.store.as_deref(),
            &daemon.assembly.linux,
            Some(DaemonInfo {
                pid: std::process::id(),
                since: daemon.since,
            }),
            notices,
        )
        .map_err(|error| failed(format!("{error:#}")))
    }

    fn incidents(&self, filter: Filter) -> Answer<Vec<Summary>> {
        self.store()?.incidents(&filter).map_err(failed)
    }

    fn incident(&self, id: IncidentId) -> Answer<Record> {
        let store = self.store()?;
        let missing = || Refusal::new(RefusalKind::NotFound, format!("there is no incident {id}"));
        let found = match store.find(id.as_str()).map_err(failed)? {
            Found::None => return Err(missing()),
            Found::One(found) => found,
            Found::Many(ids) => {
                let ids: Vec<&str> = ids.iter().map(IncidentId::as_str).collect();
                return Err(Refusal::new(
                    RefusalKind::NotFound,
                    format!("`{id}` could be several incidents"),
                )
                .help(format!("say which: {}", ids.join(", "))));
            }
        };
        store.record(&found).map_err(failed)?.ok_or_else(missing)
    }

    fn records(&self, filter: Filter, after: Option<u64>) -> Answer<Records> {
        let (records, next) = self.store()?.records(&filter, after).map_err(failed)?;
        Ok(Records { records, next })
    }

    fn achievements(&self, unit: Option<UnitName>) -> Answer<Vec<Achievement>> {
        self.store()?.achievements(unit.as_ref()).map_err(failed)
    }

    fn approvals(&self) -> Answer<Vec<Approval>> {
        self.store()?.approvals().map_err(failed)
    }

    fn decide(&self, call: DecideCall) -> Answer<Vec<String>> {
        match crate::approve::write(self.store()?, &call).map_err(failed)? {
            Said::Done(notes, approval) => {
                if call.approve {
                    self.daemon
                        .scheduler
                        .approved(&approval.proposal.unit)
                        .map_err(failed)?;
                }
                Ok(notes)
            }
            Said::No(why) => Err(Refusal::new(RefusalKind::NotFound, why)),
        }
    }

    fn heal(&self, call: HealCall, lines: Lines) -> Answer<(IncidentId, Ending)> {
        let status = self.unit(&call.unit)?;
        let unit = status.name.clone();
        let detection = detection(&status, DetectedBy::Operator, None);
        let rehearsal;
        let scheduler = if call.dry_run {
            rehearsal =
                Scheduler::rehearse(Arc::clone(&self.daemon.assembly.healer)).map_err(failed)?;
            &rehearsal
        } else {
            &self.daemon.scheduler
        };
        self.daemon.watchers.add(unit.clone(), lines);
        let opened = scheduler.open(detection);
        let result = match opened {
            Ok(Opening::NotInCare) => Err(Refusal::new(
                RefusalKind::NotFound,
                format!("{unit} is not in Prunella's care"),
            )
            .help(format!("sudo prunella enable {unit}"))),
            Ok(_) => scheduler
                .wait_for(&unit)
                .ok_or_else(|| Refusal::new(RefusalKind::Busy, "the daemon is stopping")),
            Err(error) => Err(failed(error)),
        };
        self.daemon.watchers.remove(&unit);
        result
    }

    fn pause(&self, call: PauseCall) -> Answer<Vec<String>> {
        let notes = crate::pause::pause(self.store()?, &call).map_err(failed)?;
        self.daemon.send(Event::LookAgain);
        Ok(notes)
    }

    fn resume(&self, call: ResumeCall) -> Answer<Vec<String>> {
        let notes = crate::pause::resume(self.store()?, &call).map_err(failed)?;
        self.daemon.send(Event::LookAgain);
        Ok(notes)
    }

    fn alerts(&self, filter: DispatchFilter) -> Answer<Vec<Dispatch>> {
        self.store()?.dispatches(&filter).map_err(failed)
    }

    fn alert(&self, id: String) -> Answer<Dispatch> {
        crate::alerts::find(self.store()?, &id)
    }

    fn retry_alerts(&self, id: Option<String>) -> Answer<Vec<String>> {
        let notes = crate::alerts::retry_in(self.store()?, id.as_deref())?;
        self.daemon.tell();
        Ok(notes)
    }

    fn test_channel(&self, channel: ChannelName) -> Answer<Vec<String>> {
        let config = self.daemon.assembly.healer.config();
        let settings = config.channels.get(&channel).ok_or_else(|| {
            Refusal::new(
                RefusalKind::NotFound,
                format!("the daemon knows no channel `{channel}`"),
            )
            .help("systemctl reload prunella.service")
        })?;
        crate::alerts::try_channel(&self.daemon.paths, settings)
    }

    fn reload(&self) -> Answer<Vec<String>> {
        let (answer, answered) = mpsc::channel();
        self.daemon.send(Event::Reload(Some(answer)));
        match answered.recv_timeout(Duration::from_secs(8)) {
            Ok(Ok(notes)) => Ok(notes),
            Ok(Err(mistakes)) => Err(Refusal::new(RefusalKind::Failed, mistakes)
                .help("the last good configuration stays in force")),
            Err(_) => Err(Refusal::new(
                RefusalKind::Busy,
                "the daemon did not get to it in time",
            )),
        }
    }
}
