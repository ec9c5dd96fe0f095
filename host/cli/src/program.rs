//! Which program a unit runs.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use prunella_core::hash::sha256;

use crate::systemctl;

/// Whether the main process of `unit` runs another program than `binary`. Where that cannot
/// be told, it does not.
pub(crate) fn runs_another(unit: &str, binary: &Path) -> bool {
    let pid = systemctl::run(&["show", "--property=MainPID", "--value", unit])
        .ok()
        .and_then(|pid| pid.trim().parse::<u32>().ok())
        .filter(|pid| *pid != 0);
    pid.is_some_and(|pid| is_another(Path::new(&format!("/proc/{pid}/exe")), binary))
}

/// Whether two files are different ones, and differ in what is in them. The kernel still has
/// the running program after its file was replaced.
fn is_another(running: &Path, installed: &Path) -> bool {
    let (Ok(one), Ok(other)) = (fs::metadata(running), fs::metadata(installed)) else {
        return false;
    };
    if (one.dev(), one.ino()) == (other.dev(), other.ino()) {
        return false;
    }
    if one.len() != other.len() {
        return true;
    }
    match (fs::read(running), fs::read(installed)) {
        (Ok(one), Ok(other)) => sha256(&one) != sha256(&other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_another_when_it_says_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (old, copy) = (write("old", "v1"), write("copy", "v1"));
        let (new, longer) = (write("new", "v2"), write("longer", "v2.1"));
        assert!(!is_another(&old, &old));
        assert!(!is_another(&old, &copy));
        assert!(is_another(&old, &new));
        assert!(is_another(&old, &longer));
        assert!(!is_another(&old, &folder.path().join("gone")));
    }
}
