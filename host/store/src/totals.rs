//! What has happened since the store was begun, as numbers that only grow: they outlive the
//! incidents that they count, so that monitoring never sees them go back.
//!
//! Each is written in the transaction of what it counts. Dry runs count for nothing.

use prunella_core::{
    ChannelName,
    incident::{Ending, EndingKind, Incident, IncidentId},
    trail::{Entry, Step},
};
use prunella_metrics::histogram::bucket;
use rusqlite::{Transaction, params};

use crate::{
    Store, StoreError, Tried,
    cached::Cached as _,
    columns::{from_integer, to_us},
};

/// The upper bounds, in seconds, of the buckets of [`Total::Recoveries`].
pub const RECOVERY_BOUNDS: [f64; 13] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0,
];

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Total {
    /// Incidents that were opened, of a unit; by their kind.
    Incidents,
    /// Attempts that ended, of a unit; by how they ended.
    Attempts,
    /// Acts that were about to be carried out, of a unit; by their name.
    Acts,
    /// Acts that could not be carried out, of a unit.
    ActsFailed,
    /// Acts that were not allowed, of a unit.
    ActsDenied,
    /// Healings that were proven, of a unit.
    Proofs,
    /// Healings that were not, of a unit.
    ProofsFailed,
    /// Of those, the ones after which the service was well for a while.
    Relapses,
    /// Healings with proof, of a unit; by the place in [`RECOVERY_BOUNDS`] of the first bound
    /// that they kept, or how many bounds there are for those that kept none.
    Recoveries,
    /// How long those took from the failure to the recovery, in microseconds.
    RecoveryMicros,
    /// Runs of strategies that healed, or tried to; by strategy.
    Runs,
    /// How long those took, in microseconds; by strategy.
    RunMicros,
    /// Messages that came to an end, of a channel; by what became of them.
    Messages,
}

impl Total {
    const ALL: [Self; 13] = [
        Self::Incidents,
        Self::Attempts,
        Self::Acts,
        Self::ActsFailed,
        Self::ActsDenied,
        Self::Proofs,
        Self::ProofsFailed,
        Self::Relapses,
        Self::Recoveries,
        Self::RecoveryMicros,
        Self::Runs,
        Self::RunMicros,
        Self::Messages,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::Attempts => "attempts",
            Self::Acts => "acts",
            Self::ActsFailed => "acts-failed",
            Self::ActsDenied => "acts-denied",
            Self::Proofs => "proofs",
            Self::ProofsFailed => "proofs-failed",
            Self::Relapses => "relapses",
            Self::Recoveries => "recoveries",
            Self::RecoveryMicros => "recovery-us",
            Self::Runs => "runs",
            Self::RunMicros => "run-us",
            Self::Messages => "messages",
        }
    }
}

/// How often something has happened, to one subject and under one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalCount {
    pub total: Total,
    /// The unit or the channel that it is of; empty where it is of neither.
    pub subject: String,
    /// What [`Total`] says that it is counted by; empty where that is nothing.
    pub label: String,
    pub number: u64,
}

const ADD: &str = "ON CONFLICT (total, subject, label) DO UPDATE
    SET number = number + excluded.number";

fn add(
    transaction: &Transaction<'_>,
    total: Total,
    subject: &str,
    label: &str,
    number: i64,
) -> rusqlite::Result<()> {
    transaction.execute_cached(
        &format!(
            "INSERT INTO totals (total, subject, label, number) VALUES (?1, ?2, ?3, ?4) {ADD}"
        ),
        params![total.as_str(), subject, label, number],
    )?;
    Ok(())
}

/// Adds to what is counted of the unit of an incident.
fn add_for(
    transaction: &Transaction<'_>,
    id: &IncidentId,
    total: Total,
    label: &str,
    number: i64,
) -> rusqlite::Result<()> {
    transaction.execute_cached(
        &format!(
            "INSERT INTO totals (total, subject, label, number)
             SELECT ?1, unit, ?3, ?4 FROM incidents WHERE id = ?2 AND ended IS NOT 'dry-run' {ADD}"
        ),
        params![total.as_str(), id.as_str(), label, number],
    )?;
    Ok(())
}

/// Counts an incident that is in the store now; `ended` is how, where it came with its end.
pub(crate) fn opened(
    transaction: &Transaction<'_>,
    incident: &Incident,
    ended: Option<&str>,
) -> rusqlite::Result<()> {
    if ended == Some(EndingKind::DryRun.as_str()) {
        return Ok(());
    }
    let detection = &incident.detection;
    let kind = detection.kind().as_str();
    add(
        transaction,
        Total::Incidents,
        detection.unit.as_str(),
        kind,
        1,
    )
}

