//! What disks and GPUs told last: asked on a thread of its own, which a program that hangs
//! holds up and nothing else.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prunella_config::MetricsSettings;
use prunella_core::{
    health::{Metric, Reading},
    situation::Situation as _,
};
use prunella_linux::{
    Linux,
    sampling::{HardwareSampler, can_ask_disks, can_ask_gpus},
};

/// What was told counts for so many intervals.
const FRESH: u32 = 3;

/// How often each is asked; never, when absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HardwareIntervals {
    pub(super) disks: Option<Duration>,
    pub(super) gpus: Option<Duration>,
}

impl HardwareIntervals {
    /// As it is set, of what is installed.
    pub(super) fn of(settings: &MetricsSettings) -> Self {
        Self {
            disks: settings.smart.filter(|_| can_ask_disks()),
            gpus: settings.gpus.filter(|_| can_ask_gpus()),
        }
    }
}

/// What is asked of hardware.
#[derive(Default)]
pub(super) struct Hardware {
    shared: Arc<Shared>,
    is_running: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    intervals: HardwareIntervals,
    disks: Told,
    gpus: Told,
    stop: bool,
}

/// What was told last, and when.
#[derive(Debug, Default)]
struct Told {
    /// The time since boot.
    at: Duration,
    readings: Vec<Reading>,
}

impl Hardware {
    /// How often each is asked from now on. With nothing to ask, nothing runs.
    pub(super) fn declare(&mut self, linux: &Arc<Linux>, intervals: HardwareIntervals) {
        let mut state = self.shared.lock();
        if state.intervals == intervals {
            return;
        }
        state.intervals = intervals;
        self.shared.wake.notify_all();
        if self.is_running {
            return;
        }
        drop(state);
        let (shared, linux) = (Arc::clone(&self.shared), Arc::clone(linux));
        let running = thread::Builder::new()
            .name("hardware".to_owned())
            .stack_size(256 << 10)
            .spawn(move || shared.run(&linux));
        match running {
            Ok(_) => self.is_running = true,
            Err(error) => tracing::warn!("disks and GPUs are not asked how they are: {error}"),
        }
    }

    /// What is known of disks and GPUs, after what `readings` has.
    pub(super) fn sample(&self, now: Duration, readings: &mut Vec<Reading>) {
        let state = self.shared.lock();
        let each = [
            (&state.disks, state.intervals.disks),
            (&state.gpus, state.intervals.gpus),
        ];
        for (told, interval) in each {
            let fresh = interval.unwrap_or_default() * FRESH;
            if now.saturating_sub(told.at) <= fresh {
                readings.extend(told.readings.iter().cloned());
            }
        }
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, linux: &Linux) {
        let mut hardware: HardwareSampler = linux.hardware_sampler();
        let (mut disks, mut gpus) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let state = self.lock();
            if state.stop {
                return;
            }
            let intervals = state.intervals;
            if let Some(interval) = intervals.disks.filter(|_| disks <= now) {
                drop(state);
                let found = hardware.disks();
                let mut state = self.lock();
                state.disks.hear(linux.since_boot(), found);
                disks = now + interval;
                continue;
            }
            if let Some(interval) = intervals.gpus.filter(|_| gpus <= now) {
                drop(state);
                let found = hardware.gpus();
                let mut state = self.lock();
                state.gpus.hear(linux.since_boot(), found);
                gpus = now + interval;
                continue;
            }
            let next = [intervals.disks.map(|_| disks), intervals.gpus.map(|_| gpus)];
            match next.into_iter().flatten().min() {
                Some(next) => {
                    let left = next.saturating_duration_since(now);
                    let waited = self.wake.wait_timeout(state, left);
                    drop(waited);
                }
                None => {
                    let waited = self.wake.wait(state);
                    drop(waited);
                }
            }
            // A shorter interval holds at once.
            let now = Instant::now();
            let state = self.lock();
            disks = disks.min(now + state.intervals.disks.unwrap_or_default());
            gpus = gpus.min(now + state.intervals.gpus.unwrap_or_default());
        }
    }
}

impl Told {
    /// What was not told this time is as it was, for a while.
    fn hear(&mut self, now: Duration, found: Vec<Reading>) {
        if found.is_empty() {
            return;
        }
        let is_old = |known: &Reading| {
            !found
                .iter()
                .any(|new| (new.metric, &new.instance) == (known.metric, &known.instance))
        };
        // A disk that sleeps keeps its verdict; a GPU that does not answer has no values.
        self.readings
            .retain(|known| known.metric == Metric::DiskFailing && is_old(known));
        self.at = now;
        self.readings.extend(found);
    }
}
