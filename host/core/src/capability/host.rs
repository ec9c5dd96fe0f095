//! The one function from the engine to a host, and the layers around it.

use std::{fmt, sync::Arc, time::Instant};

use super::{Call, Operation, Reply};
use crate::Failure;

/// What a capability call returns.
pub type Answer<T> = Result<T, Failure>;

/// A host, or a layer around one.
pub trait HostCalls: Send + Sync {
    /// Makes a call, and blocks until it is answered.
    ///
    /// By `deadline` it has returned, whatever time the call itself gives. What
    /// cannot be finished until then is
    /// [`TimedOut`](crate::FailureKind::TimedOut).
    ///
    /// # Errors
    /// Why it was not done.
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply>;
}

/// Everything one run can reach, for one service.
#[derive(Clone)]
pub struct Host(Arc<dyn HostCalls>);

impl Host {
    pub fn new(calls: impl HostCalls + 'static) -> Self {
        Self(Arc::new(calls))
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn ask<O: Operation>(&self, deadline: Instant, operation: O) -> Answer<O::Answer> {
        let reply = self.0.call(deadline, operation.into_call())?;
        O::answer(reply).ok_or_else(|| {
            Failure::failed(
                "wrong-reply",
                "the host answered something else than it was asked",
            )
        })
    }

    /// Lets `layer` answer what it wants to answer, and pass on the rest.
    #[must_use]
    pub fn with_layer<L>(self, layer: L) -> Self
    where
        L: Fn(&Self, Instant, Call) -> Answer<Reply> + Send + Sync + 'static,
    {
        struct Layer<L>(Host, L);
        impl<L> HostCalls for Layer<L>
        where
            L: Fn(&Host, Instant, Call) -> Answer<Reply> + Send + Sync,
        {
            fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
                (self.1)(&self.0, deadline, call)
            }
        }
        Self::new(Layer(self, layer))
    }
}

impl From<Arc<dyn HostCalls>> for Host {
    fn from(calls: Arc<dyn HostCalls>) -> Self {
        Self(calls)
    }
}

impl HostCalls for Host {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        self.0.call(deadline, call)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
