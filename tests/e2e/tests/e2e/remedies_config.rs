//! `reconfigure`: a declared value that takes its next one, and one that is left as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Record, Scene, TIMEOUT, one_line};
use prunella_machine::unpacked;

use crate::killed::{DROP_IN, KILL_AT, killer};

const WEB: &str = "web.service";
const FOLDER: &str = "/etc/web";
const CONFIG: &str = "/etc/web/web.toml";
const OTHER: &str = "/etc/web-other";

/// Comments, spaces and order are its operator's.
const EIGHT: &str = "# Tuned by hand.\n[server]\nport   = 8080\n\
                     workers = 8     # one for each processor\n\n[log]\nworkers = 8\n";

/// Takes 256 MiB of its address space for each worker.
const SERVER: &str = r#"
import mmap, os, signal, socket, tomllib

with open("/etc/web/web.toml", "rb") as file:
    workers = tomllib.load(file)["server"]["workers"]
open("/etc/web-other").close()
held = [mmap.mmap(-1, 256 << 20) for _ in range(workers)]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.pause()
"#;

/// Has room for five workers.
const UNIT: &str = "[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
LimitAS=1500M
ExecStart=/usr/bin/python3 /opt/test/workers.py
";

/// Passes unless there are fewer workers than the file itself wants.
const CHECK: &str = r#"
import sys, tomllib

with open(sys.argv[1], "rb") as file:
    server = tomllib.load(file)["server"]
if server["workers"] < server.get("least", 1):
    sys.exit("fewer workers than this server needs")
"#;

/// One start, and one with the next value; then it is for people.
const FEW: &str = "[budget]\nhealings = 2\nwindow = \"10m\"\nbackoff = [\"0s\"]\n\
                   [proof]\nstable-for = \"200ms\"\n";

const DECLARED: &str = r#"
[[check]]
name = "config"
command = ["/usr/bin/python3", "/opt/test/check.py", "/etc/web/web.toml"]
[[config-update]]
name = "workers"
path = "/etc/web/web.toml"
key = "server.workers"
values = ["8", "4", "2"]
check = "config"
"#;

const NOW: &str = "untouched-for = \"0s\"\n";

const ALLOWED: &str =
    "[host-budget]\nhealings = 1000\n[oversight]\nallow = [\"config-update.run\"]\n";

const UPDATE: &str = "config-update.run workers";
const START: &str = "unit-control.start web.service";

fn builder(content: &str, care: &str, more: &str, main: &str) -> Builder {
    machine(content, main).service(WEB, UNIT, &format!("{care}{DECLARED}{more}"))
}

fn machine(content: &str, main: &str) -> Builder {
    Scene::builder()
        .file("/opt/test/workers.py", SERVER, 0o644)
        .file("/opt/test/check.py", CHECK, 0o644)
        .file(CONFIG, content, 0o640)
        .file(OTHER, "", 0o644)
        .file("/etc/prunella/prunella.toml", main, 0o644)
}

/// A machine on which the service does not start with what is configured.
fn scene(content: &str, more: &str, main: &str) -> Scene {
    let scene = builder(content, FEW, more, main).with_daemon();
    scene.run_ok(&["chgrp", "adm", CONFIG]).unwrap();
    fail(&scene);
    scene
}

fn fail(scene: &Scene) {
    let started = scene.run(&["systemctl", "restart", WEB]).unwrap();
    assert_ne!(started.code, Some(0), "it has no room for eight workers");
}

fn with_workers(workers: u32) -> String {
    EIGHT.replacen("workers = 8 ", &format!("workers = {workers} "), 1)
}

#[track_caller]
fn assert_content(scene: &Scene, expected: &str) {
    assert_eq!(scene.read_file(CONFIG).unwrap(), expected);
    let stat = scene.run_ok(&["stat", "-c", "%U:%G %a", CONFIG]).unwrap();
    assert_eq!(stat, "root:adm 640\n");
}

#[track_caller]
fn assert_nothing_beside(scene: &Scene) {
    assert_eq!(scene.run_ok(&["ls", "-A", FOLDER]).unwrap(), "web.toml\n");
}

fn was_updated(record: &Record) -> bool {
    record.acts().iter().any(|act| act == UPDATE)
}

/// An incident in which the file stays as it is, for this reason.
#[track_caller]
fn assert_left_alone(scene: &Scene, content: &str, because: &str) {
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(!was_updated(&record), "{}", record.text());
    assert!(record.text().contains(because), "{}", record.text());
    assert_content(scene, content);
    assert_nothing_beside(scene);
}

