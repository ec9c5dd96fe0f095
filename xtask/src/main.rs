//! The project's own commands: `cargo xtask …`.

mod bench;
mod book;
mod check;
mod demo;
mod fuzz;
#[cfg(test)]
mod layers;
mod servers;
mod setup;
mod step;
mod test;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prunella's own commands. Each sets up what it needs
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get all that building and testing needs: the wasm target, and Debian packages (as root)
    Setup,
    /// Watch services fail on a throw-away machine, and come back (as root)
    Demo(demo::Options),
    /// Run every test: of the crates, and end to end on throw-away machines (as root)
    Test(test::Options),
    /// Measure Prunella's figures beside those of its peers (as root)
    Bench(bench::Options),
    /// Build the book of `docs/`, with a new reference of the contract
    Book(book::Options),
    /// Fuzz what reads components, configuration and scenarios
    Fuzz(fuzz::Options),
    /// Run all that a change has to pass: format, lints, licences, docs, every test, fuzzing
    Ci,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => setup::run(&setup::Need::ALL),
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
