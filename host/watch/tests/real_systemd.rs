//! Units, jobs, waiting and watching on a real systemd: runs the `exercise`
//! example inside a throw-away machine. As root.

use std::path::PathBuf;

use prunella_machine::{Machine, TIMEOUT};

/// The example that cargo built beside this test.
fn exercise() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let program = test.parent()?.parent()?.join("examples/exercise");
    program.is_file().then_some(program)
}

#[test]
fn everything_on_a_real_systemd() {
    let program = exercise().expect("`cargo build -p prunella-watch --examples` makes it");
    let machine = Machine::builder()
        .bind_ro(program, "/opt/exercise")
        // Not by `run`, whose own connection ends when the bus is restarted.
        .unit(
            "exercise.service",
            "[Service]\nType=oneshot\nExecStart=/opt/exercise\n\
             ExecStopPost=/bin/touch /run/exercise.done\n\
             StandardOutput=append:/run/exercise.out\nStandardError=inherit\n",
        )
        .boot()
        .unwrap();
    machine
        .systemctl(&["start", "--no-block", "exercise.service"])
        .unwrap();
    // systemctl does not answer at all times: the exercise has init execute
    // itself anew.
    machine
        .wait_for("the exercise to end", TIMEOUT, || {
            Ok(machine.exists("/run/exercise.done")?.then_some(()))
        })
        .unwrap();
    let said = machine.read_file("/run/exercise.out").unwrap();
    println!("{said}");
    assert!(said.contains("all as it should be"), "{said}");
}
