//! The contract's types and functions, as wasmtime has them, from and to the
//! seam's. Nothing is decided here.

mod act;
mod base;
mod observe;
mod words;

use prunella_core::Failure;

use crate::seam::{Called, Interrupted};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_variables,
    reason = "generated from wit/, which is documented"
)]
mod v0_1 {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/base",
            "../../wit/observe",
            "../../wit/act",
            "../../wit/strategy",
        ],
        world: "prunella:strategy/recovery",
        // Every call may end the run.
        imports: { default: trappable },
        with: {
            "prunella:base/incidents.incident": crate::seam::handles::Incident,
            "prunella:observe/units.unit": crate::seam::handles::Unit,
            "prunella:observe/processes.process": crate::seam::handles::Process,
            "prunella:observe/ports.holder": crate::seam::handles::Holder,
            "prunella:observe/files.file": crate::seam::handles::File,
            "prunella:act/unit-control.job": crate::seam::handles::Job,
        },
    });
}

pub(crate) use v0_1::{
    Recovery, RecoveryPre, exports::prunella::strategy::strategy as guest, prunella,
};

/// What the bindings return: the run goes on with an answer or a failure, or
/// it is over.
fn answer<T, U: From<T>>(
    called: Called<T>,
) -> wasmtime::Result<Result<U, prunella::base::types::Failure>> {
    match called {
        Ok(value) => Ok(Ok(value.into())),
        Err(Interrupted::Failed(failure)) => Ok(Err(failure.into())),
        Err(Interrupted::Ended(error)) => Err(error),
    }
}

/// The same for lists.
fn answers<T, U: From<T>>(
    called: Called<Vec<T>>,
) -> wasmtime::Result<Result<Vec<U>, prunella::base::types::Failure>> {
    answer::<Vec<T>, Vec<T>>(called)
        .map(|answer| answer.map(|list| list.into_iter().map(U::from).collect()))
}

/// A failure that the strategy gave up with: its text made fit to show.
pub(crate) fn said_failure(failure: prunella::base::types::Failure) -> Failure {
    failure.into()
}
