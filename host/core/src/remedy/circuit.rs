//! `[[circuit]]`: a service that fails again and again is kept down for a while, and tried after
//! it: a circuit breaker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;
use crate::UnitName;

/// When a service's circuit opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// So many failures …
    pub failures: u32,
    /// … within so long open it. For as long, an opening after a closing counts as one in a row.
    #[serde(rename = "window_milliseconds", with = "crate::span::in_millis")]
    pub window: Duration,
    /// How long it stays open for each opening in a row.
    #[serde(rename = "wait_milliseconds", with = "crate::span::in_millis")]
    pub wait: Duration,
    /// How long it stays open at most.
    #[serde(rename = "wait_most_milliseconds", with = "crate::span::in_millis")]
    pub wait_most: Duration,
}

impl Circuit {
    /// How long it stays open when it was opened so many times in a row.
    pub fn wait_for(&self, times: u32) -> Duration {
        self.wait.saturating_mul(times).min(self.wait_most)
    }
}

/// A circuit that was opened, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedCircuit {
    /// The operator's name for it.
    pub name: String,
    /// The service that it isolates.
    pub unit: UnitName,
    /// How many times in a row it was opened, this time among them.
    pub times: u32,
}

impl DeclaredRemedy for Circuit {
    fn stops_itself(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_up_to_its_most() {
        let circuit = Circuit {
            failures: 3,
            window: Duration::from_secs(600),
            wait: Duration::from_secs(30),
            wait_most: Duration::from_secs(300),
        };
        let waits: Vec<u64> = [1, 2, 9, 10, 11, u32::MAX]
            .into_iter()
            .map(|times| circuit.wait_for(times).as_secs())
            .collect();
        assert_eq!(waits, [30, 60, 270, 300, 300, 300]);
    }
}
