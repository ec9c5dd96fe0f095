//! Plugins in /etc: installed, noticed, verified, taken into service, and left
//! out of it where anything is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{fs, process::Command, time::Duration};

use prunella_bundle::builtins;
use prunella_e2e::{Scene, TIMEOUT, victim};
use serde_json::Value;

const PLUGIN: &str = "/etc/prunella/plugins/site-fix.wasm";

/// A component that starts what failed: the built-in one, with a note in it
/// that makes its bytes differ from any other's.
fn component(note: &str) -> Vec<u8> {
    let mut wasm = builtins()
        .iter()
        .find(|builtin| builtin.name == "service-restart")
        .unwrap()
        .wasm
        .to_vec();
    let name = b"note";
    // A custom section: 0, its size, the size of its name, its name, its bytes.
    wasm.extend([
        0,
        u8::try_from(1 + name.len() + note.len()).unwrap(),
        u8::try_from(name.len()).unwrap(),
    ]);
    wasm.extend(name);
    wasm.extend(note.as_bytes());
    wasm
}

/// A key of minisign's, and what is signed with it.
struct Author(tempfile::TempDir);

impl Author {
    fn new() -> Self {
        let author = Self(tempfile::tempdir().unwrap());
        author.minisign(&["-G", "-W", "-p", "a.pub", "-s", "a.key"]);
        author
    }

    fn minisign(&self, arguments: &[&str]) {
        let output = Command::new("minisign")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .expect("minisign is installed by `cargo xtask setup`");
        assert!(output.status.success(), "{output:?}");
    }

    /// The operator's file for the key.
    fn trusted_for(&self, names: &str) -> String {
        let public = fs::read_to_string(self.0.path().join("a.pub")).unwrap();
        let key = public.lines().nth(1).unwrap();
        format!("key = \"{key}\"\ncomment = \"the author\"\nnames = [\"{names}\"]\n")
    }

    fn sign(&self, wasm: &[u8], comment: &str) -> String {
        fs::write(self.0.path().join("x.wasm"), wasm).unwrap();
        self.minisign(&["-S", "-s", "a.key", "-m", "x.wasm", "-t", comment]);
        fs::read_to_string(self.0.path().join("x.wasm.minisig")).unwrap()
    }
}

/// As many healings as a test needs, one right after the other; and what the
/// plugin is granted.
const ALLOW: &str = "[budget]\nhealings = 100\nbackoff = [\"0s\"]\n[[strategy.site-fix.allow]]\nact = \"unit-control\"\non = [\"self\"]\n";

/// A service that only the plugin heals, and one that needs no plugin. Grants
/// are there before the plugin is.
fn scene(author: &Author, main_file: &str) -> Scene {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", main_file, 0o644)
        .file(
            "/etc/prunella/keys/author.toml",
            author.trusted_for("site-*"),
            0o644,
        )
        .service(
            "web.service",
            &victim("", ""),
            "strategies = [\"site-fix\"]",
        )
        .service("bystander.service", &victim("", ""), "")
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    scene
}

/// Puts version `version` of the component beside its signature at /root/offer.
fn offer(scene: &Scene, author: &Author, version: &str) {
    let wasm = component(version);
    let signature = author.sign(&wasm, &format!("prunella strategy site-fix {version}"));
    scene
        .write_file("/root/offer/site-fix.wasm", &wasm, 0o644)
        .unwrap();
    scene
        .write_file("/root/offer/site-fix.wasm.minisig", signature, 0o644)
        .unwrap();
}

/// The daemon's lines that have all of this in them.
fn lines(scene: &Scene, parts: &[&str]) -> Vec<(u64, String)> {
    scene
        .journal(&["_SYSTEMD_UNIT=prunella.service"])
        .unwrap()
        .iter()
        .filter_map(|entry| {
            let message = entry.get("MESSAGE").and_then(Value::as_str)?;
            let at = entry.get("__REALTIME_TIMESTAMP").and_then(Value::as_str)?;
            Some((at.parse().ok()?, message.to_owned()))
        })
        .filter(|(_, message)| parts.iter().all(|part| message.contains(part)))
        .collect()
}

