//! A detector for a metric that may never move.

use super::detector::{Detector, LEARNING_SAMPLES, Reading};

/// So many samples of one value are shown to a detector that is made late. Of more it remembers
/// nothing else: what is new is as seldom by then as it can be, and each hour of the day was
/// there.
const REPLAYED: u32 = 4096;

/// Detects as a [`Detector`] does, which it makes once the metric moves: until then there is
/// nothing to find, and nothing to remember but for how long. Many metrics of a host, such as
/// the number of a service's processes, never move.
#[derive(Debug, Clone, Default)]
pub struct OnDemandDetector(State);

#[derive(Debug, Clone, Default)]
enum State {
    #[default]
    New,
    Steady(Steady),
    Moving(Box<Detector>),
}

/// One value from the first sample to the latest.
#[derive(Debug, Clone, Copy)]
struct Steady {
    value: f64,
    seen: u32,
    /// Times in seconds since 1970.
    first: i64,
    latest: i64,
}

impl OnDemandDetector {
    /// See [`Detector::is_learning`].
    #[must_use]
    pub fn is_learning(&self) -> bool {
        match &self.0 {
            State::New => true,
            State::Steady(steady) => steady.seen < LEARNING_SAMPLES,
            State::Moving(detector) => detector.is_learning(),
        }
    }

    /// See [`Detector::observe`].
    pub fn observe(&mut self, seconds: i64, value: f64) -> Reading {
        if !value.is_finite() {
            return Reading::NOTHING;
        }
        match &mut self.0 {
            State::Moving(detector) => return detector.observe(seconds, value),
            State::Steady(steady) if same(steady.value, value) => {
                steady.seen = steady.seen.saturating_add(1);
                steady.latest = seconds;
                return Reading::NOTHING;
            }
            State::Steady(_) | State::New => {}
        }
        if let State::Steady(steady) = self.0 {
            let mut detector = Box::new(steady.detector());
            let reading = detector.observe(seconds, value);
            self.0 = State::Moving(detector);
            return reading;
        }
        self.0 = State::Steady(Steady {
            value,
            seen: 1,
            first: seconds,
            latest: seconds,
        });
        Reading::NOTHING
    }

    /// Whether the metric has moved, and its detector was made.
    #[cfg(test)]
    fn is_made(&self) -> bool {
        matches!(self.0, State::Moving(_))
    }
}

impl Steady {
    /// The detector that has seen all this.
    fn detector(self) -> Detector {
        let mut detector = Detector::default();
        let steps = i64::from(self.seen.saturating_sub(1)).max(1);
        let step = self.latest.saturating_sub(self.first) / steps;
        for left in (0..self.seen.min(REPLAYED)).rev() {
            let before = step.saturating_mul(i64::from(left));
            detector.observe(self.latest.saturating_sub(before), self.value);
        }
        detector
    }
}

/// To the bit: a sample that differs by however little is a move.
fn same(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample each minute: steady for so long, then this.
    fn scores(steady: u32, mut observe: impl FnMut(i64, f64) -> Reading) -> Vec<f32> {
        let steady = (0..steady).map(|_| 40.0);
        let moving = (0..3_000).map(|i| f64::from(i % 7) + if i == 2_000 { 90.0 } else { 41.0 });
        steady
            .chain(moving)
            .zip(0..)
            .map(|(value, minute)| observe(minute * 60, value).score)
            .collect()
    }

    fn both(steady: u32) -> (Vec<f32>, Vec<f32>) {
        let (mut always, mut late) = (Detector::default(), OnDemandDetector::default());
        (
            scores(steady, |at, value| always.observe(at, value)),
            scores(steady, |at, value| late.observe(at, value)),
        )
    }

    #[test]
    fn it_finds_exactly_what_a_detector_finds_that_was_there_all_the_time() {
        for steady in [0, 1, 2, 500, REPLAYED] {
            let (always, late) = both(steady);
            assert_eq!(always, late, "steady for {steady}");
            assert!(late.iter().any(|score| *score > 0.0));
        }
    }

    #[test]
    fn after_a_longer_time_it_finds_the_same_to_within_a_hundredth() {
        let (always, late) = both(4 * REPLAYED);
        for (place, (always, late)) in always.iter().zip(&late).enumerate() {
            assert!(
                (always - late).abs() < 0.01,
                "{always} and {late} at {place}"
            );
        }
    }

    #[test]
    fn it_learns_as_long_as_a_detector_does() {
        let mut late = OnDemandDetector::default();
        for minute in 0..LEARNING_SAMPLES {
            assert!(late.is_learning());
            late.observe(i64::from(minute) * 60, 3.0);
            assert!(!late.is_made());
        }
        assert!(!late.is_learning());
        late.observe(i64::from(LEARNING_SAMPLES) * 60, 4.0);
        assert!(late.is_made() && !late.is_learning());
    }

    #[test]
    fn what_is_no_number_is_no_move() {
        let mut late = OnDemandDetector::default();
        late.observe(0, 1.0);
        late.observe(60, f64::NAN);
        assert!(!late.is_made());
    }
}
