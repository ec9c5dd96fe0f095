//! A metric over time, in characters.

use std::fmt::Write as _;

use prunella_core::{Timestamp, health::Point};
use prunella_metrics::reduce::{Reduced, reduce};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    output::{GOOD, QUIET},
    time::short,
};

/// A cell that is filled to so many eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Between a mean and the highest value, in a cell.
const ABOVE: char = '░';

/// Fewer columns than this tell nothing.
const NARROWEST: usize = 10;

/// What is drawn, and how large.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    /// Columns, with the labels.
    pub(super) width: usize,
    /// Lines, without that of the times.
    pub(super) height: usize,
}

/// Draws points from 0 up to their highest value. A column that no point falls into is empty,
/// unless it lies between two neighbours: then the earlier one goes on.
pub(super) fn plot(points: &[Point], frame: &Frame, shown: impl Fn(u64) -> String) -> String {
    let top = points.iter().map(|point| point.max).max().unwrap_or(0);
    let label_width = [0, top / 2, top]
        .map(|value| shown(value).width())
        .into_iter()
        .max()
        .unwrap_or(0);
    let columns = frame.width.saturating_sub(label_width + 2).max(NARROWEST);
    let bars = bars(points, frame, columns);
    let height = frame.height.max(2);
    let mut text = String::new();
    for line in (0..height).rev() {
        let label = if line + 1 == height {
            shown(top)
        } else if line == height / 2 {
            shown(top / 2)
        } else if line == 0 {
            shown(0)
        } else {
            String::new()
        };
        let pad = label_width.saturating_sub(label.width());
        let cells: String = bars
            .iter()
            .map(|bar| cell(*bar, line, height, top))
            .collect();
        let _ = writeln!(
            text,
            "{QUIET}{}{label} ┤{QUIET:#}{GOOD}{}{GOOD:#}",
            " ".repeat(pad),
            cells.trim_end()
        );
    }
    let begin = short(frame.since, frame.until);
    let end = short(frame.until, frame.until);
    let gap = columns.saturating_sub(begin.width() + end.width());
    let _ = writeln!(
        text,
        "{}{QUIET}{begin}{}{end}{QUIET:#}",
        " ".repeat(label_width + 2),
        " ".repeat(gap)
    );
    text
}

/// What each column shows: its points as one.
fn bars(points: &[Point], frame: &Frame, columns: usize) -> Vec<Option<Reduced>> {
    let begin = frame.since.as_millis();
    let span = frame.until.as_millis().saturating_sub(begin).max(1);
    let column = |at: Timestamp| {
        let within = u128::from(at.as_millis().saturating_sub(begin));
        let place = within * columns as u128 / u128::from(span);
        usize::try_from(place)
            .unwrap_or(usize::MAX)
            .min(columns - 1)
    };
    let mut found: Vec<Vec<Reduced>> = vec![Vec::new(); columns];
    for point in points {
        if let Some(there) = found.get_mut(column(point.at)) {
            there.push(Reduced {
                mean: point.mean,
                min: point.min,
                max: point.max,
            });
        }
    }
    let mut bars: Vec<Option<Reduced>> = found.into_iter().map(reduce).collect();
    fill(points, &mut bars, column);
    bars
}

/// Columns between neighbours show the earlier one. Neighbours are as far apart as most are.
fn fill(points: &[Point], bars: &mut [Option<Reduced>], column: impl Fn(Timestamp) -> usize) {
    let apart = |pair: &[Point]| match pair {
        [a, b] => b.at.since(a.at),
        _ => std::time::Duration::ZERO,
    };
    let mut all: Vec<_> = points.windows(2).map(apart).collect();
    all.sort_unstable();
    let Some(step) = all.get(all.len() / 2).copied() else {
        return;
    };
    for pair in points.windows(2) {
        let [a, b] = pair else { continue };
        if apart(pair) > step * 2 {
            continue;
        }
        let (from, to) = (column(a.at), column(b.at));
        let earlier = bars.get(from).copied().flatten();
        for bar in bars.iter_mut().take(to).skip(from + 1) {
            *bar = bar.or(earlier);
        }
    }
}

/// What a bar has in one line, the lowest being 0.
fn cell(bar: Option<Reduced>, line: usize, height: usize, top: u64) -> char {
    let Some(bar) = bar else { return ' ' };
    // Eighths of a line, in all.
    let all = height as u128 * 8;
    let eighths = |value: u64| u128::from(value) * all / u128::from(top.max(1));
    let below = line as u128 * 8;
    let filled = eighths(bar.mean).saturating_sub(below).min(8);
    // Something is more than nothing, to the eye as well.
    let least = u128::from(line == 0);
    match usize::try_from(filled.max(least)) {
        Ok(0) if eighths(bar.max) > below => ABOVE,
        Ok(filled) => EIGHTHS.get(filled).copied().unwrap_or('█'),
        Err(_) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(seconds: u64, mean: u64, max: u64) -> Point {
        Point {
            at: Timestamp::from_millis(seconds * 1_000),
            mean,
            min: mean,
            max,
        }
    }

    fn drawn(points: &[Point], width: usize) -> Vec<String> {
        let frame = Frame {
            since: Timestamp::from_millis(0),
            until: Timestamp::from_millis(100_000),
            width,
            height: 4,
        };
        let text = plot(points, &frame, |value| value.to_string());
        anstream::adapter::strip_str(&text)
            .to_string()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_ramp_rises_from_the_left_to_the_right() {
        let points: Vec<Point> = (0..100).map(|at| point(at, at, at)).collect();
        let lines = drawn(&points, 24);
        assert_eq!(lines.len(), 5);
        assert!(lines[0].starts_with("99 ┤"), "{lines:#?}");
        assert!(lines[3].starts_with(" 0 ┤"), "{lines:#?}");
        assert!(lines.iter().all(|line| line.width() <= 24), "{lines:#?}");
        // The lowest line is filled throughout, the highest only at its end.
        assert_eq!(lines[3].chars().skip(4).filter(|c| *c != ' ').count(), 20);
        assert!(lines[0].chars().skip(4).take(14).all(|c| c == ' '));
        assert!(lines[0].ends_with(['▆', '▇', '█']), "{lines:#?}");
    }

    #[test]
    fn a_spike_is_seen_above_its_mean_and_a_gap_is_empty() {
        let mut points: Vec<Point> = (0..40).map(|at| point(at, 1, 1)).collect();
        points[20].max = 8;
        points.extend((80..100).map(|at| point(at, 1, 1)));
        let lines = drawn(&points, 53);
        assert!(lines[0].contains('░'), "{lines:#?}");
        let lowest: Vec<char> = lines[3].chars().skip(3).collect();
        assert!(lowest[21..39].iter().all(|c| *c == ' '), "{lines:#?}");
        assert_eq!(lowest[45], '▄', "{lines:#?}");
    }

    #[test]
    fn few_points_are_joined_and_none_are_nothing() {
        let points: Vec<Point> = (0..10).map(|at| point(at * 10, 5, 5)).collect();
        let lines = drawn(&points, 83);
        let lowest: String = lines[3].chars().skip(3).collect();
        assert!(lowest.trim_end().chars().all(|c| c == '█'), "{lines:#?}");
        assert!(lowest.chars().count() > 70, "{lines:#?}");
        assert_eq!(drawn(&[], 40).len(), 5);
    }
}
