//! Queries, answered from the store and from the host as it is: by the daemon,
//! and by a command where no daemon runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prunella_analysis::HostAnalyst;
use prunella_api::{
    Answer, DaemonInfo, Queries, Records, Refusal, RefusalKind, ServiceDetail, StatusReport,
};
use prunella_config::Config;
use prunella_core::{
    ChannelName, UnitName,
    alert::{Dispatch, DispatchFilter, DispatchState},
    oversight::Approval,
    statistics::StrategyStatistics,
    summary::{Filter, Summary},
    text::one_line,
    trail::Record,
};
use prunella_linux::{Linux, LinuxSettings};
use prunella_store::{Store, StoreError};

use crate::{DaemonError, Paths, access, alerts, configuration, incidents, overview};

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(5);

/// As much is shown of why a channel does not take a message.
const WHY_MAX: usize = 120;

/// What is in force, by whoever answers.
pub(crate) trait InForce: Send + Sync {
    fn config(&self) -> Arc<Config>;

    /// The way to systemd.
    fn linux(&self) -> Answer<Arc<Linux>>;

    /// The daemon that answers; absent for a command.
    fn daemon(&self) -> Option<DaemonInfo>;

    /// What is wrong with the configuration, one sentence each.
    fn config_problems(&self) -> Vec<String>;

    /// What else an operator should know, one sentence each.
    fn notices(&self) -> Vec<String>;
}

/// Answers from the store and the host.
pub struct LocalQueries {
    paths: Paths,
    in_force: Arc<dyn InForce>,
    /// Absent when nothing has happened yet.
    store: Result<Option<Arc<Store>>, Refusal>,
}

impl LocalQueries {
    /// For the daemon, by its own store.
    pub(crate) fn of_daemon(
        paths: Paths,
        in_force: Arc<dyn InForce>,
        store: Option<Arc<Store>>,
    ) -> Self {
        let store = store.map(Some).ok_or_else(access::no_store);
        Self {
            paths,
            in_force,
            store,
        }
    }

    /// For a command, where no daemon runs.
    ///
    /// # Errors
    /// When this user may not look.
    pub fn of_command(paths: &Paths) -> Result<Self, Refusal> {
        access::may_look(paths)?;
        let store = match Store::open_read_only(&paths.store()) {
            Ok(store) => Ok(Some(Arc::new(store))),
            // Nothing has happened yet.
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(Refusal::new(
                RefusalKind::Failed,
                format!("the incident store cannot be opened: {error}"),
            )),
        };
        Ok(Self {
            paths: paths.clone(),
            in_force: Arc::new(Command {
                paths: paths.clone(),
                linux: Mutex::default(),
            }),
            store,
        })
    }

    /// What the store says; `None` when there is no store yet.
    fn read<T>(&self, ask: impl FnOnce(&Store) -> Result<T, StoreError>) -> Answer<Option<T>> {
        match &self.store {
            Ok(Some(store)) => ask(store)
                .map(Some)
                .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()).into()),
            Ok(None) => Ok(None),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }
}

impl Queries for LocalQueries {
    fn status(&self) -> Answer<StatusReport> {
        let mut alarms = self.in_force.config_problems();
        let kill_switch = self.paths.kill_switch();
        if kill_switch.exists() {
            alarms.insert(
                0,
                format!(
                    "nothing is healed while {} is there: remove it to go on",
                    kill_switch.display()
                ),
            );
        }
        let mut notices = self.in_force.notices();
        if let Some(model) = &self.in_force.config().analysis
            && let Some(why) = HostAnalyst::new(&self.paths.run).silence()
        {
            notices.push(format!("the model {}: {why}", model.model));
        }
        let store = match &self.store {
            Ok(store) => store.as_deref(),
            Err(refusal) => {
                notices.push(refusal.message.clone());
                None
            }
        };
        if let Some(trouble) = store.and_then(Store::trouble) {
            notices.push(format!(
                "the incident store does not work, and what happens is only in the journal: \
                 {trouble}"
            ));
        }
        if let Some(store) = store {
            notices.extend(undelivered(store));
        }
        Ok(overview::of(
            &self.paths,
            &self.in_force.config(),
            store,
            &self.in_force.linux()?,
            self.in_force.daemon(),
            alarms,
            notices,
        ))
    }

