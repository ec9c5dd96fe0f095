//! The run that goes on, on this thread.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, StrategyName, argument,
    capability::{Host, Operation},
    incident::Incident,
    policy::Limits,
    service::Service,
};

/// What a strategy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To look, and say what it thinks.
    Assess,
    /// To do it.
    Heal,
}

/// One `assess` or `heal`.
pub(crate) struct Current {
    pub(crate) strategy: StrategyName,
    pub(crate) host: Host,
    pub(crate) incident: Incident,
    pub(crate) service: Arc<Service>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) dry_run: bool,
    pub(crate) phase: Phase,
    pub(crate) lines: RefCell<Vec<String>>,
}

thread_local! {
    static CURRENT: RefCell<Vec<Option<Rc<Current>>>> = const { RefCell::new(Vec::new()) };
}

/// Ends the run when it is over, however that comes.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(Vec::pop);
    }
}

/// Has `run` reach this host, or, while a strategy describes itself, none.
pub(crate) fn during<T>(current: Option<Rc<Current>>, run: impl FnOnce() -> T) -> T {
    CURRENT.with_borrow_mut(|stack| stack.push(current));
    let _ended = Ended;
    run()
}

/// By when a call has to have returned. The simulated host's time is its own,
/// and it knows by itself when a run has to end.
fn deadline() -> Instant {
    Instant::now() + Limits::default().deadline
}

/// How long a run may take, of the simulated host's time.
pub(crate) fn time_limit() -> Duration {
    Limits::default().deadline
}

impl Current {
    /// The run that goes on; none while a strategy describes itself.
    pub(crate) fn find() -> Option<Rc<Self>> {
        let running = CURRENT.with_borrow(|stack| stack.last().cloned());
        match running {
            Some(current) => current,
            None => panic!(
                "calls of the host work while a strategy is tested: see \
                 `prunella_sdk::testing::Host`"
            ),
        }
    }

    /// The run that goes on; only an incident leads here, and there is none
    /// without a run.
    pub(crate) fn get() -> Rc<Self> {
        match Self::find() {
            Some(current) => current,
            None => panic!("a strategy that describes itself has no incident"),
        }
    }

    /// One call of the host, from the strategy's arguments to the answer; the
    /// engine does the same. A strategy that describes itself has no host.
    pub(crate) fn ask<O: Operation>(
        operation: impl FnOnce(&Self) -> Result<O, Failure>,
    ) -> Result<O::Answer, Failure> {
        let current = Self::find().ok_or_else(argument::not_in_describe)?;
        let mut operation = operation(&current)?;
        argument::in_order(
            &mut operation,
            current.phase == Phase::Heal,
            &current.service,
        )?;
        current.host.ask(deadline(), operation)
    }

    /// What the operator declared for the service.
    pub(crate) fn declared<T>(
        get: impl FnOnce(&Service) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let current = Self::find().ok_or_else(argument::not_in_describe)?;
        get(&current.service)
    }

    pub(crate) fn log(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }
}
