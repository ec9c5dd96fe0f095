//! What the built-in strategies say and do, against a simulated host.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prunella_bundle::builtin;
use prunella_core::{
    Failure,
    capability::{ActiveState, Call, Host, HostCalls as _, Job, Operation as _, Token},
    incident::{Assessment, Outcome},
    policy::{Limits, builtin_grants},
    service::{FileRole, ProbeKind},
};
use prunella_engine::{Engine, EngineSettings, NoLines, RunContext, Strategy};
use prunella_simulation::{Check, File, Sim, Unit};
use rstest::rstest;

fn load(name: &str) -> Strategy {
    // Compiled by the first test that needs it.
    let compiled = concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled");
    let settings = EngineSettings {
        cache_dir: Some(compiled.into()),
    };
    let wasm = builtin(name).unwrap().wasm;
    Engine::new(settings)
        .unwrap()
        .load(&name.parse().unwrap(), wasm, &builtin_grants(name).unwrap())
        .unwrap()
}

fn context(sim: &Sim, host: Host) -> RunContext {
    RunContext {
        host,
        incident: sim.incident(),
        service: sim.service(),
        dry_run: false,
        limits: Limits::default(),
        settings: BTreeMap::new(),
        lines: Arc::new(NoLines),
    }
}

/// `applies 75: …`, `not-applicable: …`, `blocked-by UNIT: …` or `veto: …`.
fn assess(name: &str, sim: &Sim) -> String {
    assess_on(name, sim, sim.host())
}

fn assess_on(name: &str, sim: &Sim, host: Host) -> String {
    match load(name).assess(context(sim, host)).result.unwrap() {
        Ok(Assessment::Applies { confidence, reason }) => format!("applies {confidence}: {reason}"),
        Ok(Assessment::NotApplicable { reason }) => format!("not-applicable: {reason}"),
        Ok(Assessment::BlockedBy { unit, reason }) => format!("blocked-by {unit}: {reason}"),
        Ok(Assessment::Veto { reason }) => format!("veto: {reason}"),
        Err(failure) => format!("failure: {failure}"),
    }
}

/// `healed: …`, `not-applicable: …`, `failed: …` or `blocked-by UNIT: …`.
fn heal(name: &str, sim: &Sim) -> String {
    heal_on(name, sim, sim.host())
}

fn heal_on(name: &str, sim: &Sim, host: Host) -> String {
    match load(name).heal(context(sim, host)).result.unwrap() {
        Ok(Outcome::Healed { summary }) => format!("healed: {summary}"),
        Ok(Outcome::NotApplicable { reason }) => format!("not-applicable: {reason}"),
        Ok(Outcome::Failed { reason }) => format!("failed: {reason}"),
        Ok(Outcome::BlockedBy { unit, reason }) => format!("blocked-by {unit}: {reason}"),
        Err(failure) => format!("failure: {failure}"),
    }
}

fn web() -> Sim {
    Sim::new("web.service")
}

fn tcp() -> ProbeKind {
    ProbeKind::Tcp("127.0.0.1:80".to_owned())
}

mod service_restart {
    use super::*;

    const NAME: &str = "service-restart";

