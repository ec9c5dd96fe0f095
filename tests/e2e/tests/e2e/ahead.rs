//! What will be used up is told before it is, what is unusual is shown, and reports have the
//! last hour of what matters.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    cause::Cause,
    health::{ExpectedWork, Metric, Series, Subject, Symptom, SymptomLevel},
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId},
    trail::{Entry, Step},
};
use prunella_e2e::{Scene, TIMEOUT, one_line, victim};
use prunella_store::{
    Store,
    samples::{Measured, Minute, SampleStore},
};
use serde_json::Value;

use crate::{
    receiver::{self, alert_group, got, headline, is_resolved, kind, receiver, text, wait_got},
    web::{self, SLOW, with_server},
};

/// Writes to a disk in memory: on and on, or as a log that is rotated again and again.
const FILL: &str = r#"
import os, sys, time
written = 0
while True:
    if os.path.exists("/run/test-fills"):
        written += 1
        mode = "wb" if sys.argv[1] == "rotates" and written % 60 == 0 else "ab"
        with open("/tmp/data", mode) as data:
            data.write(bytes(256 << 10))
    time.sleep(0.5)
"#;

/// Opens files, and closes none for as long.
const LEAK: &str = r#"
import os, time
files = []
while True:
    if os.path.exists("/run/test-fills"):
        files.append(open("/dev/null"))
    else:
        files.clear()
    time.sleep(0.6)
"#;

/// A disk of its own, which is written to in this way, and whose end is told.
fn scene(how: &str, size: &str) -> Scene {
    // Whatever fills the disk of the host that these tests run on takes longer.
    let main = format!(
        "{}\n[metrics]\ninterval = \"1s\"\n[health.host]\ninodes = \"off\"\n\
         disk = {{ degraded = \"100%\", forecast = \"5m\" }}\n",
        receiver::CONFIG
    );
    let scene = receiver::scene()
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .file("/opt/test/fill.py", FILL, 0o644)
        .unit(
            "fill.service",
            &format!("[Service]\nExecStart=/usr/bin/python3 /opt/test/fill.py {how}\n"),
        )
        .file("/opt/test/leak.py", LEAK, 0o644)
        .service(
            "leak.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/leak.py\nLimitNOFILE=1024\n",
            "alerts = { degradation = [\"team\"] }\n\
             [health]\ndescriptors = { forecast = \"15m\" }\n",
        )
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene
        .run_ok(&["mount", "-t", "tmpfs", "-o", size, "tmpfs", "/tmp"])
        .unwrap();
    scene.write_file("/run/test-fills", "", 0o644).unwrap();
    scene.start(&["web.service", "fill.service"]);
    scene
}

/// Waits until so many messages are there: of the host, or of this service.
#[track_caller]
fn wait_told(scene: &Scene, of: &[&str], number: usize) -> Vec<Value> {
    scene
        .wait_for("messages", 4 * TIMEOUT, || {
            let mut told = got(scene);
            told.retain(|message| receiver::units(message) == of);
            Ok((told.len() >= number).then_some(told))
        })
        .unwrap()
}

