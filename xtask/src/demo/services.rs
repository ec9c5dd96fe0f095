//! The services of the demo's machine, as their operator wrote them down.

use std::path::Path;

use anyhow::Result;
use prunella_machine::{Builder, Machine};

use super::software::Software;

/// Where the machine's own programs are.
const PROGRAMS: &str = "/opt/demo";

/// Programs of a small shop. All are the test machine's `victim`, which can be
/// told to misbehave; each goes by its own name.
const VICTIMS: [&str; 9] = [
    "shop", "api", "orders", "catalog", "cart", "mailer", "chat", "billing", "legacy",
];

/// systemd starts the mailer so often, and then no more.
pub(crate) const MAILER_STARTS: u32 = 3;

/// What is started before the first scene.
pub(crate) const RUNNING: [&str; 9] = [
    "nginx.service",
    "redis-server.service",
    "shop.service",
    "api.service",
    "orders.service",
    "catalog.service",
    "cart.service",
    "mailer.service",
    "chat.service",
];

/// Put in care by `prunella enable`, which learns what it needs to know; for
/// the others the operator wrote a file.
pub(crate) const ENABLED: [&str; 2] = ["nginx.service", "redis-server.service"];

/// Settings of this host's Prunella: healing is to be watched for less long
/// than one would in earnest.
const SETTINGS: &str = r#"[defaults]
proof = { stable-for = "1s", timeout = "30s" }

[strategy.port-conflict]
settings = { grace = "500ms" }
"#;

const NGINX_CONF: &str = "\
user www-data;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 64; }
http {
    access_log off;
    server {
        listen 80;
        return 200 \"hello\\n\";
    }
}
";

const REDIS_CONF: &str = "\
bind 127.0.0.1
port 6379
save \"\"
dir /var/lib/redis
";

/// Puts everybody's files into the machine.
pub(crate) fn furnish(machine: Builder, software: &Software, victim: &Path) -> Builder {
    let mut machine = VICTIMS
        .into_iter()
        .fold(machine, |machine, name| {
            machine.bind_ro(victim, format!("{PROGRAMS}/{name}"))
        })
        .file("/etc/prunella/prunella.toml", SETTINGS, 0o644)
        .file("/etc/nginx/nginx.conf", NGINX_CONF, 0o644)
        .file("/var/log/nginx/error.log", "", 0o644)
        .file(
            "/var/lib/nginx/README",
            "nginx keeps its files here.\n",
            0o644,
        )
        .file("/etc/redis/redis.conf", REDIS_CONF, 0o644)
        .file(
            "/var/lib/redis/README",
            "Redis would keep its data here.\n",
            0o644,
        )
        .unit("nginx.service", &nginx(&software.nginx))
        .unit("redis-server.service", &redis(&software.redis))
        .file("/srv/api/api.conf", "greeting = hello\n", 0o644)
        .file("/srv/orders/orders.db", "one order\n", 0o644)
        .file("/srv/catalog/releases/2/catalog", "two things\n", 0o644)
        // Somebody's own, not in care.
        .unit("legacy.service", &unit("", "", "legacy", "--listen 8087"));
    for (name, unit, declared) in [
        (
            "shop",
            unit(
                "",
                "KillMode=process",
                "shop",
                "--listen 8080 --leave-child",
            ),
            "domain = \"Shop\"\ncritical = true\nports = [\"tcp/8080\"]\n",
        ),
        (
            "api",
            unit(
                "",
                "User=www-data",
                "api",
                "--listen 8081 --read /srv/api/api.conf",
            ),
            "domain = \"Shop\"\nports = [\"tcp/8081\"]\n\n\
             [[file]]\nname = \"settings\"\npath = \"/srv/api/api.conf\"\n\
             owner = \"root:www-data\"\nmode = \"0640\"\n",
        ),
        (
            "orders",
            unit(
                "",
                "User=www-data",
                "orders",
                "--listen 8082 --read /srv/orders/orders.db",
            ),
            "domain = \"Shop\"\ncritical = true\nports = [\"tcp/8082\"]\n\n\
             [[file]]\nname = \"database\"\npath = \"/srv/orders/orders.db\"\n\
             role = \"database\"\nowner = \"www-data:www-data\"\nmode = \"0600\"\n",
        ),
        (
            "catalog",
            unit(
                "",
                "User=www-data",
                "catalog",
                "--listen 8083 --read /srv/catalog/current",
            ),
            "domain = \"Shop\"\nports = [\"tcp/8083\"]\n\n\
             [[file]]\nname = \"release\"\npath = \"/srv/catalog/current\"\n\
             role = \"symlink\"\ntarget = \"/srv/catalog/releases/2/catalog\"\n",
        ),
        (
            "cart",
            unit(
                "After=redis-server.service",
                "",
                "cart",
                "--listen 8084 --need-tcp 6379",
            ),
            "domain = \"Shop\"\nports = [\"tcp/8084\"]\ndepends-on = [\"redis-server.service\"]\n\n\
             [[probe]]\nname = \"sessions\"\nredis = \"127.0.0.1:6379\"\n\
             unit = \"redis-server.service\"\n",
        ),
        (
            "mailer",
            unit(
                &format!("StartLimitIntervalSec=10min\nStartLimitBurst={MAILER_STARTS}"),
                "Restart=on-failure",
                "mailer",
                "--listen 8085",
            ),
            "domain = \"Mail\"\nports = [\"tcp/8085\"]\n",
        ),
        (
            "chat",
            unit("", "", "chat", "--listen 8086"),
            "domain = \"Chat\"\nports = [\"tcp/8086\"]\n\n\
             [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8086/\"\n\
             timeout = \"300ms\"\ninterval = \"1s\"\nfailure-threshold = 2\n",
        ),
        (
            "billing",
            unit("", "", "billing", "--listen 8087"),
            "domain = \"Shop\"\nports = [\"tcp/8087\"]\n",
        ),
    ] {
        machine = machine.unit(&format!("{name}.service"), &unit).file(
            format!("/etc/prunella/services.d/{name}.toml"),
            format!("unit = \"{name}.service\"\n{declared}"),
            0o644,
        );
    }
    machine
}

