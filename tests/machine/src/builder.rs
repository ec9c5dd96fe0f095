//! What a machine is to have before it is booted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    command,
    container::Container,
    files::Root,
    house::{self, House},
    image::{Software, Systemd},
    kernel::{self, Guest},
    machine::Machine,
};

/// Users and groups of a machine that has the host's `/usr`. The machine's own
/// systemd-sysusers adds those of its services.
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
messagebus:x:101:101::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUP: &str = "\
root:x:0:
daemon:x:1:
adm:x:4:
tty:x:5:
www-data:x:33:
messagebus:x:101:
nogroup:x:65534:
";

/// Folders of every machine, beside `usr`.
const FOLDERS: [&str; 11] = [
    "dev",
    "etc/systemd/system",
    "opt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr",
    // So that the journal survives a reboot.
    "var/log/journal",
];

/// Describes a machine. Made by [`Machine::builder`].
#[derive(Debug, Default)]
pub struct Builder {
    systemd: Systemd,
    software: Option<Software>,
    own_kernel: bool,
    binds: Vec<(PathBuf, PathBuf)>,
    files: Vec<(PathBuf, Vec<u8>, u32)>,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Builder {
    /// Which systemd it has. The host's by default.
    pub fn version(mut self, systemd: Systemd) -> Self {
        self.systemd = systemd;
        self
    }

    /// With Debian's packages, in an image that is made once. It needs a
    /// [`version`](Self::version) other than the host's.
    pub fn software(mut self, software: Software) -> Self {
        self.software = Some(software);
        self
    }

    /// With a kernel of its own, of Debian 12, whose control groups have all controllers: not a
    /// container. It cannot be booted again, and only programs that are linked statically are
    /// sure to run there. What it goes on from is made at its first use (two minutes), and kept
    /// in `target/machines/kernel`.
    pub fn own_kernel(mut self) -> Self {
        self.own_kernel = true;
        self
    }

    /// Shows a file or folder of the host inside, read-only.
    pub fn bind_ro(mut self, host: impl Into<PathBuf>, guest: impl Into<PathBuf>) -> Self {
        self.binds.push((host.into(), guest.into()));
        self
    }

    /// A file. Not under `/run` or `/tmp`, which are empty at every boot.
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let content = content.as_ref().to_vec();
        self.files.push((path.into(), content, mode));
        self
    }

    /// A unit file, in `/etc/systemd/system`.
    pub fn unit(self, name: &str, content: &str) -> Self {
        self.file(format!("/etc/systemd/system/{name}"), content, 0o644)
    }

    /// Has a unit started at every boot.
    pub fn enabled(mut self, name: &str) -> Self {
        self.links.push((
            format!("/etc/systemd/system/multi-user.target.wants/{name}").into(),
            format!("/etc/systemd/system/{name}").into(),
        ));
        self
    }

    /// Boots it, and waits until its init has started everything.
    ///
    /// # Errors
    /// Without root, without the programs it needs (the message says which
    /// packages have them), or when it does not come up in time.
    pub fn boot(self) -> Result<Machine> {
        if self.own_kernel {
            return self.resume();
        }
        house::ensure_able(&house::CONTAINER_PROGRAMS)?;
        let house = House::new()?;
        let tree = self.systemd.tree(self.software.as_ref())?;
        let root = house.root();
        self.furnish(&tree, &root)
            .with_context(|| format!("cannot make the machine's files in {}", root.display()))?;
        let arguments = self.arguments(&tree, &root);
        Machine::container(|journal| Container::boot(house, arguments, journal))
    }

    /// Goes on from the snapshot of a machine with a kernel of its own.
    fn resume(self) -> Result<Machine> {
        ensure!(
            self.systemd == Systemd::Host && self.software.is_none(),
            "a machine with a kernel of its own has Debian 12, and no choice of software"
        );
        let house = House::new()?;
        let root = house.root();
        fs::create_dir_all(&root)?;
        self.own_files(&root)?;
        let (payload, script) = kernel::pack(&house.dir, &root, &self.binds)?;
        Machine::guest(|journal| Guest::resume(house, &payload, &script, journal))
    }

    /// Makes everything the machine has of its own.
    fn furnish(&self, tree: &Path, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        if self.systemd != Systemd::Host {
            // With what its packages put there.
            copy(&tree.join("etc"), &root.join("etc"))?;
            if self.software.is_some() {
                copy(&tree.join("var"), &root.join("var"))?;
            }
            remove_if_there(&root.join("etc/os-release"))?;
        }
        for folder in FOLDERS {
            fs::create_dir_all(root.join(folder))?;
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link))?;
        }
        let etc = root.join("etc");
        // nspawn looks for this before it mounts anything.
        fs::copy(tree.join("usr/lib/os-release"), etc.join("os-release"))?;
        // With an identity it is not a first boot, at which init would enable
        // every unit that the host's packages brought.
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
        fs::write(etc.join("machine-id"), id)?;
        if self.systemd == Systemd::Host {
            fs::write(etc.join("passwd"), PASSWD)?;
            fs::write(etc.join("group"), GROUP)?;
            if Path::new("/etc/ld.so.cache").is_file() {
                fs::copy("/etc/ld.so.cache", etc.join("ld.so.cache"))?;
            }
        }

        self.own_files(root)
    }

    /// Puts the files and links that were asked for into a tree.
    fn own_files(&self, root: &Path) -> Result<()> {
        let files = Root::open(root)?;
        for (path, content, mode) in &self.files {
            ensure!(
                !path.starts_with("/run") && !path.starts_with("/tmp"),
                "{} would be gone after the boot: write it when the machine is up",
                path.display()
            );
            files.write(path, content, *mode)?;
        }
        for (path, target) in &self.links {
            files.link(path, target)?;
        }
        Ok(())
    }

    fn arguments(&self, tree: &Path, root: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--boot",
            "--private-network",
            "--register=no",
            "--console=pipe",
            "--notify-ready=yes",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--directory={}", root.display()));
        arguments.push(bind(&tree.join("usr"), Path::new("/usr")));
        if self.systemd == Systemd::Host && Path::new("/etc/alternatives").is_dir() {
            let alternatives = Path::new("/etc/alternatives");
            arguments.push(bind(alternatives, alternatives));
        }
        for (host, guest) in &self.binds {
            arguments.push(bind(host, guest));
        }
        arguments
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    command::run(copy.arg("--archive").args([from, to]))?
        .into_stdout("cp --archive")
        .map(drop)
}

fn bind(host: &Path, guest: &Path) -> String {
    // nspawn splits at colons.
    let escape = |path: &Path| path.display().to_string().replace(':', r"\:");
    format!("--bind-ro={}:{}", escape(host), escape(guest))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