    fn service(&self, unit: &UnitName) -> Answer<ServiceDetail> {
        let config = self.in_force.config();
        let linux = self.in_force.linux()?;
        let deadline = Instant::now() + LOOK;
        let status = linux.units().get(deadline, unit).map_err(|failure| {
            let unit = unit.clone();
            DaemonError::Unit { unit, failure }
        })?;
        // An alias may have been given; and a unit that does not exist has no other name.
        let service = config
            .services
            .get(&status.name)
            .or_else(|| config.services.get(unit))
            .ok_or_else(|| DaemonError::NotInCare(status.name.clone()))?;
        let asked = overview::Asked {
            paths: &self.paths,
            config: &config,
            store: self.store.as_ref().ok().and_then(Option::as_ref),
            linux: &linux,
        };
        Ok(overview::of_service(&asked, service, &status))
    }

    fn incidents(&self, filter: &Filter) -> Answer<Vec<Summary>> {
        Ok(self
            .read(|store| store.incidents(filter))?
            .unwrap_or_default())
    }

    fn incident(&self, id: &str) -> Answer<Record> {
        match &self.store {
            Ok(Some(store)) => incidents::find(store, id),
            Ok(None) => Err(incidents::missing(id).into()),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }

    fn records(&self, filter: &Filter, after: Option<u64>) -> Answer<Records> {
        let (records, next) = self
            .read(|store| store.records(filter, after))?
            .unwrap_or_default();
        Ok(Records { records, next })
    }

    fn statistics(&self, unit: Option<&UnitName>) -> Answer<Vec<StrategyStatistics>> {
        Ok(self
            .read(|store| store.statistics(unit))?
            .unwrap_or_default())
    }

    fn approvals(&self) -> Answer<Vec<Approval>> {
        Ok(self.read(Store::approvals)?.unwrap_or_default())
    }

    fn alerts(&self, filter: &DispatchFilter) -> Answer<Vec<Dispatch>> {
        Ok(self
            .read(|store| store.dispatches(filter))?
            .unwrap_or_default())
    }

    fn alert(&self, id: &str) -> Answer<Dispatch> {
        match &self.store {
            Ok(Some(store)) => alerts::find(store, id),
            Ok(None) => Err(alerts::missing(id).into()),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }
}

/// What a command finds for itself.
struct Command {
    paths: Paths,
    /// Connected when first needed, and kept for `--watch`.
    linux: Mutex<Option<Arc<Linux>>>,
}

impl InForce for Command {
    fn config(&self) -> Arc<Config> {
        Arc::new(configuration::on_disk(&self.paths).config)
    }

    fn linux(&self) -> Answer<Arc<Linux>> {
        let mut linux = self.linux.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(linux) = &*linux {
            return Ok(Arc::clone(linux));
        }
        let connected = Linux::connect(LinuxSettings::default()).map_err(|error| {
            Refusal::new(
                RefusalKind::Failed,
                format!("cannot reach the host: {error}"),
            )
        })?;
        *linux = Some(Arc::clone(&connected));
        Ok(connected)
    }

    fn daemon(&self) -> Option<DaemonInfo> {
        None
    }

    fn config_problems(&self) -> Vec<String> {
        let found = configuration::on_disk(&self.paths);
        let mut problems = found.problems();
        problems.extend(configuration::lost_services(&self.paths, &found.config));
        problems
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What people do not hear because their channel does not take it, a sentence for each
/// channel.
fn undelivered(store: &Store) -> Vec<String> {
    let waiting = DispatchFilter {
        states: vec![DispatchState::Waiting, DispatchState::Sending],
        ..DispatchFilter::default()
    };
    let found = store.dispatches(&waiting).unwrap_or_else(|error| {
        // Its own trouble is told apart.
        tracing::debug!("what waits to be told is not known: {error}");
        Vec::new()
    });
    let mut channels: BTreeMap<ChannelName, (usize, String)> = BTreeMap::new();
    for dispatch in found {
        // The newest comes first, and has the latest word for why.
        let Some(why) = dispatch.detail.filter(|_| dispatch.tries > 0) else {
            continue;
        };
        channels.entry(dispatch.channel).or_insert((0, why)).0 += 1;
    }
    channels
        .into_iter()
        .map(|(channel, (count, why))| {
            let messages = match count {
                1 => "1 message waits".to_owned(),
                count => format!("{count} messages wait"),
            };
            format!(
                "people cannot be told by channel {channel}: {messages} ({}); `prunella alerts` \
                 shows them",
                one_line(&why, WHY_MAX)
            )
        })
        .collect()
}
