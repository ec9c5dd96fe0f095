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

mod event;
mod handles;
mod jobs;

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use zbus::{Connection, Message, MessageStream, message::Type};

pub(crate) use self::handles::{Submitting, UnitWatch};
use self::{event::read_glimpse, jobs::Jobs};
pub use self::{
    event::{BusEvent, Glimpse, Interest, UnitSet},
    handles::Listener,
};
use crate::{
    bus::{self, MANAGER, MANAGER_INTERFACE, PROPERTIES, SYSTEMD},
    error::BusError,
};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

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
