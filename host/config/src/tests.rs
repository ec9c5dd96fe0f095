//! Whole folders are loaded, and every message is compared as it is shown.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use rstest::rstest;

use super::{
    load::{Trust, load_trusting},
    *,
};
use prunella_core::{
    StrategyName, UnitName,
    health::{ErrorRateSettings, HealthSettings, Metric},
    policy::{Act, BUILTIN_STRATEGIES, Permission, Scope, builtin_needs},
    remedy::{Cleanup, CleanupFolder, CleanupOf, CleanupPreset, Remedy},
    service::{FileRole, HttpQuestion, Order, ProbeKind, ReadBy, RunPolicy, StartLimit},
};

const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    folder
}

pub(crate) fn load(files: &[(&str, &str)]) -> Loaded {
    Config::load(folder(files).path())
}

/// Of a folder that has the main file alone.
pub(crate) fn load_main(text: &str) -> Loaded {
    load(&[("prunella.toml", text)])
}

pub(crate) fn shown(loaded: &Loaded) -> String {
    let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    shown.join("\n\n")
}

/// What is shown for one service's file.
pub(crate) fn service(text: &str) -> String {
    shown(&load(&[("services.d/web.toml", text)]))
}

/// What is shown for prunella.toml.
fn main_file(text: &str) -> String {
    shown(&load(&[("prunella.toml", text)]))
}

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

/// What whoever has to heal makes of it, when this was the main file before.
fn load_usable(files: &[(&str, &str)], last_good: Option<&str>) -> Usable {
    load_usable_in(&folder(files), last_good)
}

fn load_usable_in(folder: &tempfile::TempDir, last_good: Option<&str>) -> Usable {
    let copy = folder.path().join("copy");
    if let Some(text) = last_good {
        fs::write(&copy, text).unwrap();
    }
    Config::load_usable(folder.path(), &copy)
}

fn make_writable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

fn services(config: &Config) -> Vec<&str> {
    config.services.keys().map(UnitName::as_str).collect()
}

#[test]
fn a_service_with_a_mistake_is_watched_and_not_healed() {
    let loaded = load_usable(
        &[
            (
                "services.d/bad.toml",
                "unit = \"bad\"\ncritical = true\ndomian = \"x\"",
            ),
            ("services.d/web.toml", "unit = \"web\""),
            ("services.d/worse.toml", "unit ="),
        ],
        None,
    );
    let config = &loaded.config;
    assert_eq!(
        services(config),
        ["bad.service", "web.service", "worse.service"]
    );
    let mistake = |name| config.mistake_of(&unit(name));
    let expected = "services.d/bad.toml:3: unknown key `domian`";
    assert_eq!(mistake("bad.service"), Some(expected));
    assert!(mistake("worse.service").is_some());
    assert_eq!(mistake("web.service"), None);
    let bad = &config.services[&unit("bad.service")];
    assert!(bad.critical && bad.strategies.is_empty(), "{bad:?}");
    let problems = loaded.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(
        problems[0],
        format!("{expected}: bad.service is not healed until this is mended")
    );
}

#[test]
fn the_services_of_files_with_mistakes_are_known() {
    let loaded = load_usable(
        &[
            ("services.d/bad.toml", "unit = \"shop\"\ndomian = \"x\""),
            ("services.d/broken.toml", "unit = \"db\"\nports = [\"tcp/"),
            ("services.d/mail.toml", "unit ="),
            ("services.d/web.toml", "unit = \"web\""),
            ("services.d/web2.toml", "unit = \"web\""),
        ],
        None,
    );
    let found: Vec<(&str, &Path)> = loaded
        .config
        .out_of_force
        .iter()
        .map(|(unit, out)| (unit.as_str(), out.file.as_path()))
        .collect();
    assert_eq!(
        found,
        [
            ("db.service", Path::new("services.d/broken.toml")),
            ("mail.service", Path::new("services.d/mail.toml")),
            ("shop.service", Path::new("services.d/bad.toml")),
        ]
    );
}

#[test]
fn a_broken_main_file_is_replaced_by_the_last_good_one() {
    let files = [
        ("prunella.toml", "retry-intervall = \"1h\""),
        ("services.d/bad.toml", "domian = \"x\""),
        ("services.d/web.toml", "unit = \"web\""),
    ];
    let loaded = load_usable(&files, Some("retry-interval = \"2h\""));
    let config = &loaded.config;
    assert_eq!(config.retry_interval, Some(Duration::from_secs(7_200)));
    assert_eq!(config.held, None);
    assert!(!loaded.main_file_is_good);
    let problems = loaded.problems();
    assert!(problems[0].contains("retry-intervall"), "{problems:?}");
    assert!(problems[0].contains("the last good prunella.toml is used"));
    assert!(
        problems.iter().any(|told| told.contains("domian")),
        "{problems:?}"
    );
}

/// It may have forbidden what the defaults allow.
#[rstest]
#[case::none_was_kept(None)]
#[case::broken_as_well(Some("also = \"broken\""))]
fn without_a_good_main_file_nothing_is_healed(#[case] last_good: Option<&str>) {
    const CHANNEL: &str = "[channel.mail]\nkind = \"webhook\"\nurl = \"https://a.example/x\"\n\
        secret-file = \"/etc/prunella/secrets/x\"\n[alerts]\nescalation = [\"mail\"]\n";
    for broken in ["retry-intervall = \"1h\"\n", "retry-interval = \n"] {
        let main = format!("{broken}{CHANNEL}");
        let loaded = load_usable(
            &[
                ("prunella.toml", &main),
                ("services.d/bad.toml", "unit = \"bad\"\ndomian = \"x\""),
                (
                    "services.d/web.toml",
                    "unit = \"web\"\nalerts = { escalation = [\"mail\"] }",
                ),
            ],
            last_good,
        );
        let config = &loaded.config;
        assert_eq!(services(config), ["bad.service", "web.service"], "{broken}");
        for name in services(config) {
            assert!(config.mistake_of(&unit(name)).is_some(), "{name}");
        }
        let held = config.held.as_deref().unwrap();
        assert!(held.starts_with("prunella.toml:1: "), "{held}");
        assert_eq!(
            loaded.problems(),
            [format!("{held}: nothing is healed until this is mended")]
        );
        assert!(!loaded.main_file_is_good);
        // Whoever can still be reached is told.
        let heard = config.alerts.channels(
            prunella_core::alert::AlertKind::Escalation,
            prunella_core::alert::Severity::Critical,
            &unit("web.service"),
            None,
        );
        assert_eq!(heard.len(), 1, "{broken}");
        assert_eq!(config.channels.len(), 1, "{broken}");
    }
}

/// Somebody else may have written where people are to be told.
#[test]
fn nothing_is_taken_from_a_main_file_that_others_can_write() {
    let folder = folder(&[
        (
            "prunella.toml",
            "[channel.mail]\nkind = \"webhook\"\nurl = \"https://a.example/x\"\n\
             secret-file = \"/etc/prunella/secrets/x\"",
        ),
        ("services.d/web.toml", "unit = \"web\""),
    ]);
    make_writable(&folder.path().join("prunella.toml"));
    let config = load_usable_in(&folder, None).config;
    assert!(config.held.is_some());
    assert!(config.channels.is_empty());
    assert_eq!(services(&config), ["web.service"]);
    let copied = load_usable_in(&folder, Some(""));
    assert_eq!(copied.config.held, None);
}

