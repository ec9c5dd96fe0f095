//! The notifier with channels that answer as a test wants them to: what is tried,
//! when again, and by whom.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use prunella_config::Config;
use prunella_core::{
    Monotonic, Timestamp, UnitName,
    alert::{Alert, AlertKind, Dispatch, DispatchFilter, DispatchState},
    health::{Forecast, Metric, Point, Subject, SubjectForecast},
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId, LeftAlone},
    trail::{Entry, Step},
};
use prunella_notify::{Channel, Delivery, HostQueries, Message, Notifier, NotifierSettings};
use prunella_report::{Renderer, headline};
use prunella_store::{AttemptEnd, LastSteps, Store};

/// Longer than anything here takes: nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers in this order, and delivers when it has no more answers.
#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<Delivery>>>,
    got: Arc<Mutex<Vec<Message>>>,
    told: mpsc::Sender<()>,
}

impl Channel for Script {
    fn send(&self, message: &Message, deadline: Instant) -> Delivery {
        assert!(deadline > Instant::now());
        self.got.lock().unwrap().push(message.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        self.told.send(()).unwrap();
        answer.unwrap_or(Delivery::Delivered {
            detail: "200 OK".to_owned(),
        })
    }
}

/// Since when every unit is up, where one is, and why some stay down.
#[derive(Clone, Default)]
struct Queries(
    Arc<Mutex<Option<Timestamp>>>,
    Arc<Mutex<BTreeMap<UnitName, String>>>,
);

impl HostQueries for Queries {
    fn requires(&self, _: &UnitName) -> Vec<UnitName> {
        Vec::new()
    }
    fn up_since(&self, _: &UnitName) -> Option<Timestamp> {
        *self.0.lock().unwrap()
    }
    fn stays_down(&self, unit: &UnitName) -> Option<String> {
        self.1.lock().unwrap().get(unit).cloned()
    }
    fn measured(
        &self,
        _: &UnitName,
        _: Metric,
        _: Option<&str>,
        _: (Timestamp, Timestamp),
    ) -> Vec<Point> {
        Vec::new()
    }
}

struct House {
    host: Queries,
    folder: tempfile::TempDir,
    store: Arc<Store>,
    config: Config,
    script: Script,
    told: mpsc::Receiver<()>,
}

const CONFIG: &str = "\
    channel.pager = { kind = \"slack\", url-credential = \"a\" }\n\
    channel.team = { kind = \"slack\", url-credential = \"b\" }\n\
    [alerts]\n\
    escalation = [\"pager\"]\n\
    group-wait = \"0s\"\n\
    repeat-interval = \"never\"\n";

impl House {
    fn new(answers: impl IntoIterator<Item = Delivery>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("services.d")).unwrap();
        for (name, text) in [
            ("prunella.toml", CONFIG),
            ("services.d/web1.toml", "unit = \"web1.service\"\n"),
            ("services.d/web2.toml", "unit = \"web2.service\"\n"),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let config = Config::load(folder.path()).config.unwrap();
        let store = Arc::new(Store::open(&folder.path().join("prunella.db")).unwrap());
        let (tell, told) = mpsc::channel();
        Self {
            folder,
            host: Queries::default(),
            store,
            config,
            script: Script {
                answers: Arc::new(Mutex::new(answers.into_iter().collect())),
                got: Arc::default(),
                told: tell,
            },
            told,
        }
    }

    fn notifier(&self) -> Notifier {
        let config = Arc::new(self.config.clone());
        let script = self.script.clone();
        Notifier::new(NotifierSettings {
            store: Arc::clone(&self.store),
            config: Arc::new(move || Arc::clone(&config)),
            host: Arc::new(self.host.clone()),
            open: Arc::new(move |_| Ok(Box::new(script.clone()))),
            renderer: Renderer::new(None),
            hostname: "shop1".to_owned(),
            sudo: false,
            boot_id: "boot".to_owned(),
            lock: self.folder.path().join("run/alerts.lock"),
        })
    }

