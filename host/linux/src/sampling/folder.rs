//! A control group's folder, held open: its files are found without the way that leads there.

use std::{
    ffi::CStr,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};

use super::{Extent, Instruments, open_at};

/// Each control group has it.
const PROCESSES: &CStr = c"cgroup.procs";

/// What is read of a control group again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    CpuStat,
    MemoryCurrent,
    MemoryStat,
    SwapCurrent,
    MemoryEvents,
    TasksCurrent,
    IoStat,
    CpuPressure,
    MemoryPressure,
    IoPressure,
    CpuMax,
    MemoryMax,
    MemoryHigh,
    TasksMax,
}

impl File {
    fn name(self) -> &'static CStr {
        match self {
            Self::CpuStat => c"cpu.stat",
            Self::MemoryCurrent => c"memory.current",
            Self::MemoryStat => c"memory.stat",
            Self::SwapCurrent => c"memory.swap.current",
            Self::MemoryEvents => c"memory.events",
            Self::TasksCurrent => c"pids.current",
            Self::IoStat => c"io.stat",
            Self::CpuPressure => c"cpu.pressure",
            Self::MemoryPressure => c"memory.pressure",
            Self::IoPressure => c"io.pressure",
            Self::CpuMax => c"cpu.max",
            Self::MemoryMax => c"memory.max",
            Self::MemoryHigh => c"memory.high",
            Self::TasksMax => c"pids.max",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The folder of one run: the next has another one.
#[derive(Debug)]
pub(super) struct Folder {
    open: OwnedFd,
    run: u64,
    /// Files that are not there, as on a host without a controller: not tried each time.
    missing: u16,
    /// `cpu.stat`, which is read each time. An open file keeps a page of the kernel's memory, so
    /// the others are not held.
    cpu_stat: Option<OwnedFd>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = openat(CWD, path, flags, Mode::empty()).ok()?;
        let run = fstat(&open).ok()?.st_ino;
        Some(Self {
            open,
            run,
            missing: 0,
            cpu_stat: None,
        })
    }

    /// Whether it has not been removed since: nothing is found in a group that was.
    pub(super) fn is_there(&self) -> bool {
        statat(&self.open, PROCESSES, AtFlags::empty()).is_ok()
    }

    /// Whether there are groups below it.
    pub(super) fn has_below(&self) -> bool {
        fstat(&self.open).is_ok_and(|about| about.st_nlink > 2)
    }

    /// Its number, which is the run's.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// A controller may have been switched on: what was missing is tried again.
    pub(super) fn forget_missing(&mut self) {
        self.missing = 0;
    }

    /// What a file says; nothing, once the group was removed.
    pub(super) fn read<'t>(&mut self, tools: &'t mut Instruments, file: File) -> Option<&'t str> {
        if self.missing & file.bit() != 0 {
            return None;
        }
        let said = match file {
            File::CpuStat => self.cpu_stat(tools),
            file => tools.read_at(self.open.as_fd(), file.name(), Extent::Piece),
        };
        // A kernel without pressure has the files, and they cannot be read.
        if matches!(said, Err(Errno::NOENT | Errno::OPNOTSUPP)) {
            self.missing |= file.bit();
        }
        said.ok()
    }

    /// Fails where the group was removed, also if another has its name by now.
    fn cpu_stat<'t>(&mut self, tools: &'t mut Instruments) -> Result<&'t str, Errno> {
        let file = match self.cpu_stat.take() {
            Some(held) => held,
            None => open_at(self.open.as_fd(), File::CpuStat.name())?,
        };
        let said = tools.read_held(file.as_fd(), Extent::Piece)?;
        self.cpu_stat = Some(file);
        Ok(said)
    }

    /// A file with one number.
    pub(super) fn number(&mut self, tools: &mut Instruments, file: File) -> Option<u64> {
        self.read(tools, file)?.trim().parse().ok()
    }

    /// The processes in it, without those in groups below it.
    pub(super) fn processes(&self, tools: &mut Instruments, pids: &mut Vec<u32>) {
        let text = tools.read_at(self.open.as_fd(), PROCESSES, Extent::Lines);
        let lines = text.unwrap_or_default().lines();
        let numbers = lines.filter_map(|line| line.parse::<u32>().ok());
        // 0 stands for a process of another PID namespace.
        pids.extend(numbers.filter(|pid| *pid != 0));
    }
}
