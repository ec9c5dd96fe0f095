//! Which units need which: what the operator declared, and what systemd knows.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::UnitName;

/// What each unit needs, directly and by way of others.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    all: BTreeMap<UnitName, BTreeSet<UnitName>>,
}

impl Relations {
    /// From what each needs directly; more of it is asked for through `direct`,
    /// which is asked once for each unit.
    pub(crate) fn of(
        units: impl IntoIterator<Item = UnitName>,
        mut direct: impl FnMut(&UnitName) -> BTreeSet<UnitName>,
    ) -> Self {
        let mut known: BTreeMap<UnitName, BTreeSet<UnitName>> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for unit in units {
            let mut needed = BTreeSet::new();
            let mut open = vec![unit.clone()];
            while let Some(next) = open.pop() {
                let needs = known
                    .entry(next)
                    .or_insert_with_key(|unit| direct(unit))
                    .clone();
                open.extend(needs.into_iter().filter(|need| needed.insert(need.clone())));
            }
            needed.remove(&unit);
            all.insert(unit, needed);
        }
        Self { all }
    }

    /// Whether `unit` needs `other`, directly or not.
    pub(crate) fn needs(&self, unit: &UnitName, other: &UnitName) -> bool {
        self.all
            .get(unit)
            .is_some_and(|needs| needs.contains(other))
    }

    /// Whether one of them needs the other.
    pub(crate) fn are_related(&self, one: &UnitName, other: &UnitName) -> bool {
        self.needs(one, other) || self.needs(other, one)
    }

    /// For each unit, given with the unit that was named as its cause, the
    /// number of its set: units that are related, however indirectly by way of
    /// others that are given, are in one.
    pub(crate) fn sets<'a>(
        &self,
        units: impl Iterator<Item = (&'a UnitName, Option<&'a UnitName>)>,
    ) -> Vec<usize> {
        let units: Vec<(&UnitName, Option<&UnitName>)> = units.collect();
        let mut numbers: BTreeMap<&UnitName, usize> = BTreeMap::new();
        for (unit, cause) in &units {
            for unit in std::iter::once(unit).chain(cause) {
                let next = numbers.len();
                numbers.entry(unit).or_insert(next);
            }
        }
        let mut join = |one: &UnitName, other: &UnitName| {
            if let (Some(from), Some(to)) = (numbers.get(one).copied(), numbers.get(other).copied())
                && from != to
            {
                for number in numbers.values_mut().filter(|number| **number == from) {
                    *number = to;
                }
            }
        };
        for (unit, cause) in &units {
            if let Some(cause) = cause {
                join(unit, cause);
            }
            for need in self.all.get(*unit).into_iter().flatten() {
                join(unit, need);
            }
        }
        units
            .iter()
            .filter_map(|(unit, _)| numbers.get(*unit).copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::new(format!("{name}.service")).unwrap()
    }

    /// `a` needs `b`, `b` needs `c`, `d` needs `c`, and two of them each other.
    fn relations() -> Relations {
        let direct = |of: &UnitName| {
            let needs: &[&str] = match of.stem() {
                "a" => &["b"],
                "b" | "d" => &["c"],
                "x" => &["y"],
                "y" => &["x"],
                _ => &[],
            };
            needs.iter().map(|name| unit(name)).collect()
        };
        Relations::of(["a", "b", "c", "d", "e", "x"].map(unit), direct)
    }

    #[rstest]
    #[case("a", "b", true)]
    #[case("a", "c", true)]
    #[case("c", "a", false)]
    #[case("a", "d", false)]
    #[case("x", "y", true)]
    #[case("x", "x", false)]
    fn dependencies_of_a_unit(#[case] one: &str, #[case] other: &str, #[case] needs: bool) {
        assert_eq!(relations().needs(&unit(one), &unit(other)), needs);
    }

    /// The units with their causes, and which of them are in one set.
    #[rstest]
    #[case::alone(&[("a", ""), ("e", "")], &[0, 1])]
    #[case::related(&[("a", ""), ("c", "")], &[0, 0])]
    #[case::what_both_need_is_well(&[("a", ""), ("d", "")], &[0, 1])]
    #[case::what_both_need_is_not(&[("a", ""), ("d", ""), ("c", "")], &[0, 0, 0])]
    #[case::one_cause(&[("a", "z"), ("e", "z")], &[0, 0])]
    #[case::two_causes(&[("a", "z"), ("e", "w")], &[0, 1])]
    #[case::by_way_of_the_cause(&[("e", "a"), ("b", "")], &[0, 1])]
    fn sets(#[case] units: &[(&str, &str)], #[case] expected: &[usize]) {
        let units: Vec<(UnitName, Option<UnitName>)> = units
            .iter()
            .map(|(name, cause)| (unit(name), (!cause.is_empty()).then(|| unit(cause))))
            .collect();
        let sets = relations().sets(units.iter().map(|(unit, cause)| (unit, cause.as_ref())));
        let same = |of: &dyn Fn(usize) -> usize| -> Vec<bool> {
            (0..sets.len())
                .flat_map(|one| (0..sets.len()).map(move |other| (one, other)))
                .map(|(one, other)| of(one) == of(other))
                .collect()
        };
        assert_eq!(same(&|n| sets[n]), same(&|n| expected[n]));
    }
}
