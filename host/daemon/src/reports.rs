//! The report of one incident, as it stands now.

use std::time::Duration;

use prunella_api::{Answer, Queries, Refusal, RefusalKind, ReportFormat};
use prunella_config::Config;
use prunella_core::{
    Timestamp, UnitName, capability::PastIncident, health::Subject, summary::Filter, trail::Record,
};
use prunella_report::{
    HOUR, LOOK_BACK, Notification, Plot, Plotted, Renderer, Report, ReportContext,
};

use crate::{Paths, clock};

/// How many earlier incidents of a unit a report counts at most.
const PAST_LIMIT: u32 = 200;

/// The report of an incident. Without a configuration that can be read, nothing is said of
/// what is declared. `sudo` says whether commands in it need that.
pub fn report(
    queries: &dyn Queries,
    config: Option<&Config>,
    record: &Record,
    sudo: bool,
) -> Report {
    let detection = &record.incident.detection;
    let unit = &detection.unit;
    let is_out_of_care = config.is_some_and(|config| !config.services.contains_key(unit));
    let past = past(queries, unit, detection.at);
    let context = ReportContext {
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        service: config.and_then(|config| config.services.get(unit)),
        boot_id: prunella_linux::clock::boot_id().ok(),
        past: &past,
        now: Some(clock::now()),
        zone: jiff::tz::TimeZone::system(),
        sudo,
    };
    let mut report = Report::from_record(record, &context).with_plot(plot(queries, record));
    if is_out_of_care && (report.needs_people || record.ending.is_none()) {
        report = report.out_of_care();
    }
    report
}

/// The report in one of its forms, with the operator's templates.
pub(crate) fn written(paths: &Paths, report: Report, format: ReportFormat) -> Answer<String> {
    if format == ReportFormat::Json {
        return serde_json::to_string(&report).map_err(|error| {
            Refusal::new(
                RefusalKind::Failed,
                format!("the report cannot be written as JSON: {error}"),
            )
            .into()
        });
    }
    let rendered = Renderer::new(Some(&paths.templates())).render(&Notification::about(report));
    Ok(match format {
        ReportFormat::Html => rendered.html,
        ReportFormat::Text | ReportFormat::Json => rendered.text,
    })
}

/// The last hour of what matters most in it; none where nothing is kept of it any more.
fn plot(queries: &dyn Queries, record: &Record) -> Option<Plot> {
    let detection = &record.incident.detection;
    let follows = detection
        .follows
        .as_ref()
        .and_then(|id| queries.incident(id.as_str()).ok());
    let plotted = Plotted::of(record, follows.as_ref())?;
    let until = plotted.until.min(clock::now());
    let since = until.saturating_sub(HOUR);
    let subject = Subject::from(detection.unit.clone());
    let history = queries
        .metric(&subject, plotted.symptom.metric, Some(since), Some(until))
        .ok()?;
    let one = history
        .series
        .iter()
        .find(|one| one.instance == plotted.symptom.instance)?;
    Plot::new(&plotted, until, &one.points, &jiff::tz::TimeZone::system())
}

/// The unit's incidents of the week before `at`; none where they cannot be had,
/// since the report of one does not depend on it.
fn past(queries: &dyn Queries, unit: &UnitName, at: Timestamp) -> Vec<PastIncident> {
    let filter = Filter {
        unit: Some(unit.clone()),
        since: Some(at.saturating_sub(LOOK_BACK)),
        until: Some(at.saturating_add(Duration::from_millis(1))),
        limit: Some(PAST_LIMIT),
        ..Filter::default()
    };
    let found = queries.incidents(&filter).unwrap_or_default();
    found
        .into_iter()
        .filter_map(|incident| {
            Some(PastIncident {
                id: incident.id.to_string(),
                at: incident.at,
                cause: incident.cause,
                ended: incident.ended?.as_str().to_owned(),
                strategy: incident.strategy.map(|strategy| strategy.to_string()),
            })
        })
        .collect()
}
