//! What waits for a person's word.

use askama::Template;
use axum::response::Response;
use prunella_api::StatusReport;
use prunella_core::{Timestamp, oversight::Approval, text::capital};

use super::{Frame, Unit, Visitor, incident::plan_lines, now, render};
use crate::{daemon::part, show::When};

/// Those that are decided or over, and shown still.
const PAST: usize = 20;

#[derive(Template)]
#[template(path = "approvals.html")]
struct Page {
    frame: Frame,
    waiting: Vec<Asked>,
    handed: Vec<Handed>,
    past: Vec<Asked>,
}

struct Asked {
    id: String,
    unit: Unit,
    incident: String,
    what: String,
    act: String,
    strategy: String,
    why: String,
    plan: Vec<String>,
    asked: When,
    until: When,
    state: String,
    by: String,
    reason: String,
}

/// An incident that was handed to people.
struct Handed {
    unit: Unit,
    when: When,
    reason: String,
    href: String,
    again: Option<When>,
}

/// `GET /needs-you`
pub async fn page(visitor: Visitor) -> Result<Response, Response> {
    let (approvals, status) = futures_util::join!(
        visitor.get::<Vec<Approval>>("/approvals"),
        visitor.get::<StatusReport>("/status"),
    );
    let frame = visitor.frame("Needs you", "needs-you");
    Ok(render(&make(frame, now(), approvals?, &status?)))
}

fn make(frame: Frame, now: Timestamp, mut approvals: Vec<Approval>, status: &StatusReport) -> Page {
    approvals.sort_by_key(|approval| std::cmp::Reverse(approval.asked_at));
    let (waiting, past): (Vec<Approval>, Vec<Approval>) = approvals
        .into_iter()
        .partition(|approval| approval.waits(now));
    Page {
        frame,
        waiting: waiting.iter().map(|it| asked(it, now)).collect(),
        handed: status
            .needs_people
            .iter()
            .filter(|it| it.approval.is_none())
            .map(|it| Handed {
                unit: Unit::new(&it.unit),
                when: When::new(it.at, now),
                reason: capital(&it.reason),
                href: format!("/incidents/{}", part(it.incident.as_str())),
                again: it.retry_at.map(|at| When::new(at, now)),
            })
            .collect(),
        past: past.iter().take(PAST).map(|it| asked(it, now)).collect(),
    }
}

fn asked(approval: &Approval, now: Timestamp) -> Asked {
    let proposal = &approval.proposal;
    Asked {
        id: approval.id.clone(),
        unit: Unit::new(&proposal.unit),
        incident: format!("/incidents/{}", part(proposal.incident.as_str())),
        what: capital(&prunella_report::shown_act(&proposal.act, &proposal.target)),
        act: proposal.act.clone(),
        strategy: proposal.strategy.to_string(),
        why: capital(&approval.why),
        plan: approval.plan.as_ref().map(plan_lines).unwrap_or_default(),
        asked: When::new(approval.asked_at, now),
        until: When::new(approval.until, now),
        state: match approval.is_over(now) && approval.by.is_none() {
            true => "over without a word".to_owned(),
            false => approval.state.to_string(),
        },
        by: approval.by.clone().unwrap_or_default(),
        reason: approval.reason.clone().unwrap_or_default(),
    }
}