    /// Something was handed to people just now.
    fn escalate(&self, number: u16) {
        self.end(
            number,
            Ending::Escalated {
                reason: "nobody knows why".to_owned(),
                retry_at: Some(Timestamp::from_millis(9)),
            },
        );
    }

    /// Something has ended so just now.
    fn end(&self, number: u16, ending: Ending) {
        self.end_after(number, &[], ending);
    }

    /// Something has ended so after these steps.
    fn end_after(&self, number: u16, steps: &[Step], ending: Ending) {
        let unit = UnitName::new(format!("web{number}.service")).unwrap();
        let detection = Detection {
            unit,
            by: DetectedBy::Signal,
            at: Timestamp::from_millis(1_000),
            cause: "exit-code".into(),
            invocation: Some(number.to_string()),
            exit_code: Some(1),
            signal: None,
            failed_monotonic: None,
            restarts_before: None,
            symptoms: Vec::new(),
            unusual: Vec::new(),
            follows: None,
            expected_work: None,
        };
        let incident = Incident {
            id: IncidentId::new(Timestamp::from_millis(1_000), number),
            key: detection.key("boot"),
            detection,
            attempt: 1,
            boot_id: "boot".to_owned(),
            parent: None,
        };
        self.store.open_incident(&incident).unwrap();
        let steps: Vec<Entry> = steps
            .iter()
            .zip(0..)
            .map(|(step, number)| Entry {
                incident: incident.id.clone(),
                number,
                at: Timestamp::from_millis(1_500),
                monotonic: Monotonic::from_micros(1),
                attempt: 1,
                step: step.clone(),
            })
            .collect();
        let end = AttemptEnd {
            at: Timestamp::from_millis(2_000),
            alert: Alert::of(
                &incident,
                &steps,
                &ending,
                None,
                headline(&incident.detection, &ending),
                Timestamp::from_millis(2_000),
            ),
            ending: Some(ending),
            tries: None,
        };
        self.store
            .end_attempt(&incident.id, LastSteps::Numbered(&[]), &end)
            .unwrap();
    }

    fn dispatches(&self) -> Vec<Dispatch> {
        self.store.dispatches(&DispatchFilter::default()).unwrap()
    }

    fn one(&self) -> Dispatch {
        let mut all = self.dispatches();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    fn got(&self) -> Vec<Message> {
        self.script.got.lock().unwrap().clone()
    }
}

fn again(not_before: Option<Duration>) -> Delivery {
    Delivery::TryAgain {
        reason: "it is busy".to_owned(),
        not_before,
    }
}

#[test]
fn the_notifier_returns_once_an_alert_is_delivered() {
    let house = House::new([]);
    house.escalate(1);
    house.notifier().work_for(PATIENCE);
    let told = house.one();
    assert_eq!((told.state, told.tries), (DispatchState::Delivered, 1));
    assert_eq!(told.detail.as_deref(), Some("200 OK"));
    let got = house.got();
    assert_eq!(got, [told.message]);
    let message = got.first().unwrap();
    assert!(
        message.text.contains("nobody knows why"),
        "{}",
        message.text
    );
    assert!(message.html.is_some());
    // Nothing is told twice.
    house.notifier().work_for(PATIENCE);
    assert_eq!(house.got().len(), 1);
}

#[test]
fn an_undelivered_message_is_retried_when_the_server_says() {
    let house = House::new([again(Some(Duration::from_secs(3_600)))]);
    house.escalate(1);
    house.notifier().work_for(Duration::ZERO);
    let waiting = house.one();
    assert_eq!((waiting.state, waiting.tries), (DispatchState::Waiting, 1));
    assert_eq!(waiting.detail.as_deref(), Some("it is busy"));
    let wait = waiting
        .next
        .unwrap()
        .since(waiting.tried.unwrap())
        .as_secs();
    assert!((3_600..3_660).contains(&wait), "{wait}");
    // A person need not wait.
    house
        .store
        .retry_dispatches(None, Timestamp::from_millis(1))
        .unwrap();
    house.notifier().work_for(Duration::ZERO);
    assert_eq!(house.one().state, DispatchState::Delivered);
    let ids: Vec<String> = house.got().into_iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids.first(), ids.last());
}

#[test]
fn refused_and_expired_messages_are_kept() {
    let mut house = House::new([
        Delivery::Refused {
            reason: "no such channel".to_owned(),
        },
        again(None),
    ]);
    house.config.alerts.give_up_after = Duration::ZERO;
    house.escalate(1);
    house.escalate(2);
    house.notifier().work_for(Duration::ZERO);
    let states: Vec<DispatchState> = house.dispatches().iter().map(|one| one.state).collect();
    assert_eq!(states, [DispatchState::Failed, DispatchState::Refused]);
}

#[test]
fn an_interrupted_message_is_sent_again_under_the_same_id() {
    let house = House::new([again(None)]);
    house.escalate(1);
    house.notifier().work_for(Duration::ZERO);
    // As a killed process leaves it.
    let id = house.one().message.id;
    house
        .store
        .retry_dispatches(None, Timestamp::from_millis(1))
        .unwrap();
    assert!(
        house
            .store
            .begin_dispatch(&id, Timestamp::from_millis(1))
            .unwrap()
    );
    house.notifier().work_for(Duration::ZERO);
    let told = house.one();
    assert_eq!((told.state, told.tries), (DispatchState::Delivered, 3));
    let ids: Vec<_> = house.got().into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [id.clone(), id]);
}

