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

    /// The folder whose `usr` and `etc` a machine starts from. An image is made
    /// at its first use (about 20 seconds) and kept in `target/machines/images`.
    pub(crate) fn tree(self) -> Result<PathBuf> {
        let Some(release) = self.release() else {
            return Ok(PathBuf::from("/"));
        };
        let images = house::machines_dir()?.join("images");
        fs::create_dir_all(&images)
            .with_context(|| format!("cannot create {}", images.display()))?;
        let tree = images.join(release);
        // Tests run side by side: one makes the image, the others wait for it.
        let lock = fs::File::create(images.join(format!("{release}.lock")))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        if !tree.is_dir() {
            make(release, &images, &tree)?;
        }
        Ok(tree)
    }
}

fn make(release: &str, images: &Path, tree: &Path) -> Result<()> {
    ensure!(
        house::on_path("mmdebstrap"),
        "a machine with Debian's {release} needs `mmdebstrap`: install it with \
         `apt-get install mmdebstrap`, or let `cargo xtask setup` do it"
    );
    let unfinished = images.join(format!("{release}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    command::run(
        Command::new("mmdebstrap")
            .args(["--quiet", "--mode=root", "--format=directory"])
            .args(["--variant=minbase", &format!("--include={PACKAGES}")])
            .arg(format!("--setup-hook={MERGE_USR}"))
            .arg(release)
            .arg(&unfinished)
            .arg(MIRROR),
    )?
    .into_stdout(&format!("mmdebstrap {release}"))
    .context("cannot make the image; it is fetched from Debian, so it needs the network")?;
    fs::rename(&unfinished, tree)?;
    Ok(())
}