#[test]
fn a_folder_that_others_can_write_is_not_used_and_no_more_than_that() {
    let files = [
        ("prunella.toml", "retry-interval = \"2h\""),
        ("keys/acme.toml", "what"),
        ("services.d/shop.toml", "unit = \"shop\""),
        ("services.d/web.toml", "unit = \"web\""),
    ];
    let services_folder = folder(&files);
    make_writable(&services_folder.path().join("services.d"));
    let loaded = load_usable_in(&services_folder, None);
    let config = &loaded.config;
    assert_eq!(services(config), ["shop.service", "web.service"]);
    assert_eq!(config.held, None);
    assert_eq!(config.retry_interval, Some(Duration::from_secs(7_200)));
    assert_eq!(config.out_of_force.len(), 2);
    let problems = loaded.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let told = problems.iter().find(|told| told.starts_with("services.d:"));
    let told = told.unwrap();
    let remedy = format!(
        "chmod go-w {}",
        services_folder.path().join("services.d").display()
    );
    for part in [
        &remedy,
        "shop.service, web.service are not healed until this is mended",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(
        problems
            .iter()
            .any(|told| told.contains("may only observe"))
    );

    // All of it, when it is the folder above them.
    let root = folder(&files);
    make_writable(root.path());
    let loaded = load_usable_in(&root, Some("retry-interval = \"3h\""));
    let config = &loaded.config;
    assert_eq!(services(config), ["shop.service", "web.service"]);
    assert!(config.held.is_some());
    assert_eq!(config.retry_interval, Some(Duration::from_secs(10_800)));
    assert!(!loaded.main_file_is_good);
    fs::remove_file(root.path().join("copy")).unwrap();
    let config = load_usable_in(&root, None).config;
    assert_eq!(config.retry_interval, Some(Duration::from_secs(900)));
    assert!(config.held.is_some());
}

#[test]
fn a_channel_with_a_mistake_is_one_mistake() {
    let loaded = load(&[
        (
            "prunella.toml",
            "[channel.mail]\nkind = \"slakc\"\n\
             [alerts]\nescalation = [\"mail\"]\nrecovery = [\"mail\"]\n",
        ),
        (
            "services.d/web.toml",
            "unit = \"web\"\nalerts = { escalation = [\"mail\"] }",
        ),
    ]);
    assert_eq!(loaded.errors().count(), 1, "{}", shown(&loaded));
}

#[test]
fn nothing_at_all_is_valid() {
    let loaded = load(&[]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    assert!(config.services.is_empty());
    assert_eq!(config.retry_interval, Some(Duration::from_secs(900)));
    let missing = Config::load(Path::new("/nonexistent/prunella"));
    assert!(missing.config.is_some());
    assert_eq!(missing.warnings().count(), 1);
}

#[test]
fn a_service_with_everything() {
    let loaded = load(&[
        (
            "services.d/shop.toml",
            r#"
            unit = "shop"
            domain = "Web shop"
            critical = true
            ports = ["tcp/8080", "udp/53"]
            strategies = ["service-restart", "port-conflict"]
            depends-on = ["db.service"]
            start-limit = "respect"
            run-policy = "on-failure"
            heal-on-stop = true
            proof = { stable-for = "10s" }

            [budget]
            healings = 2
            backoff = ["0s", "1m30s"]

            [health]
            latency = { degraded = "250ms" }
            error-rate = { window = "10m" }

            [[file]]
            name = "environment"
            path = "/etc/shop/env"
            role = "env"
            mode = "0640"
            owner = "root:shop"
            keys = ["DATABASE_URL"]
            read-by = "manager"
            optional = true
            secret = true

            [[file]]
            name = "database"
            path = "/var/lib/shop/db.sqlite"
            role = "database"
            owner = "shop"
            group = "adm"

            [[file]]
            name = "site"
            path = "/etc/shop/current"
            role = "symlink"
            target = "releases/1"

            [[check]]
            name = "config"
            command = ["/usr/bin/shop", "--check"]
            timeout = "10s"
            validates = true
            as-root = true

            [[probe]]
            name = "answers"
            http = "http://[::1]:8080/health"
            status = [200, 204]
            interval = "30s"
            failure-threshold = 2

            [[probe]]
            name = "db"
            postgres = "/run/postgresql"
            unit = "db.service"

            [[probe]]
            name = "file"
            sqlite = "database"
            "#,
        ),
        ("services.d/db.toml", "unit = \"db.service\""),
        ("services.d/.hidden.toml.swp", "nonsense"),
        ("services.d/README", "nonsense"),
    ]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let shop = &config.services["shop.service"];
    assert_eq!(shop.domain.as_deref(), Some("Web shop"));
    assert!(shop.critical && shop.heal_on_stop);
    assert_eq!(shop.start_limit, StartLimit::Respect);
    assert_eq!(shop.ports.len(), 2);
    assert_eq!(shop.strategies, ["service-restart", "port-conflict"]);
    assert_eq!(shop.depends_on, ["db.service"]);
    assert_eq!(shop.proof.stable_for, Duration::from_secs(10));
    assert_eq!(shop.proof.timeout, None);
    assert_eq!(shop.run_policy, RunPolicy::OnFailure);
    let budget = shop.budget.as_ref().unwrap();
    assert_eq!(
        (budget.healings, budget.window),
        (2, Duration::from_secs(300))
    );
    assert_eq!(budget.backoff, [Duration::ZERO, Duration::from_secs(90)]);
    let health = &shop.health;
    assert_eq!(
        (health.latency.degraded, health.latency.clear),
        (Duration::from_millis(250), Duration::from_millis(200))
    );
    assert_eq!(health.latency.hold, Duration::from_secs(30));
    assert_eq!(
        health.error_rate,
        ErrorRateSettings {
            window: Duration::from_secs(600),
            ..ErrorRateSettings::default()
        }
    );
    let environment = &shop.files["environment"];
    assert_eq!(environment.role, FileRole::Env);
    assert_eq!(environment.mode, Some(0o640));
    assert_eq!(environment.owner.as_deref(), Some("root"));
    assert_eq!(environment.group.as_deref(), Some("shop"));
    assert_eq!(environment.keys, ["DATABASE_URL"]);
    assert_eq!(environment.read_by, ReadBy::Manager);
    assert!(environment.optional && environment.secret);
    assert_eq!(shop.files["database"].group.as_deref(), Some("adm"));
    assert_eq!(
        shop.files["site"].target.as_deref(),
        Some(Path::new("releases/1"))
    );
    let check = &shop.checks["config"];
    assert_eq!(check.command, ["/usr/bin/shop", "--check"]);
    assert!(check.validates && check.as_root && !check.mutates);
    assert_eq!(check.timeout, Duration::from_secs(10));
    assert_eq!(
        shop.probes["answers"].kind,
        ProbeKind::Http(HttpQuestion {
            url: "http://[::1]:8080/health".to_owned(),
            status: vec![200, 204],
            ..HttpQuestion::default()
        })
    );
    assert_eq!(shop.probes["answers"].failure_threshold, 2);
    assert_eq!(shop.probes["db"].unit, Some(unit("db.service")));
    // Those alone that have something to act on.
    let db = &config.services["db.service"];
    let needs_nothing = |name: &&&str| builtin_needs(name).is_empty();
    let expected: Vec<&str> = BUILTIN_STRATEGIES
        .iter()
        .filter(needs_nothing)
        .copied()
        .collect();
    assert_eq!(db.strategies, expected);
    assert!(
        db.declared_in
            .as_ref()
            .unwrap()
            .ends_with("services.d/db.toml")
    );
}

#[test]
fn limits_of_metrics_are_read_over_their_defaults() {
    let loaded = load(&[
        (
            "prunella.toml",
            "[metrics]\ninterval = \"5s\"\nsmart = \"2h\"\ngpus = \"off\"\n\
             [health]\ncpu = { degraded = \"97%\" }\ntasks = \"off\"\n\
             cpu-core = { degraded = \"250%\", for = \"10m\" }\n\
             memory = { forecast = \"1h\" }\n\
             [health.host]\ndisk = { degraded = \"80%\", clear = \"75%\" }\n\
             inodes = { forecast = \"off\" }\nflapping = { changes = 4 }\n\
             load = { degraded = 8 }\nclock = { for = \"1h\" }\n\
             smart = { for = \"1m\" }\ngpu-temperature = { degraded = 85 }",
        ),
        (
            "services.d/a.toml",
            "unit = \"a.service\"\n[health]\nprocesses = { degraded = 50, for = \"5s\" }",
        ),
    ]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    assert_eq!(config.metrics.interval, Some(Duration::from_secs(5)));
    let limits = &config.services["a.service"].health.limits;
    let cpu = limits.get(Metric::CpuPermille).unwrap();
    assert_eq!((cpu.degraded, cpu.critical, cpu.clear), (970, None, 873));
    assert_eq!(cpu.hold, Duration::from_secs(300));
    assert_eq!(limits.get(Metric::TasksPermille), None);
    assert_eq!(limits.get(Metric::CpuCorePermille).unwrap().degraded, 2_500);
    let processes = limits.get(Metric::Processes).unwrap();
    assert_eq!((processes.degraded, processes.clear), (50, 45));
    assert_eq!(processes.hold, Duration::from_secs(5));
    assert_eq!(config.metrics.smart, Some(Duration::from_secs(7_200)));
    assert_eq!(config.metrics.gpus, None);
    let host = &config.host_health.limits;
    let flapping = config.host_health.flapping;
    let within = Duration::from_secs(1_800);
    assert_eq!((flapping.changes, flapping.within), (4, within));
    // That of services is another.
    assert_eq!(config.health.flapping.changes, 6);
    let smart = host.get(Metric::DiskFailing).unwrap();
    assert_eq!(
        (smart.degraded, smart.critical, smart.clear),
        (1, Some(1), 0)
    );
    assert_eq!(smart.hold, Duration::from_secs(60));
    assert_eq!(
        host.get(Metric::GpuTemperatureCelsius).unwrap().degraded,
        85
    );
    let disk = host.get(Metric::DiskPermille).unwrap();
    assert_eq!(
        (disk.degraded, disk.critical, disk.clear),
        (800, Some(950), 750)
    );
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
    assert_eq!(disk.forecast, hours(6));
    assert_eq!(host.get(Metric::InodesPermille).unwrap().forecast, None);
    let memory = limits.get(Metric::MemoryPermille).unwrap();
    assert_eq!((memory.degraded, memory.forecast), (900, hours(1)));
    assert_eq!(host.get(Metric::LoadMilli).unwrap().degraded, 8_000);
    let clock = host.get(Metric::ClockUnsynchronized).unwrap();
    assert_eq!((clock.degraded, clock.clear), (1, 0));
    assert_eq!(host.get(Metric::CpuPermille).unwrap().degraded, 900);
}

#[test]
fn patterns_of_lines_are_read_over_those_of_the_host() {
    let loaded = load(&[
        (
            "prunella.toml",
            "[health.logs.oom]\npattern = \"Out of memory\"\ndegraded = 1\nfor = \"0s\"\n\
             [health.logs.slow]\npattern = \"slow *query\"",
        ),
        (
            "services.d/a.toml",
            "unit = \"a.service\"\n[health]\nlogs.slow = { degraded = 60 }\nlogs.oom = \"off\"\n\
             log-lines = { degraded = 600 }\nlog-errors = { degraded = 5, critical = 50 }",
        ),
        ("services.d/b.toml", "unit = \"b.service\""),
    ]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let [a, b] = ["a.service", "b.service"].map(|unit| config.services[unit].health.clone());
    let matches = |health: &HealthSettings, name| {
        let metric = Metric::LogMatchesPerMinute;
        health.limits.of_series(metric, Some(name)).copied()
    };
    let names = |health: &HealthSettings| health.log_patterns.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), ["slow"]);
    assert_eq!(a.log_patterns["slow"], "slow *query");
    assert_eq!(matches(&a, "oom"), None);
    let slow = matches(&a, "slow").unwrap();
    assert_eq!((slow.degraded, slow.clear), (60, 54));
    assert_eq!(names(&b), ["oom", "slow"]);
    let oom = matches(&b, "oom").unwrap();
    assert_eq!((oom.degraded, oom.clear, oom.hold), (1, 0, Duration::ZERO));
    assert_eq!(matches(&b, "slow"), None);
    let lines = |health: &HealthSettings| *health.limits.get(Metric::LogLinesPerMinute).unwrap();
    assert_eq!((lines(&a).degraded, lines(&b).degraded), (600, 20_000));
    let errors = a.limits.get(Metric::LogErrorsPerMinute).unwrap();
    assert_eq!((errors.degraded, errors.critical), (5, Some(50)));
}

#[test]
fn a_metrics_endpoint_is_read() {
    let loaded = load(&[(
        "services.d/a.toml",
        "unit = \"a.service\"\n[health]\nrequest-latency = { degraded = \"250ms\" }\n\
         [metrics.prometheus]\nurl = \"https://a.example:9100/metrics\"\n\
         requests = [\"a_total\", \"b_total\"]\nerrors = 'a_total{code=\"5*\"}'\n\
         latency = \"a_seconds\"\nquantile = \"99.9%\"",
    )]);
    assert_eq!(shown(&loaded), "");
    let service = &loaded.config.unwrap().services["a.service"];
    let endpoint = service.metrics_endpoint.as_ref().unwrap();
    assert_eq!(endpoint.url, "https://a.example:9100/metrics");
    assert_eq!(endpoint.timeout, Duration::from_secs(5));
    let shown: Vec<String> = endpoint.requests.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["a_total", "b_total"]);
    assert_eq!(endpoint.errors[0].to_string(), "a_total{code=\"5*\"}");
    assert_eq!(endpoint.quantile, Some(999));
    let limit = service.health.limits.get(Metric::RequestLatencyMs).unwrap();
    assert_eq!((limit.degraded, limit.clear), (250, 225));
    let errors = service
        .health
        .limits
        .get(Metric::RequestErrorsPermille)
        .unwrap();
    assert_eq!((errors.degraded, errors.critical), (50, Some(100)));
}

#[test]
fn what_the_host_says_of_health_holds_where_a_service_says_nothing() {
    let loaded = load(&[
        (
            "prunella.toml",
            "[health]\nlatency = { degraded = \"2s\", for = \"1m\" }\n\
             error-rate = { degraded = \"20%\" }\nflapping = { within = \"1h\" }",
        ),
        ("services.d/a.toml", "unit = \"a.service\""),
        (
            "services.d/b.toml",
            "unit = \"b.service\"\nhealth.latency.clear = \"1s\"\nhealth.flapping.changes = 10",
        ),
    ]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let [a, b] = ["a.service", "b.service"].map(|unit| config.services[unit].health.clone());
    let milliseconds = Duration::from_millis;
    assert_eq!(
        (a.latency.degraded, a.latency.clear, a.latency.hold),
        (
            milliseconds(2_000),
            milliseconds(1_600),
            milliseconds(60_000)
        )
    );
    assert_eq!(
        (b.latency.degraded, b.latency.clear),
        (milliseconds(2_000), milliseconds(1_000))
    );
    let rate = a.error_rate;
    assert_eq!((rate.degraded, rate.failed, rate.clear), (200, 400, 80));
    let hour = Duration::from_secs(3_600);
    assert_eq!((a.flapping.changes, a.flapping.within), (6, hour));
    assert_eq!((b.flapping.changes, b.flapping.within), (10, hour));
}

#[test]
fn a_main_file_with_everything() {
    let text = format!(
        r#"
        retry-interval = "never"
        [limits]
        deadline = "1m"
        memory = "32MiB"
        handles = 8
        [budget]
        window = "10m"
        [host-budget]
        max-concurrent = 2
        [protect]
        add = ["vpn.service"]
        remove = ["sshd.service"]
        [defaults]
        strategies = ["site-fix", "service-restart"]
        proof.stable-for = "1s"
        [strategy.port-conflict]
        allow = []
        [strategy.site-fix]
        component = "fixes/site.wasm"
        sha256 = "{SHA}"
        settings = {{ depth = 3, deep = true, word = "x" }}
        limits = {{ cpu = "100ms" }}
        [[strategy.site-fix.allow]]
        act = "unit-control"
        on = ["self", "cache.service"]
        [[strategy.site-fix.allow]]
        act = "checks.run"
        on = "config"
        [[strategy.site-fix.allow]]
        observe = "logs"
        on = ["depends-on"]
        "#
    );
    let folder = folder(&[
        ("prunella.toml", &text),
        (
            "services.d/a.toml",
            "unit = \"a.service\"\nbudget.healings = 1",
        ),
    ]);
    let loaded = Config::load(folder.path());
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    assert_eq!(config.retry_interval, None);
    assert_eq!(config.limits.memory, 32 << 20);
    assert_eq!(config.host_budget.max_concurrent, 2);
    assert_eq!(config.protect, ["vpn.service"]);
    assert_eq!(config.unprotect, ["sshd.service"]);
    let a = &config.services["a.service"];
    assert_eq!(a.strategies, ["site-fix", "service-restart"]);
    assert_eq!(a.proof.stable_for, Duration::from_secs(1));
    let budget = a.budget.as_ref().unwrap();
    assert_eq!(
        (budget.healings, budget.window),
        (1, Duration::from_secs(600))
    );
    assert!(
        config.strategies["port-conflict"]
            .grants
            .as_ref()
            .unwrap()
            .0
            .is_empty()
    );
    let fix = &config.strategies["site-fix"];
    assert_eq!(fix.component, Some(folder.path().join("fixes/site.wasm")));
    assert_eq!(fix.sha256.as_deref(), Some(SHA));
    assert_eq!(fix.settings["depth"], "3");
    assert_eq!(fix.declared_at.as_deref(), Some("prunella.toml:19"));
    let limits = fix.limits.as_ref().unwrap();
    // Over the host's limits, not over the defaults.
    assert_eq!(
        (limits.cpu, limits.handles),
        (Duration::from_millis(100), 8)
    );
    let grants = fix.grants.as_ref().unwrap();
    assert_eq!(grants.scopes(Act::ResetFailed).count(), 2);
    assert_eq!(
        grants.scopes(Act::RunCheck).collect::<Vec<_>>(),
        [&Scope::Declared("config".to_owned())]
    );
    assert!(matches!(grants.0[2].permission, Permission::Observe(_)));
}

#[test]
fn a_file_put_into_the_folder_is_a_strategy_that_may_observe() {
    let loaded = load(&[
        (
            "services.d/a.toml",
            "unit = \"a.service\"\nstrategies = [\"site-fix\"]",
        ),
        ("plugins/site-fix.wasm", ""),
    ]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let fix = &config.strategies["site-fix"];
    assert!(
        fix.component
            .as_ref()
            .unwrap()
            .ends_with("plugins/site-fix.wasm")
    );
    assert_eq!(fix.grants, None);
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let loaded = load(&[
        (
            "prunella.toml",
            "retry-interval = 5\n[limits]\nmemory = \"lots\"\n",
        ),
        (
            "services.d/web.toml",
            "unit = \"web.service\"\nprots = [\"tcp/80\"]\nports = [\"tcp/0\", 80]\ncritical = \"yes\"\n",
        ),
    ]);
    assert!(loaded.config.is_none());
    let known: String = super::service_file::remedy_tables()
        .map(|table| format!(", {table}"))
        .collect();
    assert_eq!(
        shown(&loaded).replace(&known, ""),
        r#"error: `retry-interval` must be a duration as text, and this is a whole number
 --> prunella.toml:1:18
  |
1 | retry-interval = 5
  |                  ^
  = help: for example: retry-interval = "30s"

error: `lots` is not a size
 --> prunella.toml:3:10
  |
3 | memory = "lots"
  |          ^^^^^^
  = help: write a number and B, KiB, MiB or GiB, such as "64MiB"

error: unknown key `prots`
 --> services.d/web.toml:2:1
  |
2 | prots = ["tcp/80"]
  | ^^^^^
  = help: did you mean `ports`? Valid in a service's file: unit, domain, critical, ports, strategies, heal-degraded, order, depends-on, start-limit, run-policy, heal-on-stop, proof, budget, health, objective, metrics, alerts, file, check, probe

error: `tcp/0` is not a port
 --> services.d/web.toml:3:10
  |
3 | ports = ["tcp/0", 80]
  |          ^^^^^^^
  = help: write `tcp/` or `udp/` and a number from 1 to 65535, such as "tcp/80"; where the address matters, put it before the number: "udp/127.0.0.53:53", "tcp/[::1]:80"

error: `ports` must be a list of text, and this is a whole number
 --> services.d/web.toml:3:19
  |
3 | ports = ["tcp/0", 80]
  |                   ^^
  = help: for example: ports = ["tcp/80", "udp/53"]

error: `critical` must be true or false, and this is text
 --> services.d/web.toml:4:12
  |
4 | critical = "yes"
  |            ^^^^^
  = help: for example: critical = true"#
    );
}

#[test]
fn colour_changes_nothing_but_colour() {
    let loaded = load(&[("services.d/web.toml", "\tunit = \"ü ä\"")]);
    let plain = loaded.diagnostics[0].to_string();
    let coloured = loaded.diagnostics[0].coloured();
    assert!(coloured.contains("\x1b["));
    let stripped: String = coloured
        .split('\x1b')
        .enumerate()
        .map(|(n, part)| {
            if n == 0 {
                part
            } else {
                part.split_once('m').unwrap().1
            }
        })
        .collect();
    assert_eq!(stripped, plain);
    // Columns are characters, and a tab is one.
    assert!(plain.contains(":1:9\n"), "{plain}");
    assert!(
        plain.contains("1 |  unit = \"ü ä\"\n  |         ^^^^^"),
        "{plain}"
    );
}

const WEB: &str = "unit = \"web.service\"\n";

#[rstest]
#[case::proof(
    "[proof]\nstable-for = \"10m\"\ntimeout = \"5s\"",
    "warning: `stable-for` (10m) is longer than `timeout` (5s)\n --> services.d/web.toml:3:14"
)]
#[case::probe(
    "[[probe]]\nname = \"a\"\ntcp = \"localhost:80\"\ntimeout = \"60s\"\ninterval = \"10s\"",
    "warning: `timeout` (1m) is longer than `interval` (10s): a question without an answer delays \
     the next\n --> services.d/web.toml:5:11"
)]
#[case::latency(
    "[health]\nlatency = { degraded = \"90s\" }\n[[probe]]\nname = \"a\"\ntcp = \"localhost:80\"",
    "warning: no answer can be as slow as 1m30s: the probe `a` gives up after 5s\n --> \
     services.d/web.toml:3:24"
)]
fn pairs_that_cannot_work_are_warned_of(#[case] declared: &str, #[case] expected: &str) {
    let loaded = load(&[("services.d/web.toml", &format!("{WEB}{declared}\n"))]);
    let all = shown(&loaded);
    assert!(all.starts_with(expected), "{all}");
    assert_eq!(loaded.warnings().count(), 1, "{all}");
}

