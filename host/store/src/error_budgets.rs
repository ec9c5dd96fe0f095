//! What services have used up of their error budgets.

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    budget::Moment,
    health::{Bucket, BucketSpan, BudgetRecord},
};
use rusqlite::{Transaction, params, types::Type};

use crate::{
    Store, StoreError,
    columns::{from_integer, json, moment, to_boot_ms, to_integer, to_ms, unit_name},
};

/// What was stored of a service's error budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBudget {
    pub record: BudgetRecord,
    /// When that was.
    pub moment: Moment,
}

impl Store {
    /// Writes down what has changed of error budgets. A killed process does not lose it;
    /// onto the disk it comes with the next durable write.
    pub fn save_error_budgets(
        &self,
        now: &Moment,
        changed: &[(UnitName, BudgetRecord)],
    ) -> Result<(), StoreError> {
        let doing = "writing what is left of error budgets";
        let since: Vec<String> = changed
            .iter()
            .map(|(_, record)| self.to_json(doing, &record.since))
            .collect::<Result<_, _>>()?;
        self.write_ahead(doing, |transaction| {
            for ((unit, record), since) in changed.iter().zip(&since) {
                transaction.execute(
                    "INSERT OR REPLACE INTO error_budgets
                       (unit, clock_ms, seen_ms, boot_id, since_boot_ms, since)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        unit.as_str(),
                        to_boot_ms(record.clock),
                        to_ms(now.at),
                        now.boot_id,
                        to_boot_ms(now.since_boot),
                        since
                    ],
                )?;
                save_buckets(transaction, unit, record)?;
            }
            Ok(())
        })
    }

    /// What is stored of all error budgets.
    pub fn error_budgets(&self) -> Result<BTreeMap<UnitName, StoredBudget>, StoreError> {
        self.read("reading what is left of error budgets", |connection| {
            let mut budgets: BTreeMap<UnitName, StoredBudget> = connection
                .prepare(
                    "SELECT unit, clock_ms, since, boot_id, since_boot_ms, seen_ms
                     FROM error_budgets",
                )?
                .query_map([], |row| {
                    let since: Vec<Option<Timestamp>> = json(2, &row.get::<_, String>(2)?)?;
                    let record = BudgetRecord {
                        clock: Duration::from_millis(from_integer(row.get(1)?)),
                        since,
                        buckets: Vec::new(),
                    };
                    let moment = moment(row, 3)?;
                    Ok((unit_name(0, row.get(0)?)?, StoredBudget { record, moment }))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut statement = connection.prepare(
                "SELECT unit, span_s, at, asked, unanswered FROM error_budget_buckets
                 ORDER BY unit, span_s, at",
            )?;
            let rows = statement.query_map([], |row| {
                let bucket = Bucket {
                    span: span(1, row.get(1)?)?,
                    at: from_integer(row.get(2)?),
                    asked: row.get(3)?,
                    unanswered: row.get(4)?,
                };
                Ok((unit_name(0, row.get(0)?)?, bucket))
            })?;
            for row in rows {
                let (unit, bucket) = row?;
                if let Some(budget) = budgets.get_mut(&unit) {
                    budget.record.buckets.push(bucket);
                }
            }
            Ok(budgets)
        })
    }

    /// Forgets the budget of a service that has no objective any more.
    pub fn forget_error_budget(&self, unit: &UnitName) -> Result<(), StoreError> {
        self.write_ahead("forgetting an error budget", |transaction| {
            for table in ["error_budgets", "error_budget_buckets"] {
                let sql = format!("DELETE FROM {table} WHERE unit = ?1");
                transaction.execute(&sql, params![unit.as_str()])?;
            }
            Ok(())
        })
    }
}

/// Writes the buckets that have changed, and forgets those that count no more.
fn save_buckets(
    transaction: &Transaction<'_>,
    unit: &UnitName,
    record: &BudgetRecord,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO error_budget_buckets (unit, span_s, at, asked, unanswered)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for bucket in &record.buckets {
        insert.execute(params![
            unit.as_str(),
            to_integer(bucket.span.seconds()),
            to_integer(bucket.at),
            bucket.asked,
            bucket.unanswered
        ])?;
    }
    let mut forget = transaction.prepare_cached(
        "DELETE FROM error_budget_buckets WHERE unit = ?1 AND span_s = ?2 AND at <= ?3",
    )?;
    for span in BucketSpan::ALL {
        let now = record.clock.as_secs() / span.seconds();
        if let Some(old) = now.checked_sub(span.kept()) {
            forget.execute(params![
                unit.as_str(),
                to_integer(span.seconds()),
                to_integer(old)
            ])?;
        }
    }
    Ok(())
}

fn span(column: usize, seconds: i64) -> rusqlite::Result<BucketSpan> {
    BucketSpan::of_seconds(from_integer(seconds)).ok_or_else(|| {
        let why = format!("questions are not counted by {seconds} s");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, why.into())
    })
}
