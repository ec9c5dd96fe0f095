//! What every attempt at every incident shares.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use prunella_config::Config;
use prunella_core::{
    UnitName,
    analyst::{Analyst, Changes},
    budget::BudgetVerdict,
    capability::{Answer, Host, ProbeAnswer, probes},
    health::{Symptom, Undecided},
    service::{BudgetSettings, Service},
    situation::Situation,
};
use prunella_recording::Recorder;
use prunella_store::{Ledger, Store};

use crate::{
    Protected, StrategySet,
    answered_probes::{AnsweredProbes, OnceAnswered},
    cached_probes::{CachedProbes, ProbeAnswers},
    circuits::{self, OpenCircuit},
    clock::moment,
    held_ports::HeldPorts,
    leases::LeaseNews,
    observer::Observer,
    opinions::Opinions,
    proof::Prover,
    snapshot::Snapshot,
    stored::Stored,
};

/// Where hosts come from: a [`Host`] for each service.
pub trait Hosts: Send + Sync {
    /// The host as one service sees it.
    fn for_service(&self, service: Arc<Service>) -> Host;

    /// What holds of the host itself; nothing where that is not measured.
    fn symptoms(&self) -> Vec<Symptom> {
        Vec::new()
    }

    /// Which probe of a service in care does not tell yet how that has been for the last `ago`;
    /// nothing where none is asked.
    fn undecided(&self, _unit: &UnitName, _ago: Duration) -> Option<Undecided> {
        None
    }
}

/// What a healer is made from.
pub struct HealerSettings {
    /// Where hosts come from.
    pub hosts: Arc<dyn Hosts>,
    /// The host's own situation.
    pub situation: Arc<dyn Situation>,
    /// Absent when it cannot be opened: healing goes on, with less memory.
    pub store: Option<Arc<Store>>,
    /// How much healing was spent.
    pub ledger: Arc<Ledger>,
    /// `/run/prunella`: locks and state files.
    pub run_folder: PathBuf,
    /// When this file exists nothing is healed: the kill switch.
    pub kill_switch: PathBuf,
    pub observer: Arc<dyn Observer>,
    /// Who thinks about failures.
    pub analyst: Arc<dyn Analyst>,
    /// Who knows what changed on the host.
    pub changes: Arc<dyn Changes>,
}

/// What every attempt at every incident shares.
pub struct Healer {
    pub(crate) settings: HealerSettings,
    pub(crate) opinions: Opinions,
    pub(crate) recorder: OnceLock<Arc<Recorder>>,
    pub(crate) probe_answers: Arc<ProbeAnswers>,
    pub(crate) lease_news: LeaseNews,
    /// Other releases may be declared.
    pub(crate) release_news: LeaseNews,
    answered_probes: Arc<AnsweredProbes>,
    current: RwLock<Current>,
}

/// What a reload replaces, all at once. An attempt keeps what it began with.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) config: Arc<Config>,
    pub(crate) strategies: Arc<StrategySet>,
    pub(crate) protected: Arc<Protected>,
}

impl Current {
    fn new(config: Arc<Config>, strategies: Arc<StrategySet>) -> Self {
        Self {
            protected: Arc::new(config.protected()),
            config,
            strategies,
        }
    }

    /// How much healing a service may get.
    pub(crate) fn budget_of<'a>(&'a self, service: &'a Service) -> &'a BudgetSettings {
        service.budget.as_ref().unwrap_or(&self.config.budget)
    }
}

/// How long a service may be up before it has opened its ports, where nothing is declared.
const OPENS_IN: Duration = Duration::from_secs(30);

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(10);

impl Healer {
    /// A healer with its first configuration.
    pub fn new(
        settings: HealerSettings,
        config: Arc<Config>,
        strategies: Arc<StrategySet>,
    ) -> Self {
        Self {
            answered_probes: Arc::new(AnsweredProbes::new(settings.store.clone())),
            settings,
            opinions: Opinions::default(),
            recorder: OnceLock::new(),
            probe_answers: Arc::default(),
            lease_news: LeaseNews::default(),
            release_news: LeaseNews::default(),
            current: RwLock::new(Current::new(config, strategies)),
        }
    }

    /// Has every call of the strategies written down from now on. Only the first
    /// recorder counts.
    pub fn record(&self, recorder: Arc<Recorder>) {
        let _ = self.recorder.set(recorder);
    }

    /// Replaces the configuration for attempts that begin from now on.
    pub fn reload(&self, config: Arc<Config>, strategies: Arc<StrategySet>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Current::new(config, strategies);
        self.release_news.tell();
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.current().config
    }

    /// The strategies in force.
    pub fn strategies(&self) -> Arc<StrategySet> {
        self.current().strategies
    }

