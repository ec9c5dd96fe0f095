//! apt-get, asked and told.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use prunella_core::{Failure, capability::Answer, remedy::PackageVersion, text::one_line};

/// Where apt keeps what it has fetched.
const ARCHIVES: &str = "/var/cache/apt/archives";

/// Asks nothing, keeps what the operator has configured, and takes nothing else away or along.
const OPTIONS: &[&str] = &[
    "--quiet",
    "--yes",
    "--allow-downgrades",
    "--no-remove",
    "--no-install-recommends",
    "-oDpkg::Options::=--force-confdef",
    "-oDpkg::Options::=--force-confold",
    "-oDpkg::Use-Pty=0",
    // Both versions are there while one takes the place of the other.
    "-oAPT::Keep-Downloaded-Packages=true",
];

/// What apt would install: name and version.
pub(super) fn would_install(these: &[String]) -> Answer<Vec<PackageVersion>> {
    let said = run(&["--simulate", "--reinstall", "install"], these)?;
    Ok(said.lines().filter_map(installs).collect())
}

/// Fetches packages and does nothing else.
pub(super) fn fetch(these: &[String]) -> Answer<()> {
    run(&["--download-only", "--reinstall", "install"], these).map(drop)
}

/// Installs packages, and has them set up.
pub(super) fn install(these: &[String]) -> Answer<()> {
    run(&["install"], these).map(drop)
}

/// Has dpkg finish what it was cut off in.
pub(super) fn configure_pending() -> Answer<()> {
    let mut dpkg = Command::new("dpkg");
    dpkg.args([
        "--force-confdef",
        "--force-confold",
        "--configure",
        "--pending",
    ]);
    ended(dpkg).map(drop)
}

/// What apt is told to install: the file, where it was fetched before and the archive may not
/// have it any more.
pub(super) fn argument(package: &PackageVersion, architecture: &str) -> String {
    [architecture, "all"]
        .iter()
        .map(|architecture| cached(Path::new(ARCHIVES), package, architecture))
        .find(|file| file.is_file())
        .map_or_else(
            || package.to_string(),
            |file| file.to_string_lossy().into_owned(),
        )
}

fn cached(archives: &Path, package: &PackageVersion, architecture: &str) -> PathBuf {
    let version = package.version.replace(':', "%3a");
    archives.join(format!("{}_{version}_{architecture}.deb", package.name))
}

/// `Inst shop [2.0] (1.0 Debian:12/stable [all])`.
fn installs(line: &str) -> Option<PackageVersion> {
    let rest = line.strip_prefix("Inst ")?;
    let (name, rest) = rest.split_once(' ')?;
    let (_, version) = rest.split_once('(')?;
    Some(PackageVersion {
        name: name.to_owned(),
        version: version.split([' ', ')']).next()?.to_owned(),
    })
}

fn run(what: &[&str], these: &[String]) -> Answer<String> {
    let mut apt = Command::new("apt-get");
    apt.args(OPTIONS).args(what).arg("--").args(these);
    ended(apt)
}

fn ended(mut command: Command) -> Answer<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .envs([
            ("LC_ALL", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("APT_LISTCHANGES_FRONTEND", "none"),
            // Restarts of other services are nobody's wish now.
            ("NEEDRESTART_SUSPEND", "1"),
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::not_found("no-package-manager", format!("there is no {program} here"))
            }
            _ => Failure::failed("package-manager", format!("{program} cannot run: {error}")),
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(said.into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Failure::failed(
        "package-manager",
        format!("{program} says: {}", told(&errors, &said)),
    ))
}

/// The first error that it named; else the end of what it said.
fn told(errors: &str, said: &str) -> String {
    let named = errors.lines().find_map(|line| line.strip_prefix("E: "));
    let last = || errors.lines().chain(said.lines()).next_back();
    one_line(named.or_else(last).unwrap_or("nothing"), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_installed_is_read() {
        let said = "Reading package lists...\n\
                    Inst shop [2.0] (1:1.0-1 shop:stable [all])\n\
                    Inst shop-common [2.0] (1.0)\nConf shop (1:1.0-1 shop:stable [all])\n";
        let all: Vec<PackageVersion> = said.lines().filter_map(installs).collect();
        assert_eq!(
            PackageVersion::all_as_text(&all),
            "shop=1:1.0-1 shop-common=1.0"
        );
        assert_eq!(
            told("W: old\nE: Version '3' for 'shop' was not found\n", "no"),
            "Version '3' for 'shop' was not found"
        );
    }

    #[test]
    fn what_was_fetched_has_its_name() {
        let package = PackageVersion {
            name: "shop".to_owned(),
            version: "1:1.0-1".to_owned(),
        };
        let file = cached(Path::new("/var/cache"), &package, "all");
        assert_eq!(file, Path::new("/var/cache/shop_1%3a1.0-1_all.deb"));
    }
}
