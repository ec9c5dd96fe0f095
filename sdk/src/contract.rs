//! The contract's functions, as the rest of this crate calls them: imports of
//! the component or, on an author's own machine, the simulated host.

#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
pub(crate) use crate::bindings::prunella::{act, base, observe};
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub(crate) use crate::testing::contract::{act, base, observe};
