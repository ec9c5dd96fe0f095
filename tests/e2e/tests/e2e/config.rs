//! Configurations that are broken, and Prunella's own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Builder, Scene, TIMEOUT, one_line, victim};

const CHECK: &str = "[[check]]\nname = \"config\"\nvalidates = true\n\
    command = [\"/opt/test/victim\", \"--config\", \"/opt/web.conf\", \"--check\"]\n";

fn scene() -> Builder {
    Scene::builder()
        .file("/opt/web.conf", "a = b\n", 0o644)
        .service(
            "web.service",
            &victim("", "--listen 8080 --config /opt/web.conf"),
            CHECK,
        )
}

#[test]
fn a_broken_configuration_holds_the_restart_until_it_is_repaired() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene
        .write_file("/opt/web.conf", "a = b\noops\n", 0o644)
        .unwrap();
    scene.kill("web.service");

    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(
        scene.runs("web.service"),
        1,
        "nobody started it against that"
    );
    let report = scene.report(&incident);
    assert!(
        report.contains("/opt/web.conf:2:"),
        "it quotes the checker: {report}"
    );
    assert!(
        report.contains("/opt/test/victim --config /opt/web.conf --check\n"),
        "it says how to run the check again: {report}"
    );
    let why = report.find("Why:").zip(report.find("To do:"));
    let why = why.and_then(|(from, to)| report.get(from..to)).unwrap();
    assert!(
        why.contains("did not pass") || why.contains("` fails: "),
        "{report}"
    );

    scene.write_file("/opt/web.conf", "a = b\n", 0o644).unwrap();
    let heal = scene.prunella(&["heal", "web.service"]);
    assert_eq!(heal.code, Some(0), "{}{}", heal.stdout, heal.stderr);
    scene.wait_active("web.service", TIMEOUT).unwrap();
    assert!(scene.answers(8080));
}

#[test]
fn a_configuration_that_is_repaired_is_noticed() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene
        .write_file("/opt/web.conf", "a = b\noops\n", 0o644)
        .unwrap();
    scene.kill("web.service");
    scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.runs("web.service"), 1);

    // Nobody tells Prunella.
    scene.write_file("/opt/web.conf", "a = b\n", 0o644).unwrap();
    scene.wait_healed("web.service");
    assert_eq!(scene.runs("web.service"), 2);
    assert!(scene.answers(8080));
}

#[test]
fn a_valid_configuration_does_not_prevent_healing() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

#[test]
fn mistakes_in_prunellas_own_files_are_all_told_and_the_daemon_lives_on() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene
        .write_file(
            "/etc/prunella/services.d/web.service.toml",
            "unit = \"web.service\"\nprots = [\"tcp/80\"]\nstart-limit = \"never\"\n",
            0o644,
        )
        .unwrap();

    let check = scene.prunella(&["config", "check"]);
    assert_eq!(check.code, Some(3));
    let said = check.stdout + &check.stderr;
    for mistake in [
        "web.service.toml:2:1",
        "prots",
        "web.service.toml:3:",
        "never",
    ] {
        assert!(said.contains(mistake), "{mistake} in {said}");
    }

    let before = scene.main_pid("prunella.service");
    assert!(scene.systemctl(&["reload", "prunella.service"]).is_err());
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.starts_with("the configuration on the disk has"),
        "{status}"
    );
    scene.kill("web.service");
    scene.wait_healed("web.service");
    assert_eq!(scene.main_pid("prunella.service"), before);
}

