//! The whole way of an incident, with the real built-in strategies in the real
//! engine, on a simulated host: what is done, and what is rightly not done.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prunella_config::{Config, StrategySettings};
use prunella_core::{
    StrategyName, Timestamp,
    alert::AlertKind,
    capability::Host,
    cause::Cause,
    hash::sha256,
    incident::{DetectedBy, Ending, LeftAlone},
    policy::builtin_grants,
    service::{Order, Service},
    statistics::{Signature, Try, TryOutcome},
    summary::Filter,
    trail::Step,
    trust::{self, Evidence, SignaturePolicy, TrustStatus},
};
use prunella_engine::{Engine, EngineSettings};
use prunella_healer::{
    Component, FileError, Healer, HealerSettings, Hosts, Loading, OpenOutcome, Scheduler,
    StrategySet,
};
use prunella_simulation::{Check, File, Process, Sim};
use prunella_store::{AttemptEnd, LastSteps, Ledger, Pause, Store};
use rstest::rstest;

struct SimHosts(Sim);

impl Hosts for SimHosts {
    fn for_service(&self, _: Arc<Service>) -> Host {
        self.0.host()
    }
}

struct House {
    sim: Sim,
    store: Arc<Store>,
    healer: Arc<Healer>,
    scheduler: Scheduler,
    folder: tempfile::TempDir,
}

fn builtins() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    prunella_bundle::builtins().iter().map(|b| (b.name, b.wasm))
}

/// The file of a user's strategy: a copy of a built-in one.
const SITE_FIX: &str = "/etc/prunella/plugins/site-fix.wasm";

fn site_fix() -> &'static [u8] {
    builtins()
        .find_map(|(name, wasm)| (name == "service-restart").then_some(wasm))
        .unwrap()
}

fn read(path: &Path, set: &StrategySettings) -> Result<Component, FileError> {
    if path != Path::new(SITE_FIX) {
        return Err(FileError {
            gone: true,
            message: format!("{} is not there", path.display()),
        });
    }
    let bytes = site_fix().to_vec();
    let sha256 = sha256(&bytes);
    let trust = TrustStatus::of(&Evidence {
        sha256: &sha256,
        by_hand: set.sha256.as_deref(),
        installed: None,
        signature: &trust::Signature::Absent,
        highest: None,
        policy: SignaturePolicy::Required,
    });
    Ok(Component {
        bytes,
        sha256,
        trust,
    })
}

fn loading<'a>(engine: &'a Engine, config: &'a Config) -> Loading<'a> {
    Loading {
        engine,
        config,
        only: None,
        tried: true,
        before: None,
    }
}

/// Puts the user's strategy in, alone, with all the grants it wants.
fn only_site_fix(config: &mut Config, sha256: Option<String>) {
    let name = StrategyName::new("site-fix").unwrap();
    config.strategies.insert(
        name.clone(),
        StrategySettings {
            component: Some(SITE_FIX.into()),
            sha256,
            grants: builtin_grants("service-restart"),
            ..StrategySettings::default()
        },
    );
    for service in config.services.values_mut() {
        service.strategies = vec![name.clone()];
    }
}

fn house_with(sim: Sim, dry_run: bool, change: impl FnOnce(&mut Config)) -> House {
    let folder = tempfile::tempdir().unwrap();
    let mut service = (*sim.service()).clone();
    service.strategies = builtins()
        .map(|(name, ..)| StrategyName::new(name).unwrap())
        .collect();
    let mut config = Config::default();
    config.services.insert(service.unit.clone(), service);
    change(&mut config);
    let engine = Engine::new(EngineSettings {
        // Compiled by the first test that needs it.
        cache_dir: Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled").into()),
    })
    .unwrap();
    let components: BTreeMap<_, _> = config
        .strategies
        .iter()
        .filter_map(|(name, set)| Some((name.clone(), read(set.component.as_ref()?, set))))
        .collect();
    let strategies = StrategySet::load(&loading(&engine, &config), builtins(), components);
    let store = Arc::new(Store::open(&folder.path().join("prunella.db")).unwrap());
    let healer = Arc::new(Healer::new(
        HealerSettings {
            hosts: Arc::new(SimHosts(sim.clone())),
            situation: Arc::new(sim.clone()),
            store: Some(Arc::clone(&store)),
            ledger: Arc::new(Ledger::new(
                Some(Arc::clone(&store)),
                folder.path().join("run"),
            )),
            run_folder: folder.path().join("run"),
            kill_switch: folder.path().join("off"),
            observer: Arc::new(()),
            analyst: Arc::new(()),
            changes: Arc::new(()),
        },
        Arc::new(config),
        Arc::new(strategies),
    ));
    let scheduler = if dry_run {
        Scheduler::dry_run(Arc::clone(&healer))
    } else {
        Scheduler::start(Arc::clone(&healer))
    }
    .unwrap();
    House {
        sim,
        store,
        healer,
        scheduler,
        folder,
    }
}

