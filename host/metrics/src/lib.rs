//! What can be said of a number that is sampled again and again.
//!
//! [`anomaly`] finds what such a metric has not done before. An anomaly is a hint for
//! people, and no reason to act. [`trend`] tells where it is going, and when it reaches a
//! limit, where that is certain.

pub mod anomaly;
pub mod trend;
