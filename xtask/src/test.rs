//! `cargo xtask test`: every test there is.

use std::thread;

use anyhow::{Result, ensure};
use clap::Args;
use prunella_machine::{Linking, Profile, kernel, program};

use crate::{
    demo::software::Software,
    servers,
    setup::{self, Need},
    step::{cargo, take},
};

/// Packages whose tests boot machines, and the test targets that do.
const MACHINE_TESTS: [(&str, &str); 2] = [("prunella-machine", "machine"), ("prunella-e2e", "e2e")];

/// Package, name and linking of what the tests run in machines.
const MACHINE_PROGRAMS: [(&str, &str, Linking); 5] = [
    ("prunella", "prunella", Linking::Dynamic),
    ("prunella", "prunella", Linking::Static),
    ("prunella-machine", "victim", Linking::Dynamic),
    ("prunella-machine", "victim", Linking::Static),
    ("prunella-web", "prunella-web", Linking::Dynamic),
];

/// Number of machines for each core: a machine waits most of its time.
const MACHINES_PER_CORE: usize = 2;
/// Maximum number of machines at the same time: more only makes each of them slower.
const MAX_MACHINES: usize = 4;

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
    let mut needs = vec![Need::Build, Need::Tests, Need::Languages];
    if machines {
        needs.extend([Need::Machines, Need::Images, Need::Kernel]);
    }
    setup::run(&needs)?;
    take(&mut cargo(&["build", "--workspace", "--all-targets"]))?;

    let mut units = cargo(&["test", "--workspace", "--no-fail-fast"]);
    for (package, _) in MACHINE_TESTS {
        units.args(["--exclude", package]);
    }
    take(&mut units)?;
    take(&mut cargo(&[
        "test",
        "--package",
        "prunella-machine",
        "--doc",
    ]))?;
    if machines {
        // From here on whole-workspace runs with chosen targets, and not `--package`:
        // so nothing is compiled again with other features.
        // Probes against real servers, which may have to be fetched first.
        let mut real = cargo(&["test", "--workspace", "--lib"]);
        Software::get()?.show_to(&mut real);
        take(real.args(["--", "--ignored", "a_real_"]))?;
        // Alerts to real servers, of the same kind.
        let mut real = cargo(&["test", "--workspace", "--test", "channels"]);
        servers::show_to(&mut real)?;
        take(real.args(["--", "--ignored", "a_real_"]))?;

        // The tests would build these themselves, where nobody sees cargo's progress.
        for (package, name, linking) in MACHINE_PROGRAMS {
            eprintln!("\n==> building {name} to run in machines ({linking:?})");
            let path = program(package, name, Profile::Dev, linking)?;
            eprintln!("    {}", path.display());
        }
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let at_once = (cores * MACHINES_PER_CORE).min(MAX_MACHINES).to_string();
        let mut end_to_end = cargo(&["test", "--workspace", "--no-fail-fast"]);
        for (_, target) in MACHINE_TESTS {
            end_to_end.args(["--test", target]);
        }
        end_to_end.args(["--", "--test-threads", &at_once]);
        if !kernel::AVAILABLE {
            end_to_end.args(["--skip", "kernel::"]);
        }
        take(&mut end_to_end)?;
    }
    Ok(())
}
