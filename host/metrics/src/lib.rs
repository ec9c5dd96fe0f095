//! What can be said of a number that is sampled again and again.
//!
//! [`anomaly`] finds what such a metric has not done before. An anomaly is a hint for
//! people, and no reason to act.

pub mod anomaly;
