//! systemd's signals: one connection, one match rule, one dispatcher for all.
//!
//! The dispatcher is a task on the background thread that reads every signal at
//! once (an unread one would hold up the whole connection) and hands it on:
//!
//! - to whoever watches a unit ([`Signals::watch_unit`]): only *that* something
//!   changed, coalesced, since the watcher looks for itself;
//! - to whoever waits for a job ([`Signals::submitting`]): systemd's word;
//! - to listeners ([`Signals::listen`]): what a signal said, for the units they
//!   care for, decided by object path before anything is decoded.
//!
//! The connection is opened when somebody first needs it. When it is lost, all
//! who wait learn so at once; it is opened again while there is a listener.
//!
//! Any local process may send a signal straight to this connection, past every
//! match rule. So only signals from systemd's own unique name count.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroUsize,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use prunella_core::{Monotonic, capability::ActiveState};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use zbus::{Connection, Message, MessageStream, Variant, message::Type};

use crate::{
    bus::{self, MANAGER, MANAGER_INTERFACE, PROPERTIES, SYSTEMD, UNIT_INTERFACE},
    error::BusError,
    status::{Bag, Facts, main_end},
};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const SERVICE_INTERFACE: &str = "org.freedesktop.systemd1.Service";

/// Everything of systemd's, and nothing of anybody else's.
const SYSTEMD_RULE: &str =
    "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1'";
/// Who systemd is.
const OWNER_RULE: &str = "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.systemd1'";

/// Signals that may queue up before the socket is left unread. The dispatcher
/// only copies what it reads, so this is for bursts.
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// How long the subscription may take.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(5);
/// The first and the longest wait before a lost connection is opened again.
/// Opening waits by itself while a bus starts behind its socket, so these matter
/// only while there is no socket.
const AGAIN_FIRST: Duration = Duration::from_millis(20);
const AGAIN_MOST: Duration = Duration::from_secs(5);
/// Jobs remembered as ours. One ends long before so many others have begun.
const OWN_JOBS: usize = 256;

/// What a listener cares for. Asked for every signal, so it must be quick.
pub trait Interest: Send + Sync {
    /// Whether the unit with this object path matters.
    fn path(&self, path: &str) -> bool;
    /// Whether the unit with this canonical name matters.
    fn unit(&self, name: &str) -> bool;
}

/// What systemd's signals said, for a listener.
#[derive(Debug, Clone)]
pub enum BusEvent {
    /// Subscribed: signals come from now on, and what came before is unknown.
    Up,
    /// The connection was lost.
    Down,
    /// systemd begins (true) or has ended (false) reading its unit files again.
    Reloading(bool),
    /// A unit's properties changed.
    UnitChanged {
        /// The unit's object path.
        path: String,
        /// What the signal said.
        glimpse: Glimpse,
    },
    /// A job was queued.
    JobNew {
        id: u32,
        /// For which unit.
        unit: String,
        /// Whether this process may have asked for it.
        maybe_own: bool,
    },
    /// A job ended.
    JobRemoved {
        id: u32,
        /// For which unit.
        unit: String,
        /// systemd's word.
        result: String,
        /// Whether this process asked for it.
        own: bool,
    },
}

/// What one PropertiesChanged said of a unit. systemd sends those of the
/// service first, then those of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glimpse {
    /// The unit's own properties.
    Unit {
        /// ActiveState.
        active_state: ActiveState,
        /// SubState.
        sub_state: String,
        /// InvocationID.
        invocation: Option<String>,
        /// InactiveEnterTimestampMonotonic.
        inactive_enter_monotonic: Option<Monotonic>,
        /// InactiveExitTimestampMonotonic.
        inactive_exit_monotonic: Option<Monotonic>,
        /// ActiveExitTimestampMonotonic.
        active_exit_monotonic: Option<Monotonic>,
        /// The pending job.
        job: Option<u32>,
    },
    /// The service's properties.
    Service {
        /// Result.
        result: String,
        /// The main process's exit code.
        exit_code: Option<i32>,
        /// The signal that ended the main process, without `SIG`.
        signal: Option<String>,
        /// ExecMainExitTimestampMonotonic.
        main_exit_monotonic: Option<Monotonic>,
        restarts: u32,
    },
}

