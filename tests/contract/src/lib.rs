//! One strategy for each version of the contract, built from sources here: for
//! the tests that hold the contract against what was released.

/// Built from the frozen `wit/released/0.1.0`, as somebody did then.
pub const V0_1_0: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prunella-guest-0-1-0.wasm"));

/// Built with the SDK as it is now; it uses what 0.1.1 has brought.
pub const V0_1_1: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prunella-guest-0-1-1.wasm"));
