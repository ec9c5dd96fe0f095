//! `failover`: a standby takes the place of what nothing else brought back; the two never serve
//! at once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Record, Scene, TIMEOUT, one_line};

use crate::{
    killed::{DROP_IN, KILL_AT, killer},
    web::{self, SLOW, with_server},
};

const A: &str = "web-a.service";
const B: &str = "web-b.service";
const FENCE: &str = "/etc/systemd/system/web-a.service.d/zz-prunella-failover.conf";
/// Is there once both have run at once.
const BOTH: &str = "/opt/both";
/// While it is there, the unit does not start.
const BROKEN_A: &str = "/opt/broken-web-a";
const BROKEN_B: &str = "/opt/broken-web-b";

const SWITCH: &str = "failover.switch web";
const START: &str = "unit-control.start web-a.service";

const FEW: &str = "[budget]\nhealings = 3\nwindow = \"10m\"\nbackoff = [\"0s\"]\n";
const MANY: &str = "[budget]\nhealings = 1000\nwindow = \"10m\"\nbackoff = [\"0s\"]\n";
const GROUP: &str = "[[failover]]\nname = \"web\"\nstandbys = [\"web-b.service\"]\n";
const ALLOWED: &str =
    "[host-budget]\nhealings = 1000\n[oversight]\nallow = [\"failover.switch\"]\n";

/// Whether the service answers is what a file says.
const PROBE: &str = "[[probe]]\nname = \"front\"\ncommand = [\"/bin/test\", \"!\", \"-e\", \
                     \"/opt/hangs\"]\ninterval = \"1s\"\n";
const HANGS: &str = "/opt/hangs";

/// One of the two: it tells when it is started while the other one runs. `more` are further
/// lines of `[Service]`.
fn unit(own: &str, other: &str, more: &str) -> String {
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\n{more}\nExecStartPre=/bin/sh -c \
         'case $(systemctl show -P ActiveState {other}) in active|deactivating) echo both > \
         {BOTH};; esac; test ! -e /opt/broken-{own}'\nExecStart=/bin/sleep infinity\n[Install]\n\
         WantedBy=multi-user.target\n"
    )
}

fn builder(care: &str, main: &str) -> Builder {
    Scene::builder()
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .unit(B, &unit("web-b", A, ""))
        .service(A, &unit("web-a", B, ""), &format!("{care}{GROUP}"))
}

fn scene(care: &str, main: &str) -> Scene {
    let scene = builder(care, main).with_daemon();
    scene.start(&[A]);
    scene
}

/// Has the primary fail, and not come back.
fn break_a(scene: &Scene) {
    scene.write_file(BROKEN_A, "", 0o644).unwrap();
    scene.kill(A);
}

fn state(scene: &Scene, unit: &str) -> String {
    scene.property(unit, "ActiveState").unwrap()
}

#[track_caller]
fn assert_never_both(scene: &Scene) {
    assert!(!scene.exists(BOTH).unwrap(), "both have run at once");
}

/// The standby serves, and nobody can start the primary.
#[track_caller]
fn assert_taken_over(scene: &Scene) {
    assert_eq!(state(scene, B), "active");
    assert_ne!(state(scene, A), "active");
    let started = scene.try_systemctl(&["start", A]).unwrap();
    assert_ne!(started.code, Some(0), "{started:?}");
    assert_ne!(state(scene, A), "active");
    assert_never_both(scene);
}

/// Nothing is left of a failover.
#[track_caller]
fn assert_not_fenced(scene: &Scene) {
    assert!(!scene.exists(FENCE).unwrap());
    assert_eq!(scene.property(A, "RefuseManualStart").unwrap(), "no");
    assert_never_both(scene);
}

fn has_failed_over(record: &Record) -> bool {
    record.acts().iter().any(|act| act == SWITCH)
}