impl Glimpse {
    fn unit(facts: &impl Facts) -> Option<Self> {
        Some(Self::Unit {
            active_state: ActiveState::parse(&facts.text("ActiveState")?),
            sub_state: facts.text("SubState").unwrap_or_default(),
            invocation: facts.id("InvocationID"),
            inactive_enter_monotonic: facts.monotonic("InactiveEnterTimestampMonotonic"),
            inactive_exit_monotonic: facts.monotonic("InactiveExitTimestampMonotonic"),
            active_exit_monotonic: facts.monotonic("ActiveExitTimestampMonotonic"),
            job: facts.job(),
        })
    }

    fn service(facts: &impl Facts) -> Option<Self> {
        let (exit_code, signal) = main_end(facts);
        Some(Self::Service {
            result: facts.text("Result")?,
            exit_code,
            signal,
            main_exit_monotonic: facts.monotonic("ExecMainExitTimestampMonotonic"),
            restarts: facts.small("NRestarts"),
        })
    }
}

/// The dispatcher and who waits for what.
pub(crate) struct Signals {
    address: Option<String>,
    handle: Handle,
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
}

/// How the connection stands.
#[derive(Debug, Clone)]
enum Phase {
    /// None, and nobody tries.
    Off,
    Opening,
    Up,
    /// Could not be opened, or was lost; may be tried again.
    Down(BusError),
}

#[derive(Default)]
struct State {
    up: bool,
    running: bool,
    units: HashMap<String, UnitWatched>,
    jobs: Jobs,
    listeners: Vec<Arc<Entry>>,
    next_listener: u64,
    owner: Option<String>,
}

struct UnitWatched {
    watchers: usize,
    changed: watch::Sender<()>,
}

struct Entry {
    id: u64,
    interest: Box<dyn Interest>,
    events: mpsc::UnboundedSender<BusEvent>,
}

/// Jobs that are waited for. A job's path is known only when the call that
/// queued it has returned, and it may end before: so while any such call is
/// under way, every end is kept.
#[derive(Default)]
struct Jobs {
    submitting: usize,
    ended: HashMap<String, String>,
    waiting: HashMap<String, watch::Sender<Option<String>>>,
    own: VecDeque<u32>,
}

impl Jobs {
    fn ended(&mut self, path: &str, result: &str) {
        if let Some(waiting) = self.waiting.remove(path) {
            // Nobody may be waiting any more; then it does not matter.
            let _ = waiting.send(Some(result.to_owned()));
        } else if self.submitting > 0 {
            self.ended.insert(path.to_owned(), result.to_owned());
        }
    }

    fn claim(&mut self, path: &str) -> watch::Receiver<Option<String>> {
        if let Some(id) = job_number(path)
            && !self.own.contains(&id)
        {
            if self.own.len() == OWN_JOBS {
                self.own.pop_front();
            }
            self.own.push_back(id);
        }
        if let Some(result) = self.ended.get(path) {
            return watch::channel(Some(result.clone())).1;
        }
        self.waiting
            .entry(path.to_owned())
            .or_insert_with(|| watch::channel(None).0)
            .subscribe()
    }

    fn submitted(&mut self) {
        self.submitting = self.submitting.saturating_sub(1);
        if self.submitting == 0 {
            self.ended.clear();
        }
    }
}

/// The number at the end of a job's path.
fn job_number(path: &str) -> Option<u32> {
    path.rsplit_once('/')?.1.parse().ok()
}

/// A call that queues a job is under way; from before the call until its reply
/// has been handled.
pub(crate) struct Submitting(Arc<Signals>);

