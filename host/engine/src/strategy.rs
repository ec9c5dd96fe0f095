//! A strategy that is loaded, and its runs.

use std::sync::Arc;

use prunella_core::{
    Failure, StrategyName,
    incident::{Assessment, Description, Outcome},
    policy::{Act, Grants, Limits},
    text::one_line,
};
use serde::Serialize;
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::{
    Call, Cause, Inspection, LoadError, Run, RunContext, RunError,
    bindings::{Recovery, RecoveryPre, said_failure},
    host_state::HostState,
    inner::Inner,
    link::compare,
    meter::Stop,
};

/// Handles that wasmtime may keep for a run in all: those that the host gives
/// out are on two lists, and a component may have resources of its own.
const HANDLES_OF_ITS_OWN: usize = 1024;

/// The longest function name shown, in characters.
const FUNCTION: usize = 120;

/// Where a strategy's code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Compiled before, and kept.
    Cache,
    /// Compiled just now.
    Compiled,
}

/// A strategy, ready to run. Cheap to clone.
#[derive(Clone)]
pub struct Strategy {
    loaded: Arc<Loaded>,
}

pub(crate) struct Loaded {
    pub(crate) name: StrategyName,
    pub(crate) inspection: Inspection,
    pub(crate) partly_denied: Vec<Act>,
    pub(crate) origin: Origin,
    pub(crate) pre: RecoveryPre<HostState>,
    pub(crate) engine: Arc<Inner>,
}

impl Strategy {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self {
            loaded: Arc::new(loaded),
        }
    }

    /// The operator's name for it.
    pub fn name(&self) -> &StrategyName {
        &self.loaded.name
    }

    /// Of its component, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.loaded.inspection.sha256
    }

    /// What it imports and exports.
    pub fn inspection(&self) -> &Inspection {
        &self.loaded.inspection
    }

    /// Where its code comes from.
    pub fn origin(&self) -> Origin {
        self.loaded.origin
    }

    /// The acts that it imports and was not granted: each call answers
    /// `denied`.
    pub fn partly_denied(&self) -> Vec<Act> {
        self.loaded.partly_denied.clone()
    }

    /// Whether it would load with these grants.
    ///
    /// # Errors
    /// [`LoadError::NotGranted`] when it imports a way of acting of which nothing
    /// is granted.
    pub fn check_grants(&self, grants: &Grants) -> Result<(), LoadError> {
        compare(self.name(), self.inspection(), grants).map(drop)
    }

    /// Who it says it is. It has no host while it does.
    pub fn describe(&self, limits: &Limits) -> Run<Description> {
        let state = HostState::alone(self.name().clone(), limits.clone());
        self.run(Call::Describe, state, |strategy, store| {
            let said = strategy.prunella_strategy_strategy().call_describe(store)?;
            Ok(Ok(said.into()))
        })
    }

    /// What it says of an incident. It may only look.
    pub fn assess(&self, context: RunContext) -> Run<Assessment> {
        let state = HostState::with(self.name().clone(), Call::Assess, context);
        self.run(Call::Assess, state, |strategy, mut store| {
            let incident = store.data_mut().incident()?;
            let said = strategy
                .prunella_strategy_strategy()
                .call_assess(&mut store, incident)?;
            Ok(said.map(Assessment::from).map_err(said_failure))
        })
    }

    /// What it says that it did. Only a claim: proof is the healer's business.
    pub fn heal(&self, context: RunContext) -> Run<Outcome> {
        let state = HostState::with(self.name().clone(), Call::Heal, context);
        self.run(Call::Heal, state, |strategy, mut store| {
            let incident = store.data_mut().incident()?;
            let said = strategy
                .prunella_strategy_strategy()
                .call_heal(&mut store, incident)?;
            Ok(said.map(Outcome::from).map_err(said_failure))
        })
    }

    /// One run, in an instance of its own, on this thread.
    fn run<T>(
        &self,
        call: Call,
        state: HostState,
        invoke: impl FnOnce(&Recovery, &mut Store<HostState>) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Run<T> {
        let limits = state.meter.limits().clone();
        let mut store = Store::new(self.loaded.pre.engine(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.data_per_call);
        store.set_max_component_handles(2 * limits.handles + HANDLES_OF_ITS_OWN);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            let meter = &store.data().meter;
            meter.check_time()?;
            meter.check_cpu()?;
            Ok(UpdateDeadline::Continue(1))
        });
        let ran = match self.loaded.engine.ticker.run() {
            Ok(ticking) => {
                let ran = self
                    .loaded
                    .pre
                    .instantiate(&mut store)
                    .and_then(|strategy| invoke(&strategy, &mut store));
                drop(ticking);
                ran.map_err(|error| cause(&error, &store))
            }
            Err(error) => Err(Cause::Host {
                reason: format!("the thread that watches its limits does not start ({error})"),
            }),
        };
        Run {
            result: ran.map_err(|cause| RunError {
                strategy: self.name().clone(),
                call,
                cause,
            }),
            usage: store.data().meter.usage(),
        }
    }
}

/// Why a run broke off, by the type of the error.
fn cause(error: &wasmtime::Error, store: &Store<HostState>) -> Cause {
    let state = store.data();
    let limits = state.meter.limits();
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match *stop {
            Stop::Deadline => Cause::Deadline {
                limit: limits.deadline,
            },
            Stop::Cpu => Cause::CpuLimit { limit: limits.cpu },
            Stop::Memory { wanted } => Cause::MemoryLimit {
                limit: limits.memory,
                wanted,
            },
            Stop::HostCalls => Cause::HostCallQuota {
                limit: limits.host_calls,
            },
            Stop::Handles => Cause::HandleQuota {
                limit: limits.handles,
            },
        };
    }
    let trace = trace(error);
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::StackOverflow) {
        return Cause::StackOverflow { trace };
    }
    // A guest that panics says so, and then traps.
    if let (Some(note), Some(Trap::UnreachableCodeReached)) = (&state.panic, trap) {
        return Cause::Panic {
            message: note.message.clone(),
            file: note.file.clone(),
            line: note.line,
        };
    }
    if is_out_of_data(error) {
        return Cause::DataLimit {
            limit: limits.data_per_call,
        };
    }
    let what = match trap {
        Some(Trap::UnreachableCodeReached) => {
            "it reached code that must not be reached (a panic or an abort)".to_owned()
        }
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    Cause::Trap {
        what: one_line(&what, 300),
        trace,
    }
}

/// Whether a call passed more data than `set_hostcall_fuel` allows.
///
/// wasmtime 48 keeps the type of this one error to itself, so its words have to
/// do; `tests/hostile` fails when they change. If they ever do in the field, the
/// run still ends just as it does here, only under the name of a trap.
fn is_out_of_data(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<Trap>().is_none()
        && error
            .root_cause()
            .to_string()
            .contains("fuel allocated for hostcalls has been exhausted")
}

/// The guest's functions it happened in, innermost first.
fn trace(error: &wasmtime::Error) -> Vec<String> {
    error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| {
            backtrace
                .frames()
                .iter()
                .filter_map(|frame| {
                    // `#` leaves out the hash that rustc puts at the end.
                    let name = format!("{:#}", rustc_demangle::demangle(frame.func_name()?));
                    Some(format!("`{}`", one_line(&name, FUNCTION)))
                })
                .collect()
        })
        .unwrap_or_default()
}
