//! The one wasmtime configuration, for compiling ahead of time and for running.

use std::num::NonZeroUsize;

use wasmtime::{Config, OptLevel, WasmBacktraceDetails};

use crate::EngineError;

/// The stack of a guest. Half of wasmtime's default: enough for 128 KiB of a
/// Rust guest's own stack frames many times over, and it is memory that every
/// run has to set aside.
const GUEST_STACK: usize = 256 << 10;

/// How many frames of a guest's backtrace are kept: enough to say where.
const FRAMES: usize = 8;

/// What a memory may grow by before it has to be moved: what the heap of a small
/// Rust guest needs. Only what is used of it is touched.
const GROWTH: u64 = 192 << 10;

/// The configuration. Compiled code fits only an engine with the same one, so
/// there is exactly one.
pub(crate) fn config() -> Result<Config, EngineError> {
    let mut config = Config::new();
    // Pulley is wasmtime's portable interpreter. Its code is data: the daemon
    // can live under MemoryDenyWriteExecute=, and what was compiled on one
    // processor runs on any other. A strategy mostly waits for its host.
    config.target("pulley64").map_err(EngineError::config)?;
    config.cranelift_opt_level(OptLevel::Speed);

    // Limits: see `meter` and `ticker`.
    config.epoch_interruption(true);
    config.max_wasm_stack(GUEST_STACK);

    // By default a memory reserves 4 GiB of addresses and 32 MiB of guard; an
    // interpreter checks bounds anyway and gains nothing by them.
    config.memory_reservation(0);
    config.memory_guard_size(0);
    // So a memory can come from the allocator, still warm from the run before.
    // Mapping one for each run, and having the kernel fill it page by page, takes
    // longer than most strategies run.
    config.memory_init_cow(false);
    config.memory_reservation_for_growth(GROWTH);
    config.guard_before_linear_memory(false);
    // Without native code there is no signal to catch: leave SIGSEGV alone.
    config.signals_based_traps(false);

    // The contract is synchronous.
    config.concurrency_support(false);
    // What would escape the memory limit, or needs more than a strategy does.
    config.wasm_memory64(false);
    config.shared_memory(false);

    // A trap says where, by function; line numbers would need debug info.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES));
    Ok(config)
}

/// Compiles a component, as the cache keeps it. The result is for an engine built
/// from this very version of the crate.
pub fn precompile(wasm: &[u8]) -> Result<Vec<u8>, EngineError> {
    wasmtime::Engine::new(&config()?)
        .map_err(EngineError::config)?
        .precompile_component(wasm)
        .map_err(EngineError::compile)
}