#[test]
fn what_is_about_to_be_used_up_is_told_before_it_is_to_those_whose_matter_it_is() {
    // Full after some four minutes.
    let scene = scene("fills", "size=128m");
    // All its files are open after ten.
    scene.start(&["leak.service"]);
    let told = wait_told(&scene, &[], 1).remove(0);
    let host = scene.health("--host");
    assert_eq!(kind(&told), "prunella.degradation");
    let subject = headline(&told);
    assert!(subject.contains("/tmp is full in "), "{subject}");
    let words = one_line(text(&told));
    assert!(
        words.contains(" an hour, if it goes on like this."),
        "{words}"
    );
    assert!(words.contains("sudo du -xh --max-depth=2 /tmp"), "{words}");

    // It was not full yet, and nothing else is foreseen.
    assert_eq!(host["service"]["state"], "healthy", "{host:#}");
    let forecasts = host["service"]["forecasts"].as_array().unwrap();
    assert_eq!(forecasts.len(), 1, "{host:#}");
    assert_eq!(forecasts[0]["instance"], "/tmp");
    for command in [["status"].as_slice(), &["health"], &["health", "--host"]] {
        let shown = one_line(&scene.prunella_ok(command));
        assert!(shown.contains("/tmp is full in "), "{shown}");
    }

    // It goes where the service's file says, and that of the host where the host's does.
    assert_eq!(told["path"], "/pager");
    let of_service = wait_told(&scene, &["leak.service"], 1).remove(0);
    assert_eq!(of_service["path"], "/team", "{of_service:#}");
    assert_eq!(kind(&of_service), "prunella.degradation");
    assert!(
        headline(&of_service).contains("leak.service"),
        "{of_service:#}"
    );

    // A daemon that begins anew knows that it was told, and foresees it still.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let host = scene.wait_state("--host", "healthy");
    assert_eq!(host["service"]["forecasts"][0]["instance"], "/tmp");

    scene.remove_file("/run/test-fills").unwrap();
    scene
        .run_ok(&["truncate", "--size=0", "/tmp/data"])
        .unwrap();
    let over = wait_told(&scene, &[], 2).remove(1);
    assert!(is_resolved(&over), "{over:#}");
    assert!(
        headline(&over).contains("Nothing is about to be used up any more"),
        "{over:#}"
    );
    assert_eq!(alert_group(&over), alert_group(&told));
    let over = wait_told(&scene, &["leak.service"], 2).remove(1);
    assert!(is_resolved(&over), "{over:#}");
    assert_eq!(over["path"], "/team", "{over:#}");
    assert_eq!(alert_group(&over), alert_group(&of_service));
    assert_eq!(got(&scene).len(), 4, "each once, and its end");
    assert!(scene.incidents_of("leak.service").is_empty());
    assert!(scene.incidents_of("web.service").is_empty());
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn a_log_that_is_rotated_is_told_to_nobody() {
    let scene = scene("rotates", "size=20m");
    // As long as it takes to tell of a disk that fills, and several rotations.
    scene
        .wait_for("three minutes of it", 5 * TIMEOUT, || {
            let history = ["metrics", "host", "disk", "--json"];
            let history: serde_json::Value = serde_json::from_str(&scene.prunella_ok(&history))?;
            let series = history["series"].as_array().unwrap();
            let of_tmp = series.iter().find(|one| one["instance"] == "/tmp");
            let points = of_tmp.map_or(0, |one| one["points"].as_array().unwrap().len());
            Ok((points >= 180).then_some(()))
        })
        .unwrap();
    let host = scene.health("--host");
    assert!(host["service"]["forecasts"].is_null(), "{host:#}");
    assert_eq!(got(&scene).len(), 0);
}

#[test]
fn reports_have_the_last_hour_of_what_matters() {
    let main = format!("{}\n[metrics]\ninterval = \"1s\"\n", receiver::CONFIG);
    let care = "[health]\nlatency = { degraded = \"400ms\", clear = \"300ms\", for = \"2s\" }\n\
                [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\n\
                interval = \"1s\"\nfailure-threshold = 5\n";
    let scene = with_server(receiver::scene())
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .service("web.service", &web::unit(8080, ""), care)
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    scene.write_file(SLOW, "", 0o644).unwrap();
    let told = wait_got(&scene, 1).remove(0);
    let words = one_line(text(&told));
    for part in [
        "The last hour (",
        "█",
        "Latency of probe `front` lay between ",
        "; the limit is 400 ms.",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    // So does that of the failure that follows.
    scene.remove_file(SLOW).unwrap();
    scene.kill("web.service");
    let healed = scene.wait_healed("web.service");
    assert_ne!(healed.cause, "degraded");
    let page = scene.prunella_ok(&["incidents", healed.id.as_str(), "--html"]);
    assert!(
        page.contains("<svg role=\"img\" aria-label=\"Latency of probe"),
        "{page}"
    );
    assert!(page.contains("<polyline points=\""), "{page}");
    // And of what failed without a symptom there is none.
    scene.wait_state("web.service", "healthy");
    let all = scene.incidents_of("web.service");
    assert!(all.iter().all(|one| one.ended.is_some()), "{all:?}");
    scene.kill("web.service");
    let again = scene
        .wait_for("another incident", TIMEOUT, || {
            let all = scene.incidents_of("web.service");
            Ok(all
                .into_iter()
                .find(|one| one.id > healed.id && one.is("healed")))
        })
        .unwrap();
    let page = scene.prunella_ok(&["incidents", again.id.as_str(), "--html"]);
    assert!(!page.contains("<svg"), "{page}");
}

/// Now, in milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    u64::try_from(now).unwrap()
}

/// Keeps what a probe's latency was from `from` on: so many milliseconds in each minute.
fn keep_latency(path: &Path, from: Timestamp, minutes: impl IntoIterator<Item = u64>) {
    let mut store = SampleStore::open(path).unwrap();
    let series = Series {
        subject: Subject::from(UnitName::new("web.service").unwrap()),
        metric: Metric::LatencyMs,
        instance: Some("front".to_owned()),
    };
    let first = u32::try_from(from.as_millis() / 60_000).unwrap();
    for (number, latency) in (first..).zip(minutes) {
        let values = [Some(latency); 6];
        let minute = Minute {
            number,
            interval: Duration::from_secs(10),
            slots: values.len(),
            values: vec![Measured::of(&series, &values)],
        };
        store.write(&minute, 64 << 20).unwrap();
    }
}

/// A degradation that ended then. Answers with its id.
fn keep_degradation(path: &Path, ended: Timestamp) -> IncidentId {
    let store = Store::open(path).unwrap();
    let at = ended.saturating_sub(Duration::from_secs(600));
    let symptom = Symptom {
        level: SymptomLevel::Degraded,
        metric: Metric::LatencyMs,
        instance: Some("front".to_owned()),
        value: 700,
        threshold: 400,
        clear: 300,
        since: at,
        evidence: "probe `front` took 700 ms to answer, with a limit of 400 ms".to_owned(),
        confirmed: true,
    };
    let detection = Detection {
        unit: UnitName::new("web.service").unwrap(),
        by: DetectedBy::Symptom,
        at,
        cause: Cause::Degraded,
        invocation: None,
        exit_code: None,
        signal: None,
        failed_monotonic: None,
        restarts_before: None,
        symptoms: vec![symptom],
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    };
    let incident = Incident {
        id: IncidentId::new(at, 1),
        key: detection.key("boot"),
        detection: detection.clone(),
        attempt: 1,
        boot_id: "boot".to_owned(),
        parent: None,
    };
    let ending = Ending::Recovered {
        by: "the symptom has cleared".to_owned(),
    };
    let entry = |number, at, step| Entry {
        incident: incident.id.clone(),
        number,
        at,
        monotonic: Monotonic::from_micros(1),
        attempt: 1,
        step,
    };
    let steps = [
        entry(
            0,
            at,
            Step::Detected {
                detection,
                evidence: Vec::new(),
            },
        ),
        entry(
            1,
            ended,
            Step::Ended {
                ending: ending.clone(),
            },
        ),
    ];
    store.open_incident_with(&incident, &steps).unwrap();
    store.end(&incident.id, ended, &ending).unwrap();
    incident.id
}

#[test]
fn a_report_of_an_old_incident_plots_the_hour_before_its_end_by_the_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, incidents) = (folder.path().join("m.db"), folder.path().join("p.db"));
    let days_ago = (now() - 3 * 86_400_000) / 60_000 * 60_000;
    let ended = Timestamp::from_millis(days_ago);
    let begins = ended.saturating_sub(Duration::from_secs(2 * 3_600));
    // An hour that is not shown, the one that is, and what came after: with a minute to
    // either side that may be.
    let before = [9_000; 59].into_iter().chain([20]);
    let shown = (0..60).map(|minute| if minute < 50 { 20 } else { 700 });
    let after = [700].into_iter().chain([9_000; 59]);
    keep_latency(&metrics, begins, before.chain(shown).chain(after));
    let id = keep_degradation(&incidents, ended);

    let kept = |file| format!("/var/lib/prunella/{file}");
    let scene = Scene::builder()
        .file(&kept("metrics.db"), fs::read(metrics).unwrap(), 0o600)
        .file(&kept("prunella.db"), fs::read(incidents).unwrap(), 0o600)
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    let is_plotted = || {
        let page = scene.prunella_ok(&["incidents", id.as_str(), "--html"]);
        let (_, points) = page.split_once("<polyline points=\"").unwrap();
        let (points, _) = points.split_once('"').unwrap();
        // By the quarter of an hour there would be four.
        let number = points.split_whitespace().count();
        assert!(number >= 58, "{number}: {points}");
        let sentence = "Latency of probe `front` lay between 20 ms and 700 ms, and was 700 ms at \
                        last; the limit is 400 ms.";
        let text = one_line(&scene.prunella_ok(&["incidents", id.as_str()]));
        assert!(text.contains(sentence), "{text}");
    };
    is_plotted();
    // The same without a daemon.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    is_plotted();
}

