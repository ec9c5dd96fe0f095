//! The web process in a real machine, as a browser without script uses it: log in by a link,
//! see a killed service fail and heal, pause, approve, lose the daemon and get it back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, victim};
use prunella_machine::{Linking, Profile, program};

const WEB: &str = "web.service";

const SITE: &str = "http://127.0.0.1:9780";

/// Hears of events until one has the word `$1`, and kills the service once it listens.
const HEARS: &str = r#"#!/bin/sh
mkfifo /tmp/events
curl -sSN -b /tmp/jar http://127.0.0.1:9780/api/v1/events > /tmp/events &
exec 3< /tmp/events
read -r first <&3
[ "$first" = ": here" ] || { echo "not here but $first"; exit 1; }
systemctl kill -s KILL web.service
grep -m1 "$1" <&3
kill $!
"#;

/// A machine whose pages somebody is logged in to.
fn scene(main_file: &str) -> Scene {
    let web = program(
        "prunella-web",
        "prunella-web",
        Profile::Dev,
        Linking::Dynamic,
    );
    let scene = Scene::builder()
        .bind_ro(web.unwrap(), "/opt/prunella/prunella-web")
        .file("/opt/test/hears", HEARS, 0o755)
        .file("/etc/prunella/prunella.toml", main_file, 0o644)
        .service(WEB, &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&[WEB]);
    let said = scene.prunella_ok(&["web", "enable"]);
    assert!(said.contains(SITE), "{said}");
    // Nobody is let in without a link.
    let (status, page) = get(&scene, "/");
    assert_eq!(status, 303, "{page}");
    let link = scene.prunella_ok(&["web", "login"]);
    let (_, token) = link.trim().split_once("token=").unwrap();
    let (status, page) = get(&scene, &format!("/login?token={token}"));
    assert!(status == 200 && page.contains("Log in"), "{page}");
    assert_eq!(post(&scene, "/login", &format!("token={token}")).0, 303);
    let again = post(&scene, "/login", &format!("token={token}"));
    assert_eq!(again.0, 401, "a link lets one in, once: {}", again.1);
    scene
}

/// The status and the page, with the cookies that were set.
fn curl(scene: &Scene, words: &[&str]) -> (u32, String) {
    let jar = ["-b", "/tmp/jar", "-c", "/tmp/jar"];
    let form = ["/usr/bin/curl", "-sS", "-w", "\n%{http_code}"];
    let said = scene.run_ok(&[&form, &jar[..], words].concat()).unwrap();
    let (page, status) = said.trim_end().rsplit_once('\n').unwrap();
    (status.parse().unwrap(), page.to_owned())
}

fn get(scene: &Scene, address: &str) -> (u32, String) {
    curl(scene, &[&format!("{SITE}{address}")])
}

fn post(scene: &Scene, address: &str, fields: &str) -> (u32, String) {
    curl(scene, &["-d", fields, &format!("{SITE}{address}")])
}

/// The page of whoever is logged in.
fn page(scene: &Scene, address: &str) -> String {
    let (status, page) = get(scene, address);
    assert_eq!(status, 200, "{address}: {page}");
    page
}

