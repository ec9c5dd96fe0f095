//! One journal file that journald writes to, read on from where it was read to.
//!
//! The format is documented (<https://systemd.io/JOURNAL_FILE_FORMAT>): behind the header,
//! objects follow one another. An entry names the objects that hold its fields, by their
//! offsets; a field with the same value is there once. So `_SYSTEMD_UNIT=web.service` is
//! looked at once, and from then on known by its offset.
//!
//! What is not as it should be is passed over, up to the file's end: these are counts, and
//! nothing is decided by a single line.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use super::{
    super::hardware::xid,
    block::{Block, LONGEST_NAME, read_at, u32_at, u64_at},
    field::{Field, Fields, LARGEST_MESSAGE, Payload, message},
    window::Tally,
};

/// The part of the header that is looked at.
const HEADER: usize = 184;
const SIGNATURE: &[u8; 8] = b"LPKSHHRH";

/// `HEADER_INCOMPATIBLE_*`: compressed by XZ, LZ4 or Zstd, hashed with a key, and compact.
const COMPACT: u32 = 1 << 4;
const KNOWN_FLAGS: u32 = 0b1_1111;

/// Types of objects.
const DATA: u8 = 1;
const ENTRY: u8 = 3;

const OBJECT_HEADER: usize = 16;
/// Where an entry names its fields.
const ITEMS: usize = 64;

/// A larger entry has more fields than any that is of interest.
const LARGEST_ENTRY: u64 = 64 * 1024;

/// Of so many fields it is remembered what they are.
const REMEMBERED: usize = 8_192;

/// What of a header is of interest.
#[derive(Debug, Clone, Copy)]
struct Header {
    is_compact: bool,
    header_size: u64,
    /// Where the last object begins.
    tail: u64,
    entries: u64,
}

impl Header {
    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0)?;
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "its format is not known");
        let number = |at| u64_at(&bytes, at).ok_or_else(odd);
        let flags = u32_at(&bytes, 12).ok_or_else(odd)?;
        if !bytes.starts_with(SIGNATURE) || flags & !KNOWN_FLAGS != 0 {
            return Err(odd());
        }
        Ok(Self {
            is_compact: flags & COMPACT != 0,
            header_size: number(88)?,
            tail: number(136)?,
            entries: number(152)?,
        })
    }
}

/// Where a file is followed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// What is written from now on counts.
    AtItsEnd,
    /// It is new: what was written at this monotonic time, in microseconds, or later counts.
    Since(u64),
}

/// What was found in what has come.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the number of the subject, in the order in which they were declared.
    pub(super) tallies: BTreeMap<usize, Tally>,
    /// Where the GPUs are of which the kernel logged an error, once for each.
    pub(super) ill_gpus: Vec<String>,
}

/// A file, and how far it was read.
#[derive(Debug)]
pub(super) struct Followed {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    since: u64,
    /// Where the next object begins.
    position: u64,
    /// So many entries lie before.
    entries: u64,
    /// From here on each object was seen: a field that is not known there is of no interest.
    seen_from: u64,
    fields: HashMap<u64, Field>,
}

