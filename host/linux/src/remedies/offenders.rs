//! `offenders`: a declared unit or slice makes way, by its weights or by standing still.

use std::time::Instant;

use prunella_core::{
    Failure, UnitName,
    capability::{
        Act, Answer,
        remedies::{Apply, PlanOf},
    },
    remedy::{Lease, LeaseEnds, LimitMove, MovedLimits, Offender, Plan, Receipt, Undo},
};

use super::{
    live::{LiveUnit, LiveUnits},
    not_planned, top, unit_limits,
};

pub(super) struct OffendersHere<'a> {
    live: &'a LiveUnits,
}

impl<'a> OffendersHere<'a> {
    pub(super) fn new(live: &'a LiveUnits) -> Self {
        Self { live }
    }

    /// `own` is the unit for whose sake it is done.
    pub(super) fn plan(
        &self,
        deadline: Instant,
        of: &PlanOf,
        declared: &Offender,
        own: &UnitName,
    ) -> Answer<Plan> {
        let unit = &declared.unit;
        let live = match self.live.declared(deadline, unit) {
            Ok(live) => live,
            Err(failure) if failure.is("no-such-unit") => {
                return Ok(Plan::nothing(failure.message));
            }
            Err(failure) => return Err(failure),
        };
        let planned = match of.act {
            Act::Throttle => throttle(&of.name, &live, declared),
            Act::Freeze => freeze(&of.name, &live, declared),
            _ => return Ok(thaw(&of.name, &live)),
        };
        if !planned.eligible {
            return Ok(planned);
        }
        let along = self.live.within(&live);
        if along.contains(own) {
            return Err(Failure::denied(
                "itself",
                format!("{own} runs in {unit} itself"),
            ));
        }
        let group = live.group.as_deref().unwrap_or_default();
        Ok(Plan {
            evidence: top::processes(self.live.groups(), group),
            along: along.into_iter().collect(),
            ..planned
        })
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        apply: &Apply,
        declared: &Offender,
        undo: Option<&Undo>,
    ) -> Answer<Receipt> {
        let unit = &declared.unit;
        let name = &apply.name;
        match (apply.act, undo) {
            (Act::Throttle, Some(Undo::SetBack(moved))) => {
                unit_limits::set(self.live, deadline, moved)?;
                let done = unit_limits::said("lowered", &moved.limits, unit);
                Ok(Receipt::done(format!("{done} (`{name}`)")))
            }
            (Act::Freeze, Some(Undo::Thaw { unit })) => {
                self.live.freeze(deadline, unit)?;
                Ok(Receipt::done(format!("froze {unit} (`{name}`)")))
            }
            (Act::Thaw, None) => self.thaw(deadline, unit).map(Receipt::done),
            _ => Err(not_planned(apply)),
        }
    }

    /// Lets a unit go on; one that does is left alone.
    pub(super) fn thaw(&self, deadline: Instant, unit: &UnitName) -> Answer<String> {
        match self.live.get(deadline, unit) {
            Ok(live) if !live.is_frozen => Ok(format!("{unit} is not frozen")),
            Ok(_) => {
                self.live.thaw(deadline, unit)?;
                Ok(format!("thawed {unit}"))
            }
            Err(failure) if failure.is("no-such-unit") => Ok(format!("{unit} is gone")),
            Err(failure) => Err(failure),
        }
    }
}

/// What has no process takes nothing from anybody.
fn runs(live: &LiveUnit) -> bool {
    live.is_active && live.group.is_some()
}

fn throttle(name: &str, live: &LiveUnit, declared: &Offender) -> Plan {
    let unit = &live.name;
    if declared.throttle.is_empty() {
        return Plan::nothing(format!("`{name}` declares no `throttle`"));
    }
    if !runs(live) {
        return Plan::nothing(format!("{unit} does not run"));
    }
    let limits: Vec<LimitMove> = declared
        .throttle
        .iter()
        .filter_map(|(&property, &set)| {
            let before = *live.limits.get(&property)?;
            property.is_lower(set, before).then_some(LimitMove {
                property,
                before,
                set,
                bound: set,
            })
        })
        .collect();
    if limits.is_empty() {
        return Plan::nothing(format!("{unit} is throttled already"));
    }
    let summary = unit_limits::said("lower", &limits, unit);
    Plan::to(format!("{summary} (`{name}`)"))
        .undone_by(Undo::SetBack(MovedLimits {
            unit: unit.clone(),
            limits,
        }))
        .lease(lease(declared))
}

