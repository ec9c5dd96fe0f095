//! Services that systemd restarts again and again, for sweeps: one under `Restart=always`
//! never stays failed, so no hook is told of it.
//!
//! A sweep notes down how often systemd has restarted each service, and compares that with
//! what the sweeps before it have seen. What counts as a loop is what the daemon takes for
//! one.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::ActiveState,
    cause::Cause,
    incident::{DetectedBy, Detection},
    situation::Situation as _,
};
use prunella_watch::{LOOP_RESTARTS, LOOP_WITHIN};
use serde::{Deserialize, Serialize};

use crate::{DaemonError, Paths, assembly::Assembly, explained, files::folder};

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(10);

/// What sweeps saw of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Restarts {
    /// Whether its loop has an incident.
    noticed: bool,
    /// When, since boot, and how often systemd had restarted it by then; the latest last.
    seen: Vec<(Duration, u32)>,
}

impl Restarts {
    /// Takes note of how often systemd has restarted it. True when that is a loop, and was
    /// none before.
    fn note(&mut self, now: Duration, restarts: u32) -> bool {
        self.seen
            .retain(|(at, _)| *at <= now && now.saturating_sub(*at) <= LOOP_WITHIN);
        self.seen.push((now, restarts));
        let new: u64 = self
            .seen
            .iter()
            .zip(self.seen.iter().skip(1))
            // It goes back to 0 by reset-failed, and by a start that is not systemd's own.
            .map(|((_, before), (_, after))| {
                u64::from(after.checked_sub(*before).unwrap_or(*after))
            })
            .sum();
        if new == 0 {
            self.noticed = false;
        }
        let is_loop = usize::try_from(new).unwrap_or(usize::MAX) >= LOOP_RESTARTS;
        let is_new = is_loop && !self.noticed;
        self.noticed |= is_loop;
        is_new
    }
}

/// A detection for every service in care that has been in a loop since the sweeps before.
pub(crate) fn begun(paths: &Paths, assembly: &Assembly) -> Vec<Detection> {
    let file = paths.run.join("restarts");
    let mut before = fs::read_to_string(&file)
        .map(|text| read(&text))
        .unwrap_or_default();
    let now = assembly.linux.since_boot();
    let mut after = BTreeMap::new();
    let mut found = Vec::new();
    for unit in assembly.healer.config().services.keys() {
        let status = match assembly.linux.units().get(Instant::now() + LOOK, unit) {
            Ok(status) => status,
            Err(failure) => {
                tracing::debug!("cannot look at {unit}: {failure}");
                continue;
            }
        };
        let mut restarts = before.remove(unit).unwrap_or_default();
        let is_new = restarts.note(now, status.restarts);
        // What systemd has given up has failed for good, which is a matter of its own.
        let is_down = matches!(
            status.active_state,
            ActiveState::Failed | ActiveState::Inactive
        );
        let goes_on = !(is_down && status.is_settled());
        if is_new && goes_on {
            let by = DetectedBy::Sweep;
            let at = crate::clock::now();
            found.push(Detection::of(&status, by, Cause::RestartLoop, at));
        }
        after.insert(unit.clone(), restarts);
    }
    let kept = folder(&paths.run, 0o755)
        .and_then(|_| fs::write(&file, written(&after)).map_err(DaemonError::file("write", &file)));
    if let Err(error) = kept {
        tracing::warn!("restart loops are not noticed: {}", explained(&error));
    }
    found
}

fn written(all: &BTreeMap<UnitName, Restarts>) -> String {
    // Names and numbers, which JSON always has a form for.
    serde_json::to_string(all).unwrap_or_default()
}

/// Reads what [`written`] wrote; what cannot be read was not seen.
fn read(text: &str) -> BTreeMap<UnitName, Restarts> {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    #[test]
    fn a_loop_is_noticed_once_and_again_when_it_has_been_over() {
        let mut restarts = Restarts::default();
        let noticed: Vec<bool> = [
            (1, 40),
            (2, 41),
            (3, 46),
            (4, 60),
            (12, 60),
            (13, 60),
            (14, 66),
        ]
        .into_iter()
        .map(|(at, number)| restarts.note(minutes(at), number))
        .collect();
        assert_eq!(noticed, [false, false, true, false, false, false, true]);
    }

    #[test]
    fn a_few_restarts_now_and_then_are_no_loop() {
        let mut restarts = Restarts::default();
        let noticed = (0..60).any(|at| restarts.note(minutes(2 * at), u32::try_from(at).unwrap()));
        assert!(!noticed);
    }

    #[test]
    fn a_start_by_a_person_begins_the_count_anew() {
        let mut restarts = Restarts::default();
        assert!(!restarts.note(minutes(1), 30));
        assert!(!restarts.note(minutes(2), 2));
        assert!(restarts.note(minutes(3), 5));
    }

    #[test]
    fn what_was_seen_is_read_again() {
        let all = BTreeMap::from([(
            UnitName::new("web.service").unwrap(),
            Restarts {
                noticed: true,
                seen: vec![(minutes(1), 3), (minutes(2), 9)],
            },
        )]);
        assert_eq!(read(&written(&all)), all);
        assert_eq!(read("nonsense\n"), BTreeMap::new());
    }
}
