//! A machine with a kernel of its own: Debian's, under QEMU.
//!
//! Its control groups have all controllers, which those of a container on a host with
//! version 1 have not, and it may do what a container must not: set the clock, swap, mount a
//! file system from a loop device. QEMU interprets it (TCG): it needs no hardware, and it is
//! ten times slower than a container. It is for what is right, never for what is fast.
//!
//! It is booted once, and a snapshot is taken (`snapshot.rs`). Every machine goes on from there
//! in a few seconds, with a disk of its own (`payload.rs`) that has what the test brings. An
//! agent inside does what the test asks for (`guest.rs`).

mod guest;
mod payload;
mod snapshot;

use anyhow::{Result, ensure};

pub(crate) use guest::Guest;
pub(crate) use payload::pack;
pub use snapshot::prepare;

use crate::house;

/// Programs that such a machine needs, and Debian's packages that have them.
pub const PROGRAMS: [(&str, &str); 3] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("mmdebstrap", "mmdebstrap"),
];

/// Whether there is a kernel for machines on this host: there is one for x86-64.
pub const AVAILABLE: bool = cfg!(target_arch = "x86_64");

/// Memory, in MiB: enough for a test, and little to read when a snapshot is resumed.
const MEMORY: &str = "640M";

const PROCESSORS: &str = "2";

fn ensure_able() -> Result<()> {
    ensure!(
        AVAILABLE,
        "machines with a kernel of their own are made for x86-64 only"
    );
    house::ensure_able(&PROGRAMS)
}

/// What QEMU is told of every such machine, for its snapshot and after it.
///
/// The second disk is empty in the snapshot, and nothing reads it before a machine wakes.
fn hardware(kernel: &snapshot::Kernel) -> Vec<String> {
    let words = [
        // No other machine type takes the same devices in each version of QEMU.
        "-machine pc -accel tcg,thread=multi -cpu max -nodefaults -display none -nic none",
        "-no-reboot -device virtio-serial-pci -device virtserialport,chardev=agent,name=agent",
        "-device virtio-blk-pci,drive=root -device virtio-blk-pci,drive=payload",
    ];
    let mut arguments: Vec<String> = words
        .iter()
        .flat_map(|line| line.split(' '))
        .map(str::to_owned)
        .collect();
    let mut more = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    more("-m", MEMORY.to_owned());
    more("-smp", PROCESSORS.to_owned());
    more("-kernel", kernel.image.display().to_string());
    more("-initrd", kernel.initrd.display().to_string());
    more(
        "-append",
        "root=/dev/vda rw console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off".to_owned(),
    );
    arguments
}

/// A disk that is a file. What is written to it is kept, or is gone with the machine.
fn drive(name: &str, file: &std::path::Path, keep: bool) -> [String; 2] {
    let snapshot = if keep { "off" } else { "on" };
    // QEMU takes a single comma for the end of the name.
    let file = file.display().to_string().replace(',', ",,");
    [
        "-drive".to_owned(),
        format!("file={file},format=raw,if=none,id={name},snapshot={snapshot}"),
    ]
}
