//! Reports of the samples, and what tests need of a page.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{fs, path::PathBuf, time::Duration};

use jiff::tz::{TimeZone, offset};
use prunella_core::{capability::PastIncident, health::Point, service::Service, trail::Record};
use prunella_report::{Plot, Plotted, Report, ReportContext};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn record(name: &str) -> Record {
    let file = folder().join("samples").join(format!("{name}.json"));
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

pub(crate) fn service(record: &Record) -> Service {
    let unit = record.incident.detection.unit.clone();
    let mut service = Service::new(unit.clone());
    if unit.as_str() == "web.service" {
        service.domain = Some("Web shop".to_owned());
        service.ports = vec!["tcp/80".parse().unwrap(), "tcp/443".parse().unwrap()];
    } else {
        service.domain = Some("Database".to_owned());
        service.ports = vec!["tcp/5432".parse().unwrap()];
    }
    service.critical = true;
    service
}

/// `number` incidents before, a day apart, that were healed.
pub(crate) fn past(record: &Record, number: u32) -> Vec<PastIncident> {
    (1..=number)
        .map(|days| PastIncident {
            id: format!("before-{days}"),
            at: record.incident.detection.at.saturating_sub(DAY * days),
            cause: record.incident.detection.cause.to_string(),
            ended: "healed".to_owned(),
            strategy: Some("service-restart".to_owned()),
        })
        .collect()
}

pub(crate) fn report_of(
    record: &Record,
    service: &Service,
    past: &[PastIncident],
    host: &str,
) -> Report {
    Report::from_record(
        record,
        &ReportContext {
            hostname: host.to_owned(),
            service: Some(service),
            boot_id: None,
            past,
            now: None,
            zone: TimeZone::fixed(offset(1)),
            sudo: false,
        },
    )
}

/// An hour of slow and fast answers, as it comes with the report of a degradation.
pub(crate) fn plot(record: &Record) -> Option<Plot> {
    let plotted = Plotted::of(record, None)?;
    let now = record.incident.detection.at;
    let point = |sample: u64| {
        let value = match sample {
            0..24 => 1_502 - sample * 10,
            24..200 => 90 + sample % 7 * 9,
            // Nobody has measured for ten minutes.
            200..260 => return None,
            _ => 110 + sample % 5 * 12,
        };
        Some(Point {
            at: now.saturating_sub(Duration::from_secs(sample * 10)),
            mean: value,
            min: value,
            max: value,
        })
    };
    let points: Vec<Point> = (0..360).rev().filter_map(point).collect();
    Plot::new(&plotted, now, &points, &TimeZone::fixed(offset(1)))
}

/// The report of a sample, after so many failures that were healed.
pub(crate) fn report(name: &str, before: u32) -> Report {
    let record = record(name);
    let report = report_of(&record, &service(&record), &past(&record, before), "shop-1");
    report.with_plot(plot(&record))
}

/// What a reader of a page sees: its text without tags, blanks as one.
pub(crate) fn seen(html: &str) -> String {
    let body = html.split("</head>").nth(1).unwrap();
    let mut text = String::new();
    let mut inside = false;
    for c in body.chars() {
        match c {
            '<' => {
                inside = true;
                text.push(' ');
            }
            '>' if inside => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    let text = text
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&#x2f;", "/")
        .replace("&amp;", "&");
    one_space(&text)
}

pub(crate) fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names of all elements, and that each that is opened is closed, in order.
pub(crate) fn elements(html: &str) -> Vec<String> {
    const ALONE: [&str; 3] = ["meta", "br", "!doctype"];
    let (mut open, mut all): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").unwrap().1;
            continue;
        }
        let (tag, after) = rest.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closes {name}");
            continue;
        }
        let name = tag.split_whitespace().next().unwrap().to_owned();
        all.push(name.clone());
        if !ALONE.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "still open: {open:?}");
    all
}
