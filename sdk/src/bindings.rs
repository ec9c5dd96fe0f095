//! The contract, as wit-bindgen renders it. Everything else in this crate is
//! a friendlier face of this; nothing here decides anything.

#![allow(
    unsafe_code,
    missing_docs,
    clippy::all,
    clippy::restriction,
    reason = "generated: crossing into the host is a foreign call"
)]

wit_bindgen::generate!({
    path: ["../wit/base", "../wit/observe", "../wit/act", "../wit/strategy"],
    world: "prunella:strategy/recovery",
    default_bindings_module: "prunella_sdk::bindings",
    export_macro_name: "export_recovery",
    pub_export_macro: true,
    generate_all,
});
