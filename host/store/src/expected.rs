//! Work that operators expect to strain a service: what `prunella expect` was told. Unlike a
//! pause it is kept when it is over, for whoever looks back.

use prunella_core::{Timestamp, UnitName, health::ExpectedWork};
use rusqlite::{Row, params};

use crate::{
    Store, StoreError,
    columns::{from_ms, json, to_ms, unit_name},
};

const COLUMNS: &str = "unit, since_ms, until_ms, reason, by_whom, metrics";

impl Store {
    /// Work is expected of a service; what was expected of it before ends.
    pub fn expect_work(&self, work: &ExpectedWork) -> Result<(), StoreError> {
        let doing = "writing what work is expected";
        let metrics = self.to_json(doing, &work.metrics)?;
        self.write(doing, |transaction| {
            transaction.execute(
                "UPDATE expected_work SET until_ms = ?2 WHERE unit = ?1 AND until_ms > ?2",
                params![work.unit.as_str(), to_ms(work.since)],
            )?;
            transaction.execute(
                &format!("INSERT INTO expected_work ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
                params![
                    work.unit.as_str(),
                    to_ms(work.since),
                    to_ms(work.until),
                    work.reason,
                    work.by,
                    metrics
                ],
            )?;
            Ok(())
        })
    }

    /// No work is expected of a service any more; true when some was.
    pub fn end_expected_work(&self, unit: &UnitName, now: Timestamp) -> Result<bool, StoreError> {
        self.write("ending what work is expected", |transaction| {
            let ended = transaction.execute(
                "UPDATE expected_work SET until_ms = ?2 WHERE unit = ?1 AND until_ms > ?2",
                params![unit.as_str(), to_ms(now)],
            )?;
            Ok(ended > 0)
        })
    }

    /// What is expected at `now`, by name.
    pub fn expected_work(&self, now: Timestamp) -> Result<Vec<ExpectedWork>, StoreError> {
        let found = self.read("reading what work is expected", |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM expected_work WHERE until_ms > ?1 ORDER BY unit"
                ))?
                .query_map([to_ms(now)], work)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(found.into_iter().filter(|work| work.holds(now)).collect())
    }

    /// What was, and is, expected of any service since then, oldest first.
    pub fn expected_work_since(&self, since: Timestamp) -> Result<Vec<ExpectedWork>, StoreError> {
        self.read("reading what work was expected", |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM expected_work WHERE until_ms > ?1
                     ORDER BY since_ms, seq"
                ))?
                .query_map([to_ms(since)], work)?
                .collect()
        })
    }

    /// What was, and is, expected of a service since then, oldest first.
    pub fn expected_work_of(
        &self,
        unit: &UnitName,
        since: Timestamp,
    ) -> Result<Vec<ExpectedWork>, StoreError> {
        self.read("reading what work was expected", |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM expected_work WHERE unit = ?1 AND until_ms > ?2
                     ORDER BY since_ms, seq"
                ))?
                .query_map(params![unit.as_str(), to_ms(since)], work)?
                .collect()
        })
    }
}

fn work(row: &Row<'_>) -> rusqlite::Result<ExpectedWork> {
    Ok(ExpectedWork {
        unit: unit_name(0, row.get(0)?)?,
        since: from_ms(row.get(1)?),
        until: from_ms(row.get(2)?),
        reason: row.get(3)?,
        by: row.get(4)?,
        metrics: json(5, &row.get::<_, String>(5)?)?,
    })
}

#[cfg(test)]
mod tests {
    use prunella_core::health::Metric;

    use super::*;

    #[test]
    fn it_ends_by_itself_or_by_hand_and_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prunella.db");
        let store = Store::open(&path).unwrap();
        let at = Timestamp::from_millis;
        let unit = UnitName::new("web.service").unwrap();
        let work = |since, until| ExpectedWork {
            unit: unit.clone(),
            since: at(since),
            until: at(until),
            reason: "nightly backup".to_owned(),
            by: "me".to_owned(),
            metrics: vec![Metric::CpuPermille, Metric::LatencyMs],
        };
        store.expect_work(&work(10, 100)).unwrap();
        store.expect_work(&work(50, 200)).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.expected_work(at(60)).unwrap(), [work(50, 200)]);
        assert_eq!(store.expected_work(at(200)).unwrap(), []);
        let all = store.expected_work_of(&unit, at(0)).unwrap();
        assert_eq!(all, [work(10, 50), work(50, 200)]);
        assert!(store.end_expected_work(&unit, at(120)).unwrap());
        assert!(!store.end_expected_work(&unit, at(130)).unwrap());
        assert_eq!(store.expected_work(at(130)).unwrap(), []);
        assert_eq!(store.expected_work_of(&unit, at(60)).unwrap().len(), 1);
        let shop = ExpectedWork {
            unit: UnitName::new("shop.service").unwrap(),
            ..work(70, 90)
        };
        store.expect_work(&shop).unwrap();
        let all = store.expected_work_since(at(60)).unwrap();
        assert_eq!(all, [work(50, 120), shop]);
        assert_eq!(store.expected_work_since(at(120)).unwrap(), []);
    }
}
