//! What people say to acts that wait, in the store.

use prunella_api::{DecideCall, Refusal, RefusalKind};
use prunella_core::{oversight::Approval, text::one_line};
use prunella_store::{Ruling, Store};

use crate::clock;

/// Writes a decision down.
pub(crate) fn decide(store: &Store, call: &DecideCall) -> Result<Approval, Refusal> {
    let id = &call.id;
    let ruling = store
        .decide_approval(
            id,
            call.approve,
            &call.by,
            call.reason.as_deref(),
            clock::now(),
        )
        .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()))?;
    let refused = |why: String| Err(Refusal::new(RefusalKind::NotFound, why));
    match ruling {
        Ruling::Done(approval) => Ok(approval),
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
        Ruling::Over(approval) => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("the time for approval is over: {}", what(&approval)),
        )
        .help("if the act is still needed, Prunella asks for it again")),
        Ruling::Settled(approval) => refused(format!(
            "withdrawn: incident {} has ended without it; nothing is left to decide",
            approval.proposal.incident
        )),
    }
}

fn what(approval: &Approval) -> String {
    let proposal = &approval.proposal;
    format!(
        "{} on {}, by {} for {}",
        proposal.act, proposal.target, proposal.strategy, proposal.unit
    )
}
