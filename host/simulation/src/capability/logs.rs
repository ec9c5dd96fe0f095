//! The journal.

use prunella_core::capability::{Answer, LogEntry, logs::Tail};

use crate::world::World;

impl World {
    pub(super) fn tail(&self, tail: &Tail) -> Answer<Vec<LogEntry>> {
        let unit = &self.find(&tail.unit)?.status.name;
        let all = self.logs.get(unit).map_or(&[][..], Vec::as_slice);
        let mut newest: Vec<LogEntry> = all
            .iter()
            .rev()
            .filter(|entry| tail.priority.is_none_or(|least| entry.priority <= least))
            .take(tail.lines as usize)
            .cloned()
            .collect();
        newest.reverse();
        Ok(newest)
    }
}
