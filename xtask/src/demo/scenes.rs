//! The scenes: what breaks, what should happen, and how the demo checks it.

use anyhow::Result;

use super::{services, stage::Stage};

/// What should happen in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Healed by this strategy.
    Healed(&'static str),
    /// Nothing done, for this reason.
    LeftAlone(&'static str),
}

pub(crate) struct Scene {
    pub(crate) title: &'static str,
    /// Why it matters.
    pub(crate) story: &'static str,
    /// What should happen.
    pub(crate) expected: Expected,
    /// The unit that fails.
    pub(crate) unit: &'static str,
    /// Plays it. The stage notes what is not as expected.
    pub(crate) play: fn(&mut Stage<'_>) -> Result<Ending>,
}

/// How a scene ended.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// Microseconds from the failure to answering again.
    pub(crate) answered_after: Option<u64>,
    /// What was done, or why nothing was.
    pub(crate) how: String,
}

/// All of them, in order.
pub(crate) const SCENES: [Scene; 11] = [
    Scene {
        title: "A web server is killed",
        story: "nginx from Debian's package, enabled with `prunella enable`. Nothing is wrong with it: \
                it was killed, and has to run again.",
        expected: Expected::Healed("service-restart"),
        unit: "nginx.service",
        play: killed,
    },
    Scene {
        title: "A leftover of the service holds its port",
        story: "The main process dies. A child that ignores SIGTERM keeps the port. A plain restart \
                would fail with \"address already in use\".",
        expected: Expected::Healed("port-conflict"),
        unit: "shop.service",
        play: leftover,
    },
    Scene {
        title: "The service may not read its settings file",
        story: "Somebody edited it as root, with a strict umask. However often systemd starts the \
                program, it ends at once.",
        expected: Expected::Healed("environment-check"),
        unit: "api.service",
        play: settings,
    },
    Scene {
        title: "A symlink is gone",
        story: "A rollout removed the link to the current release and did not make a new one.",
        expected: Expected::Healed("environment-check"),
        unit: "catalog.service",
        play: link,
    },
    Scene {
        title: "A database was restored as root",
        story: "The file belongs to the wrong user now. The operator declared its owner.",
        expected: Expected::Healed("database-check"),
        unit: "orders.service",
        play: database,
    },
    Scene {
        title: "A service and the Redis it needs both die",
        story: "Starting the cart against a dead Redis would fail: Redis comes first.",
        expected: Expected::Healed("service-restart"),
        unit: "cart.service",
        play: dependency,
    },
    Scene {
        title: "systemd gives up on a service",
        story: "It is killed again and again. systemd brings it back (Restart=), and Prunella leaves \
                that to systemd, until the unit hits its start limit and systemd stops trying.",
        expected: Expected::Healed("service-restart"),
        unit: "mailer.service",
        play: start_limit,
    },
    Scene {
        title: "A service runs but does not answer",
        story: "To systemd all is well. A probe that the operator declared notices.",
        expected: Expected::Healed("service-restart"),
        unit: "chat.service",
        play: hang,
    },
    Scene {
        title: "The configuration has a mistake: left alone",
        story: "A start would only fail again. Prunella quotes nginx, does nothing, and heals once \
                somebody has fixed the file.",
        expected: Expected::LeftAlone("the configuration is broken"),
        unit: "nginx.service",
        play: broken_config,
    },
    Scene {
        title: "Another service holds the port: left alone",
        story: "Which of the two should have it is for people to decide. Nobody is killed.",
        expected: Expected::LeftAlone("another service has the port"),
        unit: "billing.service",
        play: stranger,
    },
    Scene {
        title: "An operator stops a service: left alone",
        story: "Prunella never undoes what people do. A dry run still shows what it would do.",
        expected: Expected::LeftAlone("an operator stopped it"),
        unit: "api.service",
        play: stopped,
    },
];

fn killed(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "nginx.service";
    let before = stage.main_pid(unit)?;
    stage.types("systemctl kill --signal=KILL nginx.service")?;
    let incident = stage.until_healed(unit, "service-restart", "unit-control.start")?;
    stage.expect_other_process(unit, before)?;
    stage.expect_answer(80)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "started".to_owned(),
    })
}

