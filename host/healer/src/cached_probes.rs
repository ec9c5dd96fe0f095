//! A cache of probes' answers: those that there was none, after a long wait.
//!
//! A service that hangs is asked by whoever watches it, when the attempt begins,
//! when its strategies assess, and when one of them heals: all within
//! milliseconds, and each time the answer is that there is none before the
//! timeout is over. The first one's wait is good for all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Answer, Call, Host, HostCalls, Operation as _, ProbeAnswer, Reply},
};

/// For how long an answer is used again: what lies between one look and
/// the next when nothing else is waited for.
const FRESH: Duration = Duration::from_millis(250);

/// What is worth keeping. A refused connection is told at once, and while a
/// service comes up it may be accepted at the next moment.
const LONG: Duration = Duration::from_millis(250);

type Known = HashMap<(UnitName, String), (Instant, ProbeAnswer)>;

/// What is known of all services.
#[derive(Debug, Default)]
pub(crate) struct ProbeAnswers(Mutex<Known>);

impl ProbeAnswers {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a probe of a service came to.
    pub(crate) fn note(&self, unit: &UnitName, probe: &str, answer: &ProbeAnswer) {
        let key = (unit.clone(), probe.to_owned());
        if answer.healthy || answer.took < LONG {
            self.lock().remove(&key);
        } else {
            self.lock().insert(key, (Instant::now(), answer.clone()));
        }
    }

    fn get(&self, unit: &UnitName, probe: &str) -> Option<ProbeAnswer> {
        self.lock()
            .get(&(unit.clone(), probe.to_owned()))
            .filter(|(at, _)| at.elapsed() < FRESH)
            .map(|(_, answer)| answer.clone())
    }

    /// Something was done about it: all has to be asked anew.
    pub(crate) fn end(&self) {
        self.lock().clear();
    }
}

/// A service's host, of which a probe is not asked again right after it was waited
/// for in vain.
pub(crate) struct CachedProbes {
    pub(crate) below: Host,
    pub(crate) unit: UnitName,
    pub(crate) answers: Arc<ProbeAnswers>,
}

impl HostCalls for CachedProbes {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::ProbeAsk(ask) => {
                if let Some(answer) = self.answers.get(&self.unit, &ask.name) {
                    return ask.reply(Ok(answer));
                }
                let answer = self.below.ask(deadline, ask.clone())?;
                self.answers.note(&self.unit, &ask.name, &answer);
                ask.reply(Ok(answer))
            }
            call => self.below.call(deadline, call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(healthy: bool, took: u64) -> ProbeAnswer {
        ProbeAnswer {
            healthy,
            detail: "so it said".to_owned(),
            took: Duration::from_millis(took),
            certificate: None,
        }
    }

    #[test]
    fn only_a_long_silence_is_kept_and_only_until_something_is_done() {
        let unit = UnitName::new("web.service").unwrap();
        let answers = ProbeAnswers::default();
        answers.note(&unit, "refused", &answer(false, 1));
        answers.note(&unit, "answered", &answer(true, 900));
        answers.note(&unit, "silent", &answer(false, 900));
        assert_eq!(answers.get(&unit, "refused"), None);
        assert_eq!(answers.get(&unit, "answered"), None);
        assert_eq!(answers.get(&unit, "silent"), Some(answer(false, 900)));

        answers.note(&unit, "silent", &answer(true, 2));
        assert_eq!(answers.get(&unit, "silent"), None);
        answers.note(&unit, "silent", &answer(false, 900));
        answers.end();
        assert_eq!(answers.get(&unit, "silent"), None);
    }
}