#[test]
fn the_standby_takes_over_and_the_primary_can_have_its_place_back() {
    let scene = scene(FEW, ALLOWED);
    break_a(&scene);
    let incident = scene.wait_ended(A, "healed");
    assert_eq!(incident.strategy.as_deref(), Some("failover"));
    assert_eq!(
        incident.why.as_deref(),
        Some("web-b.service serves in its place")
    );
    let record = scene.record(&incident);
    assert_eq!(record.acts(), [START, SWITCH], "{}", record.text());
    assert_taken_over(&scene);
    let report = one_line(&scene.report(&incident));
    for part in [
        "web-b.service serves in its place",
        "fail `web` over: stop web-a.service, keep it from being started, start web-b.service",
        "web-a.service is stopped, and web-b.service runs in its place",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.contains("stopped: failed over to web-b.service"),
        "{status}"
    );
    let detail = one_line(&scene.prunella_ok(&["status", A]));
    let undo = format!("prunella undo {}", incident.id);
    assert!(detail.contains(&undo), "{detail}");

    // Whoever asks hears of it, and nothing is started.
    let asked = scene.prunella(&["heal", A]);
    assert_ne!(asked.code, Some(0), "{asked:?}");
    let left = scene.wait_left_alone(A, "failed-over");
    assert!(left.why.unwrap().contains("web-b.service"));
    assert_taken_over(&scene);

    scene.remove_file(BROKEN_A).unwrap();
    let plan = scene.prunella_ok(&["undo", &incident.id, "--dry-run"]);
    assert!(
        plan.contains("would  fail back: stop web-b.service, start web-a.service"),
        "{plan}"
    );
    assert_taken_over(&scene);
    scene.prunella_ok(&["undo", &incident.id]);
    assert_eq!(state(&scene, A), "active");
    assert_eq!(state(&scene, B), "inactive");
    assert_not_fenced(&scene);
    // It is healed again as ever.
    scene.kill(A);
    scene.wait_active(A, TIMEOUT).unwrap();
    assert_not_fenced(&scene);
}

#[test]
fn people_are_asked_first_unless_they_allow_it() {
    let scene = scene(FEW, "");
    break_a(&scene);
    let incident = scene.wait_ended(A, "escalated");
    assert!(!has_failed_over(&scene.record(&incident)));
    assert_eq!(state(&scene, B), "inactive");
    assert_not_fenced(&scene);
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    let list = one_line(&scene.prunella_ok(&["approvals"]));
    assert!(list.contains("fail `web` over"), "{list}");
    scene.prunella_ok(&["approve", approval["id"].as_str().unwrap()]);
    scene.wait_ended(A, "healed");
    assert_taken_over(&scene);
}

#[test]
fn nothing_is_done_while_no_standby_is_able() {
    let care = format!(
        "{FEW}[[check]]\nname = \"able\"\ncommand = [\"/bin/test\", \"-e\", \
                        \"/opt/able-{{unit}}\"]\n"
    );
    let group = "able = \"able\"\n";
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .unit(B, &unit("web-b", A, ""))
        .service(A, &unit("web-a", B, ""), &format!("{care}{GROUP}{group}"))
        .with_daemon();
    scene.start(&[A]);
    // That it is able itself says nothing of its standby.
    scene
        .write_file("/opt/able-web-a.service", "", 0o644)
        .unwrap();
    break_a(&scene);
    let incident = scene.wait_ended(A, "escalated");
    let record = scene.record(&incident);
    assert!(!has_failed_over(&record), "{}", record.text());
    assert!(
        record
            .text()
            .contains("web-b.service is not able: check `able` does not pass"),
        "{}",
        record.text()
    );
    assert_eq!(state(&scene, B), "inactive");
    assert_not_fenced(&scene);

    scene
        .write_file("/opt/able-web-b.service", "", 0o644)
        .unwrap();
    let healed = scene.prunella(&["heal", A]);
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert_taken_over(&scene);
}

#[test]
fn a_standby_that_does_not_come_up_leaves_the_old_state() {
    let scene = scene(FEW, ALLOWED);
    scene.write_file(BROKEN_B, "", 0o644).unwrap();
    break_a(&scene);
    let incident = scene.wait_ended(A, "escalated");
    let record = scene.record(&incident);
    assert!(has_failed_over(&record), "{}", record.text());
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "no-help");
    assert_eq!(state(&scene, A), "failed");
    assert_ne!(state(&scene, B), "active");
    assert_not_fenced(&scene);
}

