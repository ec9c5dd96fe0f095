//! What a host knows a thing by that it has given a handle to.

use std::{any::Any, fmt, sync::Arc};

/// A process or a job, as the host below knows it. The layers in between pass it
/// on and cannot look inside; a layer that has given a handle finds its own again.
#[derive(Clone, Default)]
pub struct Token(Option<Arc<dyn Any + Send + Sync>>);

impl Token {
    pub fn new<T: Send + Sync + 'static>(thing: T) -> Self {
        Self(Some(Arc::new(thing)))
    }

    /// The thing, if it is one of these.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
