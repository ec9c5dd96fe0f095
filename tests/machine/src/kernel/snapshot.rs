//! The machine that all others go on from: made, booted, and stopped once it is up.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

use super::{drive, hardware, payload};
use crate::{
    command, house,
    image::{Software, Systemd},
};

/// Debian 12, with a kernel.
const SOFTWARE: Software = Software {
    name: "kernel",
    packages: &[
        "linux-image-cloud-amd64",
        "udev",
        "kmod",
        "e2fsprogs",
        "procps",
        "python3",
        "systemd-timesyncd",
    ],
};

const AGENT: &str = include_str!("agent.py");
const AGENT_PATH: &str = "/usr/local/lib/machine-agent.py";
const AGENT_UNIT: &str = "\
[Unit]
After=dev-virtio\\x2dports-agent.device
Wants=dev-virtio\\x2dports-agent.device
[Service]
Type=exec
ExecStart=/usr/bin/python3 /usr/local/lib/machine-agent.py
KillMode=process
";

/// Of the root disk; a sparse file.
const DISK_SIZE: &str = "4G";

/// From QEMU's start to a machine that is up; on a busy host.
const BOOT: Duration = Duration::from_secs(600);

/// What QEMU boots.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    pub(super) initrd: PathBuf,
}

/// A machine that is up, and stopped.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) kernel: Kernel,
    pub(super) disk: PathBuf,
    /// Its memory and devices, as QEMU writes them.
    pub(super) state: PathBuf,
}

/// Makes what every machine with a kernel of its own goes on from, where it is not there yet:
/// an image of Debian from the network, and a boot of it. Takes one or two minutes, and 1 GB
/// in `target/machines`.
///
/// # Errors
/// Without root, on another processor than x86-64, without the [`PROGRAMS`](super::PROGRAMS),
/// without the network, or when it does not boot.
pub fn prepare() -> Result<()> {
    get().map(drop)
}

pub(super) fn get() -> Result<Snapshot> {
    super::ensure_able()?;
    let folder = house::machines_dir()?.join("kernel");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let tree = Systemd::V252.tree(Some(&SOFTWARE))?;
    let kernel = kernel(&tree)?;
    let disk = folder.join("root.ext4");
    let state = folder.join("state");
    let made_of = folder.join("made-of");
    let wanted = format!(
        "{:?}\n{}\n{AGENT_UNIT}\n{AGENT}",
        hardware(&kernel),
        SOFTWARE.packages.join(",")
    );
    if fs::read_to_string(&made_of).is_ok_and(|was| was == wanted) {
        return Ok(Snapshot {
            kernel,
            disk,
            state,
        });
    }
    if made_of.exists() {
        fs::remove_file(&made_of)?;
    }
    furnish(&tree)?;
    make_disk(&tree, &disk)?;
    boot(&folder, &kernel, &disk, &state)?;
    fs::write(&made_of, wanted)?;
    Ok(Snapshot {
        kernel,
        disk,
        state,
    })
}

fn kernel(tree: &Path) -> Result<Kernel> {
    let boot = tree.join("boot");
    let newest = |prefix: &str| -> Result<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(&boot)?
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
            .pop()
            .with_context(|| format!("there is no {prefix}… in {}", boot.display()))
    };
    Ok(Kernel {
        image: newest("vmlinuz-")?,
        initrd: newest("initrd.img-")?,
    })
}

/// Puts the agent into the image, and what else a boot without questions needs.
fn furnish(tree: &Path) -> Result<()> {
    let inside = |path: &str| tree.join(path.trim_start_matches('/'));
    let write = |path: &str, text: &str| -> Result<()> {
        let path = inside(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(AGENT_PATH, AGENT)?;
    write("/etc/systemd/system/agent.service", AGENT_UNIT)?;
    write("/etc/hostname", "machine\n")?;
    write("/etc/hosts", "127.0.0.1 localhost machine\n")?;
    // With an identity it is not a first boot, at which init would enable every unit.
    write("/etc/machine-id", "6b65726e656c206d616368696e657321\n")?;
    let enabled = inside("/etc/systemd/system/multi-user.target.wants/agent.service");
    if let Some(folder) = enabled.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::symlink_metadata(&enabled).is_err() {
        symlink("/etc/systemd/system/agent.service", &enabled)?;
    }
    Ok(())
}

fn make_disk(tree: &Path, disk: &Path) -> Result<()> {
    if disk.exists() {
        fs::remove_file(disk)?;
    }
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-d"])
        .args([tree, disk])
        .arg(DISK_SIZE);
    command::run(&mut make)?
        .into_stdout("mke2fs")
        .context("cannot make the machine's disk")
        .map(drop)
}

/// Boots it to where its agent is ready, and writes down what it is then.
fn boot(folder: &Path, kernel: &Kernel, disk: &Path, state: &Path) -> Result<()> {
    let empty = folder.join("empty");
    File::create(&empty)?.set_len(payload::SIZE)?;
    let said = folder.join("agent");
    File::create(&said)?;
    let console = folder.join("console");
    let new = folder.join("state.new");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(hardware(kernel))
        .args(drive("root", disk, true))
        .args(drive("payload", &empty, false))
        .arg("-chardev")
        .arg(format!("file,id=agent,path={}", said.display()))
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        // It is stopped when it is written down, and is not to stay so.
        .args(["-global", "migration.store-global-state=off"])
        .args(["-monitor", "stdio"]);
    let mut qemu = qemu
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let taken = wait_ready(&mut qemu, &said).and_then(|()| take(&mut qemu, &new));
    let _ = qemu.kill();
    let _ = qemu.wait();
    taken.with_context(|| {
        let said = fs::read(&console).unwrap_or_default();
        format!(
            "the machine with its own kernel did not boot; its console says\n{}",
            String::from_utf8_lossy(&said)
        )
    })?;
    Ok(fs::rename(new, state)?)
}

fn wait_ready(qemu: &mut Child, said: &Path) -> Result<()> {
    let deadline = Instant::now() + BOOT;
    while !fs::read_to_string(said)?.contains("ready") {
        ensure!(Instant::now() < deadline, "it was not up after {BOOT:?}");
        if let Some(ended) = qemu.try_wait()? {
            bail!("QEMU ended with {ended}");
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Has QEMU write down all but the disk. Stopped before: one that runs meanwhile may not go on
/// from there.
fn take(qemu: &mut Child, state: &Path) -> Result<()> {
    let mut monitor = qemu.stdin.take().context("QEMU has no monitor")?;
    writeln!(monitor, "stop")?;
    writeln!(monitor, "migrate_set_parameter max-bandwidth 8G")?;
    writeln!(monitor, "migrate \"exec:cat >'{}'\"", state.display())?;
    writeln!(monitor, "quit")?;
    let ended = qemu.wait()?;
    ensure!(ended.success(), "QEMU ended with {ended}");
    ensure!(
        fs::metadata(state)?.len() > 0,
        "QEMU has written no snapshot"
    );
    Ok(())
}