/// Waits until the daemon has said this `times` times; gives the last.
#[track_caller]
fn said(scene: &Scene, parts: &[&str], times: usize) -> (u64, String) {
    let what = format!("the daemon to say {parts:?}");
    scene
        .wait_for(&what, TIMEOUT, || {
            let lines = lines(scene, parts);
            Ok((lines.len() >= times)
                .then(|| lines.last().cloned())
                .flatten())
        })
        .unwrap_or_else(|error| panic!("{error}; it said {:#?}", lines(scene, &[])))
}

/// What fails now is healed by the plugin.
#[track_caller]
fn heals(scene: &Scene) {
    let before = scene.incidents_of("web.service").len();
    if scene.property("web.service", "ActiveState").unwrap() != "active" {
        scene.start(&["web.service"]);
    }
    scene.kill("web.service");
    scene
        .wait_for("web.service to be healed", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            let healed = incidents.len() > before
                && incidents.iter().all(|incident| incident.ended.is_some());
            Ok(healed.then_some(()))
        })
        .unwrap();
    let last = scene
        .incidents_of("web.service")
        .into_iter()
        .max_by_key(|incident| incident.at)
        .unwrap();
    assert!(last.is("healed"), "{last:?}");
    assert_eq!(last.strategy.as_deref(), Some("site-fix"));
}

#[track_caller]
fn refused(scene: &Scene, arguments: &[&str], code: i32, said: &str) {
    let output = scene.prunella(arguments);
    assert_eq!(
        output.code,
        Some(code),
        "{}{}",
        output.stdout,
        output.stderr
    );
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

#[test]
fn the_life_of_a_signed_plugin() {
    let author = Author::new();
    let scene = scene(&author, &format!("retry-interval = \"never\"\n{ALLOW}"));

    // Nobody vouches for it without its signature.
    scene
        .write_file("/root/alone/site-fix.wasm", component("1.2.0"), 0o644)
        .unwrap();
    refused(
        &scene,
        &["plugin", "add", "/root/alone/site-fix.wasm"],
        1,
        "nobody vouches for it",
    );
    assert!(!scene.exists(PLUGIN).unwrap());

    offer(&scene, &author, "1.2.0");
    let added = scene.prunella_ok(&["plugin", "add", "/root/offer"]);
    assert!(added.contains("version 1.2.0 by `author`"), "{added}");
    said(
        &scene,
        &["plugin site-fix is in service: version 1.2.0, signed by `author`"],
        1,
    );
    heals(&scene);
    scene.prunella_ok(&["plugin", "verify"]);
    let listed = scene.prunella_ok(&["plugin", "list"]);
    assert!(listed.contains("version 1.2.0 by `author`"), "{listed}");

    // A new version, of which the next incident has the good.
    offer(&scene, &author, "1.3.0");
    scene.prunella_ok(&["plugin", "add", "/root/offer/site-fix.wasm"]);
    said(&scene, &["plugin site-fix is in service: version 1.3.0"], 1);
    heals(&scene);

    // Other bytes, signed by nobody, may not act; those before stay.
    scene.write_file(PLUGIN, component("evil"), 0o644).unwrap();
    said(
        &scene,
        &[
            "plugin site-fix awaits a grant",
            "The one before stays in service",
        ],
        1,
    );
    heals(&scene);
    let verified = scene.prunella(&["plugin", "verify"]);
    assert_eq!(verified.code, Some(3), "{}", verified.stdout);
    assert!(verified.stdout.contains("not sound"), "{}", verified.stdout);
    assert!(
        verified.stdout.contains("its signature is not good"),
        "{}",
        verified.stdout
    );
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("site-fix"), "{status}");

    // An older version is an attack, unless the operator means it.
    offer(&scene, &author, "1.1.0");
    refused(
        &scene,
        &["plugin", "add", "/root/offer"],
        1,
        "1.3.0 has been on this host",
    );
    scene.prunella_ok(&["plugin", "add", "/root/offer", "--allow-downgrade"]);
    said(&scene, &["plugin site-fix is in service: version 1.1.0"], 1);
    scene.prunella_ok(&["plugin", "verify", "site-fix"]);
    heals(&scene);

    // Somebody still asks it.
    refused(
        &scene,
        &["plugin", "remove", "site-fix"],
        3,
        "/etc/prunella/services.d/web.service.toml",
    );
    assert!(scene.exists(PLUGIN).unwrap());
    scene.prunella_ok(&["plugin", "remove", "site-fix", "--force"]);
    said(
        &scene,
        &["plugin site-fix is out of service", "web.service"],
        1,
    );
    for file in ["site-fix.wasm", "site-fix.wasm.minisig", "site-fix.toml"] {
        assert!(
            !scene
                .exists(format!("/etc/prunella/plugins/{file}"))
                .unwrap()
        );
    }
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.after_all_before("bystander.service");
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
}

