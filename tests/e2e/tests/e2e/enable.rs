//! What `prunella enable` writes by itself, and what that is good for.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT, VICTIM, one_line, victim};

/// The services file that `enable` wrote for a unit.
fn written(scene: &Scene, stem: &str) -> String {
    scene
        .read_file(format!("/etc/prunella/services.d/{stem}.toml"))
        .unwrap()
}

/// A server that is known by the name of its program, and speaks Redis.
fn cache(options: &str) -> String {
    format!("[Service]\nType=notify\nExecStart=/opt/test/bin/redis-server --notify {options}\n")
}

/// A scene in which the victim goes by the name of a known program, too.
fn with_cache(builder: Builder) -> Builder {
    builder.unit("cache.service", &cache("--listen 6379")).unit(
        "link.service",
        &format!(
            "[Unit]\nBefore=cache.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/mkdir -p /opt/test/bin\n\
                 ExecStart=/bin/ln -sf {VICTIM} /opt/test/bin/redis-server\n"
        ),
    )
}

#[test]
fn a_service_that_hangs_is_noticed_as_enable_leaves_it() {
    let scene = with_cache(Scene::builder())
        .unit("web.service", &victim("", "--listen 8080 --only /healthz"))
        .unit("other.service", &victim("", "--listen 8081"))
        .with_daemon();
    scene.start(&["link.service"]);
    scene.start(&["web.service", "cache.service", "other.service"]);
    scene.prunella_ok(&["enable", "--critical", "web.service", "cache.service"]);
    scene.prunella_ok(&["enable", "other.service"]);
    let web = written(&scene, "web");
    for line in [
        "critical = true",
        "http = \"http://127.0.0.1:8080/healthz\"",
        "interval = \"5s\"",
        "failure-threshold = 3",
        "/healthz answers 200 now",
    ] {
        assert!(web.contains(line), "{line} in {web}");
    }
    let cache = written(&scene, "cache");
    assert!(cache.contains("redis = \"127.0.0.1:6379\""), "{cache}");
    let other = written(&scene, "other");
    assert!(other.contains("http://127.0.0.1:8081/health"), "{other}");
    assert!(other.contains("\ninterval = \"10s\""), "{other}");

    // One stops answering; the other is not even there for the kernel to schedule.
    scene
        .systemctl(&["kill", "--signal=USR1", "web.service"])
        .unwrap();
    scene
        .systemctl(&["kill", "--signal=STOP", "cache.service"])
        .unwrap();
    for unit in ["web.service", "cache.service"] {
        let incident = scene.wait_healed(unit);
        assert_eq!(
            scene.record(&incident).acts(),
            [format!("unit-control.restart {unit}")]
        );
        assert_eq!(scene.runs(unit), 2);
    }
    assert_eq!(scene.incidents_of("other.service").len(), 0);
    assert_eq!(scene.runs("other.service"), 1);
}

#[test]
fn what_the_environment_points_to_is_a_dependency() {
    let scene = with_cache(Scene::builder())
        .unit(
            "db.service",
            &victim("RuntimeDirectory=db", "--listen-unix /run/db/.s.PGSQL.5432"),
        )
        .unit(
            "shop.service",
            &victim(
                "EnvironmentFile=/etc/shop.env\nEnvironment=REDIS_URL=redis://localhost/0",
                "--listen 8080",
            ),
        )
        .file(
            "/etc/shop.env",
            "DATABASE_URL=\"postgresql://shop:hunter2@/shop?host=/run/db\"\n\
             AMQP_URL=amqp://me:hunter2@mq.example/\n\
             SEARCH_SOCKET=unix:/run/search.sock\n",
            0o600,
        )
        .with_daemon();
    scene.start(&["link.service"]);
    scene.start(&["cache.service", "db.service", "shop.service"]);

    let said = scene.prunella_ok(&["enable", "shop.service"]);
    let shop = written(&scene, "shop");
    assert!(
        shop.contains("depends-on = [\"cache.service\", \"db.service\"]"),
        "{shop}"
    );
    for reason in [
        "REDIS_URL in Environment= points to tcp/6379",
        "DATABASE_URL in /etc/shop.env points to /run/db/.s.PGSQL.5432",
    ] {
        assert!(shop.contains(reason), "{reason} in {shop}");
    }
    assert!(!shop.contains("hunter2"), "{shop}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_unit_that_is_starting_is_waited_for() {
    let scene = Scene::builder()
        .unit(
            "slow.service",
            &victim("TimeoutStartSec=40s", "--start-takes 4000 --listen 8080"),
        )
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "slow.service"])
        .unwrap();
    let said = scene.prunella_ok(&["enable", "slow.service"]);
    assert!(
        said.contains("slow.service is starting; for 40 s at most"),
        "{said}"
    );
    let slow = written(&scene, "slow");
    assert!(slow.contains("ports = [\"tcp/8080\"]"), "{slow}");
    assert_eq!(scene.runs("slow.service"), 1);
}

