//! From `setup` to `uninstall`: what Prunella writes on a host, keeps, and takes back.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, TIMEOUT, one_line, victim};
use rstest::rstest;

/// Where Prunella is inside a machine.
const PRUNELLA: &str = "/opt/prunella/prunella";

const DROP_IN: &str = "/etc/systemd/system/web.service.d/50-prunella.conf";

fn exists(scene: &Scene, path: &str) -> bool {
    scene.run(&["test", "-e", path]).unwrap().code == Some(0)
}

#[test]
fn disable_and_enable_keep_what_the_operator_edited() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);
    let file = "/etc/prunella/services.d/web.toml";
    scene.prunella_ok(&["enable", "web"]);
    assert!(scene.read_file(file).unwrap().contains("tcp/8080"));
    let edit = format!("sed -i 's/^unit = .*/&\\ndomain = \"my shop\"/; /^ports/d' {file}");
    scene.run_ok(&["bash", "-c", &edit]).unwrap();
    let edited = scene.read_file(file).unwrap();
    assert!(edited.contains("my shop"), "{edited}");

    scene.prunella_ok(&["disable", "web"]);
    assert!(!exists(&scene, file) && !exists(&scene, DROP_IN));
    let enabled = scene.prunella(&["enable", "web"]);
    assert_eq!(enabled.code, Some(0), "{}", enabled.stderr);
    assert!(enabled.stdout.contains("restored"), "{}", enabled.stdout);
    assert_eq!(scene.read_file(file).unwrap(), edited);
    assert!(!exists(&scene, &format!("{file}.disabled")));
    // What it would write now, besides.
    assert!(enabled.stderr.contains("tcp/8080"), "{}", enabled.stderr);
    assert!(exists(&scene, DROP_IN));
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("my shop"), "{status}");
}

#[test]
fn a_service_that_is_down_when_it_is_enabled_again_keeps_its_ports() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);
    scene.prunella_ok(&["enable", "web"]);
    let file = "/etc/prunella/services.d/web.toml";
    let before = scene.read_file(file).unwrap();
    assert!(before.contains("tcp/8080"), "{before}");
    scene.prunella_ok(&["disable", "web"]);
    scene.systemctl(&["stop", "web.service"]).unwrap();
    scene.prunella_ok(&["enable", "web"]);
    assert_eq!(scene.read_file(file).unwrap(), before);

    // One that is up is looked at anew.
    scene.prunella_ok(&["disable", "web"]);
    scene.start(&["web.service"]);
    let enabled = scene.prunella_ok(&["enable", "web"]);
    assert!(enabled.contains("wrote"), "{enabled}");
    assert!(!exists(&scene, &format!("{file}.disabled")));
}

#[test]
fn a_drop_in_whose_services_file_is_gone_is_told_of_and_removed() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", ""))
        .unit("kept.service", &victim("", ""))
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service", "kept.service"]);
    scene.prunella_ok(&["enable", "web", "kept"]);
    scene
        .run_ok(&["rm", "/etc/prunella/services.d/web.toml"])
        .unwrap();
    scene.prunella_ok(&["reload"]);

    scene.kill("web.service");
    scene
        .wait_for("the hook to say so", TIMEOUT, || {
            let log = scene.run_ok(&["journalctl", "-o", "cat", "-u", "prunella-hook@*"])?;
            Ok(log.contains("is in nobody's care").then_some(()))
        })
        .unwrap();
    let log = scene
        .run_ok(&["journalctl", "-o", "cat", "-u", "prunella-hook@*"])
        .unwrap();
    assert!(!log.contains("the daemon has it"), "{log}");

    let dry = scene.prunella_ok(&["setup", "--dry-run"]);
    assert!(dry.contains(DROP_IN), "{dry}");
    assert!(exists(&scene, DROP_IN));
    let setup = scene.prunella_ok(&["setup"]);
    assert!(setup.contains(DROP_IN), "{setup}");
    assert!(!exists(&scene, DROP_IN));
    assert_eq!(
        scene.property("web.service", "OnFailure").unwrap().trim(),
        ""
    );
    let kept = "/etc/systemd/system/kept.service.d/50-prunella.conf";
    assert!(exists(&scene, kept), "its service is in care");
}

