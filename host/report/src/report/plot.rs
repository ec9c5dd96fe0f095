//! The last hour of what was measured, as a small plot: lines for a page, a row of characters
//! for text, and its figures in words, for whoever sees neither.

use std::time::Duration;

use jiff::tz::TimeZone;
use prunella_core::{
    Timestamp,
    health::{Point, Symptom},
    text::capital,
    trail::{Record, Step},
};
use prunella_metrics::sparkline::sparkline;
use serde::Serialize;

use super::{degraded::named, words};

/// So far back a plot reaches.
pub const HOUR: Duration = Duration::from_secs(3_600);

/// The size of what is drawn, in units of its own: a page stretches it.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 100;

/// Room above the highest value and below the lowest, so that no line is cut.
const MARGIN: u64 = 4;

/// Values of a line: as many as a phone has room for.
const COLUMNS: usize = 120;

/// Characters of the row in text: two minutes each.
const CHARACTERS: usize = 30;

/// With fewer values than this there is nothing to see.
const LEAST: usize = 3;

/// Where so many values in a row are missing, the line is interrupted.
const GAP: usize = 6;

/// What a plot shows: one metric, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plotted {
    pub symptom: Symptom,
    pub until: Timestamp,
}

impl Plotted {
    /// The metric that matters in an incident: the worst symptom of a degradation, or of the
    /// one that it `follows`. None where nothing was measured before it failed.
    pub fn of(record: &Record, follows: Option<&Record>) -> Option<Self> {
        let is_of_it = record.incident.detection.is_degradation();
        let degradation = if is_of_it { Some(record) } else { follows }?;
        let until = match record.ending {
            Some(_) => record.steps.last()?.at,
            // Until now.
            None => Timestamp::MAX,
        };
        let told = degradation
            .steps
            .iter()
            .rev()
            .find_map(|entry| match &entry.step {
                Step::Watches { symptoms, .. } => Some(symptoms.as_slice()),
                _ => None,
            });
        let symptoms = told.unwrap_or(&degradation.incident.detection.symptoms);
        Some(Self {
            symptom: symptoms.first()?.clone(),
            until,
        })
    }
}

/// The last hour of one metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plot {
    /// What it shows: `latency of probe `front``.
    pub title: String,
    /// Its lowest, highest and last value and its limit, in a sentence.
    pub sentence: String,
    /// The hour as a row of characters.
    pub row: String,
    /// When it begins and ends, such as `13:04` and `14:04`.
    pub from: String,
    pub until: String,
    /// The highest value that there is room for.
    pub top: String,
    pub width: u64,
    pub height: u64,
    /// Lines of an SVG, each as the points of a `polyline`.
    pub lines: Vec<String>,
    /// How far down the limit is.
    pub limit: u64,
}

impl Plot {
    /// Of what was measured. None where that is too little to see anything.
    pub fn new(
        plotted: &Plotted,
        until: Timestamp,
        points: &[Point],
        zone: &TimeZone,
    ) -> Option<Self> {
        let symptom = &plotted.symptom;
        let values = in_columns::<COLUMNS>(symptom, until, points);
        let known = || values.iter().flatten().copied();
        let since = until.saturating_sub(HOUR);
        let is_shown = |point: &&Point| point.at > since && point.at <= until;
        if points.iter().filter(is_shown).count() < LEAST {
            return None;
        }
        let (lowest, highest) = (known().min()?, known().max()?);
        let last = known().next_back()?;
        let top = highest.max(symptom.threshold).max(1);
        let down = |value: u64| {
            let room = u128::from(HEIGHT - 2 * MARGIN);
            let up = room * u128::from(value.min(top)) / u128::from(top);
            HEIGHT - MARGIN - u64::try_from(up).unwrap_or_default()
        };
        let shown = |value| symptom.metric.shown(value);
        let title = named(symptom);
        Some(Self {
            sentence: format!(
                "{} lay between {} and {}, and was {} at last; the limit is {}.",
                capital(&title),
                shown(lowest),
                shown(highest),
                shown(last),
                shown(symptom.threshold)
            ),
            title,
            row: sparkline(&in_columns::<CHARACTERS>(symptom, until, points)),
            from: words::time_of_day(until.saturating_sub(HOUR), zone),
            until: words::time_of_day(until, zone),
            top: shown(top),
            width: WIDTH,
            height: HEIGHT,
            lines: lines(&values, down),
            limit: down(symptom.threshold),
        })
    }
}

