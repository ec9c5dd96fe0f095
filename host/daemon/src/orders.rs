//! Orders, carried out where no daemon runs.

use std::sync::Arc;

use prunella_api::{
    Accepted, AddedKey, Answer, ApiError, ChannelTest, DecideCall, ExpectCall, HealCall, HookCall,
    KeyCall, LinkCall, LoginLink, Orders, PauseCall, PauseStatus, Refusal, RefusalKind, Reloaded,
    ResumeCall, Resumed, Retried, Steps, UndoCall, Undone,
};
use prunella_core::{
    ChannelName, UnitName,
    access::{KeyInfo, KeyName},
    health::ExpectedWork,
    incident::{Ending, Incident, IncidentId},
    oversight::Approval,
    trail::Entry,
};
use prunella_healer::Observer;

use crate::{
    DaemonError, Paths, access::open_store, alerts, approvals, clock, configuration::load_config,
    expected, heal, hook, keys, notifier, pauses, undo,
};

/// Carries orders out in this process.
#[derive(Debug, Clone)]
pub struct LocalOrders {
    paths: Paths,
}

impl LocalOrders {
    /// For the host with these folders.
    pub fn new(paths: &Paths) -> Self {
        Self {
            paths: paths.clone(),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> ApiError {
    Refusal::new(RefusalKind::Failed, error.to_string()).into()
}

impl Orders for LocalOrders {
    fn hook(&self, call: &HookCall) -> Answer<Accepted> {
        hook::alone(&self.paths, &call.unit, &call.monitor).map_err(ApiError::from)
    }

    fn heal(&self, call: &HealCall, steps: Steps) -> Answer<(IncidentId, Ending)> {
        heal::here(&self.paths, call, None, Arc::new(Followed(steps))).map_err(ApiError::from)
    }

    fn pause(&self, call: &PauseCall) -> Answer<PauseStatus> {
        pauses::pause(&open_store(&self.paths)?, call).map_err(failed)
    }

    fn expect_work(&self, call: &ExpectCall) -> Answer<ExpectedWork> {
        let config = load_config(&self.paths).map_err(DaemonError::from)?;
        Ok(expected::expect(&open_store(&self.paths)?, &config, call)?)
    }

    fn end_expected_work(&self, unit: &UnitName) -> Answer<bool> {
        let store = open_store(&self.paths)?;
        store.end_expected_work(unit, clock::now()).map_err(failed)
    }

    fn resume(&self, call: &ResumeCall) -> Answer<Resumed> {
        pauses::resume(&open_store(&self.paths)?, call).map_err(failed)
    }

    fn decide(&self, call: &DecideCall) -> Answer<Approval> {
        Ok(approvals::decide(&open_store(&self.paths)?, call)?)
    }

    fn undo(&self, call: &UndoCall) -> Answer<Undone> {
        undo::alone(&self.paths, call)
    }

    fn retry_alerts(&self, id: Option<&str>) -> Answer<Retried> {
        let config = load_config(&self.paths).map_err(DaemonError::from)?;
        let store = Arc::new(open_store(&self.paths)?);
        let retried = alerts::retry(&store, id)?;
        // Nobody else is there to send them.
        if let Some(notifier) = notifier::alone(&self.paths, store, config) {
            notifier.work_for(notifier::PATIENCE);
        }
        Ok(retried)
    }

    fn test_channel(&self, channel: &ChannelName) -> Answer<ChannelTest> {
        let config = load_config(&self.paths).map_err(DaemonError::from)?;
        alerts::test(&self.paths, alerts::channel(&config, channel)?)
    }

    fn keys(&self) -> Answer<Vec<KeyInfo>> {
        open_store(&self.paths)?.keys().map_err(failed)
    }

    fn add_key(&self, call: &KeyCall) -> Answer<AddedKey> {
        let config = load_config(&self.paths).map_err(DaemonError::from)?;
        keys::add(&open_store(&self.paths)?, &config, call)
    }

    fn revoke_key(&self, name: &KeyName) -> Answer<bool> {
        keys::revoke(&open_store(&self.paths)?, name)
    }

    fn login_link(&self, _: &LinkCall) -> Answer<LoginLink> {
        Err(Refusal::new(
            RefusalKind::Failed,
            "no daemon is running, so nobody can log in",
        )
        .help("start it with `systemctl start prunella.service`")
        .into())
    }

    fn reload(&self) -> Answer<Reloaded> {
        Err(Refusal::new(
            RefusalKind::Failed,
            "no daemon is running, so nothing can be reloaded",
        )
        .help("start it with `systemctl start prunella.service`")
        .into())
    }
}

/// Hands the steps of an incident on.
struct Followed(Steps);

impl Observer for Followed {
    fn step(&self, _: &Incident, entry: &Entry) {
        self.0.send(entry);
    }
}