fn leftover(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "shop.service";
    let before = stage.main_pid(unit)?;
    let group = stage.machine().property(unit, "ControlGroup")?;
    // Read in the machine, for the machine's own process numbers.
    let group = format!("cat /sys/fs/cgroup{group}/cgroup.procs");
    let processes = stage.quietly(&group)?.stdout;
    let child = processes
        .lines()
        .find(|pid| **pid != *before.to_string())
        .unwrap_or("0")
        .to_owned();
    stage.types("kill -KILL $(systemctl show --value --property MainPID shop.service)")?;
    let incident = stage.until_healed(unit, "port-conflict", "process-control.terminate")?;
    let now = stage.quietly(&group)?.stdout;
    stage.expect(
        child != "0" && now.lines().all(|pid| pid != child),
        &format!("the leftover {child} should be gone; there are {now:?}"),
        &format!("checked from outside: the leftover, process {child}, is gone"),
    );
    stage.expect_answer(8080)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "ended the leftover".to_owned(),
    })
}

fn settings(stage: &mut Stage<'_>) -> Result<Ending> {
    stage.types("chown root:root /srv/api/api.conf; chmod 0600 /srv/api/api.conf")?;
    stage.types("systemctl restart api.service")?;
    let incident = stage.until_healed("api.service", "environment-check", "file-repair.owner")?;
    expect_file(stage, "/srv/api/api.conf", "640 root:www-data")?;
    stage.expect_answer(8081)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "restored owner and mode".to_owned(),
    })
}

fn link(stage: &mut Stage<'_>) -> Result<Ending> {
    stage.types("rm /srv/catalog/current; systemctl restart catalog.service")?;
    let incident =
        stage.until_healed("catalog.service", "environment-check", "file-repair.target")?;
    let target = stage.quietly("readlink /srv/catalog/current")?.stdout;
    stage.expect(
        target.trim() == "/srv/catalog/releases/2/catalog",
        &format!("the link should be back; it leads to `{}`", target.trim()),
        &format!("checked from outside: the link leads to {}", target.trim()),
    );
    stage.expect_answer(8083)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "restored the link".to_owned(),
    })
}

fn database(stage: &mut Stage<'_>) -> Result<Ending> {
    stage.types("chown root:root /srv/orders/orders.db; systemctl restart orders.service")?;
    let incident = stage.until_healed("orders.service", "database-check", "file-repair.owner")?;
    expect_file(stage, "/srv/orders/orders.db", "600 www-data:www-data")?;
    stage.expect_answer(8082)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "restored the owner".to_owned(),
    })
}

fn dependency(stage: &mut Stage<'_>) -> Result<Ending> {
    let redis = "redis-server.service";
    stage.types("systemctl kill --signal=KILL redis-server.service cart.service")?;
    let incident = stage.until_healed("cart.service", "service-restart", "unit-control.start")?;
    let blocked = incident
        .steps("blocked")
        .any(|step| step.get("on").and_then(serde_json::Value::as_str) == Some(redis));
    stage.expect(
        blocked,
        &format!("the cart should wait for {redis}"),
        "Prunella's record: the cart waited for Redis",
    );
    let healed = stage
        .incidents()?
        .into_iter()
        .any(|incident| incident.unit() == redis && incident.ended() == Some("healed"));
    stage.expect(healed, &format!("{redis} should be healed"), "");
    let runs = stage.runs("cart.service");
    stage.expect(
        runs == 1,
        &format!("the cart should be started once, and was started {runs} times"),
        "checked from outside: the cart was started once, not against a dead Redis",
    );
    let pong = stage.quietly(
        "exec 3<>/dev/tcp/127.0.0.1/6379 && printf 'PING\\r\\n' >&3 && read -t 5 -r line <&3 && \
         echo \"$line\"",
    )?;
    stage.expect(
        pong.stdout.trim() == "+PONG",
        &format!("Redis should answer PING: `{}`", pong.stdout.trim()),
        "checked from outside: Redis answers PING with PONG",
    );
    stage.expect_answer(8084)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "waited until Redis was healed".to_owned(),
    })
}

