//! Which of the services' own probes were ever answered, and what becomes of the others;
//! and which of their declared ports they were ever seen to hold.
//!
//! A probe that goes unanswered is evidence of a hang only when it was answered before:
//! else its address may be wrong, and the service well. So one that was never answered,
//! since it was declared as it is, gives no answer but a failure
//! ([`NEVER_ANSWERED`]), to whoever asks. The store remembers it over reboots. It is the same
//! with a port: one that the service never held proves nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Call, Host, HostCalls, Operation as _, ProbeAnswer, Reply},
    service::{DeclaredProbe, Port, Service},
};
use prunella_store::{ProbeHistory, Store};

/// The code of the failure that comes instead of the answer of a probe that was never
/// answered.
pub const NEVER_ANSWERED: &str = "never-answered";

/// What is known of all services' probes.
pub(crate) struct AnsweredProbes {
    store: Option<Arc<Store>>,
    /// What this process knows, so that an answer is written once.
    known: Mutex<HashMap<(UnitName, String), ProbeHistory>>,
}

impl AnsweredProbes {
    pub(crate) fn new(store: Option<Arc<Store>>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// Whether a service's own probe was answered since it was declared as it is.
    pub(crate) fn was_answered(&self, service: &Service, probe: &str) -> bool {
        self.history(service, probe)
            .is_some_and(|history| history.answered)
    }

    /// Whether people were told that the probe is asked in vain; they are not told
    /// again.
    pub(crate) fn was_told(&self, service: &Service, probe: &str) -> bool {
        self.history(service, probe).is_some()
    }

    /// Whether people were told that the probe is asked in vain, and it was not answered
    /// since.
    pub(crate) fn is_in_vain(&self, service: &Service, probe: &str) -> bool {
        self.history(service, probe)
            .is_some_and(|history| !history.answered)
    }

    /// The probe was answered. True for the first time after people were told that it
    /// never was.
    pub(crate) fn answered(&self, service: &Service, probe: &str) -> bool {
        let before = self.history(service, probe);
        if before.as_ref().is_some_and(|history| history.answered) {
            return false;
        }
        self.write(service, probe, true);
        before.is_some()
    }

    /// Whether this process knows that the probe was answered: without a look at the store.
    pub(crate) fn is_known_as_answered(&self, service: &Service, probe: &str) -> bool {
        let Some(declared) = own(service, probe) else {
            return false;
        };
        let key = (service.unit.clone(), probe.to_owned());
        let is_answered =
            |history: &ProbeHistory| history.answered && history.question == declared.question();
        self.lock().get(&key).is_some_and(is_answered)
    }

    /// What an answer counts: of the service's own probes, one that was never answered gives
    /// [`NEVER_ANSWERED`], also where it cannot even be asked, as a command that is not there.
    pub(crate) fn counted(
        &self,
        service: &Service,
        probe: &str,
        answer: Answer<ProbeAnswer>,
    ) -> Answer<ProbeAnswer> {
        if own(service, probe).is_none() {
            return answer;
        }
        let answer = answer.map_err(|failure| match self.was_answered(service, probe) {
            true => failure,
            false => never_answered(probe, &format!(" ({failure})")),
        })?;
        if answer.healthy {
            if self.answered(service, probe) {
                tracing::info!(
                    object_systemd_unit = %service.unit,
                    "{}: probe `{probe}` is answered for the first time: it counts from now on",
                    service.unit
                );
            }
        } else if !self.was_answered(service, probe) {
            return Err(never_answered(probe, &format!(" ({})", answer.detail)));
        }
        Ok(answer)
    }

    /// People are told that the probe is asked in vain.
    pub(crate) fn told(&self, service: &Service, probe: &str) {
        self.write(service, probe, false);
    }

    /// Whether the service was seen to hold a port since that was declared.
    pub(crate) fn was_held(&self, service: &Service, port: &Port) -> bool {
        self.history_of_port(service, port)
            .is_some_and(|history| history.answered)
    }

    /// Whether the port is known not to be held by anybody while the service is well.
    pub(crate) fn is_never_held(&self, service: &Service, port: &Port) -> bool {
        self.history_of_port(service, port)
            .is_some_and(|history| !history.answered)
    }

    /// The service was seen with or without a port of its own.
    pub(crate) fn saw_port(&self, service: &Service, port: &Port, held: bool) {
        if !self.was_held(service, port) {
            let port = port.to_string();
            self.write_of(&service.unit, &port, port.clone(), held);
        }
    }

    fn history_of_port(&self, service: &Service, port: &Port) -> Option<ProbeHistory> {
        let port = port.to_string();
        self.history_of(&service.unit, &port, &port)
    }

    /// What is known of the probe as it is declared now.
    fn history(&self, service: &Service, probe: &str) -> Option<ProbeHistory> {
        let declared = own(service, probe)?;
        self.history_of(&service.unit, probe, &declared.question())
    }

    fn history_of(&self, unit: &UnitName, name: &str, question: &str) -> Option<ProbeHistory> {
        let key = (unit.clone(), name.to_owned());
        let is_of_this = |history: &ProbeHistory| history.question == question;
        let known = self.lock().get(&key).cloned().filter(is_of_this);
        if known.as_ref().is_some_and(|history| history.answered) {
            return known;
        }
        // Another process may have had an answer meanwhile.
        let stored = self.store.as_ref().and_then(|store| {
            store.probe_history(unit, name).unwrap_or_else(|error| {
                // The store has told of its trouble itself, once.
                tracing::debug!("whether probes were answered is not known: {error}");
                None
            })
        });
        let found = stored.filter(is_of_this).or(known);
        if let Some(history) = &found {
            self.lock().insert(key, history.clone());
        }
        found
    }

    fn write(&self, service: &Service, probe: &str, answered: bool) {
        if let Some(declared) = own(service, probe) {
            self.write_of(&service.unit, probe, declared.question(), answered);
        }
    }

    fn write_of(&self, unit: &UnitName, name: &str, question: String, answered: bool) {
        let history = ProbeHistory { question, answered };
        if let Some(store) = &self.store
            && let Err(error) = store.set_probe_history(unit, name, &history)
        {
            tracing::debug!("what a probe came to is not in the store: {error}");
        }
        self.lock().insert((unit.clone(), name.to_owned()), history);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(UnitName, String), ProbeHistory>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A probe of the service's own; nothing, of one that asks another unit.
fn own<'s>(service: &'s Service, probe: &str) -> Option<&'s DeclaredProbe> {
    let (_, declared) = service.own_probes().find(|(name, _)| *name == probe)?;
    Some(declared)
}

/// `now` is what came of asking it now, to stand at the end of the sentence.
fn never_answered(probe: &str, now: &str) -> Failure {
    Failure::unavailable(
        NEVER_ANSWERED,
        format!(
            "probe `{probe}` has never been answered since it was declared so, so it tells \
             nothing{now}"
        ),
    )
}

/// A service's host, where a probe of its own that was never answered gives no answer.
pub(crate) struct OnceAnswered {
    pub(crate) below: Host,
    pub(crate) service: Arc<Service>,
    pub(crate) answered: Arc<AnsweredProbes>,
    /// Whether one is asked that people know is asked in vain. Who heals does not: the
    /// service is down as long as that takes.
    pub(crate) asks_in_vain: bool,
}

impl HostCalls for OnceAnswered {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        let Call::ProbeAsk(ask) = call else {
            return self.below.call(deadline, call);
        };
        let (service, probe) = (&self.service, ask.name.as_str());
        if !self.asks_in_vain && self.answered.is_in_vain(service, probe) {
            return ask.reply(Err(never_answered(probe, "")));
        }
        let answer = self.below.ask(deadline, ask.clone());
        ask.reply(self.answered.counted(service, probe, answer))
    }
}
