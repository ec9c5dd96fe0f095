//! How the binary is linked.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A program that brings its own C library need not ask whether the host's
    // knows packed relocations (DT_RELR, glibc 2.36): they are a fortieth of the
    // others, all of which are read at each start, and each hook is one.
    let says = |name: &str, word: &str| {
        env::var(name).is_ok_and(|words| words.split(',').any(|each| each == word))
    };
    if says("CARGO_CFG_TARGET_FEATURE", "crt-static") && says("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
