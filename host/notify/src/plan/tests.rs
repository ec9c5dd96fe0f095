//! What becomes of alerts, moment by moment. Times are seconds.

use std::time::Duration;

use prunella_core::{
    alert::Alert,
    incident::{IncidentId, IncidentKind},
    service::Service,
};
use rstest::rstest;

use super::*;

fn unit(name: &str) -> UnitName {
    UnitName::new(format!("{name}.service")).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

/// Everything that decides, and what came of it so far.
struct World {
    config: Config,
    alerts: Vec<NewAlert>,
    alert_groups: Vec<AlertGroup>,
    unfinished: Vec<Unfinished>,
    outages: Vec<Outage>,
    recoveries: BTreeMap<UnitName, u32>,
    digests: BTreeMap<Option<UnitName>, Timestamp>,
    up_since: BTreeMap<UnitName, Timestamp>,
    seq: i64,
    names: u32,
}

impl World {
    /// Escalations go to `pager` after 3 s, recoveries to `mail` after 10 s; all
    /// else to nobody.
    fn new() -> Self {
        let mut config = Config::default();
        config.alerts.routes.escalation = Some(vec![channel("pager")]);
        config.alerts.routes.recovery = Some(vec![channel("mail")]);
        config.alerts.group_wait = Duration::from_secs(3);
        config.alerts.recovery_group_wait = Duration::from_secs(10);
        config.alerts.repeat_interval = Some(Duration::from_secs(1_000));
        Self {
            config,
            alerts: Vec::new(),
            alert_groups: Vec::new(),
            unfinished: Vec::new(),
            outages: Vec::new(),
            recoveries: BTreeMap::new(),
            digests: BTreeMap::new(),
            up_since: BTreeMap::new(),
            seq: 0,
            names: 0,
        }
    }

    /// In care, with what it needs; `!` before its name makes it critical.
    fn care(mut self, name: &str, needs: &[&str]) -> Self {
        let (critical, name) = match name.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, name),
        };
        self.config.services.insert(
            unit(name),
            Service {
                critical,
                depends_on: needs.iter().map(|name| unit(name)).collect(),
                ..Service::new(unit(name))
            },
        );
        self
    }

    fn alert(&mut self, kind: AlertKind, name: &str, at: u64, headline: &str) -> &mut Alert {
        self.seq += 1;
        let critical = self
            .config
            .services
            .get(&unit(name))
            .is_some_and(|service| service.critical);
        let severity = match (kind, critical) {
            (AlertKind::Escalation, true) => Severity::Critical,
            (AlertKind::Escalation, false) => Severity::Warning,
            _ => Severity::Info,
        };
        self.alerts.push(NewAlert {
            seq: self.seq,
            alert: Alert {
                incident: IncidentId::from_text(format!("{name}-{}", self.seq)),
                attempt: 1,
                unit: unit(name),
                at: Timestamp::from_millis(at * 1_000),
                kind,
                severity,
                headline: headline.to_owned(),
                cause: None,
                parent: None,
                resolved: kind == AlertKind::Recovery,
                only_waited: false,
                will_retry: kind == AlertKind::Escalation,
                asks: None,
            },
        });
        &mut self.alerts.last_mut().unwrap().alert
    }

    fn fails(&mut self, name: &str, at: u64) -> &mut Alert {
        self.alert(AlertKind::Escalation, name, at, "it needs a person")
    }

    fn recovers(&mut self, name: &str, at: u64) -> &mut Alert {
        self.alert(AlertKind::Recovery, name, at, "it was healed")
    }

    /// Its incident is open since `since`, and told of at `due`.
    fn is_down(&mut self, name: &str, since: u64, due: u64) {
        let service = self.config.services.get(&unit(name));
        self.outages.push(Outage {
            alert: Alert::outage(
                IncidentId::from_text(format!("{name}-open")),
                unit(name),
                1,
                service,
                "it is down".to_owned(),
                Timestamp::from_millis(since * 1_000),
            ),
            due: Timestamp::from_millis(due * 1_000),
        });
    }

    fn waits(&mut self, name: &str, on: &str) {
        self.unfinished.push(Unfinished {
            kind: IncidentKind::Failure,
            incident: IncidentId::from_text(format!("{name}-waits")),
            unit: unit(name),
            detected: Timestamp::default(),
            waits_for: Some((unit(on), "it is dead".to_owned())),
        });
    }

    /// Decides at `at`, and takes over what came of it, as the store would.
    fn at(&mut self, at: u64) -> Plan {
        let services = &self.config.services;
        let relations = Relations::of(services.keys().cloned(), |unit| {
            let needs = services.get(unit).map(|service| service.depends_on.clone());
            needs.into_iter().flatten().collect()
        });
        let names = &mut self.names;
        let plan = plan(
            PlanInput {
                now: Timestamp::from_millis(at * 1_000),
                config: &self.config,
                alerts: &self.alerts,
                alert_groups: self.alert_groups.clone(),
                unfinished: &self.unfinished,
                outages: &self.outages,
                recoveries: &self.recoveries,
                digests: &self.digests,
                relations: &relations,
                up_since: &self.up_since,
            },
            &mut || {
                *names += 1;
                format!("t-{names}")
            },
        );
        self.alerts
            .retain(|alert| plan.decisions.iter().all(|(seq, _)| *seq != alert.seq));
        for alert_group in &plan.alert_groups {
            self.alert_groups
                .retain(|known| known.key != alert_group.key);
            if alert_group.closed.is_none() {
                self.alert_groups.push(alert_group.clone());
            }
        }
        self.digests.extend(plan.digests.iter().cloned());
        plan
    }
}