    #[rstest]
    #[case::killed(
        web().failed("signal"),
        "applies 75: web.service is failed (signal KILL): its run was ended by a signal, and a \
         start should bring it back"
    )]
    #[case::exited(
        web().failed("exit-code"),
        "applies 50: web.service is failed (exit code 1); a start may bring it back"
    )]
    #[case::could_not_be_executed(
        web().failed("exit-code").with(|unit| unit.exit_code = Some(203)),
        "applies 20: web.service is failed (exit code 203): systemd could not execute its \
         program, and may fail to again"
    )]
    #[case::inactive(
        web().inactive(),
        "applies 50: web.service is inactive (dead); a start may bring it back"
    )]
    #[case::start_limit(
        web().failed("start-limit-hit"),
        "applies 50: web.service is failed (start-limit-hit), and its start limit may be cleared"
    )]
    #[case::start_limit_that_stands(
        web().failed("start-limit-hit").respects_start_limit(),
        "veto: web.service has hit its start limit of 5 starts in 10 s, and \
         `start-limit = \"respect\"` leaves that to people"
    )]
    #[case::a_limit_nobody_hit_does_not_matter(
        web().failed("exit-code").respects_start_limit(),
        "applies 50: web.service is failed (exit code 1); a start may bring it back"
    )]
    #[case::well(
        web().port("tcp/80").probe("http", tcp()),
        "not-applicable: web.service is active (running), and answers"
    )]
    #[case::mute(
        web().probe("http", tcp()).mute("http"),
        "applies 60: web.service is active (running), but its probe `http` is not answered: \
         connection refused"
    )]
    #[case::a_dependency_is_mute(
        web().needs(Unit::new("db.service")).probe_of("db.service", "db", tcp()).mute("db"),
        "not-applicable: web.service is active (running), and answers"
    )]
    #[case::deaf(
        web().declare(|service| service.ports.push("tcp/80".parse().unwrap())),
        "applies 60: web.service is active (running), but nobody listens on tcp/80"
    )]
    #[case::masked(
        web().inactive().with(|unit| unit.load_state = "masked".to_owned()),
        "not-applicable: web.service cannot be started: systemd says that it is masked"
    )]
    #[case::systemd_is_at_it(
        web().failed("exit-code").with(|unit| {
            unit.active_state = ActiveState::Activating;
            unit.sub_state = "auto-restart".to_owned();
            unit.restart_policy = "on-failure".to_owned();
        }),
        "not-applicable: systemd is about to restart web.service by itself (Restart=on-failure)"
    )]
    fn assesses(#[case] sim: Sim, #[case] says: &str) {
        assert_eq!(assess(NAME, &sim), says);
        assert!(sim.acts().is_empty());
    }

    #[rstest]
    #[case::what_is_failed_is_started(
        web().failed("signal"),
        "healed: started web.service: active (running)",
        &["start web.service"]
    )]
    #[case::a_limit_that_was_hit_is_cleared_first(
        web().failed("start-limit-hit"),
        "healed: started web.service: active (running)",
        &["reset-failed web.service", "start web.service"]
    )]
    #[case::a_start_that_is_refused_is_tried_again_once_the_limit_is_cleared(
        web().failed("signal").start_refused(),
        "healed: started web.service: active (running)",
        &["start web.service", "reset-failed web.service", "start web.service"]
    )]
    #[case::unless_the_limit_stands(
        web().failed("signal").start_refused().respects_start_limit(),
        "failed: web.service failed again: failed (signal KILL)",
        &["start web.service"]
    )]
    #[case::nor_started_against(
        web().failed("start-limit-hit").respects_start_limit(),
        "failed: web.service has hit its start limit, which the operator wants to be left as it is",
        &[]
    )]
    #[case::what_is_inactive_is_started(
        web().inactive(),
        "healed: started web.service: active (running)",
        &["start web.service"]
    )]
    #[case::what_runs_and_does_not_answer_is_restarted(
        web().probe("http", tcp()).mute("http"),
        "healed: restarted web.service: active (running)",
        &["restart web.service"]
    )]
    #[case::what_came_back_by_itself_is_left_alone(
        web(),
        "healed: web.service is up again and answers; there was nothing to do",
        &[]
    )]
    #[case::what_fails_again_is_told(
        web().failed("exit-code").starts_when("no", |_| false),
        "failed: web.service failed again: failed (exit code 1)",
        &["start web.service"]
    )]
    #[case::what_takes_too_long_is_told(
        web().failed("exit-code").start_takes(Duration::from_secs(600)),
        "failed: web.service is not up after 90 s; systemd's job goes on",
        &["start web.service"]
    )]
    #[case::a_oneshot_is_up_when_it_is_done(
        web().with(|unit| unit.kind = Some("oneshot".to_owned())).failed("exit-code"),
        "healed: started web.service: inactive (dead)",
        &["start web.service"]
    )]
    fn heals(#[case] sim: Sim, #[case] says: &str, #[case] acts: &[&str]) {
        assert_eq!(heal(NAME, &sim), says);
        assert_eq!(sim.acts(), acts);
    }

    /// A systemd that answers every job with this word, without doing anything.
    fn answering(host: Host, word: &'static str) -> Host {
        host.with_layer(move |host, deadline, call| match call {
            Call::UnitSubmit(submit) => submit.reply(Ok(Job::new(Token::default()))),
            Call::UnitResetFailed(reset) => reset.reply(Ok(())),
            Call::JobWait(wait) => wait.reply(Ok(word.to_owned())),
            call => host.call(deadline, call),
        })
    }

    #[rstest]
    #[case("failed", "failed: web.service failed again: failed (exit code 1)")]
    #[case(
        "timeout",
        "failed: web.service did not come up in the time that systemd gives it: \
         failed (exit code 1)"
    )]
    #[case(
        "canceled",
        "failed: somebody else's job cancelled the start of web.service; it is in their hands"
    )]
    #[case(
        "assert",
        "failed: systemd ended the start of web.service with `assert`: one of its Assert…= \
         lines is not met"
    )]
    #[case(
        "done",
        "failed: started web.service, and it did not come up: failed (exit code 1)"
    )]
    #[case(
        "dependency",
        "blocked-by db.service: web.service did not start because it requires db.service, which \
         is failed (exit code 1)"
    )]
    fn tells_how_a_job_ended(#[case] word: &'static str, #[case] says: &str) {
        let sim = web()
            .failed("exit-code")
            .unit_beside(Unit::new("cache.service"))
            .unit_beside(Unit::new("db.service").failed("exit-code"))
            .with(|unit| {
                unit.requires = ["cache.service", "db.service"]
                    .map(|unit| unit.parse().unwrap())
                    .to_vec();
            });
        let host = answering(sim.host(), word);
        assert_eq!(heal_on(NAME, &sim, host), says);
    }
}

