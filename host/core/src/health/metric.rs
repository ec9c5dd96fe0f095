//! What is measured, as one table.

use serde::{Deserialize, Serialize};

/// What the values of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Things, counted.
    Count,
    /// Parts of a thousand.
    Permille,
    /// Thousandths of one.
    Milli,
    Milliseconds,
    Hours,
    Bytes,
    BytesPerSecond,
    /// Things, counted over the last minute.
    PerMinute,
    /// Degrees; what is below freezing is 0.
    Celsius,
    /// 1 for yes, 0 for no.
    Flag,
}

/// What a subject has several of, each with a value of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceKind {
    /// Nothing: the subject has one value.
    None,
    /// Its probes, by name.
    Probe,
    /// Its file systems, by where they are mounted.
    FileSystem,
    /// Its network interfaces, by name.
    Interface,
    /// Its sensors of temperature, by name.
    Sensor,
    /// Patterns that its lines may contain, by the operator's names.
    LogPattern,
    /// Its disks, by the kernel's names.
    Disk,
    /// Its GPUs, by where they are plugged in.
    Gpu,
    /// Its metrics, in words.
    Metric,
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $metric:ident $word:literal $quantity:ident $instances:ident $title:literal;)+) => {
        /// What is measured. Its unit is in its name.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Metric {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $metric,)+
        }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$metric),+];

            /// The stable word of the store, of commands and of `--json`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$metric => $word,)+ }
            }

            /// What its values are.
            pub fn quantity(self) -> Quantity {
                match self { $(Self::$metric => Quantity::$quantity,)+ }
            }

            /// What has a value each, where a subject may have several.
            pub fn instances(self) -> InstanceKind {
                match self { $(Self::$metric => InstanceKind::$instances,)+ }
            }

            /// In a few words, for a heading.
            pub fn title(self) -> &'static str {
                match self { $(Self::$metric => $title,)+ }
            }
        }
    };
}