/// After a restart there is no configuration from before.
#[test]
fn a_service_with_a_mistake_keeps_no_other_from_being_healed() {
    let scene = scene()
        .service("other.service", &victim("", "--listen 8081"), "")
        .with_daemon();
    scene.start(&["web.service", "other.service"]);
    let file = "/etc/prunella/services.d/web.service.toml";
    let whole = scene.read_file(file).unwrap();
    scene
        .write_file(file, format!("{whole}\ndomian = \"x\"\n"), 0o644)
        .unwrap();
    scene
        .write_file(
            "/etc/prunella/prunella.toml",
            "retry-intervall = 1\n",
            0o644,
        )
        .unwrap();

    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.kill("other.service");
    scene.wait_healed("other.service");
    scene.kill("web.service");
    scene.wait_left_alone("web.service", "misconfigured");
    let status = one_line(&scene.prunella_ok(&["status"]));
    for part in [
        "web.service.toml",
        "not healed until",
        "retry-intervall",
        "last good",
    ] {
        assert!(status.contains(part), "{part} in {status}");
    }
}

#[test]
fn a_service_out_of_force_is_told_from_one_that_nobody_put_in_care() {
    let scene = scene()
        .service("other.service", &victim("", "--listen 8081"), "")
        .with_daemon();
    scene.prunella_ok(&["enable", "web.service"]);
    scene.start(&["web.service", "other.service"]);
    let file = "/etc/prunella/services.d/web.service.toml";
    let mistake = "services.d/web.service.toml:1: unknown key `domian`";
    let whole = scene.misspell(file);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();

    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.contains("web.service is not healed until this is mended"),
        "{status}"
    );
    let refused = || {
        let heal = scene.prunella(&["heal", "web.service"]);
        assert_eq!(heal.code, Some(3), "{heal:?}");
        let detail = scene.prunella_ok(&["status", "web.service"]);
        for said in [one_line(&heal.stderr), one_line(&detail)] {
            assert!(said.contains(mistake), "{said}");
            assert!(!said.contains("prunella enable"), "{said}");
        }
        let stranger = scene.prunella(&["status", "stranger.service"]);
        assert_eq!(stranger.code, Some(6), "{stranger:?}");
    };
    let hook_said = |times: usize| {
        scene
            .wait_for("the hook to say why", TIMEOUT, || {
                let lines = scene.journal(&["-t", "prunella"])?;
                let said = lines.iter().filter(|line| {
                    line["MESSAGE"].as_str().is_some_and(|message| {
                        message.contains("web.service has failed and is not healed")
                            && message.contains(mistake)
                    })
                });
                Ok((said.count() == times).then_some(()))
            })
            .unwrap();
    };
    refused();
    scene.kill("web.service");
    hook_said(1);
    let incident = scene.wait_left_alone("web.service", "misconfigured");
    let report = one_line(&scene.report(&incident));
    for part in [
        mistake,
        "SIGKILL",
        "prunella config check",
        "prunella reload",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(status.contains("✖ web"), "{status}");

    // The same where no daemon runs.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    refused();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    hook_said(2);
    let acts: Vec<String> = scene
        .incidents_of("web.service")
        .iter()
        .flat_map(|incident| scene.record(incident).acts())
        .collect();
    assert_eq!(acts, Vec::<String>::new());

    scene.write_file(file, &whole, 0o644).unwrap();
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    scene.wait_healed("web.service");
}

/// What is down when the mistake is mended is healed by the reload, and nothing has to
/// be asked for.
#[test]
fn without_a_good_main_file_the_daemon_stays_up_and_heals_nothing() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene
        .write_file(
            "/etc/prunella/prunella.toml",
            "retry-intervall = 1\n",
            0o644,
        )
        .unwrap();
    scene
        .run_ok(&["rm", "/var/lib/prunella/last-good-prunella.toml"])
        .unwrap();
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let daemon = scene.main_pid("prunella.service");
    let mistake = "prunella.toml:1: unknown key `retry-intervall`";
    let said = |status: &str| {
        let status = one_line(status);
        assert!(status.starts_with(mistake), "{status}");
        assert!(
            status.contains("nothing is healed until this is mended"),
            "{status}"
        );
        assert!(!status.contains("prunella enable"), "{status}");
    };
    said(&scene.prunella_ok(&["status"]));
    scene.kill("web.service");
    let incident = scene.wait_left_alone("web.service", "misconfigured");
    assert!(scene.report(&incident).contains("retry-intervall"));
    let heal = scene.prunella(&["heal", "web.service"]);
    assert_eq!(heal.code, Some(3), "{heal:?}");
    assert!(heal.stderr.contains("retry-intervall"), "{heal:?}");
    // A reload that fails leaves it so.
    assert!(scene.systemctl(&["reload", "prunella.service"]).is_err());
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(status.contains("nothing is healed"), "{status}");
    assert_eq!(scene.main_pid("prunella.service"), daemon);
    assert_eq!(scene.runs("web.service"), 1);

    scene
        .write_file("/etc/prunella/prunella.toml", "", 0o644)
        .unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    scene.wait_healed("web.service");
    assert_eq!(scene.main_pid("prunella.service"), daemon);
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(!status.contains("nothing is healed"), "{status}");
}