#[test]
fn a_port_that_two_services_declare_is_warned_of_unless_their_addresses_differ() {
    let of = |one: &str, other: &str| {
        let one = format!("unit = \"a.service\"\nports = [\"{one}\"]\n");
        let other = format!("unit = \"b.service\"\nports = [\"{other}\"]\n");
        shown(&load(&[
            ("services.d/a.toml", &one),
            ("services.d/b.toml", &other),
        ]))
    };
    let both = of("tcp/80", "tcp/80");
    let expected = "warning: a.service declares tcp/80, too\n --> services.d/b.toml:2:10";
    assert!(both.starts_with(expected), "{both}");
    assert!(!of("tcp/80", "tcp/127.0.0.1:80").is_empty());
    assert_eq!(of("tcp/127.0.0.1:80", "tcp/127.0.0.2:80"), "");
    assert_eq!(of("tcp/80", "udp/80"), "");
    assert_eq!(of("tcp/80", "tcp/81"), "");
}

#[rstest]
#[case::no_unit(
    "",
    "error: the file names no unit\n --> services.d/web.toml\n = help: add a line such as `unit = \"nginx.service\"`; one file is one service"
)]
#[case::bad_unit(
    "unit = \"a b.service\"",
    "`a b.service` is not the name of a unit: only letters"
)]
#[case::template(
    "unit = \"worker@.service\"",
    "`worker@.service` is a template: it never runs itself\n --> services.d/web.toml:1:8\n  |\n1 | unit = \"worker@.service\"\n  |        ^^^^^^^^^^^^^^^^^\n  = help: name an instance, such as `worker@1.service`"
)]
#[case::kind(
    "unit = \"a.timer\"",
    "a.timer is a timer: only services can be healed"
)]
#[case::proof("proof = { stable-for = \"5\" }", "`5` is not a duration")]
#[case::proof_key(
    "[proof]\nstable = \"5s\"",
    "did you mean `stable-for`? Valid in [proof]: stable-for, timeout"
)]
#[case::zero_timeout("[proof]\ntimeout = \"0s\"", "`timeout` must be at least 1ms")]
#[case::budget("[budget]\nhealings = 0", "`healings` must lie between 1 and 1000")]
#[case::clear_above(
    "[health]\nlatency = { degraded = \"1s\", clear = \"1s\" }",
    "`clear` must be shorter than `degraded`, and 1s is not shorter than 1s"
)]
#[case::rate_clear_above(
    "[health]\nerror-rate = { clear = \"5%\" }",
    "`clear` must be below `degraded`, and 5 % is not below 5 %"
)]
#[case::failed_below(
    "[health]\nerror-rate = { failed = \"4%\" }",
    "`failed` must not be below `degraded`, and 4 % is below 5 %"
)]
#[case::always_slow(
    "[health]\nlatency = { degraded = \"1ms\" }",
    "`degraded` must be at least 2ms"
)]
#[case::always_failing(
    "[health]\nerror-rate = { degraded = \"0%\" }",
    "`clear` must be below `degraded`, and 0 % is not below 0 %"
)]
#[case::share("[health]\nerror-rate = { degraded = \"5\" }", "`5` is not a share")]
#[case::flapping(
    "[health]\nflapping = { changes = 2 }",
    "`changes` must lie between 3 and 1000"
)]
#[case::flapping_for_days(
    "[health]\nflapping = { within = \"2d\" }",
    "`within` must be at most 1d"
)]
#[case::window(
    "[health]\nerror-rate = { window = \"2h\" }",
    "`window` must be at most 1h, and 2h is longer"
)]
#[case::health_key("[health]\nlatencies = {}", "did you mean `latency`?")]
#[case::limit_type("[health]\ncpu = 90", "`cpu` must be a table of limits, or \"off\"")]
#[case::limit_share("[health]\ncpu = { degraded = 90 }", "is not a share")]
#[case::limit_clear(
    "[health]\nmemory = { clear = \"95%\" }",
    "`clear` must be below `degraded`, and 95 % is not below 90 %"
)]
#[case::limit_critical(
    "[health]\nmemory = { critical = \"80%\" }",
    "`critical` must not be below `degraded`, and 80 % is below 90 %"
)]
#[case::unusual(
    "[health]\nunusual = \"yes\"",
    "`yes` is not what `unusual` can be\n --> services.d/web.toml:3:11"
)]
#[case::forecast_too_far(
    "[health]\nmemory = { forecast = \"7d\" }",
    "`forecast` must be at most 1d\n --> services.d/web.toml:3:23"
)]
#[case::forecast_of_what_is_never_used_up(
    "[health]\ncpu = { forecast = \"1h\" }",
    "unknown key `forecast`"
)]
#[case::limit_without_default(
    "[health]\nswap = { for = \"1m\" }",
    "`swap` has no limit yet, so it needs `degraded`"
)]
#[case::no_url(
    "[metrics.prometheus]\nrequests = \"x_total\"",
    "[metrics.prometheus] has no `url`"
)]
#[case::no_families(
    "[metrics.prometheus]\nurl = \"http://127.0.0.1/metrics\"",
    "says nothing of what is to be read there"
)]
#[case::no_metrics_url(
    "[metrics.prometheus]\nurl = \"127.0.0.1:9100\"\nrequests = \"x_total\"",
    "`127.0.0.1:9100` is not a URL that can be asked"
)]
#[case::no_series(
    "[metrics.prometheus]\nurl = \"http://127.0.0.1/\"\nrequests = \"rate(x_total)\"",
    "`rate(x_total)` is not the name of a metric"
)]
#[case::no_labels(
    "[metrics.prometheus]\nurl = \"http://127.0.0.1/\"\nrequests = 'x{code=~\"5..\"}'",
    "is not `{label=\"value\", …}`"
)]
#[case::errors_alone(
    "[metrics.prometheus]\nurl = \"http://127.0.0.1/\"\nlatency = \"x\"\nerrors = \"y\"",
    "`errors` has no meaning without `requests`"
)]
#[case::no_quantile(
    "[metrics.prometheus]\nurl = \"http://127.0.0.1/\"\nlatency = \"x\"\nquantile = \"0.95\"",
    "`0.95` is not a share of requests"
)]
#[case::metrics_timeout(
    "[metrics.prometheus]\nurl = \"http://127.0.0.1/\"\nlatency = \"x\"\ntimeout = \"2m\"",
    "`timeout` must be at most 1m"
)]
#[case::metrics_of_the_host("[metrics]\ninterval = \"1s\"", "unknown key `interval`")]
#[case::latency_limit(
    "[health]\nrequest-latency = { degraded = 1000 }",
    "`degraded` must be a duration as text"
)]
#[case::no_pattern("[health.logs.oom]\ndegraded = 1", "`oom` has no `pattern`")]
#[case::empty_pattern(
    "[health.logs.oom]\npattern = \"*\"",
    "`pattern` must be some text, of at most 200 bytes"
)]
#[case::pattern_name("[health.logs.OOM]\npattern = \"x\"", "`OOM` is not a name")]
#[case::pattern_key(
    "[health.logs.oom]\npatern = \"x\"",
    "did you mean `pattern`? Valid in [health.logs.NAME]: pattern, degraded, critical, clear, for"
)]
#[case::pattern_limit(
    "[health.logs.oom]\npattern = \"x\"\nfor = \"1m\"",
    "has no limit yet, so it needs `degraded`"
)]
#[case::pattern_alone(
    "[health.logs]\noom = \"Out of memory\"",
    "`oom` must be a table, or \"off\""
)]
#[case::limit_of_the_host("[health.host]\ncpu = \"off\"", "unknown key `host`")]
#[case::health_for(
    "[health]\nlatency = { for = 30 }",
    "`for` must be a duration as text, and this is a whole number"
)]
#[case::start_limit(
    "start-limit = \"haeal\"",
    "did you mean `heal`? Valid are: heal, respect"
)]
#[case::unknown_strategy(
    "strategies = [\"service-restrat\"]",
    "there is no strategy `service-restrat`\n --> services.d/web.toml:2:15\n  |\n2 | strategies = [\"service-restrat\"]\n  |               ^^^^^^^^^^^^^^^^^\n  = help: did you mean `service-restart`? There are: config-validation, environment-check, database-check, "
)]
#[case::heal_degraded_unknown_strategy(
    "heal-degraded = [\"service-restrat\"]",
    "there is no strategy `service-restrat`\n --> services.d/web.toml:2:18\n  |\n2 | heal-degraded = [\"service-restrat\"]\n  |                  ^^^^^^^^^^^^^^^^^\n  = help: did you mean `service-restart`? There are: config-validation, environment-check, database-check, "
)]
#[case::need(
    "depends-on = [\"db.service\"]",
    "warning: db.service is not in Prunella's care"
)]
#[case::itself("depends-on = [\"web.service\"]", "error: web.service needs itself")]
#[case::file_without_name(
    "[[file]]\npath = \"/a\"",
    "[[file]] has no name\n --> services.d/web.toml:2:1\n"
)]
#[case::file_without_path("[[file]]\nname = \"a\"", "[[file]] has no path")]
#[case::relative(
    "[[file]]\nname = \"a\"\npath = \"etc/a\"",
    "`path` must be an absolute path, and `etc/a` is relative"
)]
#[case::parent(
    "[[file]]\nname = \"a\"\npath = \"/etc/../a\"",
    "`path` must not contain `..`"
)]
#[case::cleanup_of_nothing(
    "[[cleanup]]\nname = \"a\"",
    "[[cleanup]] has no path\n --> services.d/web.toml:2:1\n"
)]
#[case::cleanup_of_two(
    "[[cleanup]]\nname = \"a\"\npath = \"/a\"\npreset = \"apt\"",
    "[[cleanup]] has both a path and a preset\n --> services.d/web.toml:5:10"
)]
#[case::cleanup_of_what_is_needed(
    "[[cleanup]]\nname = \"a\"\npath = \"/var\"",
    "/var cannot be cleaned up: the host needs it"
)]
#[case::cleanup_below_what_is_needed(
    "[[cleanup]]\nname = \"a\"\npath = \"/usr/share/doc\"",
    "/usr/share/doc cannot be cleaned up: the host needs it"
)]
#[case::cleanup_preset(
    "[[cleanup]]\nname = \"a\"\npreset = \"atp\"",
    "did you mean `apt`? Valid are: apt, pip, npm, container-images, coredumps, tmp, journal"
)]
#[case::cleanup_preset_with_patterns(
    "[[cleanup]]\nname = \"a\"\npreset = \"apt\"\npatterns = [\"*\"]",
    "`patterns` cannot stand beside a preset, which knows its own files"
)]
#[case::cleanup_pattern(
    "[[cleanup]]\nname = \"a\"\npath = \"/a\"\npatterns = [\"/a/*.log\"]",
    "a pattern fits the name of a file, or its path in the folder"
)]
#[case::cleanup_truncates_everything(
    "[[cleanup]]\nname = \"a\"\npath = \"/a\"\ntruncate = true",
    "`truncate` needs `patterns`: without them every open file would be emptied"
)]
#[case::cleanup_never(
    "[[cleanup]]\nname = \"a\"\npath = \"/a\"\nat-most = \"1MiB\"\nat-least = \"2MiB\"",
    "`at-least` is more than `at-most`: nothing could ever be deleted"
)]
#[case::cleanup_mounted_elsewhere(
    "[[cleanup]]\nname = \"a\"\npath = \"/a\"\nmounted = \"/b\"",
    "/a does not lie in /b"
)]
#[case::name("[[file]]\nname = \"A b\"\npath = \"/a\"", "`A b` is not a name")]
#[case::setuid(
    "[[file]]\nname = \"a\"\npath = \"/a\"\nmode = \"4755\"",
    "has setuid, setgid or sticky bits: Prunella never sets those"
)]
#[case::world(
    "[[file]]\nname = \"a\"\npath = \"/a\"\nmode = \"0666\"",
    "lets everybody write: Prunella never sets that\n --> services.d/web.toml:5:8\n  |\n5 | mode = \"0666\"\n  |        ^^^^^^\n  = help: write \"0664\""
)]
#[case::mode(
    "[[file]]\nname = \"a\"\npath = \"/a\"\nmode = 640",
    "`mode` must be text, and this is a whole number"
)]
#[case::owner(
    "[[file]]\nname = \"a\"\npath = \"/a\"\nowner = \"a b\"",
    "`a b` is not the name of a user or group"
)]
#[case::two_groups(
    "[[file]]\nname = \"a\"\npath = \"/a\"\nowner = \"a:b\"\ngroup = \"c\"",
    "the group stands both in `owner` and in `group`"
)]
#[case::target(
    "[[file]]\nname = \"a\"\npath = \"/a\"\ntarget = \"/b\"",
    "`target` is for symbolic links"
)]
#[case::keys(
    "[[file]]\nname = \"a\"\npath = \"/a\"\nkeys = [\"A\"]",
    "`keys` is for environment files"
)]
#[case::twice(
    "[[file]]\nname = \"a\"\npath = \"/a\"\n[[file]]\nname = \"a\"\npath = \"/b\"",
    "there are two files `a`\n --> services.d/web.toml:5:1\n  |\n5 | [[file]]\n  | ^^^^^^^^\n  = help: the first is declared in line 2; give one of them another name"
)]
#[case::command_text(
    "[[check]]\nname = \"a\"\ncommand = \"/bin/true\"",
    "`command` must be a list of text, and this is text\n --> services.d/web.toml:4:11\n  |\n4 | command = \"/bin/true\"\n  |           ^^^^^^^^^^^\n  = help: for example: command = [\"/usr/sbin/nginx\", \"-t\"]"
)]
#[case::no_command("[[check]]\nname = \"a\"", "[[check]] has no command")]
#[case::relative_command(
    "[[check]]\nname = \"a\"\ncommand = [\"nginx\", \"-t\"]",
    "find it with `command -v nginx`; there is no shell and no PATH"
)]
#[case::validates(
    "[[check]]\nname = \"a\"\ncommand = [\"/a\"]\nvalidates = true\nmutates = true",
    "a check that validates must not change anything"
)]
#[case::secret(
    "[[check]]\nname = \"a\"\ncommand = [\"/a\", \"--password=hunter2\"]",
    "warning: everybody can read this file, and the command of the check `a` seems to hold a secret"
)]
#[case::no_kind("[[probe]]\nname = \"a\"", "[[probe]] does not say what it asks")]
#[case::two_kinds(
    "[[probe]]\nname = \"a\"\ntcp = \"a:1\"\nunix = \"/a\"",
    "[[probe]] asks more than one thing: tcp, unix"
)]
#[case::address(
    "[[probe]]\nname = \"a\"\ntcp = \"localhost\"",
    "`localhost` is not an address"
)]
#[case::no_http(
    "[[probe]]\nname = \"a\"\nhttp = \"ftp://localhost/\"",
    "write http://host:port/path, or the same with https"
)]
#[case::status(
    "[[probe]]\nname = \"a\"\nhttp = \"http://localhost/\"\nstatus = 99",
    "`status` must lie between 100 and 599"
)]
#[case::status_of_tcp(
    "[[probe]]\nname = \"a\"\ntcp = \"a:1\"\nstatus = 200",
    "`status` is for http probes"
)]
#[case::sqlite(
    "[[file]]\nname = \"data\"\npath = \"/a\"\nrole = \"database\"\n[[probe]]\nname = \"a\"\nsqlite = \"date\"",
    "no file `date` is declared here\n --> services.d/web.toml:8:10\n  |\n8 | sqlite = \"date\"\n  |          ^^^^^^\n  = help: did you mean `data`?"
)]
#[case::of(
    "[[probe]]\nname = \"a\"\ntcp = \"a:1\"\nunit = \"db.service\"",
    "warning: db.service is not among what the service needs"
)]
#[case::failures(
    "[[probe]]\nname = \"a\"\ntcp = \"a:1\"\ninterval = \"never\"\nfailure-threshold = 2",
    "`failure-threshold` has no effect without `interval`"
)]
#[case::content_without_path(
    "[[file-restore]]\nname = \"a\"",
    "[[file-restore]] has no path\n --> services.d/web.toml:2:1"
)]
#[case::content_of_itself(
    "[[file-restore]]\nname = \"a\"\npath = \"/a\"\nsource = \"/a\"",
    "`source` is the file itself"
)]
#[case::content_without_check(
    "[[file-restore]]\nname = \"a\"\npath = \"/a\"\ncheck = \"b\"",
    "there is no check `b`"
)]
#[case::content_with_a_check_that_changes(
    "[[check]]\nname = \"b\"\ncommand = [\"/bin/true\"]\nmutates = true\n[[file-restore]]\nname = \"a\"\npath = \"/a\"\ncheck = \"b\"",
    "the check `b` changes things"
)]
#[case::stale_without_kind(
    "[[stale-file]]\nname = \"a\"\npath = \"/run/a.pid\"",
    "[[stale-file]] has no kind\n --> services.d/web.toml:2:1"
)]
#[case::stale_without_path(
    "[[stale-file]]\nname = \"a\"\nkind = \"pid\"",
    "[[stale-file]] has no path"
)]
#[case::stale_of_another_kind(
    "[[stale-file]]\nname = \"a\"\npath = \"/run/a\"\nkind = \"fifo\"",
    "valid are: pid, lock, socket"
)]
#[case::stale_socket_kept(
    "[[stale-file]]\nname = \"a\"\npath = \"/run/a\"\nkind = \"socket\"\nkeep = \"1h\"",
    "a socket is not kept"
)]
#[case::table("proof = 5", "`proof` must be a table, and this is a whole number")]
#[case::list_of_tables("file = \"/a\"", "`file` must be a list of tables, and this is text")]
fn mistakes_in_a_service(#[case] text: &str, #[case] expected: &str) {
    let text = if text.starts_with("unit") || text.is_empty() {
        text.to_owned()
    } else {
        format!("{WEB}{text}")
    };
    let shown = service(&text);
    assert!(shown.contains(expected), "shown was:\n{shown}");
}

