//! Approvals: acts that wait until a person agrees.

use prunella_core::{
    Timestamp,
    incident::{Ending, IncidentId},
    oversight::{Approval, ApprovalState, Proposal},
    remedy::Plan,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{
    Store, StoreError,
    cached::Cached as _,
    columns::{from_ms, json, to_ms},
};

/// How many a list shows.
const SHOWN: u32 = 100;

/// What became of asking for an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was given. It is used with this, and good for nothing more.
    Granted(Approval),
    /// It was refused.
    Denied(Approval),
    /// It was asked for before, and nobody has decided.
    Waiting(Approval),
    /// Nobody was asked for it until now; or nobody has answered in time, and it is asked
    /// again under the same id.
    New(Approval),
}

/// What goes with a question, for whoever reads it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Why the act is wanted.
    pub why: &'a str,
    /// What it would come to now: only of a declared remedy. An approval is not bound to it.
    pub plan: Option<&'a Plan>,
}

/// What a person says to a question.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// The approval's id, or its end.
    pub id: &'a str,
    pub approve: bool,
    pub by: &'a str,
    /// Why, in their words.
    pub reason: Option<&'a str>,
    pub at: Timestamp,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    Done(Approval),
    /// There is no such approval.
    Unknown,
    /// Several approvals end so.
    Several(Vec<String>),
    /// It was decided before, or used.
    Already(Approval),
    /// It is over, and what has become of the act is asked anew.
    AskedAnew {
        over: Box<Approval>,
        now: Box<Approval>,
    },
    /// What it was about is not there any more. It is withdrawn, and its incident due.
    Gone(Approval),
    /// It is withdrawn, or its incident has ended without it.
    Settled(Approval),
}

const COLUMNS: &str = "id, proposal, asked_at_ms, until_ms, state, by_whom, reason, why, plan";

fn approval(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let proposal: String = row.get(1)?;
    let state: String = row.get(4)?;
    Ok(Approval {
        id: row.get(0)?,
        proposal: json(1, &proposal)?,
        asked_at: from_ms(row.get(2)?),
        until: from_ms(row.get(3)?),
        // A word that we do not know is of a newer Prunella: it allows nothing.
        state: ApprovalState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .unwrap_or(ApprovalState::Denied),
        by: row.get(5)?,
        reason: row.get(6)?,
        why: row.get(7)?,
        plan: row
            .get::<_, Option<String>>(8)?
            .map(|plan| json(8, &plan))
            .transpose()?,
    })
}

/// The one with this id.
pub(crate) fn approval_by_id(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Option<Approval>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1"))?
        .query_row([id], approval)
        .optional()
}

fn set_state(
    transaction: &Transaction<'_>,
    id: &str,
    state: ApprovalState,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE approvals SET state = ?2 WHERE id = ?1",
        params![id, state.as_str()],
    )?;
    Ok(())
}

/// Withdraws what was asked, or agreed to and not begun, for an incident that has
/// ended so that nothing of it is left to be healed.
pub(crate) fn withdraw(
    transaction: &Transaction<'_>,
    id: &IncidentId,
    ending: &Ending,
) -> rusqlite::Result<()> {
    if matches!(ending, Ending::Escalated { .. } | Ending::Blocked { .. }) {
        return Ok(());
    }
    transaction.execute_cached(
        "UPDATE approvals SET state = 'withdrawn'
         WHERE incident = ?1 AND state IN ('waiting', 'approved')",
        [id.as_str()],
    )?;
    Ok(())
}

