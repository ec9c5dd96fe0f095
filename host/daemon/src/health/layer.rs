//! How services are, for whoever asks the host: a layer over the real one.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Instant,
};

use prunella_core::{
    Failure, Timestamp, UnitName,
    capability::{Answer, Call, Host, HostCalls, Operation as _, Reply},
    health::{Health, Metric, Subject, Symptom},
};
use prunella_store::samples::SeriesHistory;

use super::HealthBook;

/// Where what is measured can be asked for, once a daemon measures.
#[derive(Default)]
pub(crate) struct Measures {
    book: OnceLock<Weak<HealthBook>>,
    history: OnceLock<Box<History>>,
}

/// What a metric of a subject was between two times.
type History = dyn Fn(&Subject, Metric, Timestamp, Timestamp) -> Vec<SeriesHistory> + Send + Sync;

impl Measures {
    /// From now on it can be asked for.
    pub(crate) fn begin(&self, book: &Arc<HealthBook>) {
        if self.book.set(Arc::downgrade(book)).is_err() {
            tracing::debug!("what is measured was there before");
        }
    }

    /// From now on what was measured can be asked for as well.
    pub(crate) fn begin_history(
        &self,
        history: impl Fn(&Subject, Metric, Timestamp, Timestamp) -> Vec<SeriesHistory>
        + Send
        + Sync
        + 'static,
    ) {
        if self.history.set(Box::new(history)).is_err() {
            tracing::debug!("what was measured was there before");
        }
    }

    /// What a metric was, this minute included; `None` where nobody measures.
    pub(crate) fn history(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Timestamp,
        until: Timestamp,
    ) -> Option<Vec<SeriesHistory>> {
        let history = self.history.get()?;
        Some(history(subject, metric, since, until))
    }

    /// What holds of the host; nothing where nobody measures.
    pub(crate) fn of_host(&self) -> Vec<Symptom> {
        let book = self.book.get().and_then(Weak::upgrade);
        book.map(|book| book.of_host().symptoms).unwrap_or_default()
    }

    fn of(&self, unit: &UnitName) -> Answer<Health> {
        let book = self.book.get().and_then(Weak::upgrade).ok_or_else(|| {
            Failure::unavailable(
                "no-daemon",
                "how services are is measured by the daemon alone, and this is none",
            )
        })?;
        book.of(unit).ok_or_else(|| {
            Failure::not_found(
                "not-in-care",
                format!("{unit} is not in Prunella's care, so nothing of it is measured"),
            )
        })
    }
}

/// `below`, with how services are.
pub(crate) fn measured(below: Host, measures: &Arc<Measures>) -> Host {
    Host::new(Measured {
        below,
        measures: Arc::clone(measures),
    })
}

struct Measured {
    below: Host,
    measures: Arc<Measures>,
}

impl HostCalls for Measured {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::HealthGet(get) => {
                let health = self.measures.of(&get.unit);
                get.reply(health)
            }
            call => self.below.call(deadline, call),
        }
    }
}
