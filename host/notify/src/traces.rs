//! Incidents as traces, sent to a collector by OTLP over HTTP.
//!
//! A trace is built from the record in the store once the incident is over: no healing knows
//! of it. What is still to be sent stands in the store, so that nothing is lost when the daemon
//! or the collector is away; after [`KEPT`] it is not sent any more. A thread is there only
//! while there is something to send.

mod spans;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use prunella_config::{Config, Traces};
use prunella_core::{Timestamp, incident::IncidentId, text::one_line, trail::Step};
use prunella_net::secret;
use prunella_store::{Store, StoreError};

use crate::{
    Delivery, backoff,
    channel::http::{self, Request, Transport},
};

/// An incident that ended longer ago is not sent any more: a day.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Incidents looked for at once.
const AT_ONCE: u32 = 100;

/// The thread has TLS and a runtime on its stack.
const STACK: usize = 1 << 20;

/// When the store does not answer, it is asked again after so long.
const LATER: Duration = Duration::from_secs(30);

/// So much is shown of why the collector does not take a trace.
const WHY_MAX: usize = 300;

/// What traces are made and sent from.
pub struct TraceSettings {
    /// Where records are, and what was sent of them.
    pub store: Arc<Store>,
    /// The configuration in force, asked for each time.
    pub config: Arc<dyn Fn() -> Arc<Config> + Send + Sync>,
    /// The host's name.
    pub hostname: String,
}

/// Sends a trace of each incident that is over, on a thread of its own.
pub struct TraceSender {
    shared: Arc<Shared>,
}

struct Shared {
    settings: TraceSettings,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Something may have ended since it was looked.
    woken: bool,
    running: bool,
    stopping: bool,
}

/// What came of a look at what is to be sent.
enum Turn {
    /// Nothing is left.
    Done,
    /// It is tried again after so long.
    Again(Duration),
}

impl TraceSender {
    /// One that sends nothing before it is [woken](Self::wake).
    pub fn new(settings: TraceSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// A step of an incident was written.
    pub fn step(&self, step: &Step) {
        if matches!(step, Step::Ended { .. }) {
            self.wake();
        }
    }

    /// There may be something to send. Blocks nobody; does nothing where no collector is
    /// configured.
    pub fn wake(&self) {
        if self.shared.collector().is_none() {
            return;
        }
        let mut state = self.shared.lock();
        state.woken = true;
        if state.running {
            self.shared.changed.notify_all();
            return;
        }
        if state.stopping {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name("traces".to_owned())
            .stack_size(STACK)
            .spawn(move || shared.work());
        match spawned {
            Ok(_) => state.running = true,
            Err(error) => tracing::warn!("no traces are sent for now: {error}"),
        }
    }

    /// Begins nothing new. What is cut off is sent again by the next daemon, under the same
    /// ids.
    pub fn stop(&self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for TraceSender {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collector(&self) -> Option<Traces> {
        (self.settings.config)().traces.clone()
    }

    fn work(&self) {
        let mut tries = 0;
        loop {
            {
                let mut state = self.lock();
                if state.stopping {
                    state.running = false;
                    return;
                }
                state.woken = false;
            }
            let wait = match self.turn(&mut tries) {
                Ok(Turn::Done) => None,
                Ok(Turn::Again(wait)) => Some(wait),
                Err(error) => {
                    // The store has told of its own trouble itself, once.
                    tracing::debug!("no traces are sent for now: {error}");
                    Some(LATER)
                }
            };
            let mut state = self.lock();
            match wait {
                None if !state.woken => {
                    state.running = false;
                    return;
                }
                None => {}
                Some(wait) => {
                    // Another incident is no reason to call a collector sooner.
                    let until = Instant::now() + wait;
                    while !state.stopping {
                        let left = until.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            break;
                        }
                        let waited = self.changed.wait_timeout(state, left);
                        state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    }
                }
            }
        }
    }

    /// Sends what is to be sent, until there is nothing left or the collector does not take it.
    fn turn(&self, tries: &mut u32) -> Result<Turn, StoreError> {
        loop {
            let Some(collector) = self.collector() else {
                return Ok(Turn::Done);
            };
            let store = &self.settings.store;
            let since = wall_clock().saturating_sub(KEPT);
            let waiting = store.untraced(since, AT_ONCE)?;
            if waiting.is_empty() {
                return Ok(Turn::Done);
            }
            for id in waiting {
                if self.lock().stopping {
                    return Ok(Turn::Done);
                }
                let Some(record) = store.record(&id)? else {
                    continue;
                };
                let message = spans::request(&record, &self.settings.hostname);
                match send(&collector, &message) {
                    Delivery::Delivered { .. } => {
                        if *tries > 0 {
                            tracing::info!("traces are sent to {} again", collector.url);
                        }
                        *tries = 0;
                    }
                    Delivery::Refused { reason } => {
                        tracing::warn!(
                            prunella_incident = %id,
                            "the trace of incident {id} is not taken: {}",
                            one_line(&reason, WHY_MAX)
                        );
                    }
                    Delivery::TryAgain { reason, not_before } => {
                        return Ok(self.again(&id, tries, &reason, not_before));
                    }
                }
                store.note_traced(&id, wall_clock())?;
            }
        }
    }

    fn again(
        &self,
        id: &IncidentId,
        tries: &mut u32,
        reason: &str,
        not_before: Option<Duration>,
    ) -> Turn {
        *tries = tries.saturating_add(1);
        let wait = backoff::wait(*tries, backoff::random()).max(not_before.unwrap_or_default());
        let why = one_line(reason, WHY_MAX);
        if *tries == 1 {
            tracing::warn!("traces cannot be sent for now, and are tried again for a day: {why}");
        } else {
            tracing::debug!("the trace of incident {id} is tried again: {why}");
        }
        Turn::Again(wait)
    }
}

/// One try to send it.
fn send(collector: &Traces, message: &ExportTraceServiceRequest) -> Delivery {
    let mut request = Request::new(collector.url.clone(), message.encode_to_vec())
        .of_type("application/x-protobuf");
    if let Some(source) = &collector.token {
        match secret::read(source) {
            Ok(token) => request = request.bearer(token),
            Err(error) => {
                return Delivery::TryAgain {
                    reason: error.to_string(),
                    not_before: None,
                };
            }
        }
    }
    let transport = Transport {
        proxy: None,
        ca_file: collector.ca_file.as_deref(),
    };
    http::post(transport, &request, collector.timeout)
}

fn wall_clock() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
