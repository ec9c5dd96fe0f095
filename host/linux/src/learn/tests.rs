use std::{fs, time::Duration};

use prunella_core::capability::ActiveState;
use rstest::rstest;

use super::*;

pub(super) fn status(name: &str) -> UnitStatus {
    let name = UnitName::new(name).unwrap();
    UnitStatus {
        names: vec![name.clone()],
        name,
        description: String::new(),
        load_state: "loaded".to_owned(),
        active_state: ActiveState::Inactive,
        sub_state: "dead".to_owned(),
        kind: Some("simple".to_owned()),
        result: "success".to_owned(),
        exit_code: None,
        signal: None,
        main_pid: None,
        restarts: 0,
        invocation: None,
        since: None,
        since_monotonic: None,
        active_exit_monotonic: None,
        inactive_enter_monotonic: None,
        inactive_exit_monotonic: None,
        main_exit_monotonic: None,
        restart_policy: "no".to_owned(),
        restart_delay: Duration::ZERO,
        start_limit_burst: 0,
        start_limit_interval: Duration::ZERO,
        start_limit_action: "none".to_owned(),
        failure_action: "none".to_owned(),
        success_action: "none".to_owned(),
        remain_after_exit: false,
        job: None,
        requires: Vec::new(),
        required_by: Vec::new(),
        conflicts: Vec::new(),
        on_failure: Vec::new(),
        triggered_by: Vec::new(),
        triggers: Vec::new(),
        control_group: None,
        user: String::new(),
        group: String::new(),
        fragment: None,
        needs_reload: false,
        private_network: false,
        start_rules: prunella_core::start_rules::StartRules::default(),
        own_word: prunella_core::capability::OwnWord::default(),
    }
}

fn learned(name: &str) -> Learned {
    Learned {
        status: status(name),
        ports: Vec::new(),
        run_policy: Finding::new(RunPolicy::OnFailure, ""),
        env_files: Vec::new(),
        needs: Vec::new(),
        checks: Vec::new(),
        remedies: Vec::new(),
        probe: None,
        not_asked: None,
        start_timeout: None,
        monit: Vec::new(),
        wrapper_of: Vec::new(),
        notes: Vec::new(),
    }
}

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// What is learned from a command on a host with these programs.
fn from_command(command: &str, programs: &[&str]) -> Learned {
    let root = tempfile::tempdir().unwrap();
    for program in programs {
        let path = root.path().join(program.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let commands = [words(command)];
    let mut learned = learned("a.service");
    if let Some(known) = known::of(&commands) {
        known.tell(&commands, &mut learned, root.path());
    }
    learned
}

#[rstest]
#[case::nginx(
    "/usr/sbin/nginx -g daemon on; master_process on;",
    "/usr/sbin/nginx",
    "/usr/sbin/nginx -t"
)]
#[case::nginx_with_its_own_config(
    "/usr/sbin/nginx -c /srv/n.conf",
    "/usr/sbin/nginx",
    "/usr/sbin/nginx -t -c /srv/n.conf"
)]
#[case::by_its_bare_name("nginx", "/usr/sbin/nginx", "/usr/sbin/nginx -t")]
#[case::apache(
    "/usr/sbin/apachectl start",
    "/usr/sbin/apache2ctl",
    "/usr/sbin/apache2ctl configtest"
)]
#[case::httpd(
    "/usr/sbin/httpd -DFOREGROUND",
    "/usr/sbin/httpd",
    "/usr/sbin/httpd -t"
)]
#[case::haproxy(
    "/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE",
    "/usr/sbin/haproxy",
    "/usr/sbin/haproxy -c -f /etc/haproxy/haproxy.cfg"
)]
#[case::named(
    "/usr/sbin/named -f -u bind",
    "/usr/bin/named-checkconf",
    "/usr/bin/named-checkconf"
)]
#[case::postfix(
    "/usr/sbin/postmulti -i - -p start",
    "/usr/sbin/postfix",
    "/usr/sbin/postfix check"
)]
#[case::php_fpm(
    "/usr/sbin/php-fpm8.2 --nodaemonize --fpm-config /etc/php/8.2/fpm/php-fpm.conf",
    "/usr/sbin/php-fpm8.2",
    "/usr/sbin/php-fpm8.2 -t --fpm-config /etc/php/8.2/fpm/php-fpm.conf"
)]
#[case::caddy(
    "/usr/bin/caddy run --environ --config /etc/caddy/Caddyfile",
    "/usr/bin/caddy",
    "/usr/bin/caddy validate --config /etc/caddy/Caddyfile"
)]
fn known_checks(#[case] command: &str, #[case] program: &str, #[case] check: &str) {
    let learned = from_command(command, &[program]);
    assert_eq!(learned.checks.len(), 1, "{:?}", learned.notes);
    assert_eq!(learned.checks[0].what.command.join(" "), check);
    assert!(learned.checks[0].what.as_root);
}

#[test]
fn a_check_that_is_not_installed_is_not_proposed() {
    let learned = from_command("/usr/sbin/nginx", &[]);
    assert_eq!(learned.checks, []);
    assert_eq!(
        learned.notes,
        ["its check /usr/sbin/nginx is not installed"]
    );
}

