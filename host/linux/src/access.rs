//! Who may do what with a file, by owner, permission bits and POSIX ACL.
//!
//! This is the kernel's own order (path_resolution(7), acl(5)). What it leaves
//! out: security modules such as AppArmor and SELinux, capabilities of a
//! service that is not root, a unit's own mount namespace, and file systems
//! with rules of their own (NFS).

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::Stat;

use crate::accounts::Identity;

/// May read it.
pub(crate) const READ: u32 = 4;
/// May write it.
pub(crate) const WRITE: u32 = 2;
/// May pass through it, when it is a directory.
pub(crate) const SEARCH: u32 = 1;

/// Owner, permission bits and, where there is one, the access ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    acl: Option<Vec<AclEntry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AclEntry {
    tag: u16,
    permissions: u16,
    id: u32,
}

// Tags of linux/posix_acl.h.
const ACL_USER_OBJ: u16 = 0x01;
const ACL_USER: u16 = 0x02;
const ACL_GROUP_OBJ: u16 = 0x04;
const ACL_GROUP: u16 = 0x08;
const ACL_MASK: u16 = 0x10;
const ACL_OTHER: u16 = 0x20;
/// The only version there is (linux/posix_acl_xattr.h).
const ACL_VERSION: u32 = 2;
/// More entries than a file system of today can hold in one attribute.
const ACL_BYTES: usize = 64 * 1024;

impl Access {
    /// Of an open file, or of one opened for its path only.
    pub(crate) fn of(file: impl AsFd, stat: &Stat) -> Self {
        Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            acl: acl_of(file),
        }
    }

    /// Whether `who` may do all of `wanted` ([`READ`], [`WRITE`], [`SEARCH`]).
    pub(crate) fn allows(&self, who: &Identity, wanted: u32) -> bool {
        if who.is_root() {
            // Root passes every folder; an execute bit on a file is another
            // matter, and not asked here.
            return true;
        }
        let held = |bits: u32| bits & wanted == wanted;
        if who.uid == Some(self.uid) {
            return held(self.mode >> 6 & 7);
        }
        if let Some(acl) = &self.acl {
            return acl_allows(acl, who, self.gid, &held);
        }
        if who.gids.contains(&self.gid) {
            return held(self.mode >> 3 & 7);
        }
        held(self.mode & 7)
    }
}

fn acl_allows(
    acl: &[AclEntry],
    who: &Identity,
    owning_group: u32,
    held: &impl Fn(u32) -> bool,
) -> bool {
    let mask = acl
        .iter()
        .find(|entry| entry.tag == ACL_MASK)
        .map_or(7, |entry| u32::from(entry.permissions));
    let masked = |entry: &AclEntry| held(u32::from(entry.permissions) & mask);
    if let Some(own) = acl
        .iter()
        .find(|entry| entry.tag == ACL_USER && Some(entry.id) == who.uid)
    {
        return masked(own);
    }
    let mut groups = acl
        .iter()
        .filter(|entry| match entry.tag {
            ACL_GROUP_OBJ => who.gids.contains(&owning_group),
            ACL_GROUP => who.gids.contains(&entry.id),
            _ => false,
        })
        .peekable();
    if groups.peek().is_some() {
        // A member of a listed group gets what one such entry gives, and never
        // what everybody else gets.
        return groups.any(masked);
    }
    acl.iter()
        .find(|entry| entry.tag == ACL_OTHER)
        .is_some_and(|entry| held(u32::from(entry.permissions)))
}

/// The access ACL; absent where there is none, or no way to read it.
fn acl_of(file: impl AsFd) -> Option<Vec<AclEntry>> {
    // A descriptor opened for its path only takes no fgetxattr; its link in
    // /proc does, and leads to the very same file.
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let mut bytes = Vec::with_capacity(ACL_BYTES.min(1024));
    let length = rustix::fs::getxattr_query(path.as_str(), "system.posix_acl_access").ok()?;
    if length == 0 || length > ACL_BYTES {
        return None;
    }
    bytes.resize(length, 0);
    let read = rustix::fs::getxattr(
        path.as_str(),
        "system.posix_acl_access",
        bytes.as_mut_slice(),
    )
    .ok()?;
    bytes.truncate(read);
    parse_acl(&bytes)
}

