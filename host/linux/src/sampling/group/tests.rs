//! With files as a Linux 6.1 writes them.

use super::*;
use crate::cgroup::Layout;

const SERVICE: &str = "/system.slice/x.service";

/// A tree of plain files does for all but the processes.
struct Bench {
    root: tempfile::TempDir,
    groups: Cgroups,
    tools: Instruments,
    sampler: UnitSampler,
    sample: UnitSample,
    restarts: u32,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(&SERVICE[1..])).unwrap();
        Self {
            groups: Cgroups::at(root.path(), Layout::Unified),
            root,
            tools: Instruments {
                memory: 4 << 30,
                processors: 4,
                ..Instruments::default()
            },
            sampler: UnitSampler::default(),
            sample: UnitSample::default(),
            restarts: 0,
            now: Duration::from_secs(100),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root.path().join(&SERVICE[1..]).join(name), text).unwrap();
    }

    /// After ten seconds.
    fn sample(&mut self) -> bool {
        self.now += Duration::from_secs(10);
        self.sampler.sample(
            &mut self.tools,
            &self.groups,
            (SERVICE, self.restarts),
            self.now,
            &mut self.sample,
        )
    }

    fn reading(&self, metric: Metric) -> Option<&Reading> {
        self.sample.readings.iter().find(|it| it.metric == metric)
    }

    fn value(&self, metric: Metric) -> Option<u64> {
        self.reading(metric).map(|it| it.value)
    }
}

/// Files as a Linux 6.1 writes them.
fn controlled() -> Bench {
    let bench = Bench::new();
    bench.write("cgroup.procs", "");
    bench.write(
        "cpu.stat",
        "usage_usec 1000000\nuser_usec 1\nnr_periods 10\nnr_throttled 1\n",
    );
    bench.write("cpu.max", "200000 100000\n");
    bench.write("memory.current", "524288000\n");
    bench.write(
        "memory.stat",
        "anon 1\nfile 2\ninactive_file 62914560\nactive_file 41943040\n",
    );
    bench.write("memory.max", "max\n");
    bench.write("memory.high", "1048576000\n");
    bench.write("memory.swap.current", "4096\n");
    bench.write("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 2\n");
    bench.write("pids.current", "12\n");
    bench.write("pids.max", "48\n");
    bench.write("io.stat", "8:0 rbytes=1000 wbytes=2000 rios=1 wios=1\n");
    bench.write(
        "cpu.pressure",
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=1000000\n",
    );
    bench
}

#[test]
fn a_group_with_its_controllers() {
    let mut bench = controlled();
    assert!(bench.sample());
    // Nothing is counted since a sample that was not there.
    assert_eq!(bench.value(Metric::CpuPermille), None);
    assert_eq!(bench.value(Metric::MemoryBytes), Some(400 << 20));
    let share = bench.reading(Metric::MemoryPermille).unwrap();
    assert_eq!(
        (share.value, share.whole),
        (400, Whole::Limit(1_048_576_000))
    );
    assert_eq!(bench.value(Metric::TasksPermille), Some(250));
    assert_eq!(bench.value(Metric::SwapBytes), Some(4_096));
    assert_eq!(bench.value(Metric::PressureCpuPermille), None);

    bench.write("cpu.pressure", "some avg10=9.00 total=1150000\n");
    bench.write(
        "cpu.stat",
        "usage_usec 11000000\nuser_usec 1\nnr_periods 110\nnr_throttled 51\n",
    );
    bench.write("memory.events", "oom_kill 3\n");
    bench.write("io.stat", "8:0 rbytes=21000 wbytes=2000 rios=1 wios=1\n");
    bench.restarts = 2;
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::CpuCorePermille), Some(1_000));
    let share = bench.reading(Metric::CpuPermille).unwrap();
    assert_eq!((share.value, share.whole), (500, Whole::Limit(2_000)));
    assert_eq!(bench.value(Metric::PressureCpuPermille), Some(15));
    assert_eq!(bench.value(Metric::ThrottledPermille), Some(500));
    assert_eq!(bench.value(Metric::IoReadBytesPerSecond), Some(2_000));
    assert_eq!(bench.value(Metric::IoWriteBytesPerSecond), Some(0));
    assert_eq!(bench.value(Metric::OomKills), Some(1));
    assert_eq!(bench.value(Metric::Restarts), Some(2));
}

#[test]
fn a_service_that_does_not_run_is_not_held_back() {
    let mut bench = controlled();
    bench.sample();
    bench.sample();
    assert_eq!(bench.value(Metric::ThrottledPermille), Some(0));
    // One without a quota is never told to be.
    bench.write("cpu.stat", "usage_usec 1\nnr_periods 0\nnr_throttled 0\n");
    bench.sample();
    bench.sample();
    assert_eq!(bench.value(Metric::ThrottledPermille), None);
}

#[test]
fn a_count_that_went_back_is_no_rate() {
    let mut bench = controlled();
    bench.sample();
    bench.write("cpu.stat", "usage_usec 5\n");
    bench.write("io.stat", "");
    bench.write("memory.events", "oom_kill 0\n");
    assert!(bench.sample());
    for metric in [
        Metric::CpuPermille,
        Metric::IoReadBytesPerSecond,
        Metric::OomKills,
    ] {
        assert_eq!(bench.value(metric), None, "{metric:?}");
    }
}

