//! Strategies built for the contract as it is now: for the tests that hold the
//! contract against what was released.

/// Keeps in its state how often it has healed a service.
pub const COUNTING: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/prunella-guest-counting.wasm"));

/// Says what was measured of its service, of the host and of `other.service`.
pub const MEASURING: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/prunella-guest-measuring.wasm"));
