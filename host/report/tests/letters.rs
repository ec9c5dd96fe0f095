//! temporary
#![allow(clippy::unwrap_used, reason = "tests")]
use prunella_core::{capability::PastIncident, report::*, service::Service, trail::Record};
use prunella_report::*;
fn report(name: &str) -> Report {
    let record: Record = serde_json::from_str(
        &std::fs::read_to_string(format!(
            "{}/samples/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap(),
    )
    .unwrap();
    let mut service = Service::new(record.incident.detection.unit.clone());
    service.domain = Some("Web shop".to_owned());
    service.critical = true;
    service.ports = vec!["tcp/80".parse().unwrap(), "tcp/443".parse().unwrap()];
    let past: Vec<PastIncident> = if name == "healed" || name == "escalated" {
        (1..=3)
            .map(|i| PastIncident {
                id: format!("x{i}"),
                at: record.incident.detection.at - i * 3_600_000,
                cause: record.incident.detection.cause.clone(),
                ended: "healed".into(),
                strategy: Some("service-restart".into()),
            })
            .collect()
    } else {
        vec![]
    };
    Report::from_record(
        &record,
        &ReportContext {
            hostname: "shop-1".to_owned(),
            service: Some(&service),
            boot_id: None,
            past: &past,
            now: None,
            zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        },
    )
}
#[test]
fn show() {
    for name in [
        "healed",
        "escalated",
        "left-alone",
        "blocked",
        "rehearsed",
        "cause",
    ] {
        let written = Letters::default().write(&Letter::about(report(name)));
        println!("{}\n{}", written.subject, written.text);
        for w in &written.warnings {
            println!("WARN {w}");
        }
        std::fs::write(format!("/tmp/html-{name}.html"), &written.html).unwrap();
    }
    println!("{:?}", Letters::default().check());
}
