//! Questions to the model that are under way: each on a thread of its own, with
//! a deadline, beside the healing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName,
    analyst::{Analyst, Evidence, ModelSettings},
    diagnosis::Opinion,
    incident::IncidentId,
    trail::Step,
};

/// The analyst keeps its deadline; an answer may be a moment under way.
const GRACE: Duration = Duration::from_millis(250);

/// TLS and the JSON of an answer need no more.
const STACK: usize = 1 << 20;

/// Of each incident, the question that is under way.
#[derive(Default)]
pub(crate) struct Opinions(Mutex<BTreeMap<IncidentId, Asked>>);

/// A question under way.
struct Asked {
    model: String,
    at: Instant,
    until: Instant,
    answer: Receiver<Result<Opinion, String>>,
}

/// An answer, or that there is none.
pub(crate) struct Answered {
    pub(crate) model: String,
    pub(crate) opinion: Result<Opinion, String>,
    took: Duration,
}

impl Answered {
    /// For the trail.
    pub(crate) fn step(&self) -> Step {
        Step::Advised {
            model: self.model.clone(),
            opinion: self.opinion.clone(),
            took: self.took,
        }
    }
}

impl Opinions {
    /// Begins to ask, and returns at once. `gather` is called on the thread.
    pub(crate) fn ask(
        &self,
        incident: IncidentId,
        analyst: Arc<dyn Analyst>,
        model: ModelSettings,
        strategies: Vec<StrategyName>,
        gather: impl FnOnce() -> Evidence + Send + 'static,
    ) {
        let (give, answer) = sync_channel(1);
        let at = Instant::now();
        let asked = Asked {
            model: model.model.clone(),
            at,
            until: at + model.timeout + GRACE,
            answer,
        };
        let started = thread::Builder::new()
            .name("analyst".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let evidence = gather();
                let findings = analyst.diagnose(&evidence);
                let left = model.timeout.saturating_sub(at.elapsed());
                let model = ModelSettings {
                    timeout: left,
                    ..model
                };
                let opinion = analyst.opinion(&model, &evidence, &findings, &strategies);
                // Nobody may be waiting any more.
                let _ = give.send(opinion);
            });
        match started {
            Ok(_) => {
                let mut asking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                // Of an incident that ended between its attempts.
                asking.retain(|_, asked| at < asked.until + Duration::from_secs(600));
                asking.insert(incident, asked);
            }
            Err(error) => tracing::warn!("{incident}: the model was not asked: {error}"),
        }
    }

    /// Waits no longer for an answer that has not come.
    pub(crate) fn give_up(&self, incident: &IncidentId) -> Option<Answered> {
        let asked = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(incident)?;
        Some(Answered {
            model: asked.model,
            opinion: Err("it did not answer before the incident ended".to_owned()),
            took: asked.at.elapsed(),
        })
    }

    /// The answer, if it comes within `patience`; once. A question whose time
    /// is up is answered too.
    pub(crate) fn answer(&self, incident: &IncidentId, patience: Duration) -> Option<Answered> {
        let asked = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(incident)?;
        let left = asked.until.saturating_duration_since(Instant::now());
        let opinion = match asked.answer.recv_timeout(left.min(patience)) {
            Ok(opinion) => opinion,
            Err(RecvTimeoutError::Timeout) if patience < left => {
                let mut asking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                asking.insert(incident.clone(), asked);
                return None;
            }
            Err(RecvTimeoutError::Timeout) => Err("it did not answer in time".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err("the question broke off".to_owned()),
        };
        Some(Answered {
            model: asked.model,
            opinion,
            took: asked.at.elapsed(),
        })
    }
}
