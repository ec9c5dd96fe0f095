//! Curves and state lines, as numbers for SVG.
//!
//! Everything is drawn on the server, in a box of [`WIDTH`] by [`HEIGHT`] that the page
//! stretches; numbers and words stand beside it as text.

use std::fmt::Write as _;

use prunella_api::InstanceHistory;
use prunella_core::{
    Timestamp,
    health::{HealthState, Metric, Point, Quantity, Transition},
};

/// The box in which a curve is drawn.
pub const WIDTH: u32 = 1_000;
/// Its height.
pub const HEIGHT: u32 = 100;

/// One metric over a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    pub title: String,
    /// The latest value, in words.
    pub latest: String,
    /// From the least to the greatest value, as the path of an area.
    pub band: String,
    /// The mean, as the path of a line.
    pub line: String,
    /// Single points, which no line joins, as the path of dots.
    pub dots: String,
    /// Where the threshold stands, and what it is.
    pub threshold: Option<(String, String)>,
    /// Where incidents began.
    pub marks: Vec<Mark>,
    /// The value at the upper edge, in words.
    pub top: String,
    /// When it begins and ends.
    pub from: String,
    pub until: String,
    /// All of it in a sentence, for who does not see it.
    pub summary: String,
    /// Whether the latest value is at the threshold, or beyond.
    pub beyond: bool,
}

/// An incident on a plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub x: String,
    pub id: String,
}

/// What is drawn beside the curve.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// From this value on the metric is a symptom; below it, where `falls`.
    pub threshold: Option<u64>,
    /// Whether small values are the bad ones.
    pub falls: bool,
    /// When incidents began, and their ids.
    pub incidents: &'a [(Timestamp, String)],
}

impl Plot {
    /// Of one instance; `None` where nothing was measured.
    pub fn new(
        metric: Metric,
        history: &InstanceHistory,
        (since, until): (Timestamp, Timestamp),
        beside: Beside<'_>,
    ) -> Option<Self> {
        let points = &history.points;
        let last = points.last()?;
        let greatest = points.iter().map(|point| point.max).max()?;
        let least = points.iter().map(|point| point.min).min()?;
        let top = top(metric, greatest.max(beside.threshold.unwrap_or(0)));
        let scale = Scale { since, until, top };
        let (band, line, dots) = scale.paths(points);
        let threshold = beside.threshold.filter(|threshold| *threshold <= top);
        let beyond = beside.threshold.is_some_and(|threshold| {
            if beside.falls {
                last.mean <= threshold
            } else {
                last.mean >= threshold
            }
        });
        let title = match &history.instance {
            Some(instance) => format!("{} · {instance}", metric.title()),
            None => metric.title().to_owned(),
        };
        let between = if least == greatest {
            format!("always {}", metric.shown(least))
        } else {
            format!(
                "between {} and {}",
                metric.shown(least),
                metric.shown(greatest)
            )
        };
        Some(Self {
            summary: format!(
                "{title}: now {}, {between} from {} to {}",
                metric.shown(last.mean),
                crate::show::day_and_clock(since),
                crate::show::day_and_clock(until)
            ),
            title,
            latest: metric.shown(last.mean),
            band,
            line,
            dots,
            threshold: threshold.map(|value| (scale.y(value), metric.shown(value))),
            marks: beside
                .incidents
                .iter()
                .filter(|(at, _)| *at >= since && *at <= until)
                .map(|(at, id)| Mark {
                    x: scale.x(*at),
                    id: id.clone(),
                })
                .collect(),
            top: metric.shown(top),
            from: crate::show::day_and_clock(since),
            until: crate::show::day_and_clock(until),
            beyond,
        })
    }
}

/// The value at the upper edge: a round one, and a whole where it is a share.
fn top(metric: Metric, greatest: u64) -> u64 {
    let round = |least: u64, base: u64| {
        let mut top = least;
        while top < greatest {
            top = top.saturating_mul(base);
        }
        // A half or a quarter of that, where it is enough.
        match base {
            10 => [top / 5, top / 2, top]
                .into_iter()
                .find(|it| *it >= greatest && *it >= least),
            _ => [top].into_iter().next(),
        }
        .unwrap_or(top)
    };
    match metric.quantity() {
        Quantity::Permille if greatest <= 1_000 => 1_000,
        Quantity::Bytes | Quantity::BytesPerSecond => round(1 << 10, 2),
        Quantity::Milli => round(1_000, 10),
        Quantity::Flag => 1,
        _ => round(10, 10),
    }
}

struct Scale {
    since: Timestamp,
    until: Timestamp,
    top: u64,
}

impl Scale {
    fn x(&self, at: Timestamp) -> String {
        let span = self.until.since(self.since).as_secs_f64().max(0.001);
        let x = at.since(self.since).as_secs_f64() / span;
        format!("{:.1}", x.min(1.0) * f64::from(WIDTH))
    }

    fn y(&self, value: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
        let share = value as f64 / (self.top.max(1)) as f64;
        format!("{:.1}", (1.0 - share.min(1.0)) * f64::from(HEIGHT))
    }

