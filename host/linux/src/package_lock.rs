//! Whether a package manager is at work, by its lock.
//!
//! The files are always there; what counts is whether somebody holds the lock
//! on one. Asking (`F_GETLK`) takes nothing: a lock that was tried would for a
//! moment keep the package manager itself out.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use crate::procfs;

/// The lock files, and whose they are.
const LOCKS: [(&str, &str); 4] = [
    ("/var/lib/dpkg/lock-frontend", "dpkg"),
    ("/var/lib/dpkg/lock", "dpkg"),
    ("/var/lib/rpm/.rpm.lock", "rpm"),
    ("/usr/lib/sysimage/rpm/.rpm.lock", "rpm"),
];

/// Who holds a package manager's lock, in words.
pub(crate) fn holder() -> Option<String> {
    LOCKS
        .iter()
        .find_map(|(path, manager)| describe(Path::new(path), manager))
}

fn describe(path: &Path, manager: &str) -> Option<String> {
    // A file that is not there is not locked; one that cannot be read tells
    // nothing, and Prunella runs as root.
    let file = File::open(path).ok()?;
    let pid = match locked_by(&file) {
        Ok(lock) => lock?,
        Err(error) => {
            tracing::debug!(%error, path = %path.display(), "cannot ask for its lock");
            return None;
        }
    };
    let who = u32::try_from(pid)
        .ok()
        .filter(|pid| *pid != 0)
        .map(|pid| {
            let name = prunella_core::text::one_line(&procfs::name(pid), 32);
            format!(" ({name}, process {pid})")
        })
        // Of an open file description, or of a process in another namespace.
        .unwrap_or_default();
    Some(format!("{manager} holds {}{who}", path.display()))
}

/// The process that holds a write-excluding lock on `file`; not positive when
/// it cannot be named.
#[allow(
    unsafe_code,
    reason = "rustix's fcntl_getlk asserts that the holder is a process, which it is not for an open file description lock"
)]
fn locked_by(file: &File) -> io::Result<Option<i32>> {
    // The whole file: offset 0, length 0.
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the
    // kernel writes one `struct flock` where `lock` lies.
    let done = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_GETLK, &raw mut lock) };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_file_that_nobody_locks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(describe(file.path(), "dpkg"), None);
        assert_eq!(describe(Path::new("/nonexistent/lock"), "dpkg"), None);
    }

    /// Another process locks the file as dpkg does (fcntl); a lock of our own
    /// process would not count as anybody else's.
    #[test]
    fn a_file_that_another_process_locks() {
        use std::io::{BufRead, BufReader};

        let file = tempfile::NamedTempFile::new().unwrap();
        let mut other = Command::new("perl")
            .arg("-e")
            .arg(
                "use Fcntl; open F, '+<', $ARGV[0] or die; my $l = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0); \
                 fcntl(F, F_SETLK, $l) or die; \
                 $| = 1; print qq{locked\\n}; <STDIN>;",
            )
            .arg(file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(other.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "locked\n");
        assert_eq!(
            describe(file.path(), "dpkg"),
            Some(format!(
                "dpkg holds {} (perl, process {})",
                file.path().display(),
                other.id()
            ))
        );
        drop(other.stdin.take());
        other.wait().unwrap();
        assert_eq!(describe(file.path(), "dpkg"), None);
    }

    #[test]
    fn a_lock_of_an_open_file_description_has_no_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        rustix::fs::fcntl_lock(file.as_file(), rustix::fs::FlockOperation::LockExclusive).unwrap();
        // POSIX locks of one's own never conflict.
        assert_eq!(describe(file.path(), "dpkg"), None);
    }
}
