//! Says at once when Rust cannot compile the built-in strategies. Nearly everything
//! depends on this crate, so its build script is one of the first things to run; the
//! strategies themselves come after minutes.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

/// What strategies are compiled for.
const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    // With a rustc that cannot be run, or that does not know the option, nothing is
    // said: the build of the strategies then says what is wrong.
    let libraries = output.ok().filter(|output| output.status.success());
    let missing = libraries.is_some_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout);
        !Path::new(folder.trim()).is_dir()
    });
    if missing {
        println!(
            "cargo::error=Rust's target {TARGET} is not installed, and Prunella's built-in \
             strategies are compiled for it. Install it with `rustup target add {TARGET}`, or on \
             Debian with `apt-get install libstd-rust-dev-wasm32`."
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
