//! One service, by its control group.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fs, path::PathBuf, time::Duration};

use prunella_core::health::{Metric, Reading, Source, Whole};

use super::{
    Instruments,
    folder::{File, Folder},
    limits::Limits,
    per_second, permille,
    processes::{Open, Processes, Sums, Wanted},
    slices::has_hardly_waited,
    text::{devices, field, waited},
    waiting::Waiting,
};
use crate::cgroup::Cgroups;

/// Limits change seldom: every so many samples they are read again, and so is all that a
/// service which does nothing has not changed itself.
const ALL_EVERY: u32 = 6;

/// Limits are read with each sample of a service that uses so much of one, in parts of a
/// thousand: there they decide about its health, and there somebody raises them.
const NEAR_LIMIT: u64 = 700;

/// What was measured of a service at one time.
#[derive(Debug, Default)]
pub struct UnitSample {
    /// Which run of the service it is.
    pub run: u64,
    pub readings: Vec<Reading>,
}

/// Measures one service.
///
/// Of a group that has used no processor time since the sample before, down to the microsecond,
/// nothing has run: its processes hold what they held. So they are not asked again, for a
/// minute at most. What others do to it is read each time: memory, I/O that the kernel carries
/// out for it, and pressure, unless nothing has waited in the slice that it lies in.
#[derive(Debug, Default)]
pub struct UnitSampler {
    /// systemd's ControlGroup, and where it is.
    path: String,
    directory: PathBuf,
    /// Of the run that was seen last.
    folder: Option<Folder>,
    limits: Limits,
    /// Whether it was near one of them.
    is_near_limit: bool,
    /// Samples until all is read again.
    until_all: u32,
    before: Option<Counters>,
    /// Of systemd's NRestarts.
    restarts: Option<u32>,
    processes: Processes,
    /// What asking the processes came to the last time.
    asked: Asked,
    /// What the group held then, and what of that is a cache of files.
    cache: (u64, u64),
    pressures: [Pressure; PRESSURES.len()],
}

/// What a service waits for, and what shows that.
const PRESSURES: [(Metric, File); 3] = [
    (Metric::PressureCpuPermille, File::CpuPressure),
    (Metric::PressureMemoryPermille, File::MemoryPressure),
    (Metric::PressureIoPermille, File::IoPressure),
];

/// How much a service had to wait when that was read last.
#[derive(Debug, Clone, Copy, Default)]
struct Pressure {
    waiting: Waiting,
    /// In parts of a thousand.
    share: Option<u64>,
    /// For how long anything in its slice had waited then, in microseconds.
    in_slice: Option<u64>,
}

/// What a service's processes told.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    count: u64,
    open: Option<Open>,
    /// Where the group does not count all itself.
    sums: Option<Sums>,
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

impl Counters {
    /// Reads the processor time. False where there is none to be read: the group keeps no
    /// account of it, or was removed.
    fn read_processor_time(&mut self, tools: &mut Instruments, folder: &mut Folder) -> bool {
        if let Some(text) = folder.read(tools, File::CpuStat) {
            self.cpu_us = field(text, "usage_usec");
            self.periods = field(text, "nr_periods");
            self.throttled = field(text, "nr_throttled");
        }
        self.cpu_us.is_some()
    }
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
        if self.path != path || self.directory.as_os_str().is_empty() {
            let Some(directory) = groups.directory(path) else {
                return false;
            };
            path.clone_into(&mut self.path);
            self.directory = directory;
            self.folder = None;
        }
        let mut counters = Counters {
            at: now,
            ..Counters::default()
        };
        let mut known = self.folder.take();
        known.take_if(|folder| !counters.read_processor_time(tools, folder) && !folder.is_there());
        let is_new = known.is_none();
        let Some(mut folder) = known.or_else(|| Folder::open(&self.directory)) else {
            self.before = None;
            return false;
        };
        if is_new {
            self.before = None;
            self.until_all = 0;
            self.processes = Processes::default();
            self.pressures = Default::default();
        }
        sample.run = folder.run();
        let reads_all = self.until_all == 0;
        if reads_all {
            self.until_all = ALL_EVERY;
            folder.forget_missing();
            self.processes.forget_limits();
        }
        if reads_all || self.is_near_limit {
            let of_slice = tools.limits_of_slice_of(groups, path, now);
            self.limits = Limits::read(tools, &mut folder).lowest(of_slice);
        }
        self.until_all -= 1;
        if counters.cpu_us.is_none() {
            counters.read_processor_time(tools, &mut folder);
        }
        let before = self.before.and_then(|before| before.cpu_us);
        let is_idle = !reads_all && before.is_some() && before == counters.cpu_us;
        let add = &mut sample.readings;
        let counted = self.accounts(tools, &mut folder, is_idle, &mut counters, add);
        self.pressure(tools, groups, (&mut folder, reads_all), now, add);
        self.rates(tools, &counters, add);
        if is_idle {
            self.asked.sums = self.asked.sums.map(Sums::at_rest);
        } else {
            let below = folder.has_below().then_some(path);
            self.ask(tools, groups, below, &folder, counted);
        }
        if let Some(sums) = self.asked.sums {
            self.by_processes(tools, &sums, now, counted, add);
        }
        let count = |metric, value| Reading::new(metric, value);
        add.push(count(Metric::Processes, self.asked.count));
        if let Some(open) = self.asked.open {
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
        self.is_near_limit = add.iter().any(is_near_limit);
        self.folder = Some(folder);
        self.before = Some(counters);
        true
    }

