//! `cargo xtask ci`: all that a change has to pass.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

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
    compiled_once()?;
    take(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    book::check()?;
    test::run(&test::Options { no_machines: false })?;
    fuzz::run(&fuzz::Options {
        seconds: 60,
        only: Vec::new(),
    })
}

/// That the binary and the build script of the bundle share every crate they
/// both have: one whose features differ is compiled twice, and with it all that
/// is above it, which is wasmtime.
fn compiled_once() -> Result<()> {
    eprintln!("\n==> each crate is compiled once");
    let tree = cargo(&[
        "tree",
        "--package=prunella",
        "--edges=normal,build",
        "--duplicates",
        "--depth=0",
    ])
    .output()
    .context("cannot run cargo tree")?;
    ensure!(
        tree.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let listed = String::from_utf8(tree.stdout).context("what cargo tree says")?;
    let mut seen = BTreeSet::new();
    // A line is "memchr v2.8.3"; between the entries there are empty ones.
    let crates = listed.lines().filter(|line| line.contains(" v"));
    let twice: Vec<&str> = crates.filter(|line| !seen.insert(*line)).collect();
    ensure!(
        twice.is_empty(),
        "compiled twice, and wasmtime with it, since their features differ between the binary \
         and the build script of plugins/bundle: {}; name them in plugins/bundle/Cargo.toml",
        twice.join(", ")
    );
    Ok(())
}