fn parse_acl(bytes: &[u8]) -> Option<Vec<AclEntry>> {
    let (version, entries) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != ACL_VERSION {
        return None;
    }
    let entries: Vec<AclEntry> = entries
        .chunks_exact(8)
        .filter_map(|entry| {
            let (tag, rest) = entry.split_first_chunk::<2>()?;
            let (permissions, rest) = rest.split_first_chunk::<2>()?;
            let id = rest.first_chunk::<4>()?;
            Some(AclEntry {
                tag: u16::from_le_bytes(*tag),
                permissions: u16::from_le_bytes(*permissions),
                id: u32::from_le_bytes(*id),
            })
        })
        .collect();
    entries
        .iter()
        .any(|entry| entry.tag == ACL_USER_OBJ)
        .then_some(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    fn who(uid: u32, gids: &[u32]) -> Identity {
        Identity {
            uid: Some(uid),
            gids: gids.iter().copied().collect(),
        }
    }

    fn plain(mode: u32) -> Access {
        Access {
            uid: 10,
            gid: 20,
            mode,
            acl: None,
        }
    }

    #[rstest]
    #[case::owner(0o400, 10, &[], true)]
    #[case::owner_is_not_everybody(0o044, 10, &[20], false)]
    #[case::group(0o040, 11, &[20], true)]
    #[case::group_is_not_everybody(0o604, 11, &[20], false)]
    #[case::everybody(0o604, 11, &[21], true)]
    #[case::nobody(0o640, 11, &[21], false)]
    #[case::root(0o000, 0, &[0], true)]
    fn permission_bits(
        #[case] mode: u32,
        #[case] uid: u32,
        #[case] gids: &[u32],
        #[case] allowed: bool,
    ) {
        assert_eq!(plain(mode).allows(&who(uid, gids), READ), allowed);
    }

    #[test]
    fn an_unknown_account_gets_what_everybody_gets() {
        let dynamic = Identity {
            uid: None,
            gids: BTreeSet::new(),
        };
        assert!(plain(0o604).allows(&dynamic, READ));
        assert!(!plain(0o640).allows(&dynamic, READ));
    }

    fn entry(tag: u16, permissions: u16, id: u32) -> Vec<u8> {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
        bytes
    }

    #[rstest]
    #[case::named_user(30, &[], true)]
    #[case::named_user_over_group(31, &[40], false)]
    #[case::named_group(32, &[40], true)]
    #[case::masked_group(32, &[41], false)]
    #[case::everybody(32, &[42], false)]
    fn access_lists(#[case] uid: u32, #[case] gids: &[u32], #[case] allowed: bool) {
        let bytes = [
            ACL_VERSION.to_le_bytes().to_vec(),
            entry(ACL_USER_OBJ, 6, u32::MAX),
            entry(ACL_USER, 4, 30),
            entry(ACL_USER, 0, 31),
            entry(ACL_GROUP_OBJ, 0, u32::MAX),
            entry(ACL_GROUP, 6, 40),
            entry(ACL_GROUP, 2, 41),
            entry(ACL_MASK, 4, u32::MAX),
            entry(ACL_OTHER, 0, u32::MAX),
        ]
        .concat();
        let access = Access {
            acl: parse_acl(&bytes),
            ..plain(0o640)
        };
        assert!(access.acl.is_some());
        assert_eq!(access.allows(&who(uid, gids), READ), allowed);
    }

    #[test]
    fn an_unknown_list_is_no_list() {
        assert_eq!(parse_acl(&[1, 0, 0, 0]), None);
        assert_eq!(parse_acl(&[]), None);
    }
}
