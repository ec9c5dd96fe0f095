//! Builds the built-in strategies for WebAssembly, and makes components of them.

use std::process::ExitCode;

use prunella_guests::{Guests, exit};

const STRATEGIES: Guests<'_> = Guests {
    what: "the built-in strategies",
    packages: &[
        ("cache-reset", "plugins/cache-reset"),
        ("circuit-breaker", "plugins/circuit-breaker"),
        ("config-validation", "plugins/config-validation"),
        ("cpu-relief", "plugins/cpu-relief"),
        ("content-restore", "plugins/content-restore"),
        ("stale-files", "plugins/stale-files"),
        ("database-check", "plugins/database-check"),
        ("disk-relief", "plugins/disk-relief"),
        ("degrade", "plugins/degrade"),
        ("drain", "plugins/drain"),
        ("failover", "plugins/failover"),
        ("environment-check", "plugins/environment-check"),
        ("memory-relief", "plugins/memory-relief"),
        ("port-conflict", "plugins/port-conflict"),
        ("process-relief", "plugins/process-relief"),
        ("scale", "plugins/scale"),
        ("reconfigure", "plugins/reconfigure"),
        ("reload", "plugins/reload"),
        ("rollback", "plugins/rollback"),
        ("service-restart", "plugins/service-restart"),
    ],
    stack: 64 << 10,
};

fn main() -> ExitCode {
    exit(STRATEGIES.embed())
}