#[test]
fn a_primary_that_hangs_is_proven_down_before_its_standby_starts() {
    let care = format!("strategies = [\"failover\"]\n{FEW}{PROBE}");
    let scene = builder(&care, ALLOWED).with_daemon();
    scene.start(&[A]);
    scene.wait_probed(A);
    scene.write_file(HANGS, "", 0o644).unwrap();
    let incident = scene.wait_ended(A, "healed");
    let record = scene.record(&incident);
    assert_eq!(record.acts(), [SWITCH], "{}", record.text());
    assert!(
        record.text().contains("stop web-a.service, which runs"),
        "{}",
        record.text()
    );
    assert_eq!(state(&scene, A), "inactive");
    assert_taken_over(&scene);
}

#[test]
fn what_cannot_be_proven_down_is_not_failed_over() {
    // A process stays behind when it is stopped.
    let primary = unit("web-a", B, "KillMode=process").replace(
        "ExecStart=/bin/sleep infinity",
        "ExecStart=/bin/sh -c 'sleep infinity & exec sleep infinity'",
    );
    let care = format!("strategies = [\"failover\"]\n{FEW}{PROBE}{GROUP}");
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .unit(B, &unit("web-b", A, ""))
        .service(A, &primary, &care)
        .with_daemon();
    scene.start(&[A]);
    scene.wait_probed(A);
    scene.write_file(HANGS, "", 0o644).unwrap();
    let incident = scene.wait_ended(A, "escalated");
    let record = scene.record(&incident);
    assert!(
        record
            .text()
            .contains("web-a.service cannot be proven down: process"),
        "{}",
        record.text()
    );
    assert_eq!(state(&scene, A), "active", "it runs as before");
    assert_eq!(state(&scene, B), "inactive");
    assert_not_fenced(&scene);
}

#[test]
fn a_primary_that_is_only_slow_is_left_alone() {
    let care = "strategies = [\"failover\"]\n[health]\nlatency = { degraded = \"400ms\", clear = \
                \"300ms\", for = \"2s\" }\n[[probe]]\nname = \"front\"\nhttp = \
                \"http://127.0.0.1:8080/\"\ninterval = \"1s\"\nfailure-threshold = 5\n";
    let scene = with_server(Scene::builder())
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .unit(B, &unit("web-b", A, ""))
        .service(A, &web::unit(8080, ""), &format!("{care}{GROUP}"))
        .with_daemon();
    scene.start(&[A]);
    scene.wait_state(A, "healthy");
    let run = scene.property(A, "InvocationID").unwrap();
    scene.write_file(SLOW, "", 0o644).unwrap();
    scene.wait_state(A, "degraded");
    let incident = scene.wait_step(A, "watches", TIMEOUT);
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(scene.property(A, "InvocationID").unwrap(), run);
    assert_eq!(state(&scene, B), "inactive");
    assert_not_fenced(&scene);
}

#[test]
fn a_split_is_for_people() {
    let scene = builder(&format!("{FEW}{PROBE}"), ALLOWED).with_daemon();
    scene.start(&[A]);
    scene.wait_probed(A);
    // Somebody starts the standby beside it.
    scene.start(&[B]);
    scene.remove_file(BOTH).unwrap();
    scene.write_file(HANGS, "", 0o644).unwrap();
    let incident = scene.wait_ended(A, "escalated");
    let why = incident.why.clone().unwrap();
    assert!(
        why.contains("split: web-a.service and web-b.service both run"),
        "{why}"
    );
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(state(&scene, A), "active");
    assert_eq!(state(&scene, B), "active");
}

