//! What one sample costs the anomaly detector: 2,000 series in turn, as a host with many
//! metrics has them, so that a series is not in the processor's nearest cache.
//!
//! With `PRUNELLA_BENCH_JSON` set, the figure is written there, too, as a line of JSON.

use std::{env, error::Error, fs, hint::black_box, time::Instant};

use prunella_metrics::anomaly::Detector;

const SERIES: usize = 2_000;
/// A week at one sample in five minutes.
const SAMPLES: usize = 2_016;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test` runs it too, to see that it works.
    let real = env::args().any(|argument| argument == "--bench");
    let samples = if real { SAMPLES } else { 3 };
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(samples)).collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
    println!(
        "a sample: {median:.0} ns; a series: {} bytes",
        size_of::<Detector>()
    );
    if let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") {
        let bytes = size_of::<Detector>();
        fs::write(
            path,
            format!("{{\"median_ns\": {median}, \"bytes\": {bytes}}}\n"),
        )?;
    }
    Ok(())
}

/// Nanoseconds for a sample, over all samples of all series.
fn round(samples: usize) -> f64 {
    let mut detectors = vec![Detector::default(); SERIES];
    let begun = Instant::now();
    for sample in 0..samples {
        for (series, detector) in detectors.iter_mut().enumerate() {
            // Level, a daily pattern and some noise, of which each series has its own.
            let hour = sample / 12 % 24;
            let busy = if (8..18).contains(&hour) { 60.0 } else { 20.0 };
            let noise = (sample * 31 + series * 17) % 97;
            let value = busy + noise as f64 / 10.0;
            black_box(detector.observe(sample as i64 * 300, black_box(value)));
        }
    }
    begun.elapsed().as_nanos() as f64 / (SERIES * samples) as f64
}
