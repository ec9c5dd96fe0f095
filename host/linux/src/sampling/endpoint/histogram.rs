//! A quantile of what a histogram has counted.

use std::collections::BTreeMap;

use super::counted::Bound;

/// The value that a share of all did not exceed: as PromQL's `histogram_quantile` has it,
/// within a bucket evenly spread. Of what lies above the last bound, that bound. Nothing, where
/// nothing was counted.
pub(super) fn quantile(buckets: &BTreeMap<Bound, f64>, share: f64) -> Option<f64> {
    let all = *buckets.last_key_value()?.1;
    if all <= 0.0 {
        return None;
    }
    let rank = share * all;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        let upper = bound.value();
        if *count >= rank {
            if upper.is_infinite() || *count <= below {
                return Some(lower);
            }
            let within = (rank - below) / (count - below);
            return Some(lower + (upper - lower) * within.max(0.0));
        }
        (lower, below) = (upper, *count);
    }
    Some(lower)
}
