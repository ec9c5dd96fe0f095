//! Reading a journal file's objects one after the other, in blocks of many.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// So much is read at once.
const BLOCK: usize = 256 * 1024;

/// A field's name, and as much of its value as a unit's name is long.
pub(super) const LONGEST_NAME: usize = 320;

/// Of an object, so much is there at least, where the file has it: the larger header of a
/// field, and that.
const LEAST: usize = 72 + LONGEST_NAME;

/// An object as it begins.
pub(super) struct Object<'b> {
    pub(super) kind: u8,
    pub(super) size: u64,
    pub(super) bytes: &'b [u8],
}

/// What of a file is in the buffer.
#[derive(Debug, Default)]
pub(super) struct Block {
    begin: u64,
    length: usize,
}

impl Block {
    /// The object at an offset, as far as it is in the buffer: as much of it as is looked at.
    pub(super) fn object<'b>(
        &mut self,
        file: &File,
        at: u64,
        buffer: &'b mut Vec<u8>,
        budget: &mut u64,
    ) -> io::Result<Option<Object<'b>>> {
        let Some(bytes) = self.bytes(file, at, LEAST, buffer, budget)? else {
            return Ok(None);
        };
        let header = bytes.first().copied().zip(u64_at(bytes, 8));
        let Some((kind, size)) = header else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        Ok(Some(Object { kind, size, bytes }))
    }

    /// The whole of an object.
    pub(super) fn whole<'b>(
        &mut self,
        file: &File,
        at: u64,
        size: u64,
        buffer: &'b mut Vec<u8>,
        budget: &mut u64,
    ) -> io::Result<Option<&'b [u8]>> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(bytes) = self.bytes(file, at, size, buffer, budget)? else {
            return Ok(None);
        };
        bytes
            .get(..size)
            .map(Some)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What there is from an offset on: at least so much, where the file has it.
    fn bytes<'b>(
        &mut self,
        file: &File,
        at: u64,
        least: usize,
        buffer: &'b mut Vec<u8>,
        budget: &mut u64,
    ) -> io::Result<Option<&'b [u8]>> {
        let within = at
            .checked_sub(self.begin)
            .and_then(|it| usize::try_from(it).ok());
        let is_here = within.is_some_and(|within| within + least <= self.length);
        if !is_here {
            if *budget == 0 {
                return Ok(None);
            }
            buffer.resize(BLOCK, 0);
            self.begin = at;
            self.length = read_at(file, buffer, at)?;
            *budget = budget.saturating_sub(self.length as u64);
        }
        let within = usize::try_from(at - self.begin).unwrap_or(usize::MAX);
        Ok(buffer.get(within..self.length))
    }
}

/// Reads until the buffer is full, or the file ends.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(count as u64)) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
