//! `prunella approve`, `prunella deny` and `prunella approvals`: acts that wait
//! until a person agrees.

use std::fmt::Write as _;

use prunella_api::{ApiError, DecideCall, Refusal, RefusalKind, account};

use prunella_core::{
    Timestamp,
    oversight::{Approval, ApprovalState},
    remedy::{LeaseEnds, Plan},
    text::one_line,
};
use prunella_report::{length, planned_act};

use crate::{
    args::{ApprovalsArgs, DecideArgs},
    exit::{Exit, Problem},
    output::{self, FAIR, PLAIN, QUIET, STRONG},
    paths::Paths,
    query::Prunella,
    time,
};

/// What was decided already, or is not asked any more, is not there to be decided: a script
/// tells that by the exit code.
fn no_longer_asked(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<ApiError>() {
        Some(ApiError::Refused(refusal)) if refusal.kind == RefusalKind::Conflict => {
            let kind = RefusalKind::NotFound;
            ApiError::Refused(Refusal {
                kind,
                ..refusal.clone()
            })
            .into()
        }
        _ => error,
    }
}

/// Runs `prunella approve` or `prunella deny`.
pub(crate) fn decide(paths: &Paths, args: DecideArgs, approve: bool) -> anyhow::Result<Exit> {
    let call = DecideCall {
        id: args.id,
        approve,
        by: account::own(),
        reason: args.reason,
    };
    let prunella = Prunella::new(paths);
    let approval = prunella
        .order(|orders| orders.decide(&call))
        .map_err(no_longer_asked)?;
    let proposal = &approval.proposal;
    if approval.state == ApprovalState::Withdrawn {
        let next = if prunella.daemon_listens() {
            format!("Prunella looks at {} again now", proposal.unit)
        } else {
            format!("`sudo prunella heal {}` looks at it again", proposal.unit)
        };
        return Err(Problem::new(
            Exit::NotFound,
            match proposal.process {
                Some(_) => format!("nothing was approved: {} has ended", proposal.target),
                None => format!(
                    "nothing was approved: the host was rebooted since Prunella asked about {}",
                    proposal.target
                ),
            },
        )
        .help(next)
        .into());
    }
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
        let shown: Vec<String> = approvals
            .iter()
            .map(|approval| one(approval, now))
            .collect();
        output::print(&shown.join("\n"))?;
    }
    Ok(Exit::Ok)
}

/// How what a plan says would be undone.
fn undone(plan: &Plan) -> String {
    match (&plan.undo, plan.lease) {
        (None, _) => "it cannot be undone".to_owned(),
        (Some(_), Some(lease)) if lease.ends == LeaseEnds::Undone => {
            format!("by itself, after {} at the latest", length(lease.lasts))
        }
        (Some(_), Some(lease)) if lease.ends == LeaseEnds::Tried => format!(
            "with `prunella undo`; the service is tried after {}",
            length(lease.lasts)
        ),
        (Some(_), Some(lease)) => {
            format!("with `prunella undo`, for {}", length(lease.lasts))
        }
        (Some(_), None) => "with `prunella undo`".to_owned(),
    }
}

/// One of them: what would be done, why, since when and until when, and how to agree.
fn one(approval: &Approval, now: Timestamp) -> String {
    let proposal = &approval.proposal;
    let waits = approval.waits(now);
    let (state, style) = match approval.state {
        ApprovalState::Waiting if waits => ("waits for approval", FAIR),
        ApprovalState::Waiting => ("expired", QUIET),
        decided => (decided.as_str(), PLAIN),
    };
    let mut text = format!(
        "{STRONG}{}{STRONG:#}  {style}{state}{style:#}\n",
        approval.id
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {QUIET}{name:<9}{QUIET:#}{value}");
    };
    let to_do = planned_act(&proposal.act, &proposal.target, approval.plan.as_ref());
    line("to do", &to_do);
    if let Some(plan) = &approval.plan {
        line("undo", &undone(plan));
    }
    line(
        "for",
        &format!("{} (strategy {})", proposal.unit, proposal.strategy),
    );
    if !approval.why.is_empty() {
        line("why", &one_line(&approval.why, 500));
    }
    line("asked", &time::clock(approval.asked_at, now));
    if let Some(by) = &approval.by {
        let reason = approval.reason.as_deref();
        let why = reason.map_or_else(String::new, |reason| format!(": {}", one_line(reason, 300)));
        line("decided", &format!("by {}{why}", one_line(by, 80)));
    }
    if waits || approval.state == ApprovalState::Approved {
        line("expires", &time::clock(approval.until, now));
    }
    if waits {
        let id = &approval.id;
        line("agree", &format!("sudo prunella approve {id}"));
        line("refuse", &format!("sudo prunella deny {id}"));
    }
    text
}
