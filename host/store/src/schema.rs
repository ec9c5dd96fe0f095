//! The tables, and how an older store becomes a newer one.
//!
//! A store's version is `PRAGMA user_version`: how many of [`MIGRATIONS`] it
//! has been through. They only go forward and are never edited once released;
//! a change is a new one at the end.

use rusqlite::{Connection, TransactionBehavior};

/// Each brings a store of the version before it (its index) to the next.
pub(crate) const MIGRATIONS: &[&str] = &[
    // 1: the first.
    "
    CREATE TABLE incidents (
        -- The order in which they were opened, whatever the clock said.
        seq             INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        key             TEXT NOT NULL UNIQUE,
        unit            TEXT NOT NULL,
        at_ms           INTEGER NOT NULL,
        cause           TEXT NOT NULL,
        attempt         INTEGER NOT NULL,
        boot_id         TEXT NOT NULL,
        parent          TEXT,
        detection       TEXT NOT NULL,
        -- All of these are NULL while it is open.
        ended_at_ms     INTEGER,
        ended           TEXT,
        ending          TEXT,
        -- What a line of a list shows of the ending.
        why             TEXT,
        left_alone      TEXT,
        strategy        TEXT,
        recovered_after INTEGER,
        retry_at_ms     INTEGER
    ) STRICT;
    CREATE INDEX incidents_by_time ON incidents (at_ms, seq);
    CREATE INDEX incidents_by_unit ON incidents (unit, at_ms, seq);
    CREATE INDEX incidents_by_unit_seq ON incidents (unit, seq);
    CREATE INDEX incidents_by_ending ON incidents (ended, at_ms, seq);
    CREATE INDEX incidents_unfinished ON incidents (seq)
        WHERE ended IS NULL OR ended = 'blocked';
    CREATE INDEX incidents_due ON incidents (retry_at_ms)
        WHERE retry_at_ms IS NOT NULL;
    CREATE INDEX incidents_healed ON incidents (unit, ended_at_ms)
        WHERE ended = 'healed';

    CREATE TABLE steps (
        incident  TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
        number    INTEGER NOT NULL,
        at_ms     INTEGER NOT NULL,
        monotonic INTEGER NOT NULL,
        attempt   INTEGER NOT NULL,
        step      TEXT NOT NULL,
        PRIMARY KEY (incident, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE healings (
        seq           INTEGER PRIMARY KEY,
        unit          TEXT NOT NULL,
        boot_id       TEXT NOT NULL,
        since_boot_ms INTEGER NOT NULL,
        at_ms         INTEGER NOT NULL,
        -- 1 once an operator's start has given the unit a new budget; it still
        -- counts for the host.
        forgiven      INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX healings_by_unit ON healings (unit, seq);

    -- The first moment of each boot that was noted down.
    CREATE TABLE boots (
        boot_id       TEXT PRIMARY KEY,
        since_boot_ms INTEGER NOT NULL,
        at_ms         INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE pauses (
        -- Empty for all units.
        unit      TEXT PRIMARY KEY,
        since_ms  INTEGER NOT NULL,
        until_ms  INTEGER,
        reason    TEXT NOT NULL,
        by_whom   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What each strategy has achieved for each kind of failure.
    CREATE TABLE statistics (
        unit        TEXT NOT NULL,
        cause       TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        strategy    TEXT NOT NULL,
        -- The lines that the fingerprint was made of, for people.
        sample      TEXT NOT NULL,
        tries       INTEGER NOT NULL,
        proofs      INTEGER NOT NULL,
        relapses    INTEGER NOT NULL,
        last_ms     INTEGER NOT NULL,
        PRIMARY KEY (unit, cause, fingerprint, strategy)
    ) STRICT, WITHOUT ROWID;
    ",
    // 2: alerts and the outbox.
    "
    CREATE TABLE alerts (
        -- The order in which they were written.
        seq      INTEGER PRIMARY KEY,
        -- Perhaps of an incident that the store could not take.
        incident TEXT NOT NULL,
        unit     TEXT NOT NULL,
        at_ms    INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        alert    TEXT NOT NULL,
        -- NULL until it has been decided who hears of it: notified, grouped,
        -- repeated or unrouted.
        decision TEXT
    ) STRICT;
    CREATE INDEX alerts_new ON alerts (seq) WHERE decision IS NULL;
    CREATE INDEX alerts_by_unit ON alerts (unit, kind, at_ms);

    CREATE TABLE alert_groups (
        key          TEXT PRIMARY KEY,
        opened_at_ms INTEGER NOT NULL,
        closed_at_ms INTEGER,
        alert_group  TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alert_groups_open ON alert_groups (key) WHERE closed_at_ms IS NULL;

    -- When a digest was sent last: of a unit, or of the host (empty).
    CREATE TABLE digests (
        unit  TEXT PRIMARY KEY,
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- One message for one channel. It is complete: what it tells of may be gone
    -- by the time it is sent.
    CREATE TABLE dispatches (
        seq           INTEGER PRIMARY KEY,
        id            TEXT NOT NULL UNIQUE,
        channel       TEXT NOT NULL,
        alert_group   TEXT NOT NULL,
        state         TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        -- Since when it is being tried: its age begins anew when a person has
        -- it tried again.
        since_ms      INTEGER NOT NULL,
        tries         INTEGER NOT NULL DEFAULT 0,
        tried_at_ms   INTEGER,
        -- NULL when it is not to be tried any more.
        next_at_ms    INTEGER,
        detail        TEXT,
        message       TEXT NOT NULL
    ) STRICT;
    CREATE INDEX dispatches_open ON dispatches (next_at_ms)
        WHERE next_at_ms IS NOT NULL;
    CREATE INDEX dispatches_by_state ON dispatches (state, seq);

    -- Which incidents a dispatch tells of.
    CREATE TABLE dispatch_incidents (
        dispatch TEXT NOT NULL REFERENCES dispatches (id) ON DELETE CASCADE,
        incident TEXT NOT NULL,
        PRIMARY KEY (incident, dispatch)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX dispatch_incidents_by_dispatch ON dispatch_incidents (dispatch);
    ",
    // 3: approvals.
    "
    CREATE TABLE approvals (
        seq           INTEGER PRIMARY KEY,
        id            TEXT NOT NULL UNIQUE,
        incident      TEXT NOT NULL,
        -- All that it is bound to; compared as a whole.
        proposal      TEXT NOT NULL,
        asked_at_ms   INTEGER NOT NULL,
        until_ms      INTEGER NOT NULL,
        state         TEXT NOT NULL,
        by_whom       TEXT,
        reason        TEXT,
        decided_at_ms INTEGER
    ) STRICT;
    CREATE INDEX approvals_by_incident ON approvals (incident);
    CREATE INDEX approvals_by_proposal ON approvals (proposal, seq);
    ",
    // 4: what strategies keep between incidents.
    "
    CREATE TABLE state (
        strategy TEXT NOT NULL,
        unit     TEXT NOT NULL,
        key      TEXT NOT NULL,
        value    TEXT NOT NULL,
        PRIMARY KEY (strategy, unit, key)
    ) STRICT, WITHOUT ROWID;
    ",
    // 5: one open incident for each unit.
    r#"
    UPDATE incidents SET ended = 'interrupted', ended_at_ms = at_ms,
        ending = '{"ended":"interrupted","detail":"another incident was open for the unit"}',
        why = 'another incident was open for the unit'
    WHERE (ended IS NULL OR ended = 'blocked') AND EXISTS (
        SELECT 1 FROM incidents AS newer
        WHERE newer.unit = incidents.unit AND newer.seq > incidents.seq
          AND (newer.ended IS NULL OR newer.ended = 'blocked'));
    CREATE UNIQUE INDEX incidents_one_open ON incidents (unit)
        WHERE ended IS NULL OR ended = 'blocked';
    "#,
    // 6: why an approval is asked for.
    "
    ALTER TABLE approvals ADD COLUMN why TEXT NOT NULL DEFAULT '';
    ",
    // 7: what was told that is no incident.
    "
    CREATE TABLE notices (
        key    TEXT PRIMARY KEY,
        notice TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    ",
    // 8: whether probes were ever answered, and which run somebody kept from its port.
    "
    CREATE TABLE kept_from_port (
        unit       TEXT PRIMARY KEY,
        invocation TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE probes (
        unit     TEXT NOT NULL,
        probe    TEXT NOT NULL,
        -- What it asks: a probe that is declared anew has another past.
        question TEXT NOT NULL,
        -- 0 when people were told that it is asked in vain.
        answered INTEGER NOT NULL,
        PRIMARY KEY (unit, probe)
    ) STRICT, WITHOUT ROWID;
    ",
    // 9: how services are, and were.
    "
    CREATE TABLE health (
        -- A unit, or `host`.
        subject       TEXT PRIMARY KEY,
        -- When that was, by both clocks.
        seen_ms       INTEGER NOT NULL,
        boot_id       TEXT NOT NULL,
        since_boot_ms INTEGER NOT NULL,
        health        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE health_transitions (
        -- The order in which they were, whatever the clock said.
        seq        INTEGER PRIMARY KEY,
        subject    TEXT NOT NULL,
        at_ms      INTEGER NOT NULL,
        from_state TEXT NOT NULL,
        to_state   TEXT NOT NULL,
        evidence   TEXT NOT NULL,
        -- The worst one at that time.
        symptom    TEXT
    ) STRICT;
    CREATE INDEX health_transitions_by_subject ON health_transitions (subject, seq);
    CREATE INDEX health_transitions_by_time ON health_transitions (at_ms);
    ",
    // 10: incidents that are no failures.
    "
    ALTER TABLE incidents ADD COLUMN kind TEXT NOT NULL DEFAULT 'failure';
    CREATE INDEX incidents_by_kind ON incidents (kind, at_ms, seq);
    ",
    // 11: what was used up of error budgets.
    "
    CREATE TABLE error_budgets (
        unit          TEXT PRIMARY KEY,
        -- How long after counting began it was.
        clock_ms      INTEGER NOT NULL,
        -- When that was, by both clocks.
        seen_ms       INTEGER NOT NULL,
        boot_id       TEXT NOT NULL,
        since_boot_ms INTEGER NOT NULL,
        -- Since when each rule holds, in their order; JSON.
        since         TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE error_budget_buckets (
        unit       TEXT NOT NULL,
        -- How long it is.
        span_s     INTEGER NOT NULL,
        -- Which one: so many of its spans after counting began.
        at         INTEGER NOT NULL,
        asked      INTEGER NOT NULL,
        unanswered INTEGER NOT NULL,
        PRIMARY KEY (unit, span_s, at)
    ) STRICT, WITHOUT ROWID;
    ",
    // 12: work that operators expect to strain a service.
    "
    CREATE TABLE expected_work (
        seq      INTEGER PRIMARY KEY,
        unit     TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        reason   TEXT NOT NULL,
        by_whom  TEXT NOT NULL,
        -- The words of metrics, as JSON.
        metrics  TEXT NOT NULL
    ) STRICT;
    CREATE INDEX expected_work_by_unit ON expected_work (unit, until_ms);
    ",
    // 13: what people are asked to see to stays so while it is tried again.
    "
    -- Why people are asked, while they are.
    ALTER TABLE incidents ADD COLUMN people_asked TEXT;
    UPDATE incidents SET people_asked = why WHERE ended = 'escalated';
    ALTER TABLE incidents ADD COLUMN outcome TEXT GENERATED ALWAYS AS (CASE
        WHEN ended IS NOT NULL THEN ended
        WHEN people_asked IS NOT NULL THEN 'escalated'
        ELSE 'open' END) VIRTUAL;
    DROP INDEX incidents_by_ending;
    CREATE INDEX incidents_by_outcome ON incidents (outcome, at_ms, seq);
    ",
    // 14: acts that can be undone.
    "
    CREATE TABLE applied_remedies (
        incident TEXT NOT NULL,
        action   INTEGER NOT NULL,
        -- When it goes back by itself; NULL where it does not.
        until_ms INTEGER,
        applied  TEXT NOT NULL,
        PRIMARY KEY (incident, action)
    ) STRICT, WITHOUT ROWID;
    -- What the act in question would come to, as JSON.
    ALTER TABLE approvals ADD COLUMN plan TEXT;
    CREATE INDEX applied_remedies_due ON applied_remedies (until_ms) WHERE until_ms IS NOT NULL;
    ",
    // 15: which releases services were proven healthy with.
    "
    CREATE TABLE releases (
        unit      TEXT NOT NULL,
        -- The operator's name for the link.
        name      TEXT NOT NULL,
        -- Where it led.
        target    TEXT NOT NULL,
        -- When the service was last proven healthy with it.
        proven_ms INTEGER,
        -- When the service was rolled back from it; NULL once it is proven since.
        left_ms   INTEGER,
        PRIMARY KEY (unit, name, target)
    ) STRICT, WITHOUT ROWID;
    ",
    // 16: keys and sessions of the web door, orders, and the order of all that happens.
    "
    CREATE TABLE api_keys (
        name       TEXT PRIMARY KEY,
        -- SHA-256 of the key, in hexadecimal.
        hash       TEXT NOT NULL UNIQUE,
        role       TEXT NOT NULL,
        unit       TEXT,
        created_ms INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_ms INTEGER,
        used_ms    INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE api_sessions (
        -- SHA-256 of the secret that the cookie has, in hexadecimal.
        hash       TEXT PRIMARY KEY,
        name       TEXT NOT NULL,
        role       TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE audit (
        seq     INTEGER PRIMARY KEY,
        at_ms   INTEGER NOT NULL,
        by_whom TEXT NOT NULL,
        via     TEXT NOT NULL,
        method  TEXT NOT NULL,
        address TEXT NOT NULL,
        status  INTEGER NOT NULL,
        peer    TEXT,
        -- The beginning of what came with it.
        body    TEXT
    ) STRICT;

    -- What happened, by name: what is told of it is read when it is asked for.
    CREATE TABLE events (
        -- Begins at the time at which the store was made, in milliseconds: so it grows over
        -- the loss of a store, too.
        seq     INTEGER PRIMARY KEY,
        kind    TEXT NOT NULL,
        subject TEXT NOT NULL,
        number  INTEGER
    ) STRICT;
    INSERT INTO events (seq, kind, subject)
        VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'began', '');
    CREATE TRIGGER events_kept AFTER INSERT ON events BEGIN
        DELETE FROM events WHERE seq <= NEW.seq - 10000;
    END;
    CREATE TRIGGER event_of_step AFTER INSERT ON steps BEGIN
        INSERT INTO events (kind, subject, number) VALUES ('step', NEW.incident, NEW.number);
    END;
    CREATE TRIGGER event_of_incident AFTER INSERT ON incidents BEGIN
        INSERT INTO events (kind, subject) VALUES ('incident', NEW.id);
    END;
    CREATE TRIGGER event_of_outcome AFTER UPDATE OF ended, people_asked ON incidents
        WHEN NEW.ended IS NOT OLD.ended OR NEW.people_asked IS NOT OLD.people_asked
    BEGIN
        INSERT INTO events (kind, subject) VALUES ('incident', NEW.id);
    END;
    CREATE TRIGGER event_of_health AFTER INSERT ON health_transitions BEGIN
        INSERT INTO events (kind, subject, number) VALUES ('health', NEW.subject, NEW.seq);
    END;
    CREATE TRIGGER event_of_alert AFTER INSERT ON alerts BEGIN
        INSERT INTO events (kind, subject, number) VALUES ('alert', NEW.unit, NEW.seq);
    END;
    CREATE TRIGGER event_of_question AFTER INSERT ON approvals BEGIN
        INSERT INTO events (kind, subject) VALUES ('approval', NEW.id);
    END;
    CREATE TRIGGER event_of_decision AFTER UPDATE OF state ON approvals
        WHEN NEW.state <> OLD.state
    BEGIN
        INSERT INTO events (kind, subject) VALUES ('approval', NEW.id);
    END;
    CREATE TRIGGER event_of_pause AFTER INSERT ON pauses BEGIN
        INSERT INTO events (kind, subject, number) VALUES ('pause', NEW.unit, 1);
    END;
    CREATE TRIGGER event_of_resume AFTER DELETE ON pauses BEGIN
        INSERT INTO events (kind, subject, number) VALUES ('pause', OLD.unit, 0);
    END;
    ",
    // 17: what monitoring counts, and what was sent as traces.
    "
    CREATE TABLE totals (
        total   TEXT NOT NULL,
        -- A unit or a channel; empty where it is of neither.
        subject TEXT NOT NULL,
        label   TEXT NOT NULL,
        number  INTEGER NOT NULL,
        PRIMARY KEY (total, subject, label)
    ) STRICT, WITHOUT ROWID;
    -- When it was sent; NULL before, and once it is opened again.
    ALTER TABLE incidents ADD COLUMN traced_ms INTEGER;
    CREATE INDEX incidents_untraced ON incidents (ended_at_ms)
        WHERE traced_ms IS NULL AND ended_at_ms IS NOT NULL;
    ",
];

/// The version of a store that this program has just written.
pub(crate) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version of an open store; 0 when it is empty.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings the store to the newest version, in one transaction: whoever reads
/// meanwhile finds it as it was, or as it is to be, and nothing in between. The
/// version is read within it, since another process may have been first.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    for (from, migration) in (0_i64..).zip(MIGRATIONS) {
        if from >= found {
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", from + 1)?;
        }
    }
    transaction.commit()
}