/// What is dropped into the folder by hand, and what becomes of each.
#[test]
fn a_bad_new_version_leaves_the_old_one_in_service() {
    let author = Author::new();
    let scene = scene(&author, ALLOW);
    offer(&scene, &author, "1.0.0");
    scene.prunella_ok(&["plugin", "add", "/root/offer"]);
    said(&scene, &["plugin site-fix is in service"], 1);
    let stays = "The one before stays in service";

    let shell = |script: &str| {
        scene.run_ok(&["sh", "-ec", script]).unwrap();
    };
    // Half-written, then completed.
    offer(&scene, &author, "1.0.1");
    shell(&format!(
        "cp /root/offer/site-fix.wasm.minisig {PLUGIN}.minisig"
    ));
    said(&scene, &["changed after it was signed", stays], 1);
    shell(&format!(
        "head -c 10000 /root/offer/site-fix.wasm > {PLUGIN}"
    ));
    said(
        &scene,
        &[
            "is not taken into service",
            "cut off after 10000 bytes",
            stays,
        ],
        1,
    );
    heals(&scene);
    shell(&format!(
        "tail -c +10001 /root/offer/site-fix.wasm >> {PLUGIN}"
    ));
    said(&scene, &["plugin site-fix is in service: version 1.0.1"], 1);

    // Who else could write it?
    shell(&format!("chmod 0666 {PLUGIN}"));
    said(
        &scene,
        &["can be written by others than root (mode 0666)", stays],
        1,
    );
    shell(&format!("chmod 0644 {PLUGIN}; chown 1000 {PLUGIN}"));
    said(&scene, &["belongs to user 1000", stays], 1);
    heals(&scene);
    shell(&format!("chown 0 {PLUGIN}"));

    // Not a file of its own.
    shell(&format!("ln -sfn /root/offer/site-fix.wasm {PLUGIN}"));
    said(&scene, &["is a symbolic link", stays], 1);
    shell(&format!("rm {PLUGIN}; mkdir {PLUGIN}"));
    said(&scene, &["is not a regular file"], 1);
    shell(&format!(
        "rmdir {PLUGIN}; install -m 644 /root/offer/site-fix.wasm {PLUGIN}"
    ));
    said(&scene, &["plugin site-fix is in service: version 1.0.1"], 2);
    heals(&scene);

    // A reserved name, a second one under one name, what only looks.
    shell("cp /root/offer/site-fix.wasm /etc/prunella/plugins/service-restart.wasm");
    said(
        &scene,
        &["`service-restart` is a built-in strategy", "not used"],
        1,
    );
    shell("mkdir /etc/prunella/plugins/site-fix");
    said(&scene, &["folders in `plugins` are not looked into"], 1);
    scene.after_all_before("bystander.service");
    heals(&scene);
}

#[test]
fn a_new_version_is_in_service_at_once_and_without_a_restart() {
    let author = Author::new();
    let scene = scene(&author, ALLOW);
    offer(&scene, &author, "1.0.0");
    scene.prunella_ok(&["plugin", "add", "/root/offer"]);
    said(&scene, &["plugin site-fix is in service"], 1);
    let daemon = scene.main_pid("prunella.service");

    offer(&scene, &author, "1.1.0");
    // As a careful deployment does it: the signature, then the component.
    scene
        .run_ok(&[
            "sh",
            "-ec",
            &format!(
                "cp /root/offer/site-fix.wasm.minisig {PLUGIN}.minisig
                cp /root/offer/site-fix.wasm /etc/prunella/plugins/.next
                date +%s%6N > /root/at
                mv /etc/prunella/plugins/.next {PLUGIN}"
            ),
        ])
        .unwrap();
    let (in_service, line) = said(&scene, &["plugin site-fix is in service: version 1.1.0"], 1);
    let renamed: u64 = scene.read_file("/root/at").unwrap().trim().parse().unwrap();
    let took = Duration::from_micros(in_service.saturating_sub(renamed));
    // Not a second, on a host that runs other machines too: but the daemon hears of the
    // file, and does not look for it now and then.
    assert!(took < Duration::from_secs(10), "{took:?}: {line}");
    heals(&scene);
    assert_eq!(scene.main_pid("prunella.service"), daemon);
}