/// As after `uninstall`, or when a folder was away for a while.
#[test]
fn setup_puts_back_the_drop_ins_of_services_in_care() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .unit("mine.service", &victim("", ""))
        .without_daemon();
    scene.prunella_ok(&["setup", "--hook-only"]);
    scene.start(&["web.service", "mine.service"]);
    scene.prunella_ok(&["enable", "web", "mine"]);
    let mine = "/etc/systemd/system/mine.service.d/50-prunella.conf";
    let edited = format!("{}# mine\n", scene.read_file(mine).unwrap());
    scene.write_file(mine, &edited, 0o644).unwrap();
    scene.run_ok(&["rm", DROP_IN]).unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();

    let services = "/etc/prunella/services.d/web.toml";
    let whole = scene.misspell(services);
    let broken = scene.prunella(&["setup", "--hook-only"]);
    // The mistake comes first, and the command fails as a reload does.
    assert_eq!(broken.code, Some(3), "{broken:?}");
    let first = broken.stderr.lines().next().unwrap_or_default();
    assert!(
        first.contains("web.toml:1: unknown key `domian`"),
        "{broken:?}"
    );
    assert!(
        broken.stderr.contains("prunella config check"),
        "{broken:?}"
    );
    assert!(!broken.stdout.contains("prunella enable"), "{broken:?}");
    assert!(!exists(&scene, DROP_IN));
    scene.write_file(services, &whole, 0o644).unwrap();

    scene.prunella_ok(&["setup", "--hook-only", "--without-hooks"]);
    let dry = scene.prunella_ok(&["setup", "--hook-only", "--dry-run"]);
    assert!(dry.contains(DROP_IN), "{dry}");
    assert!(!exists(&scene, DROP_IN));
    let setup = scene.prunella_ok(&["setup", "--hook-only"]);
    assert!(setup.contains(DROP_IN), "{setup}");
    assert!(!setup.contains(mine), "{setup}");
    assert_eq!(scene.read_file(mine).unwrap(), edited);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

/// A daemon that goes on with what it could use reads what was corrected.
#[test]
fn setup_has_the_daemon_read_what_was_corrected() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.prunella_ok(&["setup"]);
    let main = "/etc/prunella/prunella.toml";
    let whole = scene.read_file(main).unwrap();
    scene
        .write_file(main, format!("{whole}\n[defaults]\nordr = 1\n"), 0o644)
        .unwrap();
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("unknown key `ordr`"), "{status}");
    assert_eq!(scene.prunella(&["setup"]).code, Some(3));

    scene.write_file(main, &whole, 0o644).unwrap();
    let said = scene.prunella_ok(&["setup"]);
    assert!(
        said.contains("The daemon has read the configuration: 1 service in care"),
        "{said}"
    );
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("unknown key `ordr`"), "{status}");
    scene.kill("web.service");
    scene.wait_healed("web.service");

    let dry = scene.prunella_ok(&["setup", "--dry-run"]);
    assert!(!dry.contains("has read"), "{dry}");
}

#[test]
fn the_sweep_removes_what_is_in_nobodys_care_but_nothing_while_a_file_is_broken() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", ""))
        .unit("kept.service", &victim("", ""))
        .without_daemon();
    scene.prunella_ok(&["setup", "--hook-only"]);
    scene.start(&["web.service", "kept.service"]);
    scene.prunella_ok(&["enable", "web", "kept"]);
    let (web, kept) = (
        "/etc/prunella/services.d/web.toml",
        "/etc/prunella/services.d/kept.toml",
    );
    let whole = scene.read_file(kept).unwrap();
    scene
        .write_file(kept, format!("{whole}\ndomian = \"x\"\n"), 0o644)
        .unwrap();
    scene.run_ok(&["rm", web]).unwrap();
    scene
        .systemctl(&["start", "prunella-sweep.service"])
        .unwrap();
    assert!(exists(&scene, DROP_IN), "a mistake may hide a service");

    scene.write_file(kept, whole, 0o644).unwrap();
    scene
        .systemctl(&["start", "prunella-sweep.service"])
        .unwrap();
    assert!(!exists(&scene, DROP_IN));
    assert!(exists(
        &scene,
        "/etc/systemd/system/kept.service.d/50-prunella.conf"
    ));
}