/// What an earlier daemon has kept: 13 hours in which these services used half a gigabyte.
fn past(units: &[&str]) -> Vec<u8> {
    const MINUTES: u32 = 780;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.db");
    let mut store = SampleStore::open(&path).unwrap();
    let series: Vec<Series> = units
        .iter()
        .map(|unit| Series {
            subject: Subject::from(UnitName::new(*unit).unwrap()),
            metric: Metric::MemoryBytes,
            instance: None,
        })
        .collect();
    let now = u32::try_from(now() / 60_000).unwrap();
    for minute in 0..MINUTES {
        let values = vec![Some((500 + u64::from(minute) * 7 % 5) << 20); 6];
        let minute = Minute {
            number: now - MINUTES + minute,
            interval: Duration::from_secs(10),
            slots: values.len(),
            values: series
                .iter()
                .map(|one| Measured::of(one, &values))
                .collect(),
        };
        store.write(&minute, 64 << 20).unwrap();
    }
    drop(store);
    fs::read(path).unwrap()
}

#[test]
fn what_was_never_so_is_a_mark_and_an_incident_only_where_that_is_wanted() {
    let main = format!("{}\n[metrics]\ninterval = \"1s\"\n", receiver::CONFIG);
    let scene = receiver::scene()
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .file(
            "/var/lib/prunella/metrics.db",
            past(&["web.service", "shop.service"]),
            0o600,
        )
        .service("web.service", &victim("", ""), "")
        .service(
            "shop.service",
            &victim("", ""),
            "[health]\nunusual = \"incident\"\n",
        )
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service", "shop.service", "bystander.service"]);
    let unusual = |unit: &str| scene.health(unit)["service"]["unusual"].clone();
    scene
        .wait_for("a mark", 4 * TIMEOUT, || {
            Ok(unusual("web")[0].is_object().then_some(()))
        })
        .unwrap();
    assert_eq!(unusual("web")[0]["metric"], "memory-bytes");
    let told = wait_got(&scene, 1);
    assert_eq!(receiver::units(&told[0]), ["shop.service"]);
    assert_eq!(kind(&told[0]), "prunella.degradation");
    assert!(headline(&told[0]).contains("is unusual"), "{told:#?}");
    // Of what was never seen before nothing is usual.
    assert!(unusual("bystander").is_null());
    assert!(scene.incidents_of("web.service").is_empty());
    scene.wait_state("web.service", "healthy");
    for command in [["status"].as_slice(), &["health"], &["health", "web"]] {
        let shown = one_line(&scene.prunella_ok(command)).to_lowercase();
        assert!(shown.contains("unusual since "), "{shown}");
        assert!(shown.contains(": memory ("), "{shown}");
    }

    // A daemon that begins anew has learnt it.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene
        .wait_for("the mark again", TIMEOUT, || {
            Ok(unusual("web")[0].is_object().then_some(()))
        })
        .unwrap();
    scene.kill("web.service");
    let healed = scene.wait_healed("web.service");
    let report = one_line(&scene.report(&healed));
    assert!(
        report.contains("Unusual before that, which is a hint: memory ("),
        "{report}"
    );
}