fn house(sim: Sim) -> House {
    house_with(sim, false, |_| {})
}

impl House {
    fn fail(&self) -> Ending {
        let outcome = self.scheduler.open(self.sim.incident().detection).unwrap();
        assert!(matches!(outcome, OpenOutcome::New(_)), "{outcome:?}");
        self.scheduler.wait_for(&self.sim.unit(), None).unwrap().1
    }

    fn steps(&self) -> Vec<Step> {
        let (id, _) = self.scheduler.ending(&self.sim.unit()).unwrap();
        let record = self.store.record(&id).unwrap().unwrap();
        let numbers: Vec<u32> = record.steps.iter().map(|entry| entry.number).collect();
        let expected: Vec<u32> = (0..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "no step is missing in the store");
        record.steps.into_iter().map(|entry| entry.step).collect()
    }
}

fn healed_by(ending: &Ending) -> &str {
    match ending {
        Ending::Healed { strategy, .. } => strategy.as_str(),
        other => panic!("not healed: {other:?}"),
    }
}

fn escalated(ending: &Ending) -> &str {
    match ending {
        Ending::Escalated { reason, .. } => reason,
        other => panic!("not escalated: {other:?}"),
    }
}

#[test]
fn a_failed_service_is_started_and_proven() {
    let house = house(Sim::new("web.service").failed("signal").port("tcp/80"));
    let ending = house.fail();
    assert_eq!(healed_by(&ending), "service-restart");
    assert_eq!(
        house.sim.acts().last().map(String::as_str),
        Some("start web.service")
    );
    let steps = house.steps();
    assert!(matches!(steps.first(), Some(Step::Detected { .. })));
    assert!(steps.iter().any(|step| matches!(step, Step::Proven { .. })));
    assert!(matches!(steps.last(), Some(Step::Ended { .. })));
}

#[test]
fn every_intention_has_its_end() {
    let house = house(
        Sim::new("web.service")
            .failed("exit-code")
            .port("tcp/80")
            .taken("tcp/80", Process::leftover("/usr/bin/web")),
    );
    assert_eq!(healed_by(&house.fail()), "port-conflict");
    let steps = house.steps();
    let intended = steps
        .iter()
        .filter(|step| matches!(step, Step::ActIntended { .. }))
        .count();
    let ended = steps
        .iter()
        .filter(|step| matches!(step, Step::ActEnded { .. }))
        .count();
    assert!(intended >= 2, "{steps:#?}");
    assert_eq!(intended, ended);
}

