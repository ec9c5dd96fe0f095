//! What comes of findings and opinions: words in the trail, an order where the
//! operator lets it, and no waiting.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prunella_analysis::HostAnalyst;
use prunella_config::{Config, StrategySettings};
use prunella_core::{
    StrategyName,
    analyst::{Analyst, Evidence, ModelProtocol, ModelSettings, ProposedAct},
    capability::Host,
    diagnosis::{Cause, Finding, Opinion, SecondOpinion, Source},
    hash::sha256,
    incident::{Ending, Incident},
    policy::builtin_grants,
    service::Service,
    trail::{Entry, Step},
    trust::{Right, Signature, TrustStatus},
};
use prunella_engine::{Engine, EngineSettings};
use prunella_healer::{
    Component, Healer, HealerSettings, Hosts, Loading, Observer, Scheduler, StrategySet,
};
use prunella_simulation::Sim;
use prunella_store::{Ledger, Store};

struct SimHosts(Sim);

impl Hosts for SimHosts {
    fn for_service(&self, _: Arc<Service>) -> Host {
        self.0.host()
    }
}

/// Opens when the service is seen well.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    /// Whether it opened within `patience`.
    fn wait(&self, patience: Duration) -> bool {
        let open = self.0.lock().unwrap();
        let (open, _) = self
            .1
            .wait_timeout_while(open, patience, |open| !*open)
            .unwrap();
        *open
    }
}

struct AtAnswering(Arc<Gate>);

impl Observer for AtAnswering {
    fn step(&self, _: &Incident, entry: &Entry) {
        if matches!(entry.step, Step::Answering { .. }) {
            self.0.open();
        }
    }
}

/// A model that says what it is told to, when it is told to.
struct Model {
    rules: HostAnalyst,
    opinion: Result<Opinion, String>,
    /// It does not answer before this opens.
    until: Option<Arc<Gate>>,
    asked: Arc<AtomicUsize>,
}

impl Analyst for Model {
    fn diagnose(&self, evidence: &Evidence) -> Vec<Finding> {
        self.rules.diagnose(evidence)
    }

    fn opinion(
        &self,
        model: &ModelSettings,
        _: &Evidence,
        _: &[Finding],
        _: &[StrategyName],
    ) -> Result<Opinion, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.until
            && !gate.wait(model.timeout)
        {
            return Err("healing waited for me".to_owned());
        }
        self.opinion.clone()
    }

    fn second_opinion(
        &self,
        _: &ModelSettings,
        _: &ProposedAct,
        _: &Evidence,
    ) -> Result<SecondOpinion, String> {
        panic!("nobody asks for it here")
    }
}

fn names(names: &[&str]) -> Vec<StrategyName> {
    names
        .iter()
        .map(|name| StrategyName::new(*name).unwrap())
        .collect()
}

fn opinion(order: &[&str]) -> Result<Opinion, String> {
    Ok(Opinion {
        model: "llama".to_owned(),
        cause: "it was killed".to_owned(),
        explanation: "nothing else is to be seen".to_owned(),
        confidence: Some(60),
        suggestions: vec!["systemctl stop sshd.service".to_owned()],
        order: names(order),
    })
}

fn model() -> ModelSettings {
    ModelSettings {
        protocol: ModelProtocol::OpenAi,
        url: "https://model.invalid/v1/chat/completions".to_owned(),
        model: "llama".to_owned(),
        key: None,
        ca_file: None,
        timeout: Duration::from_secs(30),
        wait: Duration::ZERO,
        max_tokens: 500,
        may_order: false,
        addresses: false,
        evidence: 16 << 10,
        per_hour: 20,
    }
}

/// How an incident ended, its steps, and what was done.
struct Told {
    ending: Ending,
    steps: Vec<Step>,
    acts: Vec<String>,
    asked: usize,
}

impl Told {
    fn place(&self, of: impl Fn(&Step) -> bool) -> Option<usize> {
        self.steps.iter().position(of)
    }

    fn advised(&self) -> Vec<&Result<Opinion, String>> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Advised { opinion, .. } => Some(opinion),
                _ => None,
            })
            .collect()
    }

    fn findings(&self) -> Vec<&Finding> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Diagnosed { findings } => Some(findings),
                _ => None,
            })
            .flatten()
            .collect()
    }

    fn healed_by(&self) -> &str {
        match &self.ending {
            Ending::Healed { strategy, .. } => strategy.as_str(),
            other => panic!("not healed: {other:?}"),
        }
    }
}

struct Scene {
    sim: Sim,
    settings: Option<ModelSettings>,
    opinion: Result<Opinion, String>,
    hangs: bool,
    dry_run: bool,
}

impl Scene {
    fn new(sim: Sim) -> Self {
        Self {
            sim,
            settings: Some(model()),
            opinion: opinion(&[]),
            hangs: false,
            dry_run: false,
        }
    }