/// The token of a page's forms.
fn csrf(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn a_killed_service_is_seen_failing_and_healed() {
    let scene = scene("");
    let calm = page(&scene, "/");
    assert!(calm.contains("Nothing needs you."), "{calm}");

    let heard = scene.run_ok(&["/opt/test/hears", "^event: step"]).unwrap();
    assert!(heard.contains("event: step"), "{heard}");
    let incident = scene.wait_healed(WEB);
    let told = page(&scene, &format!("/incidents/{}", incident.id));
    assert!(told.contains("healed by service-restart"), "{told}");
    assert!(
        told.contains("Timeline") && told.contains("Proof"),
        "{told}"
    );
    let overview = page(&scene, "/");
    assert!(overview.contains(&format!("/incidents/{}", incident.id)));
    let service = page(&scene, "/services/web.service");
    assert!(service.contains("healed"), "{service}");
    let found = page(&scene, "/incidents?unit=web&days=7&outcome=healed");
    assert!(found.contains(&incident.id), "{found}");
    // What monitoring reads goes through as well, with a key and not without.
    let key = ["key", "add", "prometheus", "--role", "viewer", "--json"];
    let key: serde_json::Value = serde_json::from_str(&scene.prunella_ok(&key)).unwrap();
    let key = format!("Authorization: Bearer {}", key["key"].as_str().unwrap());
    let metrics = format!("{SITE}/metrics");
    let scrape = ["/usr/bin/curl", "-sS", "-w", "\n%{http_code}", &metrics];
    let refused = scene.run_ok(&scrape).unwrap();
    assert!(refused.ends_with("\n401"), "{refused}");
    let told = scene
        .run_ok(&[&scrape[..], &["-H", &key]].concat())
        .unwrap();
    assert!(told.ends_with("\n200"), "{told}");
    assert!(told.contains("prunella_service_health{"), "{told}");

    // It has no rights, and the rest of the host can be as it is.
    let security = [
        "systemd-analyze",
        "security",
        "--no-pager",
        "prunella-web.service",
    ];
    let said = scene.run_ok(&security).unwrap();
    let last = said.trim_end().lines().last().unwrap();
    let figure = last.split_once("prunella-web.service: ").unwrap().1;
    let figure: f64 = figure.split(' ').next().unwrap().parse().unwrap();
    assert!(figure <= 1.5, "{said}");
}

#[test]
fn a_pause_holds_and_an_order_without_its_token_does_nothing() {
    let scene = scene("");
    let token = csrf(&page(&scene, "/services/web.service"));
    let fields = "unit=web.service&for=60&reason=upgrade";
    let forged = post(&scene, "/pauses", &format!("csrf=wrong&{fields}"));
    assert_eq!(forged.0, 403, "{}", forged.1);
    assert!(!page(&scene, "/services/web.service").contains("Resume healing"));

    let paused = post(&scene, "/pauses", &format!("csrf={token}&{fields}"));
    assert_eq!(paused.0, 303, "{}", paused.1);
    let service = page(&scene, "/services/web.service");
    assert!(service.contains("upgrade") && service.contains("Resume healing"));
    scene.kill(WEB);
    scene.wait_left_alone(WEB, "paused");
    assert_eq!(scene.runs(WEB), 1);

    let audit = page(&scene, "/audit");
    assert!(audit.contains("POST /pauses"), "{audit}");
    assert_eq!(post(&scene, "/logout", &format!("csrf={token}")).0, 303);
    assert_eq!(get(&scene, "/").0, 303, "whoever is out stays out");
}

#[test]
fn an_act_waits_for_its_button() {
    let scene = scene("[oversight]\nask = [\"unit-control.start\"]\n");
    scene.kill(WEB);
    scene.wait_ended(WEB, "escalated");
    assert!(page(&scene, "/").contains("One thing needs you."));
    let waiting = page(&scene, "/needs-you");
    assert!(waiting.contains("Start web.service?"), "{waiting}");
    let (_, rest) = waiting.split_once("action=\"/approvals/").unwrap();
    let address = format!("/approvals/{}", rest.split_once('"').unwrap().0);
    assert_eq!(post(&scene, &address, "csrf=wrong&decision=approve").0, 403);
    assert_eq!(scene.runs(WEB), 1);

    let fields = format!("csrf={}&decision=approve&reason=go", csrf(&waiting));
    let said = post(&scene, &address, &fields);
    assert_eq!(said.0, 303, "{}", said.1);
    scene.wait_healed(WEB);
    assert_eq!(scene.runs(WEB), 2);
    assert!(page(&scene, "/needs-you").contains("Nothing waits for you."));
}

#[test]
fn a_daemon_that_is_lost_comes_back() {
    let scene = scene("");
    scene
        .run_ok(&["systemctl", "stop", "prunella.service"])
        .unwrap();
    let (status, away) = get(&scene, "/");
    assert_eq!(status, 503);
    assert!(away.contains("Prunella is away"), "{away}");
    scene
        .run_ok(&["systemctl", "start", "prunella.service"])
        .unwrap();
    assert!(page(&scene, "/").contains("Nothing needs you."));

    scene.prunella_ok(&["web", "disable"]);
    let gone = ["systemctl", "is-active", "prunella-web.service"];
    assert_ne!(scene.run(&gone).unwrap().code, Some(0));
}
