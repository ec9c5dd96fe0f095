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

/// A program, Debian's package, and where that puts it.
pub(crate) type Program = (&'static str, &'static str, &'static str);

const PROGRAMS: [Program; 2] = [
    ("nginx", "nginx", "usr/sbin/nginx"),
    ("redis-server", "redis-server", "usr/bin/redis-server"),
];

/// Where the programs are inside the machine.
#[derive(Debug)]
pub(crate) struct Software {
    pub(crate) nginx: String,
    pub(crate) redis: String,
    unpacked: Unpacked,
}

impl Software {
    /// Gets what this host does not have.
    pub(crate) fn get() -> Result<Self> {
        let unpacked = Unpacked::get(&PROGRAMS, "software", "the demo breaks real software")?;
        let [nginx, redis] = PROGRAMS;
        Ok(Self {
            nginx: unpacked.place(nginx),
            redis: unpacked.place(redis),
            unpacked,
        })
    }

    /// Lets a program of this host find it.
    pub(crate) fn show_to(&self, command: &mut Command) {
        self.unpacked.show_to(command);
    }

    /// Shows it in a machine that is to be.
    pub(crate) fn show_in(&self, machine: prunella_machine::Builder) -> prunella_machine::Builder {
        self.unpacked.show_in(machine)
    }

    /// What the machine has to do before it can run it.
    pub(crate) fn settle_in(&self, machine: &prunella_machine::Machine) -> Result<()> {
        self.unpacked.settle_in(machine)
    }
}

/// Debian's packages, of which what this host does not have is unpacked into a folder.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The folder, and where it is shown in the machine.
    tree: Option<(PathBuf, String)>,
}

impl Unpacked {
    /// Gets what this host does not have, into a folder of this name. `why` begins the
    /// sentence when that fails.
    pub(crate) fn get(programs: &[Program], name: &str, why: &str) -> Result<Self> {
        let missing: Vec<_> = programs
            .iter()
            .filter(|(program, _, _)| of_this_host(program).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(Self { tree: None });
        }
        let tree = target_dir().join("machines").join(name);
        if !missing
            .iter()
            .all(|(_, _, path)| is_there(&tree.join(path)))
        {
            let packages: Vec<_> = missing.iter().map(|(_, package, _)| *package).collect();
            unpack(&packages, &tree).with_context(|| format!("{why}: {}", packages.join(", ")))?;
            for (program, package, path) in &missing {
                ensure!(
                    is_there(&tree.join(path)),
                    "Debian's package {package} did not bring {program}: please install it"
                );
            }
        }
        Ok(Self {
            tree: Some((tree, format!("/opt/{name}"))),
        })
    }

    /// Where a program is inside the machine.
    pub(crate) fn place(&self, (program, _, path): Program) -> String {
        match (of_this_host(program), &self.tree) {
            (None, Some((_, guest))) => format!("{guest}/{path}"),
            (Some(path), _) => path.display().to_string(),
            (None, None) => program.to_owned(),
        }
    }

    fn show_to(&self, command: &mut Command) {
        let Some((tree, _)) = &self.tree else { return };
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

    pub(crate) fn show_in(&self, machine: prunella_machine::Builder) -> prunella_machine::Builder {
        match &self.tree {
            None => machine,
            Some((tree, guest)) => machine.bind_ro(tree, guest).file(
                "/etc/ld.so.conf",
                // Debian's own folders, and the same ones of what was unpacked.
                ["/usr/local/lib", "/usr/lib"]
                    .into_iter()
                    .flat_map(|lib| [format!("{lib}/{ARCH}-linux-gnu"), lib.to_owned()])
                    .chain([format!("{guest}/usr/lib/{ARCH}-linux-gnu")])
                    .chain([format!("{guest}/lib/{ARCH}-linux-gnu")])
                    .map(|line| line + "\n")
                    .collect::<String>(),
                0o644,
            ),
        }
    }

    pub(crate) fn settle_in(&self, machine: &prunella_machine::Machine) -> Result<()> {
        if self.tree.is_some() {
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
