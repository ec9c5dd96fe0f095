//! What was measured, in a file of its own: whatever becomes of it, incidents and healing are
//! not touched.
//!
//! | tier | a value each | for |
//! |---|---|---|
//! | recent | interval of the sampler | an hour |
//! | minutes | minute | 7 days |
//! | quarters | 15 minutes | 13 months |
//!
//! There is one write a minute: the minute that is over, as one block of all series. With the
//! first of an hour, the hour before becomes one row for each series, and with the first of a
//! day the day before does. A damaged file is begun anew.

mod condense;
mod history;
mod replay;
mod schema;
mod write;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use prunella_core::{
    Timestamp,
    health::{Metric, Quantity, Series, Subject},
};
use prunella_metrics::block::Block;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use self::{
    condense::condense,
    write::{forget, write},
};
pub use self::{
    history::{SeriesHistory, trend_of},
    replay::{SeriesSteps, Step},
};
use crate::{StoreError, connect::connect, file};

const MINUTE_MS: u64 = 60_000;
const MINUTES_IN_HOUR: u32 = 60;
const HOURS_IN_DAY: u32 = 24;

/// So many minutes are kept as they were measured: an hour, and what is not in a row yet.
const RECENT_MINUTES: u32 = 2 * MINUTES_IN_HOUR;

/// 7 days.
const KEPT_HOURS: u32 = 7 * HOURS_IN_DAY;

/// 13 months.
const KEPT_DAYS: u32 = 396;

/// A block larger than this is none of ours.
const LARGEST_BLOCK: usize = 64 << 20;

/// The values of one minute.
#[derive(Debug, Clone)]
pub struct Minute<'a> {
    /// Which, since 1970.
    pub number: u32,
    /// How far the slots are apart.
    pub interval: Duration,
    /// One for each interval of a minute.
    pub slots: usize,
    /// All that was measured in it.
    pub values: Vec<Measured<'a>>,
}

/// What was measured of one series in a minute.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    pub subject: &'a Subject,
    pub metric: Metric,
    pub instance: Option<&'a str>,
    /// Its values, by their slots.
    pub values: &'a [Option<u64>],
}

impl<'a> Measured<'a> {
    /// Of a series that has these values.
    pub fn of(series: &'a Series, values: &'a [Option<u64>]) -> Self {
        Self {
            subject: &series.subject,
            metric: series.metric,
            instance: series.instance.as_deref(),
            values,
        }
    }
}

/// The numbers that series have in the file, by their subjects.
#[derive(Debug, Default)]
struct Numbers(HashMap<Subject, Vec<Numbered>>);

/// The number of a series.
#[derive(Debug)]
struct Numbered {
    metric: Metric,
    instance: Option<Box<str>>,
    number: u32,
}

impl Numbers {
    fn get(&self, series: &Measured<'_>) -> Option<u32> {
        let all = self.0.get(series.subject)?;
        let is_it = |known: &&Numbered| {
            known.metric == series.metric && known.instance.as_deref() == series.instance
        };
        Some(all.iter().find(is_it)?.number)
    }

    fn set(&mut self, series: &Measured<'_>, number: u32) {
        let numbered = Numbered {
            metric: series.metric,
            instance: series.instance.map(Box::from),
            number,
        };
        match self.0.get_mut(series.subject) {
            Some(all) => {
                // They are few, and there are many subjects.
                all.reserve_exact(1);
                all.push(numbered);
            }
            None => {
                self.0.insert(series.subject.clone(), vec![numbered]);
            }
        }
    }
}

/// The latest value of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    pub series: Series,
    pub at: Timestamp,
    pub value: u64,
}

/// The samples that are kept.
#[derive(Debug)]
pub struct SampleStore {
    path: PathBuf,
    connection: Connection,
    /// What is known to have a number.
    numbers: Numbers,
}