/// A plan in one line: for each message its form, kind, units and channels.
fn told(plan: &Plan) -> Vec<String> {
    plan.messages
        .iter()
        .map(|note| {
            let form = match note.form {
                MessageForm::News => "news",
                MessageForm::Reminder(_) => "reminder",
                MessageForm::Resolved => "resolved",
                MessageForm::Flapping(_) => "flapping",
                MessageForm::LeftCare => "left-care",
                MessageForm::Storm => "storm",
            };
            let units: Vec<&str> = note.mentions.iter().map(|one| one.unit.stem()).collect();
            let channels: Vec<&str> = note.channels.iter().map(ChannelName::as_str).collect();
            format!(
                "{form} {} {} to {}",
                note.kind.as_str(),
                units.join("+"),
                channels.join("+")
            )
        })
        .collect()
}

fn next(plan: &Plan) -> Option<u64> {
    plan.next.map(|next| next.as_millis() / 1_000)
}

const NOTHING: [&str; 0] = [];

#[test]
fn an_alert_waits_for_its_window_and_no_longer() {
    let mut world = World::new().care("a", &[]).care("b", &[]);
    world.fails("a", 100);
    world.recovers("b", 100);
    let plan = world.at(102);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(next(&plan), Some(103));
    let plan = world.at(103);
    assert_eq!(told(&plan), ["news escalation a to pager"]);
    assert_eq!(next(&plan), Some(110));
    let plan = world.at(110);
    assert_eq!(told(&plan), ["news recovery b to mail"]);
    assert_eq!(world.alerts, []);
}

#[test]
fn a_clock_that_was_set_back_makes_nobody_wait() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 90_000);
    assert_eq!(next(&world.at(100)), Some(103));
}

/// Ten services on a dead database are one message that names the ten, however
/// it shows what they have to do with it.
#[rstest]
#[case::they_wait_for_it("waits")]
#[case::they_declared_it("needs")]
#[case::a_strategy_named_it("cause")]
fn one_cause_is_one_message(#[case] how: &str) {
    let names: Vec<String> = (0..10).map(|n| format!("web{n}")).collect();
    let mut world = World::new();
    if how != "cause" {
        world = world.care("db", &[]);
        world.fails("db", 101);
    }
    for name in &names {
        let needs: &[&str] = if how == "needs" { &["db"] } else { &[] };
        world = world.care(name, needs);
        match how {
            "waits" => world.waits(name, "db"),
            "needs" => drop(world.fails(name, 100).clone()),
            _ => world.fails(name, 100).cause = Some(unit("db")),
        }
    }
    let plan = world.at(104);
    let units = format!("db+{}", names.join("+"));
    assert_eq!(told(&plan), [format!("news escalation {units} to pager")]);
    let note = plan.messages.first().unwrap();
    assert_eq!(
        note.mentions.first().unwrap().incident.is_none(),
        how == "cause"
    );
    assert_eq!(world.alert_groups.len(), 1);
}

