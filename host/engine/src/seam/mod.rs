//! What a strategy's calls come to, in the host's own words.
//!
//! The bindings of every version of the contract end here, so what stands here
//! holds for all of them: each call is counted, each goes to the host with the
//! run's deadline, each list that comes back is capped, and whether looking or
//! acting is in order at all depends on what the strategy was asked to do.
//! Whether *this* act on *this* thing is allowed is not decided here but behind
//! [`Host`].

mod act;
mod base;
pub(crate) mod handles;
mod observe;

use std::sync::Arc;

use prunella_core::{
    Failure, StrategyName, argument, capability::Host, incident::Incident as CoreIncident,
    service::Service,
};
use wasmtime::component::{Resource, ResourceTable};

pub(crate) use self::handles::{File, Holder, Incident, Job, Process, Unit};
use crate::{
    Call, Level, Lines, RunContext,
    meter::{Meter, Stop},
};

/// The longest line or reason that a strategy can give, in characters.
pub(crate) const TEXT: usize = 1000;

/// How a call across the seam can end otherwise than well.
pub(crate) enum Interrupted {
    /// The strategy is told.
    Failed(Failure),
    /// The run is over.
    Ended(wasmtime::Error),
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Stop> for Interrupted {
    fn from(stop: Stop) -> Self {
        Self::Ended(stop.into())
    }
}

impl From<wasmtime::Error> for Interrupted {
    fn from(error: wasmtime::Error) -> Self {
        Self::Ended(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for Interrupted {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Ended(error.into())
    }
}

/// What a call across the seam comes to.
pub(crate) type Called<T> = Result<T, Interrupted>;

/// What a panicking guest said of itself.
pub(crate) struct PanicNote {
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// What an `assess` or `heal` was given.
pub(crate) struct Context {
    pub(crate) host: Host,
    pub(crate) incident: CoreIncident,
    pub(crate) service: Arc<Service>,
    pub(crate) rehearsal: bool,
    pub(crate) settings: std::collections::BTreeMap<String, String>,
    pub(crate) lines: Arc<dyn Lines>,
}

/// The state of one run: wasmtime's store data.
pub(crate) struct Seam {
    call: Call,
    /// Absent while a strategy describes itself: there is no host then.
    context: Option<Arc<Context>>,
    table: ResourceTable,
    pub(crate) meter: Meter,
    pub(crate) panic: Option<PanicNote>,
}

impl Seam {
    /// For `describe`.
    pub(crate) fn alone(strategy: StrategyName, limits: prunella_core::policy::Limits) -> Self {
        Self {
            call: Call::Describe,
            context: None,
            table: ResourceTable::new(),
            meter: Meter::start(strategy, limits),
            panic: None,
        }
    }

    /// For `assess` and `heal`.
    pub(crate) fn with(strategy: StrategyName, call: Call, context: RunContext) -> Self {
        let RunContext {
            host,
            incident,
            service,
            rehearsal,
            limits,
            settings,
            lines,
        } = context;
        Self {
            call,
            context: Some(Arc::new(Context {
                host,
                incident,
                service,
                rehearsal,
                settings,
                lines,
            })),
            table: ResourceTable::new(),
            meter: Meter::start(strategy, limits),
            panic: None,
        }
    }

    /// The handle that `assess` and `heal` borrow. Not counted: the strategy
    /// did not ask for it.
    pub(crate) fn incident(&mut self) -> wasmtime::Result<Resource<Incident>> {
        Ok(self.table.push(Incident)?)
    }

    /// Begins a call that cannot fail: counted, and nothing else.
    pub(crate) fn count(&mut self) -> wasmtime::Result<()> {
        Ok(self.meter.call()?)
    }

    /// Begins a call that looks.
    fn observe(&mut self) -> Called<Arc<Context>> {
        self.meter.call()?;
        let context = self.context.clone().ok_or_else(argument::not_in_describe)?;
        self.meter.calls_left()?;
        Ok(context)
    }

    /// Begins a call that acts.
    fn act(&mut self) -> Called<Arc<Context>> {
        let context = self.observe()?;
        self.may_act()?;
        Ok(context)
    }

    /// Whether this is the time for acting at all.
    fn may_act(&self) -> Result<(), Failure> {
        if self.call == Call::Heal {
            return Ok(());
        }
        Err(argument::not_in_assess())
    }

    /// What the run is about; only a handle, which `describe` has none of,
    /// leads here.
    pub(crate) fn context(&self) -> wasmtime::Result<Arc<Context>> {
        self.context
            .clone()
            .ok_or_else(|| wasmtime::Error::msg("there is no incident"))
    }

    /// Gives out a handle, for which there has to be room.
    fn give<T: Send + 'static>(&mut self, thing: T) -> Called<Resource<T>> {
        self.meter.room_for_handles(1)?;
        let handle = self.table.push(thing)?;
        self.meter.handle_given();
        Ok(handle)
    }

    /// Gives out many handles, or none.
    fn give_all<T: Send + 'static>(&mut self, things: Vec<T>) -> Called<Vec<Resource<T>>> {
        self.meter.room_for_handles(things.len())?;
        things.into_iter().map(|thing| self.give(thing)).collect()
    }

    /// What is behind a handle. wasmtime has checked that the strategy holds
    /// it, and that it is of this type.
    pub(crate) fn at<T: Send + 'static>(&self, handle: &Resource<T>) -> wasmtime::Result<&T> {
        Ok(self.table.get(handle)?)
    }

    /// The strategy let go of a handle.
    pub(crate) fn dropped<T: Send + 'static>(
        &mut self,
        handle: Resource<T>,
    ) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.meter.handle_dropped();
        Ok(())
    }
}

/// One line for the operator.
fn say(context: &Context, level: Level, message: &str) {
    context.lines.line(level, message);
}
