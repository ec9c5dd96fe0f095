//! What a service may use at most.

use super::{
    Instruments,
    folder::{File, Folder},
    text::{limit, quota},
};

/// What a group may use at most, where that is limited.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// In parts of a thousand of one processor.
    pub(super) cpu: Option<u64>,
    /// In bytes.
    pub(super) memory: Option<u64>,
    pub(super) tasks: Option<u64>,
}

impl Limits {
    /// A group's own limits. Those of the groups that it lies in hold for it as well.
    pub(super) fn read(tools: &mut Instruments, folder: &mut Folder) -> Self {
        let mut bytes = |file| folder.read(tools, file).and_then(limit);
        Self {
            memory: lower(bytes(File::MemoryMax), bytes(File::MemoryHigh)),
            tasks: bytes(File::TasksMax),
            cpu: folder.read(tools, File::CpuMax).and_then(quota),
        }
    }

    /// The lower of each.
    pub(super) fn lowest(self, other: Self) -> Self {
        Self {
            cpu: lower(self.cpu, other.cpu),
            memory: lower(self.memory, other.memory),
            tasks: lower(self.tasks, other.tasks),
        }
    }
}

fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}
