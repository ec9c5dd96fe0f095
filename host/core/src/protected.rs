//! Protected units: diagnosed and reported, never acted on.

use crate::UnitName;

/// Units whose restart takes the host, its logins or Prunella itself down with
/// it. `*` stands for anything. `[protect]` in the configuration adds to the
/// list and takes off it.
const BUILT_IN: [&str; 14] = [
    "dbus.service",
    "dbus.socket",
    "dbus-broker.service",
    "systemd-*.service",
    "systemd-*.socket",
    "polkit.service",
    "NetworkManager.service",
    "networking.service",
    "ifup@*.service",
    "init.scope",
    "prunella.service",
    "prunella-*.service",
    "prunella-*@*.service",
    "-.slice",
];

/// Protected too: by these a person logs in.
const LOGINS: [&str; 20] = [
    "ssh.service",
    "ssh@*.service",
    "sshd.service",
    "sshd@*.service",
    "dropbear.service",
    "getty@*.service",
    "serial-getty@*.service",
    "container-getty@*.service",
    "console-getty.service",
    "autovt@*.service",
    "debug-shell.service",
    "user@*.service",
    "user-runtime-dir@*.service",
    "emergency.service",
    "rescue.service",
    "display-manager.service",
    "gdm*.service",
    "lightdm.service",
    "sddm.service",
    "xdm.service",
];

/// Whether a person logs in by this unit, or works in it.
pub fn is_for_logins(unit: &UnitName) -> bool {
    LOGINS.iter().any(|pattern| matches(pattern, unit.as_str()))
}

/// Which units are protected.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    added: Vec<UnitName>,
    removed: Vec<UnitName>,
}

impl Protected {
    /// The built-in list, with what the operator adds and takes off.
    /// Prunella itself cannot be taken off.
    pub fn new(added: Vec<UnitName>, removed: Vec<UnitName>) -> Self {
        Self { added, removed }
    }

    /// Whether `unit`, by its canonical name, is protected.
    pub fn covers(&self, unit: &UnitName) -> bool {
        let name = unit.as_str();
        if name == "prunella.service" || name.starts_with("prunella-") {
            return true;
        }
        if self.removed.iter().any(|removed| removed == unit) {
            return false;
        }
        self.added.iter().any(|added| added == unit)
            || BUILT_IN.iter().any(|pattern| matches(pattern, name))
            || is_for_logins(unit)
    }
}

/// Whether `name` fits `pattern`, in which one `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| matches_end(after, rest)),
    }
}

fn matches_end(pattern: &str, rest: &str) -> bool {
    match pattern.split_once('*') {
        None => rest.ends_with(pattern),
        Some((middle, after)) => rest.find(middle).is_some_and(|at| {
            rest.get(at + middle.len()..)
                .is_some_and(|r| matches_end(after, r))
        }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::journald("systemd-journald.service", true)]
    #[case::logind("systemd-logind.service", true)]
    #[case::sshd("ssh.service", true)]
    #[case::an_ssh_login("ssh@1-10.0.0.1:22-10.0.0.2:4711.service", true)]
    #[case::a_getty("getty@tty1.service", true)]
    #[case::of_a_container("console-getty.service", true)]
    #[case::a_desktop("gdm3.service", true)]
    #[case::prunella("prunella.service", true)]
    #[case::its_hook("prunella-hook@nginx.service.service", true)]
    #[case::nginx("nginx.service", false)]
    #[case::lookalike("my-systemd-thing.service", false)]
    fn the_built_in_list(#[case] unit: &str, #[case] protected: bool) {
        let unit = UnitName::new(unit).unwrap();
        assert_eq!(Protected::default().covers(&unit), protected);
    }

    #[test]
    fn an_operator_adds_and_takes_off() {
        let ssh = UnitName::new("ssh.service").unwrap();
        let bank = UnitName::new("bank.service").unwrap();
        let own = UnitName::new("prunella.service").unwrap();
        let protected = Protected {
            added: vec![bank.clone()],
            removed: vec![ssh.clone(), own.clone()],
        };
        assert!(!protected.covers(&ssh));
        assert!(protected.covers(&bank));
        assert!(protected.covers(&own), "Prunella never acts on itself");
    }
}
