//! Looking: through the daemon when one listens, else directly.

use std::sync::Arc;

use prunella_api::{Client, ClientError, Records, StatusReport};
use prunella_core::{
    UnitName,
    achievement::Achievement,
    alert::{Dispatch, DispatchFilter},
    config::Config,
    incident::IncidentId,
    oversight::Approval,
    summary::{Filter, Summary},
    trail::Record,
};
use prunella_linux::{Linux, LinuxSettings};
use prunella_store::{Found, Store, StoreError};

use crate::{
    exit::{Exit, Problem},
    overview,
    paths::Paths,
};

/// Answers questions about host and incidents.
pub(crate) struct Looker<'a> {
    paths: &'a Paths,
    client: Client,
    /// Connected when first needed, and kept for `--watch`.
    linux: Option<Arc<Linux>>,
}

impl<'a> Looker<'a> {
    pub(crate) fn new(paths: &'a Paths) -> Self {
        Self {
            paths,
            client: Client::new(&paths.run),
            linux: None,
        }
    }

    /// The overview.
    pub(crate) fn status(&mut self) -> anyhow::Result<StatusReport> {
        match self.client.status() {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        let loaded = Config::load(&self.paths.config);
        let mut notices = Vec::new();
        if loaded.errors().next().is_some() {
            notices.push(
                "the configuration has mistakes, so services may be missing here: see `prunella \
                 config check`"
                    .to_owned(),
            );
        }
        let config = loaded.config.unwrap_or_default();
        let store = match open(self.paths) {
            Ok(store) => Some(store),
            // Nothing has happened yet.
            Err(StoreError::Missing { .. }) => None,
            Err(error) => {
                notices.push(format!("the incident store cannot be opened: {error}"));
                None
            }
        };
        let linux = match &self.linux {
            Some(linux) => linux.clone(),
            None => {
                let linux = Linux::connect(LinuxSettings::default())?;
                self.linux = Some(linux.clone());
                linux
            }
        };
        overview::of(self.paths, &config, store.as_ref(), &linux, None, notices)
    }

    /// Incidents, newest first.
    pub(crate) fn incidents(&self, filter: Filter) -> anyhow::Result<Vec<Summary>> {
        match self.client.incidents(filter.clone()) {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        match open(self.paths) {
            Ok(store) => Ok(store.incidents(&filter)?),
            Err(StoreError::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whole records, oldest first, part by part: `after` is the `next` of the
    /// part before.
    pub(crate) fn records(&self, filter: Filter, after: Option<u64>) -> anyhow::Result<Records> {
        match self.client.records(filter.clone(), after) {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        let (records, next) = match open(self.paths) {
            Ok(store) => store.records(&filter, after)?,
            Err(StoreError::Missing { .. }) => (Vec::new(), None),
            Err(error) => return Err(error.into()),
        };
        Ok(Records { records, next })
    }

    /// What strategies have achieved, at one unit or at all.
    pub(crate) fn achievements(&self, unit: Option<UnitName>) -> anyhow::Result<Vec<Achievement>> {
        match self.client.achievements(unit.clone()) {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        match open(self.paths) {
            Ok(store) => Ok(store.achievements(unit.as_ref())?),
            Err(StoreError::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The latest acts that waited, or wait, for approval.
    pub(crate) fn approvals(&self) -> anyhow::Result<Vec<Approval>> {
        match self.client.approvals() {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        match open(self.paths) {
            Ok(store) => Ok(store.approvals()?),
            Err(StoreError::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Messages about incidents, newest first.
    pub(crate) fn alerts(&self, filter: DispatchFilter) -> anyhow::Result<Vec<Dispatch>> {
        match self.client.alerts(filter.clone()) {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        match open(self.paths) {
            Ok(store) => Ok(store.dispatches(&filter)?),
            Err(StoreError::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// One message, by its id or the beginning or end of it.
    pub(crate) fn alert(&self, id: &str) -> anyhow::Result<Dispatch> {
        match self.client.alert(id.to_owned()) {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        let store = open(self.paths)?;
        crate::alerts::find(&store, id).map_err(|refusal| ClientError::Refused(refusal).into())
    }

    /// One incident, by its id or the beginning or end of it.
    pub(crate) fn incident(&self, id: &str) -> anyhow::Result<Record> {
        match self.client.incident(IncidentId::from_text(id)) {
            Err(ClientError::NotListening(_)) => {}
            other => return other.map_err(permission),
        }
        may_look(self.paths)?;
        let missing = || {
            Problem::new(Exit::NotFound, format!("there is no incident `{id}`"))
                .help("list them with `prunella incidents`")
        };
        let store = match open(self.paths) {
            Ok(store) => store,
            Err(StoreError::Missing { .. }) => return Err(missing().into()),
            Err(error) => return Err(error.into()),
        };
        let found = match store.find(id)? {
            Found::None => return Err(missing().into()),
            Found::One(found) => found,
            Found::Many(ids) => {
                let ids: Vec<&str> = ids.iter().map(IncidentId::as_str).collect();
                return Err(Problem::new(
                    Exit::NotFound,
                    format!("`{id}` could be several incidents"),
                )
                .help(format!("say which: {}", ids.join(", ")))
                .into());
            }
        };
        Ok(store.record(&found)?.ok_or_else(missing)?)
    }
}

fn open(paths: &Paths) -> Result<Store, StoreError> {
    Store::open_read_only(&paths.store())
}

fn permission(error: ClientError) -> anyhow::Error {
    if let ClientError::NoPermission(_) = &error {
        return Problem::new(Exit::NoPermission, "this user may not ask the daemon")
            .help(
                "run it with sudo, or let somebody add you to the group systemd-journal: \
                 `usermod -aG systemd-journal $USER`",
            )
            .because(error)
            .into();
    }
    error.into()
}

/// Without a daemon the state has to be read directly, which is for root.
fn may_look(paths: &Paths) -> Result<(), Problem> {
    use rustix::fs::{Access, access};
    let denied = match access(&paths.state, Access::READ_OK | Access::EXEC_OK) {
        Err(rustix::io::Errno::ACCESS) => true,
        Err(rustix::io::Errno::NOENT) => {
            !rustix::process::geteuid().is_root() && !paths.config.exists()
        }
        _ => false,
    };
    if !denied {
        return Ok(());
    }
    if paths.config.exists() {
        return Err(Problem::new(
            Exit::NoPermission,
            "no daemon runs, and only root may look without one",
        )
        .help("run it with sudo, or start the daemon: `systemctl start prunella.service`"));
    }
    Err(
        Problem::new(Exit::NoPermission, "Prunella is not set up on this host")
            .help("run `sudo prunella setup` first"),
    )
}
