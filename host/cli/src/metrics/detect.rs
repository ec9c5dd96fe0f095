//! `prunella metrics detect`: what the detector makes of measurements in a file.

use std::{
    fs::File,
    io::{self, BufWriter, LineWriter, Read, Write},
    path::Path,
};

use anyhow::Context as _;
use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use prunella_metrics::anomaly::Detector;

use crate::{
    args::DetectArgs,
    exit::{Exit, Problem},
};

/// Runs the command.
pub(super) fn run(args: &DetectArgs) -> anyhow::Result<Exit> {
    let out = io::stdout().lock();
    if args.file == Path::new("-") {
        // Whoever writes the rows may wait for what becomes of each.
        let out = LineWriter::new(out);
        score("standard input", io::stdin().lock(), out, args.min_score)?;
    } else {
        let file = File::open(&args.file).map_err(|source| {
            let what = format!("cannot open {}", args.file.display());
            Problem::new(Exit::of_io(&source), what).because(source)
        })?;
        let name = args.file.display().to_string();
        score(&name, file, BufWriter::new(out), args.min_score)?;
    }
    Ok(Exit::Ok)
}

/// Prints each row of the input `name` with its score, as far as that is at least
/// `min_score`.
fn score(
    name: &str,
    input: impl Read,
    mut out: impl Write,
    min_score: Option<f32>,
) -> anyhow::Result<()> {
    let mut rows = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(input);
    let mut detector = Detector::default();
    let mut row = StringRecord::new();
    let mut is_first = true;
    writeln!(out, "timestamp,value,score")?;
    while rows
        .read_record(&mut row)
        .with_context(|| format!("cannot read {name}"))?
    {
        let heading = std::mem::take(&mut is_first);
        let line = row.position().map_or(0, csv::Position::line);
        let mistake = |what| Problem::new(Exit::Usage, format!("{name}:{line}: {what}"));
        let (Some(at), Some(value)) = (row.get(0), row.get(1)) else {
            let what = "expected a timestamp and a value".to_owned();
            return Err(mistake(what).into());
        };
        let Some(seconds) = seconds(at) else {
            if heading {
                continue;
            }
            let what = format!(
                "{at:?} is no timestamp: write seconds since 1970, or such as 2026-11-29 14:30:00"
            );
            return Err(mistake(what).into());
        };
        let number = match value {
            "" => f64::NAN,
            _ => value.parse().map_err(|_| {
                let what = format!("{value:?} is no number: leave it empty where it is missing");
                mistake(what)
            })?,
        };
        let score = detector.observe(seconds, number).score;
        if min_score.is_none_or(|least| score >= least) {
            writeln!(out, "{at},{value},{score:.4}")?;
        }
    }
    Ok(out.flush()?)
}

/// Seconds since 1970. A time without a zone is UTC.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        // The conversion saturates, and what is no number becomes 0.
        return seconds.is_finite().then_some(seconds as i64);
    }
    let at = text.parse::<Timestamp>().or_else(|_| {
        let local = text.parse::<DateTime>()?;
        Ok::<_, jiff::Error>(local.to_zoned(TimeZone::UTC)?.timestamp())
    });
    at.ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use prunella_metrics::anomaly::LEARNING_SAMPLES;
    use rstest::rstest;

    use super::*;

    fn scored(input: &str, min_score: Option<f32>) -> anyhow::Result<String> {
        let mut out = Vec::new();
        score("m.csv", input.as_bytes(), &mut out, min_score)?;
        Ok(String::from_utf8(out)?)
    }

    #[rstest]
    #[case("0", Some(0))]
    #[case("1392388200.5", Some(1_392_388_200))]
    #[case("2014-02-14 14:30:00", Some(1_392_388_200))]
    #[case("2014-02-14T14:30:00.25", Some(1_392_388_200))]
    #[case("2014-02-14T14:30:00Z", Some(1_392_388_200))]
    #[case("2014-02-14T16:30:00+02:00", Some(1_392_388_200))]
    #[case("2014-13-14 14:30:00", None)]
    #[case("nan", None)]
    #[case("timestamp", None)]
    #[case("", None)]
    fn times_are_read(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(seconds(text), expected);
    }

    #[test]
    fn each_row_is_printed_with_its_score() {
        let input = "\u{feff}\"at\",\"value\",\"by\"\r\n0, 1.5,me\r\n300,,me\r\n";
        assert_eq!(
            scored(input, None).unwrap(),
            "timestamp,value,score\n0,1.5,0.0000\n300,,0.0000\n"
        );
    }

    #[test]
    fn only_high_scores_are_printed_on_request() {
        let mut input = String::new();
        for row in 0..1000 {
            let value = if row == 900 { 90 } else { row % 7 };
            input.push_str(&format!("{},{value}\n", row * 300));
        }
        let high = scored(&input, Some(0.5)).unwrap();
        // What is usual is not known yet among the first.
        let learned = i64::from(LEARNING_SAMPLES) * 300;
        let rows: Vec<&str> = high
            .lines()
            .skip(1)
            .filter(|row| row.split(',').next().unwrap().parse::<i64>().unwrap() > learned)
            .collect();
        assert_eq!(rows.len(), 1, "{high}");
        assert!(rows[0].starts_with("270000,90,0."), "{high}");
    }

    #[rstest]
    #[case("0,1\nyesterday,2\n", "m.csv:2: \"yesterday\" is no timestamp")]
    #[case("0,1\n300\n", "m.csv:2: expected a timestamp and a value")]
    #[case("at,value\n0,low\n", "m.csv:2: \"low\" is no number")]
    fn a_mistake_is_named_with_its_line(#[case] input: &str, #[case] expected: &str) {
        let error = scored(input, None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