/// What an earlier daemon has kept: that work was expected of this service all day, until a
/// minute ago.
fn expected_all_day(unit: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    let now = Timestamp::from_millis(now());
    let work = ExpectedWork {
        unit: UnitName::new(unit).unwrap(),
        since: now.saturating_sub(Duration::from_secs(86_400)),
        until: now.saturating_sub(Duration::from_secs(60)),
        reason: "a long import".to_owned(),
        by: "me".to_owned(),
        metrics: vec![Metric::MemoryBytes],
    };
    store.expect_work(&work).unwrap();
    drop(store);
    fs::read(path).unwrap()
}

#[test]
fn what_expected_work_strains_is_neither_unusual_nor_learnt() {
    let main = format!("{}\n[metrics]\ninterval = \"1s\"\n", receiver::CONFIG);
    let units = ["web.service", "shop.service", "db.service"];
    let mut builder = receiver::scene()
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .file("/var/lib/prunella/metrics.db", past(&units), 0o600)
        .file(
            "/var/lib/prunella/prunella.db",
            expected_all_day("db.service"),
            0o600,
        );
    for unit in units {
        builder = builder.service(unit, &victim("", ""), "");
    }
    let scene = builder.with_daemon();
    // Before it is measured for the first time: of half a gigabyte there is nothing any more.
    let expect = [
        "expect",
        "web",
        "--for",
        "1h",
        "--reason",
        "a smaller cache",
    ];
    scene.prunella_ok(&expect);
    scene.start(&units);
    let unusual = |unit: &str| scene.health(unit)["service"]["unusual"].clone();
    let marked = |unit: &str| {
        scene
            .wait_for("a mark", 4 * TIMEOUT, || {
                Ok(unusual(unit)[0].is_object().then_some(()))
            })
            .unwrap();
    };
    marked("shop");
    assert_eq!(unusual("shop")[0]["metric"], "memory-bytes");
    // The one is measured in a time that is not counted, and of the other nothing was learnt.
    assert!(unusual("web").is_null());
    assert!(unusual("db").is_null());

    // What was learnt before is known still.
    scene.prunella_ok(&["expect", "web", "--end"]);
    marked("web");
    assert_eq!(unusual("web")[0]["metric"], "memory-bytes");
    assert!(unusual("db").is_null());
}