#[test]
fn alerts_without_a_common_cause_are_separate() {
    let mut world = World::new()
        .care("a", &["c"])
        .care("b", &["c"])
        .care("c", &[]);
    world.fails("a", 100);
    world.fails("b", 100);
    assert_eq!(
        told(&world.at(103)),
        ["news escalation a to pager", "news escalation b to pager"]
    );
}

#[test]
fn a_critical_service_that_waits_makes_its_cause_critical() {
    let mut world = World::new().care("db", &[]).care("!web", &[]);
    world.config.services.get_mut(&unit("web")).unwrap().alerts =
        Some(prunella_core::alert::Routes {
            escalation: Some(vec![channel("boss")]),
            ..Default::default()
        });
    world.fails("db", 100);
    world.waits("web", "db");
    let plan = world.at(103);
    assert_eq!(told(&plan), ["news escalation db+web to boss+pager"]);
    assert_eq!(plan.messages.first().unwrap().severity, Severity::Critical);
}

#[test]
fn the_same_is_told_once_and_then_as_a_reminder() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    let plan = world.at(103);
    assert_eq!(next(&plan), Some(1_103));
    world.fails("a", 500);
    let plan = world.at(500);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(plan.decisions, [(2, AlertDecision::Repeated)]);
    let plan = world.at(1_103);
    assert_eq!(told(&plan), ["reminder escalation a to pager"]);
    assert_eq!(next(&plan), Some(2_103));
    assert_eq!(told(&world.at(1_104)), NOTHING);
}

#[test]
fn no_reminder_where_nobody_wants_one() {
    let mut world = World::new().care("a", &[]);
    world.config.alerts.repeat_interval = None;
    world.fails("a", 100);
    assert_eq!(next(&world.at(103)), None);
    assert_eq!(told(&world.at(1_000_000)), NOTHING);
}

#[test]
fn other_news_of_the_same_trouble_is_told() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    let first = world.at(103);
    world.alert(AlertKind::Escalation, "a", 500, "its disk is full");
    assert_eq!(told(&world.at(502)), NOTHING);
    let second = world.at(503);
    assert_eq!(told(&second), ["news escalation a to pager"]);
    assert_eq!(
        first.messages.first().unwrap().alert_group,
        second.messages.first().unwrap().alert_group
    );
    // Both are known now.
    world.fails("a", 600);
    assert_eq!(told(&world.at(603)), NOTHING);
}

#[test]
fn the_end_is_told_to_who_heard_of_it_when_all_are_well() {
    let mut world = World::new().care("db", &[]).care("web", &["db"]);
    world.fails("db", 100);
    world.fails("web", 101);
    assert_eq!(told(&world.at(103)), ["news escalation db+web to pager"]);
    world.recovers("db", 200);
    let plan = world.at(200);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(plan.decisions, [(3, AlertDecision::Grouped)]);
    world.recovers("web", 210);
    let plan = world.at(210);
    assert_eq!(told(&plan), ["resolved recovery db+web to mail+pager"]);
    let note = plan.messages.first().unwrap();
    assert!(note.resolved);
    assert_eq!(note.alert_group, "t-1");
    assert_eq!(world.alert_groups, []);
    // A new failure is a new alert group.
    world.fails("db", 300);
    assert_eq!(world.at(303).messages.first().unwrap().alert_group, "t-2");
}

