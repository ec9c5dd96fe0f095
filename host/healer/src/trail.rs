//! Writes the trail of one incident: to the store, to the journal, to the state
//! file, and to whoever watches.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prunella_core::{
    Failure, StrategyName, UnitName,
    achievement::{Signature, tries},
    alert::Alert,
    incident::{DetectedBy, Ending, Incident, IncidentId},
    policy::Act,
    service::Service,
    situation::Situation,
    trail::{Entry, Step},
};
use prunella_store::{AttemptEnd, LastSteps, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::healer::{Observer, wall_clock};

/// How far an incident has got, for whoever looks into `/run/prunella/state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// The service.
    pub unit: UnitName,
    /// Its incident.
    pub incident: IncidentId,
    /// `open`, or the word of its ending.
    pub state: String,
    /// The newest step's word, such as `assessed` or `act-intended`.
    pub step: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// The trail of one incident. Cheap steps are gathered; a step on which
/// something depends is on the disk, with all before it, when
/// [`write`](Self::write) returns.
///
/// The intention of an act is committed before the act: every process sees it,
/// and our being killed does not lose it. That of an act whose effect lasts is on
/// the disk, too. A unit that is started or stopped goes with the power: its
/// intention, and the healing that was spent on it, come onto the disk while
/// systemd is at work ([`sync`](Self::sync)), and do not keep the service down
/// for as long as the disk needs.
pub(crate) struct Trail {
    incident: Incident,
    rehearsal: bool,
    store: Option<Arc<Store>>,
    situation: Arc<dyn Situation>,
    state_folder: PathBuf,
    observer: Arc<dyn Observer>,
    interrupted: bool,
    /// The failed run's last lines, when an earlier attempt has kept them.
    earlier_lines: Vec<String>,
    /// Whether an earlier attempt has left the unit cleared and not started.
    earlier_cleared: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    steps: Vec<Entry>,
    /// How many of them the store has.
    stored: usize,
    next_action: u32,
    attempt: u32,
    /// Numbers already in the store, from attempts before.
    offset: u32,
    /// Whether everything is in the store, or in good hands.
    ended: bool,
    /// A step that only the store was told of so far.
    untold: Option<(Entry, Care)>,
}

impl Trail {
    /// For an incident whose earlier attempts left `earlier` steps.
    pub(crate) fn new(
        incident: Incident,
        earlier: &[Entry],
        rehearsal: bool,
        store: Option<Arc<Store>>,
        situation: Arc<dyn Situation>,
        run_folder: &Path,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let next_action = earlier
            .iter()
            .filter_map(|entry| match entry.step {
                Step::ActIntended { action, .. } => Some(action + 1),
                _ => None,
            })
            .max()
            .unwrap_or(1);
        let offset = earlier
            .iter()
            .map(|entry| entry.number + 1)
            .max()
            .unwrap_or(0);
        Self {
            inner: Mutex::new(Inner {
                steps: Vec::new(),
                stored: 0,
                next_action,
                attempt: incident.attempt,
                offset,
                ended: false,
                untold: None,
            }),
            earlier_lines: lines(earlier),
            earlier_cleared: cleared(false, earlier, &incident.detection.unit),
            incident,
            rehearsal,
            // A rehearsal changes nothing, the store's record of what really
            // happened least of all.
            store: store.filter(|_| !rehearsal),
            situation,
            state_folder: run_folder.join("state"),
            observer,
            interrupted: next_action > 1 && earlier.last().is_some_and(|last| !is_last(&last.step)),
        }
    }

    /// Whether Prunella was killed in an earlier attempt, after it had begun to
    /// act.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether Prunella itself has cleared the unit's failed state, and has not
    /// started it since: a unit that is then inactive has not ended well.
    pub(crate) fn cleared(&self) -> bool {
        let unit = &self.incident.detection.unit;
        cleared(self.earlier_cleared, &self.lock().steps, unit)
    }

    pub(crate) fn incident(&self) -> &Incident {
        &self.incident
    }

    pub(crate) fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    /// Adds a step.
    pub(crate) fn write(&self, step: Step) {
        let care = care(&step);
        let mut inner = self.lock();
        let entry = self.push(&mut inner, step);
        self.flush(&mut inner, care);
        let untold = inner.untold.take();
        if untold.is_none() && is_hurried(&entry.step) {
            inner.untold = Some((entry, care));
            return;
        }
        drop(inner);
        for (entry, care) in untold.into_iter().chain([(entry, care)]) {
            self.tell(&entry, care);
        }
    }

    /// Adds the last step of an attempt. With it, in one write, come what was
    /// tried and, when the incident ends with it, its ending and what people
    /// should hear of it.
    pub(crate) fn end(&self, last: Step, service: Option<&Service>) {
        let care = care(&last);
        let mut inner = self.lock();
        let ending = match &last {
            Step::Ended { ending } => Some(ending.clone()),
            _ => None,
        };
        let entry = self.push(&mut inner, last);
        if let Some(store) = &self.store {
            let alert = ending.as_ref().and_then(|ending| {
                let incident = Incident {
                    attempt: inner.attempt,
                    ..self.incident.clone()
                };
                Alert::of(&incident, &inner.steps, ending, service, entry.at)
            });
            let tries = tries(&inner.steps);
            let end = AttemptEnd {
                at: entry.at,
                ending,
                alert,
                tries: (!tries.is_empty()).then(|| (self.signature_of(&inner), tries)),
            };
            let pending = inner.steps.get(inner.stored..).unwrap_or_default();
            let ended = store.end_attempt(&self.incident.id, LastSteps::Numbered(pending), &end);
            let ended = match ended {
                // It could not be opened there when it began.
                Err(StoreError::NoSuchIncident(_)) => {
                    store.put(&self.incident, &inner.steps, Some(&end))
                }
                other => other,
            };
            if let Err(error) = ended {
                self.not_stored(&error);
                store.put_later(self.incident.clone(), inner.steps.clone(), Some(end));
            }
        }
        inner.ended = true;
        drop(inner);
        self.tell(&entry, care);
    }

    fn push(&self, inner: &mut Inner, step: Step) -> Entry {
        let entry = Entry {
            incident: self.incident.id.clone(),
            number: inner.offset + u32::try_from(inner.steps.len()).unwrap_or(u32::MAX),
            at: wall_clock(),
            monotonic: self.situation.monotonic(),
            attempt: inner.attempt,
            step,
        };
        inner.steps.push(entry.clone());
        entry
    }

    /// Tells everybody but the store.
    fn tell(&self, entry: &Entry, care: Care) {
        to_journal(&self.incident, entry, self.rehearsal);
        if !self.rehearsal && care != Care::Gathered {
            self.write_state(entry);
        }
        self.observer.step(&self.incident, entry);
    }

    /// Which kind of failure it is, as far as the failed run's last lines are
    /// known.
    pub(crate) fn signature(&self) -> Signature {
        self.signature_of(&self.lock())
    }

    fn signature_of(&self, inner: &Inner) -> Signature {
        let now = lines(&inner.steps);
        let lines = if now.is_empty() {
            &self.earlier_lines
        } else {
            &now
        };
        let detection = &self.incident.detection;
        Signature::new(
            detection.unit.clone(),
            detection.cause.clone(),
            lines.iter().map(String::as_str),
        )
    }

    /// Writes the intention of an act, and gives the act its number.
    pub(crate) fn intend(&self, strategy: &StrategyName, act: Act, target: &str) -> u32 {
        let action = {
            let mut inner = self.lock();
            let action = inner.next_action;
            inner.next_action += 1;
            action
        };
        self.write(Step::ActIntended {
            action,
            strategy: strategy.clone(),
            act: act.name().to_owned(),
            target: target.to_owned(),
            rehearsal: self.rehearsal,
        });
        action
    }

    /// Writes how an act ended.
    pub(crate) fn acted(&self, action: u32, result: Result<String, Failure>) {
        self.write(Step::ActEnded { action, result });
    }

    /// Has everything on the disk, and told, that was written so far.
    pub(crate) fn sync(&self) {
        let untold = self.lock().untold.take();
        if let Some((entry, care)) = untold {
            self.tell(&entry, care);
        }
        if let Some(store) = &self.store
            && let Err(error) = store.sync()
        {
            tracing::error!(
                prunella_incident = %self.incident.id,
                "the trail of {} is written, and may not outlive a power cut: {error}",
                self.incident.detection.unit,
            );
        }
    }

    /// How many acts were intended so far.
    pub(crate) fn actions(&self) -> u32 {
        self.lock().next_action
    }

    /// How many starts and restarts were intended in this attempt.
    pub(crate) fn healings(&self) -> usize {
        let healing = |act: &str| Act::ALL.iter().any(|a| a.is_healing() && a.name() == act);
        self.lock()
            .steps
            .iter()
            .filter(|entry| matches!(&entry.step, Step::ActIntended { act, .. } if healing(act)))
            .count()
    }

    /// Which attempt this is.
    pub(crate) fn attempt(&self) -> u32 {
        self.lock().attempt
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be stored stays in memory and in the journal, and is tried
    /// again with the next step: healing does not wait for a broken disk.
    fn flush(&self, inner: &mut Inner, care: Care) {
        let Some(store) = &self.store else { return };
        let pending = inner.steps.get(inner.stored..).unwrap_or_default();
        let written = match care {
            Care::Gathered => return,
            Care::Written => store.append_ahead(pending),
            Care::OnDisk => store.append_all(pending),
        };
        let written = match written {
            // It could not be opened in the store, or that store's file was
            // lost and another one has taken its place.
            Err(StoreError::NoSuchIncident(_)) => store.put(&self.incident, &inner.steps, None),
            other => other,
        };
        match written {
            Ok(()) => inner.stored = inner.steps.len(),
            Err(error) => self.not_stored(&error),
        }
    }

    fn not_stored(&self, error: &StoreError) {
        let unit = &self.incident.detection.unit;
        if error.is_trouble() {
            // The store has told of that itself, once and not for every step.
            tracing::debug!("the trail of {unit} waits for the store: {error}");
        } else {
            tracing::error!(
                prunella_incident = %self.incident.id,
                "the incident store does not take the trail of {unit}: {error}; it is kept in the \
                 journal"
            );
        }
    }

    fn write_state(&self, entry: &Entry) {
        let state = StateFile {
            unit: self.incident.detection.unit.clone(),
            incident: self.incident.id.clone(),
            state: match &entry.step {
                Step::Ended { ending } => ending.word().to_owned(),
                _ => "open".to_owned(),
            },
            step: step_word(&entry.step),
            at: entry.at,
        };
        if let Err(error) = self.replace_state(&state) {
            tracing::warn!(
                "cannot write the state file of {} in {}: {error}",
                state.unit,
                self.state_folder.display()
            );
        }
    }

    fn replace_state(&self, state: &StateFile) -> std::io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.state_folder)?;
        let path = self.state_folder.join(format!("{}.json", state.unit));
        let new = self.state_folder.join(format!(".{}.new", state.unit));
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        let mut text = serde_json::to_vec(state)?;
        text.push(b'\n');
        file.write_all(&text)?;
        fs::rename(new, path)
    }
}

