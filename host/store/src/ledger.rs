//! The healing ledger: how much healing was spent, remembered wherever it can
//! be.
//!
//! | what works | where a healing is kept | what survives |
//! |---|---|---|
//! | store and `/run` | both | restarts and reboots |
//! | only `/run/prunella/healings.jsonl` | there | restarts, also of other processes |
//! | neither | in this process | nothing: [`Ledger::degraded`], one healing for a service, then escalation |
//!
//! A healing is written to both places every time, so that the store failing in
//! the middle of a storm does not free the budget. Ages are computed by
//! [`prunella_core::budget::age`], which explains what a step of the clock
//! does.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prunella_core::{
    UnitName,
    budget::{self, BudgetVerdict, HostBudget, Moment},
    service::BudgetSettings,
};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, error::chain, healings::Healing, lock};

/// The file under `/run/prunella`.
const FILE: &str = "healings.jsonl";

/// Beyond this the file is rewritten with its newest half.
const FILE_MAX: u64 = 256 << 10;

/// How many healings are looked at. More never fit into a span: the storm brake
/// of the host ends a run of them long before.
const LOOKED_AT: u16 = 1_000;

/// The most healings kept in memory.
const REMEMBERED: usize = 1_000;

/// Where a healing was noted down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Only in this process; see [`Ledger::degraded`].
    InMemory,
    /// In `/run`, until the next boot.
    UntilReboot,
    /// In the store.
    InStore,
}

/// Why the ledger could not do all it should.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store failed. What could be done in `/run` was done.
    #[error("the healing budget in the store is out of reach")]
    Store(#[from] StoreError),
    /// The file in `/run` failed.
    #[error("{}: {doing} failed", file.display())]
    File {
        file: PathBuf,
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    /// A healing that must be remembered can be remembered nowhere but in this
    /// process, and this service has had the one healing that allows.
    #[error(
        "healings can be noted down neither in the store nor in {}: {unit} gets no further healing",
        run_dir.display()
    )]
    Nowhere {
        unit: UnitName,
        /// Where it was tried last.
        run_dir: PathBuf,
    },
}

/// How much healing was spent. One for each process; share it behind an `Arc`.
#[derive(Debug)]
pub struct Ledger {
    store: Option<Arc<Store>>,
    run_dir: PathBuf,
    /// What this process has noted down; all there is when nothing else works.
    memory: Mutex<Vec<Healing>>,
    /// The first moment of the boot that was noted down, once it is known.
    first_seen: Mutex<Option<Moment>>,
    degraded: AtomicBool,
    /// Held from looking at the budget to spending it.
    spending: Mutex<()>,
    /// What was in the file in `/run` when it was read last.
    in_run: Mutex<InRun>,
}

/// The file in `/run` as it was read last: it only ever grows, but for the rare
/// time when it is shortened.
#[derive(Debug, Default)]
struct InRun {
    text: Vec<u8>,
    healings: Vec<Healing>,
}

impl InRun {
    /// Reads on from where it was left.
    fn go_on(&mut self, text: Vec<u8>) {
        let new = text.strip_prefix(self.text.as_slice());
        if new.is_none() {
            self.healings.clear();
        }
        for line in String::from_utf8_lossy(new.unwrap_or(&text)).lines() {
            match serde_json::from_str(line) {
                Ok(Line::Healing { unit, moment }) => self.healings.push(Healing {
                    unit,
                    moment,
                    forgiven: false,
                }),
                Ok(Line::Forgiven { unit }) => self
                    .healings
                    .iter_mut()
                    .filter(|healing| healing.unit == unit)
                    .for_each(|healing| healing.forgiven = true),
                // It can only have been cut short.
                Err(_) => {}
            }
        }
        self.text = text;
    }
}

/// One line of the file in `/run`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Healing {
        unit: UnitName,
        moment: Moment,
    },
    /// An operator's start: the unit's earlier healings count no more for it.
    Forgiven {
        unit: UnitName,
    },
}

/// What makes two notes the same healing. Milliseconds, as the store keeps
/// them.
type Identity = (UnitName, String, u128);

fn identity(healing: &Healing) -> Identity {
    (
        healing.unit.clone(),
        healing.moment.boot_id.clone(),
        healing.moment.since_boot.as_millis(),
    )
}

impl Ledger {
    /// A ledger over a store (none, when it could not be opened) and the folder
    /// `/run/prunella`, which is created when missing.
    pub fn new(store: Option<Arc<Store>>, run_dir: PathBuf) -> Self {
        Self {
            store,
            run_dir,
            memory: Mutex::new(Vec::new()),
            first_seen: Mutex::new(None),
            degraded: AtomicBool::new(false),
            spending: Mutex::new(()),
            in_run: Mutex::default(),
        }
    }