impl SampleStore {
    /// Opens the file, made where it is missing, and begun anew where it is damaged.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match Self::open_as_it_is(path) {
            Err(error) if error.is_damage() => Self::begin_anew(path, &error),
            opened => opened,
        }
    }

    /// Begins a new file in the place of one that is open nowhere, and whose damage `error`
    /// has shown.
    ///
    /// # Errors
    /// When the file cannot be removed, made or opened.
    pub fn begin_anew(path: &Path, error: &StoreError) -> Result<Self, StoreError> {
        tracing::warn!("what was measured is lost, and begun anew: {error}");
        file::remove(path)?;
        Self::open_as_it_is(path)
    }

    fn open_as_it_is(path: &Path) -> Result<Self, StoreError> {
        let path = file::prepare(path)?;
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let failed = |error| StoreError::from_sqlite(&path, "opening it", error);
        schema::set_up(&connection).map_err(failed)?;
        Ok(Self {
            path,
            connection,
            numbers: Numbers::default(),
        })
    }

    /// Opens it only to read it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where nothing was ever kept.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let path = file::resolve(path)?;
        if !path.exists() {
            return Err(StoreError::Missing { file: path });
        }
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let failed = |error| StoreError::from_sqlite(&path, "opening it", error);
        if !schema::is_there(&connection).map_err(failed)? {
            return Err(StoreError::Missing { file: path });
        }
        Ok(Self {
            path,
            connection,
            numbers: Numbers::default(),
        })
    }

    /// Writes a minute that is over, and all that follows from it: rows of an hour and a day
    /// that are over, and the end of what is too old or too much. What is there already of
    /// this minute stays, where the new one has nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, minute: &Minute<'_>, max_size: u64) -> Result<(), StoreError> {
        let doing = "writing what was measured";
        let failed = |error| StoreError::from_sqlite(&self.path, doing, error);
        let transaction = self.connection.transaction().map_err(failed)?;
        write(&transaction, &mut self.numbers, minute)
            .and_then(|()| condense(&transaction, minute.number))
            .and_then(|()| forget(&transaction, minute.number, max_size))
            .and_then(|()| transaction.commit())
            .map_err(|error| {
                // Numbers that were given within it are not there.
                self.numbers = Numbers::default();
                StoreError::from_sqlite(&self.path, doing, error)
            })
    }

    /// The latest value of each series, of the last minute that was written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn latest(&self) -> Result<Vec<Latest>, StoreError> {
        self.read("reading the latest values", |connection| {
            let row = connection
                .query_row(
                    "SELECT minute, interval_ms, slots, data FROM recent
                     ORDER BY minute DESC LIMIT 1",
                    [],
                    recent,
                )
                .optional()?;
            let Some(row) = row else {
                return Ok(Vec::new());
            };
            let by_number = series_by_number(connection)?;
            Ok(Block::new(&row.data, row.slots)
                .filter_map(|(number, values)| {
                    let series = by_number.get(&number)?.clone();
                    let slot = values.iter().rposition(Option::is_some)?;
                    let value = (*values.get(slot)?)?;
                    Some(Latest {
                        at: row.at(slot),
                        value: shown(series.metric, value),
                        series,
                    })
                })
                .collect())
        })
    }

    fn read<T>(
        &self,
        doing: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        question(&self.connection)
            .map_err(|error| StoreError::from_sqlite(&self.path, doing, error))
    }
}

/// A minute as it was measured.
struct Recent {
    minute: u32,
    interval_ms: u32,
    slots: usize,
    data: Vec<u8>,
}

impl Recent {
    fn at(&self, slot: usize) -> Timestamp {
        Timestamp::from_millis(
            u64::from(self.minute) * MINUTE_MS + slot as u64 * u64::from(self.interval_ms),
        )
    }

    /// The values of the series with this number, if it has any.
    fn values_of(&self, number: u32) -> Option<Vec<Option<u64>>> {
        let (_, values) =
            Block::new(&self.data, self.slots).find(|(series, _)| *series == number)?;
        Some(values)
    }
}

fn recent(row: &rusqlite::Row<'_>) -> rusqlite::Result<Recent> {
    let data: Vec<u8> = row.get(3)?;
    Ok(Recent {
        minute: row.get(0)?,
        interval_ms: row.get(1)?,
        slots: row.get::<_, u32>(2)? as usize,
        data: if data.len() > LARGEST_BLOCK {
            Vec::new()
        } else {
            data
        },
    })
}

/// Bytes are kept as KiB: nobody looks at less, and it saves a byte or two of each value.
const KIB: u32 = 10;

fn is_bytes(metric: Metric) -> bool {
    matches!(
        metric.quantity(),
        Quantity::Bytes | Quantity::BytesPerSecond
    )
}

fn kept(metric: Metric, value: u64) -> u64 {
    if is_bytes(metric) {
        value >> KIB
    } else {
        value
    }
}

fn shown(metric: Metric, value: u64) -> u64 {
    if is_bytes(metric) {
        value.saturating_mul(1 << KIB)
    } else {
        value
    }
}

fn series_by_number(connection: &Connection) -> rusqlite::Result<HashMap<u32, Series>> {
    let mut all = HashMap::new();
    let mut statement =
        connection.prepare("SELECT number, subject, metric, instance FROM series")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let subject = Subject::try_from(row.get::<_, String>(1)?);
        let metric = Metric::from_word(&row.get::<_, String>(2)?);
        let instance: String = row.get(3)?;
        // What another version has measured is not known to this one.
        if let (Ok(subject), Some(metric)) = (subject, metric) {
            let series = Series {
                subject,
                metric,
                instance: (!instance.is_empty()).then_some(instance),
            };
            all.insert(row.get(0)?, series);
        }
    }
    Ok(all)
}
