//! Memory, load and pressure of the host.

use crate::{Result, contract::observe::resources as raw};

pub use raw::{LoadAverage, MemoryUse, PressureShare};

/// Memory, in bytes.
///
/// # Errors
/// Whatever kept the host from knowing.
pub fn memory() -> Result<MemoryUse> {
    Ok(raw::memory()?)
}

/// Load averages.
///
/// # Errors
/// Whatever kept the host from knowing.
pub fn load() -> Result<LoadAverage> {
    Ok(raw::load()?)
}

/// What [`pressure`] can tell about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PressureOf {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Input and output.
    Io,
}

/// The share of the last ten seconds in which tasks waited.
///
/// # Errors
/// `unavailable` where the kernel does not tell.
pub fn pressure(of: PressureOf) -> Result<PressureShare> {
    Ok(raw::pressure(match of {
        PressureOf::Cpu => "cpu",
        PressureOf::Memory => "memory",
        PressureOf::Io => "io",
    })?)
}