#[test]
fn a_hook_heals_nothing_without_a_good_main_file_and_says_why() {
    let scene = scene().with_hooks();
    scene.start(&["web.service"]);
    scene
        .write_file(
            "/etc/prunella/prunella.toml",
            "retry-intervall = 1\n",
            0o644,
        )
        .unwrap();
    scene
        .run(&["rm", "-f", "/var/lib/prunella/last-good-prunella.toml"])
        .unwrap();
    scene.kill("web.service");
    let incident = scene.wait_left_alone("web.service", "misconfigured");
    assert!(scene.report(&incident).contains("retry-intervall"));
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.starts_with("prunella.toml:1: unknown key `retry-intervall`"),
        "{status}"
    );
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn services_of_a_folder_that_others_can_write_are_watched_and_not_healed() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    let folder = "/etc/prunella/services.d";
    scene.run_ok(&["chmod", "777", folder]).unwrap();
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let status = one_line(&scene.prunella_ok(&["status"]));
    for part in [
        "services.d: others can write it (mode 0777)",
        "chmod go-w /etc/prunella/services.d",
        "web.service is not healed",
    ] {
        assert!(status.contains(part), "{part} in {status}");
    }
    scene.kill("web.service");
    scene.wait_left_alone("web.service", "misconfigured");
    assert_eq!(scene.runs("web.service"), 1);

    scene.run_ok(&["chmod", "go-w", folder]).unwrap();
    scene.prunella_ok(&["reload"]);
    scene.wait_healed("web.service");
}

#[test]
fn the_kill_switch_stands_in_the_first_line() {
    let scene = scene().with_daemon();
    scene.write_file("/etc/prunella/off", "", 0o644).unwrap();
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.starts_with("nothing is healed while /etc/prunella/off is there"),
        "{status}"
    );
}

