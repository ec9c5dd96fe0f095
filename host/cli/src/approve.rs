//! `prunella approve`, `prunella deny` and `prunella approvals`: acts that wait
//! until a person agrees.

use prunella_api::DecideCall;
use prunella_core::oversight::ApprovalState;

use crate::{
    args::{ApprovalsArgs, DecideArgs},
    exit::Exit,
    output::{self, FAIR, PLAIN, QUIET},
    paths::Paths,
    pause,
    query::Prunella,
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
    let prunella = Prunella::new(paths);
    let approval = prunella.order(|orders| orders.decide(&call))?;
    let proposal = &approval.proposal;
    let what = format!(
        "{} on {}, by {} for {}",
        proposal.act, proposal.target, proposal.strategy, proposal.unit
    );
    output::print(&if approve {
        let until = time::short(approval.until, time::now());
        format!("Approved, once, until {until}: {what}.\n")
    } else {
        format!("Denied: {what}.\n")
    })?;
    if approve && !prunella.daemon_listens() {
        output::print(
            "No daemon is running: the next sweep takes it up, or `prunella heal` does now.\n",
        )?;
    }
    Ok(Exit::Ok)
}

/// Runs `prunella approvals`.
pub(crate) fn list(paths: &Paths, args: &ApprovalsArgs) -> anyhow::Result<Exit> {
    let mut approvals = Prunella::new(paths).ask(|queries| queries.approvals())?;
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
                (false, _) => (approval.state.as_str(), PLAIN),
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
        output::print(&table.render(output::table_width(), 0))?;
        output::print("\nprunella approve ID    or    prunella deny ID\n")?;
    }
    Ok(Exit::Ok)
}