fn start_limit(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "mailer.service";
    // Forgets how often it was started before.
    stage.quietly("systemctl reset-failed mailer.service")?;
    let kill = "systemctl kill --signal=KILL mailer.service";
    let times = services::MAILER_STARTS + 1;
    for time in 1..=times {
        let before = stage.main_pid(unit)?;
        stage.types(&format!("{kill}   # {time} of {times}"))?;
        if time < times {
            stage.until_other_process(unit, before)?;
        }
    }
    stage.until_said(unit, "repeated too quickly")?;
    let incident = stage.until_healed(unit, "service-restart", "unit-control.reset-failed")?;
    stage.expect_state(unit, "active")?;
    stage.expect_answer(8085)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "cleared the start limit".to_owned(),
    })
}

fn hang(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "chat.service";
    let before = stage.main_pid(unit)?;
    stage.types("systemctl kill --signal=USR1 chat.service   # the demo's chat hangs at that")?;
    let incident = stage.until_healed(unit, "service-restart", "unit-control.restart")?;
    stage.expect_other_process(unit, before)?;
    stage.expect_answer(8086)?;
    Ok(Ending {
        answered_after: incident.answered_after(),
        how: "restarted".to_owned(),
    })
}

fn broken_config(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "nginx.service";
    stage.types("sed -i 's/listen 80;/listen 80/' /etc/nginx/nginx.conf")?;
    stage.types("systemctl restart nginx.service")?;
    let incident = stage.until_held(unit, "config-validation")?;
    stage.expect(
        incident.why().contains("nginx.conf"),
        &format!("it should quote nginx: {}", incident.why()),
        "",
    );
    stage.expect_state(unit, "failed")?;
    stage.types("sed -i 's/listen 80$/listen 80;/' /etc/nginx/nginx.conf")?;
    let healed = stage.types_and_shows("prunella heal nginx.service")?;
    stage.expect(
        healed.success(),
        &format!("it should be healed now; exit code {:?}", healed.code),
        "",
    );
    stage.expect_answer(80)?;
    Ok(Ending {
        answered_after: None,
        how: "held back until it was fixed".to_owned(),
    })
}

fn stranger(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "billing.service";
    stage.types("systemctl start legacy.service   # not in care; takes port 8087")?;
    let before = stage.main_pid("legacy.service")?;
    stage.types("systemctl start billing.service  # wants port 8087")?;
    let incident = stage.until_held(unit, "port-conflict")?;
    stage.expect(
        incident.why().contains("legacy"),
        &format!("it should say who has the port: {}", incident.why()),
        "",
    );
    let now = stage.main_pid("legacy.service")?;
    stage.expect(
        before != 0 && now == before,
        &format!("the other service should live on: it was process {before}, and is {now}"),
        &format!("checked from outside: the other service, process {now}, lives on"),
    );
    stage.expect_answer(8087)?;
    Ok(Ending {
        answered_after: None,
        how: "named the other service, killed nobody".to_owned(),
    })
}

fn stopped(stage: &mut Stage<'_>) -> Result<Ending> {
    let unit = "api.service";
    stage.types("systemctl stop api.service")?;
    let dry_run = stage.types_and_shows("prunella heal api.service --dry-run")?;
    stage.expect(
        dry_run.success() && dry_run.stdout.contains("would start api.service"),
        &format!(
            "the plan should contain a start; exit code {:?}",
            dry_run.code
        ),
        "",
    );
    // Something that is noticed after it, and dealt with: so was the stop.
    stage.types("systemctl kill --signal=KILL chat.service   # to see that Prunella is awake")?;
    stage.until_healed("chat.service", "service-restart", "unit-control.start")?;
    stage.expect_state(unit, "inactive")?;
    let mut of_unit = stage.incidents()?;
    of_unit.retain(|incident| incident.unit() == unit);
    stage.expect_nothing_done(&of_unit);
    let runs = stage.runs(unit);
    stage.expect(
        runs == 0,
        &format!("it should not be started, and was {runs} times"),
        "checked from outside: it was not started; the dry run changed nothing",
    );
    Ok(Ending {
        answered_after: None,
        how: "stayed stopped; dry run only".to_owned(),
    })
}

/// Looks at a file's mode and owner.
fn expect_file(stage: &mut Stage<'_>, path: &str, wanted: &str) -> Result<()> {
    let stat = stage
        .quietly(&format!("stat --format='%a %U:%G' {path}"))?
        .stdout;
    let now = stat.trim();
    stage.expect(
        now == wanted,
        &format!("{path} should be {wanted}, and is {now}"),
        &format!("checked from outside: {path} is {now}"),
    );
    Ok(())
}