    /// Has it fail. Its strategies are `service-restart` and a copy of it, so
    /// that both apply.
    fn fail(self) -> Told {
        let folder = tempfile::tempdir().unwrap();
        let builtins = || prunella_bundle::builtins().iter().map(|b| (b.name, b.wasm));
        let wasm = builtins()
            .find_map(|(name, wasm)| (name == "service-restart").then_some(wasm))
            .unwrap();
        let copy = Component {
            bytes: wasm.to_vec(),
            sha256: sha256(wasm),
            trust: TrustStatus {
                signature: Signature::Absent,
                right: Ok(Right::ByHand),
            },
        };
        let mut service = (*self.sim.service()).clone();
        service.strategies = names(&["service-restart", "site-fix"]);
        let mut config = Config {
            analysis: self.settings,
            retry_interval: None,
            ..Config::default()
        };
        config.budget.healings = 3;
        config.budget.backoff = vec![Duration::ZERO];
        let name = StrategyName::new("site-fix").unwrap();
        config.strategies.insert(
            name.clone(),
            StrategySettings {
                component: Some("/etc/prunella/plugins/site-fix.wasm".into()),
                grants: builtin_grants("service-restart"),
                ..StrategySettings::default()
            },
        );
        config.services.insert(service.unit.clone(), service);
        let engine = Engine::new(EngineSettings {
            // Compiled by the first test that needs it.
            cache_dir: Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled").into()),
        })
        .unwrap();
        let loading = Loading {
            engine: &engine,
            config: &config,
            only: None,
            tried: false,
            before: None,
        };
        let components = BTreeMap::from([(name, Ok(copy))]);
        let strategies = StrategySet::load(&loading, builtins(), components);
        let store = Arc::new(Store::open(&folder.path().join("prunella.db")).unwrap());
        let gate = Arc::new(Gate::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let run = folder.path().join("run");
        let healer = Arc::new(Healer::new(
            HealerSettings {
                hosts: Arc::new(SimHosts(self.sim.clone())),
                situation: Arc::new(self.sim.clone()),
                store: Some(Arc::clone(&store)),
                ledger: Arc::new(Ledger::new(Some(Arc::clone(&store)), run.clone())),
                run_folder: run.clone(),
                kill_switch: folder.path().join("off"),
                observer: Arc::new(AtAnswering(Arc::clone(&gate))),
                analyst: Arc::new(Model {
                    rules: HostAnalyst::new(&run),
                    opinion: self.opinion,
                    until: self.hangs.then_some(gate),
                    asked: Arc::clone(&asked),
                }),
                changes: Arc::new(()),
            },
            Arc::new(config),
            Arc::new(strategies),
        ));
        let scheduler = if self.dry_run {
            Scheduler::dry_run(healer)
        } else {
            Scheduler::start(healer)
        }
        .unwrap();
        scheduler.open(self.sim.incident().detection).unwrap();
        let (id, ending) = scheduler.wait_for(&self.sim.unit(), None).unwrap();
        let steps = store
            .record(&id)
            .unwrap()
            .map(|record| record.steps.into_iter().map(|entry| entry.step).collect())
            .unwrap_or_default();
        Told {
            ending,
            steps,
            acts: self.sim.acts(),
            asked: asked.load(Ordering::SeqCst),
        }
    }
}

fn killed() -> Sim {
    Sim::new("web.service").failed("signal").port("tcp/80")
}

fn hopeless() -> Sim {
    Sim::new("web.service")
        .failed("exit-code")
        .starts_when("never", |_| false)
}

const TAKEN: &str = "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)";

#[test]
fn findings_stand_in_the_trail_before_people_are_told() {
    let told = Scene {
        settings: None,
        ..Scene::new(hopeless().log("web.service", 3, TAKEN))
    }
    .fail();
    assert!(
        matches!(told.ending, Ending::Escalated { .. }),
        "{:?}",
        told.ending
    );
    let findings = told.findings();
    assert_eq!(
        (findings[0].cause, findings[0].from),
        (Cause::AddressInUse, Source::Log)
    );
    let diagnosed = told.place(|step| matches!(step, Step::Diagnosed { .. }));
    let evidence = told.place(|step| matches!(step, Step::Evidence { .. }));
    let ended = told.place(|step| matches!(step, Step::Ended { .. }));
    assert!(
        evidence < diagnosed && diagnosed < ended,
        "{:#?}",
        told.steps
    );
    // Without a model nothing is asked, and nothing said of it.
    assert_eq!((told.asked, told.advised().len()), (0, 0));
}

#[test]
fn healing_does_not_wait_for_the_rules() {
    let told = Scene::new(killed().log("web.service", 3, TAKEN)).fail();
    let answering = told.place(|step| matches!(step, Step::Answering { .. }));
    let diagnosed = told.place(|step| matches!(step, Step::Diagnosed { .. }));
    assert!(
        answering.is_some() && answering < diagnosed,
        "{:#?}",
        told.steps
    );
}

#[test]
fn where_nothing_is_recognised_nothing_is_said() {
    let told = Scene::new(killed()).fail();
    assert_eq!(told.healed_by(), "service-restart");
    assert!(told.findings().is_empty(), "{:#?}", told.steps);
}

#[test]
fn healing_does_not_wait_for_the_model() {
    let told = Scene {
        hangs: true,
        ..Scene::new(killed())
    }
    .fail();
    assert_eq!(told.healed_by(), "service-restart");
    // It answered only after the service was well, and is heard nevertheless.
    let answering = told.place(|step| matches!(step, Step::Answering { .. }));
    let advised = told.place(|step| matches!(step, Step::Advised { .. }));
    let ended = told.place(|step| matches!(step, Step::Ended { .. }));
    assert!(answering < advised && advised < ended, "{:#?}", told.steps);
    assert_eq!(told.advised(), [&opinion(&[])]);
}

#[test]
fn healing_waits_no_longer_than_it_may() {
    let mut settings = model();
    settings.wait = Duration::from_millis(20);
    settings.may_order = true;
    let told = Scene {
        settings: Some(settings),
        opinion: opinion(&["site-fix"]),
        hangs: true,
        ..Scene::new(killed())
    }
    .fail();
    assert_eq!(told.healed_by(), "service-restart");
    assert_eq!(told.advised().len(), 1);
    assert!(
        told.place(|step| matches!(step, Step::Ordered { .. }))
            .is_none()
    );
}

#[test]
fn an_order_is_followed_where_the_operator_lets_it() {
    let mut settings = model();
    settings.wait = Duration::from_secs(20);
    settings.may_order = true;
    let told = Scene {
        settings: Some(settings.clone()),
        // One that is not the service's, and one that does not exist.
        opinion: opinion(&["port-conflict", "nonsense", "site-fix"]),
        ..Scene::new(killed())
    }
    .fail();
    assert_eq!(told.healed_by(), "site-fix");
    let ordered = told.steps.iter().find_map(|step| match step {
        Step::Ordered { order, reason } => Some((order.clone(), reason.clone())),
        _ => None,
    });
    let (order, reason) = ordered.unwrap();
    assert_eq!(order, names(&["site-fix", "service-restart"]));
    assert!(
        reason.contains("llama") && reason.contains("it was killed"),
        "{reason}"
    );
    assert_eq!(
        told.acts.last().map(String::as_str),
        Some("start web.service")
    );

    settings.may_order = false;
    let told = Scene {
        settings: Some(settings),
        opinion: opinion(&["site-fix"]),
        ..Scene::new(killed())
    }
    .fail();
    assert_eq!(told.healed_by(), "service-restart");
    assert!(
        told.place(|step| matches!(step, Step::Ordered { .. }))
            .is_none()
    );
    assert_eq!(told.advised().len(), 1);
}

/// A model that wants everything gets what it would have got without it.
#[test]
fn nothing_but_words_comes_of_an_opinion() {
    let mut settings = model();
    settings.wait = Duration::from_secs(20);
    settings.may_order = true;
    let without = Scene {
        settings: None,
        ..Scene::new(hopeless())
    }
    .fail();
    let with = Scene {
        settings: Some(settings),
        opinion: opinion(&["rm-everything", "port-conflict"]),
        ..Scene::new(hopeless())
    }
    .fail();
    assert_eq!(with.acts, without.acts);
    assert!(!with.acts.is_empty());
    assert_eq!(
        std::mem::discriminant(&with.ending),
        std::mem::discriminant(&without.ending)
    );
    assert!(
        with.place(|step| matches!(step, Step::Ordered { .. }))
            .is_none()
    );
}

#[test]
fn it_is_asked_once_for_an_incident_and_its_failure_is_a_note() {
    let told = Scene {
        opinion: Err("it could not be reached: refused".to_owned()),
        ..Scene::new(hopeless())
    }
    .fail();
    assert!(
        matches!(told.ending, Ending::Escalated { .. }),
        "{:?}",
        told.ending
    );
    // It was tried several times.
    assert!(told.acts.len() > 2, "{:?}", told.acts);
    assert_eq!(told.asked, 1);
    assert_eq!(
        told.advised(),
        [&Err("it could not be reached: refused".to_owned())]
    );
}

#[test]
fn a_dry_run_asks_nobody() {
    let told = Scene {
        dry_run: true,
        ..Scene::new(killed())
    }
    .fail();
    assert!(
        matches!(told.ending, Ending::DryRun { .. }),
        "{:?}",
        told.ending
    );
    assert_eq!(told.asked, 0);
}

#[test]
fn a_service_stopped_by_an_operator_is_not_diagnosed() {
    let told = Scene::new(
        killed()
            .log("web.service", 3, TAKEN)
            .stopped_by_operator("a stop job"),
    )
    .fail();
    assert!(
        matches!(told.ending, Ending::LeftAlone { .. }),
        "{:?}",
        told.ending
    );
    assert!(told.findings().is_empty());
    assert_eq!(told.asked, 0);
}