#[test]
fn mistakes_in_settings_are_found_before_an_incident() {
    let author = Author::new();
    let main_file =
        format!("{ALLOW}\n[strategy.site-fix.settings]\ntimeout = \"soon\"\ndepth = 3\n");
    let scene = scene(&author, &main_file);
    offer(&scene, &author, "1.0.0");
    scene.prunella_ok(&["plugin", "add", "/root/offer"]);
    said(
        &scene,
        &["is not taken into service", "prunella.toml:9:11"],
        1,
    );

    let check = scene.prunella(&["config", "check"]);
    assert_eq!(check.code, Some(3), "{}", check.stdout);
    for part in [
        "`timeout` must be a duration such as \"30s\", and `soon` is not",
        "prunella.toml:9:11",
        "`site-fix` has no setting `depth`",
        "prunella.toml:10:1",
    ] {
        assert!(check.stdout.contains(part), "{part} in {}", check.stdout);
    }

    scene
        .write_file(
            "/etc/prunella/prunella.toml",
            format!("{ALLOW}\n[strategy.site-fix.settings]\ntimeout = \"20s\"\n"),
            0o644,
        )
        .unwrap();
    scene.prunella_ok(&["config", "check"]);
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    said(&scene, &["configuration read again"], 1);
    heals(&scene);
}

#[test]
fn a_healing_finishes_with_the_version_it_began_with() {
    let author = Author::new();
    let scene = scene(&author, ALLOW);
    offer(&scene, &author, "1.0.0");
    scene.prunella_ok(&["plugin", "add", "/root/offer"]);
    said(&scene, &["plugin site-fix is in service"], 1);
    // Slow, so that the plugin goes in the middle of it.
    scene
        .write_file(
            "/etc/systemd/system/web.service",
            victim("", "--start-takes 2000"),
            0o644,
        )
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene
        .wait_until("web.service", "activating", TIMEOUT)
        .unwrap();
    scene.prunella_ok(&["plugin", "remove", "site-fix", "--force"]);
    said(&scene, &["plugin site-fix is out of service"], 1);
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "activating"
    );
    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.strategy.as_deref(), Some("site-fix"));
}

#[test]
fn after_many_changes_the_last_version_is_in_service() {
    let author = Author::new();
    let scene = scene(&author, ALLOW);
    offer(&scene, &author, "1.0.0");
    scene.prunella_ok(&["plugin", "add", "/root/offer"]);
    said(&scene, &["plugin site-fix is in service"], 1);
    offer(&scene, &author, "1.0.1");
    // Under its name, in place, while the daemon reads it.
    let script = format!(
        "cp /root/offer/site-fix.wasm.minisig {PLUGIN}.minisig
        for i in $(seq 50); do
            head -c $((i * 500)) /dev/urandom > {PLUGIN}
            cat /root/offer/site-fix.wasm > {PLUGIN}
        done"
    );
    scene.run_ok(&["bash", "-ec", &script]).unwrap();
    said(&scene, &["plugin site-fix is in service: version 1.0.1"], 1);
    scene
        .wait_for("nothing to be wrong any more", TIMEOUT, || {
            let status = scene.prunella_ok(&["status"]);
            Ok((!status.contains("site-fix is not in force")).then_some(()))
        })
        .unwrap();
    let listed = scene.prunella_ok(&["plugin", "list"]);
    assert!(listed.contains("version 1.0.1 by `author`"), "{listed}");
    // It came past `plugin add`, and that can be told.
    let verified = scene.prunella(&["plugin", "verify", "site-fix"]);
    assert_eq!(verified.code, Some(3), "{}", verified.stdout);
    assert_eq!(
        lines(&scene, &["version 1.0.1"]).len(),
        1,
        "it came into service once"
    );
    heals(&scene);
}