#[rstest]
#[case::key("[strategies]", "did you mean `strategy`?")]
#[case::retry("retry-interval = \"5s\"", "`retry-interval` must be at least 1m")]
#[case::flapping_of_the_host(
    "[health.host]\nflapping = { changes = 2 }",
    "`changes` must lie between 3 and 1000"
)]
#[case::kept_too_short("[store]\nretention = \"5m\"", "`retention` must be at least")]
#[case::kept_too_little("[store]\nmax-size = \"10KiB\"", "`max-size` must be at least 1MiB")]
#[case::not_a_size("[store]\nmax-size = \"lots\"", "`lots` is not a size")]
#[case::unknown_in_store("[store]\nkeep = \"1d\"", "unknown key `keep`")]
#[case::no_such_order("[defaults]\norder = \"best\"", "`best`")]
#[case::limit("[limits]\nmemory = \"0B\"", "`memory` must not be 0")]
#[case::limit_key("[limits]\ntime = \"1s\"", "valid in [limits]: deadline, cpu, memory")]
#[case::protect(
    "[protect]\nadd = [\"a b\"]",
    "`a b.service` is not the name of a unit"
)]
#[case::name("[strategy.Big]", "`Big` is not a name")]
#[case::no_table("[strategy]\na = 1", "`strategy` holds one table for each strategy")]
#[case::reserved(
    "[strategy.port-conflict]\ncomponent = \"a.wasm\"",
    "error: `port-conflict` is a built-in strategy: its name is reserved\n --> prunella.toml:2:13"
)]
#[case::reserved_hash(
    "[strategy.port-conflict]\nsha256 = \"a\"",
    "`port-conflict` is built in: there is no file to hash"
)]
#[case::hash(
    "[strategy.a]\nsha256 = \"abc\"",
    "a SHA-256 is 64 hexadecimal digits, and this is 3 characters"
)]
#[case::escape(
    "[strategy.a]\ncomponent = \"../a.wasm\"",
    "`component` must not contain `..`"
)]
#[case::setting(
    "[strategy.a.settings]\nlist = [1]",
    "a setting is text, a number, or true or false"
)]
#[case::act(
    "[[strategy.a.allow]]\nact = \"unit-control.restrat\"",
    "there is no act `unit-control.restrat`\n --> prunella.toml:2:7\n  |\n2 | act = \"unit-control.restrat\"\n  |       ^^^^^^^^^^^^^^^^^^^^^^\n  = help: did you mean `unit-control.restart`? There are: unit-control.start, unit-control.restart, unit-control.stop, unit-control.reload, unit-control.reset-failed, process-control.terminate, file-repair.mode, file-repair.owner, file-repair.target, checks.run"
)]
#[case::observe(
    "[[strategy.a.allow]]\nobserve = \"ports\"",
    "`observe` cannot be `ports`"
)]
#[case::both(
    "[[strategy.a.allow]]\nobserve = \"logs\"\nact = \"checks.run\"",
    "a grant allows either one act or one way to observe"
)]
#[case::neither(
    "[[strategy.a.allow]]\non = [\"self\"]",
    "a grant allows either one act or one way to observe"
)]
#[case::on_nothing(
    "[[strategy.a.allow]]\nact = \"checks.run\"\non = []",
    "a grant on nothing allows nothing"
)]
#[case::short(
    "[[strategy.a.allow]]\nact = \"unit-control.stop\"\non = [\"cache\"]",
    "write the unit's full name, such as \"cache.service\""
)]
#[case::on_mount(
    "[[strategy.a.allow]]\nact = \"unit-control.stop\"\non = [\"srv.mount\"]",
    "only services and sockets can be acted on"
)]
#[case::check_on_unit(
    "[[strategy.a.allow]]\nact = \"checks.run\"\non = [\"a.service\"]",
    "this act is on declared files and checks, not on units"
)]
#[case::default_strategy(
    "[defaults]\nstrategies = [\"nobody\"]",
    "there is no strategy `nobody`\n --> prunella.toml:2:15"
)]
#[case::syntax(
    "[limits\nmemory = 1",
    "error: unclosed table, expected `]`\n --> prunella.toml:1:8"
)]
#[case::limit_of_a_service("[health.host]\ndescriptors = \"off\"", "unknown key `descriptors`")]
#[case::metrics_interval("[metrics]\ninterval = \"2m\"", "`interval` must be at most 1m")]
#[case::smart_interval("[metrics]\nsmart = \"1s\"", "`smart` must be at least 10s")]
fn mistakes_in_the_main_file(#[case] text: &str, #[case] expected: &str) {
    let shown = main_file(text);
    assert!(shown.contains(expected), "shown was:\n{shown}");
}

