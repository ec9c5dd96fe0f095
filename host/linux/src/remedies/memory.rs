//! `memory`: the kernel takes memory back from a unit (`memory.reclaim`, Linux 5.19).
//!
//! The daemon may not write to control groups: a helper does, to that one group.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::Answer,
    remedy::{Amount, AmountOf, MemoryReclaim, Plan, Receipt},
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{
    helper::{Helper, Outcome, Request as HelperRequest},
    live::{LiveUnit, LiveUnits},
};
use crate::transient::{ProtectSystem, Sandbox};

/// The kernel may have to write to swap.
const LIMIT: Duration = Duration::from_secs(20);
/// No new piece is begun after so long.
const ENOUGH: Duration = Duration::from_secs(10);
/// So much at a time, in bytes: the kernel is not to be interrupted.
const PIECE: u64 = 16 << 20;

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    name: String,
    unit: UnitName,
    /// The folder of the control group.
    group: PathBuf,
    /// In bytes.
    at_most: u64,
}

pub(super) struct MemoryHere<'a> {
    helper: &'a Helper,
    live: &'a LiveUnits,
}

impl<'a> MemoryHere<'a> {
    pub(super) fn new(helper: &'a Helper, live: &'a LiveUnits) -> Self {
        Self { helper, live }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        name: &str,
        unit: &UnitName,
        declared: &MemoryReclaim,
    ) -> Answer<Plan> {
        let live = self.live.declared(deadline, unit)?;
        Ok(match self.group(&live) {
            None => Plan::nothing(format!("{unit} does not run")),
            Some(group) => plan(name, unit, &group, declared.at_most),
        })
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        unit: &UnitName,
        declared: &MemoryReclaim,
    ) -> Answer<Receipt> {
        let live = self.live.declared(deadline, unit)?;
        let Some(group) = self.group(&live) else {
            return Ok(Receipt::nothing(format!("{unit} does not run")));
        };
        let sandbox = Sandbox {
            protect_system: ProtectSystem::Strict,
            protect_home: true,
            private_tmp: true,
            private_network: true,
            writable: vec![group.to_string_lossy().into_owned()],
            capabilities: Vec::new(),
            families: vec!["AF_UNIX"],
            devices: Vec::new(),
        };
        let request = HelperRequest::Memory(Request {
            name: name.to_owned(),
            unit: unit.clone(),
            group,
            at_most: declared.at_most,
        });
        let what = format!("reclaiming of memory of {unit}");
        self.helper
            .run(deadline, &what, &request, sandbox, LIMIT)?
            .applied()
    }

    fn group(&self, live: &LiveUnit) -> Option<PathBuf> {
        let group = live.group.as_ref().filter(|_| live.is_active)?;
        self.live.groups().directory(group)
    }
}

fn plan(name: &str, unit: &UnitName, group: &Path, at_most: u64) -> Plan {
    let Some(held) = current(group) else {
        return Plan::nothing(format!("the kernel does not count the memory of {unit}"));
    };
    if !group.join("memory.reclaim").exists() {
        return Plan::nothing(
            "this kernel cannot reclaim the memory of one unit: Linux can since 5.19",
        );
    }
    Plan::to(format!("reclaim memory of {unit} (`{name}`)"))
        .amount(AmountOf::Bytes, at_most.min(held))
}

/// What a group holds, in bytes.
fn current(group: &Path) -> Option<u64> {
    let text = fs::read_to_string(group.join("memory.current")).ok()?;
    text.trim().parse().ok()
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    let Request {
        name,
        unit,
        group,
        at_most,
    } = request;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::failed(
            "cannot-reclaim",
            format!("the memory of {unit} could not be reclaimed: {error}"),
        )
    };
    let Some(before) = current(group) else {
        return Err(failed(&"its control group is gone"));
    };
    let until = Instant::now() + ENOUGH;
    let mut left = (*at_most).min(before);
    let predicted = left;
    while left > 0 && Instant::now() < until {
        let piece = left.min(PIECE);
        let opened = OpenOptions::new()
            .write(true)
            .open(group.join("memory.reclaim"));
        let written = opened.and_then(|mut file| file.write_all(piece.to_string().as_bytes()));
        match written {
            Ok(()) => left -= piece,
            // It could not take back as much.
            Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => break,
            Err(error) => return Err(failed(&error)),
        }
    }
    let after = current(group).unwrap_or(before);
    let gained = before.saturating_sub(after);
    let amount = |value| Amount {
        value,
        of: AmountOf::Bytes,
    };
    let receipt = if gained == 0 {
        Receipt::nothing(format!("nothing of {unit} could be reclaimed"))
    } else {
        Receipt::done(format!("reclaimed memory of {unit} (`{name}`)"))
    };
    Ok(Outcome::Applied(Receipt {
        predicted: Some(amount(predicted)),
        measured: Some(amount(gained)),
        ..receipt
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_cannot_is_said_to() {
        let folder = tempfile::tempdir().unwrap();
        let unit = UnitName::new("web.service").unwrap();
        let plan_now = || plan("cache", &unit, folder.path(), 1 << 20);
        assert_eq!(
            plan_now().summary,
            "the kernel does not count the memory of web.service"
        );
        fs::write(folder.path().join("memory.current"), "4096\n").unwrap();
        let plan = plan_now();
        assert!(!plan.eligible);
        assert_eq!(
            plan.summary,
            "this kernel cannot reclaim the memory of one unit: Linux can since 5.19"
        );
        fs::write(folder.path().join("memory.reclaim"), "").unwrap();
        let plan = plan_now();
        assert!(plan.eligible && plan.undo.is_none(), "{plan:?}");
        // No more than it holds.
        assert_eq!(plan.amount.unwrap().value, 4096);
    }
}
