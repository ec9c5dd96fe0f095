//! A stand-in for the safety kernel: only the service's own unit may be looked
//! at or acted upon. The real one is the healer's, and tested there.

use prunella_core::{
    Failure, UnitName,
    capability::{Described as _, Host, HostCalls as _, Subject},
};

/// `host`, for this unit only.
pub fn strict(host: Host, unit: UnitName) -> Host {
    host.with_layer(move |host, deadline, mut call| match call.subject() {
        Subject::Unit(asked) if *asked != unit => Err(Failure::denied(
            "not-granted",
            "that is somebody else's unit",
        )),
        _ => host.call(deadline, call),
    })
}
