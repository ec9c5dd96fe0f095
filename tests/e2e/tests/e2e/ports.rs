//! Ports that somebody else holds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, victim};

const PORT: &str = r#"ports = ["tcp/8080"]"#;

#[test]
fn a_leftover_of_the_service_is_terminated() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("KillMode=process", "--listen 8080 --leave-child"),
            PORT,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    let main = scene.main_pid("web.service").to_string();
    let group = format!(
        "/sys/fs/cgroup{}/cgroup.procs",
        scene.property("web.service", "ControlGroup").unwrap()
    );
    let processes = scene.read_file(&group).unwrap();
    assert_eq!(processes.lines().count(), 2, "{processes}");

    // Only the main process: its child lives on and keeps the port.
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();
    let incident = scene.wait_healed("web.service");

    let acts = scene.record(&incident).acts();
    assert!(
        acts.iter()
            .any(|act| act.starts_with("process-control.terminate")),
        "{acts:?}"
    );
    let now = scene.read_file(&group).unwrap();
    assert_eq!(now.lines().count(), 2, "the new run and its child: {now}");
    let stayed = now
        .lines()
        .find(|pid| processes.lines().any(|old| old == *pid));
    assert_eq!(stayed, None, "{processes} {now}");
    assert!(scene.answers(8080));
}

#[test]
fn a_stranger_is_named_and_left_alone() {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .service("web.service", &victim("", "--listen 8080"), PORT)
        .with_daemon();
    scene.start(&["stranger.service"]);
    let stranger = scene.main_pid("stranger.service");

    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let incident = scene.wait_ended("web.service", "escalated");

    let record = scene.record(&incident);
    assert_eq!(record.acts(), Vec::<String>::new());
    let report = scene.report(&incident);
    assert!(
        report.contains("stranger.service"),
        "it says who holds the port: {report}"
    );
    assert!(
        report.contains("  systemctl stop stranger.service\n"),
        "it says how to free the port: {report}"
    );
    assert_eq!(scene.main_pid("stranger.service"), stranger);
    assert!(scene.answers(8080));
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn somebodys_own_process_with_the_same_program_is_no_leftover() {
    // Same executable, same user, same port: none of that proves anything.
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), PORT)
        .with_daemon();
    scene
        .run_ok(&[
            "systemd-run",
            "--quiet",
            "--scope",
            "--unit=session",
            "sh",
            "-c",
            "setsid /opt/test/victim --listen 8080 </dev/null >/dev/null 2>&1 &",
        ])
        .unwrap();
    scene
        .wait_for("the port to be taken", TIMEOUT, || {
            Ok(scene.answers(8080).then_some(()))
        })
        .unwrap();

    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let incident = scene.wait_ended("web.service", "escalated");

    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert!(scene.answers(8080));
}

#[test]
fn the_port_of_a_socket_unit_is_no_conflict() {
    let scene = Scene::builder()
        .unit("lazy.socket", "[Socket]\nListenStream=127.0.0.1:8080\n")
        .service(
            "lazy.service",
            &victim(
                "StandardInput=socket\nStandardOutput=journal",
                "--listen-stdin",
            ),
            PORT,
        )
        .with_daemon();
    scene.start(&["lazy.socket"]);
    assert!(scene.answers(8080));

    scene.kill("lazy.service");
    let incident = scene.wait_ended("lazy.service", "healed");

    let acts = scene.record(&incident).acts();
    assert!(
        !acts.iter().any(|act| act.starts_with("process-control")),
        "{acts:?}"
    );
    assert_eq!(
        scene.property("lazy.socket", "ActiveState").unwrap(),
        "active"
    );
    assert!(scene.answers(8080));
}

/// Kills `web.service` while another service has its port, too.
fn healed_beside(beside: &str, web: &str) {
    let scene = Scene::builder()
        .unit("beside.service", &victim("", beside))
        .service("web.service", &victim("", web), PORT)
        .with_daemon();
    scene.start(&["beside.service", "web.service"]);
    let other = scene.main_pid("beside.service");

    scene.kill("web.service");
    scene.wait_healed("web.service");

    assert_eq!(scene.runs("web.service"), 2, "one start was enough");
    assert_eq!(scene.main_pid("beside.service"), other);
}

#[test]
fn a_service_at_another_address_is_no_conflict() {
    healed_beside("--listen 127.0.0.53:8080", "--listen 127.0.0.1:8080");
}

#[test]
fn a_service_that_shares_the_port_is_no_conflict() {
    healed_beside("--reuse-port --listen 8080", "--reuse-port --listen 8080");
}