#[test]
fn a_stranger_on_the_port_is_left_in_peace() {
    let house = house(
        Sim::new("web.service")
            .failed("exit-code")
            .port("tcp/80")
            .taken("tcp/80", Process::stranger("/usr/bin/python3")),
    );
    let ending = house.fail();
    assert!(
        escalated(&ending).contains("/usr/bin/python3"),
        "{ending:?}"
    );
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

#[test]
fn a_broken_configuration_holds_everything_back() {
    let house = house(Sim::new("web.service").failed("exit-code").check(
        "config",
        Check::fails(1, "unexpected end of file").validating(),
    ));
    let ending = house.fail();
    assert!(
        escalated(&ending).contains("check `config` fails"),
        "{ending:?}"
    );
    assert_eq!(house.sim.acts(), ["run check config"], "a look, and no act");
}

#[test]
fn a_repairable_file_is_repaired() {
    let house = house(
        Sim::new("web.service")
            .failed("exit-code")
            .file(
                "env",
                File::new(prunella_core::service::FileRole::Env)
                    .mode(0o000, 0o640)
                    .unreadable(),
            )
            .starts_when("the env file is readable", |view| {
                view.is_as_declared("env")
            }),
    );
    assert_eq!(healed_by(&house.fail()), "environment-check");
    assert!(house.sim.acts().contains(&"repair mode of env".to_owned()));
}

#[rstest]
#[case::operator_stop(
    Sim::new("web.service").failed("exit-code").stopped_by_operator("systemctl stop"),
    LeftAlone::OperatorStop
)]
#[case::cleared_by_hand(
    Sim::new("web.service").failed("exit-code").cleared_by_hand(),
    LeftAlone::OperatorStop
)]
#[case::package_upgrade(
    Sim::new("web.service").failed("exit-code").package_lock("dpkg"),
    LeftAlone::PackageUpgrade
)]
#[case::shutdown(
    Sim::new("web.service").failed("exit-code").system_state("stopping"),
    LeftAlone::Shutdown
)]
#[case::reboot_on_failure(
    Sim::new("web.service").failed("exit-code").with(|s| s.failure_action = "reboot".into()),
    LeftAlone::FailureAction
)]
#[case::reboot_on_start_limit(
    Sim::new("web.service").failed("exit-code").with(|s| s.start_limit_action = "reboot-force".into()),
    LeftAlone::FailureAction
)]
#[case::masked(
    Sim::new("web.service").failed("exit-code").with(|s| s.load_state = "masked".into()),
    LeftAlone::Masked
)]
#[case::respected_start_limit(
    Sim::new("web.service").failed("start-limit-hit").respects_start_limit(),
    LeftAlone::StartLimit
)]
#[case::respected_start_limit_behind_another_result(
    Sim::new("web.service").failed("signal").start_refused().respects_start_limit(),
    LeftAlone::StartLimit
)]
#[case::finished(Sim::new("web.service").inactive(), LeftAlone::Finished)]
#[case::protected(Sim::new("ssh.service").failed("exit-code"), LeftAlone::Protected)]
fn left_alone(#[case] sim: Sim, #[case] because: LeftAlone) {
    let house = house(sim);
    match house.fail() {
        Ending::LeftAlone { why, .. } => assert_eq!(why, because),
        other => panic!("{other:?}"),
    }
    assert_eq!(house.sim.acts(), Vec::<String>::new(), "nothing was done");
}

