//! What can be said of a number that is sampled again and again.
//!
//! [`anomaly`] finds what such a metric has not done before. An anomaly is a hint for
//! people, and no reason to act. [`trend`] tells where it is going, and when it reaches a
//! limit, where that is certain. [`codec`] writes values in few bytes, [`mod@reduce`] makes
//! one of several, [`block`] has all series of a minute, [`histogram`] counts values by their
//! size, and [`mod@sparkline`] shows a row of them.

pub mod anomaly;
pub mod block;
pub mod codec;
pub mod histogram;
pub mod reduce;
pub mod sparkline;
pub mod trend;
