//! The clock that interrupts guest code: one thread for each engine, which
//! sleeps without a timer while nothing runs.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use wasmtime::EngineWeak;

/// How often guest code is looked after. What it may overrun its limits by.
const PERIOD: Duration = Duration::from_millis(10);

#[derive(Default)]
struct State {
    /// Runs in progress.
    running: usize,
    /// Whether the thread is there.
    started: bool,
    /// Whether it waits without a timer. Only then a new run has to wake it:
    /// many short runs in a row cost no wake-up each.
    parked: bool,
    /// Whether it is to end.
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    /// The state. It is only counters: a panic elsewhere cannot have left it
    /// half-changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ticks while a run is active.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    engine: EngineWeak,
}

impl Ticker {
    pub(crate) fn new(engine: EngineWeak) -> Self {
        Self {
            shared: Arc::default(),
            engine,
        }
    }

    /// Ticks until the guard is dropped. The thread is started by the first
    /// run.
    pub(crate) fn run(&self) -> std::io::Result<Running> {
        let mut state = self.shared.lock();
        if !state.started {
            let shared = Arc::clone(&self.shared);
            let engine = self.engine.clone();
            thread::Builder::new()
                .name("prunella-tick".to_owned())
                .stack_size(128 << 10)
                .spawn(move || tick(&shared, &engine))?;
            state.started = true;
        }
        state.running += 1;
        if state.parked {
            self.shared.wake.notify_one();
        }
        Ok(Running(Arc::clone(&self.shared)))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

/// A run in progress.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = state.running.saturating_sub(1);
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    let mut state = shared.lock();
    while !state.closed {
        if state.running == 0 {
            state.parked = true;
            state = shared
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.parked = false;
            continue;
        }
        let (next, _) = shared
            .wake
            .wait_timeout(state, PERIOD)
            .unwrap_or_else(PoisonError::into_inner);
        state = next;
        if let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs that end and begin again share one thread, which outlives none of
    /// them and ends with the ticker.
    #[test]
    fn one_thread_for_all_runs() {
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::new(engine.weak());
        for _ in 0..3 {
            let one = ticker.run().unwrap();
            let two = ticker.run().unwrap();
            assert_eq!(ticker.shared.lock().running, 2);
            drop((one, two));
            assert_eq!(ticker.shared.lock().running, 0);
        }
        let shared = Arc::clone(&ticker.shared);
        drop(ticker);
        assert!(shared.lock().closed);
    }
}
