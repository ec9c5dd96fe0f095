//! The host itself, by what the kernel tells in `/proc` and `/sys`.

use std::{fs, path::Path, time::Duration};

use prunella_core::health::{Existing, Metric, Reading};

use super::{
    Instruments, hardware,
    network::Network,
    permille, sensors,
    text::{field, waited},
    time_sync,
    waiting::Waiting,
};
use crate::file_systems;

/// What changes slowly, or costs more, is measured every so many samples; in between it
/// counts as it was.
const SELDOM: u32 = 6;

/// What is waited for, and where the kernel tells for how long.
const PRESSURES: [(Metric, &str); 3] = [
    (Metric::PressureCpuPermille, "/proc/pressure/cpu"),
    (Metric::PressureMemoryPermille, "/proc/pressure/memory"),
    (Metric::PressureIoPermille, "/proc/pressure/io"),
];

/// Measures the host.
#[derive(Debug, Default)]
pub struct HostSampler {
    /// Processor time so far, in all and idle, in ticks.
    before: Option<(u64, u64)>,
    waiting: [Waiting; PRESSURES.len()],
    network: Network,
    existing: Existing,
    seldom: Vec<Reading>,
    until_seldom: u32,
}

impl HostSampler {
    /// Measures the host, into `readings`. To be called before services are: their shares are
    /// of the host's memory. `now` is the time since boot.
    pub fn sample(&mut self, tools: &mut Instruments, now: Duration, readings: &mut Vec<Reading>) {
        readings.clear();
        self.cpu(tools, readings);
        memory(tools, readings);
        let load = tools.read(Path::new("/proc/loadavg")).and_then(load);
        readings.extend(load.map(|load| Reading::new(Metric::LoadMilli, load)));
        for (waiting, (metric, path)) in self.waiting.iter_mut().zip(PRESSURES) {
            let total = tools.read(Path::new(path)).and_then(waited);
            let share = waiting.share(now, total);
            readings.extend(share.map(|share| Reading::new(metric, share)));
        }
        let files = tools
            .read(Path::new("/proc/sys/fs/file-nr"))
            .and_then(files);
        readings.extend(files.map(|share| Reading::new(Metric::FileHandlesPermille, share)));
        self.existing.interfaces = self.network.sample(tools, readings);
        if self.until_seldom == 0 {
            self.until_seldom = SELDOM;
            self.seldom.clear();
            processes(tools, &mut self.seldom);
            self.existing.file_systems = file_systems::mount_points();
            self.existing.disks = hardware::disks();
            disks(&mut self.seldom);
            sensors::sample(tools, &mut self.seldom);
            time_sync::sample(&mut self.seldom);
        }
        self.until_seldom -= 1;
        readings.extend(self.seldom.iter().cloned());
    }

    /// What there was of the things that come and go, when they were measured last.
    pub fn existing(&self) -> &Existing {
        &self.existing
    }

    fn cpu(&mut self, tools: &mut Instruments, readings: &mut Vec<Reading>) {
        let now = tools.read(Path::new("/proc/stat")).and_then(processor_time);
        let before = std::mem::replace(&mut self.before, now);
        // Steal and the like may make them go back.
        if let (Some(before), Some(now)) = (before, now)
            && let Some(all) = now.0.checked_sub(before.0)
            && let Some(idle) = now.1.checked_sub(before.1)
            && let Some(share) = permille(all.saturating_sub(idle), all)
        {
            readings.push(Reading::new(Metric::CpuPermille, share));
        }
    }
}

/// Of `/proc/stat`: all ticks, and idle ones.
fn processor_time(text: &str) -> Option<(u64, u64)> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?;
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests get is in user
    // already.
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .take(8)
        .map_while(|word| word.parse().ok())
        .collect();
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    Some((ticks.iter().sum(), idle))
}