mod config_validation {
    use super::*;

    const NAME: &str = "config-validation";

    #[rstest]
    #[case::none_declared(
        web().failed("exit-code"),
        "not-applicable: no check of its configuration is declared for web.service"
    )]
    #[case::valid(
        web().failed("exit-code").check("syntax", Check::passes().validating()),
        "not-applicable: the configuration is valid, says `syntax`"
    )]
    #[case::broken(
        web().failed("exit-code")
            .check("syntax", Check::fails(1, "reading web.conf\n\nweb.conf:3: no such word\n").validating()),
        "veto: check `syntax` fails: reading web.conf | web.conf:3: no \
         such word"
    )]
    #[case::broken_without_words(
        web().failed("exit-code").check("syntax", Check::fails(2, "").validating()),
        "veto: check `syntax` fails with exit code 2, and says nothing"
    )]
    #[case::only_the_end_is_quoted(
        web().failed("exit-code").check("syntax", Check::fails(1, "1\n2\n3\n4\n5\n6").validating()),
        "veto: check `syntax` fails: 2 | 3 | 4 | 5 | 6"
    )]
    #[case::one_of_two_is_broken(
        web().failed("exit-code")
            .check("a", Check::passes().validating())
            .check("b", Check::fails(1, "no").validating()),
        "veto: check `b` fails: no"
    )]
    #[case::checks_of_other_things_do_not_count(
        web().failed("exit-code").check("smoke", Check::fails(1, "it is down")),
        "not-applicable: no check of its configuration is declared for web.service"
    )]
    fn assesses(#[case] sim: Sim, #[case] says: &str) {
        assert_eq!(assess(NAME, &sim), says);
    }

    #[test]
    fn a_check_that_cannot_be_run_says_nothing_about_the_configuration() {
        let sim = web()
            .failed("exit-code")
            .check("syntax", Check::passes().validating());
        let host = sim.host().with_layer(|host, deadline, call| match call {
            Call::CheckRun(_) => Err(Failure::unavailable(
                "no-unit",
                "systemd refused the transient unit",
            )),
            call => host.call(deadline, call),
        });
        assert_eq!(
            assess_on(NAME, &sim, host),
            "not-applicable: whether the configuration is valid is not known: the check `syntax` could \
             not be run: systemd refused the transient unit"
        );
    }

    #[test]
    fn it_never_acts() {
        let sim = web().failed("exit-code");
        assert_eq!(
            heal(NAME, &sim),
            "not-applicable: it can tell that a configuration is broken, and cannot mend it"
        );
        assert!(sim.acts().is_empty());
    }
}