impl Followed {
    pub(super) fn open(path: &Path, begin: Begin) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        let header = Header::read(&file)?;
        let mut followed = Self {
            file,
            id: (about.dev(), about.ino()),
            since: 0,
            position: header.header_size,
            entries: 0,
            seen_from: 0,
            fields: HashMap::new(),
        };
        match begin {
            Begin::AtItsEnd => followed.skip(&header)?,
            Begin::Since(at) => followed.since = at,
        }
        Ok(followed)
    }

    /// Device and inode.
    pub(super) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// What the fields are has to be looked at anew.
    pub(super) fn forget_fields(&mut self) {
        self.fields.clear();
        self.seen_from = self.position;
    }

    /// Goes on behind what there is.
    fn skip(&mut self, header: &Header) -> io::Result<()> {
        let size = if header.tail == 0 {
            0
        } else {
            let mut bytes = [0; OBJECT_HEADER];
            self.file.read_exact_at(&mut bytes, header.tail)?;
            u64_at(&bytes, 8).unwrap_or(0)
        };
        self.position = aligned(header.tail.saturating_add(size)).max(header.header_size);
        self.entries = header.entries;
        self.forget_fields();
        Ok(())
    }

    /// Counts the entries that have come, by what they are of. No more than `budget` bytes
    /// are read, which is lowered by what was; what lies beyond counts as more of the same.
    pub(super) fn read(
        &mut self,
        fields: &Fields,
        buffer: &mut Vec<u8>,
        budget: &mut u64,
    ) -> io::Result<Found> {
        let header = Header::read(&self.file)?;
        let before = self.entries;
        let mut found = Found::default();
        let read = self.objects(&header, fields, buffer, budget, &mut found);
        let counted = self.entries.saturating_sub(before);
        let come = header.entries.saturating_sub(before);
        if self.entries < header.entries {
            self.skip(&header)?;
            for tally in found.tallies.values_mut() {
                tally.scale(counted, come);
            }
        }
        if let Err(error) = read {
            tracing::debug!("a journal file is read on at its end: {error}");
        }
        Ok(found)
    }

    fn objects(
        &mut self,
        header: &Header,
        fields: &Fields,
        buffer: &mut Vec<u8>,
        budget: &mut u64,
        found: &mut Found,
    ) -> io::Result<()> {
        let odd = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "an object is not as it should be",
            )
        };
        let mut block = Block::default();
        while self.entries < header.entries && self.position <= header.tail {
            let Some(object) = block.object(&self.file, self.position, buffer, budget)? else {
                // The budget is used up.
                return Ok(());
            };
            let (kind, size) = (object.kind, object.size);
            if size < OBJECT_HEADER as u64 {
                return Err(odd());
            }
            match kind {
                DATA => {
                    let payload = payload_of(object.bytes, size, header.is_compact);
                    if let Some(field) = payload.map(|it| fields.classify(it))
                        && field != Field::Other
                    {
                        self.remember(self.position, field);
                    }
                }
                ENTRY if size <= LARGEST_ENTRY => {
                    let Some(entry) =
                        block.whole(&self.file, self.position, size, buffer, budget)?
                    else {
                        return Ok(());
                    };
                    self.entry(entry, header.is_compact, fields, found);
                    self.entries += 1;
                }
                ENTRY => self.entries += 1,
                _ => {}
            }
            self.position = aligned(self.position.saturating_add(size));
        }
        Ok(())
    }

    fn remember(&mut self, at: u64, field: Field) {
        if self.fields.len() >= REMEMBERED {
            self.fields.clear();
            self.seen_from = at;
        }
        self.fields.insert(at, field);
    }

    fn entry(&mut self, entry: &[u8], is_compact: bool, fields: &Fields, found: &mut Found) {
        if u64_at(entry, 32).is_none_or(|monotonic| monotonic < self.since) {
            return;
        }
        let mut line = Line::default();
        let items = entry.get(ITEMS..).unwrap_or_default();
        for item in items.chunks_exact(if is_compact { 4 } else { 16 }) {
            let at = if is_compact {
                u32_at(item, 0).map(u64::from)
            } else {
                u64_at(item, 0)
            };
            if let Some(at) = at.filter(|at| *at != 0) {
                line.field(at, self.field(at, is_compact, fields));
            }
        }
        if line.is_by_kernel
            && let Some(at) = line.message
            && let Some(payload) = self.payload(at, LARGEST_MESSAGE, is_compact)
        {
            let gpu = message(payload.as_ref()).and_then(|line| xid(&line));
            found.ill_gpus.extend(gpu);
            return;
        }
        let Some(subject) = line.subject() else {
            return;
        };
        let tallies = &mut found.tallies;
        let tally = tallies.entry(subject).or_default();
        if let Some(dropped) = line.dropped {
            tally.lines = tally.lines.saturating_add(dropped);
            return;
        }
        tally.lines += 1;
        tally.errors += u64::from(line.priority.is_some_and(|priority| priority <= ERR));
        if let Some(message) = line.message
            && fields.has_patterns(subject)
        {
            let payload = self.payload(message, LARGEST_MESSAGE, is_compact);
            for pattern in payload
                .iter()
                .flat_map(|it| fields.matching(subject, it.as_ref()))
            {
                tally.matched(pattern, 1);
            }
        }
    }

    /// What the field at this offset is.
    fn field(&mut self, at: u64, is_compact: bool, fields: &Fields) -> Field {
        if let Some(known) = self.fields.get(&at) {
            return *known;
        }
        if at >= self.seen_from {
            return Field::Other;
        }
        let payload = self.payload(at, LONGEST_NAME, is_compact);
        let field = payload.map_or(Field::Other, |it| fields.classify(it.as_ref()));
        self.remember(at, field);
        field
    }

    /// At most so much of what a field says.
    fn payload(&self, at: u64, most: usize, is_compact: bool) -> Option<Payload<Vec<u8>>> {
        let mut bytes = vec![0; data_header(is_compact) + most];
        let count = read_at(&self.file, &mut bytes, at).ok()?;
        bytes.truncate(count);
        let kind = *bytes.first()?;
        let size = u64_at(&bytes, 8)?;
        if kind != DATA {
            return None;
        }
        let payload = payload_of(&bytes, size, is_compact)?;
        Some(Payload {
            flags: payload.flags,
            bytes: payload.bytes.to_vec(),
        })
    }
}

/// LOG_ERR of syslog(3).
const ERR: u8 = 3;

/// The fields of an entry that are of interest.
#[derive(Debug, Default)]
struct Line {
    unit: Option<usize>,
    /// Whom journald itself writes about.
    about: Option<usize>,
    is_by_journald: bool,
    is_by_kernel: bool,
    priority: Option<u8>,
    dropped: Option<u64>,
    message: Option<u64>,
}

impl Line {
    fn field(&mut self, at: u64, field: Field) {
        match field {
            Field::Unit(unit) => self.unit = Some(unit),
            Field::About(unit) => self.about = Some(unit),
            Field::ByJournald => self.is_by_journald = true,
            Field::ByKernel => self.is_by_kernel = true,
            Field::Priority(priority) => self.priority = Some(priority),
            Field::Dropped(count) => self.dropped = Some(count),
            Field::Message => self.message = Some(at),
            Field::Other => {}
        }
    }

    /// Of whom it is. Any program can write that lines were dropped: only journald is
    /// believed.
    fn subject(&mut self) -> Option<usize> {
        if self.is_by_journald && self.dropped.is_some() {
            return self.about;
        }
        self.dropped = None;
        self.unit
    }
}

/// What a field says, as far as it is here.
fn payload_of(object: &[u8], size: u64, is_compact: bool) -> Option<Payload<&[u8]>> {
    let begin = data_header(is_compact);
    let end = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .min(object.len());
    Some(Payload {
        flags: *object.get(1)?,
        bytes: object.get(begin..end)?,
    })
}

/// How far from its beginning a field's text is.
const fn data_header(is_compact: bool) -> usize {
    if is_compact { 72 } else { 64 }
}

/// Where the next object begins.
fn aligned(offset: u64) -> u64 {
    offset.saturating_add(7) & !7
}