/// Which of so many equal pieces of the hour before `until` a time lies in, counted from the
/// oldest; none, where it lies further back.
pub fn place_in_hour(at: Timestamp, until: Timestamp, pieces: usize) -> Option<usize> {
    let age = until.since(at).as_millis() * pieces as u128 / HOUR.as_millis();
    pieces.checked_sub(usize::try_from(age).ok()?.checked_add(1)?)
}

/// The worst value of each piece of the hour before `until`.
fn in_columns<const N: usize>(
    symptom: &Symptom,
    until: Timestamp,
    points: &[Point],
) -> [Option<u64>; N] {
    let mut columns = [None; N];
    for point in points.iter().filter(|point| point.at <= until) {
        let place = place_in_hour(point.at, until, N);
        if let Some(column) = place.and_then(|place| columns.get_mut(place)) {
            let is_too_high = symptom.clear <= symptom.threshold;
            let value = if is_too_high { point.max } else { point.min };
            *column = Some(column.map_or(value, |known| symptom.worse(known, value)));
        }
    }
    columns
}

/// A line for each stretch of values that is not interrupted.
fn lines(values: &[Option<u64>], down: impl Fn(u64) -> u64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut last: Option<usize> = None;
    let width = WIDTH as usize;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let across = (place * 2 + 1) * width / (2 * values.len());
        let point = format!("{across},{}", down(*value));
        match lines.last_mut() {
            Some(line) if last.is_some_and(|last| place - last <= GAP) => {
                line.push(' ');
                line.push_str(&point);
            }
            // A line of one point is drawn as a dot.
            _ => lines.push(format!("{point} {point}")),
        }
        last = Some(place);
    }
    lines
}

#[cfg(test)]
mod tests {
    use prunella_core::health::{Metric, SymptomLevel};

    use super::*;

    const NOW: u64 = 1_795_270_800_000;

    fn plotted() -> Plotted {
        Plotted {
            symptom: Symptom {
                level: SymptomLevel::Degraded,
                metric: Metric::LatencyMs,
                instance: Some("front".to_owned()),
                value: 1_502,
                threshold: 1_000,
                clear: 800,
                since: Timestamp::from_millis(NOW - 60_000),
                evidence: String::new(),
                confirmed: true,
            },
            until: Timestamp::MAX,
        }
    }

    fn point(seconds_ago: u64, value: u64) -> Point {
        Point {
            at: Timestamp::from_millis(NOW - seconds_ago * 1_000),
            mean: value,
            min: value,
            max: value,
        }
    }

    fn plot(points: &[Point]) -> Option<Plot> {
        let now = Timestamp::from_millis(NOW);
        Plot::new(&plotted(), now, points, &TimeZone::UTC)
    }

    #[test]
    fn an_hour_has_its_figures_in_words_and_its_line() {
        let calm = (0..350).map(|sample| point(3_600 - sample * 10, 90));
        let slow = (1..10).rev().map(|sample| point(sample * 10, 1_502));
        let plot = plot(&calm.chain(slow).collect::<Vec<_>>()).unwrap();
        assert_eq!(plot.title, "latency of probe `front`");
        assert_eq!(
            plot.sentence,
            "Latency of probe `front` lay between 90 ms and 1,502 ms, and was 1,502 ms at \
             last; the limit is 1,000 ms."
        );
        assert_eq!(plot.row.chars().count(), CHARACTERS);
        assert!(
            plot.row.starts_with("▁▁▁") && plot.row.ends_with('█'),
            "{}",
            plot.row
        );
        assert_eq!(
            (plot.from.as_str(), plot.until.as_str()),
            ("13:20", "14:20")
        );
        assert_eq!((plot.top.as_str(), plot.lines.len()), ("1,502 ms", 1));
        assert!(plot.lines[0].ends_with("597,4"), "{:?}", plot.lines);
        assert_eq!(plot.limit, HEIGHT - MARGIN - 61);
    }

    #[test]
    fn a_gap_is_no_line_and_too_little_is_no_plot() {
        let apart = [
            point(3_000, 10),
            point(2_990, 20),
            point(20, 30),
            point(10, 40),
        ];
        assert_eq!(plot(&apart).unwrap().lines.len(), 2);
        assert_eq!(plot(&apart[..2]), None);
        assert_eq!(plot(&[]), None);
        // Of what was measured before, nothing is shown.
        assert_eq!(
            plot(&[point(4_000, 1), point(5_000, 2), point(6_000, 3)]),
            None
        );
    }
}