fn memory(tools: &mut Instruments, readings: &mut Vec<Reading>) {
    let Some(text) = tools.read(Path::new("/proc/meminfo")) else {
        return;
    };
    let bytes = |name| field(text, name).map(|kibibytes| kibibytes << 10);
    let memory = bytes("MemTotal").zip(bytes("MemAvailable"));
    let swap = bytes("SwapTotal").zip(bytes("SwapFree"));
    if let Some((total, available)) = memory {
        tools.memory = total;
        let used = total.saturating_sub(available);
        readings.push(Reading::new(Metric::MemoryBytes, used));
        let share = permille(used, total);
        readings.extend(share.map(|share| Reading::new(Metric::MemoryPermille, share)));
    }
    tools.has_swapped = swap.is_none_or(|(total, free)| total > free);
    // A host without swap has none that could be full.
    if let Some((total, free)) = swap.filter(|(total, _)| *total > 0) {
        let used = total.saturating_sub(free);
        readings.push(Reading::new(Metric::SwapBytes, used));
        let share = permille(used, total);
        readings.extend(share.map(|share| Reading::new(Metric::SwapPermille, share)));
    }
}

/// Of `/proc/loadavg`, in thousandths.
fn load(text: &str) -> Option<u64> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 1_000 + hundredths.parse::<u64>().ok()? * 10)
}

/// Of `/proc/sys/fs/file-nr`: open files, of what there may be.
fn files(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let open: u64 = words.next()?.parse().ok()?;
    permille(open, words.nth(1)?.parse().ok()?)
}

/// Processes, but for the kernel's own threads, and which of them are zombies.
fn processes(tools: &mut Instruments, readings: &mut Vec<Reading>) {
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    let (mut count, mut zombies) = (0, 0);
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let stat = tools.read(&entry.path().join("stat"));
        match stat.and_then(crate::procfs::parse_stat) {
            Some(stat) if !stat.kernel_thread => {
                count += 1;
                zombies += u64::from(stat.zombie);
            }
            _ => {}
        }
    }
    readings.push(Reading::new(Metric::Processes, count));
    readings.push(Reading::new(Metric::Zombies, zombies));
}

/// Each file system that can be written to.
fn disks(readings: &mut Vec<Reading>) {
    for disk in file_systems::of_this_host(&[]) {
        if disk.read_only {
            continue;
        }
        let of = |metric, value| Reading::new(metric, value).in_instance(disk.mount_point.clone());
        readings.push(of(Metric::DiskFreeBytes, disk.available));
        // What root alone may use counts as neither, as for df(1).
        let share = permille(disk.used, disk.used.saturating_add(disk.available));
        readings.extend(share.map(|share| of(Metric::DiskPermille, share)));
        let used = disk.inodes_total.saturating_sub(disk.inodes_available);
        let share = permille(used, disk.inodes_total);
        readings.extend(share.map(|share| of(Metric::InodesPermille, share)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_files() {
        let stat = "cpu  100 5 50 800 20 3 2 20 7 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(processor_time(stat), Some((1_000, 820)));
        assert_eq!(processor_time("intr 1 2"), None);
        assert_eq!(load("1.52 0.90 0.70 3/512 4711\n"), Some(1_520));
        assert_eq!(files("1888\t0\t9223372036854775807\n"), Some(0));
        assert_eq!(files("900\t0\t1000\n"), Some(900));
    }

    #[test]
    fn this_host_is_measured() {
        let mut tools = Instruments::default();
        let mut host = HostSampler::default();
        let mut readings = Vec::new();
        host.sample(&mut tools, Duration::from_secs(1), &mut readings);
        assert!(tools.memory > 0);
        let value = |readings: &[Reading], metric| {
            readings
                .iter()
                .find(|it| it.metric == metric)
                .map(|it| it.value)
        };
        assert_eq!(value(&readings, Metric::CpuPermille), None);
        for metric in [Metric::MemoryPermille, Metric::DiskPermille] {
            let share = value(&readings, metric).unwrap();
            assert!(share > 0 && share <= 1_000, "{metric:?}: {share}");
        }
        assert!(value(&readings, Metric::Processes).unwrap() > 1);
        let existing = host.existing().file_systems.as_ref().unwrap();
        assert!(existing.contains("/"), "{existing:?}");
        let first = readings.len();
        std::thread::sleep(Duration::from_millis(50));
        host.sample(&mut tools, Duration::from_secs(2), &mut readings);
        assert!(value(&readings, Metric::CpuPermille).unwrap() <= 1_000);
        assert!(readings.len() > first, "what is measured seldom stays");
    }
}
