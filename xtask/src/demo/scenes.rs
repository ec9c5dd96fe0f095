//! The scenes: what is broken, how it was to go, and how one can tell.

use anyhow::Result;

use super::{cast, play::Play};

/// How a scene is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Healed by this strategy.
    Healed(&'static str),
    /// Nothing done, for this reason.
    LeftAlone(&'static str),
}

/// One scene.
pub(crate) struct Scene {
    /// What happens.
    pub(crate) title: &'static str,
    /// Why it matters.
    pub(crate) story: &'static str,
    /// How it is to go.
    pub(crate) told: Told,
    /// The unit it is about.
    pub(crate) unit: &'static str,
    /// Plays it. What is not as told is noted in the play.
    pub(crate) play: fn(&mut Play<'_>) -> Result<Came>,
}

/// What came of a scene.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// Microseconds from the failure to answering again.
    pub(crate) answered_after: Option<u64>,
    /// What was done, or why nothing was.
    pub(crate) how: String,
}

/// All of them, in order.
pub(crate) const SCENES: [Scene; 11] = [
    Scene {
        title: "A web server is killed",
        story: "nginx from Debian's package, put in care by `prunella enable`. Nothing is wrong \
                with it: it has only been killed, and has to run again.",
        told: Told::Healed("service-restart"),
        unit: "nginx.service",
        play: killed,
    },
    Scene {
        title: "A leftover of the service holds its port",
        story: "The main process dies, and a child of it that ignores SIGTERM keeps the port. A \
                plain restart would fail with \"address already in use\".",
        told: Told::Healed("port-conflict"),
        unit: "shop.service",
        play: leftover,
    },
    Scene {
        title: "A settings file that the service may not read",
        story: "Somebody edited it as root, with a strict umask. systemd could start the program \
                again and again: it would end at once each time.",
        told: Told::Healed("environment-check"),
        unit: "api.service",
        play: settings,
    },
    Scene {
        title: "A link that got lost",
        story: "A rollout removed the link to the current release, and did not make the new one.",
        told: Told::Healed("environment-check"),
        unit: "catalog.service",
        play: link,
    },
    Scene {
        title: "A database that was restored as root",
        story: "It belongs to the wrong user now. The operator declared whose it is.",
        told: Told::Healed("database-check"),
        unit: "orders.service",
        play: database,
    },
    Scene {
        title: "A cart that needs Redis, and both die",
        story: "Starting the cart against a dead Redis would be no use: Redis comes first.",
        told: Told::Healed("service-restart"),
        unit: "cart.service",
        play: dependency,
    },
    Scene {
        title: "A service that systemd has given up",
        story: "It is killed again and again. systemd brings it back (Restart=), and Prunella \
                leaves that to systemd; until the unit's start limit is hit, and systemd does \
                nothing any more.",
        told: Told::Healed("service-restart"),
        unit: "mailer.service",
        play: start_limit,
    },
    Scene {
        title: "A service that runs, and does not answer",
        story: "To systemd all is well. A probe that the operator declared knows better.",
        told: Told::Healed("service-restart"),
        unit: "chat.service",
        play: hang,
    },
    Scene {
        title: "A configuration with a mistake: left alone",
        story: "A start would only fail again. Prunella says what nginx says, does nothing, and \
                heals when people have mended it.",
        told: Told::LeftAlone("the configuration is broken"),
        unit: "nginx.service",
        play: broken_config,
    },
    Scene {
        title: "A stranger on the port: left alone",
        story: "Another service has the port. Who is right is for people to decide; nobody is \
                killed.",
        told: Told::LeftAlone("somebody else has the port"),
        unit: "billing.service",
        play: stranger,
    },
    Scene {
        title: "An operator stops a service: left alone",
        story: "What people do is never undone. But one may ask what Prunella would do.",
        told: Told::LeftAlone("an operator stopped it"),
        unit: "api.service",
        play: stopped,
    },
];

fn killed(play: &mut Play<'_>) -> Result<Came> {
    let unit = "nginx.service";
    let before = play.main_pid(unit)?;
    play.types("systemctl kill --signal=KILL nginx.service")?;
    let incident = play.until_healed(unit, "service-restart", "unit-control.start")?;
    play.expect_other_process(unit, before)?;
    play.expect_answer(80)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "started".to_owned(),
    })
}