#[test]
fn a_paused_service_is_left_alone() {
    let house = house(Sim::new("web.service").failed("signal"));
    house
        .store
        .pause(&Pause {
            unit: None,
            since: Timestamp::default(),
            until: None,
            reason: "moving".into(),
            by: "ada".into(),
        })
        .unwrap();
    match house.fail() {
        Ending::LeftAlone { why, detail } => {
            assert_eq!(why, LeftAlone::Paused);
            assert!(
                detail.contains("ada") && detail.contains("moving"),
                "{detail}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

#[test]
fn when_the_pause_is_over_it_is_healed_and_the_hold_stands_in_the_trail_once() {
    let house = house(Sim::new("web.service").failed("signal"));
    house
        .store
        .pause(&Pause {
            unit: Some(house.sim.unit()),
            since: Timestamp::default(),
            until: None,
            reason: "moving".into(),
            by: "ada".into(),
        })
        .unwrap();
    assert_eq!(house.fail().as_str(), "left-alone");
    // Looked at again, and still paused.
    for _ in 0..3 {
        house.scheduler.look_again();
        let (_, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
        assert_eq!(ending.as_str(), "left-alone");
    }
    house.store.resume(Some(&house.sim.unit())).unwrap();
    house.scheduler.look_again();
    let (_, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert_eq!(healed_by(&ending), "service-restart");
    let holds = house
        .steps()
        .iter()
        .filter(|step| {
            matches!(
                step,
                Step::Ended {
                    ending: Ending::LeftAlone { .. }
                }
            )
        })
        .count();
    assert_eq!(holds, 1);
}

#[test]
fn a_restart_loop_that_goes_on_is_handed_to_people_and_not_acted_on() {
    let house = house(Sim::new("web.service").restarting());
    let mut detection = house.sim.incident().detection;
    detection.cause = Cause::RestartLoop;
    house.scheduler.open(detection).unwrap();
    let (_, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert!(
        matches!(&ending, Ending::Escalated { reason, .. } if reason.contains("keeps restarting")),
        "{ending:?}"
    );
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

#[test]
fn a_restart_loop_that_systemd_gives_up_is_healed_in_the_same_incident() {
    let house = house(Sim::new("web.service").failed("exit-code"));
    let mut detection = house.sim.incident().detection;
    detection.cause = Cause::RestartLoop;
    let opened = house.scheduler.open(detection).unwrap();
    let (id, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert!(matches!(ending, Ending::Healed { .. }), "{ending:?}");
    assert_eq!(opened.incident(), Some(&id));
}

#[test]
fn the_kill_switch_holds_everything_back() {
    let house = house(Sim::new("web.service").failed("signal"));
    std::fs::write(house.folder.path().join("off"), "").unwrap();
    assert!(matches!(
        house.fail(),
        Ending::LeftAlone {
            why: LeftAlone::KillSwitch,
            ..
        }
    ));
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

#[test]
fn a_service_that_never_starts_spends_its_budget_and_goes_to_people() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .starts_when("never", |_| false);
    let house = house_with(sim, false, |config| {
        config.budget.healings = 3;
        config.budget.backoff = vec![Duration::ZERO];
    });
    let ending = house.fail();
    escalated(&ending);
    let starts = house
        .sim
        .acts()
        .iter()
        .filter(|act| act.starts_with("start "))
        .count();
    assert_eq!(starts, 3, "{:?}", house.sim.acts());
}

#[test]
fn a_persons_order_passes_a_spent_budget() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .starts_when("not mended yet", move |_| is_mended.load(Ordering::SeqCst));
    let house = house_with(sim, false, |config| {
        config.budget.healings = 1;
        config.budget.backoff = vec![Duration::ZERO];
    });
    escalated(&house.fail());
    mended.store(true, Ordering::SeqCst);
    let mut asked = house.sim.incident().detection;
    asked.by = DetectedBy::Operator;
    house.scheduler.open(asked).unwrap();
    let (_, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert_eq!(healed_by(&ending), "service-restart");
    assert!(
        house.steps().iter().any(
            |step| matches!(step, Step::Note { message } if message.contains("a person asked"))
        )
    );
}

/// As with the daemon running, when each hook hands the failure of the start
/// before over.
#[test]
fn a_relapse_that_is_told_of_while_the_budget_waits_is_no_attempt() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .starts_when("never", |_| false)
        .in_real_time();
    let house = house_with(sim, false, |config| {
        config.budget.healings = 3;
        config.budget.backoff = vec![Duration::ZERO, Duration::from_millis(300)];
    });
    let mut detection = house.sim.incident().detection;
    house.scheduler.open(detection.clone()).unwrap();
    detection.by = DetectedBy::Hook;
    for run in 0.. {
        let ended = house.scheduler.ending(&house.sim.unit());
        if matches!(ended, Some((_, Ending::Escalated { .. }))) {
            break;
        }
        detection.invocation = Some(format!("run {run}"));
        house.scheduler.open(detection.clone()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    // And the last one, when the budget is spent.
    for run in ["a", "b"] {
        detection.invocation = Some(run.to_owned());
        house.scheduler.open(detection.clone()).unwrap();
        house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    }
    let (id, ending) = house.scheduler.ending(&house.sim.unit()).unwrap();
    escalated(&ending);
    let acts = house.sim.acts();
    let starts = acts.iter().filter(|act| act.starts_with("start "));
    assert_eq!(starts.count(), 3, "{acts:?}");
    let record = house.store.record(&id).unwrap().unwrap();
    assert_eq!(record.incident.attempt, 3);
    let ends = record
        .steps
        .iter()
        .filter(|entry| matches!(entry.step, Step::Ended { .. }));
    assert_eq!(ends.count(), 1);
}

/// What the budget makes wait before its first start is healed in its first
/// attempt.
#[test]
fn an_attempt_counts_when_it_begins_and_not_while_it_waits() {
    let house = house_with(
        Sim::new("web.service").failed("signal").in_real_time(),
        false,
        |config| {
            // The proof that it is well takes five simulated seconds of it.
            config.budget.backoff = vec![Duration::ZERO, Duration::from_secs(6)];
        },
    );
    assert_eq!(healed_by(&house.fail()), "service-restart");
    drop(house.sim.clone().failed("signal"));
    house
        .scheduler
        .open(house.sim.incident().detection)
        .unwrap();
    let (id, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert_eq!(healed_by(&ending), "service-restart");
    let record = house.store.record(&id).unwrap().unwrap();
    assert_eq!(record.incident.attempt, 1);
    assert!(
        record
            .steps
            .iter()
            .any(|entry| matches!(entry.step, Step::Waits { .. }))
    );
}

/// A hook is at work on the first run's failure when the daemon comes and sees
/// the second run's.
#[test]
fn two_processes_have_one_incident_for_a_service() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .starts_when("never", |_| false)
        .in_real_time();
    let hook = house_with(sim, false, |config| {
        config.budget.healings = 2;
        config.budget.backoff = vec![Duration::ZERO, Duration::from_millis(300)];
    });
    let daemon = Scheduler::start(Arc::clone(&hook.healer)).unwrap();
    let mut detection = hook.sim.incident().detection;
    let first = hook.scheduler.open(detection.clone()).unwrap();
    detection.invocation = Some("another run".to_owned());
    let second = daemon.open(detection).unwrap();
    assert!(matches!(second, OpenOutcome::Joined(_)), "{second:?}");
    assert_eq!(first.incident(), second.incident());
    for scheduler in [&hook.scheduler, &daemon] {
        let (id, ending) = scheduler.wait_for(&hook.sim.unit(), None).unwrap();
        assert_eq!(Some(&id), first.incident());
        escalated(&ending);
    }
    assert_eq!(hook.store.incidents(&Filter::default()).unwrap().len(), 1);
    // Which of the two makes the second start decides whether it clears the failed state.
    let acts = hook.sim.acts();
    let starts = acts.iter().filter(|act| act.starts_with("start "));
    assert_eq!(starts.count(), 2, "{acts:?}");
}

/// `prunella heal` of a service that is up says nothing of its next failure.
#[test]
fn a_service_healed_by_hand_while_up_is_healed_when_it_fails() {
    let house = house(Sim::new("web.service"));
    let mut asked = house.sim.incident().detection;
    asked.by = DetectedBy::Operator;
    asked.failed_monotonic = None;
    house.scheduler.open(asked).unwrap();
    let (_, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert_eq!(ending.as_str(), "recovered");
    drop(house.sim.clone().failed("signal"));
    let opened = house
        .scheduler
        .open(house.sim.incident().detection)
        .unwrap();
    assert!(matches!(opened, OpenOutcome::New(_)), "{opened:?}");
    let (_, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert_eq!(healed_by(&ending), "service-restart");
}

#[test]
fn a_dry_run_does_nothing_and_stores_nothing() {
    let sim = Sim::new("web.service")
        .failed("exit-code")
        .port("tcp/80")
        .taken("tcp/80", Process::leftover("/usr/bin/web"));
    let house = house_with(sim, true, |_| {});
    let mut detection = house.sim.incident().detection;
    detection.by = DetectedBy::Operator;
    house.scheduler.open(detection).unwrap();
    let (id, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    match ending {
        Ending::DryRun { verdict } => assert!(verdict.contains("port-conflict"), "{verdict}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(house.sim.acts(), Vec::<String>::new());
    assert!(house.store.record(&id).unwrap().is_none());
}

#[test]
fn the_same_failure_seen_twice_is_one_incident() {
    let house = house(Sim::new("web.service").failed("signal"));
    let detection = house.sim.incident().detection;
    let first = house.scheduler.open(detection.clone()).unwrap();
    house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    let mut by_hook = detection;
    by_hook.by = DetectedBy::Hook;
    let second = house.scheduler.open(by_hook).unwrap();
    assert!(matches!(second, OpenOutcome::Known(..)), "{second:?}");
    assert_eq!(first.incident(), second.incident());
}

#[test]
fn a_users_strategy_acts_when_its_bytes_are_pinned() {
    let sha256 = sha256(site_fix());
    let house = house_with(Sim::new("web.service").failed("signal"), false, |config| {
        only_site_fix(config, Some(sha256));
    });
    assert_eq!(healed_by(&house.fail()), "site-fix");
}

#[rstest]
#[case::no_pin(None)]
#[case::other_bytes(Some("0".repeat(64)))]
fn rights_to_act_follow_the_bytes(#[case] sha256: Option<String>) {
    let house = house_with(Sim::new("web.service").failed("signal"), false, |config| {
        only_site_fix(config, sha256);
    });
    let ending = house.fail();
    assert!(escalated(&ending).contains("site-fix"), "{ending:?}");
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

#[test]
fn a_unit_outside_care_is_not_touched() {
    let house = house_with(Sim::new("web.service").failed("signal"), false, |config| {
        config.services.clear();
    });
    let outcome = house
        .scheduler
        .open(house.sim.incident().detection)
        .unwrap();
    assert_eq!(outcome, OpenOutcome::NotInCare);
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

/// Two strategies that both apply, of which the one listed first has failed so
/// far, and the other one has not.
fn with_a_past(order: Order) -> House {
    let house = house_with(Sim::new("web.service").failed("signal"), false, |config| {
        let sha256 = sha256(site_fix());
        only_site_fix(config, Some(sha256));
        for service in config.services.values_mut() {
            service.order = order;
            service.strategies = ["service-restart", "site-fix"]
                .map(|name| StrategyName::new(name).unwrap())
                .to_vec();
        }
    });
    let mut past = house.sim.incident();
    past.id = prunella_core::incident::IncidentId::from_text("past");
    past.key = "past".to_owned();
    house.store.open_incident(&past).unwrap();
    let past_tries = [
        ("service-restart", TryOutcome::Failed),
        ("site-fix", TryOutcome::Proven),
    ]
    .repeat(20);
    let tries = past_tries
        .into_iter()
        .map(|(name, came)| Try {
            strategy: StrategyName::new(name).unwrap(),
            came,
        })
        .collect();
    let signature = Signature::new(house.sim.unit(), "signal", []);
    let end = AttemptEnd {
        at: Timestamp::from_millis(1),
        ending: Some(Ending::Recovered {
            by: "itself".to_owned(),
        }),
        alert: None,
        tries: Some((signature, tries)),
    };
    house
        .store
        .end_attempt(&past.id, LastSteps::Numbered(&[]), &end)
        .unwrap();
    house
}

#[test]
fn a_learned_order_tries_the_likeliest_first_and_says_why() {
    let house = with_a_past(Order::Learned);
    assert_eq!(healed_by(&house.fail()), "site-fix");
    let steps = house.steps();
    let place = |is: fn(&Step) -> bool| steps.iter().position(is).unwrap();
    let ordered = place(|step| matches!(step, Step::Ordered { .. }));
    assert!(place(|step| matches!(step, Step::Assessed { .. })) < ordered);
    assert!(ordered < place(|step| matches!(step, Step::Heals { .. })));
    let Step::Ordered { order, reason } = &steps[ordered] else {
        panic!("not an order");
    };
    let order: Vec<&str> = order.iter().map(StrategyName::as_str).collect();
    assert_eq!(order, ["site-fix", "service-restart"]);
    assert!(
        reason.contains("site-fix was proven in 20 of 20 tries"),
        "{reason}"
    );
    // And this one counts too.
    let tries: u32 = house
        .store
        .statistics(None)
        .unwrap()
        .iter()
        .filter(|one| one.strategy.as_str() == "site-fix")
        .map(|one| one.counts.tries)
        .sum();
    assert_eq!(tries, 21);
}

#[test]
fn a_listed_order_stays_whatever_was_achieved() {
    let house = with_a_past(Order::Listed);
    assert_eq!(healed_by(&house.fail()), "service-restart");
    let steps = house.steps();
    assert!(
        !steps
            .iter()
            .any(|step| matches!(step, Step::Ordered { .. }))
    );
}

fn slow() -> Sim {
    let (takes, limit) = (Duration::from_millis(1_500), Duration::from_millis(1_000));
    Sim::new("web.service").slow("front", takes, limit)
}

/// Lets strategies act on a degradation.
fn heals_degraded(config: &mut Config) {
    for service in config.services.values_mut() {
        service.heal_degraded = vec![StrategyName::new("service-restart").unwrap()];
        service.proof.stable_for = Duration::ZERO;
    }
}

#[test]
fn a_degradation_is_told_and_nothing_is_done() {
    let house = house(slow());
    let answer = house.fail();
    assert!(escalated(&answer).contains("`heal-degraded` lists no strategy"));
    assert_eq!(house.sim.acts(), Vec::<String>::new());
    let open = house.store.unfinished().unwrap();
    assert_eq!(open.len(), 1, "it goes on");
    let told = house.store.new_alerts().unwrap();
    let kinds: Vec<AlertKind> = told.iter().map(|told| told.alert.kind).collect();
    assert_eq!(kinds, [AlertKind::Degradation]);

    // The same again is no news.
    house.scheduler.health_changed(&house.sim.unit());
    house.scheduler.wait_until_idle(Duration::ZERO);
    assert_eq!(house.store.new_alerts().unwrap().len(), 1);

    house.sim.clone().fast();
    house.scheduler.health_changed(&house.sim.unit());
    house.scheduler.wait_until_idle(Duration::from_secs(60));
    let (id, ending) = house.scheduler.ending(&house.sim.unit()).unwrap();
    assert_eq!(id, open[0].id);
    assert!(matches!(ending, Ending::Recovered { .. }), "{ending:?}");
    let told = house.store.new_alerts().unwrap();
    let end = &told.last().unwrap().alert;
    assert!(end.resolved);
    assert_eq!(end.headline, "web.service is no longer degraded");
    let steps = house.steps();
    let cleared =
        |step: &Step| matches!(step, Step::Cleared { symptoms, .. } if symptoms.len() == 1);
    assert!(steps.iter().any(cleared), "{steps:#?}");
}

#[test]
fn a_degradation_is_healed_where_the_operator_lists_who_may() {
    let house = house_with(slow(), false, heals_degraded);
    assert_eq!(healed_by(&house.fail()), "service-restart");
    assert_eq!(house.sim.acts(), ["restart web.service"]);
    let steps = house.steps();
    assert!(
        steps.iter().any(|step| matches!(step, Step::Proven { .. })),
        "{steps:#?}"
    );
}

#[test]
fn a_degradation_says_whose_budget_is_spent() {
    let told = |change: fn(&mut Config)| {
        let house = house_with(slow(), false, |config| {
            heals_degraded(config);
            change(config);
        });
        let reason = escalated(&house.fail()).to_owned();
        assert_eq!(house.sim.acts(), Vec::<String>::new());
        reason
    };
    assert_eq!(
        told(|config| config.host_budget.healings = 0),
        "the host's healing budget is spent: 0 healings in 1 min of all services together"
    );
    assert_eq!(
        told(|config| config.budget.healings = 0),
        "the healing budget is spent: it allows 0 healings in 5 min"
    );
}

#[test]
fn a_dry_run_of_a_degradation_says_what_would_be_done() {
    let house = house_with(slow(), true, heals_degraded);
    let ending = house.fail();
    let Ending::DryRun { verdict } = &ending else {
        panic!("{ending:?}");
    };
    assert!(
        verdict.contains("service-restart would heal it"),
        "{verdict}"
    );
    assert_eq!(house.sim.acts(), Vec::<String>::new());
}

#[test]
fn a_strategy_that_does_not_treat_degradations_is_not_asked() {
    let house = house_with(slow(), false, |config| {
        for service in config.services.values_mut() {
            service.heal_degraded = vec![StrategyName::new("port-conflict").unwrap()];
        }
    });
    let answer = house.fail();
    assert!(
        escalated(&answer).contains("port-conflict does not treat a degradation"),
        "{answer:?}"
    );
    assert_eq!(house.sim.acts(), Vec::<String>::new());
    let steps = house.steps();
    assert!(
        !steps
            .iter()
            .any(|step| matches!(step, Step::Assessed { .. })),
        "{steps:#?}"
    );
}

#[test]
fn a_degradation_that_fails_goes_on_as_that() {
    let house = house(slow());
    house.fail();
    let degradation = house.store.unfinished().unwrap().remove(0);
    house.sim.clone().failed("signal");
    let detection = house.sim.incident().detection;
    let outcome = house.scheduler.open(detection).unwrap();
    assert!(matches!(outcome, OpenOutcome::New(_)), "{outcome:?}");
    let (id, ending) = house.scheduler.wait_for(&house.sim.unit(), None).unwrap();
    assert_eq!(healed_by(&ending), "service-restart");
    let failure = house.store.record(&id).unwrap().unwrap();
    assert_eq!(
        failure.incident.detection.follows.as_ref(),
        Some(&degradation.id)
    );
    let before = house.store.record(&degradation.id).unwrap().unwrap();
    assert!(
        matches!(before.ending, Some(Ending::Continued { .. })),
        "{:?}",
        before.ending
    );
    // And the other way round: a failure is not made a degradation.
    assert!(house.store.unfinished().unwrap().is_empty());
}

#[test]
fn while_a_package_is_installed_a_degradation_is_held() {
    let house = house_with(slow().package_lock("dpkg"), false, heals_degraded);
    let ending = house.fail();
    assert!(
        matches!(
            ending,
            Ending::LeftAlone {
                why: LeftAlone::PackageUpgrade,
                ..
            }
        ),
        "{ending:?}"
    );
    assert_eq!(house.sim.acts(), Vec::<String>::new());
    assert!(house.store.new_alerts().unwrap().is_empty());
}