#[test]
fn what_people_log_in_by_is_left_alone() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .unit("console-getty.service", &victim("", ""))
        .with_daemon();
    scene.start(&["web.service", "console-getty.service"]);

    let refused = scene.prunella(&["enable", "console-getty.service"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("people log in by it"),
        "{refused:?}"
    );
    let said = scene.prunella_ok(&["enable", "--all"]);
    assert!(
        said.contains("passed over  console-getty.service"),
        "{said}"
    );
    assert!(said.contains("services.d/web.toml"), "{said}");
    assert!(
        !scene
            .exists("/etc/prunella/services.d/console-getty.toml")
            .unwrap()
    );
}

/// The examples in a services file: a `#` that no space follows.
fn is_example(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '))
}

/// The file with some of its examples in force: those for which `wanted` says so, by the
/// number of their block; a key outside of a section is a block of its own.
fn with_examples(text: &str, wanted: impl Fn(usize) -> bool) -> (String, usize) {
    let mut blocks = 0;
    let mut in_section = false;
    let mut result = String::new();
    for line in text.lines() {
        if !is_example(line) {
            in_section = false;
            result.push_str(line);
        } else {
            let begins_section = line.starts_with("#[");
            if begins_section || !in_section {
                blocks += 1;
            }
            in_section = in_section || begins_section;
            result.push_str(if wanted(blocks - 1) { &line[1..] } else { line });
        }
        result.push('\n');
    }
    (result, blocks)
}

#[test]
fn examples_can_be_put_in_force_one_by_one_and_all_together() {
    let scene = with_cache(Scene::builder())
        .unit(
            "shop.service",
            &victim("EnvironmentFile=/etc/shop.env", "--listen 8080"),
        )
        .unit("worker.service", &victim("", ""))
        .file("/etc/shop.env", "REDIS_URL=redis://localhost\n", 0o600)
        .with_daemon();
    scene.start(&["link.service"]);
    scene.start(&["cache.service", "shop.service", "worker.service"]);
    scene.prunella_ok(&["enable", "cache.service", "shop.service"]);
    scene.prunella_ok(&["enable", "--critical", "worker.service"]);
    let before = scene.prunella_ok(&["config", "check"]);
    for stem in ["cache", "shop", "worker"] {
        let file = format!("/etc/prunella/services.d/{stem}.toml");
        let text = written(&scene, stem);
        let (_, blocks) = with_examples(&text, |_| false);
        assert!(blocks >= 3, "{text}");
        let check = |changed: &str| {
            scene.write_file(&file, changed, 0o644).unwrap();
            let check = scene.prunella(&["config", "check"]);
            assert_eq!(check.code, Some(0), "{check:?}\n{changed}");
            assert_eq!(check.stdout, before, "{changed}");
            assert_eq!(check.stderr, "", "{changed}");
        };
        for block in 0..blocks {
            check(&with_examples(&text, |one| one == block).0);
        }
        check(&with_examples(&text, |_| true).0);
        scene.write_file(&file, &text, 0o644).unwrap();
    }
}

/// Six questions a second.
fn asked_often() -> String {
    (0..6)
        .map(|number| {
            format!(
                "[[probe]]\nname = \"p{number}\"\nhttp = \"http://127.0.0.1:8080/health\"\n\
                 interval = \"1s\"\n"
            )
        })
        .collect()
}

