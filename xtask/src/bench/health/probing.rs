//! What 1,000 HTTP probes every ten seconds cost, against a real nginx; whether servers that
//! hang delay the others; and how soon a slow answer is known.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use prunella_machine::{Builder, Machine};
use serde_json::Value;

use super::{
    super::{
        figures::{Figure, Samples, Target},
        idle::{AT_REST, Care, figure, name, number},
        scene::{PRUNELLA, XTASK},
    },
    peers::Peers,
    sampling::share,
};

const SERVICES: usize = 1_000;

/// So many more have a server that will hang.
const HANGING: usize = 50;

/// The last one will be slow.
const ALL: usize = SERVICES + HANGING + 1;
const SLOW: usize = ALL - 1;

const FIRST_PORT: usize = 20_000;

/// How often each is asked, in seconds.
const EVERY: u64 = 10;

/// What it may take of one processor, in percent.
const CPU: f64 = 2.0;

/// What a server that hangs may delay others by, in ms.
const DELAY: f64 = 10.0;

/// One thread asks; some more do what has to wait for the disk or for systemd.
const MORE_THREADS: f64 = 34.0;

/// The slow service is asked so often, and has to be slow for so long, in seconds.
const SLOW_EVERY: f64 = 5.0;
const SLOW_FOR: f64 = 15.0;

/// For how long the probes' own times are read, and how often: twice in an interval.
const WATCHED: Duration = Duration::from_secs(41);
const WATCHED_EVERY: Duration = Duration::from_secs(5);

pub(super) fn measure(
    prunella: &Path,
    victim: &Path,
    peers: &Peers,
    seconds: u64,
) -> Result<Vec<Figure>> {
    let Some(nginx) = &peers.nginx else {
        eprintln!("!!! NO PROBES ARE MEASURED: there is no nginx to ask");
        return Ok(Vec::new());
    };
    let machine = furnish(peers.show_in(Machine::builder()), nginx);
    let care = Care::begin_in(machine, (prunella, victim), AT_REST, ALL, declared)?;
    let (fsync, machine) = (care.fsync, care.machine());
    peers.settle_in(machine)?;
    // The daemon has begun before there was anything to ask.
    machine.systemctl(&["start", "web.service", "hangs.service", "slow.service"])?;
    thread::sleep(Duration::from_secs(3 * EVERY));
    let well = care.look(seconds)?;
    let well_times = times(machine)?;

    machine.run_ok(&["touch", "/run/hangs"])?;
    thread::sleep(Duration::from_secs(2 * EVERY));
    let hanging = care.look(seconds)?;
    let hanging_times = times(machine)?;

    let mut figures = Vec::new();
    for (which, look) in [("", &well), (", of which 50 hang", &hanging)] {
        let what = format!("{ALL} HTTP probes every {EVERY} s{which}");
        figures.push(figure(
            &format!("{what}, of one processor"),
            "%",
            share(look, "cpu_ms", seconds)?,
            Target::Below(CPU),
            fsync,
        )?);
        figures.push(figure(
            "  the daemon's threads, most",
            "threads",
            number(look, "most_threads")?,
            Target::Below(MORE_THREADS),
            fsync,
        )?);
    }
    let most = |samples: &Samples| samples.quantile(1.0);
    for (what, well, hanging) in [
        ("answers", &well_times.took, &hanging_times.took),
        ("turns, how late", &well_times.late, &hanging_times.late),
    ] {
        let new = |what: String, ours: Samples, peer: Samples, target| -> Result<Figure> {
            Ok(Figure {
                what,
                unit: "ms",
                ours,
                target,
                peer: Some(("while none hangs".to_owned(), peer)),
                fsync: Some(fsync),
                load: super::super::load()?,
            })
        };
        figures.push(new(
            format!("the others' {what}, while {HANGING} hang"),
            hanging.clone(),
            well.clone(),
            Target::None,
        )?);
        figures.push(new(
            "  the worst of them".to_owned(),
            Samples::new(vec![most(hanging)]),
            Samples::new(vec![most(well)]),
            Target::Below(most(well) + DELAY),
        )?);
    }
    figures.push(slow(machine, fsync)?);
    Ok(figures)
}