    /// Whether the last healing could be noted down nowhere but in this
    /// process. Then a service gets one healing; see
    /// [`allowance`](Self::allowance).
    pub fn degraded(&self) -> bool {
        self.degraded.load(Ordering::Acquire)
    }

    /// `settings`, or while [`degraded`](Self::degraded) what is left of them:
    /// one healing, and none after it for as long as this process lives.
    pub fn allowance(&self, settings: &BudgetSettings) -> BudgetSettings {
        if self.degraded() {
            BudgetSettings {
                healings: settings.healings.min(1),
                window: Duration::MAX,
                backoff: settings.backoff.clone(),
            }
        } else {
            settings.clone()
        }
    }

    /// Notes down a healing, *before* it is carried out. Answers where; an
    /// error only when it must not be carried out.
    pub fn record(&self, unit: &UnitName, now: &Moment) -> Result<Kept, LedgerError> {
        // So that a later boot finds when this one began.
        self.first_seen(now);
        let healing = Healing {
            unit: unit.clone(),
            moment: now.clone(),
            forgiven: false,
        };
        let in_store = match &self.store {
            None => false,
            Some(store) => match store.insert_healing(unit, now) {
                Ok(()) => true,
                Err(error) => {
                    // The store has told of its trouble itself, once.
                    tracing::debug!(%unit, error = %chain(&error), "a healing is not in the store");
                    false
                }
            },
        };
        let in_run = match self.append(&Line::Healing {
            unit: unit.clone(),
            moment: now.clone(),
        }) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%unit, error = %chain(&error), "a healing is not in /run");
                false
            }
        };
        let nowhere = !in_store && !in_run;
        let had_one = self.remember(healing);
        self.degraded.store(nowhere, Ordering::Release);
        if nowhere && had_one {
            return Err(LedgerError::Nowhere {
                unit: unit.clone(),
                run_dir: self.run_dir.clone(),
            });
        }
        Ok(match (in_store, in_run) {
            (true, _) => Kept::InStore,
            (false, true) => Kept::UntilReboot,
            (false, false) => Kept::InMemory,
        })
    }

    /// Whether this process knew of a healing of the same unit.
    fn remember(&self, healing: Healing) -> bool {
        let mut memory = lock(&self.memory);
        let had_one = memory
            .iter()
            .any(|known| known.unit == healing.unit && !known.forgiven);
        if memory.len() >= REMEMBERED {
            memory.remove(0);
        }
        memory.push(healing);
        had_one
    }

    /// How long ago the healings of `unit` were, youngest first, as far as they
    /// are younger than `window`.
    pub fn healings(&self, unit: &UnitName, now: &Moment, window: Duration) -> Vec<Duration> {
        let known = self.known(Some(unit));
        // What an operator forgave counts no more for the unit itself.
        let counting = known.values().filter(|healing| !healing.forgiven);
        self.ages(counting, now, window)
    }

    /// How long ago the healings of all units were, youngest first, as far as
    /// they are younger than `window`.
    pub fn host_healings(&self, now: &Moment, window: Duration) -> Vec<Duration> {
        self.ages(self.known(None).values(), now, window)
    }

    /// When `unit` may be healed next, by its own budget and the host's.
    /// `since_failure` as in [`budget::verdict`]. Spends nothing.
    pub fn verdict(
        &self,
        unit: &UnitName,
        now: &Moment,
        settings: &BudgetSettings,
        host: &HostBudget,
        since_failure: Duration,
    ) -> BudgetVerdict {
        let settings = self.allowance(settings);
        let known = self.known(None);
        let all = self.ages(known.values(), now, host.window);
        // A unit's own may be further back than what was looked at of all.
        let own = if known.len() < usize::from(LOOKED_AT) {
            let own = known.values().filter(|healing| healing.unit == *unit);
            self.ages(
                own.filter(|healing| !healing.forgiven),
                now,
                settings.window,
            )
        } else {
            self.healings(unit, now, settings.window)
        };
        budget::verdict(&settings, &own, since_failure).and(budget::host_verdict(host, &all))
    }

    /// [`verdict`](Self::verdict), and when that is [`BudgetVerdict::Now`], notes the
    /// healing down: nothing else in this process can spend in between.
    pub fn spend(
        &self,
        unit: &UnitName,
        now: &Moment,
        settings: &BudgetSettings,
        host: &HostBudget,
        since_failure: Duration,
    ) -> Result<BudgetVerdict, LedgerError> {
        let _spending = lock(&self.spending);
        let verdict = self.verdict(unit, now, settings, host, since_failure);
        if verdict == BudgetVerdict::Now {
            self.record(unit, now)?;
        }
        Ok(verdict)
    }

    /// Gives a unit a new budget: an operator has started it. Its healings
    /// still count for the host.
    pub fn reset(&self, unit: &UnitName) -> Result<(), LedgerError> {
        for healing in lock(&self.memory).iter_mut() {
            if healing.unit == *unit {
                healing.forgiven = true;
            }
        }
        let in_run = self.append(&Line::Forgiven { unit: unit.clone() });
        if let Some(store) = &self.store {
            store.forgive_healings(unit)?;
        }
        in_run
    }

    fn ages<'h>(
        &self,
        healings: impl Iterator<Item = &'h Healing>,
        now: &Moment,
        window: Duration,
    ) -> Vec<Duration> {
        let first_seen = self.first_seen(now);
        let mut ages: Vec<Duration> = healings
            .map(|healing| budget::age(&healing.moment, now, &first_seen))
            .filter(|age| *age < window)
            .collect();
        ages.sort_unstable();
        ages
    }

    /// All that is known, from wherever it is known; forgiven where any of the
    /// places says so.
    fn known(&self, unit: Option<&UnitName>) -> BTreeMap<Identity, Healing> {
        let in_store = self.store.as_ref().and_then(|store| {
            store
                .healings(unit, LOOKED_AT.into())
                .inspect_err(|error| {
                    tracing::debug!(error = %chain(error), "the healings in the store are out of reach");
                })
                .ok()
        });
        let in_run = self
            .read()
            .inspect_err(|error| {
                tracing::warn!(error = %chain(error), "the healings in /run are out of reach");
            })
            .unwrap_or_default();
        let in_memory = lock(&self.memory).clone();
        let mut known: BTreeMap<Identity, Healing> = BTreeMap::new();
        for healing in in_store
            .unwrap_or_default()
            .into_iter()
            .chain(in_run)
            .chain(in_memory)
        {
            if unit.is_some_and(|unit| *unit != healing.unit) {
                continue;
            }
            known
                .entry(identity(&healing))
                .and_modify(|known| known.forgiven |= healing.forgiven)
                .or_insert(healing);
        }
        known
    }

    /// The first moment of this boot that was noted down; `now`, when the store
    /// cannot tell, which holds on to the healings of earlier boots longer.
    fn first_seen(&self, now: &Moment) -> Moment {
        let mut first_seen = lock(&self.first_seen);
        if let Some(known) = first_seen.as_ref().filter(|m| m.boot_id == now.boot_id) {
            return known.clone();
        }
        let found = self
            .store
            .as_ref()
            .and_then(|store| store.first_seen(now).ok())
            .unwrap_or_else(|| now.clone());
        *first_seen = Some(found.clone());
        found
    }

    fn file(&self) -> PathBuf {
        self.run_dir.join(FILE)
    }

    fn append(&self, line: &Line) -> Result<(), LedgerError> {
        let path = self.file();
        let failed = |doing| {
            let file = path.clone();
            move |source: io::Error| LedgerError::File {
                file,
                doing,
                source,
            }
        };
        if !self.run_dir.is_dir() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.run_dir)
                .map_err(failed("creating its folder"))?;
        }
        let mut file = open_locked(&path, true).map_err(failed("opening it"))?;
        let mut text =
            serde_json::to_string(line).map_err(|error| failed("writing a line")(error.into()))?;
        text.push('\n');
        shorten(&mut file).map_err(failed("shortening it"))?;
        file.seek(SeekFrom::End(0))
            .and_then(|end| {
                file.write_all(text.as_bytes()).inspect_err(|_| {
                    // Half a line would swallow the next one.
                    let _ = file.set_len(end);
                })
            })
            .map_err(failed("writing a line"))
    }

    /// The healings in the file, with those forgiven marked so.
    fn read(&self) -> Result<Vec<Healing>, LedgerError> {
        let path = self.file();
        let failed = |source| LedgerError::File {
            file: path.clone(),
            doing: "reading it",
            source,
        };
        let mut file = match open_locked(&path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut text = Vec::new();
        // A limit, since a file in /run might be anything.
        Read::by_ref(&mut file)
            .take(2 * FILE_MAX)
            .read_to_end(&mut text)
            .map_err(failed)?;
        let mut in_run = lock(&self.in_run);
        in_run.go_on(text);
        Ok(in_run.healings.clone())
    }
}

/// The file, locked until it is dropped: alone for writing, shared for reading.
fn open_locked(path: &Path, write: bool) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(write)
        .create(write)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let operation = if write {
        rustix::fs::FlockOperation::LockExclusive
    } else {
        rustix::fs::FlockOperation::LockShared
    };
    rustix::fs::flock(&file, operation)?;
    Ok(file)
}

/// Keeps the newest half of a file that has grown too long.
fn shorten(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length <= FILE_MAX {
        return Ok(());
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(FILE_MAX / 2)))?;
    file.read_to_end(&mut tail)?;
    // From the first whole line on.
    let start = tail
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(tail.len(), |newline| newline + 1);
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(tail.get(start..).unwrap_or_default())
}