metrics! {
    /// So many times in a row a probe was not answered.
    UnansweredInARow "unanswered-in-a-row" Count Probe "unanswered in a row";
    /// Of a thousand questions of a probe within the window, so many were not answered.
    ErrorsPermille "errors-permille" Permille Probe "unanswered share";
    /// How long a probe's answer took.
    LatencyMs "latency-ms" Milliseconds Probe "latency";
    /// For how long the certificate that a probe is shown stays valid.
    CertificateHours "certificate-hours" Hours Probe "certificate's time left";
    /// What was used up of the questions that may go unanswered within 30 days.
    ErrorBudgetPermille "error-budget-permille" Permille None "error budget";

    /// Processor time, of what the subject may use: a service's quota, or all processors.
    CpuPermille "cpu-permille" Permille None "CPU";
    /// Processor time, of one processor.
    CpuCorePermille "cpu-core-permille" Permille None "CPU of one core";
    /// Periods in which a service had used up its quota of processor time.
    ThrottledPermille "throttled-permille" Permille None "throttled periods";
    /// One-minute load average.
    LoadMilli "load-milli" Milli None "load";
    /// Memory that is not to be had back at once: without the cache of files.
    MemoryBytes "memory-bytes" Bytes None "memory";
    /// The same, of what there is: a service's limit, or the host's memory.
    MemoryPermille "memory-permille" Permille None "memory share";
    /// Memory that was swapped out.
    SwapBytes "swap-bytes" Bytes None "swap";
    /// The same, of the host's swap.
    SwapPermille "swap-permille" Permille None "swap share";
    /// Time in which something waited for a processor, over the last ten seconds.
    PressureCpuPermille "pressure-cpu-permille" Permille None "waiting for CPU";
    /// Time in which something waited for memory, over the last ten seconds.
    PressureMemoryPermille "pressure-memory-permille" Permille None "waiting for memory";
    /// Time in which something waited for input or output, over the last ten seconds.
    PressureIoPermille "pressure-io-permille" Permille None "waiting for I/O";
    /// Processes; of the host, without the kernel's own threads.
    Processes "processes" Count None "processes";
    /// Processes that have ended and that their parents have not asked about.
    Zombies "zombies" Count None "zombies";
    /// Tasks of a service: its processes, and their threads.
    Tasks "tasks" Count None "tasks";
    /// The same, of its limit.
    TasksPermille "tasks-permille" Permille None "task share";
    /// Open file descriptors of a service's processes.
    Descriptors "descriptors" Count None "open files";
    /// Of the limit of each process, that of the process that is nearest to its own.
    DescriptorsPermille "descriptors-permille" Permille None "open file share";
    /// Open files of the host, of the kernel's limit.
    FileHandlesPermille "file-handles-permille" Permille None "file handles";
    /// What a service reads from disks.
    IoReadBytesPerSecond "io-read-bytes-per-second" BytesPerSecond None "disk reads";
    /// What a service writes to disks.
    IoWriteBytesPerSecond "io-write-bytes-per-second" BytesPerSecond None "disk writes";
    /// Processes that were killed for want of memory since the sample before.
    OomKills "oom-kills" Count None "out-of-memory kills";
    /// Restarts by systemd since the sample before.
    Restarts "restarts" Count None "restarts";

    /// Lines that a service wrote to the journal, those that journald dropped included.
    LogLinesPerMinute "log-lines-per-minute" PerMinute None "log lines";
    /// Lines of the priority err or worse.
    LogErrorsPerMinute "log-errors-per-minute" PerMinute None "log errors";
    /// Lines that contain a pattern which the operator has named.
    LogMatchesPerMinute "log-matches-per-minute" PerMinute LogPattern "log matches";

    /// Requests that a service got, by its own count.
    RequestsPerMinute "requests-per-minute" PerMinute None "requests";
    /// Of its requests within the last minute, those that came to nothing, by its own count.
    RequestErrorsPermille "request-errors-permille" Permille None "failed requests";
    /// How long its requests within the last minute took, by its own count: their mean, or a
    /// quantile.
    RequestLatencyMs "request-latency-ms" Milliseconds None "request latency";

    /// Used space of a file system, of what may be used.
    DiskPermille "disk-permille" Permille FileSystem "disk";
    /// What is left of a file system's space.
    DiskFreeBytes "disk-free-bytes" Bytes FileSystem "free disk space";
    /// Used inodes of a file system.
    InodesPermille "inodes-permille" Permille FileSystem "inodes";
    /// Units that have failed and that are in nobody's care.
    FailedUnits "failed-units" Count None "failed units";
    /// Whether nothing keeps the clock right.
    ClockUnsynchronized "clock-unsynchronized" Flag None "clock not synchronized";
    /// What a sensor measures.
    TemperatureCelsius "temperature-celsius" Celsius Sensor "temperature";
    /// Whether a disk says of itself that it is failing: its SMART verdict.
    DiskFailing "disk-failing" Flag Disk "disk failing";
    /// Time in which a GPU had work to do.
    GpuPermille "gpu-permille" Permille Gpu "GPU";
    /// Used memory of a GPU.
    GpuMemoryPermille "gpu-memory-permille" Permille Gpu "GPU memory";
    /// What a GPU's sensor measures.
    GpuTemperatureCelsius "gpu-temperature-celsius" Celsius Gpu "GPU temperature";
    /// Errors of a GPU's memory that it could not correct, since its driver was loaded.
    GpuEccErrors "gpu-ecc-errors" Count Gpu "GPU memory errors";
    /// Errors of a GPU that the kernel logged within the last hour (Xid), but for those that
    /// programs on it make.
    GpuXidErrors "gpu-xid-errors" Count Gpu "GPU errors";
    /// Packets of an interface that were damaged since the sample before.
    InterfaceErrors "interface-errors" Count Interface "network errors";
    /// Whether an interface that is switched on has no link.
    LinkDown "link-down" Flag Interface "link down";
    /// Whether another metric does what it has not done before.
    Unusual "unusual" Flag Metric "unusual";
}