#[test]
fn a_primary_is_not_started_beside_a_standby_that_somebody_started() {
    let scene = scene(FEW, ALLOWED);
    scene.write_file(BROKEN_A, "", 0o644).unwrap();
    scene.prunella_ok(&["pause", A, "--reason", "by hand"]);
    scene.kill(A);
    scene.wait_until(A, "failed", TIMEOUT).unwrap();
    scene.start(&[B]);
    scene.remove_file(BROKEN_A).unwrap();
    scene.prunella_ok(&["resume", A]);
    let asked = scene.prunella(&["heal", A]);
    assert_ne!(asked.code, Some(0), "{asked:?}");
    scene.wait_left_alone(A, "failed-over");
    assert_eq!(state(&scene, A), "failed");
    assert_never_both(&scene);
}

/// The fence outlasts a reboot, and the standby comes up in the place of the primary.
#[test]
fn a_reboot_starts_the_standby_in_the_place_of_the_primary() {
    let mut scene = builder(FEW, ALLOWED).enabled(A).with_daemon();
    scene.wait_active(A, TIMEOUT).unwrap();
    break_a(&scene);
    scene.wait_ended(A, "healed");
    scene.remove_file(BROKEN_A).unwrap();
    scene.machine.reboot().unwrap();
    scene.wait_active(B, TIMEOUT).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    assert_eq!(state(&scene, A), "inactive");
    assert_taken_over(&scene);
    assert_eq!(scene.incidents().len(), 1, "{:?}", scene.incidents());
}

/// A hot standby runs, and is promoted by what the operator declared.
#[test]
fn a_standby_that_runs_is_promoted_and_demoted() {
    let care = "[[check]]\nname = \"promote\"\ncommand = [\"/bin/sh\", \"-c\", \"systemctl -q \
                is-active web-a.service && exit 1; echo $0 > /opt/serves\", \"{unit}\"]\nmutates \
                = true\nas-root = true\n[[check]]\nname = \"demote\"\ncommand = [\"/bin/rm\", \
                \"/opt/serves\"]\nmutates = true\nas-root = true\n";
    let group = "standby-is = \"running\"\npromote = \"promote\"\ndemote = \"demote\"\n";
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .unit(B, &unit("web-b", "nothing.service", ""))
        .service(
            A,
            &unit("web-a", "nothing.service", ""),
            &format!("{FEW}{care}{GROUP}{group}"),
        )
        .with_daemon();
    scene.start(&[A, B]);
    let run = scene.property(B, "InvocationID").unwrap();
    break_a(&scene);
    let incident = scene.wait_ended(A, "healed");
    assert_eq!(scene.read_file("/opt/serves").unwrap(), "web-b.service\n");
    assert_eq!(scene.property(B, "InvocationID").unwrap(), run);
    scene.remove_file(BROKEN_A).unwrap();
    scene.prunella_ok(&["undo", &incident.id]);
    assert!(!scene.exists("/opt/serves").unwrap());
    assert_eq!(state(&scene, A), "active");
    assert_eq!(state(&scene, B), "inactive", "nobody knows what it has");
    assert_not_fenced(&scene);
}

/// The primary has its place back by itself, once it is able to.
#[test]
fn it_fails_back_by_policy_once_the_primary_is_able() {
    let care = format!(
        "{FEW}[[check]]\nname = \"able\"\ncommand = [\"/bin/test\", \"!\", \"-e\", \
                        \"/opt/unable-{{unit}}\"]\n"
    );
    let group = "able = \"able\"\nfail-back-after = \"1s\"\n";
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .unit(B, &unit("web-b", A, ""))
        .service(A, &unit("web-a", B, ""), &format!("{care}{GROUP}{group}"))
        .with_daemon();
    scene.start(&[A]);
    scene
        .write_file("/opt/unable-web-a.service", "", 0o644)
        .unwrap();
    break_a(&scene);
    scene.wait_ended(A, "healed");
    // It is asked, and says no.
    let incident = scene.wait_step(A, "undone", TIMEOUT);
    let text = scene.record(&incident).text();
    assert!(text.contains("web-a.service is not able"), "{text}");
    assert_taken_over(&scene);
    scene.remove_file(BROKEN_A).unwrap();
    scene.remove_file("/opt/unable-web-a.service").unwrap();
    // Asked again after a minute.
    scene.wait_active(A, 3 * TIMEOUT).unwrap();
    scene
        .wait_for("the fence to go", TIMEOUT, || {
            Ok((!scene.exists(FENCE)?).then_some(()))
        })
        .unwrap();
    assert_eq!(state(&scene, B), "inactive");
    assert_not_fenced(&scene);
}

