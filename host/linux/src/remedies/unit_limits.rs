//! `unit-limits`: limits of a unit are moved at run time, within bounds, and back.

use std::time::Instant;

use prunella_core::{
    Failure, UnitName,
    capability::{
        Act, Answer,
        remedies::{Apply, PlanOf},
    },
    remedy::{
        Lease, LeaseEnds, LimitMove, LimitNow, Move, MovedLimits, Plan, Receipt, Undo, UnitLimits,
        UnitProperty,
    },
};

use super::live::{LiveUnit, LiveUnits};

pub(super) struct LimitsHere<'a> {
    live: &'a LiveUnits,
}

impl<'a> LimitsHere<'a> {
    pub(super) fn new(live: &'a LiveUnits) -> Self {
        Self { live }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        of: &PlanOf,
        unit: &UnitName,
        declared: &UnitLimits,
    ) -> Answer<Plan> {
        let to = match of.act {
            Act::LowerLimits => Move::Lower,
            _ => Move::Raise,
        };
        let live = self.live.declared(deadline, unit)?;
        Ok(plan(&of.name, &live, declared, to))
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        apply: &Apply,
        moved: &MovedLimits,
    ) -> Answer<Receipt> {
        set(self.live, deadline, moved)?;
        let to = match apply.act {
            Act::LowerLimits => Move::Lower,
            _ => Move::Raise,
        };
        let done = said(to.done(), &moved.limits, &moved.unit);
        Ok(Receipt::done(format!("{done} (`{}`)", apply.name)))
    }

    pub(super) fn undo(&self, deadline: Instant, moved: &MovedLimits) -> Answer<String> {
        let unit = &moved.unit;
        let live = match self.live.get(deadline, unit) {
            Ok(live) => live,
            Err(failure) if failure.is("no-such-unit") => {
                return Ok(format!("{unit} is gone, and its limits with it"));
            }
            Err(failure) => return Err(failure),
        };
        let Back { set, said } = back(moved, &live)?;
        if !set.is_empty() {
            self.live.set(deadline, unit, &set)?;
        }
        Ok(said.join(", "))
    }
}

/// Sets moved limits, if they still are what they were when that was planned.
pub(super) fn set(live: &LiveUnits, deadline: Instant, moved: &MovedLimits) -> Answer<()> {
    let now = live.declared(deadline, &moved.unit)?;
    for limit in &moved.limits {
        if now.limits.get(&limit.property) != Some(&limit.before) {
            return Err(Failure::failed(
                "changed-meanwhile",
                format!(
                    "{} of {} is not what it was when that was planned",
                    limit.property.title(),
                    moved.unit
                ),
            ));
        }
    }
    let wanted: Vec<(UnitProperty, u64)> = moved
        .limits
        .iter()
        .map(|limit| (limit.property, limit.set))
        .collect();
    live.set(deadline, &moved.unit, &wanted)
}

/// `raise MemoryHigh of web.service from 512 MiB to 768 MiB`
pub(super) fn said(verb: &str, limits: &[LimitMove], unit: &UnitName) -> String {
    let each: Vec<String> = limits
        .iter()
        .map(|limit| {
            format!(
                "{} of {unit} from {} to {}",
                limit.property.title(),
                limit.property.shown(limit.before),
                limit.property.shown(limit.set)
            )
        })
        .collect();
    format!("{verb} {}", each.join(", "))
}

fn plan(name: &str, live: &LiveUnit, declared: &UnitLimits, to: Move) -> Plan {
    let unit = &live.name;
    if !live.is_active {
        return Plan::nothing(format!("{unit} does not run"));
    }
    let mut moves = Vec::new();
    let mut nothing = Vec::new();
    for (&property, bounds) in &declared.bounds {
        let title = property.title();
        let Some(&before) = live.limits.get(&property) else {
            nothing.push(format!("systemd does not tell {title} of {unit}"));
            continue;
        };
        let Some(set) = bounds.step(property, before, to) else {
            let now = property.shown(before);
            let bound = property.shown(bound(bounds.min, bounds.max, to));
            nothing.push(format!(
                "{title} of {unit} is {now}, and may be {} to {bound}",
                to.done()
            ));
            continue;
        };
        // What is below what it uses has the kernel kill it.
        if to == Move::Lower
            && property == UnitProperty::MemoryMax
            && live.memory.is_none_or(|held| held >= set)
        {
            nothing.push(format!(
                "{unit} uses more than {} of memory",
                property.shown(set)
            ));
            continue;
        }
        moves.push(LimitMove {
            property,
            before,
            set,
            bound: bound(bounds.min, bounds.max, to),
        });
    }
    if moves.is_empty() {
        return Plan::nothing(nothing.join(", "));
    }
    let summary = said(to.as_str(), &moves, unit);
    Plan::to(format!("{summary} (`{name}`)"))
        .undone_by(Undo::SetBack(MovedLimits {
            unit: unit.clone(),
            limits: moves,
        }))
        .lease(Lease {
            lasts: declared.lease,
            ends: LeaseEnds::Undone,
            calm: declared.calm,
        })
}

