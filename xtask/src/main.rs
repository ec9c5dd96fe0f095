//! The project's own commands: `cargo xtask …`.

mod bench;
mod book;
mod check;
mod demo;
mod fuzz;
mod servers;
mod setup;
mod step;
mod test;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prunella's own commands. Each does the set-up it needs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get what building and testing needs: the wasm target, and Debian packages (as root)
    Setup,
    /// Watch services fail on a throw-away machine, and come back (as root)
    Demo(demo::Options),
    /// Run every test: of the crates, and end to end on throw-away machines (as root)
    Test(test::Options),
    /// Measure what Prunella has to reach, beside its peers (as root)
    Bench(bench::Options),
    /// Build the book of `docs/`, with the reference of the contract written anew
    Book(book::Options),
    /// Throw changed bytes and text at what reads components and configuration
    Fuzz(fuzz::Options),
    /// All that a change has to pass: format, lints, licences, documentation, every test, fuzzing
    Ci,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => setup::run(true),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Book(options) => book::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Ci => check::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