impl Submitting {
    /// The end of the job at `path`: systemd's word when it comes. The sender is
    /// dropped when the connection is lost.
    pub(crate) fn claim(&self, path: &str) -> Result<watch::Receiver<Option<String>>, BusError> {
        let mut state = self.0.lock();
        if !state.up {
            return Err(lost());
        }
        Ok(state.jobs.claim(path))
    }
}

impl Drop for Submitting {
    fn drop(&mut self) {
        self.0.lock().jobs.submitted();
    }
}

/// Watches one unit's object.
pub(crate) struct UnitWatch {
    signals: Arc<Signals>,
    path: String,
    changed: watch::Receiver<()>,
}

impl UnitWatch {
    /// Waits until something about the unit has changed since the last time
    /// (or since the watch was made).
    pub(crate) async fn changed(&mut self) -> Result<(), BusError> {
        self.changed.changed().await.map_err(|_| lost())
    }
}

impl Drop for UnitWatch {
    fn drop(&mut self) {
        let mut state = self.signals.lock();
        if let Some(watched) = state.units.get_mut(&self.path) {
            watched.watchers = watched.watchers.saturating_sub(1);
            if watched.watchers == 0 {
                state.units.remove(&self.path);
            }
        }
    }
}

/// Receives events until dropped.
pub struct Listener {
    signals: Weak<Signals>,
    id: u64,
    events: mpsc::UnboundedReceiver<BusEvent>,
}

impl Listener {
    /// The next event; none when the host is being shut down.
    pub async fn next(&mut self) -> Option<BusEvent> {
        self.events.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(signals) = self.signals.upgrade() {
            let id = self.id;
            signals.lock().listeners.retain(|entry| entry.id != id);
        }
    }
}

fn lost() -> BusError {
    BusError::Lost("it was closed".to_owned())
}

impl Signals {
    pub(crate) fn new(address: Option<String>, handle: Handle) -> Arc<Self> {
        Arc::new(Self {
            address,
            handle,
            state: Mutex::default(),
            phase: watch::Sender::new(Phase::Off),
        })
    }

    /// The state. Its lock is held only for look-ups, never over an await, and a
    /// panic of another holder leaves nothing half done in it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to open the connection, so that a later wait finds it open.
    pub(crate) fn prepare(self: &Arc<Self>) {
        let mut state = self.lock();
        if !state.running {
            state.running = true;
            self.phase.send_replace(Phase::Opening);
            self.handle.spawn(Arc::clone(self).run());
        }
    }

    /// Waits until signals come, or it is known that they don't.
    pub(crate) async fn ready(self: &Arc<Self>) -> Result<(), BusError> {
        let mut phase = self.phase.subscribe();
        self.prepare();
        loop {
            match &*phase.borrow_and_update() {
                Phase::Up => return Ok(()),
                Phase::Down(error) => return Err(error.clone()),
                Phase::Off | Phase::Opening => {}
            }
            if phase.changed().await.is_err() {
                return Err(lost());
            }
        }
    }

    /// Watches the unit with this object path; call [`ready`](Self::ready)
    /// first, and look at the unit after.
    pub(crate) fn watch_unit(self: &Arc<Self>, path: &str) -> Result<UnitWatch, BusError> {
        let mut state = self.lock();
        if !state.up {
            return Err(lost());
        }
        let watched = state
            .units
            .entry(path.to_owned())
            .or_insert_with(|| UnitWatched {
                watchers: 0,
                changed: watch::Sender::new(()),
            });
        watched.watchers += 1;
        Ok(UnitWatch {
            signals: Arc::clone(self),
            path: path.to_owned(),
            changed: watched.changed.subscribe(),
        })
    }

    /// To be held while a call that queues a job is under way; call
    /// [`ready`](Self::ready) first.
    pub(crate) fn submitting(self: &Arc<Self>) -> Submitting {
        self.lock().jobs.submitting += 1;
        Submitting(Arc::clone(self))
    }