    /// The band, the line, and the dots; a gap in what was measured is a gap in them.
    fn paths(&self, points: &[Point]) -> (String, String, String) {
        let (mut band, mut line, mut dots) = (String::new(), String::new(), String::new());
        // Writing to a String cannot fail.
        for piece in pieces(points) {
            if let [point] = piece {
                let _ = write!(dots, "M{} {}h0", self.x(point.at), self.y(point.mean));
                continue;
            }
            for (index, point) in piece.iter().enumerate() {
                let pen = if index == 0 { 'M' } else { 'L' };
                let x = self.x(point.at);
                let _ = write!(line, "{pen}{x} {}", self.y(point.mean));
                let _ = write!(band, "{pen}{x} {}", self.y(point.max));
            }
            for point in piece.iter().rev() {
                let _ = write!(band, "L{} {}", self.x(point.at), self.y(point.min));
            }
            band.push('Z');
        }
        (band, line, dots)
    }
}

/// The points without the gaps: a gap is three times as long as what lies between two points
/// as a rule.
fn pieces(points: &[Point]) -> Vec<&[Point]> {
    let mut steps: Vec<u64> = points
        .windows(2)
        .filter_map(|two| match two {
            [one, next] => Some(next.at.as_millis().saturating_sub(one.at.as_millis())),
            _ => None,
        })
        .collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0);
    points
        .chunk_by(|one, next| {
            next.at.as_millis().saturating_sub(one.at.as_millis()) <= usual.saturating_mul(3)
        })
        .collect()
}

/// A part of a state line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub state: &'static str,
    pub x: String,
    pub width: String,
}

/// How a subject was over a span: `now` is how it is, `changes` its transitions, newest first.
pub fn states(
    now: HealthState,
    changes: &[Transition],
    (since, until): (Timestamp, Timestamp),
) -> Vec<Stretch> {
    let scale = Scale {
        since,
        until,
        top: 1,
    };
    let mut stretches = Vec::new();
    let (mut state, mut end) = (now, until);
    let mut add = |state: HealthState, from: Timestamp, end: Timestamp| {
        let (x, right) = (scale.x(from), scale.x(end));
        let width = right.parse::<f64>().unwrap_or(0.0) - x.parse::<f64>().unwrap_or(0.0);
        stretches.push(Stretch {
            state: state.as_str(),
            x,
            // What lasted seconds is seen too.
            width: format!("{:.1}", width.max(1.5)),
        });
    };
    for change in changes.iter().filter(|change| change.at <= until) {
        if change.at <= since {
            break;
        }
        add(state, change.at, end);
        (state, end) = (change.from, change.at);
    }
    add(state, since, end);
    stretches.reverse();
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn history(values: &[(u64, u64)]) -> InstanceHistory {
        InstanceHistory {
            instance: None,
            points: values
                .iter()
                .map(|&(minute, value)| Point {
                    at: at(minute),
                    mean: value,
                    min: value,
                    max: value,
                })
                .collect(),
        }
    }

    #[test]
    fn a_curve_has_its_scale_its_threshold_and_its_gaps() {
        let values = [(0, 100), (1, 200), (2, 100), (60, 950)];
        let beside = Beside {
            threshold: Some(900),
            incidents: &[(at(30), "x".into())],
            ..Beside::default()
        };
        let plot = Plot::new(
            Metric::CpuPermille,
            &history(&values),
            (at(0), at(60)),
            beside,
        )
        .unwrap();
        assert_eq!(plot.line, "M0.0 90.0L16.7 80.0L33.3 90.0");
        assert_eq!(plot.dots, "M1000.0 5.0h0");
        assert_eq!(plot.threshold, Some(("10.0".into(), "90 %".into())));
        assert_eq!(
            plot.marks,
            [Mark {
                x: "500.0".into(),
                id: "x".into()
            }]
        );
        assert!(plot.beyond);
        assert_eq!(plot.latest, "95 %");
        assert!(plot.summary.contains("between 10 % and 95 %"));
    }

    #[test]
    fn nothing_measured_is_no_plot() {
        assert_eq!(
            Plot::new(
                Metric::CpuPermille,
                &history(&[]),
                (at(0), at(1)),
                Beside::default()
            ),
            None
        );
    }

    #[test]
    fn the_upper_edge_is_round() {
        assert_eq!(top(Metric::LatencyMs, 1_300), 2_000);
        assert_eq!(top(Metric::LatencyMs, 0), 10);
        assert_eq!(top(Metric::CpuPermille, 12), 1_000);
        assert_eq!(top(Metric::MemoryBytes, 3 << 20), 4 << 20);
        assert_eq!(top(Metric::MemoryBytes, u64::MAX), u64::MAX);
    }

    #[test]
    fn states_follow_one_another() {
        let change = |minute, from, to| Transition {
            subject: prunella_core::health::Subject::Host,
            at: at(minute),
            from,
            to,
            evidence: String::new(),
            symptom: None,
        };
        let changes = [
            change(45, HealthState::Failed, HealthState::Healthy),
            change(30, HealthState::Healthy, HealthState::Failed),
            change(1, HealthState::Unknown, HealthState::Healthy),
        ];
        let line = states(HealthState::Healthy, &changes, (at(20), at(60)));
        let states: Vec<_> = line.iter().map(|it| (it.state, it.x.as_str())).collect();
        assert_eq!(
            states,
            [
                ("healthy", "0.0"),
                ("failed", "250.0"),
                ("healthy", "625.0")
            ]
        );
    }
}
