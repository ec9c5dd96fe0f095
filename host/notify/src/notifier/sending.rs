//! From the outbox to the channels: a thread for each that has something due.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use prunella_config::Config;
use prunella_core::{
    ChannelName, Timestamp,
    alert::{AlertKind, Dispatch},
    incident::Ending,
};
use prunella_report::is_up;
use prunella_store::{Store, StoreError, Tried};

use super::{LATER, STACK, Shared, wall_clock};
use crate::{Delivery, backoff};

/// A channel that does not work is left alone for so long at most, because of
/// one message: the next may fare better.
const PUT_OFF: Duration = Duration::from_secs(60);

/// How soon a message is looked at again that tells of a service which has come up and is
/// not proven well.
const PROOF: Duration = Duration::from_secs(1);

impl Shared {
    /// Has each channel that has something due send it, on a thread of its own.
    pub(super) fn send(
        self: &Arc<Self>,
        config: &Arc<Config>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let due: BTreeSet<ChannelName> = self
            .settings
            .store
            .due_dispatches(now)?
            .into_iter()
            .map(|dispatch| dispatch.channel)
            .collect();
        for channel in due {
            let mut state = self.lock();
            state.resting.retain(|_, until| *until > now);
            if state.stopping
                || state.resting.contains_key(&channel)
                || !state.busy.insert(channel.clone())
            {
                continue;
            }
            drop(state);
            let sender = ChannelSender {
                shared: Arc::clone(self),
                channel,
            };
            let config = Arc::clone(config);
            let spawned = thread::Builder::new()
                .name("channel".to_owned())
                .stack_size(STACK)
                .spawn(move || {
                    if let Err(error) = sender.send_all(&config) {
                        tracing::error!("channel {}: {error}", sender.channel);
                        let until = wall_clock().saturating_add(LATER * 30);
                        let mut state = sender.shared.lock();
                        state.resting.insert(sender.channel.clone(), until);
                    }
                });
            if let Err(error) = spawned {
                tracing::error!("there is no thread for a channel: {error}");
            }
        }
        Ok(())
    }
}

/// Whether what a message tells is still so.
enum StillTrue {
    Yes,
    /// The service is up, and it is not proven yet that it stays so.
    Unknown,
    No,
}

/// Of a message that a service is down: while it waited, all that it tells of may have
/// come up. Any other message is news, whenever it arrives.
fn still_true(store: &Store, dispatch: &Dispatch) -> Result<StillTrue, StoreError> {
    let message = &dispatch.message;
    if message.kind != AlertKind::Outage || message.incidents.is_empty() {
        return Ok(StillTrue::Yes);
    }
    let mut proven = true;
    for incident in &message.incidents {
        let Some(record) = store.record(incident)? else {
            return Ok(StillTrue::Yes);
        };
        match record.ending {
            Some(Ending::Healed { .. } | Ending::Recovered { .. }) => {}
            None if is_up(&record.steps) => proven = false,
            _ => return Ok(StillTrue::Yes),
        }
    }
    Ok(if proven {
        StillTrue::No
    } else {
        StillTrue::Unknown
    })
}

/// A channel that is being sent by.
struct ChannelSender {
    shared: Arc<Shared>,
    channel: ChannelName,
}

impl Drop for ChannelSender {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.busy.remove(&self.channel);
        // Whoever decides may just have looked, and counted on it being busy.
        state.woken = true;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl ChannelSender {
    /// Sends what is due by this channel, in its order, until nothing is due or
    /// the channel does not work.
    fn send_all(&self, config: &Config) -> Result<(), StoreError> {
        let store = &self.shared.settings.store;
        loop {
            if self.shared.lock().stopping {
                return Ok(());
            }
            let now = wall_clock();
            let due = store.due_dispatches(now)?;
            let Some(dispatch) = due.into_iter().find(|one| one.channel == self.channel) else {
                return Ok(());
            };
            match still_true(store, &dispatch)? {
                StillTrue::Yes => {}
                StillTrue::Unknown => {
                    let later = now.saturating_add(PROOF);
                    store.hold_dispatch(&dispatch.message.id, later)?;
                    continue;
                }
                StillTrue::No => {
                    let why = "the service was well again before this was sent";
                    store.end_dispatch(&dispatch.message.id, &Tried::Withdrawn, why)?;
                    continue;
                }
            }
            if !store.begin_dispatch(&dispatch.message.id, now)? {
                return Ok(());
            }
            let delivery = self.try_once(config, &dispatch);
            if !self.record(config, &dispatch, delivery)? {
                return Ok(());
            }
        }
    }

    fn try_once(&self, config: &Config, dispatch: &Dispatch) -> Delivery {
        let Some(settings) = config.channels.get(&self.channel) else {
            return Delivery::TryAgain {
                reason: format!(
                    "there is no channel `{}` in the configuration any more",
                    self.channel
                ),
                not_before: None,
            };
        };
        match (self.shared.settings.open)(settings) {
            Ok(channel) => channel.send(&dispatch.message, Instant::now() + settings.timeout),
            Err(error) => Delivery::TryAgain {
                reason: error.to_string(),
                not_before: None,
            },
        }
    }

    /// Writes down what became of a try; true when the channel works.
    fn record(
        &self,
        config: &Config,
        dispatch: &Dispatch,
        delivery: Delivery,
    ) -> Result<bool, StoreError> {
        let store = &self.shared.settings.store;
        let id = &dispatch.message.id;
        let channel = &self.channel;
        let headline = &dispatch.message.headline;
        let tries = dispatch.tries.saturating_add(1);
        match delivery {
            Delivery::Delivered { detail } => {
                tracing::info!(
                    prunella_message = %id,
                    "told {channel}: {headline} ({detail})"
                );
                store.end_dispatch(id, &Tried::Delivered, &detail)?;
                Ok(true)
            }
            Delivery::Refused { reason } => {
                tracing::error!(
                    prunella_message = %id,
                    "{channel} does not take the message “{headline}”: {reason}; `prunella alerts \
                     retry {id}` tries it again"
                );
                store.end_dispatch(id, &Tried::Refused, &reason)?;
                Ok(true)
            }
            Delivery::TryAgain { reason, not_before } => {
                let now = wall_clock();
                let since = store.dispatch_since(id)?.unwrap_or(dispatch.created);
                let end = since.saturating_add(config.alerts.give_up_after);
                if now >= end {
                    tracing::error!(
                        prunella_message = %id,
                        "gave up telling {channel} “{headline}” after {tries} tries: {reason}"
                    );
                    store.end_dispatch(id, &Tried::GivenUp, &reason)?;
                    return Ok(false);
                }
                let wait = backoff::wait(tries, backoff::random());
                let asked = not_before.unwrap_or_default();
                let next = now
                    .saturating_add(wait.max(asked))
                    // The last try is at the end of its time.
                    .min(end.max(now.saturating_add(wait)));
                tracing::warn!(
                    prunella_message = %id,
                    "could not tell {channel} “{headline}” (try {tries}): {reason}; again in {} s",
                    next.since(now).as_secs()
                );
                store.end_dispatch(id, &Tried::Again(next), &reason)?;
                store.put_off(channel, next.min(now.saturating_add(PUT_OFF)))?;
                Ok(false)
            }
        }
    }
}
