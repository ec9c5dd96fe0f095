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

/// For each target: a change is checked for what it breaks at once, and `cargo xtask fuzz`
/// looks for longer.
const FUZZ_SECONDS: u32 = 20;

pub(crate) fn run() -> Result<()> {
    setup::run(&setup::Need::ALL)?;
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
        seconds: FUZZ_SECONDS,
        only: Vec::new(),
    })
}

/// That the program and the tests share every crate they both have. One whose features
/// differ between them is compiled twice, and with it all that depends on it: wasmtime.
fn compiled_once() -> Result<()> {
    eprintln!("\n==> the program and the tests share what is compiled");
    let program = crates(&["--package=prunella", "--edges=normal,build"])?;
    let tests = crates(&["--workspace", "--edges=normal,build,dev"])?;
    let twice: Vec<&str> = program.difference(&tests).map(String::as_str).collect();
    ensure!(
        twice.is_empty(),
        "compiled twice, because the tests have them with more features than the program; name \
         those in plugins/guests/Cargo.toml: {}",
        twice.join(", ")
    );
    Ok(())
}

/// Each crate with its features, such as `semver v1.0.28 [default,std]`.
fn crates(which: &[&str]) -> Result<BTreeSet<String>> {
    let output = cargo(&["tree", "--prefix=none", "--no-dedupe", "--format={p} [{f}]"])
        .args(which)
        .output()
        .context("cannot run cargo tree")?;
    ensure!(
        output.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listed = String::from_utf8(output.stdout).context("what cargo tree says")?;
    // Our own crates have their folder's path.
    let others = listed.lines().filter(|line| !line.contains(" (/"));
    Ok(others.map(str::to_owned).collect())
}
