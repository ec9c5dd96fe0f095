//! One service, by its control group.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use prunella_core::health::{Metric, Reading, Whole};

use super::{
    Instruments, per_second, permille,
    processes::{Processes, Wanted},
    text::{devices, field, limit, pressure, quota},
};
use crate::cgroup::Cgroups;

/// Limits change seldom: every so many samples they are read again.
const LIMITS_EVERY: u32 = 6;

/// What was measured of a service at one time.
#[derive(Debug, Default)]
pub struct UnitSample {
    /// Which run of the service it is.
    pub run: u64,
    pub readings: Vec<Reading>,
}

/// Measures one service.
#[derive(Debug, Default)]
pub struct UnitSampler {
    /// systemd's ControlGroup.
    path: String,
    /// Which directory that was: another run has another one.
    run: u64,
    limits: Limits,
    /// Samples until the limits are read again.
    until_limits: u32,
    before: Option<Counters>,
    /// Of systemd's NRestarts.
    restarts: Option<u32>,
    processes: Processes,
    /// Whether a device is made of others, whose bytes it would count again.
    stacked: HashMap<String, bool>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    /// In parts of a thousand of one processor.
    cpu: Option<u64>,
    memory: Option<u64>,
    tasks: Option<u64>,
}

/// What only grows within a run.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    at: Duration,
    cpu_us: Option<u64>,
    periods: Option<u64>,
    throttled: Option<u64>,
    io: Option<(u64, u64)>,
    oom_kills: Option<u64>,
}

impl UnitSampler {
    /// Measures the service, into `sample`. False when it has no control group now: it is
    /// down.
    ///
    /// `path` is systemd's ControlGroup, `restarts` its NRestarts, `now` the time since boot.
    pub fn sample(
        &mut self,
        tools: &mut Instruments,
        groups: &Cgroups,
        (path, restarts): (&str, u32),
        now: Duration,
        sample: &mut UnitSample,
    ) -> bool {
        sample.readings.clear();
        let Some(folder) = groups.directory(path) else {
            return false;
        };
        let Ok(about) = fs::symlink_metadata(&folder) else {
            self.before = None;
            return false;
        };
        if self.path != path || self.run != about.ino() {
            path.clone_into(&mut self.path);
            self.run = about.ino();
            self.before = None;
            self.until_limits = 0;
            self.processes = Processes::default();
        }
        sample.run = self.run;
        if self.until_limits == 0 {
            self.until_limits = LIMITS_EVERY;
            self.limits = read_limits(tools, groups, &folder);
            self.processes.forget_limits();
        }
        self.until_limits -= 1;
        let pids = if about.nlink() > 2 {
            groups.processes(path)
        } else {
            direct_processes(tools, &folder)
        };
        let mut counters = Counters {
            at: now,
            ..Counters::default()
        };
        let add = &mut sample.readings;
        let is_counted = self.accounts(tools, &folder, &mut counters, add);
        if !is_counted.all() {
            self.by_processes(tools, &pids, now, is_counted, add);
        }
        let count = |metric, value| Reading::new(metric, value);
        add.push(count(Metric::Processes, pids.len() as u64));
        if let Some(open) = self.processes.open(tools, &pids) {
            add.push(count(Metric::Descriptors, open.files));
            if let Some(share) = open.fullest {
                add.push(count(Metric::DescriptorsPermille, share));
            }
        }
        if let Some(more) = self
            .restarts
            .replace(restarts)
            .and_then(|before| restarts.checked_sub(before))
        {
            add.push(count(Metric::Restarts, more.into()));
        }
        self.before = Some(counters);
        true
    }

