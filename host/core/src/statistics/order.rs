//! The order in which the strategies that apply are tried, by what they have
//! achieved.
//!
//! Each strategy is taken to have a chance of its own to heal this kind of
//! failure, of which the operator's order is the first guess: a Beta
//! distribution whose pseudo-counts of proofs decrease along that order. What
//! really happened is added to it, and the strategies are tried by the mean of
//! what comes out, the likeliest first:
//!
//! ```text
//! α = 8 / (k + 1)                                k = 0, 1, 2, … in the operator's order
//! β = 2
//! chance = (α + s + s′/4) / (α + β + n + n′/4)
//! ```
//!
//! `n` and `s` are the tries and proofs at failures of the same signature, `n′`
//! and `s′` those at other failures of the service with the same cause: they
//! say something, and less. A try without proof, a relapse too, counts against
//! a strategy. So without evidence the order is the operator's (80 %, 67 %,
//! 57 %, …), one failure does not change it, and two failures of the first with
//! two proofs of the second do.
//!
//! Equal chances keep the operator's order. Nothing is added to what applies,
//! and nothing is taken away.

use super::Counts;
use crate::StrategyName;

/// Pseudo-counts of proofs for the first in the operator's order.
const PROOFS: f64 = 8.0;

/// Pseudo-counts of failures for each.
const FAILURES: f64 = 2.0;

/// What a try at a similar failure counts.
const SIMILAR: f64 = 0.25;

/// What is known of a strategy that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub strategy: StrategyName,
    /// At failures of the same signature.
    pub same: Counts,
    /// At other failures of the service with the same cause.
    pub similar: Counts,
}

/// An order that departs from the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The strategies, the likeliest first.
    pub order: Vec<StrategyName>,
    /// Why, in a sentence.
    pub reason: String,
}

/// The order by evidence of `candidates`, which come in the operator's order.
/// Nothing when it is the same.
pub fn learned(candidates: &[Candidate]) -> Option<Learned> {
    let mut ranked: Vec<(f64, &Candidate)> = (0_u32..)
        .zip(candidates)
        .map(|(place, candidate)| (chance(place, candidate), candidate))
        .collect();
    // Stable: equal chances keep the operator's order.
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let moved = ranked
        .iter()
        .zip(candidates)
        .any(|((_, ranked), listed)| ranked.strategy != listed.strategy);
    if !moved {
        return None;
    }
    // The first that stands before one it was listed after.
    let (after, before) = ranked
        .iter()
        .zip(candidates)
        .find(|((_, ranked), listed)| ranked.strategy != listed.strategy)
        .map(|((_, ranked), listed)| (*ranked, listed))?;
    let said = |candidate: &Candidate| {
        let all = candidate.same.and(candidate.similar);
        match all.tries {
            0 => format!("{} was not tried yet", candidate.strategy),
            tries => format!(
                "{} was proven in {} of {tries} {}",
                candidate.strategy,
                all.proofs,
                if tries == 1 { "try" } else { "tries" },
            ),
        }
    };
    Some(Learned {
        order: ranked
            .iter()
            .map(|(_, candidate)| candidate.strategy.clone())
            .collect(),
        reason: format!(
            "at failures like this one {}, and {}",
            said(after),
            said(before)
        ),
    })
}

/// The mean of the Beta distribution; `place` is that in the operator's order.
fn chance(place: u32, candidate: &Candidate) -> f64 {
    let prior = PROOFS / (f64::from(place) + 1.0);
    let proofs = f64::from(candidate.same.proofs) + SIMILAR * f64::from(candidate.similar.proofs);
    let tries = f64::from(candidate.same.tries) + SIMILAR * f64::from(candidate.similar.tries);
    (prior + proofs) / (prior + FAILURES + tries)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn counts(tries: u32, proofs: u32) -> Counts {
        Counts {
            tries,
            proofs,
            relapses: 0,
        }
    }

    /// Strategies a, b, c, … with tries and proofs at the same, and at similar
    /// failures.
    fn candidates(known: &[[u32; 4]]) -> Vec<Candidate> {
        ["a", "b", "c", "d", "e"]
            .into_iter()
            .zip(known)
            .map(|(name, [tries, proofs, near, nearly])| Candidate {
                strategy: StrategyName::new(name).unwrap(),
                same: counts(*tries, *proofs),
                similar: counts(*near, *nearly),
            })
            .collect()
    }

    #[rstest]
    #[case::nothing_known(&[[0; 4]; 5], None)]
    #[case::none(&[], None)]
    #[case::alone(&[[9, 0, 0, 0]], None)]
    #[case::as_the_operator_thought(&[[9, 9, 0, 0], [9, 3, 0, 0]], None)]
    #[case::one_failure_is_not_enough(&[[1, 0, 0, 0], [1, 1, 0, 0]], None)]
    #[case::two_are(&[[2, 0, 0, 0], [2, 2, 0, 0]], Some("b a"))]
    #[case::proofs_of_the_first_weigh_more(&[[3, 2, 0, 0], [2, 2, 0, 0]], None)]
    #[case::similar_failures_say_less(&[[0, 0, 2, 0], [0, 0, 2, 2]], None)]
    #[case::many_of_them_say_enough(&[[0, 0, 20, 0], [0, 0, 20, 20]], Some("b a"))]
    #[case::a_strategy_never_tried_keeps_its_chance(&[[20, 0, 0, 0], [0; 4]], Some("b a"))]
    #[case::the_last_first(&[[8, 0, 0, 0], [8, 0, 0, 0], [8, 8, 0, 0]], Some("c a b"))]
    #[case::equal_chances_keep_the_order(&[[4, 4, 0, 0], [16, 14, 0, 0]], None)]
    fn orders(#[case] known: &[[u32; 4]], #[case] expected: Option<&str>) {
        let candidates = candidates(known);
        let found = learned(&candidates).map(|learned| {
            let names: Vec<&str> = learned.order.iter().map(StrategyName::as_str).collect();
            names.join(" ")
        });
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn equal_is_equal() {
        // (8 + 4) / (8 + 2 + 4) and (4 + 14) / (4 + 2 + 15)
        let pair = candidates(&[[4, 4, 0, 0], [15, 14, 0, 0]]);
        let chances: Vec<f64> = (0..).zip(&pair).map(|(k, c)| chance(k, c)).collect();
        assert!((chances[0] - chances[1]).abs() < 1e-12, "{chances:?}");
        assert_eq!(learned(&pair), None);
    }

    #[test]
    fn the_first_guess_is_the_operators() {
        let chances: Vec<u32> = (0..)
            .zip(candidates(&[[0; 4]; 5]))
            .map(|(place, candidate)| (chance(place, &candidate) * 1000.0).round() as u32)
            .collect();
        assert_eq!(chances, [800, 667, 571, 500, 444]);
    }

    #[test]
    fn it_says_why() {
        let learned = learned(&candidates(&[[3, 0, 1, 1], [2, 2, 0, 0]])).unwrap();
        assert_eq!(
            learned.reason,
            "at failures like this one b was proven in 2 of 2 tries, and a was proven in 1 of 4 \
             tries"
        );
        let learned = super::learned(&candidates(&[[20, 0, 0, 0], [0; 4]])).unwrap();
        assert_eq!(
            learned.reason,
            "at failures like this one b was not tried yet, and a was proven in 0 of 20 tries"
        );
    }
}