    /// Asks the processes: those below `path`, or with none, those of the folder itself.
    fn ask(
        &mut self,
        tools: &mut Instruments,
        groups: &Cgroups,
        path: Option<&str>,
        folder: &Folder,
        counted: Counted,
    ) {
        let mut pids = std::mem::take(&mut tools.pids);
        pids.clear();
        match path {
            Some(path) => pids.extend(groups.processes(path)),
            None => folder.processes(tools, &mut pids),
        }
        let wanted = Wanted {
            memory: !counted.memory,
            io: !counted.io,
        };
        let is_first = self.before.is_none();
        let sums = (!counted.all()).then(|| self.processes.sums(tools, &pids, wanted, is_first));
        self.asked = Asked {
            count: pids.len() as u64,
            open: self.processes.open(tools, &pids),
            sums,
        };
        tools.pids = pids;
    }

    /// What the control group's own files say, beside its processor time.
    fn accounts(
        &mut self,
        tools: &mut Instruments,
        folder: &mut Folder,
        is_idle: bool,
        counters: &mut Counters,
        add: &mut Vec<Reading>,
    ) -> Counted {
        let mut counted = Counted {
            cpu: counters.cpu_us.is_some(),
            ..Counted::default()
        };
        if let Some(current) = folder.number(tools, File::MemoryCurrent) {
            counted.memory = true;
            if !is_idle || self.cache.0 != current {
                // The cache of files is given back as soon as somebody needs the memory, also
                // that of files which are read again and again.
                let cache = folder
                    .read(tools, File::MemoryStat)
                    .map(|text| ["inactive_file", "active_file"].map(|name| field(text, name)))
                    .map_or(0, |parts| parts.into_iter().flatten().sum());
                self.cache = (current, cache);
            }
            let used = current.saturating_sub(self.cache.1);
            add.extend(self.memory(tools, used));
        }
        if let Some(swap) = folder.number(tools, File::SwapCurrent) {
            add.push(Reading::new(Metric::SwapBytes, swap));
        }
        if let Some(text) = folder.read(tools, File::MemoryEvents) {
            counters.oom_kills = field(text, "oom_kill");
        }
        if let Some(tasks) = folder.number(tools, File::TasksCurrent) {
            counted.tasks = true;
            add.extend(self.tasks(tasks));
        }
        let mut stacked = std::mem::take(&mut tools.stacked);
        if let Some(text) = folder.read(tools, File::IoStat) {
            counted.io = true;
            counters.io = Some(io(&mut stacked, text));
        }
        tools.stacked = stacked;
        counted
    }

    /// How much it had to wait. Where that was nothing, and hardly anything in its slice has
    /// waited since, it is still nothing.
    fn pressure(
        &mut self,
        tools: &mut Instruments,
        groups: &Cgroups,
        (folder, reads_all): (&mut Folder, bool),
        now: Duration,
        add: &mut Vec<Reading>,
    ) {
        let in_slice = tools.waited_in_slice_of(groups, &self.path, now);
        for ((known, in_slice), (metric, file)) in
            self.pressures.iter_mut().zip(in_slice).zip(PRESSURES)
        {
            let is_calm = known.share == Some(0) && has_hardly_waited(known.in_slice, in_slice);
            if is_calm && !reads_all {
                known.waiting.has_not_waited(now);
            } else {
                let total = folder.read(tools, file).and_then(waited);
                known.share = known.waiting.share(now, total);
                known.in_slice = in_slice;
            }
            add.extend(known.share.map(|share| Reading::new(metric, share)));
        }
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
        &self,
        tools: &Instruments,
        sums: &Sums,
        now: Duration,
        counted: Counted,
        add: &mut Vec<Reading>,
    ) {
        let span = self
            .before
            .map_or(Duration::ZERO, |before| now.saturating_sub(before.at));
        let first = add.len();
        if !counted.cpu {
            let ticks = per_second(0, sums.cpu_ticks, span);
            // Parts of a thousand of one processor.
            if let Some(share) = ticks.and_then(|ticks| permille(ticks, tools.ticks)) {
                add.extend(self.cpu(tools, share));
            }
        }
        if !counted.memory {
            add.extend(self.memory(tools, sums.memory));
            add.push(Reading::new(Metric::SwapBytes, sums.swap));
        }
        if !counted.tasks {
            add.extend(self.tasks(sums.tasks));
        }
        if !counted.io {
            for (metric, bytes) in [
                (Metric::IoReadBytesPerSecond, sums.read),
                (Metric::IoWriteBytesPerSecond, sums.written),
            ] {
                let rate = bytes.and_then(|bytes| per_second(0, bytes, span));
                add.extend(rate.map(|rate| Reading::new(metric, rate)));
            }
        }
        for reading in add.iter_mut().skip(first) {
            reading.source = Source::Processes;
        }
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
}

fn is_near_limit(reading: &Reading) -> bool {
    use Metric::{CpuPermille, MemoryPermille, TasksPermille};
    matches!(reading.metric, CpuPermille | MemoryPermille | TasksPermille)
        && reading.value >= NEAR_LIMIT
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

/// Bytes read and written, of all devices that are made of no others: what those count again.
fn io(stacked: &mut HashMap<String, bool>, text: &str) -> (u64, u64) {
    let mut sums = (0_u64, 0_u64);
    for (device, read, written) in devices(text) {
        let is_stacked = match stacked.get(device) {
            Some(known) => *known,
            None => {
                let found = is_stacked(device);
                stacked.insert(device.to_owned(), found);
                found
            }
        };
        if !is_stacked {
            sums.0 = sums.0.saturating_add(read);
            sums.1 = sums.1.saturating_add(written);
        }
    }
    sums
}

/// Whether a device, such as one of the device mapper, is made of others.
fn is_stacked(device: &str) -> bool {
    fs::read_dir(format!("/sys/dev/block/{device}/slaves"))
        .is_ok_and(|mut below| below.next().is_some())
}