/// Does what only a machine that is up can: owners, links.
pub(crate) fn settle_in(machine: &Machine, software: &Software) -> Result<()> {
    software.settle_in(machine)?;
    let script = "chown root:www-data /srv/api/api.conf && chmod 0640 /srv/api/api.conf && \
         chown www-data:www-data /srv/orders/orders.db && chmod 0600 /srv/orders/orders.db && \
         ln -s /srv/catalog/releases/2/catalog /srv/catalog/current";
    machine.run_ok(&["bash", "-c", script])?;
    let mut start = vec!["start"];
    start.extend(RUNNING);
    machine.systemctl(&start)?;
    Ok(())
}

/// A unit of one of our own programs, which tell systemd when they are ready.
fn unit(unit: &str, service: &str, program: &str, options: &str) -> String {
    format!(
        "[Unit]\nDescription=The demo's {program}\n{unit}\n\n[Service]\nType=notify\n{service}\n\
         ExecStart={PROGRAMS}/{program} --notify {options}\n"
    )
}

/// As Debian's nginx.service does it.
fn nginx(program: &str) -> String {
    format!(
        "[Unit]\nDescription=A web server\n\n[Service]\nType=forking\nPIDFile=/run/nginx.pid\n\
         ExecStartPre={program} -t -q -g 'daemon on; master_process on;'\n\
         ExecStart={program} -g 'daemon on; master_process on;'\n\
         ExecReload={program} -g 'daemon on; master_process on;' -s reload\n\
         TimeoutStopSec=5\nKillMode=mixed\n"
    )
}

/// As Debian's redis-server.service does it.
fn redis(program: &str) -> String {
    format!(
        "[Unit]\nDescription=A key-value store\n\n[Service]\nType=notify\nDynamicUser=yes\n\
         ExecStart={program} /etc/redis/redis.conf --supervised systemd --daemonize no\n\
         PrivateTmp=yes\nNoNewPrivileges=yes\nUMask=007\n"
    )
}
