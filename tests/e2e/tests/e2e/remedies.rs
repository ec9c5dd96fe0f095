//! Declared remedies: what is done, what comes back, and what is left alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT};

const WEB: &str = "web.service";
const CACHE: &str = "/var/cache/web";

/// A service that does not start with a damaged cache, and makes a missing one anew.
const WITH_CACHE: &str = "[Service]
ExecStart=/bin/sh -c 'if grep -qs damaged /var/cache/web/index; then echo the index is damaged; exit 1; fi; echo good > /var/cache/web/index; exec sleep infinity'
";

/// One that does not start for another reason.
const WITHOUT_CONFIGURATION: &str = "[Service]
ExecStart=/bin/sh -c 'test -e /etc/web.conf || exit 1; exec sleep infinity'
";

fn scene(unit: &str) -> Scene {
    Scene::builder()
        .file("/var/cache/web/index", "good", 0o644)
        .file("/etc/web.conf", "", 0o644)
        .service(
            WEB,
            unit,
            "[[set-aside]]\nname = \"cache\"\npath = \"/var/cache/web\"\n",
        )
        .with_daemon()
}

/// What lies beside the cache.
fn aside(scene: &Scene) -> Vec<String> {
    let listed = scene.run_ok(&["ls", "/var/cache"]).unwrap();
    let names = listed.lines().map(str::to_owned);
    names.filter(|name| name.starts_with("web.")).collect()
}

fn index(scene: &Scene, folder: &str) -> String {
    scene.run_ok(&["cat", &format!("{folder}/index")]).unwrap()
}

#[test]
fn a_damaged_cache_is_moved_aside_and_can_be_brought_back() {
    let scene = scene(WITH_CACHE);
    scene
        .run_ok(&["chown", "www-data:www-data", CACHE])
        .unwrap();
    scene.start(&[WEB]);
    scene
        .run_ok(&["sh", "-c", "echo damaged > /var/cache/web/index"])
        .unwrap();
    scene.kill(WEB);
    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    assert_eq!(record.steps("undone").count(), 0, "{}", record.text());
    assert_eq!(index(&scene, CACHE), "good\n");
    let owner = scene.run_ok(&["stat", "-c", "%U:%G %a", CACHE]).unwrap();
    assert_eq!(
        owner, "www-data:www-data 755\n",
        "the new one is like the old one"
    );
    let kept = aside(&scene);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        index(&scene, &format!("/var/cache/{}", kept[0])),
        "damaged\n"
    );
    let report = scene.report(&incident);
    assert!(report.contains("move /var/cache/web aside"), "{report}");

    let plan = scene.prunella_ok(&["undo", &incident.id, "--dry-run"]);
    assert!(plan.contains("would  move /var/cache/web back"), "{plan}");
    assert_eq!(aside(&scene), kept, "nothing was done");
    let done = scene.prunella_ok(&["undo", &incident.id]);
    assert!(done.contains("undone moved /var/cache/web back"), "{done}");
    assert_eq!(index(&scene, CACHE), "damaged\n");
    let again = scene.prunella_ok(&["undo", &incident.id]);
    assert!(again.contains("Nothing was done"), "{again}");
}

#[test]
fn a_cache_that_was_not_to_blame_comes_back_by_itself() {
    let scene = scene(WITHOUT_CONFIGURATION);
    scene.start(&[WEB]);
    scene.remove_file("/etc/web.conf").unwrap();
    scene.kill(WEB);
    let incident = scene.wait_step(WEB, "undone", TIMEOUT);
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "no-help");
    assert_eq!(index(&scene, CACHE), "good", "the very same");
    assert_eq!(aside(&scene), Vec::<String>::new());
}

#[test]
fn what_was_moved_aside_is_deleted_when_its_time_is_over() {
    let scene = Scene::builder()
        .file("/var/cache/web/index", "damaged", 0o644)
        .service(
            WEB,
            WITH_CACHE,
            "[[set-aside]]\nname = \"cache\"\npath = \"/var/cache/web\"\nkeep = \"2s\"\n",
        )
        .with_daemon();
    let _ = scene.run(&["systemctl", "start", WEB]);
    scene.wait_healed(WEB);
    scene
        .wait_for("what was kept to be deleted", TIMEOUT, || {
            Ok(aside(&scene).is_empty().then_some(()))
        })
        .unwrap();
    assert_eq!(index(&scene, CACHE), "good\n");
}

