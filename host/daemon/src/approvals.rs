//! What people say to acts that wait, in the store.

use prunella_api::{DecideCall, Refusal, RefusalKind};
use prunella_core::{
    oversight::{Approval, Proposal},
    text::one_line,
};
use prunella_linux::{clock::boot_id, processes::is_running};
use prunella_store::{Decision, Ruling, Store};

use crate::clock;

/// Writes a decision down. What is withdrawn because it is about something that is gone is
/// answered with that state.
pub(crate) fn decide(store: &Store, call: &DecideCall) -> Result<Approval, Refusal> {
    let id = &call.id;
    let ruling = store
        .decide_approval(
            &Decision {
                id,
                approve: call.approve,
                by: &call.by,
                reason: call.reason.as_deref(),
                at: clock::now(),
            },
            &is_gone,
        )
        .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()))?;
    let refused = |why: String| Err(Refusal::new(RefusalKind::Conflict, why));
    match ruling {
        Ruling::Done(approval) | Ruling::Gone(approval) => Ok(approval),
        Ruling::Unknown => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("nothing waits for approval as `{}`", one_line(id, 60)),
        )
        .help("list what waits with `prunella approvals`")),
        Ruling::Several(ids) => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("`{}` is ambiguous", one_line(id, 60)),
        )
        .help(format!("say which: {}", ids.join(", ")))),
        Ruling::Already(approval) => refused(format!(
            "already {}{}: {}",
            approval.state,
            approval
                .by
                .as_ref()
                .map_or_else(String::new, |by| format!(" by {by}")),
            what(&approval)
        )),
        Ruling::AskedAnew { over, now } => Err(Refusal::new(
            RefusalKind::Conflict,
            format!("that is not asked any more: {}", what(&over)),
        )
        .help(format!(
            "what is asked now is {} on {}: `prunella {} {}`",
            now.proposal.act,
            now.proposal.target,
            if call.approve { "approve" } else { "deny" },
            now.id
        ))),
        Ruling::Settled(approval) => refused(format!(
            "withdrawn: incident {} does not need it any more",
            approval.proposal.incident
        )),
    }
}

/// Whether what a proposal is about is not there any more.
fn is_gone(proposal: &Proposal) -> bool {
    let other_boot = boot_id().is_ok_and(|boot_id| boot_id != proposal.boot_id);
    let ended = proposal
        .process
        .is_some_and(|process| !is_running(&process));
    other_boot || ended
}

fn what(approval: &Approval) -> String {
    let proposal = &approval.proposal;
    format!(
        "{} on {}, by {} for {}",
        proposal.act, proposal.target, proposal.strategy, proposal.unit
    )
}