#[test]
fn traefik_has_none() {
    let learned = from_command(
        "/usr/bin/traefik --configfile=/etc/t.yml",
        &["/usr/bin/traefik"],
    );
    assert_eq!(learned.checks, []);
    assert!(learned.notes[0].contains("Traefik has no command"));
}

#[test]
fn unknown_programs_tell_nothing() {
    let learned = from_command("/usr/bin/php-fpmish -t", &["/usr/bin/php-fpmish"]);
    assert_eq!(learned.checks, []);
    assert_eq!(learned.notes, Vec::<String>::new());
}

#[test]
fn ports_are_reached_by_loopback_where_that_is_bound() {
    let there = |address: &str, number| crate::ports::ListeningPort {
        protocol: Protocol::Tcp,
        number,
        address: address.parse().unwrap(),
    };
    let found = listening::reachable(&[
        there("10.0.0.5", 80),
        there("127.0.0.1", 80),
        there("::", 443),
        there("0.0.0.0", 443),
        there("10.0.0.5", 8080),
    ]);
    let places: Vec<&str> = found.iter().map(|port| port.places[0].as_str()).collect();
    assert_eq!(places, ["127.0.0.1:80", "127.0.0.1:443", "10.0.0.5:8080"]);
}

#[test]
fn a_wrapper_and_what_is_behind_it() {
    let mut unit = status("postgresql.service");
    unit.kind = Some("oneshot".to_owned());
    unit.remain_after_exit = true;
    let seen = Seen {
        commands: vec![words("/bin/true")],
        consists_of: vec!["postgresql@15-main.service".to_owned()],
        wants: vec![
            "postgresql@15-main.service".to_owned(),
            "postgresql@15-other.service".to_owned(),
            "network.service".to_owned(),
        ],
        ..Seen::default()
    };
    assert_eq!(
        wrapped(&unit, &seen),
        ["postgresql@15-main.service", "postgresql@15-other.service"]
    );
    unit.remain_after_exit = false;
    assert_eq!(wrapped(&unit, &seen), Vec::<UnitName>::new());
}

#[rstest]
#[case("0.0.0.0:80", Some(80))]
#[case("[::]:443", Some(443))]
#[case("22", Some(22))]
#[case("@abstract", None)]
fn ports_of_sockets(#[case] address: &str, #[case] port: Option<u16>) {
    assert_eq!(port_of(address), port);
}

#[test]
fn env_files_with_their_dash() {
    let seen = Seen {
        env_files: vec![
            ("/etc/default/a".to_owned(), true),
            ("/etc/a/*.env".to_owned(), false),
        ],
        ..Seen::default()
    };
    let mut learned = learned("a.service");
    env_files(&seen, &mut learned);
    assert_eq!(learned.env_files.len(), 1);
    assert!(learned.env_files[0].what.optional);
    assert_eq!(learned.notes.len(), 1);
}

#[test]
fn only_services_are_needed_by_name() {
    let names = [
        "system.slice",
        "sysinit.target",
        "dbus.service",
        "systemd-journald.service",
        "redis-server.service",
    ]
    .map(str::to_owned);
    assert_eq!(services(&names), ["redis-server.service"]);
}

#[rstest]
#[case::by_name("check process nginx with pidfile /x", true)]
#[case::by_pid_file("check process web with pidfile /var/run/nginx.pid", true)]
#[case::by_unit(
    "check process web\n  start program = \"/bin/systemctl start nginx.service\"",
    true
)]
#[case::by_systemctl(
    "check process web\n  start program = \"/bin/systemctl start nginx\"",
    true
)]
#[case::by_init(
    "CHECK PROCESS web\n  start program = \"/etc/init.d/nginx start\"",
    true
)]
#[case::another("check process apache2 with pidfile /run/apache2.pid", false)]
#[case::commented("# check process nginx with pidfile /run/nginx.pid", false)]
fn watched_by_monit(#[case] text: &str, #[case] watched: bool) {
    let etc = tempfile::tempdir().unwrap();
    fs::create_dir_all(etc.path().join("monit/conf.d")).unwrap();
    fs::create_dir_all(etc.path().join("monit/conf-available")).unwrap();
    fs::write(etc.path().join("monit/conf.d/web"), format!("\n{text}\n")).unwrap();
    fs::write(
        etc.path().join("monit/conf-available/nginx"),
        "check process nginx\n",
    )
    .unwrap();
    let found = monit::watches(etc.path(), &status("nginx.service"), "/run/nginx.pid");
    assert_eq!(found.len(), usize::from(watched));
    if watched {
        assert_eq!(found[0].line, 2);
    }
}

#[rstest]
#[case::has_done_its_work(ActiveState::Active, "exited", 0)]
#[case::is_stopped(ActiveState::Inactive, "dead", 1)]
#[case::has_failed(ActiveState::Failed, "failed", 1)]
fn the_ports_of_a_unit_without_processes(
    #[case] state: ActiveState,
    #[case] sub_state: &str,
    #[case] notes: usize,
) {
    let mut learned = learned("once.service");
    learned.status.active_state = state;
    learned.status.sub_state = sub_state.to_owned();
    let found = listening::listening(Instant::now(), &mut learned);
    assert_eq!(found, []);
    assert_eq!(learned.notes.len(), notes, "{:?}", learned.notes);
}