    /// What the control group's own files say.
    fn accounts(
        &mut self,
        tools: &mut Instruments,
        folder: &Path,
        counters: &mut Counters,
        add: &mut Vec<Reading>,
    ) -> Counted {
        let mut counted = Counted::default();
        if let Some(text) = tools.read(&folder.join("cpu.stat")) {
            counters.cpu_us = field(text, "usage_usec");
            counters.periods = field(text, "nr_periods");
            counters.throttled = field(text, "nr_throttled");
            counted.cpu = counters.cpu_us.is_some();
        }
        if let Some(current) = tools.number(&folder.join("memory.current")) {
            counted.memory = true;
            // The cache of files is given back as soon as somebody needs the memory, also that
            // of files which are read again and again.
            let cache = tools
                .read(&folder.join("memory.stat"))
                .map(|text| ["inactive_file", "active_file"].map(|name| field(text, name)))
                .map_or(0, |parts| parts.into_iter().flatten().sum());
            let used = current.saturating_sub(cache);
            add.extend(self.memory(tools, used));
        }
        if let Some(swap) = tools.number(&folder.join("memory.swap.current")) {
            add.push(Reading::new(Metric::SwapBytes, swap));
        }
        if let Some(text) = tools.read(&folder.join("memory.events")) {
            counters.oom_kills = field(text, "oom_kill");
        }
        if let Some(tasks) = tools.number(&folder.join("pids.current")) {
            counted.tasks = true;
            add.extend(self.tasks(tasks));
        }
        if let Some((read, written)) = self.io(tools, folder) {
            counted.io = true;
            counters.io = Some((read, written));
        }
        for (metric, name) in [
            (Metric::PressureCpuPermille, "cpu.pressure"),
            (Metric::PressureMemoryPermille, "memory.pressure"),
            (Metric::PressureIoPermille, "io.pressure"),
        ] {
            let text = tools.read(&folder.join(name));
            add.extend(text.and_then(pressure).map(|it| Reading::new(metric, it)));
        }
        self.rates(tools, counters, add);
        counted
    }

    /// What has been counted since the sample before.
    fn rates(&self, tools: &Instruments, now: &Counters, add: &mut Vec<Reading>) {
        let Some(before) = &self.before else { return };
        let span = now.at.saturating_sub(before.at);
        if let Some((before, now)) = before.cpu_us.zip(now.cpu_us)
            // Microseconds in a second are millionths of a processor.
            && let Some(millionths) = per_second(before, now, span)
        {
            add.extend(self.cpu(tools, millionths / 1_000));
        }
        if let Some((before, now)) = before
            .periods
            .zip(before.throttled)
            .zip(now.periods.zip(now.throttled))
            && let Some(periods) = now.0.checked_sub(before.0)
            && let Some(throttled) = now.1.checked_sub(before.1)
            // Without a quota of its own there are none at all.
            && now.0 > 0
        {
            // The kernel counts no periods in which nothing is to run: nothing was held back.
            let share = permille(throttled, periods).unwrap_or(0);
            add.push(Reading::new(Metric::ThrottledPermille, share));
        }
        if let Some((before, now)) = before.io.zip(now.io) {
            for (metric, before, now) in [
                (Metric::IoReadBytesPerSecond, before.0, now.0),
                (Metric::IoWriteBytesPerSecond, before.1, now.1),
            ] {
                add.extend(per_second(before, now, span).map(|rate| Reading::new(metric, rate)));
            }
        }
        if let Some(kills) = before
            .oom_kills
            .zip(now.oom_kills)
            .and_then(|(before, now)| now.checked_sub(before))
        {
            add.push(Reading::new(Metric::OomKills, kills));
        }
    }

    /// What the control group does not count, from `/proc` of its processes.
    fn by_processes(
        &mut self,
        tools: &mut Instruments,
        pids: &[u32],
        now: Duration,
        counted: Counted,
        add: &mut Vec<Reading>,
    ) {
        let wanted = Wanted {
            memory: !counted.memory,
            io: !counted.io,
        };
        let sums = self
            .processes
            .sums(tools, pids, wanted, self.before.is_none());
        let span = self
            .before
            .map_or(Duration::ZERO, |before| now.saturating_sub(before.at));
        let mut found = Vec::new();
        if !counted.cpu {
            let ticks = per_second(0, sums.cpu_ticks, span);
            // Parts of a thousand of one processor.
            let share = ticks.and_then(|ticks| permille(ticks, tools.ticks));
            if let Some(share) = share.filter(|_| self.before.is_some()) {
                found.extend(self.cpu(tools, share));
            }
        }
        if !counted.memory {
            found.extend(self.memory(tools, sums.memory));
            found.push(Reading::new(Metric::SwapBytes, sums.swap));
        }
        if !counted.tasks {
            found.extend(self.tasks(sums.tasks));
        }
        if !counted.io {
            for (metric, bytes) in [
                (Metric::IoReadBytesPerSecond, sums.read),
                (Metric::IoWriteBytesPerSecond, sums.written),
            ] {
                let rate = bytes.and_then(|bytes| per_second(0, bytes, span));
                found.extend(rate.map(|rate| Reading::new(metric, rate)));
            }
        }
        add.extend(found.into_iter().map(Reading::by_processes));
    }

