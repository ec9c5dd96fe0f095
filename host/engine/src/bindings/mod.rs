//! The contract's functions, as wasmtime has them: a strategy's arguments made into
//! calls, and answers into the contract's types. Nothing is decided here.

mod act;
mod base;
mod observe;
mod words;

use prunella_core::{Failure, text::one_line};

use self::{prunella::base::types as raw, words::WORD};
use crate::host_state::{Called, Interrupted, TEXT};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_variables,
    reason = "generated from wit/, which is documented"
)]
mod v0_2 {
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
            "prunella:base/incidents.incident": crate::host_state::handles::Incident,
            "prunella:observe/units.unit": crate::host_state::handles::Unit,
            "prunella:observe/processes.process": crate::host_state::handles::Process,
            "prunella:observe/ports.holder": crate::host_state::handles::Holder,
            "prunella:observe/files.file": crate::host_state::handles::File,
            "prunella:act/unit-control.job": crate::host_state::handles::Job,
        },
    });
}

pub(crate) use v0_2::{
    Recovery, RecoveryPre, exports::prunella::strategy::strategy as guest, prunella,
};

/// What most functions return.
type Answer<T> = wasmtime::Result<Result<T, raw::Failure>>;

/// What the bindings return: the run goes on with an answer or a failure, or
/// it is over.
fn answer<T, U: From<T>>(called: Called<T>) -> wasmtime::Result<Result<U, raw::Failure>> {
    match called {
        Ok(value) => Ok(Ok(value.into())),
        Err(Interrupted::Failed(failure)) => Ok(Err(failure.into())),
        Err(Interrupted::Ended(error)) => Err(error),
    }
}

/// The same for lists.
fn answers<T, U: From<T>>(
    called: Called<Vec<T>>,
) -> wasmtime::Result<Result<Vec<U>, raw::Failure>> {
    answer::<Vec<T>, Vec<T>>(called)
        .map(|answer| answer.map(|list| list.into_iter().map(U::from).collect()))
}

/// Bindings of the interfaces whose functions are calls as they are.
macro_rules! plain {
    (@answer) => { answer };
    (@answer $item:ident) => { answers };
    ($($package:ident $interface:ident { $(
        $function:ident($($argument:ident: $type:ty),*)
            -> $answer:ident $(<$item:ident>)?: $call:expr;
    )* })*) => {
        $(const _: () = {
            #[allow(clippy::wildcard_imports, reason = "the contract's types, whichever it has")]
            use $crate::bindings::prunella::$package::$interface::*;
            #[allow(unused_imports, reason = "not every answer is a list")]
            use $crate::bindings::{Answer, answer, answers};
            use prunella_core::capability::$interface as calls;

            impl Host for $crate::host_state::HostState {
                $(fn $function(
                    &mut self,
                    $($argument: $type),*
                ) -> Answer<$answer $(<$item>)?> {
                    $crate::bindings::plain!(@answer $($item)?)(self.ask(|| Ok($call)))
                })*
            }
        };)*
    };
}
pub(crate) use plain;

/// A failure that the strategy gave up with: its text made fit to show.
pub(crate) fn said_failure(failure: raw::Failure) -> Failure {
    Failure {
        kind: failure.kind.into(),
        code: failure.code.map(|code| one_line(&code, WORD)),
        message: one_line(&failure.message, TEXT),
    }
}
