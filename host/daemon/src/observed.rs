//! How services are and what is measured of them, for strategies that ask: a layer over the
//! real host.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Timestamp, UnitName,
    capability::{
        Answer, Call, Host, HostCalls, Operation as _, Reply,
        metrics::{self, Measurement, SpanSummary},
    },
    health::{Health, Metric, Subject, Symptom, Undecided},
};
use prunella_store::{StoreError, samples::SeriesHistory};

use crate::{Paths, health::HealthBook, measured, sampler::Sampler};

/// Where health and measurements can be asked for: of the daemon that measures and, what was
/// measured, of the file where none does.
pub(crate) struct Measures {
    file: PathBuf,
    daemon: OnceLock<(Weak<HealthBook>, Weak<Sampler>)>,
}

impl Measures {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            file: paths.metrics(),
            daemon: OnceLock::new(),
        }
    }

    /// From now on the daemon's own can be asked for.
    pub(crate) fn begin(&self, book: &Arc<HealthBook>, sampler: &Arc<Sampler>) {
        let daemon = (Arc::downgrade(book), Arc::downgrade(sampler));
        if self.daemon.set(daemon).is_err() {
            tracing::debug!("what is measured was there before");
        }
    }

    fn health_of(&self, unit: &UnitName) -> Answer<Health> {
        let daemon = self.daemon.get();
        let book = daemon.and_then(|(book, _)| book.upgrade()).ok_or_else(|| {
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

    /// What holds of the host; nothing where nobody measures.
    pub(crate) fn of_host(&self) -> Vec<Symptom> {
        let book = self.daemon.get().and_then(|(book, _)| book.upgrade());
        book.map(|book| book.of_host().symptoms).unwrap_or_default()
    }

    /// Which probe of a service does not tell yet how it has been for the last `ago`; nothing
    /// where nobody asks.
    pub(crate) fn undecided(&self, unit: &UnitName, ago: Duration) -> Option<Undecided> {
        let book = self.daemon.get().and_then(|(book, _)| book.upgrade())?;
        book.undecided(unit, ago)
    }

    /// What a metric was: of the daemon that measures, this minute included, else of the file.
    pub(crate) fn history(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SeriesHistory>, StoreError> {
        let sampler = self.sampler();
        let sampler = sampler.as_deref();
        measured::points(&self.file, sampler, subject, metric, since, until)
    }

    fn sampler(&self) -> Option<Arc<Sampler>> {
        self.daemon.get()?.1.upgrade()
    }

    fn latest(&self, latest: &metrics::Latest) -> Answer<Vec<Measurement>> {
        let sampler = self.sampler();
        measured::latest(&self.file, sampler.as_deref(), latest)
    }

    fn over(&self, over: &metrics::Over) -> Answer<Vec<SpanSummary>> {
        let sampler = self.sampler();
        measured::over(&self.file, sampler.as_deref(), over)
    }
}

/// `below`, with how services are and what is measured.
pub(crate) fn observed(below: Host, measures: &Arc<Measures>) -> Host {
    Host::new(Observed {
        below,
        measures: Arc::clone(measures),
    })
}

struct Observed {
    below: Host,
    measures: Arc<Measures>,
}

impl HostCalls for Observed {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::HealthGet(get) => get.reply(self.measures.health_of(&get.unit)),
            Call::MetricLatest(latest) => latest.reply(self.measures.latest(&latest)),
            Call::MetricOver(over) => over.reply(self.measures.over(&over)),
            call => self.below.call(deadline, call),
        }
    }
}
