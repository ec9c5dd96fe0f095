//! The built-in strategies, as components.
//!
//! `build.rs` makes them; this crate only holds the bytes. `prunella setup` compiles
//! them into the cache, so that nothing is compiled while a service is down. What each
//! may do by default is in `prunella_core::policy::builtin_grants`.

/// A built-in strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its reserved name, such as `service-restart`.
    pub name: &'static str,
    pub wasm: &'static [u8],
}

macro_rules! builtin {
    ($name:literal) => {
        Builtin {
            name: $name,
            wasm: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
        }
    };
}

static BUILTINS: &[Builtin] = &[
    builtin!("config-validation"),
    builtin!("environment-check"),
    builtin!("database-check"),
    builtin!("port-conflict"),
    builtin!("memory-relief"),
    builtin!("cpu-relief"),
    builtin!("process-relief"),
    builtin!("reload"),
    builtin!("scale"),
    builtin!("content-restore"),
    builtin!("stale-files"),
    builtin!("circuit-breaker"),
    builtin!("drain"),
    builtin!("service-restart"),
    builtin!("disk-relief"),
    builtin!("cache-reset"),
    builtin!("rollback"),
    builtin!("reconfigure"),
    builtin!("failover"),
    builtin!("degrade"),
];

/// All built-in strategies, in the order in which they heal by default.
pub fn builtins() -> &'static [Builtin] {
    BUILTINS
}

/// The built-in strategy of that name.
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