    /// Of one processor, and of what it may use.
    fn cpu(&self, tools: &Instruments, core: u64) -> impl Iterator<Item = Reading> + use<> {
        let host = tools.processors.max(1) * 1_000;
        let (whole, size) = match self.limits.cpu {
            // More than there is, is no limit.
            Some(quota) if quota < host => (Whole::Limit(quota), quota),
            _ => (Whole::Host, host),
        };
        let share = permille(core, size);
        let share = share.map(|share| Reading::new(Metric::CpuPermille, share).of(whole));
        std::iter::once(Reading::new(Metric::CpuCorePermille, core)).chain(share)
    }

    fn memory(&self, tools: &Instruments, used: u64) -> impl Iterator<Item = Reading> + use<> {
        let (whole, size) = match self.limits.memory {
            Some(limit) if limit < tools.memory => (Whole::Limit(limit), limit),
            _ => (Whole::Host, tools.memory),
        };
        let share = permille(used, size);
        let share = share.map(|share| Reading::new(Metric::MemoryPermille, share).of(whole));
        std::iter::once(Reading::new(Metric::MemoryBytes, used)).chain(share)
    }

    fn tasks(&self, tasks: u64) -> impl Iterator<Item = Reading> + use<> {
        let limit = self.limits.tasks;
        let share = limit.and_then(|limit| permille(tasks, limit));
        let share = share.zip(limit).map(|(share, limit)| {
            Reading::new(Metric::TasksPermille, share).of(Whole::Limit(limit))
        });
        std::iter::once(Reading::new(Metric::Tasks, tasks)).chain(share)
    }

    /// Bytes read and written, of all devices that are made of no others.
    fn io(&mut self, tools: &mut Instruments, folder: &Path) -> Option<(u64, u64)> {
        let text = tools.read(&folder.join("io.stat"))?;
        let mut sums = (0_u64, 0_u64);
        for (device, read, written) in devices(text) {
            let is_stacked = match self.stacked.get(device) {
                Some(known) => *known,
                None => {
                    let found = is_stacked(device);
                    self.stacked.insert(device.to_owned(), found);
                    found
                }
            };
            if !is_stacked {
                sums.0 = sums.0.saturating_add(read);
                sums.1 = sums.1.saturating_add(written);
            }
        }
        Some(sums)
    }
}

/// What of a service its control group counts.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    cpu: bool,
    memory: bool,
    tasks: bool,
    io: bool,
}

impl Counted {
    fn all(self) -> bool {
        self.cpu && self.memory && self.tasks && self.io
    }
}

/// Whether a device, such as one of the device mapper, is made of others.
fn is_stacked(device: &str) -> bool {
    fs::read_dir(format!("/sys/dev/block/{device}/slaves"))
        .is_ok_and(|mut below| below.next().is_some())
}

/// The processes of a group that has none below it.
fn direct_processes(tools: &mut Instruments, folder: &Path) -> Vec<u32> {
    let text = tools.read(&folder.join("cgroup.procs")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid != 0)
        .collect()
}

/// The lowest limits of a group and of all that it lies in.
fn read_limits(tools: &mut Instruments, groups: &Cgroups, folder: &Path) -> Limits {
    let mut limits = Limits::default();
    let lower = |known: &mut Option<u64>, found: Option<u64>| {
        *known = match (*known, found) {
            (Some(known), Some(found)) => Some(known.min(found)),
            (known, found) => known.or(found),
        };
    };
    let mut at: Option<PathBuf> = Some(folder.to_owned());
    while let Some(group) =
        at.filter(|group| group.starts_with(groups.root()) && group != groups.root())
    {
        lower(
            &mut limits.cpu,
            tools.read(&group.join("cpu.max")).and_then(quota),
        );
        for name in ["memory.max", "memory.high"] {
            lower(
                &mut limits.memory,
                tools.read(&group.join(name)).and_then(limit),
            );
        }
        lower(
            &mut limits.tasks,
            tools.read(&group.join("pids.max")).and_then(limit),
        );
        at = group.parent().map(Path::to_owned);
    }
    limits
}
