//! `GET /api/v1/events`: what happens, live, as server-sent events.
//!
//! One task reads what is new in the store and hands it to all streams at once, each of
//! which has a short queue. Whoever takes it too slowly loses the queue and is told so
//! (`resync`); nobody waits for them. Nothing is read while nobody follows.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use prunella_core::event::{Event, EventKind};
use serde::Serialize;
use tokio::sync::{
    Notify, OwnedSemaphorePermit, Semaphore,
    broadcast::{self, error::RecvError},
    watch,
};

use crate::{Queries, Refusal, RefusalKind};

/// Streams at once.
pub(crate) const STREAMS: usize = 512;

/// Streams of one key, one session, or one kind of local caller.
pub(crate) const STREAMS_OF_ONE: usize = 32;

/// Events that wait for a reader.
const QUEUE: usize = 256;

/// Events that are read at once.
const PART: u32 = 200;

/// Events that one who comes back is told; of more, it is told to begin anew.
const BACKLOG: usize = 2_000;

/// What other processes wrote is seen after this time at the latest.
const LOOK: Duration = Duration::from_secs(1);

/// A sign of life comes so often, and whoever follows is known anew so often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Says that there may be something new to tell. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct News(Arc<Notify>);

impl News {
    /// Has the streams look for events now. Returns at once.
    pub fn tell(&self) {
        self.0.notify_one();
    }
}

/// One event as it goes over the wire.
#[derive(Debug, Clone)]
struct Told {
    id: u64,
    text: Bytes,
}

/// Who may follow, until when.
pub(crate) type StillKnown = Arc<dyn Fn() -> bool + Send + Sync>;

/// Hands events to all streams.
pub(crate) struct Hub {
    queries: Arc<dyn Queries>,
    news: News,
    sender: broadcast::Sender<Told>,
    /// The last event that was handed out; nothing, while nobody follows.
    upto: tokio::sync::Mutex<Option<u64>>,
    latest: AtomicU64,
    slots: Arc<Semaphore>,
    of_each: Arc<Mutex<HashMap<String, usize>>>,
    stopped: watch::Receiver<Option<Duration>>,
}

/// A stream's place, given back when it ends.
struct Slot {
    whose: String,
    of_each: Arc<Mutex<HashMap<String, usize>>>,
    _one: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut of_each = self.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of_each.get_mut(&self.whose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                of_each.remove(&self.whose);
            }
        }
    }
}

impl Hub {
    pub(crate) fn new(
        queries: Arc<dyn Queries>,
        news: News,
        stopped: watch::Receiver<Option<Duration>>,
    ) -> Self {
        let (sender, _) = broadcast::channel(QUEUE);
        Self {
            queries,
            news,
            sender,
            upto: tokio::sync::Mutex::new(None),
            latest: AtomicU64::new(0),
            slots: Arc::new(Semaphore::new(STREAMS)),
            of_each: Arc::default(),
            stopped,
        }
    }