impl Metric {
    /// The metric with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|metric| metric.as_str() == word)
    }

    /// Whether a value is of the minute before it.
    pub fn is_of_a_minute(self) -> bool {
        matches!(
            self,
            Self::LogLinesPerMinute
                | Self::LogErrorsPerMinute
                | Self::LogMatchesPerMinute
                | Self::RequestsPerMinute
                | Self::RequestErrorsPermille
                | Self::RequestLatencyMs
        )
    }

    /// The value at which nothing is left of what it measures; none where there is no such
    /// value, or where being used up is no harm, as of a processor.
    pub fn used_up_at(self) -> Option<u64> {
        match self {
            Self::MemoryPermille
            | Self::SwapPermille
            | Self::TasksPermille
            | Self::DescriptorsPermille
            | Self::FileHandlesPermille
            | Self::DiskPermille
            | Self::InodesPermille => Some(1_000),
            Self::DiskFreeBytes => Some(0),
            _ => None,
        }
    }

    /// A value of it for people: `1,502 ms`, `9.7 %`, `1.5 GiB`, `3`.
    pub fn shown(self, value: u64) -> String {
        match self.quantity() {
            Quantity::Count => thousands(value),
            Quantity::PerMinute => format!("{}/min", thousands(value)),
            Quantity::Permille => format!("{} %", decimal(value, 10)),
            Quantity::Milli => format!("{}.{:02}", value / 1_000, value % 1_000 / 10),
            Quantity::Milliseconds => format!("{} ms", thousands(value)),
            Quantity::Hours if value >= 48 => format!("{} days", thousands(value / 24)),
            Quantity::Hours => format!("{value} h"),
            Quantity::Bytes => bytes(value),
            Quantity::BytesPerSecond => format!("{}/s", bytes(value)),
            Quantity::Celsius => format!("{value} °C"),
            Quantity::Flag if value == 0 => "no".to_owned(),
            Quantity::Flag => "yes".to_owned(),
        }
    }
}

/// With one digit behind the point, where that is not 0.
fn decimal(value: u64, parts: u64) -> String {
    match (value % parts) * 10 / parts {
        0 => thousands(value / parts),
        tenth => format!("{}.{tenth}", thousands(value / parts)),
    }
}

pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [(u32, &str); 5] = [
        (50, "PiB"),
        (40, "TiB"),
        (30, "GiB"),
        (20, "MiB"),
        (10, "KiB"),
    ];
    for (shift, unit) in UNITS {
        if value >> shift != 0 {
            return format!("{} {unit}", decimal(value, 1 << shift));
        }
    }
    format!("{value} B")
}

/// With a comma between groups of three digits.
fn thousands(value: u64) -> String {
    if value < 1_000 {
        return value.to_string();
    }
    format!("{},{:03}", thousands(value / 1_000), value % 1_000)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Metric::LatencyMs, 999, "999 ms")]
    #[case(Metric::LatencyMs, 1_502, "1,502 ms")]
    #[case(Metric::LatencyMs, 1_000_007, "1,000,007 ms")]
    #[case(Metric::ErrorsPermille, 97, "9.7 %")]
    #[case(Metric::ErrorsPermille, 100, "10 %")]
    #[case(Metric::CpuCorePermille, 15_999, "1,599.9 %")]
    #[case(Metric::UnansweredInARow, 3, "3")]
    #[case(Metric::CertificateHours, 47, "47 h")]
    #[case(Metric::CertificateHours, 6 * 24 + 23, "6 days")]
    #[case(Metric::LoadMilli, 1_529, "1.52")]
    #[case(Metric::MemoryBytes, 1_023, "1023 B")]
    #[case(Metric::MemoryBytes, 1_536 << 20, "1.5 GiB")]
    #[case(Metric::MemoryBytes, u64::MAX, "16,383.9 PiB")]
    #[case(Metric::IoReadBytesPerSecond, 2 << 20, "2 MiB/s")]
    #[case(Metric::LogLinesPerMinute, 20_000, "20,000/min")]
    #[case(Metric::TemperatureCelsius, 54, "54 °C")]
    #[case(Metric::LinkDown, 1, "yes")]
    fn values_are_shown(#[case] metric: Metric, #[case] value: u64, #[case] shown: &str) {
        assert_eq!(metric.shown(value), shown);
    }

    #[test]
    fn each_metric_has_its_word() {
        for &metric in Metric::ALL {
            assert_eq!(Metric::from_word(metric.as_str()), Some(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{}\"", metric.as_str()));
        }
    }
}