#[rstest]
#[case::no_unit("strategies = [\"service-restrat\"]")]
#[case::bad_unit("unit = \"a.timer\"\nstrategies = [\"service-restrat\"]")]
#[case::declared_twice("unit = \"web.service\"\nstrategies = [\"service-restrat\"]")]
#[case::other_mistakes("unit = \"b.service\"\ncritcal = true\nstrategies = [\"service-restrat\"]")]
fn a_misspelt_strategy_is_named_with_all_other_mistakes(#[case] text: &str) {
    let loaded = load(&[
        ("services.d/a.toml", "unit = \"web.service\""),
        ("services.d/b.toml", text),
    ]);
    assert_eq!(loaded.errors().count(), 2, "{}", shown(&loaded));
    assert!(
        shown(&loaded).contains("there is no strategy `service-restrat`"),
        "{}",
        shown(&loaded)
    );
}

#[test]
fn a_service_declared_twice() {
    let loaded = load(&[
        ("services.d/a.toml", "unit = \"web.service\""),
        ("services.d/b.toml", "# again\nunit = \"web\""),
    ]);
    assert_eq!(
        shown(&loaded),
        "error: web.service is declared twice\n --> services.d/b.toml:2:8\n  |\n2 | unit = \"web\"\n  |        ^^^^^\n  = help: the first is services.d/a.toml:1; remove one"
    );
}

