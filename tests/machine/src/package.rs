//! A program of Debian's that the host need not have: unpacked, and not installed.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::{command, house};

/// Where the files of a package are, as it would install them: fetched from this host's
/// Debian at the first use, and kept in `target/machines/packages`. A program in it finds the
/// libraries that it needs where the host's `/usr` is.
///
/// # Errors
/// When the package cannot be had.
pub fn unpacked(package: &str) -> Result<PathBuf> {
    let packages = house::machines_dir()?.join("packages");
    fs::create_dir_all(&packages)?;
    let tree = packages.join(package);
    // Tests run side by side: one fetches it, the others wait.
    let lock = fs::File::create(packages.join(format!("{package}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if tree.is_dir() {
        return Ok(tree);
    }
    let archives = tree.with_extension("archives");
    let unfinished = tree.with_extension("unfinished");
    for folder in [&archives, &unfinished] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    let mut apt = Command::new("apt-get");
    // Debian's own user for downloads may not enter our folder.
    apt.args([
        "download",
        "--quiet",
        "--option=APT::Sandbox::User=root",
        package,
    ])
    .current_dir(&archives);
    command::run(&mut apt)?
        .into_stdout(&format!("apt-get download {package}"))
        .context("it is fetched from Debian, so it needs the network")?;
    let archive = fs::read_dir(&archives)?.next().transpose()?;
    let archive = archive.with_context(|| format!("{package} was not downloaded"))?;
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--extract").arg(archive.path()).arg(&unfinished);
    command::run(&mut dpkg)?.into_stdout("dpkg-deb --extract")?;
    fs::remove_dir_all(&archives)?;
    ensure!(unfinished.join("usr").is_dir(), "{package} has no programs");
    fs::rename(&unfinished, &tree)?;
    Ok(tree)
}
