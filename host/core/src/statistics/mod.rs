//! What strategies have achieved, for each kind of failure.
//!
//! A kind of failure is a [`Signature`]: the service, systemd's word for what
//! went wrong, and a fingerprint of what the failed run logged last. For each
//! of them a [`Counts`] says how often a strategy was tried, and what came of it.
//! From that a service with `order = "learned"` takes the [`order`] in which
//! its strategies are tried.

mod fingerprint;
pub mod order;

use serde::{Deserialize, Serialize};

use crate::{
    StrategyName, Timestamp, UnitName,
    incident::Outcome,
    trail::{Entry, Step},
};

/// A kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    pub unit: UnitName,
    /// systemd's word for what went wrong.
    pub cause: String,
    /// Of the failed run's last telling log lines, without what differs from
    /// one failure to the next: 16 hexadecimal digits.
    pub fingerprint: String,
    /// Those lines, for people; empty when there were none.
    pub sample: String,
}

impl Signature {
    /// Of a failure of `unit` whose failed run logged `lines` last, oldest
    /// first.
    pub fn new<'l>(
        unit: UnitName,
        cause: impl Into<String>,
        lines: impl IntoIterator<Item = &'l str>,
    ) -> Self {
        let sample = fingerprint::telling(lines);
        Self {
            unit,
            cause: cause.into(),
            fingerprint: fingerprint::of(&sample),
            sample,
        }
    }
}

/// What came of one try of a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TryOutcome {
    /// The service was well, and stayed so.
    Proven,
    /// It was well, and did not stay so.
    Relapsed,
    /// It did not become well.
    Failed,
}

/// One try of a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    pub strategy: StrategyName,
    /// What came of it.
    pub came: TryOutcome,
}

/// The tries among the steps of one attempt.
///
/// A strategy that found nothing to do after all, or that another unit held up,
/// was not tried; nor was one of which no end is known.
pub fn tries<'s>(steps: impl IntoIterator<Item = &'s Entry>) -> Vec<Try> {
    let mut tries = Vec::new();
    // Which strategy heals, and what is to be said of it so far.
    let mut going: Option<(&StrategyName, Option<TryOutcome>)> = None;
    let close = |going: Option<(&StrategyName, Option<TryOutcome>)>, tries: &mut Vec<Try>| {
        if let Some((strategy, Some(came))) = going {
            tries.push(Try {
                strategy: strategy.clone(),
                came,
            });
        }
    };
    for entry in steps {
        match &entry.step {
            Step::Heals { strategy } => {
                close(going.take(), &mut tries);
                going = Some((strategy, None));
            }
            Step::Returned {
                outcome: Ok(Outcome::NotApplicable { .. } | Outcome::BlockedBy { .. }),
                ..
            } => going = None,
            Step::Returned { .. } | Step::Broke { .. } => {
                // Until there is proof, or none.
                going = going.map(|(strategy, _)| (strategy, Some(TryOutcome::Failed)));
            }
            Step::Proven {
                strategy: other, ..
            } => {
                let strategy = going.take().map(|(strategy, _)| strategy);
                let proven = strategy
                    .or(other.as_ref())
                    .map(|strategy| (strategy, Some(TryOutcome::Proven)));
                close(proven, &mut tries);
            }
            Step::NotProven { relapse, .. } => {
                let came = if *relapse {
                    TryOutcome::Relapsed
                } else {
                    TryOutcome::Failed
                };
                close(
                    going.take().map(|(strategy, _)| (strategy, Some(came))),
                    &mut tries,
                );
            }
            _ => {}
        }
    }
    close(going, &mut tries);
    tries
}

/// How often something was tried, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How often it was tried.
    pub tries: u32,
    /// How often the host had proof afterwards.
    pub proofs: u32,
    /// How often the service was well and did not stay so.
    pub relapses: u32,
}

impl Counts {
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            tries: self.tries.saturating_add(other.tries),
            proofs: self.proofs.saturating_add(other.proofs),
            relapses: self.relapses.saturating_add(other.relapses),
        }
    }

    /// Between which shares of all tries the true one lies, with 95 %
    /// confidence: the score interval of Wilson, which is honest for few tries
    /// and at both ends. Nothing is known without a try: 0 to 1.
    pub fn interval(self) -> (f64, f64) {
        if self.tries == 0 {
            return (0.0, 1.0);
        }
        // The quantile of the normal distribution for 95 % on two sides.
        const Z: f64 = 1.959_963_984_540_054;
        let n = f64::from(self.tries);
        let share = f64::from(self.proofs.min(self.tries)) / n;
        let z2 = Z * Z;
        let middle = share + z2 / (2.0 * n);
        let margin = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        let whole = 1.0 + z2 / n;
        (
            ((middle - margin) / whole).max(0.0),
            ((middle + margin) / whole).min(1.0),
        )
    }
}

