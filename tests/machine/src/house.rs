//! Where machines live on the host, and clearing away what dead tests left.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, bail, ensure};

use crate::cgroup;

const PREFIX: &str = "prunella-";

/// The folder of one machine: `target/machines/run/NAME`.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
}

impl House {
    /// A new, empty one, named after this process.
    pub(crate) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        static CLEARED: OnceLock<()> = OnceLock::new();

        let run = machines_dir()?.join("run");
        CLEARED.get_or_init(|| clear_strays(&run));

        let own = std::process::id();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{own}-{number}");
        let dir = run.join(&name);
        // A process with this id may have lived before.
        clear(&dir, &name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        fs::write(dir.join("owner"), identity(own)?)?;
        Ok(Self { name, dir })
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Notes which process is the machine's container manager, so that a later
    /// test can end it when this one cannot.
    pub(crate) fn note_manager(&self, pid: u32) -> Result<()> {
        Ok(fs::write(self.dir.join("manager"), identity(pid)?)?)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        clear(&self.dir, &self.name);
    }
}

/// The target folder this program was built into.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(program
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            Path::to_path_buf,
        ))
}

/// `target/machines`, for what machines are made of.
///
/// # Errors
/// When the path of this program cannot be found out.
pub fn machines_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("machines"))
}

/// Programs that a container needs, and Debian's packages that have them.
pub(crate) const CONTAINER_PROGRAMS: [(&str, &str); 3] = [
    ("systemd-nspawn", "systemd-container"),
    ("nsenter", "util-linux"),
    ("dbus-daemon", "dbus"),
];

/// Says what is missing, and how to get it.
pub(crate) fn ensure_able(programs: &[(&str, &str)]) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "a test machine needs root: run this as root (for example with `sudo -E`)"
    );
    for (program, package) in programs {
        if !on_path(program) {
            bail!(
                "a test machine needs `{program}`: install it with `apt-get install {package}`, \
                 or let `cargo xtask setup` do it"
            );
        }
    }
    Ok(())
}

pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// A process as `PID START`: the number alone may belong to another one later.
fn identity(pid: u32) -> Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    // proc(5): the second field may contain blanks and ends at the last `)`;
    // the start time is the 22nd.
    let start = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19))
        .context("/proc/PID/stat is not as proc(5) describes it")?;
    Ok(format!("{pid} {start}"))
}

/// The process that `file` notes, when it is still that same one.
fn alive(file: &Path) -> Option<u32> {
    let noted = fs::read_to_string(file).ok()?;
    let pid: u32 = noted.split_once(' ')?.0.parse().ok()?;
    (identity(pid).ok()? == noted).then_some(pid)
}

fn clear_strays(run: &Path) {
    let Ok(entries) = fs::read_dir(run) else {
        return;
    };
    for entry in entries.flatten() {
        let dir = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // Without a readable owner it may be one that is just being made.
        if name.starts_with(PREFIX)
            && dir.join("owner").is_file()
            && alive(&dir.join("owner")).is_none()
        {
            clear(&dir, &name);
        }
    }
}

/// Ends what still runs of a machine and removes what is left of it.
fn clear(dir: &Path, name: &str) {
    if let Some(manager) = alive(&dir.join("manager"))
        && let Some(pid) = i32::try_from(manager)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
    {
        // Lest it starts the machine again. The init dies with its group.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    cgroup::remove(name);
    let _ = fs::remove_dir(format!("/run/systemd/nspawn/propagate/{name}"));
    let _ = fs::remove_dir(format!("/run/systemd/nspawn/unix-export/{name}"));
    if let Err(error) = fs::remove_dir_all(dir)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("cannot remove {}: {error}", dir.display());
    }
}