#[test]
fn one_process_at_a_time() {
    let house = House::new([]);
    house.escalate(1);
    let lock = house.folder.path().join("run/alerts.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let held = fs::File::create(&lock).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    house.notifier().work_for(Duration::ZERO);
    assert_eq!(house.dispatches(), []);
    drop(held);
    house.notifier().work_for(Duration::ZERO);
    assert_eq!(house.one().state, DispatchState::Delivered);
}

#[test]
fn a_notifier_on_a_thread_can_be_woken_and_stopped() {
    let house = House::new([]);
    let notifier = house.notifier();
    notifier.start().unwrap();
    house.escalate(1);
    notifier.wake();
    house.told.recv_timeout(PATIENCE).unwrap();
    house.escalate(2);
    notifier.wake();
    house.told.recv_timeout(PATIENCE).unwrap();
    notifier.stop(PATIENCE);
    assert!(
        house
            .dispatches()
            .iter()
            .all(|one| one.state == DispatchState::Delivered)
    );
    assert_eq!(house.dispatches().len(), 2);
}

#[test]
fn what_was_left_to_people_and_is_up_is_resolved() {
    let house = House::new([]);
    house.end(
        1,
        Ending::LeftAlone {
            why: LeftAlone::StartLimit,
            detail: "another start was refused by systemd".to_owned(),
        },
    );
    house.notifier().work_for(Duration::ZERO);
    assert!(!house.one().message.resolved);
    house.notifier().work_for(Duration::ZERO);
    assert_eq!(house.dispatches().len(), 1, "it is still down");

    *house.host.0.lock().unwrap() = Some(Timestamp::from_millis(3_000));
    house.notifier().work_for(Duration::ZERO);
    let got = house.got();
    let end = got.last().unwrap();
    assert!(end.resolved, "{end:?}");
    assert_eq!(end.kind, AlertKind::Recovery);
    assert_eq!(
        end.headline,
        "INFO shop1: Resolved: web1.service is up again"
    );
    assert!(!end.text.contains("Remove the cause"), "{}", end.text);
    assert!(!end.text.contains("needs a person"), "{}", end.text);
}

#[test]
fn what_an_operator_stopped_is_closed_and_not_resolved() {
    let house = House::new([]);
    house.escalate(1);
    house.notifier().work_for(Duration::ZERO);
    house.end(
        1,
        Ending::LeftAlone {
            why: LeftAlone::OperatorStop,
            detail: String::new(),
        },
    );
    house.notifier().work_for(Duration::ZERO);
    let got = house.got();
    let end = got.last().unwrap();
    assert!(end.resolved, "{end:?}");
    assert_eq!(end.kind, AlertKind::Information);
    assert_eq!(
        end.headline,
        "INFO shop1: Closed: web1.service left alone: an operator stopped it"
    );
}

#[test]
fn what_is_up_without_its_cause_is_closed_with_what_stays_down() {
    let house = House::new([]);
    let db = UnitName::new("db.service").unwrap();
    let blocked = Step::Blocked {
        on: db.clone(),
        reason: "it is masked".to_owned(),
    };
    house.end_after(
        1,
        &[blocked],
        Ending::Escalated {
            reason: "db.service is masked".to_owned(),
            retry_at: Some(Timestamp::from_millis(9)),
        },
    );
    house.notifier().work_for(Duration::ZERO);
    let down = (db, "masked".to_owned());
    house.host.1.lock().unwrap().extend([down]);
    house.end(
        1,
        Ending::Recovered {
            by: "somebody started it".to_owned(),
        },
    );
    house.notifier().work_for(Duration::ZERO);
    let got = house.got();
    let end = got.last().unwrap();
    assert!(end.resolved, "{end:?}");
    assert_eq!(end.kind, AlertKind::Information);
    assert_eq!(
        end.headline,
        "INFO shop1: Closed: web1.service is up again; db.service stays down: masked"
    );
    assert!(!end.text.contains("Resolved"), "{}", end.text);
}

/// So much time is left of this.
fn ahead(subject: Subject, metric: Metric) -> SubjectForecast {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    SubjectForecast {
        subject,
        forecast: Forecast {
            metric,
            instance: (metric == Metric::DiskPermille).then(|| "/var".to_owned()),
            whole: None,
            since: Timestamp::from_millis(1_000),
            at: Timestamp::from_millis(1_000),
            expected: hours(3),
            earliest: hours(2),
            latest: hours(4),
            rate: 1 << 30,
            rate_metric: Metric::MemoryBytes,
        },
    }
}

#[test]
fn what_is_foreseen_goes_by_the_routes_of_what_it_is_of() {
    let routes = "\n[[alerts.route]]\nservices = [\"web1.service\"]\nchannels = [\"team\"]\n";
    let mut house = House::new([]);
    let file = house.folder.path().join("prunella.toml");
    fs::write(file, format!("{CONFIG}{routes}")).unwrap();
    house.config = Config::load(house.folder.path()).config.unwrap();
    let of = |unit: &str| {
        let unit = UnitName::new(unit).unwrap();
        ahead(Subject::from(unit), Metric::MemoryPermille)
    };
    let disk = ahead(Subject::Host, Metric::DiskPermille);
    let all = [disk.clone(), of("web1.service"), of("web2.service")];
    let notifier = house.notifier();
    let told = |before: usize| -> Vec<(String, Vec<String>, bool)> {
        let mut told: Vec<_> = house
            .dispatches()
            .into_iter()
            .map(|one| {
                let units = one.message.units.iter().map(ToString::to_string);
                let channel = one.channel.to_string();
                (channel, units.collect(), one.message.resolved)
            })
            .collect();
        let newer = told.len() - before;
        told.truncate(newer);
        told.sort();
        told
    };
    let line = |channel: &str, units: &[&str], resolved| {
        let units = units.iter().map(ToString::to_string).collect();
        (channel.to_owned(), units, resolved)
    };
    notifier.forecasts(&all).unwrap();
    assert_eq!(
        told(0),
        [
            line("pager", &[], false),
            line("pager", &["web2.service"], false),
            line("team", &["web1.service"], false),
        ]
    );
    // One of them is over, and nothing is told twice.
    notifier
        .forecasts(&[disk.clone(), of("web2.service")])
        .unwrap();
    assert_eq!(told(3), [line("team", &["web1.service"], true)]);
    notifier.forecasts(&[disk, of("web2.service")]).unwrap();
    assert_eq!(told(4), []);
    notifier.forecasts(&[]).unwrap();
    assert_eq!(
        told(4),
        [
            line("pager", &[], true),
            line("pager", &["web2.service"], true),
        ]
    );
}