/// Has a question stand again whose time was over, under its own id.
fn renew(
    transaction: &Transaction<'_>,
    known: Approval,
    asked: &Asked<'_>,
    plan: Option<&str>,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Approval> {
    let state = ApprovalState::Waiting;
    transaction.execute(
        "UPDATE approvals SET state = ?2, asked_at_ms = ?3, until_ms = ?4, why = ?5,
             plan = ?6, by_whom = NULL, reason = NULL, decided_at_ms = NULL
         WHERE id = ?1",
        params![
            known.id,
            state.as_str(),
            to_ms(now),
            to_ms(until),
            asked.why,
            plan
        ],
    )?;
    Ok(Approval {
        why: asked.why.to_owned(),
        plan: asked.plan.cloned(),
        asked_at: now,
        until,
        state,
        by: None,
        reason: None,
        ..known
    })
}

/// The question that stands now in the place of one that is over: the same strategy asks
/// for the same kind of act in the same incident.
fn asked_since(
    transaction: &Transaction<'_>,
    over: &Approval,
    now: Timestamp,
) -> rusqlite::Result<Option<Approval>> {
    let proposal = &over.proposal;
    transaction
        .query_row(
            &format!(
                "SELECT {COLUMNS} FROM approvals
                 WHERE incident = ?1 AND id <> ?2 AND state = 'waiting' AND until_ms > ?3
                   AND proposal ->> 'strategy' = ?4 AND proposal ->> 'act' = ?5
                 ORDER BY seq DESC LIMIT 1"
            ),
            params![
                proposal.incident.as_str(),
                over.id,
                to_ms(now),
                proposal.strategy.as_str(),
                proposal.act
            ],
            approval,
        )
        .optional()
}

impl Store {
    /// Asks whether an act may be done. An approval that was given for exactly
    /// this proposal is used up with it; among all processes that ask, one gets
    /// [`Answer::Granted`]. Else the question stands until `until`.
    pub fn ask_approval(
        &self,
        proposal: &Proposal,
        asked: &Asked<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Answer, StoreError> {
        let doing = "asking for an approval";
        let text = self.to_json(doing, proposal)?;
        let plan = asked.plan.map(|plan| self.to_json(doing, plan));
        let plan = plan.transpose()?;
        self.write(doing, |transaction| {
            let known = transaction
                .query_row(
                    &format!(
                        "SELECT {COLUMNS} FROM approvals
                         WHERE proposal = ?1 AND state NOT IN ('used', 'withdrawn')
                         ORDER BY seq DESC LIMIT 1"
                    ),
                    [&text],
                    approval,
                )
                .optional()?;
            if let Some(known) = known {
                let is_over = known.is_over(now);
                match known.state {
                    ApprovalState::Approved if !is_over => {
                        set_state(transaction, &known.id, ApprovalState::Used)?;
                        return Ok(Answer::Granted(Approval {
                            state: ApprovalState::Used,
                            ..known
                        }));
                    }
                    ApprovalState::Waiting if !is_over => return Ok(Answer::Waiting(known)),
                    // The command that people were told goes on to be the right one.
                    ApprovalState::Waiting | ApprovalState::Approved => {
                        return Ok(Answer::New(renew(
                            transaction,
                            known,
                            asked,
                            plan.as_deref(),
                            now,
                            until,
                        )?));
                    }
                    _ if !is_over => return Ok(Answer::Denied(known)),
                    _ => {}
                }
            }
            let before: u32 = transaction.query_row(
                "SELECT count(*) FROM approvals WHERE incident = ?1",
                [proposal.incident.as_str()],
                |row| row.get(0),
            )?;
            let new = Approval {
                id: format!("{}.{}", proposal.incident, before + 1),
                proposal: proposal.clone(),
                why: asked.why.to_owned(),
                plan: asked.plan.cloned(),
                asked_at: now,
                until,
                state: ApprovalState::Waiting,
                by: None,
                reason: None,
            };
            transaction.execute(
                "INSERT INTO approvals (id, incident, proposal, asked_at_ms, until_ms, state, why, plan)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    new.id,
                    proposal.incident.as_str(),
                    text,
                    to_ms(now),
                    to_ms(until),
                    new.state.as_str(),
                    asked.why,
                    plan
                ],
            )?;
            Ok(Answer::New(new))
        })
    }

    /// Decides about an approval. Its incident is due for another try at once, in which
    /// the act is done, or people are told that it will not be. One whose time is over can
    /// still be decided while its incident waits for people and nothing else is asked in
    /// its place. `is_gone` tells whether what a proposal is about is not there any more:
    /// then there is nothing to agree to.
    pub fn decide_approval(
        &self,
        decision: &Decision<'_>,
        is_gone: &dyn Fn(&Proposal) -> bool,
    ) -> Result<Ruling, StoreError> {
        let Decision {
            id,
            approve,
            by,
            reason,
            at,
        } = *decision;
        self.write("deciding about an approval", |transaction| {
            let mut found: Vec<Approval> = transaction
                .prepare(&format!(
                    "SELECT {COLUMNS} FROM approvals
                     WHERE id = ?1 OR substr(id, -length(?1) - 1) = '-' || ?1
                     ORDER BY seq DESC LIMIT 10"
                ))?
                .query_map([id], approval)?
                .collect::<rusqlite::Result<_>>()?;
            let Some(mut approval) = found.pop() else {
                return Ok(Ruling::Unknown);
            };
            if !found.is_empty() {
                found.push(approval);
                return Ok(Ruling::Several(
                    found.into_iter().map(|approval| approval.id).collect(),
                ));
            }
            let is_open = match approval.state {
                ApprovalState::Waiting => true,
                ApprovalState::Approved => approval.is_over(at),
                ApprovalState::Denied | ApprovalState::Used | ApprovalState::Withdrawn => false,
            };
            if (!is_open || approval.is_over(at))
                && let Some(now) = asked_since(transaction, &approval, at)?
            {
                return Ok(Ruling::AskedAnew {
                    over: Box::new(approval),
                    now: Box::new(now),
                });
            }
            if approval.state == ApprovalState::Withdrawn {
                return Ok(Ruling::Settled(approval));
            }
            if !is_open {
                return Ok(Ruling::Already(approval));
            }
            let incident = approval.proposal.incident.as_str();
            let ended: Option<String> = transaction
                .query_row(
                    "SELECT ended FROM incidents WHERE id = ?1",
                    [incident],
                    |row| row.get(0),
                )
                .optional()?
                .flatten();
            // What is open, blocked or handed to people is still to be healed.
            if !matches!(ended.as_deref(), None | Some("escalated" | "blocked")) {
                return Ok(Ruling::Settled(approval));
            }
            transaction.execute(
                "UPDATE incidents SET retry_at_ms = ?2 WHERE id = ?1 AND ended = 'escalated'",
                params![incident, to_ms(at)],
            )?;
            if approve && is_gone(&approval.proposal) {
                approval.state = ApprovalState::Withdrawn;
                set_state(transaction, &approval.id, approval.state)?;
                return Ok(Ruling::Gone(approval));
            }
            if approval.is_over(at) {
                let stands = approval.until.since(approval.asked_at);
                approval.until = at.saturating_add(stands);
            }
            approval.state = if approve {
                ApprovalState::Approved
            } else {
                ApprovalState::Denied
            };
            approval.by = Some(by.to_owned());
            approval.reason = reason.map(str::to_owned);
            set_state(transaction, &approval.id, approval.state)?;
            transaction.execute(
                "UPDATE approvals SET by_whom = ?2, reason = ?3, decided_at_ms = ?4, until_ms = ?5
                 WHERE id = ?1",
                params![approval.id, by, reason, to_ms(at), to_ms(approval.until)],
            )?;
            Ok(Ruling::Done(approval))
        })
    }

    /// Withdraws what was asked, or agreed to and not begun, in another boot than this:
    /// what it was about is gone.
    pub fn withdraw_of_other_boots(&self, boot_id: &str) -> Result<(), StoreError> {
        self.write("withdrawing what an earlier boot asked", |transaction| {
            // Whoever waits for the answer need not wait any longer.
            transaction.execute(
                "UPDATE incidents SET retry_at_ms = ended_at_ms
                 WHERE retry_at_ms IS NOT NULL AND ended = 'escalated' AND id IN (
                   SELECT incident FROM approvals
                   WHERE state IN ('waiting', 'approved') AND proposal ->> 'boot_id' <> ?1)",
                [boot_id],
            )?;
            transaction.execute(
                "UPDATE approvals SET state = 'withdrawn'
                 WHERE state IN ('waiting', 'approved') AND proposal ->> 'boot_id' <> ?1",
                [boot_id],
            )?;
            Ok(())
        })
    }

    /// The latest approvals, the newest first, whatever became of them.
    pub fn approvals(&self) -> Result<Vec<Approval>, StoreError> {
        self.read("reading the approvals", |connection| {
            connection
                .prepare(&format!(
                    "SELECT {COLUMNS} FROM approvals ORDER BY seq DESC LIMIT {SHOWN}"
                ))?
                .query_map([], approval)?
                .collect()
        })
    }
}