fn wait_for_many_questions(scene: &Scene) {
    scene
        .wait_for("many questions", TIMEOUT, || {
            let lines = scene.journal(&["-u", "web.service"])?;
            let asked = lines.iter().filter(|line| {
                line["MESSAGE"]
                    .as_str()
                    .is_some_and(|message| message.contains("GET /health"))
            });
            Ok((asked.count() >= 60).then_some(()))
        })
        .unwrap();
}

/// Access lines of its own questions would push out what a service said.
#[test]
fn questions_of_prunellas_own_are_not_the_last_it_logged() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080 --log-requests"),
            &asked_often(),
        )
        .with_daemon();
    scene.start(&["web.service"]);
    wait_for_many_questions(&scene);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    let report = scene.report(&incident);
    assert!(!report.contains("GET /health"), "{report}");
    assert!(report.contains("victim: ready"), "{report}");
}

#[test]
fn questions_are_recognised_in_a_log_that_does_not_say_who_asks() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080 --log-plainly"),
            &asked_often(),
        )
        .with_daemon();
    scene.start(&["web.service"]);
    // Bash's own printf writes line by line, and the server answers the first.
    let other = "exec 3<>/dev/tcp/127.0.0.1/8080 && \
                 /usr/bin/printf 'GET /health HTTP/1.1\\r\\nX-Forwarded-For: 192.0.2.9\\r\\n\\r\\n' >&3 && \
                 cat <&3";
    scene.run_ok(&["bash", "-c", other]).unwrap();
    wait_for_many_questions(&scene);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    let report = scene.report(&incident);
    assert_eq!(report.matches("GET /health").count(), 1, "{report}");
    assert!(
        report.contains("192.0.2.9 - - \"GET /health HTTP/1.1\" 200 -"),
        "{report}"
    );
    assert!(report.contains("victim: ready"), "{report}");
}

