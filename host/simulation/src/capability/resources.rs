//! Memory, load and pressure.

use prunella_core::capability::{Load, Memory, Pressure};

const GIB: u64 = 1 << 30;

/// A host with room for everything.
pub(crate) const MEMORY: Memory = Memory {
    total: 8 * GIB,
    available: 6 * GIB,
    swap_total: 0,
    swap_free: 0,
};

pub(crate) const LOAD: Load = Load {
    one: 0.5,
    five: 0.4,
    fifteen: 0.3,
    processors: 4,
};

pub(crate) const PRESSURE: Pressure = Pressure {
    some: 0.0,
    full: 0.0,
};
