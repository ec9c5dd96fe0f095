//! Notifications of every sort, on which an operator's templates are tried.

use std::time::Duration;

use crate::{Plot, Plotted, Report, ReportContext};
use jiff::tz::TimeZone;
use prunella_core::{
    alert::Severity,
    capability::PastIncident,
    health::Point,
    service::{Port, Service},
    trail::Record,
};

use crate::notification::Notification;

/// Records as `prunella incidents ID --json` prints them.
const RECORDS: [&str; 7] = [
    include_str!("../samples/healed.json"),
    include_str!("../samples/escalated.json"),
    include_str!("../samples/left-alone.json"),
    include_str!("../samples/blocked.json"),
    include_str!("../samples/dry-run.json"),
    include_str!("../samples/degraded.json"),
    include_str!("../samples/cause.json"),
];

/// So many incidents came before, an hour apart.
const BEFORE: u32 = 3;

const HOUR: Duration = Duration::from_secs(3_600);

const MINUTE: Duration = Duration::from_secs(60);

/// One notification of every sort.
pub(crate) fn notifications() -> Vec<Notification> {
    let reports: Vec<Report> = RECORDS.iter().filter_map(|record| report(record)).collect();
    let mut notifications: Vec<Notification> =
        reports.iter().cloned().map(Notification::about).collect();
    if let Some((cause, held_up)) = reports.split_last() {
        notifications.push(Notification::about_cause(cause.clone(), held_up));
        let at = cause.at.clone();
        notifications.push(Notification::notice(
            "a test of the channel `mail`",
            &["Nothing has happened."],
            "host",
            at,
            Severity::Info,
        ));
    }
    notifications.extend(Notification::digest(&reports, "in 12 minutes"));
    notifications
}

fn report(record: &str) -> Option<Report> {
    // A test makes sure that each can be read.
    let record: Record = serde_json::from_str(record).ok()?;
    let detection = &record.incident.detection;
    let mut service = Service::new(detection.unit.clone());
    service.domain = Some("Web shop".to_owned());
    service.critical = true;
    service.ports.extend("tcp/80".parse::<Port>());
    let past: Vec<PastIncident> = (1..=BEFORE)
        .map(|hours| PastIncident {
            id: format!("before-{hours}"),
            at: detection.at.saturating_sub(HOUR * hours),
            cause: detection.cause.to_string(),
            ended: "healed".to_owned(),
            strategy: Some("service-restart".to_owned()),
        })
        .collect();
    let report = Report::from_record(
        &record,
        &ReportContext {
            hostname: "host".to_owned(),
            service: Some(&service),
            boot_id: None,
            past: &past,
            now: None,
            zone: TimeZone::UTC,
            sudo: false,
        },
    );
    Some(report.with_plot(plot(&record)))
}

/// An hour in which something went up in the end.
fn plot(record: &Record) -> Option<Plot> {
    let plotted = Plotted::of(record, None)?;
    let now = record.incident.detection.at;
    let point = |minute: u32| {
        let value = if minute < 4 { 1_502 } else { 90 };
        Point {
            at: now.saturating_sub(MINUTE * minute),
            mean: value,
            min: value,
            max: value,
        }
    };
    let points: Vec<Point> = (0..60).rev().map(point).collect();
    Plot::new(&plotted, now, &points, &TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_record_makes_a_notification() {
        let read = RECORDS.iter().filter_map(|record| report(record)).count();
        assert_eq!(read, RECORDS.len());
        // One for each, one for a cause, a notice and a digest.
        assert_eq!(notifications().len(), RECORDS.len() + 3);
    }
}
