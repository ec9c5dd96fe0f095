//! How often something may be done by each of many, in bounded memory: token buckets.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A bucket for each name that is not full.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// How long it takes until one more is allowed.
    every: Duration,
    /// How many are allowed at once.
    burst: u32,
    /// Names that are remembered.
    names: usize,
    spent: Mutex<HashMap<String, Instant>>,
}

impl Buckets {
    pub(crate) fn new(every: Duration, burst: u32, names: usize) -> Self {
        Self {
            every,
            burst,
            names,
            spent: Mutex::default(),
        }
    }

    /// Takes one out; else, how long to wait.
    pub(crate) fn take(&self, name: &str, now: Instant) -> Result<(), Duration> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        // When its bucket is full again: all that is known of a name.
        let full_at = spent.get(name).copied().map_or(now, |at| at.max(now));
        self.left(full_at, now)?;
        if !spent.contains_key(name) && spent.len() >= self.names {
            spent.retain(|_, full_at| *full_at > now);
            // Of too many, the one that is forgiven first anyway.
            if spent.len() >= self.names
                && let Some(first) = spent
                    .iter()
                    .min_by_key(|(_, full_at)| **full_at)
                    .map(|(name, _)| name.clone())
            {
                spent.remove(&first);
            }
        }
        spent.insert(name.to_owned(), full_at + self.every);
        Ok(())
    }

    /// Whether there is one to take out; else, how long to wait.
    pub(crate) fn look(&self, name: &str, now: Instant) -> Result<(), Duration> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent
            .get(name)
            .map_or(Ok(()), |full_at| self.left((*full_at).max(now), now))
    }

    /// Whether one was taken out for this name, as far as that is remembered.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.contains_key(name)
    }

    fn left(&self, full_at: Instant, now: Instant) -> Result<(), Duration> {
        let owed = full_at.saturating_duration_since(now) + self.every;
        let allowed = self.every * self.burst;
        match owed.checked_sub(allowed) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_at_a_time() {
        let buckets = Buckets::new(Duration::from_secs(1), 3, 10);
        let now = Instant::now();
        for _ in 0..3 {
            buckets.take("a", now).unwrap();
        }
        assert_eq!(buckets.take("a", now), Err(Duration::from_secs(1)));
        assert_eq!(buckets.look("a", now), Err(Duration::from_secs(1)));
        assert!(buckets.take("b", now).is_ok(), "others are not concerned");
        let later = now + Duration::from_secs(1);
        assert!(buckets.look("a", later).is_ok());
        assert!(buckets.take("a", later).is_ok());
        assert!(buckets.take("a", later).is_err());
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_remembered() {
        let buckets = Buckets::new(Duration::from_secs(1), 2, 100);
        let now = Instant::now();
        while buckets.take("worst", now).is_ok() {}
        for number in 0..1_000 {
            buckets.take(&number.to_string(), now).unwrap();
        }
        assert!(buckets.spent.lock().unwrap().len() <= 100);
        assert!(buckets.take("worst", now).is_err());
    }
}
