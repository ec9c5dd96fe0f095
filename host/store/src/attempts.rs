//! How attempts end, and what could not be written when it happened.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use prunella_core::{
    Timestamp,
    alert::Alert,
    incident::{Ending, Incident, IncidentId},
    statistics::{Signature, Try},
    trail::Entry,
};
use rusqlite::{Transaction, params};

use crate::{
    Store, StoreError, WriteError,
    cached::Cached as _,
    incidents::{insert_incident, insert_step, next_number, one_row, set_ending, step_error},
    lock,
    outbox::insert_alert,
    statistics,
};

/// So many incidents are remembered while the store does not take them.
const REMEMBERED: usize = 200;

/// The last steps of an attempt, as they come into the store.
#[derive(Debug, Clone, Copy)]
pub enum LastSteps<'a> {
    /// These, under their own numbers.
    Numbered(&'a [Entry]),
    /// This one, under the next free number: by a process that is not at work
    /// on the incident.
    Next(&'a Entry),
}

/// The end of an attempt: all of it is written, or nothing.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    pub at: Timestamp,
    /// How the incident ended; absent when it goes on with another attempt.
    pub ending: Option<Ending>,
    /// What people should hear of it.
    pub alert: Option<Alert>,
    /// What was tried, at which kind of failure.
    pub tries: Option<(Signature, Vec<Try>)>,
}

/// What the store did not take.
#[derive(Debug)]
struct Unwritten {
    incident: Incident,
    steps: Vec<Entry>,
    end: Option<AttemptEnd>,
}

/// What a lasting store is still to write.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    queue: Mutex<VecDeque<Unwritten>>,
    /// Whether somebody writes it just now.
    going: AtomicBool,
}

impl Store {
    /// Ends an attempt: its last steps, how it came out, what was tried, and
    /// what people should hear of it, all or nothing.
    pub fn end_attempt(
        &self,
        id: &IncidentId,
        last: LastSteps<'_>,
        end: &AttemptEnd,
    ) -> Result<(), StoreError> {
        let doing = "writing how an attempt ended";
        let entries = match last {
            LastSteps::Numbered(entries) => entries,
            LastSteps::Next(entry) => std::slice::from_ref(entry),
        };
        let texts = self.steps_to_json(doing, entries)?;
        let written = self.written(doing, end)?;
        self.write(doing, |transaction| {
            for (entry, step) in entries.iter().zip(&texts) {
                let mut entry = entry.clone();
                if matches!(last, LastSteps::Next(_)) {
                    entry.number = next_number(transaction, id)?;
                }
                insert_step(transaction, &entry, step).map_err(|e| step_error(e, &entry))?;
            }
            write_end(transaction, id, end, &written)
        })
    }

    /// Writes whatever of an incident is not there yet: after trouble in which
    /// some of it could not be written, or in which its file was lost.
    pub fn put(
        &self,
        incident: &Incident,
        steps: &[Entry],
        end: Option<&AttemptEnd>,
    ) -> Result<(), StoreError> {
        let doing = "writing an incident";
        let detection = self.to_json(doing, &incident.detection)?;
        let texts = self.steps_to_json(doing, steps)?;
        let end = end
            .map(|end| Ok::<_, StoreError>((end, self.written(doing, end)?)))
            .transpose()?;
        self.write(doing, |transaction| {
            let known: bool = transaction.query_row_cached(
                "SELECT EXISTS (SELECT 1 FROM incidents WHERE id = ?1)",
                [incident.id.as_str()],
                |row| row.get(0),
            )?;
            let ended = end
                .as_ref()
                .and_then(|(end, _)| Some(end.ending.as_ref()?.as_str()));
            if !known && insert_incident(transaction, incident, &detection, ended)? == 0 {
                // Another process has this failure, or the unit, under another id.
                return Ok(());
            }
            for (entry, step) in steps.iter().zip(&texts) {
                let there: bool = transaction.query_row_cached(
                    "SELECT EXISTS (SELECT 1 FROM steps WHERE incident = ?1 AND number = ?2)",
                    params![entry.incident.as_str(), entry.number],
                    |row| row.get(0),
                )?;
                if !there {
                    insert_step(transaction, entry, step).map_err(|e| step_error(e, entry))?;
                }
            }
            match &end {
                Some((end, written)) => write_end(transaction, &incident.id, end, written),
                None => Ok(()),
            }
        })
    }

    /// Remembers what the store did not take, and writes it as soon as the store
    /// works again, for as long as this process lives. For a
    /// [lasting](Store::lasting) store.
    pub fn put_later(&self, incident: Incident, steps: Vec<Entry>, end: Option<AttemptEnd>) {
        let mut backlog = lock(&self.backlog.queue);
        if backlog.len() >= REMEMBERED {
            backlog.pop_front();
        }
        backlog.push_back(Unwritten {
            incident,
            steps,
            end,
        });
    }

    /// Writes what is remembered; stops at the first that is not taken.
    pub(crate) fn catch_up(&self) {
        if self.backlog.going.swap(true, Ordering::AcqRel) {
            return;
        }
        self.write_backlog();
        self.backlog.going.store(false, Ordering::Release);
    }

    fn write_backlog(&self) {
        loop {
            let Some(next) = lock(&self.backlog.queue).pop_front() else {
                return;
            };
            if let Err(error) = self.put(&next.incident, &next.steps, next.end.as_ref()) {
                if error.is_trouble() {
                    lock(&self.backlog.queue).push_front(next);
                } else {
                    tracing::error!(
                        prunella_incident = %next.incident.id,
                        "what happened in incident {} cannot be written: {error}",
                        next.incident.id
                    );
                }
                return;
            }
        }
    }

    pub(crate) fn is_behind(&self) -> bool {
        !lock(&self.backlog.queue).is_empty()
    }

    /// What of an end is kept as JSON.
    fn written(&self, doing: &'static str, end: &AttemptEnd) -> Result<Written, StoreError> {
        Ok(Written {
            ending: match &end.ending {
                Some(ending) => Some(self.to_json(doing, ending)?),
                None => None,
            },
            alert: match &end.alert {
                Some(alert) => Some(self.to_json(doing, alert)?),
                None => None,
            },
        })
    }
}

/// Parts of an end as JSON.
struct Written {
    ending: Option<String>,
    alert: Option<String>,
}

fn write_end(
    transaction: &Transaction<'_>,
    id: &IncidentId,
    end: &AttemptEnd,
    written: &Written,
) -> Result<(), WriteError> {
    if let (Some(ending), Some(text)) = (&end.ending, &written.ending) {
        one_row(set_ending(transaction, id, end.at, ending, text)?, id)?;
    }
    if let (Some(alert), Some(text)) = (&end.alert, &written.alert) {
        insert_alert(transaction, alert, text)?;
    }
    if let Some((signature, tries)) = &end.tries {
        statistics::add(transaction, signature, tries, end.at)?;
    }
    Ok(())
}