const WORKER: &str = "worker.service";

/// A service that cannot run beside its worker.
const WITH_WORKER: &str = "[Service]
ExecStart=/bin/sh -c 'if systemctl is-active -q worker.service; then exit 1; fi; exec sleep infinity'
";

const READ_ONLY: &str = "[proof]
stable-for = \"100ms\"
[budget]
backoff = [\"0s\"]
[[mode]]
name = \"read-only\"
stop = [\"worker.service\"]
start = [\"stand-in.service\"]
calm = \"3s\"
";

fn with_worker(declared: &str) -> Scene {
    let scene = Scene::builder()
        .unit(WORKER, "[Service]\nExecStart=/bin/sleep infinity\n")
        .unit(
            "stand-in.service",
            "[Service]\nExecStart=/bin/sleep infinity\n",
        )
        .service(WEB, WITH_WORKER, declared)
        .with_daemon();
    scene.start(&[WEB]);
    scene.run_ok(&["systemctl", "start", WORKER]).unwrap();
    scene
}

fn state(scene: &Scene, unit: &str) -> String {
    scene.property(unit, "ActiveState").unwrap()
}

#[test]
fn a_mode_is_entered_when_nothing_else_helps_and_left_when_the_service_is_well() {
    let scene = with_worker(READ_ONLY);
    scene.kill(WEB);
    let incident = scene.wait_healed(WEB);
    assert_eq!(state(&scene, WORKER), "inactive");
    assert_eq!(state(&scene, "stand-in.service"), "active");
    let detail = scene.prunella_ok(&["status", WEB]);
    assert!(detail.contains("enter mode read-only, until"), "{detail}");
    scene
        .wait_for("the mode to be left", TIMEOUT, || {
            Ok((state(&scene, WORKER) == "active").then_some(()))
        })
        .unwrap();
    assert_eq!(state(&scene, "stand-in.service"), "inactive");
    let undone: Vec<_> = scene
        .wait_for("that to be written down", TIMEOUT, || {
            let record = scene.record(&incident);
            let undone: Vec<_> = record.steps("undone").cloned().collect();
            Ok((!undone.is_empty()).then_some(undone))
        })
        .unwrap();
    assert_eq!(undone[0]["why"], "well");
}

/// A mode that does not help is left before anybody is told, and what would stop along is a
/// reason not to enter one.
#[test]
fn a_mode_that_does_not_help_is_left_and_one_that_stops_others_is_not_entered() {
    let scene = with_worker(&READ_ONLY.replace("stop = [\"worker.service\"]\n", ""));
    scene.kill(WEB);
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert!(!undone.is_empty(), "{}", record.text());
    for step in undone {
        assert_eq!(step["why"], "no-help");
    }
    assert_eq!(state(&scene, WORKER), "active");
    assert_eq!(state(&scene, "stand-in.service"), "inactive");

    let scene = Scene::builder()
        .unit(WORKER, "[Service]\nExecStart=/bin/sleep infinity\n")
        .unit("stand-in.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        .unit(
            "report.service",
            "[Unit]\nRequires=worker.service\nAfter=worker.service\n[Service]\nExecStart=/bin/sleep infinity\n",
        )
        .service(WEB, WITH_WORKER, READ_ONLY)
        .with_daemon();
    scene.start(&[WEB]);
    scene
        .run_ok(&["systemctl", "start", "report.service"])
        .unwrap();
    scene.kill(WEB);
    let incident = scene.wait_step(WEB, "act-denied", TIMEOUT);
    let record = scene.record(&incident);
    assert!(
        record
            .text()
            .contains("would stop worker.service and with it report.service"),
        "{}",
        record.text()
    );
    assert_eq!(state(&scene, WORKER), "active");
    assert_eq!(state(&scene, "stand-in.service"), "inactive");
}
