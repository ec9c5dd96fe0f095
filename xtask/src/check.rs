//! `cargo xtask ci`: all that a change has to pass.

use anyhow::Result;

use crate::{
    book, fuzz, setup,
    step::{cargo, take},
    test,
    tool::Tool,
};

/// Looks at what the dependencies are.
const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

pub(crate) fn run() -> Result<()> {
    setup::run(true)?;
    take(&mut cargo(&["fmt", "--all", "--check"]))?;
    // A workspace of its own.
    let fuzz_too = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    take(&mut cargo(&fuzz_too))?;
    take(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // What is known of each advisory changes without any change of ours, so
    // those are left to a check of their own.
    let deny = ["check", "bans", "licenses", "sources"];
    take(CARGO_DENY.command()?.args(deny))?;
    take(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    book::check()?;
    test::run(&test::Options { no_machines: false })?;
    fuzz::run(&fuzz::Options {
        seconds: 60,
        only: Vec::new(),
    })
}
