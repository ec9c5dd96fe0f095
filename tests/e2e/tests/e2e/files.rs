//! Files that are missing, or are not as they should be.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, one_line, victim};

#[test]
fn a_missing_symlink_is_put_back() {
    let scene = Scene::builder()
        .file("/opt/releases/1/app.db", "data", 0o644)
        .service(
            "web.service",
            &victim("", "--read /opt/current"),
            "[[file]]\nname = \"database\"\npath = \"/opt/current\"\nrole = \"symlink\"\n\
             target = \"/opt/releases/1/app.db\"\n",
        )
        .with_daemon();
    scene
        .run_ok(&["ln", "-s", "/opt/releases/1/app.db", "/opt/current"])
        .unwrap();
    scene.start(&["web.service"]);

    scene.remove_file("/opt/current").unwrap();
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");

    let link = scene.run_ok(&["readlink", "/opt/current"]).unwrap();
    assert_eq!(link, "/opt/releases/1/app.db\n");
    let acts = scene.record(&incident).acts();
    assert!(
        acts.iter().any(|act| act.starts_with("file-repair.target")),
        "{acts:?}"
    );
}

#[test]
fn a_wrong_mode_is_put_right() {
    let scene = Scene::builder()
        .file("/opt/data/app.db", "data", 0o644)
        .service(
            "web.service",
            &victim("User=www-data", "--read /opt/data/app.db"),
            "[[file]]\nname = \"database\"\npath = \"/opt/data/app.db\"\nmode = \"0644\"\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);

    scene
        .run_ok(&["chmod", "0600", "/opt/data/app.db"])
        .unwrap();
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");

    let mode = scene
        .run_ok(&["stat", "-c", "%a %U", "/opt/data/app.db"])
        .unwrap();
    assert_eq!(mode, "644 root\n");
    let acts = scene.record(&incident).acts();
    assert!(
        acts.iter().any(|act| act.starts_with("file-repair.mode")),
        "{acts:?}"
    );
}

#[test]
fn a_missing_key_is_named_and_no_value_is_shown() {
    let scene = Scene::builder()
        .file("/opt/web.env", "KEY=1\nTOKEN=hunter2-hunter2\n", 0o600)
        .service(
            "web.service",
            &victim("EnvironmentFile=/opt/web.env", "--need-env KEY"),
            "[[file]]\nname = \"env\"\npath = \"/opt/web.env\"\nrole = \"env\"\n\
             read-by = \"manager\"\nkeys = [\"KEY\", \"TOKEN\"]\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);

    scene
        .write_file("/opt/web.env", "KEY=\nTOKEN=hunter2-hunter2\n", 0o600)
        .unwrap();
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");

    assert_eq!(
        scene.runs("web.service"),
        1,
        "it was not started without its key"
    );
    let report = scene.report(&incident);
    assert!(report.contains("KEY"), "{report}");
    let everything = report + &scene.record(&incident).text();
    assert!(
        !everything.contains("hunter2"),
        "a value was shown: {everything}"
    );
}

#[test]
fn a_missing_environment_file_is_named_with_its_path_and_the_time() {
    let scene = Scene::builder()
        .file("/etc/shop/web.env", "A=1\n", 0o644)
        .service(
            "web.service",
            &victim("EnvironmentFile=/etc/shop/web.env", ""),
            "[[file]]\nname = \"environment\"\npath = \"/etc/shop/web.env\"\nrole = \"env\"\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.run_ok(&["rm", "/etc/shop/web.env"]).unwrap();
    // A change of the unit's file, which has nothing to do with it.
    scene
        .write_file(
            "/etc/systemd/system/web.service.d/x.conf",
            "[Unit]\n",
            0o644,
        )
        .unwrap();
    scene.kill("web.service");

    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    let why = report
        .lines()
        .skip_while(|line| !line.starts_with("Why:"))
        .take_while(|line| !line.starts_with("To do:"))
        .collect::<String>();
    assert!(why.contains("/etc/shop/web.env"), "{report}");
    // No label reads like the name of a file.
    let status = one_line(&scene.prunella_ok(&["status"]));
    for told in [one_line(&report), status] {
        assert!(
            told.contains("the environment file /etc/shop/web.env"),
            "{told}"
        );
        assert!(!told.contains("`environment`"), "{told}");
    }
    assert!(
        report.contains("something in /etc/shop last changed"),
        "since when: {report}"
    );
    assert!(!report.contains("take that change back"), "{report}");
}
