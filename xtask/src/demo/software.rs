//! Real software for the demo's machine: nginx and Redis, from this host where
//! it has them, else unpacked from Debian's packages into the target folder.
//! Nothing is installed on the host, and nothing is started on it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::step::{find, take, workspace};

/// Where the unpacked packages are inside the machine.
const GUEST: &str = "/opt/software";

/// Program, Debian's package, and where that puts it.
const PROGRAMS: [(&str, &str, &str); 2] = [
    ("nginx", "nginx", "usr/sbin/nginx"),
    ("redis-server", "redis-server", "usr/bin/redis-server"),
];

/// Where the programs are inside the machine.
#[derive(Debug)]
pub(crate) struct Software {
    pub(crate) nginx: String,
    pub(crate) redis: String,
    /// What has to be shown in the machine at [`GUEST`].
    unpacked: Option<PathBuf>,
}

impl Software {
    /// Gets what this host does not have.
    pub(crate) fn get() -> Result<Self> {
        let missing: Vec<_> = PROGRAMS
            .into_iter()
            .filter(|(program, _, _)| of_this_host(program).is_none())
            .collect();
        let tree = target_dir().join("machines/software");
        let unpacked = if missing.is_empty() {
            None
        } else {
            if !missing
                .iter()
                .all(|(_, _, path)| is_there(&tree.join(path)))
            {
                let packages: Vec<_> = missing.iter().map(|(_, package, _)| *package).collect();
                unpack(&packages, &tree).with_context(|| {
                    format!("the demo breaks real software: {}", packages.join(", "))
                })?;
                for (program, package, path) in &missing {
                    ensure!(
                        is_there(&tree.join(path)),
                        "Debian's package {package} did not bring {program}: please install it"
                    );
                }
            }
            Some(tree)
        };
        let place = |program: &str, path: &str| {
            of_this_host(program).map_or_else(
                || format!("{GUEST}/{path}"),
                |path| path.display().to_string(),
            )
        };
        let [(nginx, _, nginx_path), (redis, _, redis_path)] = PROGRAMS;
        Ok(Self {
            nginx: place(nginx, nginx_path),
            redis: place(redis, redis_path),
            unpacked,
        })
    }

    /// Lets a program of this host find it.
    pub(crate) fn show_to(&self, command: &mut Command) {
        let Some(tree) = &self.unpacked else { return };
        let mut folders = vec![tree.join("usr/bin"), tree.join("usr/sbin")];
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
        let libraries = ["usr/lib", "lib"].map(|lib| tree.join(format!("{lib}/{ARCH}-linux-gnu")));
        if let Ok(path) = env::join_paths(libraries) {
            command.env("LD_LIBRARY_PATH", path);
        }
    }

    /// Shows it in a machine that is to be.
    pub(crate) fn show_in(&self, machine: prunella_machine::Builder) -> prunella_machine::Builder {
        match &self.unpacked {
            None => machine,
            Some(tree) => machine.bind_ro(tree, GUEST).file(
                "/etc/ld.so.conf",
                // Debian's own folders, and the same ones of what was unpacked.
                ["/usr/local/lib", "/usr/lib"]
                    .into_iter()
                    .flat_map(|lib| [format!("{lib}/{ARCH}-linux-gnu"), lib.to_owned()])
                    .chain([format!("{GUEST}/usr/lib/{ARCH}-linux-gnu")])
                    .chain([format!("{GUEST}/lib/{ARCH}-linux-gnu")])
                    .map(|line| line + "\n")
                    .collect::<String>(),
                0o644,
            ),
        }
    }

    /// What the machine has to do before it can run it.
    pub(crate) fn settle_in(&self, machine: &prunella_machine::Machine) -> Result<()> {
        if self.unpacked.is_some() {
            machine.run_ok(&["ldconfig"])?;
        }
        Ok(())
    }
}

const ARCH: &str = env::consts::ARCH;

/// A machine shares this host's `/usr`, so what is there is there too.
fn of_this_host(program: &str) -> Option<PathBuf> {
    let shared = ["/usr", "/bin", "/sbin"];
    find(program).filter(|path| shared.iter().any(|folder| path.starts_with(folder)))
}

/// A link may lead into another package, so only that it is there counts.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Downloads `packages`, and what of their dependencies this host lacks, and
/// unpacks them into `tree`.
pub(crate) fn unpack(packages: &[&str], tree: &Path) -> Result<()> {
    let names = packages.join(" ");
    if find("apt-get").is_none() || find("dpkg-deb").is_none() {
        bail!("please install, under the names your distribution has for them: {names}");
    }
    let unfinished = tree.with_extension("unfinished");
    let archives = tree.with_extension("archives");
    for folder in [&unfinished, &archives] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    fs::create_dir_all(archives.join("partial"))?;
    let download = || {
        let mut apt = Command::new("apt-get");
        apt.args(["install", "--download-only", "--yes", "--quiet"])
            .arg("--no-install-recommends")
            .arg(format!(
                "--option=Dir::Cache::archives={}",
                archives.display()
            ))
            // Debian's own user for downloads may not enter our folder.
            .arg("--option=APT::Sandbox::User=root")
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    if take(&mut download()).is_err() {
        // The lists may be missing in a fresh container, or be too old.
        take(Command::new("apt-get").args(["update", "--quiet"]))?;
        take(&mut download())?;
    }
    for entry in fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            take(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([&path, &unfinished]),
            )?;
        }
    }
    fs::remove_dir_all(&archives)?;
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    fs::rename(&unfinished, tree)?;
    Ok(())
}
