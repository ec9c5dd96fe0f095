//! Whether something keeps the clock right, where systemd-timesyncd is to.
//!
//! The kernel would tell of any such program, by adjtimex(2), which may also set the clock:
//! the daemon's unit forbids itself that (`ProtectClock=`).

use std::path::Path;

use prunella_core::health::{Metric, Reading};

/// What systemd-timesyncd keeps while it runs, or has run.
const FOLDER: &str = "/run/systemd/timesync";

pub(super) fn sample(readings: &mut Vec<Reading>) {
    readings.extend(
        is_unsynchronized(Path::new(FOLDER))
            .map(|is_not| Reading::new(Metric::ClockUnsynchronized, u64::from(is_not))),
    );
}

/// Nothing, where something else keeps the clock, or nothing does.
fn is_unsynchronized(folder: &Path) -> Option<bool> {
    folder
        .is_dir()
        .then(|| !folder.join("synchronized").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_told_from_one_that_nobody_keeps() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(is_unsynchronized(&folder.path().join("none")), None);
        assert_eq!(is_unsynchronized(folder.path()), Some(true));
        std::fs::write(folder.path().join("synchronized"), "").unwrap();
        assert_eq!(is_unsynchronized(folder.path()), Some(false));
    }
}
