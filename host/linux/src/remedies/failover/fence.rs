//! The fence: a drop-in that keeps a unit from being started, by anybody and after a reboot too,
//! for as long as it is there. systemd refuses whoever starts the unit by hand, and skips every
//! other start: of `Restart=`, a timer, another unit, the boot.
//!
//! It says how far the failover has come, so that whoever finds it knows what is to be undone.
//! Once the standby serves, a start of the unit starts the standby instead: a reboot comes up
//! with that one.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use prunella_core::{Failure, UnitName, capability::Answer};
use serde::{Deserialize, Serialize};

use super::super::helper::Outcome;
use crate::transient::{ProtectSystem, Sandbox};

/// Where an operator's own units and drop-ins are: what is there outlasts a reboot.
const FOLDER: &str = "/etc/systemd/system";

/// Behind those of others, which could take the condition back.
const NAME: &str = "zz-prunella-failover.conf";

/// A file, and a rename.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// How far a failover has come, or has been taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// The primary is being stopped. The standby is as it was.
    Fenced,
    /// The standby is being started or promoted.
    TakingOver,
    /// The standby serves.
    TakenOver,
    /// The standby is down, and the primary may be started.
    Open,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Fenced, Self::TakingOver, Self::TakenOver, Self::Open];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::TakingOver => "taking-over",
            Self::TakenOver => "taken-over",
            Self::Open => "open",
        }
    }
}

/// The fence of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Fence {
    pub(super) unit: UnitName,
    pub(super) standby: UnitName,
    pub(super) stage: Stage,
}

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(in super::super) enum Request {
    Put(Fence),
    Remove { unit: UnitName },
}

/// Whether a drop-in has been written, and systemd has to read it.
pub(super) fn sandbox() -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::Strict,
        protect_home: true,
        private_tmp: true,
        private_network: true,
        writable: vec![FOLDER.to_owned()],
        capabilities: Vec::new(),
        families: vec!["AF_UNIX"],
        devices: Vec::new(),
    }
}

/// What runs in the helper.
pub(in super::super) fn carry_out(request: &Request) -> Answer<Outcome> {
    let root = Path::new(FOLDER);
    match request {
        Request::Put(fence) => fence
            .put(root)
            .map(|()| Outcome::TakenBack(format!("fenced {}", fence.unit)))
            .map_err(|error| failed("written", &fence.unit, &error)),
        Request::Remove { unit } => remove(root, unit)
            .map(|()| Outcome::TakenBack(format!("removed the fence of {unit}")))
            .map_err(|error| failed("removed", unit, &error)),
    }
}

fn failed(what: &str, unit: &UnitName, error: &io::Error) -> Failure {
    Failure::failed(
        "fence",
        format!("the fence of {unit} cannot be {what}: {error}"),
    )
}

/// The fence that a unit has.
///
/// # Errors
/// It cannot be read, or says what no version of Prunella writes.
pub(super) fn read(unit: &UnitName) -> Answer<Option<Fence>> {
    read_in(Path::new(FOLDER), unit)
}

