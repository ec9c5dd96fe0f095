//! Content that comes back, and content that is left as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Scene, TIMEOUT};

const WEB: &str = "web.service";
const CONF: &str = "/etc/web.conf";

/// Starts with a sound configuration only.
const UNIT: &str = "[Service]
ExecStart=/bin/sh -c 'grep -q \"^listen\" /etc/web.conf || exit 1; exec sleep infinity'
";

/// One start is enough to see that it does not help.
const CARE: &str = "[budget]
healings = 1
window = \"1h\"
backoff = [\"0s\"]
[proof]
stable-for = \"200ms\"
[[check]]
name = \"config\"
command = [\"/bin/grep\", \"-q\", \"^listen\", \"/etc/web.conf\"]
[[file-restore]]
name = \"conf\"
path = \"/etc/web.conf\"
check = \"config\"
";

fn builder(unit: &str, more: &str) -> Builder {
    Scene::builder()
        .file(CONF, "name web\nlisten 80\n", 0o640)
        .service(WEB, unit, &format!("{CARE}{more}"))
}

fn wait_for_copy(scene: &Scene) {
    scene
        .wait_for("a copy of the file", TIMEOUT, || {
            let list = "/var/lib/prunella/content/web.service/conf/copies.json";
            Ok(scene.exists(list)?.then_some(()))
        })
        .unwrap();
}

fn conf(scene: &Scene) -> String {
    scene.run_ok(&["cat", CONF]).unwrap()
}

fn assessed(scene: &Scene, incident: &Incident) -> String {
    let record = scene.record(incident);
    let of = record
        .steps("assessed")
        .find(|step| step["strategy"] == "content-restore")
        .map(ToString::to_string);
    of.unwrap_or_else(|| panic!("{}", record.text()))
}

#[test]
fn a_truncated_file_comes_back_from_its_copy() {
    let scene = builder(UNIT, "settle = \"0s\"\n").with_daemon();
    scene.start(&[WEB]);
    wait_for_copy(&scene);
    scene
        .run_ok(&["sh", "-c", "echo 'name web' > /etc/web.conf"])
        .unwrap();
    scene.kill(WEB);
    let incident = scene.wait_healed(WEB);
    assert_eq!(conf(&scene), "name web\nlisten 80\n");
    let mode = scene.run_ok(&["stat", "-c", "%U %a", CONF]).unwrap();
    assert_eq!(mode, "root 640\n");
    let report = scene.report(&incident);
    assert!(report.contains("+ listen 80"), "{report}");
    let copies = scene
        .run_ok(&[
            "stat",
            "-c",
            "%U %a",
            "/var/lib/prunella/content/web.service",
        ])
        .unwrap();
    assert_eq!(copies, "root 700\n");

    let undone = scene.prunella_ok(&["undo", &incident.id]);
    assert!(undone.contains("brought the former content"), "{undone}");
    assert_eq!(conf(&scene), "name web\n");
}

#[test]
fn a_secret_is_encrypted_and_shown_to_nobody() {
    let scene = builder(UNIT, "secret = true\n").with_daemon();
    scene.start(&[WEB]);
    wait_for_copy(&scene);
    let plain = scene
        .run(&["grep", "-r", "listen 80", "/var/lib/prunella/content"])
        .unwrap();
    let encrypts = scene.exists("/usr/bin/systemd-creds").unwrap();
    assert_eq!(plain.code == Some(0), !encrypts, "{}", plain.stdout);
    scene.write_file(CONF, "", 0o640).unwrap();
    scene.kill(WEB);
    let incident = scene.wait_healed(WEB);
    assert_eq!(conf(&scene), "name web\nlisten 80\n");
    let record = scene.record(&incident).text();
    assert!(!record.contains("listen 80"), "{record}");
}

#[test]
fn a_missing_file_comes_back_from_its_source() {
    let source = "/etc/web.conf.declared";
    let scene = builder(UNIT, &format!("source = \"{source}\"\n"))
        .file(source, "listen 81\n", 0o644)
        .with_hooks();
    scene.start(&[WEB]);
    scene.remove_file(CONF).unwrap();
    scene.kill(WEB);
    let incident = scene.wait_healed(WEB);
    assert_eq!(conf(&scene), "listen 81\n");
    let acts = scene.record(&incident).acts();
    assert!(
        acts.contains(&"file-restore.run conf".to_owned()),
        "{acts:?}"
    );
}

#[test]
fn content_that_did_not_help_goes_again() {
    let unit = UNIT.replace("exec", "test -e /etc/other || exit 1; exec");
    let scene = builder(&unit, "")
        .file("/etc/other", "", 0o644)
        .with_daemon();
    scene.start(&[WEB]);
    wait_for_copy(&scene);
    scene.remove_file("/etc/other").unwrap();
    scene.remove_file(CONF).unwrap();
    scene.kill(WEB);
    let incident = scene.wait_step(WEB, "undone", TIMEOUT);
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone[0]["why"], "no-help");
    assert!(!scene.exists(CONF).unwrap());
}

#[test]
fn a_change_of_a_moment_ago_is_left_to_who_made_it() {
    let scene = builder(UNIT, "").with_daemon();
    scene.start(&[WEB]);
    wait_for_copy(&scene);
    scene.write_file(CONF, "listne 80\n", 0o640).unwrap();
    scene.kill(WEB);
    let incident = scene.wait_ended(WEB, "escalated");
    let why = assessed(&scene, &incident);
    assert!(why.contains("may still be at work on it"), "{why}");
    assert_eq!(conf(&scene), "listne 80\n");
    let acts = scene.record(&incident).acts();
    assert_eq!(acts, ["checks.run config"], "nothing but a look");
}

#[test]
fn a_sound_file_is_left_as_it_is() {
    let unit = UNIT.replace("exec", "test -e /etc/other || exit 1; exec");
    let scene = builder(&unit, "settle = \"0s\"\n")
        .file("/etc/other", "", 0o644)
        .with_daemon();
    scene.start(&[WEB]);
    wait_for_copy(&scene);
    scene.write_file(CONF, "listen 82\n", 0o640).unwrap();
    scene.remove_file("/etc/other").unwrap();
    scene.kill(WEB);
    let incident = scene.wait_ended(WEB, "escalated");
    let why = assessed(&scene, &incident);
    assert!(why.contains("passes its check"), "{why}");
    assert_eq!(conf(&scene), "listen 82\n");
}

#[test]
fn what_was_written_since_the_start_is_not_taken_for_good() {
    let scene = builder(UNIT, "").without_daemon();
    scene.start(&[WEB]);
    scene.write_file(CONF, "broken\n", 0o640).unwrap();
    scene.prunella_ok(&["sweep"]);
    assert!(!scene.exists("/var/lib/prunella/content").unwrap());
    scene.write_file(CONF, "listen 83\n", 0o640).unwrap();
    scene.run_ok(&["systemctl", "restart", WEB]).unwrap();
    scene.prunella_ok(&["sweep"]);
    wait_for_copy(&scene);
}