mod environment_check {
    use super::*;

    const NAME: &str = "environment-check";

    #[rstest]
    #[case::nothing_declared(
        web().failed("exit-code"),
        "not-applicable: no files that the service reads are declared"
    )]
    #[case::databases_are_for_another(
        web().failed("exit-code").file("data", File::new(FileRole::Database).missing()),
        "not-applicable: no files that the service reads are declared"
    )]
    #[case::all_there(
        web().failed("exit-code")
            .file("env", File::new(FileRole::Env).sets("PORT", "80").requires("PORT"))
            .file("conf", File::new(FileRole::Plain)),
        "not-applicable: all that it reads is there: `conf`, `env`"
    )]
    #[case::missing(
        web().failed("exit-code").file("env", File::new(FileRole::Env).missing()),
        "veto: the environment file `env` is missing"
    )]
    #[case::missing_and_optional(
        web().failed("exit-code").file("env", File::new(FileRole::Env).missing().optional()),
        "not-applicable: all that it reads is there: `env`"
    )]
    #[case::missing_link(
        web().failed("exit-code").file("site", File::new(FileRole::Symlink).target(None, "/srv/site")),
        "applies 85: the link `site` is missing, and can be made again"
    )]
    #[case::unreadable_and_repairable(
        web().failed("exit-code").file("conf", File::new(FileRole::Plain).mode(0o600, 0o640).unreadable()),
        "applies 85: the file `conf` cannot be read by the service: its mode is 0600, declared is 0640"
    )]
    #[case::unreadable_and_not(
        web().failed("exit-code").file("env", File::new(FileRole::Env).unreadable().read_by_manager()),
        "veto: the environment file `env` cannot be read by systemd"
    )]
    #[case::a_key_is_missing_and_one_is_empty(
        web().failed("exit-code").file(
            "env",
            File::new(FileRole::Env).sets("USER", "web").sets("TOKEN", "")
                .requires("USER").requires("TOKEN").requires("URL")
        ),
        "veto: the environment file `env` does not set, or leaves empty, what is required of \
         it: TOKEN, URL"
    )]
    #[case::an_obstacle_holds_a_repair(
        web().failed("exit-code")
            .file("env", File::new(FileRole::Env).missing())
            .file("site", File::new(FileRole::Symlink).target(None, "/srv/site")),
        "veto: the environment file `env` is missing"
    )]
    fn assesses(#[case] sim: Sim, #[case] says: &str) {
        assert_eq!(assess(NAME, &sim), says);
        assert!(sim.acts().is_empty());
    }

    #[rstest]
    #[case::a_link_is_made(
        web().failed("exit-code").file("site", File::new(FileRole::Symlink).target(None, "/srv/site"))
            .starts_when("no site", |host| host.is_as_declared("site")),
        "healed: brought the target of `site` back; started web.service: active (running)",
        &["repair target of site", "start web.service"]
    )]
    #[case::a_mode_is_brought_back(
        web().failed("exit-code")
            .file("conf", File::new(FileRole::Plain).mode(0o600, 0o640).owner("root", "web").unreadable())
            .starts_when("no conf", |host| host.is_as_declared("conf")),
        "healed: brought the mode of `conf` back, brought the owner of `conf` back; started \
         web.service: active (running)",
        &["repair mode of conf", "repair owner of conf", "start web.service"]
    )]
    #[case::what_comes_to_light_is_told(
        web().failed("exit-code")
            .file("env", File::new(FileRole::Env).mode(0o000, 0o640).unreadable().requires("URL")),
        "failed: brought the mode of `env` back; the environment file `env` does not set, or \
         leaves empty, what is required of it: URL",
        &["repair mode of env"]
    )]
    #[case::nothing_to_repair(
        web().failed("exit-code").file("conf", File::new(FileRole::Plain)),
        "not-applicable: all that the service reads is there by now",
        &[]
    )]
    fn heals(#[case] sim: Sim, #[case] says: &str, #[case] acts: &[&str]) {
        assert_eq!(heal(NAME, &sim), says);
        assert_eq!(sim.acts(), acts);
    }
}