#[test]
fn a_primary_that_does_not_start_leaves_the_standby_serving() {
    let scene = scene(FEW, ALLOWED);
    break_a(&scene);
    let incident = scene.wait_ended(A, "healed");
    let undone = scene.prunella(&["undo", &incident.id]);
    assert_ne!(undone.code, Some(0), "{undone:?}");
    let said = one_line(&format!("{}{}", undone.stdout, undone.stderr));
    assert!(said.contains("web-b.service serves on"), "{said}");
    assert_taken_over(&scene);
}

#[test]
fn what_does_not_fit_this_host_is_told() {
    let scene = builder("", ALLOWED).without_daemon();
    scene.systemctl(&["enable", A, B]).unwrap();
    let care = format!("{GROUP}[[failover]]\nname = \"none\"\nstandbys = [\"nowhere.service\"]\n");
    scene
        .write_file(
            "/etc/prunella/services.d/web-a.service.toml",
            format!("unit = \"{A}\"\n{care}"),
            0o644,
        )
        .unwrap();
    let check = scene.prunella(&["config", "check"]);
    let said = one_line(&format!("{}{}", check.stdout, check.stderr));
    for part in [
        "there is no nowhere.service on this host",
        "web-b.service and web-a.service are both enabled",
        "web-b.service is not in Prunella's care",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// The daemon is killed before one write after the other.
#[test]
fn a_daemon_that_is_killed_meanwhile_never_has_both_serve() {
    let library = std::fs::read(killer(5)).unwrap();
    let scene = builder(MANY, ALLOWED)
        .bytes("/opt/test/killer.so", &library, 0o755)
        .file(
            "/etc/systemd/system/prunella.service.d/killer.conf",
            DROP_IN,
            0o644,
        )
        .with_daemon();
    scene.start(&[A]);
    let (mut taken_over, mut begun_anew) = (0, 0);
    for round in 0_usize.. {
        let at = 3 + 5 * round;
        assert!(at < 500, "there is no end to it");
        scene.write_file(KILL_AT, format!("{at}\n"), 0o600).unwrap();
        let daemon = scene.main_pid("prunella.service");
        break_a(&scene);
        let incident = newest_ended(&scene, round + 1);
        assert!(incident.is("healed"), "{incident:?}");
        assert_taken_over(&scene);
        let record = scene.record(&incident);
        let times = record.acts().iter().filter(|act| *act == SWITCH).count();
        match times {
            1 => taken_over += 1,
            _ => begun_anew += 1,
        }
        let was_killed = scene.main_pid("prunella.service") != daemon;
        scene.remove_file(BROKEN_A).unwrap();
        let _ = scene.remove_file(KILL_AT);
        scene.prunella_ok(&["undo", &incident.id]);
        assert_eq!(state(&scene, A), "active");
        assert_ne!(state(&scene, B), "active");
        assert_not_fenced(&scene);
        if !was_killed {
            assert!(round >= 5, "it was killed {round} times only");
            break;
        }
    }
    assert!(taken_over > 0, "{taken_over} taken over, {begun_anew} anew");
}

/// The last of so many incidents, once it is over.
fn newest_ended(scene: &Scene, count: usize) -> Incident {
    scene
        .wait_for("the end of the incident", 2 * TIMEOUT, || {
            let listed = scene.prunella(&["incidents", "--json", "--limit", "1000"]);
            let incidents: Vec<Incident> = listed.stdout.lines().map(Incident::from_line).collect();
            let newest = incidents.first().cloned();
            Ok(newest
                .filter(|one| listed.success() && incidents.len() == count && one.ended.is_some()))
        })
        .unwrap()
}
