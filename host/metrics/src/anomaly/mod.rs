//! Finds anomalies in one metric, sample by sample, without training by hand.
//!
//! # Idea
//! An anomaly is something the metric has not done before. "Done before" is asked in nine
//! ways (see [`View`]): has the value been this high, this high at this hour, this high after
//! such a level, has it moved like this? Most views keep no more than the lowest and highest
//! number they have seen, so a view costs a few comparisons and a few bytes.
//!
//! A new extreme means little in itself: a disk that fills sets one with every sample. So each
//! view also knows how often it meets something new, and weighs it by that (`surprise`). The
//! score is the sum over the views, so that several moderate surprises at once count as much
//! as a large one. After a high score the detector holds lower ones back for a while (`hold`):
//! one incident is reported once.
//!
//! # Where the parts come from
//! - Weighing something new by how seldom new things come: the escape probability of
//!   prediction by partial matching (Cleary and Witten 1984; method of Moffat 1990).
//! - New combinations of coarse values as a signal, and holding back after an alarm: the idea
//!   behind context-based detectors in the Numenta Anomaly Benchmark (Lavin and Ahmad 2015).
//! - "Outside everything seen so far" as a signal of its own: Numenta's detectors.
//! - Ranges that forget: the maximum over two alternating blocks, a standard approximation of
//!   a sliding maximum in constant memory.
//!
//! # Limits
//! - Every smoothing length and memory counts samples, not seconds. They are meant for one
//!   sample in 1 to 60 minutes; reduce faster metrics to means of a minute or more.
//! - Until about [`LEARNING_SAMPLES`] samples were seen, much is new: treat scores as
//!   provisional. [`Detector::is_learning`] tells.
//! - A week is not a cycle it knows; a weekend looks like a low day.

mod average;
mod day;
mod detector;
mod hold;
mod level;
mod moves;
mod on_demand;
mod outlier;
mod range;
mod surprise;
#[cfg(test)]
mod tests;

pub use detector::{ALERT_SCORE, Detector, LEARNING_SAMPLES, Reading, View};
pub use on_demand::OnDemandDetector;