#[test]
fn a_cause_that_is_not_in_care_is_well_when_they_are_that_named_it() {
    let mut world = World::new().care("web", &[]);
    world.fails("web", 100).cause = Some(unit("db"));
    assert_eq!(told(&world.at(103)), ["news escalation db+web to pager"]);
    world.recovers("web", 200);
    assert_eq!(
        told(&world.at(200)),
        ["resolved recovery db+web to mail+pager"]
    );
}

#[test]
fn a_late_dependant_joins_the_trouble() {
    let mut world = World::new().care("db", &[]).care("web", &["db"]);
    world.fails("db", 100);
    world.at(103);
    world.fails("web", 200);
    assert_eq!(told(&world.at(201)), NOTHING);
    let plan = world.at(203);
    assert_eq!(told(&plan), ["news escalation web to pager"]);
    assert_eq!(plan.messages.first().unwrap().alert_group, "t-1");
    world.recovers("db", 300);
    assert_eq!(told(&world.at(300)), NOTHING);
    world.recovers("web", 301);
    assert_eq!(
        told(&world.at(301)),
        ["resolved recovery db+web to mail+pager"]
    );
}

#[test]
fn a_failure_healed_before_it_was_told_is_only_a_recovery() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    world.recovers("a", 101);
    assert_eq!(told(&world.at(103)), NOTHING);
    let plan = world.at(111);
    assert_eq!(told(&plan), ["news recovery a to mail"]);
    assert_eq!(
        plan.decisions,
        [(1, AlertDecision::Grouped), (2, AlertDecision::Notified)]
    );
    assert_eq!(world.alert_groups, []);
}

#[test]
fn recoveries_wait_for_those_that_are_still_at_it() {
    let mut world = World::new().care("db", &[]).care("web", &["db"]);
    world.recovers("db", 100);
    world.unfinished.push(Unfinished {
        kind: IncidentKind::Failure,
        incident: IncidentId::from_text("web-open"),
        detected: Timestamp::default(),
        unit: unit("web"),
        waits_for: None,
    });
    let plan = world.at(110);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(next(&plan), Some(160));
    world.unfinished.clear();
    world.recovers("web", 112);
    assert_eq!(told(&world.at(112)), ["news recovery db+web to mail"]);
}

#[test]
fn recoveries_do_not_wait_for_ever() {
    let mut world = World::new().care("db", &[]);
    world.recovers("db", 100);
    world.waits("web", "db");
    assert_eq!(told(&world.at(160)), ["news recovery db to mail"]);
}

#[test]
fn a_unit_that_recovers_again_and_again_is_told_in_digests() {
    let mut world = World::new().care("a", &[]);
    world.config.alerts.flapping.interval = Duration::from_secs(600);
    world.recovers("a", 100);
    world.recoveries.insert(unit("a"), 3);
    assert_eq!(told(&world.at(110)), ["news recovery a to mail"]);
    world.recovers("a", 200);
    world.recoveries.insert(unit("a"), 4);
    assert_eq!(next(&world.at(200)), Some(210));
    let plan = world.at(210);
    assert_eq!(told(&plan), ["flapping recovery a to mail"]);
    assert_eq!(plan.messages.first().unwrap().severity, Severity::Warning);
    world.recovers("a", 300);
    world.recovers("a", 400);
    let plan = world.at(410);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(next(&plan), Some(810));
    let plan = world.at(810);
    assert_eq!(told(&plan), ["flapping recovery a to mail"]);
    assert_eq!(
        plan.decisions,
        [(3, AlertDecision::Grouped), (4, AlertDecision::Notified)]
    );
}

#[test]
fn an_escalation_of_a_flapping_unit_is_told_at_once() {
    let mut world = World::new().care("a", &[]);
    world.recoveries.insert(unit("a"), 50);
    world
        .digests
        .insert(Some(unit("a")), Timestamp::from_millis(99_000));
    world.fails("a", 100);
    assert_eq!(told(&world.at(103)), ["news escalation a to pager"]);
}