#[test]
fn a_service_starts_with_the_next_value_and_undo_brings_the_former_back() {
    let scene = scene(EIGHT, NOW, ALLOWED);
    let incident = scene.wait_healed(WEB);
    assert_eq!(incident.strategy.as_deref(), Some("reconfigure"));
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        ["checks.run config", START, UPDATE, START],
        "{}",
        record.text()
    );
    assert_eq!(record.steps("undone").count(), 0, "{}", record.text());
    assert_content(&scene, &with_workers(4));
    let report = one_line(&scene.report(&incident));
    for part in [
        "change server.workers in /etc/web/web.toml from 8 to 4",
        "- workers = 8 # one for each processor | + workers = 4 # one for each processor",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }

    let plan = scene.prunella_ok(&["undo", &incident.id, "--dry-run"]);
    let would = "would  bring the former content of /etc/web/web.toml back";
    assert!(plan.contains(would), "{plan}");
    assert_content(&scene, &with_workers(4));
    let undone = scene.prunella_ok(&["undo", &incident.id]);
    assert!(undone.contains("brought the former content"), "{undone}");
    assert_content(&scene, EIGHT);
    assert_nothing_beside(&scene);
}

#[test]
fn a_value_that_its_check_refuses_is_never_in_force() {
    let content = EIGHT.replace("[log]", "least = 5\n[log]");
    let scene = scene(&content, NOW, ALLOWED);
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(was_updated(&record), "{}", record.text());
    assert_content(&scene, &content);
    assert_nothing_beside(&scene);
    let because = "the check `config` did not pass when it was tried to change server.workers in \
                   /etc/web/web.toml from 8 to 4, so the file stays as it is: fewer workers than \
                   this server needs";
    assert!(record.text().contains(because), "{}", record.text());
}

#[test]
fn a_value_that_did_not_help_goes_back_and_is_not_tried_again() {
    let scene = builder(EIGHT, FEW, NOW, ALLOWED).with_daemon();
    scene.run_ok(&["chgrp", "adm", CONFIG]).unwrap();
    scene.remove_file(OTHER).unwrap();
    fail(&scene);
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(was_updated(&record), "{}", record.text());
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "no-help");
    assert_content(&scene, EIGHT);
    assert_nothing_beside(&scene);

    let again = scene.prunella(&["heal", WEB]);
    assert_ne!(again.code, Some(0), "{again:?}");
    let record = scene.record(&scene.incidents_of(WEB)[0]);
    let tries = record.acts().iter().filter(|act| *act == UPDATE).count();
    assert_eq!(tries, 1, "{}", record.text());
    let because = "from 8 to 4 before, and that did not help";
    assert!(record.text().contains(because), "{}", record.text());
    assert_content(&scene, EIGHT);
}

#[test]
fn a_file_that_somebody_changed_a_moment_ago_is_left_to_them() {
    let scene = builder(&with_workers(4), FEW, "", ALLOWED).with_daemon();
    scene.run_ok(&["chgrp", "adm", CONFIG]).unwrap();
    scene.start(&[WEB]);
    // As an editor does it: a new file, with the time of the old one.
    scene
        .run_ok(&[
            "sh",
            "-c",
            "cd /etc/web && sed -i 's/workers = 4 /workers = 8 /' web.toml && \
             touch -d '2 hours ago' web.toml",
        ])
        .unwrap();
    fail(&scene);
    assert_left_alone(&scene, EIGHT, "and whoever did may still be at work on it");
}

#[test]
fn a_value_that_is_not_declared_is_left_alone() {
    let scene = scene(&with_workers(6), NOW, ALLOWED);
    assert_left_alone(
        &scene,
        &with_workers(6),
        "server.workers is 6, which is no declared value",
    );
    let check = scene.prunella(&["config", "check"]);
    let said = one_line(&format!("{}{}", check.stdout, check.stderr));
    let warning = "server.workers is 6 in /etc/web/web.toml (`workers`), and declared are 8, 4, 2";
    assert!(said.contains(warning), "{said}");
}

