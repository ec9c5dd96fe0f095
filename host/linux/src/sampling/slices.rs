//! What services share of the groups that they lie in: where nothing in a slice has waited,
//! nothing in any of its services has.

use std::{collections::HashMap, time::Duration};

use super::{Instruments, text::waited};
use crate::cgroup::Cgroups;

/// What was read of a slice counts for all its services, as long as it is not older.
const FRESH: Duration = Duration::from_millis(500);

/// Waiting for so many microseconds shows in no share: it is less than a thousandth of the ten
/// seconds that a share is of.
const HARDLY: u64 = 5_000;

/// A slice of which nothing was asked for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The files of what a group has waited for.
const FILES: [&str; 3] = ["cpu.pressure", "memory.pressure", "io.pressure"];

/// For how long something in a group has waited so far for processors, memory and I/O, in
/// microseconds.
pub(super) type Waited = [Option<u64>; FILES.len()];

/// The groups that services lie in, by their paths.
#[derive(Debug, Default)]
pub(super) struct Slices {
    known: HashMap<String, Slice>,
}

#[derive(Debug)]
struct Slice {
    read_at: Duration,
    waited: Waited,
}

/// Whether what was read of a service, when something in its slice had waited for so long, is
/// as good as new.
pub(super) fn has_hardly_waited(before: Option<u64>, now: Option<u64>) -> bool {
    before
        .zip(now)
        .and_then(|(before, now)| now.checked_sub(before))
        .is_some_and(|more| more < HARDLY)
}

impl Instruments {
    /// For how long something has waited in the slice of a group, as of a moment ago. `now` is
    /// the time since boot.
    pub(super) fn waited_in_slice_of(
        &mut self,
        groups: &Cgroups,
        path: &str,
        now: Duration,
    ) -> Waited {
        let slice = path.rsplit_once('/').map_or("", |(slice, _)| slice);
        if let Some(known) = self.slices.known.get(slice)
            && now.saturating_sub(known.read_at) < FRESH
        {
            return known.waited;
        }
        let directory = groups.directory(slice).unwrap_or_default();
        let waited = FILES.map(|file| self.read(&directory.join(file)).and_then(waited));
        let all = &mut self.slices.known;
        all.retain(|_, slice| now.saturating_sub(slice.read_at) < FORGOTTEN_AFTER);
        let read = Slice {
            read_at: now,
            waited,
        };
        all.insert(slice.to_owned(), read);
        waited
    }
}
