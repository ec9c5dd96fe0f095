//! `rollback` of Debian packages: apt brings the version before back, and leaves alone what it
//! would not bring back alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{fs, path::Path, process::Command};

use prunella_e2e::{Incident, Scene, TIMEOUT, one_line};

const WEB: &str = "web.service";
const UNIT: &str = "[Service]\nExecStart=/bin/sh /opt/shop/run\n";
const GOOD: &str = "exec sleep infinity\n";
const BROKEN: &str = "echo no such module; exit 1\n";

const CARE: &str = r#"
[budget]
healings = 3
window = "10m"
backoff = ["0s"]
[[release]]
name = "shop"
packages = ["shop"]
healthy-for = "1s"
"#;

const ALLOWED: &str = "[oversight]\nallow = [\"release.roll-back\"]\n";

const ROLL_BACK: &str = "release.roll-back shop";
const START: &str = "unit-control.start web.service";

/// The machine has no user for apt's downloads.
const APT: &str = "APT::Sandbox::User \"root\";\n";
const ARCHIVE: &str = "deb [trusted=yes] file:/srv/archive ./\n";

/// While this is there, version 1.0 is never set up.
const HOLD: &str = "/run/hold-set-up";
const HELD: &str = "/run/held";

/// A package of one file, as bytes, and its paragraph in the archive's index.
struct Package {
    file: String,
    content: Vec<u8>,
    paragraph: String,
}

fn package(name: &str, version: &str, depends: &str, run: &str) -> Package {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let depends = match depends {
        "" => String::new(),
        on => format!("Depends: {on}\n"),
    };
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Shop \
         <shop@example.org>\n{depends}Description: {name}\n"
    );
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::write(tree.join("DEBIAN/control"), &control).unwrap();
    if version == "1.0" {
        let script =
            format!("#!/bin/sh\nif [ -e {HOLD} ]; then touch {HELD}; exec sleep infinity; fi\n");
        let path = tree.join("DEBIAN/postinst");
        fs::write(&path, script).unwrap();
        run_ok(Command::new("chmod").arg("0755").arg(&path));
    }
    fs::create_dir_all(tree.join("opt").join(name)).unwrap();
    fs::write(tree.join("opt").join(name).join("run"), run).unwrap();
    let file = format!("{name}_{version}_all.deb");
    let path = folder.path().join(&file);
    let mut build = Command::new("dpkg-deb");
    run_ok(
        build
            .args(["--root-owner-group", "--build"])
            .arg(&tree)
            .arg(&path),
    );
    let sum = run_ok(Command::new("sha256sum").arg(&path));
    let sum = sum.split(' ').next().unwrap();
    let content = fs::read(&path).unwrap();
    let paragraph = format!(
        "{control}Filename: ./{file}\nSize: {}\nSHA256: {sum}\n\n",
        content.len()
    );
    Package {
        file,
        content,
        paragraph,
    }
}

fn run_ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A machine with an archive of these packages, in care as declared.
fn machine(packages: &[Package], main: &str) -> Scene {
    let index: String = packages.iter().map(|one| one.paragraph.as_str()).collect();
    let mut builder = Scene::builder()
        .file("/etc/apt/apt.conf.d/test", APT, 0o644)
        .file("/etc/apt/sources.list", ARCHIVE, 0o644)
        .file("/srv/archive/Packages", index, 0o644)
        .file("/var/lib/dpkg/status", "", 0o644)
        .file("/var/lib/dpkg/info/format", "1\n", 0o644)
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .service(WEB, UNIT, CARE);
    for one in packages {
        let path = Path::new("/srv/archive").join(&one.file);
        builder = builder.bytes(path.to_str().unwrap(), &one.content, 0o644);
    }
    let scene = builder.with_daemon();
    scene.run_ok(&["apt-get", "update"]).unwrap();
    scene
}

/// Runs the first version until it is proven.
fn proven(scene: Scene) -> Scene {
    install(&scene, "shop=1.0");
    scene.start(&[WEB]);
    scene
        .wait_for("the proof of the first version", TIMEOUT, || {
            let journal = scene.journal(&["SYSLOG_IDENTIFIER=prunella"])?;
            let proven = journal.iter().any(|entry| {
                entry["MESSAGE"] == "web.service is proven healthy with release 1.0 (`shop`)"
            });
            Ok(proven.then_some(()))
        })
        .unwrap();
    scene
}

fn two_versions() -> [Package; 2] {
    [
        package("shop", "1.0", "", GOOD),
        package("shop", "2.0", "", BROKEN),
    ]
}

fn install(scene: &Scene, what: &str) {
    scene
        .run_ok(&["apt-get", "install", "--yes", what])
        .unwrap();
}

/// Upgrades it, and restarts the service.
fn deploy(scene: &Scene) {
    install(scene, "shop=2.0");
    let _ = scene.run(&["systemctl", "restart", WEB]).unwrap();
}

