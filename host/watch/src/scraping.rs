//! Asks the metrics endpoints of services, each again and again.
//!
//! Each has a task of its own, so one that hangs delays no other. Without an endpoint nothing
//! here runs, and nothing wakes up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{UnitName, service::MetricsEndpoint, situation::Situation as _};
use prunella_linux::{
    Linux,
    sampling::{EndpointError, EndpointSample, EndpointSampler},
};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// Whether a service is to be asked: one that is down, or being healed, is not.
pub type IsAsked = dyn Fn(&UnitName) -> bool + Send + Sync;

/// Who hears what came of asking: nothing, when the service was not asked.
pub type Hear = dyn Fn(&UnitName, Option<Result<EndpointSample, EndpointError>>) + Send + Sync;

/// Asks until it is dropped.
#[derive(Debug)]
pub struct Scraper {
    /// Whoever asks ends when this is gone.
    _alive: watch::Sender<()>,
}

impl Scraper {
    /// Asks each endpoint at this interval.
    pub fn start(
        linux: &Arc<Linux>,
        endpoints: impl IntoIterator<Item = (UnitName, MetricsEndpoint)>,
        interval: Duration,
        is_asked: &Arc<IsAsked>,
        hear: &Arc<Hear>,
    ) -> Self {
        let (alive, ended) = watch::channel(());
        for (unit, endpoint) in endpoints {
            let mut ended = ended.clone();
            let asking = ask_on(
                Arc::clone(linux),
                unit,
                EndpointSampler::new(endpoint),
                interval,
                Arc::clone(is_asked),
                Arc::clone(hear),
            );
            linux.spawn(async move {
                tokio::select! {
                    () = asking => {}
                    // The sender never sends: this is its end.
                    _ = ended.changed() => {}
                }
            });
        }
        Self { _alive: alive }
    }
}

async fn ask_on(
    linux: Arc<Linux>,
    unit: UnitName,
    mut sampler: EndpointSampler,
    interval: Duration,
    is_asked: Arc<IsAsked>,
    hear: Arc<Hear>,
) {
    loop {
        let begun = Instant::now();
        if is_asked(&unit) {
            let now = linux.since_boot();
            let answer = sampler.ask().await;
            // Not on the thread that all questions share.
            let read = spawn_blocking(move || {
                let came = answer.and_then(|answer| sampler.sample(now, &answer));
                (sampler, came)
            });
            let came;
            (sampler, came) = match read.await {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!("what {unit} tells of itself could not be read: {error}");
                    return;
                }
            };
            hear(&unit, Some(came));
        } else {
            hear(&unit, None);
        }
        // From one question to the next, however long an answer takes.
        sleep(interval.saturating_sub(begun.elapsed())).await;
    }
}