#[test]
fn people_are_asked_first_unless_they_allow_it() {
    // A start more, for the attempt after the approval.
    let few = FEW.replace("healings = 2", "healings = 3");
    let scene = builder(EIGHT, &few, NOW, "").with_daemon();
    scene.run_ok(&["chgrp", "adm", CONFIG]).unwrap();
    fail(&scene);
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(!was_updated(&record), "{}", record.text());
    assert_content(&scene, EIGHT);
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    let list = one_line(&scene.prunella_ok(&["approvals"]));
    let plan = "change server.workers in /etc/web/web.toml from 8 to 4";
    assert!(list.contains(plan), "{list}");
    scene.prunella_ok(&["approve", approval["id"].as_str().unwrap()]);
    scene.wait_healed(WEB);
    assert_content(&scene, &with_workers(4));
}

#[test]
fn a_value_for_a_while_goes_back_when_its_time_is_over() {
    let more = format!("{NOW}lease = \"2s\"\n");
    let scene = scene(EIGHT, &more, ALLOWED);
    let incident = scene.wait_step(WEB, "undone", 2 * TIMEOUT);
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone[0]["why"], "lease-over", "{}", record.text());
    assert_content(&scene, EIGHT);
    assert_nothing_beside(&scene);
    // What runs has read the other.
    assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "active");
}

