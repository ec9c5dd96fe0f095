//! `prunella approve`, `prunella deny` and `prunella approvals`: acts that wait
//! until a person agrees.

use prunella_api::{Client, ClientError, DecideCall};
use prunella_core::oversight::{Approval, ApprovalState};
use prunella_store::{Ruling, Store, StoreError};

use crate::{
    args::{ApprovalsArgs, DecideArgs},
    exit::{Exit, Problem},
    look::Looker,
    output::{self, FAIR, PLAIN, QUIET},
    paths::Paths,
    pause,
    table::{Cell, Column, Table},
    time,
};

/// Runs `prunella approve` or `prunella deny`.
pub(crate) fn decide(paths: &Paths, args: DecideArgs, approve: bool) -> anyhow::Result<Exit> {
    let call = DecideCall {
        id: args.id,
        approve,
        by: pause::who(),
        reason: args.reason,
    };
    let notes = match Client::new(&paths.run).decide(call.clone()) {
        Err(ClientError::NotListening(_)) => {
            let said = write(&pause::store(paths)?, &call)?;
            match said {
                Said::Done(mut notes, _) => {
                    if approve {
                        notes.push(
                            "The daemon does not run: the next sweep takes it up, or \
                             `prunella heal` does now."
                                .to_owned(),
                        );
                    }
                    notes
                }
                Said::No(why) => return Err(Problem::new(Exit::NotFound, why).into()),
            }
        }
        other => other?,
    };
    for note in notes {
        output::print(&format!("{note}\n"))?;
    }
    Ok(Exit::Ok)
}

/// What came of a decision.
pub(crate) enum Said {
    /// It counts: what to tell whoever decided, and about what it was.
    Done(Vec<String>, Box<Approval>),
    /// It does not: why.
    No(String),
}

/// Writes a decision down.
pub(crate) fn write(store: &Store, call: &DecideCall) -> Result<Said, StoreError> {
    let now = time::now();
    let id = &call.id;
    Ok(
        match store.decide_approval(id, call.approve, &call.by, call.reason.as_deref(), now)? {
            Ruling::Done(approval) => {
                let what = what(&approval);
                let note = if call.approve {
                    format!(
                        "Approved, once, until {}: {what}.",
                        time::short(approval.until, now)
                    )
                } else {
                    format!("Denied: {what}.")
                };
                Said::Done(vec![note], Box::new(approval))
            }
            Ruling::Unknown => Said::No(format!(
                "nothing waits for approval as `{}`; `prunella approvals` lists what does",
                prunella_core::text::one_line(id, 60)
            )),
            Ruling::Several(ids) => Said::No(format!("say which: {}", ids.join(", "))),
            Ruling::Already(approval) => Said::No(format!(
                "it was {} before{}: {}",
                approval.state,
                approval
                    .by
                    .as_ref()
                    .map_or_else(String::new, |by| format!(" by {by}")),
                what(&approval)
            )),
            Ruling::Over(approval) => Said::No(format!(
                "its time was over {}; should it still be needed, it is asked for again",
                time::short(approval.until, now)
            )),
            Ruling::Settled(approval) => Said::No(format!(
                "its incident {} has ended without it",
                approval.proposal.incident
            )),
        },
    )
}

fn what(approval: &Approval) -> String {
    let proposal = &approval.proposal;
    format!(
        "{} on {}, by {} for {}",
        proposal.act, proposal.target, proposal.strategy, proposal.unit
    )
}

/// Runs `prunella approvals`.
pub(crate) fn list(paths: &Paths, args: &ApprovalsArgs) -> anyhow::Result<Exit> {
    let mut approvals = Looker::new(paths).approvals()?;
    let now = time::now();
    if !args.all {
        approvals.retain(|approval| approval.waits(now));
    }
    if args.json {
        output::print_json_lines(&approvals)?;
    } else if approvals.is_empty() {
        output::print("Nothing waits for approval.\n")?;
    } else {
        let mut table = Table::new(&[
            Column::fixed("ID"),
            Column::fixed("STATE"),
            Column::fixed("SERVICE"),
            Column::fixed("ACT"),
            Column::optional("ON", 12),
            Column::optional("UNTIL", 6),
        ]);
        for approval in &approvals {
            let waits = approval.state == ApprovalState::Waiting;
            let (state, style) = match (waits, approval.is_over(now)) {
                (true, true) => ("expired", QUIET),
                (true, false) => ("waiting", FAIR),
                (false, _) => (approval.state.word(), PLAIN),
            };
            table.row(vec![
                Cell::new(&approval.id, PLAIN),
                Cell::new(state, style),
                Cell::new(approval.proposal.unit.as_str(), PLAIN),
                Cell::new(&approval.proposal.act, PLAIN),
                Cell::new(&approval.proposal.target, PLAIN),
                Cell::new(time::short(approval.until, now), QUIET),
            ]);
        }
        output::print(&table.render(output::width(), 0))?;
        output::print("\nprunella approve ID    or    prunella deny ID\n")?;
    }
    Ok(Exit::Ok)
}
