//! The chart: what each healer healed, how fast, and what it did wrong.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Results, percent, time};
use crate::judge::Score;

const SIZE: (u32, u32) = (1180, 360);
const ROW: i32 = 44;
const TOP: i32 = 64;

const HEALED: RGBColor = RGBColor(76, 140, 74);
const TIMED: RGBColor = RGBColor(66, 105, 158);
const WRONG: RGBColor = RGBColor(178, 60, 50);
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(226, 226, 226);

/// Left edges of the names, and of the three panels, and how wide these are.
const NAMES: i32 = 16;
const SHARE: i32 = 250;
const SPEED: i32 = 560;
const WRONGS: i32 = 900;
const WIDE: i32 = 220;

/// Milliseconds at both ends of the axis of times, which is logarithmic.
const TIMES: (f64, f64) = (5.0, 20_000.0);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws it into an SVG file.
///
/// # Errors
/// When it cannot be written.
pub fn chart(results: &Results<'_>, path: &Path) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    draw(results, &area).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    area.present()
        .map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}

type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(results: &Results<'_>, area: &Area<'_>) -> Drawn {
    area.fill(&WHITE)?;
    let heading = |text: &str, x| write(area, text, (x, 22), 16.0, HPos::Left);
    heading("Must heal: share healed (95 % interval)", SHARE)?;
    heading("Crash to answer: median, and p95", SPEED)?;
    heading("Wrong actions", WRONGS)?;

    let scores = results.scores();
    let rows = i32::try_from(scores.len()).unwrap_or(0);
    let bottom = TOP + ROW * rows;
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let x = SHARE + along(share);
        line(area, (x, TOP - 8), (x, bottom), &FAINT)?;
        let text = format!("{:.0} %", share * 100.0);
        write(area, &text, (x, bottom + 14), 12.0, HPos::Center)?;
    }
    for ms in [10.0, 100.0, 1000.0, 10_000.0] {
        let x = SPEED + on_axis(ms);
        line(area, (x, TOP - 8), (x, bottom), &FAINT)?;
        write(area, &time(Some(ms)), (x, bottom + 14), 12.0, HPos::Center)?;
    }
    let most = scores.iter().map(|score| score.wrong.len()).max();
    let most = most.unwrap_or(0).max(1);
    for ((score, healer), row) in scores.iter().zip(&results.healers).zip(0..) {
        let y = TOP + ROW * row + ROW / 2 - 4;
        write(area, healer.title(), (NAMES, y), 14.0, HPos::Left)?;
        share(area, score, y)?;
        speed(area, score, y)?;
        wrong(area, score, most, y)?;
    }
    Ok(())
}

fn share(area: &Area<'_>, score: &Score, y: i32) -> Drawn {
    let healed = percent(score.healed, score.heal_runs) / 100.0;
    bar(area, SHARE, along(healed), y, &HEALED)?;
    let (low, high) = score.healed_between;
    let (low, high) = (SHARE + along(low), SHARE + along(high));
    line(area, (low, y), (high, y), &INK)?;
    for x in [low, high] {
        line(area, (x, y - 4), (x, y + 4), &INK)?;
    }
    let text = format!("{}/{}", score.healed, score.heal_runs);
    write(area, &text, (SHARE + WIDE + 10, y), 13.0, HPos::Left)
}

fn speed(area: &Area<'_>, score: &Score, y: i32) -> Drawn {
    let (Some(median), Some(p95)) = (score.median_ms, score.p95_ms) else {
        return write(area, "healed nothing", (SPEED, y), 13.0, HPos::Left);
    };
    let (from, to) = (SPEED + on_axis(median), SPEED + on_axis(p95));
    line(area, (from, y), (to, y), &TIMED)?;
    area.draw(&Circle::new((from, y), 6, TIMED.filled()))?;
    line(area, (to, y - 5), (to, y + 5), &TIMED)?;
    let text = format!("{}, {}", time(Some(median)), time(Some(p95)));
    write(area, &text, (SPEED + WIDE + 10, y), 13.0, HPos::Left)
}

fn wrong(area: &Area<'_>, score: &Score, most: usize, y: i32) -> Drawn {
    let count = score.wrong.len();
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let length = along(count as f64 / most as f64);
    bar(area, WRONGS, length, y, &WRONG)?;
    write(
        area,
        &count.to_string(),
        (WRONGS + length + 8, y),
        13.0,
        HPos::Left,
    )
}

#[expect(clippy::cast_possible_truncation, reason = "a few hundred pixels")]
fn along(share: f64) -> i32 {
    (share.clamp(0.0, 1.0) * f64::from(WIDE)).round() as i32
}

fn on_axis(ms: f64) -> i32 {
    let (from, to) = TIMES;
    along((ms / from).ln() / (to / from).ln())
}

fn bar(area: &Area<'_>, x: i32, length: i32, y: i32, colour: &RGBColor) -> Drawn {
    area.draw(&Rectangle::new(
        [(x, y - 10), (x + length, y + 10)],
        colour.filled(),
    ))
}

fn line(area: &Area<'_>, from: (i32, i32), to: (i32, i32), colour: &RGBColor) -> Drawn {
    area.draw(&PathElement::new([from, to], colour.stroke_width(2)))
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: f64, side: HPos) -> Drawn {
    let style = ("sans-serif", size)
        .into_font()
        .color(&INK)
        .pos(Pos::new(side, VPos::Center));
    area.draw_text(text, &style, at)
}