#[test]
fn a_cycle_is_printed_once() {
    let loaded = load(&[
        (
            "services.d/a.toml",
            "unit = \"a.service\"\ndepends-on = [\"b.service\"]",
        ),
        (
            "services.d/b.toml",
            "unit = \"b.service\"\ndepends-on = [\"d.service\", \"c.service\"]",
        ),
        (
            "services.d/c.toml",
            "unit = \"c.service\"\ndepends-on = [\"a.service\"]",
        ),
        ("services.d/d.toml", "unit = \"d.service\""),
        (
            "services.d/e.toml",
            "unit = \"e.service\"\ndepends-on = [\"a.service\"]",
        ),
    ]);
    assert!(loaded.config.is_none());
    assert_eq!(
        shown(&loaded),
        "error: a cycle in `depends-on`: a.service → b.service → c.service → a.service\n --> services.d/a.toml:2:15\n  |\n2 | depends-on = [\"b.service\"]\n  |               ^^^^^^^^^^^\n  = help: none of them could ever be healed first: take one `depends-on` out"
    );
}

#[test]
fn several_syntax_errors_in_several_files() {
    let loaded = load(&[
        ("services.d/a.toml", "unit = \n"),
        (
            "services.d/b.toml",
            "unit = \"b.service\"\nunit = \"c.service\"\n",
        ),
    ]);
    assert!(loaded.config.is_none());
    let files: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|found| {
            format!(
                "{}:{}",
                found.file.display(),
                found.place.as_ref().unwrap().line
            )
        })
        .collect();
    assert_eq!(files, ["services.d/a.toml:1", "services.d/b.toml:2"]);
}

