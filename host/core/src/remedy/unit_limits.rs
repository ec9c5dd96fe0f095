//! `[[unit-limits]]`: limits of a unit that may be moved at run time, within bounds.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{UnitName, health::bytes};

/// As systemd has it where there is no limit, and where a weight is not set.
pub const NO_LIMIT: u64 = u64::MAX;

/// The weight of a unit for which none is set.
const DEFAULT_WEIGHT: u64 = 100;

/// Limits that may be moved together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitLimits {
    /// Whose; the service's own, where it is absent.
    pub unit: Option<UnitName>,
    pub bounds: BTreeMap<UnitProperty, Bounds>,
    /// Then they go back.
    #[serde(rename = "lease_milliseconds", with = "crate::span::in_millis")]
    pub lease: Duration,
    /// Before that, once the service was well for so long.
    #[serde(rename = "calm_milliseconds", with = "crate::span::in_millis")]
    pub calm: Duration,
}

/// A limit that systemd can change of a unit that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitProperty {
    /// In bytes.
    MemoryHigh,
    /// In bytes.
    MemoryMax,
    /// In microseconds of processor time a second.
    CpuQuota,
    /// From 1 to 10,000.
    CpuWeight,
    /// From 1 to 10,000.
    IoWeight,
    /// In processes and threads.
    TasksMax,
}

impl UnitProperty {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::MemoryHigh,
        Self::MemoryMax,
        Self::CpuQuota,
        Self::CpuWeight,
        Self::IoWeight,
        Self::TasksMax,
    ];

    /// Its key in a service's file: `memory-high`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemoryHigh => "memory-high",
            Self::MemoryMax => "memory-max",
            Self::CpuQuota => "cpu-quota",
            Self::CpuWeight => "cpu-weight",
            Self::IoWeight => "io-weight",
            Self::TasksMax => "tasks-max",
        }
    }

    /// Its name in a unit's file: `MemoryHigh`.
    pub fn title(self) -> &'static str {
        match self {
            Self::MemoryHigh => "MemoryHigh",
            Self::MemoryMax => "MemoryMax",
            Self::CpuQuota => "CPUQuota",
            Self::CpuWeight => "CPUWeight",
            Self::IoWeight => "IOWeight",
            Self::TasksMax => "TasksMax",
        }
    }

    /// Its name on the bus.
    pub fn on_bus(self) -> &'static str {
        match self {
            Self::CpuQuota => "CPUQuotaPerSecUSec",
            other => other.title(),
        }
    }

    fn is_weight(self) -> bool {
        matches!(self, Self::CpuWeight | Self::IoWeight)
    }

    /// What a value comes to: a weight that is not set is the usual one.
    fn effective(self, value: u64) -> u64 {
        if self.is_weight() && value == NO_LIMIT {
            DEFAULT_WEIGHT
        } else {
            value
        }
    }

    /// Whether one value gives less than another.
    pub fn is_lower(self, one: u64, other: u64) -> bool {
        self.effective(one) < self.effective(other)
    }

    /// A value for people: `512 MiB`, `40 %`, `200`.
    pub fn shown(self, value: u64) -> String {
        match self {
            _ if value == NO_LIMIT && self.is_weight() => "the usual one".to_owned(),
            _ if value == NO_LIMIT => "infinity".to_owned(),
            Self::MemoryHigh | Self::MemoryMax => bytes(value),
            Self::CpuQuota => format!("{} %", value / 10_000),
            Self::CpuWeight | Self::IoWeight | Self::TasksMax => value.to_string(),
        }
    }
}

impl fmt::Display for UnitProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Between which values a limit may be moved, and by how much at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min: u64,
    pub max: u64,
    pub step: u64,
}

/// Which way a limit is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    Raise,
    Lower,
}

impl Move {
    /// In the imperative.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Lower => "lower",
        }
    }

    /// In the past tense.
    pub fn done(self) -> &'static str {
        match self {
            Self::Raise => "raised",
            Self::Lower => "lowered",
        }
    }
}

