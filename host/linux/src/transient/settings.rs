//! The settings of a transient unit, for D-Bus and for a command line.

use std::time::Duration;

use zbus::Variant;

use super::{Capability, Device, GRACE, ProtectSystem, Task};

/// One setting of the transient unit, for D-Bus and for a command line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Setting {
    Text(&'static str, String),
    Flag(&'static str, bool),
    List(&'static str, Vec<String>),
    /// In D-Bus `…USec`, in a file `…Sec`.
    Time(&'static str, Duration),
    Number(&'static str, u64),
    Capabilities(Vec<Capability>),
    Families(Vec<&'static str>),
    Device(Device),
    /// BindReadOnlyPaths=: what is seen, and where.
    Shown(String, String),
    /// LoadCredential=: its name, and where it is read.
    Credential(&'static str, String),
    /// Every namespace is forbidden.
    NoNamespaces,
    /// Every exit code counts as success to systemd: a check that says no is
    /// not a failed unit, and must not set off anybody's OnFailure=.
    AnyExitCode,
}

impl Setting {
    pub(super) fn for_bus(&self) -> (String, Variant<'static>) {
        match self {
            Self::Text(name, value) => ((*name).to_owned(), Variant::from(value.clone())),
            Self::Flag(name, value) => ((*name).to_owned(), Variant::from(*value)),
            Self::List(name, values) => ((*name).to_owned(), Variant::from(values.clone())),
            Self::Time(name, value) => (
                format!("{name}USec"),
                Variant::from(u64::try_from(value.as_micros()).unwrap_or(u64::MAX)),
            ),
            Self::Number(name, value) => ((*name).to_owned(), Variant::from(*value)),
            Self::Capabilities(these) => (
                "CapabilityBoundingSet".to_owned(),
                Variant::from(these.iter().fold(0_u64, |set, one| set | 1 << (*one as u8))),
            ),
            Self::Families(these) => (
                "RestrictAddressFamilies".to_owned(),
                // True: these and no others.
                Variant::from((
                    true,
                    these
                        .iter()
                        .map(|one| (*one).to_owned())
                        .collect::<Vec<String>>(),
                )),
            ),
            Self::Device(device) => (
                "DeviceAllow".to_owned(),
                Variant::from(vec![(device.name.clone(), device.access.to_owned())]),
            ),
            Self::Credential(name, path) => (
                "LoadCredential".to_owned(),
                Variant::from(vec![((*name).to_owned(), path.clone())]),
            ),
            Self::Shown(shown, path) => (
                "BindReadOnlyPaths".to_owned(),
                // It has to be there; nothing is mounted below a file.
                Variant::from(vec![(shown.clone(), path.clone(), false, 0_u64)]),
            ),
            Self::NoNamespaces => ("RestrictNamespaces".to_owned(), Variant::from(0_u64)),
            Self::AnyExitCode => (
                "SuccessExitStatus".to_owned(),
                Variant::from(((1..=255).collect::<Vec<i32>>(), Vec::<i32>::new())),
            ),
        }
    }

    pub(super) fn for_command_line(&self) -> String {
        match self {
            Self::Text(name, value) => format!("{name}={}", value.replace('%', "%%")),
            Self::Flag(name, value) => format!("{name}={}", if *value { "yes" } else { "no" }),
            Self::List(name, values) => {
                let quoted: Vec<String> = values.iter().map(|value| quote(value)).collect();
                format!("{name}={}", quoted.join(" "))
            }
            Self::Time(name, value) => format!("{name}Sec={}us", value.as_micros()),
            Self::Number(name, value) => format!("{name}={value}"),
            Self::Capabilities(these) => {
                let words: Vec<&str> = these.iter().map(|one| one.as_str()).collect();
                format!("CapabilityBoundingSet={}", words.join(" "))
            }
            Self::Families(these) => format!("RestrictAddressFamilies={}", these.join(" ")),
            Self::Device(device) => format!("DeviceAllow={} {}", device.name, device.access),
            Self::Credential(name, path) => {
                format!("LoadCredential={name}:{}", path.replace('%', "%%"))
            }
            Self::Shown(shown, path) => {
                let pair = [shown, path].map(|path| path.replace('\\', "\\\\").replace(':', "\\:"));
                format!("BindReadOnlyPaths={}", quote(&pair.join(":")))
            }
            Self::NoNamespaces => "RestrictNamespaces=yes".to_owned(),
            Self::AnyExitCode => {
                let codes: Vec<String> = (1..=255).map(|code: u8| code.to_string()).collect();
                format!("SuccessExitStatus={}", codes.join(" "))
            }
        }
    }
}

fn quote(word: &str) -> String {
    format!(
        "\"{}\"",
        word.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('%', "%%")
    )
}

pub(super) fn settings(task: &Task, limit: Duration) -> Vec<Setting> {
    let sandbox = &task.sandbox;
    let mut settings = vec![
        Setting::Text("Description", format!("Prunella: {}", task.description)),
        Setting::Text("CollectMode", "inactive-or-failed".to_owned()),
        Setting::Time("TimeoutStart", limit),
        Setting::Time("TimeoutStop", GRACE),
        Setting::AnyExitCode,
        Setting::Flag("NoNewPrivileges", true),
        Setting::Flag("PrivateDevices", sandbox.devices.is_empty()),
        Setting::Flag("ProtectKernelTunables", true),
        Setting::Flag("ProtectKernelModules", true),
        Setting::Flag("ProtectKernelLogs", true),
        Setting::Flag("ProtectControlGroups", true),
        Setting::Flag("ProtectClock", true),
        Setting::Flag("ProtectHostname", true),
        Setting::Flag("RestrictRealtime", true),
        // Whoever may keep these bits may set them.
        Setting::Flag(
            "RestrictSUIDSGID",
            !sandbox.capabilities.contains(&Capability::Fsetid),
        ),
        Setting::Flag("LockPersonality", true),
        Setting::NoNamespaces,
        Setting::Number("LimitCORE", 0),
        Setting::Number("TasksMax", 512),
        Setting::Text(
            "ProtectSystem",
            match sandbox.protect_system {
                ProtectSystem::No => "no",
                ProtectSystem::Programs => "yes",
                ProtectSystem::Strict => "strict",
            }
            .to_owned(),
        ),
        Setting::Text(
            "ProtectHome",
            if sandbox.protect_home {
                "read-only"
            } else {
                "no"
            }
            .to_owned(),
        ),
        Setting::Flag("PrivateTmp", sandbox.private_tmp),
        Setting::Flag("PrivateNetwork", sandbox.private_network),
        Setting::Capabilities(sandbox.capabilities.clone()),
        Setting::Families(sandbox.families.clone()),
    ];
    if !sandbox.writable.is_empty() {
        settings.push(Setting::List(
            "ReadWritePaths",
            sandbox
                .writable
                .iter()
                .map(|path| format!("-{path}"))
                .collect(),
        ));
    }
    if !sandbox.devices.is_empty() {
        settings.push(Setting::Text("DevicePolicy", "closed".to_owned()));
        settings.extend(sandbox.devices.iter().cloned().map(Setting::Device));
    }
    settings.extend(task.credentials.iter().map(|credential| {
        let path = credential.path.to_string_lossy().into_owned();
        Setting::Credential(credential.name, path)
    }));
    settings.extend(task.shown.iter().map(|instead| {
        let [shown, path] =
            [&instead.shown, &instead.path].map(|path| path.to_string_lossy().into_owned());
        Setting::Shown(shown, path)
    }));
    if !task.runs_as.user.is_empty() {
        settings.push(Setting::Text("User", task.runs_as.user.clone()));
    }
    if !task.runs_as.group.is_empty() {
        settings.push(Setting::Text("Group", task.runs_as.group.clone()));
    }
    if task.runs_as.dynamic {
        // The same name gives the same user as long as the service runs.
        settings.push(Setting::Flag("DynamicUser", true));
    }
    if !task.runs_as.more_groups.is_empty() {
        settings.push(Setting::List(
            "SupplementaryGroups",
            task.runs_as.more_groups.clone(),
        ));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::{super::tests::task, *};

    #[test]
    fn settings_say_the_same_both_ways() {
        let settings = settings(&task(), Duration::from_secs(10));
        let lines: Vec<String> = settings.iter().map(Setting::for_command_line).collect();
        for line in [
            "TimeoutStartSec=10000000us",
            "ProtectSystem=strict",
            "CapabilityBoundingSet=CAP_CHOWN CAP_NET_BIND_SERVICE",
            "ReadWritePaths=\"-/run\"",
            "SupplementaryGroups=\"adm\"",
            "User=app",
            "LoadCredential=secret:/run/x",
            r#"BindReadOnlyPaths="/etc/web.conf.new\\:1:/etc/web.conf""#,
        ] {
            assert!(lines.iter().any(|there| there == line), "{line}");
        }
        let bus: Vec<(String, Variant<'_>)> = settings.iter().map(Setting::for_bus).collect();
        assert!(bus.contains(&("TimeoutStartUSec".to_owned(), Variant::from(10_000_000_u64))));
        assert!(bus.contains(&(
            "CapabilityBoundingSet".to_owned(),
            Variant::from(1_u64 | 1 << 10)
        )));
    }
}
