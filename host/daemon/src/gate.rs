//! Knows keys, links and sessions of the web door.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prunella_api::{Answer, Gate, LinkCall, LoginLink, Refusal, RefusalKind, secret};
use prunella_core::{
    Timestamp,
    access::{AuditEntry, KeyInfo, KeyName, Role, SessionInfo},
    text::one_line,
};
use prunella_store::{Store, StoreError};

use crate::{access, clock};

/// A link is good for so long.
const LINK: Duration = Duration::from_secs(5 * 60);

/// A session lasts so long.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// Links that nobody has used yet.
const LINKS: usize = 32;

/// That a key is used is written down so often.
const USED: Duration = Duration::from_secs(60);

/// The longest name of a session, in characters.
const NAME_MAX: usize = 100;

/// A link that nobody has used yet.
#[derive(Debug, Clone)]
struct Link {
    role: Role,
    /// Who made it.
    by: String,
    expires_at: Timestamp,
}

/// The daemon's gate.
pub(crate) struct DaemonGate {
    store: Option<Arc<Store>>,
    /// By the hash of the token. In memory: a link is for now.
    links: Mutex<HashMap<String, Link>>,
    /// When a key's use was written down last.
    used: Mutex<HashMap<KeyName, Timestamp>>,
}

fn failed(error: StoreError) -> Refusal {
    Refusal::new(RefusalKind::Failed, crate::explained(&error))
}

impl DaemonGate {
    pub(crate) fn new(store: Option<Arc<Store>>) -> Self {
        Self {
            store,
            links: Mutex::default(),
            used: Mutex::default(),
        }
    }

    fn store(&self) -> Result<&Store, Refusal> {
        self.store.as_deref().ok_or_else(access::no_store)
    }

    /// Makes a link to log in by.
    pub(crate) fn link(&self, call: &LinkCall) -> Answer<LoginLink> {
        if call.role == Role::Service {
            return Err(Refusal::new(
                RefusalKind::BadRequest,
                "a browser is no service: a session is of a viewer or an operator",
            )
            .into());
        }
        // Before somebody is sent to a page that cannot let them in.
        self.store()?;
        let token = secret::secret().map_err(|error| {
            Refusal::new(
                RefusalKind::Failed,
                format!("the kernel gives no random numbers: {error}"),
            )
        })?;
        let now = clock::now();
        let expires_at = now.saturating_add(LINK);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, link| now < link.expires_at);
        if links.len() >= LINKS {
            return Err(Refusal::new(
                RefusalKind::Busy,
                format!("{LINKS} links wait to be used already"),
            )
            .help("use one of them, or wait a few minutes until they are over")
            .into());
        }
        let link = Link {
            role: call.role,
            by: one_line(&call.by, NAME_MAX),
            expires_at,
        };
        links.insert(secret::hash(&token), link);
        Ok(LoginLink { token, expires_at })
    }

    /// Writes down that a key is used, once a minute.
    fn note_use(&self, store: &Store, key: &KeyInfo, now: Timestamp) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.get(&key.name).copied();
        if last.is_some_and(|last| now >= last && now.since(last) < USED) {
            return;
        }
        used.insert(key.name.clone(), now);
        drop(used);
        if let Err(error) = store.key_used(&key.name, now) {
            tracing::debug!("the use of a key is not written down: {error}");
        }
    }
}

impl Gate for DaemonGate {
    fn key(&self, hash: &str) -> Answer<Option<KeyInfo>> {
        let store = self.store()?;
        let now = clock::now();
        let found = store.key_of(hash).map_err(failed)?;
        let found = found.filter(|key| key.holds(now));
        if let Some(key) = &found {
            self.note_use(store, key, now);
        }
        Ok(found)
    }

    fn session(&self, hash: &str) -> Answer<Option<SessionInfo>> {
        Ok(self
            .store()?
            .session_of(hash, clock::now())
            .map_err(failed)?)
    }

    fn log_in(&self, token: &str, session: &str) -> Answer<Option<SessionInfo>> {
        let now = clock::now();
        let link = self
            .links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token);
        let Some(link) = link.filter(|link| now < link.expires_at) else {
            return Ok(None);
        };
        let info = SessionInfo {
            name: link.by,
            role: link.role,
            created_at: now,
            expires_at: now.saturating_add(SESSION),
        };
        self.store()?.add_session(&info, session).map_err(failed)?;
        tracing::info!("{} has logged in as {}", info.name, info.role);
        Ok(Some(info))
    }

    fn log_out(&self, session: &str) -> Answer<bool> {
        Ok(self.store()?.end_session(session).map_err(failed)?)
    }

    fn record(&self, order: &AuditEntry) {
        // Where there is no store at all, that was told.
        if let Some(store) = &self.store
            && let Err(error) = store.audited(order)
        {
            tracing::warn!(
                "{} {} by {} is not written down: {error}",
                order.method,
                order.address,
                order.by
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> (tempfile::TempDir, DaemonGate) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        (folder, DaemonGate::new(Some(Arc::new(store))))
    }

    fn call(role: Role) -> LinkCall {
        LinkCall {
            role,
            by: "anna (as root)".into(),
        }
    }

    #[test]
    fn a_link_lets_one_in_once() {
        let (_folder, gate) = gate();
        let link = gate.link(&call(Role::Viewer)).unwrap();
        let token = secret::hash(&link.token);
        assert!(gate.log_in("other", "s0").unwrap().is_none());
        let session = gate.log_in(&token, "s1").unwrap().unwrap();
        assert_eq!(
            (session.role, session.name.as_str()),
            (Role::Viewer, "anna (as root)")
        );
        assert!(
            gate.log_in(&token, "s2").unwrap().is_none(),
            "it is used up"
        );
        assert_eq!(gate.session("s1").unwrap(), Some(session));
        assert_eq!(gate.session("s2").unwrap(), None);
        assert!(gate.log_out("s1").unwrap());
        assert_eq!(gate.session("s1").unwrap(), None);
    }

    #[test]
    fn links_are_bounded_and_for_people() {
        let (_folder, gate) = gate();
        assert!(gate.link(&call(Role::Service)).is_err());
        for _ in 0..LINKS {
            gate.link(&call(Role::Operator)).unwrap();
        }
        assert!(gate.link(&call(Role::Operator)).is_err());
    }

    #[test]
    fn without_a_store_nobody_gets_in() {
        let gate = DaemonGate::new(None);
        assert!(gate.key("h").is_err());
        assert!(gate.session("h").is_err());
        assert!(gate.link(&call(Role::Viewer)).is_err());
    }
}