#[test]
fn what_is_no_text_file() {
    let folder = folder(&[("prunella.toml", "")]);
    let services = folder.path().join("services.d");
    fs::create_dir_all(services.join("folder.toml")).unwrap();
    fs::write(
        services.join("latin.toml"),
        b"# caf\xe9\nunit = \"a.service\"",
    )
    .unwrap();
    fs::write(
        services.join("noise.toml"),
        b"# \xb4\x1b[31m\xffunit \xd8\x9e and on and on it goes",
    )
    .unwrap();
    fs::write(services.join("long.toml"), "#".repeat(2 << 20)).unwrap();
    std::os::unix::fs::symlink("/nonexistent", services.join("missing.toml")).unwrap();
    let shown = shown(&Config::load(folder.path()));
    for expected in [
        "error: this must be a file, and it is a folder\n --> services.d/folder.toml",
        "error: the file is not UTF-8 (byte 0xe9)\n --> services.d/latin.toml:1:6\n",
        "1 | # caf\\xe9\n  |      ^^^^\n",
        "1 | # \\xb4\\x1b[31m\\xffunit \\xd8\\x9e and on an…\n  |   ^^^^\n",
        "error: the file is larger than 1 MiB: it cannot be a configuration\n --> services.d/long.toml",
        "error: the file cannot be read: No such file or directory (os error 2)\n --> services.d/missing.toml",
    ] {
        assert!(shown.contains(expected), "shown was:\n{shown}");
    }
}

#[rstest]
#[case::of_its_own_line(
    "[[file]]\nname = \"x\"\npath = \"/x\"\nmode = 0640",
    "bad.toml:5:8",
    "0640"
)]
#[case::without_spaces("[[file]]\nmode=0600\n", "bad.toml:3:6", "0600")]
#[case::in_one_line("file = [{ name = \"x\", mode = 0644 }]", "bad.toml:2:30", "0644")]
fn a_mode_needs_quotes(#[case] text: &str, #[case] place: &str, #[case] mode: &str) {
    let shown = shown(&load(&[(
        "services.d/bad.toml",
        &format!("unit = \"bad\"\n{text}"),
    )]));
    assert!(shown.contains(place), "{shown}");
    assert!(
        shown.contains(&format!("help: write `mode = \"{mode}\"`")),
        "{shown}"
    );
    assert!(shown.contains(&"^".repeat(mode.len())), "{shown}");
    assert!(!shown.contains("unexpected"), "{shown}");
}

#[test]
fn other_numbers_with_a_leading_zero_are_told_as_they_are() {
    let shown = shown(&load(&[(
        "services.d/bad.toml",
        "unit = \"bad\"\n[budget]\nhealings = 05",
    )]));
    assert!(shown.contains("leading zero"), "{shown}");
}