    /// Hands on what `interest` cares for, until the listener is dropped. The
    /// first event is [`BusEvent::Up`] once signals come.
    pub(crate) fn listen(self: &Arc<Self>, interest: Box<dyn Interest>) -> Listener {
        let (sender, events) = mpsc::unbounded_channel();
        let id = {
            let mut state = self.lock();
            let id = state.next_listener;
            state.next_listener += 1;
            if state.up {
                let _ = sender.send(BusEvent::Up);
            }
            state.listeners.push(Arc::new(Entry {
                id,
                interest,
                events: sender,
            }));
            id
        };
        self.prepare();
        Listener {
            signals: Arc::downgrade(self),
            id,
            events,
        }
    }

    /// Opens the connection and dispatches; again and again while somebody
    /// listens.
    async fn run(self: Arc<Self>) {
        let mut wait = AGAIN_FIRST;
        loop {
            let (was_up, error) = match self.session().await {
                Ok(()) => (true, lost()),
                Err(error) => (false, error),
            };
            if was_up {
                wait = AGAIN_FIRST;
                tracing::warn!("the connection to the system bus was lost");
            } else {
                tracing::debug!(%error, "the system bus cannot be listened to");
            }
            {
                let mut state = self.lock();
                state.up = false;
                state.owner = None;
                // Dropping the senders tells everybody who waits.
                state.units.clear();
                state.jobs.waiting.clear();
                state.jobs.ended.clear();
                if was_up {
                    state.tell_all(&BusEvent::Down);
                }
                self.phase.send_replace(Phase::Down(error));
                if state.listeners.is_empty() {
                    state.running = false;
                    return;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN_MOST);
        }
    }

    /// One connection, from opening to its end. An error means that it never
    /// came to dispatching.
    async fn session(&self) -> Result<(), BusError> {
        let mut connection = bus::open(self.address.as_deref()).await?;
        connection.set_max_queued(QUEUE);
        let mut stream = MessageStream::from(&connection);
        let mut subscribing = pin!(tokio::time::timeout(
            SUBSCRIBE_LIMIT,
            subscribe(&connection)
        ));
        // Signals are read, and dropped, while the subscription is being made:
        // a full queue would hold up its replies.
        let owner = loop {
            tokio::select! {
                biased;
                done = &mut subscribing => match done {
                    Ok(owner) => break owner?,
                    Err(_) => return Err(BusError::Down("systemd did not answer in time".to_owned())),
                },
                message = stream.next() => {
                    if !matches!(message, Some(Ok(_))) {
                        return Err(lost());
                    }
                }
            }
        };
        {
            let mut state = self.lock();
            state.owner = Some(owner);
            state.up = true;
            state.tell_all(&BusEvent::Up);
            self.phase.send_replace(Phase::Up);
        }
        while let Some(Ok(message)) = stream.next().await {
            if self.dispatch(&message) == Dispatched::NewOwner {
                let connection = connection.clone();
                // The reply comes over this connection, so it cannot be waited
                // for here.
                self.handle.spawn(async move {
                    if let Err(error) = subscribe_manager(&connection).await {
                        tracing::warn!(%error, "cannot subscribe to systemd's signals");
                    }
                });
            }
        }
        Ok(())
    }

    fn dispatch(&self, message: &Message) -> Dispatched {
        if message.message_type() != Type::Signal {
            return Dispatched::Done;
        }
        let header = message.header();
        let (Some(sender), Some(path), Some(interface), Some(member)) = (
            header.sender(),
            header.path(),
            header.interface(),
            header.member(),
        ) else {
            return Dispatched::Done;
        };
        let mut state = self.lock();
        if sender.as_str() == BUS {
            return state.owner_changed(member.as_str(), message);
        }
        if state.owner.as_deref() != Some(sender.as_str()) {
            return Dispatched::Done;
        }
        match (interface.as_str(), member.as_str()) {
            (PROPERTIES, "PropertiesChanged") => state.unit_changed(path.as_str(), message),
            (MANAGER_INTERFACE, "JobRemoved") => state.job_removed(message),
            (MANAGER_INTERFACE, "JobNew") => state.job_new(message),
            (MANAGER_INTERFACE, "UnitRemoved") => state.unit_removed(message),
            (MANAGER_INTERFACE, "Reloading") => {
                if let Ok(begins) = message.body().deserialize::<bool>() {
                    state.tell_all(&BusEvent::Reloading(begins));
                    if !begins {
                        // Whoever waits looks again: names and objects may have
                        // changed.
                        for watched in state.units.values() {
                            let _ = watched.changed.send(());
                        }
                    }
                }
            }
            _ => {}
        }
        Dispatched::Done
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Dispatched {
    Done,
    /// systemd has come back under another unique name.
    NewOwner,
}

impl State {
    fn tell_all(&self, event: &BusEvent) {
        for entry in &self.listeners {
            let _ = entry.events.send(event.clone());
        }
    }

    fn tell_unit(&self, unit: &str, event: &BusEvent) {
        for entry in &self.listeners {
            if entry.interest.unit(unit) {
                let _ = entry.events.send(event.clone());
            }
        }
    }

    fn owner_changed(&mut self, member: &str, message: &Message) -> Dispatched {
        if member != "NameOwnerChanged" {
            return Dispatched::Done;
        }
        let body = message.body();
        let Ok((name, _, owner)) = body.deserialize::<(&str, &str, &str)>() else {
            return Dispatched::Done;
        };
        if name != SYSTEMD {
            return Dispatched::Done;
        }
        // After a daemon-reexec: signals may have been missed.
        self.jobs.waiting.clear();
        self.jobs.ended.clear();
        if owner.is_empty() {
            self.owner = None;
            self.tell_all(&BusEvent::Down);
            return Dispatched::Done;
        }
        self.owner = Some(owner.to_owned());
        for watched in self.units.values() {
            let _ = watched.changed.send(());
        }
        self.tell_all(&BusEvent::Up);
        Dispatched::NewOwner
    }

    fn unit_changed(&self, path: &str, message: &Message) {
        if let Some(watched) = self.units.get(path) {
            let _ = watched.changed.send(());
        }
        let mut glimpse = None;
        for entry in &self.listeners {
            if !entry.interest.path(path) {
                continue;
            }
            if glimpse.is_none() {
                glimpse = read_glimpse(message);
            }
            let Some(glimpse) = &glimpse else { return };
            let _ = entry.events.send(BusEvent::UnitChanged {
                path: path.to_owned(),
                glimpse: glimpse.clone(),
            });
        }
    }

    fn unit_removed(&self, message: &Message) {
        let body = message.body();
        if let Ok((_, path)) = body.deserialize::<(&str, zbus::ObjectPath<'_>)>()
            && let Some(watched) = self.units.get(path.as_str())
        {
            let _ = watched.changed.send(());
        }
    }

    fn job_new(&self, message: &Message) {
        if self.listeners.is_empty() {
            return;
        }
        let body = message.body();
        let Ok((id, _, unit)) = body.deserialize::<(u32, zbus::ObjectPath<'_>, &str)>() else {
            return;
        };
        self.tell_unit(
            unit,
            &BusEvent::JobNew {
                id,
                unit: unit.to_owned(),
                maybe_own: self.jobs.submitting > 0
                    || !self.jobs.waiting.is_empty()
                    || self.jobs.own.contains(&id),
            },
        );
    }

    fn job_removed(&mut self, message: &Message) {
        let body = message.body();
        let Ok((id, path, unit, result)) =
            body.deserialize::<(u32, zbus::ObjectPath<'_>, &str, &str)>()
        else {
            return;
        };
        // The job is a property of its unit, too.
        let unit_path = bus::unit_path(unit);
        if let Some(watched) = self.units.get(&unit_path) {
            let _ = watched.changed.send(());
        }
        self.jobs.ended(path.as_str(), result);
        if !self.listeners.is_empty() {
            self.tell_unit(
                unit,
                &BusEvent::JobRemoved {
                    id,
                    unit: unit.to_owned(),
                    result: result.to_owned(),
                    own: self.jobs.own.contains(&id),
                },
            );
        }
    }
}

fn read_glimpse(message: &Message) -> Option<Glimpse> {
    let body = message.body();
    let (interface, properties, _) = body
        .deserialize::<(&str, HashMap<&str, Variant<'_>>, Vec<&str>)>()
        .ok()?;
    match interface {
        UNIT_INTERFACE => Glimpse::unit(&Bag(properties)),
        SERVICE_INTERFACE => Glimpse::service(&Bag(properties)),
        _ => None,
    }
}

/// Makes the subscription; returns systemd's unique name.
async fn subscribe(connection: &Connection) -> Result<String, BusError> {
    for rule in [OWNER_RULE, SYSTEMD_RULE] {
        connection
            .call_method(Some(BUS), BUS_PATH, Some(BUS), "AddMatch", &rule)
            .await?;
    }
    subscribe_manager(connection).await?;
    let owner = connection
        .call_method(Some(BUS), BUS_PATH, Some(BUS), "GetNameOwner", &SYSTEMD)
        .await?
        .body()
        .deserialize::<String>()
        .map_err(BusError::from)?;
    Ok(owner)
}

/// Without it systemd sends no signals at all.
async fn subscribe_manager(connection: &Connection) -> Result<(), BusError> {
    let done = connection
        .call_method(
            Some(SYSTEMD),
            MANAGER,
            Some(MANAGER_INTERFACE),
            "Subscribe",
            &(),
        )
        .await
        .map_err(BusError::from);
    match done {
        Ok(_) => Ok(()),
        Err(error) if error.is("org.freedesktop.systemd1.AlreadySubscribed") => Ok(()),
        Err(error) => Err(error),
    }
}

/// A set of object paths: what most listeners need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitSet {
    paths: HashSet<String>,
    names: HashSet<String>,
}

impl UnitSet {
    /// The units with these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for name in names {
            set.paths.insert(bus::unit_path(name));
            set.names.insert(name.to_owned());
        }
        set
    }
}

impl Interest for UnitSet {
    fn path(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    fn unit(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_ends_before_its_path_is_known() {
        let mut jobs = Jobs {
            submitting: 1,
            ..Jobs::default()
        };
        jobs.ended("/job/1", "done");
        assert_eq!(jobs.claim("/job/1").borrow().as_deref(), Some("done"));
        jobs.submitted();
        assert!(jobs.ended.is_empty());
    }

    #[test]
    fn a_job_has_several_waiters() {
        let mut jobs = Jobs::default();
        let one = jobs.claim("/job/1");
        let two = jobs.claim("/job/1");
        jobs.ended("/job/1", "failed");
        assert_eq!(one.borrow().as_deref(), Some("failed"));
        assert_eq!(two.borrow().as_deref(), Some("failed"));
        assert!(jobs.waiting.is_empty());
    }

    #[test]
    fn ends_are_kept_only_while_somebody_submits() {
        let mut jobs = Jobs::default();
        jobs.ended("/job/1", "done");
        assert!(jobs.ended.is_empty());
    }

    #[test]
    fn jobs_of_ours_are_remembered_up_to_a_limit() {
        let mut jobs = Jobs::default();
        for id in 0..=u32::try_from(OWN_JOBS).unwrap() {
            jobs.claim(&format!("/org/freedesktop/systemd1/job/{id}"));
        }
        assert!(!jobs.own.contains(&0));
        assert!(jobs.own.contains(&1));
        assert_eq!(jobs.own.len(), OWN_JOBS);
    }

    #[test]
    fn a_set_of_units_knows_paths_and_names() {
        let set = UnitSet::new(["web.service"]);
        assert!(set.path("/org/freedesktop/systemd1/unit/web_2eservice"));
        assert!(set.unit("web.service"));
        assert!(!set.unit("db.service"));
    }
}
