//! Who is behind a process: the account that logged in, and the one it acts as.
//!
//! The kernel keeps the login of each process, which survives `sudo` and `su` and
//! which only root can set. A variable such as `SUDO_USER` says nothing: whoever
//! sends an order chooses it.

use std::{fs, path::Path};

/// What the kernel shows where nobody has logged in: for what runs as a service.
const NO_LOGIN: u32 = u32::MAX;

/// Who this process acts for, such as `root (uid 0)`, or `anna (as root)`.
pub fn own() -> String {
    let uid = rustix::process::geteuid().as_raw();
    who(Path::new("/"), std::process::id(), uid)
}

/// Who a process that acts as `uid` acts for.
pub(crate) fn of_process(pid: u32, uid: u32) -> String {
    who(Path::new("/"), pid, uid)
}

fn who(root: &Path, pid: u32, uid: u32) -> String {
    let login = fs::read_to_string(root.join(format!("proc/{pid}/loginuid")))
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .filter(|login| *login != NO_LOGIN && *login != uid);
    let account = |uid| name(root, uid);
    match (login, account(uid)) {
        (Some(login), acts_as) => {
            let person = account(login).unwrap_or_else(|| format!("uid {login}"));
            let acts_as = acts_as.unwrap_or_else(|| format!("uid {uid}"));
            format!("{person} (as {acts_as})")
        }
        (None, Some(name)) => format!("{name} (uid {uid})"),
        (None, None) => format!("uid {uid}"),
    }
}

/// The name of a local account. Only `/etc/passwd` is read: asking the name service
/// could hang on a network that is just failing.
fn name(root: &Path, uid: u32) -> Option<String> {
    let text = fs::read_to_string(root.join("etc/passwd")).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| prunella_core::text::one_line(name, 64))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_service("4294967295", 0, "root (uid 0)")]
    #[case::root_itself("0", 0, "root (uid 0)")]
    #[case::by_sudo("1000", 0, "anna (as root)")]
    #[case::of_a_directory("70001", 0, "uid 70001 (as root)")]
    #[case::unknown("4294967295", 70001, "uid 70001")]
    #[case::no_audit("", 1000, "anna (uid 1000)")]
    fn who_acts(#[case] login: &str, #[case] uid: u32, #[case] expected: &str) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/42")).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nbad\nanna:x:1000:1000::/home/anna:/bin/sh\n",
        )
        .unwrap();
        fs::write(root.path().join("proc/42/loginuid"), login).unwrap();
        assert_eq!(who(root.path(), 42, uid), expected);
    }
}
