//! What the tests share: incidents, entries, and a small disk of their own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    budget::Moment,
    incident::{DetectedBy, Detection, Incident, IncidentId},
    trail::{Entry, Step},
};

/// A time, in milliseconds since 1970.
pub(crate) fn ms(milliseconds: u64) -> Timestamp {
    Timestamp::from_millis(milliseconds)
}

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

pub(crate) fn incident(name: &str, number: u16, at: u64) -> Incident {
    let detection = Detection {
        unit: unit(name),
        by: DetectedBy::Signal,
        at: ms(at),
        cause: "signal".into(),
        invocation: Some(format!("{name}-{number}")),
        exit_code: None,
        signal: Some("KILL".to_owned()),
        failed_monotonic: Some(Monotonic::from_micros(1)),
        restarts_before: None,
        symptoms: Vec::new(),
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    };
    Incident {
        id: IncidentId::new(ms(at), number),
        key: detection.key("boot"),
        detection,
        attempt: 1,
        boot_id: "boot".to_owned(),
        parent: None,
    }
}

pub(crate) fn note(incident: &IncidentId, number: u32, message: &str) -> Entry {
    Entry {
        incident: incident.clone(),
        number,
        at: ms(5),
        monotonic: Monotonic::from_micros(6),
        attempt: 1,
        step: Step::Note {
            message: message.to_owned(),
        },
    }
}

pub(crate) fn moment(boot: &str, since_boot: u64, at: u64) -> Moment {
    Moment {
        boot_id: boot.to_owned(),
        since_boot: Duration::from_secs(since_boot),
        at: ms(at * 1_000),
    }
}

/// A file system of its own, gone with the value. Needs root.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    pub(crate) fn new(options: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a small file system: run it as root"
        );
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { folder };
        disk.mount(&["-t", "tmpfs", "-o", options, "none"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let done = Command::new("mount")
            .args(arguments)
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "mount failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    pub(crate) fn make_read_only(&self) {
        self.mount(&["-o", "remount,ro"]);
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}