#[test]
fn much_at_once_is_one_digest_of_each_kind() {
    let mut world = World::new();
    for number in 10..30 {
        world = world.care(&format!("s{number}"), &[]);
        world.recovers(&format!("s{number}"), 100 + number % 5);
    }
    world = world.care("x", &[]).care("y", &[]);
    world.fails("x", 104);
    world.fails("y", 104);
    assert_eq!(told(&world.at(106)), NOTHING);
    let plan = world.at(107);
    let units: Vec<String> = (10..30).map(|number| format!("s{number}")).collect();
    assert_eq!(
        told(&plan),
        [
            format!("storm recovery {} to mail", units.join("+")),
            "storm escalation x+y to pager".to_owned(),
        ]
    );
    assert_eq!(world.alert_groups.len(), 1);
    assert_eq!(world.alerts, []);
}

#[test]
fn after_a_storm_only_what_is_critical_is_told_at_once() {
    let mut world = World::new().care("a", &[]).care("b", &[]).care("!c", &[]);
    world.digests.insert(None, Timestamp::from_millis(100_000));
    world.fails("a", 110);
    world.fails("b", 115);
    world.fails("c", 110);
    let plan = world.at(118);
    assert_eq!(told(&plan), ["news escalation c to pager"]);
    assert_eq!(next(&plan), Some(160));
    assert_eq!(told(&world.at(160)), ["storm escalation a+b to pager"]);
}

#[test]
fn a_cause_with_many_dependants_is_no_storm() {
    let mut world = World::new().care("db", &[]);
    world.fails("db", 100);
    for number in 0..30 {
        world = world.care(&format!("w{number}"), &["db"]);
        world.fails(&format!("w{number}"), 100);
    }
    let plan = world.at(103);
    assert_eq!(plan.messages.len(), 1);
    assert_eq!(plan.messages.first().unwrap().form, MessageForm::News);
}

#[test]
fn an_alert_without_a_channel_is_finished() {
    let mut world = World::new().care("a", &[]);
    world.config.alerts.routes = Default::default();
    world.fails("a", 100);
    let plan = world.at(103);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(plan.decisions, [(1, AlertDecision::Unrouted)]);
    assert_eq!(world.alert_groups, []);
}

#[test]
fn a_unit_that_came_up_without_an_incident_ends_its_trouble_once_settled() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100).will_retry = false;
    world.at(103);
    world
        .up_since
        .insert(unit("a"), Timestamp::from_millis(200_000));
    let plan = world.at(210);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(next(&plan), Some(260));
    assert_eq!(told(&world.at(260)), ["resolved recovery a to mail+pager"]);
}

#[test]
fn a_unit_whose_incident_goes_on_is_not_judged_by_its_state() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    world.at(103);
    world
        .up_since
        .insert(unit("a"), Timestamp::from_millis(104_000));
    assert_eq!(told(&world.at(900)), NOTHING);
}

#[test]
fn a_pause_ends_no_trouble() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    world.at(103);
    let paused = world.alert(AlertKind::Information, "a", 200, "it is paused");
    paused.will_retry = true;
    let plan = world.at(300);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(plan.decisions, [(2, AlertDecision::Grouped)]);
    assert_eq!(world.alert_groups.len(), 1);
}

#[test]
fn an_outage_is_told_when_due_and_ends_in_the_same_alert_group() {
    let mut world = World::new().care("web", &[]);
    world.is_down("web", 100, 110);
    let plan = world.at(101);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(next(&plan), Some(110));
    let plan = world.at(110);
    assert_eq!(told(&plan), ["news outage web to pager"]);
    assert!(!plan.messages[0].resolved);
    let alert_group = plan.messages[0].alert_group.clone();

    // It is told once.
    assert_eq!(told(&world.at(111)), NOTHING);
    world.outages.clear();
    world.recovers("web", 130);
    let plan = world.at(130);
    assert_eq!(told(&plan), ["resolved recovery web to mail+pager"]);
    assert_eq!(plan.messages[0].alert_group, alert_group);
    assert!(plan.messages[0].resolved);
}

