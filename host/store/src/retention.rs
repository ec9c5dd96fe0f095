//! Forgetting what is old, so that the file does not grow for ever.

use prunella_core::Timestamp;
use std::{thread, time::Duration};

use prunella_config::Retention;
use rusqlite::{Connection, params};

use crate::{Store, StoreError, columns::to_ms, connection};

/// Incidents forgotten in one transaction: a few milliseconds, for which a
/// healing may have to wait.
const AT_ONCE: u32 = 50;

/// Between two transactions, so that whoever waits for one gets its turn.
const BREATH: Duration = Duration::from_millis(5);

/// Pages that are free stay in the file, to be used again, up to this share of
/// it (one in so many) …
const FREE_SHARE: u64 = 4;

/// … and this many in any case: 4 MiB.
const FREE_PAGES: u64 = 1_024;

/// Pages given back in one transaction: 1 MiB, all of which may have to be
/// moved.
const GIVEN_BACK_AT_ONCE: u32 = 256;

/// Changes of health kept for each subject: of one that flaps for months, the latest.
const TRANSITIONS: u32 = 1_000;

/// Kinds of failure kept for each unit in the record of strategies.
const SIGNATURES: u32 = 200;

/// Which incidents may be forgotten: those that have come to an end, are not to
/// be tried again, and of which people have heard what they are to hear; but
/// for the newest of each unit.
const MAY_GO: &str = "ended IS NOT NULL AND ended <> 'blocked' AND retry_at_ms IS NULL
    AND seq <> (SELECT max(seq) FROM incidents AS newest WHERE newest.unit = this.unit)
    AND NOT EXISTS (SELECT 1 FROM alerts
                    WHERE alerts.incident = this.id AND alerts.decision IS NULL)
    AND NOT EXISTS (SELECT 1 FROM dispatch_incidents AS told
                    JOIN dispatches ON dispatches.id = told.dispatch
                    WHERE told.incident = this.id AND dispatches.next_at_ms IS NOT NULL)";

/// An escalated incident is tried again only while it is its unit's newest.
const SUPERSEDED: &str = "UPDATE incidents AS this SET retry_at_ms = NULL
    WHERE retry_at_ms IS NOT NULL AND retry_at_ms < ?1
      AND seq < (SELECT max(seq) FROM incidents AS newer
                 WHERE newer.unit = this.unit AND newer.ended IS NOT 'dry-run')";

/// What [`Store::tidy`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Incidents that were forgotten.
    pub incidents: u64,
    /// Bytes given back to the file system.
    pub given_back: u64,
}

/// How the file's pages are used.
#[derive(Debug, Clone, Copy)]
struct Pages {
    size: u64,
    all: u64,
    free: u64,
}

impl Pages {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |pragma| {
            connection
                .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
                .map(|number| u64::try_from(number).unwrap_or_default())
        };
        Ok(Self {
            size: number("page_size")?,
            all: number("page_count")?,
            free: number("freelist_count")?,
        })
    }

    fn used_bytes(self) -> u64 {
        self.all.saturating_sub(self.free).saturating_mul(self.size)
    }

    /// More free ones than are worth keeping for what comes.
    fn too_many_free(self) -> bool {
        self.free > FREE_PAGES && self.free > self.all / FREE_SHARE
    }
}

