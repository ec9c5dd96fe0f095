//! Measures services by their control groups, and the host by what the kernel tells.
//!
//! What the kernel counts (processor time, bytes, kills) becomes a rate between two samples
//! of one run; a count that has gone back, or the first of a run, is no rate. Time is that
//! since boot: a stepped clock or a suspended host invents nothing.

mod endpoint;
mod folder;
mod group;
mod hardware;
mod host;
mod limits;
mod logs;
mod network;
mod processes;
mod sensors;
mod slices;
mod text;
mod time_sync;
mod waiting;

use std::{
    collections::HashMap,
    ffi::CStr,
    io::Write as _,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::{Errno, pread},
    param::{clock_ticks_per_second, page_size},
    path::Arg,
};

use self::slices::Slices;
pub use self::{
    endpoint::{EndpointAnswer, EndpointError, EndpointSample, EndpointSampler},
    group::{UnitSample, UnitSampler},
    hardware::{HardwareSampler, can_ask_disks, can_ask_gpus},
    host::HostSampler,
    logs::{LogPatterns, LogSampler},
};

/// What each measurement needs: the host's size, and buffers that are used again.
#[derive(Debug)]
pub struct Instruments {
    /// As long as the longest file so far; what it says is at the beginning.
    bytes: Vec<u8>,
    path: Vec<u8>,
    pids: Vec<u32>,
    /// Processors that are switched on.
    processors: u64,
    /// The host's memory, in bytes.
    memory: u64,
    /// Whether some of it was swapped out, as far as that is known.
    has_swapped: bool,
    ticks: u64,
    /// Bytes in a page.
    page: u64,
    slices: Slices,
    /// Whether a device is made of others, by its number.
    stacked: HashMap<String, bool>,
}

/// A larger file is none that is measured.
const LARGEST: usize = 1 << 20;

/// Room for all but the longest files at once.
const USUAL: usize = 16 << 10;

/// Half of the smallest page.
const SHORT: usize = 2_048;

/// How much of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What one call gives, which is all that the kernel makes of one piece: all files here but
    /// lists.
    Piece,
    /// A list of short lines: a call gives all that are left, or nearly a page of them.
    Lines,
    /// Until its end.
    Whole,
}

impl Default for Instruments {
    fn default() -> Self {
        Self {
            bytes: vec![0; USUAL],
            path: Vec::new(),
            pids: Vec::new(),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: 0,
            has_swapped: true,
            ticks: clock_ticks_per_second().max(1),
            page: page_size() as u64,
            slices: Slices::default(),
            stacked: HashMap::new(),
        }
    }
}

impl Instruments {
    /// What a file says; nothing, where it cannot be read.
    fn read(&mut self, path: &Path) -> Option<&str> {
        self.read_at(CWD, path, Extent::Whole).ok()
    }

    /// What a file in a folder says.
    fn read_at(
        &mut self,
        folder: BorrowedFd<'_>,
        name: impl Arg,
        extent: Extent,
    ) -> Result<&str, Errno> {
        let length = self.load(folder, name, extent)?;
        self.said(length).ok_or(Errno::ILSEQ)
    }

    /// What a file says that is held open, from its beginning.
    fn read_held(&mut self, file: BorrowedFd<'_>, extent: Extent) -> Result<&str, Errno> {
        let length = self.fill(file, extent)?;
        self.said(length).ok_or(Errno::ILSEQ)
    }

    /// What a file of a process says.
    fn read_of_process(&mut self, pid: u32, name: &str) -> Option<&str> {
        let mut path = std::mem::take(&mut self.path);
        let length =
            path_of(&mut path, pid, name).and_then(|path| self.load(CWD, path, Extent::Piece).ok());
        self.path = path;
        self.said(length?)
    }

    fn load(
        &mut self,
        folder: BorrowedFd<'_>,
        name: impl Arg,
        extent: Extent,
    ) -> Result<usize, Errno> {
        let file = open_at(folder, name)?;
        self.fill(file.as_fd(), extent)
    }

    /// The beginning of the buffer, as text.
    fn said(&self, length: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..length)?).ok()
    }

    /// Reads into the buffer; returns how much there was.
    fn fill(&mut self, file: BorrowedFd<'_>, extent: Extent) -> Result<usize, Errno> {
        let mut length = 0;
        loop {
            if length == self.bytes.len() {
                if length >= LARGEST {
                    return Ok(length);
                }
                self.bytes.resize(length.max(USUAL) * 2, 0);
            }
            let Some(room) = self.bytes.get_mut(length..) else {
                return Ok(length);
            };
            let size = room.len();
            match pread(file, room, length as u64) {
                Ok(0) => return Ok(length),
                Ok(more) => {
                    length += more;
                    let is_all = match extent {
                        Extent::Piece => more < size,
                        Extent::Lines => more < SHORT,
                        Extent::Whole => false,
                    };
                    if is_all {
                        return Ok(length);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A file with one number.
    fn number(&mut self, path: &Path) -> Option<u64> {
        self.read(path)?.trim().parse().ok()
    }
}

/// Opens a file in a folder, to read it.
fn open_at(folder: BorrowedFd<'_>, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// The path of a file of a process, written into `buffer`.
fn path_of<'b>(buffer: &'b mut Vec<u8>, pid: u32, name: &str) -> Option<&'b CStr> {
    buffer.clear();
    write!(buffer, "/proc/{pid}/{name}\0").ok()?;
    CStr::from_bytes_with_nul(buffer).ok()
}

/// What has been counted between two times, in a second; nothing where the count went back.
fn per_second(before: u64, now: u64, span: Duration) -> Option<u64> {
    let counted = u128::from(now.checked_sub(before)?);
    let milliseconds = span.as_millis();
    if milliseconds == 0 {
        return None;
    }
    u64::try_from(counted * 1_000 / milliseconds).ok()
}

/// Parts of a thousand of a whole.
fn permille(part: u64, whole: u64) -> Option<u64> {
    if whole == 0 {
        return None;
    }
    u64::try_from(u128::from(part) * 1_000 / u128::from(whole)).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::counted(10, 30, 10_000, Some(2))]
    #[case::reset(30, 10, 10_000, None)]
    #[case::no_time(10, 30, 0, None)]
    #[case::large(0, u64::MAX, 1_000, Some(u64::MAX))]
    #[case::too_large(0, u64::MAX, 1, None)]
    fn rates(#[case] before: u64, #[case] now: u64, #[case] ms: u64, #[case] rate: Option<u64>) {
        assert_eq!(per_second(before, now, Duration::from_millis(ms)), rate);
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!(permille(1, 0), None);
        assert_eq!(permille(1, 3), Some(333));
    }
}