    fn slot(&self, whose: &str) -> Result<Slot, Refusal> {
        let one = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            Refusal::new(
                RefusalKind::TooMany,
                format!("{STREAMS} streams of events are open already"),
            )
            .help("try again when one of them has ended")
        })?;
        let mut of_each = self.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of_each.entry(whose.to_owned()).or_default();
        if *count >= STREAMS_OF_ONE {
            return Err(Refusal::new(
                RefusalKind::TooMany,
                format!("{STREAMS_OF_ONE} streams of events are open for you already"),
            )
            .help("end one of them"));
        }
        *count += 1;
        drop(of_each);
        Ok(Slot {
            whose: whose.to_owned(),
            of_each: Arc::clone(&self.of_each),
            _one: one,
        })
    }

    /// Follows what happens. `whose` stream it is, is for the limits; it ends when `known`
    /// says so.
    pub(crate) async fn follow(
        self: &Arc<Self>,
        whose: &str,
        headers: &HeaderMap,
        known: Option<StillKnown>,
    ) -> Result<Response, Refusal> {
        let after = last_event_id(headers)?;
        let slot = self.slot(whose)?;
        let receiver = self.join().await?;
        // What happens from here on is in the queue, or in what is read now.
        let (before, upto) = self.backlog(after).await?;
        let follower = Follower {
            hub: Arc::clone(self),
            receiver,
            upto,
            known,
            _slot: slot,
        };
        let first = stream::iter(
            std::iter::once(Bytes::from_static(b": here\n\n"))
                .chain(before.into_iter().map(|told| told.text)),
        );
        let body = futures_util::StreamExt::chain(first, follower.into_stream());
        let body = futures_util::StreamExt::map(body, Ok::<_, std::convert::Infallible>);
        let mut response = Body::from_stream(body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// A queue of what is handed out from now on.
    async fn join(self: &Arc<Self>) -> Result<broadcast::Receiver<Told>, Refusal> {
        let mut upto = self.upto.lock().await;
        let receiver = self.sender.subscribe();
        if upto.is_none() {
            let latest = self.ask(|queries| queries.latest_event()).await?;
            self.latest.store(latest, Ordering::Relaxed);
            *upto = Some(latest);
            tokio::spawn(Arc::clone(self).hand_out());
        }
        Ok(receiver)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Queries) -> crate::Answer<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let queries = Arc::clone(&self.queries);
        match tokio::task::spawn_blocking(move || question(&*queries)).await {
            Ok(answer) => answer.map_err(crate::ApiError::into_refusal),
            Err(error) => Err(crate::routes::panicked(&error)),
        }
    }

    /// What somebody has missed who has come back, and the last event that they know then.
    async fn backlog(&self, after: Option<u64>) -> Result<(Vec<Told>, u64), Refusal> {
        let Some(mut upto) = after else {
            let latest = self.ask(|queries| queries.latest_event()).await?;
            return Ok((Vec::new(), latest));
        };
        let mut all = Vec::new();
        loop {
            let part = self.ask(move |queries| queries.events(upto, PART)).await?;
            upto = part.upto;
            if part.missed || all.len() + part.events.len() > BACKLOG {
                let latest = self.ask(|queries| queries.latest_event()).await?;
                return Ok((vec![resync(latest)], latest));
            }
            all.extend(part.events.iter().map(told));
            if !part.more {
                return Ok((all, upto));
            }
        }
    }

    /// Hands out what happens until nobody follows any more.
    async fn hand_out(self: Arc<Self>) {
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                () = self.news.0.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = is_over(&mut stopped) => {
                    *self.upto.lock().await = None;
                    return;
                }
            }
            let mut place = self.upto.lock().await;
            if self.sender.receiver_count() == 0 {
                *place = None;
                return;
            }
            let Some(mut upto) = *place else { return };
            loop {
                let part = match self.ask(move |queries| queries.events(upto, PART)).await {
                    Ok(part) => part,
                    Err(refusal) => {
                        // The store tells of its own trouble; the next look may get through.
                        tracing::debug!(%refusal, "what happened is not known");
                        break;
                    }
                };
                upto = part.upto;
                self.latest.store(upto, Ordering::Relaxed);
                if part.missed {
                    self.hand(resync(upto));
                }
                for event in &part.events {
                    self.hand(told(event));
                }
                if !part.more {
                    break;
                }
            }
            *place = Some(upto);
        }
    }

    fn hand(&self, told: Told) {
        if self.sender.send(told).is_err() {
            tracing::debug!("nobody follows what happens any more");
        }
    }
}

/// Waits until the sockets close.
async fn is_over(stopped: &mut watch::Receiver<Option<Duration>>) {
    // A server that is gone has closed them too.
    drop(stopped.wait_for(Option::is_some).await);
}

/// A stream of events, from its reader's place in their order.
struct Follower {
    hub: Arc<Hub>,
    receiver: broadcast::Receiver<Told>,
    /// The last event that it knows.
    upto: u64,
    known: Option<StillKnown>,
    _slot: Slot,
}

impl Follower {
    fn into_stream(self) -> impl Stream<Item = Bytes> {
        stream::unfold(self, |mut follower| async move {
            let next = follower.next().await?;
            Some((next, follower))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        let mut stopped = self.hub.stopped.clone();
        loop {
            let received = tokio::select! {
                received = self.receiver.recv() => received,
                () = tokio::time::sleep(SIGN_OF_LIFE) => {
                    return self.is_known().await.then(|| Bytes::from_static(b":\n\n"));
                }
                () = is_over(&mut stopped) => return None,
            };
            match received {
                Ok(told) if told.id > self.upto => {
                    self.upto = told.id;
                    return Some(told.text);
                }
                // Known from what was read at the beginning.
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.receiver = self.receiver.resubscribe();
                    let latest = self.hub.latest.load(Ordering::Relaxed);
                    self.upto = self.upto.max(latest);
                    return Some(resync(self.upto).text);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Whether who follows still has a key or a session.
    async fn is_known(&self) -> bool {
        let Some(known) = self.known.clone() else {
            return true;
        };
        tokio::task::spawn_blocking(move || known())
            .await
            .unwrap_or(false)
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        Refusal::new(
            RefusalKind::BadRequest,
            "`Last-Event-ID` is not the id of an event",
        )
        .help("send the number of the last `id:` that came, or leave the header out")
    })
}

fn told(event: &Event) -> Told {
    let word = event.what.as_str();
    let text = match &event.what {
        EventKind::Incident(data) => text(event.id, word, data),
        EventKind::Step(data) => text(event.id, word, data),
        EventKind::Health(data) => text(event.id, word, data),
        EventKind::Alert(data) => text(event.id, word, data),
        EventKind::Approval(data) => text(event.id, word, data),
        EventKind::Pause(data) => text(event.id, word, data),
    };
    Told { id: event.id, text }
}

fn resync(id: u64) -> Told {
    Told {
        id,
        text: Bytes::from(format!("id: {id}\nevent: resync\ndata: {{}}\n\n")),
    }
}

/// JSON has no line ends of its own.
fn text(id: u64, word: &str, data: &impl Serialize) -> Bytes {
    match serde_json::to_string(data) {
        Ok(data) => Bytes::from(format!("id: {id}\nevent: {word}\ndata: {data}\n\n")),
        Err(error) => {
            tracing::error!(%error, "an event cannot be told");
            resync(id).text
        }
    }
}