impl Store {
    /// Forgets incidents that ended longer ago than is kept, changes of health that are
    /// as old, and the oldest incidents while what is stored is larger than it may be. Open and blocked
    /// incidents, those to be tried again, and the newest of each unit are kept
    /// whatever they take.
    ///
    /// Takes as long as it takes, in small transactions with pauses between
    /// them: for a thread that nobody waits for.
    pub fn tidy(&self, retention: &Retention, now: Timestamp) -> Result<Tidied, StoreError> {
        let mut tidied = Tidied::default();
        let doing = "forgetting old incidents";
        self.write_ahead(doing, |transaction| {
            transaction.execute(SUPERSEDED, [to_ms(now)])?;
            transaction.execute(
                "DELETE FROM statistics AS this WHERE last_ms <
                   (SELECT last_ms FROM statistics AS newer WHERE newer.unit = this.unit
                    ORDER BY last_ms DESC LIMIT 1 OFFSET ?1)",
                [SIGNATURES],
            )?;
            transaction.execute(
                "DELETE FROM health_transitions AS this WHERE seq <
                   (SELECT seq FROM health_transitions AS newer WHERE newer.subject = this.subject
                    ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
                [TRANSITIONS - 1],
            )?;
            // What has a lease is undone, or deleted, at its end.
            transaction.execute(
                "DELETE FROM applied_remedies WHERE until_ms IS NULL
                   AND incident NOT IN (SELECT id FROM incidents)",
                [],
            )?;
            Ok(())
        })?;
        if let Some(max_age) = retention.max_age {
            let before = now.saturating_sub(max_age);
            self.write_ahead(doing, |transaction| {
                transaction.execute(
                    "DELETE FROM health_transitions AS this WHERE at_ms < ?1 AND seq <>
                       (SELECT max(seq) FROM health_transitions AS newest
                        WHERE newest.subject = this.subject)",
                    [to_ms(before)],
                )?;
                transaction.execute("DELETE FROM health WHERE seen_ms < ?1", [to_ms(before)])?;
                transaction.execute(
                    "DELETE FROM expected_work WHERE until_ms < ?1",
                    [to_ms(before)],
                )?;
                transaction.execute(
                    "DELETE FROM error_budgets WHERE seen_ms < ?1",
                    [to_ms(before)],
                )?;
                transaction.execute(
                    "DELETE FROM error_budget_buckets
                     WHERE unit NOT IN (SELECT unit FROM error_budgets)",
                    [],
                )?;
                Ok(())
            })?;
            loop {
                let gone = self.forget(doing, Some(before))?;
                tidied.incidents += gone;
                if gone < u64::from(AT_ONCE) {
                    break;
                }
                thread::sleep(BREATH);
            }
        }
        if let Some(max_size) = retention.max_size {
            while self.read(doing, Pages::of)?.used_bytes() > max_size {
                let gone = self.forget(doing, None)?;
                tidied.incidents += gone;
                if gone == 0 {
                    break;
                }
                thread::sleep(BREATH);
            }
        }
        tidied.given_back = self.give_back()?;
        Ok(tidied)
    }

    /// Forgets the oldest few that may go; answers with how many they were.
    fn forget(&self, doing: &'static str, before: Option<Timestamp>) -> Result<u64, StoreError> {
        // Nothing depends on when this is on the disk.
        self.write_ahead(doing, |transaction| {
            let gone = transaction.execute(
                &format!(
                    "DELETE FROM incidents WHERE seq IN (
                       SELECT seq FROM incidents AS this
                       WHERE at_ms < ?1 AND coalesce(ended_at_ms, at_ms) < ?1 AND {MAY_GO}
                       ORDER BY at_ms, seq LIMIT ?2)"
                ),
                params![before.map_or(i64::MAX, to_ms), AT_ONCE],
            )?;
            Ok(u64::try_from(gone).unwrap_or_default())
        })
    }

    /// Gives free pages at the file's end back to the file system, when there
    /// are many.
    fn give_back(&self) -> Result<u64, StoreError> {
        let doing = "giving free pages back";
        let before = self.read(doing, Pages::of)?;
        let mut now = before;
        if !before.too_many_free() {
            return Ok(0);
        }
        while now.free > FREE_PAGES / 2 {
            self.write_ahead(doing, |transaction| {
                let mut statement = transaction
                    .prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK_AT_ONCE})"))?;
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                Ok(())
            })?;
            let after = self.read(doing, Pages::of)?;
            if after.free >= now.free {
                break;
            }
            now = after;
            thread::sleep(BREATH);
        }
        // The file itself becomes shorter when its log is put into it. With a
        // connection of its own, so that nobody waits for that.
        connection::checkpoint(&self.path)?;
        Ok(before.all.saturating_sub(now.all).saturating_mul(now.size))
    }
}
