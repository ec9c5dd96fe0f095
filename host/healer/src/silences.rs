//! Probes that went unanswered a moment ago, after a long wait.
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
    capability::{Answer, ProbeAnswer, Probes},
};

/// How long a silence is taken as still lasting: what lies between one look and
/// the next when nothing else is waited for.
const FRESH: Duration = Duration::from_millis(250);

/// What is worth keeping. A refused connection is told at once, and while a
/// service comes up it may be accepted at the next moment.
const LONG: Duration = Duration::from_millis(250);

type Known = HashMap<(UnitName, String), (Instant, ProbeAnswer)>;

/// What is known of all services.
#[derive(Debug, Default)]
pub(crate) struct Silences(Mutex<Known>);

impl Silences {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a probe of a service came to.
    pub(crate) fn note(&self, unit: &UnitName, probe: &str, answer: &ProbeAnswer) {
        let key = (unit.clone(), probe.to_owned());
        if answer.answering || answer.took < LONG {
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

/// A service's probes, which are not asked again right after a long silence.
pub(crate) struct Patient {
    pub(crate) probes: Arc<dyn Probes>,
    pub(crate) unit: UnitName,
    pub(crate) silences: Arc<Silences>,
}

impl Probes for Patient {
    fn ask(&self, deadline: Instant, name: &str) -> Answer<ProbeAnswer> {
        if let Some(silence) = self.silences.get(&self.unit, name) {
            return Ok(silence);
        }
        let answer = self.probes.ask(deadline, name)?;
        self.silences.note(&self.unit, name, &answer);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(answering: bool, took: u64) -> ProbeAnswer {
        ProbeAnswer {
            answering,
            detail: "so it said".to_owned(),
            took: Duration::from_millis(took),
        }
    }

    #[test]
    fn only_a_long_silence_is_kept_and_only_until_something_is_done() {
        let unit = UnitName::new("web.service").unwrap();
        let silences = Silences::default();
        silences.note(&unit, "refused", &answer(false, 1));
        silences.note(&unit, "answered", &answer(true, 900));
        silences.note(&unit, "silent", &answer(false, 900));
        assert_eq!(silences.get(&unit, "refused"), None);
        assert_eq!(silences.get(&unit, "answered"), None);
        assert_eq!(silences.get(&unit, "silent"), Some(answer(false, 900)));

        silences.note(&unit, "silent", &answer(true, 2));
        assert_eq!(silences.get(&unit, "silent"), None);
        silences.note(&unit, "silent", &answer(false, 900));
        silences.end();
        assert_eq!(silences.get(&unit, "silent"), None);
    }
}