#[test]
fn another_run_begins_anew() {
    let mut bench = controlled();
    bench.sample();
    let first = bench.sample.run;
    let folder = bench.root.path().join(&SERVICE[1..]);
    // Held, so that its number is not used again.
    let _held = fs::File::open(&folder).unwrap();
    // As it is of a control group that is gone, whoever holds the file open.
    bench.write("cpu.stat", "");
    fs::remove_dir_all(&folder).unwrap();
    assert!(!bench.sample(), "it is down");
    fs::create_dir(&folder).unwrap();
    bench.write("cgroup.procs", "");
    bench.write("cpu.stat", "usage_usec 90000000\n");
    assert!(bench.sample());
    assert_ne!(bench.sample.run, first);
    assert_eq!(bench.value(Metric::CpuPermille), None);
}

#[test]
fn the_limit_of_a_slice_counts() {
    let mut bench = controlled();
    let slice = bench.root.path().join("system.slice/memory.max");
    fs::write(slice, "838860800\n").unwrap();
    bench.sample();
    assert_eq!(bench.value(Metric::MemoryPermille), Some(500));
}

#[test]
fn a_group_that_has_used_no_time_is_not_asked_again_before_long() {
    let mut bench = Bench::new();
    let own = std::process::id();
    bench.write("cgroup.procs", &format!("{own}\n"));
    bench.write("cpu.stat", "usage_usec 1000\n");
    bench.write("cpu.pressure", "some avg10=0.00 total=0\n");
    assert!(bench.sample());
    let memory = bench.value(Metric::MemoryBytes);
    assert_eq!(bench.value(Metric::Processes), Some(1));
    // Somebody has moved a process away, which takes none of the group's time.
    bench.write("cgroup.procs", "");
    bench.write("cpu.pressure", "some avg10=20.00 total=2000000\n");
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::Processes), Some(1));
    assert_eq!(bench.value(Metric::MemoryBytes), memory);
    for metric in [Metric::CpuPermille, Metric::IoWriteBytesPerSecond] {
        assert_eq!(bench.value(metric), Some(0), "{metric:?}");
    }
    // What others do to it is seen at once.
    assert_eq!(bench.value(Metric::PressureCpuPermille), Some(200));
    for _ in 2..ALL_EVERY {
        assert!(bench.sample());
        assert_eq!(bench.value(Metric::Processes), Some(1));
    }
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::Processes), Some(0));

    bench.write("cgroup.procs", &format!("{own}\n"));
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::Processes), Some(0));
    bench.write("cpu.stat", "usage_usec 1001\n");
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::Processes), Some(1));
}

#[test]
fn pressure_is_read_where_something_in_the_slice_has_waited() {
    let mut bench = controlled();
    let slice = bench.root.path().join("system.slice/cpu.pressure");
    let said = |total: u64| format!("some avg10=0.00 total={total}\n");
    let slice_waited = |total: u64| fs::write(&slice, said(total)).unwrap();
    slice_waited(1_000_000);
    bench.write("cpu.pressure", &said(1));
    assert!(bench.sample());
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::PressureCpuPermille), Some(0));
    bench.write("cpu.pressure", &said(3_000_001));
    // It cannot have waited for longer than all in the slice together.
    slice_waited(1_004_000);
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::PressureCpuPermille), Some(0));
    // However slowly it adds up; and the share is of the time since the last look.
    slice_waited(1_008_000);
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::PressureCpuPermille), Some(300));
    // What has waited is read until it waits no more.
    bench.write("cpu.pressure", &said(3_000_001));
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::PressureCpuPermille), Some(0));
}

#[test]
fn a_controller_that_comes_later_is_found() {
    let mut bench = Bench::new();
    bench.write("cgroup.procs", "");
    bench.write("cpu.stat", "usage_usec 1000\n");
    assert!(bench.sample());
    bench.write("pids.current", "7\n");
    for _ in 1..ALL_EVERY {
        assert!(bench.sample());
        assert_eq!(bench.value(Metric::Tasks), Some(0));
    }
    assert!(bench.sample());
    assert_eq!(bench.value(Metric::Tasks), Some(7));
}

#[test]
fn without_controllers_processes_are_added_up() {
    use prunella_core::health::Source;

    let mut bench = Bench::new();
    bench.write("cgroup.procs", &format!("{}\n", std::process::id()));
    assert!(bench.sample());
    let memory = bench.reading(Metric::MemoryBytes).unwrap();
    assert!(memory.value > 0 && memory.source == Source::Processes);
    assert!(bench.value(Metric::Tasks).unwrap() > 0);
    assert_eq!(bench.value(Metric::Processes), Some(1));
    assert!(bench.value(Metric::Descriptors).unwrap() > 2);
    assert_eq!(bench.value(Metric::CpuPermille), None);
    assert!(bench.sample());
    assert!(bench.value(Metric::CpuPermille).is_some());
    let open = bench.reading(Metric::Descriptors).unwrap();
    assert_eq!(open.source, Source::Accounts);
}
