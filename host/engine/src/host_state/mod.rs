//! What a strategy's calls come to, in the host's own words.
//!
//! The bindings end here. Each call is counted, each goes to the host with the
//! run's deadline, each list that comes back is capped, and whether looking or
//! acting is in order at all depends on what the strategy was asked to do
//! ([`HostState::ask`]). Whether *this* act on *this* thing is allowed is not
//! decided here but behind [`Host`].

mod base;
pub(crate) mod handles;
mod observe;

use std::sync::Arc;

use prunella_core::{
    Failure, StrategyName, argument,
    capability::{Host, Operation},
    incident::Incident as CoreIncident,
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

/// How a call to the host can end otherwise than well.
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

/// What a call comes to.
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
    pub(crate) dry_run: bool,
    pub(crate) settings: std::collections::BTreeMap<String, String>,
    pub(crate) lines: Arc<dyn Lines>,
}

/// The state of one run: wasmtime's store data.
pub(crate) struct HostState {
    call: Call,
    /// Absent while a strategy describes itself: there is no host then.
    context: Option<Arc<Context>>,
    table: ResourceTable,
    pub(crate) meter: Meter,
    pub(crate) panic: Option<PanicNote>,
}

impl HostState {
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
            dry_run,
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
                dry_run,
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

    /// Begins a call that needs a host.
    fn begin(&mut self) -> Called<Arc<Context>> {
        self.meter.call()?;
        let context = self.context.clone().ok_or_else(argument::not_in_describe)?;
        self.meter.calls_left()?;
        Ok(context)
    }

    /// One call of the host, from the strategy's arguments to the answer: counted,
    /// in order, and within the run's time.
    pub(crate) fn ask<O: Operation>(
        &mut self,
        operation: impl FnOnce() -> Result<O, Failure>,
    ) -> Called<O::Answer> {
        let context = self.begin()?;
        self.ask_in(&context, operation()?)
    }

    /// The same for a call that gives a handle: there has to be room for it first,
    /// for what nobody holds would be there all the same.
    pub(crate) fn ask_for_handle<O: Operation, H: Send + 'static>(
        &mut self,
        operation: impl FnOnce() -> Result<O, Failure>,
        handle: impl FnOnce(O::Answer) -> H,
    ) -> Called<Resource<H>> {
        let context = self.begin()?;
        let operation = operation()?;
        self.meter.room_for_handles(1)?;
        let answer = self.ask_in(&context, operation)?;
        self.give(handle(answer))
    }

    /// The same for a call that gives a list of handles, all of them or none.
    pub(crate) fn ask_for_handles<O, T, H>(
        &mut self,
        operation: impl FnOnce() -> Result<O, Failure>,
        handle: impl Fn(T) -> H,
    ) -> Called<Vec<Resource<H>>>
    where
        O: Operation<Answer = Vec<T>>,
        H: Send + 'static,
    {
        let context = self.begin()?;
        let operation = operation()?;
        self.meter.room_for_handles(1)?;
        let answer = self.ask_in(&context, operation)?;
        self.meter.room_for_handles(answer.len())?;
        answer
            .into_iter()
            .map(|thing| self.give(handle(thing)))
            .collect()
    }

    fn ask_in<O: Operation>(&mut self, context: &Context, mut operation: O) -> Called<O::Answer> {
        argument::in_order(&mut operation, self.call == Call::Heal, &context.service)?;
        let description = operation.description();
        if description.asks_systemd() {
            self.meter.bus_call()?;
        }
        if description.reads_metrics() {
            self.meter.metric_read()?;
        }
        Ok(context.host.ask(self.meter.deadline(), operation)?)
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