fn leftover(play: &mut Play<'_>) -> Result<Came> {
    let unit = "shop.service";
    let before = play.main_pid(unit)?;
    let group = play.machine().property(unit, "ControlGroup")?;
    // Read in the machine, for the machine's own process numbers.
    let group = format!("cat /sys/fs/cgroup{group}/cgroup.procs");
    let processes = play.quietly(&group)?.stdout;
    let child = processes
        .lines()
        .find(|pid| **pid != *before.to_string())
        .unwrap_or("0")
        .to_owned();
    play.types("kill -KILL $(systemctl show --value --property MainPID shop.service)")?;
    let incident = play.until_healed(unit, "port-conflict", "process-control.terminate")?;
    let now = play.quietly(&group)?.stdout;
    play.expect(
        child != "0" && now.lines().all(|pid| pid != child),
        &format!("the leftover {child} was to be gone; there are {now:?}"),
        &format!("the demo's own look: the leftover, process {child}, is gone"),
    );
    play.expect_answer(8080)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "ended the leftover".to_owned(),
    })
}

fn settings(play: &mut Play<'_>) -> Result<Came> {
    play.types("chown root:root /srv/api/api.conf; chmod 0600 /srv/api/api.conf")?;
    play.types("systemctl restart api.service")?;
    let incident = play.until_healed("api.service", "environment-check", "file-repair.owner")?;
    expect_file(play, "/srv/api/api.conf", "640 root:www-data")?;
    play.expect_answer(8081)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "brought owner and mode back".to_owned(),
    })
}

fn link(play: &mut Play<'_>) -> Result<Came> {
    play.types("rm /srv/catalog/current; systemctl restart catalog.service")?;
    let incident =
        play.until_healed("catalog.service", "environment-check", "file-repair.target")?;
    let target = play.quietly("readlink /srv/catalog/current")?.stdout;
    play.expect(
        target.trim() == "/srv/catalog/releases/2/catalog",
        &format!("the link was to be back; it leads to `{}`", target.trim()),
        &format!("the demo's own look: the link leads to {}", target.trim()),
    );
    play.expect_answer(8083)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "made the link again".to_owned(),
    })
}

fn database(play: &mut Play<'_>) -> Result<Came> {
    play.types("chown root:root /srv/orders/orders.db; systemctl restart orders.service")?;
    let incident = play.until_healed("orders.service", "database-check", "file-repair.owner")?;
    expect_file(play, "/srv/orders/orders.db", "600 www-data:www-data")?;
    play.expect_answer(8082)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "gave the file back to its owner".to_owned(),
    })
}

fn dependency(play: &mut Play<'_>) -> Result<Came> {
    let redis = "redis-server.service";
    play.types("systemctl kill --signal=KILL redis-server.service cart.service")?;
    let incident = play.until_healed("cart.service", "service-restart", "unit-control.start")?;
    let blocked = incident
        .steps("blocked")
        .any(|step| step.get("on").and_then(serde_json::Value::as_str) == Some(redis));
    play.expect(
        blocked,
        &format!("the cart was to wait for {redis}"),
        "Prunella's record: the cart waited for Redis",
    );
    let healed = play
        .incidents()?
        .into_iter()
        .any(|incident| incident.unit() == redis && incident.ended() == Some("healed"));
    play.expect(healed, &format!("{redis} was to be healed"), "");
    let runs = play.runs("cart.service");
    play.expect(
        runs == 1,
        &format!("the cart was to be started once, and was {runs} times"),
        "the demo's own look: the cart was started once, not against a dead Redis",
    );
    let pong = play.quietly(
        "exec 3<>/dev/tcp/127.0.0.1/6379 && printf 'PING\\r\\n' >&3 && read -t 5 -r line <&3 && \
         echo \"$line\"",
    )?;
    play.expect(
        pong.stdout.trim() == "+PONG",
        &format!("Redis was to answer PING: `{}`", pong.stdout.trim()),
        "the demo's own look: Redis answers PING with PONG",
    );
    play.expect_answer(8084)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "waited until Redis was healed".to_owned(),
    })
}

fn start_limit(play: &mut Play<'_>) -> Result<Came> {
    let unit = "mailer.service";
    // Forgets how often it was started before.
    play.quietly("systemctl reset-failed mailer.service")?;
    let kill = "systemctl kill --signal=KILL mailer.service";
    let times = cast::MAILER_STARTS + 1;
    for time in 1..=times {
        let before = play.main_pid(unit)?;
        play.types(&format!("{kill}   # {time} of {times}"))?;
        if time < times {
            play.until_other_process(unit, before)?;
        }
    }
    play.until_said(unit, "repeated too quickly")?;
    let incident = play.until_healed(unit, "service-restart", "unit-control.reset-failed")?;
    play.expect_state(unit, "active")?;
    play.expect_answer(8085)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "cleared the start limit".to_owned(),
    })
}