fn furnish(machine: Builder, nginx: &str) -> Builder {
    let mut conf = "\
user root;
daemon off;
pid /run/web.pid;
error_log stderr crit;
worker_processes 1;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path /run/web-body;
    proxy_temp_path /run/web-proxy;
    fastcgi_temp_path /run/web-fastcgi;
    uwsgi_temp_path /run/web-uwsgi;
    scgi_temp_path /run/web-scgi;
    server {
"
    .to_owned();
    for number in 0..SERVICES {
        let _ = writeln!(conf, "        listen 127.0.0.1:{};", FIRST_PORT + number);
    }
    conf += "        return 200 \"well\\n\";\n    }\n}\n";
    let server = |first: usize, ports: usize, after: &str, file: &str| {
        format!(
            "[Service]\nExecStart={XTASK} bench --inside answer {first} {ports} {after} {file}\n"
        )
    };
    machine
        .file("/etc/web.conf", conf, 0o644)
        .unit(
            "web.service",
            &format!("[Service]\nLimitNOFILE=8192\nExecStart={nginx} -e stderr -c /etc/web.conf\n"),
        )
        .unit(
            "hangs.service",
            &server(FIRST_PORT + SERVICES, HANGING, "never", "/run/hangs"),
        )
        .unit(
            "slow.service",
            &server(FIRST_PORT + SLOW, 1, "1500", "/run/slow"),
        )
}

fn declared(number: usize) -> String {
    let port = FIRST_PORT + number;
    let every = if number == SLOW {
        SLOW_EVERY
    } else {
        EVERY as f64
    };
    // Nobody is to heal, and no incident is to begin: what asking costs is the question.
    format!(
        "\n[[probe]]\nname = \"answers\"\nhttp = \"http://127.0.0.1:{port}/\"\n\
         interval = \"{every}s\"\ntimeout = \"5s\"\nfailure-threshold = 1000\n\n\
         [health]\nlatency = {{ degraded = \"1s\", for = \"{SLOW_FOR}s\" }}\n\
         error-rate = {{ for = \"1h\" }}\n"
    )
}

/// What the probes themselves tell of nginx' answers.
struct Times {
    /// How long they took, in ms.
    took: Samples,
    /// How much later than its interval a question was put, in ms.
    late: Samples,
}

fn times(machine: &Machine) -> Result<Times> {
    let (mut took, mut late) = (Vec::new(), Vec::new());
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        let next = Instant::now() + WATCHED_EVERY;
        let said: Value = serde_json::from_str(&machine.run_ok(&[PRUNELLA, "health", "--json"])?)?;
        let services = said.get("services").and_then(Value::as_array);
        for service in services.context("there are no services")? {
            let text = |key| service.get(key).and_then(Value::as_str).unwrap_or_default();
            let is_of_nginx = (0..SERVICES).any(|number| text("subject") == name(number));
            let probe = service.pointer("/probes/0").filter(|_| is_of_nginx);
            let Some(probe) = probe else { continue };
            let of = |key| probe.get(key).and_then(Value::as_f64);
            let (Some(answered), Some(latency)) = (of("asked_at"), of("latency_ms")) else {
                continue;
            };
            let asked = answered - latency;
            if let Some(before) = last.insert(text("subject").to_owned(), asked)
                && before < asked
            {
                took.push(latency);
                late.push(asked - before - EVERY as f64 * 1e3);
            }
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(Times {
        took: Samples::new(took),
        late: Samples::new(late),
    })
}

/// From the first slow answer until the service is degraded.
fn slow(machine: &Machine, fsync: f64) -> Result<Figure> {
    machine.run_ok(&["touch", "/run/slow"])?;
    let unit = name(SLOW);
    let limit = Duration::from_secs_f64(SLOW_FOR + 10.0 * SLOW_EVERY);
    let since = machine.wait_for("the slow service to be degraded", limit, || {
        let said = machine.run_ok(&[PRUNELLA, "health", &unit, "--json"])?;
        let said: Value = serde_json::from_str(&said)?;
        let service = said.get("service").context("there is no such service")?;
        let is_degraded = service.get("state").and_then(Value::as_str) == Some("degraded");
        let since = service.get("since").and_then(Value::as_f64);
        Ok(since.filter(|_| is_degraded))
    })?;
    let first: f64 = machine.read_file("/run/slow")?.trim().parse()?;
    figure(
        &format!("first slow answer → degraded (for {SLOW_FOR} s, asked every {SLOW_EVERY} s)"),
        "s",
        (since - first) / 1e3,
        Target::Below(SLOW_FOR + SLOW_EVERY),
        fsync,
    )
}