#[test]
fn wrappers_protected_units_and_bad_secrets_are_told_by_the_check() {
    let scene = scene()
        .unit(
            "db.service",
            "[Unit]\nWants=db@1.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
             ExecStart=/bin/true\n",
        )
        .unit("db@.service", &victim("", ""))
        .file(
            "/etc/prunella/services.d/db.toml",
            "unit = \"db.service\"\n",
            0o644,
        )
        .file(
            "/etc/prunella/services.d/own.toml",
            "unit = \"own.service\"\nstrategies = []\n",
            0o644,
        )
        .unit("own.service", &victim("", ""))
        .file(
            "/etc/prunella/prunella.toml",
            "[protect]\nadd = [\"nosuch.service\", \"own\"]\n\
             [channel.empty]\nkind = \"slack\"\nurl-file = \"/etc/prunella/secrets/empty\"\n\
             [channel.lines]\nkind = \"slack\"\nurl-file = \"/etc/prunella/secrets/lines\"\n\
             [alerts]\nescalation = [\"empty\", \"lines\"]\n",
            0o644,
        )
        .file("/etc/prunella/secrets/empty", "\n", 0o600)
        .file("/etc/prunella/secrets/lines", "a\nb\n", 0o600)
        .without_daemon();
    let said = scene.prunella_ok(&["config", "check"]);
    for part in [
        "db.service is a wrapper that does nothing itself",
        "services.d/db.toml:1:8",
        "db@1.service",
        "there is no unit nosuch.service on this host to protect",
        "own.service is protected",
        "take it out of `add`",
        "`strategies` is empty",
        "what is in /etc/prunella/secrets/empty cannot be used: it is empty",
        "what is in /etc/prunella/secrets/lines cannot be used: it is not one line",
        "6 warnings",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert!(!said.contains("remove = ["), "{said}");
}

#[test]
fn what_does_not_fit_this_host_is_told_by_the_check_and_by_the_daemon() {
    let scene = scene().with_daemon();
    let before = scene.prunella_ok(&["config", "check"]);
    assert!(!before.contains("warning"), "{before}");
    let write = |path: &str, text: &str| scene.write_file(path, text, 0o644).unwrap();
    write(
        "/etc/prunella/services.d/gone.toml",
        "unit = \"gone.service\"\n",
    );
    write(
        "/etc/prunella/services.d/bus.toml",
        "unit = \"dbus.service\"\n",
    );
    write(
        "/etc/prunella/services.d/more.conf",
        "unit = \"x.service\"\n",
    );
    write(
        "/etc/prunella/services.d/old.toml.disabled",
        "unit = \"\"\n",
    );
    let web = scene
        .read_file("/etc/prunella/services.d/web.service.toml")
        .unwrap();
    write(
        "/etc/prunella/services.d/web.service.toml",
        &format!(
            "{web}\n[[file]]\nname = \"data\"\npath = \"/opt/web.conf\"\n\
             owner = \"no-such-user:no-such-group\"\n\
             [[file]]\nname = \"more\"\npath = \"/opt/no-such-folder/x\"\n\
             [[check]]\nname = \"more\"\ncommand = [\"/opt/no-such-program\"]\n"
        ),
    );
    let line = |text: &str| {
        let web = scene
            .read_file("/etc/prunella/services.d/web.service.toml")
            .unwrap();
        let line = web.lines().position(|line| line.contains(text)).unwrap() + 1;
        format!("services.d/web.service.toml:{line}:")
    };
    let places = ["no-such-user", "no-such-folder", "no-such-program"].map(line);
    let main = scene.read_file("/etc/prunella/prunella.toml").unwrap();
    write(
        "/etc/prunella/prunella.toml",
        &format!(
            "{main}\n[channel.team]\nkind = \"slack\"\nurl-file = \"/etc/prunella/secrets/team\"\n"
        ),
    );

    let checked = scene.prunella(&["config", "check"]);
    assert_eq!(
        checked.code,
        Some(0),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let said = checked.stdout;
    for part in [
        "there is no unit gone.service on this host",
        "services.d/gone.toml:1:8",
        "dbus.service is protected",
        "services.d/bus.toml:1:8",
        "services.d/more.conf",
        "does not end in `.toml`",
        "there is no user `no-such-user`",
        "there is no group `no-such-group`",
        "the secret's file /etc/prunella/secrets/team is not there",
        "prunella.toml:",
        "the folder /opt/no-such-folder of the file `more` is not there",
        "the program /opt/no-such-program of the check `more` is not there",
        "9 warnings",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    for place in places {
        assert!(said.contains(&place), "{place:?} in {said}");
    }
    assert!(!said.contains("old.toml"), "{said}");

    scene.prunella_ok(&["reload"]);
    for part in ["no unit gone.service", "more.conf", "no-such-user"] {
        scene
            .wait_for(part, TIMEOUT, || {
                let log = scene.run_ok(&["journalctl", "-o", "cat", "-u", "prunella.service"])?;
                Ok(log.contains(part).then_some(()))
            })
            .unwrap();
    }

    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("no such unit"), "{status}");
    assert!(!status.contains("is not known"), "{status}");

    // Another host's configuration does not have to fit.
    scene
        .run_ok(&["cp", "-r", "/etc/prunella", "/opt/other"])
        .unwrap();
    let other = scene.prunella_ok(&["config", "check", "--config", "/opt/other"]);
    assert!(!other.contains("gone.service"), "{other}");
    assert!(other.contains("Not compared with this host"), "{other}");
}

/// Each of these was accepted without a word, and showed at the next failure only.
#[test]
fn what_would_show_at_the_next_failure_only_is_told_by_the_check() {
    let scene = scene().with_daemon();
    let write = |path: &str, text: &str, mode| scene.write_file(path, text, mode).unwrap();
    write("/opt/web.env", "PORT=8080\nTOKEN=\n", 0o644);
    let services = "/etc/prunella/services.d/web.service.toml";
    let web = scene.read_file(services).unwrap();
    let more = "[[file]]\nname = \"folder\"\npath = \"/opt/web.conf\"\nrole = \"directory\"\n\
                [[file]]\nname = \"gone\"\npath = \"/opt/gone.conf\"\n\
                [[file]]\nname = \"env\"\npath = \"/opt/web.env\"\nrole = \"env\"\n\
                keys = [\"PORT\", \"TOKEN\", \"DATABASE_URL\"]\n\
                [[probe]]\nname = \"asks\"\ncommand = [\"/opt/no-such-probe\"]\n";
    write(services, &format!("{web}\n{more}"), 0o644);
    write(
        "/etc/prunella/services.d/.db.toml",
        "unit = \"db\"\n",
        0o644,
    );
    scene
        .run_ok(&["mkdir", "/etc/prunella/services.d/sub"])
        .unwrap();
    scene
        .run_ok(&["mkdir", "-p", "/etc/prunella/secrets"])
        .unwrap();
    write("/etc/prunella/secrets/team", "hooks.example.org/x\n", 0o600);
    write("/etc/prunella/secrets/bot", "hunter2\n", 0o600);
    let main = scene.read_file("/etc/prunella/prunella.toml").unwrap();
    let channels = "[channel.team]\nkind = \"slack\"\nurl-file = \"/etc/prunella/secrets/team\"\n\
                    [channel.bot]\nkind = \"webhook\"\nurl = \"https://example.org/x\"\n\
                    secret-file = \"/etc/prunella/secrets/bot\"\n";
    write(
        "/etc/prunella/prunella.toml",
        &format!("{main}\n{channels}"),
        0o644,
    );

    let said = scene.prunella_ok(&["config", "check"]);
    for part in [
        "/opt/web.conf (`folder`) is declared as directory, and is a regular file",
        "the file /opt/gone.conf (`gone`) is not there",
        "/opt/web.env (`env`) does not set `TOKEN`, `DATABASE_URL`",
        "the program /opt/no-such-probe of the probe `asks` is not there",
        "services.d/.db.toml",
        "it is hidden",
        "services.d/sub",
        "this is a folder",
        "what is in /etc/prunella/secrets/team cannot be used: it is not a URL",
        "what is in /etc/prunella/secrets/bot cannot be used: the key of the signature",
        "10 warnings",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_file_that_is_corrected_meanwhile_ends_the_wait_for_what_was_wrong_in_it() {
    let wrong = "ports = [\"tcp/8081\"]\n[proof]\ntimeout = \"20s\"\nstable-for = \"500ms\"\n";
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), wrong)
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene
        .wait_for("the service to be up again", TIMEOUT, || {
            let up = scene.property("web.service", "ActiveState")? == "active";
            Ok((up && scene.runs("web.service") == 2).then_some(()))
        })
        .unwrap();

    let file = "/etc/prunella/services.d/web.service.toml";
    let checked = scene.prunella_ok(&["config", "check"]);
    assert!(checked.contains("nobody holds tcp/8081"), "{checked}");
    let right = scene.read_file(file).unwrap().replace("8081", "8080");
    scene.write_file(file, right, 0o644).unwrap();
    scene.prunella_ok(&["reload"]);

    let incident = scene.wait_healed("web.service");
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        ["unit-control.start web.service"],
        "{}",
        record.text()
    );
    assert_eq!(scene.runs("web.service"), 2, "it was well, and left alone");
    let checked = scene.prunella_ok(&["config", "check"]);
    assert!(!checked.contains("nobody holds"), "{checked}");
}