#[test]
fn a_unit_that_has_done_its_work_is_not_said_to_be_down() {
    let scene = Scene::builder()
        .unit(
            "once.service",
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/mkdir -p /opt/once\n",
        )
        .unit("down.service", &victim("", "--listen 8080"))
        .with_daemon();
    scene.start(&["once.service"]);
    let once = scene.prunella(&["enable", "once.service"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    let said = once.stdout + &once.stderr;
    assert!(!said.contains("not running"), "{said}");
    let down = scene.prunella(&["enable", "down.service"]);
    let said = down.stdout + &down.stderr;
    assert!(said.contains("it is not running"), "{said}");
}

#[test]
fn enable_again_learns_what_it_could_not_while_the_service_was_down() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .unit("mine.service", &victim("", "--listen 8081"))
        .with_daemon();
    scene.prunella_ok(&["enable", "--critical", "web.service"]);
    scene.prunella_ok(&["enable", "mine.service"]);
    let before = written(&scene, "web");
    assert!(before.contains("ports = []"), "{before}");
    let mine = "/etc/prunella/services.d/mine.toml";
    let edited = format!("{}\n# mine\n", written(&scene, "mine"));
    scene.write_file(mine, &edited, 0o644).unwrap();
    // Down, nothing more is to be learned.
    scene.prunella_ok(&["enable", "web.service"]);
    assert_eq!(written(&scene, "web"), before);

    scene.start(&["web.service", "mine.service"]);
    let dry = scene.prunella_ok(&["enable", "--dry-run", "web.service"]);
    assert!(dry.contains("would write"), "{dry}");
    assert_eq!(written(&scene, "web"), before);
    scene.prunella_ok(&["enable", "web.service"]);
    let web = written(&scene, "web");
    for line in [
        "ports = [\"tcp/8080\"]",
        "run-policy = \"always\"",
        "[[probe]]",
        "critical = true",
    ] {
        assert!(web.contains(line), "{line} in {web}");
    }
    let again = scene.prunella_ok(&["enable", "web.service"]);
    assert!(again.contains("kept"), "{again}");
    // What somebody edited is offered.
    let said = scene.prunella(&["enable", "mine.service"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("ports = [\"tcp/8081\"]"), "{said:?}");
    assert_eq!(written(&scene, "mine"), edited);
}

#[test]
fn a_job_and_what_systemd_does_not_read_are_told() {
    let scene = Scene::builder()
        .unit(
            "backup.service",
            "[Service]\nType=oneshot\nEnvironmentFile=/etc/backup.env\nExecStart=/bin/true\n",
        )
        .unit("backup.timer", "[Timer]\nOnCalendar=2001-01-01\n")
        .file(
            "/etc/backup.env",
            "export DB_DSN=postgres://db.example/x\nA=b\n",
            0o600,
        )
        .with_daemon();
    scene.start(&["backup.timer"]);
    let said = scene.prunella(&["enable", "backup.service"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for part in [
        "started by backup.timer",
        "Prunella runs it again when it fails",
        "strategies = []",
        "/etc/backup.env sets DB_DSN behind `export`",
    ] {
        assert!(said.stderr.contains(part), "{part} in {said:?}");
    }
    assert!(!said.stderr.contains("points to"), "{said:?}");
}

#[test]
fn nothing_that_a_socket_starts_is_asked() {
    let lazy = victim(
        "StandardInput=socket\nStandardOutput=journal",
        "--listen-stdin",
    );
    let scene = Scene::builder()
        .unit("tcp.socket", "[Socket]\nListenStream=127.0.0.1:8080\n")
        .unit("tcp.service", &lazy)
        .unit("unix.socket", "[Socket]\nListenStream=/run/unix.sock\n")
        .unit("unix.service", &lazy)
        .with_daemon();
    scene.start(&["tcp.socket", "unix.socket"]);
    scene.prunella_ok(&["enable", "tcp.service", "unix.service"]);
    for stem in ["tcp", "unix"] {
        let text = written(&scene, stem);
        assert!(!text.contains("\n[[probe]]"), "{text}");
        let note = one_line(&text.replace('#', " "));
        assert!(
            note.contains(&format!("{stem}.socket starts it when it is needed"))
                && note.contains("it is not noticed when it hangs"),
            "{text}"
        );
        let unit = format!("{stem}.service");
        assert_eq!(scene.property(&unit, "ActiveState").unwrap(), "inactive");
    }
    let tcp = written(&scene, "tcp");
    assert!(tcp.contains("ports = [\"tcp/8080\"]"), "{tcp}");
}

#[test]
fn that_a_hang_is_not_noticed_is_said_of_what_holds_no_port() {
    let scene = Scene::builder()
        .unit(
            "us.service",
            &victim("RuntimeDirectory=us", "--listen-unix /run/us/sock"),
        )
        .unit(
            "once.service",
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/test 1\n",
        )
        .with_daemon();
    scene.start(&["us.service", "once.service"]);
    scene.prunella_ok(&["enable", "us.service", "once.service"]);
    let us = one_line(&written(&scene, "us").replace('#', " "));
    assert!(us.contains("it is not noticed when it hangs"), "{us}");
    assert!(us.contains("unix = \"PATH\""), "{us}");
    let once = written(&scene, "once");
    assert!(!once.contains("when it hangs"), "{once}");
}

/// systemd counts it as started before it listens.
#[test]
fn a_service_that_has_just_started_is_waited_for_until_it_listens() {
    let scene = Scene::builder()
        .unit(
            "web.service",
            "[Service]\nExecStart=/opt/test/victim --listen 8080 --start-takes 1500\n",
        )
        .with_daemon();
    scene.systemctl(&["start", "web.service"]).unwrap();
    assert!(!scene.answers(8080));
    let enabled = scene.prunella(&["enable", "web.service"]);
    assert_eq!(enabled.code, Some(0), "{enabled:?}");
    let said = enabled.stdout + &enabled.stderr;
    assert!(!said.contains("it holds no port"), "{said}");
    let web = written(&scene, "web");
    for line in ["ports = [\"tcp/8080\"]", "[[probe]]"] {
        assert!(web.contains(line), "{line} in {web}");
    }
}