/// An attempt that broke off, or went on to another one, leaves what the store
/// has not taken to the store.
impl Drop for Trail {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &self.store
            && !inner.ended
            && inner.stored < inner.steps.len()
        {
            store.put_later(
                self.incident.clone(),
                std::mem::take(&mut inner.steps),
                None,
            );
        }
    }
}

/// Whether the unit's failed state was cleared in these steps, or `before` them,
/// and no start of it came to a good end after that.
fn cleared(before: bool, steps: &[Entry], unit: &UnitName) -> bool {
    let mut cleared = before;
    let mut starts = Vec::new();
    for entry in steps {
        match &entry.step {
            Step::ActIntended {
                action,
                act,
                target,
                rehearsal: false,
                ..
            } if target == unit.as_str() => {
                if act == Act::ResetFailed.name() {
                    cleared = true;
                } else if Act::ALL.iter().any(|a| a.is_healing() && a.name() == act) {
                    starts.push(*action);
                }
            }
            Step::ActEnded {
                action,
                result: Ok(_),
            } if starts.contains(action) => cleared = false,
            _ => {}
        }
    }
    cleared
}

/// The failed run's last lines among these steps.
fn lines(steps: &[Entry]) -> Vec<String> {
    steps
        .iter()
        .rev()
        .find_map(|entry| match &entry.step {
            Step::Evidence { lines } => Some(lines.clone()),
            Step::Detected { evidence, .. } if !evidence.is_empty() => Some(evidence.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

/// What a step needs before the next is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Nothing: it comes with the next that does.
    Gathered,
    /// Other processes, and the next one if this one is killed, are to see it.
    /// It comes onto the disk with the next that has to be there.
    Written,
    /// To be on the disk: something depends on it, or nothing comes after it
    /// for a while.
    OnDisk,
}

fn care(step: &Step) -> Care {
    match step {
        // An end that a power cut takes along leaves an intention whose outcome
        // is unknown, which is what it then is.
        Step::ActEnded { .. } => Care::Written,
        Step::ActIntended { act, .. } if goes_with_the_power(act) => Care::Written,
        Step::Waits { .. }
        | Step::ActIntended { .. }
        | Step::Answering { .. }
        | Step::Blocked { .. }
        | Step::Ended { .. } => Care::OnDisk,
        _ => Care::Gathered,
    }
}

/// Whether what comes after a step has to come at once: the journal and the
/// state file hear of it afterwards.
fn is_hurried(step: &Step) -> bool {
    matches!(step, Step::ActIntended { act, rehearsal: false, .. } if goes_with_the_power(act))
}

/// Whether an act changes nothing but what systemd has in memory.
fn goes_with_the_power(act: &str) -> bool {
    Act::ALL
        .iter()
        .any(|a| matches!(a, Act::Unit(_) | Act::ResetFailed) && a.name() == act)
}

/// Whether an attempt may have ended with this step, and not been cut off.
fn is_last(step: &Step) -> bool {
    matches!(
        step,
        Step::Ended { .. } | Step::Waits { .. } | Step::Blocked { .. }
    )
}

/// The step's word, as it stands in the store.
fn step_word(step: &Step) -> String {
    serde_json::to_value(step)
        .ok()
        .and_then(|value| Some(value.get("step")?.as_str()?.to_owned()))
        .unwrap_or_default()
}

/// One journal line for a step, with fields. OBJECT_SYSTEMD_UNIT makes it show
/// in `journalctl -u UNIT` beside the unit's own lines (journalctl(1), `-u`).
pub(crate) fn to_journal(incident: &Incident, entry: &Entry, rehearsal: bool) {
    let unit = &incident.detection.unit;
    let id = &incident.id;
    let rehearsed = if rehearsal { "rehearsal: " } else { "" };
    macro_rules! line {
        ($level:ident, $strategy:expr, $action:expr, $($message:tt)+) => {
            tracing::$level!(
                object_systemd_unit = %unit,
                prunella_incident = %id,
                prunella_unit = %unit,
                prunella_strategy = $strategy,
                prunella_action = $action,
                "{unit}: {rehearsed}{}", format_args!($($message)+)
            )
        };
    }
    match &entry.step {
        Step::Detected { detection, .. } if detection.by == DetectedBy::Operator => {
            line!(
                info,
                "",
                "",
                "an operator asks for it to be healed ({}); incident {id}",
                detection.cause
            );
        }
        Step::Detected { detection, .. } => {
            line!(warn, "", "", "failed ({}); incident {id}", detection.cause);
        }
        Step::Evidence { lines } => {
            line!(debug, "", "", "its last {} log lines are kept", lines.len())
        }
        Step::SeenAgain { by } => line!(debug, "", "", "the same failure was seen by {by} too"),
        Step::Waits {
            reason,
            milliseconds,
        } => {
            line!(info, "", "", "waiting up to {milliseconds} ms: {reason}");
        }
        Step::Assessed {
            strategy,
            assessment,
            ..
        } => {
            line!(
                debug,
                strategy.as_str(),
                "",
                "{strategy} says {assessment:?}"
            );
        }
        Step::Broke {
            strategy, message, ..
        } => {
            line!(error, strategy.as_str(), "", "{message}");
        }
        Step::Heals { strategy } => {
            line!(debug, strategy.as_str(), "", "{strategy} begins to heal")
        }
        Step::Said {
            strategy, message, ..
        } => {
            line!(info, strategy.as_str(), "", "{strategy}: {message}");
        }
        Step::ActIntended {
            strategy,
            act,
            target,
            ..
        } => {
            line!(
                info,
                strategy.as_str(),
                act.as_str(),
                "{strategy}: {act} on {target}"
            );
        }
        Step::ActEnded {
            action,
            result: Ok(result),
        } => {
            line!(debug, "", "", "action {action}: {result}");
        }
        Step::ActEnded {
            action,
            result: Err(failure),
        } => {
            line!(warn, "", "", "action {action} failed: {failure}");
        }
        Step::ActDenied {
            strategy,
            act,
            target,
            failure,
        } => {
            line!(
                warn,
                strategy.as_str(),
                act.as_str(),
                "{strategy} was denied {act} on {target}: {failure}"
            );
        }
        Step::SecondOpinion { act, target, said } => match said {
            Ok(said) => line!(
                info,
                "",
                act.as_str(),
                "{} says {} to {act} on {target}: {}",
                said.model,
                said.verdict.word(),
                said.reason
            ),
            Err(why) => line!(info, "", act.as_str(), "no verdict on {act}: {why}"),
        },
        Step::Proposed {
            approval,
            strategy,
            act,
            target,
            ..
        } => line!(
            warn,
            strategy.as_str(),
            act.as_str(),
            "{act} on {target} waits for a person: prunella approve {approval}"
        ),
        Step::Approved {
            act, target, by, ..
        } => line!(info, "", act.as_str(), "{by} agrees to {act} on {target}"),
        Step::Returned {
            strategy, outcome, ..
        } => {
            line!(
                debug,
                strategy.as_str(),
                "",
                "{strategy} returned {outcome:?}"
            );
        }
        Step::Answering { after, .. } => match after {
            Some(after) => line!(
                info,
                "",
                "",
                "well again {} ms after the failure",
                after / 1000
            ),
            None => line!(info, "", "", "well again"),
        },
        Step::Proven { stable_for, .. } => line!(debug, "", "", "stable for {stable_for} ms"),
        Step::NotProven { reason, .. } => line!(warn, "", "", "not healed: {reason}"),
        Step::Blocked { on, reason } => line!(warn, "", "", "waits for {on}: {reason}"),
        Step::Unblocked { on, healthy } => line!(
            info,
            "",
            "",
            "{on} is {}",
            if *healthy {
                "healthy again"
            } else {
                "still not healthy"
            }
        ),
        Step::Diagnosed { findings } => {
            for finding in findings {
                line!(
                    info,
                    "",
                    "",
                    "probably {}: {} ({})",
                    finding.cause.word(),
                    finding.sentence,
                    finding.because
                );
            }
        }
        Step::Advised { model, opinion, .. } => match opinion {
            Ok(opinion) => line!(info, "", "", "{model} thinks: {}", opinion.cause),
            Err(why) => line!(info, "", "", "no opinion of {model}: {why}"),
        },
        Step::Ordered { reason, .. } => line!(info, "", "", "another order: {reason}"),
        Step::Note { message } => line!(info, "", "", "{message}"),
        Step::Ended { ending } => match ending {
            Ending::Healed { strategy, .. } => {
                line!(
                    info,
                    strategy.as_str(),
                    "",
                    "healed by {strategy}; incident {id}"
                );
            }
            Ending::Recovered { by } => line!(info, "", "", "recovered: {by}; incident {id}"),
            Ending::LeftAlone { why, detail } => {
                line!(
                    info,
                    "",
                    "",
                    "left alone: {}; {detail}; incident {id}",
                    why.sentence()
                );
            }
            Ending::Escalated { reason, .. } => {
                line!(
                    error,
                    "",
                    "",
                    "needs people: {reason}; see `prunella incidents {id}`"
                );
            }
            Ending::Blocked { on, reason } => line!(warn, "", "", "waits for {on}: {reason}"),
            Ending::Interrupted { detail } => {
                line!(warn, "", "", "interrupted: {detail}; incident {id}")
            }
            Ending::Rehearsed { verdict } => line!(info, "", "", "{verdict}"),
        },
    }
}
