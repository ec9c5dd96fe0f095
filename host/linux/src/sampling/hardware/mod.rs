//! What programs of others tell of the host's hardware: disks' own verdicts (`smartctl`) and
//! GPUs (`nvidia-smi`).
//!
//! Each runs in a transient unit, which sees the devices that it asks and nothing of the
//! network. What is not installed does not run, and neither does what somebody other than
//! root could change.

mod gpu;
mod smart;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::health::{Metric, Reading};

pub(super) use self::gpu::xid;
use self::smart::Verdict;
use crate::{
    runs_as::RunsAs,
    safe_path,
    transient::{Capability, Device, Ended, ProtectSystem, Runner, Sandbox, Task},
};

/// A disk that has an error may take long to say so.
const LIMIT: Duration = Duration::from_secs(30);

/// Around it, for systemd.
const AROUND: Duration = Duration::from_secs(10);

/// Where the kernel lists block devices.
const BLOCK: &str = "/sys/block";

/// What is asked of hardware. Blocks while a program runs.
pub struct HardwareSampler {
    runner: Arc<dyn Runner>,
    /// Disks that cannot be asked: virtual ones, and those behind some controllers.
    unasked: BTreeSet<String>,
}

/// Disks of hardware, by the names that the kernel gives them; nothing, where it does not
/// tell.
pub(super) fn disks() -> Option<BTreeSet<String>> {
    let entries = fs::read_dir(BLOCK).ok()?.flatten();
    let names = entries
        .filter(|entry| entry.path().join("device").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !WITHOUT_VERDICT.iter().any(|it| name.starts_with(it)));
    Some(names.collect())
}

/// Drives of what is put in and taken out, and what is on another host.
const WITHOUT_VERDICT: [&str; 4] = ["sr", "fd", "mmcblk", "nbd"];

/// Whether the program is installed that asks disks.
pub fn can_ask_disks() -> bool {
    program(SMARTCTL).is_some()
}

/// Whether the program is installed that asks GPUs.
pub fn can_ask_gpus() -> bool {
    program(NVIDIA_SMI).is_some()
}

const SMARTCTL: &str = "smartctl";
const NVIDIA_SMI: &str = "nvidia-smi";

impl HardwareSampler {
    pub(crate) fn new(runner: Arc<dyn Runner>) -> Self {
        Self {
            runner,
            unasked: BTreeSet::new(),
        }
    }

    /// Asks each disk how it is. One that is asleep, or does not say, has no value.
    pub fn disks(&mut self) -> Vec<Reading> {
        let Some(smartctl) = program(SMARTCTL) else {
            return Vec::new();
        };
        let mut readings = Vec::new();
        for disk in disks().unwrap_or_default() {
            if self.unasked.contains(&disk) {
                continue;
            }
            let path = format!("/dev/{disk}");
            let command = [
                smartctl.clone(),
                "--json=c".to_owned(),
                "--health".to_owned(),
                // Nobody's disk is woken for this.
                "--nocheck=standby".to_owned(),
                path.clone(),
            ];
            let ended = self.run(
                "smart",
                format!("asks {path} how it is"),
                command.to_vec(),
                vec![Device {
                    name: path,
                    access: "rw",
                }],
                // To ask a SATA disk and an NVMe disk.
                vec![Capability::SysRawio, Capability::SysAdmin],
            );
            match ended.map(|ended| smart::verdict(ended.exit_code, &ended.output)) {
                Some(Verdict::Well) => readings.push(failing(&disk, false)),
                Some(Verdict::Failing) => readings.push(failing(&disk, true)),
                Some(Verdict::CannotSay) => {
                    self.unasked.insert(disk);
                }
                Some(Verdict::NotNow) | None => {}
            }
        }
        readings
    }

    /// Asks each GPU what it does.
    pub fn gpus(&self) -> Vec<Reading> {
        let Some(program) = program(NVIDIA_SMI) else {
            return Vec::new();
        };
        let command = vec![
            program,
            format!("--query-gpu={}", gpu::FIELDS),
            "--format=csv,noheader,nounits".to_owned(),
        ];
        let devices = vec![Device {
            name: "char-nvidia*".to_owned(),
            access: "rw",
        }];
        let ended = self.run(
            "gpus",
            "asks the GPUs what they do".to_owned(),
            command,
            devices,
            Vec::new(),
        );
        ended
            .map(|ended| gpu::readings(&String::from_utf8_lossy(&ended.output)))
            .unwrap_or_default()
    }

    fn run(
        &self,
        purpose: &'static str,
        description: String,
        command: Vec<String>,
        devices: Vec<Device>,
        capabilities: Vec<Capability>,
    ) -> Option<Ended> {
        let task = Task {
            purpose,
            description,
            command,
            runs_as: RunsAs::default(),
            sandbox: Sandbox {
                protect_system: ProtectSystem::Strict,
                protect_home: true,
                private_tmp: true,
                private_network: true,
                writable: Vec::new(),
                capabilities,
                families: vec!["AF_UNIX"],
                devices,
            },
            credentials: Vec::new(),
            shown: Vec::new(),
            timeout: LIMIT,
        };
        match self.runner.run(Instant::now() + LIMIT + AROUND, &task) {
            Ok(ended) if ended.timed_out => {
                tracing::debug!("{}: its time was up", task.description);
                None
            }
            Ok(ended) => Some(ended),
            Err(failure) => {
                tracing::debug!("{}: {failure}", task.description);
                None
            }
        }
    }
}

fn failing(disk: &str, is_failing: bool) -> Reading {
    Reading::new(Metric::DiskFailing, u64::from(is_failing)).in_instance(disk)
}

/// A program on the daemon's own path that nobody but root can change.
fn program(name: &str) -> Option<String> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder: PathBuf| folder.join(name))
        .find(|path| is_ours(path))
        .and_then(|path| path.into_os_string().into_string().ok())
}

fn is_ours(path: &Path) -> bool {
    path.is_absolute() && path.is_file() && safe_path::belongs_to_root(path).is_ok()
}
