//! What a person can do about a cause. Text of our own, with nothing in it that
//! a log line said: it may be typed into a root shell.

use prunella_core::{UnitName, diagnosis::Cause};

/// What to do about `cause` of `unit`.
pub(super) fn advice(cause: Cause, unit: &UnitName) -> String {
    match cause {
        Cause::OomKill => format!(
            "See how much it may use (systemctl show -p MemoryMax {unit}) and what used it \
             (journalctl -k -g 'out of memory'); give it more, or have it use less."
        ),
        Cause::Segfault => format!(
            "Look at the crash (coredumpctl info COREDUMP_UNIT={unit}; it needs the package \
             systemd-coredump); a version that changed lately is the first suspect."
        ),
        Cause::AddressInUse => {
            "See who holds it (ss -ltnup); end that, or give one of them another port.".to_owned()
        }
        Cause::PermissionDenied => format!(
            "Compare owner and mode along the whole path (namei -l PATH) with the unit's user and \
             sandbox (systemctl show -p User -p ProtectSystem -p ReadWritePaths {unit})."
        ),
        Cause::MissingFile => {
            "Bring it back, or correct the path that leads there; a mount that is not there looks \
             the same (findmnt)."
                .to_owned()
        }
        Cause::BadConfig => format!(
            "Mend it, have the program check it, and start it again: systemctl restart {unit}"
        ),
        Cause::DiskFull => {
            "See what is full (df -h; df -i) and what fills it (du -xh --max-depth=2 / | sort -h \
             | tail)."
                .to_owned()
        }
        Cause::NoMemory => format!(
            "See what uses it (free -h; systemd-cgtop -m) and what the unit may use (systemctl \
             show -p MemoryMax -p LimitAS {unit})."
        ),
        Cause::HostBusy => {
            "See what keeps it busy (top; systemd-cgtop -c), and what of that can wait.".to_owned()
        }
        Cause::TooManyFiles => format!(
            "See how many it may have open (systemctl show -p LimitNOFILE {unit}); raise it with \
             systemctl edit {unit}, unless it leaks them."
        ),
        Cause::DependencyRefused => format!(
            "See whether what it needs is up (systemctl list-dependencies {unit}), and whether it \
             is told to be asked there with these credentials."
        ),
        Cause::Timeout => format!(
            "See what it was busy with (journalctl -u {unit}); if that is well, give it more time \
             (TimeoutStartSec=, TimeoutStopSec=)."
        ),
        Cause::Watchdog => format!(
            "It hung, or was too busy to report: journalctl -u {unit} shows what it did last."
        ),
        Cause::StartLimit => format!(
            "The limit is a consequence: mend what made it fail, then systemctl reset-failed \
             {unit} and start it."
        ),
        Cause::MissingExecutable => format!(
            "Look at what the unit runs (systemctl cat {unit}): is the program installed, and \
             executable?"
        ),
        Cause::LibraryNotFound => format!(
            "See what its program misses (ldd PROGRAM; systemctl cat {unit} names it), and \
             install or reinstall the package that has it."
        ),
        Cause::CertificateExpired => {
            "Renew it, or find out why it was not renewed (openssl x509 -noout -enddate -in \
             FILE); a wrong clock looks the same (timedatectl)."
                .to_owned()
        }
        Cause::KillRequested => {
            "Find out who did it and why (`systemctl kill`, or a script that uses it).".to_owned()
        }
        Cause::ProcessStopped => format!(
            "Find out who stopped it (kill -STOP, systemctl kill, a debugger, a backup or \
             snapshot script): journalctl -u {unit} shows it where systemd was asked to."
        ),
        Cause::ProcessBlocked => {
            "See what it waited for: a disk or a network mount that does not answer (journalctl \
             -k; findmnt -t nfs,nfs4,cifs; cat /proc/pressure/io)."
                .to_owned()
        }
        Cause::RecentChange => {
            "If nothing else explains it, take that change back and see.".to_owned()
        }
    }
}