fn bound(min: u64, max: u64, to: Move) -> u64 {
    match to {
        Move::Raise => max,
        Move::Lower => min,
    }
}

/// What is set so that limits are what they were, and what is said of each.
#[derive(Debug)]
struct Back {
    set: Vec<(UnitProperty, u64)>,
    said: Vec<String>,
}

/// How moved limits go back.
///
/// # Errors
/// One was moved further since: that goes back first.
fn back(moved: &MovedLimits, live: &LiveUnit) -> Answer<Back> {
    let mut back = Back {
        set: Vec::new(),
        said: Vec::new(),
    };
    for limit in &moved.limits {
        let title = limit.property.title();
        let unit = &moved.unit;
        let shown = |value| limit.property.shown(value);
        let Some(&now) = live.limits.get(&limit.property) else {
            back.said.push(format!("{title} of {unit} is not told"));
            continue;
        };
        match limit.now(now) {
            LimitNow::AsSet => {
                back.set.push((limit.property, limit.before));
                let before = shown(limit.before);
                back.said
                    .push(format!("set {title} of {unit} back to {before}"));
            }
            LimitNow::Before => {
                back.said.push(format!("{title} of {unit} is what it was"));
            }
            LimitNow::MovedOn => {
                return Err(Failure::unavailable(
                    "moved-on",
                    format!(
                        "{title} of {unit} was moved on to {} since: that has to go back first",
                        shown(now)
                    ),
                ));
            }
            LimitNow::Elsewhere => {
                back.said.push(format!(
                    "{title} of {unit} stays as it is: it was set to {} since",
                    shown(now)
                ));
            }
        }
    }
    Ok(back)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use prunella_core::remedy::{Bounds, NO_LIMIT};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn live(limits: &[(UnitProperty, u64)], memory: u64) -> LiveUnit {
        LiveUnit {
            name: UnitName::new("web.service").unwrap(),
            is_active: true,
            group: None,
            limits: HashMap::from_iter(limits.iter().copied()),
            memory: Some(memory),
            can_freeze: false,
            is_frozen: false,
        }
    }

    fn declared(property: UnitProperty, min: u64, max: u64, step: u64) -> UnitLimits {
        UnitLimits {
            unit: None,
            bounds: [(property, Bounds { min, max, step })].into(),
            lease: Duration::from_secs(1_800),
            calm: Duration::from_secs(1_800),
        }
    }

    fn moved(plan: &Plan) -> &MovedLimits {
        match &plan.undo {
            Some(Undo::SetBack(moved)) => moved,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_limit_is_raised_by_a_step_and_goes_back() {
        let high = UnitProperty::MemoryHigh;
        let declared = declared(high, 64 * MIB, 256 * MIB, 64 * MIB);
        let before = live(&[(high, 64 * MIB)], 0);
        let plan = plan("memory", &before, &declared, Move::Raise);
        assert_eq!(
            plan.summary,
            "raise MemoryHigh of web.service from 64 MiB to 128 MiB (`memory`)"
        );
        let moved = moved(&plan);
        let went = back(moved, &live(&[(high, 128 * MIB)], 0)).unwrap();
        assert_eq!(went.set, [(high, 64 * MIB)]);
        // It was never done: nothing is changed.
        let went = back(moved, &before).unwrap();
        assert_eq!(went.set, []);
        assert_eq!(went.said, ["MemoryHigh of web.service is what it was"]);
        // A later step goes back first.
        let failure = back(moved, &live(&[(high, 192 * MIB)], 0)).unwrap_err();
        assert!(failure.is("moved-on"), "{failure}");
        // Somebody else's value is theirs.
        let went = back(moved, &live(&[(high, 1024 * MIB)], 0)).unwrap();
        assert_eq!(went.set, []);
    }

    #[test]
    fn what_is_at_its_bound_is_left_alone_and_says_so() {
        let tasks = UnitProperty::TasksMax;
        let declared = declared(tasks, 20, 60, 20);
        let plan_of = |now, to| plan("tasks", &live(&[(tasks, now)], 0), &declared, to).summary;
        assert_eq!(
            plan_of(60, Move::Raise),
            "TasksMax of web.service is 60, and may be raised to 60"
        );
        assert_eq!(
            plan_of(NO_LIMIT, Move::Raise),
            "TasksMax of web.service is infinity, and may be raised to 60"
        );
    }

    #[test]
    fn a_limit_is_never_lowered_below_the_memory_in_use() {
        let max = UnitProperty::MemoryMax;
        let declared = declared(max, 64 * MIB, 256 * MIB, 64 * MIB);
        let plan = plan(
            "memory",
            &live(&[(max, 128 * MIB)], 100 * MIB),
            &declared,
            Move::Lower,
        );
        assert!(!plan.eligible);
        assert_eq!(plan.summary, "web.service uses more than 64 MiB of memory");
    }
}
