//! Approvals: acts that wait until a person agrees.

use prunella_core::{
    Timestamp,
    incident::{Ending, IncidentId},
    oversight::{Approval, ApprovalState, Proposal},
};
use rusqlite::{OptionalExtension, Row, Transaction, params};

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
    /// Nobody was asked for it until now.
    New(Approval),
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
    /// Its time is over.
    Over(Approval),
    /// Its incident has ended without it.
    Settled(Approval),
}

const COLUMNS: &str = "id, proposal, asked_at_ms, until_ms, state, by_whom, reason, why";

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
    })
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

impl Store {
    /// Asks whether an act may be done, and says `why` it is wanted. An approval that was given for exactly
    /// this proposal is used up with it; among all processes that ask, one gets
    /// [`Answer::Granted`]. Else the question stands until `until`.
    pub fn ask_approval(
        &self,
        proposal: &Proposal,
        why: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Answer, StoreError> {
        let doing = "asking for an approval";
        let text = self.to_json(doing, proposal)?;
        self.write(doing, |transaction| {
            let known = transaction
                .query_row(
                    &format!(
                        "SELECT {COLUMNS} FROM approvals
                         WHERE proposal = ?1 AND state NOT IN ('used', 'withdrawn')
                             AND until_ms > ?2
                         ORDER BY seq DESC LIMIT 1"
                    ),
                    params![text, to_ms(now)],
                    approval,
                )
                .optional()?;
            if let Some(known) = known {
                return Ok(match known.state {
                    ApprovalState::Approved => {
                        set_state(transaction, &known.id, ApprovalState::Used)?;
                        Answer::Granted(Approval {
                            state: ApprovalState::Used,
                            ..known
                        })
                    }
                    ApprovalState::Waiting => Answer::Waiting(known),
                    ApprovalState::Denied | ApprovalState::Used | ApprovalState::Withdrawn => {
                        Answer::Denied(known)
                    }
                });
            }
            let before: u32 = transaction.query_row(
                "SELECT count(*) FROM approvals WHERE incident = ?1",
                [proposal.incident.as_str()],
                |row| row.get(0),
            )?;
            let new = Approval {
                id: format!("{}.{}", proposal.incident, before + 1),
                proposal: proposal.clone(),
                why: why.to_owned(),
                asked_at: now,
                until,
                state: ApprovalState::Waiting,
                by: None,
                reason: None,
            };
            transaction.execute(
                "INSERT INTO approvals (id, incident, proposal, asked_at_ms, until_ms, state, why)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    new.id,
                    proposal.incident.as_str(),
                    text,
                    to_ms(now),
                    to_ms(until),
                    new.state.as_str(),
                    why
                ],
            )?;
            Ok(Answer::New(new))
        })
    }

    /// Decides about the approval whose id is, or ends with, `id`. Its incident is due
    /// for another try at once, in which the act is done, or people are told that it
    /// will not be.
    pub fn decide_approval(
        &self,
        id: &str,
        approve: bool,
        by: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Ruling, StoreError> {
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
            if approval.state == ApprovalState::Withdrawn {
                return Ok(Ruling::Settled(approval));
            }
            if approval.state != ApprovalState::Waiting {
                return Ok(Ruling::Already(approval));
            }
            if approval.is_over(now) {
                return Ok(Ruling::Over(approval));
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
            approval.state = if approve {
                ApprovalState::Approved
            } else {
                ApprovalState::Denied
            };
            approval.by = Some(by.to_owned());
            approval.reason = reason.map(str::to_owned);
            set_state(transaction, &approval.id, approval.state)?;
            transaction.execute(
                "UPDATE approvals SET by_whom = ?2, reason = ?3, decided_at_ms = ?4 WHERE id = ?1",
                params![approval.id, by, reason, to_ms(now)],
            )?;
            transaction.execute(
                "UPDATE incidents SET retry_at_ms = ?2 WHERE id = ?1 AND ended = 'escalated'",
                params![incident, to_ms(now)],
            )?;
            Ok(Ruling::Done(approval))
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
