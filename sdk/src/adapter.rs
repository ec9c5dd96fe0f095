//! What [`export!`](crate::export) hands to the contract.

use std::marker::PhantomData;

/// Makes `S` the strategy that the contract knows.
pub struct Adapter<S>(PhantomData<S>);

/// With the simulated host in its place, the contract has no incident to hand
/// over.
#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
mod guest {
    use super::Adapter;
    use crate::{
        Incident, Strategy,
        bindings::{
            exports::prunella::strategy::strategy as exported,
            prunella::{
                base::{incidents, types},
                strategy::types as raw,
            },
        },
    };

    impl<S: Strategy> exported::Guest for Adapter<S> {
        fn describe() -> raw::Description {
            begin();
            S::describe().into()
        }

        fn assess(incident: &incidents::Incident) -> Result<raw::Assessment, types::Failure> {
            begin();
            Ok(S::assess(&Incident::new(incident))?.into())
        }

        fn heal(incident: &incidents::Incident) -> Result<raw::Outcome, types::Failure> {
            begin();
            Ok(S::heal(&Incident::new(incident))?.into())
        }
    }

    fn begin() {
        #[cfg(target_family = "wasm")]
        crate::log::report_panics();
    }
}
