//! What each strategy has achieved, for each kind of failure: written in the
//! transaction of an attempt's end.

use std::collections::BTreeMap;

use prunella_core::{
    StrategyName, Timestamp, UnitName,
    statistics::{Counts, Signature, StrategyStatistics, Try, TryOutcome},
};
use rusqlite::{Row, Transaction, params, types::Type};

use crate::{
    Store, StoreError,
    cached::Cached as _,
    columns::{from_ms, to_ms, unit_name},
};

/// What strategies have achieved at one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LearnedCounts {
    /// At failures of the same signature.
    pub same: BTreeMap<StrategyName, Counts>,
    /// At other failures with the same cause.
    pub similar: BTreeMap<StrategyName, Counts>,
}

pub(crate) fn add(
    transaction: &Transaction<'_>,
    signature: &Signature,
    tries: &[Try],
    at: Timestamp,
) -> rusqlite::Result<()> {
    for one in tries {
        transaction.execute_cached(
            "INSERT INTO statistics
               (unit, cause, fingerprint, strategy, sample, tries, proofs, relapses, last_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8)
             ON CONFLICT (unit, cause, fingerprint, strategy) DO UPDATE SET
               tries = tries + 1, proofs = proofs + ?6, relapses = relapses + ?7, last_ms = ?8",
            params![
                signature.unit.as_str(),
                signature.cause,
                signature.fingerprint,
                one.strategy.as_str(),
                signature.sample,
                one.came == TryOutcome::Proven,
                one.came == TryOutcome::Relapsed,
                to_ms(at)
            ],
        )?;
    }
    Ok(())
}

fn strategy(row: &Row<'_>, column: usize) -> rusqlite::Result<StrategyName> {
    StrategyName::new(&row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn counts(row: &Row<'_>, first: usize) -> rusqlite::Result<Counts> {
    Ok(Counts {
        tries: row.get(first)?,
        proofs: row.get(first + 1)?,
        relapses: row.get(first + 2)?,
    })
}

impl Store {
    /// What strategies have achieved at failures like this one.
    pub fn counts(&self, signature: &Signature) -> Result<LearnedCounts, StoreError> {
        self.read("reading what strategies have achieved", |connection| {
            let mut learned = LearnedCounts::default();
            let mut statement = connection.prepare(
                "SELECT strategy, fingerprint = ?3, sum(tries), sum(proofs), sum(relapses)
                 FROM statistics WHERE unit = ?1 AND cause = ?2 GROUP BY 1, 2",
            )?;
            let mut rows = statement.query(params![
                signature.unit.as_str(),
                signature.cause,
                signature.fingerprint
            ])?;
            while let Some(row) = rows.next()? {
                let which = if row.get(1)? {
                    &mut learned.same
                } else {
                    &mut learned.similar
                };
                which.insert(strategy(row, 0)?, counts(row, 2)?);
            }
            Ok(learned)
        })
    }

    /// What strategies have achieved at a service, or at all: by service, the
    /// kinds of failure seen last first, the strategies tried most often first.
    pub fn statistics(
        &self,
        unit: Option<&UnitName>,
    ) -> Result<Vec<StrategyStatistics>, StoreError> {
        self.read("reading what strategies have achieved", |connection| {
            connection
                .prepare_cached(
                    "SELECT unit, cause, fingerprint, sample, strategy, tries, proofs, relapses,
                       last_ms
                     FROM statistics WHERE ?1 IS NULL OR unit = ?1
                     ORDER BY unit,
                       max(last_ms) OVER (PARTITION BY unit, cause, fingerprint) DESC,
                       cause, fingerprint, tries DESC, strategy",
                )?
                .query_map([unit.map(UnitName::as_str)], |row| {
                    Ok(StrategyStatistics {
                        signature: Signature {
                            unit: unit_name(0, row.get(0)?)?,
                            cause: row.get(1)?,
                            fingerprint: row.get(2)?,
                            sample: row.get(3)?,
                        },
                        strategy: strategy(row, 4)?,
                        counts: counts(row, 5)?,
                        last_at: from_ms(row.get(8)?),
                    })
                })?
                .collect()
        })
    }
}
