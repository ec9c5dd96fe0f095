//! What the fields of an entry mean, and which patterns a message contains.

use std::{borrow::Cow, collections::HashMap, io::Read as _};

use prunella_core::{UnitName, glob};

/// Flags of an object: how it is compressed. (No Debian or Fedora has journald use XZ since
/// 2020; what it has compressed fits no pattern.)
const LZ4: u8 = 1 << 1;
const ZSTD: u8 = 1 << 2;
const COMPRESSED: u8 = 0b111;

/// So much of a message is looked at for patterns.
pub(super) const LARGEST_MESSAGE: usize = 16 * 1024;

/// Nothing larger is unpacked.
const LARGEST_UNPACKED: usize = 1 << 20;

/// What a field is, as far as it is of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Which subject's process wrote it.
    Unit(usize),
    /// About which subject journald writes.
    About(usize),
    /// journald itself wrote it.
    ByJournald,
    /// The kernel wrote it.
    ByKernel,
    Priority(u8),
    /// So many lines were dropped.
    Dropped(u64),
    Message,
    Other,
}

/// A field's `NAME=value`, or what it is compressed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload<B> {
    /// Of its object.
    pub(super) flags: u8,
    pub(super) bytes: B,
}

impl Payload<Vec<u8>> {
    pub(super) fn as_ref(&self) -> Payload<&[u8]> {
        Payload {
            flags: self.flags,
            bytes: &self.bytes,
        }
    }
}

/// Whose lines count, and what is looked for in them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    subjects: HashMap<String, usize>,
    /// By subject: what has to fit all of a line.
    patterns: Vec<Vec<String>>,
    any_patterns: bool,
    /// Whether the kernel's lines are of interest.
    pub(super) kernel: bool,
}

impl Fields {
    /// Of subjects, each with its patterns.
    pub(super) fn new<'a>(
        subjects: impl IntoIterator<Item = (&'a UnitName, Vec<&'a str>)>,
    ) -> Self {
        let mut fields = Self::default();
        for (number, (unit, patterns)) in subjects.into_iter().enumerate() {
            fields.subjects.insert(unit.to_string(), number);
            fields.any_patterns |= !patterns.is_empty();
            let patterns = patterns.iter().map(|pattern| format!("*{pattern}*"));
            fields.patterns.push(patterns.collect());
        }
        fields
    }

    pub(super) fn has_patterns(&self, subject: usize) -> bool {
        self.patterns.get(subject).is_some_and(|it| !it.is_empty())
    }

    pub(super) fn classify(&self, payload: Payload<&[u8]>) -> Field {
        if payload.flags & COMPRESSED != 0 {
            // Nothing else that is of interest is so long.
            return if self.any_patterns || self.kernel {
                Field::Message
            } else {
                Field::Other
            };
        }
        let bytes = payload.bytes;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let subject = |name| self.subjects.get(text(name)?).copied();
        let found = if let Some(name) = bytes.strip_prefix(b"_SYSTEMD_UNIT=") {
            subject(name).map(Field::Unit)
        } else if let Some(digit) = bytes.strip_prefix(b"PRIORITY=") {
            text(digit)
                .and_then(|it| it.parse().ok())
                .map(Field::Priority)
        } else if bytes.starts_with(b"MESSAGE=") {
            (self.any_patterns || self.kernel).then_some(Field::Message)
        } else if let Some(name) = bytes.strip_prefix(b"OBJECT_SYSTEMD_UNIT=") {
            subject(name).map(Field::About)
        } else if let Some(count) = bytes.strip_prefix(b"N_DROPPED=") {
            text(count)
                .and_then(|it| it.parse().ok())
                .map(Field::Dropped)
        } else if bytes == b"_TRANSPORT=driver" {
            Some(Field::ByJournald)
        } else if bytes == b"_TRANSPORT=kernel" {
            self.kernel.then_some(Field::ByKernel)
        } else {
            None
        };
        found.unwrap_or(Field::Other)
    }

    /// The numbers of the subject's patterns that a message contains.
    pub(super) fn matching(&self, subject: usize, payload: Payload<&[u8]>) -> Vec<usize> {
        let Some(message) = message(payload) else {
            return Vec::new();
        };
        let patterns = self.patterns.get(subject).into_iter().flatten();
        patterns
            .enumerate()
            .filter(|(_, pattern)| glob::matches(pattern, &message))
            .map(|(number, _)| number)
            .collect()
    }
}

/// The beginning of a message, where the field is one.
pub(super) fn message(payload: Payload<&[u8]>) -> Option<String> {
    let unpacked = unpacked(payload)?;
    let message = unpacked.strip_prefix(b"MESSAGE=")?;
    Some(String::from_utf8_lossy(message).into_owned())
}

/// The beginning of a field; nothing, where it cannot be unpacked.
fn unpacked(payload: Payload<&[u8]>) -> Option<Cow<'_, [u8]>> {
    match payload.flags & COMPRESSED {
        0 => Some(Cow::Borrowed(payload.bytes)),
        ZSTD => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(payload.bytes).ok()?;
            let mut bytes = Vec::new();
            // What was cut off ends in an error, after what came before it.
            let _ = decoder.take(LARGEST_MESSAGE as u64).read_to_end(&mut bytes);
            Some(Cow::Owned(bytes))
        }
        LZ4 => {
            let (size, block) = payload.bytes.split_first_chunk::<8>()?;
            let size = usize::try_from(u64::from_le_bytes(*size)).ok()?;
            if size > LARGEST_UNPACKED {
                return None;
            }
            let mut bytes = lz4_flex::block::decompress(block, size).ok()?;
            bytes.truncate(LARGEST_MESSAGE);
            Some(Cow::Owned(bytes))
        }
        _ => None,
    }
}