/// The daemon is killed before one write after the other.
#[test]
fn a_daemon_that_is_killed_meanwhile_leaves_the_old_file_or_the_new_one() {
    // What is cut off after its step is started with that.
    const MANY: &str = "strategies = [\"reconfigure\", \"service-restart\"]\n[budget]\nhealings = 1000\n\
                        window = \"10m\"\nbackoff = [\"0s\"]\n[proof]\nstable-for = \"100ms\"\n";
    let library = std::fs::read(killer(5)).unwrap();
    let declared = format!("{MANY}{DECLARED}{NOW}").replace("\"4\", \"2\"", "\"4\"");
    let scene = machine(EIGHT, ALLOWED)
        .service(WEB, UNIT, &declared)
        .bytes("/opt/test/killer.so", &library, 0o755)
        .file(
            "/etc/systemd/system/prunella.service.d/killer.conf",
            DROP_IN,
            0o644,
        )
        .with_daemon();
    let mut kills = 0;
    for round in 0_usize.. {
        let at = 2 + 4 * round;
        assert!(at < 400, "there is no end to it");
        if !strike(&scene, at, round + 1) {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 5, "it was killed {kills} times only");
}

/// Has the service fail, and the daemon die before its `at`th write; true when it died. Whatever
/// came in between, the service runs with the next value, and the former file is there.
fn strike(scene: &Scene, at: usize, count: usize) -> bool {
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    scene
        .run_ok(&["sh", "-c", "rm -f /etc/web/*.replaced-*"])
        .unwrap();
    scene.write_file(CONFIG, EIGHT, 0o640).unwrap();
    scene.write_file(KILL_AT, format!("{at}\n"), 0o600).unwrap();
    fail(scene);
    let what = format!("the healing during which write {at} kills the daemon");
    let incident = scene
        .wait_for(&what, TIMEOUT, || {
            // While the daemon dies, nobody may answer.
            let Some(incidents) = listed(scene) else {
                return Ok(None);
            };
            let is_over = |one: &Incident| one.is("healed") || one.is("recovered");
            let done = incidents.len() == count && incidents.iter().all(is_over);
            Ok(done.then(|| incidents[0].clone()))
        })
        .unwrap();
    let record = scene.record(&incident);
    let content = scene.read_file(CONFIG).unwrap();
    assert_eq!(content, with_workers(4), "write {at}: {}", record.text());
    let kept = scene
        .run_ok(&["sh", "-c", "cat /etc/web/*.replaced-*"])
        .unwrap();
    assert_eq!(kept, EIGHT, "write {at}: {}", record.text());
    let killed = !scene.exists(KILL_AT).unwrap();
    if !killed {
        scene.remove_file(KILL_AT).unwrap();
    }
    killed
}

fn listed(scene: &Scene) -> Option<Vec<Incident>> {
    let output = scene.prunella(&["incidents", "--json", "--limit", "1000"]);
    let incidents = output.stdout.lines().map(Incident::from_line).collect();
    output.success().then_some(incidents)
}

/// Answers after so many milliseconds as its file says, which it reads again at SIGHUP.
const SLOW_SERVER: &str = r#"
import http.server, json, signal, time

def read(*_):
    global delay
    with open("/etc/web/web.json") as file:
        delay = json.load(file)["answer"]["delay"]

read()
signal.signal(signal.SIGHUP, read)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(delay / 1000)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"#;

#[test]
fn a_slow_service_is_reloaded_with_the_next_value() {
    let care = "heal-degraded = [\"reconfigure\"]\n\
                [health]\nlatency = { degraded = \"400ms\", clear = \"300ms\", for = \"2s\" }\n\
                [proof]\nstable-for = \"1s\"\n\
                [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\n\
                interval = \"1s\"\nfailure-threshold = 5\n\
                [[check]]\nname = \"config\"\n\
                command = [\"/usr/bin/python3\", \"-m\", \"json.tool\", \"/etc/web/web.json\"]\n\
                [[config-update]]\nname = \"delay\"\npath = \"/etc/web/web.json\"\n\
                key = \"answer.delay\"\nmin = 0\nmax = 600\nstep = -600\ncheck = \"config\"\n\
                untouched-for = \"0s\"\n";
    let scene = Scene::builder()
        .file("/opt/test/slow.py", SLOW_SERVER, 0o644)
        .file(
            "/etc/web/web.json",
            "{ \"answer\": {\"delay\":  0} }\n",
            0o644,
        )
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .service(
            WEB,
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/slow.py\n\
             ExecReload=/bin/kill -HUP $MAINPID\n",
            care,
        )
        .with_daemon();
    scene.start(&[WEB]);
    scene.wait_state(WEB, "healthy");
    scene
        .write_file(
            "/etc/web/web.json",
            "{ \"answer\": {\"delay\":  600} }\n",
            0o644,
        )
        .unwrap();
    scene.systemctl(&["reload", WEB]).unwrap();
    let healed = scene.wait_healed(WEB);
    assert_eq!(healed.strategy.as_deref(), Some("reconfigure"));
    let record = scene.record(&healed);
    assert_eq!(
        record.acts(),
        ["config-update.run delay", "unit-control.reload web.service"],
        "{}",
        record.text()
    );
    assert_eq!(
        scene.read_file("/etc/web/web.json").unwrap(),
        "{ \"answer\": {\"delay\":  0} }\n"
    );
    assert_eq!(scene.runs(WEB), 1, "it was not restarted");
}

/// Prometheus takes no timeout that is longer than the interval, and `promtool` says so before.
#[test]
fn an_interval_that_promtool_refuses_is_never_in_force() {
    const YAML: &str = "# Scrapes itself.\nglobal:\n  scrape_interval: 15s   # as it was\n  \
                        scrape_timeout: 10s\nscrape_configs:\n  - job_name: \"self\"\n    \
                        static_configs:\n      - targets: [\"127.0.0.1:9090\"]\n";
    const FILE: &str = "/etc/prometheus/prometheus.yml";
    let prometheus = unpacked("prometheus").unwrap();
    let care = format!(
        "ports = [\"tcp/9090\"]\n{FEW}[[check]]\nname = \"config\"\n\
         command = [\"/opt/test/promtool\", \"check\", \"config\", \"{FILE}\"]\n\
         [[config-update]]\nname = \"interval\"\npath = \"{FILE}\"\n\
         key = \"global.scrape_interval\"\nvalues = [\"15s\", \"5s\"]\ncheck = \"config\"\n{NOW}"
    );
    let scene = Scene::builder()
        .bind_ro(
            prometheus.join("usr/bin/prometheus"),
            "/opt/test/prometheus",
        )
        .bind_ro(prometheus.join("usr/bin/promtool"), "/opt/test/promtool")
        .file(FILE, YAML, 0o644)
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .service(
            WEB,
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nStateDirectory=prometheus\n\
             ExecStartPre=/usr/bin/test -e /etc/web-other\n\
             ExecStart=/opt/test/prometheus --config.file=/etc/prometheus/prometheus.yml \
             --storage.tsdb.path=/var/lib/prometheus --web.listen-address=127.0.0.1:9090\n",
            &care,
        )
        .with_daemon();
    fail(&scene);
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    let acts = record.acts();
    assert!(
        acts.contains(&"config-update.run interval".to_owned()),
        "{}",
        record.text()
    );
    let because = "global scrape timeout greater than scrape interval";
    assert!(record.text().contains(because), "{}", record.text());
    assert_eq!(scene.read_file(FILE).unwrap(), YAML);
    let beside = scene.run_ok(&["ls", "-A", "/etc/prometheus"]).unwrap();
    assert_eq!(beside, "prometheus.yml\n");
}
