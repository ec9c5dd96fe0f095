//! Users and groups by number and by name, from `/etc/passwd` and `/etc/group`.
//!
//! Only these two files are read. Accounts that a name service brings (LDAP,
//! SSSD, systemd's dynamic users) show as numbers, and can be declared as
//! numbers: asking a name service can hang on a network that is down, and that
//! is a bad moment to hang. A statically linked program could not ask anyway.

use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

/// More than any real account file has.
const LONGEST: u64 = 8 * 1024 * 1024;

/// The accounts of this host as they were when read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// As whom a process acts: what the kernel compares with a file's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user; absent when the account is not known here, as with systemd's
    /// dynamic users: then only what everybody may do counts.
    pub(crate) uid: Option<u32>,
    /// All groups, supplementary ones too.
    pub(crate) gids: BTreeSet<u32>,
}

impl Identity {
    /// The one who may do everything.
    pub(crate) fn root() -> Self {
        Self {
            uid: Some(0),
            gids: BTreeSet::from([0]),
        }
    }

    /// Whether permission bits mean nothing to it.
    pub(crate) fn is_root(&self) -> bool {
        self.uid == Some(0)
    }
}

impl Accounts {
    /// Reads the host's accounts. A file that cannot be read counts as empty:
    /// numbers then stand for names.
    pub fn read() -> Self {
        Self::parse(
            &text_of(Path::new("/etc/passwd")),
            &text_of(Path::new("/etc/group")),
        )
    }

    /// From the text of the two files; lines that make no sense are left out.
    pub(crate) fn parse(passwd: &str, group: &str) -> Self {
        let users = passwd
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                let uid = fields.nth(1)?.parse().ok()?;
                let gid = fields.next()?.parse().ok()?;
                is_name(name).then(|| User {
                    name: name.to_owned(),
                    uid,
                    gid,
                })
            })
            .collect();
        let groups = group
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                let gid = fields.nth(1)?.parse().ok()?;
                let members = fields.next().unwrap_or_default();
                is_name(name).then(|| Group {
                    name: name.to_owned(),
                    gid,
                    members: members
                        .split(',')
                        .map(str::trim)
                        .filter(|member| !member.is_empty())
                        .map(str::to_owned)
                        .collect(),
                })
            })
            .collect();
        Self { users, groups }
    }

    /// The user's name, or number.
    pub(crate) fn user_name(&self, uid: u32) -> String {
        self.users
            .iter()
            .find(|user| user.uid == uid)
            .map_or_else(|| uid.to_string(), |user| user.name.clone())
    }

    /// The group's name, or number.
    pub(crate) fn group_name(&self, gid: u32) -> String {
        self.groups
            .iter()
            .find(|group| group.gid == gid)
            .map_or_else(|| gid.to_string(), |group| group.name.clone())
    }

    /// The number of a user given by name or number.
    pub fn uid_of(&self, user: &str) -> Option<u32> {
        self.users
            .iter()
            .find(|known| known.name == user)
            .map(|known| known.uid)
            .or_else(|| number(user))
    }

    /// The number of a group given by name or number.
    pub fn gid_of(&self, group: &str) -> Option<u32> {
        self.groups
            .iter()
            .find(|known| known.name == group)
            .map(|known| known.gid)
            .or_else(|| number(group))
    }

    /// As whom a service with this `User=`, `Group=` and
    /// `SupplementaryGroups=` runs (empty means not set).
    pub(crate) fn identity(&self, user: &str, group: &str, more: &[String]) -> Identity {
        let mut gids: BTreeSet<u32> = more.iter().filter_map(|name| self.gid_of(name)).collect();
        gids.extend(self.gid_of(group).filter(|_| !group.is_empty()));
        if user.is_empty() {
            gids.insert(0);
            return Identity { uid: Some(0), gids };
        }
        let uid = self.uid_of(user);
        let known = self
            .users
            .iter()
            .find(|known| Some(known.uid) == uid && (known.name == user || number(user).is_some()));
        if let Some(known) = known {
            if group.is_empty() {
                gids.insert(known.gid);
            }
            gids.extend(
                self.groups
                    .iter()
                    .filter(|group| group.members.contains(&known.name))
                    .map(|group| group.gid),
            );
        }
        Identity { uid, gids }
    }
}

fn number(text: &str) -> Option<u32> {
    // All bits set means "nobody in particular" to the kernel's chown.
    text.parse().ok().filter(|number| *number != u32::MAX)
}

fn is_name(name: &str) -> bool {
    // `+` and `-` begin lines of the old NIS form, which name no account.
    !name.is_empty() && !name.starts_with(['+', '-', '#'])
}

fn text_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the accounts");
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n\
        +nis::::::\nbroken line\napp:x:1001:1001::/srv/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwww-data:x:33:\nssl-cert:x:112:postgres,app\n\
        app:x:1001:\nadm:x:4:syslog, app\n";

    fn accounts() -> Accounts {
        Accounts::parse(PASSWD, GROUP)
    }

    #[test]
    fn names_and_numbers() {
        let accounts = accounts();
        assert_eq!(accounts.user_name(33), "www-data");
        assert_eq!(accounts.user_name(4242), "4242");
        assert_eq!(accounts.group_name(112), "ssl-cert");
        assert_eq!(accounts.uid_of("app"), Some(1001));
        assert_eq!(accounts.uid_of("4242"), Some(4242));
        assert_eq!(accounts.uid_of("nobody-here"), None);
        assert_eq!(accounts.uid_of("4294967295"), None);
        assert_eq!(accounts.gid_of("adm"), Some(4));
    }

    #[rstest]
    #[case::root("", "", &[], Some(0), &[0])]
    #[case::user("app", "", &[], Some(1001), &[4, 112, 1001])]
    #[case::group_instead_of_own("app", "www-data", &[], Some(1001), &[4, 33, 112])]
    #[case::more_groups("www-data", "", &["adm"], Some(33), &[4, 33])]
    #[case::by_number("1001", "", &[], Some(1001), &[4, 112, 1001])]
    #[case::dynamic("dyn", "", &[], None, &[])]
    fn identities(
        #[case] user: &str,
        #[case] group: &str,
        #[case] more: &[&str],
        #[case] uid: Option<u32>,
        #[case] gids: &[u32],
    ) {
        let more: Vec<String> = more.iter().map(|name| (*name).to_owned()).collect();
        let identity = accounts().identity(user, group, &more);
        assert_eq!(identity.uid, uid);
        assert_eq!(identity.gids.into_iter().collect::<Vec<_>>(), gids);
    }
}