#[rstest]
#[case::ending("shop.tml", Some("shop.toml"))]
#[case::backup("shop.toml.bak", Some("shop.toml"))]
#[case::backup_beside_it("web.toml.bak", None)]
#[case::package("web.toml.dpkg-old", None)]
#[case::no_ending("shop", Some("shop.toml"))]
fn a_file_that_is_not_read_gets_a_sensible_name(#[case] name: &str, #[case] better: Option<&str>) {
    let shown = shown(&load(&[
        ("services.d/web.toml", WEB),
        (&format!("services.d/{name}"), ""),
    ]));
    let help = match better {
        Some(better) => format!("help: name it `{better}`, or move it out of services.d"),
        None => "help: move it out of services.d".to_owned(),
    };
    assert!(shown.contains(&help), "{shown}");
}

#[test]
fn without_strategies_nothing_is_healed() {
    let loaded = load(&[
        ("services.d/bad.toml", "unit = \"bad\"\nstrategies = []"),
        ("services.d/web.toml", WEB),
    ]);
    let shown = shown(&loaded);
    assert!(loaded.config.is_some(), "{shown}");
    assert_eq!(loaded.warnings().count(), 1, "{shown}");
    assert!(shown.contains("nothing heals them"), "{shown}");
    assert!(shown.contains("services.d/bad.toml:2:14"), "{shown}");
}

#[rstest]
#[case::root(0, 0o644, true)]
#[case::private(0, 0o600, true)]
#[case::reader_itself(1000, 0o644, true)]
#[case::somebody_else(1001, 0o600, false)]
#[case::group_writes(0, 0o664, false)]
#[case::everybody_writes(0, 0o646, false)]
#[case::sticky_folder(0, 0o1777, true)]
fn who_is_trusted(#[case] uid: u32, #[case] mode: u32, #[case] trusted: bool) {
    let trust = Trust::of(1000);
    assert_eq!(trust.objection(uid, mode).is_none(), trusted);
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let folder = folder(&[("services.d/web.toml", WEB), ("prunella.toml", "")]);
    let path = folder.path().join("services.d/web.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let loaded = Config::load(folder.path());
    assert!(loaded.config.is_none());
    assert_eq!(
        shown(&loaded),
        format!(
            "error: others can write it (mode 0666), and could make Prunella run anything\n --> services.d/web.toml\n = help: chmod go-w {}",
            path.display()
        )
    );
}

#[test]
fn a_file_that_belongs_to_somebody_else_is_refused() {
    let folder = folder(&[("services.d/web.toml", WEB)]);
    let path = folder.path().join("services.d/web.toml");
    assert_eq!(
        std::os::unix::fs::chown(&path, Some(12_345), None)
            .err()
            .map(|e| e.kind()),
        None,
        "this test gives a file away: run it as root"
    );
    let loaded = Config::load(folder.path());
    assert!(shown(&loaded).starts_with("error: it belongs to the user 12345"));
    // The same, seen by that user.
    let own = load_trusting(folder.path(), Trust::of(12_345));
    assert_eq!(shown(&own), "");
}

#[test]
fn how_long_incidents_are_kept() {
    let retention = |text: &str| load(&[("prunella.toml", text)]).config.unwrap().retention;
    assert_eq!(retention(""), Retention::default());
    assert_eq!(
        retention("[store]\nretention = \"30d\"\nmax-size = \"256MiB\""),
        Retention {
            max_age: Some(Duration::from_secs(30 * 86_400)),
            max_size: Some(256 << 20),
        }
    );
    assert_eq!(
        retention("[store]\nretention = \"forever\"\nmax-size = \"unlimited\""),
        Retention {
            max_age: None,
            max_size: None,
        }
    );
}

#[test]
fn the_order_is_the_hosts_unless_a_service_says_otherwise() {
    let orders = |main: &str| {
        let loaded = load(&[
            ("prunella.toml", main),
            ("services.d/a.toml", "unit = \"a.service\""),
            (
                "services.d/b.toml",
                "unit = \"b.service\"\norder = \"listed\"",
            ),
            (
                "services.d/c.toml",
                "unit = \"c.service\"\norder = \"learned\"",
            ),
        ]);
        let config = loaded.config.unwrap();
        ["a.service", "b.service", "c.service"].map(|name| config.services[&unit(name)].order)
    };
    assert_eq!(orders(""), [Order::Listed, Order::Listed, Order::Learned]);
    assert_eq!(
        orders("[defaults]\norder = \"learned\""),
        [Order::Learned, Order::Listed, Order::Learned]
    );
}

#[test]
fn what_lies_in_the_services_folder_and_is_not_read_is_told() {
    let folder = folder(&[
        ("services.d/web.toml", "unit = \"web.service\"\n"),
        ("services.d/.web.toml", "unit = \"web.service\"\n"),
        ("services.d/.db.toml", "unit = \"db.service\"\n"),
        ("services.d/.db.toml.swp", "nonsense"),
        ("services.d/.#db.toml", "nonsense"),
        ("services.d/more/shop.toml", "unit = \"shop.service\"\n"),
        (
            "services.d/old.disabled/shop.toml",
            "unit = \"shop.service\"\n",
        ),
    ]);
    let loaded = Config::load(folder.path());
    assert_eq!(
        shown(&loaded),
        "warning: this is a folder: the files in it are not read\n --> services.d/more\n = help: move \
         its files into services.d itself, or the folder out of it\n\n\
         warning: the file is not read: it is hidden, since its name begins with a dot\n --> \
         services.d/.db.toml\n = help: name it `db.toml`, or move it out of services.d\n\n\
         warning: the file is not read: it is hidden, since its name begins with a dot\n --> \
         services.d/.web.toml\n = help: move it out of services.d"
    );
    assert_eq!(loaded.config.unwrap().services.len(), 1);
}

#[rstest]
#[case("window = \"10s\"\nbackoff = [\"1h\"]", None)]
#[case("window = \"10s\"\nbackoff = [\"0s\", \"10s\"]", None)]
#[case("window = \"10s\"\nbackoff = [\"0s\", \"1h\"]", Some((4, "1h", "10s")))]
#[case("window = \"60s\"", Some((3, "2m", "1m")))]
#[case("backoff = [\"0s\", \"10m\"]", Some((3, "10m", "5m")))]
fn a_wait_that_never_comes_to_its_end_is_told(
    #[case] budget: &str,
    #[case] told: Option<(usize, &str, &str)>,
) {
    let text = format!("unit = \"web\"\n[budget]\n{budget}\n");
    let loaded = load(&[("services.d/web.toml", &text)]);
    assert!(loaded.config.is_some());
    let Some((line, wait, window)) = told else {
        assert_eq!(shown(&loaded), "");
        return;
    };
    let shown = shown(&loaded);
    assert!(shown.contains(&format!("web.toml:{line}:")), "{shown}");
    let says = format!("a wait ({wait}) that is longer than `window` ({window})");
    assert!(shown.contains(&says), "{shown}");
}

#[test]
fn a_cleanup_is_read() {
    let loaded = load(&[(
        "services.d/web.toml",
        "unit = \"web.service\"
[[cleanup]]
name = \"pictures\"
path = \"/mnt/data/pictures\"
patterns = [\"*.jpg\"]
older-than = \"1d\"
keep-newest = 3
at-most = \"2GiB\"
mounted = \"/mnt/data\"
[[cleanup]]
name = \"old-logs\"
preset = \"journal\"
at-most = \"64KiB\"
",
    )]);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let service = &config.services[&unit("web.service")];
    assert_eq!(
        service.strategies.last().map(StrategyName::as_str),
        Some("disk-relief"),
        "it is tried where something is declared for it"
    );
    let day = Duration::from_secs(86_400);
    assert_eq!(
        service.remedies["pictures"],
        Remedy::Cleanup(Cleanup {
            of: CleanupOf::Folder(CleanupFolder {
                path: "/mnt/data/pictures".into(),
                patterns: vec!["*.jpg".to_owned()],
                truncate: false,
                mounted: Some("/mnt/data".into()),
            }),
            older_than: day,
            keep_newest: 3,
            at_most: Some(2 << 30),
            at_least: 1 << 20,
        })
    );
    assert_eq!(
        service.remedies["old-logs"],
        Remedy::Cleanup(Cleanup {
            of: CleanupOf::Preset(CleanupPreset::Journal),
            older_than: 7 * day,
            keep_newest: 0,
            at_most: Some(64 << 10),
            at_least: 64 << 10,
        })
    );
}