#[test]
fn setup_with_a_new_program_restarts_the_daemon_that_runs_the_old_one() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .without_daemon();
    let installed = "/opt/bin/prunella";
    let install = |more: &str| {
        let script = format!(
            "cp {PRUNELLA} /tmp/new && printf '{more}' >> /tmp/new && \
             mkdir -p /opt/bin && install -m 755 /tmp/new {installed}"
        );
        scene.run_ok(&["bash", "-c", &script]).unwrap();
    };
    install("");
    scene.run_ok(&[installed, "setup"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let first = scene.main_pid("prunella.service");
    let again = scene.run_ok(&[installed, "setup"]).unwrap();
    assert!(again.contains("Nothing had to be changed"), "{again}");
    // The same program, installed once more.
    install("");
    scene.run_ok(&[installed, "setup"]).unwrap();
    assert_eq!(scene.main_pid("prunella.service"), first);

    install("x");
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.contains("runs a program that has been replaced"),
        "{status}"
    );
    let dry = scene.run_ok(&[installed, "setup", "--dry-run"]).unwrap();
    assert!(dry.contains("would: ran"), "{dry}");
    assert_eq!(scene.main_pid("prunella.service"), first);
    let upgraded = scene.run_ok(&[installed, "setup"]).unwrap();
    assert!(
        upgraded.contains("runs another program")
            && upgraded.contains("systemctl try-restart prunella.service"),
        "{upgraded}"
    );
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    assert_ne!(scene.main_pid("prunella.service"), first);
    let again = scene.run_ok(&[installed, "setup"]).unwrap();
    assert!(again.contains("Nothing had to be changed"), "{again}");
    // And it heals.
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

#[test]
fn uninstall_takes_back_what_prunella_wrote_and_nothing_else() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", ""))
        .file(
            "/etc/systemd/system/web.service.d/10-mine.conf",
            "[Unit]\nDescription=mine\n",
            0o644,
        )
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);
    scene.prunella_ok(&["enable", "web"]);
    let web = scene.main_pid("web.service");
    let units = "/etc/systemd/system/prunella.service";

    let dry = scene.prunella_ok(&["uninstall", "--dry-run"]);
    assert!(dry.contains(units) && dry.contains(DROP_IN), "{dry}");
    assert!(exists(&scene, units) && exists(&scene, DROP_IN));
    assert_eq!(
        scene.property("prunella.service", "ActiveState").unwrap(),
        "active"
    );
    // Nobody can be asked here.
    let refused = scene.prunella(&["uninstall", "--purge"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert!(exists(&scene, units));

    let done = one_line(&scene.prunella_ok(&["uninstall"]));
    assert!(
        done.contains("stay in /etc/prunella and /var/lib/prunella"),
        "{done}"
    );
    for gone in [units, DROP_IN, "/run/prunella", "/var/cache/prunella"] {
        assert!(!exists(&scene, gone), "{gone}");
    }
    let listed = scene
        .run_ok(&["systemctl", "list-units", "--all", "--plain", "--no-legend"])
        .unwrap();
    assert!(
        !listed.lines().any(|line| line.starts_with("prunella")),
        "{listed}"
    );
    for kept in [
        "/etc/prunella/services.d/web.toml",
        "/var/lib/prunella/prunella.db",
        "/etc/systemd/system/web.service.d/10-mine.conf",
        PRUNELLA,
    ] {
        assert!(exists(&scene, kept), "{kept}");
    }
    assert_eq!(scene.main_pid("web.service"), web, "it was left running");
    let again = scene.prunella_ok(&["uninstall"]);
    assert!(again.contains("Nothing had to be removed"), "{again}");

    // It comes back as it was, and goes for good.
    scene.prunella_ok(&["setup"]);
    scene.prunella_ok(&["enable", "web"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    // Nobody promises what nobody does.
    scene.prunella_ok(&["uninstall"]);
    let status = scene.prunella_ok(&["status"]);
    assert!(
        status.contains("Prunella is not set up on this host"),
        "{status}"
    );
    let mine = [
        "/var/lib/prunella/notes.txt",
        "/var/lib/prunella/prunella.db.before-upgrade",
        "/etc/prunella/services.d/README",
    ];
    for path in mine {
        scene.write_file(path, "mine\n", 0o644).unwrap();
    }
    let done = one_line(&scene.prunella_ok(&["uninstall", "--purge", "--yes"]));
    assert!(done.contains("What is not Prunella's stays in"), "{done}");
    for path in mine {
        assert!(exists(&scene, path), "{path}");
        scene.remove_file(path).unwrap();
    }
    let left = [
        "find",
        "/etc/prunella",
        "/var/lib/prunella",
        "-not",
        "-type",
        "d",
    ];
    assert_eq!(scene.run_ok(&left).unwrap(), "", "all of its own is gone");
    scene
        .run_ok(&["rmdir", "/etc/prunella/services.d"])
        .unwrap();
    scene.prunella_ok(&["uninstall", "--purge", "--yes"]);
    for gone in ["/etc/prunella", "/var/lib/prunella", units, DROP_IN] {
        assert!(!exists(&scene, gone), "{gone}");
    }
    assert!(exists(
        &scene,
        "/etc/systemd/system/web.service.d/10-mine.conf"
    ));
}

#[rstest]
#[case::moved_away("mv /etc/prunella/services.d /root/kept")]
#[case::emptied("mkdir /root/kept; mv /etc/prunella/services.d/*.toml /root/kept")]
fn services_files_that_are_all_gone_are_told_of_and_cost_no_drop_in(#[case] lose: &str) {
    let scene = Scene::builder()
        .unit("web.service", &victim("", ""))
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);
    scene.prunella_ok(&["enable", "web"]);
    scene.run_ok(&["sh", "-c", lose]).unwrap();
    scene.systemctl(&["restart", "prunella.service"]).unwrap();

    let told = "there is no services file, though the drop-in of web.service calls Prunella";
    for words in [
        ["status"].as_slice(),
        &["config", "check"],
        &["setup", "--dry-run"],
        &["setup"],
    ] {
        let output = scene.prunella(words);
        let all = format!("{}{}", output.stdout, output.stderr);
        let all = one_line(&all);
        assert!(all.contains(told), "{words:?}: {all}");
    }
    assert!(exists(&scene, DROP_IN));

    // Wanted so: then each drop-in is taken away by name.
    scene.prunella_ok(&["disable", "web"]);
    assert!(!exists(&scene, DROP_IN));
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("no services file"), "{status}");
}

#[test]
fn uninstall_names_the_services_that_are_down_and_left_to_nobody() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 1\nwindow = \"1h\"\nbackoff = [\"0s\"]\n",
        )
        .service("other.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["other.service"]);
    scene.systemctl(&["start", "web.service"]).unwrap_err();
    scene.wait_ended("web.service", "escalated");
    let dry = scene.prunella(&["uninstall", "--dry-run"]);
    let said = one_line(&dry.stderr);
    assert!(
        said.contains("web.service (failed) is down, and nobody would look after it"),
        "{dry:?}"
    );
    let done = scene.prunella(&["uninstall"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let said = one_line(&done.stderr);
    assert!(
        said.contains("web.service (failed) is down, and nobody looks after it any more"),
        "{done:?}"
    );
    assert!(!said.contains("other.service"), "{done:?}");
}

/// Something else answers in its place, as the daemon of another version does.
#[test]
fn a_daemon_of_another_version_is_named_with_the_next_step() {
    const OTHER: &str = "import os, socket\n\
        path = '/run/prunella/status.sock'\n\
        os.makedirs('/run/prunella', exist_ok=True)\n\
        server = socket.socket(socket.AF_UNIX)\n\
        server.bind(path)\n\
        server.listen()\n\
        while True:\n    \
            with server.accept()[0] as client:\n        \
                if client.recv(65536):\n            \
                    client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n'\n                \
                        b'Content-Length: 2\\r\\n\\r\\n{}')\n";
    let scene = Scene::builder()
        .file("/opt/other.py", OTHER, 0o644)
        .unit(
            "other.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/other.py\n",
        )
        .without_daemon();
    scene.start(&["other.service"]);
    let status = scene
        .wait_for("the other daemon to listen", TIMEOUT, || {
            let status = scene.prunella(&["status"]);
            Ok((status.code != Some(0)).then_some(status))
        })
        .unwrap();
    assert_eq!(
        one_line(&status.stderr),
        "error: the daemon that runs is of another version than this program help: `sudo prunella \
         setup` restarts it with this one"
    );
}
