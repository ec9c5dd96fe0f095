//! `zombies`: parents are told that their children have ended.
//!
//! SIGCHLD is what the kernel has told them once already: a program that missed it asks now,
//! and one that never asks is not harmed by it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::Answer,
    remedy::{Amount, AmountOf, Plan, Receipt, Zombies},
    text::one_line,
};
use rustix::process::Signal;

use super::live::LiveUnits;
use crate::{pidfd::PidFd, procfs};

/// For so long it is waited that parents ask.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So many parents are named.
const NAMED: usize = 3;
/// Characters of a name.
const NAME_MAX: usize = 40;

pub(super) struct ZombiesHere<'a> {
    live: &'a LiveUnits,
}

/// The zombies of a service, by their parents.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Of parents that belong to the service: how many each has.
    own: BTreeMap<u32, u64>,
    /// The same of others.
    others: BTreeMap<u32, u64>,
}

impl Found {
    /// Of all zombies, each with its parent. `members` are the service's processes, and
    /// `was_of_service` tells of a zombie whether it was one.
    fn of(
        members: &BTreeSet<u32>,
        zombies: impl Iterator<Item = (u32, u32)>,
        was_of_service: impl Fn(u32) -> bool,
    ) -> Self {
        let mut found = Self::default();
        for (zombie, parent) in zombies {
            let by = if members.contains(&parent) {
                &mut found.own
            } else if was_of_service(zombie) {
                &mut found.others
            } else {
                continue;
            };
            *by.entry(parent).or_default() += 1;
        }
        found
    }

    fn count(&self) -> u64 {
        self.own.values().sum()
    }
}

impl<'a> ZombiesHere<'a> {
    pub(super) fn new(live: &'a LiveUnits) -> Self {
        Self { live }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        unit: &UnitName,
        declared: Zombies,
    ) -> Answer<Plan> {
        let found = self.found(deadline, unit)?;
        Ok(plan(unit, &found, declared, &named))
    }

    pub(super) fn apply(&self, deadline: Instant, unit: &UnitName) -> Answer<Receipt> {
        let before = self.found(deadline, unit)?;
        for parent in before.own.keys() {
            let told = PidFd::open(*parent).and_then(|held| {
                // It may be another's number by now.
                match procfs::stat(*parent) {
                    Ok(_) => held.signal(Signal::CHILD),
                    Err(error) => Err(error),
                }
            });
            match told {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::failed(
                        "cannot-tell",
                        format!("process {parent} could not be told: {error}"),
                    ));
                }
                _ => {}
            }
        }
        let until = deadline.min(Instant::now() + PATIENCE);
        let left = loop {
            let left = self.found(deadline, unit)?.count();
            if left == 0 || Instant::now() >= until {
                break left;
            }
            std::thread::sleep(LOOK_EVERY);
        };
        let predicted = before.count();
        let gone = predicted.saturating_sub(left);
        let amount = |value| Amount {
            value,
            of: AmountOf::Processes,
        };
        let parents = names(&before.own, &named);
        let receipt = if gone == 0 {
            Receipt::nothing(format!(
                "{parents} does not ask about its children that have ended"
            ))
        } else {
            Receipt::done(format!("told {parents} that children have ended"))
        };
        Ok(Receipt {
            predicted: Some(amount(predicted)),
            measured: Some(amount(gone)),
            ..receipt
        })
    }

    fn found(&self, deadline: Instant, unit: &UnitName) -> Answer<Found> {
        let live = self.live.get(deadline, unit)?;
        let Some(group) = live.group.as_deref().filter(|_| live.is_active) else {
            return Ok(Found::default());
        };
        let groups = self.live.groups();
        let members = groups.processes(group).into_iter().collect();
        // The kernel does not list them in their control group.
        Ok(Found::of(&members, zombies(), |zombie| {
            groups.of_process(zombie).is_ok_and(|of| of == group)
        }))
    }
}

/// All there are on the host, each with its parent.
fn zombies() -> impl Iterator<Item = (u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let about = procfs::stat(pid).ok()?;
        about.zombie.then_some((pid, about.parent))
    })
}

fn plan(unit: &UnitName, found: &Found, declared: Zombies, named: &dyn Fn(u32) -> String) -> Plan {
    let count = found.count();
    if count < u64::from(declared.at_least) {
        let because = if count == 0 && !found.others.is_empty() {
            format!(
                "the zombies of {unit} are children of {}, which is not its own",
                names(&found.others, named)
            )
        } else {
            format!("{unit} has {count} zombies")
        };
        return Plan::nothing(because);
    }
    Plan::to(format!(
        "tell {} that children have ended",
        names(&found.own, named)
    ))
    .amount(AmountOf::Processes, count)
}

/// `gunicorn (812)`
fn named(pid: u32) -> String {
    format!("{} ({pid})", one_line(&procfs::name(pid), NAME_MAX))
}

/// Some parents, those with most children first.
fn names(parents: &BTreeMap<u32, u64>, named: &dyn Fn(u32) -> String) -> String {
    let mut ranked: Vec<(u32, u64)> = parents.iter().map(|(pid, count)| (*pid, *count)).collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut shown: Vec<String> = ranked
        .iter()
        .take(NAMED)
        .map(|(pid, _)| named(*pid))
        .collect();
    if ranked.len() > NAMED {
        shown.push(format!("{} more", ranked.len() - NAMED));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parents_of_the_service_are_told() {
        let unit = UnitName::new("web.service").unwrap();
        // 10 is the service's, 1 is not, and 14 never was.
        let zombies = [(11, 10), (12, 10), (13, 1), (14, 1)];
        let found = Found::of(&[10].into(), zombies.into_iter(), |zombie| zombie == 13);
        assert_eq!(found.own, BTreeMap::from([(10, 2)]));
        assert_eq!(found.others, BTreeMap::from([(1, 1)]));
        let named = |pid: u32| format!("process {pid}");
        let plan_at = |at_least| plan(&unit, &found, Zombies { at_least }, &named);
        let plan = plan_at(2);
        assert_eq!(plan.summary, "tell process 10 that children have ended");
        assert_eq!(plan.amount.unwrap().value, 2);
        let few = plan_at(3);
        assert!(!few.eligible);
        assert_eq!(few.summary, "web.service has 2 zombies");
        let others = Found {
            own: BTreeMap::new(),
            ..found
        };
        let plan = super::plan(&unit, &others, Zombies { at_least: 2 }, &named);
        assert!(!plan.eligible);
        assert_eq!(
            plan.summary,
            "the zombies of web.service are children of process 1, which is not its own"
        );
    }
}
