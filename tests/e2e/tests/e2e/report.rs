//! What people read about an incident, and whether what it tells them to run
//! works.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, TIMEOUT, victim};

/// The line of a report that begins so, as it would be typed.
fn command(report: &str, begin: &str) -> String {
    report
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(begin))
        .unwrap_or_else(|| unreachable!("no `{begin}` in {report}"))
        .to_owned()
}

#[test]
fn the_commands_in_an_escalation_show_why_it_failed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/needed"),
            "[budget]\nhealings = 2\nwindow = \"10m\"\nbackoff = [\"0s\", \"100ms\"]\n",
        )
        .with_daemon();
    scene.try_systemctl(&["start", "web.service"]).unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);

    let journal = command(&report, "journalctl -u web.service");
    let shown = scene.run_ok(&["sh", "-c", &journal]).unwrap();
    // The last line of a process that was gone at once, and what systemd says.
    assert!(
        shown.contains("/opt/needed is missing"),
        "{journal}: {shown}"
    );
    assert!(shown.contains("Failed with result"), "{journal}: {shown}");

    // It is down, which is what systemctl tells with 3.
    let status = command(&report, "systemctl status");
    let shown = scene.run(&["sh", "-c", &status]).unwrap();
    assert_eq!(shown.code, Some(3), "{status}");

    let again = command(&report, "prunella incidents");
    let again: Vec<&str> = again.split_whitespace().skip(1).collect();
    assert!(scene.prunella_ok(&again).contains("What to do now"));

    let page = scene.prunella_ok(&["incidents", &incident.id, "--html"]);
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(page.contains("needed is missing"), "{page}");
    assert!(page.ends_with("</html>\n"), "{page}");
}

#[test]
fn repeated_healing_is_called_out() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);

    scene.kill("web.service");
    let first = scene.wait_healed("web.service");
    assert!(!scene.report(&first).contains("this week"));

    scene.kill("web.service");
    let second = scene
        .wait_for("the second healing", TIMEOUT, || {
            let mut all = scene.incidents_of("web.service");
            all.retain(|incident| incident.is("healed") && incident.id != first.id);
            Ok(all.pop())
        })
        .unwrap();
    let report = scene.report(&second);
    assert!(report.contains("healed twice this week"), "{report}");
    assert!(report.contains("find out who sends the signal"), "{report}");
    // What was true of the first is so still.
    assert!(!scene.report(&first).contains("this week"));
}

#[test]
fn a_broken_template_keeps_no_report_back() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .file(
            "/etc/prunella/templates/report.txt",
            "{{ headline }}\n{{ nobody }}\n",
            0o644,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");

    let shown = scene.prunella(&["incidents", &incident.id]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.contains("healed by service-restart"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("a template of yours was not used"),
        "{}",
        shown.stdout
    );
    assert!(shown.stderr.contains("report.txt:2:4"), "{}", shown.stderr);

    let checked = scene.prunella(&["config", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("report.txt:2:4"),
        "{}",
        checked.stdout
    );

    scene
        .write_file(
            "/etc/prunella/templates/report.txt",
            "OURS: {{ headline }}\n",
            0o644,
        )
        .unwrap();
    let shown = scene.prunella_ok(&["incidents", &incident.id]);
    assert!(shown.starts_with("OURS: web.service failed"), "{shown}");
    assert_eq!(shown.lines().count(), 1, "{shown}");
}
