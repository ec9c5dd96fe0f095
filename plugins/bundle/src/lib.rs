//! The built-in strategies, as components and compiled ahead of time.
//!
//! `build.rs` makes both; this crate only holds the bytes. What each may do by
//! default is in `prunella_core::policy::builtin_grants`.

/// A built-in strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its reserved name, such as `service-restart`.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
    /// The component, compiled by `prunella_engine::precompile` of this very
    /// build.
    pub precompiled: &'static [u8],
}

macro_rules! builtin {
    ($name:literal) => {
        Builtin {
            name: $name,
            wasm: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
            precompiled: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".cwasm")),
        }
    };
}

static BUILTINS: [Builtin; 5] = [
    builtin!("config-validation"),
    builtin!("environment-check"),
    builtin!("database-check"),
    builtin!("port-conflict"),
    builtin!("service-restart"),
];

/// All built-in strategies, in the order in which they heal by default.
pub fn builtins() -> &'static [Builtin] {
    &BUILTINS
}

/// The built-in strategy of that name.
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
