//! Throw-away machines with a real systemd, for tests.
//!
//! A [`Machine`] is a container with an init of its own: somebody's `/usr`
//! read-only, an `/etc` and a `/var` of its own on the disk, `/run` and `/tmp`
//! in memory, and a private network. It is up in about a third of a second and
//! gone when it is dropped. Machines are independent of each other, so tests
//! run side by side.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use prunella_machine::{Machine, TIMEOUT};
//!
//! let mut machine = Machine::builder()
//!     .unit("web.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n")
//!     .boot()?;
//! machine.systemctl(&["start", "web.service"])?;
//! machine.wait_active("web.service", TIMEOUT)?;
//! machine.reboot()?;
//! # Ok(()) }
//! ```
//!
//! Nothing is ever run with the host's rights inside a machine: a command
//! becomes a unit of the machine's own init. Only `systemctl` and `journalctl`
//! enter it directly, to reach its bus and its journal.
//!
//! A machine with a [`kernel`] of its own is resumed from a snapshot in a few
//! seconds, where the host's kernel would not do: for control groups with all
//! controllers, the clock, swap, and file systems on loop devices.
//!
//! A container needs root, and the packages `systemd-container`, `dbus` and (for other
//! versions of systemd than the host's) `mmdebstrap`.

mod builder;
mod cgroup;
mod command;
mod container;
mod files;
mod follow;
mod house;
mod image;
pub mod kernel;
mod machine;
mod nspawn;
mod package;
mod program;

pub use builder::Builder;
pub use command::Output;
pub use house::machines_dir;
pub use image::{Software, Systemd};
pub use machine::Machine;
pub use package::unpacked;
pub use program::{Linking, Profile, cargo, program};

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Long enough for anything that a machine does by itself, on a busy host.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Microseconds of CLOCK_MONOTONIC, as systemd's own time stamps are: the same in
/// each machine and outside.
#[must_use]
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}
