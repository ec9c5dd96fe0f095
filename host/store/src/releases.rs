//! Which releases a service was proven healthy with, and which it was rolled back from.

use prunella_core::{Timestamp, UnitName, remedy::KnownRelease};
use rusqlite::{Row, params};

use crate::{
    Store, StoreError,
    columns::{from_ms, to_ms},
};

/// Of each link so many targets are remembered, the latest.
const KEPT: u32 = 20;

impl Store {
    /// A service was proven healthy with a release.
    pub fn prove_release(
        &self,
        unit: &UnitName,
        name: &str,
        target: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("writing that a release is proven", |transaction| {
            transaction.execute(
                "INSERT INTO releases (unit, name, target, proven_ms, left_ms)
                 VALUES (?1, ?2, ?3, ?4, NULL)
                 ON CONFLICT (unit, name, target) DO UPDATE SET proven_ms = ?4, left_ms = NULL",
                params![unit.as_str(), name, target, to_ms(at)],
            )?;
            transaction.execute(
                "DELETE FROM releases WHERE unit = ?1 AND name = ?2 AND target NOT IN
                   (SELECT target FROM releases WHERE unit = ?1 AND name = ?2
                    ORDER BY max(coalesce(proven_ms, 0), coalesce(left_ms, 0)) DESC LIMIT ?3)",
                params![unit.as_str(), name, KEPT],
            )?;
            Ok(())
        })
    }

    /// A service is rolled back from a release. It is on the disk when this returns.
    pub fn leave_release(
        &self,
        unit: &UnitName,
        name: &str,
        target: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("writing that a release is left", |transaction| {
            transaction.execute(
                "INSERT INTO releases (unit, name, target, proven_ms, left_ms)
                 VALUES (?1, ?2, ?3, NULL, ?4)
                 ON CONFLICT (unit, name, target) DO UPDATE SET left_ms = ?4",
                params![unit.as_str(), name, target, to_ms(at)],
            )?;
            Ok(())
        })
    }

    /// What is known of the releases of a link, the one that was proven last first.
    pub fn releases(&self, unit: &UnitName, name: &str) -> Result<Vec<KnownRelease>, StoreError> {
        self.read("reading which releases are proven", |connection| {
            connection
                .prepare_cached(
                    "SELECT target, proven_ms, left_ms FROM releases
                     WHERE unit = ?1 AND name = ?2 ORDER BY proven_ms DESC NULLS LAST, target",
                )?
                .query_map([unit.as_str(), name], known)?
                .collect()
        })
    }
}

fn known(row: &Row<'_>) -> rusqlite::Result<KnownRelease> {
    let at = |at: Option<i64>| at.map(from_ms);
    Ok(KnownRelease {
        target: row.get(0)?,
        proven: at(row.get(1)?),
        left: at(row.get(2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_counts_again_once_it_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let unit = UnitName::new("web.service").unwrap();
        let at = Timestamp::from_millis;
        store.prove_release(&unit, "current", "r/1", at(1)).unwrap();
        store.prove_release(&unit, "current", "r/2", at(2)).unwrap();
        store.leave_release(&unit, "current", "r/3", at(3)).unwrap();
        store.leave_release(&unit, "current", "r/2", at(4)).unwrap();
        let known = |target: &str, proven: Option<u64>, left: Option<u64>| KnownRelease {
            target: target.to_owned(),
            proven: proven.map(at),
            left: left.map(at),
        };
        assert_eq!(
            store.releases(&unit, "current").unwrap(),
            [
                known("r/2", Some(2), Some(4)),
                known("r/1", Some(1), None),
                known("r/3", None, Some(3)),
            ]
        );
        store.prove_release(&unit, "current", "r/2", at(5)).unwrap();
        let first = store.releases(&unit, "current").unwrap().remove(0);
        assert_eq!(first, known("r/2", Some(5), None));
        assert_eq!(store.releases(&unit, "other").unwrap(), []);
        for number in 10..40 {
            let target = format!("r/{number}");
            store
                .prove_release(&unit, "current", &target, at(number))
                .unwrap();
        }
        assert_eq!(store.releases(&unit, "current").unwrap().len(), 20);
    }
}