#[test]
fn an_outage_that_needs_a_person_is_told_in_the_same_alert_group() {
    let mut world = World::new().care("db", &[]).care("web", &["db"]);
    world.is_down("db", 100, 110);
    world.waits("web", "db");
    let plan = world.at(110);
    assert_eq!(told(&plan), ["news outage db+web to pager"]);
    let alert_group = plan.messages[0].alert_group.clone();

    world.outages.clear();
    world.fails("db", 160);
    let plan = world.at(163);
    assert_eq!(told(&plan), ["news escalation db+web to pager"]);
    assert_eq!(plan.messages[0].alert_group, alert_group);
}

#[test]
fn a_degraded_service_that_goes_down_is_told_in_the_same_alert_group() {
    let mut world = World::new().care("web", &[]);
    world
        .alert(AlertKind::Degradation, "web", 100, "it is slow")
        .will_retry = true;
    let plan = world.at(103);
    assert_eq!(told(&plan), ["news degradation web to pager"]);
    let alert_group = plan.messages[0].alert_group.clone();

    // That it is slow does not say that it is down.
    world.is_down("web", 200, 210);
    let plan = world.at(210);
    assert_eq!(told(&plan), ["news outage web to pager"]);
    assert_eq!(plan.messages[0].alert_group, alert_group);

    world.outages.clear();
    world.recovers("web", 220);
    let plan = world.at(231);
    assert_eq!(plan.messages[0].alert_group, alert_group);
    assert!(plan.messages[0].resolved, "{:?}", plan.messages);
}

#[test]
fn an_outage_waits_for_nothing_beyond_its_moment() {
    let mut world = World::new().care("!web", &[]).care("log", &[]);
    world.is_down("web", 100, 102);
    world.is_down("log", 100, 110);
    assert_eq!(told(&world.at(102)), ["news outage web to pager"]);
    assert_eq!(told(&world.at(110)), ["news outage log to pager"]);
}

#[test]
fn an_outage_is_not_told_beside_its_own_escalation() {
    let mut world = World::new().care("web", &[]);
    world.is_down("web", 100, 110);
    world.fails("web", 109);
    assert_eq!(told(&world.at(110)), NOTHING);
    assert_eq!(told(&world.at(112)), ["news escalation web to pager"]);
    assert_eq!(told(&world.at(113)), NOTHING);
}

#[test]
fn outages_that_go_nowhere_wake_nobody() {
    let mut world = World::new().care("web", &[]);
    world.config.alerts.routes.outage = Some(Vec::new());
    world.is_down("web", 100, 110);
    assert_eq!(world.at(101).next, None);
    let plan = world.at(111);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(plan.next, None);
}

#[test]
fn leaving_care_is_no_recovery_and_the_story_goes_on_when_it_is_back() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    assert_eq!(told(&world.at(103)), ["news escalation a to pager"]);
    let service = world.config.services.remove(&unit("a")).unwrap();
    let plan = world.at(200);
    assert_eq!(told(&plan), ["left-care information a to pager"]);
    let message = plan.messages.first().unwrap();
    assert!(!message.resolved);
    assert_eq!(message.alert_group, "t-1");
    // Once, and nobody is reminded of what nobody sees.
    assert_eq!(told(&world.at(201)), NOTHING);
    assert_eq!(told(&world.at(5_000)), NOTHING);

    world.config.services.insert(unit("a"), service);
    assert_eq!(told(&world.at(5_001)), ["reminder escalation a to pager"]);
    world.recovers("a", 5_100);
    assert_eq!(
        told(&world.at(5_110)),
        ["resolved recovery a to mail+pager"]
    );
}

#[test]
fn what_left_care_is_well_when_it_has_stayed_up() {
    let mut world = World::new().care("a", &[]);
    world.fails("a", 100);
    world.at(103);
    world.config.services.clear();
    world
        .up_since
        .insert(unit("a"), Timestamp::from_millis(190_000));
    let plan = world.at(200);
    assert_eq!(told(&plan), NOTHING);
    assert_eq!(next(&plan), Some(250));
    world.up_since.clear();
    assert_eq!(told(&world.at(250)), ["left-care information a to pager"]);
}
