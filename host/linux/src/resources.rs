//! Memory, disks, load and pressure of the host.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use prunella_core::{
    Failure,
    capability::{Answer, Disk, Load, Memory, Pressure, PressureOf},
    service::Service,
    text::one_line,
};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

/// Places that may be asked about without a declaration.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

/// The resources of this host; a service's declared files name places.
pub struct HostResources {
    service: Arc<Service>,
}

impl HostResources {
    /// For a service.
    pub fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    fn place(&self, name: &str) -> Answer<PathBuf> {
        if PLACES.contains(&name) {
            return Ok(PathBuf::from(name));
        }
        match self.service.file(name) {
            Ok(file) => Ok(file.path.clone()),
            Err(failure) => Err(Failure::not_found(
                "no-such-place",
                format!("{failure}; {} may be asked about too", PLACES.join(", ")),
            )),
        }
    }
}

impl HostResources {
    pub fn memory(&self) -> Answer<Memory> {
        let path = "/proc/meminfo";
        parse_memory(&read(path)?).ok_or_else(|| unexpected(path))
    }

    /// The file system that a declared file is on, or would be on if it is not
    /// there.
    pub fn disk(&self, place: &str) -> Answer<Disk> {
        let path = self.place(place)?;
        disk_of(&path).map_err(|error| {
            let shown = one_line(place, 80);
            Failure::unavailable(
                "statvfs",
                format!("the file system below `{shown}` does not answer: {error}"),
            )
        })
    }

    pub fn load(&self) -> Answer<Load> {
        let path = "/proc/loadavg";
        let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
        let processors = count_processors(&online)
            .or_else(|| u32::try_from(available_parallelism().ok()?.get()).ok())
            .unwrap_or(1);
        parse_load(&read(path)?, processors).ok_or_else(|| unexpected(path))
    }

    pub fn pressure(&self, of: PressureOf) -> Answer<Pressure> {
        let path = match of {
            PressureOf::Cpu => "/proc/pressure/cpu",
            PressureOf::Memory => "/proc/pressure/memory",
            PressureOf::Io => "/proc/pressure/io",
        };
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::unavailable(
                "no-pressure",
                format!("the kernel does not tell about pressure ({path}: {error})"),
            )
        })?;
        parse_pressure(&text).ok_or_else(|| unexpected(path))
    }
}

fn read(path: &str) -> Answer<String> {
    fs::read_to_string(path)
        .map_err(|error| Failure::unavailable("proc", format!("cannot read {path}: {error}")))
}

fn unexpected(path: &str) -> Failure {
    Failure::unavailable("proc", format!("{path} does not look as it should"))
}

fn disk_of(path: &Path) -> io::Result<Disk> {
    for place in path.ancestors() {
        match as_init_sees_it(place).or_else(|_| statvfs(place)) {
            Ok(found) => {
                return Ok(Disk {
                    total: found.f_blocks.saturating_mul(found.f_frsize),
                    available: found.f_bavail.saturating_mul(found.f_frsize),
                    files_total: found.f_files,
                    files_available: found.f_favail,
                    read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
                });
            }
            // Not there (yet): the folder it would be in counts.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The daemon runs with a view of its own, in which nearly everything is
/// read-only: whether a file system really is, init's view tells. Only root may
/// look through it.
fn as_init_sees_it(place: &Path) -> rustix::io::Result<StatVfs> {
    let below = place.strip_prefix("/").unwrap_or(place);
    statvfs(Path::new("/proc/1/root").join(below))
}

fn parse_memory(text: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some(Memory {
        total: bytes("MemTotal:")?,
        available: bytes("MemAvailable:")?,
        swap_total: bytes("SwapTotal:")?,
        swap_free: bytes("SwapFree:")?,
    })
}

fn parse_load(text: &str, processors: u32) -> Option<Load> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some(Load {
        one: numbers.next()?.ok()?,
        five: numbers.next()?.ok()?,
        fifteen: numbers.next()?.ok()?,
        processors,
    })
}

/// Of a list of ranges such as `0-3,6`.
fn count_processors(online: &str) -> Option<u32> {
    let mut count = 0_u32;
    for range in online.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

fn parse_pressure(text: &str) -> Option<Pressure> {
    let share = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line
            .split_whitespace()
            .find_map(|field| field.strip_prefix("avg10="))?;
        number.parse().ok()
    };
    Some(Pressure {
        some: share("some ")?,
        // Kernels before 5.13 do not tell it for the processor.
        full: share("full ").unwrap_or(0.0),
    })
}

#[cfg(test)]
mod tests {
    use prunella_core::{
        UnitName,
        service::{DeclaredFile, FileRole, ReadBy},
    };
    use rstest::rstest;

    use super::*;

    fn resources() -> HostResources {
        let mut service = Service::new(UnitName::new("x.service").unwrap());
        service.files.insert(
            "data".into(),
            DeclaredFile {
                path: "/proc/not/there".into(),
                role: FileRole::Plain,
                mode: None,
                owner: None,
                group: None,
                target: None,
                keys: Vec::new(),
                optional: false,
                read_by: ReadBy::Service,
                secret: false,
            },
        );
        HostResources::new(Arc::new(service))
    }

    #[test]
    fn this_host_answers() {
        let host = resources();
        let memory = host.memory().unwrap();
        assert!(memory.total > memory.available && memory.available > 0);
        let load = host.load().unwrap();
        assert!(load.processors > 0 && load.one >= 0.0);
        let disk = host.disk("/").unwrap();
        assert!(disk.total >= disk.available);
        match host.pressure(PressureOf::Io) {
            Ok(pressure) => assert!(pressure.some >= pressure.full),
            Err(failure) => assert!(failure.is("no-pressure"), "{failure:?}"),
        }
    }

    #[test]
    fn a_declared_file_that_is_not_there_is_measured_by_its_folder() {
        // /proc has no blocks, which tells it from the root file system.
        assert_eq!(resources().disk("data").unwrap().total, 0);
    }

    #[rstest]
    #[case("/etc")]
    #[case("")]
    #[case("../x")]
    fn any_other_place_is_not_found(#[case] place: &str) {
        let failure = resources().disk(place).unwrap_err();
        assert!(failure.is("no-such-place"));
        for known in ["data", "/var", "/tmp"] {
            assert!(failure.message.contains(known), "{failure}");
        }
    }

    #[rstest]
    #[case("0-3\n", Some(4))]
    #[case("0-1,4,6-7", Some(5))]
    #[case("0", Some(1))]
    #[case("", None)]
    #[case("3-1", None)]
    fn processors(#[case] online: &str, #[case] count: Option<u32>) {
        assert_eq!(count_processors(online), count);
    }

    #[test]
    fn pressure_without_full() {
        let text = "some avg10=1.50 avg60=0.10 avg300=0.00 total=1\n";
        let pressure = parse_pressure(text).unwrap();
        assert_eq!((pressure.some, pressure.full), (1.5, 0.0));
        assert_eq!(parse_pressure("nonsense"), None);
    }

    #[test]
    fn memory_that_does_not_look_so() {
        assert_eq!(parse_memory("MemTotal: 1 kB\n"), None);
    }
}