/// Its version and its state, as dpkg has written them down.
fn installed(scene: &Scene) -> String {
    let status = scene.read_file("/var/lib/dpkg/status").unwrap();
    let of_it = |paragraph: &&str| paragraph.starts_with("Package: shop\n");
    let paragraph = status.split("\n\n").find(of_it).unwrap();
    let field = |name: &str| {
        let mut lines = paragraph.lines();
        lines.find_map(|line| line.strip_prefix(name)).unwrap()
    };
    format!("{} {}", field("Version: "), field("Status: "))
}

#[track_caller]
fn assert_installed(scene: &Scene, version: &str) {
    assert_eq!(installed(scene), format!("{version} install ok installed"));
}

/// An incident in which the version stays: with the reason that its record gives.
#[track_caller]
fn assert_stays(scene: &Scene, incident: &Incident, because: &str) {
    let record = scene.record(incident);
    assert!(
        !record.acts().iter().any(|act| act == ROLL_BACK),
        "{}",
        record.text()
    );
    assert!(record.text().contains(because), "{}", record.text());
    assert_installed(scene, "2.0");
}

#[test]
fn a_broken_package_goes_back_to_the_version_before_and_can_be_brought_back() {
    let scene = proven(machine(&two_versions(), ALLOWED));
    deploy(&scene);
    let incident = scene.wait_healed(WEB);
    assert_eq!(incident.strategy.as_deref(), Some("rollback"));
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        [START, ROLL_BACK, START],
        "{}",
        record.text()
    );
    assert_installed(&scene, "1.0");
    let report = one_line(&scene.report(&incident));
    for part in [
        "take `shop` back from 2.0 to 1.0",
        "took `shop` back to 1.0",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }

    let plan = scene.prunella_ok(&["undo", &incident.id, "--dry-run"]);
    assert!(plan.contains("install shop=2.0 again"), "{plan}");
    assert_installed(&scene, "1.0");
    scene.prunella_ok(&["undo", &incident.id]);
    assert_installed(&scene, "2.0");
}

#[test]
fn a_version_that_the_archive_does_not_have_any_more_is_not_gone_back_to() {
    let [before, after] = two_versions();
    let index = after.paragraph.clone();
    let scene = proven(machine(&[before, after], ALLOWED));
    scene
        .write_file("/srv/archive/Packages", index, 0o644)
        .unwrap();
    scene.run_ok(&["apt-get", "update"]).unwrap();
    scene.run_ok(&["apt-get", "clean"]).unwrap();
    deploy(&scene);
    let incident = scene.wait_ended(WEB, "escalated");
    assert_stays(&scene, &incident, "Version '1.0' for 'shop' was not found");
}

#[test]
fn a_version_that_takes_others_along_is_not_gone_back_to() {
    let scene = proven(machine(
        &[
            package("shop", "1.0", "shop-data (= 1.0)", GOOD),
            package("shop", "2.0", "", BROKEN),
            package("shop-data", "1.0", "", ""),
        ],
        ALLOWED,
    ));
    install(&scene, "shop=2.0");
    scene
        .run_ok(&["apt-get", "remove", "--yes", "shop-data"])
        .unwrap();
    let _ = scene.run(&["systemctl", "restart", WEB]).unwrap();
    let incident = scene.wait_ended(WEB, "escalated");
    assert_stays(&scene, &incident, "apt would install shop-data=1.0, too");
}

#[test]
fn a_package_that_is_held_stays() {
    let scene = proven(machine(&two_versions(), ALLOWED));
    install(&scene, "shop=2.0");
    scene.run_ok(&["apt-mark", "hold", "shop"]).unwrap();
    let _ = scene.run(&["systemctl", "restart", WEB]).unwrap();
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(
        record.text().contains("shop is held at its version"),
        "{}",
        record.text()
    );
    assert_eq!(installed(&scene), "2.0 hold ok installed");
}

/// The daemon is killed while dpkg sets up the version before.
#[test]
fn a_daemon_that_is_killed_meanwhile_leaves_a_package_that_is_whole() {
    let scene = proven(machine(&two_versions(), ALLOWED));
    scene.write_file(HOLD, "", 0o644).unwrap();
    deploy(&scene);
    scene
        .wait_for("dpkg to set it up", TIMEOUT, || {
            Ok(scene.exists(HELD)?.then_some(()))
        })
        .unwrap();
    scene.run_ok(&["rm", HOLD]).unwrap();
    let daemon = scene.main_pid("prunella.service").to_string();
    scene.run_ok(&["kill", "-KILL", &daemon]).unwrap();
    let incident = scene.wait_step(WEB, "undone", TIMEOUT);
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone[0]["why"], "cut-off", "{}", record.text());
    assert!(
        record.text().contains("installed shop=2.0 again"),
        "{}",
        record.text()
    );
    assert_installed(&scene, "2.0");
}

#[test]
fn a_package_that_is_not_installed_is_told_of() {
    let scene = Scene::builder()
        .file("/var/lib/dpkg/status", "", 0o644)
        .service(WEB, UNIT, CARE)
        .without_daemon();
    let check = scene.prunella(&["config", "check"]);
    let said = one_line(&format!("{}{}", check.stdout, check.stderr));
    assert!(
        said.contains("the package shop (`shop`) is not installed"),
        "{said}"
    );
}
