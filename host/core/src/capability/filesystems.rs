//! `prunella:observe/filesystems`: the file systems that the service's declared files
//! lie on, and the host's own.

use serde::{Deserialize, Serialize};

use super::{Described, Description, Disk, Look, Subject};

/// Those of the declared files, and the host's own, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct List {}

/// The one below a declared file, or `/`, `/var`, `/tmp`, `/run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Below {
    pub place: String,
}

static LIST: Look = Look::new("filesystems.list");
static BELOW: Look = Look::new("filesystems.below");

impl Described for List {
    fn description(&self) -> Description {
        Description::Look(&LIST)
    }
}

impl Described for Below {
    fn description(&self) -> Description {
        Description::Look(&BELOW)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Place(&self.place)
    }
}

/// A mounted file system, in bytes and numbers of inodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    pub mount_point: String,
    /// What is mounted there, such as `/dev/sda1` or `tmpfs`.
    pub device: String,
    /// Such as `ext4`.
    pub kind: String,
    pub total: u64,
    pub used: u64,
    /// What an unprivileged program can still write.
    pub available: u64,
    /// As `df` has it; see [`percent_used`].
    pub used_percent: u8,
    /// 0 where the file system has no fixed number.
    pub inodes_total: u64,
    pub inodes_available: u64,
    pub read_only: bool,
    /// The declared files that lie on it.
    pub files: Vec<String>,
    /// What the kernel has logged of it lately, oldest first: evidence.
    pub kernel_log: Vec<String>,
}

impl FileSystem {
    /// The room that is left on it.
    pub fn room(&self) -> Disk {
        Disk {
            total: self.total,
            available: self.available,
            files_total: self.inodes_total,
            files_available: self.inodes_available,
            read_only: self.read_only,
        }
    }
}

/// How full a file system is, as `df` has it: used of what is used or available,
/// rounded up. What is kept for root counts as neither.
pub fn percent_used(used: u64, available: u64) -> u8 {
    let all = u128::from(used) + u128::from(available);
    if all == 0 {
        return 0;
    }
    u8::try_from((u128::from(used) * 100).div_ceil(all)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::percent_used;

    /// `df` on an ext4 of 20 GiB with 5 % kept for root.
    #[test]
    fn as_df_has_it() {
        assert_eq!(percent_used(0, 0), 0);
        assert_eq!(percent_used(0, 10), 0);
        assert_eq!(percent_used(1, 1_000_000), 1);
        assert_eq!(percent_used(3_313_724, 16_119_928), 18);
        assert_eq!(percent_used(10, 0), 100);
        assert_eq!(percent_used(u64::MAX, u64::MAX), 50);
    }
}
