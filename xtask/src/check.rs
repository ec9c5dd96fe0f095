//! `cargo xtask ci`: all that a change has to pass.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    setup,
    step::{cargo, find, take, workspace},
    test,
};

/// The version of cargo-deny that is installed where there is none.
const CARGO_DENY: &str = "0.20.2";

pub(crate) fn run() -> Result<()> {
    setup::run(true)?;
    take(&mut cargo(&["fmt", "--all", "--check"]))?;
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
    take(cargo_deny()?.args(deny).current_dir(workspace()))?;
    take(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    test::run(&test::Options { no_machines: false })
}

/// cargo-deny from the PATH, or from `target/tools`, where it is put first
/// where it is missing.
fn cargo_deny() -> Result<Command> {
    if find("cargo-deny").is_some() {
        return Ok(cargo(&["deny"]));
    }
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let tools = target.join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        take(
            cargo(&[
                "install",
                "cargo-deny",
                "--locked",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(&tools),
        )
        .context("cannot get cargo-deny")?;
    }
    Ok(Command::new(program))
}
