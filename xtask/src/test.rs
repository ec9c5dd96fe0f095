//! `cargo xtask test`: every test there is.

use std::thread;

use anyhow::{Result, ensure};
use clap::Args;
use prunella_machine::{Profile, program};

use crate::{
    demo::software::Software,
    servers, setup,
    step::{cargo, take},
};

/// Packages whose tests boot machines.
const MACHINE_TESTS: [&str; 2] = ["prunella-machine", "prunella-e2e"];

/// So many machines side by side: more only makes each of them slower.
const MACHINES_AT_ONCE: usize = 4;

/// `cargo xtask test`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out the tests that boot throw-away machines; then root is not needed
    #[arg(long)]
    pub(crate) no_machines: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machines = !options.no_machines;
    ensure!(
        !machines || rustix::process::geteuid().is_root(),
        "the end-to-end tests boot throw-away machines, and that needs root: \
         run this as root, or add `--no-machines` to leave them out"
    );
    setup::run(machines)?;
    take(&mut cargo(&["build", "--workspace", "--all-targets"]))?;

    let mut units = cargo(&["test", "--workspace", "--no-fail-fast"]);
    for package in MACHINE_TESTS {
        units.args(["--exclude", package]);
    }
    take(&mut units)?;
    if machines {
        // Probes against real servers, which may have to be fetched first.
        let mut real = cargo(&["test", "--package", "prunella-linux", "--lib"]);
        Software::get()?.show_to(&mut real);
        take(real.args(["--", "--ignored", "a_real_"]))?;
        // Alerts to real servers, of the same kind.
        let mut real = cargo(&["test", "--package", "prunella-notify", "--test", "channels"]);
        servers::show_to(&mut real)?;
        take(real.args(["--", "--ignored", "a_real_"]))?;

        // The tests would build these themselves, and say nothing meanwhile.
        for (package, name) in [("prunella", "prunella"), ("prunella-machine", "victim")] {
            eprintln!("\n==> building {name} to run in machines (linked statically)");
            let path = program(package, name, Profile::Dev)?;
            eprintln!("    {}", path.display());
        }
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let at_once = cores.min(MACHINES_AT_ONCE).to_string();
        let mut ends = cargo(&["test", "--no-fail-fast"]);
        for package in MACHINE_TESTS {
            ends.args(["--package", package]);
        }
        take(ends.args(["--", "--test-threads", &at_once]))?;
    }
    Ok(())
}
