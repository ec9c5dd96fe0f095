//! One value of a metric, as it was measured.

use std::collections::BTreeSet;

use super::{InstanceKind, Metric};

/// One value of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub metric: Metric,
    /// What of the subject was measured, where there may be several.
    pub instance: Option<String>,
    /// In the metric's unit.
    pub value: u64,
    pub whole: Whole,
    pub source: Source,
}

impl Reading {
    /// Of the subject itself, as its own accounts say.
    pub fn new(metric: Metric, value: u64) -> Self {
        Self {
            metric,
            instance: None,
            value,
            whole: Whole::Host,
            source: Source::Accounts,
        }
    }

    /// What the value is a share of.
    #[must_use]
    pub fn of(mut self, whole: Whole) -> Self {
        self.whole = whole;
        self
    }

    /// Of one of several.
    #[must_use]
    pub fn in_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Added up over processes.
    #[must_use]
    pub fn by_processes(mut self) -> Self {
        self.source = Source::Processes;
        self
    }
}

/// What there is of the things of a host that come and go. A value that is missing tells
/// nothing; a file system that is not mounted any more has no value to miss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// Where file systems are mounted; absent where that is not known.
    pub file_systems: Option<BTreeSet<String>>,
    /// Network interfaces, by name; absent where that is not known.
    pub interfaces: Option<BTreeSet<String>>,
    /// Disks, by the kernel's names; absent where that is not known.
    pub disks: Option<BTreeSet<String>>,
}

impl Existing {
    /// Whether it is known that what is measured is not there.
    pub fn lacks(&self, metric: Metric, instance: &str) -> bool {
        let there = match metric.instances() {
            InstanceKind::FileSystem => &self.file_systems,
            InstanceKind::Interface => &self.interfaces,
            InstanceKind::Disk => &self.disks,
            InstanceKind::None
            | InstanceKind::Probe
            | InstanceKind::Sensor
            | InstanceKind::LogPattern
            | InstanceKind::Gpu
            | InstanceKind::Metric => &None,
        };
        there
            .as_ref()
            .is_some_and(|there| !there.contains(instance))
    }
}

/// What a share is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// What the host has.
    Host,
    /// A limit of the service's own, or of a slice that it is in. In bytes, where it is one
    /// of memory; in parts of a thousand of one processor, where it is a quota.
    Limit(u64),
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The kernel's accounts of the control group, or of the host.
    Accounts,
    /// `/proc` of each of the service's processes: the control group has no such account.
    Processes,
}