fn read_in(root: &Path, unit: &UnitName) -> Answer<Option<Fence>> {
    let path = path(root, unit);
    match fs::read_to_string(&path) {
        Ok(text) => Fence::parse(unit, &text).map(Some).ok_or_else(|| {
            Failure::failed(
                "fence",
                format!("{} is not as Prunella wrote it", path.display()),
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", unit, &error)),
    }
}

fn path(root: &Path, unit: &UnitName) -> PathBuf {
    root.join(format!("{unit}.d")).join(NAME)
}

impl Fence {
    fn text(&self, root: &Path) -> String {
        let Self {
            unit,
            standby,
            stage,
        } = self;
        let mut text = format!(
            "# Prunella failed {unit} over to {standby}, and keeps it from running beside that.\n\
             # To have it back: prunella undo INCIDENT, of the incident that `prunella incidents \
             --unit {unit}` shows.\n\
             [X-Prunella]\nStandby={standby}\nStage={}\n",
            stage.as_str()
        );
        let own = path(root, unit);
        let closed = format!(
            "\n[Unit]\nConditionPathExists=!{}\nRefuseManualStart=yes\n",
            own.display().to_string().replace('%', "%%")
        );
        match stage {
            Stage::Fenced | Stage::TakingOver => text.push_str(&closed),
            Stage::TakenOver => {
                text.push_str(&closed);
                text.push_str(&format!("Wants={standby}\n"));
            }
            Stage::Open => {}
        }
        text
    }

    fn parse(unit: &UnitName, text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let stage = value("Stage")?;
        Some(Self {
            unit: unit.clone(),
            standby: UnitName::new(value("Standby")?).ok()?,
            stage: Stage::ALL.into_iter().find(|one| one.as_str() == stage)?,
        })
    }

    /// Writes it, in one step.
    fn put(&self, root: &Path) -> io::Result<()> {
        let path = path(root, &self.unit);
        let folder = path.parent().unwrap_or(root);
        let mut builder = fs::DirBuilder::new();
        match builder.mode(0o755).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // systemd reads nothing that does not end with `.conf`.
        let beside = path.with_extension("new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&beside)?;
        file.write_all(self.text(root).as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        fs::File::open(folder)?.sync_all()?;
        fs::File::open(root)?.sync_all()
    }
}

/// Removes it, and its folder when nothing else is in it.
fn remove(root: &Path, unit: &UnitName) -> io::Result<()> {
    let path = path(root, unit);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    }
    let folder = path.parent().unwrap_or(root);
    fs::File::open(folder)?.sync_all()?;
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => fs::File::open(root)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    fn fence(stage: Stage) -> Fence {
        Fence {
            unit: unit("a.service"),
            standby: unit("b.service"),
            stage,
        }
    }

    #[test]
    fn a_fence_is_read_as_it_was_written_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(read_in(root, &unit("a.service")).unwrap(), None);
        for stage in Stage::ALL {
            let fence = fence(stage);
            fence.put(root).unwrap();
            assert_eq!(read_in(root, &fence.unit).unwrap(), Some(fence));
        }
        assert_eq!(fs::read_dir(root.join("a.service.d")).unwrap().count(), 1);
        remove(root, &unit("a.service")).unwrap();
        remove(root, &unit("a.service")).unwrap();
        assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_something_else_in_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fence(Stage::Fenced).put(root).unwrap();
        fs::write(root.join("a.service.d/mine.conf"), "").unwrap();
        remove(root, &unit("a.service")).unwrap();
        assert!(root.join("a.service.d/mine.conf").exists());
    }

    #[test]
    fn a_boot_starts_the_standby_only_once_that_serves() {
        let root = Path::new("/etc/systemd/system");
        let text = |stage| fence(stage).text(root);
        for stage in [Stage::Fenced, Stage::TakingOver, Stage::TakenOver] {
            let text = text(stage);
            let condition = "ConditionPathExists=!/etc/systemd/system/a.service.d/\
                             zz-prunella-failover.conf\n";
            assert!(text.contains(condition), "{text}");
            assert!(text.contains("RefuseManualStart=yes\n"), "{text}");
            let wants = text.contains("Wants=b.service\n");
            assert_eq!(wants, stage == Stage::TakenOver, "{text}");
        }
        assert!(!text(Stage::Open).contains("[Unit]"));
    }

    #[test]
    fn what_somebody_else_wrote_is_no_fence() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("a.service.d");
        fs::create_dir(&own).unwrap();
        fs::write(own.join(NAME), "[Unit]\nStage=nonsense\n").unwrap();
        let failure = read_in(folder.path(), &unit("a.service")).unwrap_err();
        assert!(failure.message.contains("not as Prunella wrote it"));
    }
}
