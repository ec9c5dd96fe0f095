//! Builds the built-in strategies for WebAssembly, makes components of them,
//! and compiles those ahead of time, so that nothing is compiled while a
//! service is down.

use std::process::ExitCode;

use anyhow::{Context, Result};
use prunella_guests::{Guests, exit, write};

const STRATEGIES: Guests<'_> = Guests {
    what: "the built-in strategies",
    packages: &[
        ("config-validation", "plugins/config-validation"),
        ("database-check", "plugins/database-check"),
        ("environment-check", "plugins/environment-check"),
        ("port-conflict", "plugins/port-conflict"),
        ("service-restart", "plugins/service-restart"),
    ],
    stack: 64 << 10,
};

fn main() -> ExitCode {
    exit(bundle())
}

fn bundle() -> Result<()> {
    for (strategy, component) in STRATEGIES.build()? {
        let precompiled = prunella_engine::precompile(&component)
            .with_context(|| format!("compiling {strategy} ahead of time"))?;
        write(&format!("{strategy}.wasm"), &component)?;
        write(&format!("{strategy}.cwasm"), &precompiled)?;
    }
    Ok(())
}
