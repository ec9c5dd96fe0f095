//! Which steps have to be on the disk before the next is taken.

use prunella_core::{capability, cause::Cause, policy::Act, trail::Step};

/// What a step needs before the next is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// Nothing: it comes with the next that does.
    Gathered,
    /// Other processes, and the next one if this one is killed, are to see it.
    /// It comes onto the disk with the next that has to be there.
    Written,
    /// To be on the disk: something depends on it, or nothing comes after it
    /// for a while.
    OnDisk,
}

pub(super) fn durability(step: &Step) -> Durability {
    match step {
        // An end that a power cut takes along leaves an intention whose outcome
        // is unknown, which is what it then is.
        Step::ActEnded { .. } => Durability::Written,
        // Whoever tells of a hang before anything is done needs to know since when it hangs;
        // and a millisecond more does not matter to one.
        Step::Detected { detection, .. } if detection.cause == Cause::NotAnswering => {
            Durability::Written
        }
        Step::ActIntended { act, .. } if goes_with_the_power(act) => Durability::Written,
        Step::Waits { .. }
        | Step::ActIntended { .. }
        | Step::Answering { .. }
        | Step::Undone { .. }
        | Step::Blocked { .. }
        | Step::Watches { .. }
        | Step::Ended { .. } => Durability::OnDisk,
        _ => Durability::Gathered,
    }
}

/// Whether what comes after a step has to come at once: the journal and the
/// state file hear of it afterwards.
pub(super) fn is_hurried(step: &Step) -> bool {
    matches!(step, Step::ActIntended { act, dry_run: false, .. } if goes_with_the_power(act))
}

/// Whether an act changes nothing but what systemd has in memory.
fn goes_with_the_power(act: &str) -> bool {
    Act::named(act)
        .is_some_and(|act| act.consequence().durability != capability::Durability::OnDiskFirst)
}