impl Bounds {
    /// The value one step from this one; none where it is at its bound, or beyond it.
    pub fn step(self, property: UnitProperty, from: u64, to: Move) -> Option<u64> {
        let now = property.effective(from);
        match to {
            Move::Raise if now < self.max => {
                Some(now.saturating_add(self.step).clamp(self.min, self.max))
            }
            Move::Lower if now > self.min => {
                let lower = if now == NO_LIMIT {
                    self.max
                } else {
                    now.saturating_sub(self.step)
                };
                Some(lower.clamp(self.min, self.max))
            }
            _ => None,
        }
    }
}

/// One limit that was moved, or is about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitMove {
    pub property: UnitProperty,
    pub before: u64,
    pub set: u64,
    /// The bound towards which it was moved: beyond it is somebody else's value.
    pub bound: u64,
}

/// What became of a limit that was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitNow {
    /// As it was before.
    Before,
    /// As it was set.
    AsSet,
    /// It was moved further the same way, within the bounds.
    MovedOn,
    /// Somebody has set it to something else.
    Elsewhere,
}

impl LimitMove {
    /// How it stands, by its value now.
    pub fn now(self, value: u64) -> LimitNow {
        let [now, before, set] =
            [value, self.before, self.set].map(|value| self.property.effective(value));
        let between = set.min(self.bound)..=set.max(self.bound);
        if now == set {
            LimitNow::AsSet
        } else if now == before {
            LimitNow::Before
        } else if between.contains(&now) {
            LimitNow::MovedOn
        } else {
            LimitNow::Elsewhere
        }
    }
}

/// How moved limits go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedLimits {
    pub unit: UnitName,
    pub limits: Vec<LimitMove>,
}

impl fmt::Display for MovedLimits {
    /// `MemoryHigh of web.service to 512 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self
            .limits
            .iter()
            .map(|limit| {
                let back = limit.property.shown(limit.before);
                format!("{} of {} to {back}", limit.property.title(), self.unit)
            })
            .collect();
        f.write_str(&each.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[rstest]
    #[case::up(512, Move::Raise, Some(768))]
    #[case::to_its_bound(900, Move::Raise, Some(1024))]
    #[case::at_its_bound(1024, Move::Raise, None)]
    #[case::beyond_it(2048, Move::Raise, None)]
    #[case::from_below(64, Move::Raise, Some(512))]
    #[case::down(1024, Move::Lower, Some(768))]
    #[case::down_from_above(4096, Move::Lower, Some(1024))]
    #[case::at_the_lower_one(512, Move::Lower, None)]
    fn a_step_stays_within_its_bounds(
        #[case] from: u64,
        #[case] to: Move,
        #[case] expected: Option<u64>,
    ) {
        let bounds = Bounds {
            min: 512 * MIB,
            max: 1024 * MIB,
            step: 256 * MIB,
        };
        let found = bounds.step(UnitProperty::MemoryHigh, from * MIB, to);
        assert_eq!(found, expected.map(|value| value * MIB));
    }

    #[test]
    fn no_limit_is_not_raised_and_a_weight_that_is_not_set_is_the_usual_one() {
        let bounds = Bounds {
            min: 50,
            max: 400,
            step: 100,
        };
        let step = |property, to| bounds.step(property, NO_LIMIT, to);
        assert_eq!(step(UnitProperty::TasksMax, Move::Raise), None);
        assert_eq!(step(UnitProperty::TasksMax, Move::Lower), Some(400));
        assert_eq!(step(UnitProperty::CpuWeight, Move::Raise), Some(200));
        assert_eq!(step(UnitProperty::CpuWeight, Move::Lower), Some(50));
    }

    #[rstest]
    #[case::not_moved(100, LimitNow::Before)]
    #[case::moved(200, LimitNow::AsSet)]
    #[case::moved_again(300, LimitNow::MovedOn)]
    #[case::beyond_its_bound(500, LimitNow::Elsewhere)]
    #[case::moved_back_further(50, LimitNow::Elsewhere)]
    fn what_became_of_a_moved_limit(#[case] value: u64, #[case] expected: LimitNow) {
        let moved = LimitMove {
            property: UnitProperty::TasksMax,
            before: 100,
            set: 200,
            bound: 400,
        };
        assert_eq!(moved.now(value), expected);
    }
}
