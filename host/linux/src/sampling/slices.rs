//! What services share of the groups that they lie in: where nothing in a slice has waited,
//! nothing in any of its services has, and the limits of a slice hold for all of them.

use std::{collections::HashMap, time::Duration};

use super::{
    Instruments,
    folder::{File, Folder},
    limits::Limits,
    text::waited,
};
use crate::cgroup::Cgroups;

/// What was read of a slice counts for all its services, as long as it is not older.
const FRESH: Duration = Duration::from_millis(500);

/// Waiting for so many microseconds shows in no share: it is less than a thousandth of the ten
/// seconds that a share is of.
const HARDLY: u64 = 5_000;

/// A slice of which nothing was asked for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The files of what a group has waited for.
const FILES: [File; 3] = [File::CpuPressure, File::MemoryPressure, File::IoPressure];

/// For how long something in a group has waited so far for processors, memory and I/O, in
/// microseconds.
pub(super) type Waited = [Option<u64>; FILES.len()];

/// The groups that services lie in.
#[derive(Debug, Default)]
pub(super) struct Slices {
    waited: Known<Waited>,
    /// The lowest of each, and of all that it lies in.
    limits: Known<Limits>,
}

/// What was read of slices, and when, by their paths.
#[derive(Debug)]
struct Known<T>(HashMap<String, (Duration, T)>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Copy> Known<T> {
    fn fresh(&self, slice: &str, now: Duration) -> Option<T> {
        let (read_at, value) = self.0.get(slice)?;
        (now.saturating_sub(*read_at) < FRESH).then_some(*value)
    }

    fn keep(&mut self, slice: &str, now: Duration, value: T) {
        self.0
            .retain(|_, (read_at, _)| now.saturating_sub(*read_at) < FORGOTTEN_AFTER);
        self.0.insert(slice.to_owned(), (now, value));
    }
}

/// Whether what was read of a service, when something in its slice had waited for so long, is
/// as good as new.
pub(super) fn has_hardly_waited(before: Option<u64>, now: Option<u64>) -> bool {
    before
        .zip(now)
        .and_then(|(before, now)| now.checked_sub(before))
        .is_some_and(|more| more < HARDLY)
}

/// The path of the group that another lies in; empty for the tree's root.
fn slice_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(slice, _)| slice)
}

fn open(groups: &Cgroups, slice: &str) -> Option<Folder> {
    Folder::open(&groups.directory(slice)?)
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
        let slice = slice_of(path);
        if let Some(known) = self.slices.waited.fresh(slice, now) {
            return known;
        }
        let mut folder = open(groups, slice);
        let read = FILES.map(|file| folder.as_mut()?.read(self, file).and_then(waited));
        self.slices.waited.keep(slice, now, read);
        read
    }

    /// The lowest limits of all groups that a group lies in, as of a moment ago. `now` is the
    /// time since boot.
    pub(super) fn limits_of_slice_of(
        &mut self,
        groups: &Cgroups,
        path: &str,
        now: Duration,
    ) -> Limits {
        let slice = slice_of(path);
        if let Some(known) = self.slices.limits.fresh(slice, now) {
            return known;
        }
        let mut limits = Limits::default();
        let mut at = slice;
        // The root has none.
        while !at.is_empty() {
            if let Some(mut folder) = open(groups, at) {
                limits = Limits::read(self, &mut folder).lowest(limits);
            }
            at = slice_of(at);
        }
        self.slices.limits.keep(slice, now, limits);
        limits
    }
}