mod database_check {
    use super::*;

    const NAME: &str = "database-check";

    fn sqlite() -> ProbeKind {
        ProbeKind::Sqlite {
            file: "data".to_owned(),
        }
    }

    fn postgres() -> ProbeKind {
        ProbeKind::Postgres("127.0.0.1:5432".to_owned())
    }

    #[rstest]
    #[case::well(
        web().failed("exit-code")
            .needs(Unit::new("db.service"))
            .probe_of("db.service", "greeting", postgres())
            .file("data", File::new(FileRole::Database)),
        "not-applicable: what it needs is up and answers, and its declared files are as declared"
    )]
    #[case::its_own_probes_say_nothing(
        web().failed("exit-code").probe("greeting", postgres()),
        "not-applicable: what it needs is up and answers, and its declared files are as declared"
    )]
    #[case::dead_need(
        web().failed("exit-code").needs(Unit::new("db.service").failed("signal")),
        "blocked-by db.service: web.service needs db.service, which is failed (signal KILL)"
    )]
    #[case::need_that_is_not_there(
        web().failed("exit-code")
            .declare(|service| service.depends_on.push("db.service".parse().unwrap())),
        "blocked-by db.service: web.service needs db.service, which is not there at all"
    )]
    #[case::mute_need(
        web().failed("exit-code")
            .needs(Unit::new("db.service"))
            .probe_of("db.service", "greeting", postgres())
            .mute("greeting"),
        "blocked-by db.service: web.service needs db.service, which does not answer the postgres \
         probe `greeting`: connection refused"
    )]
    #[case::missing_database(
        web().failed("exit-code").file("data", File::new(FileRole::Database).missing()),
        "veto: the database `data` is missing; the service might start with an empty one"
    )]
    #[case::wrong_mode(
        web().failed("exit-code").file("data", File::new(FileRole::Database).mode(0o400, 0o640)),
        "applies 85: the database `data` is not as declared: its mode is 0400, declared is 0640"
    )]
    #[case::wrong_mode_of_a_file_that_can_be_read(
        web().failed("exit-code").file("conf", File::new(FileRole::Plain).mode(0o644, 0o640)),
        "applies 40: `conf` is not as declared: its mode is 0644, declared is 0640"
    )]
    #[case::unreadable_database(
        web().failed("exit-code").file("data", File::new(FileRole::Database).unreadable()),
        "veto: the database `data` cannot be read by the service"
    )]
    #[case::damaged(
        web().failed("exit-code")
            .file("data", File::new(FileRole::Database))
            .probe("integrity", ProbeKind::Sqlite { file: "data".to_owned() })
            .mute("integrity"),
        "veto: SQLite's check `integrity` finds the database damaged: connection refused"
    )]
    fn assesses(#[case] sim: Sim, #[case] says: &str) {
        assert_eq!(assess(NAME, &sim), says);
        assert!(sim.acts().is_empty());
    }

    #[rstest]
    #[case::mode_and_owner_are_brought_back(
        web().failed("exit-code")
            .file("data", File::new(FileRole::Database).mode(0o400, 0o640).owner("root", "web"))
            .starts_when("no data", |host| host.is_as_declared("data")),
        "healed: brought the mode of `data` back, brought the owner of `data` back; started \
         web.service: active (running)",
        &["repair mode of data", "repair owner of data", "start web.service"]
    )]
    #[case::a_damaged_database_is_not_started_on(
        web().failed("exit-code")
            .file("data", File::new(FileRole::Database).mode(0o400, 0o640))
            .probe("integrity", sqlite())
            .mute("integrity"),
        "failed: brought the mode of `data` back; SQLite's check `integrity` finds the database \
         damaged: connection refused",
        &["repair mode of data"]
    )]
    #[case::nothing_to_repair(
        web().failed("exit-code"),
        "not-applicable: the declared files are as declared by now",
        &[]
    )]
    fn heals(#[case] sim: Sim, #[case] says: &str, #[case] acts: &[&str]) {
        assert_eq!(heal(NAME, &sim), says);
        assert_eq!(sim.acts(), acts);
    }
}
