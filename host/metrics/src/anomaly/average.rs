//! Exponentially weighted moving average.

/// A moving average that starts at the first sample instead of at zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Average {
    value: Option<f32>,
}

impl Average {
    /// The average so far; `fallback` before the first sample.
    pub(crate) fn get_or(&self, fallback: f32) -> f32 {
        self.value.unwrap_or(fallback)
    }

    /// Moves the average towards `x` by the share `weight` (0 to 1) and returns it.
    pub(crate) fn add(&mut self, x: f32, weight: f32) -> f32 {
        let old = self.value.unwrap_or(x);
        let new = old + weight * (x - old);
        self.value = Some(new);
        new
    }
}