/// Starts `web.service` on 127.0.0.1:8080 while `stranger` has the port.
fn held_back_by(stranger: &str) {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", stranger))
        .service("web.service", &victim("", "--listen 8080"), PORT)
        .with_daemon();
    scene.start(&["stranger.service"]);

    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let incident = scene.wait_ended("web.service", "escalated");

    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    let report = scene.report(&incident);
    for part in ["stranger.service", "the service's log says"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn a_stranger_on_all_addresses_holds_each_of_them() {
    held_back_by("--listen 0.0.0.0:8080");
}

#[test]
fn a_stranger_on_ipv6_holds_ipv4_too() {
    held_back_by("--listen [::]:8080");
}

#[test]
fn the_address_that_tells_two_services_apart_is_learned_and_proven() {
    let scene = Scene::builder()
        .unit("beside.service", &victim("", "--listen 127.0.0.53:8080"))
        .unit("web.service", &victim("", "--listen 127.0.0.1:8080"))
        .with_daemon();
    scene.start(&["beside.service", "web.service"]);
    scene.prunella_ok(&["enable", "web.service"]);
    let declared = scene
        .read_file("/etc/prunella/services.d/web.toml")
        .unwrap();
    assert!(declared.contains("tcp/127.0.0.1:8080"), "{declared}");

    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    let report = scene.report(&incident);
    assert!(
        report.contains("tcp/127.0.0.1:8080 is held by web.service"),
        "{report}"
    );
}

#[test]
fn closed_connections_are_waited_for_instead_of_starting_in_vain() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--no-reuse-address --listen 8080"),
            PORT,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    // The server closes first, so the kernel keeps its side of the connection; a
    // client that leaves something unread would reset it instead.
    let get = "exec 3<>/dev/tcp/127.0.0.1/8080 && echo GET / >&3 && cat <&3";
    let answer = scene.run_ok(&["bash", "-c", get]).unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
    scene.kill("web.service");
    // The kernel keeps it for a minute.
    scene
        .wait_for("the service to be healed", 3 * TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            Ok(incidents
                .iter()
                .any(|one| one.ended.is_some())
                .then_some(()))
        })
        .unwrap();
    let incident = scene.wait_healed("web.service");

    let record = scene.record(&incident);
    let starts: Vec<String> = record
        .acts()
        .into_iter()
        .filter(|act| act.contains("start"))
        .collect();
    assert!(starts.len() <= 2, "one start in vain at most: {starts:?}");
    let report = scene.report(&incident);
    assert!(report.contains("TIME_WAIT"), "{report}");
}

/// That it could not bind its port was the stranger's doing, not that of the closed
/// connections which are left of the stranger.
#[test]
fn closed_connections_are_not_waited_for_after_a_stranger_is_gone() {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .service("web.service", &victim("", "--listen 8080"), PORT)
        .with_daemon();
    scene.start(&["stranger.service"]);
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene.wait_ended("web.service", "escalated");
    let get = "exec 3<>/dev/tcp/127.0.0.1/8080 && echo GET / >&3 && cat <&3";
    scene.run_ok(&["bash", "-c", get]).unwrap();
    scene.systemctl(&["stop", "stranger.service"]).unwrap();
    // 8080, in TIME_WAIT.
    let sockets = scene.run_ok(&["cat", "/proc/net/tcp"]).unwrap();
    assert!(
        sockets
            .lines()
            .any(|line| line.contains(":1F90 ") && line.contains(" 06 ")),
        "{sockets}"
    );

    scene.prunella_ok(&["heal", "web.service"]);
    let incident = scene.wait_healed("web.service");
    let record = scene.record(&incident);
    let healed_by: Vec<String> = record.steps("heals").map(ToString::to_string).collect();
    assert_eq!(healed_by.len(), 1, "{healed_by:?}");
    assert!(healed_by[0].contains("service-restart"), "{healed_by:?}");
    assert!(scene.answers(8080));
}

/// It runs, and another service has its port: a restart is no help.
#[test]
fn a_service_that_runs_without_its_port_is_handed_to_people_with_the_holders_name() {
    let scene = Scene::builder()
        .unit("other.service", &victim("", "--listen 8080"))
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n[proof]\ntimeout = \"2s\"\n\
             [budget]\nhealings = 5\nwindow = \"1h\"\nbackoff = [\"0s\"]\n",
        )
        .with_daemon();
    // It had the port once.
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    scene.systemctl(&["stop", "web.service"]).unwrap();
    let unit = "/etc/systemd/system/web.service";
    let text = scene.read_file(unit).unwrap();
    scene
        .write_file(unit, text.replace("--listen 8080", "--listen 8081"), 0o644)
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.start(&["other.service", "web.service"]);

    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    let beginning: String = report.chars().take(90).collect();
    assert!(beginning.contains("tcp/8080 is held by"), "{report}");
    assert!(report.contains("Stop other.service"), "{report}");
    assert!(report.contains("systemctl stop other.service"), "{report}");
    assert_eq!(scene.runs("other.service"), 1);
}

/// A port that is declared wrongly: the service is well without it.
#[test]
fn a_port_that_a_service_never_held_proves_nothing_and_one_that_it_held_does() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/9998\"]\n[proof]\ntimeout = \"2s\"\n",
        )
        .service(
            "other.service",
            &victim("", "--listen 8081"),
            "ports = [\"tcp/8081\"]\n[proof]\ntimeout = \"2s\"\n\
             [budget]\nhealings = 2\nwindow = \"1h\"\nbackoff = [\"0s\"]\n",
        )
        .with_daemon();
    scene.start(&["web.service", "other.service"]);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    assert_eq!(
        scene.record(&incident).acts(),
        ["unit-control.start web.service"]
    );
    assert_eq!(scene.runs("web.service"), 2);
    let report = scene.report(&incident);
    assert!(
        report.contains("tcp/9998 has never been held since it was declared"),
        "{report}"
    );

    // It had its port once.
    scene.kill("other.service");
    scene.wait_healed("other.service");
    let unit = "/etc/systemd/system/other.service";
    let text = scene.read_file(unit).unwrap();
    scene
        .write_file(unit, text.replace("--listen 8081", "--listen 8082"), 0o644)
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.kill("other.service");
    let incident = scene.wait_ended("other.service", "escalated");
    let record = scene.record(&incident).text();
    assert!(record.contains("tcp/8081 is held by nobody"), "{record}");
}