/// What one strategy has achieved for one kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyStatistics {
    /// The kind of failure.
    #[serde(flatten)]
    pub signature: Signature,
    pub strategy: StrategyName,
    /// Tries, proofs, relapses.
    #[serde(flatten)]
    pub counts: Counts,
    /// When it was tried last.
    pub last_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::{Monotonic, incident::IncidentId};

    fn name(name: &str) -> StrategyName {
        StrategyName::new(name).unwrap()
    }

    fn entries(steps: Vec<Step>) -> Vec<Entry> {
        (0..)
            .zip(steps)
            .map(|(number, step)| Entry {
                incident: IncidentId::from_text("x"),
                number,
                at: Timestamp::default(),
                monotonic: Monotonic::default(),
                attempt: 1,
                step,
            })
            .collect()
    }

    fn heals(strategy: &str) -> Step {
        Step::Heals {
            strategy: name(strategy),
        }
    }

    fn returned(strategy: &str, outcome: Outcome) -> Step {
        Step::Returned {
            strategy: name(strategy),
            outcome: Ok(outcome),
            took: Duration::from_micros(1),
        }
    }

    fn healed() -> Outcome {
        Outcome::Healed {
            summary: String::new(),
        }
    }

    fn failed() -> Outcome {
        Outcome::Failed {
            reason: String::new(),
        }
    }

    fn proven() -> Step {
        Step::Proven {
            strategy: None,
            evidence: Vec::new(),
            stable_for: Duration::from_millis(1),
        }
    }

    fn not_proven(relapse: bool) -> Step {
        Step::NotProven {
            strategy: Some(name("a")),
            reason: String::new(),
            relapse,
        }
    }

    fn broke() -> Step {
        Step::Broke {
            strategy: name("a"),
            call: "heal".into(),
            kind: "deadline".into(),
            message: String::new(),
        }
    }

    #[rstest]
    #[case::nothing(vec![], vec![])]
    #[case::proven(vec![heals("a"), returned("a", healed()), proven()], vec![("a", TryOutcome::Proven)])]
    #[case::relapsed(
        vec![heals("a"), returned("a", healed()), not_proven(true)],
        vec![("a", TryOutcome::Relapsed)]
    )]
    #[case::second_try(
        vec![heals("a"), returned("a", failed()), heals("b"), returned("b", healed()), proven()],
        vec![("a", TryOutcome::Failed), ("b", TryOutcome::Proven)]
    )]
    #[case::said_failed_and_was_well(
        vec![heals("a"), returned("a", failed()), proven()],
        vec![("a", TryOutcome::Proven)]
    )]
    #[case::broke_off(vec![heals("a"), broke()], vec![("a", TryOutcome::Failed)])]
    #[case::not_applicable_after_all(
        vec![heals("a"), returned("a", Outcome::NotApplicable { reason: String::new() })],
        vec![]
    )]
    #[case::no_end_known(vec![heals("a")], vec![])]
    #[case::well_without_a_strategy(vec![proven()], vec![])]
    fn tries_of_an_attempt(#[case] steps: Vec<Step>, #[case] expected: Vec<(&str, TryOutcome)>) {
        let steps = entries(steps);
        let tries = tries(&steps);
        let found: Vec<(&str, TryOutcome)> = tries
            .iter()
            .map(|one| (one.strategy.as_str(), one.came))
            .collect();
        assert_eq!(found, expected);
    }

    /// Compared with published values of the interval.
    #[rstest]
    #[case(0, 0, 0.0, 1.0)]
    #[case(1, 1, 0.2065, 1.0)]
    #[case(10, 10, 0.7225, 1.0)]
    #[case(10, 0, 0.0, 0.2775)]
    #[case(10, 5, 0.2366, 0.7634)]
    #[case(100, 90, 0.8256, 0.9448)]
    fn intervals(#[case] tries: u32, #[case] proofs: u32, #[case] low: f64, #[case] high: f64) {
        let (from, to) = Counts {
            tries,
            proofs,
            relapses: 0,
        }
        .interval();
        assert!(
            (from - low).abs() < 5e-4 && (to - high).abs() < 5e-4,
            "{from} {to}"
        );
    }

    #[test]
    fn the_same_failure_has_the_same_signature() {
        let of = |lines: &[&str]| {
            Signature::new(
                UnitName::new("web.service").unwrap(),
                "exit-code",
                lines.iter().copied(),
            )
        };
        let first = of(&[
            "2026-11-21 14:23:01 [1234] listening",
            "2026-11-21 14:23:02 [1234] error: bind 127.0.0.1:8080: address already in use",
        ]);
        let second = of(&[
            "2026-11-22 09:00:00 [77] GET /users/12 200",
            "2026-11-22 09:00:01 [77] error: bind 127.0.0.1:8080: address already in use",
        ]);
        assert_eq!(first, second);
        let other = of(&["2026-11-22 09:00:01 [77] error: config.toml: no such file"]);
        assert_ne!(first.fingerprint, other.fingerprint);
        assert_eq!(of(&[]).sample, "");
    }
}
