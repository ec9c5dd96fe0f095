//! How services are, as it was seen last, and how that has changed.

use prunella_core::{
    Timestamp,
    budget::Moment,
    health::{Health, HealthState, Subject, Transition},
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use crate::{
    Store, StoreError,
    columns::{from_ms, json, moment, to_boot_ms, to_ms},
};

/// How a subject was when it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHealth {
    pub health: Health,
    /// When that was.
    pub moment: Moment,
}

impl Store {
    /// Writes down how subjects are now, and the changes that led there, oldest first. A
    /// killed process does not lose it; onto the disk it comes with the next durable
    /// write.
    pub fn save_health(
        &self,
        seen: &[SeenHealth],
        transitions: &[Transition],
    ) -> Result<(), StoreError> {
        let doing = "writing how services are";
        let healths: Vec<String> = seen
            .iter()
            .map(|seen| self.to_json(doing, &seen.health))
            .collect::<Result<_, _>>()?;
        let symptoms: Vec<Option<String>> = transitions
            .iter()
            .map(|one| one.symptom.as_ref().map(|it| self.to_json(doing, it)))
            .map(Option::transpose)
            .collect::<Result<_, _>>()?;
        self.write_ahead(doing, |transaction| {
            for (seen, health) in seen.iter().zip(&healths) {
                transaction.execute(
                    "INSERT OR REPLACE INTO health
                       (subject, seen_ms, boot_id, since_boot_ms, health)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        seen.health.subject.as_str(),
                        to_ms(seen.moment.at),
                        seen.moment.boot_id,
                        to_boot_ms(seen.moment.since_boot),
                        health
                    ],
                )?;
            }
            for (transition, symptom) in transitions.iter().zip(&symptoms) {
                transaction.execute(
                    "INSERT INTO health_transitions
                       (subject, at_ms, from_state, to_state, evidence, symptom)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        transition.subject.as_str(),
                        to_ms(transition.at),
                        transition.from.as_str(),
                        transition.to.as_str(),
                        transition.evidence,
                        symptom
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// How services and the host were when they were seen last, by name.
    pub fn seen_health(&self) -> Result<Vec<SeenHealth>, StoreError> {
        self.read("reading how services were", |connection| {
            connection
                .prepare(
                    "SELECT health, boot_id, since_boot_ms, seen_ms FROM health ORDER BY subject",
                )?
                .query_map([], |row| {
                    Ok(SeenHealth {
                        health: json(0, &row.get::<_, String>(0)?)?,
                        moment: moment(row, 1)?,
                    })
                })?
                .collect()
        })
    }

    /// How a subject's state has changed since then, newest first, `limit` at most.
    pub fn health_transitions(
        &self,
        subject: &Subject,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Transition>, StoreError> {
        self.read("reading how a service was", |connection| {
            connection
                .prepare(
                    "SELECT subject, at_ms, from_state, to_state, evidence, symptom
                     FROM health_transitions
                     WHERE subject = ?1 AND at_ms >= ?2 ORDER BY seq DESC LIMIT ?3",
                )?
                .query_map(
                    params![subject.as_str(), since.map_or(0, to_ms), limit],
                    transition,
                )?
                .collect()
        })
    }
}

/// The change at one place of their order.
pub(crate) fn transition_at(
    connection: &Connection,
    seq: i64,
) -> rusqlite::Result<Option<Transition>> {
    connection
        .prepare_cached(
            "SELECT subject, at_ms, from_state, to_state, evidence, symptom
             FROM health_transitions WHERE seq = ?1",
        )?
        .query_row([seq], transition)
        .optional()
}

fn transition(row: &Row<'_>) -> rusqlite::Result<Transition> {
    let symptom: Option<String> = row.get(5)?;
    Ok(Transition {
        subject: subject(0, row.get(0)?)?,
        at: from_ms(row.get(1)?),
        from: state(2, &row.get::<_, String>(2)?)?,
        to: state(3, &row.get::<_, String>(3)?)?,
        evidence: row.get(4)?,
        symptom: symptom.map(|text| json(5, &text)).transpose()?,
    })
}

fn subject(column: usize, word: String) -> rusqlite::Result<Subject> {
    Subject::try_from(word).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

fn state(column: usize, word: &str) -> rusqlite::Result<HealthState> {
    HealthState::from_word(word).ok_or_else(|| {
        let why = format!("`{word}` is no state of health");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
    })
}