    /// For an attempt, or for what is seen before one begins.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.probe_answers))
    }

    pub(crate) fn current(&self) -> Current {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The circuit of a unit, where it is open. None where that is not known, which is told.
    pub(crate) fn open_circuit(&self, unit: &UnitName) -> Option<OpenCircuit> {
        self.open_circuit_among([unit])
    }

    /// The circuit of the first of these units whose circuit is open. None where that is not
    /// known, which is told.
    pub(crate) fn open_circuit_among<'a>(
        &self,
        units: impl IntoIterator<Item = &'a UnitName>,
    ) -> Option<OpenCircuit> {
        let store = self.settings.store.as_ref()?;
        match circuits::open_among(store, &*self.settings.situation, units) {
            Ok(open) => open,
            // The store has told of that itself.
            Err(error) if error.is_trouble() => None,
            Err(error) => {
                tracing::error!("whether a circuit is open is not known: {error}");
                None
            }
        }
    }

    /// The host as `service` sees it, with nothing between that denies anything. But
    /// a probe that is waited for in vain is waited for once, and one that was never
    /// answered gives no answer; once people know of that, it is not asked.
    pub(crate) fn host_for(&self, service: &Arc<Service>) -> Host {
        let cached = Host::new(CachedProbes {
            below: self.uncached_host_for(service),
            unit: service.unit.clone(),
            answers: Arc::clone(&self.probe_answers),
        });
        self.once_answered(cached, service, false)
    }

    fn once_answered(&self, below: Host, service: &Arc<Service>, asks_in_vain: bool) -> Host {
        Host::new(OnceAnswered {
            below,
            service: Arc::clone(service),
            answered: Arc::clone(&self.answered_probes),
            asks_in_vain,
        })
    }

    fn uncached_host_for(&self, service: &Arc<Service>) -> Host {
        let held_ports = Host::new(HeldPorts {
            below: self.settings.hosts.for_service(Arc::clone(service)),
            store: self.settings.store.clone(),
            unit: service.unit.clone(),
        });
        Host::new(Stored {
            below: held_ports,
            store: self.settings.store.clone(),
            ledger: Arc::clone(&self.settings.ledger),
            situation: Arc::clone(&self.settings.situation),
            service: Arc::clone(service),
        })
    }

    /// Asks one of a service's declared probes, anew; `None` when the unit is not in
    /// care. One of its own that was never answered gives a failure with the code
    /// [`NEVER_ANSWERED`](crate::NEVER_ANSWERED).
    pub fn ask(
        &self,
        deadline: Instant,
        unit: &UnitName,
        probe: &str,
    ) -> Option<Answer<ProbeAnswer>> {
        let service = self.service(unit)?;
        let name = probe.to_owned();
        let answer = self
            .once_answered(self.uncached_host_for(&service), &service, true)
            .ask(deadline, probes::Ask { name });
        if let Ok(answer) = &answer {
            self.probe_answers.note(unit, probe, answer);
        }
        Some(answer)
    }

    /// What an answer counts that somebody else got from a service's probe, as with
    /// [`ask`](Self::ask). May read and write the store, but where
    /// [`is_known_as_answered`](Self::is_known_as_answered).
    pub fn heard(
        &self,
        service: &Service,
        probe: &str,
        answer: Answer<ProbeAnswer>,
    ) -> Answer<ProbeAnswer> {
        let answer = self.answered_probes.counted(service, probe, answer)?;
        self.probe_answers.note(&service.unit, probe, &answer);
        Ok(answer)
    }

    /// Whether this process knows that a service's own probe was answered since it was
    /// declared as it is: that is in memory.
    pub fn is_known_as_answered(&self, service: &Service, probe: &str) -> bool {
        self.answered_probes.is_known_as_answered(service, probe)
    }

    /// Whether a service's own probe was answered since it was declared as it is.
    pub fn was_answered(&self, service: &Service, probe: &str) -> bool {
        self.answered_probes.was_answered(service, probe)
    }

    /// Whether people know that a service's own probe is asked in vain.
    pub fn was_told_of(&self, service: &Service, probe: &str) -> bool {
        self.answered_probes.was_told(service, probe)
    }

    /// People are told that a service's own probe is asked in vain, and are not told
    /// again while it stays so.
    pub fn told_of(&self, service: &Service, probe: &str) {
        self.answered_probes.told(service, probe);
    }

    pub(crate) fn answered_probes(&self) -> &AnsweredProbes {
        &self.answered_probes
    }

    /// Looks which of their declared ports the services hold that are up, and remembers it: a
    /// port that a service never held proves nothing. One that is seen so for the first time
    /// is told in the journal.
    pub fn look_at_ports(&self) {
        let now = self.settings.situation.monotonic();
        let config = self.config();
        let with_ports = config.services.values().filter(|one| !one.ports.is_empty());
        for service in with_ports.cloned().map(Arc::new) {
            let host = self.host_for(&service);
            let Ok(status) = host.unit(Instant::now() + LOOK, &service.unit) else {
                continue;
            };
            let opens_in = service.proof.timeout.unwrap_or(OPENS_IN);
            let had_time = status
                .inactive_exit_monotonic
                .is_some_and(|began| now.since(began) >= opens_in);
            let is_seen = status.is_up() && status.is_settled() && !status.private_network;
            if !is_seen || !had_time || status.is_oneshot() {
                continue;
            }
            let prover = Prover {
                service: &service,
                host: &host,
                known: &self.answered_probes,
                remembers: true,
            };
            for port in prover.see_ports(&status) {
                tracing::warn!(
                    object_systemd_unit = %service.unit,
                    "{}: {port} is declared, and nobody holds it although the service is up: it \
                     proves nothing until the service has held it once",
                    service.unit
                );
            }
        }
    }

    /// Whether a service may be healed now.
    pub(crate) fn budget(&self, current: &Current, service: &Service) -> BudgetVerdict {
        // A failure is healed at once when it is noticed: the first wait of a
        // backoff begins there, and has begun by the time of this call.
        self.settings.ledger.verdict(
            &service.unit,
            &moment(&*self.settings.situation),
            current.budget_of(service),
            &current.config.host_budget,
            Duration::ZERO,
        )
    }

    /// The service of a unit in care.
    pub fn service(&self, unit: &UnitName) -> Option<Arc<Service>> {
        self.config().services.get(unit).cloned().map(Arc::new)
    }
}
