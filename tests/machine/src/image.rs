//! Whose `/usr` a machine gets: the host's, or that of a Debian release.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::{command, house};

/// Where Debian is fetched from.
const MIRROR: &str = "http://deb.debian.org/debian";

/// What goes into an image: an init with a bus, nothing more.
const PACKAGES: &str = "systemd,systemd-sysv,dbus";

/// bullseye's base files come without the links from /bin to /usr/bin, and so
/// on, and a machine is made of /usr alone. Later releases bring the same ones.
const MERGE_USR: &str = r#"for d in bin sbin lib lib32 lib64 libx32; do
    mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done"#;

/// Which systemd a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Systemd {
    /// The host's, whichever that is. The quickest: no image is needed.
    #[default]
    Host,
    /// 247, of Debian 11 (bullseye).
    V247,
    /// 252, of Debian 12 (bookworm).
    V252,
    /// 257, of Debian 13 (trixie).
    V257,
}

impl Systemd {
    /// Its major version; absent for the host's.
    pub fn version(self) -> Option<u32> {
        match self {
            Self::Host => None,
            Self::V247 => Some(247),
            Self::V252 => Some(252),
            Self::V257 => Some(257),
        }
    }

    fn release(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::V247 => Some("bullseye"),
            Self::V252 => Some("bookworm"),
            Self::V257 => Some("trixie"),
        }
    }

    /// The folder whose `usr` and `etc` a machine starts from, and with software
    /// its `var`, too. An image is made at its first use (about 20 seconds, more
    /// with software) and kept in `target/machines/images`.
    pub(crate) fn tree(self, software: Option<&Software>) -> Result<PathBuf> {
        let Some(release) = self.release() else {
            ensure!(
                software.is_none(),
                "software goes into an image, not into this host: say which version"
            );
            return Ok(PathBuf::from("/"));
        };
        let name = software.map_or_else(
            || release.to_owned(),
            |software| format!("{release}-{}", software.name),
        );
        let images = house::machines_dir()?.join("images");
        fs::create_dir_all(&images)
            .with_context(|| format!("cannot create {}", images.display()))?;
        let tree = images.join(&name);
        // Tests run side by side: one makes the image, the others wait for it.
        let lock = fs::File::create(images.join(format!("{name}.lock")))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        // What an image was made of: one of another list is made anew.
        let made_of = images.join(format!("{name}.packages"));
        let packages = software.map_or_else(String::new, |software| software.packages.join(","));
        let as_wanted =
            software.is_none() || fs::read_to_string(&made_of).is_ok_and(|was| was == packages);
        if tree.is_dir() && !as_wanted {
            fs::remove_dir_all(&tree)?;
        }
        if !tree.is_dir() {
            make(release, software, &tree)?;
            fs::write(&made_of, packages)?;
        }
        Ok(tree)
    }
}

/// Packages that an image has beyond what every image has. What they would start
/// at a boot is not started: a test says itself what is to run.
#[derive(Debug, Clone, Copy)]
pub struct Software {
    /// What the image is called, among those with software.
    pub name: &'static str,
    pub packages: &'static [&'static str],
}

/// Takes back what packages had enabled, with the timers that every Debian has.
const START_NOTHING: &str = r#"cd "$1/etc" && rm -rf rc?.d/S* systemd/system/*.wants/*"#;

fn make(release: &str, software: Option<&Software>, tree: &Path) -> Result<()> {
    ensure!(
        house::on_path("mmdebstrap"),
        "a machine with Debian's {release} needs `mmdebstrap`: install it with \
         `apt-get install mmdebstrap`, or let `cargo xtask setup` do it"
    );
    let unfinished = tree.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    // What it mounts goes with it, also when it is killed.
    let mut mmdebstrap = Command::new("unshare");
    mmdebstrap
        .args(["--mount", "mmdebstrap"])
        .args(["--quiet", "--mode=root", "--format=directory"])
        .args(["--variant=minbase", &format!("--include={PACKAGES}")])
        .arg(format!("--setup-hook={MERGE_USR}"));
    if let Some(software) = software {
        mmdebstrap
            .arg(format!("--include={}", software.packages.join(",")))
            .arg(format!("--customize-hook={START_NOTHING}"));
    }
    command::run(mmdebstrap.arg(release).arg(&unfinished).arg(MIRROR))?
        .into_stdout(&format!("mmdebstrap {release}"))
        .context("cannot make the image; it is fetched from Debian, so it needs the network")?;
    fs::rename(&unfinished, tree)?;
    Ok(())
}
