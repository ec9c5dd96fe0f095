//! What can be asked, and what can be ordered: the same of a daemon as of the
//! host without one.

use std::sync::{Arc, Mutex, PoisonError};

use prunella_core::{
    ChannelName, Timestamp, UnitName,
    access::{AuditEntry, KeyInfo, KeyName},
    alert::{Dispatch, DispatchFilter},
    event::Events,
    health::{ExpectedWork, Metric, Subject},
    incident::{Ending, IncidentId},
    oversight::Approval,
    statistics::StrategyStatistics,
    summary::{Filter, Summary},
    trail::{Entry, Record},
};

use crate::{
    Accepted, AddedKey, ApiError, AuditFilter, ChannelTest, DecideCall, ExpectCall,
    ExpositionFormat, HealCall, HealthDetail, HealthReport, HookCall, KeyCall, LinkCall, LoginLink,
    MetricHistory, MetricsReport, PauseCall, PauseStatus, PluginStatus, Records, Reloaded,
    ReportFormat, ResumeCall, Resumed, Retried, ServiceDetail, StatusReport, UndoCall, Undone,
};

/// What an answer is.
pub type Answer<T> = Result<T, ApiError>;

/// Questions. Answering one changes nothing.
pub trait Queries: Send + Sync {
    fn status(&self) -> Answer<StatusReport>;

    /// One service in detail, by any of its unit's names. Asks its probes.
    fn service(&self, unit: &UnitName) -> Answer<ServiceDetail>;

    /// How the host and every service in care are.
    fn health(&self) -> Answer<HealthReport>;

    /// How one service is, by any of its unit's names, or the host, and how that has
    /// changed since then; the latest changes, without a time.
    fn health_of(&self, subject: &Subject, since: Option<Timestamp>) -> Answer<HealthDetail>;

    /// The latest value of each metric, of one subject or of all.
    fn metrics(&self, subject: Option<&Subject>) -> Answer<MetricsReport>;

    /// The work that is expected of services now, by name.
    fn expected_work(&self) -> Answer<Vec<ExpectedWork>>;

    /// What one metric was from then, within the last hour without a time, until then, or now.
    fn metric(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Answer<MetricHistory>;

    /// Incidents, newest first.
    fn incidents(&self, filter: &Filter) -> Answer<Vec<Summary>>;

    /// One incident, by its id or the beginning or end of it.
    fn incident(&self, id: &str) -> Answer<Record>;

    /// Whole records, oldest first, after the place `after`, which is the `next`
    /// of the part before; as many as fit into one answer.
    fn records(&self, filter: &Filter, after: Option<u64>) -> Answer<Records>;

    /// What strategies have achieved, at one unit or at all.
    fn statistics(&self, unit: Option<&UnitName>) -> Answer<Vec<StrategyStatistics>>;

    /// The latest acts that waited, or wait, for approval.
    fn approvals(&self) -> Answer<Vec<Approval>>;

    /// Messages about incidents, newest first.
    fn alerts(&self, filter: &DispatchFilter) -> Answer<Vec<Dispatch>>;

    /// One message, by its id or the beginning or end of it.
    fn alert(&self, id: &str) -> Answer<Dispatch>;

    /// Every strategy, and how it stands.
    fn plugins(&self) -> Answer<Vec<PluginStatus>>;

    /// The report of an incident, by its id or the beginning or end of it.
    fn report(&self, id: &str, format: ReportFormat) -> Answer<String>;

    /// Orders that were given, newest first.
    fn audit(&self, filter: &AuditFilter) -> Answer<Vec<AuditEntry>>;

    /// The id of the event that happened last.
    fn latest_event(&self) -> Answer<u64>;

    /// What happened after the event with this id, oldest first; `limit` events at most are
    /// looked at.
    fn events(&self, after: u64, limit: u32) -> Answer<Events>;

    /// What Prunella measures of itself and of its work, for monitoring.
    fn exposition(&self, format: ExpositionFormat) -> Answer<String>;
}

/// Orders, which only root may give.
pub trait Orders: Send + Sync {
    /// Takes over a failure that a hook saw. A daemon answers once the incident
    /// is committed to the store, and before anything is done about it: the hook
    /// waits [200 ms](crate::HOOK_LIMIT) and then goes the way alone.
    ///
    /// No incident when there is nothing to see to: not in care, or seen already and
    /// over.
    fn hook(&self, call: &HookCall) -> Answer<Accepted>;

    /// Heals, or makes a dry run of it; each step goes to `steps` as it is taken. A
    /// caller that goes away does not end the healing.
    fn heal(&self, call: &HealCall, steps: Steps) -> Answer<(IncidentId, Ending)>;

    /// Leaves a unit, or all, alone.
    fn pause(&self, call: &PauseCall) -> Answer<PauseStatus>;

    /// No longer leaves it alone.
    fn resume(&self, call: &ResumeCall) -> Answer<Resumed>;

    /// Expects work of a service, in place of what was expected of it before.
    fn expect_work(&self, call: &ExpectCall) -> Answer<ExpectedWork>;

    /// Expects no work of a service any more; true when some was expected.
    fn end_expected_work(&self, unit: &UnitName) -> Answer<bool>;

    /// Agrees to an act that waits, or denies it.
    fn decide(&self, call: &DecideCall) -> Answer<Approval>;

    /// Undoes what was done to declared things in an incident, as far as that is possible.
    fn undo(&self, call: &UndoCall) -> Answer<Undone>;

    /// Has a message tried again, or all that did not get through.
    fn retry_alerts(&self, id: Option<&str>) -> Answer<Retried>;

    /// Sends a real message by a channel; one that did not get through is an
    /// error. Takes as long as the channel's time limit.
    fn test_channel(&self, channel: &ChannelName) -> Answer<ChannelTest>;

    /// Reads the configuration again. A broken one is an error, and the last
    /// good one stays in force.
    fn reload(&self) -> Answer<Reloaded>;

    /// The keys of the web door, by name, also those whose time is over. Changes nothing,
    /// and is for root alone.
    fn keys(&self) -> Answer<Vec<KeyInfo>>;

    /// Adds a key to the web door. One whose name is taken is a conflict.
    fn add_key(&self, call: &KeyCall) -> Answer<AddedKey>;

    /// Revokes a key at once; true when there was one.
    fn revoke_key(&self, name: &KeyName) -> Answer<bool>;

    /// Makes a link to log in by. Only a daemon can: it keeps it in memory.
    fn login_link(&self, call: &LinkCall) -> Answer<LoginLink>;
}

/// Where the steps of a healing go. Cheap to clone.
#[derive(Clone)]
pub struct Steps(Arc<Mutex<Option<Take>>>);

type Take = Box<dyn FnMut(&Entry) -> bool + Send>;

impl Steps {
    /// Hands every step to `take`, until that returns false.
    pub fn new(take: impl FnMut(&Entry) -> bool + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(take)))))
    }

    pub fn send(&self, entry: &Entry) {
        let mut take = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(f) = take.as_mut()
            && !f(entry)
        {
            *take = None;
        }
    }

    /// No step will be sent any more, whoever still holds a clone.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