/// Counts an attempt that has ended so.
pub(crate) fn ended(
    transaction: &Transaction<'_>,
    id: &IncidentId,
    ending: &Ending,
) -> rusqlite::Result<()> {
    if ending.kind() == EndingKind::DryRun {
        return Ok(());
    }
    add_for(transaction, id, Total::Attempts, ending.as_str(), 1)?;
    let Ending::Healed {
        recovered_after: Some(after),
        ..
    } = ending
    else {
        return Ok(());
    };
    let place = bucket(&RECOVERY_BOUNDS, after.as_secs_f64()).to_string();
    add_for(transaction, id, Total::Recoveries, &place, 1)?;
    add_for(transaction, id, Total::RecoveryMicros, "", to_us(*after))
}

/// Counts what a step tells of.
pub(crate) fn stepped(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let id = &entry.incident;
    match &entry.step {
        Step::ActIntended { act, dry_run, .. } if !dry_run => {
            add_for(transaction, id, Total::Acts, act, 1)
        }
        Step::ActEnded { result: Err(_), .. } => add_for(transaction, id, Total::ActsFailed, "", 1),
        Step::ActDenied { .. } => add_for(transaction, id, Total::ActsDenied, "", 1),
        Step::Proven { .. } => add_for(transaction, id, Total::Proofs, "", 1),
        Step::NotProven { relapse, .. } => {
            add_for(transaction, id, Total::ProofsFailed, "", 1)?;
            if *relapse {
                add_for(transaction, id, Total::Relapses, "", 1)?;
            }
            Ok(())
        }
        Step::Returned { strategy, took, .. } => {
            add(transaction, Total::Runs, "", strategy.as_str(), 1)?;
            let took = to_us(*took);
            add(transaction, Total::RunMicros, "", strategy.as_str(), took)
        }
        _ => Ok(()),
    }
}

/// Counts a message that is not tried any more, by what became of it.
pub(crate) fn told(
    transaction: &Transaction<'_>,
    channel: &ChannelName,
    tried: &Tried,
) -> rusqlite::Result<()> {
    let outcome = match tried {
        Tried::Delivered => "delivered",
        Tried::Refused => "refused",
        Tried::GivenUp => "failed",
        Tried::Withdrawn => "withdrawn",
        Tried::Again(_) => return Ok(()),
    };
    add(transaction, Total::Messages, channel.as_str(), outcome, 1)
}

impl Store {
    /// All totals, in no order. What a newer version counts is left out.
    pub fn totals(&self) -> Result<Vec<TotalCount>, StoreError> {
        self.read("reading what was counted", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT total, subject, label, number FROM totals")?;
            let mut rows = statement.query([])?;
            let mut counts = Vec::new();
            while let Some(row) = rows.next()? {
                let word: String = row.get(0)?;
                let Some(total) = Total::ALL.into_iter().find(|it| it.as_str() == word) else {
                    continue;
                };
                counts.push(TotalCount {
                    total,
                    subject: row.get(1)?,
                    label: row.get(2)?,
                    number: from_integer(row.get(3)?),
                });
            }
            Ok(counts)
        })
    }

    /// The units whose latest incident is open, and whether people are asked to see to it.
    pub fn standing_incidents(&self) -> Result<Vec<(String, bool)>, StoreError> {
        self.read("reading the incidents that stand", |connection| {
            connection
                .prepare_cached(
                    "SELECT unit, people_asked IS NOT NULL FROM incidents AS this
                     WHERE outcome IN ('open', 'blocked', 'escalated')
                       AND seq = (SELECT max(seq) FROM incidents AS newest
                                  WHERE newest.unit = this.unit
                                    AND newest.ended IS NOT 'dry-run')",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// How many messages of each channel are still to be sent.
    pub fn waiting_messages(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read("reading the messages", |connection| {
            connection
                .prepare_cached(
                    "SELECT channel, count(*) FROM dispatches
                     WHERE next_at_ms IS NOT NULL GROUP BY channel",
                )?
                .query_map([], |row| Ok((row.get(0)?, from_integer(row.get(1)?))))?
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_total_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            Total::ALL.into_iter().map(Total::as_str).collect();
        assert_eq!(words.len(), Total::ALL.len());
    }
}