fn hang(play: &mut Play<'_>) -> Result<Came> {
    let unit = "chat.service";
    let before = play.main_pid(unit)?;
    play.types("systemctl kill --signal=USR1 chat.service   # the demo's chat hangs at that")?;
    let incident = play.until_healed(unit, "service-restart", "unit-control.restart")?;
    play.expect_other_process(unit, before)?;
    play.expect_answer(8086)?;
    Ok(Came {
        answered_after: incident.answered_after(),
        how: "restarted".to_owned(),
    })
}

fn broken_config(play: &mut Play<'_>) -> Result<Came> {
    let unit = "nginx.service";
    play.types("sed -i 's/listen 80;/listen 80/' /etc/nginx/nginx.conf")?;
    play.types("systemctl restart nginx.service")?;
    let incident = play.until_held(unit, "config-validation")?;
    play.expect(
        incident.why().contains("nginx.conf"),
        &format!("it was to quote nginx: {}", incident.why()),
        "",
    );
    play.expect_state(unit, "failed")?;
    play.types("sed -i 's/listen 80$/listen 80;/' /etc/nginx/nginx.conf")?;
    let healed = play.types_and_shows("prunella heal nginx.service")?;
    play.expect(
        healed.success(),
        &format!("it was to be healed now; exit code {:?}", healed.code),
        "",
    );
    play.expect_answer(80)?;
    Ok(Came {
        answered_after: None,
        how: "held until it was mended".to_owned(),
    })
}

fn stranger(play: &mut Play<'_>) -> Result<Came> {
    let unit = "billing.service";
    play.types("systemctl start legacy.service   # not in care; takes port 8087")?;
    let before = play.main_pid("legacy.service")?;
    play.types("systemctl start billing.service  # wants port 8087")?;
    let incident = play.until_held(unit, "port-conflict")?;
    play.expect(
        incident.why().contains("legacy"),
        &format!("it was to say who has the port: {}", incident.why()),
        "",
    );
    let now = play.main_pid("legacy.service")?;
    play.expect(
        before != 0 && now == before,
        &format!("the stranger was to live on: it was {before}, and is {now}"),
        &format!("the demo's own look: the stranger, process {now}, lives on"),
    );
    play.expect_answer(8087)?;
    Ok(Came {
        answered_after: None,
        how: "named the stranger, killed nobody".to_owned(),
    })
}

fn stopped(play: &mut Play<'_>) -> Result<Came> {
    let unit = "api.service";
    play.types("systemctl stop api.service")?;
    let rehearsed = play.types_and_shows("prunella heal api.service --dry-run")?;
    play.expect(
        rehearsed.success() && rehearsed.stdout.contains("unit-control.start"),
        &format!(
            "a start was to be in the plan; exit code {:?}",
            rehearsed.code
        ),
        "",
    );
    // Something that is noticed after it, and dealt with: so was the stop.
    play.types("systemctl kill --signal=KILL chat.service   # to see that Prunella is awake")?;
    play.until_healed("chat.service", "service-restart", "unit-control.start")?;
    play.expect_state(unit, "inactive")?;
    let mut of_unit = play.incidents()?;
    of_unit.retain(|incident| incident.unit() == unit);
    play.expect_nothing_done(&of_unit);
    let runs = play.runs(unit);
    play.expect(
        runs == 0,
        &format!("it was not to be started, and was {runs} times"),
        "the demo's own look: it was not started; the rehearsal carried nothing out",
    );
    Ok(Came {
        answered_after: None,
        how: "stayed stopped; rehearsed only".to_owned(),
    })
}

/// Looks at a file's mode and owner.
fn expect_file(play: &mut Play<'_>, path: &str, wanted: &str) -> Result<()> {
    let stat = play
        .quietly(&format!("stat --format='%a %U:%G' {path}"))?
        .stdout;
    let now = stat.trim();
    play.expect(
        now == wanted,
        &format!("{path} was to be {wanted}, and is {now}"),
        &format!("the demo's own look: {path} is {now}"),
    );
    Ok(())
}