fn freeze(name: &str, live: &LiveUnit, declared: &Offender) -> Plan {
    let unit = &live.name;
    if !declared.freeze {
        return Plan::nothing(format!("`{name}` does not allow `freeze`"));
    }
    if !runs(live) {
        return Plan::nothing(format!("{unit} does not run"));
    }
    if live.is_frozen {
        return Plan::nothing(format!("{unit} is frozen already"));
    }
    if !live.can_freeze {
        return Plan::nothing(format!(
            "{unit} cannot be frozen: that takes control groups of version 2"
        ));
    }
    Plan::to(format!("freeze {unit} (`{name}`)"))
        .undone_by(Undo::Thaw { unit: unit.clone() })
        .lease(lease(declared))
}

fn thaw(name: &str, live: &LiveUnit) -> Plan {
    let unit = &live.name;
    if live.is_frozen {
        Plan::to(format!("thaw {unit} (`{name}`)"))
    } else {
        Plan::nothing(format!("{unit} is not frozen"))
    }
}

fn lease(declared: &Offender) -> Lease {
    Lease {
        lasts: declared.lease,
        ends: LeaseEnds::Undone,
        calm: declared.calm,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use prunella_core::remedy::{NO_LIMIT, UnitProperty};

    use super::*;

    fn batch(limits: &[(UnitProperty, u64)]) -> LiveUnit {
        LiveUnit {
            name: UnitName::new("batch.slice").unwrap(),
            is_active: true,
            group: Some("/batch.slice".to_owned()),
            limits: HashMap::from_iter(limits.iter().copied()),
            memory: None,
            can_freeze: true,
            is_frozen: false,
        }
    }

    fn declared(throttle: &[(UnitProperty, u64)], freeze: bool) -> Offender {
        Offender {
            unit: UnitName::new("batch.slice").unwrap(),
            throttle: throttle.iter().copied().collect(),
            freeze,
            lease: Duration::from_secs(60),
            calm: Duration::from_secs(60),
        }
    }

    #[test]
    fn a_unit_is_throttled_and_nothing_of_it_is_raised() {
        use UnitProperty::{CpuQuota, CpuWeight};
        let live = batch(&[(CpuWeight, NO_LIMIT), (CpuQuota, 100_000)]);
        // Its quota is lower already.
        let declared = declared(&[(CpuWeight, 10), (CpuQuota, 200_000)], false);
        let plan = throttle("batch", &live, &declared);
        assert_eq!(
            plan.summary,
            "lower CPUWeight of batch.slice from the usual one to 10 (`batch`)"
        );
        let throttled = batch(&[(CpuWeight, 10), (CpuQuota, 100_000)]);
        let again = throttle("batch", &throttled, &declared);
        assert!(!again.eligible);
        assert_eq!(again.summary, "batch.slice is throttled already");
        let frozen = freeze("batch", &live, &declared);
        assert_eq!(frozen.summary, "`batch` does not allow `freeze`");
    }

    #[test]
    fn what_is_frozen_is_thawed_and_nothing_else() {
        let declared = declared(&[], true);
        let live = batch(&[]);
        let plan = freeze("batch", &live, &declared);
        assert_eq!(plan.summary, "freeze batch.slice (`batch`)");
        assert_eq!(
            plan.undo,
            Some(Undo::Thaw {
                unit: declared.unit.clone()
            })
        );
        assert!(!thaw("batch", &live).eligible);
        let frozen = LiveUnit {
            is_frozen: true,
            ..batch(&[])
        };
        assert!(!freeze("batch", &frozen, &declared).eligible);
        assert!(thaw("batch", &frozen).eligible);
        let old = LiveUnit {
            can_freeze: false,
            ..batch(&[])
        };
        assert!(!freeze("batch", &old, &declared).eligible);
    }
}
